//! What one group of requests writes together, as it is being gathered.
//!
//! Invariant: later requests, and later mutations of one, see and overrule earlier ones.

use crate::engine::{View, Write};
use bytes::Bytes;
use sereno_store::{Counter, Key, Mutation, Result, StoreError, Version};
use std::collections::HashMap;
use tokio::sync::oneshot;

/// The requests of one group that were found to hold, and what they write together.
#[derive(Default)]
pub struct Group {
    pub writes: HashMap<Vec<u8>, (Version, Option<Vec<u8>>)>,
    pub replies: Vec<(oneshot::Sender<Result<Version>>, Version)>,
    pub refused: Vec<(oneshot::Sender<Result<Version>>, StoreError)>,
}

impl Group {
    /// A key's version and value, the group's own writes included. The value still carries the version.
    fn current(&self, view: &dyn View, key: &[u8]) -> Result<Option<Bytes>> {
        match self.writes.get(key) {
            Some((_, value)) => Ok(value.as_deref().map(Bytes::copy_from_slice)),
            None => view.get(key),
        }
    }

    pub fn version_of(&self, view: &dyn View, key: &[u8]) -> Result<Option<Version>> {
        match self.writes.get(key) {
            Some((version, value)) => Ok(value.as_ref().map(|_| *version)),
            None => {
                view.get(key)?.as_deref().map(|stored| unstamp(stored).map(|(v, _)| v)).transpose()
            }
        }
    }
}

/// A value as it is stored: the version of its commit before it.
fn stamp(version: Version, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(8 + value.len());
    stored.extend_from_slice(&version.to_be_bytes());
    stored.extend_from_slice(value);
    stored
}

/// Undoes `stamp`; the second part is where the value begins.
pub fn unstamp(stored: &[u8]) -> Result<(Version, usize)> {
    let version = stored.first_chunk::<8>();
    let version = version.ok_or_else(|| StoreError::Corrupt("a value without version".into()))?;
    Ok((Version::from_be_bytes(*version), 8))
}

pub fn mutation_bytes(mutation: &Mutation) -> usize {
    match mutation {
        Mutation::Put(key, value) => key.partition.len() + key.sort.len() + value.len(),
        Mutation::Delete(key) | Mutation::Add(key, _) => key.partition.len() + key.sort.len(),
        Mutation::Append { partition, sort_prefix, value } => {
            partition.len() + sort_prefix.len() + value.len()
        }
    }
}

/// What one request's mutations write, later ones over earlier ones.
pub fn resolve(
    group: &Group,
    view: &dyn View,
    version: Version,
    mutations: Vec<Mutation>,
) -> Result<Vec<Write>> {
    let mut writes: Vec<Write> = Vec::with_capacity(mutations.len());
    let mut appends: u16 = 0;
    for mutation in mutations {
        match mutation {
            Mutation::Put(key, value) => {
                writes.push((key.to_bytes(), Some(stamp(version, &value))));
            }
            Mutation::Delete(key) => writes.push((key.to_bytes(), None)),
            Mutation::Add(key, delta) => {
                let key = key.to_bytes();
                let pending = writes.iter().rev().find(|(other, _)| *other == key);
                let old = match pending {
                    Some((_, value)) => value.as_deref().map(Bytes::copy_from_slice),
                    None => group.current(view, &key)?,
                };
                let old = old.map(|stored| unstamp(&stored).map(|(_, at)| stored.slice(at..)));
                let sum = Counter::sum(old.transpose()?.as_ref(), delta)?;
                writes.push((key, Some(stamp(version, &sum))));
            }
            Mutation::Append { partition, sort_prefix: mut sort, value } => {
                sort.extend_from_slice(&version.to_be_bytes());
                sort.extend_from_slice(&appends.to_be_bytes());
                appends += 1;
                writes.push((Key { partition, sort }.to_bytes(), Some(stamp(version, &value))));
            }
        }
    }
    Ok(writes)
}
