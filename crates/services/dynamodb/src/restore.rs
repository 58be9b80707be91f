//! RestoreTableFromBackup, RestoreTableToPointInTime. The new table is CREATING, and nobody may use
//! it, until a task has filled it.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Region;
use sereno_kernel::{Ctx, Error, Outcome, Result, Task, TaskKind};
use sereno_store::{Record, record, transact};

use crate::backup;
use crate::create_rules;
use crate::describe::{self, Moment, Sizes};
use crate::errors;
use crate::fill;
use crate::past::{self, Past};
use crate::state::{IndexRecord, TABLES, TableRecord};
use crate::table::{Engine, Target, check_name};
use crate::tables;

record! {
    pub struct RestoreWork {
        1 => table: String,
        2 => table_id: String,
        3 => source_storage: u64,
        4 => source_home: String,
        // The moment; 0 if nothing is to be undone.
        5 => at_ms: i64,
    }
}

const RESTORE: &str = "dynamodb.restore";

/// What a client wants to be other than it was.
struct Overrides {
    billing: Option<api::BillingMode>,
    throughput: Option<api::ProvisionedThroughput>,
    on_demand: Option<api::OnDemandThroughput>,
    globals: Option<Vec<api::GlobalSecondaryIndex>>,
    locals: Option<Vec<api::LocalSecondaryIndex>>,
    sse: Option<api::SSESpecification>,
}

pub async fn from_backup(
    ctx: Ctx,
    input: api::RestoreTableFromBackupInput,
) -> Result<api::RestoreTableFromBackupOutput> {
    if input.vector_index_override.is_some() {
        return Err(errors::unsupported("vector indexes"));
    }
    let backup = backup::find(&ctx, &input.backup_arn).await?;
    if !backup.ready {
        return Err(errors::backup_in_use(&input.backup_arn));
    }
    let overrides = Overrides {
        billing: input.billing_mode_override,
        throughput: input.provisioned_throughput_override,
        on_demand: input.on_demand_throughput_override,
        globals: input.global_secondary_index_override,
        locals: input.local_secondary_index_override,
        sse: input.sse_specification_override,
    };
    let mut record = target(&ctx, &input.target_table_name, &backup.table, overrides)?;
    record.restored_from = Some(ctx.arn("dynamodb", &format!("table/{}", backup.table.name)));
    record.restored_at_ms = backup.created_ms;
    record.restored_backup = Some(input.backup_arn);
    let work = RestoreWork {
        table: record.name.clone(),
        table_id: record.id.clone(),
        source_storage: backup.storage,
        source_home: backup.table.home.clone(),
        // A deleted table's backup is its storage, which nobody writes to any more.
        at_ms: 0,
    };
    let description = begin(&ctx, &record, &work).await?;
    Ok(api::RestoreTableFromBackupOutput { table_description: Some(description) })
}

pub async fn to_point_in_time(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::RestoreTableToPointInTimeInput,
) -> Result<api::RestoreTableToPointInTimeOutput> {
    if input.vector_index_override.is_some() {
        return Err(errors::unsupported("vector indexes"));
    }
    let named = input.source_table_arn.as_ref().or(input.source_table_name.as_ref());
    let named = named.ok_or_else(|| {
        errors::validation("Either SourceTableName or SourceTableArn must be specified")
    })?;
    let source = Target::parse(&ctx, named)?;
    let table = engine.load(&ctx, &source).await?;
    let table = table.ok_or_else(|| errors::source_table_lost(&source.name))?;
    let latest = input.use_latest_restorable_time == Some(true);
    let at = match (input.restore_date_time, latest) {
        (Some(at), false) => at,
        (None, true) => ctx.now(),
        (Some(_), true) => {
            return Err(errors::validation(
                "Only one of RestoreDateTime and UseLatestRestorableTime can be specified",
            ));
        }
        (None, false) => {
            return Err(errors::validation(
                "Either RestoreDateTime or UseLatestRestorableTime must be specified",
            ));
        }
    };
    crate::settings::check_restorable(&ctx, &table.record, at)?;
    let overrides = Overrides {
        billing: input.billing_mode_override,
        throughput: input.provisioned_throughput_override,
        on_demand: input.on_demand_throughput_override,
        globals: input.global_secondary_index_override,
        locals: input.local_secondary_index_override,
        sse: input.sse_specification_override,
    };
    let mut record = target(&ctx, &input.target_table_name, &table.record, overrides)?;
    record.restored_from = Some(table.arn.clone());
    record.restored_at_ms = at.millis();
    let own = ctx.region().as_str();
    let home = if table.record.home.is_empty() { own } else { &table.record.home };
    let work = RestoreWork {
        table: record.name.clone(),
        table_id: record.id.clone(),
        source_storage: table.record.storage,
        source_home: home.to_owned(),
        at_ms: at.millis(),
    };
    let description = begin(&ctx, &record, &work).await?;
    Ok(api::RestoreTableToPointInTimeOutput { table_description: Some(description) })
}

