//! What the client is answered: the backend's answer after selection, mappings and templates.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-integration-settings-integration-response.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::call::Call;
use super::compiled::{IntegrationPlan, Prepared, ResponsePlan};
use super::failure::Failure;
use super::headers::Headers;
use super::{binary, mapping, template};

/// Names under which a backend's headers may not come through: they get a prefix.
const REMAPPED: [&str; 4] = ["Connection", "Content-Length", "Date", "Server"];
const REMAPPED_MAPPED: [&str; 10] = [
    "Authorization",
    "Content-MD5",
    "Expect",
    "Host",
    "Max-Forwards",
    "Proxy-Authenticate",
    "Trailer",
    "Upgrade",
    "User-Agent",
    "WWW-Authenticate",
];

/// An answer: a backend's, or the one for the client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
}

/// Makes the client's answer of a backend's.
pub fn from_backend(
    call: &mut Call,
    plan: &IntegrationPlan,
    backend: Reply,
) -> Result<Reply, Failure> {
    let kind = plan.record.kind.as_str();
    let mut reply = match kind {
        "AWS_PROXY" | "HTTP_PROXY" => backend,
        _ => mapped(call, plan, &backend)?,
    };
    remap(&mut reply.headers, kind);
    Ok(reply)
}

fn mapped(call: &mut Call, plan: &IntegrationPlan, backend: &Reply) -> Result<Reply, Failure> {
    let is_function = plan.record.kind == "AWS"
        && plan.record.uri.as_deref().is_some_and(|uri| uri.contains(":lambda:path/"));
    let selector =
        if is_function { error_message(&backend.body)? } else { backend.status.to_string() };
    let response = select(&plan.responses, &selector)?;
    let mut headers = Headers::default();
    for (target, source) in &response.record.parameters {
        let place = target.strip_prefix("method.response.").and_then(|t| t.split_once('.'));
        let Some((_, name)) = place else { continue };
        let value = mapping::response_value(call, source, &backend.headers, &backend.body);
        if let Some(value) = value {
            headers.set(name, &value);
        }
    }
    let template = choose(response, call.headers.get("accept"));
    let body = converted(call, response, backend)?;
    let body = match template {
        None => body,
        Some(template) => {
            let text = String::from_utf8(body.into()).map_err(|_| {
                Failure::internal(
                    "Execution failed due to configuration error: Unable to transform response",
                )
            })?;
            template::render(call, template, &text)?.into()
        }
    };
    let set = &call.response_override;
    let status = set.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
    for (name, value) in set.get("header").and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::String(text) => headers.set(name, text),
            other => headers.set(name, &other.to_string()),
        }
    }
    let status = status.filter(|status| (100..600).contains(status)).unwrap_or(response.status);
    Ok(Reply { status, headers, body })
}

/// What a Lambda function's answer is selected by.
fn error_message(body: &[u8]) -> Result<String, Failure> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return Ok(String::new()) };
    // AWS does not pass on that it may not call the function.
    if answer.get("__type").and_then(Value::as_str) == Some("AccessDeniedException") {
        return Err(Failure::internal(
            "Execution failed due to configuration error: Invalid permissions on Lambda function",
        ));
    }
    Ok(answer.get("errorMessage").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn select<'a>(responses: &'a [ResponsePlan], selector: &str) -> Result<&'a ResponsePlan, Failure> {
    let fits = |response: &&ResponsePlan| {
        response.pattern.as_ref().is_some_and(|pattern| pattern.is_match(selector))
    };
    let found = responses.iter().find(fits);
    found.or_else(|| responses.iter().find(|response| response.pattern.is_none())).ok_or_else(|| {
        Failure::configuration(format!("Execution failed due to configuration error: No match for output mapping and no default output mapping configured. Endpoint Response Status Code: {selector}"))
    })
}

/// The last media type that the client accepts, JSON, or the first template there is.
fn choose<'a>(response: &'a ResponsePlan, accept: Option<&str>) -> Option<&'a Prepared> {
    let templates = &response.templates;
    let accepted = accept.map(|accept| accept.trim().to_lowercase());
    let named = accepted.and_then(|accepted| templates.get(&accepted));
    named.or_else(|| templates.get("application/json")).or_else(|| templates.values().next())
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html>
fn converted(call: &Call, response: &ResponsePlan, backend: &Reply) -> Result<Bytes, Failure> {
    let known = &call.compiled.api.binary_media_types;
    let is_binary = binary::matches(known, backend.headers.get("content-type"));
    let accepts_binary = binary::matches(known, call.headers.get("accept"));
    let handling = response.record.content_handling.as_deref();
    let to_text = handling == Some("CONVERT_TO_TEXT") || (handling.is_none() && !accepts_binary);
    match (is_binary, to_text) {
        (true, true) => Ok(STANDARD.encode(&backend.body).into()),
        (true, false) => Ok(backend.body.clone()),
        (false, true) => Ok(match std::str::from_utf8(&backend.body) {
            Ok(_) => backend.body.clone(),
            Err(_) => String::from_utf8_lossy(&backend.body).into_owned().into(),
        }),
        (false, false) => STANDARD
            .decode(&backend.body)
            .map(Bytes::from)
            .map_err(|_| Failure::internal("Unable to base64 decode the body.")),
    }
}

fn remap(headers: &mut Headers, kind: &str) {
    let more: &[&str] = if matches!(kind, "HTTP" | "AWS") { &REMAPPED_MAPPED } else { &[] };
    for name in REMAPPED.iter().chain(more) {
        if let Some(value) = headers.get(name).map(str::to_owned) {
            headers.remove(name);
            headers.set(&format!("x-amzn-Remapped-{name}"), &value);
        }
    }
    headers.remove("Transfer-Encoding");
    if kind == "HTTP_PROXY" {
        headers.remove_all(&["Content-Encoding", "Via"]);
    }
}
