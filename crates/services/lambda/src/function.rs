//! Functions: create, read, change, delete.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Kind, Result};
use sereno_store::{Scope, transact};

use crate::code::{self, Source};
use crate::configuration::{self, describe};
use crate::names::{FunctionName, LATEST, is_alias, resolve};
use crate::settings::Settings;
use crate::state::{
    ALIASES, FUNCTIONS, FunctionRecord, HEADS, HeadRecord, NO_RESERVATION, POLICIES, PROVISIONED,
    URL_OWNERS, URLS, head, version_key,
};
use crate::{
    concurrency, destination, errors, event_config, layer_use, rules, signing, state, tag, version,
};

const MEMORY_MB: u32 = 128;
const TIMEOUT_S: u32 = 3;
const EPHEMERAL_STORAGE_MB: u32 = 512;
const NAME_MAX: usize = 64;
/// The most that ListFunctions answers at once, whatever is asked for.
pub const PAGE_MAX: i32 = 50;

pub async fn create(
    ctx: Ctx,
    input: api::CreateFunctionInput,
) -> Result<api::CreateFunctionOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    rules::check_create(&input)?;
    if name.name.len() > NAME_MAX {
        return Err(errors::name_too_long(&name.name, NAME_MAX));
    }
    let layers = layer_use::load(&ctx, input.layers.as_deref()).await?;
    tag::check_count(&input.tags.clone().unwrap_or_default())?;
    if HEADS.get(ctx.store(), ctx.scope(), name.name.as_str()).await?.is_some() {
        return Err(errors::function_exists(&name.name));
    }
    check_role(&ctx, &input.role).await?;
    let signing = input.code_signing_config_arn.clone().unwrap_or_default();
    signing::check_deployment(&ctx, &signing).await?;
    let mut record = FunctionRecord {
        name: name.name.clone(),
        version: LATEST.to_owned(),
        memory_mb: MEMORY_MB,
        timeout_s: TIMEOUT_S,
        ephemeral_storage_mb: EPHEMERAL_STORAGE_MB,
        architecture: architecture(input.architectures.as_deref()).unwrap_or("x86_64").to_owned(),
        tracing: "PassThrough".to_owned(),
        snap_start: "None".to_owned(),
        log_format: "Text".to_owned(),
        log_group: format!("/aws/lambda/{}", name.name),
        ..Default::default()
    };
    Settings::of_create(&input, layers).apply(&ctx, &mut record)?;
    destination::check_dead_letters(&ctx, &record).await?;
    record.code = code::accept(&ctx, &source(&input.code)).await?;
    layer_use::check_size(&record)?;
    change(&ctx, &mut record);
    if let Ok(sandbox) = ctx.sandbox() {
        sandbox.expect(&record.runtime);
    }
    let head = HeadRecord {
        name: name.name.clone(),
        tags: input.tags.clone().unwrap_or_default(),
        reserved_concurrency: NO_RESERVATION,
        created_ms: ctx.now().millis(),
        code_signing_config_arn: signing,
        ..Default::default()
    };
    let publish = input.publish == Some(true);
    let shown = transact!(ctx.store(), Error, |txn| {
        if HEADS.get(txn, ctx.scope(), name.name.as_str()).await?.is_some() {
            return Err(errors::function_exists(&name.name));
        }
        let mut head = head.clone();
        let mut shown = record.clone();
        FUNCTIONS.put(txn, ctx.scope(), &(name.name.as_str(), LATEST), &record);
        if publish {
            shown = version::write_next(&ctx, txn, &mut head, &record, &record.description);
        }
        HEADS.put(txn, ctx.scope(), name.name.as_str(), &head);
        shown
    })?;
    Ok(configuration::creating(&ctx, describe(&ctx, &shown, None)))
}

fn source(code: &api::FunctionCode) -> Source<'_> {
    Source {
        zip_file: code.zip_file.as_ref(),
        s3_bucket: code.s3_bucket.as_deref(),
        s3_key: code.s3_key.as_deref(),
        s3_object_version: code.s3_object_version.as_deref(),
    }
}

fn architecture(given: Option<&[api::Architecture]>) -> Option<&str> {
    given.and_then(<[_]>::first).map(api::Architecture::as_str)
}

/// New code or configuration: a new revision, new instances.
fn change(ctx: &Ctx, record: &mut FunctionRecord) {
    record.revision_id = ctx.random_uuid();
    record.build.clone_from(&record.revision_id);
    record.last_modified_ms = ctx.now().millis();
}

/// Lambda itself must be able to assume the role.
async fn check_role(ctx: &Ctx, role: &str) -> Result<()> {
    match ctx.assume(role, "sereno-check", "lambda.amazonaws.com").await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Internal) => Err(error),
        Err(_) => Err(errors::role_cannot_be_assumed()),
    }
}

