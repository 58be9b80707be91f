//! The conditions of `[?(...)]`.

use std::cmp::Ordering;

use super::Path;
use crate::value::Value;

#[derive(Debug, Clone)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Operand),
    Compare(Comparison, Operand, Operand),
    Matches(Operand, regex::Regex),
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Path { path: Path, relative: bool },
    Value(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Matches,
    In,
    NotIn,
    Contains,
    Size,
    Empty,
}

impl Operand {
    fn value(&self, at: &Value, root: &Value, visits: &mut usize) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Path { path, relative } => {
                path.find_from(root, if *relative { at } else { root }, visits)
            }
        }
    }
}

impl Condition {
    pub(super) fn holds(&self, at: &Value, root: &Value, visits: &mut usize) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(at, root, visits)),
            Self::Any(all) => all.iter().any(|one| one.holds(at, root, visits)),
            Self::Not(inner) => !inner.holds(at, root, visits),
            Self::Exists(operand) => operand.value(at, root, visits).is_some(),
            Self::Matches(operand, pattern) => match operand.value(at, root, visits) {
                Some(Value::Text(text)) => pattern.is_match(&text),
                _ => false,
            },
            Self::Compare(comparison, left, right) => {
                let left = left.value(at, root, visits);
                compare(*comparison, left, right.value(at, root, visits))
            }
        }
    }
}

fn compare(comparison: Comparison, left: Option<Value>, right: Option<Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return comparison == Comparison::NotEqual;
    };
    match comparison {
        Comparison::Equal => left.equals(&right),
        Comparison::NotEqual => !left.equals(&right),
        Comparison::In => contains(&right, &left),
        Comparison::NotIn => !contains(&right, &left),
        Comparison::Contains => contains(&left, &right),
        Comparison::Size => size(&left).is_some_and(|size| Value::from(size).equals(&right)),
        Comparison::Empty => size(&left).is_some_and(|size| Value::Bool(size == 0).equals(&right)),
        Comparison::Matches => false,
        ordered => order(&left, &right).is_some_and(|order| match ordered {
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            _ => order.is_ge(),
        }),
    }
}

fn contains(holder: &Value, item: &Value) -> bool {
    match (holder, item) {
        (Value::List(list), item) => list.items.borrow().iter().any(|i| i.equals(item)),
        (Value::Text(text), Value::Text(part)) => text.contains(&**part),
        _ => false,
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::List(list) => Some(list.items.borrow().len()),
        Value::Map(map) => Some(map.entries.borrow().len()),
        Value::Text(text) => Some(crate::strings::length(text)),
        _ => None,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => left.number()?.partial_cmp(&right.number()?),
    }
}
