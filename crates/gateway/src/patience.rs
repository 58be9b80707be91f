//! How long a client may keep us waiting, and how many may at a time.
//!
//! A timer a request would cost two trips through the runtime's timer wheel. Instead every connection notes what it
//! waits for, and one look a second finds those that wait too long. Times are therefore whole seconds, rounded up.
//!
//! Invariant: a connection that waits for its client is ended after a bounded time; one that waits for a handler is not.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::AbortHandle;

/// What a client may cost the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; the next is answered 503 and closed.
    pub connections_max: usize,
    /// From the beginning of a wait for a request to the end of its head.
    pub head_s_max: u32,
    /// For the next piece of a body, or for the client to take the next piece of an answer.
    pub pause_s_max: u32,
    /// Below this a body is too slow as a whole, after a first `pause_s_max`.
    pub body_bytes_per_s_min: u64,
}

impl Limits {
    pub const DEFAULT: Limits = Limits {
        connections_max: 10_000,
        head_s_max: 30,
        pause_s_max: 60,
        body_bytes_per_s_min: 256,
    };
}

const NOTHING: u8 = 0;
const HEAD: u8 = 1;
const BODY: u8 = 2;

/// What one connection waits for, and since when.
pub struct Pulse {
    clock: Arc<AtomicU32>,
    waits_for: AtomicU8,
    since_s: AtomicU32,
    /// Seconds of waiting for this request's body that are over, and what came of it.
    waited_s: AtomicU32,
    received: AtomicU64,
    /// The client does not take what we write.
    blocked: AtomicBool,
    blocked_since_s: AtomicU32,
    task: OnceLock<AbortHandle>,
    /// One for each connection: a single one would be a lock that all of them take at every step.
    stop: Notify,
    _counted: OwnedSemaphorePermit,
}

impl Pulse {
    /// Resolves when the server stops.
    pub async fn stopped(&self) {
        self.stop.notified().await;
    }

    fn now_s(&self) -> u32 {
        self.clock.load(Relaxed)
    }

    fn wait_for(&self, what: u8) {
        self.since_s.store(self.now_s(), Relaxed);
        self.waits_for.store(what, Relaxed);
    }

    /// A request's head is there: it is our turn.
    pub fn request_begins(&self) {
        self.received.store(0, Relaxed);
        self.waited_s.store(0, Relaxed);
        self.waits_for.store(NOTHING, Relaxed);
    }

    /// The answer has left our hands: it is the client's turn.
    pub fn request_ends(&self) {
        self.wait_for(HEAD);
    }

    pub fn body_is_awaited(&self) {
        if self.waits_for.load(Relaxed) != BODY {
            self.wait_for(BODY);
        }
    }

    pub fn body_came(&self, bytes: usize) {
        if self.waits_for.swap(NOTHING, Relaxed) == BODY {
            let waited_s = self.now_s().saturating_sub(self.since_s.load(Relaxed));
            self.waited_s.fetch_add(waited_s, Relaxed);
        }
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    fn wrote(&self, outcome: &Poll<std::io::Result<usize>>) {
        if outcome.is_pending() {
            if !self.blocked.swap(true, Relaxed) {
                self.blocked_since_s.store(self.now_s(), Relaxed);
            }
            return;
        }
        self.blocked.store(false, Relaxed);
        // Taking the end of a long answer is no idleness.
        if self.waits_for.load(Relaxed) == HEAD {
            self.since_s.store(self.now_s(), Relaxed);
        }
    }

    fn is_late(&self, limits: &Limits) -> bool {
        let for_s = |since: &AtomicU32| self.now_s().saturating_sub(since.load(Relaxed));
        if self.blocked.load(Relaxed) {
            return for_s(&self.blocked_since_s) > limits.pause_s_max;
        }
        let waiting_s = for_s(&self.since_s);
        match self.waits_for.load(Relaxed) {
            HEAD => waiting_s > limits.head_s_max,
            BODY => {
                let earned_s = self.received.load(Relaxed) / limits.body_bytes_per_s_min.max(1);
                let all_s = u64::from(self.waited_s.load(Relaxed)) + u64::from(waiting_s);
                waiting_s > limits.pause_s_max || all_s > u64::from(limits.pause_s_max) + earned_s
            }
            _ => false,
        }
    }
}

/// The connections of one listener.
pub struct Patience {
    limits: Limits,
    clock: Arc<AtomicU32>,
    connections: Mutex<Vec<Weak<Pulse>>>,
}

impl Patience {
    pub fn new(limits: Limits) -> Patience {
        Patience { limits, clock: Arc::default(), connections: Mutex::default() }
    }

    /// A new connection, which waits for its first request.
    pub fn connection(&self, counted: OwnedSemaphorePermit) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            clock: Arc::clone(&self.clock),
            waits_for: AtomicU8::new(HEAD),
            since_s: AtomicU32::new(self.clock.load(Relaxed)),
            waited_s: AtomicU32::new(0),
            received: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            blocked_since_s: AtomicU32::new(0),
            task: OnceLock::new(),
            stop: Notify::new(),
            _counted: counted,
        });
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Arc::downgrade(&pulse));
        pulse
    }

    /// Names the task that serves the connection, so that it can be ended.
    pub fn watch(pulse: &Pulse, task: AbortHandle) {
        // Named once, right after it began.
        drop(pulse.task.set(task));
    }

    /// Ends connections whose clients take too long; never returns.
    pub async fn run(self: Arc<Patience>) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.clock.fetch_add(1, Relaxed);
            self.look();
        }
    }

    /// Tells every connection that the server stops.
    pub fn stop(&self) {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(Weak::upgrade).for_each(|pulse| pulse.stop.notify_one());
    }

    fn look(&self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|pulse| {
            let Some(pulse) = pulse.upgrade() else { return false };
            if pulse.is_late(&self.limits)
                && let Some(task) = pulse.task.get()
            {
                task.abort();
            }
            true
        });
    }
}

/// A socket that tells its connection's pulse whether the client takes what is written.
pub struct Felt {
    pub socket: TokioIo<TcpStream>,
    pub pulse: Arc<Pulse>,
}

impl Read for Felt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl Write for Felt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.pulse.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.pulse.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
