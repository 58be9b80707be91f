//! The events that Lambda functions get.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::plane::binary;
use crate::plane::call::Call;
use crate::plane::headers::Headers;
use crate::plane::request::Outgoing;

/// Of a proxy integration, format 1.0.
pub fn proxy_event(call: &Call, outgoing: &Outgoing) -> Value {
    let (body, is_base64) = body(call, outgoing);
    let empty_is_null = |value: Value| match &value {
        Value::Object(map) if map.is_empty() => Value::Null,
        _ => value,
    };
    let (headers, multi_headers) = headers(&outgoing.headers);
    let (query, multi_query) = query(call);
    json!({
        "resource": call.plan.as_ref().map_or("/", |plan| &plan.resource_path),
        "path": call.event_path,
        "httpMethod": call.method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": empty_is_null(query),
        "multiValueQueryStringParameters": empty_is_null(multi_query),
        "pathParameters": empty_is_null(path_parameters(call)),
        "stageVariables": empty_is_null(json!(call.variables)),
        "requestContext": call.context(),
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

/// Of an authorizer of type `REQUEST`.
pub fn authorizer_event(call: &Call, method_arn: &str) -> Value {
    let (headers, multi_headers) = headers(&call.headers);
    let (query, multi_query) = query(call);
    json!({
        "type": "REQUEST",
        "methodArn": method_arn,
        "resource": call.plan.as_ref().map_or("/", |plan| &plan.resource_path),
        "path": call.event_path,
        "httpMethod": call.method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": multi_query,
        "pathParameters": path_parameters(call),
        "stageVariables": call.variables,
        "requestContext": call.context(),
    })
}

fn body(call: &Call, outgoing: &Outgoing) -> (Value, bool) {
    if outgoing.body.is_empty() {
        return (Value::Null, false);
    }
    let known = &call.compiled.api.binary_media_types;
    let is_binary = binary::matches(known, call.headers.get("content-type"));
    match std::str::from_utf8(&outgoing.body) {
        Ok(text) if !is_binary => (text.into(), false),
        _ => (STANDARD.encode(&outgoing.body).into(), true),
    }
}

/// The last value of each header, and all of them.
fn headers(headers: &Headers) -> (Value, Value) {
    let (mut last, mut all) = (Map::new(), Map::new());
    for (name, value) in headers.iter() {
        last.insert(name.to_owned(), value.into());
        push(&mut all, name, value);
    }
    (last.into(), all.into())
}

fn query(call: &Call) -> (Value, Value) {
    let (mut last, mut all) = (Map::new(), Map::new());
    for (name, values) in &call.query {
        for value in values {
            last.insert(name.clone(), value.as_str().into());
            push(&mut all, name, value);
        }
    }
    (last.into(), all.into())
}

fn push(map: &mut Map<String, Value>, name: &str, value: &str) {
    let entry = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = entry {
        items.push(value.into());
    }
}

fn path_parameters(call: &Call) -> Value {
    let pair = |(name, value): &(String, String)| (name.clone(), value.as_str().into());
    Value::Object(call.parameters.iter().map(pair).collect())
}
