//! Effects: work that an operation leaves to be done, written in the same commit as its cause and then carried out
//! until it is done, also after a crash.
//!
//! All tasks lie in one table in the order of their due times. A runner claims a task by moving it to the end of a
//! lease; what a crash leaves behind becomes due again by itself. So a task may run more than once: its work must be
//! safe to repeat.
//!
//! ```ignore
//! let mut batch = Batch::new();
//! QUEUE.put(&mut batch, scope, &key, &record);
//! task::schedule(&ctx, &mut batch, "lambda.async", ctx.now(), payload);
//! ctx.store().commit(batch).await?;
//! ```

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sereno_base::{AccountId, Region, Timestamp};
use sereno_store::{Batch, Check, Key, Scope, StoreError, Table, Write, record};
use tokio::sync::Notify;

use crate::caller_record::CallerRecord;
use crate::cloud::contain_panics;
use crate::sweep;
use crate::{BoxFuture, Caller, Cloud, Ctx, Result};

record! {
    /// One piece of work. Its key is its due time and its id.
    pub struct TaskRecord {
        1 => kind: String,
        2 => id: String,
        3 => payload: Bytes,
        4 => attempt: u32,
        5 => account: u64,
        6 => region: String,
        7 => caller: CallerRecord,
        8 => created_ms: i64,
        // The process that runs it; empty while it waits.
        9 => holder: String,
    }
}

record! {
    /// Says that a recurring task is among the tasks.
    pub struct RecurringRecord {
        1 => planned_ms: i64,
    }
}

const TASKS: Table<String, TaskRecord> = Table::new("kernel", "tasks");
/// By the kind's name.
const RECURRING: Table<String, RecurringRecord> = Table::new("kernel", "recurring");

/// Tasks belong to nobody's account: their record says in whose name they run.
const SCOPE: Scope = Scope::new(AccountId::DEFAULT, None);
const CLAIM_PAGE: usize = 64;
const RUNNING_MAX: usize = 256;
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// A task as its function sees it.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: String,
    pub payload: Bytes,
    /// 1 for the first try.
    pub attempt: u32,
    pub created: Timestamp,
}

/// How a task's run ended. An error is retried with growing pauses, for ever: what must give up says `Done`.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done,
    /// Run again then, with this payload if one is given.
    Again {
        at: Timestamp,
        payload: Option<Bytes>,
    },
}

type Run = Arc<dyn Fn(Ctx, Task) -> BoxFuture<'static, Result<Outcome>> + Send + Sync>;

/// A kind of work: its name, which is stored, and the function that does it.
#[derive(Clone)]
pub struct TaskKind {
    name: &'static str,
    run: Run,
    lease: Duration,
    every: Option<Duration>,
    standing: bool,
}

impl TaskKind {
    pub fn new<F>(
        name: &'static str,
        run: impl Fn(Ctx, Task) -> F + Send + Sync + 'static,
    ) -> TaskKind
    where
        F: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let run: Run = Arc::new(move |ctx, task| Box::pin(run(ctx, task)));
        TaskKind { name, run, lease: Duration::from_secs(30), every: None, standing: false }
    }

    /// Runs once in `every` on one node, from the server's start on, as nobody in the home account.
    #[must_use]
    pub fn every(mut self, every: Duration) -> TaskKind {
        self.every = Some(every);
        self
    }

    /// A task of this kind runs as long as what it serves exists (a poller), mostly asleep: it takes no room from others.
    #[must_use]
    pub fn standing(mut self) -> TaskKind {
        self.standing = true;
        self
    }

    /// How long another node waits before it takes over from a dead one. Renewed while the task runs.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> TaskKind {
        self.lease = lease;
        self
    }
}

