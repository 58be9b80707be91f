//! Event source mappings: create, read, change, delete. The poller (`poller.rs`) carries out what is written here.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>

use sereno_api_lambda as api;
use sereno_base::{Arn, Timestamp};
use sereno_kernel::{Ctx, Error, Kind, Result, task};
use sereno_store::{Write, transact};

use crate::destination::{self, Target};
use crate::event_state::{MAPPINGS, MappingRecord, RESULTS};
use crate::mapping_rules::{self, Settings};
use crate::names::{FunctionName, function_arn, resolve};
use crate::{errors, poller, source};

const PAGE_MAX: i32 = 100;
const NOTHING_YET: &str = "No records processed";
/// What it says for streams; queues say USER_INITIATED.
const REASON: &str = "User action";
pub const ENABLED: &str = "Enabled";
pub const DISABLED: &str = "Disabled";
pub const DELETING: &str = "Deleting";
pub const RESOURCE: &str = "event-source-mapping:";

pub fn mapping_arn(ctx: &Ctx, uuid: &str) -> String {
    ctx.arn("lambda", &format!("{RESOURCE}{uuid}"))
}

async fn describe(
    ctx: &Ctx,
    record: &MappingRecord,
) -> Result<api::EventSourceMappingConfiguration> {
    let number = |value: u32| i32::try_from(value).ok();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let result = RESULTS.get(ctx.store(), ctx.scope(), record.uuid.as_str()).await?;
    let filters = record
        .filters
        .iter()
        .map(|pattern| api::Filter { pattern: Some(pattern.clone()) })
        .collect();
    let responses = record.report_failures;
    let responses = responses.then_some(api::FunctionResponseType::ReportBatchItemFailures);
    Ok(api::EventSourceMappingConfiguration {
        uuid: Some(record.uuid.clone()),
        event_source_mapping_arn: Some(mapping_arn(ctx, &record.uuid)),
        event_source_arn: Some(record.source_arn.clone()),
        function_arn: Some(function_arn(ctx, &record.function, record.qualifier.as_deref())),
        starting_position: text(&record.starting_position)
            .map(|position| api::EventSourcePosition::from(position.as_str())),
        batch_size: number(record.batch_size),
        maximum_batching_window_in_seconds: number(record.window_s),
        parallelization_factor: number(record.lanes),
        filter_criteria: (!record.filters.is_empty())
            .then_some(api::FilterCriteria { filters: Some(filters) }),
        destination_config: Some(api::DestinationConfig {
            on_success: None,
            on_failure: Some(api::OnFailure { destination: text(&record.on_failure) }),
        }),
        maximum_record_age_in_seconds: i32::try_from(record.age_s_max).ok(),
        maximum_retry_attempts: i32::try_from(record.retries_max).ok(),
        bisect_batch_on_function_error: Some(record.bisect),
        tumbling_window_in_seconds: number(record.tumbling_s),
        function_response_types: Some(responses.into_iter().collect()),
        last_modified: Some(Timestamp::from_millis(record.modified_ms)),
        last_processing_result: Some(result.map_or(NOTHING_YET.to_owned(), |result| result.text)),
        state: Some(record.state.clone()),
        state_transition_reason: Some(REASON.to_owned()),
        ..Default::default()
    })
}

/// Function and source of a mapping must be there, and the function's role must be allowed to read and to report.
async fn check_ends(
    ctx: &Ctx,
    name: &FunctionName,
    source_arn: &str,
    on_failure: Option<&str>,
) -> Result<()> {
    let found = resolve(ctx, ctx.store(), name, 1.0).await.map_err(|error| match error.kind() {
        Kind::NotFound => errors::mapped_function_not_found(),
        _ => error,
    })?;
    let source = source::of(source_arn);
    let source = source.ok_or_else(|| mapping_rules::unsupported_source(source_arn))?;
    let elsewhere = Arn::parse(source_arn).and_then(|arn| arn.region()) != Some(ctx.region());
    if elsewhere {
        return Err(errors::stream_not_found(source_arn));
    }
    let role = destination::as_role(ctx, &found.function).await?;
    source.shards(&role, source_arn).await.map_err(|error| match error.kind() {
        Kind::Denied => errors::cannot_access_stream(source_arn),
        Kind::NotFound | Kind::Invalid => errors::stream_not_found(source_arn),
        _ => error,
    })?;
    check_target(&role, on_failure).await
}

