//! Starting an instance, in the cheapest way that this function allows:
//!
//! 1. *fork*: a Python zygote forks into a prepared jail;
//! 2. *assign*: a generic Node.js worker that already waits in its jail gets the code;
//! 3. *exec*: the interpreter, or the function's own `bootstrap`, is started.
//!
//! Invariants: whatever the way, the function sees the same; a way that is not ready is not waited for.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sereno_kernel::sandbox::{FunctionId, FunctionSpec, InvokeFailure};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::ahead::{has_zygote, zygote_key};
use crate::frames::Kind;
use crate::helper::{End, Helper, HelperCommand, ZygoteState, lock};
use crate::instance::{Event, Instance};
use crate::interpreters::{Interpreter, Interpreters, Language, Wanted};
use crate::jail::RUNTIME_API_PORT;
use crate::java::Kit;
use crate::packages::Packages;
use crate::plan::{Plan, announce, missing_entry};
use crate::pool::{Generic, Pool};
use crate::port::Config;
use crate::report::Failure;
use crate::runtime_files;

/// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
pub const INIT_TIME_MAX: Duration = Duration::from_secs(10);
/// Code and all layers together; also checked when they are made.
const UNPACKED_BYTES_MAX: u64 = 262_144_000;
/// Far more than a jail takes; beyond it something outside of us is stuck.
const LAUNCH_TIME_MAX: Duration = Duration::from_secs(20);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// After this, a start is taken to be waiting for something, and lets others start.
const TURN_MAX: Duration = Duration::from_secs(1);

pub struct Starter {
    pub config: Config,
    pub packages: Packages,
    pub pool: Pool,
    interpreters: OnceCell<Interpreters>,
    runtime_folder: OnceCell<PathBuf>,
    helper: tokio::sync::Mutex<Option<Arc<Helper>>>,
    compiling: tokio::sync::Mutex<()>,
    /// Starts that may use the processors at once.
    turns: Arc<Semaphore>,
    /// Functions whose start loaded modules that a bigger zygote has ready.
    heavy: Mutex<HashSet<String>>,
}

