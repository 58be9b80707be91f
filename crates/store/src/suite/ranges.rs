//! Spans of keys.

use super::{Random, key};
use crate::{Batch, Entry, Key, Mutation, Range, Read, Store, Write};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

type Shared = Arc<dyn Store>;

fn sorts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| std::str::from_utf8(&entry.sort).expect("text")).collect()
}

async fn filled(store: &Shared) {
    let mut batch = Batch::new();
    for sort in ["a", "b", "ba", "bb", "c", "d"] {
        batch.put(key(sort), sort.into());
    }
    batch.put(Key::new("o", "z"), b"the partition before".to_vec());
    batch.put(Key::new("q", "a"), b"the partition behind".to_vec());
    store.commit(batch).await.expect("put");
}

pub async fn bounds_are_kept(store: Shared) {
    filled(&store).await;
    let all = || Range::all(b"p".to_vec());
    let included = |text: &str| Bound::Included(text.as_bytes().to_vec());
    let excluded = |text: &str| Bound::Excluded(text.as_bytes().to_vec());
    let cases: [(Range, &[&str]); 9] = [
        (all(), &["a", "b", "ba", "bb", "c", "d"]),
        (all().from(included("b")), &["b", "ba", "bb", "c", "d"]),
        (all().from(excluded("b")), &["ba", "bb", "c", "d"]),
        (all().to(included("ba")), &["a", "b", "ba"]),
        (all().to(excluded("ba")), &["a", "b"]),
        (all().from(excluded("a")).to(excluded("c")), &["b", "ba", "bb"]),
        (all().from(included("c")).to(included("c")), &["c"]),
        (all().from(included("c")).to(excluded("b")), &[]),
        (Range::all(b"nobody".to_vec()), &[]),
    ];
    for (range, expected) in cases {
        let found = store.range(&range).await.expect("range");
        assert_eq!(sorts(&found), expected, "{range:?}");
        let mut backward = store.range(&range.clone().reverse(true)).await.expect("range");
        backward.reverse();
        assert_eq!(found, backward, "{range:?}");
    }
}

pub async fn limits_stop(store: Shared) {
    filled(&store).await;
    let all = || Range::all(b"p".to_vec());
    let cases: [(Range, &[&str]); 6] = [
        (all().limit(2), &["a", "b"]),
        (all().limit(2).reverse(true), &["d", "c"]),
        (all().limit(0), &[]),
        (all().bytes_max(1), &["a"]),
        // Two bytes each for "a" and "b", four for "ba".
        (all().bytes_max(5), &["a", "b", "ba"]),
        (all().bytes_max(4).reverse(true), &["d", "c"]),
    ];
    for (range, expected) in cases {
        assert_eq!(sorts(&store.range(&range).await.expect("range")), expected, "{range:?}");
    }
}

pub async fn prefixes_select(store: Shared) {
    let mut batch = Batch::new();
    for sort in
        [&[1][..], &[1, 0xff], &[1, 0xff, 0], &[1, 0xff, 0xff], &[2], &[0xff], &[0xff, 0xff]]
    {
        batch.put(key(sort), sort.to_vec());
    }
    store.commit(batch).await.expect("put");
    for (prefix, count) in
        [(&[][..], 7), (&[1], 4), (&[1, 0xff], 3), (&[0xff], 2), (&[0xff, 0xff], 1), (&[3], 0)]
    {
        let range = Range::prefix(b"p".to_vec(), prefix);
        assert_eq!(store.range(&range).await.expect("range").len(), count, "{prefix:?}");
    }
}

/// Short keys over a small alphabet, so that neighbours and equals are common.
fn random_sort(random: &mut Random) -> Vec<u8> {
    let alphabet = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    (0..random.below(4)).map(|_| alphabet[random.below(6) as usize]).collect()
}

pub(crate) fn random_range(random: &mut Random) -> Range {
    let mut bound = || match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(random_sort(random)),
        _ => Bound::Excluded(random_sort(random)),
    };
    let (from, to) = (bound(), bound());
    let limit = if random.chance(2) { usize::MAX } else { random.below(6) as usize };
    let bytes_max = if random.chance(2) { usize::MAX } else { random.below(12) as usize };
    let range = Range::all(b"p".to_vec()).from(from).to(to).reverse(random.chance(2));
    range.limit(limit).bytes_max(bytes_max)
}

/// What a range must give, by the plainest means.
pub(crate) fn expected(
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    range: &Range,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all: Vec<_> = model.iter().filter(|(sort, _)| range.contains(sort)).collect();
    if range.reverse {
        all.reverse();
    }
    let (mut bytes, mut found) = (0, Vec::new());
    for (sort, value) in all {
        if found.len() >= range.limit || (bytes >= range.bytes_max && !found.is_empty()) {
            break;
        }
        bytes += sort.len() + value.len();
        found.push((sort.clone(), value.clone()));
    }
    found
}

pub(crate) fn pairs(entries: Vec<Entry>) -> Vec<(Vec<u8>, Vec<u8>)> {
    entries.into_iter().map(|entry| (entry.sort, entry.value.to_vec())).collect()
}

pub async fn random_ranges_agree_with_a_model(store: Shared) {
    let mut random = Random::new("random_ranges_agree_with_a_model");
    let mut model = BTreeMap::new();
    for round in 0..20_u8 {
        let mut batch = Batch::new();
        for _ in 0..10 {
            let sort = random_sort(&mut random);
            if random.chance(3) {
                model.remove(&sort);
                batch.delete(key(sort));
            } else {
                model.insert(sort.clone(), vec![round]);
                batch.apply(Mutation::Put(key(sort), vec![round]));
            }
        }
        store.commit(batch).await.expect("commit");
        for _ in 0..20 {
            let range = random_range(&mut random);
            let found = pairs(store.range(&range).await.expect("range"));
            assert_eq!(found, expected(&model, &range), "{range:?}");
        }
    }
}
