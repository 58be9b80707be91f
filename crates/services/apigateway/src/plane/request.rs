//! What a backend is asked: the request after parameter mappings and templates.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-integration-settings-integration-request.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;

use super::call::Call;
use super::compiled::{IntegrationPlan, Prepared};
use super::failure::Failure;
use super::headers::Headers;
use super::{binary, mapping, template};

/// Headers that no mapping may set.
const ILLEGAL: [&str; 4] =
    ["content-length", "transfer-encoding", "x-amzn-trace-id", "x-amzn-apigateway-api-id"];
const ILLEGAL_AWS: [&str; 5] =
    ["authorization", "connection", "expect", "proxy-authenticate", "te"];

#[derive(Debug, Default)]
pub struct Outgoing {
    pub method: String,
    pub uri: String,
    pub query: IndexMap<String, Vec<String>>,
    pub headers: Headers,
    pub body: Bytes,
}

/// What the mappings of `integration.request.*` give.
#[derive(Default)]
struct Mapped {
    headers: Vec<(String, String)>,
    query: IndexMap<String, Vec<String>>,
    path: Vec<(String, String)>,
}

pub fn outgoing(call: &mut Call, plan: &IntegrationPlan) -> Result<Outgoing, Failure> {
    let record = &plan.record;
    let kind = record.kind.as_str();
    let mut mapped = mapped(call, plan);
    let mut headers = Headers::default();
    let query;
    let body;
    match kind {
        "AWS_PROXY" => {
            headers = call.headers.clone();
            forwarded(call, &mut headers);
            query = call.query.clone();
            body = call.body.clone();
            legal(&mapped, kind)?;
            // A Lambda function's ARN has no path parameters.
            mapped.path.clear();
        }
        "HTTP_PROXY" => {
            headers = call.headers.clone();
            headers.remove_all(&["Host", "Content-Encoding"]);
            set_all(&mut headers, &mapped.headers);
            let mut merged = call.query.clone();
            for (name, values) in mapped.query.drain(..) {
                merged.entry(name).or_default().extend(values);
            }
            query = merged;
            body = call.body.clone();
            legal(&mapped, kind)?;
        }
        _ => {
            body = transformed(call, plan)?;
            overridden(&call.request_override, &mut mapped);
            legal(&mapped, kind)?;
            set_all(&mut headers, &mapped.headers);
            query = std::mem::take(&mut mapped.query);
        }
    }
    defaults(call, kind, &mut headers);
    let method = record.http_method.as_deref().filter(|method| *method != "ANY");
    let uri = record.uri.as_deref().unwrap_or_default();
    let uri = mapping::fill_uri(uri, call, &mapped.path);
    if kind.starts_with("HTTP") {
        let place = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
        if place.is_none_or(|place| place.is_empty() || place.starts_with(['/', '?', ':'])) {
            return Err(Failure::internal(
                "Execution failed due to configuration error: Invalid endpoint address",
            ));
        }
    }
    let method = method.unwrap_or(&call.method).to_owned();
    Ok(Outgoing { method, uri, query, headers, body })
}

fn mapped(call: &Call, plan: &IntegrationPlan) -> Mapped {
    let mut mapped = Mapped::default();
    for (target, source) in &plan.record.request_parameters {
        let place = target.strip_prefix("integration.request.").and_then(|t| t.split_once('.'));
        let Some((place, name)) = place else { continue };
        let Some(values) = mapping::request_values(call, source) else { continue };
        match place {
            "header" => mapped.headers.push((name.to_owned(), values.join(","))),
            "querystring" => {
                mapped.query.insert(name.to_owned(), values);
            }
            _ => mapped.path.push((name.to_owned(), values.join(","))),
        }
    }
    mapped
}

/// `$context.requestOverride` wins over mappings.
fn overridden(set: &Value, mapped: &mut Mapped) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let entries = |place: &str| set.get(place).and_then(Value::as_object).into_iter().flatten();
    for (name, value) in entries("header") {
        mapped.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        mapped.headers.push((name.clone(), text(value)));
    }
    for (name, value) in entries("querystring") {
        let values = match value {
            Value::Array(items) => items.iter().map(text).collect(),
            one => vec![text(one)],
        };
        mapped.query.insert(name.clone(), values);
    }
    for (name, value) in entries("path") {
        mapped.path.retain(|(known, _)| known != name);
        mapped.path.push((name.clone(), text(value)));
    }
}

