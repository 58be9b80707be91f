//! Logical ids with a hash in them. A change of form here replaces people's resources.

use crate::value::{Value, dumps};
use sha1::{Digest, Sha1};
use std::fmt::Write;

const SUFFIX: usize = 10;

/// The SHA-1 of `data` in hexadecimal; empty for empty data.
pub fn digest(data: &Value) -> String {
    if !data.truthy() {
        return String::new();
    }
    match data {
        Value::Str(text) => digest_text(text.as_str()),
        other => digest_text(&dumps(other, true)),
    }
}

pub fn digest_text(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// `prefix` and the first ten digits of the digest of `data`.
pub fn hashed(prefix: &str, data: &Value) -> String {
    let digest = digest(data);
    format!("{prefix}{}", digest.get(..SUFFIX).unwrap_or_default())
}

/// `prefix` and `suffix` where ids may hold it, else its hash.
pub fn suffixed(prefix: &crate::value::Text, suffix: &str) -> crate::value::Text {
    if is_alphanumeric(suffix) {
        prefix.plus(suffix)
    } else {
        hashed(prefix.as_str(), &Value::from(suffix)).into()
    }
}

/// Python's `isalnum`.
pub fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}
