//! A version as the API shows it, and the settings that every function has by default.

use sereno_api_lambda as api;
use sereno_base::{Timestamp, hex};
use sereno_kernel::Ctx;
use sha2::{Digest, Sha256};

use crate::errors;
use crate::names::{LATEST, function_arn};
use crate::state::{FunctionRecord, LayerRecord};

/// `2016-12-01T10:00:00.000+0000`, Lambda's own spelling.
pub fn last_modified(millis: i64) -> String {
    Timestamp::from_millis(millis).iso8601_millis().replace('Z', "+0000")
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `qualifier`: as the caller named the version, which is how the ARN shows it.
pub fn describe(
    ctx: &Ctx,
    record: &FunctionRecord,
    qualifier: Option<&str>,
) -> api::FunctionConfiguration {
    let number = |value: u32| i32::try_from(value).ok();
    api::FunctionConfiguration {
        function_name: Some(record.name.clone()),
        function_arn: Some(function_arn(ctx, &record.name, qualifier)),
        runtime: Some(api::Runtime::from(record.runtime.as_str())),
        role: Some(record.role.clone()),
        handler: Some(record.handler.clone()),
        code_size: i64::try_from(record.code.size_bytes).ok(),
        description: Some(record.description.clone()),
        timeout: number(record.timeout_s),
        memory_size: number(record.memory_mb),
        last_modified: Some(last_modified(record.last_modified_ms)),
        code_sha256: Some(record.code.sha256.clone()),
        version: Some(record.version.clone()),
        vpc_config: vpc_config(record),
        environment: record.has_environment.then(|| environment(ctx, record)),
        tracing_config: Some(api::TracingConfigResponse {
            mode: Some(api::TracingMode::from(record.tracing.as_str())),
        }),
        revision_id: Some(record.revision_id.clone()),
        state: Some(api::State::Active),
        last_update_status: Some(api::LastUpdateStatus::Successful),
        package_type: Some(api::PackageType::Zip),
        architectures: Some(vec![api::Architecture::from(record.architecture.as_str())]),
        ephemeral_storage: number(record.ephemeral_storage_mb)
            .map(|size| api::EphemeralStorage { size }),
        snap_start: Some(api::SnapStartResponse {
            apply_on: Some(api::SnapStartApplyOn::from(record.snap_start.as_str())),
            optimization_status: Some(optimization(record)),
        }),
        runtime_version_config: Some(api::RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version_arn(ctx, record)),
            error: None,
        }),
        logging_config: Some(api::LoggingConfig {
            log_format: Some(api::LogFormat::from(record.log_format.as_str())),
            application_log_level: some_text(&record.application_log_level)
                .map(|level| api::ApplicationLogLevel::from(level.as_str())),
            system_log_level: some_text(&record.system_log_level)
                .map(|level| api::SystemLogLevel::from(level.as_str())),
            log_group: Some(record.log_group.clone()),
        }),
        dead_letter_config: (!record.dead_letter_arn.is_empty())
            .then(|| api::DeadLetterConfig { target_arn: Some(record.dead_letter_arn.clone()) }),
        layers: (!record.layers.is_empty()).then(|| record.layers.iter().map(layer).collect()),
        ..Default::default()
    }
}

fn layer(used: &LayerRecord) -> api::Layer {
    api::Layer {
        arn: Some(used.arn.clone()),
        code_size: i64::try_from(used.code.size_bytes).ok(),
        ..Default::default()
    }
}

fn environment(ctx: &Ctx, record: &FunctionRecord) -> api::EnvironmentResponse {
    match record.environment(ctx) {
        Some(variables) => api::EnvironmentResponse { variables: Some(variables), error: None },
        None => api::EnvironmentResponse {
            variables: None,
            error: Some(api::EnvironmentError {
                error_code: Some("AccessDeniedException".to_owned()),
                message: Some(errors::ENVIRONMENT_SEALED.to_owned()),
            }),
        },
    }
}

/// Only published versions are snapshots.
fn optimization(record: &FunctionRecord) -> api::SnapStartOptimizationStatus {
    match record.snap_start.as_str() {
        "PublishedVersions" if record.version != LATEST => api::SnapStartOptimizationStatus::On,
        _ => api::SnapStartOptimizationStatus::Off,
    }
}

const BUSY: &str = "The function is being created.";

/// How the answer to a creation shows the function: as AWS does, which works on it for a while after the answer and
/// gives it another revision when done. Here it is done before the answer, so whoever asks next sees it active.
/// Recorded: test_lambda_api.py::TestLambdaFunction::test_function_lifecycle
pub fn creating(ctx: &Ctx, shown: api::FunctionConfiguration) -> api::FunctionConfiguration {
    api::FunctionConfiguration {
        revision_id: Some(ctx.random_uuid()),
        state: Some(api::State::Pending),
        state_reason: Some(BUSY.to_owned()),
        state_reason_code: Some(api::StateReasonCode::Creating),
        last_update_status: None,
        ..shown
    }
}

/// The same for the answer to an update.
pub fn updating(ctx: &Ctx, shown: api::FunctionConfiguration) -> api::FunctionConfiguration {
    api::FunctionConfiguration {
        revision_id: Some(ctx.random_uuid()),
        last_update_status: Some(api::LastUpdateStatus::InProgress),
        last_update_status_reason: Some(BUSY.to_owned()),
        last_update_status_reason_code: Some("Creating".into()),
        ..shown
    }
}

/// Lists show less. Recorded: test_lambda_api.py::TestLambdaFunction::test_list_functions
pub fn listed(shown: api::FunctionConfiguration) -> api::FunctionConfiguration {
    api::FunctionConfiguration {
        state: None,
        last_update_status: None,
        runtime_version_config: None,
        ..shown
    }
}

/// The network is not simulated: the ids are kept and shown, the function runs beside the server as always.
fn vpc_config(record: &FunctionRecord) -> Option<api::VpcConfigResponse> {
    if record.subnet_ids.is_empty() && record.security_group_ids.is_empty() {
        return None;
    }
    Some(api::VpcConfigResponse {
        subnet_ids: Some(record.subnet_ids.clone()),
        security_group_ids: Some(record.security_group_ids.clone()),
        vpc_id: Some("vpc-00000000".to_owned()),
        ipv6_allowed_for_dual_stack: Some(false),
    })
}

/// There is one version of each runtime: the interpreter that this machine has.
pub fn runtime_version_arn(ctx: &Ctx, record: &FunctionRecord) -> String {
    if !record.runtime_version_arn.is_empty() {
        return record.runtime_version_arn.clone();
    }
    let version = hex(&Sha256::digest(record.runtime.as_bytes()));
    format!("arn:{}:lambda:{}::runtime:{version}", ctx.partition(), ctx.region())
}
