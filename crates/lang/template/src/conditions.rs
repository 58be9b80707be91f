//! `Conditions`: each name to true or false, before any resource exists.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::call::{Call, single};
use crate::error::{Result, TemplateError};
use crate::resolve::{Environment, Resolver, World};
use crate::template::Template;

/// Decides every condition of the template; `environment.conditions` is not looked at.
pub fn decide(
    template: &Template,
    environment: &Environment,
    world: &dyn World,
) -> Result<BTreeMap<String, bool>> {
    let empty = Map::new();
    let conditions = template.section("Conditions").unwrap_or(&empty);
    let mut environment = environment.clone();
    environment.conditions.clear();
    for name in ordered(conditions)? {
        let resolver = Resolver { template, environment: &environment, world };
        let truth = evaluate(&conditions[name], &resolver)?;
        environment.conditions.insert(name.to_owned(), truth);
    }
    Ok(environment.conditions)
}

/// The conditions, each after those that it uses.
fn ordered(conditions: &Map<String, Value>) -> Result<Vec<&str>> {
    let mut done = Vec::new();
    for name in conditions.keys() {
        visit(name, conditions, &mut Vec::new(), &mut done)?;
    }
    Ok(done)
}

fn visit<'a>(
    name: &'a str,
    conditions: &'a Map<String, Value>,
    path: &mut Vec<&'a str>,
    done: &mut Vec<&'a str>,
) -> Result<()> {
    if done.contains(&name) {
        return Ok(());
    }
    if path.contains(&name) {
        return Err(TemplateError::format(format_args!(
            "Circular dependency between conditions: [{}]",
            path.join(", ")
        )));
    }
    path.push(name);
    let mut used = Vec::new();
    names_in(&conditions[name], &mut used);
    for other in used {
        if !conditions.contains_key(other) {
            return Err(TemplateError::function(format_args!(
                "unresolved condition dependency {other} in Conditions"
            )));
        }
        visit(other, conditions, path, done)?;
    }
    path.pop();
    done.push(name);
    Ok(())
}

fn names_in<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match (single(value), value) {
        (Some(("Condition", Value::String(name))), _) => names.push(name),
        (Some(("Fn::If", Value::Array(parts))), _) => {
            names.extend(parts.first().and_then(Value::as_str));
            parts.iter().skip(1).for_each(|part| names_in(part, names));
        }
        (_, Value::Array(items)) => items.iter().for_each(|item| names_in(item, names)),
        (_, Value::Object(map)) => map.values().for_each(|item| names_in(item, names)),
        _ => {}
    }
}

/// The truth of one condition expression.
pub(crate) fn evaluate(value: &Value, resolver: &Resolver<'_>) -> Result<bool> {
    if let Some(("Condition", Value::String(name))) = single(value) {
        return resolver.environment.conditions.get(name).copied().ok_or_else(|| {
            TemplateError::function(format_args!(
                "unresolved condition dependency {name} in Condition"
            ))
        });
    }
    if let Some(call) = Call::of(value)? {
        return match call {
            Call::Equals(..) | Call::And(_) | Call::Or(_) | Call::Not(_) => {
                evaluate_call(call, resolver)
            }
            _ => truth(resolver.value(value)?),
        };
    }
    truth(Some(value.clone()))
}

fn truth(value: Option<Value>) -> Result<bool> {
    match value {
        Some(Value::Bool(truth)) => Ok(truth),
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        _ => Err(TemplateError::format(
            "Every Condition member must be a condition function or evaluate to a boolean",
        )),
    }
}

/// The truth of `Fn::Equals`, `Fn::And`, `Fn::Or` and `Fn::Not`; other functions are false.
pub(crate) fn evaluate_call(call: Call<'_>, resolver: &Resolver<'_>) -> Result<bool> {
    match call {
        Call::Equals(left, right) => {
            let (left, right) = (resolver.value(left)?, resolver.value(right)?);
            Ok(left.as_ref().map(comparable) == right.as_ref().map(comparable))
        }
        // All operands are read, so that a wrong one is always found.
        Call::And(operands) => {
            operands.iter().try_fold(true, |all, operand| Ok(evaluate(operand, resolver)? && all))
        }
        Call::Or(operands) => {
            operands.iter().try_fold(false, |any, operand| Ok(evaluate(operand, resolver)? || any))
        }
        Call::Not(operand) => Ok(!evaluate(operand, resolver)?),
        _ => Ok(false),
    }
}

/// Scalars compare by their text: `true` equals `"true"`.
pub(crate) fn comparable(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), comparable(value))).collect())
        }
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        other => other.clone(),
    }
}
