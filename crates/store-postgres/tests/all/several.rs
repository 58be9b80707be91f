//! Several servers over one database, as several stores in one process.

use crate::server::schema;
use sereno_store::{
    Batch, Counter, Key, Mutation, Range, Read, Record, Store, StoreError, Write, transact,
};
use sereno_store_postgres::{Options, PostgresStore};
use std::time::Duration;
use tokio::time::timeout;

async fn nodes(count: usize, options: &Options) -> Option<Vec<PostgresStore>> {
    let url = schema()?;
    // At once: they all try to create the tables.
    let opening: Vec<_> = (0..count)
        .map(|_| {
            let (url, options) = (url.clone(), options.clone());
            tokio::spawn(async move { PostgresStore::open(&url, &options).await.unwrap() })
        })
        .collect();
    let mut nodes = Vec::new();
    for node in opening {
        nodes.push(node.await.unwrap());
    }
    Some(nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_hears_of_another_servers_commit() {
    // No polling in the time of the test: only the notification can wake.
    let options = Options { poll: Duration::from_secs(1000), ..Options::default() };
    let Some(nodes) = nodes(2, &options).await else { return };
    let key = Key::new("queue", "m");
    // Listening begins in the background: the first notifications may come before it.
    let add = || Batch::new().with(Mutation::Add(key.clone(), 1));
    let first = nodes[1].watch(std::slice::from_ref(&key));
    timeout(Duration::from_secs(10), async {
        let telling = async {
            loop {
                nodes[0].commit(add()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! { () = first => {}, () = telling => {} }
    })
    .await
    .expect("listening");
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..3 {
        let watch = nodes[1].watch(&[Key::new("queue", "")]);
        let other = nodes[1].watch(&[Key::new("another queue", "")]);
        nodes[0].commit(add()).await.unwrap();
        timeout(Duration::from_secs(5), watch).await.expect("told");
        let quiet = timeout(Duration::from_millis(50), other).await;
        assert!(quiet.is_err(), "told of another partition");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_wakes_where_nothing_is_told() {
    let options = Options { poll: Duration::from_millis(50), ..Options::default() };
    let Some(nodes) = nodes(1, &options).await else { return };
    for _ in 0..5 {
        let watch = nodes[0].watch(&[Key::new("nobody", "writes this")]);
        timeout(Duration::from_secs(5), watch).await.expect("polled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_share_one_order() {
    let Some(nodes) = nodes(3, &Options::default()).await else { return };
    let tasks: Vec<_> = nodes
        .iter()
        .cloned()
        .map(|node| {
            tokio::spawn(async move {
                for _ in 0..40 {
                    let done: Result<(), StoreError> = transact!(&node, |txn| {
                        let old = txn.get(&Key::new("p", "n")).await?;
                        let old =
                            old.map_or(Ok(Counter(0)), |(_, bytes)| Counter::decode(&bytes))?;
                        txn.put(Key::new("p", "n"), Counter(old.0 + 1).to_bytes());
                        txn.append(b"log".to_vec(), b"e".to_vec(), old.to_bytes());
                    });
                    done.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let log = nodes[0].range(&Range::all(b"log".to_vec())).await.unwrap();
    let numbers: Vec<i64> =
        log.into_iter().map(|entry| Counter::decode(&entry.value).unwrap().0).collect();
    assert_eq!(numbers, (0..120).collect::<Vec<i64>>());
}

/// A reader that follows a log by position sees every entry, though many append at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_has_no_holes() {
    let Some(nodes) = nodes(2, &Options::default()).await else { return };
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let node = nodes[number % 2].clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    let mut batch = Batch::new();
                    batch.append(b"log".to_vec(), b"e".to_vec(), vec![0; 10]);
                    batch.put(Key::new(format!("w{number}"), "x"), vec![]);
                    node.commit(batch).await.unwrap();
                }
            })
        })
        .collect();
    let (mut seen, mut after) = (0, b"e".to_vec());
    while seen < 240 {
        let behind = std::ops::Bound::Excluded(after.clone());
        let page =
            nodes[0].range(&Range::all(b"log".to_vec()).from(behind).limit(7)).await.unwrap();
        seen += page.len();
        if let Some(last) = page.last() {
            after.clone_from(&last.sort);
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(nodes[0].range(&Range::all(b"log".to_vec())).await.unwrap().len(), 240);
}
