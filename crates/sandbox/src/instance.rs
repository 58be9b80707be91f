//! One instance: a jailed process that serves one invocation at a time.
//!
//! Invariants: between invocations nothing of one invocation is left in the pipes; an instance whose invocation was not
//! answered (end, timeout, nonsense) is killed and never used again; the time limit is kept by the server, whatever the
//! function does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sereno_kernel::sandbox::{InvokeReply, InvokeRequest, StreamPiece};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use crate::extensions::SHUTDOWN_TIME;
use crate::frames::{self, Frame, FrameReader, Kind};
use crate::helper::{End, Handles, Helper};
use crate::journal::{Recorder, now_ms};
use crate::launch::Held;
use crate::network::Network;
use crate::outcome::{Outcome, too_large};
use crate::report::{Failure, Figures, Style};
use crate::runtime_api::{Conversation, RuntimeApi};

/// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB, which AWS counts like this.
/// recorded: test_lambda.py::test_response_payload_too_large
pub const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;
/// An instance's credentials are those of its start: it ends before they do.
const AGE_MAX: Duration = Duration::from_secs(11 * 3600);
/// How often the memory of an invocation that runs long is looked at; files in `/tmp` make the group's own limit wider.
const MEMORY_LOOK_FIRST: Duration = Duration::from_millis(50);
const MEMORY_LOOK_MAX: Duration = Duration::from_millis(400);

/// How the runtime is spoken to.
pub enum Channel {
    Frames { to: Sender, from: FrameReader },
    Http(RuntimeApi),
}

/// What of the function's configuration matters while it runs.
#[derive(Clone)]
pub struct Terms {
    pub version: String,
    pub memory_mb: u32,
    pub timeout_ms: u64,
    pub style: Style,
    pub log_stream: String,
}

pub struct Instance {
    pub id: u64,
    pub helper: Arc<Helper>,
    pub handles: Handles,
    pub ended: oneshot::Receiver<End>,
    pub channel: Channel,
    /// What is reached under `AWS_LAMBDA_RUNTIME_API`.
    pub api: Arc<Conversation>,
    /// The runtime, as long as it waits for extensions.
    pub held: Option<Held>,
    /// Listens where the machine's network is shared.
    pub _aside: Option<RuntimeApi>,
    /// Its way out; ends with the instance.
    pub _network: Option<Network>,
    /// The process's own standard output and error.
    pub output: Receiver,
    pub terms: Terms,
    pub recorder: Recorder,
    /// How long the start took, until the first invocation has reported it.
    pub init_us: Option<u64>,
    pub frozen: bool,
    pub born: Instant,
    /// Modules it loaded that a zygote could have had ready.
    pub heavy_modules: bool,
}

/// Something that ends waiting.
pub enum Event {
    Frame(Frame),
    Ended(End),
    /// The runtime broke the protocol.
    Broken(String),
    TimedOut,
    OutOfMemory,
}

