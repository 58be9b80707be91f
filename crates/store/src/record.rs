//! Records: values as numbered fields, so that old bytes stay readable and new ones can be skipped.
//!
//! A record is a sequence of fields, each a tag (varint of `number << 3 | form`) and a payload:
//!
//! | form | payload | types |
//! |---|---|---|
//! | 0 | varint | `bool`, `u32`, `u64`; `i32`, `i64`, `Timestamp` zigzag |
//! | 1 | 8 bytes, little endian | `f64` |
//! | 2 | varint length, bytes | `String`, `Bytes`, `Region`, records, enums, entries of maps |
//!
//! A field that has its default is not written. `Option` is written if it is there; a `Vec`
//! repeats its field; a map repeats it with records `{ 1 => key, 2 => value }`. An enum is a
//! record with one field: its variant. Unknown fields are skipped.
//!
//! Rules: a number is never reused, a field's type never changes, a variant never gets another
//! number. Golden files of each service show a breach in review.

use crate::{Result, StoreError};
use bytes::Bytes;
use sereno_base::{Region, Timestamp};
use std::collections::BTreeMap;

/// What a [`Table`](crate::Table) can hold. Made by [`record!`](crate::record!) and
/// [`record_enum!`](crate::record_enum!).
pub trait Record: Sized + Send {
    fn encode(&self, out: &mut Vec<u8>);

    /// Fields of type `Bytes` share `bytes` instead of copying.
    fn decode(bytes: &Bytes) -> Result<Self>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A piece of encoded bytes and the allocation it lies in.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    pub root: &'a Bytes,
    pub bytes: &'a [u8],
}

/// A payload as read, not yet typed.
#[derive(Clone, Copy)]
pub enum Raw<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(Piece<'a>),
}

/// A type with exactly one payload.
pub trait Value: Sized {
    fn is_default(&self) -> bool;
    /// Tag and payload.
    fn write(&self, number: u32, out: &mut Vec<u8>);
    fn read(raw: Raw<'_>) -> Result<Self>;
}

/// A type that a record's field can have: no payload, one, or many.
pub trait Field: Default {
    fn write(&self, number: u32, out: &mut Vec<u8>);
    /// Takes one more payload.
    fn merge(&mut self, raw: Raw<'_>) -> Result<()>;
}

impl<T: Value + Default> Field for T {
    fn write(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_default() {
            Value::write(self, number, out);
        }
    }

    fn merge(&mut self, raw: Raw<'_>) -> Result<()> {
        *self = T::read(raw)?;
        Ok(())
    }
}

impl<T: Value> Field for Option<T> {
    fn write(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write(number, out);
        }
    }

    fn merge(&mut self, raw: Raw<'_>) -> Result<()> {
        *self = Some(T::read(raw)?);
        Ok(())
    }
}

impl<T: Value> Field for Vec<T> {
    fn write(&self, number: u32, out: &mut Vec<u8>) {
        for value in self {
            value.write(number, out);
        }
    }

    fn merge(&mut self, raw: Raw<'_>) -> Result<()> {
        self.push(T::read(raw)?);
        Ok(())
    }
}

impl<K: Value + Default + Ord, V: Field> Field for BTreeMap<K, V> {
    fn write(&self, number: u32, out: &mut Vec<u8>) {
        for (key, value) in self {
            write_nested(number, out, |out| {
                Field::write(key, 1, out);
                value.write(2, out);
            });
        }
    }

    fn merge(&mut self, raw: Raw<'_>) -> Result<()> {
        let (mut key, mut value) = (K::default(), V::default());
        read_fields(piece(raw)?, |number, raw| match number {
            1 => Field::merge(&mut key, raw),
            2 => value.merge(raw),
            _ => Ok(()),
        })?;
        self.insert(key, value);
        Ok(())
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a record with {what}"))
}

pub fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(input: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = input.split_first().ok_or_else(|| corrupt("a cut number"))?;
        *input = rest;
        if shift == 63 && *byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(number);
        }
    }
    Err(corrupt("a number over 64 bits"))
}

fn write_tag(number: u32, form: u8, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | u64::from(form), out);
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_tag(number, 2, out);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Writes a payload whose length is known only afterwards.
pub fn write_nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_tag(number, 2, out);
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(4);
        write_varint(length as u64, &mut prefix);
        out.splice(start..=start, prefix);
    }
}

