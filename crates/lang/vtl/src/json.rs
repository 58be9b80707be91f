//! JSON as API Gateway reads and writes it.
//!
//! It reads leniently: keys and texts without quotes, single quotes, commas too many (recorded: a
//! MOCK integration takes `{statusCode: 200}`). It writes compactly, with the escapes of the
//! library that AWS uses: control characters, and U+007F-U+009F and U+2000-U+20FF as `\uXXXX`.

use std::fmt::Write as _;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::strings;
use crate::value::{List, Map, Value};

/// Deepest nesting that is read or written.
const DEPTH_MAX: usize = 256;
/// Longest text that is written; a template can make values that print longer than they are.
const TEXT_BYTES_MAX: usize = 20 << 20;
/// A number with more characters than this keeps its digits.
const DOUBLE_DIGITS_MAX: usize = 18;

/// Reads leniently; `None` if it is not JSON even so.
#[must_use]
pub fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    reader.skip();
    // What follows the value is not looked at (`{"a":1} x` reads).
    reader.value(0, &[])
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize, ends: &[u8]) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' | b'\'' => self.quoted().map(Value::from),
            _ => {
                let word = self.bare(ends)?;
                Some(plain(word))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut entries: IndexMap<Rc<str>, Value> = IndexMap::new();
        loop {
            self.skip();
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(Value::Map(Map::new(entries)));
                }
                b',' => self.at += 1,
                b'"' | b'\'' => {
                    let key = self.quoted()?;
                    self.entry(key, depth, &mut entries)?;
                }
                _ => {
                    let key = self.bare(b":")?.to_owned();
                    self.entry(key, depth, &mut entries)?;
                }
            }
        }
    }

    fn entry(
        &mut self,
        key: String,
        depth: usize,
        entries: &mut IndexMap<Rc<str>, Value>,
    ) -> Option<()> {
        self.skip();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.skip();
        let value = self.value(depth + 1, b",}")?;
        entries.insert(key.into(), value);
        self.skip();
        matches!(self.peek()?, b',' | b'}').then_some(())
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip();
            match self.peek()? {
                b']' => {
                    self.at += 1;
                    return Some(Value::List(List::json(items)));
                }
                b',' => self.at += 1,
                _ => {
                    items.push(self.value(depth + 1, b",]")?);
                    self.skip();
                    if !matches!(self.peek()?, b',' | b']') {
                        return None;
                    }
                }
            }
        }
    }

    /// A text without quotes, up to one of `ends`.
    fn bare(&mut self, ends: &[u8]) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|b| ends.contains(&b)).unwrap_or(rest.len());
        let word = rest[..length].trim_end();
        if word.is_empty() || matches!(word.as_bytes()[0], b'}' | b']' | b',' | b':') {
            return None;
        }
        self.at += length;
        Some(word)
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = char::from(self.peek()?);
        let start = self.at + 1;
        let rest = &self.text[start..];
        let mut units: Vec<u16> = Vec::new();
        let mut out = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let unit = match c {
                c if c == quote => {
                    flush(&mut units, &mut out);
                    self.at = start + at + 1;
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let hex = rest.get(at + 2..at + 6)?;
                        units.push(u16::from_str_radix(hex, 16).ok()?);
                        chars.nth(3)?;
                        continue;
                    }
                    other => other,
                },
                c => c,
            };
            flush(&mut units, &mut out);
            out.push(unit);
        }
        None
    }
}

/// Puts out what `\u` escapes gave: pairs of surrogates are one character.
fn flush(units: &mut Vec<u16>, out: &mut String) {
    if !units.is_empty() {
        out.push_str(&String::from_utf16_lossy(units));
        units.clear();
    }
}

fn plain(word: &str) -> Value {
    match word {
        "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Value::text(word);
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return word.parse().map_or_else(|_| Value::Decimal(word.into()), Value::Int);
    }
    let numeric =
        digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match word.parse() {
        Ok(double) if numeric => {
            if word.len() > DOUBLE_DIGITS_MAX {
                Value::Decimal(word.into())
            } else {
                Value::Double(double)
            }
        }
        _ => Value::text(word),
    }
}

/// Compact JSON.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, false, 0, &mut out);
    out
}

/// Compact JSON in which `/` is escaped too: how a JSON list prints in a template.
pub(crate) fn write_protected(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, true, 0, &mut out);
    out
}

fn write_value(value: &Value, protect: bool, depth: usize, out: &mut String) {
    if depth > DEPTH_MAX || out.len() > TEXT_BYTES_MAX {
        return;
    }
    match value {
        Value::Null | Value::Defined(_) => out.push_str("null"),
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Double(value) if value.is_finite() => out.push_str(&strings::double_text(*value)),
        Value::Double(_) => out.push_str("null"),
        Value::Decimal(text) => out.push_str(text),
        Value::Text(text) => write_text(text, protect, out),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.items.borrow().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(item, protect, depth + 1, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.walk().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(key, protect, out);
                out.push(':');
                write_value(value, protect, depth + 1, out);
            }
            out.push('}');
        }
        Value::Object(object) => write_text(&object.text(), protect, out),
    }
}

fn write_text(text: &str, protect: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '/' if protect => out.push_str("\\/"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2000}'..='\u{20ff}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
