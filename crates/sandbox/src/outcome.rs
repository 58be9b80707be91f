//! What an invocation came to: the caller's answer, and what the log says of it.

use bytes::Bytes;
use serde_json::json;
use sereno_kernel::sandbox::FunctionError;

use crate::instance::RESPONSE_BYTES_MAX;
use crate::report::Failure;
use crate::start::InitFailure;

/// What an invocation came to.
pub struct Outcome {
    pub payload: Bytes,
    pub error: Option<FunctionError>,
    pub error_type: String,
    pub content_type: Option<String>,
    /// May this instance serve again?
    pub reusable: bool,
    pub status: &'static str,
    pub after_report: Option<String>,
}

impl Outcome {
    pub fn result(payload: Bytes) -> Outcome {
        Outcome {
            payload,
            error: None,
            error_type: String::new(),
            content_type: None,
            reusable: true,
            status: "success",
            after_report: None,
        }
    }

    /// The handler, or its runtime, said what went wrong. AWS calls that unhandled, too.
    pub fn reported(payload: Bytes) -> Outcome {
        let error_type = error_type_of(&payload);
        Outcome {
            error: Some(FunctionError::Unhandled),
            status: "error",
            error_type,
            ..Outcome::result(payload)
        }
    }

    /// What an invocation gets whose instance could not start.
    pub fn of_start(failure: InitFailure, request_id: &str, timeout_ms: u64) -> Outcome {
        match failure {
            InitFailure::Reported(body) => Outcome { reusable: false, ..Outcome::reported(body) },
            InitFailure::Ended(failure) => Outcome::failed(&failure, request_id, "error"),
            InitFailure::TimedOut => {
                Outcome::failed(&Failure::timed_out(timeout_ms), request_id, "timeout")
            }
        }
    }

    pub fn failed(failure: &Failure, request_id: &str, status: &'static str) -> Outcome {
        Outcome {
            payload: Bytes::from(failure.payload(request_id)),
            error: Some(FunctionError::Unhandled),
            error_type: failure.error_type.to_owned(),
            content_type: None,
            reusable: false,
            status,
            after_report: (status == "error").then(|| failure.log_line(request_id)),
        }
    }
}

fn error_type_of(payload: &[u8]) -> String {
    let error: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    error["errorType"].as_str().unwrap_or_default().to_owned()
}

/// recorded: test_lambda.py::test_response_payload_too_large
pub fn too_large() -> Outcome {
    let message = format!(
        "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
    );
    let error = json!({
        "errorMessage": message,
        "errorType": "Function.ResponseSizeTooLarge",
    });
    Outcome { reusable: true, ..Outcome::reported(Bytes::from(error.to_string())) }
}
