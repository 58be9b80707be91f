//! What growth costs:
//! `cargo run --release -p sereno-store-local --example grow [folder] [items] [bytes an item] [cache MiB]`.
//!
//! Fills a store and at each power of ten says how fast durable puts of 16 writers and random gets
//! are, what they cost in processor time, and what memory the process has.

use sereno_base::{AccountId, Region};
use sereno_store::{Batch, Scope, Store, Table, record};
use sereno_store_local::{LocalStore, Options, open};
use std::path::Path;
use std::time::{Duration, Instant};

record! { pub struct Item { 1 => body: bytes::Bytes } }
const ITEMS: Table<(String, u64), Item> = Table::new("measure", "items");
const STEP: Duration = Duration::from_secs(4);
const WRITERS: u64 = 16;
const FIRST: u64 = 10_000;

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Some(Region::US_EAST_1))
}

/// Spreads numbers over all keys: each once.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Incompressible.
fn item(seed: u64, bytes: usize) -> Item {
    let mut x = scattered(seed) | 1;
    let byte = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    Item { body: (0..bytes).map(byte).collect::<Vec<u8>>().into() }
}

/// Resident now and at its most, in MiB.
fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number")
    };
    (kib("VmRSS:") / 1024.0, kib("VmHWM:") / 1024.0)
}

/// Of all threads.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn report(what: &str, count: u64, begun: Instant, before: Duration) {
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let each = (processor_time() - before).as_secs_f64() * 1e6 / count as f64;
    print!("  {what} {rate:>7.0}/s {each:>5.1} µs CPU");
}

async fn fill(store: &LocalStore, from: u64, to: u64, bytes: usize) {
    let mut batch = Batch::new();
    for number in from..to {
        ITEMS.put(&mut batch, scope(), &("all", scattered(number)), &item(number, bytes));
        if number % 1_000 == 999 {
            store.commit(std::mem::take(&mut batch)).await.expect("a commit");
        }
    }
    store.commit(batch).await.expect("a commit");
}

/// Waits until what was filled is merged.
async fn settle() {
    loop {
        let before = processor_time();
        tokio::time::sleep(Duration::from_secs(2)).await;
        if processor_time() - before < Duration::from_millis(50) {
            return;
        }
    }
}

/// Writes over random items.
async fn puts(store: &LocalStore, items: u64, bytes: usize) {
    let (begun, before) = (Instant::now(), processor_time());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut number = writer;
                while begun.elapsed() < STEP {
                    let key = scattered(scattered(number) % items);
                    let mut batch = Batch::new();
                    ITEMS.put(&mut batch, scope(), &("all", key), &item(number, bytes));
                    store.commit(batch).await.expect("a commit");
                    number += WRITERS;
                }
                number / WRITERS
            })
        })
        .collect();
    let mut count = 0;
    for writer in writers {
        count += writer.await.expect("no panic");
    }
    report("put", count, begun, before);
}

async fn gets(store: &LocalStore, items: u64) {
    let (begun, before, mut count) = (Instant::now(), processor_time(), 0);
    while begun.elapsed() < STEP {
        let key = scattered(scattered(count + 7) % items);
        let found = ITEMS.get(store, scope(), &("all", key)).await;
        assert!(found.expect("a read").is_some());
        count += 1;
    }
    report("get", count, begun, before);
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "/tmp/sereno-grow".into());
    let folder = Path::new(&folder);
    let mut number =
        |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (most, bytes, cache) = (number(1_000_000), number(60) as usize, number(8) as usize);
    drop(std::fs::remove_dir_all(folder));
    let options = Options { cache_bytes: cache << 20, ..Options::default() };
    let (store, _) = open(folder, &options).expect("opens");
    let (mut items, mut filled) = (FIRST, 0);
    while items <= most {
        fill(&store, filled, items, bytes).await;
        filled = items;
        settle().await;
        print!("{items:>9} items");
        puts(&store, items, bytes).await;
        gets(&store, items).await;
        let (now, highest) = memory();
        let disk = store.size().expect("a size") >> 20;
        println!("  rss {now:.0} MiB (at most {highest:.0}), disk {disk} MiB");
        items *= 10;
    }
    drop(store);
    let begun = Instant::now();
    let (store, _) = open(folder, &options).expect("opens");
    println!("opened again in {:?}", begun.elapsed());
    gets(&store, filled).await;
    println!();
    drop(store);
    drop(std::fs::remove_dir_all(folder));
}
