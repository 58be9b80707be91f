//! Time and chance, which come from outside: the machine's in the server, movable and seeded in a test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sereno_base::Timestamp;
use tokio::sync::Notify;

use crate::BoxFuture;

/// Tells the time and waits for it.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Resolves when `now()` has reached `until`.
    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()>;

    /// Moves time forward; only a development or test clock can.
    fn advance(&self, by: Duration);
}

/// The machine's clock plus an offset that development mode may move forward.
#[derive(Default)]
pub struct SystemClock {
    offset_ms: AtomicI64,
    moved: Notify,
}

impl SystemClock {
    fn machine_ms() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        Timestamp::from_millis(Self::machine_ms().saturating_add(offset))
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                let left = until.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = moved => {}
                }
            }
        })
    }

    fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        add(&self.offset_ms, by);
        self.moved.notify_waiters();
    }
}

/// Time never moves backwards, not even by running over.
fn add(millis: &AtomicI64, by: i64) {
    let _ =
        millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by)));
}

/// Stands still until it is moved.
pub struct ManualClock {
    now_ms: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    pub fn new(now: Timestamp) -> ManualClock {
        ManualClock { now_ms: AtomicI64::new(now.millis()), moved: Notify::new() }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if self.now() >= until {
                    return;
                }
                moved.await;
            }
        })
    }

    fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        add(&self.now_ms, by);
        self.moved.notify_waiters();
    }
}

/// Where random bits come from.
pub trait Random: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator, fetched a page at a time: ids are made on every request.
#[derive(Default)]
pub struct SystemRandom {
    pool: Mutex<Pool>,
}

struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool { bytes: [0; 1024], used: 1024 }
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut pool = self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(256) {
            if pool.used + chunk.len() > pool.bytes.len() {
                getrandom::fill(&mut pool.bytes).expect("the kernel's random source cannot fail");
                pool.used = 0;
            }
            let from = pool.used;
            pool.used += chunk.len();
            let taken = &mut pool.bytes[from..from + chunk.len()];
            chunk.copy_from_slice(taken);
            // A byte given out must not be readable here afterwards: it may be part of a secret.
            taken.fill(0);
        }
    }
}

/// A repeatable sequence for tests (SplitMix64).
pub struct SeededRandom {
    state: Mutex<u64>,
}

impl SeededRandom {
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom { state: Mutex::new(seed) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
