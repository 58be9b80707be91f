//! The kernel's port: invocations find or make an instance, use it, and give it back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sereno_base::{AccountId, Region};
use sereno_kernel::BoxFuture;
use sereno_kernel::sandbox::{
    FunctionId, InvokeFailure, InvokeReply, InvokeRequest, Package, PackageError, PackageInfo,
    Protection, Sandbox, SpecMaker, SpecSource, StreamPiece,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::concurrency::{Concurrency, Full, Permit};
use crate::fleet::{Ask, Fleet, Given, Place};
use crate::helper::lock;
use crate::instance::{Instance, Invocation};
use crate::outcome::Outcome;
use crate::start::{INIT_TIME_MAX, InitFailure, Started, Starter};

/// How this machine's sandbox is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// A folder of ours: unpacked code, bootstraps.
    pub work: PathBuf,
    /// The program that is the helper when it is run with `__jail`: the server's own.
    pub helper: PathBuf,
    /// Where interpreters are looked for, as in `PATH`.
    pub search_path: String,
    /// The home folder, for interpreters of version managers.
    pub home: Option<PathBuf>,
    /// AWS SDKs that functions may use without bringing them: `nodejs/node_modules` and `python` in this folder.
    pub sdk: Option<PathBuf>,
    /// The server's own address as functions name it: reachable from their networks, whatever else is not.
    pub endpoint: Option<SocketAddr>,
    /// How long an instance waits for its next invocation.
    pub idle: Duration,
    /// Waiting Node.js workers per version, once it is used.
    pub generic_workers: usize,
}

impl Config {
    /// Everything at its default, keeping its files in `work`.
    pub fn new(work: PathBuf, helper: PathBuf) -> Config {
        Config {
            work,
            helper,
            search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            home: None,
            sdk: None,
            endpoint: None,
            idle: Duration::from_secs(600),
            generic_workers: 5,
        }
    }
}

/// Idle instances stop after this; a call that follows quickly is not slowed by it.
const FREEZE_AFTER: Duration = Duration::from_millis(500);
const TEND_BUSY: Duration = Duration::from_millis(250);
const TEND_QUIET: Duration = Duration::from_secs(5);

/// Functions on this machine. Nothing is started before the first use.
#[derive(Clone)]
pub struct LocalSandbox {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) starter: Arc<Starter>,
    fleets: Mutex<HashMap<FunctionId, Arc<Fleet>>>,
    concurrency: Arc<Concurrency>,
    tending: AtomicBool,
    /// The tender sleeps long, because all idle instances are frozen; `awake` cuts that short.
    quiet: AtomicBool,
    awake: Notify,
}

impl LocalSandbox {
    pub fn new(config: Config) -> LocalSandbox {
        LocalSandbox {
            inner: Arc::new(Inner {
                starter: Arc::new(Starter::new(config)),
                fleets: Mutex::default(),
                concurrency: Arc::default(),
                tending: AtomicBool::new(false),
                quiet: AtomicBool::new(false),
                awake: Notify::new(),
            }),
        }
    }
}

impl Inner {
    async fn invoke(
        self: &Arc<Self>,
        function: FunctionId,
        request: InvokeRequest,
        spec: SpecSource,
    ) -> Result<InvokeReply, InvokeFailure> {
        let permit = self
            .concurrency
            .enter(&function, request.limits)
            .map_err(|Full { reserved }| InvokeFailure::Throttled { reserved })?;
        let mut spec = Some(spec);
        loop {
            let fleet = self.fleet(&function);
            let given = match fleet.ask() {
                Ask::Idle(instance) => Given::Ready(instance),
                Ask::Wait(place) => self.wait(place, &fleet, &function, &mut spec).await,
            };
            match given {
                Given::Ready(mut instance) => {
                    instance.freeze(false).await;
                    let started = Instant::now();
                    if instance.begin(&request).await.is_err() && spec.is_some() {
                        // It ended while it was idle, and has seen nothing of this event: as good as never there.
                        instance.kill();
                        fleet.ended();
                        continue;
                    }
                    let running = Running::new(self, fleet, instance, &request, permit, started);
                    return Ok(running.finish(request.stream).await);
                }
                Given::Failed(instance, failure) => {
                    return Ok(reply_failed_start(*instance, failure, &request));
                }
                Given::Refused(failure) => return Err(failure),
            }
        }
    }

