//! Stages: names under which a deployment is served.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request, conflict};
use crate::state::{APIS, CanaryRecord, DEPLOYMENTS, STAGES, StageRecord};
use crate::{patch, shapes, stage_patch, tags};

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const STAGES_MAX: usize = 10;
const VARIABLES_MAX: usize = 100;
const VARIABLE_NAME_MAX: usize = 64;
const VARIABLE_VALUE_MAX: usize = 512;

pub fn check_name(name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 128 || !name.chars().all(fine) {
        return Err(bad_request("Stage name only allows a-zA-Z0-9_-"));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/stage-variables.html>
pub fn check_variables(variables: &BTreeMap<String, String>) -> Result<()> {
    if variables.len() > VARIABLES_MAX {
        return Err(errors::limit_exceeded("Maximum number of stage variables has been reached"));
    }
    variables.iter().try_for_each(|(name, value)| check_variable(name, value))
}

pub fn check_variable(name: &str, value: &str) -> Result<()> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > VARIABLE_NAME_MAX || !name.chars().all(named) {
        return Err(bad_request(format!(
            "Invalid stage variable name: {name}. Please use values with alphanumeric characters and the symbols '_' ' ', '-', '.', '_', ':', '/', '?', '&', '=', ','"
        )));
    }
    let valued = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#&=,% @*+".contains(c);
    if value.len() > VARIABLE_VALUE_MAX || !value.chars().all(valued) {
        return Err(bad_request(format!(
            "Invalid stage variable value: {value}. Please use values with alphanumeric characters and the symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','."
        )));
    }
    Ok(())
}

/// A cache that is on has a size.
pub fn cache_size(enabled: bool, size: Option<&api::CacheClusterSize>) -> Option<String> {
    let size = size.map(ToString::to_string);
    if enabled { Some(size.unwrap_or_else(|| "0.5".to_owned())) } else { None }
}

pub async fn create(ctx: Ctx, input: api::CreateStageInput) -> Result<api::CreateStageOutput> {
    check_name(&input.stage_name)?;
    let variables = input.variables.unwrap_or_default();
    check_variables(&variables)?;
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    let enabled = input.cache_cluster_enabled.unwrap_or_default();
    let record = StageRecord {
        name: input.stage_name,
        deployment_id: input.deployment_id,
        description: input.description,
        cache_cluster_enabled: enabled,
        cache_cluster_size: cache_size(enabled, input.cache_cluster_size.as_ref()),
        variables,
        documentation_version: input.documentation_version,
        tracing_enabled: input.tracing_enabled.unwrap_or_default(),
        tags,
        created: ctx.now(),
        updated: ctx.now(),
        canary: input.canary_settings.map(|canary| CanaryRecord {
            percent_traffic: canary.percent_traffic.unwrap_or_default(),
            deployment_id: canary.deployment_id,
            variable_overrides: canary.stage_variable_overrides.unwrap_or_default(),
            use_stage_cache: canary.use_stage_cache.unwrap_or_default(),
        }),
        ..StageRecord::default()
    };
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(errors::api(ctx.account(), api_id));
        }
        if !deployment_exists(&ctx, txn, api_id, &record.deployment_id).await? {
            return Err(bad_request("Deployment id does not exist"));
        }
        let canary = record.canary.as_ref().and_then(|canary| canary.deployment_id.as_deref());
        if let Some(id) = canary
            && !deployment_exists(&ctx, txn, api_id, id).await?
        {
            return Err(bad_request("Deployment id does not exist"));
        }
        let key = (api_id, record.name.as_str());
        if STAGES.get(txn, ctx.scope(), &key).await?.is_some() {
            return Err(conflict("Stage already exists"));
        }
        if STAGES.list(ctx.scope(), (api_id,)).read(txn).await?.len() >= STAGES_MAX {
            return Err(errors::limit_exceeded(
                "Maximum number of stages for this API has been reached. Please contact AWS if you need additional stages.",
            ));
        }
        STAGES.put(txn, ctx.scope(), &key, &record);
    })?;
    Ok(shapes::stage(record))
}

pub async fn deployment_exists(
    ctx: &Ctx,
    txn: &mut Txn,
    api_id: &str,
    deployment_id: &str,
) -> Result<bool> {
    Ok(DEPLOYMENTS.get(txn, ctx.scope(), &(api_id, deployment_id)).await?.is_some())
}

pub async fn load(ctx: &Ctx, api_id: &str, name: &str) -> Result<StageRecord> {
    let found = STAGES.get(ctx.store(), ctx.scope(), &(api_id, name)).await?;
    found.ok_or_else(errors::stage)
}

pub async fn get(ctx: Ctx, input: api::GetStageInput) -> Result<api::GetStageOutput> {
    Ok(shapes::stage(load(&ctx, &input.rest_api_id, &input.stage_name).await?))
}

pub async fn list(ctx: Ctx, input: api::GetStagesInput) -> Result<api::GetStagesOutput> {
    let api_id = input.rest_api_id.as_str();
    crate::rest_api::load(&ctx, api_id).await?;
    let all = STAGES.list(ctx.scope(), (api_id,)).read(ctx.store()).await?;
    let serves = |stage: &StageRecord| match &input.deployment_id {
        Some(id) => stage.deployment_id == *id,
        None => true,
    };
    let items = all.into_iter().map(|(_, stage)| stage).filter(serves).map(shapes::stage);
    Ok(api::GetStagesOutput { item: Some(items.collect()) })
}

pub async fn delete(ctx: Ctx, input: api::DeleteStageInput) -> Result<api::DeleteStageOutput> {
    let key = (input.rest_api_id.as_str(), input.stage_name.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if STAGES.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::stage());
        }
        STAGES.delete(txn, ctx.scope(), &key);
        api::DeleteStageOutput::default()
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateStageInput) -> Result<api::UpdateStageOutput> {
    let patches = patch::read(input.patch_operations)?;
    let key = (input.rest_api_id.as_str(), input.stage_name.as_str());
    let record: StageRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = STAGES.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::stage)?;
        let before = record.clone();
        for patch in &patches {
            stage_patch::apply(&mut record, patch)?;
        }
        stage_patch::settle(&mut record, &before);
        let canary = record.canary.as_ref().and_then(|canary| canary.deployment_id.clone());
        for id in [Some(record.deployment_id.clone()), canary].into_iter().flatten() {
            if !deployment_exists(&ctx, txn, key.0, &id).await? {
                return Err(bad_request("Deployment id does not exist"));
            }
        }
        record.updated = ctx.now();
        STAGES.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shapes::stage(record))
}

/// Nothing of a cache outlives the request here, so there is nothing to flush; the stage must exist.
pub async fn flush_cache(
    ctx: Ctx,
    input: api::FlushStageCacheInput,
) -> Result<api::FlushStageCacheOutput> {
    load(&ctx, &input.rest_api_id, &input.stage_name).await?;
    Ok(api::FlushStageCacheOutput::default())
}
