//! Forgets a deleted stack after the 90 days for which AWS lists it.

use std::time::Duration;

use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind, task};
use sereno_store::{Write, transact};

use crate::state::{CURRENT, EVENTS, RESOURCES, SIGNALS, STACKS, StackRecord, TEMPLATES};

const TASK: &str = "cloudformation.purge";
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Events deleted by one transaction.
const PAGE: usize = 1000;

pub fn purge_task() -> TaskKind {
    TaskKind::new(TASK, run)
}

/// Leaves the forgetting to be done.
pub fn schedule(ctx: &Ctx, write: &mut (impl Write + 'static), stack: &StackRecord) {
    task::schedule(ctx, write, TASK, ctx.now().plus(KEPT), stack.id.clone());
}

async fn run(ctx: Ctx, task: Task) -> Result<Outcome> {
    let id = String::from_utf8_lossy(&task.payload).into_owned();
    let scope = ctx.scope();
    loop {
        let more: Result<bool> = transact!(ctx.store(), |txn| {
            let page = EVENTS.list(scope, (id.as_str(),)).limit(PAGE).read(txn).await?;
            for ((_, position), _) in &page {
                EVENTS.delete(txn, scope, &(id.as_str(), *position));
            }
            page.len() == PAGE
        });
        if !more? {
            break;
        }
    }
    let done: Result<()> = transact!(ctx.store(), |txn| {
        for ((_, logical_id), _) in RESOURCES.list(scope, (id.as_str(),)).read(txn).await? {
            let resource = format!("{id}/{logical_id}");
            for ((_, unique), _) in SIGNALS.list(scope, (resource.as_str(),)).read(txn).await? {
                SIGNALS.delete(txn, scope, &(resource.as_str(), unique.as_str()));
            }
            RESOURCES.delete(txn, scope, &(id.as_str(), logical_id.as_str()));
        }
        TEMPLATES.delete(txn, scope, &(id.as_str(), CURRENT));
        STACKS.delete(txn, scope, id.as_str());
    });
    done?;
    Ok(Outcome::Done)
}
