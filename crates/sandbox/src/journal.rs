//! The log of an instance: what it prints, and the platform's own lines, gathered and handed on in batches.
//!
//! Invariants: an invocation never waits for the log; order within a stream is kept; what a sink cannot take now is tried
//! again for a while, then dropped and counted, so that a dead log never fills our memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sereno_base::Timestamp;
use sereno_kernel::Kind;
use sereno_kernel::sandbox::{LogEvent, LogSink};

use crate::helper::lock;
use crate::runtime_api::Conversation;

/// How long events gather before they are handed on.
const GATHER: Duration = Duration::from_millis(40);
/// CloudWatch Logs takes 10,000 events and 1 MiB at once, counting 26 bytes for each.
/// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const BATCH_EVENTS_MAX: usize = 10_000;
const BATCH_BYTES_MAX: usize = 1_048_576;
const EVENT_OVERHEAD_BYTES: usize = 26;
/// AWS cuts longer messages into several events.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 - EVENT_OVERHEAD_BYTES;
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
const ATTEMPTS_MAX: u32 = 8;

pub struct Journal {
    pub stream: String,
    sink: Arc<dyn LogSink>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    events: Vec<LogEvent>,
    bytes: usize,
    /// Time of the newest event. What comes later is not shown earlier: a record carries the runtime's own time, printed
    /// lines carry ours, and the order in which they arrived is the true one.
    newest_ms: i64,
    dropped: u64,
    delivering: bool,
}

impl Journal {
    pub fn new(stream: String, sink: Arc<dyn LogSink>) -> Arc<Journal> {
        Arc::new(Journal { stream, sink, waiting: Mutex::default() })
    }

    pub fn write(self: &Arc<Self>, timestamp_ms: i64, message: String) {
        let mut waiting = lock(&self.waiting);
        let timestamp_ms = timestamp_ms.max(waiting.newest_ms);
        waiting.newest_ms = timestamp_ms;
        for message in cut(message) {
            let bytes = message.len() + EVENT_OVERHEAD_BYTES;
            if waiting.bytes + bytes > WAITING_BYTES_MAX {
                waiting.dropped += 1;
                continue;
            }
            waiting.bytes += bytes;
            waiting.events.push(LogEvent { timestamp_ms, message });
        }
        if !waiting.delivering {
            waiting.delivering = true;
            let journal = Arc::clone(self);
            tokio::spawn(async move { journal.deliver().await });
        }
    }

    async fn deliver(&self) {
        loop {
            tokio::time::sleep(GATHER).await;
            let events = {
                let mut waiting = lock(&self.waiting);
                waiting.bytes = 0;
                if waiting.dropped > 0 {
                    let count = std::mem::take(&mut waiting.dropped);
                    let message = format!(
                        "[SERENO] {count} log events were dropped: the log did not take them in time\n"
                    );
                    let timestamp_ms = waiting.events.last().map_or(0, |event| event.timestamp_ms);
                    waiting.events.push(LogEvent { timestamp_ms, message });
                }
                if waiting.events.is_empty() {
                    waiting.delivering = false;
                    return;
                }
                std::mem::take(&mut waiting.events)
            };
            for batch in batches(events) {
                self.deliver_batch(batch).await;
            }
        }
    }

