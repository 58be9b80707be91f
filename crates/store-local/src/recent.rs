//! What the last commits have written: what a transaction's reads are validated against.
//!
//! Invariants: every commit younger than `floor` is remembered; a transaction that began before
//! `floor` conflicts. So the window may be cut anywhere, at the price of retries.

use sereno_store::Version;
use sereno_store::occ::ReadSet;
use std::collections::{BTreeMap, VecDeque};

/// Keys remembered; at 100 bytes a key about 20 MiB when a long transaction meets a write storm.
const KEYS_MAX: usize = 100_000;

#[derive(Default)]
pub struct Recent {
    /// The last write of each key.
    written: BTreeMap<Vec<u8>, Version>,
    /// Writes in the order of their commits.
    order: VecDeque<(Version, Vec<u8>)>,
    floor: Version,
}

impl Recent {
    /// Whether all that was read at `start` is still so.
    pub fn admits(&self, start: Version, reads: &ReadSet) -> bool {
        if start < self.floor {
            return false;
        }
        let old = |written: &Version| *written <= start;
        reads.points.iter().all(|key| self.written.get(key).is_none_or(old))
            && reads.spans.iter().all(|span| {
                self.written.range::<Vec<u8>, _>(span.clone()).all(|(_, written)| old(written))
            })
    }

    pub fn remember(&mut self, version: Version, key: &[u8]) {
        self.written.insert(key.to_vec(), version);
        self.order.push_back((version, key.to_vec()));
        while self.order.len() > KEYS_MAX {
            self.forget_oldest();
        }
    }

    /// Gives up on all commits up to this one: nobody is reading, or everything was cleared.
    pub fn forget_until(&mut self, version: Version) {
        self.floor = self.floor.max(version);
        if self.order.back().is_some_and(|(last, _)| *last <= version) {
            *self = Recent { floor: self.floor, ..Recent::default() };
        }
        while self.order.front().is_some_and(|(oldest, _)| *oldest <= version) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((version, key)) = self.order.pop_front() else { return };
        self.floor = self.floor.max(version);
        if self.written.get(&key) == Some(&version) {
            self.written.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Bound;

    fn reads(point: &[u8], span: (&[u8], &[u8])) -> ReadSet {
        let (from, to) = (Bound::Included(span.0.to_vec()), Bound::Excluded(span.1.to_vec()));
        ReadSet { points: vec![point.to_vec()], spans: vec![(from, to)] }
    }

    #[test]
    fn points_and_spans_conflict_with_younger_writes() {
        let mut recent = Recent::default();
        recent.remember(5, b"m");
        assert!(!recent.admits(4, &reads(b"m", (b"x", b"z"))));
        assert!(!recent.admits(4, &reads(b"a", (b"l", b"n"))));
        assert!(recent.admits(4, &reads(b"a", (b"n", b"z"))));
        assert!(recent.admits(5, &reads(b"m", (b"l", b"n"))));
    }

    #[test]
    fn what_was_forgotten_conflicts() {
        let mut recent = Recent::default();
        for version in 1..=10 {
            recent.remember(version, b"k");
        }
        recent.forget_until(4);
        assert!(!recent.admits(3, &reads(b"other", (b"x", b"z"))));
        assert!(recent.admits(4, &reads(b"other", (b"x", b"z"))));
        assert!(!recent.admits(9, &reads(b"k", (b"x", b"z"))));
        recent.forget_until(10);
        assert!(recent.written.is_empty() && recent.order.is_empty());
        assert!(!recent.admits(9, &ReadSet::default()));
    }
}
