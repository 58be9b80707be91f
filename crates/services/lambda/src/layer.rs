//! Layers: content that functions share, in versions that never change.
//! <https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html>

use sereno_api_lambda as api;
use sereno_base::AccountId;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::code::{self, Source};
use crate::configuration::last_modified;
use crate::errors;
use crate::state::{
    LAYER_HEADS, LAYER_POLICIES, LAYER_VERSIONS, LayerHeadRecord, LayerVersionRecord,
};

const PAGE_MAX: i32 = 50;

/// A layer by its name or ARN.
pub struct LayerName {
    pub name: String,
    pub ctx: Ctx,
}

impl LayerName {
    /// Reads `name` and `arn:aws:lambda:region:account:layer:name`, whose account may be another.
    pub fn parse(ctx: &Ctx, text: &str) -> Result<LayerName> {
        let parts: Vec<&str> = text.split(':').collect();
        let [_, _, _, region, account, _, name] = parts[..] else {
            return Ok(LayerName { name: text.to_owned(), ctx: ctx.clone() });
        };
        if region != ctx.region().as_str() {
            return Err(errors::layer_in_other_region(ctx.region().as_str()));
        }
        let account = account.parse::<AccountId>().ok();
        let ctx = account.map_or_else(|| ctx.clone(), |account| ctx.in_account(account));
        Ok(LayerName { name: name.to_owned(), ctx })
    }
}

pub fn layer_arn(ctx: &Ctx, name: &str) -> String {
    ctx.arn("lambda", &format!("layer:{name}"))
}

pub fn version_arn(ctx: &Ctx, name: &str, version: u64) -> String {
    ctx.arn("lambda", &format!("layer:{name}:{version}"))
}

/// Versions count from one.
pub fn number(given: i64) -> Result<u64> {
    u64::try_from(given).ok().filter(|number| *number > 0).ok_or_else(errors::layer_version_number)
}

pub async fn publish(
    ctx: Ctx,
    input: api::PublishLayerVersionInput,
) -> Result<api::PublishLayerVersionOutput> {
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    if input.content.s3_object_storage_mode.is_some() {
        return Err(errors::not_honoured("Content.S3ObjectStorageMode"));
    }
    let source = Source {
        zip_file: input.content.zip_file.as_ref(),
        s3_bucket: input.content.s3_bucket.as_deref(),
        s3_key: input.content.s3_key.as_deref(),
        s3_object_version: input.content.s3_object_version.as_deref(),
    };
    let code = code::accept(&ctx, &source).await?;
    let ctx = layer.ctx;
    let mut record = LayerVersionRecord {
        name: layer.name.clone(),
        description: input.description.unwrap_or_default(),
        license: input.license_info,
        code,
        created_ms: ctx.now().millis(),
        names_architectures: input.compatible_architectures.is_some(),
        names_runtimes: input.compatible_runtimes.is_some(),
        architectures: texts(input.compatible_architectures, api::Architecture::as_str),
        runtimes: texts(input.compatible_runtimes, api::Runtime::as_str),
        ..Default::default()
    };
    record.version = transact!(ctx.store(), Error, |txn| {
        let name = layer.name.as_str();
        let mut head = LAYER_HEADS.get(txn, ctx.scope(), name).await?.unwrap_or_default();
        head.last_version += 1;
        let version = LayerVersionRecord { version: head.last_version, ..record.clone() };
        LAYER_VERSIONS.put(txn, ctx.scope(), &(name, head.last_version), &version);
        let number = head.last_version;
        LAYER_HEADS.put(txn, ctx.scope(), name, &LayerHeadRecord { ..head });
        number
    })?;
    Ok(describe(&ctx, &record))
}

fn texts<T>(given: Option<Vec<T>>, text: fn(&T) -> &str) -> Vec<String> {
    given.unwrap_or_default().iter().map(|value| text(value).to_owned()).collect()
}

fn architectures(record: &LayerVersionRecord) -> Option<Vec<api::Architecture>> {
    let listed = || record.architectures.iter().map(|name| name.as_str().into()).collect();
    record.names_architectures.then(listed)
}

fn runtimes(record: &LayerVersionRecord) -> Option<Vec<api::Runtime>> {
    let listed = || record.runtimes.iter().map(|name| name.as_str().into()).collect();
    record.names_runtimes.then(listed)
}

fn describe(ctx: &Ctx, record: &LayerVersionRecord) -> api::PublishLayerVersionOutput {
    api::PublishLayerVersionOutput {
        content: Some(api::LayerVersionContentOutput {
            location: Some(code::layer_link(ctx, record)),
            code_sha256: Some(record.code.sha256.clone()),
            code_size: i64::try_from(record.code.size_bytes).ok(),
            ..Default::default()
        }),
        layer_arn: Some(layer_arn(ctx, &record.name)),
        layer_version_arn: Some(version_arn(ctx, &record.name, record.version)),
        description: Some(record.description.clone()),
        created_date: Some(last_modified(record.created_ms)),
        version: i64::try_from(record.version).ok(),
        compatible_architectures: architectures(record),
        compatible_runtimes: runtimes(record),
        license_info: record.license.clone(),
    }
}

fn item(ctx: &Ctx, record: &LayerVersionRecord) -> api::LayerVersionsListItem {
    api::LayerVersionsListItem {
        layer_version_arn: Some(version_arn(ctx, &record.name, record.version)),
        version: i64::try_from(record.version).ok(),
        description: Some(record.description.clone()),
        created_date: Some(last_modified(record.created_ms)),
        compatible_architectures: architectures(record),
        compatible_runtimes: runtimes(record),
        license_info: record.license.clone(),
    }
}

