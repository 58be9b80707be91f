//! The embedded store: everything in one directory of this machine, nothing to install.
//!
//! An engine keeps sorted bytes ([`engine`], a few calls; fjall's merge tree by default, redb as
//! the second). This crate adds what makes it a [`Store`](sereno_store::Store): durability (`log`),
//! versions, optimistic transactions, group commit, watches (`committer`, `store`); and files as
//! [`Blobs`](sereno_store::Blobs) (`files`). How the bytes lie on disk: `docs/storage.md`.
//!
//! Reads come from the newest published state and wait for nobody: their futures are ready at
//! once. A commit goes to one thread, which writes all that waits to the log with one sync, then
//! to the engine's memory, then answers (a lonely writer does that itself); a second thread lets
//! the engine write its tables and frees the log.
//!
//! Invariants: see the heads of the modules; the chief one is that an answer is sent, and its
//! commit becomes visible, only after it is on disk ([`Durability::Durable`]).

mod background;
pub mod backup;
mod committer;
mod directory;
pub mod engine;
mod files;
mod fjall_engine;
mod group;
mod log;
mod log_record;
mod queue;
mod recent;
mod redb_engine;
mod state;
mod store;

pub use files::FileBlobs;
pub use fjall_engine::FjallEngine;
pub use redb_engine::RedbEngine;
pub use store::{Conduct, LocalStore};

use directory::Directory;
use sereno_store::Result;
use std::path::Path;
use std::time::Duration;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After it is on disk. Neither a crash of the process nor one of the machine loses it.
    #[default]
    Durable,
    /// Before. A crash of the process loses nothing. A crash of the machine loses at most the
    /// commits of the last `interval`: never a part of one, nor an older one without the younger.
    Relaxed { interval: Duration },
}

/// Which engine keeps the data. A directory stays with the one it was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    #[default]
    Fjall,
    Redb,
}

impl EngineKind {
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Fjall => "fjall",
            EngineKind::Redb => "redb",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub engine: EngineKind,
    pub durability: Durability,
    /// Memory for blocks that were read; the operating system caches the files besides.
    pub cache_bytes: usize,
    /// Writes are refused while the disk has less free space than this.
    pub free_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            engine: EngineKind::default(),
            durability: Durability::default(),
            cache_bytes: 8 * 1024 * 1024,
            free_bytes_min: 128 * 1024 * 1024,
        }
    }
}

/// Opens the store and the blobs of a data directory, creating it where needed.
pub fn open(path: &Path, options: &Options) -> Result<(LocalStore, FileBlobs)> {
    let directory = Directory::open(path, options.engine)?;
    let conduct = Conduct {
        log: path.join("log"),
        durability: options.durability,
        space: Some((path.to_owned(), options.free_bytes_min)),
    };
    let store = match options.engine {
        EngineKind::Fjall => {
            LocalStore::on(FjallEngine::open(&path.join("tree"), options.cache_bytes)?, conduct)?
        }
        EngineKind::Redb => {
            LocalStore::on(RedbEngine::open(&path.join("redb.db"), options.cache_bytes)?, conduct)?
        }
    };
    let blobs = FileBlobs::open(&path.join("blobs"))?;
    store.hold(directory);
    Ok((store, blobs))
}
