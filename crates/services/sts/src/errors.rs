//! AWS's codes and sentences.

use sereno_kernel::{Error, Kind};
use sereno_wire::Violation;

pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("ValidationError", message).status(400)
}

pub fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    validation(sereno_wire::validation_message(violations))
}

pub fn denied(message: impl Into<String>) -> Error {
    Error::new(Kind::Denied, "AccessDenied", message).status(403)
}

/// recorded: LocalStack test_sts_invalid_parameters
pub fn invalid_arn(arn: &str) -> Error {
    validation(format!("{arn} is invalid"))
}

/// recorded: LocalStack test_assume_role_tag_validation
pub fn invalid_parameter(message: &'static str) -> Error {
    Error::invalid("InvalidParameterValue", message).status(400)
}

pub fn malformed_policy(message: impl Into<String>) -> Error {
    Error::invalid("MalformedPolicyDocument", message).status(400)
}

pub fn packed_policy_too_large(percent: usize) -> Error {
    let message =
        format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.");
    Error::invalid("PackedPolicyTooLarge", message).status(400)
}

pub fn no_mfa() -> Error {
    denied(
        "MultiFactorAuthentication failed, unable to validate MFA code. Please verify your MFA serial number is valid and associated with this user.",
    )
}

pub fn session_credentials(operation: &str) -> Error {
    denied(format!("Cannot call {operation} with session credentials"))
}

pub fn undecodable() -> Error {
    Error::invalid("InvalidAuthorizationMessageException", "Message is not valid.").status(400)
}

pub fn unsupported(parameter: &str) -> Error {
    Error::not_implemented(format!("Sereno does not support the parameter {parameter} yet."))
}
