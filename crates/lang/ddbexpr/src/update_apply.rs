//! Carrying out an update on an item.
//!
//! Invariants: every value is read from the item as it was before the update; list indexes mean the
//! positions before it too, so `REMOVE a[1] SET a[3] = :v` sets what was fourth. What is set past a
//! list's end is appended, in the order of the indexes.
//! Recorded: dynalite's and Alternator's suites on AWS.

use crate::Invalid;
use crate::path::{Path, Step};
use crate::update::{Action, Source, Update, What};
use crate::value::{Item, Value};

const MISSING_ATTRIBUTE: &str =
    "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const WRONG_PATH: &str =
    "The document path provided in the update expression is invalid for update";

impl Update {
    /// `existed` is false if `item` is only the key of an item that is not stored.
    pub fn apply(&self, item: &Item, existed: bool) -> Result<Item, Invalid> {
        let mut values = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            values.push(match &action.what {
                What::Set(source) => Some(source.evaluate(item)?.into_owned()),
                _ => None,
            });
        }
        let mut changed = item.clone();
        let mut writes: Vec<(&Action, Option<Value>)> = Vec::new();
        let mut removals: Vec<&Path> = Vec::new();
        for (action, value) in self.actions.iter().zip(values) {
            match action.what {
                What::Remove => removals.push(&action.path),
                _ => writes.push((action, value)),
            }
        }
        // Ascending: appended members come out in the order of their indexes.
        writes.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        for (action, value) in writes {
            if write(&mut changed, action, value)? == Left::EmptySet {
                // There is no empty set: the attribute goes.
                removals.push(&action.path);
            }
        }
        // Descending: a removal moves nothing that is still to be removed.
        removals.sort_by(|a, b| b.cmp(a));
        for path in removals {
            // REMOVE a.b of an item that does not exist at all is no error.
            match parent(&mut changed, path) {
                Some(parent) => remove(parent, path),
                None if existed => return Err(Invalid::new(WRONG_PATH)),
                None => {}
            }
        }
        Ok(changed)
    }
}

#[derive(PartialEq, Eq)]
enum Left {
    Value,
    EmptySet,
}

enum Parent<'a> {
    Map(&'a mut Item),
    List(&'a mut Vec<Value>),
}

/// What holds the last step of `path`, if it is there and of the right type.
fn parent<'a>(item: &'a mut Item, path: &Path) -> Option<Parent<'a>> {
    let Some((last, middle)) = path.tail.split_last() else { return Some(Parent::Map(item)) };
    let mut at = item.get_mut(&path.head)?;
    for step in middle {
        at = match (step, at) {
            (Step::Name(name), Value::M(map)) => map.get_mut(name)?,
            (Step::Index(index), Value::L(list)) => list.get_mut(*index)?,
            _ => return None,
        };
    }
    match (last, at) {
        (Step::Name(_), Value::M(map)) => Some(Parent::Map(map)),
        (Step::Index(_), Value::L(list)) => Some(Parent::List(list)),
        _ => None,
    }
}

fn remove(parent: Parent<'_>, path: &Path) {
    match (parent, path.tail.last()) {
        (Parent::Map(map), None) => {
            map.remove(&path.head);
        }
        (Parent::Map(map), Some(Step::Name(name))) => {
            map.remove(name);
        }
        (Parent::List(list), Some(Step::Index(index))) if *index < list.len() => {
            list.remove(*index);
        }
        _ => {}
    }
}

