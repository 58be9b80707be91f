//! The port through which a service runs a user's code.
//!
//! Invariants: an instance serves one invocation at a time; instances are reused only for the same `FunctionId` (revision included), so new code or
//! configuration never meets an old process; nothing here knows AWS's API errors: the service turns `InvokeFailure` into them.
//! The sandbox owns spawning, batching of logs, clocks of instances; services only describe.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sereno_base::{AccountId, Region};

use crate::BoxFuture; // Pin<Box<dyn Future<Output = T> + Send + 'a>>

/// Which function, at which state of code and configuration. Cheap to make: this is all that a warm invocation needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Changes with every change of code or configuration.
    pub revision: String,
}

/// Everything needed to start an instance; asked for only when one must be started.
pub type SpecSource = Box<dyn FnOnce() -> BoxFuture<'static, crate::Result<FunctionSpec>> + Send>;

/// The same for as many instances as are wanted.
pub type SpecMaker = Arc<dyn Fn() -> BoxFuture<'static, crate::Result<FunctionSpec>> + Send + Sync>;

#[derive(Clone)]
pub struct FunctionSpec {
    /// AWS's runtime identifier (`nodejs20.x`, `python3.12`, `provided.al2023`).
    pub runtime: String,
    pub handler: String,
    pub code: Package,
    /// In order; later ones overwrite earlier ones in `/opt`.
    pub layers: Vec<Package>,
    /// The user's environment variables; the sandbox adds AWS's reserved ones.
    pub environment: BTreeMap<String, String>,
    /// Temporary credentials of the execution role.
    pub credentials: Credentials,
    /// Sereno's endpoint as the function shall see it, e.g. `http://127.0.0.1:4566`.
    pub endpoint: String,
    pub memory_mb: u32,
    pub timeout_ms: u64,
    pub ephemeral_storage_mb: u32,
    pub architecture: String,
    /// "on-demand", "provisioned-concurrency" or "snap-start": AWS_LAMBDA_INITIALIZATION_TYPE.
    pub initialization_type: String,
    /// false: only Sereno's endpoint can be reached.
    pub internet: bool,
    pub logging: Logging,
}

#[derive(Clone)]
pub struct Logging {
    pub group: String,
    pub json: bool,
    /// Names of AWS: TRACE DEBUG INFO WARN ERROR FATAL; "" = default.
    pub application_level: String,
    pub system_level: String,
    pub sink: Arc<dyn LogSink>,
}

/// Where an instance's log goes. Called with batches, off the invocation's path, in order per stream.
pub trait LogSink: Send + Sync + 'static {
    /// `stream` is `yyyy/mm/dd/[version]<32 hex>`, one per instance. Errors are for the server's log; the batch is not tried again
    /// unless the error's kind is Throttled or Unavailable.
    fn deliver(&self, stream: String, events: Vec<LogEvent>) -> BoxFuture<'_, crate::Result<()>>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogEvent {
    pub timestamp_ms: i64,
    pub message: String,
}

#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
}

/// A zip archive by content. Unpacked once per machine into the sandbox's own folder.
#[derive(Clone)]
pub struct Package {
    /// Lower-case hex of the archive's SHA-256.
    pub sha256: String,
    pub fetch: Arc<dyn Fn() -> BoxFuture<'static, crate::Result<Bytes>> + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PackageInfo {
    pub unpacked_bytes: u64,
    pub files: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PackageError {
    /// Not a zip, or one with entries that leave its folder.
    Invalid(String),
    TooLarge {
        unpacked_bytes: u64,
        limit_bytes: u64,
    },
    Unavailable(String),
}

pub struct InvokeRequest {
    pub request_id: String,
    pub payload: Bytes,
    /// As the caller named it: unqualified, or with version or alias.
    pub invoked_function_arn: String,
    /// Decoded JSON of X-Amz-Client-Context.
    pub client_context: Option<String>,
    pub cognito_identity: Option<String>,
    /// `Root=1-...;Parent=...;Sampled=0`.
    pub trace_id: String,
    /// Answer with the last 4 KB of this invocation's log.
    pub tail: bool,
    /// A streaming response is sent here as it comes (InvokeWithResponseStream); None: the response is buffered. Of a
    /// function that does not stream nothing is sent here: its response is in the reply.
    pub stream: Option<tokio::sync::mpsc::Sender<StreamPiece>>,
    pub limits: ConcurrencyLimits,
}

/// A part of a streaming response, in order: one start, then chunks. The reply follows when all is done.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamPiece {
    Start { content_type: Option<String> },
    Chunk(Bytes),
}

