//! Events: accepted with one commit, handled until done. Two more attempts after a function error, one minute and two
//! minutes later, unless the function's configuration says less; what cannot run for want of concurrency, or for a
//! fault of the service, waits longer and longer, up to six hours. Then the outcome is reported.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
//!
//! Invariants: an accepted event is handled at least once, also after a crash; all attempts carry the same request id; an
//! event is given up only for its age, its attempts, a loop, or because its function is gone; an outcome that could not
//! be reported is kept and reported again, without another run.

use std::time::Duration;

use bytes::Bytes;
use sereno_base::Timestamp;
use sereno_kernel::sandbox::{FunctionError, InvokeFailure, InvokeReply};
use sereno_kernel::task::{self, Outcome, Task};
use sereno_kernel::{Ctx, Kind, Result, TaskKind};
use sereno_store::{Batch, Record, record};

use crate::event_outcome::{self, Condition};
use crate::event_state::EventConfigRecord;
use crate::invoke::{self, Invocation};
use crate::names::{FunctionName, Resolved, resolve};
use crate::{event_config, lineage, state};

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
        /// Runs that could not even begin since the last that did.
        9 => hindrances: u32,
        /// What is left to report; the event itself is done.
        10 => outcome: Option<OutcomeRecord>,
    }
}

record! {
    /// How an event ended.
    pub struct OutcomeRecord {
        /// `Success`, `RetriesExhausted`, ...
        1 => condition: String,
        /// `Handled`, `Unhandled`; empty: no error.
        2 => function_error: String,
        3 => executed_version: String,
        /// What the last run answered; none if there was none.
        4 => response: Option<Bytes>,
        /// Where it must still be told.
        5 => targets: Vec<String>,
        /// The queue or topic that must still get the event itself.
        6 => dead_letters: Option<String>,
        7 => throttled: bool,
    }
}

const TASK: &str = "lambda.event";
const RETRIES_MAX: u32 = 2;
const AGE_MAX: Duration = Duration::from_secs(6 * 3600);
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
const HINDRANCE_PAUSE_FIRST: Duration = Duration::from_secs(1);
const HINDRANCE_PAUSE_MAX: Duration = Duration::from_secs(300);
const REPORT_PAUSE: Duration = Duration::from_secs(10);

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
    if event.outcome.is_some() {
        return report(&ctx, &found, event).await;
    }
    let qualifier = event.qualifier.as_deref();
    let config = event_config::find(&ctx, ctx.store(), &event.name, qualifier).await?;
    let patience = Patience::of(config.as_ref());
    match attempt(&ctx, &found, &mut event, patience).await? {
        Step::Wait(pause) => Ok(again(ctx.now().plus(pause), &event)),
        Step::End(mut outcome) => {
            event_outcome::address(&mut outcome, config.as_ref(), &found.function);
            event.outcome = Some(outcome);
            report(&ctx, &found, event).await
        }
    }
}

/// How long an event is tried.
#[derive(Clone, Copy)]
struct Patience {
    retries_max: u32,
    age_max: Duration,
}

impl Patience {
    fn of(config: Option<&EventConfigRecord>) -> Patience {
        let age = config.and_then(|config| config.age_s_max);
        Patience {
            retries_max: config.and_then(|config| config.retries_max).unwrap_or(RETRIES_MAX),
            age_max: age.map_or(AGE_MAX, |age_s| Duration::from_secs(u64::from(age_s))),
        }
    }
}

enum Step {
    Wait(Duration),
    End(OutcomeRecord),
}

/// One attempt, or the reason that there is none.
async fn attempt(
    ctx: &Ctx,
    found: &Resolved,
    event: &mut EventRecord,
    patience: Patience,
) -> Result<Step> {
    let head = state::head(ctx, ctx.store(), &event.name).await?;
    let age = ctx.now().since(Timestamp::from_millis(event.created_ms));
    let end = |condition: Condition| Ok(Step::End(OutcomeRecord::of(condition, found)));
    if head.reserved_concurrency == 0 {
        return end(Condition::ZeroReservedConcurrency);
    }
    if lineage::is_loop(&event.trace_id, ctx, &head) {
        return end(Condition::Loop);
    }
    if age > patience.age_max {
        return end(Condition::EventAgeExceeded);
    }
    let invocation = Invocation {
        request_id: event.request_id.clone(),
        payload: event.payload.clone(),
        client_context: event.client_context.clone(),
        trace_id: event.trace_id.clone(),
        tail: false,
        stream: None,
    };
    let (outcome, pause) = match invoke::try_run(ctx, found, invocation).await? {
        Ok(reply) if reply.error.is_none() => {
            return Ok(Step::End(OutcomeRecord::of_run(Condition::Success, found, reply)));
        }
        Ok(reply) => {
            event.attempts += 1;
            event.hindrances = 0;
            if event.attempts > patience.retries_max {
                let outcome = OutcomeRecord::of_run(Condition::RetriesExhausted, found, reply);
                return Ok(Step::End(outcome));
            }
            let pause = RETRY_PAUSES[(event.attempts as usize - 1).min(RETRY_PAUSES.len() - 1)];
            (OutcomeRecord::of_run(Condition::EventAgeExceeded, found, reply), pause)
        }
        Err(failure) => {
            let mut outcome = OutcomeRecord::of(Condition::EventAgeExceeded, found);
            outcome.throttled = matches!(failure, InvokeFailure::Throttled { .. });
            let pause = HINDRANCE_PAUSE_FIRST.saturating_mul(1 << event.hindrances.min(16));
            event.hindrances = event.hindrances.saturating_add(1);
            (outcome, pause.min(HINDRANCE_PAUSE_MAX))
        }
    };
    // Recorded: test_lambda_destinations.py::test_maxeventage. An event that would be too old for its next attempt is
    // given up at once, and an attempt that lies at the limit is too late already.
    if age + pause >= patience.age_max {
        return Ok(Step::End(outcome));
    }
    Ok(Step::Wait(pause))
}

impl OutcomeRecord {
    fn of(condition: Condition, found: &Resolved) -> OutcomeRecord {
        OutcomeRecord {
            condition: condition.as_str().to_owned(),
            executed_version: found.function.version.clone(),
            ..Default::default()
        }
    }

    fn of_run(condition: Condition, found: &Resolved, reply: InvokeReply) -> OutcomeRecord {
        let mut outcome = OutcomeRecord::of(condition, found);
        let error = match reply.error {
            None => "",
            Some(FunctionError::Handled) => "Handled",
            Some(FunctionError::Unhandled) => "Unhandled",
        };
        error.clone_into(&mut outcome.function_error);
        outcome.response = Some(reply.payload);
        outcome
    }
}

/// Tells whoever is to be told; what fails for now is kept for later.
async fn report(ctx: &Ctx, found: &Resolved, mut event: EventRecord) -> Result<Outcome> {
    if event_outcome::deliver(ctx, found, &mut event).await {
        return Ok(Outcome::Done);
    }
    let age = ctx.now().since(Timestamp::from_millis(event.created_ms));
    if age > AGE_MAX {
        eprintln!("lambda: the outcome of event {} of {} is lost", event.request_id, event.name);
        return Ok(Outcome::Done);
    }
    Ok(again(ctx.now().plus(REPORT_PAUSE), &event))
}

fn again(at: Timestamp, event: &EventRecord) -> Outcome {
    Outcome::Again { at, payload: Some(Bytes::from(event.to_bytes())) }
}
