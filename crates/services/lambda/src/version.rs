//! Published versions: what `$LATEST` was at a moment, for ever.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::configuration::{describe, listed};
use crate::function::PAGE_MAX;
use crate::names::{FunctionName, LATEST};
use crate::state::{FUNCTIONS, FunctionRecord, HEADS, HeadRecord, head, version_key};
use crate::{errors, state};

/// Makes the next version out of `$LATEST`.
pub fn write_next(
    ctx: &Ctx,
    txn: &mut Txn,
    head: &mut HeadRecord,
    latest: &FunctionRecord,
    description: &str,
) -> FunctionRecord {
    head.last_version += 1;
    let mut version = latest.clone();
    version.version = head.last_version.to_string();
    version.latest_description.clone_from(&latest.description);
    description.clone_into(&mut version.description);
    version.revision_id = ctx.random_uuid();
    version.last_modified_ms = ctx.now().millis();
    let key = version_key(&version.version);
    FUNCTIONS.put(txn, ctx.scope(), &(version.name.as_str(), key.as_str()), &version);
    version
}

/// The same, unless the last version is the same code and configuration already: then that one.
pub async fn publish_latest(
    ctx: &Ctx,
    txn: &mut Txn,
    head: &mut HeadRecord,
    latest: &FunctionRecord,
    description: Option<&str>,
) -> Result<FunctionRecord> {
    if head.last_version > 0 {
        let key = version_key(&head.last_version.to_string());
        let last = FUNCTIONS.get(txn, ctx.scope(), &(latest.name.as_str(), key.as_str())).await?;
        if let Some(last) = last.filter(|last| is_same(ctx, last, latest)) {
            return Ok(last);
        }
    }
    let description = description.unwrap_or(&latest.description).to_owned();
    Ok(write_next(ctx, txn, head, latest, &description))
}

/// Whether publishing `latest` would only repeat `version`.
fn is_same(ctx: &Ctx, version: &FunctionRecord, latest: &FunctionRecord) -> bool {
    let mut copy = latest.clone();
    copy.version.clone_from(&version.version);
    if latest.description != version.latest_description {
        return false;
    }
    copy.description.clone_from(&version.description);
    copy.latest_description.clone_from(&version.latest_description);
    copy.revision_id.clone_from(&version.revision_id);
    copy.last_modified_ms = version.last_modified_ms;
    // The same content may have been uploaded twice, as two blobs.
    copy.code.blob.clone_from(&version.code.blob);
    copy.build.clone_from(&version.build);
    copy.update_runtime_on.clone_from(&version.update_runtime_on);
    copy.runtime_version_arn.clone_from(&version.runtime_version_arn);
    let same_environment = latest.environment(ctx) == version.environment(ctx);
    copy.sealed_environment.clone_from(&version.sealed_environment);
    copy.environment.clone_from(&version.environment);
    same_environment && copy == *version
}

pub async fn publish(
    ctx: Ctx,
    input: api::PublishVersionInput,
) -> Result<api::PublishVersionOutput> {
    if input.publish_to.is_some() {
        return Err(errors::not_honoured("PublishTo"));
    }
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    let description = input.description.as_deref().filter(|text| !text.is_empty());
    let version = transact!(ctx.store(), Error, |txn| {
        let mut head = head(&ctx, txn, name).await?;
        let latest = state::version(&ctx, txn, name, LATEST).await?;
        if let Some(given) = &input.code_sha256
            && *given != latest.code.sha256
        {
            return Err(errors::wrong_code_sha256(given, &latest.code.sha256));
        }
        if let Some(given) = &input.revision_id
            && *given != latest.revision_id
        {
            return Err(errors::wrong_revision("GetFunction/GetAlias"));
        }
        let before = head.last_version;
        let version = publish_latest(&ctx, txn, &mut head, &latest, description).await?;
        if head.last_version > before {
            // Recorded: test_lambda_api.py::TestLambdaRevisions::test_function_revisions_version_and_alias
            let mut latest = latest;
            latest.revise(ctx.random_uuid());
            FUNCTIONS.put(txn, ctx.scope(), &(name, LATEST), &latest);
        }
        HEADS.put(txn, ctx.scope(), name, &head);
        version
    })?;
    Ok(describe(&ctx, &version, Some(&version.version)))
}

pub async fn list(
    ctx: Ctx,
    input: api::ListVersionsByFunctionInput,
) -> Result<api::ListVersionsByFunctionOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    head(&ctx, ctx.store(), name).await?;
    let limit =
        usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1);
    let mut listing = FUNCTIONS.list(ctx.scope(), (name,)).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(&(name, marker.as_str()));
    }
    let mut page = listing.read(ctx.store()).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    Ok(api::ListVersionsByFunctionOutput {
        next_marker: page.last().filter(|_| more).map(|((_, version), _)| version.clone()),
        versions: Some(
            page.iter()
                .map(|(_, record)| listed(describe(&ctx, record, Some(&record.version))))
                .collect(),
        ),
    })
}
