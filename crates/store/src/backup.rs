//! Everything in one stream: for backups, and for moving to another engine.
//!
//! A backup is taken from a [`Snapshot`], so the store goes on meanwhile. It is a line
//! `sereno-backup 1`, then blocks, then an empty block:
//!
//! ```text
//! block   length u32, checksum u64, that many bytes of entries      (numbers little endian)
//! entry   key length u32, joined key, version u64, value length u32, value
//! ```
//!
//! Invariants: a checksum covers its block's length and bytes; a stream without the empty block at
//! its end is cut short.

use crate::{Batch, Key, Mutation, Result, Snapshot, Store, StoreError, Version, limits};
use bytes::Bytes;
use std::io::{Read, Write};

const HEADER: &[u8] = b"sereno-backup 1\n";
const BLOCK_BYTES: usize = 1024 * 1024;
/// Entries asked of a snapshot at a time.
const PAGE: usize = 1_000;
/// An entry is at most as large as a transaction; a longer block is damage.
const BLOCK_BYTES_MAX: usize = limits::TRANSACTION_BYTES_MAX + BLOCK_BYTES + 64 * 1024;

/// What was written, read or checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub entries: u64,
    /// Keys and values.
    pub bytes: u64,
    /// The newest entry's.
    pub version: Version,
}

impl Summary {
    fn count(&mut self, key: &Key, version: Version, value: &[u8]) {
        self.entries += 1;
        self.bytes += (key.size() + value.len()) as u64;
        self.version = self.version.max(version);
    }
}

/// Is shown every entry: to gather what it refers to, to say how far the work is.
pub type Visit<'a> = &'a mut (dyn FnMut(&Key, &Bytes) -> Result<()> + Send);

/// Reads everything, so that damage is found before it is needed.
pub async fn verify(snapshot: &dyn Snapshot, visit: Visit<'_>) -> Result<Summary> {
    walk(snapshot, &mut |key, _, value| visit(key, value)).await
}

/// Writes everything that the snapshot shows.
pub async fn save(
    snapshot: &dyn Snapshot,
    to: &mut (dyn Write + Send),
    visit: Visit<'_>,
) -> Result<Summary> {
    to.write_all(HEADER).map_err(|error| failed(&error))?;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let summary = walk(snapshot, &mut |key, version, value| {
        visit(key, value)?;
        let joined = key.to_bytes();
        block.extend_from_slice(&length(joined.len())?.to_le_bytes());
        block.extend_from_slice(&joined);
        block.extend_from_slice(&version.to_le_bytes());
        block.extend_from_slice(&length(value.len())?.to_le_bytes());
        block.extend_from_slice(value);
        if block.len() >= BLOCK_BYTES {
            write_block(&block, to)?;
            block.clear();
        }
        Ok(())
    })
    .await?;
    if !block.is_empty() {
        write_block(&block, to)?;
    }
    write_block(&[], to)?;
    to.flush().map_err(|error| failed(&error))?;
    Ok(summary)
}

/// Puts a backup into an empty store. Values get new versions; what was appended keeps its place,
/// and later appends go behind it.
pub async fn load(
    store: &dyn Store,
    from: &mut (dyn Read + Send),
    visit: Visit<'_>,
) -> Result<Summary> {
    let mut filling = Filling::of(store).await?;
    let mut header = [0; HEADER.len()];
    from.read_exact(&mut header).map_err(|error| failed(&error))?;
    if header != HEADER {
        return Err(StoreError::Corrupt("this is no backup of this format".into()));
    }
    while let Some(block) = read_block(from)? {
        for entry in Entries(&block) {
            let (key, version, value) = entry?;
            let value = Bytes::from(value);
            visit(&key, &value)?;
            filling.add(key, version, &value).await?;
        }
    }
    filling.finish().await
}

/// Puts everything that the snapshot shows into another, empty store: [`save`] and [`load`] without
/// a backup between.
pub async fn transfer(
    snapshot: &dyn Snapshot,
    store: &dyn Store,
    visit: Visit<'_>,
) -> Result<Summary> {
    let mut filling = Filling::of(store).await?;
    let mut after: Option<Key> = None;
    loop {
        let page = snapshot.page(after.as_ref(), PAGE).await?;
        let Some((last, _, _)) = page.last() else { return filling.finish().await };
        after = Some(last.clone());
        for (key, version, value) in page {
            visit(&key, &value)?;
            filling.add(key, version, &value).await?;
        }
    }
}

/// A store being filled, a batch at a time.
struct Filling<'a> {
    store: &'a dyn Store,
    batch: Batch,
    bytes: usize,
    summary: Summary,
}

/// Enough for a commit to cost little beside what it writes.
const BATCH_BYTES: usize = 1024 * 1024;

impl<'a> Filling<'a> {
    async fn of(store: &'a dyn Store) -> Result<Filling<'a>> {
        if !store.snapshot().await?.page(None, 1).await?.is_empty() {
            return Err(StoreError::Unavailable("only an empty store can be filled".into()));
        }
        Ok(Filling { store, batch: Batch::new(), bytes: 0, summary: Summary::default() })
    }

    async fn add(&mut self, key: Key, version: Version, value: &Bytes) -> Result<()> {
        self.summary.count(&key, version, value);
        let size = key.size() + value.len();
        let full = self.bytes + size > BATCH_BYTES
            || self.batch.mutations.len() == limits::TRANSACTION_OPERATIONS_MAX;
        if full && !self.batch.mutations.is_empty() {
            self.bytes = 0;
            self.store.commit(std::mem::take(&mut self.batch)).await?;
        }
        self.bytes += size;
        self.batch.mutations.push(Mutation::Put(key, value.to_vec()));
        Ok(())
    }

    async fn finish(self) -> Result<Summary> {
        self.store.commit(self.batch).await?;
        // Last: a restore that was cut short is seen by its missing end, not by its versions.
        self.store.raise_version(self.summary.version).await?;
        Ok(self.summary)
    }
}

async fn walk(
    snapshot: &dyn Snapshot,
    visit: &mut (dyn FnMut(&Key, Version, &Bytes) -> Result<()> + Send),
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut after: Option<Key> = None;
    loop {
        let page = snapshot.page(after.as_ref(), PAGE).await?;
        for (key, version, value) in &page {
            visit(key, *version, value)?;
            summary.count(key, *version, value);
        }
        match page.into_iter().next_back() {
            Some((last, _, _)) => after = Some(last),
            None => return Ok(summary),
        }
    }
}

fn failed(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::Corrupt("the backup is cut short".into()),
        _ => StoreError::Unavailable(format!("the backup's file: {error}")),
    }
}

