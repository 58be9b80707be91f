//! Lambda's errors: AWS's codes and exact sentences. Nothing else makes them.
//!
//! Sentences: recorded on AWS in LocalStack's tests/aws/services/lambda_/*.snapshot.json.

use sereno_api_lambda as api;
use sereno_kernel::sandbox::{InvokeFailure, PackageError};
use sereno_kernel::{Ctx, Error, Kind};
use sereno_wire::{Violation, validation_message};

use crate::names::function_arn;

pub fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    Error::invalid("ValidationException", validation_message(violations)).status(400)
}

pub fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("InvalidParameterValueException", message)
}

fn not_found(message: String) -> Error {
    Error::not_found("ResourceNotFoundException", message)
}

fn conflict(message: String) -> Error {
    Error::conflict("ResourceConflictException", message)
}

pub fn function_not_found(ctx: &Ctx, name: &str, qualifier: Option<&str>) -> Error {
    not_found(format!("Function not found: {}", function_arn(ctx, name, qualifier)))
}

pub fn alias_not_found(ctx: &Ctx, name: &str, alias: &str) -> Error {
    not_found(format!("Cannot find alias arn: {}", function_arn(ctx, name, Some(alias))))
}

pub fn function_exists(name: &str) -> Error {
    conflict(format!("Function already exist: {name}"))
}

pub fn alias_exists(ctx: &Ctx, name: &str, alias: &str) -> Error {
    let arn = function_arn(ctx, name, Some(alias));
    conflict(format!("Alias already exists: {arn}"))
}

pub fn version_in_use(ctx: &Ctx, name: &str, version: &str, alias: &str) -> Error {
    let arn = function_arn(ctx, name, Some(version));
    conflict(format!("Version {arn} is in use by alias {alias}."))
}

pub fn two_qualifiers() -> Error {
    invalid("The derived qualifier from the function name does not match the specified qualifier.")
}

pub fn latest_cannot_be_deleted() -> Error {
    invalid("$LATEST version cannot be deleted without deleting the function.")
}

pub fn role_cannot_be_assumed() -> Error {
    invalid("The role defined for the function cannot be assumed by Lambda.")
}

pub fn no_code() -> Error {
    invalid("Please provide a source for function code.")
}

pub fn code_from_two_places() -> Error {
    invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
}

pub fn cannot_unzip() -> Error {
    invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
}

pub fn empty_zip() -> Error {
    invalid("Uploaded file must be a non-empty zip")
}

pub fn unzipped_too_large(limit_bytes: u64) -> Error {
    invalid(format!("Unzipped size must be smaller than {limit_bytes} bytes"))
}

pub fn zipped_too_large() -> Error {
    Error::invalid(
        "RequestEntityTooLargeException",
        "Request must be smaller than 69905067 bytes for the CreateFunction operation",
    )
    .status(413)
}

/// Code in S3 that cannot be read: AWS passes S3's own words on.
pub fn cannot_read_s3(error: &Error) -> Error {
    let kind = if error.kind() == Kind::Denied { "AccessDenied" } else { error.code() };
    invalid(format!(
        "Error occurred while GetObject. S3 Error Code: {kind}. S3 Error Message: {}",
        error.message()
    ))
}

pub fn runtime_and_handler() -> Error {
    invalid(
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    )
}

pub fn reserved_environment(keys: &[&str]) -> Error {
    invalid(format!(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided contains reserved keys that are currently not supported for modification. Reserved \
         keys used in this request: {}",
        keys.join(", ")
    ))
}

pub fn environment_too_large(measured: &str) -> Error {
    invalid(format!(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided exceeded the 4KB limit. String measured: {measured}"
    ))
}

pub fn layer_not_found(arn: &str) -> Error {
    invalid(format!("Layer version {arn} does not exist."))
}

/// A parameter of AWS's that Sereno does not honour; listed in the README.
pub fn not_honoured(parameter: &str) -> Error {
    Error::not_implemented(format!("Sereno does not honour Lambda's {parameter} yet."))
}

pub fn wrong_code_sha256(given: &str, current: &str) -> Error {
    invalid(format!(
        "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try \
         again with the CodeSHA256 in $LATEST."
    ))
}

pub fn wrong_revision(what: &str) -> Error {
    Error::new(
        Kind::Conflict,
        "PreconditionFailedException",
        format!(
            "The RevisionId provided does not match the latest RevisionId. Call the {what} API to \
             retrieve the latest RevisionId"
        ),
    )
    .status(412)
}

