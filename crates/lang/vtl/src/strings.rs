//! Strings and numbers as Java has them: UTF-16 positions, hash codes, the text of a double.

use std::rc::Rc;

use regex::Regex;

/// Length in UTF-16 units.
pub(crate) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// `substring(from, to)` by UTF-16 positions; `None` if they are out of bounds.
pub(crate) fn substring(text: &str, from: i128, to: i128) -> Option<String> {
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    if from > to {
        return None;
    }
    if text.is_ascii() {
        return text.get(from..to).map(str::to_owned);
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    units.get(from..to).map(String::from_utf16_lossy)
}

/// The UTF-16 position of a byte position.
pub(crate) fn position(text: &str, byte: usize) -> usize {
    length(&text[..byte])
}

/// The byte position of a UTF-16 position, clamped to the text.
pub(crate) fn byte_at(text: &str, position: i128) -> usize {
    let wanted = usize::try_from(position).unwrap_or(0);
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= wanted {
            return at;
        }
        units += c.len_utf16();
    }
    text.len()
}

/// `String.hashCode`.
pub(crate) fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// `Double.toString`: digits as few as needed, `E` below 10^-3 and from 10^7 on.
pub(crate) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        let text = format!("{value}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// Java's regular expression as ours. The syntax is the same but for look-around and
/// back-references, which have no place in an engine that cannot hang.
pub(crate) fn regex(pattern: &str) -> Result<Rc<Regex>, String> {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .octal(false)
        .build()
        .map(Rc::new)
        .map_err(|error| format!("unsupported regular expression '{pattern}': {error}"))
}

/// Java's replacement (`$1`, `\x`) as the literal parts and groups it stands for.
pub(crate) fn replacement(captures: &regex::Captures, template: &str, out: &mut String) {
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '$' => {
                let mut group = String::new();
                if chars.peek() == Some(&'{') {
                    chars.next();
                    group.extend(chars.by_ref().take_while(|c| *c != '}'));
                    out.push_str(captures.name(&group).map_or("", |found| found.as_str()));
                    continue;
                }
                while let Some(digit) = chars.peek().filter(|c| c.is_ascii_digit()) {
                    let longer = format!("{group}{digit}");
                    let known = longer.parse::<usize>().is_ok_and(|n| n < captures.len());
                    if !group.is_empty() && !known {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                let found = group.parse().ok().and_then(|number| captures.get(number));
                out.push_str(found.map_or("", |found| found.as_str()));
            }
            other => out.push(other),
        }
    }
}

/// `split(regex, limit)`: with limit 0 trailing empty parts are dropped.
pub(crate) fn split(text: &str, pattern: &Regex, limit: i128) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut from = 0;
    for found in pattern.find_iter(text) {
        if limit > 0 && parts.len() as i128 == limit - 1 {
            break;
        }
        // A match of no width at the start makes no leading empty part.
        if found.end() == 0 {
            continue;
        }
        if found.is_empty() && found.start() == text.len() {
            continue;
        }
        parts.push(text[from..found.start()].to_owned());
        from = found.end();
    }
    if parts.is_empty() && from == 0 {
        return vec![text.to_owned()];
    }
    parts.push(text[from..].to_owned());
    if limit == 0 {
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_as_java_prints_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (0.000_1, "1.0E-4"),
            (-2.5e-10, "-2.5E-10"),
            (0.0, "0.0"),
            (9_999_999.0, "9999999.0"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn positions_are_utf16() {
        assert_eq!(length("a€😀"), 4);
        assert_eq!(substring("a€😀b", 1, 2).as_deref(), Some("€"));
        assert_eq!(substring("ab", 1, 3), None);
    }
}
