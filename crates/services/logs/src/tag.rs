//! Tags of log groups: by ARN, and by name as older clients do it.

use std::collections::BTreeMap;

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Result};

use crate::{access, errors, group, rules};

/// The name of the group that an ARN is about; nothing else has tags here.
fn group_name(ctx: &Ctx, arn: &str) -> Result<String> {
    let named = access::group_of(arn).filter(|(arn, name)| {
        let rest =
            arn.resource.strip_prefix("log-group:").and_then(|r| r.strip_prefix(name.as_str()));
        matches!(rest, Some("" | ":*"))
    });
    let (_, name) = named
        .ok_or_else(|| errors::invalid(format!("The specified resource ARN is invalid: {arn}")))?;
    // A name of another account or region is none of ours.
    group::name_of(ctx, arn).map(|_| name)
}

async fn add(ctx: &Ctx, name: &str, tags: BTreeMap<String, String>) -> Result<()> {
    group::change(ctx, name, |group| {
        group.tags = rules::tagged(std::mem::take(&mut group.tags), tags.clone())?;
        Ok(())
    })
    .await
}

async fn remove(ctx: &Ctx, name: &str, keys: &[String]) -> Result<()> {
    group::change(ctx, name, |group| {
        group.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    })
    .await
}

pub async fn tag(ctx: Ctx, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let name = group_name(&ctx, &input.resource_arn)?;
    add(&ctx, &name, input.tags).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(ctx: Ctx, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let name = group_name(&ctx, &input.resource_arn)?;
    remove(&ctx, &name, &input.tag_keys).await?;
    Ok(api::UntagResourceOutput::default())
}

pub async fn list(
    ctx: Ctx,
    input: api::ListTagsForResourceInput,
) -> Result<api::ListTagsForResourceOutput> {
    let group = group::load(&ctx, &group_name(&ctx, &input.resource_arn)?).await?;
    Ok(api::ListTagsForResourceOutput { tags: Some(group.tags) })
}

pub async fn tag_group(ctx: Ctx, input: api::TagLogGroupInput) -> Result<api::TagLogGroupOutput> {
    add(&ctx, &input.log_group_name, input.tags).await?;
    Ok(api::TagLogGroupOutput::default())
}

pub async fn untag_group(
    ctx: Ctx,
    input: api::UntagLogGroupInput,
) -> Result<api::UntagLogGroupOutput> {
    remove(&ctx, &input.log_group_name, &input.tags).await?;
    Ok(api::UntagLogGroupOutput::default())
}

pub async fn list_group(
    ctx: Ctx,
    input: api::ListTagsLogGroupInput,
) -> Result<api::ListTagsLogGroupOutput> {
    let group = group::load(&ctx, &input.log_group_name).await?;
    Ok(api::ListTagsLogGroupOutput { tags: Some(group.tags) })
}
