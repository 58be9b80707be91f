//! What is wrong with code signing, runtime versions and whole policies.

use sereno_kernel::Error;

use super::{conflict, invalid, not_found};

/// Recorded: test_lambda_api.py::TestCodeSigningConfig::test_code_signing_not_found_excs
pub fn code_signing_config_missing(arn: &str) -> Error {
    not_found(format!("The Lambda code signing configuration {arn} can not be found."))
}

/// For a function that shall have it. Recorded: the same.
pub fn code_signing_config_not_found(arn: &str) -> Error {
    Error::not_found(
        "CodeSigningConfigNotFoundException",
        format!(
            "The code signing configuration cannot be found. Check that the provided configuration is not \
             deleted: {arn}."
        ),
    )
}

pub fn code_signing_config_in_use(arn: &str) -> Error {
    conflict(format!("The code signing configuration {arn} is used by at least one function."))
}

pub fn code_not_signed() -> Error {
    Error::invalid(
        "CodeVerificationFailedException",
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the \
         client is not configured to accept. Check the provided signature for unsigned.",
    )
}

pub fn runtime_version_and_mode(manual: bool) -> Error {
    invalid(if manual {
        "RuntimeVersionArn is required when UpdateRuntimeOn is set to Manual."
    } else {
        "RuntimeVersionArn can only be set when UpdateRuntimeOn is set to Manual."
    })
}

pub fn runtime_version_missing(arn: &str) -> Error {
    invalid(format!("Runtime version {arn} does not exist or is not of the function's runtime."))
}

pub fn policy_malformed() -> Error {
    invalid("The policy is not a valid resource policy document.")
}

pub fn policy_of_other_resource(arn: &str) -> Error {
    invalid(format!("Every statement of the policy must name the resource {arn}."))
}
