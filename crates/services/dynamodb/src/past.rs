//! A table's past: its items as they were at a moment, read piece by piece.
//!
//! While someone may need it ([`keepers`](crate::state::TableRecord::keepers)), every change leaves
//! the item's old image under [`UNDO_INDEX`], by item and then by commit. What an item was at a moment
//! is the old image of its first change after it, or what it is now if there was none: no copy
//! of the table is needed, and every moment is exact.
//!
//! Invariant: a piece is read from one snapshot, so an item and its undo records agree.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Batch, Range, Read, Record, Scope, Version};

use crate::state::{ITEMS, UNDO_INDEX, UndoRecord};

/// Behind the item's key in an undo record's: the commit's version, and its place in it.
const POSITION_BYTES: usize = 10;
const ITEMS_PER_PIECE: usize = 250;
const BYTES_PER_PIECE: usize = 1 << 20;

/// A moment in the life of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Changes of that millisecond and before are in.
    Time(i64),
    /// This commit and those before it are in.
    Commit(Version),
    /// Nothing is undone: for a storage that nobody writes to.
    Now,
}

impl Moment {
    fn before(self, undo: &UndoRecord, version: Version) -> bool {
        match self {
            Moment::Time(ms) => undo.at_ms > ms,
            Moment::Commit(commit) => version > commit,
            Moment::Now => false,
        }
    }
}

/// Whose past.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    pub scope: Scope,
    pub storage: u64,
    pub moment: Moment,
}

/// A stretch of items in the order of their keys.
pub struct Piece {
    pub items: Vec<(Vec<u8>, Bytes)>,
    /// Where the next piece begins; `None` at the end.
    pub after: Option<Vec<u8>>,
}

/// An item of which something changed between two moments.
pub struct Changed {
    pub old: Option<Bytes>,
    pub new: Option<Bytes>,
    /// Of its last change in that time.
    pub at_ms: i64,
}

/// What is known of an item whose past was read: `None` stands for its present state.
type Known = BTreeMap<Vec<u8>, Option<Bytes>>;

impl Past {
    fn partition(&self, index: u32) -> Vec<u8> {
        ITEMS.partition_key(self.scope, &(self.storage, index)).partition
    }

    pub async fn piece(&self, ctx: &Ctx, after: Option<&[u8]>) -> Result<Piece> {
        let snapshot = ctx.store().snapshot().await?;
        let range = Range::all(self.partition(0))
            .from(after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_vec())))
            .limit(ITEMS_PER_PIECE)
            .bytes_max(BYTES_PER_PIECE);
        let entries = snapshot.range(&range).await?;
        let mut end = entries.last().map(|entry| entry.sort.clone());
        let mut past = Known::new();
        if self.moment != Moment::Now {
            let cut = self.undo(&*snapshot, after, end.as_deref(), &mut past).await?;
            end = cut.or(end);
        }
        let within = |sort: &[u8]| end.as_deref().is_none_or(|end| sort <= end);
        let mut items: BTreeMap<Vec<u8>, Bytes> = entries
            .into_iter()
            .filter(|entry| within(&entry.sort) && !past.contains_key(&entry.sort))
            .map(|entry| (entry.sort, entry.value))
            .collect();
        items.extend(past.into_iter().filter_map(|(sort, old)| Some((sort, old?))));
        Ok(Piece { items: items.into_iter().collect(), after: end })
    }

    /// Reads undo records of the items behind `after` up to `end`. Answers where it stopped if that
    /// is earlier.
    async fn undo(
        &self,
        read: &(impl Read + ?Sized),
        after: Option<&[u8]>,
        end: Option<&[u8]>,
        past: &mut Known,
    ) -> Result<Option<Vec<u8>>> {
        let mut walk = Walk::new(self.partition(UNDO_INDEX), after, end);
        let mut bytes = 0;
        while let Some((sort, version, undo)) = walk.next(read).await? {
            if past.contains_key(&sort) || !self.moment.before(&undo, version) {
                continue;
            }
            bytes += undo.old.as_ref().map_or(0, Bytes::len);
            past.insert(sort.clone(), undo.old);
            if past.len() >= ITEMS_PER_PIECE * 2 || bytes >= BYTES_PER_PIECE * 2 {
                // Items that were deleted since lie close: the rest is the next piece's.
                return Ok(Some(sort));
            }
        }
        Ok(None)
    }

    /// Items behind `after` that changed from `from_ms` on and are seen as they were at this moment.
    pub async fn changes(
        &self,
        ctx: &Ctx,
        from_ms: i64,
        after: Option<&[u8]>,
    ) -> Result<(Vec<Changed>, Option<Vec<u8>>)> {
        let snapshot = ctx.store().snapshot().await?;
        let mut walk = Walk::new(self.partition(UNDO_INDEX), after, None);
        let mut found: BTreeMap<Vec<u8>, (Option<Bytes>, i64)> = BTreeMap::new();
        let mut later = Known::new();
        let mut end = None;
        while let Some((sort, version, undo)) = walk.next(&*snapshot).await? {
            let fresh = !found.contains_key(&sort) && !later.contains_key(&sort);
            if fresh && found.len() + later.len() >= ITEMS_PER_PIECE {
                break;
            }
            end = Some(sort.clone());
            if self.moment.before(&undo, version) {
                later.entry(sort).or_insert(undo.old);
            } else if undo.at_ms >= from_ms {
                found.entry(sort).or_insert((undo.old, 0)).1 = undo.at_ms;
            }
        }
        let mut changes = Vec::with_capacity(found.len());
        for (sort, (old, at_ms)) in found {
            let new = match later.remove(&sort) {
                Some(new) => new,
                None => {
                    let key = sereno_store::Key { partition: self.partition(0), sort };
                    snapshot.get(&key).await?.map(|(_, value)| value)
                }
            };
            if old != new {
                changes.push(Changed { old, new, at_ms });
            }
        }
        Ok((changes, end))
    }
}

