//! What a transaction has read, in the form that optimistic engines validate.

use crate::key::joined;
use crate::limits::KEY_PART_BYTES_MAX;
use crate::range::behind_prefix;
use crate::{Entry, Key, Range};
use std::ops::Bound;

/// Two ends of a span of [joined](Key::to_bytes) keys.
pub type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The points and spans whose change makes a transaction conflict. Keys are [joined](Key::to_bytes).
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    pub points: Vec<Vec<u8>>,
    pub spans: Vec<Span>,
}

impl ReadSet {
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.spans.is_empty()
    }

    pub fn read_point(&mut self, key: &Key) {
        // What is too long to be written never changes.
        if key.partition.len().max(key.sort.len()) <= KEY_PART_BYTES_MAX {
            self.points.push(key.to_bytes());
        }
    }

    /// Remembers the part of `range` that `answer` is the whole truth about.
    pub fn read_range(&mut self, range: &Range, answer: &[Entry]) {
        if !range.is_empty() && range.partition.len() <= KEY_PART_BYTES_MAX {
            self.spans.push(span(&range.seen(answer)));
        }
    }
}

/// The span of joined keys that a range covers.
pub fn span(range: &Range) -> Span {
    // One byte more than any key has: a longer bound divides the keys in the same place.
    let at =
        |sort: &[u8]| joined(&range.partition, &sort[..sort.len().min(KEY_PART_BYTES_MAX + 1)]);
    let from = match &range.from {
        Bound::Included(sort) => Bound::Included(at(sort)),
        Bound::Excluded(sort) => Bound::Excluded(at(sort)),
        Bound::Unbounded => Bound::Included(at(&[])),
    };
    let to = match &range.to {
        Bound::Included(sort) => Bound::Included(at(sort)),
        Bound::Excluded(sort) => Bound::Excluded(at(sort)),
        Bound::Unbounded => {
            let behind = behind_prefix(&at(&[]));
            Bound::Excluded(behind.expect("a length below 8 KiB does not begin with 0xff"))
        }
    };
    (from, to)
}
