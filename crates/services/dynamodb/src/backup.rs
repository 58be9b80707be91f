//! CreateBackup, DescribeBackup, ListBackups, DeleteBackup.
//!
//! A backup holds the table as it was at the commit that created it. A task copies the items to a
//! storage of the backup's own; meanwhile the table keeps its past ([`crate::past`]), so writers need
//! not wait. Deleting a table with point-in-time recovery makes a backup without a copy: it takes
//! over the table's storage.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/backuprestore_HowItWorks.html

use std::sync::Arc;
use std::time::Duration;

use sereno_api_dynamodb as api;
use sereno_base::{Arn, Timestamp};
use sereno_kernel::{Ctx, Error, Outcome, Result, Task, TaskKind};
use sereno_store::{Record, Txn, record, transact};

use crate::backup_describe;
use crate::describe::Sizes;
use crate::errors;
use crate::fill;
use crate::past::{Moment, Past};
use crate::replicas;
use crate::state::{BACKUPS, BackupRecord, TABLES, TableRecord, UNDO_INDEX};
use crate::table::{Engine, Target, data_scope};
use crate::tables;
use crate::tasks;
use crate::undo;

const PAGE_MAX: usize = 100;
const SYSTEM_LIFE: Duration = Duration::from_secs(35 * 24 * 3600);

record! {
    pub struct BackupWork {
        1 => table: String,
        2 => id: String,
    }
}

const COPY: &str = "dynamodb.backup";
const EXPIRE: &str = "dynamodb.expire-backup";

pub async fn create(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::CreateBackupInput,
) -> Result<api::CreateBackupOutput> {
    let name = tables::own_name(&ctx, &input.table_name)?;
    let target = Target { name, account: ctx.account(), region: ctx.region() };
    let table = engine.load(&ctx, &target).await?;
    let table = table.ok_or_else(|| errors::backup_table_lost(&target.name))?;
    let (items, bytes) = Sizes::of(&engine, &ctx, &table).await?.of_table();
    let scope = target.scope();
    let backup = transact!(ctx.store(), Error, |txn| {
        let Some(mut record) = TABLES.get(txn, scope, target.name.as_str()).await? else {
            return Err(errors::backup_table_lost(&target.name));
        };
        if record.filling {
            return Err(errors::table_in_use(&target.name));
        }
        let mut backup = new_record(&ctx, &record, input.backup_name.clone());
        (backup.items, backup.bytes) = (items, bytes);
        record.keepers += 1;
        replicas::store(&ctx, txn, scope, &mut record).await?;
        BACKUPS.put(txn, scope, &(target.name.as_str(), backup.id.as_str()), &backup);
        let work = BackupWork { table: target.name.clone(), id: backup.id.clone() };
        tables::schedule(&ctx, txn, COPY, work.to_bytes());
        backup
    })?;
    let details = backup_describe::details(&ctx, &backup);
    Ok(api::CreateBackupOutput { backup_details: Some(details) })
}

/// `01489602797149-73d8d5bc`: the time in milliseconds, and chance.
pub fn new_id(ctx: &Ctx) -> String {
    format!("{:014}-{:08x}", ctx.now().millis(), ctx.random_u64() as u32)
}

fn new_record(ctx: &Ctx, table: &TableRecord, name: String) -> BackupRecord {
    BackupRecord {
        id: new_id(ctx),
        name,
        created_ms: ctx.now().millis(),
        storage: ctx.random_u64(),
        table: TableRecord { home: home(ctx, table), ..table.clone() },
        ..Default::default()
    }
}

/// A backup may outlive the region's part in a global table.
fn home(ctx: &Ctx, table: &TableRecord) -> String {
    if table.home.is_empty() { ctx.region().as_str().to_owned() } else { table.home.clone() }
}

