//! Lambda functions: `AWS_PROXY`, `AWS`, and authorizers.
//!
//! Invariant: a function is called as `apigateway.amazonaws.com` for the method's ARN, or as the role
//! that the API names; never with the rights of whoever sent the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use sereno_api_lambda as lambda;
use sereno_base::Region;
use sereno_kernel::{Ctx, Error, Kind};

use super::event::proxy_event;
use crate::plane::call::Call;
use crate::plane::compiled::IntegrationPlan;
use crate::plane::failure::Failure;
use crate::plane::headers::Headers;
use crate::plane::reply::Reply;
use crate::plane::request::Outgoing;
use crate::plane::{binary, mapping};
use crate::role;

pub const PRINCIPAL: &str = "apigateway.amazonaws.com";
const SESSION: &str = "BackplaneAssumeRoleSession";
const ANSWER_KEYS: [&str; 5] =
    ["isBase64Encoded", "statusCode", "headers", "multiValueHeaders", "body"];

/// Why a function did not answer.
pub enum Fault {
    Denied(Error),
    Other(Error),
}

/// `arn:aws:lambda:...` of `arn:aws:apigateway:region:lambda:path/2015-03-31/functions/{arn}/invocations`.
pub fn function_arn(uri: &str) -> Option<&str> {
    let (_, path) = uri.split_once(":lambda:path/")?;
    let (_, rest) = path.split_once("/functions/")?;
    let arn = rest.strip_suffix("/invocations").unwrap_or(rest);
    (!arn.is_empty()).then_some(arn)
}

/// The context in which the gateway itself acts: as the API's role, or as the service for `source_arn`.
pub async fn acting(
    call: &Call,
    credentials: Option<&str>,
    source_arn: &str,
) -> Result<Ctx, Error> {
    match credentials.filter(|text| !text.is_empty()) {
        // Credentials of the caller are passed through.
        Some(text) if role::is_callers(text) => Ok(call.ctx.clone()),
        Some(role) => {
            let role = mapping::with_variables(role, call);
            if !role::is_own(&call.ctx, &role) {
                let message = format!("{role} is of another account");
                return Err(Error::new(Kind::Denied, "AccessDeniedException", message));
            }
            call.ctx.as_role(&role, SESSION, PRINCIPAL).await
        }
        None => Ok(call.ctx.as_service(PRINCIPAL, Some(source_arn))),
    }
}

/// Calls a function; its payload and what kind of error it had.
pub async fn invoke(
    call: &Call,
    uri: &str,
    credentials: Option<&str>,
    source_arn: &str,
    invocation_type: Option<lambda::InvocationType>,
    payload: Bytes,
) -> Result<lambda::InvokeOutput, Fault> {
    let arn = function_arn(uri).ok_or_else(|| {
        Fault::Other(Error::invalid("InvalidUri", format!("no function in {uri}")))
    })?;
    let acting = acting(call, credentials, source_arn).await.map_err(Fault::Denied)?;
    let region = arn.split(':').nth(3).and_then(Region::parse).unwrap_or(call.ctx.region());
    let input = lambda::InvokeInput {
        function_name: arn.to_owned(),
        invocation_type,
        payload: Some(payload),
        ..Default::default()
    };
    acting.in_region(region).call::<lambda::Invoke>(input).await.map_err(|error| {
        match error.kind() {
            Kind::Denied => Fault::Denied(error),
            _ => Fault::Other(error),
        }
    })
}

pub async fn proxy(
    call: &Call,
    plan: &IntegrationPlan,
    outgoing: &Outgoing,
) -> Result<Reply, Failure> {
    if outgoing.method != "POST" {
        return Err(Failure::internal(
            "Execution failed due to configuration error: a Lambda function is called by POST only",
        ));
    }
    let payload = proxy_event(call, outgoing).to_string();
    let credentials = plan.record.credentials.as_deref();
    let output =
        invoke(call, &outgoing.uri, credentials, &call.source_arn(), None, payload.into()).await;
    let output = output.map_err(|fault| match fault {
        Fault::Denied(error) => Failure::internal(format!("Execution failed due to configuration error: Invalid permissions on Lambda function: {error}")),
        Fault::Other(error) => Failure::malformed(format!("Execution failed due to configuration error: {error}")),
    })?;
    let payload = output.payload.unwrap_or_default();
    let accepts_binary =
        binary::matches(&call.compiled.api.binary_media_types, call.headers.get("accept"));
    answer(&payload, accepts_binary)
}