pub async fn get(ctx: Ctx, input: api::GetFunctionInput) -> Result<api::GetFunctionOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let found = resolve(&ctx, ctx.store(), &name, 1.0).await?;
    let head = head(&ctx, ctx.store(), &name.name).await?;
    let reserved = i32::try_from(head.reserved_concurrency).ok().filter(|n| *n >= 0);
    Ok(api::GetFunctionOutput {
        code: Some(api::FunctionCodeLocation {
            repository_type: Some("S3".to_owned()),
            location: Some(code::link(&ctx, &found.function)),
            ..Default::default()
        }),
        configuration: Some(describe(&ctx, &found.function, name.qualifier.as_deref())),
        tags: (!head.tags.is_empty()).then_some(head.tags),
        concurrency: reserved
            .map(|reserved| api::Concurrency { reserved_concurrent_executions: Some(reserved) }),
        ..Default::default()
    })
}

pub async fn get_configuration(
    ctx: Ctx,
    input: api::GetFunctionConfigurationInput,
) -> Result<api::GetFunctionConfigurationOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let found = resolve(&ctx, ctx.store(), &name, 1.0).await?;
    Ok(describe(&ctx, &found.function, name.qualifier.as_deref()))
}

pub async fn list(ctx: Ctx, input: api::ListFunctionsInput) -> Result<api::ListFunctionsOutput> {
    let limit =
        usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1);
    let every_version = input.function_version == Some(api::FunctionVersion::All);
    let mut listing = HEADS.list(ctx.scope(), ()).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(marker.as_str());
    }
    let mut heads = listing.read(ctx.store()).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let mut functions = Vec::new();
    for (name, _) in &heads {
        for (_, record) in FUNCTIONS.list(ctx.scope(), (name.as_str(),)).read(ctx.store()).await? {
            if record.version == LATEST || every_version {
                let qualifier = every_version.then_some(record.version.as_str());
                functions.push(configuration::listed(describe(&ctx, &record, qualifier)));
            }
        }
    }
    Ok(api::ListFunctionsOutput {
        next_marker: heads.last().filter(|_| more).map(|(name, _)| name.clone()),
        functions: Some(functions),
    })
}

pub async fn update_code(
    ctx: Ctx,
    input: api::UpdateFunctionCodeInput,
) -> Result<api::UpdateFunctionCodeOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    for (parameter, given) in [
        ("ImageUri", input.image_uri.is_some()),
        ("SourceKMSKeyArn", input.source_kms_key_arn.is_some()),
        ("PublishTo", input.publish_to.is_some()),
    ] {
        if given {
            return Err(errors::not_honoured(parameter));
        }
    }
    let before = state::version(&ctx, ctx.store(), &name.name, LATEST).await?;
    check_revision(input.revision_id.as_deref(), &before)?;
    let signing = head(&ctx, ctx.store(), &name.name).await?.code_signing_config_arn;
    signing::check_deployment(&ctx, &signing).await?;
    let source = Source {
        zip_file: input.zip_file.as_ref(),
        s3_bucket: input.s3_bucket.as_deref(),
        s3_key: input.s3_key.as_deref(),
        s3_object_version: input.s3_object_version.as_deref(),
    };
    let code = code::accept(&ctx, &source).await?;
    let apply = |record: &mut FunctionRecord| {
        record.code = code.clone();
        if let Some(architecture) = architecture(input.architectures.as_deref()) {
            architecture.clone_into(&mut record.architecture);
        }
        layer_use::check_size(record)
    };
    if input.dry_run == Some(true) {
        let mut record = before;
        apply(&mut record)?;
        return Ok(describe(&ctx, &record, None));
    }
    let publish = input.publish == Some(true);
    change_latest(&ctx, &name.name, input.revision_id.as_deref(), publish, apply).await
}

pub async fn update_configuration(
    ctx: Ctx,
    input: api::UpdateFunctionConfigurationInput,
) -> Result<api::UpdateFunctionConfigurationOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    rules::check_update(&input)?;
    let mut wanted = state::version(&ctx, ctx.store(), &name.name, LATEST).await?;
    if let Some(role) = &input.role {
        check_role(&ctx, role).await?;
    }
    if input.layers.as_ref().is_some_and(|layers| !layers.is_empty()) {
        let signing = head(&ctx, ctx.store(), &name.name).await?.code_signing_config_arn;
        signing::check_deployment(&ctx, &signing).await?;
    }
    let layers = layer_use::load(&ctx, input.layers.as_deref()).await?;
    let settings = Settings::of_update(&input, layers);
    if settings.dead_letters.is_some() {
        settings.apply(&ctx, &mut wanted)?;
        destination::check_dead_letters(&ctx, &wanted).await?;
    }
    let apply = |record: &mut FunctionRecord| {
        settings.apply(&ctx, record)?;
        layer_use::check_size(record)
    };
    change_latest(&ctx, &name.name, input.revision_id.as_deref(), false, apply).await
}

