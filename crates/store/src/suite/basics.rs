//! Values, versions, checks, mutations, snapshots.

use super::{key, value};
use crate::{
    Batch, Check, Counter, Key, Mutation, Range, Read, Record, Store, StoreError, Version, Write,
};
use bytes::Bytes;
use std::sync::Arc;

type Shared = Arc<dyn Store>;

pub(crate) fn put(sort: &str, content: &str) -> Batch {
    Batch::new().with(Mutation::Put(key(sort), content.into()))
}

pub async fn values_come_back(store: Shared) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let contents = [&b""[..], b"x", &all_bytes, &[0, 0xff, 0]];
    for (number, content) in contents.iter().enumerate() {
        let sort = vec![0, u8::try_from(number).expect("few"), 0xff];
        store
            .commit(Batch::new().with(Mutation::Put(key(sort.clone()), content.to_vec())))
            .await
            .expect("put");
        assert_eq!(value(store.get(&key(sort)).await.expect("get")).as_deref(), Some(*content));
    }
    assert_eq!(store.get(&key("nothing")).await, Ok(None));
    store.commit(put("a", "1")).await.expect("put");
    store.commit(put("a", "2")).await.expect("overwrite");
    assert_eq!(value(store.get(&key("a")).await.expect("get")).as_deref(), Some(&b"2"[..]));
    store.commit(Batch::new().with(Mutation::Delete(key("a")))).await.expect("delete");
    store.commit(Batch::new().with(Mutation::Delete(key("a")))).await.expect("delete again");
    assert_eq!(store.get(&key("a")).await, Ok(None));
}

pub async fn versions_grow_and_name_the_commit(store: Shared) {
    let mut last = 0;
    for round in 0..20 {
        let version = store.commit(put("a", &round.to_string())).await.expect("put");
        assert!(version > last, "{version} after {last}");
        let (found, _) = store.get(&key("a")).await.expect("get").expect("there");
        assert_eq!(found, version);
        let entries = store.range(&Range::all(b"p".to_vec())).await.expect("range");
        assert_eq!(entries[0].version, version);
        last = version;
    }
    assert_eq!(store.snapshot().await.expect("snapshot").version(), last);
}

pub async fn halves_of_keys_stay_apart(store: Shared) {
    let keys = [
        Key::new("a", "bc"),
        Key::new("ab", "c"),
        Key::new("abc", ""),
        Key::new("", "abc"),
        Key::new("a\0", "b"),
        Key::new("a", "\0b"),
        Key::new(vec![0xff; 300], "a"),
        Key::new(vec![0xff; 301], ""),
    ];
    let mut batch = Batch::new();
    for (number, key) in keys.iter().enumerate() {
        batch.put(key.clone(), vec![u8::try_from(number).expect("few")]);
    }
    store.commit(batch).await.expect("put");
    for (number, key) in keys.iter().enumerate() {
        let found = value(store.get(key).await.expect("get"));
        assert_eq!(found, Some(vec![u8::try_from(number).expect("few")]), "{key:?}");
        let entries = store.range(&Range::all(key.partition.clone())).await.expect("range");
        let own = keys.iter().filter(|other| other.partition == key.partition).count();
        assert_eq!(entries.len(), own, "{key:?}");
    }
}

