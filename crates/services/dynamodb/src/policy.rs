//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, and the guard the kernel asks.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/access-control-resource-based.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Error, ResourceGuard, Result};
use sereno_store::transact;

use crate::errors;
use crate::state::{STREAMS, TABLES};
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

/// The label of the stream that an ARN is about, if it is about one.
fn stream_label(arn: &str) -> Option<&str> {
    arn.split_once("/stream/").map(|(_, label)| label)
}

/// Before every request that names a table, an index or a stream.
pub async fn guard(engine: Arc<Engine>, ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    let Ok(target) = target(&ctx, &arn) else { return Ok(ResourceGuard::default()) };
    let policy = match stream_label(&arn) {
        Some(label) => {
            let key = (target.name.as_str(), label);
            let found = STREAMS.get(ctx.store(), target.scope(), &key).await?;
            let text = found.and_then(|entry| entry.policy);
            // Validated when it was set.
            text.and_then(|text| sereno_policy::validate::resource(&text).ok()).map(Arc::new)
        }
        None => engine.load(&ctx, &target).await?.and_then(|table| table.policy.clone()),
    };
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

/// A policy and the name of its revision.
#[derive(Clone, Default)]
struct Held {
    policy: Option<String>,
    revision: String,
}

/// Changes the policy of the table or the stream that `arn` names.
async fn change(ctx: &Ctx, arn: &str, change: impl Fn(&mut Held) -> Result<()>) -> Result<Held> {
    let target = target(ctx, arn)?;
    let Some(label) = stream_label(arn) else {
        let record = tables::change(ctx, &target, |record| {
            let (policy, revision) = (record.policy.clone(), record.policy_revision.clone());
            let mut held = Held { policy, revision };
            change(&mut held)?;
            (record.policy, record.policy_revision) = (held.policy, held.revision);
            Ok(())
        })
        .await
        .map_err(|error| lost(error, arn))?;
        return Ok(Held { policy: record.policy, revision: record.policy_revision });
    };
    let (scope, key) = (target.scope(), (target.name.as_str(), label));
    transact!(ctx.store(), Error, |txn| {
        let Some(mut entry) = STREAMS.get(txn, scope, &key).await? else {
            return Err(lost(errors::not_found(), arn));
        };
        let mut held = Held { policy: entry.policy, revision: entry.policy_revision };
        change(&mut held)?;
        (entry.policy, entry.policy_revision) = (held.policy.clone(), held.revision.clone());
        STREAMS.put(txn, scope, &key, &entry);
        held
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutResourcePolicyInput,
) -> Result<api::PutResourcePolicyOutput> {
    let text = checked(&input.policy)?;
    let revision = tables::new_revision(&ctx);
    let expected = input.expected_revision_id.as_ref();
    let held = change(&ctx, &input.resource_arn, |held| {
        check_revision(expected, held.policy.as_ref(), &held.revision)?;
        // The same policy again changes nothing, not even the revision.
        if held.policy.as_ref() != Some(&text) {
            held.policy = Some(text.clone());
            held.revision.clone_from(&revision);
        }
        Ok(())
    })
    .await?;
    Ok(api::PutResourcePolicyOutput { revision_id: Some(held.revision) })
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
    ctx: Ctx,
    input: api::GetResourcePolicyInput,
) -> Result<api::GetResourcePolicyOutput> {
    let arn = &input.resource_arn;
    let target = target(&ctx, arn)?;
    let (scope, name) = (target.scope(), target.name.as_str());
    let held = match stream_label(arn) {
        Some(label) => STREAMS
            .get(ctx.store(), scope, &(name, label))
            .await?
            .map(|entry| Held { policy: entry.policy, revision: entry.policy_revision }),
        None => TABLES
            .get(ctx.store(), scope, name)
            .await?
            .map(|record| Held { policy: record.policy, revision: record.policy_revision }),
    };
    let held = held.ok_or_else(|| lost(errors::not_found(), arn))?;
    let policy = held.policy.ok_or_else(not_there)?;
    Ok(api::GetResourcePolicyOutput { policy: Some(policy), revision_id: Some(held.revision) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteResourcePolicyInput,
) -> Result<api::DeleteResourcePolicyOutput> {
    let expected = input.expected_revision_id.as_ref();
    let revision = tables::new_revision(&ctx);
    let held = change(&ctx, &input.resource_arn, |held| {
        check_revision(expected, held.policy.as_ref(), &held.revision)?;
        if held.policy.take().is_some() {
            held.revision.clone_from(&revision);
        }
        Ok(())
    })
    .await?;
    let id = held.revision;
    Ok(api::DeleteResourcePolicyOutput { revision_id: (!id.is_empty()).then_some(id) })
}
