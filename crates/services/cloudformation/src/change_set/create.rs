//! CreateChangeSet.
//!
//! The change set is complete when the call returns: AWS's waiters find it so at their first look.

use sereno_api_cloudformation::{
    ChangeSetType, CreateChangeSetInput, CreateChangeSetOutput, DescribeChangeSetOutput,
    OnStackFailure,
};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};
use sereno_wire::to_json;

use crate::changes::Changes;
use crate::encode;
use crate::errors;
use crate::events::{self, id_bytes};
use crate::prepare::{Ask, Prepared, prepare};
use crate::source;
use crate::stack::{
    self, capabilities, check_name, given, new_record, pass_role, refuse_config, tags,
};
use crate::state::{
    CHANGE_SET_IDS, CHANGE_SETS, CURRENT, ChangeSetIdRecord, ChangeSetRecord, NAMES, STACKS,
    StackRecord, TEMPLATES, TagRecord,
};
use crate::types;
use crate::world;

/// recorded: test_empty_changeset; the CLIs look for these very words.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

pub async fn create(ctx: Ctx, input: CreateChangeSetInput) -> Result<CreateChangeSetOutput> {
    refuse(&input)?;
    let creates = match &input.change_set_type {
        Some(ChangeSetType::Create) => true,
        None | Some(ChangeSetType::Update) => false,
        Some(other) => return Err(errors::unsupported(&format!("ChangeSetType {other}"))),
    };
    let (stack, is_new) = stack_for(&ctx, &input, creates).await?;
    let key = (stack.id.as_str(), input.change_set_name.as_str());
    if let Some(existing) = CHANGE_SETS.get(ctx.store(), ctx.scope(), &key).await? {
        if input.client_token.is_some() && existing.token == input.client_token {
            return Ok(CreateChangeSetOutput { id: Some(existing.arn), stack_id: Some(stack.arn) });
        }
        return Err(errors::change_set_exists(&existing.name));
    }
    pass_role(&ctx, input.role_arn.as_deref()).await?;
    let before = TEMPLATES.get(ctx.store(), ctx.scope(), &(stack.id.as_str(), CURRENT)).await?;
    let (body, url) = (input.template_body.as_deref(), input.template_url.as_deref());
    let body = match (source::template(&ctx, body, url).await?, &before) {
        (Some(body), _) => body,
        (None, Some(before)) if input.use_previous_template == Some(true) => before.body.clone(),
        _ => {
            return Err(errors::validation(
                "Either Template URL or Template Body must be specified.",
            ));
        }
    };
    let given_capabilities = capabilities(input.capabilities);
    let wanted_tags = tags(input.tags)?.unwrap_or_else(|| stack.tags.clone());
    let previous = encode::chosen(&ctx, &stack.parameters)?;
    let ask = Ask {
        stack_name: &stack.name,
        stack_arn: &stack.arn,
        body,
        given: given(input.parameters),
        previous: (!creates).then_some(&previous),
        capabilities: &given_capabilities,
        resource_types: input.resource_types.as_deref(),
        direct: false,
    };
    let exports = world::exports(&ctx, ctx.store()).await?;
    let prepared = prepare(&ctx, ask, &exports).await?;
    let nested = input.include_nested_stacks.unwrap_or_default();
    if nested && prepared.template.resources().any(|it| it.type_name() == types::STACK) {
        return Err(errors::unsupported("IncludeNestedStacks for a template with nested stacks"));
    }
    let before = before.as_ref().filter(|_| !creates);
    let changes = match &prepared.failure {
        None => {
            Some(stack::changes(&ctx, &stack, before, &prepared, &wanted_tags, &exports).await?)
        }
        Some(_) => None,
    };
    let details = Details {
        name: input.change_set_name,
        kind: if creates { "CREATE" } else { "UPDATE" },
        description: input.description,
        tags: wanted_tags,
        capabilities: given_capabilities,
        role_arn: input.role_arn,
        on_stack_failure: input.on_stack_failure,
        token: input.client_token,
        include_nested_stacks: nested,
    };
    let set = record(&ctx, &stack, &prepared, changes, details);
    store(&ctx, stack, is_new, set, &prepared).await
}

fn refuse(input: &CreateChangeSetInput) -> Result<()> {
    refuse_config(
        input.notification_ar_ns.as_ref(),
        input.rollback_configuration.as_ref(),
        input.deployment_config.as_ref(),
    )?;
    if input.resources_to_import.as_ref().is_some_and(|it| !it.is_empty()) {
        return Err(errors::unsupported("ResourcesToImport"));
    }
    if input.import_existing_resources == Some(true) {
        return Err(errors::unsupported("ImportExistingResources"));
    }
    if input.deployment_mode.is_some() {
        return Err(errors::unsupported("DeploymentMode"));
    }
    Ok(())
}