    /// Waits for an instance; starts one when none becomes free soon.
    async fn wait(
        self: &Arc<Self>,
        mut place: Place,
        fleet: &Arc<Fleet>,
        function: &FunctionId,
        spec: &mut Option<SpecSource>,
    ) -> Given {
        if !place.patience.is_zero()
            && let Ok(given) = tokio::time::timeout(place.patience, &mut place.given).await
        {
            return given.unwrap_or_else(|_| Given::Refused(lost()));
        }
        if spec.is_some() && fleet.wants_start() {
            let spec = spec.take().expect("just seen");
            self.start(Arc::clone(fleet), function.clone(), spec);
        }
        place.given.await.unwrap_or_else(|_| Given::Refused(lost()))
    }

    fn fleet(&self, function: &FunctionId) -> Arc<Fleet> {
        let mut fleets = lock(&self.fleets);
        match fleets.get(function) {
            Some(fleet) => Arc::clone(fleet),
            None => Arc::clone(fleets.entry(function.clone()).or_default()),
        }
    }

    /// Starts an instance for whoever waits first; goes on when the caller has gone.
    fn start(self: &Arc<Self>, fleet: Arc<Fleet>, function: FunctionId, spec: SpecSource) {
        let inner = Arc::clone(self);
        let began = Instant::now();
        let making = tokio::spawn(async move { inner.make(&function, spec).await });
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let given = making.await.unwrap_or_else(|_| Given::Refused(lost()));
            fleet.started(given, began.elapsed());
            inner.tend();
        });
    }

    async fn make(&self, function: &FunctionId, spec: SpecSource) -> Given {
        let spec = match spec().await {
            Ok(spec) => spec,
            Err(error) => return Given::Refused(InvokeFailure::Spec(error)),
        };
        let first = self.starter.start(function, &spec, INIT_TIME_MAX).await;
        let started = match first {
            // A slow start is tried once more, on the invocation's own time, as on AWS.
            Ok(started) if matches!(started.failure, Some(InitFailure::TimedOut)) => {
                let limit = Duration::from_millis(spec.timeout_ms);
                self.starter.start(function, &spec, limit).await
            }
            other => other,
        };
        match started {
            Err(failure) => Given::Refused(failure),
            Ok(Started { instance, failure: None }) => Given::Ready(Box::new(instance)),
            Ok(Started { instance, failure: Some(failure) }) => {
                Given::Failed(Box::new(instance), failure)
            }
        }
    }

    /// Starts what is missing of the instances that are kept ready. A start that fails is not counted; its log says why.
    async fn provision(
        self: &Arc<Self>,
        function: FunctionId,
        count: u32,
        spec: SpecMaker,
    ) -> Result<u32, InvokeFailure> {
        let fleet = self.fleet(&function);
        let missing = fleet.keep(count as usize);
        let makings = (0..missing).map(|_| {
            let (inner, function, spec) = (Arc::clone(self), function.clone(), Arc::clone(&spec));
            tokio::spawn(async move { inner.make(&function, Box::new(move || spec())).await })
        });
        for making in makings.collect::<Vec<_>>() {
            match making.await.unwrap_or_else(|_| Given::Refused(lost())) {
                Given::Ready(instance) => fleet.add(instance),
                Given::Failed(instance, _) => instance.kill(),
                Given::Refused(failure) => return Err(failure),
            }
        }
        self.tend();
        Ok(fleet.ready().min(count as usize) as u32)
    }

    /// Freezes and ends idle instances, as long as there are any.
    fn tend(self: &Arc<Self>) {
        if self.quiet.swap(false, Ordering::AcqRel) {
            self.awake.notify_one();
        }
        if self.tending.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let busy = inner.tend_once().await;
                match busy {
                    None => {
                        inner.tending.store(false, Ordering::Release);
                        return;
                    }
                    Some(true) => tokio::time::sleep(TEND_BUSY).await,
                    Some(false) => {
                        inner.quiet.store(true, Ordering::Release);
                        let _ = tokio::time::timeout(TEND_QUIET, inner.awake.notified()).await;
                    }
                }
            }
        });
    }

    /// `None`: nothing is left to look after; true: look again soon.
    async fn tend_once(&self) -> Option<bool> {
        let now = Instant::now();
        let ago = |span: Duration| now.checked_sub(span).unwrap_or(now);
        let fleets: Vec<(FunctionId, Arc<Fleet>)> = {
            let fleets = lock(&self.fleets);
            fleets.iter().map(|(id, fleet)| (id.clone(), Arc::clone(fleet))).collect()
        };
        let (mut any, mut soon) = (false, false);
        for (id, fleet) in fleets {
            for instance in fleet.take_idle_since(ago(self.starter.config.idle)) {
                instance.end();
            }
            for (mut instance, since) in fleet.take_unfrozen(ago(FREEZE_AFTER)) {
                instance.freeze(true).await;
                fleet.put_back(instance, since);
            }
            let (idle, unfrozen, _) = fleet.counts();
            let running = self.concurrency.running(id.account, id.region, &id.name) > 0;
            let kept = fleet.is_kept();
            any |= idle > 0 || running || kept;
            soon |= unfrozen > 0 || running;
            if idle == 0 && !running && !kept {
                let mut fleets = lock(&self.fleets);
                // Nobody else has it, so nobody can be asking it.
                if fleets.get(&id).is_some_and(|fleet| Arc::strong_count(fleet) <= 2) {
                    fleets.remove(&id);
                }
            }
        }
        any |= self.starter.pool.expire(ago(self.starter.config.idle));
        any.then_some(soon)
    }

    fn retire(&self, which: impl Fn(&FunctionId) -> bool) {
        let mut fleets = lock(&self.fleets);
        fleets.retain(|id, fleet| {
            let retired = which(id);
            if retired {
                fleet.retire();
            }
            !retired
        });
    }
}

