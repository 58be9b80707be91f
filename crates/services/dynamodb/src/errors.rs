//! DynamoDB's errors in AWS's words. Nothing else in this crate makes an [`Error`].

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Invalid, Item};
use sereno_kernel::{Error, Kind};
use sereno_wire::{OperationSchema, Violation};

use crate::convert;

pub const PARAMETERS_INVALID: &str = "One or more parameter values were invalid: ";

pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("ValidationException", message)
}

/// "One or more parameter values were invalid: ..."
pub fn parameters(what: impl std::fmt::Display) -> Error {
    validation(format!("{PARAMETERS_INVALID}{what}"))
}

pub fn invalid(refusal: Invalid) -> Error {
    validation(refusal.0)
}

/// One constraint of the model that the wire layer cannot check alone.
pub fn constraint(value: Option<&str>, path: &str, constraint: &str) -> Error {
    let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
    validation(format!(
        "1 validation error detected: Value {value} at '{path}' failed to satisfy constraint: \
         {constraint}"
    ))
}

/// What the model refuses. Operations on the table itself have a sentence of their own for the
/// missing name.
pub fn violations(operation: &OperationSchema, violations: &[Violation]) -> Error {
    const ON_DATA: [&str; 6] = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"];
    let nameless = violations.iter().any(|one| one.path == "tableName" && one.value.is_none());
    if nameless && !ON_DATA.contains(&operation.name) {
        return validation(
            "The parameter 'TableName' is required but was not present in the request",
        );
    }
    validation(sereno_wire::validation_message(violations))
}

/// What data operations say of a table that is not there.
pub fn not_found() -> Error {
    Error::not_found("ResourceNotFoundException", "Requested resource not found")
}

/// What operations on the table itself say.
pub fn table_not_found(name: &str) -> Error {
    let message = format!("Requested resource not found: Table: {name} not found");
    Error::not_found("ResourceNotFoundException", message)
}

pub fn resource_not_found(message: impl Into<String>) -> Error {
    Error::not_found("ResourceNotFoundException", message)
}

pub fn table_exists(name: &str) -> Error {
    Error::conflict("ResourceInUseException", format!("Table already exists: {name}"))
}

pub fn deletion_protected() -> Error {
    validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion \
         protection first.",
    )
}

/// A table that is being created, restored, imported or backed up.
pub fn table_in_use(name: &str) -> Error {
    let message =
        format!("Attempt to change a resource which is still in use: Table is in use: {name}");
    Error::conflict("ResourceInUseException", message)
}

pub fn backup_table_lost(name: &str) -> Error {
    Error::not_found("TableNotFoundException", format!("Table not found: {name}"))
}

pub fn backup_not_found(arn: &str) -> Error {
    Error::not_found("BackupNotFoundException", format!("Backup not found: {arn}"))
}

pub fn backup_in_use(arn: &str) -> Error {
    Error::conflict("BackupInUseException", format!("Backup is in use: {arn}"))
}

pub fn source_table_lost(name: &str) -> Error {
    Error::not_found("TableNotFoundException", format!("Source table not found: {name}"))
}

pub fn restore_target_exists(name: &str) -> Error {
    Error::conflict("TableAlreadyExistsException", format!("Table already exists: {name}"))
}

pub fn recovery_unavailable(name: &str) -> Error {
    Error::invalid(
        "PointInTimeRecoveryUnavailableException",
        format!("Point in time recovery is not enabled for table '{name}'"),
    )
}

pub fn global_table_exists(name: &str) -> Error {
    let message = format!("Global table with name: '{name}' already exists.");
    Error::conflict("GlobalTableAlreadyExistsException", message)
}

pub fn global_table_not_found(name: &str) -> Error {
    let message =
        format!("Global Table not found: Global table with name: '{name}' does not exist.");
    Error::not_found("GlobalTableNotFoundException", message)
}