fn write(item: &mut Item, action: &Action, value: Option<Value>) -> Result<Left, Invalid> {
    let path = &action.path;
    let mut parent = parent(item, path).ok_or(Invalid::new(WRONG_PATH))?;
    let existing = match (&mut parent, path.tail.last()) {
        (Parent::Map(map), None) => map.get_mut(&path.head),
        (Parent::Map(map), Some(Step::Name(name))) => map.get_mut(name),
        (Parent::List(list), Some(Step::Index(index))) => list.get_mut(*index),
        _ => None,
    };
    let new = match (&action.what, existing, value) {
        (What::Set(_), _, Some(value)) => value,
        (What::Add(more), Some(existing), _) => {
            add(existing, more)?;
            return Ok(Left::Value);
        }
        (What::Add(first), None, _) => first.clone(),
        (What::Delete(members), Some(existing), _) => return subtract(existing, members),
        _ => return Ok(Left::Value),
    };
    match (parent, path.tail.last()) {
        (Parent::Map(map), None) => {
            map.insert(path.head.clone(), new);
        }
        (Parent::Map(map), Some(Step::Name(name))) => {
            map.insert(name.clone(), new);
        }
        (Parent::List(list), Some(Step::Index(index))) => match list.get_mut(*index) {
            Some(old) => *old = new,
            None => list.push(new),
        },
        _ => {}
    }
    Ok(Left::Value)
}

fn add(existing: &mut Value, more: &Value) -> Result<(), Invalid> {
    match (existing, more) {
        (Value::N(sum), Value::N(term)) => *sum = sum.add(term)?,
        (Value::Ss(set), Value::Ss(members)) => union(set, members),
        (Value::Ns(set), Value::Ns(members)) => union(set, members),
        (Value::Bs(set), Value::Bs(members)) => union(set, members),
        _ => return Err(Invalid::new(WRONG_TYPE)),
    }
    Ok(())
}

pub(crate) fn union<T: Clone + Ord>(set: &mut Vec<T>, members: &[T]) {
    let have: std::collections::BTreeSet<&T> = set.iter().collect();
    let new: Vec<T> = members.iter().filter(|member| !have.contains(member)).cloned().collect();
    set.extend(new);
}

fn subtract(existing: &mut Value, members: &Value) -> Result<Left, Invalid> {
    let empty = match (existing, members) {
        (Value::Ss(set), Value::Ss(members)) => difference(set, members),
        (Value::Ns(set), Value::Ns(members)) => difference(set, members),
        (Value::Bs(set), Value::Bs(members)) => difference(set, members),
        _ => return Err(Invalid::new(WRONG_TYPE)),
    };
    Ok(if empty { Left::EmptySet } else { Left::Value })
}

/// Whether nothing is left.
pub(crate) fn difference<T: Ord>(set: &mut Vec<T>, members: &[T]) -> bool {
    let gone: std::collections::BTreeSet<&T> = members.iter().collect();
    set.retain(|member| !gone.contains(member));
    set.is_empty()
}

impl Source {
    fn evaluate<'a>(&'a self, item: &'a Item) -> Result<std::borrow::Cow<'a, Value>, Invalid> {
        use std::borrow::Cow;
        Ok(match self {
            Source::Value(value) => Cow::Borrowed(value),
            Source::Path(path) => {
                Cow::Borrowed(path.find(item).ok_or(Invalid::new(MISSING_ATTRIBUTE))?)
            }
            Source::IfNotExists(path, otherwise) => match path.find(item) {
                Some(value) => Cow::Borrowed(value),
                None => otherwise.evaluate(item)?,
            },
            Source::ListAppend(a, b) => {
                match (a.evaluate(item)?.into_owned(), b.evaluate(item)?.as_ref()) {
                    (Value::L(mut list), Value::L(more)) => {
                        list.extend_from_slice(more);
                        Cow::Owned(Value::L(list))
                    }
                    _ => return Err(Invalid::new(WRONG_TYPE)),
                }
            }
            Source::Plus(a, b) | Source::Minus(a, b) => {
                match (a.evaluate(item)?.as_ref(), b.evaluate(item)?.as_ref()) {
                    (Value::N(a), Value::N(b)) => Cow::Owned(Value::N(match self {
                        Source::Minus(..) => a.subtract(b)?,
                        _ => a.add(b)?,
                    })),
                    _ => return Err(Invalid::new(WRONG_TYPE)),
                }
            }
        })
    }
}
