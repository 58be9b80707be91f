//! ExportTableToPointInTime, DescribeExport, ListExports.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.HowItWorks.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Record, record, transact};

use crate::backup;
use crate::errors;
use crate::export_record::{EXPORTS, ExportRecord};
use crate::export_task::EXPORT;
use crate::settings;
use crate::table::{Engine, Table, Target};
use crate::tables;
use crate::transfer;

record! {
    pub struct ExportWork {
        1 => table: String,
        2 => id: String,
    }
}

/// A token means the same export for eight hours.
const TOKEN_LIFE_MS: i64 = 8 * 3600 * 1000;
const WINDOW_MIN_MS: i64 = 15 * 60 * 1000;
const WINDOW_MAX_MS: i64 = 24 * 3600 * 1000;

pub async fn export(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::ExportTableToPointInTimeInput,
) -> Result<api::ExportTableToPointInTimeOutput> {
    if input.filter_specification.is_some() {
        return Err(errors::unsupported("filters of exports"));
    }
    let name = tables::own_name(&ctx, &input.table_arn)?;
    let target = Target { name, account: ctx.account(), region: ctx.region() };
    let table = engine.load(&ctx, &target).await?;
    let table = table.ok_or_else(|| errors::backup_table_lost(&target.name))?;
    if table.record.pitr_since_ms == 0 {
        return Err(errors::recovery_unavailable(&target.name));
    }
    let record = new_record(&ctx, &table, &input)?;
    let scope = ctx.scope();
    let key = (record.table.as_str(), record.id.as_str());
    let record = transact!(ctx.store(), Error, |txn| {
        let others = EXPORTS.list(scope, (key.0,)).read(txn).await?;
        if let Some(same) = same_token(others, &record)? {
            return Ok(same);
        }
        EXPORTS.put(txn, scope, &key, &record);
        let work = ExportWork { table: key.0.to_owned(), id: key.1.to_owned() };
        tables::schedule(&ctx, txn, EXPORT, work.to_bytes());
        record.clone()
    })?;
    let description = Some(record.description());
    Ok(api::ExportTableToPointInTimeOutput { export_description: description })
}

/// The export that a client asked for before with the same token.
fn same_token(
    others: Vec<((String, String), ExportRecord)>,
    new: &ExportRecord,
) -> Result<Option<ExportRecord>> {
    let horizon = new.started_ms - TOKEN_LIFE_MS;
    let same = |old: &ExportRecord| {
        old.token.is_some() && old.token == new.token && old.started_ms > horizon
    };
    let Some((_, old)) = others.into_iter().find(|(_, old)| same(old)) else { return Ok(None) };
    let parameters = |one: &ExportRecord| {
        let place = (one.bucket.clone(), one.bucket_owner.clone(), one.prefix.clone());
        (place, one.ion, one.incremental, one.from_ms, one.new_images_only, one.kms_key.clone())
    };
    if parameters(&old) == parameters(new) {
        return Ok(Some(old));
    }
    Err(Error::conflict(
        "ExportConflictException",
        "There is already an export with the same client token and other parameters",
    ))
}

fn new_record(
    ctx: &Ctx,
    table: &Table,
    input: &api::ExportTableToPointInTimeInput,
) -> Result<ExportRecord> {
    let own = ctx.region().as_str();
    let record = &table.record;
    let home = if record.home.is_empty() { own } else { &record.home };
    let now_ms = ctx.now().millis();
    let mut export = ExportRecord {
        id: backup::new_id(ctx),
        table: record.name.clone(),
        table_id: record.id.clone(),
        table_arn: table.arn.clone(),
        storage: record.storage,
        home: home.to_owned(),
        keys: std::iter::once(&record.hash).chain(&record.range).cloned().collect(),
        started_ms: now_ms,
        token: input.client_token.clone(),
        bucket: input.s3_bucket.clone(),
        bucket_owner: input.s3_bucket_owner.clone(),
        prefix: input.s3_prefix.clone(),
        kms: input.s3_sse_algorithm == Some(api::S3SseAlgorithm::Kms),
        kms_key: input.s3_sse_kms_key_id.clone(),
        ion: input.export_format == Some(api::ExportFormat::Ion),
        at_ms: now_ms,
        ..Default::default()
    };
    if export.kms_key.is_some() && !export.kms {
        return Err(errors::validation("S3SseKmsKeyId can only be given with S3SseAlgorithm KMS"));
    }
    if input.export_type == Some(api::ExportType::IncrementalExport) {
        set_window(ctx, table, input, &mut export)?;
    } else {
        if input.incremental_export_specification.is_some() {
            return Err(errors::validation(
                "IncrementalExportSpecification can only be given with ExportType \
                 INCREMENTAL_EXPORT",
            ));
        }
        if let Some(at) = input.export_time {
            check_time(ctx, table, at)?;
            export.at_ms = at.millis();
        }
    }
    Ok(export)
}

fn check_time(ctx: &Ctx, table: &Table, at: Timestamp) -> Result<()> {
    settings::check_restorable(ctx, &table.record, at)
        .map_err(|error| Error::invalid("InvalidExportTimeException", error.message().to_owned()))
}

/// From `ExportFromTime` on, before `ExportToTime`: 15 minutes to a day.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport_Requesting.html
fn set_window(
    ctx: &Ctx,
    table: &Table,
    input: &api::ExportTableToPointInTimeInput,
    export: &mut ExportRecord,
) -> Result<()> {
    if input.export_time.is_some() {
        return Err(errors::validation(
            "ExportTime cannot be given with ExportType INCREMENTAL_EXPORT",
        ));
    }
    let window = input.incremental_export_specification.as_ref();
    let from = window.and_then(|window| window.export_from_time).ok_or_else(|| {
        errors::validation("ExportFromTime is required when ExportType is INCREMENTAL_EXPORT")
    })?;
    let to = window.and_then(|window| window.export_to_time).unwrap_or(ctx.now());
    check_time(ctx, table, from)?;
    check_time(ctx, table, to)?;
    let length_ms = to.millis() - from.millis();
    let wrong = if length_ms <= 0 {
        "Export from time is not earlier than export to time"
    } else if length_ms < WINDOW_MIN_MS {
        "Difference between export from time and export to time is less than 15 minutes"
    } else if length_ms > WINDOW_MAX_MS {
        "Difference between export from time and export to time is greater than 24 hours"
    } else {
        export.incremental = true;
        export.from_ms = from.millis();
        export.at_ms = to.millis();
        let view = window.and_then(|window| window.export_view_type.clone());
        export.new_images_only = view == Some(api::ExportViewType::NewImage);
        return Ok(());
    };
    Err(errors::validation(wrong))
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeExportInput,
) -> Result<api::DescribeExportOutput> {
    let arn = &input.export_arn;
    let lost = || Error::not_found("ExportNotFoundException", format!("Export not found: {arn}"));
    let key = transfer::parse_arn(&ctx, arn, "export").ok_or_else(lost)?;
    let record = EXPORTS.get(ctx.store(), ctx.scope(), &key).await?.ok_or_else(lost)?;
    Ok(api::DescribeExportOutput { export_description: Some(record.description()) })
}

pub async fn list(ctx: Ctx, input: api::ListExportsInput) -> Result<api::ListExportsOutput> {
    let (table, token) = (input.table_arn.as_deref(), input.next_token.as_deref());
    let (page, next_token) = transfer::page(&ctx, EXPORTS, table, token, input.max_results).await?;
    Ok(api::ListExportsOutput {
        export_summaries: Some(page.iter().map(ExportRecord::summary).collect()),
        next_token,
    })
}
