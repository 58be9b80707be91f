//! fjall: a log-structured merge tree with a journal. One sequential write and one fdatasync a
//! group, which is why it is the default.
//!
//! Invariants: one keyspace; its journal is synced before a write becomes visible.

use crate::directory;
use crate::engine::{Engine, View, Write};
use crate::fjall_journal::cut_torn_end;
use bytes::Bytes;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
};
use sereno_store::occ::Span;
use sereno_store::{Result, StoreError};
use std::path::Path;

pub struct FjallEngine {
    database: Database,
    entries: Keyspace,
}

struct FjallView {
    snapshot: Snapshot,
    entries: Keyspace,
}

/// The journal is replayed into the memtable at start: its size bounds both memory and the time
/// that opening takes after a kill.
const MEMTABLE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const JOURNALS_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// One flushes, one compacts.
const WORKERS: usize = 2;
const OPEN_FILES_MAX: usize = 256;

impl FjallEngine {
    /// `relaxed` tells how a torn journal is to be understood; see `fjall_journal.rs`.
    pub fn open(folder: &Path, cache_bytes: u64, relaxed: bool) -> Result<FjallEngine> {
        discard_unborn(folder)?;
        if folder.exists() {
            cut_torn_end(folder, relaxed)?;
        }
        let database = database(folder, cache_bytes).map_err(|error| unavailable(&error))?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES_MAX)
                .manual_journal_persist(true)
        };
        let entries = database.keyspace("entries", options).map_err(|error| unavailable(&error))?;
        Ok(FjallEngine { database, entries })
    }
}

fn database(folder: &Path, cache_bytes: u64) -> fjall::Result<Database> {
    Database::builder(folder)
        .cache_size(cache_bytes)
        .worker_threads(WORKERS)
        .max_cached_files(Some(OPEN_FILES_MAX))
        .max_journaling_size(JOURNALS_BYTES_MAX)
        // Its checksums cover what a later compressor may write differently.
        .journal_compression(CompressionType::None)
        // Each group says itself how it is persisted.
        .manual_journal_persist(true)
        .open()
}

/// A process killed while it created the database leaves a folder that fjall neither opens nor
/// creates. The marker is written last, so without it nothing was ever stored.
fn discard_unborn(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.join("version").exists() {
        std::fs::remove_dir_all(folder)
            .map_err(|error| directory::unavailable("cannot remove", folder, &error))?;
    }
    Ok(())
}

fn unavailable(error: &fjall::Error) -> StoreError {
    use fjall::Error::{Decompress, InvalidTag, InvalidTrailer, JournalRecovery, Storage};
    match error {
        Storage(lsm) if !is_io(lsm) => StoreError::Corrupt(error.to_string()),
        Decompress(_) | InvalidTag(_) | InvalidTrailer | JournalRecovery(_) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Told by the source, which only input and output errors have: the type is not exported.
fn is_io(error: &impl std::error::Error) -> bool {
    error.source().is_some()
}

impl Engine for FjallEngine {
    fn snapshot(&self) -> Result<Box<dyn View>> {
        let view = FjallView { snapshot: self.database.snapshot(), entries: self.entries.clone() };
        Ok(Box::new(view))
    }

    fn apply(&self, writes: Vec<Write>, sync: bool) -> Result<()> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        if writes.is_empty() {
            return self.database.persist(mode).map_err(|error| unavailable(&error));
        }
        let mut batch = self.database.batch().durability(Some(mode));
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.entries, key, value),
                None => batch.remove(&self.entries, key),
            }
        }
        batch.commit().map_err(|error| unavailable(&error))
    }

    fn clear(&self) -> Result<()> {
        self.entries.clear().map_err(|error| unavailable(&error))?;
        self.apply(Vec::new(), true)
    }

    fn size(&self) -> Result<u64> {
        self.database.disk_space().map_err(|error| unavailable(&error))
    }

    fn keeps_unsynced_on_exit(&self) -> bool {
        true
    }
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.snapshot.get(&self.entries, key).map_err(|error| unavailable(&error))?;
        Ok(value.map(Bytes::from))
    }

    fn range(
        &self,
        span: &Span,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        let mut entries = self.snapshot.range(&self.entries, span.clone());
        loop {
            let next = if reverse { entries.next_back() } else { entries.next() };
            let Some(entry) = next else { return Ok(()) };
            let (key, value) = entry.into_inner().map_err(|error| unavailable(&error))?;
            if !visit(&key, value.into())? {
                return Ok(());
            }
        }
    }
}
