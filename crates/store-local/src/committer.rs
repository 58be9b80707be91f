//! What writes, one at a time. It takes all that waits, validates each request against the
//! published state and the requests before it, writes the survivors to the log as one record with
//! one sync, gives them to the engine, publishes, and answers.
//!
//! A thread does so. Who finds nobody else about does it on its own thread instead: that spares a
//! lonely writer two changes of threads, which cost as much as a good disk's sync.
//!
//! Invariants:
//! * Versions are given in the order of the requests; a version is published after its sync.
//! * No lock is held during a write or a sync; reads and `begin` only clone the published state.
//! * After a failed write nothing more is written: what is on disk is not known until a restart.
//! * `ceiling`, stored, is at least every version given: a restart continues above it.

use crate::background::Background;
use crate::engine::{Engine, View, Write};
use crate::group::{Group, mutation_bytes, resolve};
use crate::log::Log;
use crate::log_record::Kind;
use crate::queue::{Queue, Woken};
use crate::recent::Recent;
use crate::state::{Published, Shared};
use sereno_store::key::split;
use sereno_store::occ::ReadSet;
use sereno_store::{Check, Key, Mutation, Result, StoreError, Version};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub struct Request {
    pub guard: Guard,
    pub mutations: Vec<Mutation>,
    pub reply: oneshot::Sender<Result<Version>>,
}

/// What must hold for a request.
pub enum Guard {
    Checks(Vec<(Key, Check)>),
    Reads {
        start: Version,
        set: ReadSet,
    },
    /// Not a write like others: removes everything.
    Clear,
    /// Versions go on above this one.
    Raise(Version),
}

/// Where the version ceiling is kept; no key of the map begins so.
pub const CEILING_KEY: &[u8] = &[0xff, b'v'];
/// Versions reserved at a time: one more small write in a million commits.
const CEILING_STEP: Version = 1 << 20;
const GROUP_REQUESTS_MAX: usize = 2_048;
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often the free space of the disk is looked at.
const SPACE_EVERY: Duration = Duration::from_millis(500);

/// What the engine holds before it is sealed and flushed: bounds memory, and the time that opening
/// takes, because that much of the log is read again.
pub const UNSEALED_BYTES_MAX: usize = 6 * 1024 * 1024;
/// What a key costs in memory besides its bytes and its value's.
const ENTRY_BYTES: usize = 160;
/// From here on it is worth moving to a segment that is allocated already.
const MOVE_BYTES_MIN: usize = 256 * 1024;
/// How long a group is held up when the engine is behind with its own work.
const SLOW_DOWN: Duration = Duration::from_millis(2);
/// From here on it is behind.
const DEBT_SLOW: f32 = 0.5;

/// Groups of one, with nobody waiting behind, after which a writer is taken to be alone.
const LONELY_MIN: u32 = 8;
/// A sync that takes longer is not for a thread that serves others too.
const QUICK_SYNC_MAX: Duration = Duration::from_micros(500);

pub struct Committer {
    log: Log,
    background: Background,
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
    recent: Recent,
    version: Version,
    ceiling: Version,
    /// `None`: sync each group. Otherwise how long a commit may stay unsynced.
    relaxed: Option<Duration>,
    unsynced_since: Option<Instant>,
    failed: Option<StoreError>,
    space: Space,
    /// Weight of what the engine has taken since it was last sealed.
    unsealed: usize,
    asked_for_spare: bool,
    /// Groups of one since there was company.
    lonely: u32,
    /// How long a sync takes, the last ones weighing most.
    sync_time: Duration,
}

/// What a committer works with.
pub struct Parts {
    pub log: Log,
    pub background: Background,
    pub engine: Arc<dyn Engine>,
    pub shared: Arc<Shared>,
    /// What the engine has taken from the log since it was last sealed.
    pub unsealed: usize,
}

/// Refuses writes while there is still room for the engine's own work, because an engine that
/// meets a full disk in the midst of a write does not recover without a restart.
pub struct Space {
    pub folder: Option<std::path::PathBuf>,
    pub free_bytes_min: u64,
    pub looked: Option<Instant>,
    pub short: bool,
}

impl Space {
    fn is_short(&mut self) -> bool {
        let fresh = self.looked.is_some_and(|looked| looked.elapsed() < SPACE_EVERY);
        if let (Some(folder), false) = (&self.folder, fresh) {
            let free = rustix::fs::statvfs(folder).map(|stat| stat.f_bavail * stat.f_frsize);
            self.short = free.is_ok_and(|free| free < self.free_bytes_min);
            self.looked = Some(Instant::now());
        }
        self.short
    }
}

impl Committer {
    pub fn new(
        parts: Parts,
        ceiling: Version,
        relaxed: Option<Duration>,
        space: Space,
    ) -> Committer {
        let Parts { log, background, engine, shared, unsealed } = parts;
        Committer {
            log,
            background,
            engine,
            shared,
            recent: Recent::default(),
            version: ceiling,
            ceiling,
            relaxed,
            unsynced_since: None,
            failed: None,
            space,
            unsealed,
            asked_for_spare: false,
            lonely: 0,
            sync_time: QUICK_SYNC_MAX,
        }
    }