fn legal(mapped: &Mapped, kind: &str) -> Result<(), Failure> {
    let aws = kind.starts_with("AWS");
    for (name, _) in &mapped.headers {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        if ILLEGAL.iter().any(&is) || (aws && ILLEGAL_AWS.iter().any(is)) {
            let why = format!(
                "Execution failed due to configuration error: {name} header already present"
            );
            return Err(Failure::internal(why));
        }
    }
    Ok(())
}

fn set_all(headers: &mut Headers, all: &[(String, String)]) {
    for (name, value) in all {
        headers.set(name, value);
    }
}

/// Who asked, for backends that see the headers only.
fn forwarded(call: &Call, headers: &mut Headers) {
    let origin = call.ctx.origin();
    let (scheme, rest) = origin.endpoint.split_once("://").unwrap_or(("http", &origin.endpoint));
    let default_port = if scheme == "https" { "443" } else { "80" };
    let port = rest.rsplit_once(':').map_or(default_port, |(_, port)| port);
    let before = headers.get("x-forwarded-for").map(str::to_owned);
    let chain = match before {
        Some(before) => format!("{before}, {}", origin.source_ip),
        None => origin.source_ip.clone(),
    };
    headers.set("X-Forwarded-For", &chain);
    headers.set("X-Forwarded-Port", port);
    headers.set("X-Forwarded-Proto", scheme);
}

fn defaults(call: &Call, kind: &str, headers: &mut Headers) {
    headers.remove_all(&["Expect", "Proxy-Authenticate", "TE"]);
    match kind {
        "AWS" => headers.remove("Referer"),
        "HTTP" | "HTTP_PROXY" => headers.remove("Via"),
        _ => {}
    }
    headers.set("X-Amzn-Trace-Id", &call.trace_id);
    if kind == "AWS_PROXY" {
        return;
    }
    headers.set_default("Accept", "application/json");
    headers.set_default("User-Agent", &format!("AmazonAPIGateway_{}", call.api_id()));
    if let Some(content_type) = call.headers.get("content-type")
        && !matches!(call.method.as_str(), "OPTIONS" | "GET" | "HEAD")
    {
        headers.set_default("Content-Type", content_type);
    }
    if kind != "AWS" {
        headers.set("X-Amzn-Apigateway-Api-Id", call.api_id());
    }
}

/// The body after `contentHandling` and the template for the request's content type.
fn transformed(call: &mut Call, plan: &IntegrationPlan) -> Result<Bytes, Failure> {
    let compiled = std::sync::Arc::clone(&call.compiled);
    let content_type =
        call.headers.get("content-type").unwrap_or("application/json").to_lowercase();
    let template = choose(plan, &content_type)?;
    let is_binary =
        binary::matches(&compiled.api.binary_media_types, call.headers.get("content-type"));
    let handling = plan.record.content_handling.as_deref();
    let body = match (is_binary, handling) {
        (true, Some("CONVERT_TO_TEXT")) => STANDARD.encode(&call.body).into(),
        (false, Some("CONVERT_TO_BINARY")) => STANDARD
            .decode(&call.body)
            .map_err(|_| Failure::internal("Unable to base64 decode the body."))?
            .into(),
        _ => call.body.clone(),
    };
    let Some(template) = template else { return Ok(body) };
    let text = String::from_utf8(body.into()).map_err(|_| {
        Failure::internal(
            "Execution failed due to configuration error: Unable to transform request",
        )
    })?;
    Ok(template::render(call, template, &text)?.into())
}

/// `None`: the body passes through.
fn choose<'a>(
    plan: &'a IntegrationPlan,
    content_type: &str,
) -> Result<Option<&'a Prepared>, Failure> {
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    let templates = &plan.templates;
    let found = templates.get(content_type).or_else(|| templates.get(bare));
    if let Some(found) = found.or_else(|| templates.get("$default")) {
        return Ok(Some(found));
    }
    match plan.record.passthrough_behavior.as_str() {
        "NEVER" => Err(Failure::unsupported_media_type()),
        "WHEN_NO_TEMPLATES" if !plan.record.request_templates.is_empty() => {
            Err(Failure::unsupported_media_type())
        }
        _ => Ok(None),
    }
}
