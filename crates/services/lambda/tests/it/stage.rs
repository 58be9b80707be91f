//! A sandbox without processes: each function is a closure of the test's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use sereno_base::{AccountId, Region};
use sereno_kernel::BoxFuture;
use sereno_kernel::sandbox::{
    FunctionError, FunctionId, InvokeFailure, InvokeReply, InvokeRequest, Package, PackageError,
    PackageInfo, Protection, Sandbox, SpecMaker, SpecSource, StreamPiece,
};

/// What a function does with an event.
pub enum Act {
    Answer(Value),
    Throw(&'static str),
    Throttle,
    /// Streams these, and fails after that if so said.
    Stream {
        content_type: Option<&'static str>,
        chunks: Vec<&'static [u8]>,
        fails: bool,
    },
    /// The invocation never comes back: the process will be killed meanwhile.
    Hang,
}

type Play = Box<dyn Fn(&Value) -> Act + Send + Sync>;

/// One invocation that a function saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub function: String,
    pub event: Value,
    pub request_id: String,
    pub trace_id: String,
    /// The reservation that it counts against.
    pub limit: Option<u32>,
}

#[derive(Default)]
pub struct Stage {
    plays: Mutex<HashMap<String, Play>>,
    seen: Mutex<Vec<Seen>>,
    /// Instances kept ready, by function and version.
    pub kept: Mutex<HashMap<(String, String), u32>>,
}

impl Stage {
    pub fn play(&self, function: &str, play: impl Fn(&Value) -> Act + Send + Sync + 'static) {
        self.plays.lock().unwrap().insert(function.to_owned(), Box::new(play));
    }

    pub fn seen(&self, function: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.function == function).cloned().collect()
    }

    fn act(&self, function: &str, request: &InvokeRequest) -> Act {
        let event: Value = serde_json::from_slice(&request.payload).unwrap();
        let act = match self.plays.lock().unwrap().get(function) {
            Some(play) => play(&event),
            None => Act::Answer(Value::Null),
        };
        if !matches!(act, Act::Throttle) {
            self.seen.lock().unwrap().push(Seen {
                function: function.to_owned(),
                event,
                request_id: request.request_id.clone(),
                trace_id: request.trace_id.clone(),
                limit: request.limits.function,
            });
        }
        act
    }
}

fn reply(payload: &Value, error: Option<FunctionError>) -> InvokeReply {
    InvokeReply {
        payload: Bytes::from(payload.to_string()),
        error,
        log_tail: Bytes::new(),
        duration_us: 1,
        billed_ms: 1,
        init_us: None,
        max_memory_used_mb: 1,
        content_type: None,
        log_stream: String::new(),
    }
}

/// The handle that the cloud holds.
pub struct Sandboxed(pub Arc<Stage>);

impl Sandbox for Sandboxed {
    fn invoke(
        &self,
        function: FunctionId,
        request: InvokeRequest,
        _: SpecSource,
    ) -> BoxFuture<'_, Result<InvokeReply, InvokeFailure>> {
        Box::pin(async move {
            match self.0.act(&function.name, &request) {
                Act::Answer(answer) => Ok(reply(&answer, None)),
                Act::Throw(message) => {
                    let answer = json!({"errorMessage": message, "errorType": "Exception"});
                    Ok(reply(&answer, Some(FunctionError::Unhandled)))
                }
                Act::Stream { content_type, chunks, fails } => {
                    if let Some(stream) = &request.stream {
                        let content_type = content_type.map(str::to_owned);
                        stream.send(StreamPiece::Start { content_type }).await.unwrap();
                        for chunk in chunks {
                            let piece = StreamPiece::Chunk(Bytes::from_static(chunk));
                            stream.send(piece).await.unwrap();
                        }
                    }
                    let answer = json!({"errorType": "Late"});
                    Ok(reply(&answer, fails.then_some(FunctionError::Unhandled)))
                }
                Act::Throttle => Err(InvokeFailure::Throttled { reserved: false }),
                Act::Hang => std::future::pending().await,
            }
        })
    }

    fn provision(
        &self,
        function: FunctionId,
        count: u32,
        spec: SpecMaker,
    ) -> BoxFuture<'_, Result<u32, InvokeFailure>> {
        Box::pin(async move {
            let spec = spec().await.map_err(InvokeFailure::Spec)?;
            assert_eq!(spec.initialization_type, "provisioned-concurrency");
            let key = (function.name, function.version);
            self.0.kept.lock().unwrap().insert(key, count);
            Ok(count)
        })
    }

    fn prepare(&self, _: Package, _: u64) -> BoxFuture<'_, Result<PackageInfo, PackageError>> {
        Box::pin(async { Ok(PackageInfo { unpacked_bytes: 1, files: 1 }) })
    }

    fn retire(&self, _: AccountId, _: Region, _: &str, _: Option<&str>, _: Option<&str>) {}

    fn retire_all(&self) {}

    fn in_flight(&self, _: AccountId, _: Region, _: &str) -> u32 {
        0
    }

    fn protections(&self) -> BoxFuture<'_, Vec<Protection>> {
        Box::pin(async { Vec::new() })
    }

    fn runtimes(&self) -> Vec<(String, Result<String, String>)> {
        Vec::new()
    }
}
