//! DescribeStackResource, DescribeStackResources, ListStackResources.

use sereno_api_cloudformation as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::paging;
use crate::stack;
use crate::state::{NAMES, RESOURCES, ResourceRecord, STACKS, StackRecord};

const PAGE: usize = 100;
const DESCRIBED_MAX: usize = 100;

async fn find(ctx: &Ctx, name: &str) -> Result<StackRecord> {
    // recorded: test_stack_resource_not_found
    stack::find(ctx, name)
        .await?
        .ok_or_else(|| errors::validation(format!("Stack '{name}' does not exist")))
}

/// Resources as AWS shows them: what a deleted stack had is shown, what a living one lost is not.
fn is_shown(record: &ResourceRecord, stack: &StackRecord) -> bool {
    let gone = record.status == "DELETE_COMPLETE";
    !gone
        || stack.is_deleted()
        || stack.status.starts_with("ROLLBACK")
        || stack.status.starts_with("DELETE")
}

pub async fn describe_one(
    ctx: Ctx,
    input: api::DescribeStackResourceInput,
) -> Result<api::DescribeStackResourceOutput> {
    let stack = find(&ctx, &input.stack_name).await?;
    let logical_id = input.logical_resource_id.as_str();
    let record = RESOURCES.get(ctx.store(), ctx.scope(), &(stack.id.as_str(), logical_id)).await?;
    // recorded: test_describe_failed_resource, test_describe_deleted_resource_on_update
    let record = record.filter(|record| record.status != "DELETE_COMPLETE");
    let record = record.ok_or_else(|| errors::no_resource(logical_id, &stack.name))?;
    let detail = api::StackResourceDetail {
        stack_name: Some(stack.name),
        stack_id: Some(stack.arn),
        physical_resource_id: physical_id(&record),
        last_updated_timestamp: Timestamp::from_millis(record.changed_ms),
        resource_status: record.status.as_str().into(),
        metadata: Some(record.metadata.unwrap_or_else(|| "{}".to_owned())),
        logical_resource_id: record.logical_id,
        resource_type: record.type_name,
        resource_status_reason: record.status_reason,
        description: record.description,
        drift_information: Some(not_checked()),
        ..Default::default()
    };
    Ok(api::DescribeStackResourceOutput { stack_resource_detail: Some(detail) })
}

fn not_checked() -> api::StackResourceDriftInformation {
    api::StackResourceDriftInformation {
        stack_resource_drift_status: api::StackResourceDriftStatus::NotChecked,
        last_check_timestamp: None,
    }
}

fn physical_id(record: &ResourceRecord) -> Option<String> {
    let known = [&record.live.physical_id, &record.early_id];
    known.into_iter().find(|id| !id.is_empty()).cloned()
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeStackResourcesInput,
) -> Result<api::DescribeStackResourcesOutput> {
    let stack = match (&input.stack_name, &input.physical_resource_id) {
        (Some(_), Some(_)) => {
            return Err(errors::validation("Cannot specify both StackName and PhysicalResourceId"));
        }
        (Some(name), None) => {
            let found = stack::find(&ctx, name).await?;
            found.ok_or_else(|| errors::no_stack_with_id(name))?
        }
        (None, Some(physical)) => owner_of(&ctx, physical)
            .await?
            .ok_or_else(|| errors::validation(format!("Stack for {physical} does not exist")))?,
        (None, None) => {
            return Err(errors::validation(
                "Either StackName or PhysicalResourceId must be specified",
            ));
        }
    };
    let wanted = input.logical_resource_id.as_deref();
    let all = RESOURCES.list(ctx.scope(), (stack.id.as_str(),)).read(ctx.store()).await?;
    let shown = all.into_iter().map(|(_, record)| record).filter(|record| {
        is_shown(record, &stack) && wanted.is_none_or(|wanted| wanted == record.logical_id)
    });
    let resource = |record: ResourceRecord| api::StackResource {
        stack_name: Some(stack.name.clone()),
        stack_id: Some(stack.arn.clone()),
        physical_resource_id: physical_id(&record),
        timestamp: Timestamp::from_millis(record.changed_ms),
        resource_status: record.status.as_str().into(),
        logical_resource_id: record.logical_id,
        resource_type: record.type_name,
        resource_status_reason: record.status_reason,
        description: record.description,
        drift_information: Some(not_checked()),
        ..Default::default()
    };
    let resources: Vec<_> = shown.take(DESCRIBED_MAX).map(resource).collect();
    if let (Some(logical_id), true) = (wanted, resources.is_empty()) {
        return Err(errors::no_resource(logical_id, &stack.name));
    }
    Ok(api::DescribeStackResourcesOutput { stack_resources: Some(resources) })
}

/// The stack that has a resource with this physical id.
async fn owner_of(ctx: &Ctx, physical: &str) -> Result<Option<StackRecord>> {
    for (_, id) in NAMES.list(ctx.scope(), ()).read(ctx.store()).await? {
        let id = String::from_utf8_lossy(&id).into_owned();
        let all = RESOURCES.list(ctx.scope(), (id.as_str(),)).read(ctx.store()).await?;
        if all.iter().any(|(_, record)| record.exists() && record.live.physical_id == physical) {
            return Ok(STACKS.get(ctx.store(), ctx.scope(), id.as_str()).await?);
        }
    }
    Ok(None)
}

pub async fn list(
    ctx: Ctx,
    input: api::ListStackResourcesInput,
) -> Result<api::ListStackResourcesOutput> {
    let found = stack::find(&ctx, &input.stack_name).await?;
    let stack = found.ok_or_else(|| errors::no_stack_with_id(&input.stack_name))?;
    let id = stack.id.as_str();
    let mut list = RESOURCES.list(ctx.scope(), (id,)).limit(PAGE + 1);
    if let Some(after) = paging::read(input.next_token.as_deref())? {
        list = list.after(&(id, after.as_str()));
    }
    let mut all = list.read(ctx.store()).await?;
    let next_token = paging::cut(&mut all, PAGE, |((_, logical_id), _)| logical_id.clone());
    let shown = all.into_iter().map(|(_, record)| record).filter(|record| is_shown(record, &stack));
    let summary = |record: ResourceRecord| api::StackResourceSummary {
        physical_resource_id: physical_id(&record),
        last_updated_timestamp: Timestamp::from_millis(record.changed_ms),
        resource_status: record.status.as_str().into(),
        logical_resource_id: record.logical_id,
        resource_type: record.type_name,
        resource_status_reason: record.status_reason,
        drift_information: Some(api::StackResourceDriftInformationSummary {
            stack_resource_drift_status: api::StackResourceDriftStatus::NotChecked,
            last_check_timestamp: None,
        }),
        ..Default::default()
    };
    let summaries = shown.map(summary).collect();
    Ok(api::ListStackResourcesOutput { stack_resource_summaries: Some(summaries), next_token })
}
