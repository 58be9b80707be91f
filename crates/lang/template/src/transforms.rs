//! Where a template asks for transforms: the `Transform` section and `Fn::Transform` inside.
//!
//! This finds them and puts results in place; running them needs functions and buckets.

use serde_json::{Map, Value};

use crate::error::{Result, TemplateError};
use crate::resolve::text_of;
use crate::template::Template;

pub const SERVERLESS: &str = "AWS::Serverless-2016-10-31";
pub const INCLUDE: &str = "AWS::Include";
pub const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";

/// One transform to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    pub name: String,
    pub parameters: Map<String, Value>,
}

/// A step from a value into one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

fn read(value: &Value) -> Result<Transform> {
    let parameters = match value {
        Value::String(name) => {
            return Ok(Transform { name: name.clone(), parameters: Map::new() });
        }
        Value::Object(map) => map,
        _ => return Err(TemplateError::format("unsupported structure in Transform.")),
    };
    let name = match parameters.get("Name") {
        Some(Value::String(name)) => name.clone(),
        // recorded: test_error_pass_macro_as_reference
        _ => return Err(TemplateError::new("Key Name of transform definition must be a string.")),
    };
    if parameters.keys().any(|key| key != "Name" && key != "Parameters") {
        return Err(TemplateError::format("a transform definition has only Name and Parameters."));
    }
    let parameters = match parameters.get("Parameters") {
        None => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(_) => {
            return Err(TemplateError::format("Parameters of a transform must be an object."));
        }
    };
    Ok(Transform { name, parameters })
}

/// The `Transform` section, in order.
pub fn declared(template: &Template) -> Result<Vec<Transform>> {
    template.root().get("Transform").map_or_else(|| Ok(Vec::new()), read_all)
}

/// One transform or a list of them (recorded: test_scope_order_and_parameters).
fn read_all(value: &Value) -> Result<Vec<Transform>> {
    match value {
        Value::Array(all) => all.iter().map(read).collect(),
        one => Ok(vec![read(one)?]),
    }
}

/// The next `Fn::Transform` to run, the deepest first: the object that holds it, and its transforms in order.
pub fn next_embedded(template: &Value) -> Result<Option<(Vec<Step>, Vec<Transform>)>> {
    let mut path = Vec::new();
    deepest(template, &mut path)
}

fn deepest(value: &Value, path: &mut Vec<Step>) -> Result<Option<(Vec<Step>, Vec<Transform>)>> {
    let children: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, it)| (Step::Key(key.clone()), it)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, it)| (Step::Index(at), it)).collect()
        }
        _ => return Ok(None),
    };
    for (step, child) in children {
        path.push(step);
        let found = deepest(child, path)?;
        path.pop();
        if found.is_some() {
            return Ok(found);
        }
    }
    match value.get("Fn::Transform") {
        Some(transforms) => Ok(Some((path.clone(), read_all(transforms)?))),
        None => Ok(None),
    }
}

/// The part of `value` at `path`.
pub fn part_mut<'a>(value: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::Index(at) => value.get_mut(*at),
    })
}

/// Names of all transforms of a template, declared and embedded, each once.
pub fn names(template: &Template) -> Result<Vec<String>> {
    let mut names: Vec<String> = declared(template)?.into_iter().map(|it| it.name).collect();
    embedded_names(&template.to_value(), &mut names)?;
    let mut seen = Vec::new();
    names.retain(|name| {
        let new = !seen.contains(name);
        seen.push(name.clone());
        new
    });
    Ok(names)
}

fn embedded_names(value: &Value, names: &mut Vec<String>) -> Result<()> {
    match value {
        Value::Object(map) => {
            if let Some(transform) = map.get("Fn::Transform") {
                names.extend(read_all(transform)?.into_iter().map(|it| it.name));
            }
            map.values().try_for_each(|it| embedded_names(it, names))
        }
        Value::Array(items) => items.iter().try_for_each(|it| embedded_names(it, names)),
        _ => Ok(()),
    }
}

/// Parameters of a macro that name template parameters (`Ref`) become their values.
pub fn bind_parameters(
    parameters: &Map<String, Value>,
    bound: &std::collections::BTreeMap<String, Value>,
) -> Map<String, Value> {
    let value = |value: &Value| match value.get("Ref").and_then(Value::as_str) {
        Some(name) => bound.get(name).cloned().unwrap_or_else(|| value.clone()),
        None => value.clone(),
    };
    parameters.iter().map(|(key, it)| (key.clone(), value(it))).collect()
}

/// `Location` of `AWS::Include`.
pub fn include_location(parameters: &Map<String, Value>) -> Option<String> {
    parameters.get("Location").and_then(text_of)
}