/// Calls `field` with each field in turn.
pub fn read_fields<'a>(
    piece: Piece<'a>,
    mut field: impl FnMut(u32, Raw<'a>) -> Result<()>,
) -> Result<()> {
    let mut input = piece.bytes;
    while !input.is_empty() {
        let tag = read_varint(&mut input)?;
        let number = u32::try_from(tag >> 3).map_err(|_| corrupt("a field number too large"))?;
        let raw = match tag & 7 {
            0 => Raw::Varint(read_varint(&mut input)?),
            1 => {
                let (bytes, rest) =
                    input.split_first_chunk::<8>().ok_or_else(|| corrupt("a cut number"))?;
                input = rest;
                Raw::Fixed(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(read_varint(&mut input)?);
                let split = length.ok().and_then(|length| input.split_at_checked(length));
                let (bytes, rest) = split.ok_or_else(|| corrupt("a cut field"))?;
                input = rest;
                Raw::Bytes(Piece { root: piece.root, bytes })
            }
            _ => return Err(corrupt("a field of unknown form")),
        };
        field(number, raw)?;
    }
    Ok(())
}

/// The payload of a field of form 2.
pub fn piece(raw: Raw<'_>) -> Result<Piece<'_>> {
    match raw {
        Raw::Bytes(piece) => Ok(piece),
        _ => Err(corrupt("a field of another form than expected")),
    }
}

fn varint(raw: Raw<'_>) -> Result<u64> {
    match raw {
        Raw::Varint(number) => Ok(number),
        _ => Err(corrupt("a field of another form than expected")),
    }
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Types written as a varint: `type, to number, from number`.
macro_rules! varint_value {
    ($($ty:ty, $to:expr, $from:expr;)+) => {$(
        impl Value for $ty {
            fn is_default(&self) -> bool {
                *self == <$ty>::default()
            }
            fn write(&self, number: u32, out: &mut Vec<u8>) {
                let to: fn($ty) -> u64 = $to;
                write_tag(number, 0, out);
                write_varint(to(*self), out);
            }
            fn read(raw: Raw<'_>) -> Result<Self> {
                let from: fn(u64) -> Option<$ty> = $from;
                from(varint(raw)?).ok_or_else(|| corrupt("a number out of its field's bounds"))
            }
        }
    )+};
}

varint_value! {
    bool, u64::from, |n| (n < 2).then_some(n == 1);
    u32, u64::from, |n| n.try_into().ok();
    u64, |n| n, Some;
    i32, |n| zigzag(n.into()), |n| unzigzag(n).try_into().ok();
    i64, zigzag, |n| Some(unzigzag(n));
    Timestamp, |t| zigzag(t.millis()), |n| Some(Timestamp::from_millis(unzigzag(n)));
}

impl Value for f64 {
    fn is_default(&self) -> bool {
        self.to_bits() == 0
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        write_tag(number, 1, out);
        out.extend_from_slice(&self.to_bits().to_le_bytes());
    }

    fn read(raw: Raw<'_>) -> Result<Self> {
        match raw {
            Raw::Fixed(bits) => Ok(f64::from_bits(bits)),
            _ => Err(corrupt("a field of another form than expected")),
        }
    }
}

impl Value for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        write_bytes(number, self.as_bytes(), out);
    }

    fn read(raw: Raw<'_>) -> Result<Self> {
        let bytes = piece(raw)?.bytes.to_vec();
        String::from_utf8(bytes).map_err(|_| corrupt("a text that is not UTF-8"))
    }
}

impl Value for Bytes {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        write_bytes(number, self, out);
    }

    fn read(raw: Raw<'_>) -> Result<Self> {
        let Piece { root, bytes } = piece(raw)?;
        Ok(root.slice_ref(bytes))
    }
}

impl Value for Region {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        write_bytes(number, self.as_str().as_bytes(), out);
    }

    fn read(raw: Raw<'_>) -> Result<Self> {
        let name = std::str::from_utf8(piece(raw)?.bytes).ok();
        name.and_then(Region::parse).ok_or_else(|| corrupt("an unknown region"))
    }
}

impl<T: Value> Value for Box<T> {
    fn is_default(&self) -> bool {
        (**self).is_default()
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        (**self).write(number, out);
    }

    fn read(raw: Raw<'_>) -> Result<Self> {
        T::read(raw).map(Box::new)
    }
}

/// A number that [`Mutation::Add`](crate::Mutation::Add) changes without reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter(pub i64);

impl Counter {
    pub(crate) fn bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }

    /// The counter's value after adding `delta`; for engines.
    pub fn sum(old: Option<&Bytes>, delta: i64) -> Result<Bytes> {
        let old = old.map(Counter::decode).transpose()?.unwrap_or_default();
        Ok(Counter(old.0.wrapping_add(delta)).bytes())
    }
}

impl Record for Counter {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &Bytes) -> Result<Self> {
        let bytes = <[u8; 8]>::try_from(&bytes[..]);
        let bytes = bytes.map_err(|_| StoreError::Corrupt("a counter of another size".into()))?;
        Ok(Counter(i64::from_le_bytes(bytes)))
    }
}

/// A table of raw bytes, for values with a form of their own.
impl Record for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: &Bytes) -> Result<Self> {
        Ok(bytes.clone())
    }
}

/// A set: the keys are all there is.
impl Record for () {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &Bytes) -> Result<Self> {
        Ok(())
    }
}

#[doc(hidden)]
pub const fn assert_numbers(numbers: &[u32]) {
    let mut at = 0;
    while at < numbers.len() {
        assert!(numbers[at] > 0 && numbers[at] < 1 << 28, "field numbers are 1 to 2^28");
        let mut other = at + 1;
        while other < numbers.len() {
            assert!(numbers[at] != numbers[other], "two fields with the same number");
            other += 1;
        }
        at += 1;
    }
}

#[doc(hidden)]
pub fn write_unit(number: u32, out: &mut Vec<u8>) {
    write_tag(number, 0, out);
    out.push(0);
}

#[doc(hidden)]
pub fn unknown_variant(name: &str) -> StoreError {
    StoreError::Corrupt(format!("a {name} that this version does not know"))
}
