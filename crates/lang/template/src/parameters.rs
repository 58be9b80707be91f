//! `Parameters`: declarations, the values given for them, and what `Ref` gives.
//!
//! Two steps, because values may live in Parameter Store: [`choose`] decides the text of each parameter
//! (given, previous or default) and [`bind`] makes the values once [`stored_names`] have been fetched.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::{PARAMETERS_MAX, is_alphanumeric};
use crate::error::{Result, TemplateError};
use crate::resolve::text_of;
use crate::template::Template;

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Texts,
    Numbers,
    /// The name of a stored parameter, whose value is a text or a list of texts.
    Stored {
        list: bool,
    },
}

/// One entry of `Parameters`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub type_name: String,
    pub kind: Kind,
    pub default: Option<String>,
    pub description: Option<String>,
    pub no_echo: bool,
    pub allowed_values: Vec<String>,
    pub allowed_pattern: Option<String>,
    pub constraint_description: Option<String>,
    pub length: (Option<usize>, Option<usize>),
    pub range: (Option<f64>, Option<f64>),
}

const ATTRIBUTES: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// Types whose values AWS looks up; here any text is one.
const AWS_TYPES: [&str; 10] = [
    "AWS::EC2::AvailabilityZone::Name",
    "AWS::EC2::Image::Id",
    "AWS::EC2::Instance::Id",
    "AWS::EC2::KeyPair::KeyName",
    "AWS::EC2::SecurityGroup::GroupName",
    "AWS::EC2::SecurityGroup::Id",
    "AWS::EC2::Subnet::Id",
    "AWS::EC2::Volume::Id",
    "AWS::EC2::VPC::Id",
    "AWS::Route53::HostedZone::Id",
];

fn kind_of(type_name: &str) -> Option<Kind> {
    let item = |name: &str| name == "String" || AWS_TYPES.contains(&name);
    let inside = |prefix: &str| type_name.strip_prefix(prefix)?.strip_suffix('>');
    Some(match type_name {
        "String" | "AWS::SSM::Parameter::Name" => Kind::Text,
        "Number" => Kind::Number,
        "CommaDelimitedList" => Kind::Texts,
        "List<Number>" => Kind::Numbers,
        _ if AWS_TYPES.contains(&type_name) => Kind::Text,
        _ if inside("List<").is_some_and(item) => Kind::Texts,
        _ => match inside("AWS::SSM::Parameter::Value<")? {
            "CommaDelimitedList" => Kind::Stored { list: true },
            name if item(name) => Kind::Stored { list: false },
            name => {
                let name = name.strip_prefix("List<")?.strip_suffix('>')?;
                item(name).then_some(Kind::Stored { list: true })?
            }
        },
    })
}

/// The declarations, in the template's order.
pub fn declared(template: &Template) -> Result<Vec<Parameter>> {
    let entries = template.section("Parameters");
    if let Some(count) = entries.map(serde_json::Map::len).filter(|count| *count > PARAMETERS_MAX) {
        return Err(TemplateError::format(format_args!(
            "Number of parameters, {count}, is greater than maximum allowed, {PARAMETERS_MAX}"
        )));
    }
    entries.into_iter().flatten().map(|(name, body)| declaration(name, body)).collect()
}

fn declaration(name: &str, body: &Value) -> Result<Parameter> {
    if !is_alphanumeric(name) {
        // recorded: test_using_pseudoparameters_in_places[parameter]
        return Err(TemplateError::format(format_args!(
            "Parameter name {name} is non alphanumeric."
        )));
    }
    let Some(body) = body.as_object() else {
        return Err(TemplateError::format("Any Parameters member must be an object."));
    };
    if let Some(key) = body.keys().find(|key| !ATTRIBUTES.contains(&key.as_str())) {
        return Err(TemplateError::new(format!("Invalid template parameter property '{key}'")));
    }
    let type_name = body.get("Type").and_then(Value::as_str).ok_or_else(|| {
        TemplateError::format("Every Parameters object must contain a Type member.")
    })?;
    let kind = kind_of(type_name).ok_or_else(|| {
        TemplateError::format(format_args!("Unrecognized parameter type: {type_name}"))
    })?;
    let text = |key: &str| -> Result<Option<String>> {
        let value = body.get(key);
        value
            .map(|value| {
                text_of(value).ok_or_else(|| {
                    TemplateError::format(format_args!("Every {key} member must be a string."))
                })
            })
            .transpose()
    };
    let number = |key: &str| -> Result<Option<f64>> {
        let value = text(key)?;
        value
            .map(|text| {
                text.trim().parse().map_err(|_| {
                    TemplateError::format(format_args!("Every {key} member must be a number."))
                })
            })
            .transpose()
    };
    let length =
        |key: &str| number(key).map(|length| length.map(|length| length.max(0.0) as usize));
    let allowed_values = match body.get("AllowedValues") {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().filter_map(text_of).collect(),
        Some(_) => return Err(TemplateError::format("Every AllowedValues member must be a list.")),
    };
    Ok(Parameter {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        kind,
        default: text("Default")?,
        description: text("Description")?,
        no_echo: text("NoEcho")?.is_some_and(|text| text.eq_ignore_ascii_case("true")),
        allowed_values,
        allowed_pattern: text("AllowedPattern")?,
        constraint_description: text("ConstraintDescription")?,
        length: (length("MinLength")?, length("MaxLength")?),
        range: (number("MinValue")?, number("MaxValue")?),
    })
}

