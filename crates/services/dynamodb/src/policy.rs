//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, and the guard the kernel asks.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/access-control-resource-based.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Error, ResourceGuard, Result};

use crate::errors;
use crate::table::{Engine, Target};
use crate::tables;

const POLICY_BYTES_MAX: usize = 20 * 1024;
const NO_POLICY: &str = "NO_POLICY";

pub fn checked(text: &str) -> Result<String> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(errors::validation(
            "Resource-based policy document exceeds the maximum size of 20 KB",
        ));
    }
    sereno_policy::validate::resource(text)
        .map_err(|malformed| errors::validation(format!("Invalid policy document: {malformed}")))?;
    Ok(text.to_owned())
}

/// The table that an ARN of a table, an index or a stream is about.
fn target(ctx: &Ctx, arn: &str) -> Result<Target> {
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "dynamodb");
    let target = parsed.and_then(|arn| {
        let name = arn.resource.strip_prefix("table/")?.split('/').next()?.to_owned();
        let (account, region) = arn.account_id().zip(arn.region())?;
        Some(Target { name, account, region })
    });
    target.filter(|target| target.region == ctx.region()).ok_or_else(|| {
        errors::validation(format!(
            "Invalid ResourceArn: Invalid ResourceArn provided as input {arn}"
        ))
    })
}

/// Before every request that names a table or an index.
pub async fn guard(engine: Arc<Engine>, ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    let Ok(target) = target(&ctx, &arn) else { return Ok(ResourceGuard::default()) };
    let table = engine.load(&ctx, &target).await?;
    let policy = table.and_then(|table| table.policy.clone());
    Ok(ResourceGuard { policy, owner: Some(target.account), ..Default::default() })
}

fn not_there() -> Error {
    Error::not_found(
        "PolicyNotFoundException",
        "Resource-based policy not found for the provided ResourceArn",
    )
}

fn check_revision(
    expected: Option<&String>,
    policy: Option<&String>,
    revision: &str,
) -> Result<()> {
    let holds = match (expected.map(String::as_str), policy) {
        (None, _) | (Some(NO_POLICY), None) => true,
        (Some(NO_POLICY), Some(_)) | (Some(_), None) => false,
        (Some(expected), Some(_)) => expected == revision,
    };
    if holds { Ok(()) } else { Err(not_there()) }
}

fn only_tables(arn: &str) -> Result<()> {
    if arn.contains("/stream/") {
        return Err(errors::unsupported("resource policies of streams"));
    }
    Ok(())
}

pub async fn put(
    ctx: Ctx,
    input: api::PutResourcePolicyInput,
) -> Result<api::PutResourcePolicyOutput> {
    let target = target(&ctx, &input.resource_arn)?;
    only_tables(&input.resource_arn)?;
    let text = checked(&input.policy)?;
    let revision = tables::new_revision(&ctx);
    let expected = input.expected_revision_id.as_ref();
    let record = tables::change(&ctx, &target, |record| {
        check_revision(expected, record.policy.as_ref(), &record.policy_revision)?;
        // The same policy again changes nothing, not even the revision.
        if record.policy.as_ref() != Some(&text) {
            record.policy = Some(text.clone());
            record.policy_revision.clone_from(&revision);
        }
        Ok(())
    })
    .await
    .map_err(|error| lost(error, &input.resource_arn))?;
    Ok(api::PutResourcePolicyOutput { revision_id: Some(record.policy_revision) })
}

fn lost(error: Error, arn: &str) -> Error {
    if error.code() == "ResourceNotFoundException" {
        errors::resource_not_found(format!(
            "Requested resource not found: ResourceArn: {arn} not found"
        ))
    } else {
        error
    }
}

pub async fn get(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::GetResourcePolicyInput,
) -> Result<api::GetResourcePolicyOutput> {
    let target = target(&ctx, &input.resource_arn)?;
    only_tables(&input.resource_arn)?;
    let table = engine
        .load(&ctx, &target)
        .await?
        .ok_or_else(|| lost(errors::not_found(), &input.resource_arn))?;
    let policy = table.record.policy.clone().ok_or_else(not_there)?;
    Ok(api::GetResourcePolicyOutput {
        policy: Some(policy),
        revision_id: Some(table.record.policy_revision.clone()),
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteResourcePolicyInput,
) -> Result<api::DeleteResourcePolicyOutput> {
    let target = target(&ctx, &input.resource_arn)?;
    only_tables(&input.resource_arn)?;
    let expected = input.expected_revision_id.as_ref();
    let revision = tables::new_revision(&ctx);
    let record = tables::change(&ctx, &target, |record| {
        check_revision(expected, record.policy.as_ref(), &record.policy_revision)?;
        if record.policy.take().is_some() {
            record.policy_revision.clone_from(&revision);
        }
        Ok(())
    })
    .await
    .map_err(|error| lost(error, &input.resource_arn))?;
    let id = record.policy_revision;
    Ok(api::DeleteResourcePolicyOutput { revision_id: (!id.is_empty()).then_some(id) })
}
