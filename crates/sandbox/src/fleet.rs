//! The instances of one state of one function: which are idle, who waits, what is being started.
//!
//! Invariants: an instance is in exactly one place: idle, with an invocation, or ended; whoever waits gets the first
//! instance that becomes free, started for him or not; never more instances are being started than invocations wait, so
//! that a busy moment does not become a storm of starts; a retired fleet never hands out an instance again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
    /// With an invocation.
    busy: usize,
    /// On their way.
    starting: usize,
    /// So many are kept although nobody uses them.
    kept: usize,
    /// How long the last start took.
    start_took: Duration,
}

/// How long an invocation waits for an instance that is about to be free, before one is started for it: half of what a
/// start would take, within these bounds. A call that is done sooner than that is never worth a start.
const PATIENCE_MIN: Duration = Duration::from_millis(2);
const PATIENCE_MAX: Duration = Duration::from_millis(40);

struct Idle {
    instance: Box<Instance>,
    since: Instant,
}

/// What `Fleet::ask` answers.
pub enum Ask {
    Idle(Box<Instance>),
    Wait(Place),
}

/// A place in the queue.
pub struct Place {
    pub given: oneshot::Receiver<Given>,
    /// Ask `wants_start` after this time; at once if nothing is about to be free.
    pub patience: Duration,
}

impl Fleet {
    pub fn ask(&self) -> Ask {
        let mut state = lock(&self.state);
        // The last one used is the likeliest to be in the caches.
        while let Some(idle) = state.idle.pop() {
            let mut instance = idle.instance;
            if !instance.is_over() {
                state.busy += 1;
                return Ask::Idle(instance);
            }
        }
        let (give, given) = oneshot::channel();
        state.waiting.push_back(give);
        let patience = match state.busy {
            0 => Duration::ZERO,
            _ => (state.start_took / 2).clamp(PATIENCE_MIN, PATIENCE_MAX),
        };
        Ask::Wait(Place { given, patience })
    }

    /// Shall one who still waits start an instance? If so, `started` must follow.
    pub fn wants_start(&self) -> bool {
        let mut state = lock(&self.state);
        state.waiting.retain(|waiter| !waiter.is_closed());
        let wanted = state.starting < state.waiting.len();
        state.starting += usize::from(wanted);
        wanted
    }

    /// A start came to an end, well or not.
    pub fn started(&self, given: Given, took: Duration) {
        {
            let mut state = lock(&self.state);
            state.starting -= 1;
            state.start_took = took;
            state.busy += usize::from(matches!(given, Given::Ready(_)));
        }
        let given = match given {
            Given::Ready(instance) => return self.release(instance),
            other => other,
        };
        // Those who wait are equal: the first one bears it.
        let mut given = given;
        while let Some(waiter) = self.next_waiter() {
            match waiter.send(given) {
                Ok(()) => return,
                Err(back) => given = back,
            }
        }
        if let Given::Failed(instance, _) = given {
            instance.kill();
        }
    }

    /// An instance is free. Who waits may have asked before the fleet was retired, and may still have the old code.
    pub fn release(&self, instance: Box<Instance>) {
        let mut given = Given::Ready(instance);
        loop {
            let mut state = lock(&self.state);
            let Some(waiter) = state.waiting.pop_front() else {
                state.busy -= 1;
                let Given::Ready(instance) = given else { return };
                if self.is_retired() || instance.is_old() {
                    instance.end();
                } else {
                    state.idle.push(Idle { instance, since: Instant::now() });
                }
                return;
            };
            drop(state);
            match waiter.send(given) {
                Ok(()) => return,
                Err(back) => given = back,
            }
        }
    }

    /// Keeps so many from now on. Answers how many are missing.
    pub fn keep(&self, count: usize) -> usize {
        let mut state = lock(&self.state);
        state.kept = count;
        count.saturating_sub(state.idle.len() + state.busy + state.starting)
    }

    /// How many could take an invocation or have one.
    pub fn ready(&self) -> usize {
        let state = lock(&self.state);
        state.idle.len() + state.busy
    }

    pub fn is_kept(&self) -> bool {
        lock(&self.state).kept > 0
    }

    /// One that nobody waited for.
    pub fn add(&self, instance: Box<Instance>) {
        lock(&self.state).busy += 1;
        self.release(instance);
    }

    /// An instance ended in its invocation.
    pub fn ended(&self) {
        lock(&self.state).busy -= 1;
    }

    fn next_waiter(&self) -> Option<oneshot::Sender<Given>> {
        lock(&self.state).waiting.pop_front()
    }

    /// Idle instances end; busy ones end when they are done.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        for idle in lock(&self.state).idle.drain(..) {
            idle.instance.end();
        }
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    #[expect(clippy::vec_box, reason = "they are moved about boxed everywhere")]
    /// Takes those out that have been idle since before `before`; also those that ended by themselves or are too old.
    pub fn take_idle_since(&self, before: Instant) -> Vec<Box<Instance>> {
        let mut state = lock(&self.state);
        let mut taken = Vec::new();
        let mut position = 0;
        while position < state.idle.len() {
            let spared = state.idle.len() + state.busy <= state.kept;
            let idle = &mut state.idle[position];
            let unwanted = idle.since <= before && !spared;
            if unwanted || idle.instance.is_old() || idle.instance.is_over() {
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
                // Back in a moment.
                state.busy += 1;
                taken.push((idle.instance, idle.since));
            } else {
                position += 1;
            }
        }
        taken
    }

    /// Puts a frozen one back, unless it is wanted meanwhile.
    pub fn put_back(&self, instance: Box<Instance>, since: Instant) {
        let mut state = lock(&self.state);
        if !state.waiting.is_empty() || self.is_retired() {
            drop(state);
            return self.release(instance);
        }
        state.busy -= 1;
        state.idle.insert(0, Idle { instance, since });
    }

    /// (instances idle, of which not yet frozen, anybody waiting)
    pub fn counts(&self) -> (usize, usize, bool) {
        let state = lock(&self.state);
        let unfrozen = state.idle.iter().filter(|idle| !idle.instance.frozen).count();
        (state.idle.len(), unfrozen, !state.waiting.is_empty())
    }
}
