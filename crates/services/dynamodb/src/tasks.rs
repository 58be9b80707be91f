//! Work without a caller: removing the data of deleted tables and indexes, filling new indexes,
//! expiring items, forgetting old stream records.

use std::sync::Arc;
use std::time::Duration;

use sereno_base::Region;
use sereno_ddbexpr::encode::{decode_item, encode_item};
use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind};
use sereno_store::{Batch, Check, Key, Range, Record, Scope, StoreError, Write, record};

use crate::errors;
use crate::keys;
use crate::state::{
    COUNTS, FILLS, IndexState, SIZES, STREAM_RECORDS, STREAMS, TTL_INDEX, TTL_TABLES, TableRecord,
    UNDO_INDEX,
};
use crate::table::{Engine, Table, Target};
use crate::tables;
use crate::write::{self, Change};

record! {
    /// Data that nothing refers to any more.
    pub struct PurgeWork {
        1 => storage: u64,
        2 => indexes: Vec<u32>,
    }

    pub struct BackfillWork {
        1 => table: String,
        2 => table_id: String,
        3 => index: u32,
        // Where the last piece ended.
        4 => after: Option<bytes::Bytes>,
    }
}

pub const PURGE: &str = "dynamodb.purge";
pub const BACKFILL: &str = "dynamodb.backfill";

/// Leaves the removal of a table's data to be done.
pub fn purge(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord) {
    let mut indexes = derived(record);
    indexes.extend([0, UNDO_INDEX]);
    purge_indexes(ctx, write, record, indexes);
}

/// The same, but its items and their past stay for a backup.
pub fn purge_derived(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord) {
    purge_indexes(ctx, write, record, derived(record));
}

fn derived(record: &TableRecord) -> Vec<u32> {
    let indexes = record.indexes.iter().map(|index| index.number);
    indexes.chain([TTL_INDEX]).collect()
}

pub fn purge_indexes(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord, indexes: Vec<u32>) {
    let home = Region::parse(&record.home).unwrap_or(ctx.region());
    purge_storage(&ctx.in_region(home), write, record.storage, indexes);
}

/// In the region of `ctx`.
pub fn purge_storage(ctx: &Ctx, write: &mut dyn Write, storage: u64, indexes: Vec<u32>) {
    let work = PurgeWork { storage, indexes };
    tables::schedule(ctx, write, PURGE, work.to_bytes());
}

pub fn purge_task() -> TaskKind {
    TaskKind::new(PURGE, |ctx: Ctx, task: Task| async move {
        let work = PurgeWork::decode(&task.payload)?;
        for number in &work.indexes {
            while !write::purge_piece(&ctx, work.storage, *number).await? {}
            let mut batch = Batch::new();
            COUNTS.delete(&mut batch, ctx.scope(), &(work.storage, *number));
            SIZES.delete(&mut batch, ctx.scope(), &(work.storage, *number));
            ctx.store().commit(batch).await?;
        }
        if work.indexes.contains(&0) {
            let mut batch = Batch::new();
            FILLS.delete(&mut batch, ctx.scope(), &work.storage);
            ctx.store().commit(batch).await?;
        }
        Ok(Outcome::Done)
    })
}

/// Leaves the filling of a new index to be done.
pub fn backfill(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord, index: u32) {
    let work = BackfillWork {
        table: record.name.clone(),
        table_id: record.id.clone(),
        index,
        after: None,
    };
    tables::schedule(ctx, write, BACKFILL, work.to_bytes());
}

pub fn backfill_task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new(BACKFILL, move |ctx: Ctx, task: Task| {
        let engine = Arc::clone(&engine);
        async move {
            let mut work = BackfillWork::decode(&task.payload)?;
            while let Piece::More = fill_piece(&engine, &ctx, &mut work).await? {}
            Ok(Outcome::Done)
        }
    })
}

/// Fills the index of a table that is being created, for a caller that waits for it.
pub async fn fill_now(engine: &Engine, ctx: &Ctx, name: &str) -> Result<()> {
    let target = Target { name: name.to_owned(), account: ctx.account(), region: ctx.region() };
    let Some(table) = engine.load(ctx, &target).await? else { return Ok(()) };
    let creating = |index: &&crate::table::Index| index.record.state == IndexState::Creating;
    for index in table.indexes.iter().filter(creating) {
        let mut work = BackfillWork {
            table: name.to_owned(),
            table_id: table.record.id.clone(),
            index: index.record.number,
            after: None,
        };
        while matches!(fill_piece(engine, ctx, &mut work).await?, Piece::More) {}
    }
    Ok(())
}

