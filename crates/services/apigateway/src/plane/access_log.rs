//! Access logs: one line per request into a log group, as the stage's format says.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html>

use serde_json::Value;
use sereno_api_logs as logs;
use sereno_kernel::{Ctx, Error, Result};
use sereno_wire::HttpResponse;

use super::call::Call;
use super::failure::Failure;
use super::mapping;
use crate::state::{ACCOUNT, ACCOUNT_KEY};

/// Writes the line behind the request's back: the client does not wait for it.
pub fn write(call: &Call, response: &HttpResponse, failure: Option<&Failure>) {
    let stage = &call.stage;
    let (Some(group), Some(format)) = (&stage.access_log_destination, &stage.access_log_format)
    else {
        return;
    };
    let line = line(format, call, response, failure);
    let (ctx, group) = (call.ctx.clone(), group.clone());
    let stream = format!("{:08x}{:016x}{:08x}", hash(&stage.name), 0, hash(call.api_id()));
    let time_ms = call.time.millis();
    tokio::spawn(async move {
        if let Err(error) = put(&ctx, &group, &stream, time_ms, line).await {
            eprintln!("{} apigateway: access log {group}: {error}", ctx.request_id());
        }
    });
}

/// A stage keeps to one stream, whose name looks like AWS's own: 32 hexadecimal digits.
fn hash(text: &str) -> u32 {
    text.bytes()
        .fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

async fn put(ctx: &Ctx, group: &str, stream: &str, time_ms: i64, line: String) -> Result<()> {
    let account = ACCOUNT.get(ctx.store(), ctx.scope(), ACCOUNT_KEY).await?;
    let role = account.and_then(|account| account.cloudwatch_role_arn);
    let role = role.ok_or_else(|| {
        Error::internal(
            "CloudWatch Logs role ARN must be set in account settings to enable logging",
        )
    })?;
    let acting = ctx.as_role(&role, "api-gateway-logs", "apigateway.amazonaws.com").await?;
    let group = group.rsplit_once(":log-group:").map_or(group, |(_, name)| name);
    let events = logs::PutLogEventsInput {
        log_group_name: group.to_owned(),
        log_stream_name: stream.to_owned(),
        log_events: vec![logs::InputLogEvent { timestamp: time_ms, message: line }],
        ..Default::default()
    };
    match acting.call::<logs::PutLogEvents>(events.clone()).await {
        Err(error) if error.code() == "ResourceNotFoundException" => {
            let input = logs::CreateLogStreamInput {
                log_group_name: group.to_owned(),
                log_stream_name: stream.to_owned(),
            };
            match acting.call::<logs::CreateLogStream>(input).await {
                Err(error) if error.code() != "ResourceAlreadyExistsException" => {
                    return Err(error);
                }
                _ => {}
            }
            acting.call::<logs::PutLogEvents>(events).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// Fills in `$context.x`; what is not known is a dash.
fn line(format: &str, call: &Call, response: &HttpResponse, failure: Option<&Failure>) -> String {
    let mut out = String::with_capacity(format.len() * 2);
    let mut rest = format;
    while let Some(at) = rest.find("$context.") {
        out.push_str(&rest[..at]);
        rest = &rest[at + "$context.".len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
            .unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('.');
        rest = &rest[name.len()..];
        match value(name, call, response, failure).filter(|value| !value.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push('-'),
        }
    }
    out.push_str(rest);
    out
}

fn value(
    name: &str,
    call: &Call,
    response: &HttpResponse,
    failure: Option<&Failure>,
) -> Option<String> {
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    match name {
        "status" => Some(response.status.to_string()),
        "responseLength" => response.body.len().map(|length| length.to_string()),
        "responseLatency" => number(Some(call.ctx.now().millis() - call.time.millis())),
        "integrationLatency" | "integration.latency" => number(call.integration_ms),
        "integrationStatus" | "integration.status" | "integration.integrationStatus" => {
            call.integration_status.map(|status| status.to_string())
        }
        "integrationErrorMessage" | "integration.error" => failure?.log.clone(),
        "error.message" => failure?.message.clone(),
        "error.messageString" => {
            failure?.message.as_ref().map(|text| Value::from(text.as_str()).to_string())
        }
        "error.responseType" => failure.map(|failure| failure.kind.to_owned()),
        "error.validationErrorString" => failure?.validation.clone(),
        "xrayTraceId" => Some(call.trace_id.clone()),
        _ => mapping::context_value(call, name),
    }
}
