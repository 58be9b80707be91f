//! A transaction as its user sees it: reads through, writes kept until the commit and seen by its
//! own reads.
//!
//! Invariants: at most one pending write a key; the engine sees nothing before the commit; an
//! append is invisible until then, because its key is not known.

use crate::batch::admit;
use crate::record::Counter;
use crate::{
    BoxFuture, Entry, Key, Mutation, Range, Read, Result, StoreError, Transaction, Version, Write,
    limits,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Reads and writes that take place together, or not at all. Made by [`transact!`](crate::transact).
pub struct Txn {
    engine: Box<dyn Transaction>,
    pending: BTreeMap<Key, Pending>,
    appends: Vec<Mutation>,
    began: Instant,
    conflicted: AtomicBool,
}

#[derive(Clone)]
enum Pending {
    Put(Bytes),
    Delete,
    Add(i64),
}

impl Txn {
    /// The version of a value that this transaction itself has written.
    pub const PENDING: Version = Version::MAX;

    /// For engines.
    pub fn new(engine: Box<dyn Transaction>) -> Txn {
        Txn {
            engine,
            pending: BTreeMap::new(),
            appends: Vec::new(),
            began: Instant::now(),
            conflicted: AtomicBool::new(false),
        }
    }

    /// Whether a read has already found that the transaction cannot commit.
    pub fn conflicted(&self) -> bool {
        self.conflicted.load(Ordering::Relaxed)
    }

    /// Writes all, if all that was read is still so.
    pub async fn commit(self) -> Result<Version> {
        if self.conflicted() {
            return Err(StoreError::Conflict);
        }
        let age = self.began.elapsed();
        if age > limits::TRANSACTION_AGE_MAX {
            let max = limits::TRANSACTION_AGE_MAX;
            return Err(StoreError::TooLarge(format!(
                "a transaction of {age:.1?}, at most {max:?}"
            )));
        }
        let writes = self.pending.into_iter().map(|(key, pending)| match pending {
            Pending::Put(value) => Mutation::Put(key, value.into()),
            Pending::Delete => Mutation::Delete(key),
            Pending::Add(delta) => Mutation::Add(key, delta),
        });
        let mutations: Vec<Mutation> = writes.chain(self.appends).collect();
        admit(0, &mutations)?;
        self.engine.commit(mutations).await
    }

    fn note<T>(&self, result: Result<T>) -> Result<T> {
        if matches!(result, Err(StoreError::Conflict)) {
            self.conflicted.store(true, Ordering::Relaxed);
        }
        result
    }

    /// The pending writes that lie in a range, in key order.
    fn pending_in<'a>(
        &'a self,
        range: &'a Range,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, &'a Pending)> {
        let at = |sort: &Vec<u8>| Key::new(range.partition.clone(), sort.clone());
        let from = match &range.from {
            Bound::Included(sort) => Bound::Included(at(sort)),
            Bound::Excluded(sort) => Bound::Excluded(at(sort)),
            Bound::Unbounded => Bound::Included(at(&Vec::new())),
        };
        let to = match &range.to {
            Bound::Included(sort) => Bound::Included(at(sort)),
            Bound::Excluded(sort) => Bound::Excluded(at(sort)),
            // The next partition's first key, in the order of `Key`.
            Bound::Unbounded => {
                let mut next = range.partition.clone();
                next.push(0);
                Bound::Excluded(Key::new(next, Vec::new()))
            }
        };
        let span = (!range.is_empty()).then_some((from, to));
        span.into_iter().flat_map(|span| self.pending.range(span))
    }

    async fn merged(&self, range: &Range) -> Result<Vec<Entry>> {
        let pending = self.pending_in(range).count();
        if pending == 0 {
            return self.note(self.engine.range(range).await);
        }
        // With one more than could be hidden, the merged page is complete.
        let mut wide = range.clone();
        wide.limit = range.limit.saturating_add(pending);
        wide.bytes_max = usize::MAX;
        let stored = self.note(self.engine.range(&wide).await)?;
        let mut merged: BTreeMap<Vec<u8>, Entry> =
            stored.into_iter().map(|entry| (entry.sort.clone(), entry)).collect();
        for (key, pending) in self.pending_in(range) {
            let old = merged.remove(&key.sort);
            let value = match pending {
                Pending::Put(value) => value.clone(),
                Pending::Delete => continue,
                // A page that ends before this key does not tell whether there is a value.
                Pending::Add(_) if old.is_none() => match self.get(key).await? {
                    Some((_, value)) => value,
                    None => continue,
                },
                Pending::Add(delta) => Counter::sum(old.map(|entry| entry.value).as_ref(), *delta)?,
            };
            let sort = key.sort.clone();
            merged.insert(sort.clone(), Entry { sort, version: Txn::PENDING, value });
        }
        let mut entries: Vec<Entry> = merged.into_values().collect();
        if range.reverse {
            entries.reverse();
        }
        entries.truncate(range.limit);
        let mut bytes = 0;
        let full = entries.iter().position(|entry| {
            bytes += entry.size();
            bytes >= range.bytes_max
        });
        entries.truncate(full.map_or(usize::MAX, |last| last + 1));
        Ok(entries)
    }
}

impl Read for Txn {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        match self.pending.get(key) {
            None => Box::pin(async { self.note(self.engine.get(key).await) }),
            Some(Pending::Put(value)) => {
                Box::pin(std::future::ready(Ok(Some((Txn::PENDING, value.clone())))))
            }
            Some(Pending::Delete) => Box::pin(std::future::ready(Ok(None))),
            Some(Pending::Add(delta)) => Box::pin(async {
                let old = self.note(self.engine.get(key).await)?;
                let sum = Counter::sum(old.map(|(_, value)| value).as_ref(), *delta)?;
                Ok(Some((Txn::PENDING, sum)))
            }),
        }
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(self.merged(range))
    }
}

impl Write for Txn {
    fn apply(&mut self, mutation: Mutation) {
        match mutation {
            Mutation::Put(key, value) => {
                self.pending.insert(key, Pending::Put(value.into()));
            }
            Mutation::Delete(key) => {
                self.pending.insert(key, Pending::Delete);
            }
            Mutation::Add(key, delta) => {
                let pending = self.pending.entry(key).or_insert(Pending::Add(0));
                *pending = match pending {
                    Pending::Add(sum) => Pending::Add(sum.wrapping_add(delta)),
                    Pending::Delete => Pending::Put(Counter(delta).bytes()),
                    // What is no counter stays, and the engine's commit is not reached with it.
                    Pending::Put(value) => match Counter::sum(Some(value), delta) {
                        Ok(sum) => Pending::Put(sum),
                        Err(_) => Pending::Put(value.clone()),
                    },
                };
            }
            append @ Mutation::Append { .. } => self.appends.push(append),
        }
    }
}
