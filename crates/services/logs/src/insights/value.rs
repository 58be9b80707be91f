//! What a field is and an expression gives.

use std::cmp::Ordering;

use serde_json::Value as Json;
use sereno_base::Timestamp;

#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// The event has no such field, or a function has no answer.
    #[default]
    Absent,
    Truth(bool),
    Number(f64),
    Text(String),
    /// Milliseconds since 1970.
    Time(i64),
}

impl Value {
    /// A field of an event that is JSON; objects and arrays are no values themselves.
    pub fn of_json(json: &Json) -> Value {
        match json {
            Json::Null | Json::Array(_) | Json::Object(_) => Value::Absent,
            Json::Bool(truth) => Value::Truth(*truth),
            Json::Number(number) => number.as_f64().map_or(Value::Absent, Value::Number),
            Json::String(text) => Value::Text(text.clone()),
        }
    }

    pub fn is_absent(&self) -> bool {
        *self == Value::Absent
    }

    /// The number that it is, or that its text says.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Absent => None,
            Value::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            #[allow(clippy::cast_precision_loss)]
            Value::Time(ms) => Some(*ms as f64),
        }
    }

    pub fn time(&self) -> Option<i64> {
        match self {
            Value::Time(ms) => Some(*ms),
            Value::Text(text) => {
                let parsed = Timestamp::parse_iso8601(text).ok().map(Timestamp::millis);
                parsed.or_else(|| self.number().and_then(whole))
            }
            other => other.number().and_then(whole),
        }
    }

    pub fn truth(&self) -> bool {
        match self {
            Value::Absent => false,
            Value::Truth(truth) => *truth,
            Value::Text(text) => !text.is_empty() && text != "false" && text != "0",
            Value::Number(number) => *number != 0.0,
            Value::Time(_) => true,
        }
    }

    /// As results show it; nothing for what is absent.
    pub fn print(&self) -> Option<String> {
        Some(match self {
            Value::Absent => return None,
            Value::Truth(truth) => u8::from(*truth).to_string(),
            Value::Number(number) => print_number(*number),
            Value::Text(text) => text.clone(),
            Value::Time(ms) => print_time(*ms),
        })
    }

    /// `None`: they cannot be compared.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Absent, _) | (_, Value::Absent) => None,
            (Value::Text(left), Value::Text(right)) => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => Some(left.cmp(right)),
            },
            (Value::Truth(truth), Value::Text(text)) => Some(truth.to_string().as_str().cmp(text)),
            (Value::Text(text), Value::Truth(truth)) => Some(text.as_str().cmp(&truth.to_string())),
            _ => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => Some(self.print()?.cmp(&other.print()?)),
            },
        }
    }

    /// The order of `sort`: numbers, then texts; what is absent comes first.
    pub fn order(&self, other: &Value) -> Ordering {
        let rank = |value: &Value| match value {
            Value::Absent => 0,
            other if other.number().is_some() => 1,
            _ => 2,
        };
        let ranked = rank(self).cmp(&rank(other));
        ranked.then_with(|| self.compare(other).unwrap_or(Ordering::Equal))
    }
}

pub fn whole(number: f64) -> Option<i64> {
    // Beyond this a number is no time, and no count either.
    let fits = number.is_finite() && number.abs() < 9e15;
    #[allow(clippy::cast_possible_truncation)]
    fits.then_some(number as i64)
}

/// Four digits behind the point at most, as AWS shows numbers.
fn print_number(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

pub fn print_time(ms: i64) -> String {
    Timestamp::from_millis(ms).iso8601_millis().replace('T', " ").replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_aws_does() {
        let print = |number| Value::Number(number).print().unwrap();
        assert_eq!(
            [print(3.0), print(3.21), print(1.0 / 3.0), print(-0.00001)],
            ["3", "3.21", "0.3333", "0"]
        );
        assert_eq!(Value::Time(1_480_586_400_123).print().unwrap(), "2016-12-01 10:00:00.123");
        assert_eq!(Value::Truth(true).print().unwrap(), "1");
    }

    #[test]
    fn compares_numbers_in_texts() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(text("10").compare(&Value::Number(9.0)), Some(Ordering::Greater));
        assert_eq!(text("10").compare(&text("9")), Some(Ordering::Greater));
        assert_eq!(text("a").compare(&text("b")), Some(Ordering::Less));
        assert_eq!(Value::Truth(true).compare(&text("true")), Some(Ordering::Equal));
        assert_eq!(Value::Absent.compare(&text("")), None);
    }
}
