//! Stacks: finding them, and the operations on them.

mod create;
mod delete;
mod describe;
mod options;
mod rollback;
mod settings;
mod update;

use sereno_kernel::{Ctx, Result};
use sereno_store::{Read, transact};

use crate::errors;
use crate::state::{IMPORTS, ImportRecord, NAMES, STACKS, StackRecord};

pub use create::{create, create_nested, new_record};
pub use delete::{delete, delete_nested};
pub use describe::{describe, list, parameters_shown, tags_shown};
pub use options::{capabilities, check_name, given, pass_role, refuse_config, tags};
pub use rollback::{cancel_update, continue_rollback, roll_back};
pub use settings::{account_limits, get_policy, set_policy, signal, termination_protection};
pub use update::{changes, update, update_nested};

/// The stack with this name that is not deleted.
pub async fn by_name(ctx: &Ctx, name: &str) -> Result<Option<StackRecord>> {
    by_name_in(ctx, ctx.store(), name).await
}

async fn by_name_in<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &str,
) -> Result<Option<StackRecord>> {
    let Some(id) = NAMES.get(read, ctx.scope(), name).await? else { return Ok(None) };
    let id = String::from_utf8_lossy(&id).into_owned();
    Ok(STACKS.get(read, ctx.scope(), id.as_str()).await?)
}

/// The stack with this name, or this id even if it is deleted.
pub async fn find_in<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &str,
) -> Result<Option<StackRecord>> {
    if !name.starts_with("arn:") {
        return by_name_in(ctx, read, name).await;
    }
    let id = name.rsplit('/').next().unwrap_or_default();
    let found = STACKS.get(read, ctx.scope(), id).await?;
    Ok(found.filter(|stack| stack.arn == name))
}

pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<StackRecord>> {
    find_in(ctx, ctx.store(), name).await
}

/// Changes a stack's record in one transaction.
pub async fn change<T: Send>(
    ctx: &Ctx,
    id: &str,
    change: impl Fn(&mut StackRecord) -> Result<T> + Send + Sync,
) -> Result<T> {
    transact!(ctx.store(), |txn| {
        let found = STACKS.get(txn, ctx.scope(), id).await?;
        let mut stack = found.ok_or_else(|| errors::no_stack(id))?;
        let value = change(&mut stack)?;
        STACKS.put(txn, ctx.scope(), id, &stack);
        value
    })
}

/// Holds the exports that a stack is going to use, from the first moment on.
pub fn hold_imports(
    ctx: &Ctx,
    txn: &mut sereno_store::Txn,
    stack: &mut StackRecord,
    used: impl IntoIterator<Item = String>,
) {
    for name in used {
        let record = ImportRecord { stack_name: stack.name.clone() };
        IMPORTS.put(txn, ctx.scope(), &(name.as_str(), stack.id.as_str()), &record);
        if !stack.imports.contains(&name) {
            stack.imports.push(name);
        }
    }
}
