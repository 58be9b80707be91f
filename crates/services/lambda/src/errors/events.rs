//! Errors of asynchronous invocation and event source mappings.
//!
//! Sentences: recorded on AWS in test_lambda_api.py::TestLambdaEventInvokeConfig, ::TestLambdaEventSourceMappings and in
//! event_source_mapping/test_lambda_integration_dynamodbstreams.py, unless it says otherwise.

use sereno_kernel::{Error, Kind};

use super::{conflict, invalid, not_found};

/// EventInvokeConfig says less than the rest of Lambda about what it does not find.
pub fn as_missing_function(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => not_found("The function doesn't exist.".to_owned()),
        _ => error,
    }
}

pub fn no_event_config(arn: &str) -> Error {
    not_found(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

pub fn empty_event_config() -> Error {
    invalid("You must specify at least one of error handling or destination setting.")
}

pub fn destination_not_found(arn: &str) -> Error {
    invalid(format!("The destination ARN {arn} is invalid."))
}

pub fn destination_is_itself() -> Error {
    invalid("You can't specify the function as a destination for itself.")
}

pub fn invalid_destinations(on_success: Option<&str>, on_failure: Option<&str>) -> Error {
    let shown = |kind: &str, arn: Option<&str>| match arn {
        Some(arn) => format!("{kind}(destination={arn})"),
        None => "null".to_owned(),
    };
    invalid(format!(
        "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
        shown("OnSuccess", on_success),
        shown("OnFailure", on_failure)
    ))
}

/// As Terraform's provider quotes it, which tries again when it sees this.
pub fn role_cannot_call(operation: &str, arn: &str) -> Error {
    invalid(format!(
        "The function's execution role does not have permissions to call {operation} on {arn}"
    ))
}

/// Seen in many reports: "... to call SendMessage on SQS".
pub fn provided_role_cannot_call(operation: &str, service: &str) -> Error {
    invalid(format!(
        "The provided execution role does not have permissions to call {operation} on {service}"
    ))
}

/// A queue or topic is all that takes dead letters.
pub fn dead_letter_target_invalid(arn: &str) -> Error {
    invalid(format!("The provided dead letter config TargetArn {arn} is invalid."))
}

/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
pub fn recursive_invocation() -> Error {
    Error::invalid(
        "RecursiveInvocationException",
        "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services \
         resources and stopped your function's invocation.",
    )
}

pub fn mapping_not_found() -> Error {
    not_found("The resource you requested does not exist.".to_owned())
}

pub fn unrecognized_event_source() -> Error {
    invalid("Unrecognized event source.")
}

pub fn unknown_event_source(arn: &str) -> Error {
    invalid(format!(
        "Unrecognized event source, must be kinesis, dynamodb stream or sqs. Unsupported source arn : {arn}"
    ))
}

pub fn mapped_function_not_found() -> Error {
    invalid("Function does not exist")
}

pub fn stream_not_found(arn: &str) -> Error {
    invalid(format!("Stream not found: {arn}"))
}

/// Seen in CloudFormation's events in many reports.
pub fn cannot_access_stream(arn: &str) -> Error {
    invalid(format!("Cannot access stream {arn}. {ENSURE_ROLE}"))
}

pub const ENSURE_ROLE: &str = "Please ensure the role can perform the GetRecords, GetShardIterator, \
     DescribeStream, and ListStreams Actions on your stream in IAM.";

pub fn no_starting_position() -> Error {
    invalid(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must \
         not be null.",
    )
}

pub fn unsupported_starting_position(arn: &str) -> Error {
    invalid(format!("Unsupported starting position for arn type: {arn}"))
}

pub fn invalid_filter() -> Error {
    invalid("Invalid filter pattern definition.")
}

/// Recorded for DestinationConfig.OnSuccess; AWS has a sentence of its own for some of the others.
pub fn unsupported_mapping_parameter(parameter: &str) -> Error {
    invalid(format!("Unsupported {parameter} parameter for given event source mapping type."))
}

/// The documentation's limits; the sentence is ours.
pub fn record_age_out_of_range() -> Error {
    invalid("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800.")
}

pub fn mapping_exists(source: &str, function: &str, uuid: &str) -> Error {
    conflict(format!(
        "The event source arn (\" {source} \") and function (\" {function} \") provided mapping already exists. Please \
         update or delete the existing mapping with UUID {uuid}"
    ))
}
