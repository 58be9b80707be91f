//! Tags of functions.

use std::collections::BTreeMap;

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::errors;
use crate::names::FunctionName;
use crate::state::{HEADS, head};

const TAGS_MAX: usize = 50;

pub async fn list(ctx: Ctx, input: api::ListTagsInput) -> Result<api::ListTagsOutput> {
    let name = FunctionName::parse(&input.resource);
    let ctx = name.place(&ctx)?;
    let head = head(&ctx, ctx.store(), &name.name).await?;
    Ok(api::ListTagsOutput { tags: Some(head.tags) })
}

async fn change(
    ctx: &Ctx,
    resource: &str,
    change: impl Fn(&mut BTreeMap<String, String>),
) -> Result<()> {
    let name = FunctionName::parse(resource);
    let ctx = name.place(ctx)?;
    transact!(ctx.store(), Error, |txn| {
        let mut head = head(&ctx, txn, &name.name).await?;
        change(&mut head.tags);
        if head.tags.len() > TAGS_MAX {
            return Err(errors::too_many_tags(TAGS_MAX));
        }
        HEADS.put(txn, ctx.scope(), name.name.as_str(), &head);
    })
}

pub async fn add(ctx: Ctx, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let merge = |tags: &mut BTreeMap<String, String>| tags.extend(input.tags.clone());
    change(&ctx, &input.resource, merge).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn remove(ctx: Ctx, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let without =
        |tags: &mut BTreeMap<String, String>| tags.retain(|key, _| !input.tag_keys.contains(key));
    change(&ctx, &input.resource, without).await?;
    Ok(api::UntagResourceOutput::default())
}
