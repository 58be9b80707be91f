//! DescribeChangeSet, DescribeChangeSetHooks, ListChangeSets.

use sereno_api_cloudformation as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};
use sereno_wire::from_json;

use crate::errors;
use crate::paging;
use crate::stack::{self, parameters_shown, tags_shown};
use crate::state::{CHANGE_SETS, ChangeSetRecord, StackRecord};

/// AWS pages by size; this is about what fits.
const CHANGES_PAGE: usize = 200;

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

async fn find(
    ctx: &Ctx,
    name: &str,
    stack_name: Option<&str>,
) -> Result<(ChangeSetRecord, StackRecord)> {
    super::find(ctx, name, stack_name).await?.ok_or_else(|| errors::no_change_set(name))
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeChangeSetInput,
) -> Result<api::DescribeChangeSetOutput> {
    let name = input.change_set_name.as_str();
    let (set, stack) = find(&ctx, name, input.stack_name.as_deref()).await?;
    let values = input.include_property_values.unwrap_or_default();
    let text = if values { &set.changes_with_values } else { &set.changes };
    let mut changes = read_changes(text)?;
    let from = paging::read(input.next_token.as_deref())?;
    let from: usize = from.and_then(|text| text.parse().ok()).unwrap_or_default();
    changes.drain(..from.min(changes.len()));
    let next_token = paging::cut(&mut changes, CHANGES_PAGE, |_| (from + CHANGES_PAGE).to_string());
    Ok(api::DescribeChangeSetOutput {
        parameters: some(parameters_shown(&ctx, &set.parameters)?),
        creation_time: Some(Timestamp::from_millis(set.created_ms)),
        execution_status: Some(set.execution_status.as_str().into()),
        status: Some(set.status.as_str().into()),
        notification_ar_ns: Some(Vec::new()),
        rollback_configuration: Some(api::RollbackConfiguration::default()),
        capabilities: Some(set.capabilities.iter().map(|it| it.as_str().into()).collect()),
        tags: some(tags_shown(&set.tags)),
        changes: Some(changes),
        include_nested_stacks: Some(set.include_nested_stacks),
        on_stack_failure: set.on_stack_failure.as_deref().map(Into::into),
        change_set_name: Some(set.name),
        change_set_id: Some(set.arn),
        stack_id: Some(stack.arn),
        stack_name: Some(stack.name),
        description: set.description,
        status_reason: set.status_reason,
        next_token,
        ..Default::default()
    })
}

fn read_changes(text: &str) -> Result<Vec<api::Change>> {
    let lost = || Error::internal("cloudformation: stored changes cannot be read");
    let value = serde_json::from_str(text).map_err(|_| lost())?;
    let output: api::DescribeChangeSetOutput = from_json(&value).map_err(|_| lost())?;
    Ok(output.changes.unwrap_or_default())
}

/// There are no hooks.
pub async fn describe_hooks(
    ctx: Ctx,
    input: api::DescribeChangeSetHooksInput,
) -> Result<api::DescribeChangeSetHooksOutput> {
    let name = input.change_set_name.as_str();
    let (set, stack) = find(&ctx, name, input.stack_name.as_deref()).await?;
    Ok(api::DescribeChangeSetHooksOutput {
        change_set_id: Some(set.arn),
        change_set_name: Some(set.name),
        hooks: Some(Vec::new()),
        status: Some(api::ChangeSetHooksStatus::Planned),
        stack_id: Some(stack.arn),
        stack_name: Some(stack.name),
        next_token: None,
    })
}

pub async fn list(ctx: Ctx, input: api::ListChangeSetsInput) -> Result<api::ListChangeSetsOutput> {
    let stack = stack::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    let mut sets = CHANGE_SETS.list(ctx.scope(), (stack.id.as_str(),)).read(ctx.store()).await?;
    // An executed one is the stack's history, not a choice.
    sets.retain(|(_, set)| !set.execution_status.starts_with("EXECUTE_"));
    sets.sort_by_key(|(_, set)| std::cmp::Reverse(set.created_ms));
    let summary = |set: ChangeSetRecord| api::ChangeSetSummary {
        stack_id: Some(stack.arn.clone()),
        stack_name: Some(stack.name.clone()),
        change_set_id: Some(set.arn),
        change_set_name: Some(set.name),
        execution_status: Some(set.execution_status.as_str().into()),
        status: Some(set.status.as_str().into()),
        status_reason: set.status_reason,
        creation_time: Some(Timestamp::from_millis(set.created_ms)),
        description: set.description,
        include_nested_stacks: Some(set.include_nested_stacks),
        ..Default::default()
    };
    let summaries = sets.into_iter().map(|(_, set)| summary(set)).collect();
    Ok(api::ListChangeSetsOutput { summaries: Some(summaries), next_token: None })
}
