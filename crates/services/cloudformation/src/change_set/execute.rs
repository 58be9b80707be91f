//! ExecuteChangeSet and DeleteChangeSet.

use sereno_api_cloudformation::{
    DeleteChangeSetInput, DeleteChangeSetOutput, ExecuteChangeSetInput, ExecuteChangeSetOutput,
};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use super::EXECUTING;
use crate::engine;
use crate::errors;
use crate::stack::hold_imports;
use crate::state::{
    BeforeRecord, CHANGE_SET_IDS, CHANGE_SETS, CURRENT, ChangeSetRecord, OperationRecord, PREVIOUS,
    STACKS, StackRecord, TEMPLATES,
};

pub async fn execute(ctx: Ctx, input: ExecuteChangeSetInput) -> Result<ExecuteChangeSetOutput> {
    let name = input.change_set_name.as_str();
    let found = super::find(&ctx, name, input.stack_name.as_deref()).await?;
    let (set, _) = found.ok_or_else(|| errors::no_change_set(name))?;
    if let (Some(_), Some(_)) = (&set.on_stack_failure, input.disable_rollback) {
        return Err(errors::validation(
            "DisableRollback cannot be specified for a change set with OnStackFailure.",
        ));
    }
    let operation_id = ctx.random_uuid();
    let done: Result<()> = transact!(ctx.store(), |txn| {
        start(&ctx, txn, &set, &input, &operation_id).await?;
    });
    done?;
    Ok(ExecuteChangeSetOutput::default())
}

async fn start(
    ctx: &Ctx,
    txn: &mut Txn,
    set: &ChangeSetRecord,
    input: &ExecuteChangeSetInput,
    operation_id: &str,
) -> Result<()> {
    let scope = ctx.scope();
    let (id, name) = (set.stack_id.as_str(), set.name.as_str());
    let stack = STACKS.get(txn, scope, id).await?;
    let mut stack = stack.ok_or_else(|| errors::no_change_set(name))?;
    let set = CHANGE_SETS.get(txn, scope, &(id, name)).await?;
    let mut set = set.ok_or_else(|| errors::no_change_set(name))?;
    let executed = set.execution_status.starts_with("EXECUTE_");
    if executed
        && input.client_request_token.is_some()
        && stack.operation.token == input.client_request_token
    {
        return Ok(());
    }
    if set.execution_status != "AVAILABLE" {
        let status = if executed { &set.execution_status } else { &set.status };
        return Err(errors::change_set_status(&set.arn, status));
    }
    let creates = stack.status == "REVIEW_IN_PROGRESS";
    if creates != (set.kind == "CREATE") || !(creates || stack.is_updatable()) {
        return Err(errors::cannot_update(&stack.arn, &stack.status));
    }
    let template = TEMPLATES.get(txn, scope, &(id, set.id.as_str())).await?;
    let template = template.ok_or_else(|| errors::no_change_set(name))?;
    let goes_on = stack.status == "UPDATE_FAILED";
    if let Some(current) = TEMPLATES.get(txn, scope, &(id, CURRENT)).await?.filter(|_| !goes_on) {
        TEMPLATES.put(txn, scope, &(id, PREVIOUS), &current);
    }
    TEMPLATES.put(txn, scope, &(id, CURRENT), &template);
    let operation = operation(&set, &stack, input, creates, operation_id);
    apply(&set, &mut stack);
    stack.disable_rollback = operation.on_failure == "DO_NOTHING";
    stack.updated_ms = Some(ctx.now().millis());
    stack.retain_except_on_create = operation.retain_except_on_create;
    hold_imports(ctx, txn, &mut stack, set.imports.iter().cloned());
    let status = if creates { "CREATE_IN_PROGRESS" } else { "UPDATE_IN_PROGRESS" };
    engine::begin(ctx, txn, &mut stack, operation, status, Some("User Initiated"));
    STACKS.put(txn, scope, id, &stack);
    // Other change sets were made for a stack that is not any more.
    for ((_, other), record) in CHANGE_SETS.list(scope, (id,)).read(txn).await? {
        if other != name {
            forget(ctx, txn, &record);
        }
    }
    set.execution_status = EXECUTING.to_owned();
    CHANGE_SETS.put(txn, scope, &(id, name), &set);
    Ok(())
}

fn operation(
    set: &ChangeSetRecord,
    stack: &StackRecord,
    input: &ExecuteChangeSetInput,
    creates: bool,
    id: &str,
) -> OperationRecord {
    let on_failure = match (set.on_stack_failure.as_deref(), input.disable_rollback) {
        (Some(choice), _) => choice,
        (None, Some(true)) => "DO_NOTHING",
        _ => "ROLLBACK",
    };
    // What came before a failed update is still where a rollback leads.
    let goes_on = stack.status == "UPDATE_FAILED";
    OperationRecord {
        id: id.to_owned(),
        kind: if creates { "CREATE" } else { "UPDATE" }.to_owned(),
        phase: engine::Phase::Work.as_str().to_owned(),
        token: input.client_request_token.clone(),
        on_failure: on_failure.to_owned(),
        retain_except_on_create: input.retain_except_on_create.unwrap_or_default(),
        continues: if goes_on { stack.operation.id.clone() } else { String::new() },
        before: if goes_on {
            stack.operation.before.clone()
        } else {
            before_of(set, stack, creates)
        },
        ..Default::default()
    }
}

fn before_of(set: &ChangeSetRecord, stack: &StackRecord, creates: bool) -> BeforeRecord {
    BeforeRecord {
        status: stack.status.clone(),
        status_reason: stack.status_reason.clone(),
        description: stack.description.clone(),
        parameters: stack.parameters.clone(),
        // A creation changes no tags: there was nothing that had them.
        tags: if creates { set.tags.clone() } else { stack.tags.clone() },
        capabilities: stack.capabilities.clone(),
        outputs: stack.outputs.clone(),
        imports: stack.imports.clone(),
    }
}

fn apply(set: &ChangeSetRecord, stack: &mut StackRecord) {
    stack.change_set_arn = Some(set.arn.clone());
    stack.parameters.clone_from(&set.parameters);
    stack.tags.clone_from(&set.tags);
    stack.capabilities.clone_from(&set.capabilities);
    if set.role_arn.is_some() {
        stack.role_arn.clone_from(&set.role_arn);
    }
    if set.kind == "CREATE" {
        stack.description.clone_from(&set.stack_description);
    }
}

fn forget(ctx: &Ctx, txn: &mut Txn, set: &ChangeSetRecord) {
    let scope = ctx.scope();
    let stack_id = set.stack_id.as_str();
    CHANGE_SETS.delete(txn, scope, &(stack_id, set.name.as_str()));
    CHANGE_SET_IDS.delete(txn, scope, set.id.as_str());
    TEMPLATES.delete(txn, scope, &(stack_id, set.id.as_str()));
}

/// Deleting what is not there is no error, as long as the stack is.
pub async fn delete(ctx: Ctx, input: DeleteChangeSetInput) -> Result<DeleteChangeSetOutput> {
    let name = input.change_set_name.as_str();
    let Some((set, _)) = super::find(&ctx, name, input.stack_name.as_deref()).await? else {
        return Ok(DeleteChangeSetOutput::default());
    };
    let done: Result<()> = transact!(ctx.store(), |txn| {
        forget(&ctx, txn, &set);
    });
    done?;
    Ok(DeleteChangeSetOutput::default())
}
