//! Generic workers: interpreters that have started, in a jail, and wait for a function. Node.js cannot fork, so this is how
//! its start is had in advance.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::frames::FrameReader;
use crate::helper::{End, Handles, Helper, lock};

pub struct Generic {
    pub id: u64,
    pub helper: Arc<Helper>,
    pub handles: Handles,
    pub ended: oneshot::Receiver<End>,
    pub to: Sender,
    pub from: FrameReader,
    pub output: Receiver,
}

struct Shelf {
    used: Instant,
    /// The oldest first: it has come furthest with its own start.
    ready: VecDeque<Generic>,
    starting: usize,
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf { used: Instant::now(), ready: VecDeque::new(), starting: 0 }
    }
}

#[derive(Default)]
pub struct Pool {
    shelves: Mutex<HashMap<PathBuf, Shelf>>,
}

impl Pool {
    /// A worker that still lives.
    pub fn take(&self, program: &Path) -> Option<Generic> {
        let mut shelves = lock(&self.shelves);
        let shelf = shelves.get_mut(program)?;
        shelf.used = Instant::now();
        while let Some(mut generic) = shelf.ready.pop_front() {
            if matches!(generic.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return Some(generic);
            }
        }
        None
    }

    /// May the caller start one more? If so, `done` must follow.
    pub fn begin(&self, program: &Path, wanted: usize) -> bool {
        let mut shelves = lock(&self.shelves);
        let shelf = shelves.entry(program.to_owned()).or_default();
        let more = shelf.ready.len() + shelf.starting < wanted;
        shelf.starting += usize::from(more);
        more
    }

    pub fn done(&self, program: &Path, made: Option<Generic>) {
        let mut shelves = lock(&self.shelves);
        let shelf = shelves.entry(program.to_owned()).or_default();
        shelf.starting = shelf.starting.saturating_sub(1);
        shelf.ready.extend(made);
    }

    /// Ends those whose kind was not wanted since `before`. Are any left?
    pub fn expire(&self, before: Instant) -> bool {
        let mut shelves = lock(&self.shelves);
        shelves.retain(|_, shelf| {
            let wanted = shelf.used > before;
            if !wanted {
                shelf.ready.drain(..).for_each(|generic| generic.handles.kill());
            }
            wanted || shelf.starting > 0
        });
        shelves.values().any(|shelf| !shelf.ready.is_empty())
    }

    /// Their helper is gone.
    pub fn clear(&self) {
        for (_, shelf) in lock(&self.shelves).drain() {
            for generic in shelf.ready {
                generic.handles.kill();
            }
        }
    }
}
