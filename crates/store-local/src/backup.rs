//! Backups: everything in a store and every blob that it refers to, in a folder, taken while
//! servers go on; and what else must look at everything: restoring, moving, checking.
//!
//! ```text
//! <backup>/entries       the stream of sereno_store::backup; written last, so it says "complete"
//! <backup>/blobs/<id>    a hard link where the folder is on the same disk, otherwise a copy
//! <backup>/...           small files of whoever asked for the backup, given to it
//! ```
//!
//! Blobs never change, so links are as good as copies until the disk itself fails. Which blobs
//! there are is read from the same snapshot as the entries. They are held meanwhile; where that
//! cannot be (other servers delete from the same store), what was deleted under our hands is
//! looked up in a newer snapshot.

use crate::directory::{sync_folder, unavailable};
use bytes::Bytes;
use sereno_store::backup::{Summary, load, save, transfer, verify};
use sereno_store::{
    BlobReader, BlobRef, BlobWriter, Blobs, Key, Result, Snapshot, Store, StoreError,
};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3Default;

/// What a backup or a restore has moved, or a check has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub entries: Summary,
    pub blobs: u64,
    pub blob_bytes: u64,
    /// What is wrong, in sentences; empty where all is well.
    pub problems: Vec<String>,
}

/// How far the work is: entries and blobs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub entries: u64,
    pub blobs: u64,
}

type References<'a> = &'a (dyn Fn(&Key, &[u8]) -> Result<Vec<BlobRef>> + Send + Sync);

/// What this module cannot know by itself.
#[derive(Clone, Copy)]
pub struct Guide<'a> {
    /// The blobs that an entry refers to: services know.
    pub references: References<'a>,
    /// Is told now and then.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

const PROGRESS_EVERY: u64 = 1_000;
/// Snapshots that a backup takes until none of its blobs is deleted under its hands.
const PASSES_MAX: usize = 5;
const PIECE_BYTES: usize = 256 * 1024;

/// The blobs that were met, by id, and how many entries there were.
struct Census<'a> {
    guide: &'a Guide<'a>,
    entries: u64,
    blobs: BTreeMap<String, u64>,
}

impl<'a> Census<'a> {
    fn new(guide: &'a Guide<'a>) -> Census<'a> {
        Census { guide, entries: 0, blobs: BTreeMap::new() }
    }

    fn visit(&mut self, key: &Key, value: &Bytes) -> Result<()> {
        for blob in (self.guide.references)(key, value)? {
            self.blobs.insert(blob.id, blob.len);
        }
        self.entries += 1;
        if self.entries.is_multiple_of(PROGRESS_EVERY) {
            (self.guide.progress)(Progress { entries: self.entries, blobs: 0 });
        }
        Ok(())
    }

    fn refs(&self) -> impl Iterator<Item = BlobRef> {
        self.blobs.iter().map(|(id, len)| BlobRef { id: id.clone(), len: *len })
    }

    /// Does `work` with every blob; what is damaged or not there becomes a problem.
    async fn each(
        &self,
        report: &mut Report,
        work: impl AsyncFn(&BlobRef) -> Result<()>,
    ) -> Result<()> {
        for blob in self.refs() {
            match work(&blob).await {
                Ok(()) => {
                    report.blobs += 1;
                    report.blob_bytes += blob.len;
                }
                Err(StoreError::Corrupt(what)) => report.problems.push(what),
                Err(error) => return Err(error),
            }
            if report.blobs.is_multiple_of(PROGRESS_EVERY / 10) {
                (self.guide.progress)(Progress { entries: self.entries, blobs: report.blobs });
            }
        }
        Ok(())
    }
}

