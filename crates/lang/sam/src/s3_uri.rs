//! Where code and definitions lie in S3: `s3://bucket/key?versionId=v`, or a map.

use crate::fault::{Fault, Result};
use crate::value::{Map, Text, Value, map};
use regex::Regex;
use std::sync::LazyLock;

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):[a-zA-Z0-9_.\-/]+(:\d+)?\}\}")
        .expect("the pattern is well-formed")
});

/// `Bucket`, `Key` and, when given, `Version` of an S3 URI.
pub fn parse(uri: &Text) -> Option<Map> {
    let rest = uri.as_str().strip_prefix("s3://")?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, path) = location.split_once('/')?;
    // Brackets are for IPv6 addresses, which no bucket has.
    if bucket.is_empty() || bucket.contains(['[', ']']) {
        return None;
    }
    let key = path.trim_start_matches('/');
    let mut parts = map! { "Bucket" => uri.same_kind(bucket), "Key" => uri.same_kind(key) };
    let versions: Vec<&str> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("versionId="))
        .filter(|version| !version.is_empty())
        .collect();
    if let [version] = versions[..] {
        parts.set("Version", uri.same_kind(&decode(version)));
    }
    Some(parts)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The parts of a definition's location, or what is wrong with it.
pub fn definition(id: &str, name: &str, location: &Value) -> Result<Map> {
    let parts = match location {
        Value::Map(parts) => {
            if !parts.at("Bucket").truthy() || !parts.at("Key").truthy() {
                return Err(incomplete(id, name));
            }
            parts.clone()
        }
        Value::Str(uri) => parse(uri).ok_or_else(|| invalid(id, name))?,
        _ => return Err(invalid(id, name)),
    };
    let mut place = Map::legacy();
    for name in ["Bucket", "Key", "Version"] {
        if let Some(part) = parts.get(name) {
            place.set(name, part);
        }
    }
    Ok(place)
}

/// The location of code, in Lambda's words.
pub fn code(id: &str, name: &str, location: &Value) -> Result<Map> {
    let parts = match location {
        Value::Map(parts) => {
            if !parts.at("Bucket").truthy() || !parts.at("Key").truthy() {
                return Err(incomplete(id, name));
            }
            parts.clone()
        }
        Value::Str(uri) => {
            if SECRET.find(uri.as_str()).is_some_and(|found| found.as_str().contains('/')) {
                return Err(Fault::resource(
                    id,
                    format!(
                        "Unsupported dynamic reference detected in '{name}'. Please consider using \
                     alternative 'FunctionCode' object format."
                    ),
                ));
            }
            parse(uri).ok_or_else(|| invalid(id, name))?
        }
        _ => return Err(Fault::resource(id, format!("'{name}' must be of type dict or string."))),
    };
    let mut code = map! { "S3Bucket" => parts.at("Bucket"), "S3Key" => parts.at("Key") };
    for (name, given) in [("S3ObjectVersion", "Version"), ("S3ObjectStorageMode", "StorageMode")] {
        if let Some(part) = parts.get(given) {
            code.set(name, part);
        }
    }
    Ok(code)
}

fn incomplete(id: &str, name: &str) -> Fault {
    Fault::resource(id, format!("'{name}' requires Bucket and Key properties to be specified."))
}

fn invalid(id: &str, name: &str) -> Fault {
    Fault::resource(
        id,
        format!(
            "'{name}' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId \
             query parameter."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_versions_and_keys() {
        let parts = parse(&Text::plain("s3://b/a/c.zip?versionId=x%2By")).unwrap();
        assert_eq!(parts.at("Bucket").as_str(), Some("b"));
        assert_eq!(parts.at("Key").as_str(), Some("a/c.zip"));
        assert_eq!(parts.at("Version").as_str(), Some("x+y"));
        assert!(parse(&Text::plain("./local")).is_none());
        assert!(parse(&Text::plain("s3://bucket")).is_none());
    }
}
