//! CancelUpdateStack, ContinueUpdateRollback, RollbackStack.

use sereno_api_cloudformation::{
    CancelUpdateStackInput, CancelUpdateStackOutput, ContinueUpdateRollbackInput,
    ContinueUpdateRollbackOutput, RollbackStackInput, RollbackStackOutput,
};
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use super::options;
use crate::engine::{self, Phase};
use crate::errors;
use crate::state::{RESOURCES, STACKS};

pub async fn cancel_update(
    ctx: Ctx,
    input: CancelUpdateStackInput,
) -> Result<CancelUpdateStackOutput> {
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    super::change(&ctx, &stack.id, |stack| {
        if stack.status != "UPDATE_IN_PROGRESS" {
            return Err(errors::validation(
                "CancelUpdateStack cannot be called from current stack status",
            ));
        }
        stack.operation.asked = "cancel".to_owned();
        Ok(())
    })
    .await?;
    Ok(CancelUpdateStackOutput::default())
}

pub async fn continue_rollback(
    ctx: Ctx,
    input: ContinueUpdateRollbackInput,
) -> Result<ContinueUpdateRollbackOutput> {
    if input.force_rollback.unwrap_or_default() {
        return Err(errors::unsupported("ForceRollback"));
    }
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack_with_id(&input.stack_name))?;
    options::pass_role(&ctx, input.role_arn.as_deref()).await?;
    let skip = input.resources_to_skip.unwrap_or_default();
    let (id, scope) = (stack.id.as_str(), ctx.scope());
    let started: Result<()> = transact!(ctx.store(), |txn| {
        let found = STACKS.get(txn, scope, id).await?;
        let mut stack = found.ok_or_else(|| errors::no_stack(id))?;
        if stack.status != "UPDATE_ROLLBACK_FAILED" {
            return Err(errors::validation(format!(
                "Stack:{} is in {} state and can not continue rollback.",
                stack.arn, stack.status
            )));
        }
        for resource in &skip {
            let record = RESOURCES.get(txn, scope, &(id, resource.as_str())).await?;
            if record.is_none_or(|record| record.status != "UPDATE_FAILED") {
                return Err(errors::validation(format!(
                    "Resource [{resource}] is not in UPDATE_FAILED state and cannot be skipped"
                )));
            }
        }
        if input.role_arn.is_some() {
            stack.role_arn.clone_from(&input.role_arn);
        }
        // The same operation goes on: the resources' records speak of it.
        let mut operation = stack.operation.clone();
        operation.phase = Phase::Rollback.as_str().to_owned();
        operation.token.clone_from(&input.client_request_token);
        operation.skip.clone_from(&skip);
        let status = "UPDATE_ROLLBACK_IN_PROGRESS";
        engine::begin(&ctx, txn, &mut stack, operation, status, Some("User Initiated"));
    });
    started?;
    Ok(ContinueUpdateRollbackOutput::default())
}

pub async fn roll_back(ctx: Ctx, input: RollbackStackInput) -> Result<RollbackStackOutput> {
    if input.deployment_config.is_some() {
        return Err(errors::unsupported("DeploymentConfig"));
    }
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack_with_id(&input.stack_name))?;
    options::pass_role(&ctx, input.role_arn.as_deref()).await?;
    let (id, scope) = (stack.id.as_str(), ctx.scope());
    let stack = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = STACKS.get(txn, scope, id).await?;
        let mut stack = found.ok_or_else(|| errors::no_stack(id))?;
        let status = match stack.status.as_str() {
            "CREATE_FAILED" => "ROLLBACK_IN_PROGRESS",
            "UPDATE_FAILED" => "UPDATE_ROLLBACK_IN_PROGRESS",
            other => {
                return Err(errors::validation(format!(
                    "Stack:{} is in {other} state and can not be rolled back.",
                    stack.arn
                )));
            }
        };
        if input.role_arn.is_some() {
            stack.role_arn.clone_from(&input.role_arn);
        }
        let mut operation = stack.operation.clone();
        operation.phase = Phase::Rollback.as_str().to_owned();
        operation.token.clone_from(&input.client_request_token);
        operation.retain_except_on_create = input.retain_except_on_create.unwrap_or_default();
        engine::begin(&ctx, txn, &mut stack, operation, status, Some("User Initiated"));
        stack
    })?;
    Ok(RollbackStackOutput { stack_id: Some(stack.arn), operation_id: Some(stack.operation.id) })
}
