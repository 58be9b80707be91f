//! Kills: a child process writes and tells what was acknowledged; it is killed at some moment;
//! everything acknowledged must be there, and nothing half.
//!
//! `SERENO_CRASHES=1000` for a long run. The engines take turns.

use crate::folder::Folder;
use sereno_store::suite::Random;
use sereno_store::{Batch, Key, Mutation, Range, Read, Store, StoreError, Write as _, transact};
use sereno_store_local::{EngineKind, LocalStore, Options, open};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const WRITERS: u64 = 4;
const FOLDER: &str = "SERENO_CRASH_FOLDER";
const ENGINE: &str = "SERENO_CRASH_ENGINE";

fn options(engine: EngineKind) -> Options {
    Options { engine, ..Options::default() }
}

fn half(side: &str, writer: u64, number: u64) -> Key {
    Key::new(format!("{side}{writer}"), number.to_be_bytes())
}

/// Large now and then, so that memtables are flushed and journals rotated.
fn body(writer: u64, number: u64) -> Vec<u8> {
    let size = if number.is_multiple_of(16) { 200_000 } else { 300 };
    let mut body = format!("{writer}-{number}-").into_bytes();
    body.resize(size, (number % 251) as u8);
    body
}

async fn write_one(store: &LocalStore, writer: u64, number: u64) -> u64 {
    let (left, right) = (half("left", writer, number), half("right", writer, number));
    let content = body(writer, number);
    if number.is_multiple_of(2) {
        let mut batch = Batch::new().with(Mutation::Put(left, content.clone()));
        batch.put(right, content);
        batch.add(Key::new("count", writer.to_be_bytes()), 1);
        store.commit(batch).await.expect("a commit")
    } else {
        let done = transact!(store, StoreError, |txn| {
            txn.get(&left).await?;
            txn.put(left.clone(), content.clone());
            txn.put(right.clone(), content.clone());
            txn.add(Key::new("count", writer.to_be_bytes()), 1);
        });
        done.expect("a commit");
        store.get(&left).await.expect("a read").expect("just written").0
    }
}

/// Not a test of its own: what the killed process does.
#[test]
fn child() {
    let (Ok(folder), Ok(engine)) = (std::env::var(FOLDER), std::env::var(ENGINE)) else { return };
    let engine = if engine == "redb" { EngineKind::Redb } else { EngineKind::Fjall };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(async {
        let (store, _) = open(Path::new(&folder), &options(engine)).expect("opens");
        for writer in 0..WRITERS {
            let store = store.clone();
            tokio::spawn(async move {
                let all = Range::all(format!("left{writer}").into()).reverse(true).limit(1);
                let last = store.range(&all).await.expect("a read");
                let mut number = last.first().map_or(0, |entry| {
                    u64::from_be_bytes(entry.sort[..].try_into().expect("8 bytes")) + 1
                });
                loop {
                    let version = write_one(&store, writer, number).await;
                    let line = format!("\nack {writer} {number} {version}\n");
                    std::io::stdout().write_all(line.as_bytes()).expect("the parent listens");
                    number += 1;
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

/// What a child was told: by writer, the last number and version.
fn run_and_kill(folder: &Folder, engine: EngineKind, after: Duration) -> Vec<(u64, u64, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "crash::child", "--nocapture"])
        .env(FOLDER, folder.path())
        .env(ENGINE, engine.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let reading = std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        let acknowledged = lines.filter_map(|line| {
            let mut numbers = line.strip_prefix("ack ")?.split(' ').map(|text| text.parse().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        });
        acknowledged.collect::<Vec<(u64, u64, u64)>>()
    });
    std::thread::sleep(after);
    child.kill().expect("killed");
    child.wait().expect("waited");
    reading.join().expect("no panic")
}

async fn verify(store: &LocalStore, acknowledged: &[(u64, u64, u64)]) {
    for (writer, number, version) in acknowledged {
        let found = store.get(&half("left", *writer, *number)).await.expect("a read");
        let (found, content) = found.expect("what was acknowledged is there");
        assert_eq!((found, &content[..]), (*version, &body(*writer, *number)[..]));
    }
    for writer in 0..WRITERS {
        let side = |side: &str| Range::all(format!("{side}{writer}").into());
        let left = store.range(&side("left")).await.expect("a read");
        let right = store.range(&side("right")).await.expect("a read");
        assert!(left == right, "writer {writer}: a commit is there by half");
        for (number, entry) in left.iter().enumerate() {
            assert_eq!(entry.sort, (number as u64).to_be_bytes(), "writer {writer}: a gap");
            assert!(entry.value == body(writer, number as u64));
        }
        let count = store.get(&Key::new("count", writer.to_be_bytes())).await.expect("a read");
        let count = count
            .map_or(0, |(_, value)| u64::from_le_bytes(value[..].try_into().expect("8 bytes")));
        assert_eq!(count, left.len() as u64, "writer {writer}: the counter");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_killed() {
    let rounds: u64 =
        std::env::var("SERENO_CRASHES").map_or(30, |text| text.parse().expect("a number"));
    let mut random = Random::new("nothing_acknowledged_is_lost_when_killed");
    let folders = [(EngineKind::Fjall, Folder::new()), (EngineKind::Redb, Folder::new())];
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut total = [0; 2];
    for round in 0..rounds {
        let turn = (round % 2) as usize;
        let (engine, folder) = &folders[turn];
        let after = Duration::from_millis(20 + random.below(200));
        let acknowledged = run_and_kill(folder, *engine, after);
        total[turn] += acknowledged.len();
        let (store, _) = open(folder.path(), &options(*engine)).expect("opens without repair");
        runtime.block_on(verify(&store, &acknowledged));
        let newest = acknowledged.iter().map(|(_, _, version)| *version).max().unwrap_or(0);
        let next = Batch::new().with(Mutation::Put(Key::new("next", "x"), vec![]));
        assert!(runtime.block_on(store.commit(next)).expect("a commit") > newest);
        // Keep the folder small over a long run.
        if round % 20 >= 18 {
            runtime.block_on(store.clear()).expect("a clear");
        }
    }
    println!("{rounds} kills, acknowledged commits (fjall, redb): {total:?}");
    assert!(total.iter().all(|total| *total > 0) || rounds < 2);
}
