//! Extensions of one instance: who has registered, what they are told, whether they are done.
//! https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
//!
//! Invariants: an extension hears events in order, each once; an instance is free only when all have asked for the next one.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use sereno_kernel::sandbox::InvokeRequest;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::helper::lock;
use crate::journal::now_ms;
use crate::runtime_api::{answer, refused};

/// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const EXTENSIONS_MAX: usize = 10;
const BODY_BYTES_MAX: usize = 64 * 1024;
const IDENTIFIER: &str = "lambda-extension-identifier";
/// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// What extensions are told of their function.
#[derive(Clone, Default)]
pub struct About {
    pub name: String,
    pub version: String,
    pub handler: String,
    pub account: String,
}

#[derive(Default)]
pub struct Extensions {
    about: About,
    state: Mutex<State>,
    /// Somebody registered, gave up, or waits.
    changed: Notify,
    /// There is something to hear.
    news: Notify,
}

#[derive(Default)]
struct State {
    all: Vec<Extension>,
    /// Of `/opt/extensions`: these must register before the runtime starts.
    external: Vec<String>,
    /// The start is over: nobody registers any more.
    closed: bool,
    /// What one of them said of itself before it gave up.
    failure: Option<String>,
}

struct Extension {
    name: String,
    id: String,
    invoke: bool,
    shutdown: bool,
    pending: VecDeque<Value>,
    /// It waits for its next event.
    idle: bool,
}

