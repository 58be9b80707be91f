//! From text to conditions. The reasons are EventBridge's, recorded by LocalStack's test_events_patterns.snapshot.json.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::matcher::{Bound, Cidr, Matcher, Scalar, Wildcard};
use crate::{Condition, PatternError};

type Result<T> = std::result::Result<T, PatternError>;

/// `$or` in `$or` multiplies: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
const ALTERNATIVES_MAX: usize = 1000;
/// So many wildcards before the same character are "too complex" (recorded for five; four are accepted).
const WILDCARDS_BEFORE_SAME_MAX: usize = 4;
const ONE_OR_LIST: &str = "Value of anything-but must be an array or single string/number value.";

fn refuse<T>(reason: impl Into<String>) -> Result<T> {
    Err(PatternError { reason: reason.into() })
}

pub fn alternatives(text: &str) -> Result<Vec<Vec<Condition>>> {
    let parsed: Value = match serde_json::from_str(text) {
        Ok(parsed) => parsed,
        Err(_) => return refuse("Filter is not a valid JSON"),
    };
    match parsed {
        Value::Object(members) if members.is_empty() => refuse("Empty objects are not allowed"),
        Value::Object(members) => object("", &members),
        _ => refuse("Filter is not an object"),
    }
}

fn object(path: &str, members: &Map<String, Value>) -> Result<Vec<Vec<Condition>>> {
    let mut product = vec![Vec::new()];
    for (name, member) in members {
        let choices = match member {
            Value::Array(branches) if name == "$or" && branches.iter().all(Value::is_object) => {
                or(path, branches)?
            }
            member => {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                field(name, below, member)?
            }
        };
        if product.len() * choices.len() > ALTERNATIVES_MAX {
            return refuse("Rule is too complex - too many combinations of $or");
        }
        product = product
            .iter()
            .flat_map(|left| choices.iter().map(|right| [left.as_slice(), right].concat()))
            .collect();
    }
    Ok(product)
}

fn or(path: &str, branches: &[Value]) -> Result<Vec<Vec<Condition>>> {
    if branches.len() < 2 {
        return refuse("There must have at least 2 Objects in $or relationship.");
    }
    let mut choices = Vec::new();
    for branch in branches.iter().filter_map(Value::as_object) {
        choices.extend(object(path, branch)?);
    }
    Ok(choices)
}

fn field(name: &str, path: String, member: &Value) -> Result<Vec<Vec<Condition>>> {
    match member {
        Value::Object(members) if members.is_empty() => refuse("Empty objects are not allowed"),
        Value::Object(members) => object(&path, members),
        Value::Array(elements) if elements.is_empty() => refuse("Empty arrays are not allowed"),
        Value::Array(elements) => {
            let any_of = elements.iter().map(matcher).collect::<Result<_>>()?;
            Ok(vec![vec![Condition { path, any_of }]])
        }
        _ => refuse(format!("\"{name}\" must be an object or an array")),
    }
}

fn matcher(element: &Value) -> Result<Matcher> {
    match element {
        Value::Object(members) => {
            let mut members = members.iter();
            match (members.next(), members.next()) {
                (Some((operator, operand)), None) => operation(operator, operand),
                _ => refuse("Only one key allowed in match expression"),
            }
        }
        Value::Array(_) => refuse("Match value must be String, number, true, false, or null"),
        other => Ok(Matcher::Exact(scalar(other))),
    }
}

/// Of a value that is no list and no object.
fn scalar(value: &Value) -> Scalar {
    match value {
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Bool(flag) => Scalar::Bool(*flag),
        other => other.as_f64().map_or(Scalar::Null, Scalar::Number),
    }
}

fn operation(operator: &str, operand: &Value) -> Result<Matcher> {
    let text = |what: &str| match operand.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => refuse(format!("{what} match pattern must be a string")),
    };
    match operator {
        "prefix" => match ignoring_case(operand)? {
            Some(prefix) => Ok(Matcher::PrefixIgnoringCase(prefix)),
            None => Ok(Matcher::Prefix(text("prefix")?)),
        },
        "suffix" => match ignoring_case(operand)? {
            Some(suffix) => Ok(Matcher::SuffixIgnoringCase(suffix)),
            None => Ok(Matcher::Suffix(text("suffix")?)),
        },
        "equals-ignore-case" => {
            Ok(Matcher::EqualsIgnoringCase(text("equals-ignore-case")?.to_lowercase()))
        }
        "wildcard" => Ok(Matcher::Wildcard(wildcard(&text("wildcard")?)?)),
        "cidr" => Ok(Matcher::Cidr(cidr(&text("prefix")?)?)),
        "numeric" => numeric(operand),
        "anything-but" => anything_but(operand),
        "exists" => match operand {
            Value::Bool(true) => Ok(Matcher::Present),
            Value::Bool(false) => Ok(Matcher::Absent),
            _ => refuse("exists match pattern must be either true or false."),
        },
        other => refuse(format!("Unrecognized match type {other}")),
    }
}

/// `{"equals-ignore-case": text}` inside prefix and suffix.
fn ignoring_case(operand: &Value) -> Result<Option<String>> {
    let Some(members) = operand.as_object() else { return Ok(None) };
    match members.iter().next() {
        Some((operator, Value::String(text)))
            if operator == "equals-ignore-case" && members.len() == 1 =>
        {
            Ok(Some(text.to_lowercase()))
        }
        _ => refuse("Unsupported prefix/suffix pattern"),
    }
}