enum Piece {
    More,
    Last,
}

/// Writers keep the index's new entries up to date from its creation on; this adds the old items'.
/// Each piece checks that none of its items has changed since it was read.
async fn fill_piece(engine: &Engine, ctx: &Ctx, work: &mut BackfillWork) -> Result<Piece> {
    const ITEMS: usize = 200;
    let target = Target { name: work.table.clone(), account: ctx.account(), region: ctx.region() };
    let Some(table) = engine.load(ctx, &target).await? else { return Ok(Piece::Last) };
    let index = table.indexes.iter().find(|index| index.record.number == work.index);
    let Some(index) = index.filter(|index| {
        table.record.id == work.table_id && index.record.state == IndexState::Creating
    }) else {
        return Ok(Piece::Last);
    };
    let mut range = Range::all(table.partition().to_vec()).limit(ITEMS).bytes_max(1 << 20);
    if let Some(after) = &work.after {
        range = range.from(std::ops::Bound::Excluded(after.to_vec()));
    }
    let entries = ctx.store().range(&range).await?;
    let Some(last) = entries.last().map(|entry| entry.sort.clone()) else {
        finish(ctx, &target, work.index).await?;
        return Ok(Piece::Last);
    };
    let mut batch = Batch::new();
    table.check(&mut batch);
    let (mut count, mut bytes) = (0, 0);
    for entry in entries {
        let item = decode_item(&entry.value).map_err(errors::corrupt)?;
        if let Some(sort) = keys::in_index(&index.keys, &table.keys, &item) {
            let part = index.project(&table.keys, &item);
            count += 1;
            bytes += part.size() as i64;
            batch.checks.push((table.at(entry.sort), Check::At(entry.version)));
            batch.put(index.key(sort), encode_item(&part));
        }
    }
    match ctx.store().commit(batch).await {
        Ok(_) => {
            engine.tallies.add(table.data, table.record.storage, work.index, count, bytes);
            work.after = Some(last.into());
        }
        // A writer was faster; the piece is read again.
        Err(StoreError::Conflict) => engine.forget(&target),
        Err(error) => return Err(error.into()),
    }
    Ok(Piece::More)
}

async fn finish(ctx: &Ctx, target: &Target, number: u32) -> Result<()> {
    tables::change(ctx, target, |record| {
        for index in record.indexes.iter_mut().filter(|index| index.number == number) {
            index.state = IndexState::Active;
            index.backfilling = false;
        }
        Ok(())
    })
    .await
    .map(|_| ())
}

/// Deletes items whose time has come. DynamoDB does it within days; here it takes
/// seconds.
pub fn expire_task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new("dynamodb.expire", move |ctx: Ctx, _| {
        let engine = Arc::clone(&engine);
        async move {
            let mut after = None;
            loop {
                let mut list = TTL_TABLES.list(Scope::GLOBAL, ()).limit(100);
                if let Some((account, region, name)) = &after {
                    let (region, name): (&String, &String) = (region, name);
                    list = list.after(&(*account, region.as_str(), name.as_str()));
                }
                let page = list.read(ctx.store()).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for ((account, region, name), _) in page {
                    let Some(region) = Region::parse(&region) else { continue };
                    let inner = ctx.in_account(account).in_region(region);
                    let target = Target { name, account, region };
                    while expire_piece(&engine, &inner, &target).await? {}
                }
            }
            Ok(Outcome::Done)
        }
    })
    .every(Duration::from_secs(10))
}

/// Whether there may be more.
async fn expire_piece(engine: &Engine, ctx: &Ctx, target: &Target) -> Result<bool> {
    const ITEMS: usize = 100;
    let Some(table) = engine.load(ctx, target).await? else { return Ok(false) };
    let Some(attribute) = table.record.ttl_attribute.clone() else { return Ok(false) };
    let now_s = ctx.now().secs();
    let start = table.expiry_at(Vec::new());
    let range = Range::all(start.partition.clone())
        .to(std::ops::Bound::Excluded((now_s + 1).to_be_bytes().to_vec()))
        .limit(ITEMS);
    let due = ctx.store().range(&range).await?;
    let more = due.len() == ITEMS;
    for entry in due {
        let Some(sort) = entry.sort.get(8..).map(<[u8]>::to_vec) else { continue };
        expire_one(engine, ctx, &table, &attribute, table.at(sort), &entry.sort).await?;
    }
    Ok(more)
}

