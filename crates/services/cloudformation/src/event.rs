//! DescribeStackEvents and DescribeEvents.

use sereno_api_cloudformation as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};
use sereno_store::key::Position;

use crate::change_set;
use crate::errors;
use crate::paging;
use crate::stack;
use crate::state::{EVENTS, EventRecord, StackRecord};

const PAGE: usize = 100;

pub async fn describe_stack_events(
    ctx: Ctx,
    input: api::DescribeStackEventsInput,
) -> Result<api::DescribeStackEventsOutput> {
    let found = stack::find(&ctx, &input.stack_name).await?;
    let stack = found.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    let (events, next_token) = page(&ctx, &stack, input.next_token.as_deref()).await?;
    let event = |it: EventRecord| api::StackEvent {
        stack_id: stack.arn.clone(),
        event_id: it.event_id,
        stack_name: stack.name.clone(),
        operation_id: Some(it.operation).filter(|id| !id.is_empty()),
        logical_resource_id: Some(it.logical_id),
        physical_resource_id: Some(it.physical_id),
        resource_type: Some(it.type_name),
        timestamp: Timestamp::from_millis(it.at_ms),
        resource_status: Some(it.status.as_str().into()),
        resource_status_reason: it.reason,
        resource_properties: it.properties,
        client_request_token: it.token,
        ..Default::default()
    };
    let events = events.into_iter().map(event).collect();
    Ok(api::DescribeStackEventsOutput { stack_events: Some(events), next_token })
}

/// A page of events, newest first.
async fn page(
    ctx: &Ctx,
    stack: &StackRecord,
    token: Option<&str>,
) -> Result<(Vec<EventRecord>, Option<String>)> {
    let id = stack.id.as_str();
    let mut list = EVENTS.list(ctx.scope(), (id,)).reverse(true).limit(PAGE + 1);
    if let Some(text) = paging::read(token)? {
        let parsed = text.split_once('.').and_then(|(version, index)| {
            Some(Position { version: version.parse().ok()?, index: index.parse().ok()? })
        });
        let before = parsed.ok_or_else(|| errors::validation("Invalid NextToken"))?;
        list = list.before(&(id, before));
    }
    let mut events = list.read(ctx.store()).await?;
    let next =
        paging::cut(&mut events, PAGE, |((_, at), _)| format!("{}.{}", at.version, at.index));
    Ok((events.into_iter().map(|(_, event)| event).collect(), next))
}

/// The events of operations, as `cdk` reads them.
pub async fn describe_events(
    ctx: Ctx,
    input: api::DescribeEventsInput,
) -> Result<api::DescribeEventsOutput> {
    let stack = match (&input.stack_name, &input.change_set_name) {
        (name, Some(set)) => {
            let found = change_set::find(&ctx, set, name.as_deref()).await?;
            found.ok_or_else(|| errors::no_change_set(set))?.1
        }
        (Some(name), None) => {
            stack::find(&ctx, name).await?.ok_or_else(|| errors::no_stack(name))?
        }
        (None, None) => {
            return Err(errors::validation("Either StackName or ChangeSetName must be specified."));
        }
    };
    let (mut events, next_token) = page(&ctx, &stack, input.next_token.as_deref()).await?;
    if let Some(operation) = &input.operation_id {
        events.retain(|event| event.operation == *operation);
    }
    if input.filters.as_ref().is_some_and(|filters| filters.failed_events == Some(true)) {
        events.retain(|event| event.status.ends_with("_FAILED"));
    }
    let event = |it: EventRecord| api::OperationEvent {
        event_id: Some(it.event_id),
        stack_id: Some(stack.arn.clone()),
        operation_type: operation_type(&it.operation_kind),
        operation_id: Some(it.operation).filter(|id| !id.is_empty()),
        event_type: Some(api::EventType::StackEvent),
        logical_resource_id: Some(it.logical_id),
        physical_resource_id: Some(it.physical_id),
        resource_type: Some(it.type_name),
        timestamp: Some(Timestamp::from_millis(it.at_ms)),
        resource_status: Some(it.status.as_str().into()),
        resource_status_reason: it.reason,
        resource_properties: it.properties,
        client_request_token: it.token,
        ..Default::default()
    };
    let events = events.into_iter().map(event).collect();
    Ok(api::DescribeEventsOutput { operation_events: Some(events), next_token })
}

fn operation_type(kind: &str) -> Option<api::OperationType> {
    Some(match kind {
        "CREATE" => api::OperationType::CreateStack,
        "UPDATE" => api::OperationType::UpdateStack,
        "DELETE" => api::OperationType::DeleteStack,
        _ => return None,
    })
}
