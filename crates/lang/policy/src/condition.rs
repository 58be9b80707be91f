//! Condition blocks: operators, set operators, `IfExists`, `Null`.
//!
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html` and
//! `.../reference_policies_condition-single-vs-multi-valued-context-keys.html`.
//! Where AWS leaves a case open (a plain operator on a key with several values, a value that cannot be read),
//! it is decided against the caller: an `Allow` needs every value to pass, a `Deny` needs one.

use crate::context::Context;
use crate::document::RawCondition;
use crate::pattern::{ArnPattern, Case, Pattern};
use crate::policy::Effect;
use crate::value::{self, Network, Number};
use std::borrow::Cow;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    test: Test,
    /// `StringNotEquals` and its like: true when no value of the policy matches.
    negated: bool,
    set: Set,
    if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    None,
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Compare),
    Date(Compare),
    Bool,
    Binary,
    Address,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Compare {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Compare::Equal => order.is_eq(),
            Compare::Less => order.is_lt(),
            Compare::LessEqual => order.is_le(),
            Compare::Greater => order.is_gt(),
            Compare::GreaterEqual => order.is_ge(),
        }
    }
}

impl Operator {
    pub fn parse(name: &str) -> Option<Operator> {
        let (set, name) = if let Some(rest) = name.strip_prefix("ForAllValues:") {
            (Set::All, rest)
        } else if let Some(rest) = name.strip_prefix("ForAnyValue:") {
            (Set::Any, rest)
        } else {
            (Set::None, name)
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let (test, negated) = test(name)?;
        // "You can add IfExists to the end of any condition operator name except the Null condition".
        if test == Test::Null && (if_exists || set != Set::None) {
            return None;
        }
        Some(Operator { test, negated, set, if_exists })
    }

    pub fn is_date(self) -> bool {
        matches!(self.test, Test::Date(_))
    }
}

fn test(name: &str) -> Option<(Test, bool)> {
    if let Some(rest) = name.strip_prefix("Numeric") {
        return compare(rest).map(|(c, n)| (Test::Numeric(c), n));
    }
    if let Some(rest) = name.strip_prefix("Date") {
        return compare(rest).map(|(c, n)| (Test::Date(c), n));
    }
    Some(match name {
        "StringEquals" => (Test::StringEquals, false),
        "StringNotEquals" => (Test::StringEquals, true),
        "StringEqualsIgnoreCase" => (Test::StringEqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Test::StringEqualsIgnoreCase, true),
        "StringLike" => (Test::StringLike, false),
        "StringNotLike" => (Test::StringLike, true),
        "Bool" => (Test::Bool, false),
        "BinaryEquals" => (Test::Binary, false),
        "IpAddress" => (Test::Address, false),
        "NotIpAddress" => (Test::Address, true),
        // Both forms match wildcards: "The ArnEquals and ArnLike condition operators behave identically".
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Null" => (Test::Null, false),
        _ => return None,
    })
}

fn compare(name: &str) -> Option<(Compare, bool)> {
    Some(match name {
        "Equals" => (Compare::Equal, false),
        "NotEquals" => (Compare::Equal, true),
        "LessThan" => (Compare::Less, false),
        "LessThanEquals" => (Compare::LessEqual, false),
        "GreaterThan" => (Compare::Greater, false),
        "GreaterThanEquals" => (Compare::GreaterEqual, false),
        _ => return None,
    })
}

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    operator: Operator,
    pub key: Box<str>,
    values: Box<[Operand]>,
}

#[derive(Clone, Debug)]
enum Operand {
    Text(Pattern),
    Arn(ArnPattern),
}

impl Condition {
    pub fn new(raw: &RawCondition, variables: bool) -> Condition {
        let operand = |v: &String| match raw.operator.test {
            Test::StringLike => Operand::Text(Pattern::wildcard(v, variables)),
            Test::Arn => Operand::Arn(ArnPattern::new(v, variables)),
            _ => Operand::Text(Pattern::plain(v, variables)),
        };
        Condition {
            operator: raw.operator,
            key: raw.key.as_str().into(),
            values: raw.values.iter().map(operand).collect(),
        }
    }

    /// The variables its values name.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.values.iter().flat_map(|v| -> Box<dyn Iterator<Item = &str>> {
            match v {
                Operand::Text(p) => Box::new(p.variables()),
                Operand::Arn(p) => Box::new(p.variables()),
            }
        })
    }

    pub fn holds(&self, effect: Effect, context: &Context) -> bool {
        let values = context.get(&self.key);
        if self.operator.test == Test::Null {
            return self.null(values.is_some_and(|v| !v.is_empty()), effect, context);
        }
        let values = values.unwrap_or_default();
        if values.is_empty() {
            return match self.operator.set {
                Set::All => true,
                Set::Any => self.operator.if_exists,
                // A negated operator is true of a key that is not there.
                Set::None => self.operator.if_exists || self.operator.negated,
            };
        }
        let mut each = values.iter().map(|v| self.passes(v, effect, context));
        match (self.operator.set, effect) {
            (Set::All, _) | (Set::None, Effect::Allow) => each.all(|p| p),
            (Set::Any, _) | (Set::None, Effect::Deny) => each.any(|p| p),
        }
    }

    fn null(&self, present: bool, effect: Effect, context: &Context) -> bool {
        self.values.iter().any(|v| {
            let Operand::Text(p) = v else { return false };
            match p.text(context).as_deref().and_then(boolean) {
                Some(absent) => absent != present,
                None => effect == Effect::Deny,
            }
        })
    }

    /// Whether one value of the request passes.
    fn passes(&self, value: &str, effect: Effect, context: &Context) -> bool {
        let mut unclear = false;
        let mut matched = false;
        for operand in &self.values {
            match operand.matches(self.operator.test, value, context) {
                Some(true) => matched = true,
                Some(false) => {}
                None => unclear = true,
            }
        }
        match (self.operator.negated, matched) {
            (false, matched) => matched,
            (true, true) => false,
            // Nothing matched, but something could not be read.
            (true, false) if unclear || self.values.is_empty() => effect == Effect::Deny,
            (true, false) => true,
        }
    }
}

impl Operand {
    /// `None`: cannot be told.
    fn matches(&self, test: Test, value: &str, context: &Context) -> Option<bool> {
        let pattern = match self {
            Operand::Arn(p) => return p.matches(value, context),
            Operand::Text(p) => p,
        };
        let want = || -> Option<Cow<str>> { pattern.text(context) };
        match test {
            Test::StringEquals | Test::StringLike => pattern.matches(value, Case::Exact, context),
            Test::StringEqualsIgnoreCase => Some(equal_ignore_case(&want()?, value)),
            Test::Numeric(compare) => {
                let order = Number::parse(value)?.compare(Number::parse(&want()?)?)?;
                Some(compare.holds(order))
            }
            Test::Date(compare) => {
                let order = value::date(value)?.cmp(&value::date(&want()?)?);
                Some(compare.holds(order))
            }
            Test::Bool => Some(boolean(value)? == boolean(&want()?)?),
            Test::Binary => Some(value.trim_end_matches('=') == want()?.trim_end_matches('=')),
            Test::Address => {
                let network = Network::parse(&want()?)?;
                Some(network.contains(value::address(value)?))
            }
            Test::Arn | Test::Null => None,
        }
    }
}

fn equal_ignore_case(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