    /// Whether a commit now would hold its thread up for little more than a sync.
    pub fn is_quick(&self) -> bool {
        self.lonely >= LONELY_MIN
            && self.sync_time < QUICK_SYNC_MAX
            && self.failed.is_none()
            && !self.needs_tending()
            && self.background.is_free()
    }

    /// Commits the request and what waits, here and now; leaves what takes long to the thread.
    pub fn commit_here(&mut self, request: Request, queue: &Queue) {
        let was_settled = self.unsynced_since.is_none();
        self.group(request, queue);
        if self.needs_tending() || (was_settled && self.unsynced_since.is_some()) {
            queue.call();
        }
    }

    /// How long the thread may sleep: until the log must be synced.
    fn patience(&self) -> Option<Duration> {
        let (since, limit) = self.unsynced_since.zip(self.relaxed)?;
        Some(limit.saturating_sub(since.elapsed()))
    }

    /// Syncs what was answered before it was on disk.
    fn settle(&mut self) {
        if self.unsynced_since.take().is_some()
            && let Err(error) = self.log.sync()
        {
            self.fail(error);
        }
    }

    /// From now on nothing is written: what is on disk is not known.
    fn fail(&mut self, error: StoreError) {
        if self.failed.is_none() {
            eprintln!(
                "the store could not write: {error}. Writes are refused from now on, reads go on, what was \
                 answered is kept: see to the disk, then restart the server"
            );
        }
        self.failed.get_or_insert(error);
    }

    /// Takes what waits, as far as it fits, and commits it.
    fn group(&mut self, first: Request, queue: &Queue) {
        let published = self.shared.published();
        let mut group = Group::default();
        let mut next = Some(first);
        let (mut taken, mut bytes) = (0, 0);
        // Without transactions under way nobody will ask what was written.
        let remember = self.shared.readers.load(Ordering::SeqCst) > 0;
        while let Some(request) = next.take() {
            match request.guard {
                Guard::Clear => {
                    // Alone: what came before it is written first.
                    self.write(group, remember);
                    self.clear(request.reply);
                    return;
                }
                Guard::Raise(version) => {
                    self.version = self.version.max(version);
                    group.replies.push((request.reply, self.version));
                }
                guard => {
                    bytes += request.mutations.iter().map(mutation_bytes).sum::<usize>();
                    let admitted =
                        self.admit(&mut group, &*published.view, &guard, request.mutations);
                    match admitted {
                        Ok(version) => group.replies.push((request.reply, version)),
                        Err(error) => group.refused.push((request.reply, error)),
                    }
                }
            }
            taken += 1;
            if taken < GROUP_REQUESTS_MAX && bytes < GROUP_BYTES_MAX {
                next = queue.pop();
            }
        }
        self.write(group, remember);
        self.lonely = if taken == 1 && queue.is_empty() { self.lonely + 1 } else { 0 };
    }

