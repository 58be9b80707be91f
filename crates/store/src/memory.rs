//! A store in memory: for tests, and for servers that are meant to forget.
//!
//! Every key has a chain of versions. A snapshot reads the newest value that is not younger than
//! itself; a transaction conflicts if a key it has read has a younger one. Versions that no
//! snapshot can see are dropped.
//!
//! Invariants: chains are in ascending order and never empty; `garbage` names every chain that is
//! longer than one or ends in a deletion.

use crate::key::split;
use crate::occ::{ReadSet, span};
use crate::{
    Batch, BoxFuture, Counter, Entry, Key, Mutation, Range, Read, Result, Snapshot, Store,
    StoreError, Transaction, Txn, Version, Watch, Watchers,
};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone: clones share the data.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    watchers: Watchers,
}

/// The versions of one key, oldest first; `None` is a deletion.
type Chain = Vec<(Version, Option<Bytes>)>;

#[derive(Default)]
struct State {
    /// By [joined](Key::to_bytes) key.
    map: BTreeMap<Vec<u8>, Chain>,
    version: Version,
    /// How many snapshots there are of each version.
    snapshots: BTreeMap<Version, usize>,
    garbage: VecDeque<(Version, Vec<u8>)>,
}

struct View {
    store: MemoryStore,
    version: Version,
}

struct Reader {
    view: View,
    reads: Mutex<ReadSet>,
}

impl State {
    fn at(chain: &Chain, version: Version) -> Option<(Version, Bytes)> {
        let visible = chain.iter().rev().find(|(written, _)| *written <= version)?;
        visible.1.clone().map(|value| (visible.0, value))
    }

    fn get(&self, key: &[u8], version: Version) -> Option<(Version, Bytes)> {
        self.map.get(key).and_then(|chain| State::at(chain, version))
    }

    fn range(&self, range: &Range, version: Version) -> Vec<Entry> {
        if range.is_empty() {
            return Vec::new();
        }
        let named = 2 + range.partition.len();
        let entry = |(key, chain): (&Vec<u8>, &Chain)| {
            let (version, value) = State::at(chain, version)?;
            Some(Entry { sort: key[named..].to_vec(), version, value })
        };
        let mut span = self.map.range(span(range));
        let forward: &mut dyn Iterator<Item = Entry>;
        let mut backward;
        let mut ahead;
        if range.reverse {
            backward = std::iter::from_fn(|| span.next_back()).filter_map(entry);
            forward = &mut backward;
        } else {
            ahead = span.filter_map(entry);
            forward = &mut ahead;
        }
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in forward {
            bytes += entry.size();
            entries.push(entry);
            if entries.len() >= range.limit || bytes >= range.bytes_max {
                break;
            }
        }
        entries
    }

    /// Whether anything that was read has a version younger than `start`.
    fn changed_since(&self, start: Version, reads: &ReadSet) -> bool {
        let younger = |chain: &Chain| chain.last().is_some_and(|(written, _)| *written > start);
        reads.points.iter().any(|key| self.map.get(key).is_some_and(younger))
            || reads.spans.iter().any(|span| self.map.range(span.clone()).any(|(_, c)| younger(c)))
    }