/// When a table with point-in-time recovery is deleted: its storage becomes a backup.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.Tutorial.html
pub fn keep_deleted(ctx: &Ctx, txn: &mut Txn, table: &TableRecord, (items, bytes): (i64, i64)) {
    let expires = ctx.now().plus(SYSTEM_LIFE);
    let mut backup = new_record(ctx, table, format!("{}$DeletedTableBackup", table.name));
    backup.storage = table.storage;
    backup.system = true;
    backup.ready = true;
    backup.expires_ms = expires.millis();
    (backup.items, backup.bytes) = (items, bytes);
    BACKUPS.put(txn, ctx.scope(), &(table.name.as_str(), backup.id.as_str()), &backup);
    let work = BackupWork { table: table.name.clone(), id: backup.id };
    sereno_kernel::task::schedule(ctx, txn, EXPIRE, expires, work.to_bytes());
}

/// Whether a backup of the table is under way.
pub async fn is_running(ctx: &Ctx, txn: &mut Txn, table: &TableRecord) -> Result<bool> {
    let all = BACKUPS.list(ctx.scope(), (table.name.as_str(),)).read(txn).await?;
    Ok(all.iter().any(|(_, backup)| !backup.ready && backup.table.id == table.id))
}

pub fn copy_task() -> TaskKind {
    TaskKind::new(COPY, |ctx: Ctx, task: Task| async move {
        let work = BackupWork::decode(&task.payload)?;
        let key = (work.table.as_str(), work.id.as_str());
        let found = BACKUPS.get_versioned(ctx.store(), ctx.scope(), &key).await?;
        let Some((version, backup)) = found.filter(|(_, backup)| !backup.ready) else {
            return Ok(Outcome::Done);
        };
        let scope = data_scope(&backup.table, ctx.scope());
        let moment = Moment::Commit(version);
        let past = Past { scope, storage: backup.table.storage, moment };
        let (items, bytes) = fill::copy(&ctx, &past, scope, backup.storage).await?;
        finish(&ctx, &work, items, bytes).await?;
        Ok(Outcome::Done)
    })
}

async fn finish(ctx: &Ctx, work: &BackupWork, items: i64, bytes: i64) -> Result<()> {
    let scope = ctx.scope();
    let key = (work.table.as_str(), work.id.as_str());
    transact!(ctx.store(), Error, |txn| {
        if let Some(mut backup) = BACKUPS.get(txn, scope, &key).await?
            && !backup.ready
        {
            backup.ready = true;
            (backup.items, backup.bytes) = (items, bytes);
            BACKUPS.put(txn, scope, &key, &backup);
            undo::release(ctx, txn, scope, &backup.table).await?;
        }
    })
}

pub fn expire_task() -> TaskKind {
    TaskKind::new(EXPIRE, |ctx: Ctx, task: Task| async move {
        let work = BackupWork::decode(&task.payload)?;
        match remove(&ctx, &work.table, &work.id).await {
            Err(error) if error.code() == "BackupInUseException" => {
                let at = ctx.now().plus(Duration::from_secs(60));
                Ok(Outcome::Again { at, payload: None })
            }
            Err(error) if error.code() != "BackupNotFoundException" => Err(error),
            _ => Ok(Outcome::Done),
        }
    })
}

/// The table and the id that a backup's ARN names.
pub fn parse_arn<'a>(ctx: &Ctx, arn: &'a str) -> Result<(&'a str, &'a str)> {
    let own = Arn::parse(arn).is_some_and(|arn| {
        arn.service == "dynamodb"
            && arn.account_id() == Some(ctx.account())
            && arn.region() == Some(ctx.region())
    });
    let rest = arn.split_once(":table/").map(|(_, rest)| rest).filter(|_| own);
    rest.and_then(|rest| rest.split_once("/backup/")).ok_or_else(|| errors::backup_not_found(arn))
}