pub async fn checks_guard_a_batch(store: Shared) {
    let checked = |check| put("a", "new").check(key("a"), check);
    let conflict = Err(StoreError::Conflict);
    assert_eq!(store.commit(checked(Check::Present)).await, conflict);
    assert_eq!(store.commit(checked(Check::At(1))).await, conflict);
    let version = store.commit(checked(Check::Absent)).await.expect("absent");
    assert_eq!(store.commit(checked(Check::Absent)).await, conflict);
    assert_eq!(store.commit(checked(Check::At(version - 1))).await, conflict);
    assert_eq!(store.commit(checked(Check::At(version + 1))).await, conflict);
    let version = store.commit(checked(Check::At(version))).await.expect("at");
    store.commit(checked(Check::Present)).await.expect("present");
    assert_eq!(store.commit(checked(Check::At(version))).await, conflict);
    // A check of a key that is not written, and a batch that only checks.
    let guarded = put("b", "x").check(key("a"), Check::Absent);
    assert_eq!(store.commit(guarded).await, conflict);
    assert_eq!(store.get(&key("b")).await, Ok(None));
    store.commit(Batch::new().check(key("a"), Check::Present)).await.expect("only a check");
    let absent = Batch::new().check(key("a"), Check::Absent);
    assert_eq!(store.commit(absent).await, conflict);
    // Checks see the state before the batch.
    let replace = put("a", "y").check(key("a"), Check::Present).with(Mutation::Delete(key("a")));
    store.commit(replace).await.expect("put, then delete");
    assert_eq!(store.get(&key("a")).await, Ok(None));
}

pub async fn a_failed_batch_writes_nothing(store: Shared) {
    store.commit(put("a", "1")).await.expect("put");
    let before = store.snapshot().await.expect("snapshot").page(None, 100).await.expect("page");
    let mut batch = put("b", "2").check(key("x"), Check::Absent).check(key("a"), Check::Absent);
    batch.delete(key("a"));
    batch.add(key("c"), 1);
    batch.append(b"p".to_vec(), b"d".to_vec(), b"3".to_vec());
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict));
    let after = store.snapshot().await.expect("snapshot").page(None, 100).await.expect("page");
    assert_eq!(before, after);
    // A counter on what is no counter is an error, and nothing of that batch is written either.
    let mut batch = put("b", "2");
    batch.add(key("a"), 1);
    assert!(matches!(store.commit(batch).await, Err(StoreError::Corrupt(_))));
    assert_eq!(store.get(&key("b")).await, Ok(None));
    store.commit(put("b", "2")).await.expect("the store still works");
}

pub async fn mutations_apply_in_order(store: Shared) {
    let mut batch = put("a", "1");
    batch.delete(key("a"));
    batch.put(key("a"), b"2".to_vec());
    batch.put(key("b"), b"1".to_vec());
    batch.delete(key("b"));
    batch.add(key("c"), 5);
    batch.add(key("c"), -2);
    batch.put(key("d"), Counter(10).to_bytes());
    batch.add(key("d"), 1);
    batch.add(key("e"), 7);
    batch.delete(key("e"));
    batch.add(key("e"), 1);
    store.commit(batch).await.expect("commit");
    let read = |sort: &'static str| {
        let store = store.clone();
        async move { value(store.get(&key(sort)).await.expect("get")) }
    };
    assert_eq!(read("a").await, Some(b"2".to_vec()));
    assert_eq!(read("b").await, None);
    assert_eq!(read("c").await, Some(Counter(3).to_bytes()));
    assert_eq!(read("d").await, Some(Counter(11).to_bytes()));
    assert_eq!(read("e").await, Some(Counter(1).to_bytes()));
}

pub async fn counters_add(store: Shared) {
    for delta in [5, -7, i64::MAX, i64::MAX] {
        store.commit(Batch::new().with(Mutation::Add(key("n"), delta))).await.expect("add");
    }
    let expected = (-2_i64).wrapping_add(i64::MAX).wrapping_add(i64::MAX);
    let found = value(store.get(&key("n")).await.expect("get")).expect("there");
    assert_eq!(Counter::decode(&Bytes::from(found)), Ok(Counter(expected)));
}

