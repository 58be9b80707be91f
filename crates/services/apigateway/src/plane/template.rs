//! Mapping templates: `$context`, `$input`, `$stageVariables` and `$util` around one rendering.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::Value;
use sereno_vtl::{Input, Limits, Map, Scope, Util, Value as Vtl};

use super::call::Call;
use super::compiled::Prepared;
use super::failure::Failure;

/// Renders with `body` as the payload; what the template sets in `$context.requestOverride` and
/// `$context.responseOverride` is kept in the call.
pub fn render(call: &mut Call, template: &Prepared, body: &str) -> Result<String, Failure> {
    let template = template.as_ref().map_err(|why| {
        Failure::internal(format!(
            "Execution failed due to configuration error: Unable to transform request: {why}"
        ))
    })?;
    let mut scope = Scope::default();
    let context = context(call);
    scope.set("context", Vtl::Map(Rc::clone(&context)));
    let texts = |entries: IndexMap<Rc<str>, Vtl>| Map::new(entries);
    let path = call.parameters.iter().map(|(n, v)| (n.as_str().into(), v.as_str().into()));
    let query = call
        .query
        .iter()
        .filter_map(|(name, values)| Some((name.as_str().into(), values.last()?.as_str().into())));
    let mut headers: IndexMap<Rc<str>, Vtl> = IndexMap::new();
    for (name, value) in call.headers.iter() {
        headers.insert(name.into(), value.into());
    }
    let input = Input::new(body, texts(path.collect()), texts(query.collect()), texts(headers));
    scope.set("input", Vtl::Object(input));
    scope.set("util", Vtl::Object(Rc::new(Util)));
    let variables = call.variables.iter().map(|(n, v)| (n.as_str().into(), v.as_str().into()));
    scope.set("stageVariables", Vtl::Map(texts(variables.collect())));
    let rendered = template.render(&mut scope, &Limits::default()).map_err(|error| {
        Failure::internal(format!(
            "Execution failed due to configuration error: Unable to transform request: {error}"
        ))
    })?;
    let kept = |name: &str| context.get(name).map(|value| from_vtl(&value)).unwrap_or_default();
    call.request_override = kept("requestOverride");
    call.response_override = kept("responseOverride");
    Ok(rendered)
}

fn context(call: &Call) -> Rc<Map> {
    let mut entries: IndexMap<Rc<str>, Vtl> = IndexMap::new();
    for (name, value) in call.context() {
        entries.insert(name.as_str().into(), silent(&value));
    }
    entries.insert("requestOverride".into(), silent(&call.request_override));
    entries.insert("responseOverride".into(), silent(&call.response_override));
    Map::silent(entries)
}

/// The parts of `$context` print as nothing (recorded: `test_sqs_amz_json_protocol`).
fn silent(value: &Value) -> Vtl {
    match value {
        Value::Object(map) => {
            let entry = |(name, value): (&String, &Value)| (name.as_str().into(), silent(value));
            Vtl::Map(Map::silent(map.iter().map(entry).collect()))
        }
        other => to_vtl(other),
    }
}

fn to_vtl(value: &Value) -> Vtl {
    match value {
        Value::Null => Vtl::Null,
        Value::Bool(value) => Vtl::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Vtl::Int(int.into()),
            None => Vtl::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => text.as_str().into(),
        other => sereno_vtl::json::read(&other.to_string()).unwrap_or_default(),
    }
}

fn from_vtl(value: &Vtl) -> Value {
    match value {
        Vtl::Map(map) => {
            let entries = map.walk();
            Value::Object(entries.iter().map(|(n, v)| (n.to_string(), from_vtl(v))).collect())
        }
        Vtl::List(list) => list.items.borrow().iter().map(from_vtl).collect(),
        Vtl::Int(int) => i64::try_from(*int).map_or(Value::Null, Value::from),
        Vtl::Bool(value) => Value::Bool(*value),
        Vtl::Double(value) => Value::from(*value),
        Vtl::Null => Value::Null,
        other => Value::from(other.to_string()),
    }
}