    /// Validates one request and adds its writes to the group's.
    fn admit(
        &mut self,
        group: &mut Group,
        view: &dyn View,
        guard: &Guard,
        mutations: Vec<Mutation>,
    ) -> Result<Version> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match guard {
            Guard::Checks(checks) => {
                for (key, check) in checks {
                    if !check.holds(group.version_of(view, &key.to_bytes())?) {
                        return Err(StoreError::Conflict);
                    }
                }
            }
            Guard::Reads { start, set } => {
                // The group's own writes are younger than any transaction's start.
                let touched = |key: &Vec<u8>| group.writes.contains_key(key);
                let own = set.points.iter().any(touched)
                    || set.spans.iter().any(|span| {
                        use std::ops::RangeBounds;
                        group.writes.keys().any(|key| span.contains(key))
                    });
                if own || !self.recent.admits(*start, set) {
                    return Err(StoreError::Conflict);
                }
            }
            Guard::Clear | Guard::Raise(_) => {}
        }
        if mutations.is_empty() {
            return Ok(self.version);
        }
        if self.space.is_short() {
            return Err(StoreError::Unavailable("the disk is nearly full".into()));
        }
        // Waits where flushing is behind, refuses while it cannot go on.
        self.background.wait()?;
        let version = self.version + 1;
        let writes = resolve(group, view, version, mutations)?;
        group.writes.extend(writes.into_iter().map(|(key, value)| (key, (version, value))));
        self.version = version;
        Ok(version)
    }

    /// One batch, one sync, one publication for the whole group.
    fn write(&mut self, group: Group, remember: bool) {
        if group.writes.is_empty() {
            refuse(group.refused);
            return answer(group.replies, Ok(()));
        }
        for (key, (version, _)) in &group.writes {
            if remember {
                self.recent.remember(*version, key);
            }
        }
        if !remember {
            self.recent.forget_until(self.version);
        }
        let watched: Option<Vec<Vec<u8>>> =
            self.shared.watchers.any().then(|| group.writes.keys().cloned().collect());
        let mut writes: Vec<Write> =
            group.writes.into_iter().map(|(key, (_, value))| (key, value)).collect();
        if self.version > self.ceiling {
            self.ceiling = self.version + CEILING_STEP;
            writes.push((CEILING_KEY.to_vec(), Some(self.ceiling.to_be_bytes().to_vec())));
        }
        let written = self.log_and_apply(writes);
        if let Err(error) = &written {
            self.fail(error.clone());
        }
        // Woken before they are answered: who has an answer finds no cache that is still asleep.
        match watched {
            Some(keys) => {
                self.shared.watchers.touched(keys.iter().filter_map(|key| split(key).ok()));
            }
            // Who has begun to watch since may have read the state before: wake them to be sure.
            None if self.shared.watchers.any() => self.shared.watchers.touched_all(),
            None => {}
        }
        // After the publication: who tries again at once shall see what it lost to. Before the answers: it shall go
        // ahead of who has just won.
        refuse(group.refused);
        answer(group.replies, written);
    }

    fn log_and_apply(&mut self, writes: Vec<Write>) -> Result<()> {
        self.log.append(Kind::Writes, &writes)?;
        if self.relaxed.is_none() {
            let begun = Instant::now();
            self.log.sync()?;
            self.sync_time = (self.sync_time * 3 + begun.elapsed()) / 4;
        } else {
            self.sync_time = Duration::ZERO;
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        self.unsealed += writes.iter().map(weight).sum::<usize>();
        self.engine.apply(writes)?;
        self.publish()
    }

    fn needs_sealing(&self) -> bool {
        let move_on = self.unsealed > MOVE_BYTES_MIN && self.log.could_be_faster();
        self.unsealed > UNSEALED_BYTES_MAX || move_on
    }

    fn needs_tending(&self) -> bool {
        let needs_spare = self.unsealed > 0 && !self.asked_for_spare;
        self.needs_sealing() || needs_spare || self.engine.debt() >= DEBT_SLOW
    }

    /// After the answers: seals what has grown large, and holds back writers that are too fast.
    fn tend(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if self.needs_sealing() {
            match self.log.seal() {
                Ok(sealed) => {
                    self.engine.seal();
                    self.unsealed = 0;
                    self.unsynced_since = None;
                    self.asked_for_spare = false;
                    self.background.checkpoint(vec![sealed]);
                }
                Err(error) => self.fail(error),
            }
        } else if self.unsealed > 0 && !self.asked_for_spare {
            self.asked_for_spare = true;
            self.background.prepare();
        }
        let debt = self.engine.debt();
        if debt >= DEBT_SLOW {
            std::thread::sleep(SLOW_DOWN.mul_f32((debt - DEBT_SLOW) * 20.0).min(SLOW_DOWN * 10));
        }
    }

    fn publish(&self) -> Result<()> {
        let view = self.engine.snapshot()?;
        self.shared.publish(Published { view, version: self.version });
        Ok(())
    }

    fn clear(&mut self, reply: oneshot::Sender<Result<Version>>) {
        self.version += 1;
        self.ceiling = self.version + CEILING_STEP;
        let ceiling = (CEILING_KEY.to_vec(), Some(self.ceiling.to_be_bytes().to_vec()));
        let failed = self.failed.clone().map_or(Ok(()), Err);
        let cleared = failed
            .and_then(|()| self.log.append(Kind::Clear, &[]))
            .and_then(|()| self.log.append(Kind::Writes, std::slice::from_ref(&ceiling)))
            .and_then(|()| self.log.sync())
            .and_then(|()| self.engine.clear())
            .and_then(|()| self.engine.apply(vec![ceiling]))
            .and_then(|()| self.publish());
        self.recent.forget_until(self.version);
        if let Err(error) = &cleared {
            self.fail(error.clone());
        }
        self.shared.watchers.touched_all();
        answer(vec![(reply, self.version)], cleared);
    }
}

/// However the thread ends, nobody shall wait for it.
struct Leaving<'a>(&'a Queue);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The thread: works until the queue is closed and empty.
pub fn run(committer: &Mutex<Committer>, queue: &Queue) {
    let _leaving = Leaving(queue);
    // Poisoned: it has panicked in another's hands, and what it holds cannot be trusted.
    while let Ok(mut working) = committer.lock() {
        if let Some(first) = queue.pop() {
            working.group(first, queue);
        }
        working.tend();
        if working.patience() == Some(Duration::ZERO) {
            working.settle();
        }
        let patience = working.patience();
        drop(working);
        if queue.wait(patience) == Woken::Closed {
            break;
        }
    }
    if let Ok(mut working) = committer.lock() {
        working.settle();
    }
}

fn refuse(refused: Vec<(oneshot::Sender<Result<Version>>, StoreError)>) {
    for (reply, error) in refused {
        // The asker may be gone: nothing to do then.
        drop(reply.send(Err(error)));
    }
}

fn answer(replies: Vec<(oneshot::Sender<Result<Version>>, Version)>, written: Result<()>) {
    for (reply, version) in replies {
        // Who asked may be gone, its request cancelled; the commit stands.
        drop(reply.send(written.clone().map(|()| version)));
    }
}

/// What a write costs in the engine's memory.
pub fn weight((key, value): &Write) -> usize {
    ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)
}
