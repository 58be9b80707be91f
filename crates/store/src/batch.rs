//! Writes: what a commit does to the map, and what must hold for it.

use crate::{Key, Result, StoreError, Version, limits};

/// What a key must be for a batch to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Absent,
    Present,
    /// Present, and last written by this commit.
    At(Version),
}

impl Check {
    /// Whether it holds for a key last written by `version`, or for one that is not there.
    pub fn holds(self, version: Option<Version>) -> bool {
        match self {
            Check::Absent => version.is_none(),
            Check::Present => version.is_some(),
            Check::At(expected) => version == Some(expected),
        }
    }
}

/// One change. None of them needs to be read before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    Put(Key, Vec<u8>),
    Delete(Key),
    /// Adds to a counter: 8 bytes, little endian, signed, wrapping; absent counts as zero. A
    /// [`Table`](crate::Table) of [`Counter`](crate::Counter) reads it.
    Add(Key, i64),
    /// Puts at a key that only the commit knows: the prefix, then the commit's version (8 bytes, big
    /// endian), then this append's place in the commit (2 bytes, big endian). So appended entries
    /// lie in the order of their commits.
    Append {
        partition: Vec<u8>,
        sort_prefix: Vec<u8>,
        value: Vec<u8>,
    },
}

impl Mutation {
    pub(crate) fn size(&self) -> usize {
        match self {
            Mutation::Put(key, value) => key.size() + value.len(),
            Mutation::Delete(key) => key.size(),
            Mutation::Add(key, _) => key.size() + 8,
            Mutation::Append { partition, sort_prefix, value } => {
                partition.len() + sort_prefix.len() + 10 + value.len()
            }
        }
    }

    fn key_part_longest(&self) -> usize {
        match self {
            Mutation::Put(key, _) | Mutation::Delete(key) | Mutation::Add(key, _) => {
                key.partition.len().max(key.sort.len())
            }
            Mutation::Append { partition, sort_prefix, .. } => {
                partition.len().max(sort_prefix.len() + 10)
            }
        }
    }
}

/// Checks and mutations that take place together in one round trip, or not at all.
///
/// Mutations apply in order: a later one sees the earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub checks: Vec<(Key, Check)>,
    pub mutations: Vec<Mutation>,
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    #[must_use]
    pub fn check(mut self, key: Key, check: Check) -> Batch {
        self.checks.push((key, check));
        self
    }

    /// Adds a mutation of any kind; `put`, `delete`, `add`, `append` of [`Write`] push in place.
    #[must_use]
    pub fn with(mut self, mutation: Mutation) -> Batch {
        self.mutations.push(mutation);
        self
    }

    /// Refuses what is over the limits. Engines call it before anything else.
    pub fn admit(&self) -> Result<()> {
        let checked = self.checks.iter().map(|(key, _)| key.partition.len().max(key.sort.len()));
        admit_key_part(checked.max())?;
        admit(self.checks.len(), &self.mutations)
    }
}

/// The limits of a commit.
pub(crate) fn admit(checks: usize, mutations: &[Mutation]) -> Result<()> {
    let operations = checks + mutations.len();
    if operations > limits::TRANSACTION_OPERATIONS_MAX {
        let max = limits::TRANSACTION_OPERATIONS_MAX;
        return Err(StoreError::TooLarge(format!(
            "{operations} operations in a commit, at most {max}"
        )));
    }
    let bytes: usize = mutations.iter().map(Mutation::size).sum();
    if bytes > limits::TRANSACTION_BYTES_MAX {
        let max = limits::TRANSACTION_BYTES_MAX;
        return Err(StoreError::TooLarge(format!("a commit of {bytes} bytes, at most {max}")));
    }
    admit_key_part(mutations.iter().map(Mutation::key_part_longest).max())
}

fn admit_key_part(longest: Option<usize>) -> Result<()> {
    match longest {
        Some(part) if part > limits::KEY_PART_BYTES_MAX => {
            let max = limits::KEY_PART_BYTES_MAX;
            Err(StoreError::TooLarge(format!("a key part of {part} bytes, at most {max}")))
        }
        _ => Ok(()),
    }
}

/// Where mutations go: a [`Batch`] or a [`Txn`](crate::Txn).
pub trait Write {
    fn apply(&mut self, mutation: Mutation);

    fn put(&mut self, key: Key, value: Vec<u8>) {
        self.apply(Mutation::Put(key, value));
    }

    fn delete(&mut self, key: Key) {
        self.apply(Mutation::Delete(key));
    }

    fn add(&mut self, key: Key, delta: i64) {
        self.apply(Mutation::Add(key, delta));
    }

    fn append(&mut self, partition: Vec<u8>, sort_prefix: Vec<u8>, value: Vec<u8>) {
        self.apply(Mutation::Append { partition, sort_prefix, value });
    }
}

impl Write for Batch {
    fn apply(&mut self, mutation: Mutation) {
        self.mutations.push(mutation);
    }
}
