//! Provisioned throughput: a bucket of units for each table and index that has been limited.
//!
//! Off unless the table carries the tag `sereno:throttle` = `on`: on a laptop a forgotten
//! "5 units" must not break a test. With it the bucket holds 300 seconds of capacity, as DynamoDB's
//! burst capacity does.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/burst-adaptive-capacity.html

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sereno_base::Timestamp;

use crate::table::Table;

pub const TAG: &str = "sereno:throttle";
const BURST_S: f64 = 300.0;

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<(u64, u32, bool), Bucket>>);

struct Bucket {
    units: f64,
    filled: Timestamp,
}

impl Throttle {
    /// Whether the table, or its index, still had a unit to give. What is really used is taken
    /// afterwards by [`take`](Throttle::take), and may go below nothing, as AWS lets it.
    pub fn admits(&self, table: &Table, index: Option<&str>, write: bool, now: Timestamp) -> bool {
        if table.record.tags.get(TAG).is_none_or(|value| value != "on") {
            return true;
        }
        self.with(table, index, write, now, |bucket| bucket.units > 0.0).unwrap_or(true)
    }

    pub fn take(
        &self,
        table: &Table,
        index: Option<&str>,
        write: bool,
        now: Timestamp,
        units: f64,
    ) {
        if table.record.tags.get(TAG).is_some_and(|value| value == "on") {
            self.with(table, index, write, now, |bucket| bucket.units -= units);
        }
    }

    fn with<T>(
        &self,
        table: &Table,
        index: Option<&str>,
        write: bool,
        now: Timestamp,
        ask: impl FnOnce(&mut Bucket) -> T,
    ) -> Option<T> {
        if !table.record.provisioned {
            return None;
        }
        let (number, throughput) = match index.and_then(|name| table.index(name)) {
            Some(index) if !index.record.local => (index.record.number, &index.record.throughput),
            _ => (0, &table.record.throughput),
        };
        let rate = if write { throughput.write_units } else { throughput.read_units } as f64;
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (table.record.storage, number, write);
        let bucket =
            buckets.entry(key).or_insert_with(|| Bucket { units: rate * BURST_S, filled: now });
        let elapsed_s = (now.millis() - bucket.filled.millis()).max(0) as f64 / 1000.0;
        bucket.units = (bucket.units + elapsed_s * rate).min(rate * BURST_S);
        bucket.filled = now;
        Some(ask(bucket))
    }
}