async fn check_target(role: &Ctx, on_failure: Option<&str>) -> Result<()> {
    let Some(arn) = on_failure.filter(|arn| !arn.is_empty()) else { return Ok(()) };
    let Some(target) = Target::parse(arn) else { return Ok(()) };
    let (_, service) = target.service();
    destination::authorise(role, &target, arn).await.map_err(|error| match error.kind() {
        Kind::Denied => errors::provided_role_cannot_call(target.operation(), service),
        _ => error,
    })
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateEventSourceMappingInput,
) -> Result<api::CreateEventSourceMappingOutput> {
    let settings = Settings::of_create(&input);
    settings.check()?;
    let source_arn = mapping_rules::check_source(&input)?.to_owned();
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    check_ends(&ctx, &name, &source_arn, settings.on_failure()).await?;
    let position = input.starting_position.as_ref();
    let now_ms = ctx.now().millis();
    let mut record = MappingRecord {
        uuid: ctx.random_uuid(),
        source_arn,
        function: name.name.clone(),
        qualifier: name.qualifier.clone(),
        enabled: input.enabled.unwrap_or(true),
        state: "Creating".to_owned(),
        starting_position: position.map(|p| p.as_str().to_owned()).unwrap_or_default(),
        created_ms: now_ms,
        modified_ms: now_ms,
        tags: input.tags.clone().unwrap_or_default(),
        ..mapping_rules::defaults()
    };
    settings.apply(&mut record);
    transact!(ctx.store(), Error, |txn| {
        for (_, other) in MAPPINGS.list(ctx.scope(), ()).read(txn).await? {
            let same = other.source_arn == record.source_arn
                && other.function == record.function
                && other.qualifier == record.qualifier;
            if same {
                return Err(errors::mapping_exists(
                    &record.source_arn,
                    &record.function,
                    &other.uuid,
                ));
            }
        }
        put(&ctx, txn, &record);
        task::schedule(&ctx, txn, poller::TASK, ctx.now(), record.uuid.clone());
    })?;
    describe(&ctx, &record).await
}

pub fn put<W: Write + ?Sized>(ctx: &Ctx, write: &mut W, record: &MappingRecord) {
    MAPPINGS.put(write, ctx.scope(), record.uuid.as_str(), record);
}

async fn load(ctx: &Ctx, uuid: &str) -> Result<MappingRecord> {
    let found = MAPPINGS.get(ctx.store(), ctx.scope(), uuid).await?;
    found.ok_or_else(errors::mapping_not_found)
}

pub async fn get(
    ctx: Ctx,
    input: api::GetEventSourceMappingInput,
) -> Result<api::GetEventSourceMappingOutput> {
    let record = load(&ctx, &input.uuid).await?;
    describe(&ctx, &record).await
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateEventSourceMappingInput,
) -> Result<api::UpdateEventSourceMappingOutput> {
    let settings = Settings::of_update(&input);
    let before = load(&ctx, &input.uuid).await?;
    settings.check()?;
    let name = match &input.function_name {
        Some(name) => FunctionName::parse(name),
        None => FunctionName {
            name: before.function.clone(),
            qualifier: before.qualifier.clone(),
            account: None,
            region: None,
        },
    };
    check_ends(&ctx, &name, &before.source_arn, settings.on_failure()).await?;
    if before.state == DELETING {
        return Err(errors::mapping_not_found());
    }
    let record = change(&ctx, &input.uuid, |record| {
        settings.apply(record);
        record.function.clone_from(&name.name);
        record.qualifier.clone_from(&name.qualifier);
        let enabled = input.enabled.unwrap_or(record.enabled);
        let state = match (record.enabled, enabled) {
            (false, true) => "Enabling",
            (true, false) => "Disabling",
            _ => "Updating",
        };
        state.clone_into(&mut record.state);
        record.enabled = enabled;
    })
    .await?;
    describe(&ctx, &record).await
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteEventSourceMappingInput,
) -> Result<api::DeleteEventSourceMappingOutput> {
    let deleting = |record: &mut MappingRecord| DELETING.clone_into(&mut record.state);
    let record = change(&ctx, &input.uuid, deleting).await?;
    describe(&ctx, &record).await
}

/// Writes a change that the poller will take up.
pub async fn change(
    ctx: &Ctx,
    uuid: &str,
    change: impl Fn(&mut MappingRecord),
) -> Result<MappingRecord> {
    transact!(ctx.store(), Error, |txn| {
        let found = MAPPINGS.get(txn, ctx.scope(), uuid).await?;
        let mut record = found.ok_or_else(errors::mapping_not_found)?;
        change(&mut record);
        record.revision += 1;
        record.modified_ms = ctx.now().millis();
        put(ctx, txn, &record);
        record
    })
}

pub async fn list(
    ctx: Ctx,
    input: api::ListEventSourceMappingsInput,
) -> Result<api::ListEventSourceMappingsOutput> {
    let limit = usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX));
    let limit = limit.unwrap_or(1);
    let name = input.function_name.as_deref().map(FunctionName::parse);
    let mut listing = MAPPINGS.list(ctx.scope(), ());
    if let Some(marker) = &input.marker {
        listing = listing.after(marker.as_str());
    }
    let wanted = |record: &MappingRecord| {
        let of_source = input.event_source_arn.as_ref().is_none_or(|a| *a == record.source_arn);
        let of_function = name.as_ref().is_none_or(|name| {
            name.name == record.function
                && (name.qualifier.is_none() || name.qualifier == record.qualifier)
        });
        of_source && of_function
    };
    let all = listing.read(ctx.store()).await?;
    let mut records: Vec<_> = all.into_iter().map(|(_, r)| r).filter(wanted).collect();
    let more = records.len() > limit;
    records.truncate(limit);
    let mut shown = Vec::with_capacity(records.len());
    for record in &records {
        shown.push(describe(&ctx, record).await?);
    }
    Ok(api::ListEventSourceMappingsOutput {
        next_marker: records.last().filter(|_| more).map(|record| record.uuid.clone()),
        event_source_mappings: Some(shown),
    })
}
