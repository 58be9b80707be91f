//! What transactions see and when they are refused, two at a time.

use super::basics::put;
use super::ranges::{expected, pairs, random_range};
use super::{Random, key, value};
use crate::{
    Batch, Check, Counter, Key, Mutation, Range, Read, Record, Result, Store, StoreError, Txn,
    Version, Write,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type Shared = Arc<dyn Store>;

async fn begin(store: &Shared) -> Txn {
    store.begin().await.expect("begin")
}

async fn read(from: &(impl Read + ?Sized), sort: &str) -> Option<Vec<u8>> {
    value(from.get(&key(sort)).await.expect("get"))
}

/// Exactly one of two that exclude each other has committed. An engine may find the conflict at
/// a read already; then the loser was told there.
fn exactly_one(outcomes: [Result<Version>; 2]) {
    for outcome in &outcomes {
        assert!(matches!(outcome, Ok(_) | Err(StoreError::Conflict)), "{outcome:?}");
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
}

pub async fn own_writes_are_read(store: Shared) {
    store
        .commit(put("a", "old").with(Mutation::Put(key("b"), b"old".to_vec())))
        .await
        .expect("put");
    let mut txn = begin(&store).await;
    txn.put(key("a"), b"new".to_vec());
    txn.delete(key("b"));
    txn.add(key("n"), 2);
    txn.add(key("n"), 3);
    assert_eq!(read(&txn, "a").await, Some(b"new".to_vec()));
    assert_eq!(read(&txn, "b").await, None);
    assert_eq!(read(&txn, "n").await, Some(Counter(5).to_bytes()));
    assert_eq!(txn.get(&key("a")).await.expect("get").expect("there").0, Txn::PENDING);
    // Nobody else sees them yet.
    assert_eq!(read(&*store, "a").await, Some(b"old".to_vec()));
    assert_eq!(read(&*store, "n").await, None);
    let version = txn.commit().await.expect("commit");
    assert_eq!(store.get(&key("a")).await.expect("get").expect("there").0, version);
    assert_eq!(read(&*store, "b").await, None);
    assert_eq!(read(&*store, "n").await, Some(Counter(5).to_bytes()));
}

pub async fn own_writes_merge_into_ranges(store: Shared) {
    let mut random = Random::new("own_writes_merge_into_ranges");
    let alphabet = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let mut sort = {
        let mut random = random.fork();
        move || -> Vec<u8> {
            (0..random.below(4)).map(|_| alphabet[random.below(6) as usize]).collect()
        }
    };
    for round in 0..20_u8 {
        store.clear().await.expect("clear");
        let mut model = BTreeMap::new();
        let mut batch = Batch::new();
        for _ in 0..20 {
            let sort = sort();
            model.insert(sort.clone(), vec![round]);
            batch.put(key(sort), vec![round]);
        }
        store.commit(batch).await.expect("put");
        let mut txn = begin(&store).await;
        for _ in 0..10 {
            let sort = sort();
            if random.chance(2) {
                model.remove(&sort);
                txn.delete(key(sort));
            } else {
                model.insert(sort.clone(), vec![round, 1]);
                txn.put(key(sort), vec![round, 1]);
            }
            let range = random_range(&mut random);
            let found = pairs(txn.range(&range).await.expect("range"));
            assert_eq!(found, expected(&model, &range), "{range:?}");
        }
        txn.commit().await.expect("commit");
        let found = pairs(store.range(&Range::all(b"p".to_vec())).await.expect("range"));
        assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }
}

pub async fn a_dropped_transaction_writes_nothing(store: Shared) {
    let mut txn = begin(&store).await;
    txn.get(&key("a")).await.expect("get");
    txn.put(key("a"), b"1".to_vec());
    drop(txn);
    assert_eq!(read(&*store, "a").await, None);
    store.commit(put("a", "2")).await.expect("nothing is held");
}

pub async fn an_update_is_not_lost(store: Shared) {
    store.commit(put("a", "0")).await.expect("put");
    let (mut one, mut two) = (begin(&store).await, begin(&store).await);
    one.get(&key("a")).await.expect("get");
    two.get(&key("a")).await.expect("get");
    one.put(key("a"), b"1".to_vec());
    two.put(key("a"), b"2".to_vec());
    let one = one.commit().await;
    exactly_one([one, two.commit().await]);
    // The same against a batch. It also reads what the other writes: only so do they exclude each
    // other, for otherwise the transaction could have come first.
    let mut txn = begin(&store).await;
    txn.get(&key("b")).await.expect("get");
    txn.put(key("c"), b"1".to_vec());
    store.commit(put("b", "1").check(key("c"), Check::Absent)).await.expect("put");
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
    assert_eq!(read(&*store, "c").await, None);
}

pub async fn a_skew_is_refused(store: Shared) {
    store.commit(put("x", "on").with(Mutation::Put(key("y"), b"on".to_vec()))).await.expect("put");
    let (mut one, mut two) = (begin(&store).await, begin(&store).await);
    for txn in [&one, &two] {
        assert_eq!(read(txn, "x").await, Some(b"on".to_vec()));
        assert_eq!(read(txn, "y").await, Some(b"on".to_vec()));
    }
    one.put(key("x"), b"off".to_vec());
    two.put(key("y"), b"off".to_vec());
    let one = one.commit().await;
    exactly_one([one, two.commit().await]);
}

pub async fn a_phantom_is_refused(store: Shared) {
    let (mut one, mut two) = (begin(&store).await, begin(&store).await);
    for txn in [&one, &two] {
        let found = txn.range(&Range::prefix(b"p".to_vec(), b"seat-")).await.expect("range");
        assert!(found.is_empty());
    }
    one.put(key("seat-1"), b"one".to_vec());
    two.put(key("seat-2"), b"two".to_vec());
    let one = one.commit().await;
    exactly_one([one, two.commit().await]);
    // A page that a limit has cut covers what lies before its end.
    store.commit(put("m", "1")).await.expect("put");
    let mut txn = begin(&store).await;
    let first = txn.range(&Range::all(b"p".to_vec()).limit(1)).await.expect("range");
    assert_eq!(first.len(), 1);
    txn.put(key("z"), first[0].sort.clone());
    let other = put("a", "before the first").check(key("z"), Check::Absent);
    store.commit(other).await.expect("put");
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
}

pub async fn a_phantom_behind_a_limit_is_allowed(store: Shared) {
    store.commit(put("a", "1").with(Mutation::Put(key("b"), b"1".to_vec()))).await.expect("put");
    // An engine may see conflicts where there are none, but not for ever.
    for _ in 0..20 {
        let mut txn = begin(&store).await;
        txn.range(&Range::all(b"p".to_vec()).limit(1)).await.expect("range");
        txn.put(key("other"), b"1".to_vec());
        store.commit(put("c", "behind what was read")).await.expect("put");
        if txn.commit().await.is_ok() {
            return;
        }
    }
    panic!("always a conflict");
}

pub async fn a_removal_conflicts(store: Shared) {
    store.commit(put("a", "1")).await.expect("put");
    let mut txn = begin(&store).await;
    assert_eq!(txn.range(&Range::all(b"p".to_vec())).await.expect("range").len(), 1);
    let count = Key::new("elsewhere", "count");
    txn.put(count.clone(), b"1".to_vec());
    let delete = Batch::new().with(Mutation::Delete(key("a"))).check(count, Check::Absent);
    store.commit(delete).await.expect("delete");
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
}

pub async fn reads_repeat(store: Shared) {
    store.commit(put("a", "1").with(Mutation::Put(key("b"), b"1".to_vec()))).await.expect("put");
    let txn = begin(&store).await;
    assert_eq!(read(&txn, "a").await, Some(b"1".to_vec()));
    store.commit(put("a", "2").with(Mutation::Put(key("b"), b"2".to_vec()))).await.expect("put");
    // The same moment for all reads, or the word that it cannot be had.
    for sort in ["a", "b"] {
        match txn.get(&key(sort)).await {
            Ok(found) => assert_eq!(value(found), Some(b"1".to_vec())),
            Err(error) => assert_eq!(error, StoreError::Conflict),
        }
    }
}

pub async fn a_reader_commits(store: Shared) {
    store.commit(put("a", "1")).await.expect("put");
    let txn = begin(&store).await;
    assert_eq!(read(&txn, "a").await, Some(b"1".to_vec()));
    store.commit(put("a", "2")).await.expect("put");
    txn.commit().await.expect("nothing was written, so it took place before");
}

pub async fn writes_that_read_nothing_do_not_conflict(store: Shared) {
    let (mut one, mut two) = (begin(&store).await, begin(&store).await);
    one.put(key("a"), b"1".to_vec());
    two.put(key("a"), b"2".to_vec());
    let first = one.commit().await.expect("commit");
    match two.commit().await {
        Ok(second) => {
            assert!(second > first);
            assert_eq!(read(&*store, "a").await, Some(b"2".to_vec()));
        }
        // Allowed, though a pity: the retry settles it.
        Err(error) => assert_eq!(error, StoreError::Conflict),
    }
}
