//! Counts what AWS would bill. Counted in memory on the request's path, added to the store by [`Meter::flush`];
//! a crash loses at most what was counted since the last flush.

use std::collections::HashMap;
use std::sync::Mutex;

use sereno_base::{AccountId, Region, Timestamp};
use sereno_store::{Batch, Counter, Scope, Store, StoreError, Table};

use crate::Ctx;

/// (hour since the epoch, service, what) → quantity, in the account's own region.
const USAGE: Table<(u64, String, String), Counter> = Table::new("kernel", "usage").partition(0);

/// A total of one hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Start of the hour.
    pub hour: Timestamp,
    pub service: String,
    pub what: String,
    pub quantity: i64,
}

type Line = (AccountId, Region, u64, &'static str, &'static str);

/// The counters since the last flush.
#[derive(Default)]
pub struct Meter {
    lines: Mutex<HashMap<Line, i64>>,
}

const HOUR_S: i64 = 3600;

fn add_to(lines: &mut HashMap<Line, i64>, line: Line, quantity: i64) {
    let sum = lines.entry(line).or_default();
    *sum = sum.saturating_add(quantity);
}

impl Meter {
    pub(crate) fn add(&self, ctx: &Ctx, service: &'static str, what: &'static str, quantity: i64) {
        let hour = u64::try_from(ctx.now().secs() / HOUR_S).unwrap_or(0);
        let line = (ctx.account(), ctx.region(), hour, service, what);
        let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        add_to(&mut lines, line, quantity);
    }

    /// Adds what was counted to the store. What could not be written is kept for the next time.
    pub async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        let lines = {
            let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *lines)
        };
        if lines.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for ((account, region, hour, service, what), quantity) in &lines {
            let scope = Scope::new(*account, Some(*region));
            USAGE.add(&mut batch, scope, &(*hour, *service, *what), *quantity);
        }
        let written = store.commit(batch).await;
        if written.is_err() {
            let mut kept = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (line, quantity) in lines {
                add_to(&mut kept, line, quantity);
            }
        }
        written.map(|_| ())
    }
}
