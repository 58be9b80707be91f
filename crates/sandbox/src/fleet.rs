//! The instances of one state of one function: which are idle, who waits, what is being started.
//!
//! Invariants: an instance is in exactly one place: idle, with an invocation, or ended; whoever waits gets the first
//! instance that becomes free, started for him or not; a retired fleet never hands out an instance again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sereno_kernel::sandbox::InvokeFailure;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::helper::lock;
use crate::instance::Instance;
use crate::start::InitFailure;

/// What a waiting invocation gets.
pub enum Given {
    Ready(Box<Instance>),
    /// The start failed in the function's own code: this instance has the log of it.
    Failed(Box<Instance>, InitFailure),
    Refused(InvokeFailure),
}

#[derive(Default)]
pub struct Fleet {
    state: Mutex<State>,
    retired: AtomicBool,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    waiting: VecDeque<oneshot::Sender<Given>>,
}

struct Idle {
    instance: Box<Instance>,
    since: Instant,
}

/// What `Fleet::ask` answers.
pub enum Ask {
    Idle(Box<Instance>),
    /// Nothing is idle: start one, and wait here.
    Wait(oneshot::Receiver<Given>),
}

impl Fleet {
    pub fn ask(&self) -> Ask {
        let mut state = lock(&self.state);
        // The last one used is the likeliest to be in the caches.
        while let Some(idle) = state.idle.pop() {
            let mut instance = idle.instance;
            if !instance.is_over() {
                return Ask::Idle(instance);
            }
        }
        let (give, given) = oneshot::channel();
        state.waiting.push_back(give);
        Ask::Wait(given)
    }

    /// A start came to an end, well or not.
    pub fn started(&self, given: Given) {
        let given = match given {
            Given::Ready(instance) => return self.release(instance),
            other => other,
        };
        // Those who wait are equal: the first one bears it.
        let mut given = Some(given);
        while let Some(waiter) = self.next_waiter() {
            match given.take().map(|given| waiter.send(given)) {
                Some(Err(back)) => given = Some(back),
                _ => return,
            }
        }
        if let Some(Given::Failed(instance, _)) = given {
            instance.kill();
        }
    }

    /// An instance is free.
    pub fn release(&self, instance: Box<Instance>) {
        if self.retired.load(Ordering::Acquire) {
            self.give_retired(instance);
            return;
        }
        let mut given = Given::Ready(instance);
        while let Some(waiter) = self.next_waiter() {
            match waiter.send(given) {
                Ok(()) => return,
                Err(back) => given = back,
            }
        }
        if let Given::Ready(instance) = given {
            lock(&self.state).idle.push(Idle { instance, since: Instant::now() });
        }
    }

    /// Who waits already asked before the change, and may still have the old code.
    fn give_retired(&self, instance: Box<Instance>) {
        let mut given = Given::Ready(instance);
        while let Some(waiter) = self.next_waiter() {
            match waiter.send(given) {
                Ok(()) => return,
                Err(back) => given = back,
            }
        }
        if let Given::Ready(instance) = given {
            instance.kill();
        }
    }

    fn next_waiter(&self) -> Option<oneshot::Sender<Given>> {
        lock(&self.state).waiting.pop_front()
    }

    /// Idle instances end; busy ones end when they are done.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        for idle in lock(&self.state).idle.drain(..) {
            idle.instance.kill();
        }
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    #[expect(clippy::vec_box, reason = "they are moved about boxed everywhere")]
    /// Takes those out that have been idle since before `before`; also those that ended by themselves.
    pub fn take_idle_since(&self, before: Instant) -> Vec<Box<Instance>> {
        let mut state = lock(&self.state);
        let mut taken = Vec::new();
        let mut position = 0;
        while position < state.idle.len() {
            if state.idle[position].since <= before || state.idle[position].instance.is_over() {
                taken.push(state.idle.remove(position).instance);
            } else {
                position += 1;
            }
        }
        taken
    }

    /// Takes those out that run although they have been idle since before `before`, to be frozen and put back.
    pub fn take_unfrozen(&self, before: Instant) -> Vec<(Box<Instance>, Instant)> {
        let mut state = lock(&self.state);
        let mut taken = Vec::new();
        let mut position = 0;
        while position < state.idle.len() {
            let idle = &state.idle[position];
            if idle.since <= before && !idle.instance.frozen {
                let idle = state.idle.remove(position);
                taken.push((idle.instance, idle.since));
            } else {
                position += 1;
            }
        }
        taken
    }

    /// Puts a frozen one back, unless it is wanted meanwhile.
    pub fn put_back(&self, instance: Box<Instance>, since: Instant) {
        let wanted = !lock(&self.state).waiting.is_empty() || self.is_retired();
        if wanted {
            self.release(instance);
        } else {
            lock(&self.state).idle.insert(0, Idle { instance, since });
        }
    }

    /// (instances idle, of which not yet frozen, anybody waiting)
    pub fn counts(&self) -> (usize, usize, bool) {
        let state = lock(&self.state);
        let unfrozen = state.idle.iter().filter(|idle| !idle.instance.frozen).count();
        (state.idle.len(), unfrozen, !state.waiting.is_empty())
    }
}