/// An invocation under way. Dropped before its end (the caller went away), it goes on by itself: as on AWS, the function
/// finishes.
struct Running {
    inner: Option<Parts>,
}

struct Parts {
    sandbox: Arc<Inner>,
    fleet: Arc<Fleet>,
    instance: Box<Instance>,
    invocation: Invocation,
    permit: Permit,
    started: Instant,
}

impl Running {
    fn new(
        sandbox: &Arc<Inner>,
        fleet: Arc<Fleet>,
        instance: Box<Instance>,
        request: &InvokeRequest,
        permit: Permit,
        started: Instant,
    ) -> Running {
        let invocation = Invocation {
            request_id: request.request_id.clone(),
            trace_id: request.trace_id.clone(),
        };
        let sandbox = Arc::clone(sandbox);
        Running { inner: Some(Parts { sandbox, fleet, instance, invocation, permit, started }) }
    }

    async fn finish(mut self, stream: Option<mpsc::Sender<StreamPiece>>) -> InvokeReply {
        let parts = self.inner.as_mut().expect("taken at the end only");
        let outcome = parts.wait(stream.as_ref()).await;
        let parts = self.inner.take().expect("nothing else takes it");
        parts.conclude(outcome)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut parts) = self.inner.take() else { return };
        // Outside of a runtime (at the server's end) there is nothing to go on with.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    let outcome = parts.wait(None).await;
                    parts.conclude(outcome);
                });
            }
            Err(_) => parts.instance.kill(),
        }
    }
}

impl Parts {
    async fn wait(&mut self, stream: Option<&mpsc::Sender<StreamPiece>>) -> Outcome {
        self.instance.finish(&self.invocation.request_id, stream, self.started).await
    }

