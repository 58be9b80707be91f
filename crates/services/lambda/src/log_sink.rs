//! A function's log: its instances' lines, written to CloudWatch Logs in the name of the function's role. A role without
//! permission for logs has none, as on AWS.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sereno_api_logs as logs;
use sereno_kernel::sandbox::{LogEvent, LogSink};
use sereno_kernel::{BoxFuture, Ctx, Result};

pub struct FunctionLog {
    /// The function's role.
    ctx: Ctx,
    group: String,
    /// Streams that are known to exist.
    streams: Mutex<HashSet<String>>,
}

impl FunctionLog {
    pub fn new(ctx: Ctx, group: String) -> FunctionLog {
        FunctionLog { ctx, group, streams: Mutex::default() }
    }

    async fn write(&self, stream: String, events: Vec<LogEvent>) -> Result<()> {
        if !self.is_known(&stream) {
            self.make_stream(&stream).await?;
        }
        match self.put(&stream, &events).await {
            // Deleted under a running instance: AWS makes it anew as well.
            Err(error) if error.code() == "ResourceNotFoundException" => {
                self.make_stream(&stream).await?;
                self.put(&stream, &events).await
            }
            other => other,
        }
    }

    async fn put(&self, stream: &str, events: &[LogEvent]) -> Result<()> {
        let log_events = events.iter().map(|event| logs::InputLogEvent {
            timestamp: event.timestamp_ms,
            message: event.message.clone(),
        });
        let input = logs::PutLogEventsInput {
            log_group_name: self.group.clone(),
            log_stream_name: stream.to_owned(),
            log_events: log_events.collect(),
            ..Default::default()
        };
        self.ctx.call::<logs::PutLogEvents>(input).await.map(drop)
    }

    async fn make_stream(&self, stream: &str) -> Result<()> {
        match self.create_stream(stream).await {
            Err(error) if error.code() == "ResourceNotFoundException" => {
                let input = logs::CreateLogGroupInput {
                    log_group_name: self.group.clone(),
                    ..Default::default()
                };
                exists_is_fine(self.ctx.call::<logs::CreateLogGroup>(input).await)?;
                self.create_stream(stream).await?;
            }
            other => other?,
        }
        self.lock().insert(stream.to_owned());
        Ok(())
    }

    async fn create_stream(&self, stream: &str) -> Result<()> {
        let input = logs::CreateLogStreamInput {
            log_group_name: self.group.clone(),
            log_stream_name: stream.to_owned(),
        };
        exists_is_fine(self.ctx.call::<logs::CreateLogStream>(input).await)
    }

    fn is_known(&self, stream: &str) -> bool {
        self.lock().contains(stream)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exists_is_fine<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(error) if error.code() != "ResourceAlreadyExistsException" => Err(error),
        _ => Ok(()),
    }
}

impl LogSink for FunctionLog {
    fn deliver(&self, stream: String, events: Vec<LogEvent>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(stream, events))
    }
}
