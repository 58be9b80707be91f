//! Function URLs: an address of its own for a function or an alias.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html>

use sereno_api_lambda as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Scope, transact};

use crate::errors;
use crate::names::{FunctionName, function_arn, is_version, resolve};
use crate::state::{CorsRecord, URL_OWNERS, URLS, UrlOwnerRecord, UrlRecord, head};

const ID_LENGTH: usize = 32;
const ID_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const PAGE_MAX: i32 = 50;
pub const BUFFERED: &str = "BUFFERED";

/// Where URLs are for clients that cannot resolve their hosts.
pub const PATH_FORM: &str = "/_aws/lambda-url/";

/// The function or alias that a request names; versions have no URLs, which the model says of `Qualifier` only.
fn name(function: &str, qualifier: Option<&str>) -> Result<FunctionName> {
    let name = FunctionName::qualified(function, qualifier)?;
    match name.qualifier.as_deref() {
        Some(version) if is_version(version) => Err(errors::url_of_version(version)),
        _ => Ok(name),
    }
}

fn key(name: &FunctionName) -> (&str, &str) {
    (&name.name, name.qualifier.as_deref().unwrap_or_default())
}

/// The URL as the caller can reach it: by a host of its own where hosts have names, else by a path.
fn address(ctx: &Ctx, id: &str) -> String {
    let endpoint = ctx.endpoint();
    let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let numeric = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    if numeric {
        format!("{endpoint}{PATH_FORM}{id}/")
    } else {
        format!("{scheme}://{id}.lambda-url.{}.{authority}/", ctx.region())
    }
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).iso8601_millis()
}

fn cors(record: &UrlRecord) -> Option<api::Cors> {
    let cors = record.cors.as_ref()?;
    let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
    Some(api::Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: list(&cors.allow_headers),
        allow_methods: list(&cors.allow_methods),
        allow_origins: list(&cors.allow_origins),
        expose_headers: list(&cors.expose_headers),
        max_age: cors.max_age_s.and_then(|age| i32::try_from(age).ok()),
    })
}

fn cors_record(given: &api::Cors) -> Option<CorsRecord> {
    let record = CorsRecord {
        allow_credentials: given.allow_credentials,
        allow_headers: given.allow_headers.clone().unwrap_or_default(),
        allow_methods: given.allow_methods.clone().unwrap_or_default(),
        allow_origins: given.allow_origins.clone().unwrap_or_default(),
        expose_headers: given.expose_headers.clone().unwrap_or_default(),
        max_age_s: given.max_age.map(i64::from),
    };
    // `Cors: {}` takes the settings back.
    (record != CorsRecord::default()).then_some(record)
}

fn describe(ctx: &Ctx, record: &UrlRecord) -> api::FunctionUrlConfig {
    let qualifier = Some(record.qualifier.as_str()).filter(|text| !text.is_empty());
    api::FunctionUrlConfig {
        function_url: address(ctx, &record.id),
        function_arn: function_arn(ctx, &record.function, qualifier),
        creation_time: time(record.created_ms),
        last_modified_time: time(record.modified_ms),
        cors: cors(record),
        auth_type: record.auth_type.as_str().into(),
        invoke_mode: Some(record.mode().into()),
    }
}

/// What was never said is only shown to who asks. Recorded: test_lambda_api.py::TestLambdaUrl::test_url_config_lifecycle
fn said(record: &UrlRecord) -> Option<api::InvokeMode> {
    (!record.invoke_mode.is_empty()).then(|| record.invoke_mode.as_str().into())
}