/// The record of the new table. Streams, expiry, tags, policies and recovery are not restored.
fn target(ctx: &Ctx, name: &str, source: &TableRecord, wanted: Overrides) -> Result<TableRecord> {
    check_name(name, "targetTableName", 3)?;
    let provisioned = match &wanted.billing {
        Some(mode) => *mode == api::BillingMode::Provisioned,
        None => source.provisioned,
    };
    let mut record = TableRecord {
        attributes: source.attributes.clone(),
        hash: source.hash.clone(),
        range: source.range.clone(),
        indexes: source.indexes.clone(),
        next_index: source.next_index,
        provisioned,
        throughput: source.throughput.clone(),
        billing_stated: !provisioned,
        class_stated: source.class_stated,
        infrequent_access: source.infrequent_access,
        sse: source.sse.clone(),
        on_demand_read_max: source.on_demand_read_max,
        on_demand_write_max: source.on_demand_write_max,
        filling: true,
        ..Default::default()
    };
    if let Some(sse) = &wanted.sse {
        record.sse = tables::sse(ctx, Some(sse));
    }
    if let Some(most) = &wanted.on_demand {
        record.on_demand_read_max = most.max_read_request_units;
        record.on_demand_write_max = most.max_write_request_units;
    }
    choose_indexes(&mut record.indexes, wanted.globals, wanted.locals)?;
    set_throughput(&mut record, wanted.throughput.as_ref())?;
    tables::stamp(ctx, &mut record, name);
    Ok(record)
}

fn set_throughput(
    record: &mut TableRecord,
    given: Option<&api::ProvisionedThroughput>,
) -> Result<()> {
    match (given, record.provisioned) {
        (Some(_), false) => {
            return Err(errors::parameters(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode \
                 is PAY_PER_REQUEST",
            ));
        }
        (Some(given), true) => {
            create_rules::check_throughput(given)?;
            record.throughput = create_rules::throughput(Some(given));
        }
        (None, true) if record.throughput.read_units == 0 => {
            return Err(errors::parameters(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is \
                 PROVISIONED",
            ));
        }
        (None, true) => {}
        (None, false) => {
            record.throughput = create_rules::throughput(None);
            for index in &mut record.indexes {
                index.throughput = create_rules::throughput(None);
            }
        }
    }
    Ok(())
}

/// Indexes may be left out, never added.
fn choose_indexes(
    indexes: &mut Vec<IndexRecord>,
    globals: Option<Vec<api::GlobalSecondaryIndex>>,
    locals: Option<Vec<api::LocalSecondaryIndex>>,
) -> Result<()> {
    let globals = globals
        .map(|all| all.iter().map(create_rules::global_record).collect::<Vec<IndexRecord>>());
    let locals =
        locals.map(|all| all.iter().map(create_rules::local_record).collect::<Vec<IndexRecord>>());
    let same = |a: &IndexRecord, b: &IndexRecord| {
        (&a.name, a.local, &a.hash, &a.range, a.projection)
            == (&b.name, b.local, &b.hash, &b.range, b.projection)
    };
    let wanted = || globals.iter().flatten().chain(locals.iter().flatten());
    if let Some(new) = wanted().find(|new| !indexes.iter().any(|have| same(have, new))) {
        return Err(errors::validation(format!(
            "The index {} does not match an index of the source table: indexes can be excluded from \
             a restore, but not added",
            new.name
        )));
    }
    indexes.retain_mut(|have| {
        let chosen = if have.local { &locals } else { &globals };
        let Some(chosen) = chosen else { return true };
        match chosen.iter().find(|new| same(have, new)) {
            Some(new) => {
                if new.throughput.read_units > 0 {
                    have.throughput = new.throughput.clone();
                }
                true
            }
            None => false,
        }
    });
    for index in indexes {
        // What was still being filled is filled whole by the restore.
        index.state = crate::state::IndexState::Active;
        index.backfilling = false;
    }
    Ok(())
}

async fn begin(
    ctx: &Ctx,
    record: &TableRecord,
    work: &RestoreWork,
) -> Result<api::TableDescription> {
    let scope = ctx.scope();
    let name = record.name.as_str();
    transact!(ctx.store(), Error, |txn| {
        if TABLES.get(txn, scope, name).await?.is_some() {
            return Err(errors::restore_target_exists(name));
        }
        TABLES.put(txn, scope, name, record);
        tables::schedule(ctx, txn, RESTORE, work.to_bytes());
    })?;
    let arn = ctx.arn("dynamodb", &format!("table/{name}"));
    Ok(describe::table(record, &arn, &Sizes::default(), Moment::Creating))
}

pub fn task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new(RESTORE, move |ctx: Ctx, task: Task| {
        let engine = Arc::clone(&engine);
        async move {
            let work = RestoreWork::decode(&task.payload)?;
            let target =
                Target { name: work.table.clone(), account: ctx.account(), region: ctx.region() };
            let Some(table) = engine.load(&ctx, &target).await? else { return Ok(Outcome::Done) };
            if table.record.id != work.table_id || !table.record.filling {
                return Ok(Outcome::Done);
            }
            let home = Region::parse(&work.source_home).unwrap_or(ctx.region());
            let moment = match work.at_ms {
                0 => past::Moment::Now,
                ms => past::Moment::Time(ms),
            };
            let scope = ctx.scope().in_region(home);
            let past = Past { scope, storage: work.source_storage, moment };
            fill::into_table(&engine, &ctx, &past, &table).await?;
            open(&ctx, &target).await?;
            Ok(Outcome::Done)
        }
    })
}

/// A table that was being filled is there.
pub async fn open(ctx: &Ctx, target: &Target) -> Result<()> {
    tables::change(ctx, target, |record| {
        record.filling = false;
        Ok(())
    })
    .await
    .map(|_| ())
}