/// Leaves work to be done, in the name of the context's caller, account and region. Answers its id.
pub fn schedule(
    ctx: &Ctx,
    write: &mut dyn Write,
    kind: &'static str,
    due: Timestamp,
    payload: impl Into<Bytes>,
) -> String {
    let id = ctx.random_uuid();
    let record = TaskRecord {
        kind: kind.to_owned(),
        id: id.clone(),
        payload: payload.into(),
        account: ctx.account().as_u64(),
        region: ctx.region().as_str().to_owned(),
        caller: CallerRecord::of(ctx.caller()),
        created_ms: ctx.now().millis(),
        ..Default::default()
    };
    TASKS.put(write, SCOPE, key(due, &id).as_str(), &record);
    id
}

fn key(due: Timestamp, id: &str) -> String {
    format!("{:016}/{id}", due.millis().max(0))
}

fn due_of(key: &str) -> Timestamp {
    let millis = key.split('/').next().and_then(|text| text.parse().ok());
    Timestamp::from_millis(millis.unwrap_or(0))
}

/// Carries out tasks until it is dropped.
pub struct Runner {
    cloud: Arc<Cloud>,
    kinds: HashMap<&'static str, TaskKind>,
    /// This process in `holder`.
    name: String,
    running: Mutex<Running>,
    finished: Notify,
}

/// What this process carries out now, by id.
#[derive(Default)]
struct Running {
    passing: HashSet<String>,
    standing: HashSet<String>,
}

impl Running {
    /// Whether it was not there yet.
    fn add(&mut self, id: &str, standing: bool) -> bool {
        let set = if standing { &mut self.standing } else { &mut self.passing };
        set.insert(id.to_owned())
    }

    fn remove(&mut self, id: &str) {
        self.passing.remove(id);
        self.standing.remove(id);
    }

    fn room(&self) -> usize {
        RUNNING_MAX.saturating_sub(self.passing.len())
    }
}

impl Cloud {
    /// Starts to carry out tasks. Recurring ones are planned, and on an exclusive store what a dead process held is freed.
    pub async fn start_tasks(self: &Arc<Cloud>) -> Result<tokio::task::JoinHandle<()>> {
        let kinds = self.services.iter().flat_map(|service| service.tasks.iter().cloned());
        let kinds = kinds.chain([sweep::task()]);
        let runner = Arc::new(Runner {
            cloud: Arc::clone(self),
            kinds: kinds.map(|kind| (kind.name, kind)).collect(),
            name: self.new_request_id().to_string(),
            running: Mutex::default(),
            finished: Notify::new(),
        });
        runner.recover(self.exclusive_store).await?;
        Ok(tokio::spawn(async move { runner.run().await }))
    }
}

