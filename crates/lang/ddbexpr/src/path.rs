//! Document paths: where in an item.

use crate::value::{Item, Value};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Name(String),
    Index(usize),
}

/// Never empty, and begins with a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub head: String,
    pub tail: Vec<Step>,
}

impl Path {
    pub fn top(name: impl Into<String>) -> Self {
        Self { head: name.into(), tail: Vec::new() }
    }

    pub fn is_nested(&self) -> bool {
        !self.tail.is_empty()
    }

    pub fn find<'a>(&self, item: &'a Item) -> Option<&'a Value> {
        self.tail.iter().try_fold(item.get(&self.head)?, |value, step| match (step, value) {
            (Step::Name(name), Value::M(map)) => map.get(name),
            (Step::Index(index), Value::L(list)) => list.get(*index),
            _ => None,
        })
    }

    /// How two paths of one expression clash.
    pub fn clash(&self, other: &Path) -> Option<Clash> {
        if self.head != other.head {
            return None;
        }
        for (mine, theirs) in self.tail.iter().zip(&other.tail) {
            match (mine, theirs) {
                (Step::Name(_), Step::Index(_)) | (Step::Index(_), Step::Name(_)) => {
                    return Some(Clash::Conflict);
                }
                _ if mine != theirs => return None,
                _ => {}
            }
        }
        Some(Clash::Overlap)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// One is the other, or contains it.
    Overlap,
    /// One sees a map where the other sees a list.
    Conflict,
}

/// The first overlap of any two paths, else the first conflict, as AWS says it.
pub(crate) fn clash_of<'a>(paths: impl Iterator<Item = &'a Path>) -> Option<String> {
    let mut seen: Vec<&Path> = Vec::new();
    let mut conflict = None;
    for path in paths {
        for earlier in &seen {
            let words = match earlier.clash(path) {
                None => continue,
                Some(Clash::Overlap) => "overlap",
                Some(Clash::Conflict) => "conflict",
            };
            let sentence = format!(
                "Two document paths {words} with each other; must remove or rewrite one of these \
                 paths; path one: {earlier}, path two: {path}"
            );
            if words == "overlap" {
                return Some(sentence);
            }
            conflict.get_or_insert(sentence);
        }
        seen.push(path);
    }
    conflict
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.head)?;
        for step in &self.tail {
            match step {
                Step::Name(name) => write!(f, ", {name}")?,
                Step::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}