fn length(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| StoreError::TooLarge("an entry over 4 GiB".into()))
}

/// FNV-1a over eight bytes at a time, then finished as splitmix64 does: finds damage, not intent.
fn sum(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let mut step = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| step(u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| step(u64::from(*byte)));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn write_block(block: &[u8], to: &mut (dyn Write + Send)) -> Result<()> {
    let head = [&length(block.len())?.to_le_bytes()[..], &sum(block).to_le_bytes()].concat();
    to.write_all(&head).and_then(|()| to.write_all(block)).map_err(|error| failed(&error))
}

fn read_block(from: &mut (dyn Read + Send)) -> Result<Option<Vec<u8>>> {
    let (mut size, mut checksum) = ([0; 4], [0; 8]);
    from.read_exact(&mut size).map_err(|error| failed(&error))?;
    from.read_exact(&mut checksum).map_err(|error| failed(&error))?;
    let damaged = || StoreError::Corrupt("the backup is damaged".into());
    let size = usize::try_from(u32::from_le_bytes(size)).map_err(|_| damaged())?;
    if size > BLOCK_BYTES_MAX {
        return Err(damaged());
    }
    let mut block = vec![0; size];
    from.read_exact(&mut block).map_err(|error| failed(&error))?;
    if sum(&block) != u64::from_le_bytes(checksum) {
        return Err(damaged());
    }
    Ok((size > 0).then_some(block))
}

/// The entries of a block.
struct Entries<'a>(&'a [u8]);

impl Entries<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn entry(&mut self) -> Option<(Key, Version, Vec<u8>)> {
        let key = Key::from_bytes(&self.bytes()?).ok()?;
        let version = u64::from_le_bytes(self.take()?);
        Some((key, version, self.bytes()?))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Key, Version, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.entry();
        Some(entry.ok_or_else(|| StoreError::Corrupt("a backup's entry is damaged".into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::Write as _;

    fn nothing(_: &Key, _: &Bytes) -> Result<()> {
        Ok(())
    }

    async fn filled() -> MemoryStore {
        let store = MemoryStore::new();
        for number in 0..3_000_u32 {
            let size = if number == 7 { 5_000_000 } else { number as usize % 2_000 };
            let mut batch = Batch::new();
            batch.put(Key::new("p", number.to_be_bytes()), vec![number as u8; size]);
            batch.append(b"log".to_vec(), vec![], vec![]);
            store.commit(batch).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded() {
        let store = filled().await;
        let snapshot = store.snapshot().await.unwrap();
        let mut backup = Vec::new();
        let saved = save(&*snapshot, &mut backup, &mut nothing).await.unwrap();
        assert_eq!((saved.entries, saved.version), (6_000, 3_000));
        assert_eq!(verify(&*snapshot, &mut nothing).await.unwrap(), saved);

        let copy = MemoryStore::new();
        assert_eq!(load(&copy, &mut &backup[..], &mut nothing).await.unwrap(), saved);
        let contents = |page: Vec<(Key, Version, Bytes)>| {
            page.into_iter().map(|(key, _, value)| (key, value)).collect::<Vec<_>>()
        };
        let copied = copy.snapshot().await.unwrap().page(None, usize::MAX).await.unwrap();
        let original = snapshot.page(None, usize::MAX).await.unwrap();
        assert!(contents(copied) == contents(original));
        let next = copy.commit(Batch::new().with(Mutation::Delete(Key::new("x", "")))).await;
        assert!(next.unwrap() > 3_000);
        let again = load(&copy, &mut &backup[..], &mut nothing).await;
        assert!(matches!(again, Err(StoreError::Unavailable(_))));

        let moved = MemoryStore::new();
        let mut seen = 0;
        let visit = &mut |_: &Key, _: &Bytes| {
            seen += 1;
            Ok(())
        };
        assert_eq!(transfer(&*snapshot, &moved, visit).await.unwrap(), saved);
        let moved = moved.snapshot().await.unwrap().page(None, usize::MAX).await.unwrap();
        assert!(contents(moved) == contents(snapshot.page(None, usize::MAX).await.unwrap()));
        assert_eq!(seen, 6_000);
    }

    #[tokio::test]
    async fn damage_is_seen() {
        let store = filled().await;
        let mut backup = Vec::new();
        save(&*store.snapshot().await.unwrap(), &mut backup, &mut nothing).await.unwrap();
        for at in [3, 20, 1_000, backup.len() / 2, backup.len() - 3] {
            let mut damaged = backup.clone();
            damaged[at] ^= 4;
            let outcome = load(&MemoryStore::new(), &mut &damaged[..], &mut nothing).await;
            assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{at}: {outcome:?}");
            let outcome = load(&MemoryStore::new(), &mut &backup[..at], &mut nothing).await;
            assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "cut {at}: {outcome:?}");
        }
    }
}