impl Runner {
    /// Plans the recurring tasks that are not; `free`: and makes due what a dead process held.
    async fn recover(&self, free: bool) -> Result<()> {
        let store = self.cloud.store();
        let now = self.cloud.clock().now();
        let mut planned = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let mut list = TASKS.list(SCOPE, ()).limit(CLAIM_PAGE);
            if let Some(after) = &after {
                list = list.after(after.as_str());
            }
            let page = list.read(store).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (at, mut record) in page {
                planned.insert(record.id.clone());
                if free && !record.holder.is_empty() {
                    record.holder.clear();
                    let mut batch = Batch::new();
                    TASKS.delete(&mut batch, SCOPE, at.as_str());
                    TASKS.put(&mut batch, SCOPE, key(now, &record.id).as_str(), &record);
                    store.commit(batch).await?;
                }
            }
        }
        Ok(self.plan_recurring(&planned, now).await?)
    }

    /// A recurring task's id is its kind's name. The note beside it, written in the same commit,
    /// sees to it that there is one however many nodes start at once.
    async fn plan_recurring(
        &self,
        planned: &HashSet<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (account, region) = self.cloud.home();
        for kind in self.kinds.values() {
            let Some(every) = kind.every.filter(|_| !planned.contains(kind.name)) else { continue };
            let record = TaskRecord {
                kind: kind.name.to_owned(),
                id: kind.name.to_owned(),
                account: account.as_u64(),
                region: region.as_str().to_owned(),
                created_ms: now.millis(),
                ..Default::default()
            };
            let mut batch = Batch::new();
            RECURRING.check(&mut batch, SCOPE, kind.name, Check::Absent);
            let note = RecurringRecord { planned_ms: now.millis() };
            RECURRING.put(&mut batch, SCOPE, kind.name, &note);
            TASKS.put(&mut batch, SCOPE, key(now.plus(every), kind.name).as_str(), &record);
            match self.cloud.store().commit(batch).await {
                // Another node was faster.
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn run(self: Arc<Self>) {
        let partition = [Key { sort: Vec::new(), ..TASKS.key(SCOPE, "") }];
        let mut resets = self.cloud.resets.load(Ordering::SeqCst);
        loop {
            let changed = self.cloud.store().watch(&partition);
            let finished = self.finished.notified();
            let now_resets = self.cloud.resets.load(Ordering::SeqCst);
            if now_resets != resets {
                match self.recover(false).await {
                    Ok(()) => resets = now_resets,
                    Err(error) => eprintln!("tasks: cannot plan the recurring ones: {error}"),
                }
            }
            let next = match self.claim_due().await {
                Ok(next) => next,
                Err(error) => {
                    eprintln!("tasks: cannot read what is due: {error}");
                    Some(self.cloud.clock().now().plus(BACKOFF_FIRST))
                }
            };
            let sleep = async {
                match next {
                    Some(next) => self.cloud.clock().sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = finished => {}
                () = sleep => {}
            }
        }
    }

    /// Claims what is due, as far as there is room, and tells when the next one will be.
    async fn claim_due(self: &Arc<Self>) -> Result<Option<Timestamp>, StoreError> {
        let now = self.cloud.clock().now();
        let mut after: Option<String> = None;
        loop {
            let room = self.lock_running().room().min(CLAIM_PAGE);
            if room == 0 {
                return Ok(None);
            }
            let mut list = TASKS.list(SCOPE, ()).limit(room);
            if let Some(after) = &after {
                list = list.after(after.as_str());
            }
            let page = list.read_versioned(self.cloud.store()).await?;
            let Some((last, _, _)) = page.last() else {
                // Nothing at all, not even the recurring ones: the cloud was reset.
                if after.is_none() {
                    self.plan_recurring(&HashSet::new(), now).await?;
                }
                return Ok(None);
            };
            after = Some(last.clone());
            for (at, version, record) in page {
                if due_of(&at) > now {
                    return Ok(Some(due_of(&at)));
                }
                // A kind of a service that is not part of this server waits for one that has it.
                if let Some(kind) = self.kinds.get(record.kind.as_str())
                    && self.lock_running().add(&record.id, kind.standing)
                {
                    self.claim(kind.clone(), at, version, record).await?;
                }
            }
        }
    }

    async fn claim(
        self: &Arc<Self>,
        kind: TaskKind,
        at: String,
        version: u64,
        mut record: TaskRecord,
    ) -> Result<(), StoreError> {
        record.attempt = record.attempt.saturating_add(1);
        record.holder.clone_from(&self.name);
        let leased = key(self.cloud.clock().now().plus(kind.lease), &record.id);
        let mut batch = Batch::new();
        TASKS.check(&mut batch, SCOPE, at.as_str(), Check::At(version));
        TASKS.delete(&mut batch, SCOPE, at.as_str());
        TASKS.put(&mut batch, SCOPE, leased.as_str(), &record);
        match self.cloud.store().commit(batch).await {
            Ok(_) => {
                let runner = Arc::clone(self);
                tokio::spawn(async move { runner.carry_out(kind, leased, record).await });
                Ok(())
            }
            Err(error) => {
                self.lock_running().remove(&record.id);
                // Another node was faster.
                if matches!(error, StoreError::Conflict) { Ok(()) } else { Err(error) }
            }
        }
    }

    async fn carry_out(&self, kind: TaskKind, mut at: String, record: TaskRecord) {
        let id = record.id.clone();
        if let Err(error) = self.carry_out_leased(&kind, &mut at, record).await {
            // The lease will run out and the task will be tried again.
            eprintln!("task {} {id}: {error}", kind.name);
        }
        self.lock_running().remove(&id);
        self.finished.notify_one();
    }

    async fn carry_out_leased(
        &self,
        kind: &TaskKind,
        at: &mut String,
        mut record: TaskRecord,
    ) -> Result<(), StoreError> {
        // A panic is an error like any other: the task is tried again, and its place here becomes free.
        let (ctx, of) = (self.ctx(&record), task(&record));
        let run = pin!(async { (kind.run)(ctx, of).await });
        let mut work = pin!(contain_panics(run));
        let outcome = loop {
            let renew = self.cloud.clock().now().plus(kind.lease / 2);
            tokio::select! {
                outcome = &mut work => break outcome,
                () = self.cloud.clock().sleep_until(renew) => {
                    let until = self.cloud.clock().now().plus(kind.lease);
                    // Somebody else has it now: two must not do the same work.
                    if !self.reschedule(at, until, &record).await? {
                        return Ok(());
                    }
                }
            }
        };
        let now = self.cloud.clock().now();
        record.holder.clear();
        let held = match (outcome, kind.every) {
            (Ok(Outcome::Done), None) => self.remove(at).await,
            (Ok(Outcome::Done), Some(every)) => {
                record.attempt = 0;
                self.reschedule(at, now.plus(every), &record).await
            }
            (Ok(Outcome::Again { at: then, payload }), _) => {
                record.attempt = 0;
                if let Some(payload) = payload {
                    record.payload = payload;
                }
                self.reschedule(at, then, &record).await
            }
            (Err(error), _) => {
                eprintln!("task {} {} try {}: {error:?}", kind.name, record.id, record.attempt);
                let doublings = record.attempt.saturating_sub(1).min(16);
                let pause = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX);
                self.reschedule(at, now.plus(pause), &record).await
            }
        };
        held.map(|_| ())
    }

    fn ctx(&self, record: &TaskRecord) -> Ctx {
        let (home_account, home_region) = self.cloud.home();
        let account = AccountId::from_u64(record.account).unwrap_or(home_account);
        let region = Region::parse(&record.region).unwrap_or(home_region);
        let caller = record.caller.caller().unwrap_or(Caller::Anonymous);
        self.cloud.background_ctx(account, region, caller)
    }

    /// Whether the task was still ours.
    async fn remove(&self, at: &str) -> Result<bool, StoreError> {
        let mut batch = Batch::new();
        TASKS.check(&mut batch, SCOPE, at, Check::Present);
        TASKS.delete(&mut batch, SCOPE, at);
        still_held(self.cloud.store().commit(batch).await)
    }

    /// Whether the task was still ours.
    async fn reschedule(
        &self,
        at: &mut String,
        due: Timestamp,
        record: &TaskRecord,
    ) -> Result<bool, StoreError> {
        let next = key(due, &record.id);
        let mut batch = Batch::new();
        TASKS.check(&mut batch, SCOPE, at.as_str(), Check::Present);
        TASKS.delete(&mut batch, SCOPE, at.as_str());
        TASKS.put(&mut batch, SCOPE, next.as_str(), record);
        *at = next;
        still_held(self.cloud.store().commit(batch).await)
    }

    fn lock_running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn task(record: &TaskRecord) -> Task {
    Task {
        id: record.id.clone(),
        payload: record.payload.clone(),
        attempt: record.attempt,
        created: Timestamp::from_millis(record.created_ms),
    }
}

/// The task is not where we left it: its lease ran out and another runner has it now, or everything was reset.
fn still_held(committed: Result<u64, StoreError>) -> Result<bool, StoreError> {
    match committed {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}