pub async fn find(ctx: &Ctx, name: &str, version: u64) -> Result<Option<LayerVersionRecord>> {
    Ok(LAYER_VERSIONS.get(ctx.store(), ctx.scope(), &(name, version)).await?)
}

pub async fn get(ctx: Ctx, input: api::GetLayerVersionInput) -> Result<api::GetLayerVersionOutput> {
    let version = number(input.version_number)?;
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let found = find(&layer.ctx, &layer.name, version).await?;
    Ok(answer(describe(&layer.ctx, &found.ok_or_else(errors::policy_not_found)?)))
}

pub async fn get_by_arn(
    ctx: Ctx,
    input: api::GetLayerVersionByArnInput,
) -> Result<api::GetLayerVersionByArnOutput> {
    let (layer, version) = input.arn.rsplit_once(':').ok_or_else(errors::policy_not_found)?;
    let version = number(version.parse().map_err(|_| errors::layer_version_number())?)?;
    let layer = LayerName::parse(&ctx, layer)?;
    let found = find(&layer.ctx, &layer.name, version).await?;
    Ok(answer(describe(&layer.ctx, &found.ok_or_else(errors::policy_not_found)?)))
}

fn answer(shown: api::PublishLayerVersionOutput) -> api::GetLayerVersionResponse {
    api::GetLayerVersionResponse {
        content: shown.content,
        layer_arn: shown.layer_arn,
        layer_version_arn: shown.layer_version_arn,
        description: shown.description,
        created_date: shown.created_date,
        version: shown.version,
        compatible_architectures: shown.compatible_architectures,
        compatible_runtimes: shown.compatible_runtimes,
        license_info: shown.license_info,
    }
}

/// Deleting what is not there succeeds. Functions that use it go on doing so.
pub async fn delete(
    ctx: Ctx,
    input: api::DeleteLayerVersionInput,
) -> Result<api::DeleteLayerVersionOutput> {
    let version = number(input.version_number)?;
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let ctx = &layer.ctx;
    transact!(ctx.store(), Error, |txn| {
        let key = (layer.name.as_str(), version);
        LAYER_VERSIONS.delete(txn, ctx.scope(), &key);
        LAYER_POLICIES.delete(txn, ctx.scope(), &key);
    })?;
    Ok(api::DeleteLayerVersionOutput::default())
}

/// What a listing asks for.
struct Wanted<'a> {
    runtime: Option<&'a api::Runtime>,
    architecture: Option<&'a api::Architecture>,
}

impl Wanted<'_> {
    fn fits(&self, record: &LayerVersionRecord) -> bool {
        self.runtime.is_none_or(|wanted| record.runtimes.iter().any(|name| name == wanted.as_str()))
            && self.architecture.is_none_or(|wanted| {
                record.architectures.iter().any(|name| name == wanted.as_str())
            })
    }
}

fn page_size(given: Option<i32>) -> usize {
    usize::try_from(given.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1)
}

pub async fn list_versions(
    ctx: Ctx,
    input: api::ListLayerVersionsInput,
) -> Result<api::ListLayerVersionsOutput> {
    let layer = LayerName::parse(&ctx, &input.layer_name)?;
    let wanted = Wanted {
        runtime: input.compatible_runtime.as_ref(),
        architecture: input.compatible_architecture.as_ref(),
    };
    let mut listing = LAYER_VERSIONS.list(layer.ctx.scope(), (layer.name.as_str(),)).reverse(true);
    if let Some(marker) = &input.marker {
        let last = marker.parse::<u64>().map_err(|_| errors::invalid_marker())?;
        listing = listing.before(&(layer.name.as_str(), last));
    }
    let mut found = listing.read(layer.ctx.store()).await?;
    found.retain(|(_, record)| wanted.fits(record));
    let limit = page_size(input.max_items);
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(api::ListLayerVersionsOutput {
        next_marker: found.last().filter(|_| more).map(|(_, record)| record.version.to_string()),
        layer_versions: Some(found.iter().map(|(_, record)| item(&layer.ctx, record)).collect()),
    })
}

pub async fn list(ctx: Ctx, input: api::ListLayersInput) -> Result<api::ListLayersOutput> {
    let wanted = Wanted {
        runtime: input.compatible_runtime.as_ref(),
        architecture: input.compatible_architecture.as_ref(),
    };
    let limit = page_size(input.max_items);
    let mut listing = LAYER_HEADS.list(ctx.scope(), ());
    if let Some(marker) = &input.marker {
        listing = listing.after(marker.as_str());
    }
    let mut layers = Vec::new();
    let mut next_marker = None;
    for (name, _) in listing.read(ctx.store()).await? {
        let versions = LAYER_VERSIONS.list(ctx.scope(), (name.as_str(),)).reverse(true);
        let versions = versions.read(ctx.store()).await?;
        let Some((_, latest)) = versions.iter().find(|(_, record)| wanted.fits(record)) else {
            continue;
        };
        if layers.len() == limit {
            next_marker =
                layers.last().and_then(|last: &api::LayersListItem| last.layer_name.clone());
            break;
        }
        layers.push(api::LayersListItem {
            layer_arn: Some(layer_arn(&ctx, &name)),
            layer_name: Some(name),
            latest_matching_version: Some(item(&ctx, latest)),
        });
    }
    Ok(api::ListLayersOutput { next_marker, layers: Some(layers) })
}
