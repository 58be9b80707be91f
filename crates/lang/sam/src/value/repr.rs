//! How Python prints values: `repr`, `str` and `json.dumps`. Logical ids are hashes of such prints.

use super::{Map, Text, Value};
use serde_json::Number;
use std::fmt::Write;

/// `repr(value)`.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

/// `str(value)`: as [`repr`], but a text stands for itself.
pub fn str_of(value: &Value) -> String {
    match value {
        Value::Str(text) => text.as_str().to_owned(),
        other => repr(other),
    }
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => write_number(out, number, true),
        Value::Str(text) => write_text(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => write_map(out, map),
    }
}

fn write_map(out: &mut String, map: &Map) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_text(out, key);
        out.push_str(": ");
        write_repr(out, value);
    }
    out.push('}');
}

/// Integers above 2^63-1 were `long` in Python 2 and print with an L.
fn write_number(out: &mut String, number: &Number, legacy_long: bool) {
    if let Some(integer) = number.as_i64() {
        let _ = write!(out, "{integer}");
    } else if let Some(integer) = number.as_u64() {
        let _ = write!(out, "{integer}{}", if legacy_long { "L" } else { "" });
    } else {
        out.push_str(&float(number.as_f64().unwrap_or(f64::NAN)));
    }
}

/// Python's shortest form of a float: an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let exponent = format!("{value:e}");
    let (digits, power) = exponent.split_once('e').unwrap_or((&exponent, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

fn write_text(out: &mut String, text: &Text) {
    if text.is_unicode() {
        out.push('u');
    }
    let characters = text.as_str();
    let quote = if characters.contains('\'') && !characters.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in characters.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c < ' ' || c == '\u{7f}') || (!c.is_ascii() && text.is_unicode()) => {
                write_escape(out, c);
            }
            c if !c.is_ascii() && c.is_control() => write_escape(out, c),
            c => out.push(c),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, character: char) {
    let code = u32::from(character);
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// How `json.dumps` is to print.
struct Layout {
    comma: &'static str,
    colon: &'static str,
    sorted: bool,
    indent: Option<usize>,
}

/// `json.dumps(value, separators=(",", ":"), sort_keys=True)`, or with the default separators and
/// the map's own order.
pub fn dumps(value: &Value, compact_and_sorted: bool) -> String {
    let layout = if compact_and_sorted {
        Layout { comma: ",", colon: ":", sorted: true, indent: None }
    } else {
        Layout { comma: ", ", colon: ": ", sorted: false, indent: None }
    };
    let mut out = String::new();
    write_json(&mut out, value, &layout, 0);
    out
}

/// `json.dumps(value, sort_keys=True, indent=4, separators=(",", ": "))`.
pub fn dumps_pretty(value: &Value) -> String {
    let layout = Layout { comma: ",", colon: ": ", sorted: true, indent: Some(4) };
    let mut out = String::new();
    write_json(&mut out, value, &layout, 0);
    out
}

fn write_json(out: &mut String, value: &Value, layout: &Layout, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number, false),
        Value::Str(text) => write_json_text(out, text.as_str()),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, layout, index, depth + 1);
                write_json(out, item, layout, depth + 1);
            }
            close(out, layout, depth, ']');
        }
        Value::Map(map) => {
            let mut members: Vec<(&Text, &Value)> = map.iter().collect();
            if layout.sorted {
                members.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
            }
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                separate(out, layout, index, depth + 1);
                write_json_text(out, key.as_str());
                out.push_str(layout.colon);
                write_json(out, member, layout, depth + 1);
            }
            close(out, layout, depth, '}');
        }
    }
}

fn separate(out: &mut String, layout: &Layout, index: usize, depth: usize) {
    if index > 0 {
        out.push_str(layout.comma);
    }
    if let Some(indent) = layout.indent {
        let _ = write!(out, "\n{:1$}", "", indent * depth);
    }
}

fn close(out: &mut String, layout: &Layout, depth: usize, bracket: char) {
    if let Some(indent) = layout.indent {
        let _ = write!(out, "\n{:1$}", "", indent * depth);
    }
    out.push(bracket);
}

/// JSON text in ASCII, as Python writes it.
fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (' '..='~').contains(&c) => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_text_as_python_does() {
        assert_eq!(repr(&Value::Str(Text::unicode("it's"))), "u\"it's\"");
        assert_eq!(repr(&Value::Str(Text::unicode("a\"'b"))), "u'a\"\\'b'");
        assert_eq!(repr(&Value::Str(Text::unicode("é\\n\n"))), "u'\\xe9\\\\n\\n'");
        assert_eq!(repr(&Value::from("é")), "'é'");
    }

    #[test]
    fn prints_numbers_as_python_does() {
        let print = |value: f64| float(value);
        assert_eq!(print(1.0), "1.0");
        assert_eq!(print(0.1), "0.1");
        assert_eq!(print(1e16), "1e+16");
        assert_eq!(print(0.00001), "1e-05");
        assert_eq!(repr(&Value::Number(u64::MAX.into())), "18446744073709551615L");
    }

    #[test]
    fn dumps_sorted_ascii() {
        let value = Value::from_json(&serde_json::json!({"b": [1, null], "a": "ü"}));
        assert_eq!(dumps(&value, true), r#"{"a":"\u00fc","b":[1,null]}"#);
        assert_eq!(dumps(&value, false), r#"{"b": [1, null], "a": "\u00fc"}"#);
        assert_eq!(
            dumps_pretty(&value),
            "{\n    \"a\": \"\\u00fc\",\n    \"b\": [\n        1,\n        null\n    ]\n}"
        );
    }
}