pub async fn find(ctx: &Ctx, arn: &str) -> Result<BackupRecord> {
    let key = parse_arn(ctx, arn)?;
    let found = BACKUPS.get(ctx.store(), ctx.scope(), &key).await?;
    found.ok_or_else(|| errors::backup_not_found(arn))
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeBackupInput,
) -> Result<api::DescribeBackupOutput> {
    let backup = find(&ctx, &input.backup_arn).await?;
    let description = backup_describe::description(&ctx, &backup);
    Ok(api::DescribeBackupOutput { backup_description: Some(description) })
}

pub async fn delete(ctx: Ctx, input: api::DeleteBackupInput) -> Result<api::DeleteBackupOutput> {
    let (table, id) = parse_arn(&ctx, &input.backup_arn)?;
    let backup = remove(&ctx, table, id).await?;
    let mut description = backup_describe::description(&ctx, &backup);
    if let Some(details) = &mut description.backup_details {
        details.backup_status = api::BackupStatus::Deleted;
    }
    Ok(api::DeleteBackupOutput { backup_description: Some(description) })
}

async fn remove(ctx: &Ctx, table: &str, id: &str) -> Result<BackupRecord> {
    let scope = ctx.scope();
    transact!(ctx.store(), Error, |txn| {
        let Some(backup) = BACKUPS.get(txn, scope, &(table, id)).await? else {
            let arn = ctx.arn("dynamodb", &format!("table/{table}/backup/{id}"));
            return Err(errors::backup_not_found(&arn));
        };
        let arn = backup_describe::arn(ctx, &backup);
        let tables = TABLES.list(scope, ()).read(txn).await?;
        let restoring = tables
            .iter()
            .any(|(_, table)| table.filling && table.restored_backup.as_ref() == Some(&arn));
        if restoring || !backup.ready {
            return Err(errors::backup_in_use(&arn));
        }
        BACKUPS.delete(txn, scope, &(table, id));
        let home = data_region(ctx, &backup);
        tasks::purge_storage(&home, txn, backup.storage, vec![0, UNDO_INDEX]);
        backup
    })
}

/// The context of the region under whose keys a backup's items lie.
fn data_region(ctx: &Ctx, backup: &BackupRecord) -> Ctx {
    let region = sereno_base::Region::parse(&backup.table.home);
    ctx.in_region(region.unwrap_or(ctx.region()))
}

pub async fn list(ctx: Ctx, input: api::ListBackupsInput) -> Result<api::ListBackupsOutput> {
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let mut listing = BACKUPS.list(ctx.scope(), ());
    if let Some(name) = &input.table_name {
        let target = Target::parse(&ctx, name)?;
        listing = BACKUPS.list(ctx.scope(), (target.name,));
    }
    if let Some(after) = &input.exclusive_start_backup_arn {
        listing = listing.after(&parse_arn(&ctx, after)?);
    }
    let all = listing.read(ctx.store()).await?;
    let mut page: Vec<BackupRecord> =
        all.into_iter().map(|(_, backup)| backup).filter(|one| is_wanted(&input, one)).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    Ok(api::ListBackupsOutput {
        last_evaluated_backup_arn: page
            .last()
            .filter(|_| more)
            .map(|backup| backup_describe::arn(&ctx, backup)),
        backup_summaries: Some(
            page.iter().map(|backup| backup_describe::summary(&ctx, backup)).collect(),
        ),
    })
}

/// Those that a user made, unless asked for others.
fn is_wanted(input: &api::ListBackupsInput, backup: &BackupRecord) -> bool {
    let kind = match &input.backup_type {
        None | Some(api::BackupTypeFilter::User) => !backup.system,
        Some(api::BackupTypeFilter::System) => backup.system,
        Some(api::BackupTypeFilter::All) => true,
        Some(_) => false,
    };
    let created = Timestamp::from_millis(backup.created_ms);
    kind && input.time_range_lower_bound.is_none_or(|from| created >= from)
        && input.time_range_upper_bound.is_none_or(|to| created < to)
}