pub async fn appends_lie_in_commit_order(store: Shared) {
    let mut expected = Vec::new();
    for round in 0..30_u8 {
        let mut batch = Batch::new();
        for index in 0..=u16::from(round % 3) {
            batch.append(b"log".to_vec(), b"s-".to_vec(), vec![round, index as u8]);
            batch.append(b"log".to_vec(), b"t-".to_vec(), vec![0]);
            expected.push((2 * index, vec![round, index as u8]));
        }
        let version = store.commit(batch).await.expect("append");
        let last = store.range(&Range::prefix(b"log".to_vec(), b"s-").reverse(true).limit(1)).await;
        let last = last.expect("range").remove(0);
        assert_eq!(last.version, version);
        assert_eq!(last.sort[2..10], version.to_be_bytes());
    }
    let entries = store.range(&Range::prefix(b"log".to_vec(), b"s-")).await.expect("range");
    let found: Vec<(u16, Vec<u8>)> = entries
        .iter()
        .map(|entry| {
            let index = entry.sort[10..].try_into().expect("two bytes");
            (u16::from_be_bytes(index), entry.value.to_vec())
        })
        .collect();
    assert_eq!(found, expected);
}

pub async fn a_snapshot_does_not_change(store: Shared) {
    store.commit(put("a", "1")).await.expect("put");
    let mut later = put("a", "2");
    later.put(key("b"), b"2".to_vec());
    let first = store.snapshot().await.expect("snapshot");
    store.commit(later).await.expect("put");
    let second = store.snapshot().await.expect("snapshot");
    store.commit(Batch::new().with(Mutation::Delete(key("a")))).await.expect("delete");
    for _ in 0..50 {
        store.commit(put("b", "3")).await.expect("put");
    }
    assert_eq!(value(first.get(&key("a")).await.expect("get")), Some(b"1".to_vec()));
    assert_eq!(first.get(&key("b")).await, Ok(None));
    assert_eq!(first.range(&Range::all(b"p".to_vec())).await.expect("range").len(), 1);
    assert_eq!(value(second.get(&key("a")).await.expect("get")), Some(b"2".to_vec()));
    assert_eq!(second.range(&Range::all(b"p".to_vec())).await.expect("range").len(), 2);
    assert!(first.version() < second.version());
    assert_eq!(store.get(&key("a")).await, Ok(None));
}

pub async fn pages_show_everything(store: Shared) {
    let mut expected: Vec<(Key, Version, Bytes)> = Vec::new();
    for number in 0..50_u8 {
        let key = Key::new(vec![b'a'; usize::from(number % 7)], vec![number, 0, 0xff]);
        let content = vec![number; usize::from(number)];
        let put = Batch::new().with(Mutation::Put(key.clone(), content.clone()));
        let version = store.commit(put).await.expect("put");
        expected.push((key, version, content.into()));
    }
    let snapshot = store.snapshot().await.expect("snapshot");
    let mut found: Vec<(Key, Version, Bytes)> = Vec::new();
    loop {
        let after = found.last().map(|(key, _, _)| key.clone());
        let page = snapshot.page(after.as_ref(), 7).await.expect("page");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 7);
        found.extend(page);
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

pub async fn a_clear_removes_everything(store: Shared) {
    let before = store.commit(put("a", "1")).await.expect("put");
    let mut txn = store.begin().await.expect("begin");
    txn.get(&key("a")).await.expect("get");
    txn.put(key("b"), b"2".to_vec());
    store.clear().await.expect("clear");
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
    assert_eq!(store.get(&key("a")).await, Ok(None));
    assert_eq!(store.snapshot().await.expect("snapshot").page(None, 9).await, Ok(vec![]));
    let after = store.commit(put("a", "1").check(key("a"), Check::Absent)).await.expect("put");
    assert!(after > before);
}

pub async fn versions_can_be_raised(store: Shared) {
    let version = store.commit(put("a", "1")).await.expect("put");
    store.raise_version(version + 1_000).await.expect("raise");
    let raised = store.commit(put("a", "2")).await.expect("put");
    assert!(raised > version + 1_000);
    store.raise_version(1).await.expect("raise to less");
    assert!(store.commit(put("a", "3")).await.expect("put") > raised);
}
