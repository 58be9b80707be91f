//! A disk that forgets, tears and reorders what was not synced, and one that fails.
//!
//! redb runs on a disk made for it; fjall's journal is torn on the real one.

use crate::folder::Folder;
use redb::StorageBackend;
use sereno_store::suite::Random;
use sereno_store::{Batch, Key, Mutation, Read, Result, Store, StoreError, Version};
use sereno_store_local::{Conduct, Durability, LocalStore, Options, RedbEngine, open};
use std::fs::File;
use std::os::unix::fs::FileExt;
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

fn on(disk: &Disk) -> Result<LocalStore> {
    let conduct = Conduct { durability: Durability::Durable, space: None };
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

#[tokio::test]
async fn power_losses_take_nothing_that_was_acknowledged() {
    let rounds = std::env::var("SERENO_CRASHES").map_or(30, |text| text.parse().expect("a number"));
    let mut random = Random::new("power_losses_take_nothing_that_was_acknowledged");
    let (mut disk, mut sure) = (Disk::default(), 0);
    for _ in 0..rounds {
        let store = on(&disk).expect("opens");
        sure = verify(&store, sure).await;
        let (versions, error) = write(&store, sure, 1 + random.below(20)).await;
        assert_eq!(error, None);
        sure += versions.len() as u64;
        // The power goes in the midst of one more commit.
        disk.fail_in(random.below(12));
        let (more, _) = write(&store, sure, 3).await;
        sure += more.len() as u64;
        let found = disk.after_power_loss(&mut random);
        drop(store);
        disk = found;
    }
}

#[tokio::test]
async fn a_failing_disk_is_told_and_loses_nothing() {
    let mut random = Random::new("a_failing_disk_is_told_and_loses_nothing");
    for _ in 0..30 {
        let disk = Disk::default();
        let store = on(&disk).expect("opens");
        disk.fail_in(random.below(300));
        let (versions, error) = write(&store, 0, 1_000).await;
        assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        // Nothing is written any more: what is on disk is not known.
        let (none, error) = write(&store, 5_000, 1).await;
        assert!(none.is_empty() && matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        let found = disk.after_power_loss(&mut random);
        drop(store);
        verify(&on(&found).expect("opens"), versions.len() as u64).await;
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

fn journal(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder.join("fjall")).unwrap().map(|file| file.unwrap().path());
    let mut journals: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect();
    assert_eq!(journals.len(), 1, "so little is written that one journal holds it");
    journals.remove(0)
}

fn written(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A folder with many commits, and where each ends in the journal.
async fn with_journal() -> (Folder, Vec<usize>) {
    let folder = Folder::new();
    let (store, _) = open(folder.path(), &Options::default()).unwrap();
    let mut ends = Vec::new();
    for number in 0..60 {
        let (_, error) = write(&store, number, 1).await;
        assert_eq!(error, None);
        let mut beginning = vec![0; 1 << 20];
        let journal = File::open(journal(folder.path())).unwrap();
        journal.read_exact_at(&mut beginning, 0).unwrap();
        ends.push(written(&beginning));
    }
    drop(store);
    let end = *ends.last().unwrap();
    File::options().write(true).open(journal(folder.path())).unwrap().set_len(end as u64).unwrap();
    (folder, ends)
}

/// A copy of the folder with another journal.
fn crashed(folder: &Folder, content: &[u8]) -> Folder {
    let crashed = Folder::new();
    copy(folder.path(), crashed.path());
    std::fs::write(journal(crashed.path()), content).unwrap();
    crashed
}

/// A crash of the machine in the midst of a sync: any pages of that group may be there.
#[tokio::test]
async fn a_torn_journal_keeps_what_was_synced() {
    let mut random = Random::new("a_torn_journal_keeps_what_was_synced");
    let (folder, ends) = with_journal().await;
    let content = std::fs::read(journal(folder.path())).unwrap();
    for _ in 0..60 {
        // The large ones, every seventh, have pages that can be lost alone.
        let large = random.chance(2);
        let last = if large { 7 * (1 + random.below(8)) } else { 1 + random.below(59) } as usize;
        let (from, to) = (ends[last - 1], ends[last]);
        let mut torn = content.clone();
        torn[to..].fill(0);
        let at = from + random.below((to - from) as u64) as usize;
        match random.below(3) {
            0 => torn[at..].fill(0),
            1 => torn.truncate(at),
            // A page lost in the middle.
            _ => torn[at..(at + SECTOR).min(to)].fill(0),
        }
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
async fn a_damaged_journal_is_no_torn_end() {
    let (folder, ends) = with_journal().await;
    let mut damaged = std::fs::read(journal(folder.path())).unwrap();
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
}

/// Killed while it made its folder: the next start makes it anew.
#[tokio::test]
async fn an_unfinished_creation_is_repeated() {
    let whole = Folder::new();
    drop(open(whole.path(), &Options::default()).unwrap());
    for missing in ["fjall/version", "format", "blobs/draft", "fjall"] {
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
