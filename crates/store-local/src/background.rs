//! The thread that lets the engine catch up: checkpoints what was sealed, then frees the segments
//! of the log that held it.
//!
//! Invariants: segments are freed in order and only after their checkpoint; while checkpoints
//! fail (a full disk), nothing is freed, and it is tried again and again.

use crate::engine::Engine;
use crate::log::Shelf;
use sereno_store::{Result, StoreError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sealed parts that may wait for a checkpoint before writers wait for it.
const SEALED_MAX: usize = 3;
const RETRY_AFTER: Duration = Duration::from_millis(500);

enum Job {
    /// Make the next segment ready.
    Prepare,
    /// The engine was sealed when these segments were.
    Checkpoint { sealed: Vec<u64> },
}

/// The committer's handle; dropped, it stops the thread.
pub struct Background {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    queue: Mutex<Queue>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct Queue {
    sealed: usize,
    /// Why the last checkpoint failed.
    trouble: Option<StoreError>,
}

impl Background {
    pub fn start(engine: Arc<dyn Engine>, shelf: Arc<Shelf>) -> Result<Background> {
        let (jobs, receiver) = channel();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let thread = std::thread::Builder::new()
            .name("store-flush".into())
            .spawn(move || work(&*engine, &shelf, &shared, &receiver));
        let thread = thread
            .map_err(|error| StoreError::Unavailable(format!("no thread to flush: {error}")))?;
        Ok(Background { jobs: Some(jobs), thread: Some(thread), state })
    }

    fn send(&self, job: Job) {
        // Only a thread that has panicked does not listen; then `wait` tells.
        drop(self.jobs.as_ref().map(|jobs| jobs.send(job)));
    }

    pub fn prepare(&self) {
        self.send(Job::Prepare);
    }

    pub fn checkpoint(&self, sealed: Vec<u64>) {
        self.state.queue().sealed += 1;
        self.send(Job::Checkpoint { sealed });
    }

    /// Whether [`wait`](Background::wait) would return at once.
    pub fn is_free(&self) -> bool {
        self.state.queue().sealed < SEALED_MAX
    }

    /// Waits until there is room for more; fails where there will be none for now.
    pub fn wait(&self) -> Result<()> {
        let mut queue = self.state.queue();
        while queue.sealed >= SEALED_MAX {
            if let Some(trouble) = &queue.trouble {
                return Err(trouble.clone());
            }
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(StoreError::Unavailable("the flushing thread has stopped".into()));
            }
            let waited = self.state.changed.wait_timeout(queue, RETRY_AFTER);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.state.changed.notify_all();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // What was not done is done after the next start.
            drop(thread.join());
        }
    }
}

impl State {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn work(engine: &dyn Engine, shelf: &Shelf, state: &State, jobs: &Receiver<Job>) {
    let mut durable = VecDeque::new();
    while let Ok(job) = jobs.recv() {
        if state.stopped() {
            return;
        }
        match job {
            // Without it the committer makes its own segment, slower.
            Job::Prepare => drop(shelf.prepare()),
            Job::Checkpoint { sealed } => {
                while let Err(trouble) = engine.checkpoint() {
                    state.queue().trouble = Some(trouble);
                    state.changed.notify_all();
                    if state.stopped() {
                        return;
                    }
                    std::thread::sleep(RETRY_AFTER);
                }
                durable.extend(sealed);
                // One that stays is applied once more at the next start, which does no harm; but
                // none may go before an older one.
                while durable.front().is_some_and(|number| shelf.retire(*number).is_ok()) {
                    durable.pop_front();
                }
                let mut queue = state.queue();
                queue.sealed -= 1;
                queue.trouble = None;
                drop(queue);
                state.changed.notify_all();
            }
        }
    }
}
