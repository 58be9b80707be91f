//! `KeyConditionExpression`: at most one comparison for each key attribute, joined by AND.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html

use crate::condition::{Comparator, Condition, Operand};
use crate::legacy::{Clause, Operator};
use crate::placeholders::Placeholders;
use crate::value::Value;
use crate::{Invalid, Parameter};

/// The comparisons in the order written; which attributes are keys is the caller's to know.
pub type KeyCondition = Vec<Clause>;
pub use crate::legacy::Operator as KeyOperator;

pub fn parse(text: &str, placeholders: &Placeholders) -> Result<KeyCondition, Invalid> {
    clauses(&Condition::parse(Parameter::KeyCondition, text, placeholders)?)
}

/// What a parsed condition means for keys.
pub fn clauses(condition: &Condition) -> Result<KeyCondition, Invalid> {
    let mut clauses = Vec::new();
    collect(condition, &mut clauses)?;
    Ok(clauses)
}

fn collect(condition: &Condition, out: &mut Vec<Clause>) -> Result<(), Invalid> {
    let (name, operator, operands): (_, _, Vec<&Operand>) = match condition {
        Condition::And(all) => return all.iter().try_for_each(|one| collect(one, out)),
        Condition::Or(_) => return Err(bad_operator("OR")),
        Condition::Not(_) => return Err(bad_operator("NOT")),
        Condition::In(..) => return Err(bad_operator("IN")),
        Condition::Exists(_) => return Err(bad_operator("attribute_exists")),
        Condition::NotExists(_) => return Err(bad_operator("attribute_not_exists")),
        Condition::IsType(..) => return Err(bad_operator("attribute_type")),
        Condition::Contains(..) => return Err(bad_operator("contains")),
        Condition::Compare(Comparator::NotEqual, ..) => return Err(bad_operator("<>")),
        Condition::Compare(comparator, a, b) => ("", operator_of(*comparator), vec![a, b]),
        Condition::Between(a, low, high) => ("BETWEEN", Operator::Between, vec![a, low, high]),
        Condition::BeginsWith(a, b) => ("begins_with", Operator::BeginsWith, vec![a, b]),
    };
    if !name.is_empty() && !matches!(operands.first(), Some(Operand::Path(_))) {
        return Err(Invalid(format!(
            "Invalid condition in KeyConditionExpression: {name} operator must have the key \
             attribute as its first operand"
        )));
    }
    let (attribute, first, values) = split(&operands)?;
    if out.iter().any(|clause| clause.attribute == attribute) {
        return Err(Invalid::new(
            "KeyConditionExpressions must only contain one condition per key",
        ));
    }
    let operator = if first { operator } else { mirrored(operator) };
    out.push(Clause { attribute, operator, values });
    Ok(())
}

/// The attribute, whether it came first, and the constants.
fn split(operands: &[&Operand]) -> Result<(String, bool, Vec<Value>), Invalid> {
    let (mut attribute, mut values) = (None, Vec::new());
    for (at, operand) in operands.iter().enumerate() {
        match operand {
            Operand::Size(_) => {
                return Err(Invalid::new(
                    "KeyConditionExpressions cannot contain nested operations",
                ));
            }
            Operand::Value(value) => values.push(value.clone()),
            Operand::Path(_) if attribute.is_some() => {
                return Err(Invalid::new(
                    "Invalid condition in KeyConditionExpression: Multiple attribute names used in \
                     one condition",
                ));
            }
            Operand::Path(path) if path.is_nested() => {
                return Err(Invalid::new(
                    "KeyConditionExpressions cannot have conditions on nested attributes",
                ));
            }
            Operand::Path(path) => attribute = Some((path.head.clone(), at == 0)),
        }
    }
    match attribute {
        Some((attribute, first)) => Ok((attribute, first, values)),
        None => Err(Invalid::new(
            "Invalid condition in KeyConditionExpression: No key attribute specified",
        )),
    }
}

fn bad_operator(name: &str) -> Invalid {
    Invalid(format!("Invalid operator used in KeyConditionExpression: {name}"))
}

fn operator_of(comparator: Comparator) -> Operator {
    match comparator {
        Comparator::Equal => Operator::Eq,
        Comparator::NotEqual => Operator::Ne,
        Comparator::Less => Operator::Lt,
        Comparator::LessOrEqual => Operator::Le,
        Comparator::Greater => Operator::Gt,
        Comparator::GreaterOrEqual => Operator::Ge,
    }
}

/// `:v < a` is `a > :v`.
fn mirrored(operator: Operator) -> Operator {
    match operator {
        Operator::Lt => Operator::Gt,
        Operator::Le => Operator::Ge,
        Operator::Gt => Operator::Lt,
        Operator::Ge => Operator::Le,
        other => other,
    }
}
