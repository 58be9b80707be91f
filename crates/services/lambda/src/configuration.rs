//! A version as the API shows it, and the settings that every function has by default.

use sereno_api_lambda as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};

use crate::names::{FunctionName, function_arn, resolve};
use crate::state::{self, FunctionRecord};

/// `2016-12-01T10:00:00.000+0000`, Lambda's own spelling.
fn last_modified(millis: i64) -> String {
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
        environment: record.has_environment.then(|| api::EnvironmentResponse {
            variables: Some(record.environment.clone()),
            error: None,
        }),
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
            optimization_status: Some(api::SnapStartOptimizationStatus::Off),
        }),
        runtime_version_config: Some(api::RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version_arn(ctx, &record.runtime)),
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
        ..Default::default()
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
fn runtime_version_arn(ctx: &Ctx, runtime: &str) -> String {
    format!("arn:{}:lambda:{}::runtime:{runtime}", ctx.partition(), ctx.region())
}

pub async fn runtime_management(
    ctx: Ctx,
    input: api::GetRuntimeManagementConfigInput,
) -> Result<api::GetRuntimeManagementConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx);
    let found = resolve(&ctx, ctx.store(), &name, 0.0).await?;
    Ok(api::GetRuntimeManagementConfigOutput {
        update_runtime_on: Some(api::UpdateRuntimeOn::Auto),
        function_arn: Some(found.arn),
        runtime_version_arn: None,
    })
}

/// No function has one: code signing is refused where it is asked for.
pub async fn code_signing(
    ctx: Ctx,
    input: api::GetFunctionCodeSigningConfigInput,
) -> Result<api::GetFunctionCodeSigningConfigOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx);
    state::head(&ctx, ctx.store(), &name.name).await?;
    Ok(api::GetFunctionCodeSigningConfigOutput {
        code_signing_config_arn: String::new(),
        function_name: name.name,
    })
}

pub async fn recursion(
    ctx: Ctx,
    input: api::GetFunctionRecursionConfigInput,
) -> Result<api::GetFunctionRecursionConfigOutput, Error> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx);
    state::head(&ctx, ctx.store(), &name.name).await?;
    Ok(api::GetFunctionRecursionConfigOutput {
        recursive_loop: Some(api::RecursiveLoop::Terminate),
    })
}