    async fn deliver_batch(&self, batch: Vec<LogEvent>) {
        let mut pause = GATHER;
        for _ in 0..ATTEMPTS_MAX {
            let Err(error) = self.sink.deliver(self.stream.clone(), batch.clone()).await else {
                return;
            };
            if !matches!(error.kind(), Kind::Throttled | Kind::Unavailable) {
                // A role without logs permissions, mostly: on AWS, too, such a function has no log.
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

fn cut(message: String) -> Vec<String> {
    if message.len() <= MESSAGE_BYTES_MAX {
        return vec![message];
    }
    let mut parts = Vec::new();
    let mut rest = message.as_str();
    while !rest.is_empty() {
        let mut end = rest.len().min(MESSAGE_BYTES_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        parts.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    parts
}

fn batches(events: Vec<LogEvent>) -> Vec<Vec<LogEvent>> {
    let mut all = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.message.len() + EVENT_OVERHEAD_BYTES;
        if batch.len() == BATCH_EVENTS_MAX || (!batch.is_empty() && bytes + size > BATCH_BYTES_MAX)
        {
            all.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(event);
    }
    if !batch.is_empty() {
        all.push(batch);
    }
    all
}

/// AWS's tail: the last 4 KB.
/// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-request-LogType
const TAIL_BYTES: usize = 4096;

/// What happens during one invocation, for the journal and for the caller's tail.
pub struct Recorder {
    journal: Arc<Journal>,
    /// Extensions may listen to what the function says.
    api: Arc<Conversation>,
    tail: Option<Vec<u8>>,
    printed: Vec<u8>,
    raw: Vec<u8>,
}

impl Recorder {
    pub fn new(journal: Arc<Journal>, api: Arc<Conversation>) -> Recorder {
        Recorder { journal, api, tail: None, printed: Vec::new(), raw: Vec::new() }
    }

    pub fn begin_tail(&mut self, wanted: bool) {
        self.tail = wanted.then(Vec::new);
    }

    pub fn take_tail(&mut self) -> Vec<u8> {
        self.tail.take().unwrap_or_default()
    }

    /// A line of the platform.
    pub fn say(&mut self, message: String) {
        self.write(now_ms(), message);
    }

    /// A record of the runtime.
    pub fn record(&mut self, timestamp_ms: i64, message: String) {
        self.api.telemetry.function(&message);
        self.write(timestamp_ms, message);
    }

    fn write(&mut self, timestamp_ms: i64, message: String) {
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(message.as_bytes());
            if !message.ends_with('\n') {
                tail.push(b'\n');
            }
            if tail.len() > 2 * TAIL_BYTES {
                tail.drain(..tail.len() - TAIL_BYTES);
            }
        }
        self.journal.write(timestamp_ms, message);
    }

    /// What our bootstraps' standard output and error carry.
    pub fn print(&mut self, bytes: &[u8]) {
        self.printed.extend_from_slice(bytes);
        let lines = take_lines(&mut self.printed);
        self.lines(lines);
    }

    /// What came through the process's own standard output and error.
    pub fn print_raw(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        let lines = take_lines(&mut self.raw);
        self.lines(lines);
    }

    /// Lines without an end become events now.
    pub fn finish_lines(&mut self) {
        for rest in [std::mem::take(&mut self.printed), std::mem::take(&mut self.raw)] {
            if !rest.is_empty() {
                self.record(now_ms(), String::from_utf8_lossy(&rest).into_owned());
            }
        }
    }

    /// The last 4 KB of this invocation's log.
    pub fn tail(&mut self) -> Vec<u8> {
        let mut tail = self.take_tail();
        if tail.len() > TAIL_BYTES {
            tail.drain(..tail.len() - TAIL_BYTES);
        }
        tail
    }

    fn lines(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            let now = now_ms();
            for line in lines {
                self.record(now, line);
            }
        }
    }
}

/// Complete lines, with their ends, and what is too long to wait for its end.
fn take_lines(buffer: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(length) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        let end = start + length + 1;
        lines.push(String::from_utf8_lossy(&buffer[start..end]).into_owned());
        start = end;
    }
    buffer.drain(..start);
    if buffer.len() > MESSAGE_BYTES_MAX {
        lines.push(String::from_utf8_lossy(buffer).into_owned());
        buffer.clear();
    }
    lines
}

/// Instances run by the machine's clock, not by a test's.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_millis() as i64)
}

/// `2016/12/01/[$LATEST]<32 hex>`: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
pub fn stream_name(version: &str) -> String {
    let mut unique = [0u8; 16];
    let _ = getrandom::fill(&mut unique);
    let date = Timestamp::from_millis(now_ms()).iso8601()[..10].replace('-', "/");
    format!("{date}/[{version}]{}", sereno_base::hex(&unique))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sink(Mutex<Vec<LogEvent>>);

    impl LogSink for Sink {
        fn deliver(
            &self,
            _stream: String,
            events: Vec<LogEvent>,
        ) -> sereno_kernel::BoxFuture<'_, sereno_kernel::Result<()>> {
            lock(&self.0).extend(events);
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn lines_are_events_and_order_is_kept() {
        let sink = Arc::new(Sink::default());
        let journal = Journal::new("s".into(), Arc::clone(&sink) as Arc<dyn LogSink>);
        let api =
            crate::runtime_api::RuntimeApi::new(false, crate::extensions::Extensions::default());
        let mut recorder = Recorder::new(journal, api.conversation());
        recorder.begin_tail(true);
        recorder.say("START\n".into());
        recorder.print(b"one\ntw");
        recorder.print(b"o\nrest");
        recorder.finish_lines();
        recorder.say("END\n".into());
        assert_eq!(recorder.tail(), b"START\none\ntwo\nrest\nEND\n");
        tokio::time::sleep(GATHER * 3).await;
        let messages: Vec<String> = lock(&sink.0).iter().map(|e| e.message.clone()).collect();
        assert_eq!(messages, ["START\n", "one\n", "two\n", "rest", "END\n"]);
    }

    #[test]
    fn long_messages_are_cut_at_characters() {
        let parts = cut("ä".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(parts.len(), 2);
        assert_eq!(parts.concat(), "ä".repeat(MESSAGE_BYTES_MAX));
        let event = |n: usize| LogEvent { timestamp_ms: 0, message: "x".repeat(n) };
        let sizes: Vec<usize> =
            batches(vec![event(600_000), event(600_000), event(1)]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2]);
    }

    #[test]
    fn streams_are_named_as_on_aws() {
        let name = stream_name("$LATEST");
        assert_eq!(name.len(), "2016/12/01/[$LATEST]".len() + 32);
        assert_eq!(&name[4..5], "/");
    }
}
