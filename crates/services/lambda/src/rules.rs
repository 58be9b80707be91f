//! Decisions: what a function may be configured to. Pure functions of their arguments.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_api_lambda as api;
use sereno_kernel::Result;

use crate::errors;

const ENVIRONMENT_BYTES_MAX: usize = 4096;

/// Names that Lambda sets itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Reserved names and the limit on the whole.
pub fn check_environment(variables: &BTreeMap<String, String>) -> Result<()> {
    let reserved: Vec<&str> =
        RESERVED.iter().copied().filter(|name| variables.contains_key(*name)).collect();
    if !reserved.is_empty() {
        return Err(errors::reserved_environment(&reserved));
    }
    // Lambda measures the variables as compact JSON.
    let measured = serde_json::to_string(variables).unwrap_or_default();
    if measured.len() > ENVIRONMENT_BYTES_MAX {
        return Err(errors::environment_too_large(&measured));
    }
    Ok(())
}

/// Parameters that AWS has and nothing here acts on: refused, so that nobody relies on them.
pub fn check_create(input: &api::CreateFunctionInput) -> Result<()> {
    let image = input.package_type.as_ref().is_some_and(|kind| *kind == api::PackageType::Image);
    refuse(&[
        ("PackageType Image", image || input.code.image_uri.is_some()),
        ("ImageConfig", input.image_config.is_some()),
        ("FileSystemConfigs", has_any(input.file_system_configs.as_ref())),
        ("TenancyConfig", input.tenancy_config.is_some()),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
        ("RuntimeConfig", input.runtime_config.is_some()),
        ("AcceleratorConfig", input.accelerator_config.is_some()),
        ("PublishTo", input.publish_to.is_some()),
        ("KMSKeyArn", has_text(input.kms_key_arn.as_deref())),
        ("Code.SourceKMSKeyArn", input.code.source_kms_key_arn.is_some()),
    ])?;
    if input.runtime.is_none() || input.handler.is_none() {
        return Err(errors::runtime_and_handler());
    }
    Ok(())
}

pub fn check_update(input: &api::UpdateFunctionConfigurationInput) -> Result<()> {
    refuse(&[
        ("ImageConfig", input.image_config.is_some()),
        ("FileSystemConfigs", has_any(input.file_system_configs.as_ref())),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
        ("RuntimeConfig", input.runtime_config.is_some()),
        ("AcceleratorConfig", input.accelerator_config.is_some()),
        ("KMSKeyArn", has_text(input.kms_key_arn.as_deref())),
    ])
}

fn refuse(parameters: &[(&str, bool)]) -> Result<()> {
    match parameters.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(errors::not_honoured(name)),
        None => Ok(()),
    }
}

/// An empty list or text takes a setting back; that is always possible.
fn has_any<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

fn has_text(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// Levels belong to JSON logs.
pub fn check_text_levels(level: Option<&str>) -> Result<()> {
    match level {
        Some(_) => Err(errors::text_has_no_levels()),
        None => Ok(()),
    }
}

/// The second version of an alias and its share.
pub fn routing(
    config: Option<&api::AliasRoutingConfiguration>,
    main: &str,
) -> Result<Option<(String, f64)>> {
    let Some(weights) = config.and_then(|config| config.additional_version_weights.as_ref()) else {
        return Ok(None);
    };
    if weights.len() > 1 {
        return Err(errors::alias_weights_count());
    }
    let Some((version, weight)) = weights.iter().next() else { return Ok(None) };
    if main == crate::names::LATEST || version == crate::names::LATEST {
        return Err(errors::alias_weights_of_latest());
    }
    if version == main {
        return Err(errors::alias_same_version(version));
    }
    if !(0.0..=1.0).contains(weight) {
        return Err(errors::alias_weight_range(version));
    }
    Ok(Some((version.clone(), *weight)))
}

/// What a function is given: JSON of a bounded size; nothing at all stands for an empty object.
pub fn check_payload(payload: Bytes, limit: usize, kind: &str) -> Result<Bytes> {
    if payload.len() > limit {
        return Err(errors::request_too_large(payload.len(), limit, kind));
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match json_fault(&payload) {
        None => Ok(payload),
        Some((why, column)) => Err(errors::payload_not_json(&why, column)),
    }
}

/// Why this is not JSON and at which column, in the words of AWS's parser.
fn json_fault(bytes: &[u8]) -> Option<(String, usize)> {
    if serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok() {
        return None;
    }
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let first = bytes.get(start).copied().unwrap_or(b' ');
    if let Err(error) = std::str::from_utf8(bytes)
        && error.valid_up_to() > start
    {
        let at = error.valid_up_to();
        return Some((format!("Invalid UTF-8 start byte 0x{:x}", bytes[at]), at + 2));
    }
    let shown = if first.is_ascii_graphic() {
        format!("'{}' (code {first})", char::from(first))
    } else {
        format!("(CTRL-CHAR, code {first})")
    };
    let expected = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";
    let why = format!("Unexpected character ({shown}): expected a valid value ({expected})");
    Some((why, start + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(check_environment(&one("TABLE", "t")).is_ok());
        let error = check_environment(&one("AWS_REGION", "x")).unwrap_err();
        assert!(error.message().ends_with("used in this request: AWS_REGION"));
        assert!(check_environment(&one("A", &"x".repeat(4089))).is_err());
        assert!(check_environment(&one("A", &"x".repeat(4088))).is_ok());
    }

    #[test]
    fn weights() {
        let config = |version: &str, weight| api::AliasRoutingConfiguration {
            additional_version_weights: Some(BTreeMap::from([(version.to_owned(), weight)])),
        };
        assert_eq!(routing(Some(&config("2", 0.1)), "1").unwrap(), Some(("2".to_owned(), 0.1)));
        assert!(routing(Some(&config("1", 0.1)), "1").is_err());
        assert!(routing(Some(&config("2", 1.1)), "1").is_err());
        assert!(routing(Some(&config("2", 0.1)), "$LATEST").is_err());
        assert_eq!(routing(None, "1").unwrap(), None);
    }
}
