//! Throughput that is used up: a bucket of units for each table and index that has been limited.
//!
//! Off unless the table carries the tag `sereno:throttle` = `on`: on a laptop a forgotten
//! "5 units" must not break a test. With it a provisioned bucket holds 300 seconds of capacity, as
//! DynamoDB's burst capacity does; one on demand with a maximum holds one second's. A write is refused
//! too while one of the table's global indexes cannot follow.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/burst-adaptive-capacity.html
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode-max-throughput.html

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sereno_base::Timestamp;
use sereno_kernel::Result;

use crate::errors;
use crate::table::Table;

pub const TAG: &str = "sereno:throttle";
const BURST_S: f64 = 300.0;

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<(u64, u32, bool), Bucket>>);

struct Bucket {
    units: f64,
    filled: Timestamp,
}

/// What limits a table or an index.
struct Limit {
    /// 0 is the table.
    number: u32,
    per_s: f64,
    burst_s: f64,
}

fn is_on(table: &Table) -> bool {
    table.record.tags.get(TAG).is_some_and(|value| value == "on")
}

fn limit(table: &Table, index: Option<&str>, write: bool) -> Option<Limit> {
    let record = &table.record;
    let index = index.and_then(|name| table.index(name)).filter(|index| !index.record.local);
    let number = index.map_or(0, |index| index.record.number);
    if record.provisioned {
        let units = index.map_or(&record.throughput, |index| &index.record.throughput);
        let per_s = if write { units.write_units } else { units.read_units } as f64;
        return Some(Limit { number, per_s, burst_s: BURST_S });
    }
    let (read_max, write_max) = match index {
        Some(index) => (index.record.on_demand_read_max, index.record.on_demand_write_max),
        None => (record.on_demand_read_max, record.on_demand_write_max),
    };
    let per_s = if write { write_max } else { read_max }? as f64;
    Some(Limit { number, per_s, burst_s: 1.0 })
}

impl Throttle {
    /// Whether the table, or its index, still had a unit to give. What is really used is taken
    /// afterwards by [`take`](Throttle::take), and may go below nothing, as AWS lets it.
    pub fn admits(&self, table: &Table, index: Option<&str>, write: bool, now: Timestamp) -> bool {
        self.check(table, index, write, now).is_ok()
    }

    /// The same, with what AWS says.
    pub fn check(
        &self,
        table: &Table,
        index: Option<&str>,
        write: bool,
        now: Timestamp,
    ) -> Result<()> {
        if !is_on(table) {
            return Ok(());
        }
        self.check_one(table, index, write, now)?;
        let globals = table.indexes.iter().filter(|index| write && !index.record.local);
        for index in globals {
            self.check_one(table, Some(&index.record.name), write, now)?;
        }
        Ok(())
    }

    fn check_one(
        &self,
        table: &Table,
        index: Option<&str>,
        write: bool,
        now: Timestamp,
    ) -> Result<()> {
        let Some(limit) = limit(table, index, write) else { return Ok(()) };
        if self.with(table, &limit, write, now, |bucket| bucket.units > 0.0) {
            return Ok(());
        }
        let name = index.filter(|_| limit.number > 0);
        Err(errors::throttled(&table.arn, name, write, table.record.provisioned))
    }

    pub fn take(
        &self,
        table: &Table,
        index: Option<&str>,
        write: bool,
        now: Timestamp,
        units: f64,
    ) {
        if !is_on(table) {
            return;
        }
        if let Some(limit) = limit(table, index, write) {
            self.with(table, &limit, write, now, |bucket| bucket.units -= units);
        }
    }

    fn with<T>(
        &self,
        table: &Table,
        limit: &Limit,
        write: bool,
        now: Timestamp,
        ask: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let most = limit.per_s * limit.burst_s;
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (table.record.storage, limit.number, write);
        let bucket = buckets.entry(key).or_insert_with(|| Bucket { units: most, filled: now });
        let elapsed_s = (now.millis() - bucket.filled.millis()).max(0) as f64 / 1000.0;
        bucket.units = (bucket.units + elapsed_s * limit.per_s).min(most);
        bucket.filled = now;
        ask(bucket)
    }
}
