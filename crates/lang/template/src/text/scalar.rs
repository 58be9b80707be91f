//! YAML 1.1 plain scalars, as CloudFormation reads them.
//!
//! Invariant: a number becomes a JSON number only if printing it gives the same text again, so that
//! `000000000012`, `1.10` and `0x1F` lose nothing; everything else that looks like a number stays text.
//! CloudFormation converts scalars to the property's type later anyway.

use serde_json::{Number, Value};

/// The value of an unquoted scalar without a tag.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        // YAML 1.1 booleans: the reason why `aws cloudformation package` quotes these words.
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => number(text),
    }
}

/// A number if that is lossless, else the text.
pub fn number(text: &str) -> Value {
    lossless(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn lossless(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = if let Ok(integer) = text.parse::<i64>() {
        Number::from(integer)
    } else if let Ok(integer) = text.parse::<u64>() {
        Number::from(integer)
    } else {
        Number::from_f64(text.parse::<f64>().ok()?)?
    };
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_keep_their_text() {
        let cases = [
            ("000000000012", json!("000000000012")),
            ("010", json!("010")),
            ("2012-10-17", json!("2012-10-17")),
            ("1.10", json!("1.10")),
            ("1.5", json!(1.5)),
            ("1000.0", json!(1000.0)),
            ("-3", json!(-3)),
            ("+3", json!("+3")),
            ("1e3", json!("1e3")),
            ("123456789012", json!(123_456_789_012_i64)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("99999999999999999999999", json!("99999999999999999999999")),
            ("yes", json!(true)),
            ("off", json!(false)),
            ("y", json!("y")),
            ("~", json!(null)),
            (".inf", json!(".inf")),
            ("nan", json!("nan")),
            ("1:30", json!("1:30")),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
