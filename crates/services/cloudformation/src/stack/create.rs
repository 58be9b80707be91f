//! CreateStack.

use sereno_api_cloudformation::{CreateStackInput, CreateStackOutput, OnFailure};
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use super::options;
use crate::encode;
use crate::engine;
use crate::errors;
use crate::events::id_bytes;
use crate::own::Child;
use crate::prepare::{Ask, Prepared, prepare};
use crate::source;
use crate::state::{CURRENT, NAMES, OperationRecord, STACKS, StackRecord, TEMPLATES};
use crate::world;

pub async fn create(ctx: Ctx, input: CreateStackInput) -> Result<CreateStackOutput> {
    options::check_name(&input.stack_name)?;
    options::refuse_config(
        input.notification_ar_ns.as_ref(),
        input.rollback_configuration.as_ref(),
        input.deployment_config.as_ref(),
    )?;
    let on_failure = on_failure(input.disable_rollback, input.on_failure.as_ref())?;
    let (body, url) = (input.template_body.as_deref(), input.template_url.as_deref());
    let body = source::template(&ctx, body, url).await?.ok_or_else(no_template)?;
    if let Some(existing) = super::by_name(&ctx, &input.stack_name).await? {
        return existing_stack(&existing, input.client_request_token.as_deref());
    }
    options::pass_role(&ctx, input.role_arn.as_deref()).await?;
    let mut stack = new_record(&ctx, &input.stack_name);
    stack.policy =
        options::policy_text(&ctx, input.stack_policy_body, input.stack_policy_url).await?;
    stack.tags = options::tags(input.tags)?.unwrap_or_default();
    stack.capabilities = options::capabilities(input.capabilities);
    stack.role_arn = input.role_arn;
    stack.timeout_minutes = input.timeout_in_minutes;
    stack.termination_protection = input.enable_termination_protection.unwrap_or_default();
    stack.retain_except_on_create = input.retain_except_on_create.unwrap_or_default();
    stack.disable_rollback = on_failure == "DO_NOTHING";
    stack.create_token.clone_from(&input.client_request_token);
    let ask = Ask {
        stack_name: &stack.name.clone(),
        stack_arn: &stack.arn.clone(),
        body,
        given: options::given(input.parameters),
        previous: None,
        capabilities: &stack.capabilities.clone(),
        resource_types: input.resource_types.as_deref(),
        direct: true,
    };
    let exports = world::exports(&ctx, ctx.store()).await?;
    let prepared = prepare(&ctx, ask, &exports).await?;
    let stack = begin(&ctx, stack, prepared, on_failure, input.client_request_token).await?;
    let operation_id = Some(stack.operation.id);
    Ok(CreateStackOutput { stack_id: Some(stack.arn), operation_id })
}

pub(super) fn no_template() -> sereno_kernel::Error {
    // recorded: test_no_template_error
    errors::validation("Either Template URL or Template Body must be specified.")
}

fn on_failure(
    disable_rollback: Option<bool>,
    on_failure: Option<&OnFailure>,
) -> Result<&'static str> {
    match (disable_rollback, on_failure) {
        (Some(_), Some(_)) => Err(errors::validation(
            "Either DisableRollback or OnFailure can be specified, not both.",
        )),
        (Some(true), None) | (None, Some(OnFailure::DoNothing)) => Ok("DO_NOTHING"),
        (None, Some(OnFailure::Delete)) => Ok("DELETE"),
        _ => Ok("ROLLBACK"),
    }
}

fn existing_stack(existing: &StackRecord, token: Option<&str>) -> Result<CreateStackOutput> {
    if token.is_some() && existing.create_token.as_deref() == token {
        return Ok(CreateStackOutput { stack_id: Some(existing.arn.clone()), operation_id: None });
    }
    Err(errors::already_exists(&existing.name))
}

/// A stack that is not stored yet.
pub fn new_record(ctx: &Ctx, name: &str) -> StackRecord {
    let id = ctx.random_uuid();
    StackRecord {
        arn: ctx.arn("cloudformation", &format!("stack/{name}/{id}")),
        id,
        name: name.to_owned(),
        created_ms: ctx.now().millis(),
        ..Default::default()
    }
}

/// Stores the stack and starts its creation.
async fn begin(
    ctx: &Ctx,
    mut stack: StackRecord,
    prepared: Prepared,
    on_failure: &str,
    token: Option<String>,
) -> Result<StackRecord> {
    let template = encode::record(ctx, &prepared);
    stack.parameters = encode::parameters(ctx, &prepared);
    stack.description = prepared.template.description().map(str::to_owned);
    let operation = OperationRecord {
        id: ctx.random_uuid(),
        kind: "CREATE".to_owned(),
        phase: engine::Phase::Work.as_str().to_owned(),
        token,
        on_failure: on_failure.to_owned(),
        failure: prepared.failure.clone(),
        retain_except_on_create: stack.retain_except_on_create,
        ..Default::default()
    };
    let scope = ctx.scope();
    transact!(ctx.store(), |txn| {
        let mut stack = stack.clone();
        if NAMES.get(txn, scope, stack.name.as_str()).await?.is_some() {
            return Err(errors::already_exists(&stack.name));
        }
        NAMES.put(txn, scope, stack.name.as_str(), &id_bytes(&stack));
        TEMPLATES.put(txn, scope, &(stack.id.as_str(), CURRENT), &template);
        super::hold_imports(ctx, txn, &mut stack, prepared.imports.iter().cloned());
        let status = "CREATE_IN_PROGRESS";
        engine::begin(ctx, txn, &mut stack, operation.clone(), status, Some("User Initiated"));
        STACKS.put(txn, scope, stack.id.as_str(), &stack);
        stack
    })
}

/// Creates a stack for a parent. A child that fails stays as it is: its parent decides.
pub async fn create_nested(ctx: &Ctx, child: Child) -> Result<StackRecord> {
    let mut stack = new_record(ctx, &child.name);
    stack.parent_arn = Some(child.parent.arn.clone());
    stack.root_arn = Some(child.parent.root_arn.unwrap_or(child.parent.arn));
    stack.tags = child.tags;
    stack.capabilities = child.parent.capabilities;
    stack.role_arn = child.parent.role_arn;
    stack.timeout_minutes = child.timeout_minutes;
    let ask = Ask {
        stack_name: &stack.name.clone(),
        stack_arn: &stack.arn.clone(),
        body: child.body,
        given: child.given,
        previous: None,
        capabilities: &stack.capabilities.clone(),
        resource_types: None,
        direct: true,
    };
    let exports = world::exports(ctx, ctx.store()).await?;
    let prepared = prepare(ctx, ask, &exports).await?;
    begin(ctx, stack, prepared, "DO_NOTHING", Some(child.token)).await
}
