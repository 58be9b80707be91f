//! Code signing configurations: whose signed packages functions take.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-codesigning.html>
//!
//! There is no AWS Signer here, so no package is signed: a configuration that enforces signatures refuses every package.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, transact};

use crate::configuration::last_modified;
use crate::errors;
use crate::names::{FunctionName, function_arn};
use crate::state::{CODE_SIGNING_CONFIGS, CodeSigningRecord, HEADS, head};

const PAGE_MAX: i32 = 50;
const WARN: &str = "Warn";
const ENFORCE: &str = "Enforce";
const ID_ALPHABET: &[u8] = b"0123456789abcdef";
const ID_LENGTH: usize = 17;

fn arn(ctx: &Ctx, id: &str) -> String {
    ctx.arn("lambda", &format!("code-signing-config:{id}"))
}

pub fn id_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

async fn load<R: Read + ?Sized>(ctx: &Ctx, read: &R, arn: &str) -> Result<CodeSigningRecord> {
    let found = CODE_SIGNING_CONFIGS.get(read, ctx.scope(), id_of(arn)).await?;
    found.ok_or_else(|| errors::code_signing_config_missing(arn))
}

fn describe(ctx: &Ctx, record: &CodeSigningRecord) -> api::CodeSigningConfig {
    api::CodeSigningConfig {
        code_signing_config_id: record.id.clone(),
        code_signing_config_arn: arn(ctx, &record.id),
        description: record.description.clone(),
        allowed_publishers: api::AllowedPublishers {
            signing_profile_version_arns: record.publishers.clone(),
        },
        code_signing_policies: api::CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(record.policy.as_str().into()),
        },
        last_modified: last_modified(record.modified_ms),
    }
}

fn policy(given: Option<&api::CodeSigningPolicies>) -> Option<&str> {
    let policy = given.and_then(|policies| policies.untrusted_artifact_on_deployment.as_ref());
    policy.map(api::CodeSigningPolicy::as_str)
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateCodeSigningConfigInput,
) -> Result<api::CreateCodeSigningConfigOutput> {
    let record = CodeSigningRecord {
        id: format!("csc-{}", ctx.random_id(ID_ALPHABET, ID_LENGTH)),
        policy: policy(input.code_signing_policies.as_ref()).unwrap_or(WARN).to_owned(),
        description: input.description,
        publishers: input.allowed_publishers.signing_profile_version_arns,
        modified_ms: ctx.now().millis(),
        tags: input.tags.unwrap_or_default(),
    };
    transact!(ctx.store(), Error, |txn| {
        CODE_SIGNING_CONFIGS.put(txn, ctx.scope(), record.id.as_str(), &record);
    })?;
    Ok(api::CreateCodeSigningConfigOutput { code_signing_config: describe(&ctx, &record) })
}

pub async fn get(
    ctx: Ctx,
    input: api::GetCodeSigningConfigInput,
) -> Result<api::GetCodeSigningConfigOutput> {
    let record = load(&ctx, ctx.store(), &input.code_signing_config_arn).await?;
    Ok(api::GetCodeSigningConfigOutput { code_signing_config: describe(&ctx, &record) })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateCodeSigningConfigInput,
) -> Result<api::UpdateCodeSigningConfigOutput> {
    let record = transact!(ctx.store(), Error, |txn| {
        let mut record = load(&ctx, txn, &input.code_signing_config_arn).await?;
        if let Some(description) = &input.description {
            record.description = Some(description.clone());
        }
        if let Some(publishers) = &input.allowed_publishers {
            record.publishers.clone_from(&publishers.signing_profile_version_arns);
        }
        if let Some(policy) = policy(input.code_signing_policies.as_ref()) {
            policy.clone_into(&mut record.policy);
        }
        record.modified_ms = ctx.now().millis();
        CODE_SIGNING_CONFIGS.put(txn, ctx.scope(), record.id.as_str(), &record);
        record
    })?;
    Ok(api::UpdateCodeSigningConfigOutput { code_signing_config: describe(&ctx, &record) })
}

/// Only one that no function uses.
pub async fn delete(
    ctx: Ctx,
    input: api::DeleteCodeSigningConfigInput,
) -> Result<api::DeleteCodeSigningConfigOutput> {
    let arn = &input.code_signing_config_arn;
    transact!(ctx.store(), Error, |txn| {
        let record = load(&ctx, txn, arn).await?;
        if !users(&ctx, txn, arn).await?.is_empty() {
            return Err(errors::code_signing_config_in_use(arn));
        }
        CODE_SIGNING_CONFIGS.delete(txn, ctx.scope(), record.id.as_str());
    })?;
    Ok(api::DeleteCodeSigningConfigOutput::default())
}

