//! Functions of many rows: what `stats` computes.

use std::collections::HashSet;

use super::expression::{Expression, Record};
use super::pipeline::TooMuch;
use super::value::Value;

/// Values that one query's percentiles and distinct counts may hold.
pub const HELD_MAX: usize = 1_000_000;

#[derive(Clone, Debug)]
pub enum Aggregate {
    CountAll,
    Count(Expression),
    CountDistinct(Expression),
    Sum(Expression),
    Average(Expression),
    Least(Expression),
    Greatest(Expression),
    Deviation(Expression),
    Percentile(Expression, f64),
    Earliest(Expression),
    Latest(Expression),
    SortsFirst(Expression),
    SortsLast(Expression),
}

/// What one group of rows has come to so far.
#[derive(Clone, Debug)]
pub enum Total {
    Count(u64),
    Distinct(HashSet<String>),
    Sum {
        sum: f64,
        squares: f64,
        count: u64,
    },
    Extreme(Value),
    All(Vec<f64>),
    /// With the time it is of.
    Edge(Option<i64>, Value),
}

impl Aggregate {
    pub fn start(&self) -> Total {
        match self {
            Aggregate::CountAll | Aggregate::Count(_) => Total::Count(0),
            Aggregate::CountDistinct(_) => Total::Distinct(HashSet::new()),
            Aggregate::Sum(_) | Aggregate::Average(_) | Aggregate::Deviation(_) => {
                Total::Sum { sum: 0.0, squares: 0.0, count: 0 }
            }
            Aggregate::Least(_)
            | Aggregate::Greatest(_)
            | Aggregate::SortsFirst(_)
            | Aggregate::SortsLast(_) => Total::Extreme(Value::Absent),
            Aggregate::Percentile(..) => Total::All(Vec::new()),
            Aggregate::Earliest(_) | Aggregate::Latest(_) => Total::Edge(None, Value::Absent),
        }
    }

    fn argument(&self) -> Option<&Expression> {
        match self {
            Aggregate::CountAll => None,
            Aggregate::Count(argument)
            | Aggregate::CountDistinct(argument)
            | Aggregate::Sum(argument)
            | Aggregate::Average(argument)
            | Aggregate::Least(argument)
            | Aggregate::Greatest(argument)
            | Aggregate::Deviation(argument)
            | Aggregate::Percentile(argument, _)
            | Aggregate::Earliest(argument)
            | Aggregate::Latest(argument)
            | Aggregate::SortsFirst(argument)
            | Aggregate::SortsLast(argument) => Some(argument),
        }
    }

    /// Adds a row; `held` counts the values that all groups hold together.
    pub fn add(
        &self,
        total: &mut Total,
        record: &Record,
        now_ms: i64,
        held: &mut usize,
    ) -> Result<(), TooMuch> {
        let value = match self.argument() {
            Some(argument) => argument.value(record, now_ms),
            None => Value::Truth(true),
        };
        if value.is_absent() {
            return Ok(());
        }
        match total {
            Total::Count(count) => *count += 1,
            Total::Distinct(seen) => {
                *held += usize::from(seen.insert(value.print().unwrap_or_default()));
            }
            Total::Sum { sum, squares, count } => {
                if let Some(number) = value.number() {
                    *sum += number;
                    *squares += number * number;
                    *count += 1;
                }
            }
            Total::All(numbers) => {
                if let Some(number) = value.number() {
                    numbers.push(number);
                    *held += 1;
                }
            }
            Total::Extreme(found) => self.extreme(found, value),
            Total::Edge(at, found) => {
                let time = record.field("@timestamp").time();
                let replaces = match (at.zip(time), self) {
                    (None, _) => true,
                    (Some((old, new)), Aggregate::Earliest(_)) => new <= old,
                    (Some((old, new)), _) => new > old,
                };
                if replaces {
                    (*at, *found) = (time, value);
                }
            }
        }
        if *held > HELD_MAX { Err(TooMuch) } else { Ok(()) }
    }

    fn extreme(&self, found: &mut Value, value: Value) {
        // The least number: what is no number takes no part.
        let numeric = matches!(self, Aggregate::Least(_) | Aggregate::Greatest(_));
        if numeric && value.number().is_none() {
            return;
        }
        let order = value.order(found);
        let replaces = match self {
            Aggregate::Least(_) | Aggregate::SortsFirst(_) => order.is_lt(),
            _ => order.is_gt(),
        };
        if found.is_absent() || replaces {
            *found = value;
        }
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn end(&self, total: Total) -> Value {
        match total {
            Total::Count(count) => Value::Number(count as f64),
            Total::Distinct(seen) => Value::Number(seen.len() as f64),
            Total::Sum { count: 0, .. } => Value::Absent,
            Total::Sum { sum, squares, count } => {
                let mean = sum / count as f64;
                Value::Number(match self {
                    Aggregate::Average(_) => mean,
                    Aggregate::Deviation(_) => {
                        (squares / count as f64 - mean * mean).max(0.0).sqrt()
                    }
                    _ => sum,
                })
            }
            Total::Extreme(value) | Total::Edge(_, value) => value,
            Total::All(numbers) => self.percentile(numbers),
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn percentile(&self, mut numbers: Vec<f64>) -> Value {
        let Aggregate::Percentile(_, percent) = self else { return Value::Absent };
        if numbers.is_empty() {
            return Value::Absent;
        }
        numbers.sort_by(f64::total_cmp);
        let last = numbers.len() - 1;
        let place = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
        let (below, above) = (place.floor() as usize, (place.ceil() as usize).min(last));
        let between = numbers[below] + (numbers[above] - numbers[below]) * place.fract();
        Value::Number(between)
    }
}
