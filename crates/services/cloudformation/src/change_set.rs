//! Change sets: an update (or creation) that is shown before it is done.

mod create;
mod describe;
mod execute;

use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::stack;
use crate::state::{CHANGE_SET_IDS, CHANGE_SETS, ChangeSetRecord, STACKS, StackRecord};

pub use create::create;
pub use describe::{describe, describe_hooks, list};
pub use execute::{delete, execute};

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
