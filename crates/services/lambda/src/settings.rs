//! What a function is set to: the settings that creating and updating have in common.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Result};

use crate::rules;
use crate::state::{FunctionRecord, LayerRecord};

const TEXT: &str = "Text";
const JSON: &str = "JSON";
/// What both log levels are when logs become JSON and nothing else is said.
/// Recorded: test_lambda_api.py::TestLoggingConfig.
const LEVEL: &str = "INFO";

/// `None` leaves a setting as it is.
pub struct Settings<'a> {
    pub role: Option<&'a String>,
    pub runtime: Option<&'a api::Runtime>,
    pub description: Option<&'a String>,
    pub handler: Option<&'a String>,
    pub timeout: Option<i32>,
    pub memory_size: Option<i32>,
    pub vpc_config: Option<&'a api::VpcConfig>,
    pub environment: Option<&'a api::Environment>,
    pub tracing_config: Option<&'a api::TracingConfig>,
    pub ephemeral_storage: Option<&'a api::EphemeralStorage>,
    pub snap_start: Option<&'a api::SnapStart>,
    pub logging_config: Option<&'a api::LoggingConfig>,
    pub layers: Option<Vec<LayerRecord>>,
    pub dead_letters: Option<&'a api::DeadLetterConfig>,
}

macro_rules! settings {
    ($input:ident, $role:expr, $layers:ident) => {
        Settings {
            role: $role,
            runtime: $input.runtime.as_ref(),
            description: $input.description.as_ref(),
            handler: $input.handler.as_ref(),
            timeout: $input.timeout,
            memory_size: $input.memory_size,
            vpc_config: $input.vpc_config.as_ref(),
            environment: $input.environment.as_ref(),
            tracing_config: $input.tracing_config.as_ref(),
            ephemeral_storage: $input.ephemeral_storage.as_ref(),
            snap_start: $input.snap_start.as_ref(),
            logging_config: $input.logging_config.as_ref(),
            layers: $layers,
            dead_letters: $input.dead_letter_config.as_ref(),
        }
    };
}

impl<'a> Settings<'a> {
    pub fn of_create(
        input: &'a api::CreateFunctionInput,
        layers: Option<Vec<LayerRecord>>,
    ) -> Settings<'a> {
        settings!(input, Some(&input.role), layers)
    }

    pub fn of_update(
        input: &'a api::UpdateFunctionConfigurationInput,
        layers: Option<Vec<LayerRecord>>,
    ) -> Settings<'a> {
        settings!(input, input.role.as_ref(), layers)
    }

    pub fn apply(&self, ctx: &Ctx, record: &mut FunctionRecord) -> Result<()> {
        set(&mut record.role, self.role.map(String::as_str));
        set(&mut record.runtime, self.runtime.map(api::Runtime::as_str));
        set(&mut record.description, self.description.map(String::as_str));
        set(&mut record.handler, self.handler.map(String::as_str));
        number(&mut record.timeout_s, self.timeout);
        number(&mut record.memory_mb, self.memory_size);
        number(&mut record.ephemeral_storage_mb, self.ephemeral_storage.map(|s| s.size));
        if let Some(vpc) = self.vpc_config {
            record.subnet_ids = vpc.subnet_ids.clone().unwrap_or_default();
            record.security_group_ids = vpc.security_group_ids.clone().unwrap_or_default();
        }
        if let Some(environment) = self.environment {
            let variables = environment.variables.clone().unwrap_or_default();
            rules::check_environment(&variables)?;
            record.set_environment(ctx, &variables);
        }
        let mode = self.tracing_config.and_then(|tracing| tracing.mode.as_ref());
        set(&mut record.tracing, mode.map(api::TracingMode::as_str));
        let snap_start = self.snap_start.and_then(|snap| snap.apply_on.as_ref());
        set(&mut record.snap_start, snap_start.map(api::SnapStartApplyOn::as_str));
        if let Some(logging) = self.logging_config {
            log(record, logging)?;
        }
        if let Some(config) = self.dead_letters {
            record.dead_letter_arn = config.target_arn.clone().unwrap_or_default();
        }
        if let Some(layers) = &self.layers {
            record.layers.clone_from(layers);
        }
        Ok(())
    }
}

fn set(field: &mut String, value: Option<&str>) {
    if let Some(value) = value {
        value.clone_into(field);
    }
}

fn number(field: &mut u32, value: Option<i32>) {
    // The model's bounds were checked: never negative.
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        *field = value;
    }
}

/// Levels are for JSON logs only.
fn log(record: &mut FunctionRecord, logging: &api::LoggingConfig) -> Result<()> {
    set(&mut record.log_format, logging.log_format.as_ref().map(api::LogFormat::as_str));
    set(&mut record.log_group, logging.log_group.as_deref());
    let application = logging.application_log_level.as_ref().map(api::ApplicationLogLevel::as_str);
    let system = logging.system_log_level.as_ref().map(api::SystemLogLevel::as_str);
    if record.log_format == TEXT {
        rules::check_text_levels(application.or(system))?;
        record.application_log_level.clear();
        record.system_log_level.clear();
    }
    if record.log_format == JSON {
        for (field, given) in [
            (&mut record.application_log_level, application),
            (&mut record.system_log_level, system),
        ] {
            set(field, given.or(field.is_empty().then_some(LEVEL)));
        }
    }
    Ok(())
}
