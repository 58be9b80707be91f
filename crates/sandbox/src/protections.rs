//! What holds on this machine and what does not, for people: `sereno doctor`.

use std::sync::Arc;

use serde_json::Value;
use sereno_kernel::sandbox::Protection;

use crate::interpreters::Interpreters;
use crate::port::Config;
use crate::start::Starter;

/// One of each kind that AWS still lets people create.
const RUNTIMES: [&str; 12] = [
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "java21",
    "ruby3.4",
    "dotnet8",
];

pub async fn list(starter: &Arc<Starter>) -> Vec<Protection> {
    let greeting = match starter.helper().await {
        Ok(helper) => helper.greeting.clone(),
        Err(error) => {
            return vec![Protection {
                name: "sandbox",
                holds: false,
                detail: format!("functions cannot run: {error}"),
            }];
        }
    };
    let told = |key: &str| -> (bool, String) {
        let value = &greeting[key];
        (value[0].as_bool().unwrap_or(false), value[1].as_str().unwrap_or_default().to_owned())
    };
    let from = |name: &'static str, key: &str| {
        let (holds, detail) = told(key);
        Protection { name, holds, detail }
    };
    let always = |name: &'static str, detail: &str| Protection {
        name,
        holds: greeting != Value::Null,
        detail: detail.to_owned(),
    };
    vec![
        from("user", "user"),
        always(
            "files",
            "read-only view of the system and the function's own code; own /tmp of the configured size",
        ),
        always("processes", "own PID namespace: no other process is visible or can be signalled"),
        always("mounts, hostname, System V IPC", "own namespaces"),
        always("privileges", "no capability, no new privileges, no set-user-id"),
        always(
            "system calls",
            "seccomp filter: what a function needs is allowed, everything else is refused",
        ),
        from("memory limit", "memory"),
        from("process limit", "processes"),
        from("CPU share", "cpu"),
        from("freezing of idle instances", "freezer"),
        from("network", "network"),
    ]
}

pub fn runtimes(config: &Config) -> Vec<(String, Result<String, String>)> {
    let interpreters = Interpreters::scan(&config.search_path, config.home.as_deref());
    let describe = |runtime: &str| {
        interpreters.choose(runtime).map(|choice| {
            let (major, minor, patch) = choice.interpreter.version;
            let note = if choice.exact { "" } else { " (closest installed)" };
            format!("{major}.{minor}.{patch} at {}{note}", choice.interpreter.executable.display())
        })
    };
    RUNTIMES.iter().map(|runtime| ((*runtime).to_owned(), describe(runtime))).collect()
}
