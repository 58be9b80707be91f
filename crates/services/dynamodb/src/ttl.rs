//! Turning on time to live for a table that already has items: their expiry times are noted by a
//! task, piece by piece.

use std::sync::Arc;

use sereno_ddbexpr::encode::decode_item;
use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind};
use sereno_store::{Batch, Check, Range, Record, StoreError, Write, record};

use crate::errors;
use crate::keys;
use crate::state::TableRecord;
use crate::table::{Engine, Target};
use crate::tables;
use crate::write;

record! {
    pub struct FillWork {
        1 => table: String,
        2 => table_id: String,
        3 => attribute: String,
    }
}

const FILL: &str = "dynamodb.ttl-fill";

pub fn fill(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord) {
    let work = FillWork {
        table: record.name.clone(),
        table_id: record.id.clone(),
        attribute: record.ttl_attribute.clone().unwrap_or_default(),
    };
    tables::schedule(ctx, write, FILL, work.to_bytes());
}

pub fn fill_task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new(FILL, move |ctx: Ctx, task: Task| {
        let engine = Arc::clone(&engine);
        async move {
            let work = FillWork::decode(&task.payload)?;
            let mut after = None;
            while let Some(last) = fill_piece(&engine, &ctx, &work, after).await? {
                after = Some(last);
            }
            Ok(Outcome::Done)
        }
    })
}

/// Where the piece ended; `None` when all is done.
async fn fill_piece(
    engine: &Engine,
    ctx: &Ctx,
    work: &FillWork,
    after: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>> {
    const ITEMS: usize = 500;
    let target = Target { name: work.table.clone(), account: ctx.account(), region: ctx.region() };
    let Some(table) = engine.load(ctx, &target).await? else { return Ok(None) };
    let wanted = table.record.ttl_attribute.as_deref() == Some(work.attribute.as_str());
    if table.record.id != work.table_id || !wanted {
        return Ok(None);
    }
    let mut range = Range::all(table.partition().to_vec()).limit(ITEMS).bytes_max(4 << 20);
    if let Some(after) = &after {
        range = range.from(std::ops::Bound::Excluded(after.clone()));
    }
    let entries = ctx.store().range(&range).await?;
    let Some(last) = entries.last().map(|entry| entry.sort.clone()) else { return Ok(None) };
    let mut batch = Batch::new();
    table.check(&mut batch);
    for entry in entries {
        let item = decode_item(&entry.value).map_err(errors::corrupt)?;
        if let Some(at_s) = write::expiry(Some(&item), &work.attribute) {
            batch.put(table.expiry_at(keys::expiry(at_s, &entry.sort)), Vec::new());
            batch.checks.push((table.at(entry.sort), Check::At(entry.version)));
        }
    }
    match ctx.store().commit(batch).await {
        Ok(_) => Ok(Some(last)),
        Err(StoreError::Conflict) => {
            engine.forget(&target);
            Ok(Some(after.unwrap_or_default()))
        }
        Err(error) => Err(error.into()),
    }
}