    fn write(&mut self, version: Version, mutations: Vec<Mutation>) -> Result<Vec<Vec<u8>>> {
        let mut writes: BTreeMap<Vec<u8>, Option<Bytes>> = BTreeMap::new();
        let mut appends: u16 = 0;
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => writes.insert(key.to_bytes(), Some(value.into())),
                Mutation::Delete(key) => writes.insert(key.to_bytes(), None),
                Mutation::Add(key, delta) => {
                    let key = key.to_bytes();
                    let old = match writes.get(&key) {
                        Some(pending) => pending.clone(),
                        None => self.get(&key, version).map(|(_, value)| value),
                    };
                    writes.insert(key, Some(Counter::sum(old.as_ref(), delta)?))
                }
                Mutation::Append { partition, sort_prefix: mut sort, value } => {
                    sort.extend_from_slice(&version.to_be_bytes());
                    sort.extend_from_slice(&appends.to_be_bytes());
                    appends += 1;
                    writes.insert(Key { partition, sort }.to_bytes(), Some(value.into()))
                }
            };
        }
        self.version = version;
        let keys = writes.keys().cloned().collect();
        for (key, value) in writes {
            let chain = self.map.entry(key.clone()).or_default();
            if value.is_none() || !chain.is_empty() {
                self.garbage.push_back((version, key));
            }
            chain.push((version, value));
        }
        self.collect();
        Ok(keys)
    }

    /// Drops what no snapshot, present or future, can see.
    fn collect(&mut self) {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(self.version);
        while self.garbage.front().is_some_and(|(version, _)| *version <= oldest) {
            let Some((_, key)) = self.garbage.pop_front() else { return };
            let Some(chain) = self.map.get_mut(&key) else { continue };
            let visible = chain.iter().rposition(|(version, _)| *version <= oldest);
            chain.drain(..visible.unwrap_or(0));
            if matches!(chain[..], [(_, None)]) {
                self.map.remove(&key);
            }
        }
    }
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> View {
        let mut state = self.state();
        let version = state.version;
        *state.snapshots.entry(version).or_default() += 1;
        View { store: self.clone(), version }
    }

    fn write(
        &self,
        mutations: Vec<Mutation>,
        holds: impl FnOnce(&State) -> bool,
    ) -> Result<Version> {
        let mut state = self.state();
        if !holds(&state) {
            return Err(StoreError::Conflict);
        }
        if mutations.is_empty() {
            return Ok(state.version);
        }
        let version = state.version + 1;
        let keys = state.write(version, mutations)?;
        drop(state);
        self.0.watchers.touched(keys.iter().filter_map(|key| split(key).ok()));
        Ok(version)
    }

    fn commit_now(&self, batch: Batch) -> Result<Version> {
        batch.admit()?;
        let checks = batch.checks;
        self.write(batch.mutations, |state| {
            checks.iter().all(|(key, check)| {
                let now = state.get(&key.to_bytes(), Version::MAX);
                check.holds(now.map(|(version, _)| version))
            })
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut state = self.store.state();
        if let Some(count) = state.snapshots.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                state.snapshots.remove(&self.version);
                state.collect();
            }
        }
    }
}

impl Read for View {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(ready(Ok(self.store.state().get(&key.to_bytes(), self.version))))
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(ready(Ok(self.store.state().range(range, self.version))))
    }
}

impl Snapshot for View {
    fn version(&self) -> Version {
        self.version
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Version, Bytes)>>> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_bytes()));
        let state = self.store.state();
        let entries = state.map.range((from, Bound::Unbounded)).filter_map(|(key, chain)| {
            let (version, value) = State::at(chain, self.version)?;
            Some(Key::from_bytes(key).map(|key| (key, version, value)))
        });
        Box::pin(ready(entries.take(limit).collect()))
    }
}

impl Read for Reader {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).read_point(key);
        self.view.get(key)
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        let answer = self.view.store.state().range(range, self.view.version);
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).read_range(range, &answer);
        Box::pin(ready(Ok(answer)))
    }
}

impl Transaction for Reader {
    fn commit(self: Box<Self>, mutations: Vec<Mutation>) -> BoxFuture<'static, Result<Version>> {
        let Reader { view, reads } = *self;
        let reads = reads.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Without writes, the snapshot is the moment at which it all took place.
        if mutations.is_empty() {
            return Box::pin(ready(Ok(view.version)));
        }
        let start = view.version;
        let committed = view.store.write(mutations, |state| !state.changed_since(start, &reads));
        Box::pin(ready(committed))
    }
}

impl Read for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(ready(Ok(self.state().get(&key.to_bytes(), Version::MAX))))
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(ready(Ok(self.state().range(range, Version::MAX))))
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>>> {
        let view: Box<dyn Snapshot> = Box::new(self.view());
        Box::pin(ready(Ok(view)))
    }

    fn begin(&self) -> BoxFuture<'_, Result<Txn>> {
        let reader = Reader { view: self.view(), reads: Mutex::default() };
        Box::pin(ready(Ok(Txn::new(Box::new(reader)))))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Version>> {
        Box::pin(ready(self.commit_now(batch)))
    }

    fn watch(&self, keys: &[Key]) -> Watch {
        self.0.watchers.watch(keys)
    }

    fn clear(&self) -> BoxFuture<'_, Result<()>> {
        let mut state = self.state();
        let version = state.version + 1;
        let keys: Vec<Vec<u8>> = state.map.keys().cloned().collect();
        for key in keys {
            state.map.entry(key.clone()).or_default().push((version, None));
            state.garbage.push_back((version, key));
        }
        state.version = version;
        state.collect();
        drop(state);
        self.0.watchers.touched_all();
        Box::pin(ready(Ok(())))
    }

    fn raise_version(&self, version: Version) -> BoxFuture<'_, Result<()>> {
        let mut state = self.state();
        state.version = state.version.max(version);
        Box::pin(ready(Ok(())))
    }
}
