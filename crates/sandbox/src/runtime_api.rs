//! What an instance reaches under `AWS_LAMBDA_RUNTIME_API`: the Runtime API, for `provided.*` and the official runtime
//! clients, and for every instance the Extensions and Telemetry APIs.
//! https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
//!
//! Invariants: an answer counts only for the invocation that is running; to the rest of the sandbox this looks exactly like
//! our own bootstraps' frames.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sereno_kernel::sandbox::InvokeRequest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::extensions::Extensions;
use crate::frames::{Frame, Kind};
use crate::helper::lock;
use crate::instance::RESPONSE_BYTES_MAX;
use crate::telemetry::Telemetry;

const PREFIX: &str = "/2018-06-01/runtime/";
const EXTENSIONS_PREFIX: &str = "/2020-01-01/extension/";
const TELEMETRY_PATHS: [&str; 2] = ["/2022-07-01/telemetry", "/2020-08-15/logs"];
/// Answers wait here only while the server is busy with the one before.
const FRAMES_WAITING_MAX: usize = 16;

/// The server's side.
pub struct RuntimeApi {
    offers: mpsc::Sender<Offer>,
    frames: mpsc::Receiver<Frame>,
    conversation: Arc<Conversation>,
    /// Where the machine's network is shared: who listens on a port of it.
    listener: Option<JoinHandle<()>>,
}

struct Offer {
    headers: HeaderMap,
    payload: Bytes,
    request_id: String,
}

/// What the runtime talks to.
pub struct Conversation {
    offers: tokio::sync::Mutex<mpsc::Receiver<Offer>>,
    frames: mpsc::Sender<Frame>,
    state: Mutex<State>,
    pub extensions: Extensions,
    pub telemetry: Telemetry,
    /// Does the function's runtime speak this, and not frames?
    custom: bool,
}

#[derive(Default)]
struct State {
    ready: bool,
    running: Option<String>,
}

impl RuntimeApi {
    pub fn new(custom: bool, extensions: Extensions) -> RuntimeApi {
        let (offers, offered) = mpsc::channel(1);
        let (answered, frames) = mpsc::channel(FRAMES_WAITING_MAX);
        let conversation = Arc::new(Conversation {
            offers: tokio::sync::Mutex::new(offered),
            frames: answered,
            state: Mutex::default(),
            extensions,
            telemetry: Telemetry::default(),
            custom,
        });
        RuntimeApi { offers, frames, conversation, listener: None }
    }

    /// For an instance's own network, which leads connections here.
    pub fn conversation(&self) -> Arc<Conversation> {
        Arc::clone(&self.conversation)
    }

