//! Event patterns: which events a rule or a filter wants.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>
//!
//! Invariants: both sides are compared as flat lists of `path.to.leaf`, so `{"a": {"b": ...}}` and `{"a.b": ...}` are the
//! same; a path through an array stands for its elements, and all conditions must hold for one and the same element of it.

mod event;
mod matcher;
mod parse;

use event::Leaf;
use matcher::Matcher;
use serde_json::Value;

/// A pattern that was read and understood.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// `$or` multiplied out: one of these must hold whole.
    alternatives: Vec<Vec<Condition>>,
}

/// One leaf of a pattern: where to look, and what may stand there.
#[derive(Clone, Debug)]
struct Condition {
    path: String,
    any_of: Vec<Matcher>,
}

/// Why a text is not a pattern, in EventBridge's words.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternError {
    pub reason: String,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        Ok(Pattern { alternatives: parse::alternatives(text)? })
    }

    pub fn matches(&self, event: &Value) -> bool {
        let leaves = event::leaves(event);
        self.alternatives.iter().any(|conditions| holds(conditions, &leaves, &mut Vec::new()))
    }
}

/// Whether leaves can be chosen for all conditions that lie in the same elements of all arrays. `chosen`: those so far.
fn holds<'a>(
    conditions: &[Condition],
    leaves: &'a [Leaf<'a>],
    chosen: &mut Vec<&'a Leaf<'a>>,
) -> bool {
    let Some((condition, rest)) = conditions.split_first() else { return true };
    let mut here = leaves.iter().filter(|leaf| leaf.path == condition.path).peekable();
    if here.peek().is_none() {
        return condition.any_of.contains(&Matcher::Absent) && holds(rest, leaves, chosen);
    }
    for leaf in here {
        let fits = condition.any_of.iter().any(|matcher| matcher.accepts(leaf.value));
        if fits && chosen.iter().all(|other| leaf.is_beside(other)) {
            chosen.push(leaf);
            if holds(rest, leaves, chosen) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}