/// Reads a function's answer: all members are optional, others are not allowed.
fn answer(payload: &[u8], accepts_binary: bool) -> Result<Reply, Failure> {
    let malformed = || {
        Failure::malformed(
            "Execution failed due to configuration error: Malformed Lambda proxy response",
        )
    };
    let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(payload) else {
        return Err(malformed());
    };
    if let Some(message) = map.get("errorMessage") {
        return Err(Failure::malformed(format!(
            "Lambda execution failed with status 200 due to customer function error: {message}"
        )));
    }
    if map.keys().any(|key| !ANSWER_KEYS.contains(&key.as_str())) {
        return Err(malformed());
    }
    let status = match map.get("statusCode") {
        None | Some(Value::Null) => Some(200),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let status = status.and_then(|s| u16::try_from(s).ok()).filter(|s| (100..1000).contains(s));
    let status = status.ok_or_else(malformed)?;
    let headers = answer_headers(&map).ok_or_else(malformed)?;
    let body = match map.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(_) => return Err(malformed()),
    };
    let is_base64 = map.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default();
    let body = if is_base64 && accepts_binary {
        let decoded = STANDARD.decode(&body).map_err(|_| {
            Failure::internal(
                "Execution failed due to configuration error: Unable to base64 decode the body.",
            )
        })?;
        decoded.into()
    } else {
        body
    };
    Ok(Reply { status, headers, body })
}

/// `multiValueHeaders` before those of `headers`; where both have a name, all values are kept.
fn answer_headers(map: &serde_json::Map<String, Value>) -> Option<Headers> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let object = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Object(members)) => Some(Some(members)),
        Some(_) => None,
    };
    let mut headers = Headers::default();
    for (name, values) in object("multiValueHeaders")?.into_iter().flatten() {
        let Value::Array(values) = values else { return None };
        for value in values {
            headers.add(name, &text(value)?);
        }
    }
    for (name, value) in object("headers")?.into_iter().flatten() {
        match value {
            Value::String(_) | Value::Bool(_) => headers.add(name, &text(value)?),
            _ => return None,
        }
    }
    headers.set_default("Content-Type", "application/json");
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_in_uris() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f:live";
        let uri = format!(
            "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
        );
        assert_eq!(function_arn(&uri), Some(arn));
        assert_eq!(function_arn("arn:aws:apigateway:us-east-1:s3:path/x"), None);
    }

    /// Recorded: `test_lambda_aws_proxy_response_format`.
    #[test]
    fn answers() {
        let status = |text: &str| match answer(text.as_bytes(), false) {
            Ok(reply) => reply.status,
            Err(failure) => failure.status.unwrap(),
        };
        for (text, expected) in [
            ("{}", 200),
            (r#"{"statusCode":201,"body":"x"}"#, 201),
            (r#"{"statusCode":"202"}"#, 202),
            (r#"{"statusCode":"abc"}"#, 502),
            (r#"{"statusCode":200,"wrongValue":"x"}"#, 502),
            (r#"{"headers":{"a":true,"b":"x"}}"#, 200),
            (r#"{"headers":{"a":{"b":1}}}"#, 502),
            (r#"{"headers":[]}"#, 502),
            (r#"{"multiValueHeaders":{"a":"x"}}"#, 502),
            (r#"{"body":{"a":1}}"#, 502),
            (r#"{"errorMessage":"x"}"#, 502),
            ("[]", 502),
            ("null", 502),
            ("", 502),
        ] {
            assert_eq!(status(text), expected, "{text}");
        }
    }

    #[test]
    fn headers_of_both_kinds_are_merged() {
        let text = r#"{"headers":{"a":"1","B":"2"},"multiValueHeaders":{"b":["3","4"]}}"#;
        let headers = answer(text.as_bytes(), false).unwrap().headers;
        assert_eq!(headers.all("b").collect::<Vec<_>>(), ["3", "4", "2"]);
        assert_eq!(headers.get("content-type"), Some("application/json"));
    }

    #[test]
    fn base64_is_for_those_who_accept_it() {
        let text = br#"{"isBase64Encoded":true,"body":"aGk="}"#;
        assert_eq!(answer(text, true).unwrap().body, "hi");
        assert_eq!(answer(text, false).unwrap().body, "aGk=");
    }
}
