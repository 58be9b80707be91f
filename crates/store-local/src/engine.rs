//! What the store asks of an ordered key-value engine: few calls, and no durability of its own.
//! Conflicts, versions, durability are ours, so that engines can be exchanged.
//!
//! Invariants: `apply` is atomic to views; `apply`, `seal` and `clear` are called by one thread
//! only, `checkpoint` by another; a view never changes; a view taken after `apply` has returned
//! holds what it wrote. After a crash an engine holds at least what the last `checkpoint` made
//! durable, and of what came later any beginning: the [log](crate::log) is applied again on top.

use bytes::Bytes;
use sereno_store::Result;
use sereno_store::occ::Span;

/// One key's new value; `None` removes it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

pub trait Engine: Send + Sync + 'static {
    /// The state after the last `apply`.
    fn snapshot(&self) -> Result<Box<dyn View>>;

    /// Writes all or nothing; durable only after a `checkpoint`.
    fn apply(&self, writes: Vec<Write>) -> Result<()>;

    /// Says that what was applied until now is what the next `checkpoint` is about.
    fn seal(&self);

    /// Makes durable all that was sealed. Takes its time; may be repeated after an error.
    fn checkpoint(&self) -> Result<()>;

    /// Removes every key.
    fn clear(&self) -> Result<()>;

    /// Bytes on disk.
    fn size(&self) -> Result<u64>;

    /// How far the engine's work in the background is behind; writers are slowed down from 0.5 on
    /// and stopped at 1.
    fn debt(&self) -> f32 {
        0.0
    }
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
