//! The folders and facts of one start, and what follows from them: arguments, settings, the first lines of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use sereno_kernel::sandbox::{FunctionId, FunctionSpec};

use crate::environment::{self, Place};
use crate::extensions::About;
use crate::instance::{Instance, Terms};
use crate::interpreters::{Choice, Interpreter, Language, Wanted};
use crate::java::Kit;
use crate::journal::{Journal, Recorder};
use crate::report::{Failure, Style};
use crate::runtime_api::Conversation;

/// The folders and facts of one start.
pub struct Plan<'a> {
    pub function: &'a FunctionId,
    pub spec: &'a FunctionSpec,
    pub task: PathBuf,
    pub opt: Option<PathBuf>,
    pub language: Language,
    pub choice: Option<Choice>,
    /// For Java only.
    pub java: Option<Kit>,
}

impl Plan<'_> {
    /// What the helper needs for this instance, however it is started.
    pub fn order(&self, id: u64) -> Value {
        let prefixes = self.choice.as_ref().map(|choice| prefixes(&choice.interpreter));
        json!({
            "op": "spawn", "id": id, "root": prefixes.unwrap_or_default(), "furnish": true,
            "task": self.task, "opt": self.opt.as_deref().unwrap_or(Path::new("")),
            "memory_mb": self.spec.memory_mb, "tmp_mb": self.spec.ephemeral_storage_mb,
        })
    }

    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = match &self.choice {
            None if self.is_executable(&self.task) || self.opt.is_none() => {
                vec!["/var/task/bootstrap".to_owned()]
            }
            None => vec!["/opt/bootstrap".to_owned()],
            Some(choice) if self.java.is_some() => {
                let kit = self.java.iter();
                kit.flat_map(|kit| kit.arguments(&choice.interpreter, self.spec.memory_mb))
                    .collect()
            }
            Some(choice) => {
                let program = choice.interpreter.executable.display().to_string();
                let own = environment::needs_own_start(&self.spec.environment);
                let flags: &[&str] = match choice.interpreter.language {
                    Language::Python if choice.interpreter.version.0 < 3 => &["-S"],
                    // Its own variables shall count.
                    Language::Python if own => &["-S"],
                    Language::Python => &["-I", "-S"],
                    _ => &[],
                };
                let script = match choice.interpreter.language {
                    Language::Python => "/var/runtime/python/bootstrap.py",
                    _ => "/var/runtime/nodejs/bootstrap.js",
                };
                let flags = flags.iter().map(|flag| (*flag).to_owned());
                [program].into_iter().chain(flags).chain([script.to_owned()]).collect()
            }
        };
        // https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
        if let Some(wrapper) = self.spec.environment.get("AWS_LAMBDA_EXEC_WRAPPER") {
            arguments.insert(0, wrapper.clone());
        }
        arguments
    }

    /// The first frame of our own bootstraps.
    pub fn settings(&self, stream: &str, runtime_api: Option<&str>) -> Value {
        let wanted = Wanted::parse(&self.spec.runtime).map_or((0, 0), |wanted| wanted.version);
        json!({
            "env": environment::variables(&self.place(stream, runtime_api)),
            "major": wanted.0,
            // AWS gives V8 nine tenths of the memory.
            "heapMb": self.spec.memory_mb * 9 / 10,
            "sdk": "/var/runtime/sdk/python",
            "unicode": wanted >= (3, 12),
        })
    }

    pub fn place<'b>(&'b self, log_stream: &'b str, runtime_api: Option<&'b str>) -> Place<'b> {
        Place {
            function: self.function,
            spec: self.spec,
            interpreter: self.choice.as_ref().map(|choice| &choice.interpreter),
            log_stream,
            runtime_api,
        }
    }

    pub fn terms(&self, stream: &str) -> Terms {
        Terms {
            version: self.function.version.clone(),
            memory_mb: self.spec.memory_mb,
            timeout_ms: self.spec.timeout_ms,
            style: Style::new(self.spec.logging.json, &self.spec.logging.system_level),
            log_stream: stream.to_owned(),
        }
    }

    pub fn recorder(&self, stream: &str, api: Arc<Conversation>) -> Recorder {
        let journal = Journal::new(stream.to_owned(), Arc::clone(&self.spec.logging.sink));
        Recorder::new(journal, api)
    }

    /// Programs of the layers that are started before the runtime, in order of their names.
    /// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-extensions-registration-api-a
    pub fn extensions(&self) -> Vec<String> {
        let folder = self.opt.as_deref().unwrap_or(Path::new("/nonexistent")).join("extensions");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.filter(|entry| is_executable(&entry.path()));
        let mut names: Vec<String> =
            files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    pub fn about(&self) -> About {
        About {
            name: self.function.name.clone(),
            version: self.function.version.clone(),
            handler: self.spec.handler.clone(),
            account: self.function.account.to_string(),
        }
    }

    /// Has the function a module of this name of its own?
    pub fn brings(&self, module: &str) -> bool {
        let opt = self.opt.as_deref().unwrap_or(Path::new("/nonexistent"));
        [self.task.clone(), opt.join("python")].iter().any(|folder| folder.join(module).exists())
            || opt.join("python/lib").exists()
    }

    fn is_executable(&self, folder: &Path) -> bool {
        is_executable(&folder.join("bootstrap"))
    }
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// A custom runtime without a program that could be started.
/// https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-deployment.html
pub fn missing_entry(plan: &Plan<'_>) -> Option<Failure> {
    if plan.choice.is_some() {
        return None;
    }
    let folders: Vec<&Path> =
        [Some(plan.task.as_path()), plan.opt.as_deref()].into_iter().flatten().collect();
    if folders.iter().any(|folder| plan.is_executable(folder)) {
        return None;
    }
    let exists = plan.task.join("bootstrap").is_file();
    let message = if exists {
        "fork/exec /var/task/bootstrap: permission denied".to_owned()
    } else {
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned()
    };
    Some(Failure { error_type: "Runtime.InvalidEntrypoint", message })
}

pub fn announce(instance: &mut Instance, plan: &Plan<'_>) {
    let version = match &plan.choice {
        Some(choice) => {
            let (major, minor, patch) = choice.interpreter.version;
            let name = match plan.language {
                Language::Python => "python",
                Language::Java => "java",
                _ => "nodejs",
            };
            format!("{name}:{major}.{minor}.v{patch}")
        }
        None => format!("{}.v1", plan.spec.runtime.replace('.', ":")),
    };
    let hash = sereno_base::hex(&hash(version.as_bytes()));
    let region = plan.function.region;
    let arn = format!("arn:{}:lambda:{region}::runtime:{hash}", region.partition());
    let record = json!({"initializationType": "on-demand", "phase": "init",
        "runtimeVersion": version, "runtimeVersionArn": arn,
        "functionName": plan.function.name, "functionVersion": plan.function.version});
    instance.api.telemetry.platform("initStart", || record);
    if let Some(line) = instance.terms.style.init_start(&version, &arn) {
        instance.recorder.say(line);
    }
    if let Some(choice) = plan.choice.as_ref().filter(|choice| !choice.exact) {
        let (major, minor, patch) = choice.interpreter.version;
        let line = format!(
            "[SERENO] {} is not installed on this machine; this instance runs on {major}.{minor}.{patch} ({})\n",
            plan.spec.runtime,
            choice.interpreter.executable.display()
        );
        instance.recorder.say(line);
    }
}

pub fn prefixes(interpreter: &Interpreter) -> Vec<String> {
    interpreter.prefix.iter().map(|prefix| prefix.display().to_string()).collect()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}
