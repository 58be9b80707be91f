//! Blobs as files.
//!
//! ```text
//! blobs/
//!   draft/<id>       being written
//!   <ab>/<id>        finished; <ab> are the id's first two digits
//! ```
//!
//! Invariants: a file in its place is whole and on disk, and so is its name; an id is 128 random
//! bits and never used twice, then the content's checksum (xxh3), which every reading to the end is
//! held to; a record refers to a blob only after it is finished, so a crash leaves at most drafts
//! and files that nothing refers to, which the sweep removes.

use crate::directory::{sync_folder, unavailable};
use bytes::{Bytes, BytesMut};
use sereno_base::hex;
use sereno_store::{
    BlobInfo, BlobReader, BlobRef, BlobWriter, Blobs, BoxFuture, Result, StoreError, is_blob_id,
};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use xxhash_rust::xxh3::Xxh3Default;

/// A read or write of at most this size is done where it is asked for; larger work goes to a
/// thread that may block.
const PIECE_BYTES: usize = 256 * 1024;

/// A draft of this age is nobody's: writing would have made it younger.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// An id's digits before its checksum.
const CHANCE_DIGITS: usize = 32;

#[derive(Clone)]
pub struct FileBlobs(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    held: Mutex<Held>,
}

/// Deletions that wait until nobody holds the blobs.
#[derive(Default)]
struct Held {
    holders: usize,
    waiting: Vec<PathBuf>,
}

struct Hold(FileBlobs);

struct Writer {
    blobs: FileBlobs,
    /// Without the checksum, unless the id was given.
    id: String,
    given: bool,
    /// `None` while a thread has it, and after a failure.
    file: Option<File>,
    len: u64,
    sum: Box<Xxh3Default>,
    finished: bool,
}

struct Reader {
    path: PathBuf,
    file: Option<File>,
    left: u64,
    /// Where all of a blob is read whose id has a checksum.
    sum: Option<(Box<Xxh3Default>, String)>,
}

/// Runs blocking work on a thread for it, where there is a runtime; otherwise right here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(format!("a file operation stopped: {error}")))
}

impl FileBlobs {
    /// Blobs of this process alone: removes what a crash has left half written.
    pub fn open(folder: &Path) -> Result<FileBlobs> {
        FileBlobs::prepare(folder, Duration::ZERO)
    }

    /// Blobs in a folder that several servers share: their drafts are left alone.
    pub fn open_shared(folder: &Path) -> Result<FileBlobs> {
        FileBlobs::prepare(folder, DRAFT_AGE_MAX)
    }

    fn prepare(folder: &Path, draft_age_max: Duration) -> Result<FileBlobs> {
        let drafts = folder.join("draft");
        let prepare = || {
            fs::create_dir_all(&drafts)?;
            for draft in fs::read_dir(&drafts)? {
                let draft = draft?;
                let age = draft.metadata()?.modified()?.elapsed().unwrap_or_default();
                if age >= draft_age_max {
                    fs::remove_file(draft.path())?;
                }
            }
            sync_folder(folder)
        };
        prepare().map_err(|error| unavailable("cannot prepare", folder, &error))?;
        let (folder, held) = (folder.to_owned(), Mutex::default());
        Ok(FileBlobs(Arc::new(Inner { folder, held })))
    }

    fn folder(&self) -> &Path {
        &self.0.folder
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draft(&self, id: &str) -> PathBuf {
        self.folder().join("draft").join(id)
    }

    /// `None` for what is no id: it may come from a request.
    fn place(&self, id: &str) -> Option<PathBuf> {
        is_blob_id(id).then(|| self.folder().join(&id[..2]).join(id))
    }

    fn found(&self, id: &str) -> Result<PathBuf> {
        self.place(id).ok_or_else(|| StoreError::Corrupt(format!("{id:?} is no blob")))
    }

    fn walk(&self) -> Result<Vec<BlobInfo>> {
        let walk = || -> std::io::Result<Vec<BlobInfo>> {
            let mut found = Vec::new();
            for shelf in fs::read_dir(self.folder())? {
                let shelf = shelf?;
                if shelf.file_name() == "draft" {
                    continue;
                }
                for file in fs::read_dir(shelf.path())? {
                    let file = file?;
                    let meta = match file.metadata() {
                        // Deleted since the folder was read.
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                        meta => meta?,
                    };
                    let id = file.file_name().to_string_lossy().into_owned();
                    let age = meta.modified()?.elapsed().unwrap_or_default();
                    found.push(BlobInfo { id, len: meta.len(), age });
                }
            }
            Ok(found)
        };
        walk().map_err(|error| unavailable("cannot list", self.folder(), &error))
    }

    fn start(&self, given: Option<&str>) -> Result<Writer> {
        let id = match given {
            Some(id) => self.found(id).map(|_| id.to_owned())?,
            None => {
                let mut random = [0; CHANCE_DIGITS / 2];
                getrandom::fill(&mut random)
                    .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
                hex(&random)
            }
        };
        let path = self.draft(&id);
        let file = File::options().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| unavailable("cannot create", &path, &error))?;
        Ok(Writer {
            blobs: self.clone(),
            id,
            given: given.is_some(),
            file: Some(file),
            len: 0,
            sum: Box::default(),
            finished: false,
        })
    }
}

fn digits(sum: &Xxh3Default) -> String {
    format!("{:016x}", sum.digest())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        // Not synced: a file that comes back after a crash is swept.
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unavailable("cannot remove", path, &error)),
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.holders -= 1;
        let free = if held.holders == 0 { std::mem::take(&mut held.waiting) } else { Vec::new() };
        drop(held);
        for path in free {
            // What stays is swept.
            drop(remove(&path));
        }
    }
}

