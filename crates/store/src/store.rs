//! What an engine implements, and what everybody else sees of it.

use crate::{Batch, Entry, Key, Mutation, Range, Result, Txn, Watch};
use bytes::Bytes;
use std::pin::Pin;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The number of a commit; strictly growing, not dense.
pub type Version = u64;

/// Something to read from: the store as it is now, a past moment, or a transaction.
pub trait Read: Send + Sync {
    /// The value at `key` and the commit that wrote it.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>>;

    /// The entries of a range, in order, all from one moment.
    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>>;
}

/// The state after one commit, unchanged by later ones. Hold it briefly: it keeps old values alive.
pub trait Snapshot: Read {
    /// The last commit it includes.
    fn version(&self) -> Version;

    /// Every entry of every partition behind `after`, in the engine's own order: for backups,
    /// verification and moving to another engine.
    fn page<'a>(
        &'a self,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Version, Bytes)>>>;
}

/// An engine's half of a [`Txn`]: reads are remembered, and `commit` takes place only if they
/// would still give the same answers. Writes are kept by [`Txn`] until then.
pub trait Transaction: Read {
    fn commit(self: Box<Self>, mutations: Vec<Mutation>) -> BoxFuture<'static, Result<Version>>;
}

/// An ordered map with strictly serialisable transactions; see the [crate's documentation](crate).
///
/// As a [`Read`] it gives the newest state, each call on its own.
pub trait Store: Read + 'static {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>>>;

    /// Prefer [`transact!`](crate::transact), which retries.
    fn begin(&self) -> BoxFuture<'_, Result<Txn>>;

    /// Checks and writes in one round trip. A check that does not hold is a
    /// [`Conflict`](crate::StoreError::Conflict).
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Version>>;

    /// Resolves at a commit after this call that touches one of the keys. A key with an empty sort
    /// stands for its whole partition. It may also resolve without cause: read again, then watch
    /// again. To miss nothing, first watch, then read, then wait.
    ///
    /// The watches of this process are woken before the commit returns, so a cache that looks at
    /// its [`Watch::is_woken`] before it is used is never older than an answer that was given here;
    /// those of other processes soon after.
    fn watch(&self, keys: &[Key]) -> Watch;

    /// Whether other processes write here too. Then their commits wake a watch a moment later, and
    /// what must never be a moment old is read each time.
    fn is_shared(&self) -> bool {
        false
    }

    /// Removes everything. Transactions under way will conflict.
    fn clear(&self) -> BoxFuture<'_, Result<()>>;

    /// Makes all later versions greater than `version`: for a restore, whose appended keys carry
    /// versions of the past.
    fn raise_version(&self, version: Version) -> BoxFuture<'_, Result<()>>;
}

impl<R: Read + ?Sized> Read for Box<R> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        (**self).get(key)
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        (**self).range(range)
    }
}

impl<R: Read + ?Sized> Read for std::sync::Arc<R> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        (**self).get(key)
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        (**self).range(range)
    }
}
