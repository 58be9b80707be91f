//! Expressions of a query, and what they give for a row.

use std::cmp::Ordering;

use regex::Regex;

use super::event::Event;
use super::function::Function;
use super::value::Value;

#[derive(Clone, Debug)]
pub enum Expression {
    Field(String),
    Constant(Value),
    /// A length of time, in milliseconds.
    Period(i64),
    Call(Function, Vec<Expression>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    /// `like "text"`
    Contains(Box<Expression>, String),
    /// `like /expression/`
    Matches(Box<Expression>, Regex),
    Arithmetic(Box<Expression>, Operator, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let Some(order) = left.compare(right) else { return self == Comparison::NotEqual };
        match self {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
            Operator::Remainder => left % right,
            Operator::Power => left.powf(right),
        }
    }
}

/// A row on its way through a query: an event, and what commands have made of it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub made: Vec<(String, Value)>,
    /// None behind `stats`.
    pub event: Option<Event>,
}

impl Record {
    pub fn field(&self, name: &str) -> Value {
        let made = self.made.iter().rev().find(|(made, _)| made == name);
        match (made, &self.event) {
            (Some((_, value)), _) => value.clone(),
            (None, Some(event)) => event.field(name),
            (None, None) => Value::Absent,
        }
    }
}

fn finite(number: f64) -> Value {
    if number.is_finite() { Value::Number(number) } else { Value::Absent }
}

impl Expression {
    /// What it gives; `now_ms` is the time of the query.
    pub fn value(&self, record: &Record, now_ms: i64) -> Value {
        let value = |expression: &Expression| expression.value(record, now_ms);
        match self {
            Expression::Field(name) => record.field(name),
            Expression::Constant(constant) => constant.clone(),
            #[allow(clippy::cast_precision_loss)]
            Expression::Period(ms) => Value::Number(*ms as f64),
            Expression::Call(function, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(value).collect();
                function.value(&arguments, record, now_ms)
            }
            Expression::Not(inner) => Value::Truth(!value(inner).truth()),
            Expression::Negative(inner) => {
                value(inner).number().map_or(Value::Absent, |n| finite(-n))
            }
            Expression::All(several) => Value::Truth(several.iter().all(|one| value(one).truth())),
            Expression::Any(several) => Value::Truth(several.iter().any(|one| value(one).truth())),
            Expression::Compare(left, comparison, right) => {
                Value::Truth(comparison.holds(&value(left), &value(right)))
            }
            Expression::In(left, several) => {
                let left = value(left);
                let equals = |one| Comparison::Equal.holds(&left, &value(one));
                Value::Truth(several.iter().any(equals))
            }
            Expression::Contains(left, text) => {
                Value::Truth(value(left).print().is_some_and(|left| left.contains(text)))
            }
            Expression::Matches(left, expression) => {
                Value::Truth(value(left).print().is_some_and(|left| expression.is_match(&left)))
            }
            Expression::Arithmetic(left, operator, right) => {
                match (value(left).number(), value(right).number()) {
                    (Some(left), Some(right)) => finite(operator.apply(left, right)),
                    _ => Value::Absent,
                }
            }
        }
    }
}
