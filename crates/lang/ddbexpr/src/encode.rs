//! Bytes: keys that sort as DynamoDB sorts, and the stored form of an item.
//!
//! Key forms:
//! * [`whole_key`]: the value is the last thing in the key; S and B are their own bytes.
//! * [`key_part`]: something follows, so S and B are escaped (00 → 00 FF, end 00 01).
//! * a number is self-delimiting in both: class, exponent, pairs of digits, end.
//!
//! Stored form: format byte, then names and values as below. It is written once and read for ever:
//! `tests/golden.rs` holds its bytes.

use crate::number::Number;
use crate::value::{Item, Value};

/// The bytes do not hold an item this version can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored item: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

const NEGATIVE: u8 = 0x40;
const ZERO: u8 = 0x80;
const POSITIVE: u8 = 0xC0;
/// Power of ten of the first digit, biased: -130..=125 becomes 0..=255.
const MAGNITUDE_BIAS: i32 = 130;

/// `None` if the value's type cannot be a key.
pub fn whole_key(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::S(text) => Some(text.as_bytes().to_vec()),
        Value::B(bytes) => Some(bytes.clone()),
        Value::N(number) => {
            let mut out = Vec::with_capacity(24);
            number_key(number, &mut out);
            Some(out)
        }
        _ => None,
    }
}

/// Appends the self-delimiting form; false if the value's type cannot be a key.
pub fn key_part(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::S(text) => escape(text.as_bytes(), out),
        Value::B(bytes) => escape(bytes, out),
        Value::N(number) => {
            number_key(number, out);
            return true;
        }
        _ => return false,
    }
    out.extend([0x00, 0x01]);
    true
}

/// What all [`key_part`]s of values beginning with `prefix` begin with.
pub fn key_part_prefix(prefix: &[u8], out: &mut Vec<u8>) {
    escape(prefix, out);
}

/// The first key after all keys that begin with `prefix`; `None` if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
}

fn number_key(number: &Number, out: &mut Vec<u8>) {
    let (negative, coefficient, _) = number.parts();
    if coefficient == 0 {
        out.push(ZERO);
        return;
    }
    let (digits, magnitude) = number.digits_and_magnitude();
    let start = out.len();
    out.push((magnitude + MAGNITUDE_BIAS) as u8);
    // Pairs of digits from the front, each + 1 so that the end (0) sorts before any more digits.
    let even = if digits % 2 == 0 { coefficient } else { coefficient * 10 };
    let pairs = digits.div_ceil(2);
    for pair in (0..pairs).rev() {
        out.push((even / 100u128.pow(pair) % 100) as u8 + 1);
    }
    out.push(0);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.insert(start, if negative { NEGATIVE } else { POSITIVE });
}

const FORMAT: u8 = 1;

mod tag {
    pub const S: u8 = 0;
    pub const N: u8 = 1;
    pub const B: u8 = 2;
    pub const FALSE: u8 = 3;
    pub const TRUE: u8 = 4;
    pub const NULL: u8 = 5;
    pub const M: u8 = 6;
    pub const L: u8 = 7;
    pub const SS: u8 = 8;
    pub const NS: u8 = 9;
    pub const BS: u8 = 10;
}

pub fn encode_item(item: &Item) -> Vec<u8> {
    let mut out = Vec::with_capacity(item.size() + 4 * item.len() + 4);
    out.push(FORMAT);
    put_item(item, &mut out);
    out
}

fn put_item(item: &Item, out: &mut Vec<u8>) {
    put_length(item.len(), out);
    for (name, value) in item.iter() {
        put_bytes(name.as_bytes(), out);
        put_value(value, out);
    }
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::S(text) => {
            out.push(tag::S);
            put_bytes(text.as_bytes(), out);
        }
        Value::N(number) => {
            out.push(tag::N);
            put_number(number, out);
        }
        Value::B(bytes) => {
            out.push(tag::B);
            put_bytes(bytes, out);
        }
        Value::Bool(flag) => out.push(if *flag { tag::TRUE } else { tag::FALSE }),
        Value::Null => out.push(tag::NULL),
        Value::M(map) => {
            out.push(tag::M);
            put_item(map, out);
        }
        Value::L(list) => put_all(tag::L, list, out, put_value),
        Value::Ss(set) => put_all(tag::SS, set, out, |text, out| put_bytes(text.as_bytes(), out)),
        Value::Ns(set) => put_all(tag::NS, set, out, put_number),
        Value::Bs(set) => put_all(tag::BS, set, out, |bytes, out| put_bytes(bytes, out)),
    }
}

fn put_all<T>(tag: u8, all: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    out.push(tag);
    put_length(all.len(), out);
    all.iter().for_each(|one| put(one, out));
}

fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Head: bit 7 sign, bits 0..=4 bytes of coefficient; then exponent, then coefficient, big end first.
fn put_number(number: &Number, out: &mut Vec<u8>) {
    let (negative, coefficient, exponent) = number.parts();
    let bytes = coefficient.to_be_bytes();
    let skip = coefficient.leading_zeros() as usize / 8;
    out.push((u8::from(negative) << 7) | (16 - skip) as u8);
    out.extend(exponent.to_be_bytes());
    out.extend(&bytes[skip..]);
}

pub fn decode_item(bytes: &[u8]) -> Result<Item, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != FORMAT {
        return Err(Malformed("unknown format"));
    }
    let item = reader.item(0)?;
    if reader.rest.is_empty() { Ok(item) } else { Err(Malformed("bytes after the end")) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

/// Deeper than any accepted item (32): guards the stack against corrupt bytes.
const DEPTH_MAX: usize = 64;

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let mut value = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("length too long"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed("not UTF-8"))
    }

    fn item(&mut self, depth: usize) -> Result<Item, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("too deep"));
        }
        let count = self.length()?;
        let mut item = Item::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            let name = self.text()?;
            let value = self.value(depth)?;
            item.insert(name, value);
        }
        Ok(item)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        Ok(match self.byte()? {
            tag::S => Value::S(self.text()?),
            tag::N => Value::N(self.number()?),
            tag::B => Value::B(self.bytes()?.to_vec()),
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag::NULL => Value::Null,
            tag::M => Value::M(self.item(depth + 1)?),
            tag::L if depth > DEPTH_MAX => return Err(Malformed("too deep")),
            tag::L => Value::L(self.all(|reader| reader.value(depth + 1))?),
            tag::SS => Value::Ss(self.all(Self::text)?),
            tag::NS => Value::Ns(self.all(Self::number)?),
            tag::BS => Value::Bs(self.all(|reader| reader.bytes().map(<[u8]>::to_vec))?),
            _ => return Err(Malformed("unknown type")),
        })
    }

    fn all<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.length()?;
        let mut all = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn number(&mut self) -> Result<Number, Malformed> {
        let head = self.byte()?;
        let exponent = self.take(2)?;
        let exponent = i16::from_be_bytes([exponent[0], exponent[1]]);
        let bytes = self.take(usize::from(head & 0x1F))?;
        if bytes.len() > 16 {
            return Err(Malformed("number too long"));
        }
        let coefficient = bytes.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
        Number::from_parts(head & 0x80 != 0, coefficient, exponent)
            .ok_or(Malformed("number out of range"))
    }
}