/// A value in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Value(String),
    /// Keep what the stack has.
    Previous,
}

/// The text of each declared parameter: given, previous or default; checked against the constraints.
pub fn choose(
    declared: &[Parameter],
    given: &[(String, Given)],
    previous: Option<&BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>> {
    let unknown: Vec<&str> = given
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !declared.iter().any(|parameter| parameter.name == *name))
        .collect();
    if !unknown.is_empty() {
        return Err(TemplateError::new(format!(
            "Parameters: [{}] do not exist in the template",
            unknown.join(", ")
        )));
    }
    let mut chosen = BTreeMap::new();
    let mut missing = Vec::new();
    for parameter in declared {
        // The last one wins when a key is given twice.
        let value = match given.iter().rev().find(|(name, _)| *name == parameter.name) {
            Some((_, Given::Value(value))) => Some(value.clone()),
            Some((name, Given::Previous)) => {
                let value = previous.and_then(|previous| previous.get(name)).cloned();
                Some(value.ok_or_else(|| {
                    TemplateError::new(format!(
                        "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                    ))
                })?)
            }
            None => parameter.default.clone(),
        };
        match value {
            Some(value) => {
                chosen.insert(parameter.name.clone(), value);
            }
            None => missing.push(parameter.name.as_str()),
        }
    }
    if !missing.is_empty() {
        return Err(TemplateError::new(format!(
            "Parameters: [{}] must have values",
            missing.join(", ")
        )));
    }
    for parameter in declared {
        parameter.allow(&chosen[&parameter.name])?;
    }
    Ok(chosen)
}

/// Names of the stored parameters whose values [`bind`] needs.
pub fn stored_names<'a>(
    declared: &'a [Parameter],
    chosen: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, &'a str)> {
    let stored = declared.iter().filter(|it| matches!(it.kind, Kind::Stored { .. }));
    stored.filter_map(|it| Some((it.name.as_str(), chosen.get(&it.name)?.as_str()))).collect()
}

/// What `Ref` gives for each parameter. `fetched` has the values of [`stored_names`] by parameter.
pub fn bind(
    declared: &[Parameter],
    chosen: &BTreeMap<String, String>,
    fetched: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    let list = |text: &str| -> Value { text.split(',').map(str::trim).collect::<Vec<_>>().into() };
    let value = |parameter: &Parameter| -> Option<Value> {
        let text = chosen.get(&parameter.name)?;
        Some(match parameter.kind {
            Kind::Text | Kind::Number => text.clone().into(),
            Kind::Texts | Kind::Numbers => list(text),
            Kind::Stored { list: false } => fetched.get(&parameter.name)?.clone().into(),
            Kind::Stored { list: true } => list(fetched.get(&parameter.name)?),
        })
    };
    declared.iter().filter_map(|it| Some((it.name.clone(), value(it)?))).collect()
}

impl Parameter {
    fn refuse(&self, why: std::fmt::Arguments<'_>) -> TemplateError {
        match &self.constraint_description {
            Some(description) => TemplateError::new(format!(
                "Parameter {} failed to satisfy constraint: {description}",
                self.name
            )),
            None => TemplateError::new(format!("Parameter '{}' {why}", self.name)),
        }
    }

    fn allow(&self, text: &str) -> Result<()> {
        let items: Vec<&str> = match self.kind {
            Kind::Texts | Kind::Numbers => text.split(',').map(str::trim).collect(),
            _ => vec![text],
        };
        items.into_iter().try_for_each(|item| self.allow_item(item))
    }

    fn allow_item(&self, item: &str) -> Result<()> {
        if matches!(self.kind, Kind::Number | Kind::Numbers) {
            let number = item.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            // recorded: test_invalid_parameter_type
            let number = number.ok_or_else(|| self.refuse(format_args!("must be a number.")))?;
            if let Some(min) = self.range.0.filter(|min| number < *min) {
                return Err(self.refuse(format_args!("must be a number not less than {min}")));
            }
            if let Some(max) = self.range.1.filter(|max| number > *max) {
                return Err(self.refuse(format_args!("must be a number not greater than {max}")));
            }
        }
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|it| it == item) {
            return Err(self.refuse(format_args!("must be one of AllowedValues")));
        }
        let characters = item.chars().count();
        if let Some(min) = self.length.0.filter(|min| characters < *min) {
            return Err(self.refuse(format_args!("must contain at least {min} characters")));
        }
        if let Some(max) = self.length.1.filter(|max| characters > *max) {
            return Err(self.refuse(format_args!("must contain at most {max} characters")));
        }
        self.allow_pattern(item)
    }

    /// The pattern must match the whole value.
    fn allow_pattern(&self, item: &str) -> Result<()> {
        let Some(pattern) = &self.allowed_pattern else { return Ok(()) };
        let regex = fancy_regex::Regex::new(&format!("^(?:{pattern})\\z")).map_err(|_| {
            TemplateError::format(format_args!(
                "AllowedPattern of parameter {} is not a regular expression",
                self.name
            ))
        })?;
        // An error here is the matcher's limit on backtracking: no match.
        if regex.is_match(item).unwrap_or_default() {
            return Ok(());
        }
        Err(self.refuse(format_args!("must match pattern {pattern}")))
    }
}