/// Saves to a folder that must not exist yet. `files`: small ones to keep beside, by name; they
/// may be secret.
pub async fn backup(
    store: &dyn Store,
    blobs: &dyn Blobs,
    files: &[(&str, Vec<u8>)],
    guide: Guide<'_>,
    folder: &Path,
) -> Result<Report> {
    let create = |folder: &Path| {
        let created = DirBuilder::new().mode(0o700).create(folder);
        created.map_err(|error| unavailable("cannot create", folder, &error))
    };
    let shelf = folder.join("blobs");
    create(folder).and_then(|()| create(&shelf))?;
    for (name, content) in files {
        let path = folder.join(name);
        write_secret(&path, content).map_err(|error| unavailable("cannot write", &path, &error))?;
    }
    let held = blobs.hold();
    let (path, draft) = (folder.join("entries"), folder.join("entries.draft"));
    let failed = |error: std::io::Error| unavailable("cannot write", &draft, &error);
    let mut passes = 0;
    let report = loop {
        passes += 1;
        let snapshot = store.snapshot().await?;
        let mut file = BufWriter::new(File::create(&draft).map_err(failed)?);
        let mut census = Census::new(&guide);
        let visit = &mut |key: &Key, value: &Bytes| census.visit(key, value);
        let entries = save(&*snapshot, &mut file, visit).await?;
        drop(snapshot);
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let mut report = Report { entries, ..Report::default() };
        census
            .each(&mut report, async |blob| take(blobs, blob, &shelf.join(&blob.id)).await)
            .await?;
        if report.problems.is_empty() || held.is_some() || passes == PASSES_MAX {
            discard_others(&shelf, &census)?;
            break report;
        }
    };
    fs::rename(&draft, &path).map_err(failed)?;
    sync_folder(&shelf).and_then(|()| sync_folder(folder)).map_err(failed)?;
    Ok(report)
}

fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Copies or links a blob into a backup.
async fn take(blobs: &dyn Blobs, blob: &BlobRef, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| unavailable("cannot write", to, &error);
    if let Some(from) = blobs.path(&blob.id) {
        match fs::hard_link(&from, to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Corrupt(format!("blob {} is missing", blob.id)));
            }
            // Another disk: copied as from anywhere.
            Err(_) => {}
        }
    }
    let mut reader = Checked::open(blobs, blob).await?;
    let draft = to.with_extension("draft");
    let mut file = File::create(&draft).map_err(failed)?;
    while let Some(piece) = reader.next().await? {
        file.write_all(&piece).map_err(failed)?;
    }
    file.sync_all().and_then(|()| fs::rename(&draft, to)).map_err(failed)
}

/// Removes what earlier passes took and the last snapshot does not refer to.
fn discard_others(shelf: &Path, census: &Census<'_>) -> Result<()> {
    let discard = || -> std::io::Result<()> {
        for file in fs::read_dir(shelf)? {
            let file = file?;
            if !census.blobs.contains_key(&*file.file_name().to_string_lossy()) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    };
    discard().map_err(|error| unavailable("cannot tidy", shelf, &error))
}

/// Reads a whole blob and holds it to its length and, where its id has one, to its checksum.
struct Checked<'a> {
    blob: &'a BlobRef,
    reader: Box<dyn BlobReader>,
    sum: Box<Xxh3Default>,
}

impl<'a> Checked<'a> {
    async fn open(blobs: &dyn Blobs, blob: &'a BlobRef) -> Result<Checked<'a>> {
        let reader = blobs.open(&blob.id, 0..blob.len).await?;
        Ok(Checked { blob, reader, sum: Box::default() })
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let piece = self.reader.next().await?;
        match &piece {
            Some(piece) => self.sum.update(piece),
            None => {
                let expected = self.blob.id.get(32..).unwrap_or_default();
                if !expected.is_empty() && format!("{:016x}", self.sum.digest()) != expected {
                    let id = &self.blob.id;
                    return Err(StoreError::Corrupt(format!(
                        "blob {id} is damaged: its content does not fit its checksum"
                    )));
                }
            }
        }
        Ok(piece)
    }
}

/// Puts a backup into a store and blobs that are empty.
pub async fn restore(
    store: &dyn Store,
    blobs: &dyn Blobs,
    guide: Guide<'_>,
    folder: &Path,
) -> Result<Report> {
    let path = folder.join("entries");
    let file = File::open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::Unavailable(format!(
            "{} holds no backup, or one that was not finished",
            folder.display()
        )),
        _ => unavailable("cannot read", &path, &error),
    })?;
    let shelf = folder.join("blobs");
    let files = fs::read_dir(&shelf).map_err(|error| unavailable("cannot list", &shelf, &error))?;
    // First the blobs: a record must never be without its own.
    let (mut found, mut done) = (BTreeMap::new(), 0);
    for file in files {
        let file = file.map_err(|error| unavailable("cannot list", &shelf, &error))?;
        let id = file.file_name().to_string_lossy().into_owned();
        let len = give(&file.path(), blobs.adopt(&id).await?).await?;
        found.insert(id, len);
        done += 1;
        (guide.progress)(Progress { entries: 0, blobs: done });
    }
    let mut census = Census::new(&guide);
    let visit = &mut |key: &Key, value: &Bytes| census.visit(key, value);
    let entries = load(store, &mut BufReader::with_capacity(1 << 20, file), visit).await?;
    let mut report = Report { entries, ..Report::default() };
    census.each(&mut report, async |blob| has(&found, blob)).await?;
    Ok(report)
}

