//! Filter patterns: which log events a filter, a subscription or a metric takes.
//! https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
//!
//! Pure: a pattern is parsed once and asked of each message. Three forms: terms (`ERROR -retry`),
//! JSON (`{ $.code = 4* }`), fields between spaces (`[ip, user, status = 5*]`).

mod condition;
mod fields;
mod json;
mod scan;
mod terms;

use std::collections::BTreeMap;

/// The pattern is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub enum Pattern {
    Everything,
    Terms(terms::Terms),
    Json(json::Json),
    Fields(fields::Fields),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, Invalid> {
        let text = text.trim();
        match text.chars().next() {
            None => Ok(Pattern::Everything),
            Some('{') => json::Json::parse(text).map(Pattern::Json),
            Some('[') => fields::Fields::parse(text).map(Pattern::Fields),
            Some(_) => terms::Terms::parse(text).map(Pattern::Terms),
        }
    }

    pub fn matches(&self, message: &str) -> bool {
        match self {
            Pattern::Everything => true,
            Pattern::Terms(terms) => terms.matches(message),
            Pattern::Json(json) => json.matches(message),
            Pattern::Fields(fields) => fields.matches(message),
        }
    }

    /// What the pattern names, and what stands there in a message that matches.
    pub fn extract(&self, message: &str) -> BTreeMap<String, String> {
        match self {
            Pattern::Everything | Pattern::Terms(_) => BTreeMap::new(),
            Pattern::Json(json) => json.extract(message),
            Pattern::Fields(fields) => fields.extract(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_matches_everything() {
        for text in ["", " "] {
            assert!(Pattern::parse(text).unwrap().matches("any"));
        }
    }

    #[test]
    fn what_is_not_closed_is_invalid() {
        for text in ["{ $.a = 1", "[a, b", "\"open", "{ a = 1 }", "{ $.a }", "%(%"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
