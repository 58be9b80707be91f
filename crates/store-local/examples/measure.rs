//! Measures this machine's disk and the store on it, side by side:
//! `cargo run --release -p sereno-store-local --example measure [folder] [seconds a step] [fjall|redb]`.

use sereno_base::{AccountId, Region};
use sereno_store::{Batch, Scope, Store, StoreError, Table, record, transact};
use sereno_store_local::{Durability, EngineKind, LocalStore, Options, open};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

record! { pub struct Item { 1 => body: bytes::Bytes } }
const ITEMS: Table<(String, u64), Item> = Table::new("measure", "items");

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Some(Region::US_EAST_1))
}

/// Incompressible, as a fair item is.
fn item(seed: u64) -> Item {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    Item { body: (0..300).map(byte).collect::<Vec<u8>>().into() }
}

fn report(what: &str, mut times: Vec<Duration>, elapsed: Duration) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    println!("{what:42} {rate:>9.0}/s   p50 {:>9.1?}   p99 {:>9.1?}", at(0.5), at(0.99));
}

fn repeat(seconds: f64, mut work: impl FnMut()) -> (Vec<Duration>, Duration) {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        work();
        times.push(one.elapsed());
    }
    (times, start.elapsed())
}

fn raw(folder: &Path, seconds: f64) {
    let body = item(1).body;
    let mut file = File::create(folder.join("raw-append")).expect("a file");
    let (times, elapsed) = repeat(seconds, || {
        file.write_all(&body).expect("room");
        file.sync_data().expect("a sync");
    });
    report("raw: append 300 B + fdatasync", times, elapsed);
    let file = File::create(folder.join("raw-overwrite")).expect("a file");
    file.write_all_at(&vec![1; 16 << 20], 0).expect("room");
    file.sync_all().expect("a sync");
    let mut at = 0;
    let (times, elapsed) = repeat(seconds, || {
        file.write_all_at(&body, at).expect("room");
        file.sync_data().expect("a sync");
        at = (at + 300) % (15 << 20);
    });
    report("raw: overwrite 300 B + fdatasync", times, elapsed);
}

/// The least a group commit can be: one thread that appends what waits and syncs.
fn raw_group(folder: &Path, seconds: f64, writers: usize) {
    type Queue = (Mutex<(Vec<Vec<u8>>, u64)>, Condvar);
    let (queue, synced, done): (Arc<Queue>, Arc<(Mutex<u64>, Condvar)>, _) =
        (Arc::default(), Arc::default(), Arc::new(AtomicU64::new(0)));
    let flusher = std::thread::spawn({
        let (queue, synced, done) = (queue.clone(), synced.clone(), done.clone());
        let mut file = File::create(folder.join("raw-group")).expect("a file");
        move || loop {
            let mut waiting = queue.0.lock().expect("no panic");
            while waiting.0.is_empty() {
                if done.load(Ordering::SeqCst) == 1 {
                    return;
                }
                waiting =
                    queue.1.wait_timeout(waiting, Duration::from_millis(50)).expect("no panic").0;
            }
            let (bodies, ticket) = (std::mem::take(&mut waiting.0), waiting.1);
            drop(waiting);
            file.write_all(&bodies.concat()).expect("room");
            file.sync_data().expect("a sync");
            *synced.0.lock().expect("no panic") = ticket;
            synced.1.notify_all();
        }
    });
    let start = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let (queue, synced) = (queue.clone(), synced.clone());
            std::thread::spawn(move || {
                repeat(seconds, || {
                    let mut waiting = queue.0.lock().expect("no panic");
                    waiting.0.push(item(3).body.to_vec());
                    waiting.1 += 1;
                    let ticket = waiting.1;
                    drop(waiting);
                    queue.1.notify_one();
                    let mut state = synced.0.lock().expect("no panic");
                    while *state < ticket {
                        state = synced.1.wait(state).expect("no panic");
                    }
                })
                .0
            })
        })
        .collect();
    let times = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    report(&format!("raw: group commit, {writers} writers"), times, start.elapsed());
    done.store(1, Ordering::SeqCst);
    flusher.join().expect("no panic");
}