    /// On a port of the machine, for instances without a network of their own.
    pub async fn listen(&mut self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let conversation = self.conversation();
        self.listener = Some(tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let conversation = Arc::clone(&conversation);
                tokio::spawn(async move { conversation.serve(socket).await });
            }
        }));
        Ok(address)
    }

    /// Has the next call of `invocation/next` answered with this event.
    pub async fn offer(&mut self, request: &InvokeRequest, deadline_ms: i64) {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set("content-type", "application/json");
        set("lambda-runtime-aws-request-id", &request.request_id);
        set("lambda-runtime-deadline-ms", &deadline_ms.to_string());
        set("lambda-runtime-invoked-function-arn", &request.invoked_function_arn);
        if !request.trace_id.is_empty() {
            set("lambda-runtime-trace-id", &request.trace_id);
        }
        if let Some(context) = &request.client_context {
            set("lambda-runtime-client-context", context);
        }
        if let Some(identity) = &request.cognito_identity {
            set("lambda-runtime-cognito-identity", identity);
        }
        let offer = Offer {
            headers,
            payload: request.payload.clone(),
            request_id: request.request_id.clone(),
        };
        let _ = self.offers.send(offer).await;
    }

    /// What the runtime says next. Can be cancelled without loss.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        match self.frames.recv().await {
            Some(frame) => Ok(Some(frame)),
            // The process's end is told by other means.
            None => std::future::pending().await,
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Conversation {
    /// Serves one connection until it closes.
    pub async fn serve(self: &Arc<Self>, socket: TcpStream) {
        let service = service_fn(|request| {
            let conversation = Arc::clone(self);
            async move { Ok::<_, Infallible>(conversation.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service);
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if let Some(path) = path.strip_prefix(EXTENSIONS_PREFIX) {
            return self.extensions.serve(path, request).await;
        }
        if TELEMETRY_PATHS.contains(&path.as_str()) && request.method() == Method::PUT {
            return match self.extensions.known(&request) {
                Some(name) => self.telemetry.subscribe(&name, request).await,
                None => {
                    let kind = "Extension.UnknownExtensionIdentifier";
                    refused(StatusCode::FORBIDDEN, kind, "Unknown extension")
                }
            };
        }
        let Some(path) = path.strip_prefix(PREFIX).filter(|_| self.custom) else {
            return refused(StatusCode::NOT_FOUND, "NotFound", "No such API");
        };
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next_invocation().await,
            (&Method::POST, ["invocation", id, "response"]) => self.response(id, request).await,
            (&Method::POST, ["invocation", id, "error"]) => self.error(id, request).await,
            (&Method::POST, ["init", "error"]) => self.init_error(request).await,
            _ => refused(StatusCode::NOT_FOUND, "NotFound", "No such API"),
        }
    }

    async fn next_invocation(&self) -> Response<Full<Bytes>> {
        let first = !std::mem::replace(&mut lock(&self.state).ready, true);
        if first {
            self.tell(Kind::Ready, Bytes::new()).await;
        }
        let Some(offer) = self.offers.lock().await.recv().await else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "Runtime.Closed", "Shutting down");
        };
        lock(&self.state).running = Some(offer.request_id);
        let mut response = Response::new(Full::new(offer.payload));
        *response.headers_mut() = offer.headers;
        response
    }

    async fn response(&self, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_running(id) {
            return wrong_id();
        }
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        if header("lambda-runtime-function-response-mode").eq_ignore_ascii_case("streaming") {
            let content_type = header("content-type").to_owned();
            return self.stream(content_type, request.into_body()).await;
        }
        match Limited::new(request.into_body(), RESPONSE_BYTES_MAX).collect().await {
            Ok(body) => {
                self.finish(Kind::Result, body.to_bytes()).await;
                accepted()
            }
            Err(error) if error.is::<LengthLimitError>() => {
                lock(&self.state).running = None;
                let frame = Frame {
                    kind: Kind::Result,
                    body: Bytes::new(),
                    too_long: Some(RESPONSE_BYTES_MAX + 1),
                };
                let _ = self.frames.send(frame).await;
                let message =
                    format!("Exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes).");
                refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
            }
            Err(error) => refused(StatusCode::BAD_REQUEST, "InvalidRequest", &error.to_string()),
        }
    }

    /// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    async fn stream(&self, content_type: String, mut body: Incoming) -> Response<Full<Bytes>> {
        let start = json!({"contentType": content_type}).to_string();
        self.tell(Kind::StreamStart, Bytes::from(start)).await;
        let mut failure = Bytes::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                failure = Bytes::from_static(
                    br#"{"errorType":"Runtime.TruncatedResponse","errorMessage":"The response was cut off"}"#,
                );
                break;
            };
            match frame.into_data() {
                Ok(data) => self.tell(Kind::StreamChunk, data).await,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        failure = error_of(&trailers).unwrap_or(failure);
                    }
                }
            }
        }
        self.finish(Kind::StreamEnd, failure).await;
        accepted()
    }

    async fn error(&self, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_running(id) {
            return wrong_id();
        }
        match error_body(request).await {
            Ok(body) => {
                self.finish(Kind::Error, body).await;
                accepted()
            }
            Err(refusal) => refusal,
        }
    }

    async fn init_error(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if lock(&self.state).ready {
            let message = "State transition from Ready to InitError failed for runtime.";
            return refused(StatusCode::FORBIDDEN, "InvalidStateTransition", message);
        }
        match error_body(request).await {
            Ok(body) => {
                self.tell(Kind::StartFailed, body).await;
                accepted()
            }
            Err(refusal) => refusal,
        }
    }

    fn is_running(&self, id: &str) -> bool {
        lock(&self.state).running.as_deref() == Some(id)
    }

    async fn finish(&self, kind: Kind, body: Bytes) {
        lock(&self.state).running = None;
        self.tell(kind, body).await;
    }

    async fn tell(&self, kind: Kind, body: Bytes) {
        let _ = self.frames.send(Frame { kind, body, too_long: None }).await;
    }
}

/// The error as the caller shall see it: the body when it is JSON, else what the header says.
async fn error_body(request: Request<Incoming>) -> Result<Bytes, Response<Full<Bytes>>> {
    let kind = request.headers().get("lambda-runtime-function-error-type").cloned();
    let kind = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or("Runtime.Unknown");
    let kind = kind.to_owned();
    let body = Limited::new(request.into_body(), RESPONSE_BYTES_MAX).collect().await;
    let body = body
        .map_err(|error| {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &error.to_string())
        })?
        .to_bytes();
    let is_json = serde_json::from_slice::<Value>(&body).is_ok_and(|value| value.is_object());
    if is_json {
        return Ok(body);
    }
    Ok(Bytes::from(json!({"errorType": kind, "errorMessage": ""}).to_string()))
}

fn error_of(trailers: &HeaderMap) -> Option<Bytes> {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
    let kind = text("lambda-runtime-function-error-type")?;
    let body = text("lambda-runtime-function-error-body").and_then(decode_base64);
    Some(body.unwrap_or_else(|| Bytes::from(json!({"errorType": kind}).to_string())))
}

fn decode_base64(text: &str) -> Option<Bytes> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok().map(Bytes::from)
}

fn accepted() -> Response<Full<Bytes>> {
    answer(StatusCode::ACCEPTED, json!({"status": "OK"}))
}

fn wrong_id() -> Response<Full<Bytes>> {
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
}

pub fn refused(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    answer(status, json!({"errorMessage": message, "errorType": kind}))
}

pub fn answer(status: StatusCode, body: Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
