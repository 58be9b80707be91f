//! Change sets: an update (or creation) that is shown before it is done.

mod create;
mod describe;
mod execute;

use sereno_kernel::{Ctx, Result};
use sereno_store::Txn;

use crate::errors;
use crate::stack;
use crate::state::{CHANGE_SET_IDS, CHANGE_SETS, ChangeSetRecord, STACKS, StackRecord};

pub use create::create;
pub use describe::{describe, describe_hooks, list};
pub use execute::{delete, execute};

/// The execution status of a change set whose operation runs.
const EXECUTING: &str = "EXECUTE_IN_PROGRESS";

/// The stack's operation has ended: what was executed is done or has failed (recorded: test_empty_changeset).
pub async fn executed(ctx: &Ctx, txn: &mut Txn, stack: &StackRecord) -> Result<()> {
    let done = stack.status.ends_with("_COMPLETE") && !stack.status.contains("ROLLBACK");
    for (key, mut set) in CHANGE_SETS.list(ctx.scope(), (stack.id.as_str(),)).read(txn).await? {
        if set.execution_status == EXECUTING {
            set.execution_status = if done { "EXECUTE_COMPLETE" } else { "EXECUTE_FAILED" }.into();
            CHANGE_SETS.put(txn, ctx.scope(), &key, &set);
        }
    }
    Ok(())
}

/// A change set and its stack, by id, or by name and stack.
pub async fn find(
    ctx: &Ctx,
    name: &str,
    stack_name: Option<&str>,
) -> Result<Option<(ChangeSetRecord, StackRecord)>> {
    if name.starts_with("arn:") {
        let id = name.rsplit('/').next().unwrap_or_default();
        let Some(place) = CHANGE_SET_IDS.get(ctx.store(), ctx.scope(), id).await? else {
            return Ok(None);
        };
        let key = (place.stack_id.as_str(), place.name.as_str());
        let set = CHANGE_SETS.get(ctx.store(), ctx.scope(), &key).await?;
        let stack = STACKS.get(ctx.store(), ctx.scope(), place.stack_id.as_str()).await?;
        return Ok(set.filter(|set| set.arn == name).zip(stack));
    }
    // recorded: test_delete_change_set_exception
    let stack_name = stack_name.filter(|it| !it.is_empty()).ok_or_else(|| {
        errors::validation(
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        )
    })?;
    let stack = stack::find(ctx, stack_name).await?.ok_or_else(|| errors::no_stack(stack_name))?;
    let set = CHANGE_SETS.get(ctx.store(), ctx.scope(), &(stack.id.as_str(), name)).await?;
    Ok(set.map(|set| (set, stack)))
}
