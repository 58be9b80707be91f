//! The poller of one event source mapping: a task that lives from the mapping's creation to its deletion, makes its
//! transitions, and while it is enabled reads its source in lanes.
//!
//! Invariants: one poller per mapping, on one node, by the task's lease; what it has done is in the checkpoints, each
//! moved only from where its lane last saw it, so a poller that lost its lease cannot move them; it sleeps on the store's
//! watch, never on a timer alone, and a change of the mapping stops all lanes between two batches.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sereno_kernel::task::{Outcome, Task};
use sereno_kernel::{Ctx, Error, Kind, Result, TaskKind};
use sereno_pattern::Pattern;
use sereno_store::{Batch, transact};

use crate::errors::ENSURE_ROLE;
use crate::event_state::{CHECKPOINTS, MAPPINGS, MappingRecord, RESULTS, ResultRecord};
use crate::lane::Lane;
use crate::lane_batch::CALL_FAILED;
use crate::mapping::{DELETING, DISABLED, ENABLED};
use crate::names::{FunctionName, resolve};
use crate::source::Stream;
use crate::{destination, mapping, source};

pub const TASK: &str = "lambda.mapping";
const TROUBLE_PAUSE_FIRST: Duration = Duration::from_secs(1);
const TROUBLE_PAUSE_MAX: Duration = Duration::from_secs(60);

pub fn task_kind() -> TaskKind {
    TaskKind::new(TASK, run).standing()
}

async fn run(ctx: Ctx, task: Task) -> Result<Outcome> {
    let uuid = String::from_utf8_lossy(&task.payload).into_owned();
    let mut troubles = 0;
    loop {
        let changed = ctx.store().watch(&[MAPPINGS.key(ctx.scope(), uuid.as_str())]);
        let Some(record) = MAPPINGS.get(ctx.store(), ctx.scope(), uuid.as_str()).await? else {
            return Ok(Outcome::Done);
        };
        match record.state.as_str() {
            DELETING => {
                forget(&ctx, &uuid).await?;
                return Ok(Outcome::Done);
            }
            DISABLED => changed.await,
            ENABLED => match poll(&ctx, &record).await {
                Ok(()) => troubles = 0,
                Err(error) => {
                    note(&ctx, &uuid, &trouble(&error, &record.source_arn)).await?;
                    let pause = TROUBLE_PAUSE_FIRST.saturating_mul(1 << troubles.min(16));
                    troubles += 1;
                    let until = ctx.now().plus(pause.min(TROUBLE_PAUSE_MAX));
                    tokio::select! {
                        () = changed => troubles = 0,
                        () = ctx.cloud().clock().sleep_until(until) => {}
                    }
                }
            },
            _ => settle(&ctx, &record).await?,
        }
    }
}

/// Ends a transition: the mapping is what its user wants.
async fn settle(ctx: &Ctx, seen: &MappingRecord) -> Result<()> {
    let key = seen.uuid.as_str();
    transact!(ctx.store(), Error, |txn| {
        if let Some(mut record) = MAPPINGS.get(txn, ctx.scope(), key).await?
            && record.revision == seen.revision
        {
            let state = if record.enabled { ENABLED } else { DISABLED };
            state.clone_into(&mut record.state);
            record.modified_ms = ctx.now().millis();
            mapping::put(ctx, txn, &record);
        }
    })
}

async fn forget(ctx: &Ctx, uuid: &str) -> Result<()> {
    transact!(ctx.store(), Error, |txn| {
        for (key, _) in CHECKPOINTS.list(ctx.scope(), (uuid,)).read(txn).await? {
            CHECKPOINTS.delete(txn, ctx.scope(), &key);
        }
        RESULTS.delete(txn, ctx.scope(), uuid);
        MAPPINGS.delete(txn, ctx.scope(), uuid);
    })
}

