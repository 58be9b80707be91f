//! CloudFormation's types of API Gateway, made by its own operations.

mod deployment;
mod method;
mod rest_api;
mod simple;
mod stage;

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Kind, ResourceRequest, ResourceType, Result};

use crate::errors::bad_request;

type Properties = Map<String, Value>;

/// All of them.
pub fn all() -> Vec<ResourceType> {
    let mut all = vec![
        rest_api::rest_api(),
        deployment::deployment(),
        stage::stage(),
        method::resource(),
        method::method(),
        simple::account(),
        simple::usage_plan_key(),
    ];
    all.extend(simple::SIMPLE.iter().map(simple::resource_type));
    all
}

async fn call(ctx: &Ctx, operation: &str, input: &Value) -> Result<Value> {
    ctx.call_json("apigateway", operation, input).await
}

/// Deleting what is not there has been done.
fn gone_is_fine(outcome: Result<Value>) -> Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// How a property becomes an input of the API.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// As it is: scalars, lists and maps whose keys are the user's.
    Plain,
    /// A structure, or a list of them: `RestApiId` becomes `restApiId`, all the way down.
    Structure,
    /// A JSON document as text.
    Text,
}

/// (CloudFormation's name, the API's name, form)
type Property = (&'static str, &'static str, Form);

/// The input made of the properties; one that is not among `known` is refused.
fn input(kind: &str, properties: &Properties, known: &[Property]) -> Result<Properties> {
    let mut input = Map::new();
    for (name, value) in properties {
        if name == "Tags" {
            continue;
        }
        let Some((_, target, form)) = known.iter().find(|(known, ..)| known == name) else {
            return Err(bad_request(format!("{kind}: Encountered unsupported property {name}")));
        };
        let value = match form {
            Form::Plain => value.clone(),
            Form::Structure => camel(value),
            Form::Text => json!(as_text(value)),
        };
        input.insert((*target).to_owned(), value);
    }
    Ok(input)
}

fn camel(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (lower_first(name), camel(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(camel).collect()),
        other => other.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The template's tags and the stack's own.
fn tags(request: &ResourceRequest) -> Properties {
    let own = request.tags.iter().map(|(key, value)| (key.clone(), json!(value)));
    let mut tags: Properties = own.collect();
    for tag in request.properties.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        if let Some(key) = tag["Key"].as_str() {
            tags.insert(key.to_owned(), tag["Value"].clone());
        }
    }
    tags
}

/// Whether something carries the tags of this resource of this stack: a try before this one made it.
fn is_ours(found: &Value, request: &ResourceRequest) -> bool {
    found["tags"]["aws:cloudformation:stack-id"] == json!(request.stack_id)
        && found["tags"]["aws:cloudformation:logical-id"] == json!(request.logical_id)
}

fn replace(path: &str, value: &Value) -> Value {
    json!({"op": "replace", "path": path, "value": as_text(value)})
}

/// A name as a part of a patch's path.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn text<'p>(properties: &'p Properties, name: &str) -> &'p str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a property is another one than before.
fn changed(request: &ResourceRequest, name: &str) -> bool {
    request.previous.get(name) != request.properties.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_renamed_and_maps_are_not() {
        let known: &[Property] =
            &[("Throttle", "throttle", Form::Structure), ("Variables", "variables", Form::Plain)];
        let properties = json!({"Throttle": {"BurstLimit": 1}, "Variables": {"Table": "t"}});
        let read = input("T", properties.as_object().unwrap(), known).unwrap();
        let expected = json!({"throttle": {"burstLimit": 1}, "variables": {"Table": "t"}});
        assert_eq!(Value::Object(read), expected);
        let unknown = json!({"Colour": 1});
        assert!(input("T", unknown.as_object().unwrap(), known).is_err());
    }
}
