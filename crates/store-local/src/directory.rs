//! The data directory: who may use it, and which format it has.
//!
//! ```text
//! <data dir>/
//!   format     one line, "sereno-store 2 <engine>"
//!   lock       held while a process uses the directory; names it
//!   log/       what the engine has not yet made durable: see log.rs
//!   tree/      or redb.db: the engine's files
//!   blobs/     see files.rs
//! ```

use crate::EngineKind;
use sereno_store::{Result, StoreError};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FORMAT: &str = "sereno-store 2";

/// A directory that is ours until this is dropped.
pub struct Directory {
    pub path: PathBuf,
    _lock: File,
}

pub fn unavailable(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{what} {}: {error}", path.display()))
}

impl Directory {
    /// Creates it where needed, locks it, checks its format.
    pub fn open(path: &Path, engine: EngineKind) -> Result<Directory> {
        fs::create_dir_all(path).map_err(|error| unavailable("cannot create", path, &error))?;
        let lock = lock(path)?;
        let directory = Directory { path: path.to_owned(), _lock: lock };
        directory.check_format(engine)?;
        Ok(directory)
    }

    fn check_format(&self, engine: EngineKind) -> Result<()> {
        let path = self.path.join("format");
        let expected = format!("{FORMAT} {}\n", engine.name());
        let found = match fs::read_to_string(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return write_durably(&path, expected.as_bytes());
            }
            Err(error) => return Err(unavailable("cannot read", &path, &error)),
        };
        if found == expected {
            return Ok(());
        }
        let here = self.path.display();
        Err(StoreError::Unavailable(match found.trim_end().strip_prefix(FORMAT) {
            Some(other) => format!(
                "{here} was written by the engine{other}, not {}: choose that engine, or move the data with backup and restore",
                engine.name()
            ),
            None => format!(
                "{here} has the format {:?}, this version reads {FORMAT:?}",
                found.trim_end()
            ),
        }))
    }
}

/// How long a lock may take to come free: a child that is being started holds its parent's files until it runs.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn lock_patiently(file: &File) -> std::result::Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| unavailable("cannot open", &path, &error))?;
    match lock_patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message; the lock itself is what counts.
            let holder = file.read_to_string(&mut holder).map(|_| holder).unwrap_or_default();
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                id => format!("process {id}"),
            };
            let folder = folder.display();
            return Err(StoreError::Unavailable(format!(
                "the data directory {folder} is in use by {holder}; stop it, or choose another directory"
            )));
        }
        Err(TryLockError::Error(error)) => return Err(unavailable("cannot lock", &path, &error)),
    }
    let mut name = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    name().map_err(|error| unavailable("cannot write", &path, &error))?;
    Ok(file)
}

/// Writes a small file so that after a crash it is there whole, or not at all.
pub fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let draft = path.with_extension("draft");
        let mut file = File::create(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    write().map_err(|error| unavailable("cannot write", path, &error))
}

/// Makes created, renamed and removed names durable.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
