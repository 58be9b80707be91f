//! What extensions hear of their instance: its log lines and the platform's events, in batches.
//! https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html
//!
//! Invariants: an invocation never waits for a subscriber; what a slow one cannot take is dropped and counted; a subscriber
//! hears of everything since the start of the instance.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sereno_base::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::helper::{Helper, lock};
use crate::journal::now_ms;
use crate::runtime_api::refused;

const BODY_BYTES_MAX: usize = 64 * 1024;
/// Before anybody has subscribed, and for one who does not take what he asked for.
const WAITING_EVENTS_MAX: usize = 10_000;
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(5);

/// Where to connect inside of an instance's network.
pub struct Inside {
    pub helper: Arc<Helper>,
    pub id: u64,
}

#[derive(Default)]
pub struct Telemetry {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inside: Option<Arc<Inside>>,
    subscribers: Vec<Subscriber>,
    /// Everything so far, for those who subscribe while the instance starts.
    first: Vec<Value>,
    closed: bool,
}

struct Subscriber {
    types: Vec<String>,
    events: mpsc::Sender<Value>,
}

struct Terms {
    items_max: usize,
    bytes_max: usize,
    timeout: Duration,
    port: u16,
    /// The path of HTTP; `None`: plain TCP, one object a line.
    path: Option<String>,
}

impl Telemetry {
    pub fn connect(&self, inside: Inside) {
        lock(&self.state).inside = Some(Arc::new(inside));
    }

    /// The start is over: what nobody asked for is forgotten.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.first = Vec::new();
    }

    pub fn platform(&self, kind: &str, record: impl FnOnce() -> Value) {
        self.push("platform", || (format!("platform.{kind}"), record()));
    }

    pub fn function(&self, text: &str) {
        self.push("function", || ("function".to_owned(), json!(text)));
    }

    fn push(&self, class: &str, event: impl FnOnce() -> (String, Value)) {
        let mut state = lock(&self.state);
        if state.closed && state.subscribers.is_empty() {
            return;
        }
        let (kind, record) = event();
        let time = Timestamp::from_millis(now_ms()).iso8601_millis();
        let event = json!({"time": time, "type": kind, "record": record});
        for one in state.subscribers.iter().filter(|one| one.types.iter().any(|t| t == class)) {
            // Full: it is too slow, and this one is lost to it.
            let _ = one.events.try_send(event.clone());
        }
        if !state.closed && state.first.len() < WAITING_EVENTS_MAX {
            state.first.push(event);
        }
    }

    /// `PUT /2022-07-01/telemetry`, and `PUT /2020-08-15/logs`, which it came from.
    pub async fn subscribe(&self, name: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Ok(body) = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await else {
            return refused(StatusCode::BAD_REQUEST, "ValidationError", "The body is too long");
        };
        let wish: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let (types, terms) = match (types_of(&wish), terms_of(&wish)) {
            (Ok(types), Ok(terms)) => (types, terms),
            (Err(message), _) | (_, Err(message)) => {
                return refused(StatusCode::BAD_REQUEST, "ValidationError", &message);
            }
        };
        let mut state = lock(&self.state);
        let Some(inside) = state.inside.clone().filter(|_| !state.closed) else {
            let message = "Telemetry API subscription is closed already";
            let kind = "Telemetry.SubscriptionClosed";
            return refused(StatusCode::FORBIDDEN, kind, message);
        };
        let (events, heard) = mpsc::channel(WAITING_EVENTS_MAX);
        for event in &state.first {
            let class = event["type"].as_str().and_then(|kind| kind.split('.').next());
            if types.iter().any(|wanted| Some(wanted.as_str()) == class) {
                let _ = events.try_send(event.clone());
            }
        }
        state.subscribers.push(Subscriber { types: types.clone(), events });
        drop(state);
        tokio::spawn(deliver(inside, terms, heard));
        let record = json!({"name": name, "state": "Subscribed", "types": types});
        self.platform("telemetrySubscription", || record);
        Response::new(Full::new(Bytes::from_static(b"\"OK\"")))
    }
}

