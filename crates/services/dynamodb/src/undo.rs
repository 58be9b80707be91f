//! Who needs a table's past: keeping it from then on, and forgetting it when nobody does.
//! What it looks like is in [`crate::past`].

use std::time::Duration;

use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind};
use sereno_store::{Record, Scope, Txn, Write, record};

use crate::past;
use crate::replicas;
use crate::state::{TABLES, TableRecord};
use crate::table::data_scope;
use crate::tables;

record! {
    pub struct TrimWork {
        1 => table: String,
        2 => table_id: String,
        // What is older goes, once; 0: all that no restore can reach any more, every hour.
        3 => horizon_ms: i64,
        4 => storage: u64,
        5 => home: String,
    }
}

const TRIM: &str = "dynamodb.trim-undo";
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// The longest way back. Replicas may have chosen different ones; the data is the same.
pub const DAYS_MAX: i64 = 35;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Point-in-time recovery was turned on: what gets too old is removed from now on.
pub fn trim(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord) {
    schedule(ctx, write, record, 0);
}

fn schedule(ctx: &Ctx, write: &mut dyn Write, record: &TableRecord, horizon_ms: i64) {
    let work = TrimWork {
        table: record.name.clone(),
        table_id: record.id.clone(),
        horizon_ms,
        storage: record.storage,
        home: record.home.clone(),
    };
    tables::schedule(ctx, write, TRIM, work.to_bytes());
}

/// One less needs the past of `table`, if it is still there.
pub async fn release(ctx: &Ctx, txn: &mut Txn, scope: Scope, table: &TableRecord) -> Result<()> {
    let found = TABLES.get(txn, scope, table.name.as_str()).await?;
    if let Some(mut record) = found.filter(|found| found.id == table.id) {
        let_go(ctx, txn, &mut record);
        replicas::store(ctx, txn, scope, &mut record).await?;
    }
    Ok(())
}

/// The same for a record that the caller stores.
pub fn let_go(ctx: &Ctx, write: &mut dyn Write, record: &mut TableRecord) {
    record.keepers = record.keepers.saturating_sub(1);
    if record.keepers == 0 {
        // Only what is there now: someone else may need the past again before it is done.
        schedule(ctx, write, record, ctx.now().millis());
    }
}

pub fn task() -> TaskKind {
    TaskKind::new(TRIM, |ctx: Ctx, task: Task| async move {
        let work = TrimWork::decode(&task.payload)?;
        let once = work.horizon_ms > 0;
        if !once {
            let found = TABLES.get(ctx.store(), ctx.scope(), work.table.as_str()).await?;
            let same = |found: &TableRecord| found.id == work.table_id && found.pitr_since_ms > 0;
            if !found.as_ref().is_some_and(same) {
                return Ok(Outcome::Done);
            }
        }
        let horizon = if once { work.horizon_ms } else { ctx.now().millis() - DAYS_MAX * DAY_MS };
        let home = TableRecord { home: work.home.clone(), ..Default::default() };
        let scope = data_scope(&home, ctx.scope());
        let mut after = None;
        loop {
            after = past::trim(&ctx, scope, work.storage, horizon, after).await?;
            if after.is_none() {
                break;
            }
        }
        if once {
            return Ok(Outcome::Done);
        }
        Ok(Outcome::Again { at: ctx.now().plus(TRIM_EVERY), payload: None })
    })
}
