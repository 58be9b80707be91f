//! Deployments: copies of an API that never change, and which stages serve.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request};
use crate::patch;
use crate::state::{
    ApiDocument, CanaryRecord, DEPLOYMENTS, DeploymentRecord, SNAPSHOTS, STAGES, StageRecord,
};
use crate::{document, ids, page, rest_api, shapes, stage};

const CONTENT: &str = "Invalid deployment content specified.";

pub async fn create(
    ctx: Ctx,
    input: api::CreateDeploymentInput,
) -> Result<api::CreateDeploymentOutput> {
    let record = DeploymentRecord {
        id: ids::short(&ctx),
        description: input.description.clone().filter(|text| !text.is_empty()),
        created: ctx.now(),
    };
    let canary = input.canary_settings.is_some();
    let name = input.stage_name.as_deref();
    if canary && name.is_none_or(str::is_empty) {
        return Err(bad_request(format!(
            "{CONTENT}Non null and non empty stageName must be provided for canary deployment. Provided value is {}",
            name.unwrap_or("null")
        )));
    }
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        put(&ctx, txn, &input, &record).await?;
    })?;
    Ok(shapes::deployment(record))
}

async fn put(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::CreateDeploymentInput,
    record: &DeploymentRecord,
) -> Result<()> {
    let api_id = input.rest_api_id.as_str();
    let Some(whole) = document::read(txn, ctx.scope(), api_id).await? else {
        return Err(errors::api(ctx.account(), api_id));
    };
    ready(&whole)?;
    let key = (api_id, record.id.as_str());
    DEPLOYMENTS.put(txn, ctx.scope(), &key, record);
    SNAPSHOTS.put(txn, ctx.scope(), &key, &whole);
    let Some(name) = input.stage_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    stage::check_name(name)?;
    let stage_key = (api_id, name);
    let found = STAGES.get(txn, ctx.scope(), &stage_key).await?;
    let stage = staged(ctx, input, found, name, &record.id)?;
    STAGES.put(txn, ctx.scope(), &stage_key, &stage);
    Ok(())
}

/// Recorded: `test_create_deployment` of an API without methods or integrations.
fn ready(whole: &ApiDocument) -> Result<()> {
    let mut methods = whole.resources.iter().flat_map(|resource| resource.methods.values());
    if whole.resources.iter().all(|resource| resource.methods.is_empty()) {
        return Err(bad_request("The REST API doesn't contain any methods"));
    }
    if methods.any(|method| method.integration.is_none()) {
        return Err(bad_request("No integration defined for method"));
    }
    Ok(())
}

/// The stage that serves the new deployment: changed if it is there, else made.
fn staged(
    ctx: &Ctx,
    input: &api::CreateDeploymentInput,
    found: Option<StageRecord>,
    name: &str,
    deployment_id: &str,
) -> Result<StageRecord> {
    let existed = found.is_some();
    let mut stage = found.unwrap_or_else(|| StageRecord {
        name: name.to_owned(),
        deployment_id: deployment_id.to_owned(),
        created: ctx.now(),
        ..StageRecord::default()
    });
    stage.updated = ctx.now();
    if let Some(canary) = &input.canary_settings {
        if !existed {
            return Err(bad_request(format!(
                "{CONTENT}Stage {name} must already be created before making a canary release deployment"
            )));
        }
        stage.canary = Some(CanaryRecord {
            percent_traffic: canary.percent_traffic.unwrap_or_default(),
            deployment_id: Some(deployment_id.to_owned()),
            variable_overrides: canary.stage_variable_overrides.clone().unwrap_or_default(),
            use_stage_cache: canary.use_stage_cache.unwrap_or_default(),
        });
        return Ok(stage);
    }
    deployment_id.clone_into(&mut stage.deployment_id);
    if let Some(text) = &input.stage_description {
        stage.description = Some(text.clone());
    }
    if let Some(variables) = &input.variables {
        stage::check_variables(variables)?;
        stage.variables.clone_from(variables);
    }
    if let Some(enabled) = input.cache_cluster_enabled {
        stage.cache_cluster_enabled = enabled;
        stage.cache_cluster_size = stage::cache_size(enabled, input.cache_cluster_size.as_ref());
    }
    stage.tracing_enabled = input.tracing_enabled.unwrap_or(stage.tracing_enabled);
    Ok(stage)
}

pub async fn get(ctx: Ctx, input: api::GetDeploymentInput) -> Result<api::GetDeploymentOutput> {
    let key = (input.rest_api_id.as_str(), input.deployment_id.as_str());
    let found = DEPLOYMENTS.get(ctx.store(), ctx.scope(), &key).await?;
    let mut shown = shapes::deployment(found.ok_or_else(errors::deployment)?);
    let embed = input.embed.unwrap_or_default();
    if embed.iter().any(|part| part == "apisummary") {
        let whole = SNAPSHOTS.get(ctx.store(), ctx.scope(), &key).await?;
        shown.api_summary = Some(summary(&whole.unwrap_or_default()));
    }
    Ok(shown)
}

fn summary(whole: &ApiDocument) -> BTreeMap<String, BTreeMap<String, api::MethodSnapshot>> {
    let methods = |resource: &crate::state::ResourceRecord| {
        let show = |(verb, method): (&String, &crate::state::MethodRecord)| {
            let snapshot = api::MethodSnapshot {
                authorization_type: Some(method.authorization_type.clone()),
                api_key_required: Some(method.api_key_required),
            };
            (verb.clone(), snapshot)
        };
        (resource.path.clone(), resource.methods.iter().map(show).collect())
    };
    whole.resources.iter().filter(|r| !r.methods.is_empty()).map(methods).collect()
}

pub async fn list(ctx: Ctx, input: api::GetDeploymentsInput) -> Result<api::GetDeploymentsOutput> {
    let api_id = input.rest_api_id.as_str();
    rest_api::load(&ctx, api_id).await?;
    let all = DEPLOYMENTS.list(ctx.scope(), (api_id,)).read(ctx.store()).await?;
    let mut all: Vec<DeploymentRecord> = all.into_iter().map(|(_, record)| record).collect();
    all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shapes::deployment).collect();
    Ok(api::GetDeploymentsOutput { position: page.position, items: Some(items) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteDeploymentInput,
) -> Result<api::DeleteDeploymentOutput> {
    let key = (input.rest_api_id.as_str(), input.deployment_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if DEPLOYMENTS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::deployment());
        }
        for (_, stage) in STAGES.list(ctx.scope(), (key.0,)).read(txn).await? {
            let canary = stage.canary.as_ref().and_then(|canary| canary.deployment_id.as_deref());
            if stage.deployment_id == key.1 || canary == Some(key.1) {
                return Err(bad_request(
                    "Active stages pointing to this deployment must be moved or deleted",
                ));
            }
        }
        DEPLOYMENTS.delete(txn, ctx.scope(), &key);
        SNAPSHOTS.delete(txn, ctx.scope(), &key);
        api::DeleteDeploymentOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateDeploymentInput,
) -> Result<api::UpdateDeploymentOutput> {
    let patches = patch::read(input.patch_operations)?;
    let key = (input.rest_api_id.as_str(), input.deployment_id.as_str());
    let record: DeploymentRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = DEPLOYMENTS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::deployment)?;
        for patch in &patches {
            patch.replace_one_of(&["/description"])?;
            record.description = patch.some();
        }
        DEPLOYMENTS.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shapes::deployment(record))
}