pub fn statement_exists(id: &str) -> Error {
    conflict(format!(
        "The statement id ({id}) provided already exists. Please provide a new statement id, or remove \
         the existing statement."
    ))
}

pub fn statement_not_found(id: &str) -> Error {
    not_found(format!("Statement {id} is not found in resource policy."))
}

pub fn no_policy() -> Error {
    not_found("No policy is associated with the given resource.".to_owned())
}

pub fn policy_not_found() -> Error {
    not_found("The resource you requested does not exist.".to_owned())
}

pub fn principal_invalid() -> Error {
    invalid("The provided principal was invalid. Please check the principal and try again.")
}

pub fn policy_too_large() -> Error {
    Error::invalid(
        "PolicyLengthExceededException",
        "The final policy size (20480) is bigger than the limit (20480).",
    )
}

pub fn unreserved_concurrency_too_low(minimum: i64) -> Error {
    invalid(format!(
        "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [{minimum}]."
    ))
}

pub fn alias_weights_of_latest() -> Error {
    invalid("$LATEST is not supported for an alias pointing to more than 1 version")
}

pub fn alias_weights_count() -> Error {
    invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
}

pub fn alias_weight_range(version: &str) -> Error {
    invalid(format!("Invalid weight for version {version}: must be between 0.0 and 1.0"))
}

pub fn alias_same_version(version: &str) -> Error {
    invalid(format!(
        "Invalid function version {version}. Function version {version} is already included in routing \
         configuration."
    ))
}

pub fn too_many_tags(max: usize) -> Error {
    invalid(format!("Number of tags exceeds resource tag limit of {max}"))
}

/// What a template says that no parameter of Lambda's stands for.
pub fn unsupported_property(kind: &str, property: &str) -> Error {
    invalid(format!("{kind}: Encountered unsupported property {property}"))
}

/// Recorded: test_lambda.py::test_large_payloads names the number; the sentence is in AWS's troubleshooting guide.
pub fn request_too_large(length: usize, limit: usize, kind: &str) -> Error {
    Error::invalid(
        "RequestTooLargeException",
        format!("{length} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"),
    )
    .status(413)
}

/// Recorded: test_lambda.py::test_lambda_invoke_payload_encoding_error
pub fn payload_not_json(why: &str, column: usize) -> Error {
    Error::invalid(
        "InvalidRequestContentException",
        format!(
            "Could not parse request body into json: Could not parse payload into json: {why}\n at [Source: \
             REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: {column}]"
        ),
    )
}

pub fn client_context_too_large(length: usize, limit: usize) -> Error {
    Error::invalid(
        "InvalidRequestContentException",
        format!(
            "Client context must be no more than {limit} bytes when base64-encoded: it has {length}"
        ),
    )
}

pub fn client_context_not_base64() -> Error {
    Error::invalid(
        "InvalidRequestContentException",
        "Client context must be a valid Base64-encoded JSON object.",
    )
}

/// The role was usable when the function was made, and is not any more.
pub fn role_cannot_be_assumed_now() -> Error {
    Error::new(
        Kind::Denied,
        "AccessDeniedException",
        "The role defined for the function cannot be assumed by Lambda.",
    )
    .status(403)
}

/// Why an invocation did not reach the function.
pub fn cannot_invoke(runtime: &str, failure: InvokeFailure) -> Error {
    match failure {
        InvokeFailure::Throttled { reserved } => throttled(reserved),
        InvokeFailure::Package(PackageError::Unavailable(why)) => Error::unavailable(why),
        InvokeFailure::Package(_) => Error::new(
            Kind::Invalid,
            "InvalidZipFileException",
            "Could not unzip the deployment package.",
        )
        .status(502),
        InvokeFailure::CannotRun(why) => {
            Error::new(Kind::Invalid, "InvalidRuntimeException", format!("{runtime}: {why}"))
                .status(502)
        }
        InvokeFailure::Spec(error) => error,
    }
}

/// Recorded: test_lambda.py::test_lambda_concurrency_block
fn throttled(reserved: bool) -> Error {
    let reason = if reserved {
        api::ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
    } else {
        api::ThrottleReason::ConcurrentInvocationLimitExceeded
    };
    Error::new(Kind::Throttled, "TooManyRequestsException", "Rate Exceeded.").detail(
        api::TooManyRequestsException {
            r#type: Some("User".to_owned()),
            message: Some("Rate Exceeded.".to_owned()),
            reason: Some(reason),
            ..Default::default()
        },
    )
}
