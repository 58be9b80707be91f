//! AWS's codes and exact sentences.
//!
//! Recorded: the snapshots beside LocalStack's `tests/aws/services/apigateway/test_*.py`.

use sereno_base::AccountId;
use sereno_kernel::{Error, Kind};

pub fn bad_request(message: impl Into<String>) -> Error {
    Error::invalid("BadRequestException", message)
}

pub fn not_found(message: impl Into<String>) -> Error {
    Error::not_found("NotFoundException", message)
}

pub fn conflict(message: impl Into<String>) -> Error {
    Error::conflict("ConflictException", message)
}

pub fn limit_exceeded(message: impl Into<String>) -> Error {
    Error::new(Kind::Throttled, "LimitExceededException", message).status(429)
}

/// Something that AWS takes and we do not: never taken in silence.
pub fn unsupported(what: &str) -> Error {
    Error::not_implemented(format!("Sereno does not support {what} yet."))
}

/// A CloudFormation property or a name that this service cannot act on.
pub fn api(account: AccountId, id: &str) -> Error {
    not_found(format!("Invalid API identifier specified {account}:{id}"))
}

pub fn resource() -> Error {
    not_found("Invalid Resource identifier specified")
}

pub fn method() -> Error {
    not_found("Invalid Method identifier specified")
}

pub fn integration() -> Error {
    not_found("Invalid Integration identifier specified")
}

pub fn response() -> Error {
    not_found("Invalid Response status code specified")
}

pub fn deployment() -> Error {
    not_found("Invalid Deployment identifier specified")
}

pub fn stage() -> Error {
    not_found("Invalid stage identifier specified")
}

pub fn model(name: &str) -> Error {
    not_found(format!("Invalid model name specified: {name}"))
}

pub fn validator() -> Error {
    not_found("Invalid Request Validator identifier specified")
}

pub fn authorizer() -> Error {
    not_found("Invalid Authorizer identifier specified")
}

pub fn api_key() -> Error {
    not_found("Invalid API Key identifier specified")
}

pub fn usage_plan() -> Error {
    not_found("Invalid Usage Plan ID specified")
}

pub fn usage_plan_key() -> Error {
    not_found("Invalid Usage Plan Key identifier specified")
}

pub fn documentation_part() -> Error {
    not_found("Invalid Documentation part identifier specified")
}

pub fn documentation_version() -> Error {
    not_found("Invalid Documentation version specified")
}

pub fn domain() -> Error {
    not_found("Invalid domain name identifier specified")
}

pub fn mapping() -> Error {
    not_found("Invalid base path mapping identifier specified")
}

pub fn gateway_response() -> Error {
    not_found("Gateway response type not defined on api")
}
