//! TagResource, UntagResource, ListTagsOfResource.
//! Sentences recorded: dynalite, tagResource and its neighbours.

use std::collections::BTreeMap;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::table::{Engine, Target};
use crate::tables;

const TAGS_MAX: usize = 50;

pub fn checked(tags: Vec<api::Tag>) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for tag in tags {
        check_text(&tag.key)?;
        check_text(&tag.value)?;
        if all.insert(tag.key.clone(), tag.value).is_some() {
            return Err(errors::parameters(format_args!("Duplicate tag key: {}", tag.key)));
        }
    }
    check_count(&all)?;
    Ok(all)
}

/// Letters, digits, space and a few signs (Alternator's suite on AWS, test_tag_forbidden_chars).
fn check_text(text: &str) -> Result<()> {
    let good = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    match text.chars().find(|c| !good(*c)) {
        Some(c) => {
            Err(errors::parameters(format_args!("A tag may not contain the character {c}: {text}")))
        }
        None => Ok(()),
    }
}

fn check_count(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(errors::parameters(format_args!(
            "The number of tags exceeds the limit of {TAGS_MAX} tags per resource"
        )));
    }
    Ok(())
}

/// Tags belong to tables; the ARN must be that of one. Half an ARN nobody may touch.
fn target(ctx: &Ctx, action: &str, arn: &str) -> Result<Target> {
    if !arn.starts_with("arn:") && !arn.contains(':') {
        return Err(errors::parameters(format_args!("ARNs must start with 'arn:': {arn}")));
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let resource = parts.get(5).and_then(|resource| resource.split_once('/'));
    let whole = resource.is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
    if !whole || parts.iter().any(|part| part.is_empty()) {
        return Err(errors::not_authorised(&ctx.caller().arn(), action, arn));
    }
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "dynamodb");
    let name = parsed.as_ref().and_then(|arn| arn.resource.strip_prefix("table/"));
    let found = parsed.as_ref().zip(name).and_then(|(arn, name)| {
        let plain = name.len() >= 3 && !name.contains('/');
        let (account, region) = arn.account_id().zip(arn.region())?;
        plain.then(|| Target { name: name.to_owned(), account, region })
    });
    let target = found.filter(|target| target.region == ctx.region());
    target.ok_or_else(|| {
        errors::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}"))
    })
}

fn not_found(arn: &str) -> sereno_kernel::Error {
    errors::resource_not_found(format!("Requested resource not found: ResourcArn: {arn} not found"))
}

pub async fn tag(ctx: Ctx, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let target = target(&ctx, "TagResource", &input.resource_arn)?;
    if input.tags.is_empty() {
        return Err(errors::validation("Atleast one Tag needs to be provided as Input."));
    }
    let tags = checked(input.tags)?;
    tables::change(&ctx, &target, |record| {
        record.tags.extend(tags.clone());
        check_count(&record.tags)
    })
    .await
    .map_err(|error| lost(error, &input.resource_arn))?;
    Ok(api::TagResourceOutput {})
}

fn lost(error: sereno_kernel::Error, arn: &str) -> sereno_kernel::Error {
    if error.code() == "ResourceNotFoundException" { not_found(arn) } else { error }
}

pub async fn untag(ctx: Ctx, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let target = target(&ctx, "UntagResource", &input.resource_arn)?;
    if input.tag_keys.is_empty() {
        return Err(errors::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    tables::change(&ctx, &target, |record| {
        record.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    })
    .await
    .map_err(|error| {
        if error.code() == "ResourceNotFoundException" { errors::not_found() } else { error }
    })?;
    Ok(api::UntagResourceOutput {})
}

pub async fn list(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::ListTagsOfResourceInput,
) -> Result<api::ListTagsOfResourceOutput> {
    let target = target(&ctx, "ListTagsOfResource", &input.resource_arn)?;
    let table = engine.load(&ctx, &target).await?;
    let table = table.ok_or_else(|| not_found(&input.resource_arn))?;
    let tags = table
        .record
        .tags
        .iter()
        .map(|(key, value)| api::Tag { key: key.clone(), value: value.clone() })
        .collect();
    Ok(api::ListTagsOfResourceOutput { tags: Some(tags), next_token: None })
}
