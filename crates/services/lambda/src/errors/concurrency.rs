//! What is wrong with provisioned concurrency. Recorded: test_lambda_api.py::TestLambdaProvisionedConcurrency.

use sereno_kernel::Error;

use super::{conflict, invalid};

pub fn provisioned_config_missing() -> Error {
    Error::not_found(
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )
}

pub fn neither_alias_nor_version() -> Error {
    invalid("The function resource provided must be an alias or a published version.")
}

pub fn provisioned_unpublished() -> Error {
    invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
}

pub fn provisioned_over_reserved() -> Error {
    invalid(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
         function",
    )
}

pub fn provisioned_over_account(unreserved: i64) -> Error {
    invalid(format!(
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency \
         [{unreserved}]."
    ))
}

pub fn provisioned_below_minimum(minimum: i64) -> Error {
    invalid(format!(
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
         its minimum value of [{minimum}]."
    ))
}

pub fn provisioned_version_already() -> Error {
    conflict(
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            .to_owned(),
    )
}

pub fn provisioned_by_alias() -> Error {
    conflict("Version is pointed by a Provisioned Concurrency alias".to_owned())
}

/// The blanks are AWS's. Recorded: test_lambda.py::TestLambdaConcurrency::test_reserved_provisioned_overlap
pub fn reserved_below_provisioned(wanted: i64, kept: i64) -> Error {
    invalid(format!(
        " ReservedConcurrentExecutions  {wanted} should not be lower than function's total provisioned \
         concurrency [{kept}]."
    ))
}
