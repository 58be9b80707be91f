//! UpdateStack.

use std::collections::{BTreeMap, BTreeSet};

use sereno_api_cloudformation::{UpdateStackInput, UpdateStackOutput};
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use super::{create, options};
use crate::changes::{Changes, Compare, Side, compare};
use crate::encode;
use crate::engine;
use crate::errors;
use crate::own::Child;
use crate::prepare::{Ask, Prepared, prepare};
use crate::source;
use crate::state::{
    BeforeRecord, CURRENT, OperationRecord, PREVIOUS, RESOURCES, STACKS, StackRecord, TEMPLATES,
    TagRecord, TemplateRecord,
};
use crate::world::{self, Exports, Known};

/// What an update wants besides the template.
#[derive(Default)]
pub struct Wishes {
    pub tags: Vec<TagRecord>,
    pub capabilities: Vec<String>,
    pub role_arn: Option<String>,
    pub disable_rollback: bool,
    pub retain_except_on_create: bool,
    pub token: Option<String>,
    pub policy: Option<String>,
    pub policy_override: Option<String>,
    pub change_set_arn: Option<String>,
}

pub async fn update(ctx: Ctx, input: UpdateStackInput) -> Result<UpdateStackOutput> {
    options::refuse_config(
        input.notification_ar_ns.as_ref(),
        input.rollback_configuration.as_ref(),
        input.deployment_config.as_ref(),
    )?;
    let found = super::find(&ctx, &input.stack_name).await?;
    let stack = found.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    if let Some(token) = &input.client_request_token
        && stack.operation.kind == "UPDATE"
        && stack.operation.token.as_ref() == Some(token)
    {
        return Ok(answer(&stack));
    }
    if !stack.is_updatable() {
        return Err(errors::cannot_update(&stack.arn, &stack.status));
    }
    let before = current_template(&ctx, &stack).await?;
    let (body, url) = (input.template_body.as_deref(), input.template_url.as_deref());
    let body = match (source::template(&ctx, body, url).await?, input.use_previous_template) {
        (None, Some(true)) => before.body.clone(),
        (Some(body), None | Some(false)) => body,
        (Some(_), Some(true)) => {
            return Err(errors::validation(
                "You cannot specify both usePreviousTemplate and Template Body.",
            ));
        }
        (None, _) => return Err(create::no_template()),
    };
    options::pass_role(&ctx, input.role_arn.as_deref()).await?;
    let during = (input.stack_policy_during_update_body, input.stack_policy_during_update_url);
    let wishes = Wishes {
        tags: options::tags(input.tags)?.unwrap_or_else(|| stack.tags.clone()),
        capabilities: options::capabilities(input.capabilities),
        role_arn: input.role_arn.or_else(|| stack.role_arn.clone()),
        disable_rollback: input.disable_rollback.unwrap_or_default(),
        retain_except_on_create: input.retain_except_on_create.unwrap_or_default(),
        token: input.client_request_token,
        policy: options::policy_text(&ctx, input.stack_policy_body, input.stack_policy_url).await?,
        policy_override: options::policy_text(&ctx, during.0, during.1).await?,
        change_set_arn: None,
    };
    let ask = Ask {
        stack_name: &stack.name,
        stack_arn: &stack.arn,
        body,
        given: options::given(input.parameters),
        previous: Some(&encode::chosen(&ctx, &stack.parameters)?),
        capabilities: &wishes.capabilities,
        resource_types: input.resource_types.as_deref(),
        direct: true,
    };
    let exports = world::exports(&ctx, ctx.store()).await?;
    let prepared = prepare(&ctx, ask, &exports).await?;
    refuse_nothing(&ctx, &stack, &before, &prepared, &wishes.tags, &exports).await?;
    let stack = start_update(&ctx, &stack, &prepared, &wishes).await?;
    Ok(answer(&stack))
}

fn answer(stack: &StackRecord) -> UpdateStackOutput {
    UpdateStackOutput {
        stack_id: Some(stack.arn.clone()),
        operation_id: Some(stack.operation.id.clone()),
    }
}

async fn current_template(ctx: &Ctx, stack: &StackRecord) -> Result<TemplateRecord> {
    let key = (stack.id.as_str(), CURRENT);
    let found = TEMPLATES.get(ctx.store(), ctx.scope(), &key).await?;
    found.ok_or_else(|| errors::cannot_update(&stack.arn, &stack.status))
}

async fn refuse_nothing(
    ctx: &Ctx,
    stack: &StackRecord,
    before: &TemplateRecord,
    prepared: &Prepared,
    tags: &[TagRecord],
    exports: &Exports,
) -> Result<()> {
    if prepared.failure.is_some() {
        return Ok(());
    }
    let changes = changes(ctx, stack, Some(before), prepared, tags, exports).await?;
    if changes.is_empty() { Err(errors::nothing_to_update()) } else { Ok(()) }
}

