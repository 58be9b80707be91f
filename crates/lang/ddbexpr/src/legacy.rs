//! The parameters from before expressions: `Expected`, `KeyConditions`, `QueryFilter`, `ScanFilter`
//! with `ConditionalOperator`, and `AttributeUpdates`.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LegacyConditionalParameters.html

use crate::Invalid;
use crate::condition::Comparator;
use crate::evaluate;
use crate::update_apply::{difference, union};
use crate::value::{Item, Kind, Value};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Eq,
    Ne,
    In,
    Le,
    Lt,
    Ge,
    Gt,
    Between,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
}

impl Operator {
    const ALL: [(Operator, &'static str); 13] = [
        (Operator::Eq, "EQ"),
        (Operator::Ne, "NE"),
        (Operator::In, "IN"),
        (Operator::Le, "LE"),
        (Operator::Lt, "LT"),
        (Operator::Ge, "GE"),
        (Operator::Gt, "GT"),
        (Operator::Between, "BETWEEN"),
        (Operator::NotNull, "NOT_NULL"),
        (Operator::Null, "NULL"),
        (Operator::Contains, "CONTAINS"),
        (Operator::NotContains, "NOT_CONTAINS"),
        (Operator::BeginsWith, "BEGINS_WITH"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(operator, _)| *operator == self).map_or("", |(_, name)| name)
    }

    pub fn from_name(name: &str) -> Option<Operator> {
        Self::ALL.into_iter().find(|(_, have)| *have == name).map(|(operator, _)| operator)
    }

    fn takes(self, count: usize) -> bool {
        match self {
            Operator::Null | Operator::NotNull => count == 0,
            Operator::Between => count == 2,
            Operator::In => count >= 1,
            _ => count == 1,
        }
    }

    fn allows(self, kind: Kind) -> bool {
        match self {
            Operator::Eq | Operator::Ne | Operator::Null | Operator::NotNull => true,
            Operator::BeginsWith => matches!(kind, Kind::S | Kind::B),
            _ => kind.is_ordered(),
        }
    }

    /// Whether an index can answer it.
    pub fn is_indexable(self) -> bool {
        matches!(
            self,
            Operator::Eq
                | Operator::Le
                | Operator::Lt
                | Operator::Ge
                | Operator::Gt
                | Operator::Between
                | Operator::BeginsWith
        )
    }
}

/// One attribute compared with constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    pub attribute: String,
    pub operator: Operator,
    pub values: Vec<Value>,
}

impl Clause {
    pub fn holds(&self, item: &Item) -> bool {
        self.accepts(item.get(&self.attribute))
    }

    pub fn accepts(&self, value: Option<&Value>) -> bool {
        let first = self.values.first();
        let compare = |comparator| evaluate::compare(comparator, value, first);
        let both = |test: fn(&Value, &Value) -> bool| matches!((value, first), (Some(a), Some(b)) if test(a, b));
        match self.operator {
            Operator::Eq => compare(Comparator::Equal),
            Operator::Ne => compare(Comparator::NotEqual),
            Operator::Le => compare(Comparator::LessOrEqual),
            Operator::Lt => compare(Comparator::Less),
            Operator::Ge => compare(Comparator::GreaterOrEqual),
            Operator::Gt => compare(Comparator::Greater),
            Operator::Between => {
                compare(Comparator::GreaterOrEqual)
                    && evaluate::compare(Comparator::LessOrEqual, value, self.values.get(1))
            }
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::Null => value.is_none(),
            Operator::NotNull => value.is_some(),
            Operator::Contains => both(evaluate::contains),
            // Nothing contains nothing (recorded: Alternator's suite on AWS, test_expected).
            Operator::NotContains => value.is_some() && !both(evaluate::contains),
            Operator::BeginsWith => both(evaluate::begins_with),
        }
    }
}

/// `ConditionalOperator`: AND unless it says OR.
pub fn all_hold(clauses: &[Clause], any: bool, item: &Item) -> bool {
    if any {
        clauses.is_empty() || clauses.iter().any(|clause| clause.holds(item))
    } else {
        clauses.iter().all(|clause| clause.holds(item))
    }
}

const INVALID: &str = "One or more parameter values were invalid: ";
const LOWER_ABOVE_UPPER: &str = "The BETWEEN condition was provided a range where the lower bound \
                                 is greater than the upper bound";

fn wrong_argument_count(operator: Operator) -> Invalid {
    Invalid(format!(
        "{INVALID}Invalid number of argument(s) for the {} ComparisonOperator",
        operator.name()
    ))
}

fn check_same_type(values: &[Value]) -> Result<(), Invalid> {
    if values.windows(2).any(|pair| pair[0].kind() != pair[1].kind()) {
        return Err(Invalid(format!(
            "{INVALID}AttributeValues inside AttributeValueList must be of same type"
        )));
    }
    Ok(())
}

fn check_bounds(operator: Operator, values: &[Value]) -> Result<(), Invalid> {
    if let (Operator::Between, [low, high]) = (operator, values)
        && low.compare(high) == Some(Ordering::Greater)
    {
        return Err(Invalid::new(LOWER_ABOVE_UPPER));
    }
    Ok(())
}

