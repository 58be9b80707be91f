//! What the store asks of an ordered key-value engine: five calls. Conflicts, versions, durability
//! of a group and everything else is ours, so that engines can be exchanged.
//!
//! Invariants: `apply` is atomic and called by one thread only; a view never changes; a view taken
//! after `apply` has returned holds what it wrote.

use bytes::Bytes;
use sereno_store::Result;
use sereno_store::occ::Span;

/// One key's new value; `None` removes it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

pub trait Engine: Send + Sync + 'static {
    /// The state after the last `apply`.
    fn snapshot(&self) -> Result<Box<dyn View>>;

    /// Writes all or nothing. With `sync`, on disk when it returns; without, at the latest with the
    /// next `apply` that has it. An error leaves open whether the writes are there.
    fn apply(&self, writes: Vec<Write>, sync: bool) -> Result<()>;

    /// Removes every key, durably.
    fn clear(&self) -> Result<()>;

    /// Bytes on disk.
    fn size(&self) -> Result<u64>;

    /// What a crash of the process, not of the machine, may take from an `apply` without `sync`.
    fn keeps_unsynced_on_exit(&self) -> bool;
}

/// A moment in time.
pub trait View: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Calls `visit` with keys and values in order, from the end if `reverse`, until it says
    /// `false`.
    fn range(
        &self,
        span: &Span,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()>;
}
