//! What is wrong with function URLs. Recorded: test_lambda_api.py::TestLambdaUrl.

use sereno_kernel::{Error, Kind};
use sereno_wire::Violation;

use super::{conflict, not_found};

pub fn url_function_missing() -> Error {
    not_found("Function does not exist".to_owned())
}

pub fn url_exists(arn: &str) -> Error {
    conflict(format!(
        "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
         exists for this Lambda function"
    ))
}

/// A version in the function's name; the model sees one in `Qualifier` only.
pub fn url_of_version(version: &str) -> Error {
    let violation = Violation {
        path: "qualifier".to_owned(),
        value: Some(version.to_owned()),
        sensitive: false,
        constraint: "Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
            .to_owned(),
    };
    Error::invalid("ValidationException", sereno_wire::validation_message(&[violation]))
}

pub fn url_denied(message: &str) -> Error {
    Error::new(Kind::Denied, "AccessDeniedException", message).status(403)
}

/// The sandbox sends a start first.
pub fn stream_without_start() -> Error {
    Error::internal("a streamed response has no start")
}
