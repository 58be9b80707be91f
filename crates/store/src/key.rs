//! Keys: two halves of bytes, made from typed parts so that byte order is the parts' order.
//!
//! Invariants: encoding is injective and order-preserving: for tuples `a` and `b` of one type,
//! `a < b` exactly if their encodings compare so; no encoding is a prefix of another of its type.
//!
//! | part | bytes |
//! |---|---|
//! | text, `Vec<u8>` | the bytes, `00` written as `00 FF`, then `00 01` |
//! | `u64`, `u32` | big endian |
//! | `i64`, [`Timestamp`] | big endian, sign bit flipped |
//! | `bool` | `00`, `01` |
//! | [`AccountId`] | five bytes, big endian |
//! | [`Position`] | version (8, big endian), index (2, big endian): see [`Mutation::Append`](crate::Mutation::Append) |
//! | [`Tail`] | the bytes as they are; only as the last part |

use crate::{Result, StoreError};
use sereno_base::{AccountId, Region, Timestamp};

/// A key of the map. Ranges stay inside a partition. Made by [`Table`](crate::Table).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub partition: Vec<u8>,
    pub sort: Vec<u8>,
}

impl Key {
    pub fn new(partition: impl Into<Vec<u8>>, sort: impl Into<Vec<u8>>) -> Key {
        Key { partition: partition.into(), sort: sort.into() }
    }

    pub(crate) fn size(&self) -> usize {
        self.partition.len() + self.sort.len()
    }

    /// One byte string for engines that have no partitions: the partition's length (2 bytes, big
    /// endian), the partition, the sort. Keys of a partition are neighbours, in order.
    pub fn to_bytes(&self) -> Vec<u8> {
        joined(&self.partition, &self.sort)
    }

    /// Undoes [`to_bytes`](Key::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Key> {
        let (partition, sort) = split(bytes)?;
        Ok(Key::new(partition, sort))
    }
}

/// [`Key::to_bytes`] of borrowed halves. The partition must be within its limit.
pub fn joined(partition: &[u8], sort: &[u8]) -> Vec<u8> {
    let length = u16::try_from(partition.len()).expect("commits and reads admit 8 KiB at most");
    let mut bytes = Vec::with_capacity(2 + partition.len() + sort.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(partition);
    bytes.extend_from_slice(sort);
    bytes
}

/// The halves of a [joined](Key::to_bytes) key.
pub fn split(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(|| corrupt("a short key"))?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or_else(|| corrupt("a key shorter than its partition"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// Whose data: the first parts of every key. Made from the request's context only, so that one
/// tenant cannot name another's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    account: u64,
    region: Option<Region>,
}

impl Scope {
    /// What belongs to no account: the server's own tables, indexes over all accounts.
    pub const GLOBAL: Scope = Scope { account: 0xff_ffff_ffff, region: None };

    /// `None` as region for services that are the same in all regions.
    pub const fn new(account: AccountId, region: Option<Region>) -> Scope {
        Scope { account: account.as_u64(), region }
    }

    /// The same account's keys of another region.
    #[must_use]
    pub const fn in_region(self, region: Region) -> Scope {
        Scope { region: Some(region), ..self }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.account.to_be_bytes()[3..]);
        escape(self.region.map_or("", Region::as_str).as_bytes(), out);
        terminate(out);
    }
}

/// Bytes that end a key as they are, unescaped: for keys that already carry an order of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tail(pub Vec<u8>);

/// The part that [`Mutation::Append`](crate::Mutation::Append) fills in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub version: u64,
    pub index: u16,
}

/// One part of a key, as the table's type names it.
pub trait Part: Sized {
    fn decode(input: &mut &[u8]) -> Result<Self>;
}

/// A value that can stand for the part `T` in a look-up: `&str` for `String` and so on.
pub trait PartOf<T> {
    fn encode_part(&self, out: &mut Vec<u8>);
}

impl<T, Q: PartOf<T> + ?Sized> PartOf<T> for &Q {
    fn encode_part(&self, out: &mut Vec<u8>) {
        (**self).encode_part(out);
    }
}

/// Appends bytes with each `00` as `00 FF`.
pub(crate) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut runs = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(runs.next().unwrap_or_default());
    for run in runs {
        out.extend_from_slice(&[0x00, 0xff]);
        out.extend_from_slice(run);
    }
}