/// What may run at once; counted by the sandbox, because it knows what runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConcurrencyLimits {
    /// Reserved concurrency of the function (all versions together).
    pub function: Option<u32>,
    /// What is left for functions without reservation in this account and region.
    pub account_unreserved: Option<u32>,
}

#[derive(Debug)]
pub struct InvokeReply {
    pub payload: Bytes,
    pub error: Option<FunctionError>,
    /// Plain bytes, not base64; empty unless asked for.
    pub log_tail: Bytes,
    pub duration_us: u64,
    pub billed_ms: u64,
    /// Present when this invocation started its instance.
    pub init_us: Option<u64>,
    pub max_memory_used_mb: u32,
    /// Content type etc. of a streaming response's prelude.
    pub content_type: Option<String>,
    pub log_stream: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// The handler reported it.
    Handled,
    /// Exit, timeout, out of memory, failed init, response too large.
    Unhandled,
}

/// The invocation could not be given to the function at all.
#[derive(Debug)]
pub enum InvokeFailure {
    /// A concurrency limit is reached: true = the function's own reservation, false = the account's.
    Throttled {
        reserved: bool,
    },
    Package(PackageError),
    /// The interpreter is missing, or no process can be started: what to install or change.
    CannotRun(String),
    /// The source of the spec failed (role, layer, key).
    Spec(crate::Error),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Protection {
    pub name: &'static str,
    pub holds: bool,
    /// How it is done here, or why it is not.
    pub detail: String,
}

pub trait Sandbox: Send + Sync + 'static {
    fn invoke(
        &self,
        function: FunctionId,
        request: InvokeRequest,
        spec: SpecSource,
    ) -> BoxFuture<'_, Result<InvokeReply, InvokeFailure>>;
    /// Unpacks and checks a package (create and update call this, so that the first invocation need not).
    fn prepare(
        &self,
        package: Package,
        limit_bytes: u64,
    ) -> BoxFuture<'_, Result<PackageInfo, PackageError>>;
    /// Keeps `count` instances of this function ready (provisioned concurrency): starts those that are missing, lets none of
    /// them go for idleness, and answers how many there are. Asked again from time to time; zero ends it.
    fn provision(
        &self,
        function: FunctionId,
        count: u32,
        spec: SpecMaker,
    ) -> BoxFuture<'_, Result<u32, InvokeFailure>> {
        let _ = (function, count, spec);
        let why = "this sandbox keeps no instances ready".to_owned();
        Box::pin(async move { Err(InvokeFailure::CannotRun(why)) })
    }
    /// Functions of this runtime will be invoked soon: what makes their start cheap may be prepared now.
    fn expect(&self, runtime: &str) {
        let _ = runtime;
    }
    /// Instances of these stop taking work and end after what they are doing. `version` None: all; `keep_revision`: these stay.
    fn retire(
        &self,
        account: AccountId,
        region: Region,
        name: &str,
        version: Option<&str>,
        keep_revision: Option<&str>,
    );
    /// All instances end after what they are doing.
    fn retire_all(&self);
    /// How many invocations of the function run now.
    fn in_flight(&self, account: AccountId, region: Region, name: &str) -> u32;
    /// Which protections hold on this machine (`sereno doctor`); may start a trial instance.
    fn protections(&self) -> BoxFuture<'_, Vec<Protection>>;
    /// (runtime identifier, what it would run on here or what to install).
    fn runtimes(&self) -> Vec<(String, Result<String, String>)>;
}
