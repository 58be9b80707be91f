//! Many at once: nothing is lost, nothing is counted twice, nobody sleeps through a change.

use super::basics::put;
use super::{Random, key, value};
use crate::{
    Batch, Check, Counter, Key, Mutation, Range, Read, Record, Store, StoreError, Write, transact,
};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::timeout;

type Shared = Arc<dyn Store>;

const TASKS: u64 = 8;
const ROUNDS: u64 = 25;

fn number(found: Option<Bytes>) -> i64 {
    found.map_or(0, |bytes| Counter::decode(&bytes).expect("a counter").0)
}

async fn each_task<F: Future<Output = ()> + Send + 'static>(task: impl Fn(u64) -> F) {
    let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(task(number))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

pub async fn increments_add_up(store: Shared) {
    each_task(|_| {
        let store = store.clone();
        async move {
            for _ in 0..ROUNDS {
                store.commit(Batch::new().with(Mutation::Add(key("blind"), 1))).await.expect("add");
                let done: Result<(), StoreError> = transact!(&*store, |txn| {
                    let old = number(txn.get(&key("read")).await?.map(|(_, bytes)| bytes));
                    yield_now().await;
                    txn.put(key("read"), Counter(old + 1).to_bytes());
                    txn.add(key("blind"), 1);
                });
                done.expect("commit");
            }
        }
    })
    .await;
    let total = i64::try_from(TASKS * ROUNDS).expect("small");
    let read = |sort| value_of(&store, sort);
    assert_eq!(read("read").await, total);
    assert_eq!(read("blind").await, 2 * total);
}

/// Each transaction takes longer than a commit, so that somebody always commits meanwhile.
pub async fn many_writers_of_one_key_get_through(store: Shared) {
    const WRITERS: i64 = 48;
    const WRITES: i64 = 3;
    let write = |store: Shared| async move {
        for _ in 0..WRITES {
            let done: Result<(), StoreError> = transact!(&*store, |txn| {
                let old = number(txn.get(&key("hot")).await?.map(|(_, bytes)| bytes));
                tokio::time::sleep(Duration::from_millis(2)).await;
                txn.put(key("hot"), Counter(old + 1).to_bytes());
            });
            done.expect("commit");
        }
    };
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(store.clone()))).collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(value_of(&store, "hot").await, WRITERS * WRITES);
}

async fn value_of(store: &Shared, sort: &'static str) -> i64 {
    number(store.get(&key(sort)).await.expect("get").map(|(_, bytes)| bytes))
}

/// Transfers between accounts while others add up all of them.
pub async fn sums_are_preserved(store: Shared) {
    const ACCOUNTS: u64 = 10;
    let mut random = Random::new("sums_are_preserved");
    let mut batch = Batch::new();
    for account in 0..ACCOUNTS {
        batch.put(Key::new("bank", format!("{account}")), Counter(100).to_bytes());
    }
    store.commit(batch).await.expect("put");
    let total = i64::try_from(100 * ACCOUNTS).expect("small");
    let seeds: Vec<Random> = (0..TASKS).map(|_| random.fork()).collect();
    each_task(|task| {
        let (store, mut random) = (store.clone(), seeds[task as usize].clone());
        async move {
            for _ in 0..ROUNDS {
                if random.chance(4) {
                    let all = Range::all(b"bank".to_vec());
                    let entries = match random.below(3) {
                        0 => store.range(&all).await.expect("range"),
                        1 => store
                            .snapshot()
                            .await
                            .expect("snapshot")
                            .range(&all)
                            .await
                            .expect("range"),
                        _ => transact!(&*store, StoreError, |txn| { txn.range(&all).await? })
                            .expect("audit"),
                    };
                    let sum: i64 = entries.into_iter().map(|entry| number(Some(entry.value))).sum();
                    assert_eq!(sum, total);
                    continue;
                }
                let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
                let amount = i64::try_from(random.below(50)).expect("small");
                let keys = [from, to].map(|account| Key::new("bank", format!("{account}")));
                let moved: Result<bool, StoreError> = transact!(&*store, |txn| {
                    let balance = number(txn.get(&keys[0]).await?.map(|(_, bytes)| bytes));
                    if balance < amount {
                        return Ok(false);
                    }
                    txn.put(keys[0].clone(), Counter(balance - amount).to_bytes());
                    let other = number(txn.get(&keys[1]).await?.map(|(_, bytes)| bytes));
                    txn.put(keys[1].clone(), Counter(other + amount).to_bytes());
                    true
                });
                moved.expect("a transfer");
            }
        }
    })
    .await;
}

