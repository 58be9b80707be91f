//! The order of steps: what must have ended before what may start.

use std::collections::BTreeSet;

/// One step to take. `item` tells steps of the same resource apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub item: usize,
    pub needs: BTreeSet<String>,
}

/// Steps that have not started, in the order in which they should if nothing forbids it.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    nodes: Vec<Node>,
    failed: BTreeSet<String>,
}

impl Waiting {
    pub fn new(nodes: Vec<Node>) -> Self {
        Self { nodes, failed: BTreeSet::new() }
    }

    /// What needs this resource's steps will never start.
    pub fn fail(&mut self, id: &str) {
        self.failed.insert(id.to_owned());
    }

    /// Lifts the needs of the steps that are left, unless something failed. False if none are left.
    pub fn release(&mut self) -> bool {
        if !self.failed.is_empty() {
            return false;
        }
        self.nodes.iter_mut().for_each(|node| node.needs.clear());
        !self.nodes.is_empty()
    }

    /// Takes the first step for which nothing waits, runs or failed that it needs.
    pub fn take(&mut self, is_running: impl Fn(&str) -> bool) -> Option<Node> {
        let waits: BTreeSet<&str> = self.nodes.iter().map(|node| node.id.as_str()).collect();
        let blocked = |node: &Node| {
            let by = |need: &String| {
                *need != node.id
                    && (waits.contains(need.as_str())
                        || is_running(need)
                        || self.failed.contains(need))
            };
            is_running(&node.id) || node.needs.iter().any(by)
        };
        let at = self.nodes.iter().position(|node| !blocked(node))?;
        Some(self.nodes.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, needs: &[&str]) -> Node {
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        Node { id: id.to_owned(), item: 0, needs }
    }

    #[test]
    fn steps_wait_for_what_they_need() {
        let mut waiting = Waiting::new(vec![node("a", &["b"]), node("b", &[]), node("c", &["a"])]);
        let idle = |_: &str| false;
        assert_eq!(waiting.take(idle).unwrap().id, "b");
        assert!(waiting.take(|id| id == "b").is_none());
        assert_eq!(waiting.take(idle).unwrap().id, "a");
        waiting.fail("a");
        assert!(waiting.take(idle).is_none());
    }
}