async fn expire_one(
    engine: &Engine,
    ctx: &Ctx,
    table: &Table,
    attribute: &str,
    at: Key,
    entry: &[u8],
) -> Result<()> {
    /// Older than that is taken for something that is not a time.
    const AGE_MAX_S: i64 = 5 * 365 * 24 * 3600;
    let stored = write::read(ctx.store(), &at).await?;
    let mut batch = Batch::new();
    table.check(&mut batch);
    let now_s = ctx.now().secs();
    let due = stored.as_ref().filter(|stored| {
        write::expiry(Some(&stored.item), attribute)
            .is_some_and(|at_s| at_s <= now_s && at_s > now_s - AGE_MAX_S)
    });
    let Some(stored) = due else {
        // Not due after all: only the note of it goes.
        batch.delete(table.expiry_at(entry.to_vec()));
        return settle(ctx.store().commit(batch).await);
    };
    batch.checks.push((at.clone(), Check::At(stored.version)));
    let change = Change { table, old: Some(&stored.item), new: None };
    change.record(&mut batch, &at, ctx.now(), true);
    match ctx.store().commit(batch).await {
        Ok(_) => change.tally(engine),
        Err(error) => return settle(Err(error)),
    }
    Ok(())
}

/// A conflict means that someone wrote: the next round looks again.
fn settle(committed: Result<u64, StoreError>) -> Result<()> {
    match committed {
        Err(error) if !tables::lost_race(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Adds up counts, so that a crash loses little.
pub fn tally_task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new("dynamodb.tally", move |ctx: Ctx, _| {
        let engine = Arc::clone(&engine);
        async move {
            engine.tallies.flush(ctx.store()).await?;
            Ok(Outcome::Done)
        }
    })
    .every(Duration::from_secs(10))
}

record! {
    pub struct StreamWork {
        1 => table: String,
        2 => label: String,
    }
}

const TRIM: &str = "dynamodb.trim-stream";
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// Has a stream's old records removed, every hour until the stream itself is gone.
pub fn trim(ctx: &Ctx, write: &mut dyn Write, table: &str, label: &str) {
    let work = StreamWork { table: table.to_owned(), label: label.to_owned() };
    let due = ctx.now().plus(TRIM_EVERY);
    sereno_kernel::task::schedule(ctx, write, TRIM, due, work.to_bytes());
}

pub fn trim_task() -> TaskKind {
    TaskKind::new(TRIM, |ctx: Ctx, task: Task| async move {
        let work = StreamWork::decode(&task.payload)?;
        if trim_stream(&ctx, &work.table, &work.label).await? {
            Ok(Outcome::Again { at: ctx.now().plus(TRIM_EVERY), payload: None })
        } else {
            Ok(Outcome::Done)
        }
    })
}

/// Forgets the records of one stream that are a day old, and the stream itself when it has ended.
/// Whether it is still there.
async fn trim_stream(ctx: &Ctx, table: &str, label: &str) -> Result<bool> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    const RECORDS: usize = 1000;
    let Some(stream) = STREAMS.get(ctx.store(), ctx.scope(), &(table, label)).await? else {
        return Ok(false);
    };
    let horizon = ctx.now().millis() - DAY_MS;
    loop {
        let listing = STREAM_RECORDS.list(ctx.scope(), (stream.number, 0u32)).limit(RECORDS);
        let page = listing.read(ctx.store()).await?;
        let mut batch = Batch::new();
        for (key, record) in &page {
            if record.created_ms >= horizon {
                break;
            }
            STREAM_RECORDS.delete(&mut batch, ctx.scope(), key);
        }
        let count = batch.mutations.len();
        if count > 0 {
            ctx.store().commit(batch).await?;
        }
        if count < RECORDS {
            break;
        }
    }
    let over = !stream.enabled && stream.ended_ms < horizon;
    if over {
        let mut batch = Batch::new();
        STREAMS.delete(&mut batch, ctx.scope(), &(table, label));
        ctx.store().commit(batch).await?;
    }
    Ok(!over)
}