/// Of all who check the same version, one wins.
pub async fn batches_exclude_each_other(store: Shared) {
    each_task(|task| {
        let store = store.clone();
        async move {
            for round in 0..ROUNDS {
                let claim = put(&format!("slot-{round}"), &task.to_string())
                    .check(key(format!("slot-{round}")), Check::Absent)
                    .with(Mutation::Add(key("claimed"), 1));
                match store.commit(claim).await {
                    Ok(_) | Err(StoreError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
                loop {
                    let seen = store.get(&key("turn")).await.expect("get");
                    let check =
                        seen.as_ref().map_or(Check::Absent, |(version, _)| Check::At(*version));
                    let next = Counter(number(seen.map(|(_, bytes)| bytes)) + 1);
                    let turn = Batch::new().check(key("turn"), check);
                    let turn = turn.with(Mutation::Put(key("turn"), next.to_bytes()));
                    match store.commit(turn).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict) => yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(value_of(&store, "claimed").await, i64::try_from(ROUNDS).expect("small"));
    assert_eq!(value_of(&store, "turn").await, i64::try_from(TASKS * ROUNDS).expect("small"));
}

const SOON: Duration = Duration::from_secs(10);

pub async fn a_watch_sees_a_key(store: Shared) {
    let watch = store.watch(&[key("other"), key("a")]);
    store.commit(put("a", "1")).await.expect("put");
    timeout(SOON, watch).await.expect("woken by a put");
    let watch = store.watch(&[key("a")]);
    store.commit(Batch::new().with(Mutation::Delete(key("a")))).await.expect("delete");
    timeout(SOON, watch).await.expect("woken by a removal");
    let watch = store.watch(&[key("a")]);
    let changed: Result<(), StoreError> = transact!(&*store, |txn| {
        txn.put(key("a"), b"2".to_vec());
    });
    changed.expect("commit");
    timeout(SOON, watch).await.expect("woken by a transaction");
    let watch = store.watch(&[key("a")]);
    store.clear().await.expect("clear");
    timeout(SOON, watch).await.expect("woken by a clear");
}

pub async fn a_watch_sees_a_partition(store: Shared) {
    let watch = store.watch(&[Key::new("queue", "")]);
    let mut batch = Batch::new();
    batch.append(b"queue".to_vec(), b"m".to_vec(), b"1".to_vec());
    store.commit(batch).await.expect("append");
    timeout(SOON, watch).await.expect("woken");
}

/// Whoever has the answer of a commit finds its watches awake.
pub async fn a_watch_wakes_before_the_answer(store: Shared) {
    for round in 0..200 {
        let watches = [key("a"), Key::new("p", "")].map(|key| store.watch(&[key]));
        match round % 4 {
            0 => store.clear().await.expect("clear"),
            1 => {
                let done: Result<(), StoreError> = transact!(&*store, |txn| {
                    txn.get(&key("a")).await?;
                    txn.put(key("a"), b"2".to_vec());
                });
                done.expect("commit");
            }
            _ => drop(store.commit(put("a", "1")).await.expect("put")),
        }
        assert!(watches.iter().all(crate::Watch::is_woken), "round {round}");
    }
}

/// A consumer that watches, then reads, then waits, is never left waiting for what is there.
pub async fn a_watch_misses_nothing(store: Shared) {
    const MESSAGES: u64 = 100;
    let consumer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut seen = 0;
            while seen < MESSAGES {
                let watch = store.watch(&[key("head")]);
                let found = value(store.get(&key("head")).await.expect("get"));
                let head =
                    found.map_or(0, |bytes| Counter::decode(&bytes.into()).expect("a counter").0);
                let head = u64::try_from(head).expect("positive");
                if head > seen {
                    seen = head;
                    continue;
                }
                timeout(SOON, watch).await.expect("a message came");
            }
        }
    });
    for _ in 0..MESSAGES {
        store.commit(Batch::new().with(Mutation::Add(key("head"), 1))).await.expect("add");
        yield_now().await;
    }
    consumer.await.expect("no panic");
}
