//! Measures a database as a store:
//! `cargo run --release -p sereno-store-postgres --example measure_postgres postgres://... [seconds a step]`.

use sereno_store::{Batch, Check, Key, Mutation, Read, Store, StoreError, Write, transact};
use sereno_store_postgres::{Options, PostgresStore};
use std::time::{Duration, Instant};

fn report(what: &str, mut times: Vec<Duration>, elapsed: Duration) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    println!("{what:36} {rate:>9.0}/s   p50 {:>9.1?}   p99 {:>9.1?}", at(0.5), at(0.99));
}

async fn each<F: Future<Output = ()> + Send + 'static>(
    what: &str,
    writers: u64,
    seconds: f64,
    work: impl Fn(u64, u64) -> F + Clone + Send + Sync + 'static,
) {
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed().as_secs_f64() < seconds {
                    let one = Instant::now();
                    work(writer, times.len() as u64).await;
                    times.push(one.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    report(&format!("{what}, {writers} at once"), times, start.elapsed());
}

fn key(writer: u64, number: u64) -> Key {
    Key::new(format!("measure{writer}"), number.to_be_bytes())
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a database's address");
    let seconds = arguments.next().map_or(2.0, |text| text.parse().expect("seconds"));
    let store = PostgresStore::open(&url, &Options::default()).await.expect("opens");
    store.clear().await.expect("a clear");
    for writers in [1, 16] {
        let node = store.clone();
        each("put", writers, seconds, move |writer, number| {
            let node = node.clone();
            async move {
                let batch = Batch::new().with(Mutation::Put(key(writer, number), vec![7; 300]));
                node.commit(batch).await.expect("a commit");
            }
        })
        .await;
        let node = store.clone();
        each("put if absent, neighbours", writers, seconds, move |writer, number| {
            let node = node.clone();
            async move {
                let shared = format!("shared by {writers}");
                let key = Key::new(shared, (number * writers + writer).to_be_bytes());
                let batch = Batch::new().check(key.clone(), Check::Absent);
                node.commit(batch.with(Mutation::Put(key, vec![7; 300]))).await.expect("a commit");
            }
        })
        .await;
        let node = store.clone();
        each("append to one log", writers, seconds, move |_, _| {
            let node = node.clone();
            async move {
                let mut batch = Batch::new();
                batch.append(b"log".to_vec(), vec![], vec![7; 300]);
                node.commit(batch).await.expect("a commit");
            }
        })
        .await;
        let node = store.clone();
        each("get + put transaction", writers, seconds, move |writer, number| {
            let node = node.clone();
            async move {
                let done: Result<(), StoreError> = transact!(&node, |txn| {
                    txn.get(&key(writer, number)).await?;
                    txn.put(key(writer, number), vec![8; 300]);
                });
                done.expect("a commit");
            }
        })
        .await;
        let node = store.clone();
        each("get", writers, seconds, move |writer, number| {
            let node = node.clone();
            async move { drop(node.get(&key(writer, number % 100)).await.expect("a read")) }
        })
        .await;
    }
}
