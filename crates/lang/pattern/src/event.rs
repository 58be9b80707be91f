//! An event as a flat list of its leaves.

use serde_json::Value;

/// A text, number, boolean or null of an event.
pub struct Leaf<'a> {
    /// Names of the members on the way, joined by dots.
    pub path: String,
    pub value: &'a Value,
    /// The arrays on the way, by their path, and the index of the element that was entered.
    elements: Vec<(usize, usize)>,
}

impl Leaf<'_> {
    /// Whether there is no array of which the two lie in different elements.
    pub fn is_beside(&self, other: &Leaf<'_>) -> bool {
        self.elements
            .iter()
            .all(|(array, index)| other.elements.iter().all(|(a, i)| a != array || i == index))
    }
}

pub fn leaves(event: &Value) -> Vec<Leaf<'_>> {
    let mut walk = Walk { leaves: Vec::new(), arrays: 0, elements: Vec::new() };
    walk.enter("", event);
    walk.leaves
}

struct Walk<'a> {
    leaves: Vec<Leaf<'a>>,
    arrays: usize,
    elements: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn enter(&mut self, path: &str, value: &'a Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let below =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.enter(&below, member);
                }
            }
            Value::Array(elements) => {
                self.arrays += 1;
                let array = self.arrays;
                for (index, element) in elements.iter().enumerate() {
                    self.elements.push((array, index));
                    self.enter(path, element);
                    self.elements.pop();
                }
            }
            leaf => self.leaves.push(Leaf {
                path: path.to_owned(),
                value: leaf,
                elements: self.elements.clone(),
            }),
        }
    }
}