/// Goes through undo records in order, a page at a time.
struct Walk {
    range: Range,
    page: std::vec::IntoIter<sereno_store::Entry>,
    over: bool,
}

impl Walk {
    fn new(partition: Vec<u8>, after: Option<&[u8]>, end: Option<&[u8]>) -> Walk {
        // No position consists of these bytes alone, so this lies behind all records of the item.
        let behind = |sort: &[u8]| [sort, &[0xff; POSITION_BYTES]].concat();
        let range = Range::all(partition)
            .from(after.map_or(Bound::Unbounded, |after| Bound::Excluded(behind(after))))
            .to(end.map_or(Bound::Unbounded, |end| Bound::Included(behind(end))))
            .limit(1000)
            .bytes_max(BYTES_PER_PIECE);
        Walk { range, page: Vec::new().into_iter(), over: false }
    }

    async fn next(
        &mut self,
        read: &(impl Read + ?Sized),
    ) -> Result<Option<(Vec<u8>, Version, UndoRecord)>> {
        loop {
            if let Some(entry) = self.page.next() {
                let Some((sort, _)) = entry.sort.split_last_chunk::<POSITION_BYTES>() else {
                    continue;
                };
                let undo = UndoRecord::decode(&entry.value)?;
                return Ok(Some((sort.to_vec(), entry.version, undo)));
            }
            if self.over {
                return Ok(None);
            }
            let page = read.range(&self.range).await?;
            match page.last() {
                Some(last) => self.range.from = Bound::Excluded(last.sort.clone()),
                None => self.over = true,
            }
            self.page = page.into_iter();
        }
    }
}

/// Removes undo records from before `horizon_ms`, some at a time. Where to go on; `None` at the end.
pub async fn trim(
    ctx: &Ctx,
    scope: Scope,
    storage: u64,
    horizon_ms: i64,
    after: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>> {
    let partition = ITEMS.partition_key(scope, &(storage, UNDO_INDEX)).partition;
    let range = Range::all(partition.clone())
        .from(after.map_or(Bound::Unbounded, Bound::Excluded))
        .limit(1000)
        .bytes_max(BYTES_PER_PIECE * 4);
    let page = ctx.store().range(&range).await?;
    let end = page.last().map(|entry| entry.sort.clone());
    let mut batch = Batch::new();
    for entry in page {
        if UndoRecord::decode(&entry.value)?.at_ms < horizon_ms {
            let key = sereno_store::Key { partition: partition.clone(), sort: entry.sort };
            sereno_store::Write::delete(&mut batch, key);
        }
    }
    if !batch.mutations.is_empty() {
        ctx.store().commit(batch).await?;
    }
    Ok(end)
}
