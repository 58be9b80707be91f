//! What development mode adds: health for tools that wait for it, and controls that empty the cloud or move its time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sereno_base::Timestamp;
use sereno_kernel::Cloud;
use sereno_wire::{Body, HttpRequest, HttpResponse};

const BODY_BYTES_MAX: usize = 64 << 10;
/// Years have four digits in all of AWS's formats.
const NOW_MAX: Timestamp = Timestamp::from_secs(253_402_300_799);

/// Whether a path may be one of this module's.
pub fn concerns(path: &str) -> bool {
    path.starts_with("/_") || path.starts_with("/moto-api/")
}

/// Answers the paths of this module; `None` for all others.
pub async fn answer(
    cloud: &Arc<Cloud>,
    development: bool,
    request: &mut HttpRequest,
) -> Option<HttpResponse> {
    let path = request.path.as_str();
    let get = request.method == "GET" || request.method == "HEAD";
    match path {
        "/_localstack/health" | "/_sereno/health" if get => {
            Some(json_response(200, &health(cloud)))
        }
        // A health check may also ask for a state change, which we do not have.
        "/_localstack/health" => Some(json_response(405, &json!({"message": "Use GET."}))),
        "/_sereno/reset" | "/_localstack/state/reset" | "/moto-api/reset" => {
            Some(controlled(development, request, reset(cloud)).await)
        }
        "/_sereno/clock" => {
            let body = std::mem::take(&mut request.body);
            Some(controlled(development, request, clock(cloud, body)).await)
        }
        _ => None,
    }
}

async fn controlled(
    development: bool,
    request: &HttpRequest,
    action: impl Future<Output = HttpResponse>,
) -> HttpResponse {
    if !development {
        let message = "This control exists in development mode only: sereno serve --development on";
        return json_response(403, &json!({ "message": message }));
    }
    // A page in a browser can send a POST anywhere, but not without saying so.
    if request.header("origin").is_some() || request.header("sec-fetch-site").is_some() {
        let message = "This control is not for web pages.";
        return json_response(403, &json!({ "message": message }));
    }
    if request.method != "POST" {
        return json_response(405, &json!({"message": "Use POST."}));
    }
    action.await
}

fn health(cloud: &Cloud) -> Value {
    let services: Map<String, Value> = cloud
        .services()
        .iter()
        .map(|service| (service.schema().name.to_owned(), Value::from("running")))
        .collect();
    json!({ "services": services, "edition": "sereno", "version": env!("CARGO_PKG_VERSION") })
}

async fn reset(cloud: &Arc<Cloud>) -> HttpResponse {
    match cloud.reset().await {
        Ok(()) => json_response(200, &json!({"status": "ok"})),
        Err(error) => json_response(500, &json!({"message": error.to_string()})),
    }
}

/// `{"advance_s": 3600}` moves time forward; the answer tells the time.
async fn clock(cloud: &Arc<Cloud>, body: Body) -> HttpResponse {
    let bytes = body.collect(BODY_BYTES_MAX).await.unwrap_or_default();
    let advance = match serde_json::from_slice::<Value>(&bytes) {
        Ok(command) => command.get("advance_s").and_then(Value::as_u64),
        Err(_) => None,
    };
    let Some(advance) = advance else {
        let message = "Send {\"advance_s\": N}: time can only move forward.";
        return json_response(400, &json!({ "message": message }));
    };
    let by = Duration::from_secs(advance);
    if cloud.clock().now().plus(by) > NOW_MAX {
        let message = "The year must stay below 10000.";
        return json_response(400, &json!({ "message": message }));
    }
    cloud.clock().advance(by);
    json_response(200, &json!({"now": cloud.clock().now().iso8601_millis()}))
}

fn json_response(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status)
        .with_header("content-type", "application/json")
        .with_body(body.to_string())
}
