//! The folder that holds everything: the database, the blobs, the installation's keys. Of a node whose data is in a
//! database: what belongs to this machine.
//!
//! Invariant: what is secret is readable by its owner alone, from the moment its file exists.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Makes the folder if there is none, readable by its owner alone.
    pub fn open(path: PathBuf) -> Result<DataDir, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("cannot make the data folder {}: {error}", path.display()))?;
        let path = path
            .canonicalize()
            .map_err(|error| format!("cannot open the data folder {}: {error}", path.display()))?;
        Ok(DataDir { path })
    }

    /// `$XDG_DATA_HOME/sereno`, or `~/.local/share/sereno`.
    pub fn default_path() -> PathBuf {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        data.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("sereno")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A small file; `None`: there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// All of it or nothing, also if the machine stops in between.
    pub fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path.join(name);
        let write = || {
            let unfinished = path.with_extension("new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error: io::Error| format!("cannot write {}: {error}", path.display()))
    }

    /// For a node whose data is elsewhere: its own files in this folder are nobody else's.
    pub fn lock(&self) -> Result<File, String> {
        let path = self.path.join("node.lock");
        let file = File::create(&path)
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(_) => Err(format!(
                "another node uses the folder {}: give each its own with --data",
                self.path.display()
            )),
        }
    }
}
