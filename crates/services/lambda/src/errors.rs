//! Lambda's errors: AWS's codes and exact sentences. Nothing else makes them.
//!
//! Sentences: recorded on AWS in LocalStack's tests/aws/services/lambda_/*.snapshot.json.

mod concurrency;
mod events;
mod signing;
mod tags;
mod urls;

pub use concurrency::*;
pub use events::*;
use sereno_api_lambda as api;
use sereno_kernel::sandbox::{InvokeFailure, PackageError};
use sereno_kernel::{Ctx, Error, Kind};
use sereno_wire::{Violation, validation_message};
pub use signing::*;
pub use tags::*;
pub use urls::*;

use crate::names::function_arn;

pub fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    if let [only] = violations
        && only.path == "runtime"
        && let Some(value) = &only.value
    {
        return invalid(format!(
            "Value {value} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \
             [{RUNTIMES}] or be a valid ARN"
        ));
    }
    let worded: Vec<Violation> = violations.iter().map(worded).collect();
    Error::invalid("ValidationException", validation_message(&worded)).status(400)
}

/// The runtimes that AWS names to whoever names another one, in its order.
/// Recorded: test_lambda_api.py::TestLambdaFunction::test_create_lambda_exceptions
const RUNTIMES: &str = "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, \
     java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, \
     dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2";

/// Lambda's own words where they differ from the other services'. Recorded: test_lambda_api.py
/// (test_create_lambda_exceptions, test_notfound_and_invalid_routingconfigs, TestLambdaLayer).
fn worded(violation: &Violation) -> Violation {
    let mut violation = violation.clone();
    let weights = violation.path.ends_with("additionalVersionWeights");
    match violation.path.as_str() {
        "compatibleRuntimes" => {
            violation.constraint = format!("Member must satisfy enum value set: [{RUNTIMES}]");
        }
        "architectures" | "compatibleArchitectures" | "layers"
            if violation.constraint.ends_with(']') =>
        {
            violation.constraint = nor_null(&violation.constraint);
        }
        _ if weights && violation.constraint.starts_with("Map value") => {
            violation.constraint = nor_null(&violation.constraint);
        }
        _ => {}
    }
    violation
}

fn nor_null(constraint: &str) -> String {
    let all = constraint.strip_suffix(']').unwrap_or(constraint);
    format!("{all}, Member must not be null]")
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

/// Recorded: test_lambda_api.py::TestLambdaAlias::test_non_existent_alias_update
pub fn no_alias_to_update(ctx: &Ctx, name: &str, alias: &str) -> Error {
    not_found(format!("Alias not found: {}", function_arn(ctx, name, Some(alias))))
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

/// Recorded: test_lambda_api.py::TestLambdaFunction::test_get_function_wrong_region
pub fn other_region(named: &str, here: &str) -> Error {
    not_found(format!("Functions from '{named}' are not reachable in this region ('{here}')"))
}

/// Recorded: test_lambda_api.py::TestLambdaReservedConcurrency::test_function_concurrency_exceptions
pub fn only_functions() -> Error {
    invalid(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
         operation. Please specify either a function name or an unqualified function ARN.",
    )
}

/// Recorded: test_lambda_api.py::TestLambdaFunction::test_function_name_and_qualifier_validation
pub fn aliases_cannot_be_deleted_so() -> Error {
    invalid("Deletion of aliases is not currently supported.")
}

/// A function's name is shorter than the model's pattern for all of an ARN allows. Recorded: the same.
pub fn name_too_long(name: &str, max: usize) -> Error {
    invalid(format!(
        "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member \
         must have length less than or equal to {max}"
    ))
}

pub const ENVIRONMENT_SEALED: &str =
    "The environment variables cannot be read: they were sealed with another key of this server.";

pub fn environment_sealed() -> Error {
    Error::new(Kind::Denied, "KMSAccessDeniedException", ENVIRONMENT_SEALED).status(502)
}

pub fn text_has_no_levels() -> Error {
    invalid(
        "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or \
         change the LogFormat to \"JSON\" and try again.",
    )
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

/// Recorded: test_lambda_api.py::TestLambdaSizeLimits::test_oversized_zipped_create_lambda
pub fn zipped_too_large(limit_bytes: usize) -> Error {
    Error::invalid(
        "RequestEntityTooLargeException",
        format!("Zipped size must be smaller than {limit_bytes} bytes"),
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

/// The sentences about layers: recorded in test_lambda_api.py::TestLambdaLayer.
pub fn no_layer_version(arn: &str) -> Error {
    not_found(format!("Layer version {arn} does not exist."))
}

pub fn layer_in_other_region(here: &str) -> Error {
    invalid(format!(
        "Layers are not in the same region as the function. Layers are expected to be in region {here}."
    ))
}

pub fn layer_version_number() -> Error {
    invalid("Layer Version Cannot be less than 1")
}

pub fn too_many_layers(max: usize) -> Error {
    invalid(format!("Cannot reference more than {max} layers."))
}

pub fn same_layer_twice(one: &str, other: &str) -> Error {
    invalid(format!(
        "Two different versions of the same layer are not allowed to be referenced in the same function. \
         {one} and {other} are versions of the same layer."
    ))
}

pub fn layers_too_large(limit: u64) -> Error {
    invalid(format!("Layers consume more than the available size of {limit} bytes"))
}

pub fn code_and_layers_too_large(limit: u64, actual: u64) -> Error {
    invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of {limit} bytes. The actual \
         size is {actual} bytes."
    ))
}

pub fn organization_needs_everyone() -> Error {
    invalid("OrganizationId can only be used with the principal *.")
}

pub fn invalid_marker() -> Error {
    invalid("The provided pagination marker is invalid.")
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
            "The Revision Id provided does not match the latest Revision Id. Call the {what} API to \
             retrieve the latest Revision Id"
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

/// Recorded: test_lambda_api.py::TestLambdaPermissions::test_permission_exceptions
pub fn no_policy_for(arn: &str) -> Error {
    not_found(format!("No policy found for: {arn}"))
}

pub fn no_policy() -> Error {
    not_found("No policy is associated with the given resource.".to_owned())
}

pub fn policy_not_found() -> Error {
    not_found("The resource you requested does not exist.".to_owned())
}

/// Recorded: test_lambda_api.py::TestLambdaPermissions::test_permission_exceptions
pub fn permission_on_latest() -> Error {
    invalid("We currently do not support adding policies for $LATEST.")
}

pub fn principal_invalid() -> Error {
    invalid("The provided principal was invalid. Please check the principal and try again.")
}

pub fn policy_too_large(length: usize, limit: usize) -> Error {
    Error::invalid(
        "PolicyLengthExceededException",
        format!("The final policy size ({length}) is bigger than the limit ({limit})."),
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
