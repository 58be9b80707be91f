//! The log: what makes a commit durable.
//!
//! ```text
//! log/<number in 16 hex digits>     a segment
//! log/spare                         a file to become the next one
//! ```
//!
//! A group of commits is one record and one sync. One segment belongs to what the engine has not
//! yet made durable; when that grows large, the segment is sealed and the next one begun, and when
//! the engine has caught up, the sealed one is used again. A segment that is used again is
//! already allocated and written: overwriting it costs a sync of the data alone, a third less
//! than appending.
//!
//! Invariants:
//! * A segment is synced before it is sealed, so only the last record of the log can be torn.
//! * Only the committer numbers segments; a spare has no number, so that it can never take the
//!   place of another.
//! * Everything that the engine may lose lies in the segments that are not yet recycled.

use crate::committer::weight;
use crate::directory::{sync_folder, unavailable};
use crate::engine::{Engine, Write};
use crate::log_record::{
    Kind, SEGMENT_HEAD, Tie, decode, encode, is_followed, segment_head, segment_salt,
};
use sereno_store::{Result, StoreError};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a segment is allocated with. The last group may go beyond.
pub const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// The committer's end of the log.
pub struct Log {
    shelf: Arc<Shelf>,
    active: Segment,
    tie: Tie,
    /// Reused for each record.
    buffer: Vec<u8>,
}

struct Segment {
    number: u64,
    file: File,
    salt: u64,
    /// Where the next record goes.
    end: u64,
    /// How much of the file was written before, in this use or an earlier one.
    allocated: u64,
}

/// The folder, shared with the thread that makes segments ready.
pub struct Shelf {
    folder: PathBuf,
    spare: Mutex<Option<File>>,
}

/// What was found in the log when it was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What the records applied to the engine weigh there.
    pub weight: usize,
    /// Segments before the active one.
    pub sealed: Vec<u64>,
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))
}

impl Shelf {
    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}"))
    }

    /// Bytes on disk.
    pub fn size(&self) -> Result<u64> {
        let size = || -> std::io::Result<u64> {
            let files = fs::read_dir(&self.folder)?;
            files.map(|file| Ok(file?.metadata()?.len())).sum()
        };
        size().map_err(|error| unavailable("cannot list", &self.folder, &error))
    }

    fn spare(&self) -> MutexGuard<'_, Option<File>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a spare, unless there is one. Without, the committer makes its segment itself, which
    /// takes longer, and then longer for each record.
    pub fn prepare(&self) -> Result<()> {
        if self.spare().is_some() {
            return Ok(());
        }
        let (draft, path) = (self.folder.join("draft"), self.folder.join("spare"));
        let make = || {
            let file = create(&draft)?;
            let zeros = vec![0; 256 * 1024];
            for part in 0..SEGMENT_BYTES / zeros.len() as u64 {
                file.write_all_at(&zeros, part * zeros.len() as u64)?;
            }
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            sync_folder(&self.folder)?;
            Ok(file)
        };
        let spare = make().map_err(|error| unavailable("cannot create", &path, &error))?;
        *self.spare() = Some(spare);
        Ok(())
    }

    /// Gives up a sealed segment whose content the engine has made durable. Must be called in the
    /// order of the numbers.
    pub fn retire(&self, number: u64) -> Result<()> {
        let path = self.path(number);
        let mut spare = self.spare();
        let retire = || {
            let file = File::options().read(true).write(true).open(&path)?;
            let length = file.metadata()?.len();
            if spare.is_some() || length < SEGMENT_BYTES {
                fs::remove_file(&path)?;
                sync_folder(&self.folder)?;
                return Ok(None);
            }
            if length > 2 * SEGMENT_BYTES {
                file.set_len(SEGMENT_BYTES)?;
            }
            fs::rename(&path, self.folder.join("spare"))?;
            sync_folder(&self.folder)?;
            Ok(Some(file))
        };
        let retired = retire().map_err(|error| unavailable("cannot retire", &path, &error))?;
        if retired.is_some() {
            *spare = retired;
        }
        Ok(())
    }

    /// A segment for new records. Its head need not be synced: until the first record is, nothing
    /// is in it, and a head from an earlier use does not fit the name.
    fn begin(&self, number: u64) -> Result<Segment> {
        let path = self.path(number);
        let salt = random()?;
        let spare = self.spare().take();
        let begin = || {
            let from = self.folder.join(if spare.is_some() { "spare" } else { "draft" });
            let file = match spare {
                Some(spare) => spare,
                None => create(&from)?,
            };
            file.write_all_at(&segment_head(number, salt), 0)?;
            fs::rename(from, &path)?;
            sync_folder(&self.folder)?;
            let allocated = file.metadata()?.len();
            Ok(Segment { number, file, salt, end: SEGMENT_HEAD as u64, allocated })
        };
        begin().map_err(|error| unavailable("cannot create", &path, &error))
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open(path)
}

