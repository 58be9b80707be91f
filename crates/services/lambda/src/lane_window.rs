//! Tumbling windows: the function keeps a state from batch to batch of the same span of time, and is told when it ends.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html>

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sereno_base::Timestamp;
use sereno_kernel::Result;
use sereno_kernel::sandbox::InvokeReply;

use crate::invoke::{self, Invocation};
use crate::lane::Lane;
use crate::names::resolve;
use crate::poller;
use crate::source::StreamRecord;

/// More than that ends the window early.
const STATE_BYTES_MAX: usize = 1024 * 1024;
const PAUSE: Duration = Duration::from_secs(1);

impl Lane<'_> {
    fn span_ms(&self) -> i64 {
        i64::from(self.mapping.tumbling_s) * 1000
    }

    /// When the open window ends; `None`: none is open.
    pub fn window_end(&self) -> Option<Timestamp> {
        let start_ms = self.checkpoint.window_start_ms;
        let is_open = self.mapping.tumbling_s > 0 && start_ms > 0;
        is_open.then(|| Timestamp::from_millis(start_ms + self.span_ms()))
    }

    /// The first record of a window opens it.
    pub fn open_window(&mut self, created: Timestamp) {
        if self.mapping.tumbling_s > 0 && self.checkpoint.window_start_ms == 0 {
            let span = self.span_ms();
            self.checkpoint.window_start_ms = created.millis() / span * span;
        }
    }

    /// Takes the state from an answer; it is saved with the checkpoint.
    pub fn keep_state(&mut self, reply: &InvokeReply) {
        if self.mapping.tumbling_s > 0 {
            let answer: Value = serde_json::from_slice(&reply.payload).unwrap_or_default();
            self.checkpoint.window_state = answer["state"].to_string();
        }
    }

    /// What the function gets for a batch.
    pub fn event(&self, records: &[StreamRecord], is_final: bool) -> String {
        let records: Vec<&Value> = records.iter().map(|record| &record.event).collect();
        let mut event = json!({"Records": records});
        if let Some(end) = self.window_end() {
            let start = Timestamp::from_millis(self.checkpoint.window_start_ms);
            let state: Value =
                serde_json::from_str(&self.checkpoint.window_state).unwrap_or(json!({}));
            event["window"] = json!({"start": start.iso8601(), "end": end.iso8601()});
            event["state"] = state;
            event["shardId"] = json!(self.shard);
            event["eventSourceARN"] = json!(self.mapping.source_arn);
            event["isFinalInvokeForWindow"] = json!(is_final);
            let too_large = self.checkpoint.window_state.len() > STATE_BYTES_MAX;
            event["isWindowTerminatedEarly"] = json!(is_final && too_large);
        }
        event.to_string()
    }

    /// Whether the state has outgrown its window.
    pub fn is_window_full(&self) -> bool {
        self.checkpoint.window_state.len() > STATE_BYTES_MAX
    }

    /// The last call of a window; nothing goes on before it has succeeded. `false`: the mapping changed.
    pub async fn end_window(&mut self) -> Result<bool> {
        loop {
            let name = poller::function_name(self.mapping);
            let chance = invoke::chance(self.ctx);
            if let Ok(found) = resolve(self.ctx, self.ctx.store(), &name, chance).await {
                let event = Bytes::from(self.event(&[], true));
                let mut invocation = Invocation::new(self.ctx, &self.mapping.function, event);
                invocation.request_id = self.ctx.random_uuid();
                let reply = invoke::try_run(self.ctx, &found, invocation).await?;
                // The state is dropped: it need not be answered any more.
                if reply.is_ok_and(|reply| reply.error.is_none()) {
                    break;
                }
            }
            if !self.wait(PAUSE).await? {
                return Ok(false);
            }
        }
        self.checkpoint.window_start_ms = 0;
        self.checkpoint.window_state.clear();
        self.save().await?;
        Ok(true)
    }
}
