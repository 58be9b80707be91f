//! `Rules`: assertions about parameters, checked before anything is created.
//!
//! Rule functions: `Fn::And Fn::Contains Fn::EachMemberEquals Fn::EachMemberIn Fn::Equals Fn::Not Fn::Or
//! Fn::RefAll Fn::ValueOf Fn::ValueOfAll` and `Ref` on parameters. The three that look up attributes of
//! AWS-specific parameter types (`RefAll`, `ValueOf`, `ValueOfAll`) are refused: there is nothing to look up.

use serde_json::{Map, Value};

use crate::call::{Call, single};
use crate::conditions::comparable;
use crate::error::{Result, TemplateError};
use crate::resolve::Resolver;

/// Checks every rule whose `RuleCondition` holds; the first assertion that fails is the error.
pub fn check(resolver: &Resolver<'_>) -> Result<()> {
    let rules = resolver.template.section("Rules");
    for (name, rule) in rules.into_iter().flatten() {
        let rule = rule.as_object().ok_or_else(|| form(name))?;
        check_rule(name, rule, resolver)?;
    }
    Ok(())
}

fn form(name: &str) -> TemplateError {
    TemplateError::format(format_args!(
        "Rule {name} must be an object with Assertions and an optional RuleCondition."
    ))
}

fn check_rule(name: &str, rule: &Map<String, Value>, resolver: &Resolver<'_>) -> Result<()> {
    if rule.keys().any(|key| key != "Assertions" && key != "RuleCondition") {
        return Err(form(name));
    }
    let assertions = rule.get("Assertions").and_then(Value::as_array).ok_or_else(|| form(name))?;
    if let Some(condition) = rule.get("RuleCondition")
        && !truth(condition, resolver)?
    {
        return Ok(());
    }
    for assertion in assertions {
        let assert = assertion.get("Assert").ok_or_else(|| form(name))?;
        if !truth(assert, resolver)? {
            let description = assertion.get("AssertDescription").and_then(Value::as_str);
            return Err(TemplateError::new(format!(
                "Rule {name} failed: {}",
                description.unwrap_or("an assertion does not hold")
            )));
        }
    }
    Ok(())
}

fn truth(value: &Value, resolver: &Resolver<'_>) -> Result<bool> {
    let wrong = |name: &str| {
        TemplateError::function(format_args!(
            "{name} has wrong arguments in the Rules block of the template"
        ))
    };
    let Some((name, argument)) = single(value) else {
        return match value {
            Value::Bool(truth) => Ok(*truth),
            _ => Err(wrong("an assertion")),
        };
    };
    let pair = || match argument.as_array().map(Vec::as_slice) {
        Some([left, right]) => Ok((operand(left, resolver)?, operand(right, resolver)?)),
        _ => Err(wrong(name)),
    };
    match name {
        "Fn::And" | "Fn::Or" => {
            let Some(Call::And(operands) | Call::Or(operands)) = Call::of(value)? else {
                return Err(wrong(name));
            };
            let truths: Result<Vec<bool>> = operands.iter().map(|it| truth(it, resolver)).collect();
            let mut truths = truths?.into_iter();
            Ok(if name == "Fn::And" { truths.all(|it| it) } else { truths.any(|it| it) })
        }
        "Fn::Not" => match Call::of(value)? {
            Some(Call::Not(operand)) => Ok(!truth(operand, resolver)?),
            _ => Err(wrong(name)),
        },
        "Fn::Equals" => pair().map(|(left, right)| left == right),
        "Fn::Contains" => {
            let (list, item) = pair()?;
            Ok(list.as_array().ok_or_else(|| wrong(name))?.contains(&item))
        }
        "Fn::EachMemberEquals" => {
            let (list, item) = pair()?;
            Ok(list.as_array().ok_or_else(|| wrong(name))?.iter().all(|it| *it == item))
        }
        "Fn::EachMemberIn" => {
            let (list, allowed) = pair()?;
            let allowed = allowed.as_array().ok_or_else(|| wrong(name))?;
            Ok(list.as_array().ok_or_else(|| wrong(name))?.iter().all(|it| allowed.contains(it)))
        }
        _ => Err(wrong(name)),
    }
}

fn operand(value: &Value, resolver: &Resolver<'_>) -> Result<Value> {
    if let Some((name @ ("Fn::RefAll" | "Fn::ValueOf" | "Fn::ValueOfAll"), _)) = single(value) {
        return Err(TemplateError::function(format_args!(
            "{name} is not supported in the Rules block of the template"
        )));
    }
    Ok(comparable(&resolver.value(value)?.unwrap_or(Value::Null)))
}