/// `KeyConditions`, `QueryFilter`, `ScanFilter`, and what `KeyConditionExpression` means.
pub fn check_clause(clause: &Clause) -> Result<(), Invalid> {
    let Clause { operator, values, .. } = clause;
    if !operator.takes(values.len()) {
        return Err(wrong_argument_count(*operator));
    }
    check_same_type(values)?;
    if let Some(value) = values.iter().find(|value| !operator.allows(value.kind())) {
        return Err(Invalid(format!(
            "{INVALID}ComparisonOperator {} is not valid for {} AttributeValue type",
            operator.name(),
            value.kind().code()
        )));
    }
    check_bounds(*operator, values)
}

/// One entry of `Expected`.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub value: Option<Value>,
    pub exists: Option<bool>,
    pub operator: Option<Operator>,
    pub values: Option<Vec<Value>>,
}

impl Expected {
    pub fn check(self, attribute: &str) -> Result<Clause, Invalid> {
        let refuse =
            |what: String| Err(Invalid(format!("{INVALID}{what} for Attribute: {attribute}")));
        if self.values.is_some() && self.value.is_some() {
            return Err(Invalid(format!(
                "{INVALID}Value and AttributeValueList cannot be used together for Attribute: \
                 {attribute}"
            )));
        }
        let clause =
            |operator, values| Ok(Clause { attribute: attribute.to_owned(), operator, values });
        let Some(operator) = self.operator else {
            if self.values.is_some() {
                return refuse(
                    "AttributeValueList can only be used with a ComparisonOperator".into(),
                );
            }
            return match (self.exists, self.value) {
                (None | Some(true), Some(value)) => clause(Operator::Eq, vec![value]),
                (Some(false), None) => clause(Operator::Null, Vec::new()),
                (Some(false), Some(_)) => {
                    refuse("Value cannot be used when Exists is false".into())
                }
                (exists, None) => {
                    let exists = exists.map_or("null", |_| "true");
                    refuse(format!("Value must be provided when Exists is {exists}"))
                }
            };
        };
        if self.exists.is_some() {
            return refuse("Exists and ComparisonOperator cannot be used together".into());
        }
        let none = self.value.is_none() && self.values.is_none();
        if none && !matches!(operator, Operator::Null | Operator::NotNull) {
            return Err(Invalid(format!(
                "{INVALID}Value or AttributeValueList must be used with ComparisonOperator: {} for \
                 Attribute: {attribute}",
                operator.name()
            )));
        }
        let values = self.values.unwrap_or_else(|| self.value.into_iter().collect());
        if !operator.takes(values.len()) {
            return Err(wrong_argument_count(operator));
        }
        check_same_type(&values)?;
        if let Some(value) = values.iter().find(|value| !operator.allows(value.kind())) {
            return Err(Invalid(format!(
                "{INVALID}ComparisonOperator {} is not valid for {} AttributeValue type",
                operator.name(),
                value.kind().code()
            )));
        }
        check_bounds(operator, &values)?;
        clause(operator, values)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAction {
    Put,
    Add,
    Delete,
}

/// One entry of `AttributeUpdates`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeUpdate {
    pub action: UpdateAction,
    pub value: Option<Value>,
}

impl AttributeUpdate {
    pub fn check(&self) -> Result<(), Invalid> {
        let Some(kind) = self.value.as_ref().map(Value::kind) else {
            return match self.action {
                UpdateAction::Delete => Ok(()),
                _ => Err(Invalid(format!(
                    "{INVALID}Only DELETE action is allowed when no attribute value is specified"
                ))),
            };
        };
        match self.action {
            UpdateAction::Delete if !kind.is_set() => Err(Invalid(format!(
                "{INVALID}DELETE action with value is not supported for the type {}",
                kind.code()
            ))),
            UpdateAction::Add if !kind.is_set() && !matches!(kind, Kind::N | Kind::L) => {
                Err(Invalid(format!(
                    "{INVALID}ADD action is not supported for the type {}",
                    kind.code()
                )))
            }
            _ => Ok(()),
        }
    }

    pub fn apply(&self, name: &str, item: &mut Item) -> Result<(), Invalid> {
        let mismatch = || Err(Invalid::new("Type mismatch for attribute to update"));
        match (self.action, &self.value, item.get_mut(name)) {
            (UpdateAction::Put, Some(value), _) | (UpdateAction::Add, Some(value), None) => {
                item.insert(name, value.clone());
            }
            (UpdateAction::Delete, None, _) => {
                item.remove(name);
            }
            (UpdateAction::Add, Some(value), Some(old)) => match (old, value) {
                (Value::N(sum), Value::N(term)) => *sum = sum.add(term)?,
                (Value::L(list), Value::L(more)) => list.extend_from_slice(more),
                (Value::Ss(set), Value::Ss(more)) => union(set, more),
                (Value::Ns(set), Value::Ns(more)) => union(set, more),
                (Value::Bs(set), Value::Bs(more)) => union(set, more),
                _ => return mismatch(),
            },
            (UpdateAction::Delete, Some(value), Some(old)) => {
                let empty = match (old, value) {
                    (Value::Ss(set), Value::Ss(gone)) => difference(set, gone),
                    (Value::Ns(set), Value::Ns(gone)) => difference(set, gone),
                    (Value::Bs(set), Value::Bs(gone)) => difference(set, gone),
                    _ => return mismatch(),
                };
                if empty {
                    item.remove(name);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
