//! CloudWatch Logs' errors in AWS's words. Nothing else in this crate makes an [`Error`].

use sereno_api_logs as api;
use sereno_kernel::{Error, Kind};
use sereno_wire::{OperationSchema, Violation};

use crate::insights::Malformed;

pub fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("InvalidParameterException", message)
}

/// A few checks of newer parameters answer with another code.
/// recorded: LocalStack test_describe_log_streams_with_log_group_identifier
pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("ValidationException", message)
}

fn not_found(message: impl Into<String>) -> Error {
    Error::not_found("ResourceNotFoundException", message)
}

fn exists(message: &str) -> Error {
    Error::conflict("ResourceAlreadyExistsException", message)
}

/// recorded: LocalStack test_get_log_events_limit_validation,
/// test_create_log_group_invalid_name_length
pub fn violations(_: &OperationSchema, violations: &[Violation]) -> Error {
    let is_name = |path: &str| matches!(path, "logGroupName" | "logStreamName");
    let too_long = violations.iter().any(|violation| {
        is_name(&violation.path) && violation.constraint.contains("less than or equal to 512")
    });
    if too_long {
        return invalid(
            "Invalid LogGroup or LogStream, both must have length less than or equal to 512.",
        );
    }
    invalid(sereno_wire::validation_message(violations))
}

/// recorded: LocalStack test_resource_does_not_exist
pub fn no_group() -> Error {
    not_found("The specified log group does not exist.")
}

/// recorded: LocalStack test_put_log_events_to_invalid_stream
pub fn no_stream() -> Error {
    not_found("The specified log stream does not exist.")
}

/// recorded: LocalStack test_create_log_group_duplicate_error
pub fn group_exists() -> Error {
    exists("The specified log group already exists")
}

/// recorded: LocalStack test_create_log_stream_duplicate_error
pub fn stream_exists() -> Error {
    exists("The specified log stream already exists")
}

pub fn protected() -> Error {
    validation("Log group cannot be deleted because deletion protection is enabled.")
}

/// recorded: LocalStack test_get_log_events_invalid_token, test_filter_log_events_unknown_token
pub fn bad_token() -> Error {
    invalid("The specified nextToken is invalid.")
}

/// recorded: LocalStack test_describe_log_groups_prefix_and_pattern_error
pub fn prefix_and_pattern() -> Error {
    invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
}

/// recorded: LocalStack test_describe_log_streams_with_log_group_identifier
pub fn name_and_identifier() -> Error {
    validation("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
}

pub fn no_name() -> Error {
    validation("Either LogGroup name or LogGroup ARN must be specified.")
}

/// recorded: LocalStack test_put_log_events_wrong_order
pub fn wrong_order() -> Error {
    invalid("Log events in a single PutLogEvents request must be in chronological order.")
}

pub fn batch_too_long() -> Error {
    invalid(
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )
}

pub fn batch_too_large(bytes: usize, bytes_max: usize) -> Error {
    invalid(format!("Upload too large: {bytes} bytes exceeds limit of {bytes_max}"))
}

pub fn bad_pattern() -> Error {
    invalid("Invalid filter pattern")
}

/// recorded: LocalStack test_put_resource_policy_limit_exceeded,
/// test_put_subscription_filter_limit_exceeded
pub fn limit_exceeded() -> Error {
    Error::invalid("LimitExceededException", "Resource limit exceeded.")
}

/// recorded: LocalStack test_delete_resource_policy_not_found
pub fn no_policy(name: &str) -> Error {
    not_found(format!("Policy with name [{name}] does not exist."))
}

/// recorded: LocalStack test_delete_subscription_filter_errors
pub fn no_filter() -> Error {
    not_found("The specified subscription filter does not exist.")
}

/// recorded: LocalStack test_put_subscription_filter_errors
pub fn foreign_function() -> Error {
    Error::new(
        Kind::Denied,
        "AccessDeniedException",
        "Cross-account lambda invocation passing is not allowed. You must use DestinationPolicies \
         to create cross account lambda triggers.",
    )
    .status(400)
}

/// recorded: LocalStack test_put_subscription_filter_errors
pub fn no_role_for(vendor: &str) -> Error {
    invalid(format!("destinationArn for vendor {vendor} cannot be used without roleArn"))
}

pub fn lambda_with_role() -> Error {
    invalid("destinationArn for vendor lambda cannot be used with roleArn")
}

/// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
pub fn cannot_invoke() -> Error {
    invalid(
        "Could not execute the lambda function. Make sure you have given CloudWatch Logs \
         permission to execute your function.",
    )
}

pub fn own_function() -> Error {
    invalid("The log group provided is reserved for the function logs of the destination function.")
}

/// What CloudWatch Logs has and Sereno has not.
pub fn unsupported(what: &str) -> Error {
    invalid(format!("{what} is not supported by Sereno."))
}

/// recorded: LocalStack test_start_query_log_group_not_found, without AWS's inner request id
pub fn no_query_group(name: &str, account: &str) -> Error {
    not_found(format!("Log group '{name}' does not exist for account ID '{account}'"))
}

pub fn no_query() -> Error {
    not_found("The specified query does not exist.")
}

pub fn query_ended() -> Error {
    invalid("Query is not in a running state.")
}

pub fn malformed_query(malformed: &Malformed) -> Error {
    let at = i32::try_from(malformed.at).unwrap_or(i32::MAX);
    let location = api::QueryCompileErrorLocation {
        start_char_offset: Some(at),
        end_char_offset: Some(at.saturating_add(1)),
    };
    let compile_error = api::QueryCompileError {
        location: Some(location),
        message: Some(malformed.message.clone()),
    };
    Error::invalid("MalformedQueryException", malformed.message.clone())
        .detail(api::MalformedQueryException { query_compile_error: Some(compile_error) })
}

pub fn bad_pointer() -> Error {
    invalid("The specified logRecordPointer is invalid.")
}

pub fn no_record() -> Error {
    not_found("The specified log record does not exist.")
}