pub fn replica_exists(region: &str) -> Error {
    let message = format!("A replica in region {region} already exists.");
    Error::conflict("ReplicaAlreadyExistsException", message)
}

pub fn not_authorised(caller: &str, action: &str, resource: &str) -> Error {
    let resource = if resource.is_empty() { "*" } else { resource };
    let message = format!(
        "User: {caller} is not authorized to perform: dynamodb:{action} on resource: {resource}"
    );
    Error::new(Kind::Denied, "AccessDeniedException", message).status(400)
}

pub fn limit_exceeded(message: impl Into<String>) -> Error {
    Error::conflict("LimitExceededException", message)
}

pub fn condition_failed(item: Option<Item>) -> Error {
    const MESSAGE: &str = "The conditional request failed";
    Error::conflict("ConditionalCheckFailedException", MESSAGE).detail(
        api::ConditionalCheckFailedException {
            message: Some(MESSAGE.to_owned()),
            item: item.map(convert::item_out),
        },
    )
}

/// The item that a failed condition shows.
pub fn shown_item(error: &Error) -> Option<crate::convert::Attributes> {
    let detail = error.detail_shape()?.as_any();
    detail.downcast_ref::<api::ConditionalCheckFailedException>()?.item.clone()
}

pub fn duplicate_item() -> Error {
    Error::conflict("DuplicateItemException", "Duplicate primary key exists in table")
}

/// Recorded: LocalStack, test_dynamodb transaction snapshots.
pub fn cancelled(reasons: Vec<api::CancellationReason>) -> Error {
    let codes: Vec<&str> =
        reasons.iter().map(|reason| reason.code.as_deref().unwrap_or("None")).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    Error::conflict("TransactionCanceledException", message.clone()).detail(
        api::TransactionCanceledException {
            message: Some(message),
            cancellation_reasons: Some(reasons),
        },
    )
}

pub fn token_reused() -> Error {
    Error::invalid(
        "IdempotentParameterMismatchException",
        "The provided parameters do not match the original request that used this client token.",
    )
}

/// The reasons name what was exceeded, and where.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing-workflow.html
pub fn throttled(table: &str, index: Option<&str>, write: bool, provisioned: bool) -> Error {
    let reason = format!(
        "{}{}{}ThroughputExceeded",
        if index.is_some() { "Index" } else { "Table" },
        if write { "Write" } else { "Read" },
        if provisioned { "Provisioned" } else { "MaxOnDemand" }
    );
    let resource = index.map_or_else(|| table.to_owned(), |name| format!("{table}/index/{name}"));
    let reason = api::ThrottlingReason { reason: Some(reason), resource: Some(resource) };
    let reasons = Some(vec![reason]);
    if !provisioned {
        let message =
            "Throughput exceeds the maximum OnDemandThroughput configured on table or index";
        return Error::new(Kind::Throttled, "ThrottlingException", message).detail(
            api::ThrottlingException {
                message: Some(message.to_owned()),
                throttling_reasons: reasons,
            },
        );
    }
    let message = match index {
        None => {
            "The level of configured provisioned throughput for the table was exceeded. Consider \
             increasing your provisioning level with the UpdateTable API."
        }
        Some(_) => {
            "The level of configured provisioned throughput for one or more global secondary indexes of \
             the table was exceeded. Consider increasing your provisioning level for the \
             under-provisioned global secondary indexes with the UpdateTable API"
        }
    };
    Error::new(Kind::Throttled, "ProvisionedThroughputExceededException", message).detail(
        api::ProvisionedThroughputExceededException {
            message: Some(message.to_owned()),
            throttling_reasons: reasons,
        },
    )
}

pub fn contention() -> Error {
    Error::unavailable("writes to one item kept conflicting")
}

pub fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::internal(format!("dynamodb: {what}"))
}

pub fn unsupported(what: &str) -> Error {
    Error::not_implemented(format!("Sereno's DynamoDB does not support {what} yet."))
}
