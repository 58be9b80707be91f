//! Tags of functions, code signing configurations and event source mappings.

use std::collections::BTreeMap;

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, Txn, transact};

use crate::event_state::MAPPINGS;
use crate::names::{FunctionName, LATEST};
use crate::state::{CODE_SIGNING_CONFIGS, FUNCTIONS, HEADS, head};
use crate::{errors, signing};

type Tags = BTreeMap<String, String>;

const TAGS_MAX: usize = 50;

/// What has tags.
enum Owner {
    Function(String),
    CodeSigningConfig(String),
    Mapping(String),
}

impl Owner {
    /// Recorded: test_lambda_api.py::TestLambdaTag::test_tag_exceptions
    fn parse(ctx: &Ctx, resource: &str) -> Result<(Owner, Ctx)> {
        let id = || signing::id_of(resource).to_owned();
        match resource.split(':').nth(5) {
            Some("code-signing-config") => Ok((Owner::CodeSigningConfig(id()), ctx.clone())),
            Some("event-source-mapping") => Ok((Owner::Mapping(id()), ctx.clone())),
            Some("capacity-provider") => Err(errors::no_capacity_provider(resource)),
            Some("layer") => Err(errors::no_tags_of_layers()),
            _ => {
                let name = FunctionName::parse(resource);
                if name.qualifier.is_some() {
                    return Err(errors::tags_of_versions());
                }
                let ctx = name.place(ctx)?;
                Ok((Owner::Function(name.name), ctx))
            }
        }
    }

    async fn tags<R: Read + ?Sized>(&self, ctx: &Ctx, read: &R, resource: &str) -> Result<Tags> {
        let scope = ctx.scope();
        match self {
            Owner::Function(name) => Ok(head(ctx, read, name).await?.tags),
            Owner::CodeSigningConfig(id) => {
                let found = CODE_SIGNING_CONFIGS.get(read, scope, id.as_str()).await?;
                Ok(found.ok_or_else(|| errors::code_signing_config_missing(resource))?.tags)
            }
            Owner::Mapping(id) => {
                let found = MAPPINGS.get(read, scope, id.as_str()).await?;
                Ok(found.ok_or_else(|| errors::no_tagged_mapping(resource))?.tags)
            }
        }
    }

    async fn put(&self, ctx: &Ctx, txn: &mut Txn, tags: Tags) -> Result<()> {
        let scope = ctx.scope();
        match self {
            Owner::Function(name) => {
                if let Some(mut head) = HEADS.get(txn, scope, name.as_str()).await? {
                    head.tags = tags;
                    HEADS.put(txn, scope, name.as_str(), &head);
                }
                // Recorded: test_lambda_api.py::TestLambdaTags::test_tag_lifecycle
                let key = (name.as_str(), LATEST);
                if let Some(mut latest) = FUNCTIONS.get(txn, scope, &key).await? {
                    latest.revise(ctx.random_uuid());
                    FUNCTIONS.put(txn, scope, &key, &latest);
                }
            }
            Owner::CodeSigningConfig(id) => {
                if let Some(mut config) = CODE_SIGNING_CONFIGS.get(txn, scope, id.as_str()).await? {
                    config.tags = tags;
                    CODE_SIGNING_CONFIGS.put(txn, scope, id.as_str(), &config);
                }
            }
            Owner::Mapping(id) => {
                if let Some(mut mapping) = MAPPINGS.get(txn, scope, id.as_str()).await? {
                    mapping.tags = tags;
                    MAPPINGS.put(txn, scope, id.as_str(), &mapping);
                }
            }
        }
        Ok(())
    }
}

/// Fifty at most, also of what is only being made.
pub fn check_count(tags: &Tags) -> Result<()> {
    if tags.len() > TAGS_MAX { Err(errors::too_many_tags()) } else { Ok(()) }
}

pub async fn list(ctx: Ctx, input: api::ListTagsInput) -> Result<api::ListTagsOutput> {
    let (owner, ctx) = Owner::parse(&ctx, &input.resource)?;
    let tags = owner.tags(&ctx, ctx.store(), &input.resource).await?;
    Ok(api::ListTagsOutput { tags: Some(tags) })
}

async fn change(ctx: &Ctx, resource: &str, change: impl Fn(&mut Tags)) -> Result<()> {
    let (owner, ctx) = Owner::parse(ctx, resource)?;
    transact!(ctx.store(), Error, |txn| {
        let mut tags = owner.tags(&ctx, txn, resource).await?;
        change(&mut tags);
        check_count(&tags)?;
        owner.put(&ctx, txn, tags).await?;
    })
}

pub async fn add(ctx: Ctx, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    if input.tags.is_empty() {
        return Err(errors::no_tags_given());
    }
    let merge = |tags: &mut Tags| tags.extend(input.tags.clone());
    change(&ctx, &input.resource, merge).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn remove(ctx: Ctx, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let without = |tags: &mut Tags| tags.retain(|key, _| !input.tag_keys.contains(key));
    change(&ctx, &input.resource, without).await?;
    Ok(api::UntagResourceOutput::default())
}
