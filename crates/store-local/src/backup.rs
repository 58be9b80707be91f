//! A backup of a data directory: everything in the store and every blob, in another folder, taken
//! while the server runs.
//!
//! ```text
//! <backup>/entries       the stream of sereno_store::backup; written last, so it says "complete"
//! <backup>/blobs/<id>    a hard link where the folder is on the same disk, otherwise a copy
//! ```
//!
//! Blobs never change, so links are as good as copies until the disk itself fails. They are
//! gathered before and again after the snapshot is taken: a blob of the snapshot was there at one
//! of the two times.

use crate::directory::{sync_folder, unavailable};
use crate::{FileBlobs, LocalStore};
use sereno_store::backup::{Summary, load, save, verify};
use sereno_store::{BlobRef, Blobs, Result, Store, StoreError};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// What a backup or a restore has moved, or a check has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub entries: Summary,
    pub blobs: u64,
    pub blob_bytes: u64,
    /// What is wrong, in sentences; empty where all is well.
    pub problems: Vec<String>,
}

/// Saves to a folder that must not exist yet.
pub async fn backup(store: &LocalStore, blobs: &FileBlobs, folder: &Path) -> Result<Report> {
    fs::create_dir(folder).map_err(|error| unavailable("cannot create", folder, &error))?;
    let shelf = folder.join("blobs");
    fs::create_dir(&shelf).map_err(|error| unavailable("cannot create", &shelf, &error))?;
    gather(blobs, &shelf).await?;
    let snapshot = store.snapshot().await?;
    gather(blobs, &shelf).await?;
    let (path, draft) = (folder.join("entries"), folder.join("entries.draft"));
    let failed = |error: std::io::Error| unavailable("cannot write", &draft, &error);
    let mut file = BufWriter::new(File::create(&draft).map_err(failed)?);
    let entries = save(&*snapshot, &mut file).await?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&draft, &path).map_err(failed)?;
    sync_folder(&shelf).and_then(|()| sync_folder(folder)).map_err(failed)?;
    let mut report = Report { entries, ..Report::default() };
    for (_, len) in listed(&shelf)? {
        report.blobs += 1;
        report.blob_bytes += len;
    }
    Ok(report)
}

async fn gather(blobs: &FileBlobs, shelf: &Path) -> Result<()> {
    for blob in blobs.list().await? {
        let (Some(from), to) = (blobs.path(&blob.id), shelf.join(&blob.id)) else { continue };
        if to.exists() {
            continue;
        }
        let taken = fs::hard_link(&from, &to).or_else(|_| copy(&from, &to));
        match taken {
            // Deleted since it was listed: nothing that stays refers to it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            taken => taken.map_err(|error| unavailable("cannot copy", &from, &error))?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn listed(shelf: &Path) -> Result<HashMap<String, u64>> {
    let list = || -> std::io::Result<HashMap<String, u64>> {
        let files = fs::read_dir(shelf)?.map(|file| {
            let file = file?;
            Ok((file.file_name().to_string_lossy().into_owned(), file.metadata()?.len()))
        });
        files.collect()
    };
    list().map_err(|error| unavailable("cannot list", shelf, &error))
}

/// Puts a backup into a store and blobs that are empty.
pub async fn restore(store: &dyn Store, blobs: &FileBlobs, folder: &Path) -> Result<Report> {
    let path = folder.join("entries");
    let file = File::open(&path).map_err(|error| unavailable("cannot read", &path, &error))?;
    let shelf = folder.join("blobs");
    let mut report = Report::default();
    // First the blobs: a record must never be without its own.
    for (id, len) in listed(&shelf)? {
        blobs.adopt(&id, &shelf.join(&id))?;
        report.blobs += 1;
        report.blob_bytes += len;
    }
    report.entries = load(store, &mut BufReader::with_capacity(1 << 20, file)).await?;
    Ok(report)
}

/// Reads every entry and looks for every blob that is referred to. Where `content`, reads the
/// blobs too, to their last byte.
pub async fn check(
    store: &dyn Store,
    blobs: &dyn Blobs,
    referred: impl IntoIterator<Item = BlobRef>,
    content: bool,
) -> Result<Report> {
    let snapshot = store.snapshot().await?;
    let mut report = Report::default();
    match verify(&*snapshot).await {
        Ok(entries) => report.entries = entries,
        Err(StoreError::Corrupt(what)) => report.problems.push(what),
        Err(error) => return Err(error),
    }
    let there: HashMap<String, u64> =
        blobs.list().await?.into_iter().map(|blob| (blob.id, blob.len)).collect();
    for blob in referred {
        match there.get(&blob.id) {
            None => report.problems.push(format!("blob {} is missing", blob.id)),
            Some(len) if *len != blob.len => {
                let (id, expected) = (&blob.id, blob.len);
                report.problems.push(format!("blob {id} has {len} bytes instead of {expected}"));
            }
            Some(_) => {
                report.blobs += 1;
                report.blob_bytes += blob.len;
                if content && let Err(error) = read_through(blobs, &blob).await {
                    report.problems.push(format!("blob {}: {error}", blob.id));
                }
            }
        }
    }
    Ok(report)
}

async fn read_through(blobs: &dyn Blobs, blob: &BlobRef) -> Result<()> {
    let mut reader = blobs.open(&blob.id, 0..blob.len).await?;
    while reader.next().await?.is_some() {}
    Ok(())
}