async fn writers(store: &LocalStore, seconds: f64, count: u64, transactions: bool) {
    let start = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut number = 0;
                while start.elapsed().as_secs_f64() < seconds {
                    let one = Instant::now();
                    let key = (format!("w{writer}"), number);
                    if transactions {
                        let done = transact!(&store, StoreError, |txn| {
                            let old = ITEMS.get(txn, scope(), &key).await?;
                            ITEMS.put(txn, scope(), &key, &old.unwrap_or_else(|| item(number)));
                        });
                        done.expect("a commit");
                    } else {
                        let mut batch = Batch::new();
                        ITEMS.put(&mut batch, scope(), &key, &item(number));
                        store.commit(batch).await.expect("a commit");
                    }
                    times.push(one.elapsed());
                    number += 1;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    let what = if transactions { "get + put transaction" } else { "put" };
    report(&format!("store: {what}, {count} writers"), times, start.elapsed());
}

async fn reads(store: &LocalStore, seconds: f64) {
    let mut batch = Batch::new();
    for number in 0..200_000 {
        ITEMS.put(&mut batch, scope(), &("read", number), &item(number));
        if number % 10_000 == 9_999 {
            store.commit(std::mem::take(&mut batch)).await.expect("a commit");
        }
    }
    let mut number: u64 = 1;
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed().as_secs_f64() < seconds {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let one = Instant::now();
        let found = ITEMS.get(store, scope(), &("read", (number >> 33) % 200_000)).await;
        times.push(one.elapsed());
        assert!(found.expect("a read").is_some());
    }
    report("store: get, random of 200,000", times, start.elapsed());
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed().as_secs_f64() < seconds {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let one = Instant::now();
        let from = ("read", (number >> 33) % 190_000);
        let found = ITEMS.list(scope(), ("read",)).from(&from).limit(10).read(store).await;
        times.push(one.elapsed());
        assert_eq!(found.expect("a read").len(), 10);
    }
    report("store: range of 10, random", times, start.elapsed());
}

fn rss_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 = statm.split(' ').nth(1).expect("a field").parse().expect("a number");
    pages * 4096.0 / 1048576.0
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "/tmp/sereno-measure".into());
    let seconds: f64 = arguments.next().map_or(2.0, |text| text.parse().expect("seconds"));
    let engine = match arguments.next().as_deref() {
        Some("redb") => EngineKind::Redb,
        _ => EngineKind::Fjall,
    };
    let folder = Path::new(&folder);
    drop(std::fs::remove_dir_all(folder));
    std::fs::create_dir_all(folder).expect("a folder");
    let options = Options { engine, ..Options::default() };

    println!("rss at start {:.1} MiB", rss_mib());
    let start = Instant::now();
    let (store, _) = open(&folder.join("data"), &options).expect("opens");
    println!("create: {:?}, rss {:.1} MiB", start.elapsed(), rss_mib());
    let start = Instant::now();
    drop(store);
    println!("close: {:?}", start.elapsed());
    let start = Instant::now();
    let (store, _) = open(&folder.join("data"), &options).expect("opens");
    println!("open again: {:?}, rss {:.1} MiB", start.elapsed(), rss_mib());

    raw(folder, seconds);
    writers(&store, seconds, 1, false).await;
    for count in [1, 16, 128] {
        raw_group(folder, seconds, count);
        writers(&store, seconds, count as u64, false).await;
    }
    writers(&store, seconds, 16, true).await;
    println!("rss {:.1} MiB, disk {} MiB", rss_mib(), store.size().expect("a size") >> 20);
    reads(&store, seconds).await;
    println!("rss {:.1} MiB, disk {} MiB", rss_mib(), store.size().expect("a size") >> 20);
    drop(store);
    let start = Instant::now();
    let (store, _) = open(&folder.join("data"), &options).expect("opens");
    println!("open with data: {:?}, rss {:.1} MiB", start.elapsed(), rss_mib());
    drop(store);
    let durability = Durability::Relaxed { interval: Duration::from_millis(100) };
    let (store, _) = open(&folder.join("data"), &Options { durability, ..options }).expect("opens");
    writers(&store, seconds, 16, false).await;
    println!("(relaxed)");
}