    fn conclude(mut self, outcome: Outcome) -> InvokeReply {
        let reusable = outcome.reusable;
        let reply = self.instance.reply(outcome, &self.invocation, self.started.elapsed());
        if reusable && !self.instance.api.extensions.is_empty() {
            self.release_after_extensions();
            return reply;
        }
        if reusable {
            self.fleet.release(self.instance);
        } else {
            self.instance.kill();
            self.fleet.ended();
        }
        drop(self.permit);
        self.sandbox.tend();
        reply
    }
}

impl Parts {
    /// The caller has the answer; extensions may use what is left of the invocation's time.
    fn release_after_extensions(self) {
        let timeout = Duration::from_millis(self.instance.terms.timeout_ms);
        tokio::spawn(async move {
            let deadline = self.started + timeout;
            if self.instance.api.extensions.idle(deadline).await {
                self.fleet.release(self.instance);
            } else {
                self.instance.kill();
                self.fleet.ended();
            }
            drop(self.permit);
            self.sandbox.tend();
        });
    }
}

/// The function could not start: the invocation carries the error.
fn reply_failed_start(
    mut instance: Instance,
    failure: InitFailure,
    request: &InvokeRequest,
) -> InvokeReply {
    instance.recorder.begin_tail(request.tail);
    if let Some(line) = instance.terms.style.start(&request.request_id, &instance.terms.version) {
        instance.recorder.say(line);
    }
    let outcome = Outcome::of_start(failure, &request.request_id, instance.terms.timeout_ms);
    let invocation =
        Invocation { request_id: request.request_id.clone(), trace_id: request.trace_id.clone() };
    let spent = Duration::from_micros(instance.init_us.take().unwrap_or(0));
    instance.reply(outcome, &invocation, spent)
}

fn lost() -> InvokeFailure {
    InvokeFailure::CannotRun("The instance was lost before it was ready.".to_owned())
}

impl Sandbox for LocalSandbox {
    fn invoke(
        &self,
        function: FunctionId,
        request: InvokeRequest,
        spec: SpecSource,
    ) -> BoxFuture<'_, Result<InvokeReply, InvokeFailure>> {
        Box::pin(self.inner.invoke(function, request, spec))
    }

    fn prepare(
        &self,
        package: Package,
        limit_bytes: u64,
    ) -> BoxFuture<'_, Result<PackageInfo, PackageError>> {
        Box::pin(async move { self.inner.starter.packages.inspect(&package, limit_bytes).await })
    }

    fn provision(
        &self,
        function: FunctionId,
        count: u32,
        spec: SpecMaker,
    ) -> BoxFuture<'_, Result<u32, InvokeFailure>> {
        Box::pin(async move { self.inner.provision(function, count, spec).await })
    }

    fn expect(&self, runtime: &str) {
        let starter = Arc::clone(&self.inner.starter);
        let runtime = runtime.to_owned();
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            starter.expect(&runtime).await;
            inner.tend();
        });
    }

    fn retire(
        &self,
        account: AccountId,
        region: Region,
        name: &str,
        version: Option<&str>,
        keep_revision: Option<&str>,
    ) {
        self.inner.retire(|id| {
            id.account == account
                && id.region == region
                && id.name == name
                && version.is_none_or(|version| id.version == version)
                && keep_revision.is_none_or(|keep| id.revision != keep)
        });
    }

    fn retire_all(&self) {
        self.inner.retire(|_| true);
    }

    fn in_flight(&self, account: AccountId, region: Region, name: &str) -> u32 {
        self.inner.concurrency.running(account, region, name)
    }

    fn protections(&self) -> BoxFuture<'_, Vec<Protection>> {
        Box::pin(crate::protections::list(&self.inner.starter))
    }

    fn runtimes(&self) -> Vec<(String, Result<String, String>)> {
        crate::protections::runtimes(&self.inner.starter.config)
    }
}