/// LastProcessingResult, if it is another than before.
pub async fn note(ctx: &Ctx, uuid: &str, text: &str) -> Result<()> {
    let before = RESULTS.get(ctx.store(), ctx.scope(), uuid).await?;
    if before.is_some_and(|before| before.text == text) {
        return Ok(());
    }
    let mut batch = Batch::new();
    RESULTS.put(&mut batch, ctx.scope(), uuid, &ResultRecord { text: text.to_owned() });
    ctx.store().commit(batch).await?;
    Ok(())
}

/// AWS's known texts begin so; the part behind the colon is the sentence that creation would answer.
fn trouble(error: &Error, source_arn: &str) -> String {
    match error.kind() {
        Kind::Denied => format!("PROBLEM: Cannot access stream {source_arn}. {ENSURE_ROLE}"),
        Kind::NotFound if error.message().starts_with("Function") => CALL_FAILED.to_owned(),
        Kind::NotFound => format!("PROBLEM: Stream not found: {source_arn}"),
        _ => "PROBLEM: internal Lambda error. Please contact Lambda customer support.".to_owned(),
    }
}

/// Reads until the mapping changes.
async fn poll(ctx: &Ctx, record: &MappingRecord) -> Result<()> {
    let Some(source) = source::of(&record.source_arn) else {
        return Err(Error::not_found("ResourceNotFoundException", "no such source"));
    };
    let role = as_role(ctx, record).await?;
    let shards = source.shards(&role, &record.source_arn).await?;
    prepare_lanes(ctx, record, &shards).await?;
    let patterns: Vec<Pattern> =
        record.filters.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    let mut lanes = Vec::new();
    for shard in &shards {
        for number in 0..record.lanes.max(1) {
            lanes.push(read(ctx, record, source, &patterns, shard, number));
        }
    }
    all(lanes).await
}

async fn read(
    ctx: &Ctx,
    record: &MappingRecord,
    source: &dyn Stream,
    patterns: &[Pattern],
    shard: &str,
    number: u32,
) -> Result<()> {
    Lane::open(ctx, record, source, patterns, shard, number).await?.run().await
}

/// The role of the mapped function: all reading is done in its name.
pub async fn as_role(ctx: &Ctx, record: &MappingRecord) -> Result<Ctx> {
    let found = resolve(ctx, ctx.store(), &function_name(record), 1.0).await?;
    destination::as_role(ctx, &found.function).await
}

pub fn function_name(record: &MappingRecord) -> FunctionName {
    FunctionName {
        name: record.function.clone(),
        qualifier: record.qualifier.clone(),
        account: None,
        region: None,
    }
}

/// When a shard is read in another number of lanes than before, all of them begin where the slowest was.
async fn prepare_lanes(ctx: &Ctx, record: &MappingRecord, shards: &[String]) -> Result<()> {
    let uuid = record.uuid.as_str();
    let wanted = record.lanes.max(1) as usize;
    transact!(ctx.store(), Error, |txn| {
        for shard in shards {
            let prefix = (uuid, shard.as_str());
            let found = CHECKPOINTS.list(ctx.scope(), prefix).read(txn).await?;
            if found.is_empty() || found.len() == wanted {
                continue;
            }
            let slowest = found.iter().map(|(_, checkpoint)| checkpoint);
            let slowest = slowest.min_by(|a, b| a.after.cmp(&b.after)).cloned().unwrap_or_default();
            for (key, _) in &found {
                CHECKPOINTS.delete(txn, ctx.scope(), key);
            }
            for number in 0..record.lanes.max(1) {
                CHECKPOINTS.put(txn, ctx.scope(), &(uuid, shard.as_str(), number), &slowest);
            }
        }
    })
}

/// Waits for all of them; the first error ends the others.
async fn all<F: Future<Output = Result<()>>>(futures: Vec<F>) -> Result<()> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    poll_fn(move |context| {
        let mut failed = None;
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Poll::Ready(Err(error)),
            None if waiting.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}
