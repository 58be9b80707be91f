//! Typed views of the map: the only makers of keys.
//!
//! A table's keys begin with its service, its name, and the [`Scope`] of the caller; then come the
//! parts of `K`. All parts but the last belong to the partition unless [`Table::partition`] says
//! otherwise; what shares a partition can be listed in order.

use crate::key::{KeyOf, KeyReader, KeyTuple, KeyWriter, PrefixOf, escape, terminate};
use crate::{
    Batch, Check, Entry, Key, Mutation, Range, Read, Record, Result, Scope, StoreError, Version,
    Write,
};
use std::marker::PhantomData;
use std::ops::Bound;

/// A map from `K` to `V` for each scope. Declared as a constant.
pub struct Table<K, V> {
    service: &'static str,
    name: &'static str,
    /// How many parts of `K` are the partition.
    boundary: usize,
    kind: PhantomData<fn(K) -> V>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> std::fmt::Display for Table<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.service, self.name)
    }
}

impl<K: KeyTuple, V: Record> Table<K, V> {
    /// Names are part of every key: they cannot change once there is data.
    pub const fn new(service: &'static str, name: &'static str) -> Table<K, V> {
        Table { service, name, boundary: K::PARTS - 1, kind: PhantomData }
    }

    /// The first `parts` parts are the partition. Cannot change once there is data.
    #[must_use]
    pub const fn partition(mut self, parts: usize) -> Table<K, V> {
        assert!(parts <= K::PARTS, "a key has fewer parts than that");
        self.boundary = parts;
        self
    }

    /// What the partitions of this table, and of no other, begin with.
    pub fn partitions_begin(&self) -> Vec<u8> {
        let mut partition = Vec::with_capacity(self.service.len() + self.name.len() + 64);
        escape(self.service.as_bytes(), &mut partition);
        terminate(&mut partition);
        escape(self.name.as_bytes(), &mut partition);
        terminate(&mut partition);
        partition
    }

    fn begin(&self, scope: Scope) -> Key {
        let mut partition = self.partitions_begin();
        scope.encode(&mut partition);
        Key { partition, sort: Vec::new() }
    }

    /// The key in the map: for watches, and mutations made by hand.
    pub fn key<Q: KeyOf<K> + ?Sized>(&self, scope: Scope, key: &Q) -> Key {
        let mut made = self.begin(scope);
        key.write_key(&mut KeyWriter { key: &mut made, boundary: self.boundary });
        made
    }

    /// A key that stands for a whole partition in [`watch`](crate::Store::watch).
    pub fn partition_key<P: PrefixOf<K>>(&self, scope: Scope, prefix: &P) -> Key {
        debug_assert_eq!(P::PARTS, self.boundary, "exactly the parts of the partition");
        let mut made = self.begin(scope);
        prefix.write_prefix(&mut KeyWriter { key: &mut made, boundary: self.boundary });
        made
    }

    pub async fn get<R, Q>(&self, read: &R, scope: Scope, key: &Q) -> Result<Option<V>>
    where
        R: Read + ?Sized,
        Q: KeyOf<K> + ?Sized,
    {
        Ok(self.get_versioned(read, scope, key).await?.map(|(_, value)| value))
    }

    /// The value and the version to give to [`Check::At`].
    pub async fn get_versioned<R, Q>(
        &self,
        read: &R,
        scope: Scope,
        key: &Q,
    ) -> Result<Option<(Version, V)>>
    where
        R: Read + ?Sized,
        Q: KeyOf<K> + ?Sized,
    {
        let key = self.key(scope, key);
        match read.get(&key).await? {
            Some((version, bytes)) => Ok(Some((version, V::decode(&bytes)?))),
            None => Ok(None),
        }
    }

    pub fn put<W, Q>(&self, write: &mut W, scope: Scope, key: &Q, value: &V)
    where
        W: Write + ?Sized,
        Q: KeyOf<K> + ?Sized,
    {
        write.apply(Mutation::Put(self.key(scope, key), value.to_bytes()));
    }

    pub fn delete<W, Q>(&self, write: &mut W, scope: Scope, key: &Q)
    where
        W: Write + ?Sized,
        Q: KeyOf<K> + ?Sized,
    {
        write.apply(Mutation::Delete(self.key(scope, key)));
    }

    /// A condition of a batch.
    pub fn check<Q>(&self, batch: &mut Batch, scope: Scope, key: &Q, check: Check)
    where
        Q: KeyOf<K> + ?Sized,
    {
        batch.checks.push((self.key(scope, key), check));
    }

    /// Starts a listing of the keys that begin with `prefix`: at least the parts of the partition.
    pub fn list<P: PrefixOf<K>>(&self, scope: Scope, prefix: P) -> List<K, V> {
        assert!(P::PARTS >= self.boundary, "{}: a listing needs the partition's parts", self.name);
        let mut key = self.begin(scope);
        let named = key.partition.len();
        prefix.write_prefix(&mut KeyWriter { key: &mut key, boundary: self.boundary });
        let range = Range::prefix(key.partition, &key.sort);
        List { table: *self, range, prefix: key.sort, named }
    }
}

impl<K: KeyTuple> Table<K, crate::Counter> {
    /// Adds to a counter without reading it.
    pub fn add<W, Q>(&self, write: &mut W, scope: Scope, key: &Q, delta: i64)
    where
        W: Write + ?Sized,
        Q: KeyOf<K> + ?Sized,
    {
        write.apply(Mutation::Add(self.key(scope, key), delta));
    }
}

