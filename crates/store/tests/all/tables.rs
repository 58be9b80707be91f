//! Tables, listings, transactions.

use sereno_base::{AccountId, Region};
use sereno_store::key::{Position, Tail};
use sereno_store::{
    Batch, Check, Counter, MemoryStore, Scope, Snapshot, Store, StoreError, Table, record, transact,
};

record! {
    pub struct Queue { 1 => name: String, 2 => depth: u64 }
}

const QUEUES: Table<String, Queue> = Table::new("sqs", "queues");
const MESSAGES: Table<(String, u64), Queue> = Table::new("sqs", "messages");
const ITEMS: Table<(String, Vec<u8>, Tail), Queue> =
    Table::<(String, Vec<u8>, Tail), Queue>::new("dynamodb", "items").partition(1);
const HITS: Table<String, Counter> = Table::new("web", "hits");
const EVENTS: Table<(String, Position), Queue> = Table::new("logs", "events");

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Some(Region::US_EAST_1))
}

fn queue(depth: u64) -> Queue {
    Queue { name: format!("q{depth}"), depth }
}

#[tokio::test]
async fn tenants_are_apart_and_versions_guard() {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    QUEUES.check(&mut batch, scope(), "jobs", Check::Absent);
    QUEUES.put(&mut batch, scope(), "jobs", &queue(1));
    store.commit(batch.clone()).await.unwrap();
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict));

    let (version, found) = QUEUES.get_versioned(&store, scope(), "jobs").await.unwrap().unwrap();
    assert_eq!(found, queue(1));
    let elsewhere = Scope::new(AccountId::DEFAULT, None);
    assert_eq!(QUEUES.get(&store, elsewhere, "jobs").await.unwrap(), None);

    let mut batch = Batch::new();
    QUEUES.check(&mut batch, scope(), "jobs", Check::At(version));
    QUEUES.delete(&mut batch, scope(), "jobs");
    store.commit(batch.clone()).await.unwrap();
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict));
}

#[tokio::test]
async fn listings_page_both_ways() {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    for number in 0..10_u64 {
        MESSAGES.put(&mut batch, scope(), &("q", number), &queue(number));
        MESSAGES.put(&mut batch, scope(), &("q2", number), &queue(number));
        QUEUES.put(&mut batch, scope(), &format!("a{number}"), &queue(number));
    }
    QUEUES.put(&mut batch, scope(), "b", &queue(0));
    store.commit(batch).await.unwrap();
    let dyn_store: &dyn Store = &store;

    let page = MESSAGES.list(scope(), ("q",)).after(&("q", 3)).limit(2).read(dyn_store).await;
    let keys = |page: Vec<((String, u64), Queue)>| -> Vec<u64> {
        page.into_iter().map(|((_, number), _)| number).collect()
    };
    assert_eq!(keys(page.unwrap()), [4, 5]);
    let list = MESSAGES.list(scope(), ("q",)).from(&("q", 7)).reverse(true);
    assert_eq!(keys(list.read(&store).await.unwrap()), [9, 8, 7]);
    let list = MESSAGES.list(scope(), ("q",)).before(&("q", 7)).reverse(true).limit(1);
    assert_eq!(keys(list.read(&store).await.unwrap()), [6]);

    let list = QUEUES.list(scope(), ()).starting_with("a").after("a6").to("z");
    let names: Vec<String> = list.read(&store).await.unwrap().into_iter().map(|e| e.0).collect();
    assert_eq!(names, ["a7", "a8", "a9"]);
    assert!(
        QUEUES
            .list(scope(), ())
            .starting_with("a")
            .after("zz")
            .read(&store)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn partitions_of_fewer_parts_list_across_the_rest() {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    for (hash, sort) in [(&b"h1"[..], &b"b"[..]), (b"h0", b"\x00"), (b"h1", b"a")] {
        ITEMS.put(&mut batch, scope(), &("t", hash, sort), &queue(1));
    }
    store.commit(batch).await.unwrap();
    let all = ITEMS.list(scope(), ("t",)).read(&store).await.unwrap();
    let sorts: Vec<_> = all.into_iter().map(|((_, hash, Tail(sort)), _)| (hash, sort)).collect();
    let expected = [(&b"h0"[..], &b"\x00"[..]), (b"h1", b"a"), (b"h1", b"b")];
    assert_eq!(sorts, expected.map(|(hash, sort)| (hash.to_vec(), sort.to_vec())));
    assert_eq!(ITEMS.list(scope(), ("t", &b"h1"[..])).read(&store).await.unwrap().len(), 2);
}

#[tokio::test]
async fn counters_and_appends_need_no_reading() {
    let store = MemoryStore::new();
    for round in 0..3_u64 {
        let mut batch = Batch::new();
        HITS.add(&mut batch, scope(), "home", 2);
        EVENTS.append(&mut batch, scope(), &("log",), &queue(round * 2));
        EVENTS.append(&mut batch, scope(), &("log",), &queue(round * 2 + 1));
        store.commit(batch).await.unwrap();
    }
    assert_eq!(HITS.get(&store, scope(), "home").await.unwrap(), Some(Counter(6)));
    let events = EVENTS.list(scope(), ("log",)).read(&store).await.unwrap();
    let depths: Vec<u64> = events.iter().map(|(_, event)| event.depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5]);
    assert_eq!(events[1].0.1, Position { version: events[0].0.1.version, index: 1 });
}

#[derive(Debug, PartialEq)]
enum Refused {
    NotThere,
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Store(error)
    }
}

async fn deepen(store: &dyn Store, name: &str) -> Result<u64, Refused> {
    transact!(store, |txn| {
        let Some(mut found) = QUEUES.get(txn, scope(), name).await? else {
            return Err(Refused::NotThere);
        };
        found.depth += 1;
        QUEUES.put(txn, scope(), name, &found);
        assert_eq!(QUEUES.get(txn, scope(), name).await?.as_ref(), Some(&found));
        found.depth
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_retry_until_they_fit() {
    let store = MemoryStore::new();
    assert_eq!(deepen(&store, "jobs").await, Err(Refused::NotThere));
    let mut batch = Batch::new();
    QUEUES.put(&mut batch, scope(), "jobs", &queue(0));
    store.commit(batch).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    deepen(&store, "jobs").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let depth = transact!(&store, StoreError, |txn| { QUEUES.get(txn, scope(), "jobs").await? });
    assert_eq!(depth.unwrap().unwrap().depth, 800);
}

#[tokio::test]
async fn a_watch_and_a_snapshot() {
    let store = MemoryStore::new();
    let key = QUEUES.key(scope(), "jobs");
    let watch = store.watch(&[key]);
    let before: Box<dyn Snapshot> = store.snapshot().await.unwrap();
    let mut batch = Batch::new();
    QUEUES.put(&mut batch, scope(), "jobs", &queue(1));
    store.commit(batch).await.unwrap();
    watch.await;
    assert_eq!(QUEUES.get(&before, scope(), "jobs").await.unwrap(), None);
    assert_eq!(before.page(None, 9).await.unwrap(), []);
    drop(before);
    assert_eq!(QUEUES.get(&store, scope(), "jobs").await.unwrap(), Some(queue(1)));
    store.clear().await.unwrap();
    assert_eq!(QUEUES.get(&store, scope(), "jobs").await.unwrap(), None);
}