/// What a prepared template would change in a stack.
pub async fn changes(
    ctx: &Ctx,
    stack: &StackRecord,
    before: Option<&TemplateRecord>,
    prepared: &Prepared,
    tags: &[TagRecord],
    exports: &Exports,
) -> Result<Changes> {
    let resources = RESOURCES.list(ctx.scope(), (stack.id.as_str(),)).read(ctx.store()).await?;
    let existing = resources.iter().filter(|(_, record)| record.exists());
    let known: BTreeMap<String, Known> =
        existing.clone().map(|((_, id), record)| (id.clone(), Known::of(record))).collect();
    let failed: BTreeSet<String> = existing
        .filter(|(_, record)| record.status.ends_with("_FAILED"))
        .map(|((_, id), _)| id.clone())
        .collect();
    refuse_other_types(prepared, &known)?;
    let before = before.map(|record| encode::template(ctx, record)).transpose()?;
    let pairs = |tags: &[TagRecord]| -> Vec<(String, String)> {
        tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    };
    let (old_tags, new_tags) = (pairs(&stack.tags), pairs(tags));
    let masked = prepared.masked();
    compare(&Compare {
        ctx,
        before: before.as_ref().map(|(template, environment, _)| Side {
            template,
            environment,
            tags: &old_tags,
        }),
        after: Side {
            template: &prepared.template,
            environment: &prepared.environment,
            tags: &new_tags,
        },
        known: &known,
        failed: &failed,
        exports,
        masked: &masked,
    })
}

fn refuse_other_types(prepared: &Prepared, known: &BTreeMap<String, Known>) -> Result<()> {
    let other = prepared.template.resources().filter(|resource| {
        known.get(resource.id).is_some_and(|it| it.type_name != resource.type_name())
    });
    let other: Vec<&str> = other.map(|it| it.id).collect();
    if other.is_empty() {
        return Ok(());
    }
    Err(errors::validation(format!(
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
        other.join(", ")
    )))
}

/// Stores the new template and starts the update.
pub async fn start_update(
    ctx: &Ctx,
    stack: &StackRecord,
    prepared: &Prepared,
    wishes: &Wishes,
) -> Result<StackRecord> {
    let template = encode::record(ctx, prepared);
    let parameters = encode::parameters(ctx, prepared);
    let operation_id = ctx.random_uuid();
    let scope = ctx.scope();
    transact!(ctx.store(), |txn| {
        let id = stack.id.as_str();
        let found = STACKS.get(txn, scope, id).await?;
        let mut stack = found.ok_or_else(|| errors::no_stack(&stack.name))?;
        if !stack.is_updatable() {
            return Err(errors::cannot_update(&stack.arn, &stack.status));
        }
        // What came before the failed update is still where a rollback leads.
        let goes_on = stack.status == "UPDATE_FAILED";
        let operation = OperationRecord {
            id: operation_id.clone(),
            kind: "UPDATE".to_owned(),
            phase: engine::Phase::Work.as_str().to_owned(),
            token: wishes.token.clone(),
            on_failure: if wishes.disable_rollback { "DO_NOTHING" } else { "ROLLBACK" }.to_owned(),
            failure: prepared.failure.clone(),
            before: if goes_on { stack.operation.before.clone() } else { before_of(&stack) },
            continues: if goes_on { stack.operation.id.clone() } else { String::new() },
            policy_override: wishes.policy_override.clone(),
            retain_except_on_create: wishes.retain_except_on_create,
            ..Default::default()
        };
        if let Some(current) = TEMPLATES.get(txn, scope, &(id, CURRENT)).await?.filter(|_| !goes_on)
        {
            TEMPLATES.put(txn, scope, &(id, PREVIOUS), &current);
        }
        TEMPLATES.put(txn, scope, &(id, CURRENT), &template);
        stack.parameters.clone_from(&parameters);
        stack.tags.clone_from(&wishes.tags);
        stack.capabilities.clone_from(&wishes.capabilities);
        stack.role_arn.clone_from(&wishes.role_arn);
        stack.change_set_arn.clone_from(&wishes.change_set_arn);
        stack.disable_rollback = wishes.disable_rollback;
        stack.updated_ms = Some(ctx.now().millis());
        if wishes.policy.is_some() {
            stack.policy.clone_from(&wishes.policy);
        }
        super::hold_imports(ctx, txn, &mut stack, prepared.imports.iter().cloned());
        engine::begin(
            ctx,
            txn,
            &mut stack,
            operation,
            "UPDATE_IN_PROGRESS",
            Some("User Initiated"),
        );
        stack
    })
}

fn before_of(stack: &StackRecord) -> BeforeRecord {
    BeforeRecord {
        status: stack.status.clone(),
        status_reason: stack.status_reason.clone(),
        description: stack.description.clone(),
        parameters: stack.parameters.clone(),
        tags: stack.tags.clone(),
        capabilities: stack.capabilities.clone(),
        outputs: stack.outputs.clone(),
        imports: stack.imports.clone(),
    }
}

/// Updates a child for its parent; a child that fails puts itself back.
pub async fn update_nested(ctx: &Ctx, stack: &StackRecord, child: Child) -> Result<()> {
    // Begun by a run that died.
    if stack.operation.token.as_ref() == Some(&child.token) {
        return Ok(());
    }
    if !stack.is_updatable() {
        return Err(errors::cannot_update(&stack.arn, &stack.status));
    }
    let before = current_template(ctx, stack).await?;
    let wishes = Wishes {
        tags: child.tags,
        capabilities: child.parent.capabilities,
        role_arn: child.parent.role_arn,
        token: Some(child.token),
        ..Wishes::default()
    };
    let ask = Ask {
        stack_name: &stack.name,
        stack_arn: &stack.arn,
        body: child.body,
        given: child.given,
        previous: None,
        capabilities: &wishes.capabilities,
        resource_types: None,
        direct: true,
    };
    let exports = world::exports(ctx, ctx.store()).await?;
    let prepared = prepare(ctx, ask, &exports).await?;
    refuse_nothing(ctx, stack, &before, &prepared, &wishes.tags, &exports).await?;
    start_update(ctx, stack, &prepared, &wishes).await?;
    Ok(())
}