impl Log {
    /// Opens the log and applies what it holds to the engine. `relaxed`: whole records behind a
    /// damaged one are no proof of damage, because they were not synced one by one.
    pub fn open(folder: &Path, engine: &dyn Engine, relaxed: bool) -> Result<(Log, Found)> {
        fs::create_dir_all(folder).map_err(|error| unavailable("cannot create", folder, &error))?;
        let shelf = Shelf { folder: folder.to_owned(), spare: Mutex::new(None) };
        let mut replay = Replay { engine, relaxed, tie: None, found: Found::default() };
        let mut active: Option<Segment> = None;
        for number in numbers(folder)? {
            let path = shelf.path(number);
            // A head that does not fit: its making was interrupted, nothing is in it.
            let Some(segment) = replay.segment(number, &path)? else {
                fs::remove_file(&path)
                    .map_err(|error| unavailable("cannot remove", &path, &error))?;
                continue;
            };
            if let Some(older) = active.replace(segment) {
                replay.found.sealed.push(older.number);
            }
        }
        let spare = File::options().read(true).write(true).open(folder.join("spare"));
        *shelf.spare() = spare.ok();
        let active = match active {
            Some(active) => active,
            None => shelf.begin(1)?,
        };
        let shelf = Arc::new(shelf);
        let tie = replay.tie.unwrap_or_default();
        Ok((Log { shelf, active, tie, buffer: Vec::new() }, replay.found))
    }

    pub fn shelf(&self) -> Arc<Shelf> {
        self.shelf.clone()
    }

    /// Whether the active segment has to be allocated while it is written, and the next one not.
    pub fn could_be_faster(&self) -> bool {
        self.active.allocated < SEGMENT_BYTES && self.shelf.spare().is_some()
    }

    /// Writes a record; durable after `sync`.
    pub fn append(&mut self, kind: Kind, writes: &[Write]) -> Result<()> {
        let tie = encode(&mut self.buffer, kind, writes, self.active.salt, self.tie)?;
        let written = self.active.file.write_all_at(&self.buffer, self.active.end);
        written.map_err(|error| self.failed(&error))?;
        self.tie = tie;
        self.active.end += self.buffer.len() as u64;
        self.active.allocated = self.active.allocated.max(self.active.end);
        if self.buffer.capacity() > 1024 * 1024 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    pub fn sync(&self) -> Result<()> {
        self.active.file.sync_data().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> StoreError {
        unavailable("cannot write", &self.shelf.path(self.active.number), error)
    }

    /// Begins the next segment; gives the number of the one that is sealed with this.
    pub fn seal(&mut self) -> Result<u64> {
        self.sync()?;
        let sealed = self.active.number;
        self.active = self.shelf.begin(sealed + 1)?;
        Ok(sealed)
    }
}

/// The segments that there are, in order.
fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let list = || -> std::io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for file in fs::read_dir(folder)? {
            let name = file?.file_name();
            numbers.extend(name.to_str().and_then(|name| u64::from_str_radix(name, 16).ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(|error| unavailable("cannot list", folder, &error))
}

/// Reading the log from its beginning.
struct Replay<'a> {
    engine: &'a dyn Engine,
    relaxed: bool,
    /// What the next record must be tied to; the first one found is tied to what is gone.
    tie: Option<Tie>,
    found: Found,
}

impl Replay<'_> {
    /// Applies a segment's records; `None` if it has no whole head.
    fn segment(&mut self, number: u64, path: &Path) -> Result<Option<Segment>> {
        let failed = |error: std::io::Error| unavailable("cannot read", path, &error);
        let file = File::options().read(true).write(true).open(path).map_err(failed)?;
        let bytes = fs::read(path).map_err(failed)?;
        let Some(salt) = segment_salt(&bytes, number) else { return Ok(None) };
        let mut end = SEGMENT_HEAD;
        while let Some(record) = decode(&bytes, end, salt) {
            if self.tie.is_some_and(|tie| tie != record.tie) {
                break;
            }
            match record.kind {
                Kind::Writes => {
                    let writes = record.writes()?;
                    self.found.weight += writes.iter().map(weight).sum::<usize>();
                    self.engine.apply(writes)?;
                }
                Kind::Clear => self.engine.clear()?,
            }
            self.tie = Some(Tie { previous: record.checksum, number: record.tie.number + 1 });
            end = record.end;
        }
        let next = self.tie.map_or(0, |tie| tie.number);
        if is_followed(&bytes, end, salt, next) {
            if !self.relaxed {
                return Err(StoreError::Corrupt(format!(
                    "{} is damaged at byte {end}, and commits lie behind it: restore a backup; if the \
                     server ran with relaxed durability when the machine stopped, open it so once to \
                     keep what is before the damage",
                    path.display()
                )));
            }
            let void = vec![0; bytes.len() - end];
            file.write_all_at(&void, end as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let allocated = bytes.len() as u64;
        Ok(Some(Segment { number, file, salt, end: end as u64, allocated }))
    }
}
