//! The bytes of the log: segments and the records in them.
//!
//! ```text
//! segment  "SERLOG1\n", number u64, salt u64, checksum u64 of these 24 bytes, then records
//! record   checksum u64 of the rest of the record, seeded with the segment's salt
//!          previous u64, the checksum of the record before it in the log
//!          number u64, one more than that of the record before it
//!          length u32 of the payload, kind u32
//!          payload, then zeros up to a multiple of 8
//! payload  of a group of writes: key length u32, value length u32 (all ones: removal), key, value ...
//! ```
//!
//! Numbers are little endian. A segment is used again under another number with another salt, so
//! that nothing in it from its last use, and nothing that a user can store in a value, is taken
//! for a record. `previous` ties records together: after a torn end was written over, no older
//! record behind it can follow a younger one.

use crate::engine::Write;
use sereno_store::{Result, StoreError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: [u8; 8] = *b"SERLOG1\n";
pub const SEGMENT_HEAD: usize = 32;
const RECORD_HEAD: usize = 32;
const REMOVAL: u32 = u32::MAX;

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Writes = 1,
    /// Everything before it is gone.
    Clear = 2,
}

/// The record to be written next: how it is tied to the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tie {
    pub previous: u64,
    pub number: u64,
}

pub fn segment_head(number: u64, salt: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&number.to_le_bytes());
    head.extend_from_slice(&salt.to_le_bytes());
    head.extend_from_slice(&xxh3_64(&head).to_le_bytes());
    head
}

/// The salt of a segment, if its head is whole and its own.
pub fn segment_salt(bytes: &[u8], number: u64) -> Option<u64> {
    let salt = word(bytes, 16)?;
    (bytes.get(..SEGMENT_HEAD)? == segment_head(number, salt)).then_some(salt)
}

/// Writes a record to `out`, which it clears; gives the tie for the next one.
pub fn encode(out: &mut Vec<u8>, kind: Kind, writes: &[Write], salt: u64, tie: Tie) -> Result<Tie> {
    out.clear();
    out.resize(8, 0);
    out.extend_from_slice(&tie.previous.to_le_bytes());
    out.extend_from_slice(&tie.number.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(kind as u32).to_le_bytes());
    for (key, value) in writes {
        out.extend_from_slice(&length(key.len())?.to_le_bytes());
        let size = value.as_ref().map_or(Ok(REMOVAL), |value| length(value.len()))?;
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let payload = length(out.len() - RECORD_HEAD)?;
    out[24..28].copy_from_slice(&payload.to_le_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
    let checksum = xxh3_64_with_seed(&out[8..], salt);
    out[..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(Tie { previous: checksum, number: tie.number + 1 })
}

fn length(length: usize) -> Result<u32> {
    let length = u32::try_from(length).ok().filter(|length| *length != REMOVAL);
    length.ok_or_else(|| StoreError::TooLarge("a group over 4 GiB".into()))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    let half = bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    half.and_then(|half| usize::try_from(half).ok())
}

/// A whole record.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: Kind,
    pub tie: Tie,
    pub checksum: u64,
    payload: &'a [u8],
    /// Where the next one begins.
    pub end: usize,
}

/// The record at `at`, if there is a whole one of this segment; not whether it is tied.
pub fn decode(segment: &[u8], at: usize, salt: u64) -> Option<Record<'_>> {
    let checksum = word(segment, at)?;
    let tie = Tie { previous: word(segment, at + 8)?, number: word(segment, at + 16)? };
    let kind = match half(segment, at + 28)? {
        1 => Kind::Writes,
        2 => Kind::Clear,
        _ => return None,
    };
    let length = half(segment, at + 24)?;
    let end = at.checked_add(RECORD_HEAD + length)?.checked_next_multiple_of(8)?;
    let content = segment.get(at + 8..end)?;
    let is_whole = xxh3_64_with_seed(content, salt) == checksum;
    let payload = content.get(RECORD_HEAD - 8..RECORD_HEAD - 8 + length)?;
    is_whole.then_some(Record { kind, tie, checksum, payload, end })
}

/// Whether a whole record with a number of at least `number` lies somewhere behind `from`.
pub fn is_followed(segment: &[u8], from: usize, salt: u64, number: u64) -> bool {
    (from..segment.len()).step_by(8).any(|at| {
        // Most places are told by this alone.
        word(segment, at + 16).is_some_and(|found| found >= number)
            && decode(segment, at, salt).is_some()
    })
}

impl Record<'_> {
    pub fn writes(&self) -> Result<Vec<Write>> {
        let mut rest = self.payload;
        let mut writes = Vec::new();
        while !rest.is_empty() {
            let write = split(&mut rest);
            let damaged = || StoreError::Corrupt("a record of the log is malformed".into());
            writes.push(write.ok_or_else(damaged)?);
        }
        Ok(writes)
    }
}

fn split(rest: &mut &[u8]) -> Option<Write> {
    let (key, value) = (half(rest, 0)?, half(rest, 4)?);
    let (key, behind) = rest.get(8..)?.split_at_checked(key)?;
    let removal = usize::try_from(REMOVAL).ok()?;
    let (value, behind) = match value {
        size if size == removal => (None, behind),
        size => {
            let (value, behind) = behind.split_at_checked(size)?;
            (Some(value.to_vec()), behind)
        }
    };
    *rest = behind;
    Some((key.to_vec(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> (Vec<u8>, Vec<usize>, Tie) {
        let mut segment = segment_head(7, 99);
        let (mut tie, mut ends, mut record) = (Tie::default(), Vec::new(), Vec::new());
        for number in 0..5_u8 {
            let writes = [(vec![number], Some(vec![number; 10])), (vec![0xff], None)];
            tie = encode(&mut record, Kind::Writes, &writes, 99, tie).unwrap();
            segment.extend_from_slice(&record);
            ends.push(segment.len());
        }
        (segment, ends, tie)
    }

    #[test]
    fn records_come_back_tied() {
        let (segment, ends, last) = segment();
        assert_eq!(segment_salt(&segment, 7), Some(99));
        assert_eq!(segment_salt(&segment, 8), None);
        let (mut at, mut tie) = (SEGMENT_HEAD, Tie::default());
        for (number, end) in (0_u8..).zip(&ends) {
            let record = decode(&segment, at, 99).unwrap();
            assert_eq!((record.tie, record.end), (tie, *end));
            let expected = vec![(vec![number], Some(vec![number; 10])), (vec![0xff], None)];
            assert_eq!(record.writes(), Ok(expected));
            tie = Tie { previous: record.checksum, number: tie.number + 1 };
            at = record.end;
        }
        assert_eq!(tie, last);
        assert_eq!(decode(&segment, at, 99), None);
    }

    #[test]
    fn damage_and_other_salts_are_no_record() {
        let (segment, ends, _) = segment();
        assert_eq!(decode(&segment, SEGMENT_HEAD, 98), None);
        for at in SEGMENT_HEAD..ends[0] {
            let mut damaged = segment.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged, SEGMENT_HEAD, 99), None, "{at}");
            assert!(is_followed(&damaged, SEGMENT_HEAD, 99, 1));
            assert!(!is_followed(&damaged[..ends[0]], SEGMENT_HEAD, 99, 1));
        }
        for length in 0..segment.len() {
            let whole = decode(&segment[..length], SEGMENT_HEAD, 99).is_some();
            assert_eq!(whole, length >= ends[0]);
        }
    }
}
