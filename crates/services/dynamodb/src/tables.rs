//! CreateTable, DescribeTable, ListTables, DeleteTable.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result, task};
use sereno_store::{StoreError, transact};

use crate::backup;
use crate::create_rules;
use crate::describe::{self, Moment, Sizes};
use crate::errors;
use crate::global_tables;
use crate::policy;
use crate::replicas;
use crate::state::{
    STREAMS, SseRecord, StreamEntry, StreamRecordOf, TABLES, TableRecord, ViewType,
};
use crate::table::{Engine, Table, Target, check_name};
use crate::tags;
use crate::tasks;

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
const TABLES_PAGE_MAX: usize = 100;

pub async fn create(ctx: Ctx, input: api::CreateTableInput) -> Result<api::CreateTableOutput> {
    let name = own_name(&ctx, &input.table_name)?;
    let mut record = create_rules::record(&input)?;
    let view = create_rules::stream_view(input.stream_specification.as_ref())?;
    record.tags = tags::checked(input.tags.unwrap_or_default())?;
    if let Some(text) = input.resource_policy {
        record.policy = Some(policy::checked(&text)?);
        record.policy_revision = new_revision(&ctx);
    }
    record.sse = sse(&ctx, input.sse_specification.as_ref());
    stamp(&ctx, &mut record, &name);
    if let Some(view) = view {
        record.stream = Some(new_stream(&ctx, view));
    }
    let arn = ctx.arn("dynamodb", &format!("table/{name}"));
    insert(&ctx, &record).await?;
    let description = describe::table(&record, &arn, &Sizes::default(), Moment::Creating);
    Ok(api::CreateTableOutput { table_description: Some(description) })
}

/// Names and numbers of a new table.
pub fn stamp(ctx: &Ctx, record: &mut TableRecord, name: &str) {
    name.clone_into(&mut record.name);
    record.id = ctx.random_uuid();
    record.storage = ctx.random_u64();
    record.created_ms = ctx.now().millis();
    if !record.provisioned {
        record.billing_changed_ms = record.created_ms;
    }
}

/// Stores a new table, unless there is one of that name.
pub async fn insert(ctx: &Ctx, record: &TableRecord) -> Result<()> {
    let scope = ctx.scope();
    let name = record.name.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if TABLES.get(txn, scope, name).await?.is_some() {
            return Err(errors::table_exists(name));
        }
        TABLES.put(txn, scope, name, record);
        if let Some(stream) = &record.stream {
            put_stream(ctx, txn, record, stream);
        }
    })
}

/// Makes a stream known, and has its old records removed for as long as it lives.
pub fn put_stream(
    ctx: &Ctx,
    write: &mut impl sereno_store::Write,
    record: &TableRecord,
    stream: &StreamRecordOf,
) {
    let key = (record.name.as_str(), stream.label.as_str());
    STREAMS.put(write, ctx.scope(), &key, &entry(record, stream));
    tasks::trim(ctx, write, &record.name, &stream.label);
}

pub fn new_stream(ctx: &Ctx, view: ViewType) -> StreamRecordOf {
    StreamRecordOf {
        number: ctx.random_u64(),
        label: label(ctx.now()),
        view,
        enabled: true,
        created_ms: ctx.now().millis(),
        disabled_ms: 0,
    }
}

/// A stream's name is the time it was made: `2016-12-01T10:00:00.000`.
fn label(now: Timestamp) -> String {
    now.iso8601_millis().trim_end_matches('Z').to_owned()
}

pub fn entry(record: &TableRecord, stream: &StreamRecordOf) -> StreamEntry {
    StreamEntry {
        number: stream.number,
        table: record.name.clone(),
        label: stream.label.clone(),
        view: stream.view,
        enabled: stream.enabled,
        created_ms: stream.created_ms,
        ended_ms: stream.disabled_ms,
        hash: record.hash.clone(),
        range: record.range.clone(),
        ..Default::default()
    }
}

pub fn new_revision(ctx: &Ctx) -> String {
    ctx.now().millis().to_string()
}

/// Only a key of the customer's, or AWS's own for DynamoDB, is shown.
pub fn sse(ctx: &Ctx, given: Option<&api::SSESpecification>) -> Option<SseRecord> {
    let given = given?;
    let key = given.kms_master_key_id.as_deref();
    let arn = match key {
        Some(key) if key.starts_with("arn:") => key.to_owned(),
        Some(key) if key.starts_with("alias/") => ctx.arn("kms", key),
        Some(key) => ctx.arn("kms", &format!("key/{key}")),
        None => ctx.arn("kms", "alias/aws/dynamodb"),
    };
    let enabled = given.enabled == Some(true);
    Some(SseRecord { enabled, key_arn: enabled.then_some(arn) })
}

