//! A sandbox for tests: functions from source text, invoked through the kernel's port.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its own part; tests may unwrap"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sereno_base::{AccountId, Region};
use sereno_kernel::sandbox::{
    ConcurrencyLimits, Credentials, FunctionId, FunctionSpec, InvokeFailure, InvokeReply,
    InvokeRequest, LogEvent, LogSink, Logging, Package, Sandbox,
};
use sereno_kernel::{BoxFuture, Result};
use sereno_sandbox::{Config, LocalSandbox};
use sha2::{Digest, Sha256};

pub struct Bench {
    pub sandbox: LocalSandbox,
    pub work: PathBuf,
    pub logs: Arc<Logs>,
}

#[derive(Default)]
pub struct Logs(pub Mutex<Vec<(String, LogEvent)>>);

impl LogSink for Logs {
    fn deliver(&self, stream: String, events: Vec<LogEvent>) -> BoxFuture<'_, Result<()>> {
        let mut all = self.0.lock().unwrap();
        all.extend(events.into_iter().map(|event| (stream.clone(), event)));
        Box::pin(async { Ok(()) })
    }
}

#[derive(Clone)]
pub struct Function {
    pub name: String,
    pub runtime: String,
    pub handler: String,
    pub files: Vec<(String, Vec<u8>, u32)>,
    pub layers: Vec<Vec<(String, Vec<u8>, u32)>>,
    pub environment: BTreeMap<String, String>,
    pub memory_mb: u32,
    pub timeout_ms: u64,
    pub tmp_mb: u32,
    pub json: bool,
    pub revision: String,
}

impl Function {
    pub fn node(source: &str) -> Function {
        Function::new("nodejs20.x", "index.handler", &[("index.js", source)])
    }

    pub fn python(source: &str) -> Function {
        Function::new("python3.11", "index.handler", &[("index.py", source)])
    }

    pub fn new(runtime: &str, handler: &str, files: &[(&str, &str)]) -> Function {
        let files =
            files.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec(), 0o644)).collect();
        let mut name = [0u8; 6];
        getrandom::fill(&mut name).unwrap();
        Function {
            name: format!("f-{}", sereno_base::hex(&name)),
            runtime: runtime.to_owned(),
            handler: handler.to_owned(),
            files,
            layers: Vec::new(),
            environment: BTreeMap::new(),
            memory_mb: 256,
            timeout_ms: 10_000,
            tmp_mb: 64,
            json: false,
            revision: "1".to_owned(),
        }
    }

    pub fn env(mut self, name: &str, value: &str) -> Function {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn timeout(mut self, ms: u64) -> Function {
        self.timeout_ms = ms;
        self
    }

    pub fn memory(mut self, mb: u32) -> Function {
        self.memory_mb = mb;
        self
    }

    pub fn id(&self) -> FunctionId {
        FunctionId {
            account: AccountId::DEFAULT,
            region: Region::US_EAST_1,
            name: self.name.clone(),
            version: "$LATEST".to_owned(),
            revision: self.revision.clone(),
        }
    }
}

fn package(files: &[(String, Vec<u8>, u32)]) -> Package {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text, mode) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(text).unwrap();
    }
    let bytes = Bytes::from(writer.finish().unwrap().into_inner());
    let sha256 = sereno_base::hex(&Sha256::digest(&bytes));
    let fetch = move || -> BoxFuture<'static, Result<Bytes>> {
        let bytes = bytes.clone();
        Box::pin(async move { Ok(bytes) })
    };
    Package { sha256, fetch: Arc::new(fetch) }
}

impl Bench {
    pub fn new() -> Bench {
        Bench::at(4566)
    }

    /// With the server's endpoint at this port.
    pub fn at(port: u16) -> Bench {
        Bench::with(port, |_| {})
    }

    pub fn with(port: u16, change: impl FnOnce(&mut Config)) -> Bench {
        let mut name = [0u8; 6];
        getrandom::fill(&mut name).unwrap();
        let work = std::env::temp_dir().join(format!("sereno-sandbox-{}", sereno_base::hex(&name)));
        std::fs::create_dir_all(&work).unwrap();
        let mut config = Config::new(work.clone(), env!("CARGO_BIN_EXE_sereno-jail").into());
        config.search_path = std::env::var("PATH").unwrap_or_default();
        config.home = std::env::var_os("HOME").map(PathBuf::from);
        config.endpoint = Some(([127, 0, 0, 1], port).into());
        change(&mut config);
        Bench { sandbox: LocalSandbox::new(config), work, logs: Arc::default() }
    }

    pub fn spec(&self, function: &Function) -> FunctionSpec {
        FunctionSpec {
            runtime: function.runtime.clone(),
            handler: function.handler.clone(),
            code: package(&function.files),
            layers: function.layers.iter().map(|files| package(files)).collect(),
            environment: function.environment.clone(),
            credentials: Credentials {
                access_key_id: "ASIATEST".into(),
                secret_access_key: "secret".into(),
                session_token: "token".into(),
            },
            endpoint: "http://127.0.0.1:4566".into(),
            memory_mb: function.memory_mb,
            timeout_ms: function.timeout_ms,
            ephemeral_storage_mb: function.tmp_mb,
            architecture: "x86_64".into(),
            initialization_type: "on-demand".into(),
            internet: true,
            logging: Logging {
                group: format!("/aws/lambda/{}", function.name),
                json: function.json,
                application_level: String::new(),
                system_level: String::new(),
                sink: Arc::clone(&self.logs) as Arc<dyn LogSink>,
            },
        }
    }

    pub fn request(&self, payload: &str) -> InvokeRequest {
        let mut id = [0u8; 16];
        getrandom::fill(&mut id).unwrap();
        let hex = sereno_base::hex(&id);
        InvokeRequest {
            request_id: format!(
                "{}-{}-4{}-a{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[13..16],
                &hex[17..20],
                &hex[20..]
            ),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            invoked_function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            client_context: None,
            cognito_identity: None,
            trace_id: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=0"
                .into(),
            tail: true,
            stream: None,
            limits: ConcurrencyLimits::default(),
        }
    }

    pub async fn try_invoke(
        &self,
        function: &Function,
        payload: &str,
    ) -> std::result::Result<InvokeReply, InvokeFailure> {
        let spec = self.spec(function);
        let source = Box::new(move || -> BoxFuture<'static, Result<FunctionSpec>> {
            Box::pin(async move { Ok(spec) })
        });
        self.sandbox.invoke(function.id(), self.request(payload), source).await
    }

    pub async fn invoke(&self, function: &Function, payload: &str) -> InvokeReply {
        self.try_invoke(function, payload).await.expect("the sandbox can run it")
    }

    /// The result as JSON; the function must not have failed.
    pub async fn result(&self, function: &Function, payload: &str) -> serde_json::Value {
        let reply = self.invoke(function, payload).await;
        let text = String::from_utf8_lossy(&reply.payload).into_owned();
        assert_eq!(reply.error, None, "{text}\n{}", String::from_utf8_lossy(&reply.log_tail));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The error payload as JSON; the function must have failed.
    pub async fn failure(&self, function: &Function, payload: &str) -> serde_json::Value {
        let reply = self.invoke(function, payload).await;
        let text = String::from_utf8_lossy(&reply.payload).into_owned();
        assert!(reply.error.is_some(), "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

pub fn tail(reply: &InvokeReply) -> String {
    String::from_utf8_lossy(&reply.log_tail).into_owned()
}
