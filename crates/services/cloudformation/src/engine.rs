//! Carries out stack operations: one durable task for each, safe to kill and run again at any point.
//!
//! Invariants:
//! * what a step is about to do is written (`Stage::Started`, with its token, name and properties) before a
//!   resource is touched, and what came out of it right after; a step found in `Started` is run again with
//!   the same token, and the resource's service adopts what the first run made;
//! * an operation moves through phases, each transition in one commit with the stack's event;
//! * a resource's real thing is forgotten only after it has been deleted (or kept on purpose).

mod apply;
mod completion;
mod graph;
mod machine;
mod make;
mod remove;
mod restore;
mod running;
mod work;

use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind, task};
use sereno_store::{Record, Write};

use crate::events;
use crate::state::{OperationRecord, OperationTask, STACKS, StackRecord};

pub use apply::{Deed, Order};
pub(crate) use machine::Machine;

const TASK: &str = "cloudformation.operation";

/// Where an operation is. Stored by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resources are created and updated.
    Work,
    /// After a successful update: what is no longer needed is deleted.
    Cleanup,
    /// What the operation did is undone.
    Rollback,
    /// What the rollback left over is deleted.
    RollbackCleanup,
    /// The whole stack is deleted.
    Delete,
    Ended,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Work => "work",
            Phase::Cleanup => "cleanup",
            Phase::Rollback => "rollback",
            Phase::RollbackCleanup => "rollback-cleanup",
            Phase::Delete => "delete",
            Phase::Ended => "ended",
        }
    }

    pub fn parse(text: &str) -> Phase {
        let all =
            [Phase::Work, Phase::Cleanup, Phase::Rollback, Phase::RollbackCleanup, Phase::Delete];
        all.into_iter().find(|phase| phase.as_str() == text).unwrap_or(Phase::Ended)
    }
}

/// How far a resource is in its operation. Stored as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Started = 1,
    Done = 2,
    Failed = 3,
    Restoring = 4,
    Restored = 5,
    RestoreFailed = 6,
}

/// What is done to a resource. Stored by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Replace,
    /// Only what the stack itself keeps changes: metadata.
    Touch,
    Keep,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Replace => "replace",
            Action::Touch => "touch",
            Action::Keep => "keep",
        }
    }

    pub fn parse(text: &str) -> Action {
        let all = [Action::Create, Action::Update, Action::Replace, Action::Touch];
        all.into_iter().find(|action| action.as_str() == text).unwrap_or(Action::Keep)
    }
}

/// The task that carries out operations.
pub fn operation_task() -> TaskKind {
    TaskKind::new(TASK, run)
}

/// Begins an operation: the stack's status and event, and the task, all in the caller's transaction.
pub fn begin(
    ctx: &Ctx,
    write: &mut (impl Write + 'static),
    stack: &mut StackRecord,
    operation: OperationRecord,
    status: &str,
    reason: Option<&str>,
) {
    stack.operation = operation;
    stack.operation.started_ms = ctx.now().millis();
    stack.operation.ended_ms = None;
    stack.status = status.to_owned();
    stack.status_reason = reason.map(str::to_owned);
    STACKS.put(write, ctx.scope(), stack.id.as_str(), stack);
    events::of_stack(ctx, write, stack);
    start_task(ctx, write, stack, ctx.now());
}

fn start_task(ctx: &Ctx, write: &mut (impl Write + 'static), stack: &StackRecord, at: Timestamp) {
    let job = OperationTask { stack_id: stack.id.clone(), operation: stack.operation.id.clone() };
    task::schedule(ctx, write, TASK, at, job.to_bytes());
}

async fn run(ctx: Ctx, task: Task) -> Result<Outcome> {
    let job = OperationTask::decode(&task.payload)?;
    let Some(mut machine) = Machine::load(&ctx, &job).await? else { return Ok(Outcome::Done) };
    machine.drive().await?;
    Ok(Outcome::Done)
}