/// Tables are made and removed in the caller's own account, by name or by its ARN.
pub fn own_name(ctx: &Ctx, table_name: &str) -> Result<String> {
    if table_name.starts_with("arn:") {
        let target = Target::parse(ctx, table_name)?;
        if target.account != ctx.account() {
            return Err(errors::validation(format!("Invalid table ARN: {table_name}")));
        }
        return Ok(target.name);
    }
    check_name(table_name, "tableName", 3)?;
    Ok(table_name.to_owned())
}

/// The table that an operation about tables names.
pub async fn find(engine: &Engine, ctx: &Ctx, table_name: &str) -> Result<(Target, Arc<Table>)> {
    let target = Target::parse(ctx, table_name)?;
    match engine.load(ctx, &target).await? {
        Some(table) => Ok((target, table)),
        None => Err(errors::table_not_found(&target.name)),
    }
}

pub async fn describe(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeTableInput,
) -> Result<api::DescribeTableOutput> {
    let (_, table) = find(&engine, &ctx, &input.table_name).await?;
    let sizes = Sizes::of(&engine, &ctx, &table).await?;
    let description = describe::table(&table.record, &table.arn, &sizes, Moment::Settled);
    Ok(api::DescribeTableOutput { table: Some(description) })
}

pub async fn list(ctx: Ctx, input: api::ListTablesInput) -> Result<api::ListTablesOutput> {
    let limit = input.limit.map_or(Ok(TABLES_PAGE_MAX), usize::try_from);
    let limit = limit.unwrap_or(TABLES_PAGE_MAX).min(TABLES_PAGE_MAX);
    let mut listing = TABLES.list(ctx.scope(), ()).limit(limit + 1);
    if let Some(after) = &input.exclusive_start_table_name {
        listing = listing.after(after.as_str());
    }
    let page = listing.read(ctx.store()).await?;
    let more = page.len() > limit;
    let names: Vec<String> = page.into_iter().take(limit).map(|(name, _)| name).collect();
    let last = names.last().filter(|_| more).cloned();
    Ok(api::ListTablesOutput { table_names: Some(names), last_evaluated_table_name: last })
}

pub async fn delete(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DeleteTableInput,
) -> Result<api::DeleteTableOutput> {
    let name = own_name(&ctx, &input.table_name)?;
    let (_, table) = find(&engine, &ctx, &name).await?;
    let sizes = Sizes::of(&engine, &ctx, &table).await?;
    let scope = ctx.scope();
    let record = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let Some(record) = TABLES.get(txn, scope, name.as_str()).await? else {
            return Err(errors::table_not_found(&name));
        };
        if record.deletion_protection {
            return Err(errors::deletion_protected());
        }
        if record.filling || backup::is_running(&ctx, txn, &record).await? {
            return Err(errors::table_in_use(&name));
        }
        replicas::drop_region(&ctx, txn, &record);
        if record.global_version == replicas::LEGACY {
            global_tables::forget(&ctx, txn, &name).await?;
        }
        if !record.replicas.is_empty() {
            replicas::leave(&ctx, txn, &record).await?;
        } else if record.pitr_since_ms > 0 {
            tasks::purge_derived(&ctx, txn, &record);
            backup::keep_deleted(&ctx, txn, &record, sizes.of_table());
        } else {
            tasks::purge(&ctx, txn, &record);
        }
        record
    })?;
    let description = describe::table(&record, &table.arn, &sizes, Moment::Deleting);
    Ok(api::DeleteTableOutput { table_description: Some(description) })
}

pub fn ttl_key<'a>(ctx: &Ctx, table: &'a str) -> (sereno_base::AccountId, &'static str, &'a str) {
    (ctx.account(), ctx.region().as_str(), table)
}

/// Changes a table's record. `change` sees it as it is and may refuse; answers the new record.
pub async fn change(
    ctx: &Ctx,
    target: &Target,
    change: impl Fn(&mut TableRecord) -> Result<()>,
) -> Result<TableRecord> {
    let scope = target.scope();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let Some(mut record) = TABLES.get(txn, scope, target.name.as_str()).await? else {
            return Err(errors::table_not_found(&target.name));
        };
        change(&mut record)?;
        replicas::store(ctx, txn, scope, &mut record).await?;
        record
    })
}

/// Work to be done later, in the commit of its cause.
pub fn schedule(
    ctx: &Ctx,
    write: &mut dyn sereno_store::Write,
    kind: &'static str,
    payload: Vec<u8>,
) {
    task::schedule(ctx, write, kind, ctx.now(), payload);
}

/// For tasks that lose a race: whoever was faster did the work.
pub fn lost_race(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict)
}
