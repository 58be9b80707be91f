//! A span of keys inside one partition, and what reading it yields.

use crate::Version;
use bytes::Bytes;
use std::ops::Bound;

/// Which entries to read: a span, a direction, and when to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub partition: Vec<u8>,
    pub from: Bound<Vec<u8>>,
    pub to: Bound<Vec<u8>>,
    /// From `to` down to `from`.
    pub reverse: bool,
    /// Most entries to return.
    pub limit: usize,
    /// Stops behind the entry with which keys and values reach this size.
    pub bytes_max: usize,
}

impl Range {
    /// The whole partition.
    pub fn all(partition: Vec<u8>) -> Range {
        Range {
            partition,
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            reverse: false,
            limit: usize::MAX,
            bytes_max: usize::MAX,
        }
    }

    /// Sort keys that begin with `prefix`.
    pub fn prefix(partition: Vec<u8>, prefix: &[u8]) -> Range {
        Range::all(partition).within(prefix)
    }

    /// Narrows the span to sort keys that begin with `prefix`.
    #[must_use]
    pub fn within(mut self, prefix: &[u8]) -> Range {
        if !prefix.is_empty() {
            self.from = Bound::Included(prefix.to_vec());
            self.to = behind_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        }
        self
    }

    #[must_use]
    pub fn from(mut self, bound: Bound<Vec<u8>>) -> Range {
        self.from = bound;
        self
    }

    #[must_use]
    pub fn to(mut self, bound: Bound<Vec<u8>>) -> Range {
        self.to = bound;
        self
    }

    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Range {
        self.reverse = reverse;
        self
    }

    #[must_use]
    pub fn limit(mut self, entries: usize) -> Range {
        self.limit = entries;
        self
    }

    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Range {
        self.bytes_max = bytes;
        self
    }

    /// Whether no key can lie in the span. Engines ask first: some refuse such bounds.
    pub fn is_empty(&self) -> bool {
        use Bound::{Excluded, Included, Unbounded};
        match (&self.from, &self.to) {
            _ if self.limit == 0 => true,
            (_, Excluded(to)) if to.is_empty() => true,
            (Unbounded, _) | (_, Unbounded) => false,
            (Included(from), Included(to)) => from > to,
            (Included(from), Excluded(to)) | (Excluded(from), Included(to)) => from >= to,
            // Between `from` and its successor `from ‖ 0x00` lies nothing.
            (Excluded(from), Excluded(to)) => from >= to,
        }
    }

    pub fn contains(&self, sort: &[u8]) -> bool {
        let above = match &self.from {
            Bound::Included(from) => sort >= from.as_slice(),
            Bound::Excluded(from) => sort > from.as_slice(),
            Bound::Unbounded => true,
        };
        let below = match &self.to {
            Bound::Included(to) => sort <= to.as_slice(),
            Bound::Excluded(to) => sort < to.as_slice(),
            Bound::Unbounded => true,
        };
        above && below
    }

    /// The part of the span that an answer with these entries has looked at: all of it, unless a
    /// limit stopped the reading.
    #[must_use]
    pub fn seen(&self, answer: &[Entry]) -> Range {
        let mut seen = self.clone();
        let bytes: usize = answer.iter().map(Entry::size).sum();
        let stopped = answer.len() >= self.limit || bytes >= self.bytes_max;
        match answer.last() {
            Some(last) if stopped && self.reverse => seen.from = Bound::Included(last.sort.clone()),
            Some(last) if stopped => seen.to = Bound::Included(last.sort.clone()),
            _ => {}
        }
        seen
    }
}

/// The first byte string behind all those that begin with `prefix`; `None` if there is none.
pub(crate) fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

/// One key with its value, as read from a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's second half; the first is the range's partition.
    pub sort: Vec<u8>,
    /// The commit that wrote the value.
    pub version: Version,
    pub value: Bytes,
}

impl Entry {
    /// What the entry counts against [`Range::bytes_max`].
    pub fn size(&self) -> usize {
        self.sort.len() + self.value.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end() {
        assert_eq!(behind_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind_prefix(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(behind_prefix(&[0xff]), None);
        assert_eq!(behind_prefix(&[]), None);
    }

    #[test]
    fn seen_is_cut_where_the_limit_stopped() {
        let entry = |sort: &[u8]| Entry { sort: sort.to_vec(), version: 1, value: Bytes::new() };
        let range = Range::all(vec![]).limit(2);
        assert_eq!(range.seen(&[entry(b"a")]), range);
        assert_eq!(range.seen(&[entry(b"a"), entry(b"b")]).to, Bound::Included(b"b".to_vec()));
        let range = range.reverse(true);
        assert_eq!(range.seen(&[entry(b"b"), entry(b"a")]).from, Bound::Included(b"a".to_vec()));
    }

    #[test]
    fn empty_spans() {
        let range = |from: &[u8], to: &[u8]| {
            Range::all(vec![]).from(Bound::Included(from.to_vec())).to(Bound::Excluded(to.to_vec()))
        };
        assert!(range(b"b", b"a").is_empty());
        assert!(range(b"a", b"a").is_empty());
        assert!(!range(b"a", b"b").is_empty());
        assert!(Range::all(vec![]).limit(0).is_empty());
        assert!(Range::all(vec![]).to(Bound::Excluded(vec![])).is_empty());
    }
}