pub(crate) fn terminate(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x00, 0x01]);
}

fn unescape(input: &mut &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let zero = input.iter().position(|byte| *byte == 0);
        let zero = zero.ok_or_else(|| corrupt("a key part without its end"))?;
        out.extend_from_slice(&input[..zero]);
        let mark = input.get(zero + 1).copied();
        *input = input.get(zero + 2..).unwrap_or_default();
        match mark {
            Some(0xff) => out.push(0),
            Some(0x01) => return Ok(out),
            _ => return Err(corrupt("a key part with an unknown escape")),
        }
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or_else(|| corrupt("a short key part"))?;
    *input = rest;
    Ok(*head)
}

impl Part for String {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        String::from_utf8(unescape(input)?).map_err(|_| corrupt("a text key part is not UTF-8"))
    }
}

impl PartOf<String> for str {
    fn encode_part(&self, out: &mut Vec<u8>) {
        escape(self.as_bytes(), out);
        terminate(out);
    }
}

impl PartOf<String> for String {
    fn encode_part(&self, out: &mut Vec<u8>) {
        self.as_str().encode_part(out);
    }
}

impl Part for Vec<u8> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        unescape(input)
    }
}

impl PartOf<Vec<u8>> for [u8] {
    fn encode_part(&self, out: &mut Vec<u8>) {
        escape(self, out);
        terminate(out);
    }
}

impl PartOf<Vec<u8>> for Vec<u8> {
    fn encode_part(&self, out: &mut Vec<u8>) {
        PartOf::<Vec<u8>>::encode_part(self.as_slice(), out);
    }
}

impl Part for Tail {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok(Tail(std::mem::take(input).to_vec()))
    }
}

impl PartOf<Tail> for Tail {
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl PartOf<Tail> for [u8] {
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Parts of a fixed number of bytes: `type, bytes, to bytes, from bytes`.
macro_rules! fixed_part {
    ($($ty:ty, $len:literal, $to:expr, $from:expr;)+) => {$(
        impl Part for $ty {
            fn decode(input: &mut &[u8]) -> Result<Self> {
                let from: fn([u8; $len]) -> Result<$ty> = $from;
                from(take::<$len>(input)?)
            }
        }
        impl PartOf<$ty> for $ty {
            fn encode_part(&self, out: &mut Vec<u8>) {
                let to: fn($ty) -> [u8; $len] = $to;
                out.extend_from_slice(&to(*self));
            }
        }
    )+};
}

const SIGN: u64 = 1 << 63;

fixed_part! {
    u64, 8, u64::to_be_bytes, |bytes| Ok(u64::from_be_bytes(bytes));
    u32, 4, u32::to_be_bytes, |bytes| Ok(u32::from_be_bytes(bytes));
    i64, 8, |n| (n.cast_unsigned() ^ SIGN).to_be_bytes(),
        |bytes| Ok((u64::from_be_bytes(bytes) ^ SIGN).cast_signed());
    Timestamp, 8, |t| (t.millis().cast_unsigned() ^ SIGN).to_be_bytes(),
        |bytes| Ok(Timestamp::from_millis((u64::from_be_bytes(bytes) ^ SIGN).cast_signed()));
    bool, 1, |b| [u8::from(b)], |[byte]| match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(corrupt("a bool in a key is neither 0 nor 1")),
    };
    AccountId, 5, |account| {
        let [_, _, _, rest @ ..] = account.as_u64().to_be_bytes();
        rest
    }, |[a, b, c, d, e]| {
        let number = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        AccountId::from_u64(number).ok_or_else(|| corrupt("an account over twelve digits"))
    };
    Position, 10, |position| {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&position.version.to_be_bytes());
        bytes[8..].copy_from_slice(&position.index.to_be_bytes());
        bytes
    }, |[version @ .., high, low]| Ok(Position {
        version: u64::from_be_bytes(version),
        index: u16::from_be_bytes([high, low]),
    });
}

/// The two halves under construction: the first `boundary` parts go to the partition.
pub struct KeyWriter<'a> {
    pub key: &'a mut Key,
    pub boundary: usize,
}

