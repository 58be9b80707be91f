//! A disk that forgets, tears and reorders what was not synced, and one that fails.
//!
//! redb runs on a disk made for it; the log is torn on the real one.

use crate::folder::Folder;
use redb::StorageBackend;
use sereno_store::suite::Random;
use sereno_store::{Batch, Key, Mutation, Read, Result, Store, StoreError, Version};
use sereno_store_local::{Conduct, Durability, EngineKind, LocalStore, Options, RedbEngine, open};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

/// A disk in memory that knows what was synced.
#[derive(Debug, Default)]
struct Platter {
    /// As the process sees it.
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Operations until everything fails.
    fails_in: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

const SECTOR: usize = 512;

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => image.resize(*length as usize, 0),
        Change::Write(at, bytes) => {
            let (from, to) = (*at as usize, *at as usize + bytes.len());
            if image.len() < to {
                image.resize(to, 0);
            }
            image[from..to].copy_from_slice(bytes);
        }
    }
}

impl Platter {
    fn work(&mut self) -> std::io::Result<()> {
        match &mut self.fails_in {
            Some(0) => Err(std::io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> std::io::Result<()> {
        self.work()?;
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
        Ok(())
    }
}

impl Disk {
    /// What is found after the power went: all that was synced, and of the rest anything, in any
    /// order, the last of it torn between sectors.
    fn after_power_loss(&self, random: &mut Random) -> Disk {
        let platter = self.0.lock().unwrap();
        let mut image = platter.synced.clone();
        let mut rest = platter.unsynced.clone();
        while !rest.is_empty() {
            let change = rest.swap_remove(random.below(rest.len() as u64) as usize);
            match change {
                _ if random.chance(3) => {}
                Change::Write(at, bytes) if random.chance(3) => {
                    for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                        if random.chance(2) {
                            let at = at + (sector * SECTOR) as u64;
                            apply(&mut image, &Change::Write(at, part.to_vec()));
                        }
                    }
                }
                change => apply(&mut image, &change),
            }
        }
        let platter = Platter { seen: image.clone(), synced: image, ..Platter::default() };
        Disk(Arc::new(Mutex::new(platter)))
    }

    fn fail_in(&self, operations: u64) {
        self.0.lock().unwrap().fails_in = Some(operations);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.work()?;
        let from = offset as usize;
        out.copy_from_slice(&platter.seen[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.lock().unwrap().change(Change::Length(len))
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.work()?;
        platter.synced = platter.seen.clone();
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.lock().unwrap().change(Change::Write(offset, data.to_vec()))
    }
}

/// On such a disk, with the log on the real one.
fn on(disk: &Disk, log: &Folder) -> Result<LocalStore> {
    let conduct =
        Conduct { log: log.path().to_owned(), durability: Durability::Durable, space: None };
    LocalStore::on(RedbEngine::on(disk.clone())?, conduct)
}

fn entry(number: u64) -> (Key, Vec<u8>) {
    let size = if number.is_multiple_of(7) { 20_000 } else { 100 };
    (Key::new("p", number.to_be_bytes()), vec![(number % 251) as u8; size])
}

/// Commits until one fails or `count` are done; says the versions.
async fn write(store: &LocalStore, from: u64, count: u64) -> (Vec<Version>, Option<StoreError>) {
    let mut versions = Vec::new();
    for number in from..from + count {
        let (key, content) = entry(number);
        match store.commit(Batch::new().with(Mutation::Put(key, content))).await {
            Ok(version) => versions.push(version),
            Err(error) => return (versions, Some(error)),
        }
    }
    (versions, None)
}

/// All of `0..sure` is there, and behind it at most one more: the one whose answer was lost.
async fn verify(store: &LocalStore, sure: u64) -> u64 {
    for number in 0..sure {
        let (key, content) = entry(number);
        let found = store.get(&key).await.expect("a read").map(|(_, value)| value);
        assert!(found.as_deref() == Some(&content[..]), "{number} of {sure} is lost");
    }
    let all = store.snapshot().await.unwrap().page(None, usize::MAX).await.expect("a page");
    assert!((sure..=sure + 1).contains(&(all.len() as u64)), "{} for {sure}", all.len());
    all.len() as u64
}

/// The engine loses all that it has not made durable, and pieces of what it was about to; the log
/// makes it good.
#[tokio::test]
async fn power_losses_take_nothing_that_was_acknowledged() {
    let rounds = std::env::var("SERENO_CRASHES").map_or(30, |text| text.parse().expect("a number"));
    let mut random = Random::new("power_losses_take_nothing_that_was_acknowledged");
    let (mut disk, log, mut sure) = (Disk::default(), Folder::new(), 0);
    for _ in 0..rounds {
        let store = on(&disk, &log).expect("opens");
        sure = verify(&store, sure).await;
        let (versions, error) = write(&store, sure, 1 + random.below(20)).await;
        assert_eq!(error, None);
        sure += versions.len() as u64;
        // The power goes somewhere in the next operations of the disk.
        disk.fail_in(random.below(40));
        let (more, _) = write(&store, sure, 3).await;
        sure += more.len() as u64;
        let found = disk.after_power_loss(&mut random);
        drop(store);
        disk = found;
    }
}

/// The engine's disk fails for good: the log takes what it can hold, then the store says so.
#[tokio::test]
async fn a_failing_disk_is_told_and_loses_nothing() {
    let mut random = Random::new("a_failing_disk_is_told_and_loses_nothing");
    let large = |number: u8| {
        Batch::new().with(Mutation::Put(Key::new("large", [number]), vec![number; 1_000_000]))
    };
    for _ in 0..3 {
        let (disk, log) = (Disk::default(), Folder::new());
        let store = on(&disk, &log).expect("opens");
        disk.fail_in(random.below(40));
        let mut sure = 0;
        let error = loop {
            match store.commit(large(sure)).await {
                Ok(_) => sure += 1,
                Err(error) => break error,
            }
            assert!(sure < 100, "nobody notices");
        };
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(matches!(store.commit(large(sure)).await, Err(StoreError::Unavailable(_))));
        let found = disk.after_power_loss(&mut random);
        drop(store);
        let store = on(&found, &log).expect("opens");
        for number in 0..sure {
            let value =
                store.get(&Key::new("large", [number])).await.unwrap().map(|(_, value)| value);
            assert!(
                value.is_some_and(|value| value == vec![number; 1_000_000]),
                "{number} of {sure}"
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

/// The log's only segment.
fn segment(folder: &Path) -> PathBuf {
    folder.join("log").join("0000000000000001")
}

/// A folder with many commits, and where each ends in the log.
async fn with_log() -> (Folder, Vec<usize>) {
    let folder = Folder::new();
    let (store, _) = open(folder.path(), &Options::default()).unwrap();
    let mut ends = Vec::new();
    for number in 0..60 {
        let (_, error) = write(&store, number, 1).await;
        assert_eq!(error, None);
        ends.push(std::fs::metadata(segment(folder.path())).unwrap().len() as usize);
    }
    (folder, ends)
}

/// A copy of the folder with another segment.
fn crashed(folder: &Folder, content: &[u8]) -> Folder {
    let crashed = Folder::new();
    copy(folder.path(), crashed.path());
    std::fs::write(segment(crashed.path()), content).unwrap();
    crashed
}

/// A crash of the machine in the midst of a sync: any pages of that group may be there, over
/// zeros or over what an earlier use of the file has left.
#[tokio::test]
async fn a_torn_end_keeps_what_was_synced() {
    let mut random = Random::new("a_torn_end_keeps_what_was_synced");
    let (folder, ends) = with_log().await;
    let content = std::fs::read(segment(folder.path())).unwrap();
    for _ in 0..60 {
        // The large ones, every seventh, have pages that can be lost alone.
        let large = random.chance(2);
        let last = if large { 7 * (1 + random.below(8)) } else { 1 + random.below(59) } as usize;
        let (from, to) = (ends[last - 1], ends[last]);
        let mut torn = content[..to].to_vec();
        let at = from + random.below((to - from) as u64) as usize;
        match random.below(4) {
            0 => torn[at..].fill(0),
            1 => torn.truncate(at),
            2 => torn[at..(at + SECTOR).min(to)].fill(0),
            _ => torn[at..].iter_mut().for_each(|byte| *byte = random.next() as u8),
        }
        // The file may be longer, with anything in it.
        let length = random.below(50_000) as usize;
        torn.extend((0..length).map(|_| if large { 0 } else { random.next() as u8 }));
        let crashed = crashed(&folder, &torn);
        let (store, _) = open(crashed.path(), &Options::default()).expect("opens");
        let there = verify(&store, last as u64).await;
        let (more, error) = write(&store, there, 5).await;
        assert_eq!((more.len(), error), (5, None));
        drop(store);
        let (store, _) = open(crashed.path(), &Options::default()).expect("opens again");
        verify(&store, there + 5).await;
    }
}

#[tokio::test]
async fn a_damaged_log_is_no_torn_end() {
    let (folder, ends) = with_log().await;
    let mut damaged = std::fs::read(segment(folder.path())).unwrap();
    let (from, to) = (ends[40], ends[41]);
    damaged[(from + to) / 2] ^= 1;
    let crashed = crashed(&folder, &damaged);
    match open(crashed.path(), &Options::default()) {
        Err(StoreError::Corrupt(why)) => assert!(why.contains("restore a backup"), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
    // Without a sync for each, younger commits can be there and older ones not.
    let durability = Durability::Relaxed { interval: std::time::Duration::from_millis(1) };
    let relaxed = Options { durability, ..Options::default() };
    let (store, _) = open(crashed.path(), &relaxed).expect("opens with what came before");
    verify(&store, 41).await;
    assert_eq!(write(&store, 41, 3).await.1, None);
    drop(store);
    let (store, _) = open(crashed.path(), &Options::default()).expect("opens as if nothing was");
    verify(&store, 44).await;
}

/// Killed while it made its folder: the next start makes it anew.
#[tokio::test]
async fn an_unfinished_creation_is_repeated() {
    let whole = Folder::new();
    drop(open(whole.path(), &Options::default()).unwrap());
    let log = format!("log/{:016x}", 1);
    for missing in ["tree/current", "tree", "tree/tables", "format", "blobs/draft", "log", &log] {
        let folder = Folder::new();
        copy(whole.path(), folder.path());
        let path = folder.path().join(missing);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        let (store, _) = open(folder.path(), &Options::default()).expect(missing);
        assert_eq!(write(&store, 0, 1).await.1, None);
    }
}

/// Much is written, so that segments are sealed, tables written and segments used again; at each
/// opening some are at hand.
#[tokio::test]
async fn segments_are_used_again() {
    for engine in [EngineKind::Fjall, EngineKind::Redb] {
        let folder = Folder::new();
        let options = Options { engine, ..Options::default() };
        for round in 0..3_u64 {
            let (store, _) = open(folder.path(), &options).unwrap();
            for number in 0..60 {
                let key = Key::new("p", number.to_string());
                let batch = Batch::new().with(Mutation::Put(key, vec![round as u8; 1_000_000]));
                store.commit(batch).await.unwrap();
            }
            for number in 0..60 {
                let found = store.get(&Key::new("p", number.to_string())).await.unwrap();
                assert!(found.unwrap().1 == vec![round as u8; 1_000_000]);
            }
        }
        let segments = std::fs::read_dir(folder.path().join("log")).unwrap().count();
        assert!(segments <= 6, "{segments}");
    }
}

/// A real full disk, where the test may mount a small one.
#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let folder = Folder::new();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: no right to mount a small disk");
        return;
    }
    let unmount = || Command::new("umount").arg("-l").arg(folder.path()).output();
    let outcome = tokio::spawn(fill(folder.path().to_owned())).await;
    drop(unmount());
    outcome.expect("no panic");
}

async fn fill(path: PathBuf) {
    // Without the guard that keeps some space free: the engine itself runs into the wall.
    let options = Options { free_bytes_min: 0, ..Options::default() };
    let (store, _) = open(&path, &options).expect("opens");
    let (versions, error) = write(&store, 0, 100_000).await;
    let sure = versions.len() as u64;
    println!("full after {sure} commits: {error:?}");
    assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
    let (_, error) = write(&store, sure, 1).await;
    assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
    verify(&store, sure).await;
    drop(store);
    let bigger = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&path).output();
    assert!(bigger.expect("mount runs").status.success());
    let (store, _) = open(&path, &options).expect("opens once there is room");
    let there = verify(&store, sure).await;
    let (more, error) = write(&store, there, 50).await;
    assert_eq!((more.len(), error), (50, None));
}

/// Every file of the engine's tables.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            found.extend(tables(&file.path()));
        } else if folder.ends_with("tables") {
            found.push(file.path());
        }
    }
    found
}

/// A disk that gives back other bytes than it was given: a read fails, or is right, never wrong.
#[tokio::test]
async fn damaged_tables_are_never_believed() {
    let mut random = Random::new("damaged_tables_are_never_believed");
    let folder = Folder::new();
    let (store, _) = open(folder.path(), &Options::default()).unwrap();
    let content = |number: u64| -> Vec<u8> {
        (0..2_000)
            .map(|at| (number.wrapping_mul(0x9e37_79b9) >> (at % 24)) as u8 ^ at as u8)
            .collect()
    };
    let key = |number: u64| Key::new("p", number.to_be_bytes());
    for number in (0..10_000).step_by(100) {
        let puts = (number..number + 100).map(|number| Mutation::Put(key(number), content(number)));
        store.commit(Batch { mutations: puts.collect(), ..Batch::new() }).await.unwrap();
    }
    drop(store);
    let (mut right, mut refused) = (0, 0);
    for _ in 0..8 {
        let damaged = Folder::new();
        copy(folder.path(), damaged.path());
        let tables = tables(&damaged.path().join("tree"));
        assert!(!tables.is_empty(), "all is still in the log");
        for path in &tables {
            let mut bytes = std::fs::read(path).unwrap();
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
            std::fs::write(path, bytes).unwrap();
        }
        let Ok((store, _)) = open(damaged.path(), &Options::default()) else {
            refused += 1;
            continue;
        };
        for number in (0..10_000).step_by(7) {
            match store.get(&key(number)).await {
                Ok(found) => {
                    let found = found.map(|(_, value)| value.to_vec());
                    assert!(found == Some(content(number)), "{number} is wrong");
                    right += 1;
                }
                Err(StoreError::Corrupt(_) | StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    println!("{right} reads right, {refused} refused");
    assert!(right > 0 && refused > 0);
}
