//! The environment variables of an instance: the user's, and AWS's reserved ones over them.
//! https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime

use std::collections::BTreeMap;

use sereno_kernel::sandbox::{FunctionId, FunctionSpec};

use crate::interpreters::{Interpreter, Language, Wanted};

/// What is known of an instance when its environment is made.
pub struct Place<'a> {
    pub function: &'a FunctionId,
    pub spec: &'a FunctionSpec,
    pub interpreter: Option<&'a Interpreter>,
    pub log_stream: &'a str,
    /// Host and port of the Runtime API, where the runtime speaks it.
    pub runtime_api: Option<&'a str>,
}

const TASK: &str = "/var/task";
const RUNTIME: &str = "/var/runtime";
const LIBRARIES: &str =
    "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
const PROGRAMS: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

/// All variables, in order of their names.
pub fn variables(place: &Place<'_>) -> BTreeMap<String, String> {
    let mut all = defaults(place);
    all.extend(place.spec.environment.clone());
    all.extend(reserved(place));
    all
}

/// What an extension does not get of these.
/// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
pub fn is_for_extensions(name: &str) -> bool {
    !matches!(
        name,
        "AWS_EXECUTION_ENV"
            | "AWS_LAMBDA_LOG_GROUP_NAME"
            | "AWS_LAMBDA_LOG_STREAM_NAME"
            | "AWS_XRAY_CONTEXT_MISSING"
            | "AWS_XRAY_DAEMON_ADDRESS"
            | "LAMBDA_RUNTIME_DIR"
            | "LAMBDA_TASK_ROOT"
            | "_HANDLER"
    )
}

/// What a user may set differently.
fn defaults(place: &Place<'_>) -> BTreeMap<String, String> {
    let programs = match place.interpreter.and_then(|found| found.executable.parent()) {
        Some(folder) if place.interpreter.is_some_and(|found| found.prefix.is_some()) => {
            format!("{}:{PROGRAMS}", folder.display())
        }
        _ => PROGRAMS.to_owned(),
    };
    let mut all = owned(&[
        ("PATH", &programs),
        ("LD_LIBRARY_PATH", LIBRARIES),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("AWS_ENDPOINT_URL", &place.spec.endpoint),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
        ("AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000"),
    ]);
    match Wanted::parse(&place.spec.runtime) {
        Some(Wanted { language: Language::NodeJs, version }) => {
            let sdk = format!("{RUNTIME}/sdk/nodejs/node_modules");
            let paths = format!(
                "/opt/nodejs/node{}/node_modules:/opt/nodejs/node_modules:{RUNTIME}/node_modules:{RUNTIME}:{TASK}:{sdk}",
                version.0
            );
            all.insert("NODE_PATH".to_owned(), paths);
        }
        Some(Wanted { language: Language::Python, .. }) => {
            all.insert("PYTHONPATH".to_owned(), RUNTIME.to_owned());
        }
        _ => {}
    }
    all
}

fn reserved(place: &Place<'_>) -> BTreeMap<String, String> {
    let Place { function, spec, .. } = place;
    let memory = spec.memory_mb.to_string();
    let environment_name = format!("AWS_Lambda_{}", spec.runtime);
    let mut all = owned(&[
        ("_HANDLER", &spec.handler),
        ("AWS_REGION", function.region.as_str()),
        ("AWS_DEFAULT_REGION", function.region.as_str()),
        ("AWS_ACCESS_KEY_ID", &spec.credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &spec.credentials.secret_access_key),
        ("AWS_SESSION_TOKEN", &spec.credentials.session_token),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &function.version),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &spec.logging.group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", place.log_stream),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", &spec.initialization_type),
        ("LAMBDA_TASK_ROOT", TASK),
        ("LAMBDA_RUNTIME_DIR", RUNTIME),
    ]);
    let mut set = |name: &str, value: &str| {
        all.insert(name.to_owned(), value.to_owned());
    };
    // Container images and custom runtimes do not have it on AWS.
    if !spec.runtime.starts_with("provided") {
        set("AWS_EXECUTION_ENV", &environment_name);
    }
    if spec.logging.json {
        set("AWS_LAMBDA_LOG_FORMAT", "JSON");
    }
    if !spec.logging.application_level.is_empty() {
        set("AWS_LAMBDA_LOG_LEVEL", &spec.logging.application_level);
    }
    if let Some(address) = place.runtime_api {
        set("AWS_LAMBDA_RUNTIME_API", address);
    }
    all
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Variables that take effect only when an interpreter starts: a process that runs already cannot obey them.
pub fn needs_own_start(environment: &BTreeMap<String, String>) -> bool {
    environment.keys().any(|name| {
        matches!(name.as_str(), "NODE_OPTIONS" | "AWS_LAMBDA_EXEC_WRAPPER" | "LD_LIBRARY_PATH")
            || name.starts_with("LD_")
            || name.starts_with("NODE_EXTRA")
            || name.starts_with("UV_")
            || (name.starts_with("PYTHON") && name != "PYTHONPATH")
    })
}