/// The stack that a change set is about; a new one for a creation.
async fn stack_for(
    ctx: &Ctx,
    input: &CreateChangeSetInput,
    creates: bool,
) -> Result<(StackRecord, bool)> {
    let name = &input.stack_name;
    let found = stack::find(ctx, name).await?;
    if !creates {
        let stack = found.ok_or_else(|| errors::no_stack(name))?;
        if !stack.is_updatable() {
            return Err(errors::cannot_update(&stack.arn, &stack.status));
        }
        return Ok((stack, false));
    }
    match found {
        Some(stack) if stack.status == "REVIEW_IN_PROGRESS" => Ok((stack, false)),
        // recorded: test_name_conflicts, test_create_changeset_with_stack_id
        Some(_) => Err(errors::validation(format!(
            "Stack [{name}] already exists and cannot be created again with the changeSet [{}].",
            input.change_set_name
        ))),
        None => {
            check_name(name)?;
            Ok((new_record(ctx, name), true))
        }
    }
}

struct Details {
    name: String,
    kind: &'static str,
    description: Option<String>,
    tags: Vec<TagRecord>,
    capabilities: Vec<String>,
    role_arn: Option<String>,
    on_stack_failure: Option<OnStackFailure>,
    token: Option<String>,
    include_nested_stacks: bool,
}

fn record(
    ctx: &Ctx,
    stack: &StackRecord,
    prepared: &Prepared,
    changes: Option<Changes>,
    details: Details,
) -> ChangeSetRecord {
    let id = ctx.random_uuid();
    let reason = match &changes {
        None => prepared.failure.clone(),
        // A new stack may have no resource whose condition holds (recorded: test_and_or_functions).
        Some(changes) if changes.is_empty() && details.kind == "UPDATE" => {
            Some(NO_CHANGES.to_owned())
        }
        Some(_) => None,
    };
    let changes = changes.unwrap_or_default();
    let text = |changes: Vec<_>| {
        let output = DescribeChangeSetOutput { changes: Some(changes), ..Default::default() };
        to_json(&output).to_string()
    };
    let failed = reason.is_some();
    ChangeSetRecord {
        arn: ctx.arn("cloudformation", &format!("changeSet/{}/{id}", details.name)),
        id,
        name: details.name,
        stack_id: stack.id.clone(),
        kind: details.kind.to_owned(),
        status: if failed { "FAILED" } else { "CREATE_COMPLETE" }.to_owned(),
        status_reason: reason,
        execution_status: if failed { "UNAVAILABLE" } else { "AVAILABLE" }.to_owned(),
        description: details.description,
        created_ms: ctx.now().millis(),
        parameters: encode::parameters(ctx, prepared),
        tags: details.tags,
        capabilities: details.capabilities,
        role_arn: details.role_arn,
        changes: text(changes.plain),
        changes_with_values: text(changes.with_values),
        on_stack_failure: details.on_stack_failure.map(|it| it.as_str().to_owned()),
        include_nested_stacks: details.include_nested_stacks,
        stack_description: prepared.template.description().map(str::to_owned),
        imports: prepared.imports.iter().cloned().collect(),
        token: details.token,
    }
}

async fn store(
    ctx: &Ctx,
    stack: StackRecord,
    is_new: bool,
    set: ChangeSetRecord,
    prepared: &Prepared,
) -> Result<CreateChangeSetOutput> {
    let template = encode::record(ctx, prepared);
    let scope = ctx.scope();
    transact!(ctx.store(), |txn| {
        let mut stack = stack.clone();
        if is_new {
            review(ctx, txn, &mut stack).await?;
        } else if STACKS.get(txn, scope, stack.id.as_str()).await?.is_none_or(|it| it.is_deleted())
        {
            return Err(errors::no_stack(&stack.name));
        }
        let key = (stack.id.as_str(), set.name.as_str());
        if CHANGE_SETS.get(txn, scope, &key).await?.is_some() {
            return Err(errors::change_set_exists(&set.name));
        }
        CHANGE_SETS.put(txn, scope, &key, &set);
        let place = ChangeSetIdRecord { stack_id: stack.id.clone(), name: set.name.clone() };
        CHANGE_SET_IDS.put(txn, scope, set.id.as_str(), &place);
        TEMPLATES.put(txn, scope, &(stack.id.as_str(), set.id.as_str()), &template);
        CreateChangeSetOutput { id: Some(set.arn.clone()), stack_id: Some(stack.arn) }
    })
}

/// A stack that exists only for its change sets.
async fn review(ctx: &Ctx, txn: &mut Txn, stack: &mut StackRecord) -> Result<()> {
    if NAMES.get(txn, ctx.scope(), stack.name.as_str()).await?.is_some() {
        return Err(errors::already_exists(&stack.name));
    }
    stack.status = "REVIEW_IN_PROGRESS".to_owned();
    stack.status_reason = Some("User Initiated".to_owned());
    NAMES.put(txn, ctx.scope(), stack.name.as_str(), &id_bytes(stack));
    STACKS.put(txn, ctx.scope(), stack.id.as_str(), stack);
    events::of_stack(ctx, txn, stack);
    Ok(())
}