struct Turn(tokio::task::JoinHandle<()>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How an instance's start went.
pub struct Started {
    pub instance: Instance,
    pub failure: Option<InitFailure>,
}

pub enum InitFailure {
    /// The runtime's own words.
    Reported(Bytes),
    /// The platform's words.
    Ended(Failure),
    TimedOut,
}

impl Starter {
    pub fn new(config: Config) -> Starter {
        Starter {
            packages: Packages::new(&config.work),
            pool: Pool::default(),
            config,
            interpreters: OnceCell::new(),
            runtime_folder: OnceCell::new(),
            helper: tokio::sync::Mutex::new(None),
            compiling: tokio::sync::Mutex::default(),
            turns: Arc::new(Semaphore::new(starts_at_once())),
            heavy: Mutex::default(),
        }
    }

    pub async fn interpreters(&self) -> &Interpreters {
        self.interpreters
            .get_or_init(|| async {
                let (path, home) = (self.config.search_path.clone(), self.config.home.clone());
                let scan = move || Interpreters::scan(&path, home.as_deref());
                tokio::task::spawn_blocking(scan).await.unwrap_or_default()
            })
            .await
    }

    /// The running helper; started if there is none.
    pub async fn helper(self: &Arc<Self>) -> io::Result<Arc<Helper>> {
        let mut slot = self.helper.lock().await;
        if let Some(helper) = slot.as_ref().filter(|helper| helper.is_alive()) {
            return Ok(Arc::clone(helper));
        }
        let runtime = self.runtime_folder().await?;
        let command = HelperCommand {
            program: self.config.helper.clone(),
            work: self.config.work.clone(),
            runtime,
            ports: self.local_ports(),
            sdk: self.config.sdk.clone(),
        };
        let helper = Helper::start(&command).await?;
        self.pool.clear();
        tokio::spawn(Arc::clone(self).sweep_packages(Arc::clone(&helper)));
        *slot = Some(Arc::clone(&helper));
        Ok(helper)
    }

    async fn sweep_packages(self: Arc<Self>, helper: Arc<Helper>) {
        while helper.is_alive() {
            self.packages.sweep().await;
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Ports of an instance's own loopback that the server answers on.
    fn local_ports(&self) -> String {
        let endpoint = self.config.endpoint.filter(|address| address.ip().is_loopback());
        let ports =
            [RUNTIME_API_PORT, 53].into_iter().chain(endpoint.map(|address| address.port()));
        ports.map(|port| port.to_string()).collect::<Vec<_>>().join(",")
    }

    pub async fn start(
        self: &Arc<Self>,
        function: &FunctionId,
        spec: &FunctionSpec,
        limit: Duration,
    ) -> Result<Started, InvokeFailure> {
        let plan = self.plan(function, spec).await?;
        let turn = self.turn().await;
        let began = Instant::now();
        // What hangs outside of the function's process must end, too.
        let launched = tokio::time::timeout(LAUNCH_TIME_MAX, self.launch(&plan)).await;
        let mut instance = launched.map_err(|_| too_slow())??;
        announce(&mut instance, &plan);
        let failure = match missing_entry(&plan) {
            Some(failure) => {
                instance.kill();
                Some(InitFailure::Ended(failure))
            }
            None => wait_ready(&mut instance, began + limit).await,
        };
        drop(turn);
        let init_us = began.elapsed().as_micros() as u64;
        if let Some(failure) = &failure {
            report_failure(&mut instance, failure, init_us);
        }
        instance.init_us = Some(init_us);
        let metrics = json!({"initializationType": "on-demand", "phase": "init",
            "metrics": {"durationMs": init_us as f64 / 1000.0}});
        instance.api.telemetry.platform("initReport", || metrics);
        instance.api.telemetry.close();
        if instance.heavy_modules {
            lock(&self.heavy).insert(heavy_key(function));
        }
        if let Some(choice) = plan.choice {
            self.prepare_next(choice.interpreter, instance.heavy_modules);
        }
        Ok(Started { instance, failure })
    }

    /// Waits until few enough others start: a burst of starts all at once would take each of them past its time. Given
    /// back when dropped, and soon in any case: a start may be waiting for something else than a processor.
    async fn turn(&self) -> Turn {
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        let timer = tokio::spawn(async move {
            tokio::time::sleep(TURN_MAX).await;
            drop(permit);
        });
        Turn(timer)
    }

    async fn plan<'a>(
        &self,
        function: &'a FunctionId,
        spec: &'a FunctionSpec,
    ) -> Result<Plan<'a>, InvokeFailure> {
        let task = self.packages.unpacked(&spec.code, UNPACKED_BYTES_MAX).await;
        let task = task.map_err(InvokeFailure::Package)?;
        let opt = self.packages.merged(&spec.layers, UNPACKED_BYTES_MAX).await;
        let opt = opt.map_err(InvokeFailure::Package)?;
        let wanted = Wanted::parse(&spec.runtime);
        let language = wanted.map_or(Language::Provided, |wanted| wanted.language);
        let choice = match language {
            Language::Provided => None,
            Language::NodeJs | Language::Python | Language::Java => {
                let chosen = self.interpreters().await.choose(&spec.runtime);
                Some(chosen.map_err(InvokeFailure::CannotRun)?)
            }
            Language::Ruby | Language::DotNet => {
                let message = format!(
                    "Sereno has no bootstrap for {}. A `provided.al2023` function that brings its own runtime client runs.",
                    spec.runtime
                );
                return Err(InvokeFailure::CannotRun(message));
            }
        };
        let java = match choice.as_ref().filter(|_| language == Language::Java) {
            Some(choice) => {
                let kit = self.java_kit(&choice.interpreter).await;
                Some(kit.map_err(InvokeFailure::CannotRun)?)
            }
            None => None,
        };
        Ok(Plan { function, spec, task, opt, language, choice, java })
    }

    pub async fn java_kit(&self, interpreter: &Interpreter) -> Result<Kit, String> {
        let runtime = self.runtime_folder().await.map_err(|error| error.to_string())?;
        // One at a time, and off the threads that serve.
        let _one = self.compiling.lock().await;
        let interpreter = interpreter.clone();
        let compiled =
            tokio::task::spawn_blocking(move || Kit::compile(&runtime, &interpreter)).await;
        compiled.map_err(|error| error.to_string())?
    }

    async fn runtime_folder(&self) -> io::Result<PathBuf> {
        let unfold = || async { runtime_files::unfold(&self.config.work) };
        self.runtime_folder.get_or_try_init(unfold).await.cloned()
    }

    pub fn generic_for(&self, plan: &Plan<'_>) -> Option<Generic> {
        let choice = plan.choice.as_ref()?;
        (choice.interpreter.language == Language::NodeJs)
            .then(|| self.pool.take(&choice.interpreter.executable))?
    }

    /// Key of a zygote that is ready for this function.
    pub async fn zygote_for(&self, plan: &Plan<'_>, helper: &Helper) -> Option<String> {
        let choice = plan.choice.as_ref().filter(|choice| has_zygote(&choice.interpreter))?;
        let heavy = lock(&self.heavy).contains(&heavy_key(plan.function)) && !plan.brings("boto3");
        let ready = |heavy| {
            let key = zygote_key(&choice.interpreter, heavy);
            (helper.zygote(&key) == Some(ZygoteState::Ready)).then_some(key)
        };
        heavy.then(|| ready(true)).flatten().or_else(|| ready(false))
    }
}

fn too_slow() -> InvokeFailure {
    let message = format!(
        "An instance could not be started within {} s: this machine is too busy.",
        LAUNCH_TIME_MAX.as_secs()
    );
    InvokeFailure::CannotRun(message)
}

/// Two per processor: one may wait for the disk.
fn starts_at_once() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

async fn wait_ready(instance: &mut Instance, deadline: Instant) -> Option<InitFailure> {
    let failure = match until_ready(instance, deadline).await {
        Ok(()) => return None,
        Err(event) => init_failure(instance, event),
    };
    instance.kill();
    instance.drain();
    instance.recorder.finish_lines();
    Some(failure)
}

/// Extensions register, the runtime starts and is ready, extensions are ready: in this order, as on AWS.
async fn until_ready(instance: &mut Instance, deadline: Instant) -> Result<(), Event> {
    let api = Arc::clone(&instance.api);
    if let Some(held) = instance.held.take() {
        instance.unless(api.extensions.registered(deadline), deadline).await?;
        held.run(&instance.helper, instance.id)
            .await
            .map_err(|error| Event::Broken(error.to_string()))?;
    }
    match instance.next_event(deadline).await {
        Event::Frame(frame) if frame.kind == Kind::Ready => {
            instance.heavy_modules = frame.body.windows(7).any(|window| window == b"\"boto3\"");
        }
        other => return Err(other),
    }
    let type_of_start =
        json!({"initializationType": "on-demand", "phase": "init", "status": "success"});
    api.telemetry.platform("initRuntimeDone", || type_of_start);
    if !api.extensions.is_empty() {
        instance.unless(api.extensions.idle(deadline), deadline).await?;
        for (name, events) in api.extensions.describe() {
            let line = instance.terms.style.extension(&name, &events);
            line.into_iter().for_each(|line| instance.recorder.say(line));
            let record = json!({"name": name, "state": "Ready", "events": events});
            api.telemetry.platform("extension", || record);
        }
    }
    api.extensions.close();
    Ok(())
}

fn init_failure(instance: &Instance, event: Event) -> InitFailure {
    let end = match event {
        Event::Frame(frame) if frame.kind == Kind::StartFailed => {
            return InitFailure::Reported(frame.body);
        }
        Event::TimedOut => return InitFailure::TimedOut,
        Event::Ended(end) => end,
        Event::OutOfMemory => {
            End { signal: Some(libc::SIGKILL), out_of_memory: true, ..End::default() }
        }
        Event::Frame(_) | Event::Broken(_) => End { signal: Some(libc::SIGKILL), ..End::default() },
    };
    match instance.api.extensions.failure() {
        Some(message) => InitFailure::Ended(Failure { error_type: "Extension.InitError", message }),
        None => InitFailure::Ended(Failure::exited(end)),
    }
}

fn report_failure(instance: &mut Instance, failure: &InitFailure, init_us: u64) {
    let (status, error_type) = match failure {
        InitFailure::Reported(body) => {
            let error: Value = serde_json::from_slice(body).unwrap_or_default();
            ("error", error["errorType"].as_str().unwrap_or("Runtime.Unknown").to_owned())
        }
        InitFailure::Ended(failure) => ("error", failure.error_type.to_owned()),
        InitFailure::TimedOut => ("timeout", String::new()),
    };
    if let Some(line) = instance.terms.style.init_report(init_us, status, &error_type) {
        instance.recorder.say(line);
    }
}

fn heavy_key(function: &FunctionId) -> String {
    format!("{}:{}:{}", function.account, function.region, function.name)
}
