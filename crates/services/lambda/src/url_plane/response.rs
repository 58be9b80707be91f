//! What a function's answer becomes as an HTTP response.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
//! Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_invocation

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use sereno_base::base64_decode;
use sereno_kernel::Error;
use sereno_kernel::sandbox::InvokeReply;
use sereno_wire::{Body, ByteStream, HttpResponse};

use crate::stream::{Part, Streaming};

const JSON: &str = "application/json";
/// What `awslambda.HttpResponseStream.from` declares: a JSON head, eight zero bytes, the body.
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
const HEAD_END: [u8; 8] = [0; 8];
const HEAD_BYTES_MAX: usize = 1 << 20;

fn message(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status).with_header("content-type", JSON).with_body(body.to_string())
}

pub fn denied(why: Option<&str>) -> HttpResponse {
    message(403, &json!({ "Message": why }))
        .with_header("x-amzn-errortype", "AccessDeniedException")
}

pub fn too_large(limit: usize) -> HttpResponse {
    let why =
        format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
    message(413, &json!({ "Message": why }))
        .with_header("x-amzn-errortype", "RequestEntityTooLargeException")
}

/// The function did not run.
pub fn failed(error: &Error) -> HttpResponse {
    if error.code() == "TooManyRequestsException" {
        return message(
            429,
            &json!({"Reason": reason(error), "Type": "User", "message": error.message()}),
        )
        .with_header("x-amzn-errortype", "TooManyRequestsException");
    }
    bad_gateway()
}

fn reason(error: &Error) -> Option<String> {
    let detail = error.detail_shape().map(sereno_wire::to_json)?;
    detail["Reason"].as_str().map(str::to_owned)
}

/// Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_invocation_exception
fn bad_gateway() -> HttpResponse {
    HttpResponse::new(502).with_header("content-type", JSON).with_body("Internal Server Error")
}

pub fn whole(reply: &InvokeReply) -> HttpResponse {
    if reply.error.is_some() {
        return bad_gateway();
    }
    let Ok(value) = serde_json::from_slice::<Value>(&reply.payload) else { return bad_gateway() };
    match &value {
        Value::Object(answer) if answer.contains_key("statusCode") => structured(&value),
        Value::String(text) => plain(text.clone()),
        other => plain(other.to_string()),
    }
}

/// The answer of a function that does not stream to a URL that does: as it is, whatever it says.
/// Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_echo_invoke
pub fn unparsed(reply: &InvokeReply) -> HttpResponse {
    if reply.error.is_some() {
        return bad_gateway();
    }
    HttpResponse::new(200).with_header("content-type", JSON).with_body(reply.payload.clone())
}

fn plain(text: String) -> HttpResponse {
    HttpResponse::new(200).with_header("content-type", JSON).with_body(text)
}

/// Status, headers and cookies as the function gave them; `None`: they are not such.
fn head(answer: &Value) -> Option<HttpResponse> {
    let status = match &answer["statusCode"] {
        Value::Number(status) => status.as_u64()?,
        Value::String(status) => status.parse().ok()?,
        Value::Null => 200,
        _ => return None,
    };
    let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status))?;
    let mut response = HttpResponse::new(status);
    if let Some(headers) = answer["headers"].as_object() {
        for (name, value) in headers {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).ok()?;
            response.headers.insert(name, HeaderValue::from_str(&text).ok()?);
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        let cookie = HeaderValue::from_str(cookie.as_str()?).ok()?;
        response.headers.append(HeaderName::from_static("set-cookie"), cookie);
    }
    Some(response)
}

fn structured(answer: &Value) -> HttpResponse {
    let Some(mut response) = head(answer) else { return bad_gateway() };
    let body = match &answer["body"] {
        Value::Null => Bytes::new(),
        Value::String(text) if answer["isBase64Encoded"] == true => match base64_decode(text) {
            Some(bytes) => bytes.into(),
            None => return bad_gateway(),
        },
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    };
    if !response.headers.contains_key("content-type") {
        response.set_header("content-type", JSON);
    }
    response.with_body(body)
}

/// A response that comes while the function runs.
pub async fn streamed(content_type: Option<String>, mut rest: Streaming) -> HttpResponse {
    if content_type.as_deref() != Some(WITH_HEAD) {
        let kind = content_type.as_deref().unwrap_or("application/octet-stream");
        return HttpResponse::new(200)
            .with_header("content-type", kind)
            .with_body(Body::stream(Chunks { first: Bytes::new(), rest, done: false }, None));
    }
    let mut begun = BytesMut::new();
    let end = loop {
        if let Some(end) = begun.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) {
            break end;
        }
        match std::future::poll_fn(|cx| rest.poll_part(cx)).await {
            Part::Chunk(chunk) if begun.len() + chunk.len() <= HEAD_BYTES_MAX => {
                begun.extend_from_slice(&chunk);
            }
            _ => return bad_gateway(),
        }
    };
    let answer = serde_json::from_slice::<Value>(&begun[..end]).unwrap_or_default();
    let first = begun.freeze().slice(end + HEAD_END.len()..);
    let Some(mut response) = answer.is_object().then(|| head(&answer)).flatten() else {
        return bad_gateway();
    };
    if !response.headers.contains_key("content-type") {
        response.set_header("content-type", "application/octet-stream");
    }
    response.with_body(Body::stream(Chunks { first, rest, done: false }, None))
}

struct Chunks {
    /// What came together with the head.
    first: Bytes,
    rest: Streaming,
    done: bool,
}

impl ByteStream for Chunks {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.first))));
        }
        if this.done {
            return Poll::Ready(None);
        }
        this.rest.poll_part(cx).map(|part| match part {
            Part::Chunk(chunk) => Some(Ok(chunk)),
            Part::End(reply) => {
                this.done = true;
                // What has begun with 200 can only break off.
                let broken = !matches!(&reply, Ok(reply) if reply.error.is_none());
                broken.then(|| Err(io::Error::other("the function failed")))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response_of(payload: &str) -> (u16, Option<String>, Bytes) {
        let reply = InvokeReply {
            payload: payload.to_owned().into(),
            error: None,
            log_tail: Bytes::new(),
            duration_us: 0,
            billed_ms: 0,
            init_us: None,
            max_memory_used_mb: 0,
            content_type: None,
            log_stream: String::new(),
        };
        let response = whole(&reply);
        let kind =
            response.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let Body::Bytes(body) = response.body else { panic!("a whole reply has a whole body") };
        (response.status, kind, body)
    }

    #[test]
    fn forms_as_recorded() {
        let json = Some("application/json".to_owned());
        let is = |payload: &str, body: &'static str| {
            assert_eq!(
                response_of(payload),
                (200, json.clone(), Bytes::from_static(body.as_bytes()))
            );
        };
        is(r#"{"hello": "world"}"#, r#"{"hello":"world"}"#);
        is(r#""hello""#, "hello");
        is("3.1", "3.1");
        is(r#"["hello", 3, true]"#, r#"["hello",3,true]"#);
        is(r#"{"statusCode": 200, "body": "body123"}"#, "body123");
        is(r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#, "hi");
        let (status, kind, _) =
            response_of(r#"{"statusCode": "302", "headers": {"Content-Type": "text/html"}}"#);
        assert_eq!((status, kind.as_deref()), (302, Some("text/html")));
        assert_eq!(response_of(r#"{"statusCode": "no"}"#).0, 502);
        assert_eq!(response_of(r#"{"statusCode": 200, "headers": {"a b": "c"}}"#).0, 502);
    }
}
