//! One operation of an export.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::models::Used;
use super::{Export, Format, extensions, insert_filled};
use crate::state::{MethodRecord, MethodResponseRecord};

const PLACES: [(&str, &str); 3] = [
    ("method.request.querystring.", "query"),
    ("method.request.header.", "header"),
    ("method.request.path.", "path"),
];

pub fn operation(export: &Export<'_>, method: &MethodRecord, used: &mut Used<'_>) -> Value {
    let mut out = Map::new();
    if let Some(name) = &method.operation_name {
        out.insert("operationId".to_owned(), name.as_str().into());
    }
    let mut parameters = parameters(export.format, method);
    match export.format {
        Format::Swagger => {
            insert_list(&mut out, "consumes", consumes(method));
            insert_list(&mut out, "produces", produces(method));
            parameters.extend(body_parameter(method, used));
            insert_values(&mut out, "parameters", parameters);
        }
        Format::OpenApi => {
            insert_values(&mut out, "parameters", parameters);
            let content = content(&method.request_models, used);
            if !content.is_empty() {
                out.insert("requestBody".to_owned(), json!({"content": content, "required": true}));
            }
        }
    }
    let mut responses = Map::new();
    for (status, response) in &method.responses {
        responses.insert(status.clone(), self::response(export.format, status, response, used));
    }
    insert_filled(&mut out, "responses", responses);
    insert_values(&mut out, "security", extensions::security(export, method));
    if export.extensions.integrations {
        extensions::of_method(export, method, &mut out);
    }
    Value::Object(out)
}

fn insert_list(out: &mut Map<String, Value>, name: &str, list: BTreeSet<&String>) {
    insert_values(out, name, list.into_iter().map(|item| item.as_str().into()).collect());
}

fn insert_values(out: &mut Map<String, Value>, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        out.insert(name.to_owned(), Value::Array(list));
    }
}

fn consumes(method: &MethodRecord) -> BTreeSet<&String> {
    let templates = method.integration.iter().flat_map(|i| i.request_templates.keys());
    method.request_models.keys().chain(templates).collect()
}

fn produces(method: &MethodRecord) -> BTreeSet<&String> {
    let models = method.responses.values().flat_map(|response| response.models.keys());
    let answers = method.integration.iter().flat_map(|i| i.responses.values());
    models.chain(answers.flat_map(|answer| answer.templates.keys())).collect()
}

fn parameters(format: Format, method: &MethodRecord) -> Vec<Value> {
    let mut all = Vec::new();
    for (source, required) in &method.request_parameters {
        let found = PLACES
            .iter()
            .find_map(|(prefix, place)| source.strip_prefix(prefix).map(|name| (name, *place)));
        let Some((name, place)) = found else { continue };
        let mut parameter = Map::new();
        parameter.insert("name".to_owned(), name.into());
        parameter.insert("in".to_owned(), place.into());
        if *required || format == Format::Swagger {
            parameter.insert("required".to_owned(), (*required).into());
        }
        insert_text_type(format, &mut parameter);
        all.push(Value::Object(parameter));
    }
    all
}

fn insert_text_type(format: Format, out: &mut Map<String, Value>) {
    match format {
        Format::Swagger => out.insert("type".to_owned(), "string".into()),
        Format::OpenApi => out.insert("schema".to_owned(), json!({"type": "string"})),
    };
}

/// Swagger has one body, whatever its content type.
fn body_parameter(method: &MethodRecord, used: &mut Used<'_>) -> Option<Value> {
    let model = method.request_models.values().next()?;
    let schema = used.link(model, Format::Swagger);
    Some(json!({"in": "body", "name": model, "required": true, "schema": schema}))
}

fn content(
    models: &std::collections::BTreeMap<String, String>,
    used: &mut Used<'_>,
) -> Map<String, Value> {
    let link = |(kind, model): (&String, &String)| {
        (kind.clone(), json!({"schema": used.link(model, Format::OpenApi)}))
    };
    models.iter().map(link).collect()
}

fn response(
    format: Format,
    status: &str,
    record: &MethodResponseRecord,
    used: &mut Used<'_>,
) -> Value {
    let mut out = Map::new();
    out.insert("description".to_owned(), format!("{status} response").into());
    if format == Format::Swagger
        && let Some(model) = record.models.values().next()
    {
        out.insert("schema".to_owned(), used.link(model, format));
    }
    let mut headers = Map::new();
    for source in record.parameters.keys() {
        if let Some(name) = source.strip_prefix("method.response.header.") {
            let mut header = Map::new();
            insert_text_type(format, &mut header);
            headers.insert(name.to_owned(), Value::Object(header));
        }
    }
    insert_filled(&mut out, "headers", headers);
    if format == Format::OpenApi {
        out.insert("content".to_owned(), Value::Object(content(&record.models, used)));
    }
    Value::Object(out)
}
