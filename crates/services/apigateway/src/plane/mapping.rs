//! Parameter mappings: one value from a request, an answer, or the context.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html>

use serde_json::Value;

use super::call::Call;
use super::failure::value_at;
use super::headers::Headers;

/// `'text'`, `context.x`, `stageVariables.x`.
fn constant(call: &Call, source: &str) -> Option<String> {
    if let Some(text) = source.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Some(text.to_owned());
    }
    if let Some(name) = source.strip_prefix("stageVariables.") {
        return call.variables.get(name).cloned();
    }
    context_value(call, source.strip_prefix("context.")?)
}

/// A value of `$context` by its dotted path.
pub fn context_value(call: &Call, path: &str) -> Option<String> {
    let context = call.context();
    let mut parts = path.split('.');
    let mut at = context.get(parts.next()?)?;
    for part in parts {
        at = at.get(part)?;
    }
    match at {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A value from the method's request.
pub fn request_value(call: &Call, source: &str) -> Option<String> {
    request_values(call, source)?.pop()
}

/// The same where several are asked for (`multivalueheader`, `multivaluequerystring`).
pub fn request_values(call: &Call, source: &str) -> Option<Vec<String>> {
    let Some(rest) = source.strip_prefix("method.request.") else {
        return constant(call, source).map(|value| vec![value]);
    };
    let one = |value: Option<&str>| value.map(|value| vec![value.to_owned()]);
    if rest == "body" {
        return Some(vec![String::from_utf8_lossy(&call.body).into_owned()]);
    }
    let (place, name) = rest.split_once('.')?;
    match place {
        "path" => one(call.parameter(name)),
        "header" => one(call.headers.get(name)),
        "multivalueheader" => {
            let all: Vec<&str> = call.headers.all(name).collect();
            if all.is_empty() { None } else { Some(vec![all.join(",")]) }
        }
        "querystring" => one(call.query.get(name).and_then(|all| all.last()).map(String::as_str)),
        "multivaluequerystring" => call.query.get(name).cloned(),
        "body" => value_at(&String::from_utf8_lossy(&call.body), name).map(|value| vec![value]),
        _ => None,
    }
}

/// A value from the integration's answer.
pub fn response_value(call: &Call, source: &str, headers: &Headers, body: &[u8]) -> Option<String> {
    let Some(rest) = source.strip_prefix("integration.response.") else {
        return constant(call, source);
    };
    if rest == "body" {
        return Some(String::from_utf8_lossy(body).into_owned());
    }
    let (place, name) = rest.split_once('.')?;
    match place {
        "header" => headers.get(name).map(str::to_owned),
        "multivalueheader" => {
            let all: Vec<&str> = headers.all(name).collect();
            if all.is_empty() { None } else { Some(all.join(",")) }
        }
        "body" => value_at(&String::from_utf8_lossy(body), name),
        _ => None,
    }
}

/// `${stageVariables.x}`, and `{x}` of mapped path parameters, in an integration's URI.
pub fn fill_uri(uri: &str, call: &Call, path: &[(String, String)]) -> String {
    let mut out = with_variables(uri, call);
    for (name, value) in path {
        let value = encode_path(value);
        out = out.replace(&format!("{{{name}}}"), &value).replace(&format!("{{{name}+}}"), &value);
    }
    out
}

/// Stage variables in URIs, ARNs and credentials: `${stageVariables.name}`.
pub fn with_variables(text: &str, call: &Call) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${stageVariables.") {
        out.push_str(&rest[..at]);
        rest = &rest[at + "${stageVariables.".len()..];
        let Some(end) = rest.find('}') else { break };
        out.push_str(call.variables.get(&rest[..end]).map_or("", String::as_str));
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

/// A value for a path: what is encoded already stays, slashes stay.
fn encode_path(value: &str) -> String {
    if value.contains('%') && sereno_base::percent_decode(value).is_some() {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_alphanumeric() || "-._~/:@!$&'()*+,;=".contains(c) {
            out.push(c);
        } else {
            out.push_str(&sereno_base::percent_encode(&c.to_string(), true));
        }
    }
    out
}