fn check_revision(given: Option<&str>, record: &FunctionRecord) -> Result<()> {
    match given {
        Some(given) if given != record.revision_id => {
            Err(errors::wrong_revision("GetFunction/GetAlias"))
        }
        _ => Ok(()),
    }
}

/// Changes `$LATEST`, publishes if asked to, and ends the instances of what was before.
async fn change_latest(
    ctx: &Ctx,
    name: &str,
    revision: Option<&str>,
    publish: bool,
    apply: impl Fn(&mut FunctionRecord) -> Result<()>,
) -> Result<api::FunctionConfiguration> {
    let (latest, shown) = transact!(ctx.store(), Error, |txn| {
        let mut record = state::version(ctx, txn, name, LATEST).await?;
        check_revision(revision, &record)?;
        apply(&mut record)?;
        change(ctx, &mut record);
        FUNCTIONS.put(txn, ctx.scope(), &(name, LATEST), &record);
        let mut shown = record.clone();
        if publish {
            let mut head = head(ctx, txn, name).await?;
            shown = version::publish_latest(ctx, txn, &mut head, &record, None).await?;
            HEADS.put(txn, ctx.scope(), name, &head);
        }
        (record, shown)
    })?;
    if let Ok(sandbox) = ctx.sandbox() {
        let kept = Some(latest.build());
        sandbox.retire(ctx.account(), ctx.region(), name, Some(LATEST), kept);
    }
    if publish {
        let shown = describe(ctx, &shown, Some(&shown.version));
        return Ok(configuration::creating(ctx, shown));
    }
    Ok(configuration::updating(ctx, describe(ctx, &shown, None)))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteFunctionInput,
) -> Result<api::DeleteFunctionOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let (name, qualifier) = (name.name.as_str(), name.qualifier.as_deref());
    match qualifier {
        Some(LATEST) => return Err(errors::latest_cannot_be_deleted()),
        Some(alias) if is_alias(alias) => return Err(errors::aliases_cannot_be_deleted_so()),
        Some(qualifier) => delete_version(&ctx, name, qualifier).await?,
        None => delete_all(&ctx, name).await?,
    }
    if let Ok(sandbox) = ctx.sandbox() {
        sandbox.retire(ctx.account(), ctx.region(), name, qualifier, None);
    }
    Ok(api::DeleteFunctionOutput { status_code: Some(204) })
}

/// A version that is not there has been deleted.
async fn delete_version(ctx: &Ctx, name: &str, number: &str) -> Result<()> {
    transact!(ctx.store(), Error, |txn| {
        head(ctx, txn, name).await?;
        for (_, alias) in ALIASES.list(ctx.scope(), (name,)).read(txn).await? {
            let uses = alias.version == number || alias.other_version.as_deref() == Some(number);
            if uses {
                return Err(errors::version_in_use(ctx, name, number, &alias.name));
            }
        }
        FUNCTIONS.delete(txn, ctx.scope(), &(name, version_key(number).as_str()));
        POLICIES.delete(txn, ctx.scope(), &(name, number));
        event_config::forget(ctx, txn, name, number);
    })
}

async fn delete_all(ctx: &Ctx, name: &str) -> Result<()> {
    transact!(ctx.store(), Error, |txn| {
        let reserved = head(ctx, txn, name).await?.reserved_concurrency;
        HEADS.delete(txn, ctx.scope(), name);
        if reserved > 0 {
            concurrency::sum_up(ctx, txn).await?;
        }
        for (key, _) in FUNCTIONS.list(ctx.scope(), (name,)).read(txn).await? {
            FUNCTIONS.delete(txn, ctx.scope(), &key);
        }
        for (key, _) in ALIASES.list(ctx.scope(), (name,)).read(txn).await? {
            ALIASES.delete(txn, ctx.scope(), &key);
        }
        for (key, _) in PROVISIONED.list(ctx.scope(), (name,)).read(txn).await? {
            PROVISIONED.delete(txn, ctx.scope(), &key);
        }
        for (key, url) in URLS.list(ctx.scope(), (name,)).read(txn).await? {
            URLS.delete(txn, ctx.scope(), &key);
            URL_OWNERS.delete(txn, Scope::GLOBAL, url.id.as_str());
        }
        for (key, _) in POLICIES.list(ctx.scope(), (name,)).read(txn).await? {
            POLICIES.delete(txn, ctx.scope(), &key);
        }
        event_config::forget_all(ctx, txn, name).await?;
    })
}
