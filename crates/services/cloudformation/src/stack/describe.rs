//! DescribeStacks and ListStacks.

use sereno_api_cloudformation as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::paging;
use crate::state::{NAMES, ParameterRecord, STACKS, StackRecord, TagRecord};
use crate::vault;

const PAGE: usize = 100;

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeStacksInput,
) -> Result<api::DescribeStacksOutput> {
    if let Some(name) = input.stack_name.filter(|name| !name.is_empty()) {
        let stack =
            super::find(&ctx, &name).await?.ok_or_else(|| errors::no_stack_with_id(&name))?;
        return Ok(api::DescribeStacksOutput {
            stacks: Some(vec![shown(&ctx, stack)?]),
            next_token: None,
        });
    }
    let mut list = NAMES.list(ctx.scope(), ()).limit(PAGE + 1);
    if let Some(after) = paging::read(input.next_token.as_deref())? {
        list = list.after(after.as_str());
    }
    let mut names = list.read(ctx.store()).await?;
    let next_token = paging::cut(&mut names, PAGE, |(name, _)| name.clone());
    let mut stacks = Vec::new();
    for (_, id) in names {
        let id = String::from_utf8_lossy(&id).into_owned();
        if let Some(stack) = STACKS.get(ctx.store(), ctx.scope(), id.as_str()).await? {
            stacks.push(shown(&ctx, stack)?);
        }
    }
    // Newest first, as AWS lists them.
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.creation_time));
    Ok(api::DescribeStacksOutput { stacks: Some(stacks), next_token })
}

pub async fn list(ctx: Ctx, input: api::ListStacksInput) -> Result<api::ListStacksOutput> {
    let filter = input.stack_status_filter.unwrap_or_default();
    let mut all = STACKS.list(ctx.scope(), ()).read(ctx.store()).await?;
    all.retain(|(_, stack)| {
        filter.is_empty() || filter.iter().any(|status| status.as_str() == stack.status)
    });
    all.sort_by(|(a_id, a), (b_id, b)| (b.created_ms, b_id).cmp(&(a.created_ms, a_id)));
    if let Some(after) = paging::read(input.next_token.as_deref())? {
        let at = all.iter().position(|(id, _)| *id == after).map_or(0, |at| at + 1);
        all.drain(..at);
    }
    let next_token = paging::cut(&mut all, PAGE, |(id, _)| id.clone());
    let summaries = all.into_iter().map(|(_, stack)| summary(stack)).collect();
    Ok(api::ListStacksOutput { stack_summaries: Some(summaries), next_token })
}

pub fn parameters_shown(ctx: &Ctx, records: &[ParameterRecord]) -> Result<Vec<api::Parameter>> {
    let shown = |it: &ParameterRecord| {
        let masked = || Ok("****".to_owned());
        let read = |sealed: &[u8]| if it.no_echo { masked() } else { vault::unseal(ctx, sealed) };
        Ok(api::Parameter {
            parameter_key: Some(it.key.clone()),
            parameter_value: Some(read(&it.value)?),
            resolved_value: it.resolved.as_ref().map(|sealed| read(sealed)).transpose()?,
            ..Default::default()
        })
    };
    records.iter().map(shown).collect()
}

pub fn tags_shown(tags: &[TagRecord]) -> Vec<api::Tag> {
    tags.iter().map(|tag| api::Tag { key: tag.key.clone(), value: tag.value.clone() }).collect()
}

fn not_checked() -> api::StackDriftInformation {
    api::StackDriftInformation {
        stack_drift_status: api::StackDriftStatus::NotChecked,
        last_check_timestamp: None,
    }
}

/// What is not empty: AWS leaves empty lists of these out.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn shown(ctx: &Ctx, stack: StackRecord) -> Result<api::Stack> {
    let time = Timestamp::from_millis;
    let outputs = stack.outputs.iter().map(|it| api::Output {
        output_key: Some(it.key.clone()),
        output_value: Some(it.value.clone()),
        description: it.description.clone(),
        export_name: it.export.clone(),
    });
    let protection = !stack.is_deleted() && stack.parent_arn.is_none();
    Ok(api::Stack {
        change_set_id: stack.change_set_arn.clone(),
        parameters: some(parameters_shown(ctx, &stack.parameters)?),
        creation_time: time(stack.created_ms),
        deletion_time: deletion_time(&stack),
        last_updated_time: stack.updated_ms.map(time),
        rollback_configuration: Some(api::RollbackConfiguration::default()),
        stack_status: stack.status.as_str().into(),
        disable_rollback: Some(stack.disable_rollback),
        notification_ar_ns: Some(Vec::new()),
        timeout_in_minutes: stack.timeout_minutes,
        capabilities: some(stack.capabilities.iter().map(|it| it.as_str().into()).collect()),
        outputs: some(outputs.collect()),
        tags: Some(tags_shown(&stack.tags)),
        enable_termination_protection: protection.then_some(stack.termination_protection),
        drift_information: Some(not_checked()),
        deletion_mode: stack.deletion_mode.as_deref().map(Into::into),
        retain_except_on_create: stack.retain_except_on_create.then_some(true),
        stack_id: Some(stack.arn),
        stack_name: stack.name,
        description: stack.description,
        stack_status_reason: stack.status_reason,
        role_arn: stack.role_arn,
        parent_id: stack.parent_arn,
        root_id: stack.root_arn,
        ..Default::default()
    })
}

/// AWS says when a deletion began, also that of a rollback.
fn deletion_time(stack: &StackRecord) -> Option<Timestamp> {
    let rolling = stack.status.starts_with("ROLLBACK_") || stack.status.starts_with("DELETE_");
    let began = rolling.then_some(stack.operation.started_ms);
    stack.deleted_ms.or(began).map(Timestamp::from_millis)
}

fn summary(stack: StackRecord) -> api::StackSummary {
    let time = Timestamp::from_millis;
    api::StackSummary {
        creation_time: time(stack.created_ms),
        last_updated_time: stack.updated_ms.map(time),
        deletion_time: deletion_time(&stack),
        stack_status: stack.status.as_str().into(),
        drift_information: Some(api::StackDriftInformationSummary {
            stack_drift_status: api::StackDriftStatus::NotChecked,
            last_check_timestamp: None,
        }),
        stack_id: Some(stack.arn),
        stack_name: stack.name,
        template_description: stack.description,
        stack_status_reason: stack.status_reason,
        parent_id: stack.parent_arn,
        root_id: stack.root_arn,
        ..Default::default()
    }
}
