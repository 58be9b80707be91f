//! `ExpressionAttributeNames` and `ExpressionAttributeValues`: looked up while expressions are
//! parsed, and remembered as used, because AWS refuses what no expression uses.

use crate::Invalid;
use crate::value::Value;
use std::cell::Cell;

#[derive(Debug, Default)]
pub struct Placeholders {
    names: Vec<Entry<String>>,
    values: Vec<Entry<Value>>,
}

#[derive(Debug)]
struct Entry<T> {
    key: String,
    target: T,
    used: Cell<bool>,
}

impl Placeholders {
    pub fn new(
        names: impl IntoIterator<Item = (String, String)>,
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Self {
        Self { names: entries(names), values: entries(values) }
    }

    pub fn name(&self, placeholder: &str) -> Option<&str> {
        find(&self.names, placeholder).map(String::as_str)
    }

    pub fn value(&self, placeholder: &str) -> Option<&Value> {
        find(&self.values, placeholder)
    }

    /// To be asked after every expression of the request was parsed.
    pub fn check_all_used(&self) -> Result<(), Invalid> {
        unused("ExpressionAttributeNames", &self.names)?;
        unused("ExpressionAttributeValues", &self.values)
    }
}

fn entries<T>(pairs: impl IntoIterator<Item = (String, T)>) -> Vec<Entry<T>> {
    pairs.into_iter().map(|(key, target)| Entry { key, target, used: Cell::new(false) }).collect()
}

fn find<'a, T>(entries: &'a [Entry<T>], placeholder: &str) -> Option<&'a T> {
    let entry = entries.iter().find(|entry| entry.key == placeholder)?;
    entry.used.set(true);
    Some(&entry.target)
}

fn unused<T>(parameter: &str, entries: &[Entry<T>]) -> Result<(), Invalid> {
    let keys: Vec<&str> =
        entries.iter().filter(|entry| !entry.used.get()).map(|entry| entry.key.as_str()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    Err(Invalid(format!(
        "Value provided in {parameter} unused in expressions: keys: {{{}}}",
        keys.join(", ")
    )))
}

/// The keys of a given map: not none, and each `#` or `:` and a word.
pub fn check_keys<'a>(
    parameter: &str,
    sign: char,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<(), Invalid> {
    let mut any = false;
    for key in keys {
        any = true;
        let word = key.strip_prefix(sign).filter(|word| !word.is_empty());
        let good = word.is_some_and(|word| {
            word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if !good {
            return Err(Invalid(format!(
                "{parameter} contains invalid key: Syntax error; key: \"{key}\""
            )));
        }
    }
    if any { Ok(()) } else { Err(Invalid(format!("{parameter} must not be empty"))) }
}
