//! `JSONPath` as Jayway's library has it, which is what `$input.path` and `$input.json` take.
//!
//! `$.a`, `$['a','b']`, `[0]`, `[-1]`, `[0,2]`, `[1:3]`, `*`, `..`, filters `[?(@.a > 1 && ...)]`
//! and the functions `length() min() max() sum() avg()`. A path without `$` starts there by itself.
//! A definite path gives the value or nothing; an indefinite one (`*`, `..`, filters, slices, more
//! than one name) always gives a list.

mod filter;
mod parse;

use std::rc::Rc;

use indexmap::IndexMap;

use crate::value::{List, Map, Value};

pub use parse::PathError;

/// Most values that one path may visit.
const VISITS_MAX: usize = 1_000_000;

/// A path that was read.
#[derive(Debug, Clone)]
pub struct Path {
    steps: Vec<Step>,
    function: Option<Function>,
}

#[derive(Debug, Clone)]
enum Step {
    Names(Vec<Rc<str>>),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// `..`: this value and everything in it.
    Deep,
    Filter(Rc<filter::Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Length,
    Min,
    Max,
    Sum,
    Avg,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parse::path(text)
    }

    /// What the path names in `root`; `None` if a definite path, or the definite start of an
    /// indefinite one, names nothing.
    #[must_use]
    pub fn find(&self, root: &Value) -> Option<Value> {
        self.find_from(root, root, &mut 0)
    }

    fn find_from(&self, root: &Value, from: &Value, visits: &mut usize) -> Option<Value> {
        let start = self.steps.iter().take_while(|step| step.definite()).count();
        let (start, rest) = self.steps.split_at(start);
        let mut found = Vec::new();
        walk(start, from, root, visits, &mut found);
        let at = found.pop()?;
        let Some(next) = rest.first() else {
            return match self.function {
                Some(function) => apply(function, &at),
                None => Some(at),
            };
        };
        if !next.fits(&at) {
            return None;
        }
        walk(rest, &at, root, visits, &mut found);
        if let Some(function) = self.function {
            found = found.iter().filter_map(|one| apply(function, one)).collect();
        }
        Some(Value::List(List::json(found)))
    }
}

impl Step {
    fn definite(&self) -> bool {
        match self {
            Self::Names(_) => true,
            Self::Indexes(indexes) => indexes.len() == 1,
            Self::Slice(..) | Self::All | Self::Deep | Self::Filter(_) => false,
        }
    }

    /// Whether the step can be taken from this value at all.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Indexes(_) | Self::Slice(..) => matches!(value, Value::List(_)),
            _ => true,
        }
    }
}

fn walk(steps: &[Step], at: &Value, root: &Value, visits: &mut usize, out: &mut Vec<Value>) {
    *visits += 1;
    if *visits > VISITS_MAX {
        return;
    }
    let Some((step, rest)) = steps.split_first() else {
        out.push(at.clone());
        return;
    };
    match (step, at) {
        (Step::Names(names), Value::Map(map)) => match names.as_slice() {
            [name] => {
                if let Some(next) = map.get(name) {
                    walk(rest, &next, root, visits, out);
                }
            }
            names if rest.is_empty() => out.push(Value::Map(Map::new(picked(map, names)))),
            names => {
                for (_, next) in picked(map, names) {
                    walk(rest, &next, root, visits, out);
                }
            }
        },
        (Step::Indexes(indexes), Value::List(list)) => {
            for index in indexes {
                if let Some(next) = item(list, *index) {
                    walk(rest, &next, root, visits, out);
                }
            }
        }
        (Step::Slice(from, to), Value::List(list)) => {
            for next in slice(list, *from, *to) {
                walk(rest, &next, root, visits, out);
            }
        }
        (Step::All, _) => {
            for next in children(at) {
                walk(rest, &next, root, visits, out);
            }
        }
        (Step::Deep, _) => deep(rest, at, root, visits, out),
        (Step::Filter(condition), Value::List(list)) => {
            let items = list.items.borrow().clone();
            for next in items {
                if condition.holds(&next, root, visits) {
                    walk(rest, &next, root, visits, out);
                }
            }
        }
        (Step::Filter(condition), Value::Map(_)) if condition.holds(at, root, visits) => {
            walk(rest, at, root, visits, out);
        }
        _ => {}
    }
}

/// `..`: the rest of the path from here and from everything below, parents first.
fn deep(rest: &[Step], at: &Value, root: &Value, visits: &mut usize, out: &mut Vec<Value>) {
    // A filter after `..` looks at lists only: the objects in them are its candidates.
    let looks_here = match rest.first() {
        Some(Step::Filter(_)) => matches!(at, Value::List(_)),
        _ => true,
    };
    if looks_here {
        walk(rest, at, root, visits, out);
    }
    for next in children(at) {
        if *visits > VISITS_MAX {
            return;
        }
        if matches!(next, Value::Map(_) | Value::List(_)) {
            deep(rest, &next, root, visits, out);
        }
    }
}

fn picked(map: &Map, names: &[Rc<str>]) -> IndexMap<Rc<str>, Value> {
    names.iter().filter_map(|name| Some((name.clone(), map.get(name)?))).collect()
}

fn item(list: &List, index: i64) -> Option<Value> {
    let items = list.items.borrow();
    let at = if index < 0 { index + i64::try_from(items.len()).ok()? } else { index };
    items.get(usize::try_from(at).ok()?).cloned()
}

fn slice(list: &List, from: Option<i64>, to: Option<i64>) -> Vec<Value> {
    let items = list.items.borrow();
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { (at + length).max(0) } else { at.min(length) };
    let (from, to) = (from.map_or(0, place), to.map_or(length, place));
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) if from < to => items[from..to].to_vec(),
        _ => Vec::new(),
    }
}

fn children(value: &Value) -> Vec<Value> {
    match value {
        Value::Map(map) => map.entries.borrow().values().cloned().collect(),
        Value::List(list) => list.items.borrow().clone(),
        _ => Vec::new(),
    }
}

fn apply(function: Function, over: &Value) -> Option<Value> {
    if function == Function::Length {
        return match over {
            Value::List(list) => Some(list.items.borrow().len().into()),
            Value::Map(map) => Some(map.entries.borrow().len().into()),
            _ => Some(Value::Null),
        };
    }
    let Value::List(list) = over else { return None };
    let numbers: Vec<f64> = list.items.borrow().iter().filter_map(Value::number).collect();
    if numbers.is_empty() {
        return None;
    }
    let sum: f64 = numbers.iter().sum();
    Some(Value::Double(match function {
        Function::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Function::Sum => sum,
        #[allow(clippy::cast_precision_loss)] // a count of items
        _ => sum / numbers.len() as f64,
    }))
}
