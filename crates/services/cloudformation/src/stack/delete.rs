//! DeleteStack.

use sereno_api_cloudformation::{DeleteStackInput, DeleteStackOutput, DeletionMode};
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use super::options;
use crate::engine;
use crate::errors;
use crate::events;
use crate::state::{BeforeRecord, OperationRecord, STACKS, StackRecord};

/// A stack that is not there is deleted already.
pub async fn delete(ctx: Ctx, input: DeleteStackInput) -> Result<DeleteStackOutput> {
    if input.deployment_config.is_some() {
        return Err(errors::unsupported("DeploymentConfig"));
    }
    let Some(stack) = super::find(&ctx, &input.stack_name).await? else {
        return Ok(DeleteStackOutput::default());
    };
    if stack.is_deleted() {
        return Ok(DeleteStackOutput::default());
    }
    if stack.termination_protection {
        return Err(errors::validation(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    options::pass_role(&ctx, input.role_arn.as_deref()).await?;
    let retain = input.retain_resources.unwrap_or_default();
    let force = input.deletion_mode == Some(DeletionMode::ForceDeleteStack);
    if (!retain.is_empty() || force) && stack.status != "DELETE_FAILED" {
        return Err(errors::validation(format!(
            "Invalid operation on stack [{}]. When you specify which resources to retain, the stack must be in the \
             DELETE_FAILED state.",
            stack.arn
        )));
    }
    let request =
        Request { token: input.client_request_token, retain, force, role: input.role_arn };
    start(&ctx, &stack.id, request).await?;
    Ok(DeleteStackOutput::default())
}

/// Deletes a child for its parent.
pub async fn delete_nested(ctx: &Ctx, stack: &StackRecord) -> Result<()> {
    start(ctx, &stack.id, Request::default()).await
}

#[derive(Default)]
struct Request {
    token: Option<String>,
    retain: Vec<String>,
    force: bool,
    role: Option<String>,
}

async fn start(ctx: &Ctx, id: &str, request: Request) -> Result<()> {
    let operation_id = ctx.random_uuid();
    let scope = ctx.scope();
    transact!(ctx.store(), |txn| {
        let Some(mut stack) = STACKS.get(txn, scope, id).await? else { return Ok(()) };
        if stack.is_deleted() || stack.status == "DELETE_IN_PROGRESS" {
            return Ok(());
        }
        if request.role.is_some() {
            stack.role_arn.clone_from(&request.role);
        }
        if stack.status == "CREATE_IN_PROGRESS" {
            // The running creation turns to the deletion itself, so that nothing it makes is missed.
            stack.operation.asked = "delete".to_owned();
            stack.operation.token.clone_from(&request.token);
            stack.status = "DELETE_IN_PROGRESS".to_owned();
            stack.status_reason = Some("User Initiated".to_owned());
            STACKS.put(txn, scope, id, &stack);
            events::of_stack(ctx, txn, &stack);
            return Ok(());
        }
        if stack.is_busy() {
            return Err(errors::validation(format!(
                "Stack [{}] cannot be deleted while in status {}",
                stack.arn, stack.status
            )));
        }
        let operation = OperationRecord {
            id: operation_id.clone(),
            kind: "DELETE".to_owned(),
            phase: engine::Phase::Delete.as_str().to_owned(),
            token: request.token.clone(),
            retain: request.retain.clone(),
            force: request.force,
            before: BeforeRecord {
                status: stack.status.clone(),
                status_reason: stack.status_reason.clone(),
                tags: stack.tags.clone(),
                ..Default::default()
            },
            ..Default::default()
        };
        if request.force {
            stack.deletion_mode = Some("FORCE_DELETE_STACK".to_owned());
        }
        engine::begin(
            ctx,
            txn,
            &mut stack,
            operation,
            "DELETE_IN_PROGRESS",
            Some("User Initiated"),
        );
    })
}
