//! Arithmetic and comparison of Velocity: whole numbers stay whole, a double makes a double.

use crate::ast::Operator;
use crate::value::Value;

/// `+ - * / %`; `None` where Velocity has no result (not numbers, division by zero).
pub(crate) fn calculate(operator: Operator, left: &Value, right: &Value) -> Option<Value> {
    if operator == Operator::Add
        && (matches!(left, Value::Text(_)) || matches!(right, Value::Text(_)))
    {
        return Some(format!("{left}{right}").into());
    }
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let whole = match operator {
            Operator::Add => a.checked_add(*b),
            Operator::Subtract => a.checked_sub(*b),
            Operator::Multiply => a.checked_mul(*b),
            Operator::Divide => a.checked_div(*b),
            _ => a.checked_rem(*b),
        };
        return whole.map(Value::Int);
    }
    let (a, b) = (left.number()?, right.number()?);
    if matches!(operator, Operator::Divide | Operator::Modulo) && b == 0.0 {
        return None;
    }
    Some(Value::Double(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        _ => a % b,
    }))
}

/// `==`: numbers by value, values of one kind by `equals`, others by their text.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        _ if left.number().is_some() && right.number().is_some() => left.equals(right),
        _ if std::mem::discriminant(left) == std::mem::discriminant(right) => left.equals(right),
        _ => left.to_string() == right.to_string(),
    }
}

/// `< <= > >=`: numbers only, everything else is false.
pub(crate) fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => None,
        },
    };
    let Some(order) = order else { return false };
    match operator {
        Operator::Less => order.is_lt(),
        Operator::LessEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    }
}