fn types_of(wish: &Value) -> Result<Vec<String>, String> {
    let types: Vec<String> = wish["types"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|kind| kind.as_str().map(str::to_owned))
        .collect();
    let known = |kind: &String| matches!(kind.as_str(), "platform" | "function" | "extension");
    if types.is_empty() || !types.iter().all(known) {
        return Err("types: platform, function and extension can be subscribed to".to_owned());
    }
    Ok(types)
}

/// Bounds: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html
fn terms_of(wish: &Value) -> Result<Terms, String> {
    let number = |name: &str, default: u64, from: u64, to: u64| match &wish["buffering"][name] {
        Value::Null => Ok(default),
        value => value
            .as_u64()
            .filter(|number| (from..=to).contains(number))
            .ok_or_else(|| format!("buffering.{name} must be between {from} and {to}")),
    };
    let target = &wish["destination"];
    let (port, path) = match target["protocol"].as_str() {
        Some("TCP") => (target["port"].as_u64(), None),
        Some("HTTP") => {
            let uri = target["URI"].as_str().unwrap_or_default();
            let rest = ["http://sandbox.localdomain", "http://sandbox"]
                .iter()
                .find_map(|prefix| uri.strip_prefix(prefix))
                .ok_or("destination.URI must begin with http://sandbox.localdomain")?;
            let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let port = port.strip_prefix(':').map_or(Some(80), |port| port.parse().ok());
            (port, Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
        }
        _ => return Err("destination.protocol must be HTTP or TCP".to_owned()),
    };
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    Ok(Terms {
        items_max: number("maxItems", 10_000, 1000, 10_000)? as usize,
        bytes_max: number("maxBytes", 262_144, 262_144, 1_048_576)? as usize,
        timeout: Duration::from_millis(number("timeoutMs", 1000, 25, 30_000)?),
        port: port.ok_or("destination has no port")?,
        path,
    })
}

async fn deliver(inside: Arc<Inside>, terms: Terms, mut heard: mpsc::Receiver<Value>) {
    while let Some(first) = heard.recv().await {
        let until = Instant::now() + terms.timeout;
        let mut bytes = first.to_string().len();
        let mut batch = vec![first];
        while batch.len() < terms.items_max && bytes < terms.bytes_max {
            match tokio::time::timeout_at(until, heard.recv()).await {
                Ok(Some(event)) => {
                    bytes += event.to_string().len();
                    batch.push(event);
                }
                Ok(None) | Err(_) => break,
            }
        }
        let sent = tokio::time::timeout(DELIVERY_TIME_MAX, send(&inside, &terms, &batch)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // Once more: a subscriber may ask before it listens.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let _ = tokio::time::timeout(DELIVERY_TIME_MAX, send(&inside, &terms, &batch)).await;
        }
    }
}

async fn send(inside: &Inside, terms: &Terms, batch: &[Value]) -> std::io::Result<()> {
    let mut stream = inside.helper.connect_inside(inside.id, terms.port).await?;
    let Some(path) = &terms.path else {
        let lines: String = batch.iter().map(|event| format!("{event}\n")).collect();
        return stream.write_all(lines.as_bytes()).await;
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    let serving = tokio::spawn(connection);
    let request = Request::post(path.as_str())
        .header("host", "sandbox.localdomain")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(Value::from(batch).to_string())))
        .map_err(std::io::Error::other)?;
    let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
    let status = response.status();
    serving.abort();
    if status.is_success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_checked() {
        let wish = |destination: Value, buffering: Value| {
            terms_of(&json!({"destination": destination, "buffering": buffering}))
        };
        let http = json!({"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/logs"});
        let terms = wish(http.clone(), json!({"timeoutMs": 100})).ok().unwrap();
        assert_eq!((terms.port, terms.path.as_deref()), (8080, Some("/logs")));
        assert_eq!(terms.timeout, Duration::from_millis(100));
        assert!(wish(http, json!({"timeoutMs": 1})).is_err());
        let tcp = wish(json!({"protocol": "TCP", "port": 9999}), Value::Null).ok().unwrap();
        assert_eq!((tcp.port, tcp.path), (9999, None));
        let elsewhere = json!({"protocol": "HTTP", "URI": "http://example.com"});
        assert!(wish(elsewhere, Value::Null).is_err());
        assert!(types_of(&json!({"types": ["platform"]})).is_ok());
        assert!(types_of(&json!({"types": ["all"]})).is_err());
    }
}
