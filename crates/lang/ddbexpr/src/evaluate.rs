//! Whether an item satisfies a condition. Never fails: what cannot be compared is not true.

use crate::condition::{Comparator, Condition, Operand};
use crate::number::Number;
use crate::value::{Item, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

impl Condition {
    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Condition::And(all) => all.iter().all(|condition| condition.holds(item)),
            Condition::Or(all) => all.iter().any(|condition| condition.holds(item)),
            Condition::Not(inner) => !inner.holds(item),
            Condition::Compare(comparator, a, b) => {
                compare(*comparator, a.find(item).as_deref(), b.find(item).as_deref())
            }
            Condition::Between(a, low, high) => {
                let a = a.find(item);
                compare(Comparator::GreaterOrEqual, a.as_deref(), low.find(item).as_deref())
                    && compare(Comparator::LessOrEqual, a.as_deref(), high.find(item).as_deref())
            }
            Condition::In(a, list) => {
                let a = a.find(item);
                list.iter()
                    .any(|one| compare(Comparator::Equal, a.as_deref(), one.find(item).as_deref()))
            }
            Condition::Exists(path) => path.find(item).is_some(),
            Condition::NotExists(path) => path.find(item).is_none(),
            Condition::IsType(a, kind) => a.find(item).is_some_and(|value| value.kind() == *kind),
            Condition::BeginsWith(a, b) => match (a.find(item), b.find(item)) {
                (Some(a), Some(b)) => begins_with(&a, &b),
                _ => false,
            },
            Condition::Contains(a, b) => match (a.find(item), b.find(item)) {
                (Some(a), Some(b)) => contains(&a, &b),
                _ => false,
            },
        }
    }
}

impl Operand {
    fn find<'a>(&'a self, item: &'a Item) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Path(path) => path.find(item).map(Cow::Borrowed),
            Operand::Value(value) => Some(Cow::Borrowed(value)),
            Operand::Size(inner) => {
                let size = size(inner.find(item)?.as_ref())?;
                Some(Cow::Owned(Value::N(Number::from_u64(size as u64))))
            }
        }
    }
}

/// An attribute that is not there equals nothing, not even another that is not there
/// (seen by Alternator's suite on AWS).
pub(crate) fn compare(comparator: Comparator, a: Option<&Value>, b: Option<&Value>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return comparator == Comparator::NotEqual };
    let order = |wanted: fn(Ordering) -> bool| a.compare(b).is_some_and(wanted);
    match comparator {
        Comparator::Equal => a == b,
        Comparator::NotEqual => a != b,
        Comparator::Less => order(Ordering::is_lt),
        Comparator::LessOrEqual => order(Ordering::is_le),
        Comparator::Greater => order(Ordering::is_gt),
        Comparator::GreaterOrEqual => order(Ordering::is_ge),
    }
}

pub(crate) fn begins_with(value: &Value, prefix: &Value) -> bool {
    match (value, prefix) {
        (Value::S(value), Value::S(prefix)) => value.starts_with(prefix.as_str()),
        (Value::B(value), Value::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

/// Part of a string or binary; member of a set or list.
pub(crate) fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::S(value), Value::S(part)) => value.contains(part.as_str()),
        (Value::B(value), Value::B(part)) => {
            part.is_empty() || value.windows(part.len()).any(|window| window == part.as_slice())
        }
        (Value::Ss(set), Value::S(member)) => set.contains(member),
        (Value::Ns(set), Value::N(member)) => set.contains(member),
        (Value::Bs(set), Value::B(member)) => set.contains(member),
        (Value::L(list), member) => list.contains(member),
        _ => false,
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        // Characters as Java counts them (recorded: dynalite, scan: size of "abÿ" is 3).
        Value::S(text) => Some(text.encode_utf16().count()),
        Value::B(bytes) => Some(bytes.len()),
        Value::M(map) => Some(map.len()),
        Value::L(list) => Some(list.len()),
        Value::Ss(set) => Some(set.len()),
        Value::Ns(set) => Some(set.len()),
        Value::Bs(set) => Some(set.len()),
        Value::N(_) | Value::Bool(_) | Value::Null => None,
    }
}
