//! Requests that wait to be committed, and the thread that sleeps until there are some.
//!
//! Invariants: a request that was taken in is answered, or its reply dropped when the store stops;
//! whoever leaves requests behind has woken the thread.

use crate::committer::Request;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// There is something to do besides requests.
    called: bool,
    closed: bool,
}

/// Why [`Queue::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There is work, or the time is over.
    Work,
    Closed,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a request for the thread; drops it if the store has stopped.
    pub fn push(&self, request: Request) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.requests.push_back(request);
            drop(waiting);
            self.filled.notify_one();
        }
    }

    pub fn pop(&self) -> Option<Request> {
        self.lock().requests.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().requests.is_empty()
    }

    /// Wakes the thread though nobody asks.
    pub fn call(&self) {
        self.lock().called = true;
        self.filled.notify_one();
    }

    /// Waits until there is work; requests that were there before the closing are still work.
    pub fn wait(&self, at_most: Option<Duration>) -> Woken {
        let mut waiting = self.lock();
        loop {
            let called = std::mem::take(&mut waiting.called);
            if called || !waiting.requests.is_empty() {
                return Woken::Work;
            }
            if waiting.closed {
                return Woken::Closed;
            }
            let Some(at_most) = at_most else {
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let waited = self.filled.wait_timeout(waiting, at_most);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() && again.requests.is_empty() {
                return Woken::Work;
            }
            waiting = again;
        }
    }

    /// Takes in nothing more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Takes in nothing more and forgets what waits: nobody is left to do it.
    pub fn abandon(&self) {
        self.close();
        self.lock().requests.clear();
    }
}