fn anything_but(operand: &Value) -> Result<Matcher> {
    const IN_LIST: &str = "Inside anything but list, start|null|boolean is not supported.";
    let excluded = match operand {
        Value::String(_) | Value::Number(_) => vec![Matcher::Exact(scalar(operand))],
        Value::Array(elements) if elements.is_empty() => {
            return refuse("Empty arrays are not allowed");
        }
        Value::Array(elements) => elements
            .iter()
            .map(|element| match element {
                Value::String(_) | Value::Number(_) => Ok(Matcher::Exact(scalar(element))),
                _ => refuse(IN_LIST),
            })
            .collect::<Result<_>>()?,
        Value::Object(members) => match members.iter().next() {
            Some((operator, operand)) if members.len() == 1 => {
                let operands = match operand {
                    Value::Array(operands) => operands.iter().collect(),
                    operand => vec![operand],
                };
                let each = |operand: &Value| excluded_by(operator, operand);
                operands.into_iter().map(each).collect::<Result<_>>()?
            }
            _ => return refuse("Only one key allowed in match expression"),
        },
        _ => return refuse(ONE_OR_LIST),
    };
    Ok(Matcher::AnythingBut(excluded))
}

fn excluded_by(operator: &str, operand: &Value) -> Result<Matcher> {
    const IGNORING_CASE: &str =
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
    let text = operand.as_str();
    match (operator, text) {
        ("prefix" | "suffix", Some("")) => refuse("Null prefix/suffix not allowed"),
        ("prefix", Some(text)) => Ok(Matcher::Prefix(text.to_owned())),
        ("suffix", Some(text)) => Ok(Matcher::Suffix(text.to_owned())),
        ("prefix" | "suffix", None) if operand.is_object() => refuse(ONE_OR_LIST),
        ("prefix" | "suffix", None) => refuse("prefix/suffix match pattern must be a string"),
        ("equals-ignore-case", Some(text)) => Ok(Matcher::EqualsIgnoringCase(text.to_lowercase())),
        ("equals-ignore-case", None) => refuse(IGNORING_CASE),
        ("wildcard", Some(text)) => Ok(Matcher::Wildcard(wildcard(text)?)),
        ("wildcard", None) => refuse("wildcard match pattern must be a string"),
        _ => refuse(format!("Unsupported anything-but pattern: {operator}")),
    }
}

fn numeric(operand: &Value) -> Result<Matcher> {
    let Some(elements) = operand.as_array() else {
        return refuse("Value of numeric must be an array.");
    };
    let mut bounds: Vec<Bound> = Vec::new();
    for pair in elements.chunks(2) {
        let Some(operator) = pair[0].as_str() else {
            return refuse("Invalid member in numeric match");
        };
        let Some(number) = pair.get(1).and_then(Value::as_f64) else {
            return refuse(format!("Value of {operator} must be numeric"));
        };
        let bound = match operator {
            "=" if bounds.is_empty() => Bound::Equal(number),
            "<" => Bound::Less(number),
            "<=" => Bound::LessOrEqual(number),
            ">" if bounds.is_empty() => Bound::Greater(number),
            ">=" if bounds.is_empty() => Bound::GreaterOrEqual(number),
            "=" | ">" | ">=" => return refuse(format!("Bad numeric range operator: {operator}")),
            other => return refuse(format!("Unrecognized numeric range operator: {other}")),
        };
        bounds.push(bound);
    }
    match bounds.as_slice() {
        [_] | [Bound::Greater(_) | Bound::GreaterOrEqual(_), _] => Ok(Matcher::Numeric(bounds)),
        [] => refuse("Invalid member in numeric match"),
        _ => refuse("Too many elements in numeric expression"),
    }
}

fn cidr(text: &str) -> Result<Cidr> {
    let parts: Vec<&str> = text.split('/').collect();
    let [address, bits] = parts.as_slice() else {
        return refuse("Malformed CIDR, one '/' required");
    };
    let Ok(bits) = bits.parse::<u8>() else {
        return refuse("Malformed CIDR, mask bits must be an integer");
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return refuse(format!("Nonstandard IP address: {address}"));
    };
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    if bits > bits_max {
        return refuse(format!("Malformed CIDR, mask bits must be between 0 and {bits_max}"));
    }
    Ok(Cidr { address, bits })
}

/// `*` stands for anything, `\*` and `\\` for themselves.
fn wildcard(text: &str) -> Result<Wildcard> {
    let mut pieces = vec![String::new()];
    let mut last_star = None;
    let mut characters = text.chars().enumerate();
    while let Some((at, character)) = characters.next() {
        match character {
            '*' if last_star.is_some_and(|star| star + 1 == at) => {
                return refuse(format!("Consecutive wildcard characters at pos {at}"));
            }
            '*' => {
                last_star = Some(at);
                pieces.push(String::new());
            }
            '\\' => match characters.next() {
                Some((_, escaped @ ('*' | '\\'))) => push(&mut pieces, escaped),
                _ => return refuse(format!("Invalid escape character at pos {at}")),
            },
            character => push(&mut pieces, character),
        }
    }
    let firsts: Vec<char> =
        pieces.iter().skip(1).filter_map(|piece| piece.chars().next()).collect();
    let same = |wanted: &char| firsts.iter().filter(|first| *first == wanted).count();
    if firsts.iter().any(|first| same(first) > WILDCARDS_BEFORE_SAME_MAX) {
        return refuse(
            "Rule is too complex - try using fewer wildcard characters or fewer repeating character \
             sequences after a wildcard character",
        );
    }
    Ok(Wildcard { pieces })
}

fn push(pieces: &mut [String], character: char) {
    if let Some(piece) = pieces.last_mut() {
        piece.push(character);
    }
}
