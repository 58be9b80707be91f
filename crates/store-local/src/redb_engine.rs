//! redb: a copy-on-write B-tree in one file. Slower to write, faster to read and scan than the
//! merge tree; its storage can be replaced by a faulty one, so the crash tests run on it.

use crate::engine::{Engine, View, Write};
use bytes::Bytes;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition,
};
use sereno_store::occ::Span;
use sereno_store::{Result, StoreError};
use std::ops::Bound;
use std::path::Path;

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

pub struct RedbEngine {
    database: Database,
}

struct RedbView(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl RedbEngine {
    pub fn open(file: &Path, cache_bytes: usize) -> Result<RedbEngine> {
        let database = Builder::new().set_cache_size(cache_bytes).create(file);
        RedbEngine::prepared(database.map_err(|error| failed(&error.into()))?)
    }

    /// On storage of any kind: for tests that inject faults.
    pub fn on(backend: impl StorageBackend) -> Result<RedbEngine> {
        let database = Builder::new().create_with_backend(backend);
        RedbEngine::prepared(database.map_err(|error| failed(&error.into()))?)
    }

    /// A view needs the table to be there.
    fn prepared(database: Database) -> Result<RedbEngine> {
        let engine = RedbEngine { database };
        if engine.snapshot().is_err() {
            engine.write(Vec::new(), Durability::Immediate).map_err(|error| failed(&error))?;
        }
        Ok(engine)
    }

    fn write(
        &self,
        writes: Vec<Write>,
        durability: Durability,
    ) -> std::result::Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        // Costs a little at each checkpoint and saves reading the whole file after a kill.
        transaction.set_quick_repair(matches!(durability, Durability::Immediate));
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (key, value) in writes {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn view(&self) -> std::result::Result<RedbView, redb::Error> {
        Ok(RedbView(self.database.begin_read()?.open_table(ENTRIES)?))
    }
}

fn failed(error: &redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what.clone()),
        error => StoreError::Unavailable(error.to_string()),
    }
}

impl Engine for RedbEngine {
    fn snapshot(&self) -> Result<Box<dyn View>> {
        let view = self.view().map_err(|error| failed(&error))?;
        Ok(Box::new(view))
    }

    fn apply(&self, writes: Vec<Write>) -> Result<()> {
        self.write(writes, Durability::None).map_err(|error| failed(&error))
    }

    /// A checkpoint takes what there is, sealed or not.
    fn seal(&self) {}

    fn checkpoint(&self) -> Result<()> {
        self.write(Vec::new(), Durability::Immediate).map_err(|error| failed(&error))
    }

    fn clear(&self) -> Result<()> {
        let clear = || -> std::result::Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.delete_table(ENTRIES)?;
            transaction.open_table(ENTRIES)?;
            Ok(transaction.commit()?)
        };
        clear().map_err(|error| failed(&error))
    }

    fn size(&self) -> Result<u64> {
        let stats = || -> std::result::Result<u64, redb::Error> {
            let transaction = self.database.begin_write()?;
            let stats = transaction.stats()?;
            transaction.abort()?;
            Ok(stats.allocated_pages() * stats.page_size() as u64)
        };
        stats().map_err(|error| failed(&error))
    }
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(bytes) => Bound::Included(bytes),
        Bound::Excluded(bytes) => Bound::Excluded(bytes),
        Bound::Unbounded => Bound::Unbounded,
    }
}

impl View for RedbView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.0.get(key).map_err(|error| failed(&error.into()))?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn range(
        &self,
        span: &Span,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        let span = (borrowed(&span.0), borrowed(&span.1));
        let mut entries = self.0.range::<&[u8]>(span).map_err(|error| failed(&error.into()))?;
        loop {
            let next = if reverse { entries.next_back() } else { entries.next() };
            let Some(entry) = next else { return Ok(()) };
            let (key, value) = entry.map_err(|error| failed(&error.into()))?;
            if !visit(key.value(), Bytes::copy_from_slice(value.value()))? {
                return Ok(());
            }
        }
    }
}
