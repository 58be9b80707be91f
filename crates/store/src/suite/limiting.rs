//! The limits, from both sides.

use super::{key, value};
use crate::limits::{
    KEY_PART_BYTES_MAX, TRANSACTION_AGE_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_OPERATIONS_MAX,
};
use crate::{Batch, Key, Mutation, Range, Read, Store, StoreError, Write};
use std::sync::Arc;
use std::time::Duration;

type Shared = Arc<dyn Store>;

pub async fn large_values_fit(store: Shared) {
    for (number, size) in [90_000, 400 * 1024, 1 << 20, 9 << 20].into_iter().enumerate() {
        let content: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        let key = key(format!("{number}"));
        store
            .commit(Batch::new().with(Mutation::Put(key.clone(), content.clone())))
            .await
            .expect("put");
        assert!(value(store.get(&key).await.expect("get")) == Some(content), "{size}");
    }
    assert_eq!(store.range(&Range::all(b"p".to_vec())).await.expect("range").len(), 4);
    let first = Range::all(b"p".to_vec()).bytes_max(100_000);
    assert_eq!(store.range(&first).await.expect("range").len(), 2);
}

/// Keys at the limit that differ only at the end, in order.
pub async fn long_keys_fit(store: Shared) {
    let long = |first: u8, last: u8, length: usize| {
        let mut bytes = vec![first; length - 1];
        bytes.push(last);
        bytes
    };
    let mut keys = Vec::new();
    for length in [600, 1_500, 3_000, KEY_PART_BYTES_MAX - 10] {
        for last in [0, 1, 0xff] {
            keys.push(Key::new(long(b'p', b'p', length), long(b's', last, length)));
            keys.push(Key::new("p", long(0xff, last, length)));
        }
    }
    let mut batch = Batch::new();
    for (number, key) in keys.iter().enumerate() {
        batch.put(key.clone(), number.to_string().into());
    }
    store.commit(batch).await.expect("put");
    for (number, key) in keys.iter().enumerate() {
        let found = value(store.get(key).await.expect("get"));
        assert_eq!(found, Some(number.to_string().into()), "{number}");
    }
    for reverse in [false, true] {
        let range = Range::all(b"p".to_vec()).reverse(reverse);
        let found: Vec<Vec<u8>> =
            store.range(&range).await.expect("range").into_iter().map(|entry| entry.sort).collect();
        let mut expected: Vec<Vec<u8>> =
            keys.iter().filter(|key| key.partition == b"p").map(|key| key.sort.clone()).collect();
        expected.sort();
        if reverse {
            expected.reverse();
        }
        assert!(found == expected, "reverse: {reverse}");
    }
    let middle = &keys[7].sort;
    let range = Range::all(b"p".to_vec()).from(std::ops::Bound::Excluded(middle.clone()));
    let behind = keys.iter().filter(|key| key.partition == b"p" && key.sort > *middle).count();
    assert_eq!(store.range(&range).await.expect("range").len(), behind);
    let page = store.snapshot().await.expect("snapshot").page(None, 100).await.expect("page");
    assert_eq!(page.len(), keys.len());
    store.commit(Batch::new().with(Mutation::Delete(keys[0].clone()))).await.expect("delete");
    assert_eq!(store.get(&keys[0]).await, Ok(None));
}

pub async fn what_is_too_large_is_refused(store: Shared) {
    let heavy = Mutation::Put(key("a"), vec![0; TRANSACTION_BYTES_MAX]);
    let long = Mutation::Put(key(vec![0; KEY_PART_BYTES_MAX + 1]), Vec::new());
    let wide = Mutation::Put(Key::new(vec![0; KEY_PART_BYTES_MAX + 1], ""), Vec::new());
    let mut many = Batch::new();
    for number in 0..=TRANSACTION_OPERATIONS_MAX {
        many.put(key(format!("{number}")), Vec::new());
    }
    let single = |mutation| Batch::new().with(mutation);
    for batch in [single(heavy.clone()), single(long), single(wide), many] {
        assert!(matches!(store.commit(batch).await, Err(StoreError::TooLarge(_))));
    }
    let mut txn = store.begin().await.expect("begin");
    txn.apply(heavy);
    assert!(matches!(txn.commit().await, Err(StoreError::TooLarge(_))));
    assert_eq!(store.snapshot().await.expect("snapshot").page(None, 9).await, Ok(vec![]));
}

pub async fn what_takes_too_long_is_refused(store: Shared) {
    let mut txn = store.begin().await.expect("begin");
    txn.put(key("a"), b"1".to_vec());
    tokio::time::sleep(TRANSACTION_AGE_MAX + Duration::from_millis(50)).await;
    assert!(matches!(txn.commit().await, Err(StoreError::TooLarge(_))));
    assert_eq!(store.get(&key("a")).await, Ok(None));
}
