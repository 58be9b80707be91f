//! Who else may use a version of a layer.

use serde_json::{Value, json};
use sereno_api_lambda as api;
use sereno_base::arn;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::errors;
use crate::layer::{LayerName, number, version_arn};
use crate::permission::{self, POLICY_BYTES_MAX, document};
use crate::state::{LAYER_POLICIES, LAYER_VERSIONS, PolicyRecord};

pub async fn add(
    ctx: Ctx,
    input: api::AddLayerVersionPermissionInput,
) -> Result<api::AddLayerVersionPermissionOutput> {
    let version = number(input.version_number)?;
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let ctx = &layer.ctx;
    let statement = statement(&version_arn(ctx, &layer.name, version), &input)?.to_string();
    let revision_id = transact!(ctx.store(), Error, |txn| {
        let mut record = load(ctx, txn, &layer.name, version).await?.unwrap_or_default();
        check_revision(input.revision_id.as_deref(), &record)?;
        if permission::position(&record, &input.statement_id).is_some() {
            return Err(errors::statement_exists(&input.statement_id));
        }
        record.statements.push(statement.clone());
        record.revision_id = ctx.random_uuid();
        let length = document(&record).to_string().len();
        if length > POLICY_BYTES_MAX {
            return Err(errors::policy_too_large(length, POLICY_BYTES_MAX));
        }
        LAYER_POLICIES.put(txn, ctx.scope(), &(layer.name.as_str(), version), &record);
        record.revision_id
    })?;
    Ok(api::AddLayerVersionPermissionOutput {
        statement: Some(statement),
        revision_id: Some(revision_id),
    })
}

/// The policy of a version, which must be there.
async fn load(ctx: &Ctx, txn: &Txn, name: &str, version: u64) -> Result<Option<PolicyRecord>> {
    let key = (name, version);
    if LAYER_VERSIONS.get(txn, ctx.scope(), &key).await?.is_none() {
        return Err(errors::no_layer_version(&version_arn(ctx, name, version)));
    }
    Ok(LAYER_POLICIES.get(txn, ctx.scope(), &key).await?)
}

fn check_revision(given: Option<&str>, record: &PolicyRecord) -> Result<()> {
    match given {
        Some(given) if given != record.revision_id => Err(errors::wrong_revision("GetLayerPolicy")),
        _ => Ok(()),
    }
}

fn statement(resource: &str, input: &api::AddLayerVersionPermissionInput) -> Result<Value> {
    let principal = match input.principal.as_str() {
        "*" => json!("*"),
        account => match account.parse() {
            Ok(account) => json!({"AWS": arn("iam", None, Some(account), "root")}),
            Err(_) => json!({ "AWS": account }),
        },
    };
    let mut statement = json!({
        "Sid": input.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": input.action,
        "Resource": resource,
    });
    if let Some(organization) = &input.organization_id {
        if input.principal != "*" {
            return Err(errors::organization_needs_everyone());
        }
        statement["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": organization}});
    }
    Ok(statement)
}

pub async fn remove(
    ctx: Ctx,
    input: api::RemoveLayerVersionPermissionInput,
) -> Result<api::RemoveLayerVersionPermissionOutput> {
    let version = number(input.version_number)?;
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let ctx = &layer.ctx;
    transact!(ctx.store(), Error, |txn| {
        let found = load(ctx, txn, &layer.name, version).await?;
        let mut record = found.ok_or_else(errors::no_policy)?;
        check_revision(input.revision_id.as_deref(), &record)?;
        let at = permission::position(&record, &input.statement_id);
        record
            .statements
            .remove(at.ok_or_else(|| errors::statement_not_found(&input.statement_id))?);
        record.revision_id = ctx.random_uuid();
        let key = (layer.name.as_str(), version);
        if record.statements.is_empty() {
            LAYER_POLICIES.delete(txn, ctx.scope(), &key);
        } else {
            LAYER_POLICIES.put(txn, ctx.scope(), &key, &record);
        }
    })?;
    Ok(api::RemoveLayerVersionPermissionOutput::default())
}

pub async fn get(
    ctx: Ctx,
    input: api::GetLayerVersionPolicyInput,
) -> Result<api::GetLayerVersionPolicyOutput> {
    let version = number(input.version_number)?;
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let ctx = &layer.ctx;
    let key = (layer.name.as_str(), version);
    if LAYER_VERSIONS.get(ctx.store(), ctx.scope(), &key).await?.is_none() {
        return Err(errors::no_layer_version(&version_arn(ctx, &layer.name, version)));
    }
    let found = LAYER_POLICIES.get(ctx.store(), ctx.scope(), &key).await?;
    let record = found.ok_or_else(errors::no_policy)?;
    Ok(api::GetLayerVersionPolicyOutput {
        policy: Some(document(&record).to_string()),
        revision_id: Some(record.revision_id),
    })
}
