//! How a function's events are handled: how often and how long it is tried, and where the outcome is reported.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>

use sereno_api_lambda as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, Txn, Write, transact};

use crate::destination;
use crate::event_state::{EVENT_CONFIGS, EventConfigRecord};
use crate::names::{FunctionName, LATEST, function_arn, is_version, resolve};
use crate::state::{self, version_key};
use crate::{errors, invoke};

const PAGE_MAX: i32 = 50;

/// The key's second part.
fn qualifier_key(qualifier: &str) -> String {
    if is_version(qualifier) { version_key(qualifier) } else { qualifier.to_owned() }
}

/// The configuration that holds for a function called by this qualifier.
pub async fn find<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &str,
    qualifier: Option<&str>,
) -> Result<Option<EventConfigRecord>> {
    let key = qualifier_key(qualifier.unwrap_or(LATEST));
    Ok(EVENT_CONFIGS.get(read, ctx.scope(), &(name, key.as_str())).await?)
}

fn describe(
    ctx: &Ctx,
    name: &str,
    qualifier: &str,
    record: &EventConfigRecord,
) -> api::FunctionEventInvokeConfig {
    let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let text = |arn: &str| (!arn.is_empty()).then(|| arn.to_owned());
    api::FunctionEventInvokeConfig {
        last_modified: Some(Timestamp::from_millis(record.modified_ms)),
        function_arn: Some(function_arn(ctx, name, Some(qualifier))),
        maximum_retry_attempts: number(record.retries_max),
        maximum_event_age_in_seconds: number(record.age_s_max),
        destination_config: Some(api::DestinationConfig {
            on_success: Some(api::OnSuccess { destination: text(&record.on_success) }),
            on_failure: Some(api::OnFailure { destination: text(&record.on_failure) }),
        }),
    }
}

/// What a request asks for; `None`: not said.
struct Wish<'a> {
    retries_max: Option<i32>,
    age_s_max: Option<i32>,
    destinations: Option<&'a api::DestinationConfig>,
}

impl Wish<'_> {
    fn check(&self) -> Result<()> {
        if self.retries_max.is_none() && self.age_s_max.is_none() && self.destinations.is_none() {
            return Err(errors::empty_event_config());
        }
        Ok(())
    }

    fn on_success(&self) -> Option<&str> {
        self.destinations?.on_success.as_ref()?.destination.as_deref()
    }

    fn on_failure(&self) -> Option<&str> {
        self.destinations?.on_failure.as_ref()?.destination.as_deref()
    }

    /// Writes what was said over what was there. The model's bounds were checked: nothing is negative.
    fn apply(&self, record: &mut EventConfigRecord) {
        let number = |value: i32| u32::try_from(value).ok();
        record.retries_max = self.retries_max.and_then(number).or(record.retries_max);
        record.age_s_max = self.age_s_max.and_then(number).or(record.age_s_max);
        if let Some(destinations) = self.destinations {
            if destinations.on_success.is_some() {
                record.on_success = self.on_success().unwrap_or_default().to_owned();
            }
            if destinations.on_failure.is_some() {
                record.on_failure = self.on_failure().unwrap_or_default().to_owned();
            }
        }
    }

    /// Destinations must be of a kind that takes records, be there, and the function's role must be allowed to send there.
    async fn check_destinations(&self, ctx: &Ctx, name: &FunctionName) -> Result<()> {
        let found = resolve(ctx, ctx.store(), name, invoke::chance(ctx)).await?;
        let given = [(self.on_success(), false), (self.on_failure(), true)];
        for (arn, of_failure) in given {
            let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { continue };
            let target = destination::Target::parse(arn)
                .filter(|target| target.takes_invocations(of_failure))
                .ok_or_else(|| {
                    errors::invalid_destinations(self.on_success(), self.on_failure())
                })?;
            destination::check(ctx, &found.function, &target, arn).await?;
        }
        Ok(())
    }
}

/// The function and the qualifier that a request names, both of which must be there.
async fn named(ctx: &Ctx, name: &str, qualifier: Option<&str>) -> Result<(Ctx, FunctionName)> {
    let name = FunctionName::qualified(name, qualifier)?;
    let ctx = name.place(ctx)?;
    resolve(&ctx, ctx.store(), &name, 0.0).await.map_err(errors::as_missing_function)?;
    Ok((ctx, name))
}

fn qualifier_of(name: &FunctionName) -> &str {
    name.qualifier.as_deref().unwrap_or(LATEST)
}

