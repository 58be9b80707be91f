//! How a key fits into an index: PostgreSQL refuses index entries over about 2,700 bytes, and
//! DynamoDB's keys can be longer.
//!
//! Invariants: rows of one partition sort by `(s, t)` as their sort keys do; different keys differ
//! in `(p, s, h)`, which is the primary key.
//!
//! | column | holds |
//! |---|---|
//! | `p` | `00` and the partition, or for a long one `01`, its beginning and its hash: its order does not matter |
//! | `q` | a long partition, whole; otherwise null |
//! | `s` | the sort key, or the beginning of a long one |
//! | `t` | the rest of a long sort key; otherwise empty |
//! | `h` | the hash of `t`; empty where `t` is |

use sereno_store::Key;
use sha2::{Digest, Sha256};

const PARTITION_BYTES_MAX: usize = 500;
const PARTITION_HEAD_BYTES: usize = 400;
pub const SORT_BYTES_MAX: usize = 1_000;

/// A key in columns.
pub struct Columns {
    pub p: Vec<u8>,
    pub q: Option<Vec<u8>>,
    pub s: Vec<u8>,
    pub t: Vec<u8>,
    pub h: Vec<u8>,
}

pub fn partition(partition: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    if partition.len() <= PARTITION_BYTES_MAX {
        return ([&[0], partition].concat(), None);
    }
    let hash = Sha256::digest(partition);
    let p = [&[1], &partition[..PARTITION_HEAD_BYTES], &hash[..]].concat();
    (p, Some(partition.to_vec()))
}

/// `s` and `t` of a sort key or of a bound.
pub fn sort(sort: &[u8]) -> (&[u8], &[u8]) {
    sort.split_at(sort.len().min(SORT_BYTES_MAX))
}

impl Columns {
    pub fn of(key: &Key) -> Columns {
        let (p, q) = partition(&key.partition);
        let (s, t) = sort(&key.sort);
        let h = if t.is_empty() { Vec::new() } else { Sha256::digest(t).to_vec() };
        Columns { p, q, s: s.to_vec(), t: t.to_vec(), h }
    }
}

/// Undoes [`Columns::of`].
pub fn key(p: &[u8], q: Option<&[u8]>, s: &[u8], t: &[u8]) -> Key {
    let partition = q.unwrap_or_else(|| p.get(1..).unwrap_or_default());
    Key::new(partition, [s, t].concat())
}

/// What stands for a partition in notifications and locks. Equal hashes of different partitions
/// cost a needless wake-up or wait.
pub fn hash(partition: &[u8]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(partition).cast_signed()
}
