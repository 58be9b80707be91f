//! One intrinsic function, as written: which it is and whether its arguments have the right form.
//!
//! The only reader of function syntax: the checker, the graph and the resolver all go through
//! [`Call::of`], so that one place knows what a function looks like and AWS's sentence when it does not.

use serde_json::{Map, Value};

use crate::error::{Result, TemplateError};

/// A function and its arguments, borrowed from the template.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    Ref(&'a str),
    GetAtt { resource: &'a str, attribute: Attribute<'a> },
    Sub { text: &'a str, variables: Option<&'a Map<String, Value>> },
    Join { delimiter: &'a str, list: &'a Value },
    Select { index: &'a Value, list: &'a Value },
    Split { delimiter: &'a str, source: &'a Value },
    If { condition: &'a str, then: &'a Value, otherwise: &'a Value },
    FindInMap { map: &'a Value, top: &'a Value, second: &'a Value, default: Option<&'a Value> },
    Base64(&'a Value),
    Cidr { block: &'a Value, count: &'a Value, bits: Option<&'a Value> },
    GetAzs(&'a Value),
    ImportValue(&'a Value),
    Length(&'a Value),
    ToJsonString(&'a Value),
    Transform(&'a Value),
    Equals(&'a Value, &'a Value),
    And(&'a [Value]),
    Or(&'a [Value]),
    Not(&'a Value),
}

/// The second argument of `Fn::GetAtt`.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    Name(&'a str),
    /// A function that gives the name.
    Value(&'a Value),
}

/// The list that AWS prints when it meets a function it does not have.
const SUPPORTED: &str = "Fn::Base64, Fn::GetAtt, Fn::GetAZs, Fn::ImportValue, Fn::Join, Fn::Split, \
    Fn::FindInMap, Fn::Select, Ref, Fn::Equals, Fn::If, Fn::Not, Condition, Fn::And, Fn::Or, \
    Fn::Contains, Fn::EachMemberEquals, Fn::EachMemberIn, Fn::ValueOf, Fn::ValueOfAll, Fn::RefAll, \
    Fn::Sub, Fn::Cidr";

const JOIN: &str = "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of \
     strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.";
const SELECT: &str =
    "Fn::Select requires a list argument with two elements: an integer index and a list";
const SPLIT: &str = "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string \
     to be split or a function that returns a string to be split.";
const SUB: &str = "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string \
     as first argument, and an optional second argument to specify a mapping of values to replace in the string";
const GET_ATT: &str = "every Fn::GetAtt object requires two non-empty parameters, the resource name and the \
     resource attribute";
const FIND_IN_MAP: &str = "every Fn::FindInMap object requires three parameters, the map name, map key and the \
     attribute for return value";

fn wrong(sentence: &str) -> TemplateError {
    TemplateError::function(sentence)
}

impl<'a> Call<'a> {
    /// The function that `value` is, or None if it is data.
    pub fn of(value: &'a Value) -> Result<Option<Call<'a>>> {
        let Some((name, argument)) = single(value) else { return Ok(None) };
        let call = match name {
            "Ref" => Call::Ref(
                argument
                    .as_str()
                    .ok_or_else(|| wrong("every Ref object must have a single String value."))?,
            ),
            "Fn::GetAtt" => get_att(argument)?,
            "Fn::Sub" => sub(argument)?,
            "Fn::Join" => join(argument)?,
            "Fn::Select" => select(argument)?,
            "Fn::Split" => split(argument)?,
            "Fn::If" => conditional(argument)?,
            "Fn::FindInMap" => find_in_map(argument)?,
            "Fn::Base64" => Call::Base64(text_like(
                argument,
                "every Fn::Base64 object must have a String-typed value.",
            )?),
            "Fn::GetAZs" => Call::GetAzs(text_like(
                argument,
                "every Fn::GetAZs object must have a String-typed value.",
            )?),
            "Fn::ImportValue" => Call::ImportValue(text_like(
                argument,
                "the attribute in Fn::ImportValue must be a string or a function that returns a string",
            )?),
            "Fn::Cidr" => cidr(argument)?,
            "Fn::Length" => Call::Length(argument),
            "Fn::ToJsonString" => Call::ToJsonString(argument),
            "Fn::Transform" => Call::Transform(argument),
            "Fn::Equals" => equals(argument)?,
            "Fn::And" => Call::And(operands(name, argument)?),
            "Fn::Or" => Call::Or(operands(name, argument)?),
            "Fn::Not" => not(argument)?,
            _ if name.starts_with("Fn::") && !name.starts_with("Fn::ForEach::") => {
                return Err(TemplateError::function(format_args!(
                    "Encountered unsupported function: {name} Supported functions are: [{SUPPORTED}]"
                )));
            }
            _ => return Ok(None),
        };
        Ok(Some(call))
    }

    /// The values inside, in the order in which they are written.
    pub fn arguments(&self) -> Vec<&'a Value> {
        match *self {
            Call::Ref(_) | Call::Transform(_) => Vec::new(),
            Call::GetAtt { attribute: Attribute::Value(value), .. } => vec![value],
            Call::GetAtt { .. } => Vec::new(),
            Call::Sub { variables, .. } => {
                variables.map(|map| map.values().collect()).unwrap_or_default()
            }
            Call::Join { list, .. } => vec![list],
            Call::Select { index, list } => vec![index, list],
            Call::Split { source, .. } => vec![source],
            Call::If { then, otherwise, .. } => vec![then, otherwise],
            Call::FindInMap { map, top, second, default } => {
                [Some(map), Some(top), Some(second), default].into_iter().flatten().collect()
            }
            Call::Cidr { block, count, bits } => {
                [Some(block), Some(count), bits].into_iter().flatten().collect()
            }
            Call::Base64(value)
            | Call::GetAzs(value)
            | Call::ImportValue(value)
            | Call::Length(value)
            | Call::ToJsonString(value)
            | Call::Not(value) => vec![value],
            Call::Equals(left, right) => vec![left, right],
            Call::And(values) | Call::Or(values) => values.iter().collect(),
        }
    }
}

/// The only key and its value, if `value` is an object with one key.
pub fn single(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object()?;
    let (name, argument) = map.iter().next()?;
    (map.len() == 1).then_some((name.as_str(), argument))
}

/// Whether `value` could be a function: what stands for a value that is known only later.
pub fn is_function(value: &Value) -> bool {
    single(value).is_some_and(|(name, _)| name == "Ref" || name.starts_with("Fn::"))
}

fn text_like<'a>(value: &'a Value, sentence: &str) -> Result<&'a Value> {
    if value.is_array() || (value.is_object() && !is_function(value)) {
        return Err(wrong(sentence));
    }
    Ok(value)
}

fn get_att(argument: &Value) -> Result<Call<'_>> {
    // The long form may be written like the short one; what comes behind the first dot is the attribute.
    if let Value::String(text) = argument
        && let Some((resource, attribute)) = text.split_once('.')
        && !resource.is_empty()
        && !attribute.is_empty()
    {
        return Ok(Call::GetAtt { resource, attribute: Attribute::Name(attribute) });
    }
    if let Value::Array(parts) = argument
        && let [Value::String(resource), attribute] = parts.as_slice()
        && !resource.is_empty()
        && (attribute.as_str().is_some_and(|name| !name.is_empty()) || is_function(attribute))
    {
        let attribute = match attribute {
            Value::String(name) => Attribute::Name(name),
            other => Attribute::Value(other),
        };
        return Ok(Call::GetAtt { resource, attribute });
    }
    Err(wrong(GET_ATT))
}

fn sub(argument: &Value) -> Result<Call<'_>> {
    match argument {
        Value::String(text) => Ok(Call::Sub { text, variables: None }),
        Value::Array(parts) => match parts.as_slice() {
            // SAM writes the variables first where an HTTP API is protected by IAM, and AWS takes it.
            [Value::String(text), Value::Object(variables)]
            | [Value::Object(variables), Value::String(text)]
                if !variables.is_empty() =>
            {
                Ok(Call::Sub { text, variables: Some(variables) })
            }
            _ => Err(wrong(SUB)),
        },
        _ => Err(wrong(SUB)),
    }
}

fn join(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([Value::String(delimiter), list]) if list.is_array() || is_function(list) => {
            Ok(Call::Join { delimiter, list })
        }
        _ => Err(wrong(JOIN)),
    }
}

/// What evaluation says when the list is not made of strings.
pub fn join_error() -> TemplateError {
    wrong(JOIN)
}

/// What evaluation says when the source is not a string.
pub fn split_error() -> TemplateError {
    wrong(SPLIT)
}

/// What evaluation says when index or list are not that.
pub fn select_error() -> TemplateError {
    wrong(SELECT)
}

fn select(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([index, list])
            if (select_index(index).is_some() || is_function(index))
                && (list.is_array() || is_function(list)) =>
        {
            Ok(Call::Select { index, list })
        }
        _ => Err(select_error()),
    }
}

/// A literal index: a number, or text that is one.
pub fn select_index(value: &Value) -> Option<usize> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|index| usize::try_from(index).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn split(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([Value::String(delimiter), source]) if source.is_string() || is_function(source) => {
            Ok(Call::Split { delimiter, source })
        }
        _ => Err(split_error()),
    }
}

fn conditional(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([condition, then, otherwise]) => {
            let condition = match condition {
                Value::String(name) => name.as_str(),
                // `!If [!Condition X, ..]` is accepted too.
                _ => single(condition)
                    .filter(|(name, _)| *name == "Condition")
                    .and_then(|(_, name)| name.as_str())
                    .ok_or_else(|| {
                        wrong("Fn::If requires a list argument with the first element being a condition")
                    })?,
            };
            Ok(Call::If { condition, then, otherwise })
        }
        _ => Err(wrong("Fn::If requires a list argument with three elements")),
    }
}

fn find_in_map(argument: &Value) -> Result<Call<'_>> {
    let text = |value: &Value| value.is_string() || value.is_number() || is_function(value);
    match argument.as_array().map(Vec::as_slice) {
        Some([map, top, second]) if text(map) && text(top) && text(second) => {
            Ok(Call::FindInMap { map, top, second, default: None })
        }
        Some([map, top, second, Value::Object(options)])
            if text(map) && text(top) && text(second) && options.len() == 1 =>
        {
            let default = options.get("DefaultValue").ok_or_else(|| wrong(FIND_IN_MAP))?;
            Ok(Call::FindInMap { map, top, second, default: Some(default) })
        }
        _ => Err(wrong(FIND_IN_MAP)),
    }
}

fn cidr(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([block, count]) => Ok(Call::Cidr { block, count, bits: None }),
        Some([block, count, bits]) => Ok(Call::Cidr { block, count, bits: Some(bits) }),
        _ => Err(wrong(
            "every Fn::Cidr object requires an ipBlock, a count and an optional cidrBits",
        )),
    }
}

fn equals(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([left, right]) => Ok(Call::Equals(left, right)),
        _ => Err(wrong("every Fn::Equals object requires a list of 2 string parameters.")),
    }
}

fn operands<'a>(name: &str, argument: &'a Value) -> Result<&'a [Value]> {
    match argument.as_array() {
        Some(values) if (2..=10).contains(&values.len()) => Ok(values),
        _ => Err(TemplateError::function(format_args!(
            "every {name} object requires a list of at least 2 and at most 10 boolean parameters."
        ))),
    }
}

fn not(argument: &Value) -> Result<Call<'_>> {
    match argument.as_array().map(Vec::as_slice) {
        Some([value]) => Ok(Call::Not(value)),
        _ => Err(wrong("every Fn::Not object requires one boolean parameter.")),
    }
}
