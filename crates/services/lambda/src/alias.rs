//! Aliases: names that point to a version, or to two of them by weight.

use std::collections::BTreeMap;

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::function::PAGE_MAX;
use crate::names::{FunctionName, function_arn};
use crate::state::{ALIASES, AliasRecord, HEADS, POLICIES, PROVISIONED, head};
use crate::{errors, event_config, rules, state};

fn describe(ctx: &Ctx, name: &str, alias: &AliasRecord) -> api::AliasConfiguration {
    api::AliasConfiguration {
        alias_arn: Some(function_arn(ctx, name, Some(&alias.name))),
        name: Some(alias.name.clone()),
        function_version: Some(alias.version.clone()),
        description: Some(alias.description.clone()),
        routing_config: alias.other_version.as_ref().map(|other| api::AliasRoutingConfiguration {
            additional_version_weights: Some(BTreeMap::from([(other.clone(), alias.other_weight)])),
        }),
        revision_id: Some(alias.revision_id.clone()),
    }
}

fn route(alias: &mut AliasRecord, other: Option<(String, f64)>) {
    match other {
        Some((version, weight)) => {
            alias.other_version = Some(version);
            alias.other_weight = weight;
        }
        None => {
            alias.other_version = None;
            alias.other_weight = 0.0;
        }
    }
}

pub async fn create(ctx: Ctx, input: api::CreateAliasInput) -> Result<api::CreateAliasOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    let other = rules::routing(input.routing_config.as_ref(), &input.function_version)?;
    let mut alias = AliasRecord {
        name: input.name.clone(),
        version: input.function_version.clone(),
        description: input.description.clone().unwrap_or_default(),
        revision_id: ctx.random_uuid(),
        ..Default::default()
    };
    route(&mut alias, other);
    transact!(ctx.store(), Error, |txn| {
        let found = HEADS.get(txn, ctx.scope(), name).await?;
        if found.is_none() {
            return Err(errors::function_not_found(&ctx, name, Some(&alias.version)));
        }
        let key = (name, alias.name.as_str());
        if ALIASES.get(txn, ctx.scope(), &key).await?.is_some() {
            return Err(errors::alias_exists(&ctx, name, &alias.name));
        }
        for version in [Some(&alias.version), alias.other_version.as_ref()].into_iter().flatten() {
            state::version(&ctx, txn, name, version).await?;
        }
        ALIASES.put(txn, ctx.scope(), &key, &alias);
    })?;
    Ok(describe(&ctx, name, &alias))
}

pub async fn get(ctx: Ctx, input: api::GetAliasInput) -> Result<api::GetAliasOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let key = (name.name.as_str(), input.name.as_str());
    let alias = ALIASES.get(ctx.store(), ctx.scope(), &key).await?;
    let alias = alias.ok_or_else(|| errors::alias_not_found(&ctx, &name.name, &input.name))?;
    Ok(describe(&ctx, &name.name, &alias))
}

pub async fn update(ctx: Ctx, input: api::UpdateAliasInput) -> Result<api::UpdateAliasOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    let alias = transact!(ctx.store(), Error, |txn| {
        let key = (name, input.name.as_str());
        let found = ALIASES.get(txn, ctx.scope(), &key).await?;
        let missing = || errors::no_alias_to_update(&ctx, name, &input.name);
        let mut alias = found.ok_or_else(missing)?;
        if input.revision_id.as_ref().is_some_and(|given| *given != alias.revision_id) {
            return Err(errors::wrong_revision("GetFunction/GetAlias"));
        }
        if let Some(version) = &input.function_version {
            alias.version.clone_from(version);
        }
        if let Some(description) = &input.description {
            alias.description.clone_from(description);
        }
        if input.routing_config.is_some() {
            let other = rules::routing(input.routing_config.as_ref(), &alias.version)?;
            route(&mut alias, other);
        }
        for version in [Some(&alias.version), alias.other_version.as_ref()].into_iter().flatten() {
            state::version(&ctx, txn, name, version).await?;
        }
        alias.revision_id = ctx.random_uuid();
        ALIASES.put(txn, ctx.scope(), &key, &alias);
        alias
    })?;
    Ok(describe(&ctx, name, &alias))
}

/// Deleting one that is not there succeeds, as on AWS.
pub async fn delete(ctx: Ctx, input: api::DeleteAliasInput) -> Result<api::DeleteAliasOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    transact!(ctx.store(), Error, |txn| {
        head(&ctx, txn, name).await?;
        ALIASES.delete(txn, ctx.scope(), &(name, input.name.as_str()));
        event_config::forget(&ctx, txn, name, &input.name);
        POLICIES.delete(txn, ctx.scope(), &(name, input.name.as_str()));
        PROVISIONED.delete(txn, ctx.scope(), &(name, input.name.as_str()));
    })?;
    Ok(api::DeleteAliasOutput::default())
}

pub async fn list(ctx: Ctx, input: api::ListAliasesInput) -> Result<api::ListAliasesOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let name = name.name.as_str();
    head(&ctx, ctx.store(), name).await?;
    let limit =
        usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1);
    let mut listing = ALIASES.list(ctx.scope(), (name,));
    if let Some(marker) = &input.marker {
        listing = listing.after(&(name, marker.as_str()));
    }
    let mut aliases = listing.read(ctx.store()).await?;
    if let Some(version) = &input.function_version {
        aliases.retain(|(_, alias)| {
            alias.version == *version || alias.other_version.as_ref() == Some(version)
        });
    }
    let more = aliases.len() > limit;
    aliases.truncate(limit);
    Ok(api::ListAliasesOutput {
        next_marker: aliases.last().filter(|_| more).map(|((_, alias), _)| alias.clone()),
        aliases: Some(aliases.iter().map(|(_, alias)| describe(&ctx, name, alias)).collect()),
    })
}
