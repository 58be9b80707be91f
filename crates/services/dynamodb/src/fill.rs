//! Filling a storage from another one's past: what backups and restores do.
//!
//! Invariant: how far it has come is written in the commit that brought it there, so a crash neither
//! repeats nor skips anything.

use bytes::Bytes;
use sereno_ddbexpr::encode::decode_item;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Batch, Check, Key, Scope, Version, Write};

use crate::errors;
use crate::past::Past;
use crate::state::{FILLS, FillRecord, ITEMS};
use crate::table::{Engine, Table};
use crate::write::Change;

/// Far below what a commit may hold: an item with many indexes may still follow.
const COMMIT_BYTES: usize = 1 << 20;

/// How far the filling of a storage has come.
pub struct Progress {
    pub record: FillRecord,
    version: Option<Version>,
    scope: Scope,
    storage: u64,
}

impl Progress {
    pub async fn load(ctx: &Ctx, scope: Scope, storage: u64) -> Result<Progress> {
        let found = FILLS.get_versioned(ctx.store(), scope, &storage).await?;
        let (version, record) = found
            .map_or((None, FillRecord::default()), |(version, record)| (Some(version), record));
        Ok(Progress { record, version, scope, storage })
    }

    /// Commits `batch` together with the progress that it makes. A conflict is an error: the task is
    /// run again and goes on from where the store says.
    pub async fn commit(&mut self, ctx: &Ctx, mut batch: Batch) -> Result<()> {
        let check = self.version.map_or(Check::Absent, Check::At);
        FILLS.check(&mut batch, self.scope, &self.storage, check);
        FILLS.put(&mut batch, self.scope, &self.storage, &self.record);
        self.version = Some(ctx.store().commit(batch).await?);
        Ok(())
    }
}

/// Copies items as they are. Answers their number and their size.
pub async fn copy(ctx: &Ctx, past: &Past, scope: Scope, storage: u64) -> Result<(i64, i64)> {
    let partition = ITEMS.partition_key(scope, &(storage, 0)).partition;
    let mut progress = Progress::load(ctx, scope, storage).await?;
    loop {
        let piece = past.piece(ctx, progress.record.after.as_deref()).await?;
        let mut batch = Batch::new();
        for (sort, value) in piece.items {
            let item = decode_item(&value).map_err(errors::corrupt)?;
            progress.record.items += 1;
            progress.record.bytes += item.size() as i64;
            batch.put(Key { partition: partition.clone(), sort }, value.to_vec());
        }
        let Some(after) = piece.after else {
            progress.commit(ctx, batch).await?;
            return Ok((progress.record.items, progress.record.bytes));
        };
        progress.record.after = Some(after.into());
        progress.commit(ctx, batch).await?;
    }
}

/// Puts items into a table that nobody else uses yet, with their index entries.
pub async fn into_table(engine: &Engine, ctx: &Ctx, past: &Past, table: &Table) -> Result<()> {
    let mut progress = Progress::load(ctx, table.data, table.record.storage).await?;
    loop {
        let piece = past.piece(ctx, progress.record.after.as_deref()).await?;
        let mut items = piece.items.into_iter().peekable();
        while items.peek().is_some() {
            put_some(engine, ctx, table, &mut progress, &mut items).await?;
        }
        let Some(after) = piece.after else { return Ok(()) };
        progress.record.after = Some(after.into());
    }
}

/// One commit.
async fn put_some(
    engine: &Engine,
    ctx: &Ctx,
    table: &Table,
    progress: &mut Progress,
    items: &mut std::iter::Peekable<std::vec::IntoIter<(Vec<u8>, Bytes)>>,
) -> Result<()> {
    let mut batch = Batch::new();
    table.check(&mut batch);
    let mut bytes = 0;
    let mut put = Vec::new();
    while bytes < COMMIT_BYTES
        && let Some((sort, value)) = items.next()
    {
        let item = decode_item(&value).map_err(errors::corrupt)?;
        bytes += value.len() * (1 + table.indexes.len());
        let at = table.key(&item)?;
        let change = Change { table, old: None, new: Some(&item) };
        change.record(&mut batch, &at, ctx.now(), false);
        progress.record.items += 1;
        progress.record.after = Some(sort.into());
        put.push(item);
    }
    progress.commit(ctx, batch).await?;
    for item in &put {
        Change { table, old: None, new: Some(item) }.tally(engine);
    }
    Ok(())
}
