//! Blobs as files.
//!
//! ```text
//! blobs/
//!   draft/<id>       being written
//!   <ab>/<id>        finished; <ab> are the id's first two digits
//! ```
//!
//! Invariants: a file in its place is whole and on disk, and so is its name; an id is 128 random
//! bits and never used twice; a record refers to a blob only after it is finished, so a crash
//! leaves at most drafts and files that nothing refers to, which the sweep removes.

use crate::directory::{sync_folder, unavailable};
use bytes::{Bytes, BytesMut};
use sereno_base::hex;
use sereno_store::{
    BlobInfo, BlobReader, BlobRef, BlobWriter, Blobs, BoxFuture, Result, StoreError,
};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A read or write of at most this size is done where it is asked for; larger work goes to a
/// thread that may block.
const PIECE_BYTES: usize = 256 * 1024;

#[derive(Clone)]
pub struct FileBlobs(Arc<PathBuf>);

struct Writer {
    blobs: FileBlobs,
    id: String,
    /// `None` while a thread has it, and after a failure.
    file: Option<File>,
    len: u64,
    finished: bool,
}

struct Reader {
    path: PathBuf,
    file: Option<File>,
    left: u64,
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
    /// Removes what a crash has left half written.
    pub fn open(folder: &Path) -> Result<FileBlobs> {
        let drafts = folder.join("draft");
        let prepare = || {
            fs::create_dir_all(&drafts)?;
            for draft in fs::read_dir(&drafts)? {
                fs::remove_file(draft?.path())?;
            }
            sync_folder(folder)
        };
        prepare().map_err(|error| unavailable("cannot prepare", folder, &error))?;
        Ok(FileBlobs(Arc::new(folder.to_owned())))
    }

    fn draft(&self, id: &str) -> PathBuf {
        self.0.join("draft").join(id)
    }

    /// `None` for what is no id: it may come from a request.
    fn place(&self, id: &str) -> Option<PathBuf> {
        let is_id = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| self.0.join(&id[..2]).join(id))
    }

    fn found(&self, id: &str) -> Result<PathBuf> {
        self.place(id).ok_or_else(|| StoreError::Corrupt(format!("{id:?} is no blob")))
    }

    /// Removes finished blobs that are not in `referenced` and older than `age`; says how many.
    /// Collect `referenced` from a snapshot taken before the call; `age` must be longer than any
    /// operation takes from finishing a blob to committing its record.
    pub async fn sweep(&self, referenced: HashSet<String>, age: Duration) -> Result<usize> {
        let blobs = self.clone();
        let sweep = move || {
            let mut removed = 0;
            for blob in blobs.walk()? {
                if blob.age >= age && !referenced.contains(&blob.id) {
                    let path = blobs.found(&blob.id)?;
                    fs::remove_file(&path)
                        .map_err(|error| unavailable("cannot remove", &path, &error))?;
                    removed += 1;
                }
            }
            Ok(removed)
        };
        blocking(sweep).await?
    }

    /// Takes in a blob of a backup, under the name that records know.
    pub(crate) fn adopt(&self, id: &str, from: &Path) -> Result<()> {
        let place = self.found(id)?;
        let draft = self.draft(id);
        let shelf = self.0.join(&id[..2]);
        let adopt = || {
            fs::copy(from, &draft)?;
            File::open(&draft)?.sync_all()?;
            fs::create_dir_all(&shelf)?;
            fs::rename(&draft, place)?;
            sync_folder(&shelf)?;
            sync_folder(&self.0)
        };
        adopt().map_err(|error| unavailable("cannot take in", from, &error))
    }

    fn walk(&self) -> Result<Vec<BlobInfo>> {
        let walk = || -> std::io::Result<Vec<BlobInfo>> {
            let mut found = Vec::new();
            for shelf in fs::read_dir(&*self.0)? {
                let shelf = shelf?;
                if shelf.file_name() == "draft" {
                    continue;
                }
                for file in fs::read_dir(shelf.path())? {
                    let file = file?;
                    let meta = file.metadata()?;
                    let id = file.file_name().to_string_lossy().into_owned();
                    let age = meta.modified()?.elapsed().unwrap_or_default();
                    found.push(BlobInfo { id, len: meta.len(), age });
                }
            }
            Ok(found)
        };
        walk().map_err(|error| unavailable("cannot list", &self.0, &error))
    }

    fn start(&self) -> Result<Writer> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
        let id = hex(&random);
        let path = self.draft(&id);
        let file = File::options().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| unavailable("cannot create", &path, &error))?;
        Ok(Writer { blobs: self.clone(), id, file: Some(file), len: 0, finished: false })
    }
}

impl Blobs for FileBlobs {
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>> {
        let writer = self.start().map(|writer| Box::new(writer) as Box<dyn BlobWriter>);
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
            Ok(Box::new(Reader { path, file: Some(file), left }))
        };
        Box::pin(std::future::ready(open()))
    }

    fn path(&self, id: &str) -> Option<PathBuf> {
        self.place(id)
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        let delete = || {
            let path = self.found(id)?;
            match fs::remove_file(&path) {
                // Not synced: a file that comes back after a crash is swept.
                Ok(()) => Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(unavailable("cannot remove", &path, &error)),
            }
        };
        Box::pin(std::future::ready(delete()))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>>> {
        let blobs = self.clone();
        Box::pin(async move { blocking(move || blobs.walk()).await? })
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

    /// Content, then place, then the place's name: each durable before the next.
    fn settle(&self, file: &File) -> std::io::Result<()> {
        file.sync_all()?;
        let place = self.blobs.place(&self.id).ok_or(std::io::ErrorKind::InvalidInput)?;
        let shelf = self.blobs.0.join(&self.id[..2]);
        if !shelf.is_dir() {
            fs::create_dir_all(&shelf)?;
            sync_folder(&self.blobs.0)?;
        }
        fs::rename(self.blobs.draft(&self.id), place)?;
        sync_folder(&shelf)
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write_piece(bytes))
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<BlobRef>> {
        Box::pin(async move {
            let gone = || StoreError::Unavailable("writing this blob has failed before".into());
            let file = self.file.take().ok_or_else(gone)?;
            let blob = BlobRef { id: self.id.clone(), len: self.len };
            let settle = move || {
                let settled = self.settle(&file).map_err(|error| self.failed(&error));
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
        Ok(Some(piece.freeze()))
    }
}

impl BlobReader for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(self.piece())
    }
}