impl UrlRecord {
    pub fn mode(&self) -> &str {
        if self.invoke_mode.is_empty() { BUFFERED } else { &self.invoke_mode }
    }
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateFunctionUrlConfigInput,
) -> Result<api::CreateFunctionUrlConfigOutput> {
    let name = name(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let now = ctx.now().millis();
    let mode = input.invoke_mode.as_ref().map_or("", api::InvokeMode::as_str);
    let (function, qualifier) = key(&name);
    let record = UrlRecord {
        id: ctx.random_id(ID_ALPHABET, ID_LENGTH),
        function: function.to_owned(),
        qualifier: qualifier.to_owned(),
        auth_type: input.auth_type.as_str().to_owned(),
        cors: input.cors.as_ref().and_then(cors_record),
        invoke_mode: mode.to_owned(),
        created_ms: now,
        modified_ms: now,
    };
    transact!(ctx.store(), Error, |txn| {
        resolve(&ctx, txn, &name, 1.0).await.map_err(|_| errors::url_function_missing())?;
        if URLS.get(txn, ctx.scope(), &key(&name)).await?.is_some() {
            let arn = function_arn(&ctx, function, name.qualifier.as_deref());
            return Err(errors::url_exists(&arn));
        }
        URLS.put(txn, ctx.scope(), &key(&name), &record);
        let owner = UrlOwnerRecord {
            account: ctx.account().to_string(),
            region: ctx.region().as_str().to_owned(),
            function: function.to_owned(),
            qualifier: qualifier.to_owned(),
        };
        URL_OWNERS.put(txn, Scope::GLOBAL, record.id.as_str(), &owner);
    })?;
    let shown = describe(&ctx, &record);
    Ok(api::CreateFunctionUrlConfigOutput {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        invoke_mode: said(&record),
    })
}

pub async fn get(
    ctx: Ctx,
    input: api::GetFunctionUrlConfigInput,
) -> Result<api::GetFunctionUrlConfigOutput> {
    let name = name(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let found = URLS.get(ctx.store(), ctx.scope(), &key(&name)).await?;
    let shown = describe(&ctx, &found.ok_or_else(errors::policy_not_found)?);
    Ok(api::GetFunctionUrlConfigOutput {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        last_modified_time: shown.last_modified_time,
        invoke_mode: shown.invoke_mode,
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateFunctionUrlConfigInput,
) -> Result<api::UpdateFunctionUrlConfigOutput> {
    let name = name(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let record = transact!(ctx.store(), Error, |txn| {
        resolve(&ctx, txn, &name, 1.0).await.map_err(|_| errors::url_function_missing())?;
        let found = URLS.get(txn, ctx.scope(), &key(&name)).await?;
        let mut record = found.ok_or_else(errors::policy_not_found)?;
        if let Some(auth_type) = &input.auth_type {
            auth_type.as_str().clone_into(&mut record.auth_type);
        }
        if let Some(cors) = &input.cors {
            record.cors = cors_record(cors);
        }
        if let Some(mode) = &input.invoke_mode {
            mode.as_str().clone_into(&mut record.invoke_mode);
        }
        record.modified_ms = ctx.now().millis();
        URLS.put(txn, ctx.scope(), &key(&name), &record);
        record
    })?;
    let shown = describe(&ctx, &record);
    Ok(api::UpdateFunctionUrlConfigOutput {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        last_modified_time: shown.last_modified_time,
        invoke_mode: said(&record),
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteFunctionUrlConfigInput,
) -> Result<api::DeleteFunctionUrlConfigOutput> {
    let name = name(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    transact!(ctx.store(), Error, |txn| {
        let found = URLS.get(txn, ctx.scope(), &key(&name)).await?;
        let record = found.ok_or_else(errors::policy_not_found)?;
        URLS.delete(txn, ctx.scope(), &key(&name));
        URL_OWNERS.delete(txn, Scope::GLOBAL, record.id.as_str());
    })?;
    Ok(api::DeleteFunctionUrlConfigOutput::default())
}

pub async fn list(
    ctx: Ctx,
    input: api::ListFunctionUrlConfigsInput,
) -> Result<api::ListFunctionUrlConfigsOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let function = name.name.as_str();
    head(&ctx, ctx.store(), function).await.map_err(|_| errors::url_function_missing())?;
    let limit =
        usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1);
    let mut listing = URLS.list(ctx.scope(), (function,)).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(&(function, marker.as_str()));
    }
    let mut found = listing.read(ctx.store()).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(api::ListFunctionUrlConfigsOutput {
        next_marker: found.last().filter(|_| more).map(|(_, record)| record.qualifier.clone()),
        function_url_configs: found.iter().map(|(_, record)| describe(&ctx, record)).collect(),
    })
}