impl<K: KeyTuple, V: Record> Table<K, V> {
    /// Puts `value` behind all that was appended to `prefix` before: the commit fills in the
    /// [`Position`](crate::key::Position), the last part of the key.
    pub fn append<W, P>(&self, write: &mut W, scope: Scope, prefix: &P, value: &V)
    where
        W: Write + ?Sized,
        P: PrefixOf<K>,
    {
        assert!(P::PARTS + 1 == K::PARTS, "{}: append needs all parts but the last", self.name);
        let mut key = self.begin(scope);
        prefix.write_prefix(&mut KeyWriter { key: &mut key, boundary: self.boundary });
        let Key { partition, sort: sort_prefix } = key;
        write.apply(Mutation::Append { partition, sort_prefix, value: value.to_bytes() });
    }
}

/// A listing under construction: narrow it, then [`read`](List::read).
pub struct List<K, V> {
    table: Table<K, V>,
    range: Range,
    /// The prefix's share of the sort.
    prefix: Vec<u8>,
    /// Length of what precedes `K`'s parts in the partition.
    named: usize,
}

impl<K: KeyTuple, V: Record> List<K, V> {
    /// Only keys whose next part, a text, begins with `text`.
    #[must_use]
    pub fn starting_with(mut self, text: &str) -> Self {
        escape(text.as_bytes(), &mut self.prefix);
        self.range = self.range.within(&self.prefix);
        self
    }

    /// Only keys from this whole key on.
    #[must_use]
    pub fn from<Q: KeyOf<K> + ?Sized>(self, key: &Q) -> Self {
        let bound = self.whole(key);
        self.lower(Bound::Included(bound))
    }

    /// Only keys behind this whole key: the way to the next page.
    #[must_use]
    pub fn after<Q: KeyOf<K> + ?Sized>(self, key: &Q) -> Self {
        let bound = self.whole(key);
        self.lower(Bound::Excluded(bound))
    }

    /// Only keys up to this whole key, and the key itself.
    #[must_use]
    pub fn to<Q: KeyOf<K> + ?Sized>(self, key: &Q) -> Self {
        let bound = self.whole(key);
        self.upper(Bound::Included(bound))
    }

    /// Only keys before this whole key: the way to the next page of a reversed listing.
    #[must_use]
    pub fn before<Q: KeyOf<K> + ?Sized>(self, key: &Q) -> Self {
        let bound = self.whole(key);
        self.upper(Bound::Excluded(bound))
    }

    /// From the last to the first.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.range.reverse = reverse;
        self
    }

    #[must_use]
    pub fn limit(mut self, entries: usize) -> Self {
        self.range.limit = entries;
        self
    }

    /// Stops behind the entry with which keys and values reach this size.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.range.bytes_max = bytes;
        self
    }

    /// The range that is read: for transactions by hand.
    pub fn range(&self) -> &Range {
        &self.range
    }

    pub async fn read<R: Read + ?Sized>(self, read: &R) -> Result<Vec<(K, V)>> {
        let entries = read.range(&self.range).await?;
        entries.iter().map(|entry| self.decode(entry)).collect()
    }

    /// Like [`read`](List::read), with the version of each value.
    pub async fn read_versioned<R>(self, read: &R) -> Result<Vec<(K, Version, V)>>
    where
        R: Read + ?Sized,
    {
        let entries = read.range(&self.range).await?;
        let decode = |entry| self.decode(entry).map(|(key, value)| (key, entry.version, value));
        entries.iter().map(decode).collect()
    }

    fn decode(&self, entry: &Entry) -> Result<(K, V)> {
        let mut reader = KeyReader {
            partition: &self.range.partition[self.named..],
            sort: &entry.sort,
            boundary: self.table.boundary,
        };
        let key = K::decode(&mut reader)?;
        if !reader.sort.is_empty() {
            let Table { service, name, .. } = self.table;
            return Err(StoreError::Corrupt(format!("a key of {service} {name} is too long")));
        }
        Ok((key, V::decode(&entry.value)?))
    }

    fn whole<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Vec<u8> {
        let mut made = Key::default();
        key.write_key(&mut KeyWriter { key: &mut made, boundary: self.table.boundary });
        made.sort
    }

    /// Narrows only: a bound outside the prefix must not widen the listing.
    fn lower(mut self, bound: Bound<Vec<u8>>) -> Self {
        // (bytes, 1) starts behind (bytes, 0).
        let place = |bound: &Bound<Vec<u8>>| match bound {
            Bound::Included(bytes) => Some((bytes.clone(), 0)),
            Bound::Excluded(bytes) => Some((bytes.clone(), 1)),
            Bound::Unbounded => None,
        };
        if place(&bound) > place(&self.range.from) {
            self.range.from = bound;
        }
        self
    }

    fn upper(mut self, bound: Bound<Vec<u8>>) -> Self {
        // (bytes, 0) ends before (bytes, 1); without a bound it ends behind everything.
        let place = |bound: &Bound<Vec<u8>>| match bound {
            Bound::Excluded(bytes) => (false, bytes.clone(), 0),
            Bound::Included(bytes) => (false, bytes.clone(), 1),
            Bound::Unbounded => (true, Vec::new(), 0),
        };
        if place(&bound) < place(&self.range.to) {
            self.range.to = bound;
        }
        self
    }
}