/// Writes a file's content.
async fn give(path: &Path, mut writer: Box<dyn BlobWriter>) -> Result<u64> {
    let failed = |error: std::io::Error| unavailable("cannot read", path, &error);
    let file = File::open(path).map_err(failed)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let limit = PIECE_BYTES as u64;
        (&file).take(limit).read_to_end(&mut piece).map_err(failed)?;
        if piece.is_empty() {
            return Ok(writer.finish().await?.len);
        }
        writer.write(piece.into()).await?;
    }
}

fn has(there: &BTreeMap<String, u64>, blob: &BlobRef) -> Result<()> {
    let (id, expected) = (&blob.id, blob.len);
    match there.get(id) {
        None => Err(StoreError::Corrupt(format!("blob {id} is missing"))),
        Some(len) if *len != expected => {
            Err(StoreError::Corrupt(format!("blob {id} has {len} bytes instead of {expected}")))
        }
        Some(_) => Ok(()),
    }
}

/// Moves everything into another store and other blobs, which are empty. Nothing may write to the
/// first meanwhile.
pub async fn migrate(
    (store, blobs): (&dyn Store, &dyn Blobs),
    (new_store, new_blobs): (&dyn Store, &dyn Blobs),
    guide: Guide<'_>,
) -> Result<Report> {
    let snapshot = store.snapshot().await?;
    let (census, _) = counted(&*snapshot, &guide).await?;
    let mut report = Report::default();
    // First the blobs: a record must never be without its own.
    let copy = async |blob: &BlobRef| {
        let mut reader = Checked::open(blobs, blob).await?;
        let mut writer = new_blobs.adopt(&blob.id).await?;
        while let Some(piece) = reader.next().await? {
            writer.write(piece).await?;
        }
        writer.finish().await.map(|_| ())
    };
    census.each(&mut report, copy).await?;
    let mut moved = Census::new(&guide);
    let visit = &mut |key: &Key, value: &Bytes| moved.visit(key, value);
    report.entries = transfer(&*snapshot, new_store, visit).await?;
    Ok(report)
}

async fn counted<'a>(
    snapshot: &dyn Snapshot,
    guide: &'a Guide<'a>,
) -> Result<(Census<'a>, Summary)> {
    let mut census = Census::new(guide);
    let visit = &mut |key: &Key, value: &Bytes| census.visit(key, value);
    let summary = verify(snapshot, visit).await?;
    Ok((census, summary))
}

/// Reads every entry, and every blob that is referred to, to its last byte.
pub async fn check(store: &dyn Store, blobs: &dyn Blobs, guide: Guide<'_>) -> Result<Report> {
    let held = blobs.hold();
    let mut passes = 0;
    loop {
        passes += 1;
        let snapshot = store.snapshot().await?;
        let (census, entries) = match counted(&*snapshot, &guide).await {
            Ok(counted) => counted,
            Err(StoreError::Corrupt(what)) => {
                let problems = vec![format!("{what}; what lies behind it was not looked at")];
                return Ok(Report { problems, ..Report::default() });
            }
            Err(error) => return Err(error),
        };
        drop(snapshot);
        let list = blobs.list().await?;
        let there = list.into_iter().map(|blob| (blob.id, blob.len)).collect();
        let mut report = Report { entries, ..Report::default() };
        let read = async |blob: &BlobRef| {
            has(&there, blob)?;
            let mut reader = Checked::open(blobs, blob).await?;
            while reader.next().await?.is_some() {}
            Ok(())
        };
        census.each(&mut report, read).await?;
        // Once more where it may have been deleted while we looked.
        if report.problems.is_empty() || held.is_some() || passes == 2 {
            return Ok(report);
        }
    }
}
