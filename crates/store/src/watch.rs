//! Waking those who wait for a key to change. Shared by the engines of one process.

use crate::Key;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Resolves when a watched key has changed; see [`Store::watch`](crate::Store::watch).
#[must_use = "a watch does nothing unless awaited"]
pub struct Watch {
    waiter: Arc<Waiter>,
    registry: Weak<Registry>,
    partitions: Vec<Vec<u8>>,
}

/// The watches of one store. Engines call [`touched`](Watchers::touched) with every key they have
/// published.
#[derive(Clone, Default)]
pub struct Watchers(Arc<Registry>);

#[derive(Default)]
struct Registry {
    /// Entries in `waiting`, so that a commit that nobody waits for takes no lock.
    count: AtomicUsize,
    waiting: Mutex<HashMap<Vec<u8>, Vec<Interest>>>,
}

struct Interest {
    /// Empty: any key of the partition.
    sort: Vec<u8>,
    waiter: Arc<Waiter>,
}

#[derive(Default)]
struct Waiter(Mutex<State>);

#[derive(Default)]
struct State {
    woken: bool,
    waker: Option<Waker>,
}

impl Waiter {
    fn wake(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.woken = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl Watchers {
    pub fn watch(&self, keys: &[Key]) -> Watch {
        let waiter = Arc::new(Waiter::default());
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let interest = Interest { sort: key.sort.clone(), waiter: waiter.clone() };
            waiting.entry(key.partition.clone()).or_default().push(interest);
            self.0.count.fetch_add(1, Ordering::SeqCst);
        }
        let partitions = keys.iter().map(|key| key.partition.clone()).collect();
        Watch { waiter, registry: Arc::downgrade(&self.0), partitions }
    }

    /// Whether a call of [`touched`](Watchers::touched) could wake anybody.
    pub fn any(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) > 0
    }

    /// Wakes all that wait for one of these keys, given as halves.
    pub fn touched<'a>(&self, keys: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
        if !self.any() {
            return;
        }
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, sort) in keys {
            for interest in waiting.get(partition).into_iter().flatten() {
                if interest.sort.is_empty() || interest.sort == sort {
                    interest.waiter.wake();
                }
            }
        }
    }

    /// Wakes all that wait for a key of one of these partitions.
    pub fn touched_where(&self, is_touched: impl Fn(&[u8]) -> bool) {
        if !self.any() {
            return;
        }
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, interests) in waiting.iter().filter(|(partition, _)| is_touched(partition)) {
            for interest in interests {
                interest.waiter.wake();
            }
        }
    }

    /// Wakes everybody: after a clear, or when it is not known what has changed.
    pub fn touched_all(&self) {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for interest in waiting.values().flatten() {
            interest.waiter.wake();
        }
    }
}

impl Watch {
    /// Whether it would resolve at once.
    pub fn is_woken(&self) -> bool {
        self.waiter.0.lock().unwrap_or_else(PoisonError::into_inner).woken
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.waiter.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.woken {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let mut waiting = registry.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in &self.partitions {
            let Some(interests) = waiting.get_mut(partition) else { continue };
            let before = interests.len();
            interests.retain(|interest| !Arc::ptr_eq(&interest.waiter, &self.waiter));
            registry.count.fetch_sub(before - interests.len(), Ordering::SeqCst);
            if interests.is_empty() {
                waiting.remove(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(watch: &mut Watch) -> bool {
        let ready = Pin::new(&mut *watch).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert_eq!(ready, watch.is_woken());
        ready
    }

    #[test]
    fn a_watch_hears_of_its_keys_only_and_leaves_nothing_behind() {
        let watchers = Watchers::default();
        let mut one = watchers.watch(&[Key::new("p", "a"), Key::new("q", "a")]);
        let mut all = watchers.watch(&[Key::new("p", "")]);
        watchers.touched([(&b"p"[..], &b"b"[..]), (b"r", b"a")]);
        assert!(!is_ready(&mut one) && is_ready(&mut all));
        watchers.touched([(&b"q"[..], &b"a"[..])]);
        assert!(is_ready(&mut one));
        drop((one, all));
        assert!(!watchers.any() && watchers.0.waiting.lock().unwrap().is_empty());
    }
}
