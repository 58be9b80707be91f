//! The expression parameters that many operations share: which may come together, and the
//! placeholders. Order of checks recorded by dynalite's suites on AWS.

use std::collections::BTreeMap;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::legacy::{self, Clause, Expected, Operator};
use sereno_ddbexpr::placeholders::check_keys;
use sereno_ddbexpr::{Condition, Invalid, Item, Parameter, Placeholders, Projection, Update};
use sereno_kernel::Result;

use crate::convert::{self, Attributes};
use crate::errors;

pub type Names = BTreeMap<String, String>;

/// Which parameters of either kind are present, by name, in AWS's order.
pub struct Present<'a> {
    pub expressions: &'a [(&'static str, bool)],
    pub legacy: &'a [(&'static str, bool)],
    pub names: bool,
    pub values: bool,
}

impl Present<'_> {
    pub fn check(&self) -> Result<()> {
        let given = |all: &[(&'static str, bool)]| -> Vec<&'static str> {
            all.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect()
        };
        let (expressions, legacy) = (given(self.expressions), given(self.legacy));
        if !expressions.is_empty() && !legacy.is_empty() {
            return Err(errors::validation(format!(
                "Can not use both expression and non-expression parameters in the same request: \
                 Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
                legacy.join(", "),
                expressions.join(", ")
            )));
        }
        if self.names && expressions.is_empty() {
            return Err(errors::validation(
                "ExpressionAttributeNames can only be specified when using expressions",
            ));
        }
        let with_values: Vec<_> =
            self.expressions.iter().filter(|(name, _)| *name != "ProjectionExpression").collect();
        if self.values && with_values.iter().all(|(_, present)| !present) {
            let names: Vec<&str> = with_values.iter().map(|(name, _)| *name).collect();
            let verb = if names.len() > 1 { "are" } else { "is" };
            return Err(errors::validation(format!(
                "ExpressionAttributeValues can only be specified when using expressions: {} {verb} \
                 null",
                names.join(" and ")
            )));
        }
        Ok(())
    }
}

pub fn placeholders(names: Option<Names>, values: Option<Attributes>) -> Result<Placeholders> {
    if let Some(names) = &names {
        check_keys("ExpressionAttributeNames", '#', names.keys().map(String::as_str))
            .map_err(errors::invalid)?;
        if let Some((key, _)) = names.iter().find(|(_, name)| name.is_empty()) {
            return Err(errors::validation(format!(
                "ExpressionAttributeNames contains invalid value: Empty attribute name for key {key}"
            )));
        }
    }
    let mut converted = Vec::new();
    if let Some(values) = values {
        check_keys("ExpressionAttributeValues", ':', values.keys().map(String::as_str))
            .map_err(errors::invalid)?;
        for (key, attribute) in values {
            let value = convert::value_in(attribute).map_err(|Invalid(message)| {
                errors::validation(format!(
                    "ExpressionAttributeValues contains invalid value: {message} for key {key}"
                ))
            })?;
            converted.push((key, value));
        }
    }
    Ok(Placeholders::new(names.unwrap_or_default(), converted))
}

/// What must hold for an item before it is written, or for it to be returned.
#[derive(Default)]
pub enum Guard {
    #[default]
    Nothing,
    Expression(Condition),
    Clauses {
        clauses: Vec<Clause>,
        any: bool,
    },
}

impl Guard {
    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Guard::Nothing => true,
            Guard::Expression(condition) => condition.holds(item),
            Guard::Clauses { clauses, any } => legacy::all_hold(clauses, *any, item),
        }
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Guard::Nothing)
    }

    pub fn parse(
        parameter: Parameter,
        text: Option<&str>,
        placeholders: &Placeholders,
    ) -> Result<Guard> {
        match text {
            None => Ok(Guard::Nothing),
            Some(text) => Condition::parse(parameter, text, placeholders)
                .map(Guard::Expression)
                .map_err(errors::invalid),
        }
    }

    pub fn or_expected(self, expected: Option<Vec<Clause>>, any: bool) -> Guard {
        match expected {
            Some(clauses) if self.is_nothing() => Guard::Clauses { clauses, any },
            _ => self,
        }
    }
}

/// The parameters by which a write is conditional, as they come.
pub struct Conditions {
    pub expression: Option<String>,
    pub expected: Option<BTreeMap<String, api::ExpectedAttributeValue>>,
    pub operator: Option<api::ConditionalOperator>,
    pub names: Option<Names>,
    pub values: Option<Attributes>,
}

