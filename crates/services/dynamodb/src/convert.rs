//! Between the API's attribute values and the expression language's, with DynamoDB's checks of what
//! a client sends.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_api_dynamodb::AttributeValue;
use sereno_ddbexpr::{Invalid, Item, Number, Value, limits, value};

pub type Attributes = BTreeMap<String, AttributeValue>;

/// Recorded: dynalite's suites on AWS (putItem, updateItem).
pub fn value_in(attribute: AttributeValue) -> Result<Value, Invalid> {
    nested_in(attribute, 0)
}

pub fn item_in(attributes: Attributes) -> Result<Item, Invalid> {
    map_in(attributes, 0)
}

fn map_in(attributes: Attributes, depth: usize) -> Result<Item, Invalid> {
    let mut item = Item::with_capacity(attributes.len());
    for (name, attribute) in attributes {
        if name.is_empty() {
            return Err(parameter("Empty attribute name"));
        }
        item.insert(name, nested_in(attribute, depth)?);
    }
    Ok(item)
}

fn nested_in(attribute: AttributeValue, depth: usize) -> Result<Value, Invalid> {
    // The attribute itself is the first level (recorded: paritysuite, nestingDepth).
    if depth >= limits::NESTING_MAX {
        return Err(Invalid::new(
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested \
             levels beyond supported limit",
        ));
    }
    Ok(match attribute {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(text) => Value::N(Number::parse(&text)?),
        AttributeValue::B(bytes) => Value::B(bytes.into()),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::Null(true) => Value::Null,
        AttributeValue::Null(false) => {
            return Err(parameter("Null attribute value types must have the value of true"));
        }
        AttributeValue::M(map) => Value::M(map_in(map, depth + 1)?),
        AttributeValue::L(list) => Value::L(
            list.into_iter().map(|one| nested_in(one, depth + 1)).collect::<Result<_, _>>()?,
        ),
        AttributeValue::Ss(set) => string_set(set)?,
        AttributeValue::Ns(set) => number_set(set)?,
        AttributeValue::Bs(set) => binary_set(set)?,
        AttributeValue::Unknown => {
            return Err(Invalid::new(
                "Supplied AttributeValue is empty, must contain exactly one of the supported \
                 datatypes",
            ));
        }
        AttributeValue::Several => {
            return Err(Invalid::new(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one \
                 of the supported datatypes",
            ));
        }
    })
}

fn parameter(what: impl std::fmt::Display) -> Invalid {
    Invalid(format!("{}{what}", crate::errors::PARAMETERS_INVALID))
}

fn string_set(set: Vec<String>) -> Result<Value, Invalid> {
    if set.is_empty() {
        return Err(parameter("An string set  may not be empty"));
    }
    if value::duplicate(&set).is_some() {
        let all = set.join(", ");
        return Err(parameter(format_args!("Input collection [{all}] contains duplicates.")));
    }
    Ok(Value::Ss(set))
}

fn number_set(set: Vec<String>) -> Result<Value, Invalid> {
    if set.is_empty() {
        return Err(parameter("An number set  may not be empty"));
    }
    let set = set.iter().map(|text| Number::parse(text)).collect::<Result<Vec<_>, _>>()?;
    if value::duplicate(&set).is_some() {
        return Err(Invalid::new("Input collection contains duplicates"));
    }
    Ok(Value::Ns(set))
}

fn binary_set(set: Vec<Bytes>) -> Result<Value, Invalid> {
    if set.is_empty() {
        return Err(parameter("Binary sets should not be empty"));
    }
    if value::duplicate(&set).is_some() {
        let all: Vec<String> = set.iter().map(|bytes| value::base64(bytes)).collect();
        let all = all.join(", ");
        return Err(parameter(format_args!(
            "Input collection [{all}]of type BS contains duplicates."
        )));
    }
    Ok(Value::Bs(set.into_iter().map(Vec::from).collect()))
}

pub fn value_out(value: Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(number) => AttributeValue::N(number.to_string()),
        Value::B(bytes) => AttributeValue::B(bytes.into()),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Null => AttributeValue::Null(true),
        Value::M(map) => AttributeValue::M(item_out(map)),
        Value::L(list) => AttributeValue::L(list.into_iter().map(value_out).collect()),
        Value::Ss(set) => AttributeValue::Ss(set),
        Value::Ns(set) => AttributeValue::Ns(set.iter().map(Number::to_string).collect()),
        Value::Bs(set) => AttributeValue::Bs(set.into_iter().map(Bytes::from).collect()),
    }
}

pub fn item_out(item: Item) -> Attributes {
    item.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

/// As [`policy_text`].
pub fn value_text(value: &Value) -> Option<String> {
    match value {
        Value::S(text) => Some(text.clone()),
        Value::N(number) => Some(number.to_string()),
        Value::B(bytes) => Some(value::base64(bytes)),
        _ => None,
    }
}

/// The key's text in a policy condition (`dynamodb:LeadingKeys`).
pub fn policy_text(attribute: &AttributeValue) -> Option<String> {
    match attribute {
        AttributeValue::S(text) => Some(text.clone()),
        AttributeValue::N(text) => {
            Some(Number::parse(text).map_or_else(|_| text.clone(), |n| n.to_string()))
        }
        AttributeValue::B(bytes) => Some(value::base64(bytes)),
        _ => None,
    }
}
