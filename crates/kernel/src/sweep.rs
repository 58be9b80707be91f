//! Large objects and the records that refer to them: who refers to what, and the sweep of what
//! nobody refers to any more (a write that failed between the blob and its record, a deployment
//! package of a function that is gone).
//!
//! Invariants: a blob that a record refers to is never removed, because candidates are listed
//! before the snapshot is taken that may save them, and because a reference only ever comes from
//! writing the blob less than [`AGE_MIN`] ago or from a record that has it. Where anything cannot
//! be read, or belongs to a service that this server lacks, nothing is removed.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use sereno_store::backup::verify;
use sereno_store::key::KeyTuple;
use sereno_store::{BlobRef, Key, Record, StoreError, Table};

use crate::{Cloud, Ctx, Outcome, Service, Task, TaskKind};

type StoreResult<T> = sereno_store::Result<T>;
type NamedFn = Box<dyn Fn(&[u8]) -> StoreResult<Vec<BlobRef>> + Send + Sync>;

/// Longer than any operation takes from finishing a blob to committing its record.
pub const AGE_MIN: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// The first part of the kernel's own tables.
const OWN: &str = "kernel";

/// A table whose records refer to blobs.
pub struct BlobTable {
    begins: Vec<u8>,
    named: NamedFn,
}

impl Service {
    /// Says which blobs a table's records refer to. What no table is said to refer to is swept.
    #[must_use]
    pub fn blobs<K: KeyTuple, V: Record + 'static>(
        mut self,
        table: Table<K, V>,
        named: fn(V) -> Vec<BlobRef>,
    ) -> Service {
        let named =
            Box::new(move |value: &[u8]| V::decode(&Bytes::copy_from_slice(value)).map(named));
        self.blob_tables.push(BlobTable { begins: table.partitions_begin(), named });
        self
    }
}

impl Cloud {
    /// The blobs that an entry of the store refers to.
    pub fn blob_references(&self, key: &Key, value: &[u8]) -> StoreResult<Vec<BlobRef>> {
        let mut tables = self.services.iter().flat_map(|service| &service.blob_tables);
        match tables.find(|table| key.partition.starts_with(&table.begins)) {
            Some(table) => (table.named)(value),
            None => Ok(Vec::new()),
        }
    }

    /// Removes the blobs of at least this age that no record refers to; says how many.
    pub async fn sweep_blobs(&self, age_min: Duration) -> StoreResult<usize> {
        // First the candidates, then the snapshot that saves those of them that are referred to.
        let listed = self.blobs.list().await?;
        let old = listed.into_iter().filter(|blob| blob.age >= age_min);
        let mut candidates: HashSet<String> = old.map(|blob| blob.id).collect();
        if candidates.is_empty() {
            return Ok(0);
        }
        let snapshot = self.store.snapshot().await?;
        let mut known = Vec::new();
        let visit = &mut |key: &Key, value: &Bytes| {
            self.expect_known(key, &mut known)?;
            for blob in self.blob_references(key, value)? {
                candidates.remove(&blob.id);
            }
            Ok(())
        };
        verify(&*snapshot, visit).await?;
        drop(snapshot);
        for id in &candidates {
            self.blobs.delete(id).await?;
        }
        Ok(candidates.len())
    }

    /// Fails at an entry of a service that is not part of this server: its blobs are nobody's here,
    /// but they are not forgotten. `last`: the beginning of the last key that was found good.
    fn expect_known(&self, key: &Key, last: &mut Vec<u8>) -> StoreResult<()> {
        if !last.is_empty() && key.partition.starts_with(last) {
            return Ok(());
        }
        let end = key.partition.windows(2).position(|pair| pair == [0, 1]).unwrap_or(0);
        let service = String::from_utf8_lossy(&key.partition[..end]);
        if service != OWN && self.service(&service).is_none() {
            return Err(StoreError::Unavailable(format!(
                "there is data of {service:?}, which this server does not have: nothing is swept"
            )));
        }
        *last = key.partition[..end + 2].to_vec();
        Ok(())
    }
}

/// The task that sweeps.
pub(crate) fn task() -> TaskKind {
    let run = |ctx: Ctx, _: Task| async move {
        match ctx.cloud().sweep_blobs(AGE_MIN).await {
            Ok(0) => {}
            Ok(count) => eprintln!("{count} blobs that nothing refers to were removed"),
            Err(error) => eprintln!("the blobs could not be swept: {error}"),
        }
        // What was missed now is found in the next round.
        Ok(Outcome::Done)
    };
    TaskKind::new("kernel.sweep", run).every(EVERY)
}
