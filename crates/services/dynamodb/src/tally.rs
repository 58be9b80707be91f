//! Numbers of items and bytes of tables and indexes. DynamoDB updates them about every six hours;
//! here changes are summed in memory and added to the store now and then, and before someone asks.
//! A crash loses at most what was not yet added.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sereno_store::{Batch, Scope, Store, StoreError};

use crate::state::{COUNTS, SIZES};

#[derive(Default)]
pub struct Tallies(Mutex<HashMap<(Scope, u64, u32), Delta>>);

#[derive(Clone, Copy, Default)]
struct Delta {
    items: i64,
    bytes: i64,
}

impl Tallies {
    pub fn add(&self, scope: Scope, storage: u64, index: u32, items: i64, bytes: i64) {
        if items == 0 && bytes == 0 {
            return;
        }
        let mut deltas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let delta = deltas.entry((scope, storage, index)).or_default();
        delta.items += items;
        delta.bytes += bytes;
    }

    pub async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        let deltas = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if deltas.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for ((scope, storage, index), delta) in &deltas {
            COUNTS.add(&mut batch, *scope, &(*storage, *index), delta.items);
            SIZES.add(&mut batch, *scope, &(*storage, *index), delta.bytes);
        }
        let written = store.commit(batch).await;
        if written.is_err() {
            for ((scope, storage, index), delta) in deltas {
                self.add(scope, storage, index, delta.items, delta.bytes);
            }
        }
        written.map(|_| ())
    }
}