impl Blobs for FileBlobs {
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>> {
        let writer = self.start(None).map(|writer| Box::new(writer) as Box<dyn BlobWriter>);
        Box::pin(std::future::ready(writer))
    }

    fn adopt<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Box<dyn BlobWriter>>> {
        let writer = self.start(Some(id)).map(|writer| Box::new(writer) as Box<dyn BlobWriter>);
        Box::pin(std::future::ready(writer))
    }

    fn open<'a>(
        &'a self,
        id: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn BlobReader>>> {
        let open = || -> Result<Box<dyn BlobReader>> {
            let path = self.found(id)?;
            let failed = |error: std::io::Error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    StoreError::Corrupt(format!("blob {id} is not there"))
                }
                _ => unavailable("cannot read", &path, &error),
            };
            let mut file = File::open(&path).map_err(failed)?;
            let len = file.metadata().map_err(failed)?.len();
            if range.start > range.end || range.end > len {
                let what = format!("blob {id} has {len} bytes, {range:?} were asked for");
                return Err(StoreError::Corrupt(what));
            }
            if range.start > 0 {
                file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            }
            let left = range.end - range.start;
            let sum = id.get(CHANCE_DIGITS..).filter(|sum| !sum.is_empty() && left == len);
            let sum = sum.map(|sum| (Box::default(), sum.to_owned()));
            Ok(Box::new(Reader { path, file: Some(file), left, sum }))
        };
        Box::pin(std::future::ready(open()))
    }

    fn path(&self, id: &str) -> Option<PathBuf> {
        self.place(id)
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        let delete = || {
            let path = self.found(id)?;
            let mut held = self.held();
            if held.holders > 0 {
                held.waiting.push(path);
                return Ok(());
            }
            drop(held);
            remove(&path)
        };
        Box::pin(std::future::ready(delete()))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>>> {
        let blobs = self.clone();
        Box::pin(async move { blocking(move || blobs.walk()).await? })
    }

    fn hold(&self) -> Option<Box<dyn Send>> {
        self.held().holders += 1;
        Some(Box::new(Hold(self.clone())))
    }
}

impl Writer {
    fn failed(&self, error: &std::io::Error) -> StoreError {
        unavailable("cannot write", &self.blobs.draft(&self.id), error)
    }

    async fn write_piece(&mut self, bytes: Bytes) -> Result<()> {
        let gone = || StoreError::Unavailable("writing this blob has failed before".into());
        let mut file = self.file.take().ok_or_else(gone)?;
        let len = bytes.len();
        self.sum.update(&bytes);
        let (file, written) = if len <= PIECE_BYTES {
            let written = file.write_all(&bytes);
            (file, written)
        } else {
            blocking(move || {
                let written = file.write_all(&bytes);
                (file, written)
            })
            .await?
        };
        written.map_err(|error| self.failed(&error))?;
        self.file = Some(file);
        self.len += len as u64;
        Ok(())
    }

    /// The name that the content gives; refused where another was given.
    fn name(&self) -> Result<String> {
        let sum = digits(&self.sum);
        match self.given {
            false => Ok(format!("{}{sum}", self.id)),
            true if self.id.len() == CHANCE_DIGITS || self.id.ends_with(&sum) => {
                Ok(self.id.clone())
            }
            true => Err(damaged(&self.id)),
        }
    }

    /// Content, then place, then the place's name: each durable before the next.
    fn settle(&self, file: &File, id: &str) -> std::io::Result<()> {
        file.sync_all()?;
        let place = self.blobs.place(id).ok_or(std::io::ErrorKind::InvalidInput)?;
        let shelf = self.blobs.folder().join(&id[..2]);
        if !shelf.is_dir() {
            fs::create_dir_all(&shelf)?;
            sync_folder(self.blobs.folder())?;
        }
        fs::rename(self.blobs.draft(&self.id), place)?;
        sync_folder(&shelf)
    }
}

fn damaged(id: &str) -> StoreError {
    StoreError::Corrupt(format!("blob {id} is damaged: its content does not fit its checksum"))
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write_piece(bytes))
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<BlobRef>> {
        Box::pin(async move {
            let gone = || StoreError::Unavailable("writing this blob has failed before".into());
            let file = self.file.take().ok_or_else(gone)?;
            let blob = BlobRef { id: self.name()?, len: self.len };
            let id = blob.id.clone();
            let settle = move || {
                let settled = self.settle(&file, &id).map_err(|error| self.failed(&error));
                self.finished = settled.is_ok();
                settled
            };
            blocking(settle).await??;
            Ok(blob)
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // A draft that stays behind is removed at the next start.
            drop(fs::remove_file(self.blobs.draft(&self.id)));
        }
    }
}

impl Reader {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let gone = || StoreError::Unavailable("reading this blob has failed before".into());
        let mut file = self.file.take().ok_or_else(gone)?;
        let mut piece = BytesMut::zeroed(want);
        let read = file.read_exact(&mut piece);
        read.map_err(|error| unavailable("cannot read", &self.path, &error))?;
        self.file = Some(file);
        self.left -= want as u64;
        if let Some((sum, expected)) = &mut self.sum {
            sum.update(&piece);
            if self.left == 0 && digits(sum) != *expected {
                let name = self.path.file_name().unwrap_or_default();
                return Err(damaged(&name.to_string_lossy()));
            }
        }
        Ok(Some(piece.freeze()))
    }
}

impl BlobReader for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(self.piece())
    }
}
