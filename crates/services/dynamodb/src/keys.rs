//! Where an item lies in its table and in its indexes.
//!
//! A sort key is: three bytes of the MD5 of the partition key (DynamoDB's own hash, so a Scan sees
//! partitions in AWS's order and parallel segments are spans of it), the partition key, the sort
//! key. In an index the primary key follows, as a hash: its order there means nothing to a client,
//! and it keeps long keys short.
//! Recorded: dynalite measured the hash against AWS (order of Scan, segments of items).

use md5::{Digest as _, Md5};
use sereno_ddbexpr::encode::{key_part, key_part_prefix};
use sereno_ddbexpr::{Item, Number, Value, limits};
use sha2::Sha256;

use crate::table::KeySchema;

pub const HASH_BYTES: usize = 3;

/// The sort key of an item in the table itself. `None` if a key attribute is missing or of a type
/// that cannot be a key.
pub fn primary(schema: &KeySchema, item: &Item) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(64);
    spread(schema, item, &mut key)?;
    parts(schema, item, &mut key)?;
    Some(key)
}

/// The sort key of an item in an index; `None` if the item does not belong there: it lacks a key
/// attribute, or one has a value that no key can have (an item older than the index).
pub fn in_index(index: &KeySchema, table: &KeySchema, item: &Item) -> Option<Vec<u8>> {
    for (at, attribute) in index.attributes().enumerate() {
        let value = item.get(&attribute.name)?;
        let max = if at < index.hash.len() {
            limits::PARTITION_KEY_BYTES_MAX
        } else {
            limits::SORT_KEY_BYTES_MAX
        };
        if !matches!(value, Value::N(_)) && !(1..=max).contains(&value.size()) {
            return None;
        }
    }
    let mut key = Vec::with_capacity(96);
    spread(index, item, &mut key)?;
    parts(index, item, &mut key)?;
    // Items of one index key come in the order of their primary keys' hash, as AWS's do.
    let mut md5 = hasher();
    for attribute in table.attributes() {
        feed(&mut md5, item.get(&attribute.name)?);
    }
    key.extend_from_slice(&md5.finalize()[..HASH_BYTES]);
    let mut whole = Vec::with_capacity(64);
    parts(table, item, &mut whole)?;
    key.extend_from_slice(&Sha256::digest(&whole)[..16]);
    Some(key)
}

/// What the keys of one item collection begin with.
pub fn collection(schema: &KeySchema, hash: &[&Value]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(48);
    let mut md5 = hasher();
    hash.iter().for_each(|value| feed(&mut md5, value));
    key.extend_from_slice(&md5.finalize()[..HASH_BYTES]);
    debug_assert_eq!(schema.hash.len(), hash.len());
    hash.iter().all(|value| key_part(value, &mut key)).then_some(key)
}

/// Continues a collection's key with a sort key's value.
pub fn with_range(collection: &[u8], value: &Value) -> Option<Vec<u8>> {
    let mut key = collection.to_vec();
    key_part(value, &mut key).then_some(key)
}

/// Continues a collection's key with the beginning of a sort key.
pub fn with_range_prefix(collection: &[u8], prefix: &Value) -> Option<Vec<u8>> {
    let mut key = collection.to_vec();
    match prefix {
        Value::S(text) => key_part_prefix(text.as_bytes(), &mut key),
        Value::B(bytes) => key_part_prefix(bytes, &mut key),
        _ => return None,
    }
    Some(key)
}

/// Expiry first, so that what is due lies at the front.
pub fn expiry(at_s: i64, primary: &[u8]) -> Vec<u8> {
    let mut key = at_s.max(0).to_be_bytes().to_vec();
    key.extend_from_slice(primary);
    key
}

/// The first and the last three bytes of a segment of a parallel scan. AWS cuts at 4,096ths.
pub fn segment(segment: u32, total: u32) -> (Vec<u8>, Option<Vec<u8>>) {
    let cut = |part: u64| (4096 * part).div_ceil(u64::from(total));
    let bytes = |cut: u64| (cut << 12).to_be_bytes()[5..].to_vec();
    let start = cut(u64::from(segment));
    let end = cut(u64::from(segment) + 1);
    (bytes(start), (end < 4096).then(|| bytes(end)))
}

fn spread(schema: &KeySchema, item: &Item, key: &mut Vec<u8>) -> Option<()> {
    let mut md5 = hasher();
    for attribute in &schema.hash {
        feed(&mut md5, item.get(&attribute.name)?);
    }
    key.extend_from_slice(&md5.finalize()[..HASH_BYTES]);
    Some(())
}

fn parts(schema: &KeySchema, item: &Item, key: &mut Vec<u8>) -> Option<()> {
    for attribute in schema.attributes() {
        let value = item.get(&attribute.name).filter(|value| value.kind() == attribute.kind)?;
        key_part(value, key).then_some(())?;
    }
    Some(())
}

fn hasher() -> Md5 {
    let mut md5 = Md5::new();
    md5.update(b"Outliers");
    md5
}

fn feed(md5: &mut Md5, value: &Value) {
    match value {
        Value::S(text) => md5.update(text.as_bytes()),
        Value::B(bytes) => md5.update(bytes),
        Value::N(number) => md5.update(number_bytes(number)),
        _ => {}
    }
}

/// A number as DynamoDB hashes it: exponent of 100, then digits in pairs, each + 1 (or 101 - pair
/// and a closing 102 if negative).
fn number_bytes(number: &Number) -> Vec<u8> {
    let (negative, coefficient, _) = number.parts();
    if coefficient == 0 {
        return vec![0x80];
    }
    let (_, magnitude) = number.digits_and_magnitude();
    let exponent = magnitude + 1;
    let odd = exponent.rem_euclid(2);
    let mut digits: Vec<u8> = coefficient.to_string().bytes().map(|digit| digit - b'0').collect();
    if odd == 1 {
        digits.insert(0, 0);
    }
    if digits.len() % 2 == 1 {
        digits.push(0);
    }
    let head = ((exponent + odd) / 2 - 64) as i8;
    let mut bytes = vec![if negative { !head } else { head }.cast_unsigned()];
    bytes.extend(digits.chunks(2).map(|pair| {
        let pair = pair[0] * 10 + pair[1];
        if negative { 101 - pair } else { pair + 1 }
    }));
    if negative && bytes.len() - 1 < 20 {
        bytes.push(102);
    }
    bytes
}