impl Instance {
    /// Has it ended while nobody looked?
    pub fn is_over(&mut self) -> bool {
        !matches!(self.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    /// As on AWS, where an instance lives for some hours at most.
    pub fn is_old(&self) -> bool {
        self.born.elapsed() > AGE_MAX
    }

    /// Ends it when it is idle: extensions that want to know are told, and have a little time.
    pub fn end(mut self: Box<Self>) {
        // Outside of a runtime (at the server's end) nobody could wait.
        let runtime = tokio::runtime::Handle::try_current();
        let told = !self.api.extensions.is_empty() && self.api.extensions.shut_down("spindown");
        match runtime {
            Ok(runtime) if told => {
                runtime.spawn(async move {
                    self.freeze(false).await;
                    self.next_event(Instant::now() + SHUTDOWN_TIME).await;
                    self.drain();
                    self.recorder.finish_lines();
                    self.kill();
                });
            }
            _ => self.kill(),
        }
    }

    pub fn kill(&self) {
        self.handles.kill();
    }

    /// Stops or continues all its processes.
    pub async fn freeze(&mut self, frozen: bool) {
        if self.frozen == frozen {
            return;
        }
        self.frozen = frozen;
        if !self.handles.freeze(frozen) {
            let signal = if frozen { libc::SIGSTOP } else { libc::SIGCONT };
            self.helper.signal(self.id, signal).await;
        }
    }

    /// Gives the event to the runtime. Must not be cancelled: half an event would be left in the pipe.
    pub async fn begin(&mut self, request: &InvokeRequest) -> std::io::Result<()> {
        self.recorder.begin_tail(request.tail);
        if let Some(line) = self.terms.style.start(&request.request_id, &self.terms.version) {
            self.recorder.say(line);
        }
        let deadline_ms = now_ms() + self.terms.timeout_ms as i64;
        if !self.api.extensions.is_empty() {
            self.api.extensions.begin(request, deadline_ms);
        }
        let version = &self.terms.version;
        self.api
            .telemetry
            .platform("start", || json!({"requestId": request.request_id, "version": version}));
        match &mut self.channel {
            Channel::Frames { to, .. } => {
                let header = json!({
                    "id": request.request_id,
                    "arn": request.invoked_function_arn,
                    "deadline": deadline_ms,
                    "trace": request.trace_id,
                    "client": request.client_context,
                    "identity": request.cognito_identity,
                })
                .to_string();
                let writing = frames::send_invocation(to, header.as_bytes(), &request.payload);
                // A runtime that does not read must not hold us longer than its time.
                let limit = Duration::from_millis(self.terms.timeout_ms);
                match tokio::time::timeout(limit, writing).await {
                    Ok(written) => written,
                    Err(_) => Ok(()),
                }
            }
            Channel::Http(api) => {
                api.offer(request, deadline_ms).await;
                Ok(())
            }
        }
    }

    /// Waits for the answer. Can be cancelled and called again.
    pub async fn finish(
        &mut self,
        request_id: &str,
        stream: Option<&mpsc::Sender<StreamPiece>>,
        started: Instant,
    ) -> Outcome {
        let deadline = started + Duration::from_millis(self.terms.timeout_ms);
        let mut collected = Streamed::default();
        let outcome = loop {
            let event = self.next_event(deadline).await;
            match event {
                Event::Frame(frame) => {
                    if let Some(outcome) =
                        self.answer(frame, request_id, stream, &mut collected).await
                    {
                        break outcome;
                    }
                }
                Event::Ended(end) => {
                    break Outcome::failed(&Failure::exited(end), request_id, "error");
                }
                Event::Broken(reason) => {
                    self.kill();
                    self.recorder.say(format!("[SERENO] {reason}\n"));
                    let end = End { signal: Some(libc::SIGKILL), ..End::default() };
                    break Outcome::failed(&Failure::exited(end), request_id, "error");
                }
                Event::OutOfMemory => {
                    self.kill();
                    let end =
                        End { signal: Some(libc::SIGKILL), out_of_memory: true, ..End::default() };
                    break Outcome::failed(&Failure::exited(end), request_id, "error");
                }
                Event::TimedOut => {
                    self.kill();
                    self.drain();
                    let timeout_ms = self.terms.timeout_ms;
                    let line = self.terms.style.timed_out(request_id, timeout_ms);
                    self.recorder.finish_lines();
                    self.recorder.say(line);
                    break Outcome::failed(&Failure::timed_out(timeout_ms), request_id, "timeout");
                }
            }
        };
        self.drain();
        self.recorder.finish_lines();
        outcome
    }

    /// END, REPORT, and the reply.
    pub fn reply(
        &mut self,
        outcome: Outcome,
        request: &Invocation,
        duration: Duration,
    ) -> InvokeReply {
        let duration_us = match outcome.status {
            "timeout" => self.terms.timeout_ms * 1000,
            _ => duration.as_micros() as u64,
        };
        let init_us = self.init_us.take();
        // Since August 2025 the start is billed too.
        // https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
        let billed_ms = (duration_us + init_us.unwrap_or(0)).div_ceil(1000).max(1);
        let peak_mb = (self.handles.memory_peak_bytes() / (1024 * 1024)) as u32;
        let max_memory_used_mb = match outcome.error_type.as_str() {
            "Runtime.OutOfMemory" => self.terms.memory_mb,
            _ => peak_mb.clamp(1, self.terms.memory_mb),
        };
        let style = self.terms.style;
        let figures = Figures {
            request_id: &request.request_id,
            duration_us,
            billed_ms,
            memory_mb: self.terms.memory_mb,
            memory_used_mb: max_memory_used_mb,
            init_us,
            status: outcome.status,
            error_type: &outcome.error_type,
            trace_id: &request.trace_id,
        };
        let done = || json!({"requestId": figures.request_id, "status": figures.status, "errorType": figures.error_type});
        self.api.telemetry.platform("runtimeDone", done);
        self.api.telemetry.platform("report", || figures.json());
        let lines = [style.end(&request.request_id), style.report(&figures), outcome.after_report];
        for line in lines.into_iter().flatten() {
            self.recorder.say(line);
        }
        InvokeReply {
            payload: outcome.payload,
            error: outcome.error,
            log_tail: Bytes::from(self.recorder.tail()),
            duration_us,
            billed_ms,
            init_us,
            max_memory_used_mb,
            content_type: outcome.content_type,
            log_stream: self.terms.log_stream.clone(),
        }
    }

    /// Waits until something is said or happens; what is printed meanwhile goes to the log.
    pub async fn next_event(&mut self, deadline: Instant) -> Event {
        let mut look = MEMORY_LOOK_FIRST;
        let alarm = tokio::time::sleep_until(deadline.min(Instant::now() + look));
        tokio::pin!(alarm);
        loop {
            let event = self.poll_once(&mut alarm).await;
            match event {
                Waited::Frame(Ok(Some(frame))) => match frame.kind {
                    Kind::Log | Kind::Printed => self.record(&frame),
                    _ => return Event::Frame(frame),
                },
                // Closed: the process is ending, and how is about to be told.
                Waited::Frame(Ok(None)) => return self.end_of_runtime(deadline).await,
                Waited::Frame(Err(error)) => return Event::Broken(error.to_string()),
                Waited::Output(bytes) if bytes.is_empty() => {
                    return self.end_of_runtime(deadline).await;
                }
                Waited::Output(bytes) => self.recorder.print_raw(&bytes),
                Waited::Ended(end) => {
                    self.drain();
                    return Event::Ended(end);
                }
                Waited::Alarm => {
                    let now = Instant::now();
                    if now >= deadline {
                        return Event::TimedOut;
                    }
                    if self.uses_too_much() {
                        return Event::OutOfMemory;
                    }
                    look = (look * 2).min(MEMORY_LOOK_MAX);
                    alarm.as_mut().reset(deadline.min(now + look));
                }
            }
        }
    }

    /// Waits for something else, as long as the instance does nothing but print. The wait must come true by `deadline`.
    pub async fn unless(
        &mut self,
        wait: impl Future<Output = bool>,
        deadline: Instant,
    ) -> Result<(), Event> {
        tokio::select! {
            came = wait => match came && self.api.extensions.failure().is_none() {
                true => Ok(()),
                false if came => Err(Event::Ended(End::default())),
                false => Err(Event::TimedOut),
            },
            event = self.next_event(deadline) => Err(event),
        }
    }

    async fn poll_once(&mut self, alarm: &mut std::pin::Pin<&mut Sleep>) -> Waited {
        let Instance { channel, output, ended, .. } = self;
        tokio::select! {
            biased;
            frame = next_frame(channel) => Waited::Frame(frame),
            bytes = read_some(output) => Waited::Output(bytes),
            end = ended => Waited::Ended(end.unwrap_or_default()),
            () = alarm => Waited::Alarm,
        }
    }

    async fn end_of_runtime(&mut self, deadline: Instant) -> Event {
        tokio::select! {
            end = &mut self.ended => {
                self.drain();
                Event::Ended(end.unwrap_or_default())
            }
            () = tokio::time::sleep_until(deadline) => Event::TimedOut,
        }
    }

    async fn answer(
        &mut self,
        frame: Frame,
        request_id: &str,
        stream: Option<&mpsc::Sender<StreamPiece>>,
        streamed: &mut Streamed,
    ) -> Option<Outcome> {
        let length = frame.too_long.unwrap_or(frame.body.len());
        match frame.kind {
            Kind::Result if length > RESPONSE_BYTES_MAX => Some(too_large()),
            Kind::Result => Some(Outcome::result(frame.body)),
            Kind::Error => Some(Outcome::reported(frame.body)),
            Kind::StreamStart => {
                let start: serde_json::Value =
                    serde_json::from_slice(&frame.body).unwrap_or_default();
                streamed.content_type = start["contentType"].as_str().map(str::to_owned);
                if let Some(stream) = stream {
                    let content_type = streamed.content_type.clone();
                    drop(stream.send(StreamPiece::Start { content_type }).await);
                }
                None
            }
            Kind::StreamChunk => {
                match stream {
                    // The reader may have gone; the function goes on, as on AWS.
                    Some(stream) => drop(stream.send(StreamPiece::Chunk(frame.body)).await),
                    // Longer than what may be answered is not kept.
                    None if streamed.collected.len() > RESPONSE_BYTES_MAX => {}
                    None => streamed.collected.extend_from_slice(&frame.body),
                }
                None
            }
            Kind::StreamEnd => {
                let mut outcome = match frame.body.is_empty() {
                    true => Outcome::result(Bytes::from(std::mem::take(&mut streamed.collected))),
                    false => Outcome::reported(frame.body),
                };
                outcome.content_type = streamed.content_type.take();
                if outcome.payload.len() > RESPONSE_BYTES_MAX {
                    outcome = too_large();
                }
                Some(outcome)
            }
            Kind::StartFailed | Kind::Ready | Kind::Log | Kind::Printed => {
                self.kill();
                let end = End { signal: Some(libc::SIGKILL), ..End::default() };
                Some(Outcome::failed(&Failure::exited(end), request_id, "error"))
            }
        }
    }

    fn record(&mut self, frame: &Frame) {
        match frame.kind {
            Kind::Printed => self.recorder.print(&frame.body),
            _ if frame.body.len() >= 9 => {
                let mut time = [0u8; 8];
                time.copy_from_slice(&frame.body[..8]);
                let text = String::from_utf8_lossy(&frame.body[9..]).into_owned();
                self.recorder.record(i64::from_le_bytes(time), text);
            }
            _ => {}
        }
    }

    /// What was printed before the answer is in the pipe by now.
    pub fn drain(&mut self) {
        let mut buffer = [0u8; 8192];
        // Straight from the pipe: the runtime's reactor may not have heard of these bytes yet.
        while let Ok(count) = rustix::io::read(&self.output, &mut buffer) {
            if count == 0 {
                break;
            }
            self.recorder.print_raw(&buffer[..count]);
        }
    }

    /// Anonymous memory over the function's size: its group's limit has room for `/tmp`, this has not.
    fn uses_too_much(&self) -> bool {
        let Some(file) = &self.handles.memory_statistics else { return false };
        let mut text = [0u8; 8192];
        let length = rustix::io::pread(file, &mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..length]);
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let bytes =
            line("total_rss ").or_else(|| line("anon ")).and_then(|n| n.trim().parse().ok());
        bytes.unwrap_or(0u64) > u64::from(self.terms.memory_mb) * 1024 * 1024
    }
}

/// What of a request is needed after it was given.
pub struct Invocation {
    pub request_id: String,
    pub trace_id: String,
}

#[derive(Default)]
struct Streamed {
    content_type: Option<String>,
    /// For callers that did not ask for a stream.
    collected: Vec<u8>,
}

enum Waited {
    Frame(std::io::Result<Option<Frame>>),
    Output(Vec<u8>),
    Ended(End),
    Alarm,
}

async fn next_frame(channel: &mut Channel) -> std::io::Result<Option<Frame>> {
    match channel {
        Channel::Frames { from, .. } => from.next().await,
        Channel::Http(api) => api.next().await,
    }
}

/// Something that was printed; empty at the end.
async fn read_some(output: &mut Receiver) -> Vec<u8> {
    let mut buffer = [0u8; 8192];
    loop {
        if output.readable().await.is_err() {
            return Vec::new();
        }
        match output.try_read(&mut buffer) {
            Ok(count) => return buffer[..count].to_vec(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Vec::new(),
        }
    }
}