/// Names of the functions with this configuration.
async fn users<R: Read + ?Sized>(ctx: &Ctx, read: &R, arn: &str) -> Result<Vec<String>> {
    let mut heads = HEADS.list(ctx.scope(), ()).read(read).await?;
    heads.retain(|(_, head)| head.code_signing_config_arn == arn);
    Ok(heads.into_iter().map(|(name, _)| name).collect())
}

fn page_size(given: Option<i32>) -> usize {
    usize::try_from(given.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1)
}

pub async fn list(
    ctx: Ctx,
    input: api::ListCodeSigningConfigsInput,
) -> Result<api::ListCodeSigningConfigsOutput> {
    let limit = page_size(input.max_items);
    let mut listing = CODE_SIGNING_CONFIGS.list(ctx.scope(), ()).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(marker.as_str());
    }
    let mut found = listing.read(ctx.store()).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(api::ListCodeSigningConfigsOutput {
        next_marker: found.last().filter(|_| more).map(|(id, _)| id.clone()),
        code_signing_configs: Some(
            found.iter().map(|(_, record)| describe(&ctx, record)).collect(),
        ),
    })
}

pub async fn list_functions(
    ctx: Ctx,
    input: api::ListFunctionsByCodeSigningConfigInput,
) -> Result<api::ListFunctionsByCodeSigningConfigOutput> {
    let arn = &input.code_signing_config_arn;
    load(&ctx, ctx.store(), arn).await?;
    let limit = page_size(input.max_items);
    let mut names = users(&ctx, ctx.store(), arn).await?;
    if let Some(marker) = &input.marker {
        names.retain(|name| name > marker);
    }
    let more = names.len() > limit;
    names.truncate(limit);
    Ok(api::ListFunctionsByCodeSigningConfigOutput {
        next_marker: names.last().filter(|_| more).cloned(),
        function_arns: Some(names.iter().map(|name| function_arn(&ctx, name, None)).collect()),
    })
}

pub async fn put_of_function(
    ctx: Ctx,
    input: api::PutFunctionCodeSigningConfigInput,
) -> Result<api::PutFunctionCodeSigningConfigOutput> {
    let arn = input.code_signing_config_arn;
    check_there(&ctx, &arn).await?;
    let name = set(&ctx, &input.function_name, &arn).await?;
    Ok(api::PutFunctionCodeSigningConfigOutput {
        code_signing_config_arn: arn,
        function_name: name,
    })
}

async fn set(ctx: &Ctx, function: &str, arn: &str) -> Result<String> {
    let name = FunctionName::parse(function);
    let ctx = name.place(ctx)?;
    transact!(ctx.store(), Error, |txn| {
        let mut head = head(&ctx, txn, &name.name).await?;
        arn.clone_into(&mut head.code_signing_config_arn);
        HEADS.put(txn, ctx.scope(), name.name.as_str(), &head);
    })?;
    Ok(name.name)
}

/// What a function is given must be there.
pub async fn check_there(ctx: &Ctx, arn: &str) -> Result<()> {
    let found = CODE_SIGNING_CONFIGS.get(ctx.store(), ctx.scope(), id_of(arn)).await?;
    found.map(drop).ok_or_else(|| errors::code_signing_config_not_found(arn))
}

pub async fn get_of_function(
    ctx: Ctx,
    input: api::GetFunctionCodeSigningConfigInput,
) -> Result<api::GetFunctionCodeSigningConfigOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let head = head(&ctx, ctx.store(), &name.name).await?;
    let none = head.code_signing_config_arn.is_empty();
    Ok(api::GetFunctionCodeSigningConfigOutput {
        // Without one AWS answers nothing at all.
        function_name: if none { String::new() } else { name.name },
        code_signing_config_arn: head.code_signing_config_arn,
    })
}

pub async fn delete_of_function(
    ctx: Ctx,
    input: api::DeleteFunctionCodeSigningConfigInput,
) -> Result<api::DeleteFunctionCodeSigningConfigOutput> {
    set(&ctx, &input.function_name, "").await?;
    Ok(api::DeleteFunctionCodeSigningConfigOutput::default())
}

/// Whether unsigned code may be deployed under this configuration; an empty ARN is none.
pub async fn check_deployment(ctx: &Ctx, arn: &str) -> Result<()> {
    if arn.is_empty() {
        return Ok(());
    }
    let found = CODE_SIGNING_CONFIGS.get(ctx.store(), ctx.scope(), id_of(arn)).await?;
    match found.ok_or_else(|| errors::code_signing_config_not_found(arn))?.policy.as_str() {
        ENFORCE => Err(errors::code_not_signed()),
        _ => Ok(()),
    }
}
