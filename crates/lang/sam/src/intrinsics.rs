//! Writing and recognising CloudFormation's intrinsic functions.

use crate::fault::{Fault, Result};
use crate::value::{Map, Text, Value, list, map};
use std::fmt::Display;

pub fn reference(id: impl Into<Text>) -> Value {
    map! { "Ref" => id.into() }.into()
}

pub fn get_att(id: impl Into<Text>, attribute: &str) -> Value {
    map! { "Fn::GetAtt" => list![id.into(), attribute] }.into()
}

pub fn join(delimiter: &str, values: Value) -> Value {
    map! { "Fn::Join" => list![delimiter, values] }.into()
}

/// `Fn::Sub` of a text alone.
pub fn sub(text: impl Into<Value>) -> Value {
    map! { "Fn::Sub" => text.into() }.into()
}

/// `Fn::Sub` of a text with its own variables.
pub fn sub_with(text: impl Into<Value>, variables: Map) -> Value {
    map! { "Fn::Sub" => list![text.into(), variables] }.into()
}

pub fn no_value() -> Value {
    reference("AWS::NoValue")
}

/// `Fn::If` with nothing when the condition does not hold.
pub fn when(condition: &Value, value: Value) -> Value {
    if_else(condition, value, no_value())
}

pub fn if_else(condition: &Value, yes: Value, no: Value) -> Value {
    map! { "Fn::If" => list![condition.clone(), yes, no] }.into()
}

pub fn not_condition(condition: &Value) -> Value {
    map! { "Fn::Not" => list![map! { "Condition" => condition.clone() }] }.into()
}

/// `Fn::Or` of conditions by name.
pub fn or_conditions(names: &[Value]) -> Value {
    let conditions = names.iter().map(|name| map! { "Condition" => name.clone() }.into()).collect();
    map! { "Fn::Or" => Value::List(conditions) }.into()
}

/// One condition that holds when any of `names` does. `Fn::Or` takes ten, so more are chained:
/// each further condition takes the one before among its ten. None when there is nothing to join.
pub fn combined_condition(mut names: Vec<Value>, name: &str) -> Option<Map> {
    const OR_MAX: usize = 10;
    if names.len() < 2 {
        return None;
    }
    let mut left = (names.len() - 2) / (OR_MAX - 1);
    let mut conditions = Map::new();
    while names.len() > 1 {
        let mut this = name.to_owned();
        if left > 0 {
            this.push_str(&left.to_string());
            left -= 1;
        }
        let rest = names.split_off(names.len().min(OR_MAX));
        conditions.set(this.as_str(), or_conditions(&names));
        names = rest;
        names.push(this.into());
    }
    Some(conditions)
}

/// A map of one member whose key is a function's name.
pub fn is_intrinsic(value: &Value) -> bool {
    match value {
        Value::Map(map) if map.len() == 1 => map.first().is_some_and(|(key, _)| {
            matches!(key.as_str(), "Ref" | "Condition") || key.as_str().starts_with("Fn::")
        }),
        _ => false,
    }
}

pub fn is_if(value: &Value) -> bool {
    is_intrinsic(value) && value.as_map().is_some_and(|map| map.contains("Fn::If"))
}

pub fn is_no_value(value: &Value) -> bool {
    is_intrinsic(value) && value.at("Ref").as_str() == Some("AWS::NoValue")
}

/// Condition, value if true, value if false of an `Fn::If`; or the sentence that says what is
/// wrong with it.
pub fn if_parts(value: &Value) -> std::result::Result<(&Value, &Value, &Value), &'static str> {
    match value.at("Fn::If").as_list() {
        Some([condition, yes, no]) => Ok((condition, yes, no)),
        _ => Err("Fn::If requires 3 arguments"),
    }
}

/// The resource that a `Ref` or `Fn::GetAtt` names.
pub fn logical_id_of(value: &Value) -> Option<&str> {
    if !is_intrinsic(value) {
        return None;
    }
    if let Some(id) = value.at("Ref").as_str() {
        return Some(id);
    }
    match value.at("Fn::GetAtt") {
        Value::List(parts) if parts.len() == 2 => parts[0].as_str(),
        Value::Str(text) => {
            let (id, attribute) = text.as_str().split_once('.')?;
            (!attribute.contains('.')).then_some(id)
        }
        _ => None,
    }
}

/// `${Id}` or `${Id.Attribute}`, for use inside `Fn::Sub`.
pub fn shorthand(value: &Value) -> String {
    if let Some(id) = value.at("Ref").as_str() {
        return format!("${{{id}}}");
    }
    let parts = value.at("Fn::GetAtt").as_list().unwrap_or_default();
    let path: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    format!("${{{}}}", path.join("."))
}

/// What stands in `item`: itself, or the branches of its `Fn::If` without those that are nothing.
pub fn branches(item: &Value) -> Result<Vec<&Value>> {
    match item.as_map().and_then(|map| map.get("Fn::If")) {
        None => Ok(vec![item]),
        Some(Value::List(parts)) => {
            Ok(parts.iter().skip(1).filter(|part| !is_no_value(part)).collect())
        }
        Some(_) => Err(Fault::document("Value of Fn::If must be a list.")),
    }
}

/// As [`branches`], to be changed in place.
pub fn branches_mut(item: &mut Value) -> Result<Vec<&mut Value>> {
    if !item.as_map().is_some_and(|map| map.contains("Fn::If")) {
        return Ok(vec![item]);
    }
    match item.as_map_mut().and_then(|map| map.get_mut("Fn::If")) {
        Some(Value::List(parts)) => {
            Ok(parts.iter_mut().skip(1).filter(|part| !is_no_value(part)).collect())
        }
        _ => Err(Fault::document("Value of Fn::If must be a list.")),
    }
}

/// `{{resolve:service:key}}`.
pub fn is_dynamic_reference(value: &Value) -> bool {
    value
        .as_str()
        .and_then(|text| text.strip_prefix("{{resolve:")?.strip_suffix("}}")?.split_once(':'))
        .is_some_and(|(service, key)| {
            !service.is_empty()
                && !key.is_empty()
                && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        })
}

/// Values in the form Python prints a list of strings.
pub fn quoted_list<T: Display>(items: &[T]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}