impl Extensions {
    pub fn new(about: About, external: Vec<String>) -> Extensions {
        let state = State { external, ..State::default() };
        Extensions { about, state: Mutex::new(state), ..Extensions::default() }
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.state).all.is_empty()
    }

    /// Name, state and events of each, for the log.
    pub fn describe(&self) -> Vec<(String, Vec<&'static str>)> {
        let state = lock(&self.state);
        let events = |one: &Extension| {
            let events = [(one.invoke, "INVOKE"), (one.shutdown, "SHUTDOWN")];
            events.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect()
        };
        state.all.iter().map(|one| (one.name.clone(), events(one))).collect()
    }

    pub fn failure(&self) -> Option<String> {
        lock(&self.state).failure.clone()
    }

    async fn until(&self, deadline: Instant, is_so: impl Fn(&State) -> bool) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so(&lock(&self.state)) {
                return true;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return false;
            }
        }
    }

    /// Have all programs of `/opt/extensions` registered?
    pub async fn registered(&self, deadline: Instant) -> bool {
        let all_there = |state: &State| {
            state.failure.is_some()
                || state.external.iter().all(|name| state.all.iter().any(|one| one.name == *name))
        };
        self.until(deadline, all_there).await
    }

    /// Have all asked for their next event?
    pub async fn idle(&self, deadline: Instant) -> bool {
        let all_idle = |state: &State| {
            state.failure.is_some()
                || state.all.iter().all(|one| one.idle && one.pending.is_empty())
        };
        self.until(deadline, all_idle).await
    }

    /// The start is over.
    pub fn close(&self) {
        lock(&self.state).closed = true;
    }

    pub fn begin(&self, request: &InvokeRequest, deadline_ms: i64) {
        let event = json!({
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": request.request_id,
            "invokedFunctionArn": request.invoked_function_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": request.trace_id},
        });
        self.tell(&event, |one| one.invoke);
    }

    /// True when somebody wants to hear it.
    pub fn shut_down(&self, reason: &str) -> bool {
        let event = json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": reason,
            "deadlineMs": now_ms() + SHUTDOWN_TIME.as_millis() as i64,
        });
        self.tell(&event, |one| one.shutdown)
    }

    fn tell(&self, event: &Value, wanted: impl Fn(&Extension) -> bool) -> bool {
        let mut any = false;
        for one in lock(&self.state).all.iter_mut().filter(|one| wanted(one)) {
            one.pending.push_back(event.clone());
            any = true;
        }
        self.news.notify_waiters();
        any
    }

    /// A request below `/2020-01-01/extension/`.
    pub async fn serve(&self, path: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), path) {
            (&Method::POST, "register") => self.register(request).await,
            (&Method::GET, "event/next") => self.next(&request).await,
            (&Method::POST, "init/error" | "exit/error") => self.gave_up(&request),
            _ => refused(StatusCode::NOT_FOUND, "NotFound", "No such API"),
        }
    }

    async fn register(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let Some(name) = header("lambda-extension-name").filter(|name| !name.is_empty()) else {
            let message = "Empty extension name";
            return refused(StatusCode::FORBIDDEN, "Extension.InvalidExtensionName", message);
        };
        let with_account = header("lambda-extension-accept-feature")
            .is_some_and(|features| features.split(',').any(|one| one.trim() == "accountId"));
        let Ok(body) = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await else {
            return refused(
                StatusCode::BAD_REQUEST,
                "InvalidRequestFormat",
                "The body is too long",
            );
        };
        let wish: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let events: Vec<&str> =
            wish["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if events.iter().any(|event| !matches!(*event, "INVOKE" | "SHUTDOWN")) {
            let message = "Extension can only register for INVOKE and SHUTDOWN events";
            return refused(StatusCode::BAD_REQUEST, "Extension.InvalidEventType", message);
        }
        let id = match self.enter(name, &events) {
            Ok(id) => id,
            Err((kind, message)) => return refused(StatusCode::FORBIDDEN, kind, message),
        };
        let mut body = json!({
            "functionName": self.about.name,
            "functionVersion": self.about.version,
            "handler": self.about.handler,
        });
        if with_account {
            body["accountId"] = json!(self.about.account);
        }
        let mut response = answer(StatusCode::OK, body);
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(IDENTIFIER, id);
        }
        response
    }

    /// Its new identifier, or the refusal's type and message.
    fn enter(&self, name: String, events: &[&str]) -> Result<String, (&'static str, &'static str)> {
        let mut state = lock(&self.state);
        if state.closed {
            let message = "Extension registration closed already";
            return Err(("Extension.RegistrationClosed", message));
        }
        if state.all.iter().any(|one| one.name == name) {
            let message = "Extension with this name already registered";
            return Err(("Extension.AlreadyRegistered", message));
        }
        if state.all.len() == EXTENSIONS_MAX {
            return Err(("Extension.TooManyExtensions", "Extension limit (10) reached"));
        }
        let (invoke, shutdown) = (events.contains(&"INVOKE"), events.contains(&"SHUTDOWN"));
        if shutdown && !state.external.contains(&name) {
            // Within the runtime's own process there is no time between its end and the instance's.
            let message = "Internal extensions cannot register for SHUTDOWN events";
            return Err(("Extension.InvalidEventType", message));
        }
        let id = identifier();
        let pending = VecDeque::new();
        state.all.push(Extension { name, id: id.clone(), invoke, shutdown, pending, idle: false });
        drop(state);
        self.changed.notify_waiters();
        Ok(id)
    }

    async fn next(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(name) = self.known(request) else { return unknown() };
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let event = {
                let mut state = lock(&self.state);
                let Some(one) = state.all.iter_mut().find(|one| one.name == name) else {
                    return unknown();
                };
                let event = one.pending.pop_front();
                one.idle = event.is_none();
                event
            };
            self.changed.notify_waiters();
            if let Some(event) = event {
                let mut response = answer(StatusCode::OK, event);
                if let Ok(value) = HeaderValue::from_str(&identifier()) {
                    response.headers_mut().insert("lambda-extension-event-identifier", value);
                }
                return response;
            }
            news.await;
        }
    }

    fn gave_up(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if self.known(request).is_none() {
            return unknown();
        }
        let kind = request.headers().get("lambda-extension-function-error-type");
        let Some(kind) = kind.and_then(|kind| kind.to_str().ok()) else {
            let message = "Invalid function error type";
            return refused(StatusCode::BAD_REQUEST, "Extension.MissingHeader", message);
        };
        lock(&self.state).failure = Some(kind.to_owned());
        self.changed.notify_waiters();
        answer(StatusCode::ACCEPTED, json!({"status": "OK"}))
    }

    /// The name of the one who asks, when he has registered.
    pub fn known(&self, request: &Request<Incoming>) -> Option<String> {
        let id = request.headers().get(IDENTIFIER)?.to_str().ok()?;
        lock(&self.state).all.iter().find(|one| one.id == id).map(|one| one.name.clone())
    }
}

fn unknown() -> Response<Full<Bytes>> {
    let message = "Unknown extension";
    refused(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier", message)
}

/// A UUID.
fn identifier() -> String {
    let mut bytes = [0u8; 16];
    let _ = getrandom::fill(&mut bytes);
    let hex = sereno_base::hex(&bytes);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