pub async fn put(
    ctx: Ctx,
    input: api::PutFunctionEventInvokeConfigInput,
) -> Result<api::PutFunctionEventInvokeConfigOutput> {
    let wish = Wish {
        retries_max: input.maximum_retry_attempts,
        age_s_max: input.maximum_event_age_in_seconds,
        destinations: input.destination_config.as_ref(),
    };
    wish.check()?;
    let (ctx, name) = named(&ctx, &input.function_name, input.qualifier.as_deref()).await?;
    wish.check_destinations(&ctx, &name).await?;
    let mut record = EventConfigRecord::default();
    wish.apply(&mut record);
    let record = write(&ctx, &name, |_| Ok(record.clone())).await?;
    Ok(describe(&ctx, &name.name, qualifier_of(&name), &record))
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateFunctionEventInvokeConfigInput,
) -> Result<api::UpdateFunctionEventInvokeConfigOutput> {
    let wish = Wish {
        retries_max: input.maximum_retry_attempts,
        age_s_max: input.maximum_event_age_in_seconds,
        destinations: input.destination_config.as_ref(),
    };
    wish.check()?;
    let (ctx, name) = named(&ctx, &input.function_name, input.qualifier.as_deref()).await?;
    wish.check_destinations(&ctx, &name).await?;
    let arn = function_arn(&ctx, &name.name, Some(qualifier_of(&name)));
    let record = write(&ctx, &name, |before| {
        let mut record = before.ok_or_else(|| errors::no_event_config(&arn))?;
        wish.apply(&mut record);
        Ok(record)
    })
    .await?;
    Ok(describe(&ctx, &name.name, qualifier_of(&name), &record))
}

async fn write(
    ctx: &Ctx,
    name: &FunctionName,
    change: impl Fn(Option<EventConfigRecord>) -> Result<EventConfigRecord>,
) -> Result<EventConfigRecord> {
    let key = qualifier_key(qualifier_of(name));
    transact!(ctx.store(), Error, |txn| {
        state::head(ctx, txn, &name.name).await?;
        let key = (name.name.as_str(), key.as_str());
        let mut record = change(EVENT_CONFIGS.get(txn, ctx.scope(), &key).await?)?;
        record.modified_ms = ctx.now().millis();
        EVENT_CONFIGS.put(txn, ctx.scope(), &key, &record);
        record
    })
}

/// When its version or alias goes.
pub fn forget<W: Write + ?Sized>(ctx: &Ctx, write: &mut W, name: &str, qualifier: &str) {
    EVENT_CONFIGS.delete(write, ctx.scope(), &(name, qualifier_key(qualifier).as_str()));
}

/// When the function goes.
pub async fn forget_all(ctx: &Ctx, txn: &mut Txn, name: &str) -> Result<()> {
    for (key, _) in EVENT_CONFIGS.list(ctx.scope(), (name,)).read(txn).await? {
        EVENT_CONFIGS.delete(txn, ctx.scope(), &key);
    }
    Ok(())
}

pub async fn get(
    ctx: Ctx,
    input: api::GetFunctionEventInvokeConfigInput,
) -> Result<api::GetFunctionEventInvokeConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let qualifier = qualifier_of(&name);
    let record = find(&ctx, ctx.store(), &name.name, Some(qualifier)).await?;
    let arn = function_arn(&ctx, &name.name, Some(qualifier));
    let record = record.ok_or_else(|| errors::no_event_config(&arn))?;
    Ok(describe(&ctx, &name.name, qualifier, &record))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteFunctionEventInvokeConfigInput,
) -> Result<api::DeleteFunctionEventInvokeConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let qualifier = qualifier_of(&name);
    let key = qualifier_key(qualifier);
    transact!(ctx.store(), Error, |txn| {
        let key = (name.name.as_str(), key.as_str());
        if EVENT_CONFIGS.get(txn, ctx.scope(), &key).await?.is_none() {
            let arn = function_arn(&ctx, &name.name, Some(qualifier));
            return Err(errors::no_event_config(&arn));
        }
        EVENT_CONFIGS.delete(txn, ctx.scope(), &key);
    })?;
    Ok(api::DeleteFunctionEventInvokeConfigOutput::default())
}

pub async fn list(
    ctx: Ctx,
    input: api::ListFunctionEventInvokeConfigsInput,
) -> Result<api::ListFunctionEventInvokeConfigsOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let found = state::head(&ctx, ctx.store(), &name.name).await;
    found.map_err(errors::as_missing_function)?;
    let limit = usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX));
    let limit = limit.unwrap_or(1);
    let mut listing = EVENT_CONFIGS.list(ctx.scope(), (name.name.as_str(),)).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(&(name.name.as_str(), marker.as_str()));
    }
    let mut records = listing.read(ctx.store()).await?;
    let more = records.len() > limit;
    records.truncate(limit);
    let shown = |key: &str, record: &EventConfigRecord| {
        // Versions are padded in keys.
        let qualifier = if is_version(key) { key.trim_start_matches('0') } else { key };
        describe(&ctx, &name.name, qualifier, record)
    };
    Ok(api::ListFunctionEventInvokeConfigsOutput {
        next_marker: records.last().filter(|_| more).map(|((_, key), _)| key.clone()),
        function_event_invoke_configs: Some(
            records.iter().map(|((_, key), record)| shown(key, record)).collect(),
        ),
    })
}
