//! Events: accepted with one commit, handled until done. Two more attempts after a function error, one minute and two
//! minutes later; what cannot run for want of concurrency waits longer and longer, up to six hours.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
//!
//! Invariants: an accepted event is handled at least once, also after a crash; all attempts carry the same request id; an
//! event is given up only for its age, its attempts, or because its function is gone.

use std::time::Duration;

use bytes::Bytes;
use sereno_base::Timestamp;
use sereno_kernel::sandbox::InvokeFailure;
use sereno_kernel::task::{self, Outcome, Task};
use sereno_kernel::{Ctx, Kind, Result, TaskKind};
use sereno_store::{Batch, Record, record};

use crate::invoke::{self, Invocation};
use crate::names::{FunctionName, resolve};

record! {
    /// An event on its way to a function.
    pub struct EventRecord {
        1 => name: String,
        2 => qualifier: Option<String>,
        3 => request_id: String,
        4 => trace_id: String,
        5 => payload: Bytes,
        6 => client_context: Option<String>,
        7 => created_ms: i64,
        /// Runs that ended with a function error.
        8 => attempts: u32,
    }
}

const TASK: &str = "lambda.event";
const RETRIES_MAX: u32 = 2;
const AGE_MAX: Duration = Duration::from_secs(6 * 3600);
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
const THROTTLE_PAUSE_FIRST: Duration = Duration::from_secs(1);
const THROTTLE_PAUSE_MAX: Duration = Duration::from_secs(300);

pub fn task_kind() -> TaskKind {
    TaskKind::new(TASK, handle)
}

pub async fn accept(ctx: &Ctx, record: &EventRecord) -> Result<()> {
    let mut batch = Batch::new();
    task::schedule(ctx, &mut batch, TASK, ctx.now(), record.to_bytes());
    ctx.store().commit(batch).await?;
    Ok(())
}

async fn handle(ctx: Ctx, task: Task) -> Result<Outcome> {
    let mut event = EventRecord::decode(&task.payload)?;
    let name = FunctionName {
        name: event.name.clone(),
        qualifier: event.qualifier.clone(),
        account: None,
        region: None,
    };
    let found = match resolve(&ctx, ctx.store(), &name, invoke::chance(&ctx)).await {
        Ok(found) => found,
        // Deleted since: AWS drops the event, too.
        Err(error) if error.kind() == Kind::NotFound => return Ok(Outcome::Done),
        Err(error) => return Err(error),
    };
    if ctx.now().millis() - event.created_ms > millis(AGE_MAX) {
        return Ok(Outcome::Done);
    }
    let invocation = Invocation {
        request_id: event.request_id.clone(),
        payload: event.payload.clone(),
        client_context: event.client_context.clone(),
        trace_id: event.trace_id.clone(),
        tail: false,
    };
    match invoke::try_run(&ctx, &found, invocation).await? {
        Ok(reply) if reply.error.is_none() => Ok(Outcome::Done),
        Ok(_) => {
            event.attempts += 1;
            if event.attempts > RETRIES_MAX {
                return Ok(Outcome::Done);
            }
            let pause = RETRY_PAUSES[(event.attempts as usize - 1).min(RETRY_PAUSES.len() - 1)];
            Ok(again(ctx.now().plus(pause), &event))
        }
        Err(InvokeFailure::Throttled { .. }) => {
            let waited = ctx.now().millis() - event.created_ms;
            // Half as long again as it has waited already: from one second to five minutes.
            let pause = Duration::from_millis(u64::try_from(waited / 2).unwrap_or(0));
            let pause = pause.clamp(THROTTLE_PAUSE_FIRST, THROTTLE_PAUSE_MAX);
            Ok(again(ctx.now().plus(pause), &event))
        }
        // An interpreter may be installed, a role restored: within the event's age.
        Err(_) => Ok(again(ctx.now().plus(RETRY_PAUSES[0]), &event)),
    }
}

fn again(at: Timestamp, event: &EventRecord) -> Outcome {
    Outcome::Again { at, payload: Some(Bytes::from(event.to_bytes())) }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
