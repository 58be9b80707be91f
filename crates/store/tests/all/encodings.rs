//! Keys keep their order, records their content: for any values.

use bytes::Bytes;
use proptest::prelude::*;
use sereno_base::{AccountId, Timestamp};
use sereno_store::key::{Position, Tail};
use sereno_store::{Key, Record, Scope, Table, record, record_enum};
use std::collections::BTreeMap;

type Wide = (String, Vec<u8>, i64, bool, u64);
const WIDE: Table<Wide, ()> = Table::<Wide, ()>::new("s", "t").partition(0);
type Rest = (AccountId, u32, Timestamp, Position, Tail);
const REST: Table<Rest, ()> = Table::<Rest, ()>::new("s", "t").partition(0);

/// Short, with many zeros and near-equal values: where escaping goes wrong.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(1), Just(0xff), Just(0xfe), any::<u8>()];
    prop::collection::vec(byte, 0..5)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\0\u{1}a\u{7f}\u{ff}\u{10ffff}]{0,4}", any::<String>()]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-2_i64..3, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn wide() -> impl Strategy<Value = Wide> {
    (text(), bytes(), number(), any::<bool>(), any::<u64>())
}

fn rest() -> impl Strategy<Value = Rest> {
    let account =
        (0_u64..=999_999_999_999).prop_map(|id| AccountId::from_u64(id).expect("twelve digits"));
    let position =
        (any::<u64>(), any::<u16>()).prop_map(|(version, index)| Position { version, index });
    let time = number().prop_map(Timestamp::from_millis);
    (account, any::<u32>(), time, position, bytes().prop_map(Tail))
}

record! {
    pub struct Inner { 1 => text: String, 2 => list: Vec<i64> }
    pub struct Sample {
        1 => flag: bool,
        2 => small: u32,
        3 => large: u64,
        4 => signed: i64,
        5 => real: f64,
        6 => text: String,
        7 => raw: Bytes,
        8 => maybe: Option<String>,
        9 => list: Vec<String>,
        10 => map: BTreeMap<String, Vec<String>>,
        11 => inner: Inner,
        12 => inners: Vec<Inner>,
        13 => choice: Choice,
        14 => when: Option<Timestamp>,
        15 => boxed: Option<Box<Inner>>,
        16 => by_number: BTreeMap<u64, Inner>,
        200 => choices: Vec<Choice>,
        17 => negative: i32,
    }
    /// What an older version knew of it.
    pub struct Older { 2 => small: u32, 10 => map: BTreeMap<String, Vec<String>> }
}

record_enum! {
    pub enum Choice { 1 => Nothing, 2 => Text(String), 3 => Inner(Inner), 4 => Number(i64) }
}

fn inner() -> impl Strategy<Value = Inner> {
    (text(), prop::collection::vec(number(), 0..4)).prop_map(|(text, list)| Inner { text, list })
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        text().prop_map(Choice::Text),
        inner().prop_map(Choice::Inner),
        number().prop_map(Choice::Number),
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    let texts = || prop::collection::vec(text(), 0..3);
    let scalars =
        (any::<bool>(), any::<u32>(), any::<u64>(), number(), -1e300..1e300_f64, any::<i32>());
    let bulk =
        (text(), prop::collection::vec(any::<u8>(), 0..300), prop::option::of(text()), texts());
    let maps = (
        prop::collection::btree_map(text(), texts(), 0..3),
        prop::collection::btree_map(any::<u64>(), inner(), 0..3),
    );
    let nested = (inner(), prop::collection::vec(inner(), 0..3), prop::option::of(inner()));
    let choices = (choice(), prop::collection::vec(choice(), 0..3), prop::option::of(number()));
    (scalars, bulk, maps, nested, choices).prop_map(
        |(scalars, (text, raw, maybe, list), (map, by_number), nested, (choice, choices, when))| {
            let (flag, small, large, signed, real, negative) = scalars;
            let (inner, inners, boxed) = nested;
            let when = when.map(Timestamp::from_millis);
            let (raw, boxed) = (raw.into(), boxed.map(Box::new));
            Sample {
                flag,
                small,
                large,
                signed,
                real,
                text,
                raw,
                maybe,
                list,
                map,
                inner,
                inners,
                choice,
                when,
                boxed,
                by_number,
                choices,
                negative,
            }
        },
    )
}

proptest! {
    #[test]
    fn keys_keep_their_order(a in wide(), b in wide()) {
        let key = |parts: &Wide| WIDE.key(Scope::GLOBAL, parts);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        prop_assert_eq!(key(&a).to_bytes().cmp(&key(&b).to_bytes()), a.cmp(&b));
    }

    #[test]
    fn the_other_parts_keep_their_order(a in rest(), b in rest()) {
        let key = |parts: &Rest| REST.key(Scope::GLOBAL, parts);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn equal_beginnings_decide_by_the_end(a in wide(), b in wide()) {
        let b = (a.0.clone(), a.1.clone(), a.2, b.3, b.4);
        let key = |parts: &Wide| WIDE.key(Scope::GLOBAL, parts);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn joined_keys_split(partition in bytes(), sort in bytes()) {
        let key = Key::new(partition, sort);
        prop_assert_eq!(Key::from_bytes(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn records_come_back(sample in sample()) {
        let bytes = Bytes::from(sample.to_bytes());
        prop_assert_eq!(Sample::decode(&bytes), Ok(sample.clone()));
        // An older version skips what it does not know.
        let older = Older::decode(&bytes).unwrap();
        prop_assert_eq!((older.small, older.map), (sample.small, sample.map));
    }

    #[test]
    fn broken_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..200), sample in sample(), cut in any::<prop::sample::Index>()) {
        drop(Sample::decode(&Bytes::copy_from_slice(&bytes)));
        bytes = sample.to_bytes();
        if !bytes.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
            drop(Sample::decode(&Bytes::from(bytes)));
        }
    }
}

#[test]
fn a_newer_version_reads_old_bytes_with_defaults() {
    let old = Older { small: 7, map: BTreeMap::from([("k".into(), vec!["v".into()])]) };
    let read = Sample::decode(&old.to_bytes().into()).unwrap();
    assert_eq!(read, Sample { small: 7, map: old.map, ..Sample::default() });
    assert_eq!(Sample::default().to_bytes(), Vec::<u8>::new());
}

#[test]
fn an_option_tells_nothing_from_empty() {
    let some = Sample { maybe: Some(String::new()), ..Sample::default() };
    assert_eq!(Sample::decode(&some.to_bytes().into()), Ok(some));
}

#[test]
fn binary_fields_share_the_allocation() {
    let sample = Sample { raw: vec![7; 1000].into(), ..Sample::default() };
    let bytes = Bytes::from(sample.to_bytes());
    let read = Sample::decode(&bytes).unwrap();
    assert!(bytes.as_ptr_range().contains(&read.raw.as_ptr()));
}