impl KeyWriter<'_> {
    fn part<T>(&mut self, index: usize, part: &impl PartOf<T>) {
        let half = if index < self.boundary { &mut self.key.partition } else { &mut self.key.sort };
        part.encode_part(half);
    }
}

/// The two halves being read.
pub struct KeyReader<'a> {
    pub partition: &'a [u8],
    pub sort: &'a [u8],
    pub boundary: usize,
}

impl KeyReader<'_> {
    fn part<T: Part>(&mut self, index: usize) -> Result<T> {
        T::decode(if index < self.boundary { &mut self.partition } else { &mut self.sort })
    }
}

/// The key of a table: a part, or a tuple of parts.
pub trait KeyTuple: Sized + Send {
    const PARTS: usize;
    fn decode(reader: &mut KeyReader<'_>) -> Result<Self>;
}

/// A value that names one whole key of type `K`, perhaps from borrowed parts.
pub trait KeyOf<K> {
    fn write_key(&self, writer: &mut KeyWriter<'_>);
}

/// A tuple of the first parts of a `K`; `()` for none.
pub trait PrefixOf<K> {
    const PARTS: usize;
    fn write_prefix(&self, writer: &mut KeyWriter<'_>);
}

impl<K> PrefixOf<K> for () {
    const PARTS: usize = 0;
    fn write_prefix(&self, _: &mut KeyWriter<'_>) {}
}

macro_rules! single {
    ($($ty:ty),+) => {$(
        impl KeyTuple for $ty {
            const PARTS: usize = 1;
            fn decode(reader: &mut KeyReader<'_>) -> Result<Self> {
                reader.part(0)
            }
        }
        impl<Q: PartOf<$ty> + ?Sized> KeyOf<$ty> for Q {
            fn write_key(&self, writer: &mut KeyWriter<'_>) {
                writer.part::<$ty>(0, &self);
            }
        }
    )+};
}

single!(String, Vec<u8>, Tail, u64, u32, i64, bool, Timestamp, AccountId, Position);

macro_rules! tuple {
    ($count:literal: $($part:ident $query:ident $index:tt),+) => {
        impl<$($part: Part + Send),+> KeyTuple for ($($part,)+) {
            const PARTS: usize = $count;
            fn decode(reader: &mut KeyReader<'_>) -> Result<Self> {
                Ok(($(reader.part::<$part>($index)?,)+))
            }
        }
        impl<$($part,)+ $($query: PartOf<$part>),+> KeyOf<($($part,)+)> for ($($query,)+) {
            fn write_key(&self, writer: &mut KeyWriter<'_>) {
                $(writer.part::<$part>($index, &self.$index);)+
            }
        }
    };
}

tuple!(1: A QA 0);
tuple!(2: A QA 0, B QB 1);
tuple!(3: A QA 0, B QB 1, C QC 2);
tuple!(4: A QA 0, B QB 1, C QC 2, D QD 3);
tuple!(5: A QA 0, B QB 1, C QC 2, D QD 3, E QE 4);

macro_rules! prefix {
    ($count:literal: $($part:ident $query:ident $index:tt),+; $($rest:ident)*) => {
        impl<$($part,)+ $($rest,)* $($query: PartOf<$part>),+> PrefixOf<($($part,)+ $($rest,)*)>
            for ($($query,)+)
        {
            const PARTS: usize = $count;
            fn write_prefix(&self, writer: &mut KeyWriter<'_>) {
                $(writer.part::<$part>($index, &self.$index);)+
            }
        }
    };
}

prefix!(1: A QA 0; B);
prefix!(1: A QA 0; B C);
prefix!(1: A QA 0; B C D);
prefix!(1: A QA 0; B C D E);
prefix!(2: A QA 0, B QB 1; C);
prefix!(2: A QA 0, B QB 1; C D);
prefix!(2: A QA 0, B QB 1; C D E);
prefix!(3: A QA 0, B QB 1, C QC 2; D);
prefix!(3: A QA 0, B QB 1, C QC 2; D E);
prefix!(4: A QA 0, B QB 1, C QC 2, D QD 3; E);