impl Conditions {
    /// `update` is UpdateExpression, `updates` tells of AttributeUpdates, for those who have them.
    pub fn check_present(&self, update: Option<bool>, updates: Option<bool>) -> Result<()> {
        let mut expressions: Vec<_> =
            update.map(|given| ("UpdateExpression", given)).into_iter().collect();
        expressions.push(("ConditionExpression", self.expression.is_some()));
        let mut legacy: Vec<_> =
            updates.map(|given| ("AttributeUpdates", given)).into_iter().collect();
        legacy.push(("Expected", self.expected.is_some()));
        legacy.push(("ConditionalOperator", self.operator.is_some()));
        Present {
            expressions: &expressions,
            legacy: &legacy,
            names: self.names.is_some(),
            values: self.values.is_some(),
        }
        .check()
    }

    /// What must hold, and the update, which shares the placeholders.
    pub fn parse(self, update: Option<&str>) -> Result<(Guard, Option<Update>)> {
        let any = is_or(self.operator.as_ref());
        check_operator(self.operator.as_ref(), self.expected.as_ref().map(BTreeMap::len))?;
        let expected = expected(self.expected)?;
        let with = placeholders(self.names, self.values)?;
        let update =
            update.map(|text| Update::parse(text, &with)).transpose().map_err(errors::invalid)?;
        let guard = Guard::parse(Parameter::Condition, self.expression.as_deref(), &with)?
            .or_expected(expected, any);
        with.check_all_used().map_err(errors::invalid)?;
        Ok((guard, update))
    }
}

pub fn is_or(operator: Option<&api::ConditionalOperator>) -> bool {
    operator == Some(&api::ConditionalOperator::Or)
}

/// Recorded on AWS: the pull request 213 of ExtendDB.
pub fn check_operator(
    operator: Option<&api::ConditionalOperator>,
    conditions: Option<usize>,
) -> Result<()> {
    match (operator, conditions.unwrap_or(0)) {
        (Some(_), 0) => {
            Err(errors::validation("ConditionalOperator cannot be used without Filter or Expected"))
        }
        (Some(_), 1) => Err(errors::validation(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        )),
        _ => Ok(()),
    }
}

/// `Expected`, checked.
pub fn expected(
    expected: Option<BTreeMap<String, api::ExpectedAttributeValue>>,
) -> Result<Option<Vec<Clause>>> {
    let Some(expected) = expected else { return Ok(None) };
    let mut clauses = Vec::with_capacity(expected.len());
    for (name, entry) in expected {
        let value = entry.value.map(convert::value_in).transpose().map_err(errors::invalid)?;
        let values = entry
            .attribute_value_list
            .map(|list| list.into_iter().map(convert::value_in).collect::<Result<Vec<_>, _>>())
            .transpose()
            .map_err(errors::invalid)?;
        let operator =
            entry.comparison_operator.and_then(|operator| Operator::from_name(operator.as_str()));
        let entry = Expected { value, exists: entry.exists, operator, values };
        clauses.push(entry.check(&name).map_err(errors::invalid)?);
    }
    Ok(Some(clauses))
}

/// `KeyConditions`, `QueryFilter`, `ScanFilter`, checked.
pub fn clauses(
    conditions: Option<BTreeMap<String, api::Condition>>,
) -> Result<Option<Vec<Clause>>> {
    let Some(conditions) = conditions else { return Ok(None) };
    let mut clauses = Vec::with_capacity(conditions.len());
    for (attribute, condition) in conditions {
        let values = condition
            .attribute_value_list
            .unwrap_or_default()
            .into_iter()
            .map(convert::value_in)
            .collect::<Result<Vec<_>, _>>()
            .map_err(errors::invalid)?;
        // The wire layer lets no other name through.
        let operator = Operator::from_name(condition.comparison_operator.as_str())
            .ok_or_else(|| errors::parameters("Unknown ComparisonOperator"))?;
        let clause = Clause { attribute, operator, values };
        legacy::check_clause(&clause).map_err(errors::invalid)?;
        clauses.push(clause);
    }
    Ok(Some(clauses))
}

/// `AttributesToGet` names no attribute twice.
pub fn check_attributes_to_get(names: Option<&Vec<String>>) -> Result<()> {
    let Some(names) = names else { return Ok(()) };
    if names.iter().any(String::is_empty) {
        return Err(errors::parameters("Empty attribute name"));
    }
    match sereno_ddbexpr::value::duplicate(names) {
        Some(name) => {
            Err(errors::parameters(format_args!("Duplicate value in attribute name: {name}")))
        }
        None => Ok(()),
    }
}

pub fn projection(
    expression: Option<&str>,
    attributes_to_get: Option<Vec<String>>,
    placeholders: &Placeholders,
) -> Result<Option<Projection>> {
    match (expression, attributes_to_get) {
        (Some(text), _) => Projection::parse(text, placeholders).map(Some).map_err(errors::invalid),
        (None, Some(names)) => Ok(Some(Projection::of_names(names))),
        (None, None) => Ok(None),
    }
}

pub fn project(projection: Option<&Projection>, item: Item) -> Item {
    match projection {
        Some(projection) => projection.apply(&item),
        None => item,
    }
}
