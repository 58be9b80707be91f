//! fjall's log-structured merge tree (the crate `lsm-tree`), under our own log.
//!
//! fjall itself adds a journal to the tree; we have one ([`log`](crate::log)) that syncs faster,
//! opens faster and survives what fjall's does not: see `docs/decisions/own-log.md`.
//!
//! Invariants: a group is written with one sequence number and becomes visible to views taken
//! afterwards; no table or old version is removed that a living view can see.

use crate::engine::{Engine, View, Write};
use bytes::Bytes;
use lsm_tree::compaction::Leveled;
use lsm_tree::config::{
    BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    PartitioningPolicy, PinningPolicy,
};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, CompressionType, Config, DescriptorTable, Guard, InternalValue,
    SeqNo, SequenceNumberCounter, ValueType,
};
use sereno_store::occ::Span;
use sereno_store::{Result, StoreError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

pub struct FjallEngine {
    tree: AnyTree,
    counter: SequenceNumberCounter,
    views: Arc<Views>,
    /// Wakes the compactor; `None` once closing has begun.
    compact: Option<SyncSender<()>>,
    compactor: Option<JoinHandle<()>>,
}

/// The moments that living views show, and how many views each has.
#[derive(Default)]
struct Views(Mutex<BTreeMap<SeqNo, usize>>);

struct FjallView {
    tree: AnyTree,
    /// Shows what was written with smaller numbers.
    before: SeqNo,
    views: Arc<Views>,
}

const OPEN_FILES_MAX: usize = 256;
/// Runs in the first level: reads look into each.
const RUNS_SLOW: f32 = 12.0;
const RUNS_MAX: f32 = 24.0;

fn failed(error: &lsm_tree::Error) -> StoreError {
    match error {
        lsm_tree::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        error => StoreError::Corrupt(error.to_string()),
    }
}

impl Views {
    /// Old versions below this number are seen by nobody.
    fn watermark(&self, counter: &SequenceNumberCounter) -> SeqNo {
        let views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = views.keys().next().copied().unwrap_or_else(|| counter.get());
        oldest.saturating_sub(1)
    }
}

impl Drop for FjallView {
    fn drop(&mut self) {
        let mut views = self.views.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = views.get_mut(&self.before) {
            *count -= 1;
            if *count == 0 {
                views.remove(&self.before);
            }
        }
    }
}

impl FjallEngine {
    pub fn open(folder: &Path, cache_bytes: usize) -> Result<FjallEngine> {
        let (counter, visible) =
            (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let bloom = |policy| FilterPolicyEntry::Bloom(policy);
        let plain = CompressionType::None;
        let config = Config::new(folder, counter.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(cache_bytes as u64)))
            .use_descriptor_table(Some(Arc::new(DescriptorTable::new(OPEN_FILES_MAX))))
            .data_block_compression_policy(CompressionPolicy::new([
                plain,
                plain,
                CompressionType::Lz4,
            ]))
            .filter_policy(FilterPolicy::new([
                bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
                bloom(BloomConstructionPolicy::BitsPerKey(10.0)),
            ]))
            // In pieces from the second level on: a look-up reads 4 KiB of a large table's index and
            // filter, not all of it.
            .index_block_partitioning_policy(PartitioningPolicy::new([false, true]))
            .filter_block_partitioning_policy(PartitioningPolicy::new([false, true]))
            .index_block_pinning_policy(PinningPolicy::new([true, false]))
            .filter_block_pinning_policy(PinningPolicy::new([true, false]));
        let tree = config.open().map_err(|error| failed(&error))?;
        // New numbers must be above all that are stored.
        let next = tree.get_highest_seqno().map_or(1, |highest| highest + 1);
        counter.fetch_max(next);
        visible.fetch_max(next);
        let views = Arc::new(Views::default());
        let (wake, woken) = sync_channel(1);
        let compactor = std::thread::Builder::new().name("store-compact".into()).spawn({
            let (tree, counter, views) = (tree.clone(), counter.clone(), views.clone());
            move || compact(&tree, &counter, &views, &woken)
        });
        let compactor = compactor
            .map_err(|error| StoreError::Unavailable(format!("no thread to compact: {error}")))?;
        let compact = Some(wake);
        Ok(FjallEngine { tree, counter, views, compact, compactor: Some(compactor) })
    }

    fn wake_compactor(&self) {
        if let Some(Err(TrySendError::Disconnected(()))) =
            self.compact.as_ref().map(|wake| wake.try_send(()))
        {
            // It has given up after an error; `debt` will stop the writers when it matters.
        }
    }
}

/// Merges tables whenever it is woken, until nothing is left to merge.
fn compact(tree: &AnyTree, counter: &SequenceNumberCounter, views: &Views, woken: &Receiver<()>) {
    let strategy = Arc::new(Leveled::default());
    while woken.recv().is_ok() {
        loop {
            let before = tree.current_version().id();
            // After an error (a full disk) the tables are as before: the next flush tries again.
            if tree.compact(strategy.clone(), views.watermark(counter)).is_err()
                || tree.current_version().id() == before
                || matches!(woken.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected))
            {
                break;
            }
        }
    }
}

impl Drop for FjallEngine {
    fn drop(&mut self) {
        self.compact = None;
        if let Some(compactor) = self.compactor.take() {
            // Two compactors must never work in one folder.
            drop(compactor.join());
        }
    }
}

impl Engine for FjallEngine {
    fn snapshot(&self) -> Result<Box<dyn View>> {
        let before = self.counter.get();
        let mut views = self.views.0.lock().unwrap_or_else(PoisonError::into_inner);
        *views.entry(before).or_default() += 1;
        drop(views);
        let view = FjallView { tree: self.tree.clone(), before, views: self.views.clone() };
        Ok(Box::new(view))
    }

    fn apply(&self, writes: Vec<Write>) -> Result<()> {
        let memtable = self.tree.active_memtable();
        let number = self.counter.next();
        for (key, value) in writes {
            memtable.insert(match value {
                Some(value) => InternalValue::from_components(key, value, number, ValueType::Value),
                None => InternalValue::new_tombstone(key, number),
            });
        }
        Ok(())
    }

    fn seal(&self) {
        self.tree.rotate_memtable();
    }

    fn checkpoint(&self) -> Result<()> {
        let lock = self.tree.get_flush_lock();
        let flushed = self.tree.flush(&lock, self.views.watermark(&self.counter));
        flushed.map_err(|error| failed(&error))?;
        self.wake_compactor();
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        self.tree.clear().map_err(|error| failed(&error))
    }

    fn size(&self) -> Result<u64> {
        Ok(self.tree.disk_space())
    }

    fn debt(&self) -> f32 {
        let runs = self.tree.l0_run_count() as f32;
        ((runs - RUNS_SLOW) / (RUNS_MAX - RUNS_SLOW) / 2.0 + 0.5).max(0.0)
    }
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.tree.get(key, self.before).map_err(|error| failed(&error))?;
        Ok(value.map(Bytes::from))
    }

    fn range(
        &self,
        span: &Span,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        let mut entries = self.tree.range(span.clone(), self.before, None);
        loop {
            let next = if reverse { entries.next_back() } else { entries.next() };
            let Some(entry) = next else { return Ok(()) };
            let (key, value) = entry.into_inner().map_err(|error| failed(&error))?;
            if !visit(&key, value.into())? {
                return Ok(());
            }
        }
    }
}
