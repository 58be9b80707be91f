//! CloudFormation's errors: codes of the query protocol and AWS's sentences.

use sereno_kernel::Error;
use sereno_template::TemplateError;

/// Nearly everything is a `ValidationError`.
pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("ValidationError", message)
}

pub fn template(error: &TemplateError) -> Error {
    validation(error.message())
}

/// recorded: test_non_existing_stack_message
pub fn no_stack_with_id(name: &str) -> Error {
    validation(format!("Stack with id {name} does not exist"))
}

/// recorded: test_describe_stack_events_errors
pub fn no_stack(name: &str) -> Error {
    validation(format!("Stack [{name}] does not exist"))
}

/// recorded: test_name_conflicts
pub fn already_exists(name: &str) -> Error {
    Error::invalid("AlreadyExistsException", format!("Stack [{name}] already exists"))
}

/// recorded: test_describe_changeset_after_delete
pub fn no_change_set(name: &str) -> Error {
    Error::not_found("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist")).status(404)
}

pub fn change_set_exists(name: &str) -> Error {
    Error::invalid("AlreadyExistsException", format!("ChangeSet {name} already exists"))
}

/// recorded: test_empty_changeset
pub fn change_set_status(arn: &str, status: &str) -> Error {
    Error::invalid(
        "InvalidChangeSetStatus",
        format!("ChangeSet [{arn}] cannot be executed in its current status of [{status}]"),
    )
}

/// recorded: test_capabilities_requirements
pub fn insufficient_capabilities(missing: &[&str]) -> Error {
    Error::invalid(
        "InsufficientCapabilitiesException",
        format!("Requires capabilities : [{}]", missing.join(", ")),
    )
}

/// recorded: test_update_deleted_stack, test_changeset_for_deleted_stack
pub fn cannot_update(arn: &str, status: &str) -> Error {
    validation(format!("Stack:{arn} is in {status} state and can not be updated."))
}

/// recorded: test_stack_resource_not_found
pub fn no_resource(logical_id: &str, stack_name: &str) -> Error {
    validation(format!("Resource {logical_id} does not exist for stack {stack_name}"))
}

/// recorded: test_update_with_role_without_permissions
pub fn bad_role(arn: &str) -> Error {
    validation(format!("Role {arn} is invalid or cannot be assumed"))
}

pub fn nothing_to_update() -> Error {
    validation("No updates are to be performed.")
}

/// What AWS has and this service refuses, in a request.
pub fn unsupported(what: &str) -> Error {
    validation(format!("{what} is not supported by Sereno."))
}

/// The words of a failed resource (known: the form of AWS's resource handlers).
pub fn handler_message(error: &Error, token: &str) -> String {
    use sereno_kernel::Kind;
    let code = error.code();
    let handler_code = match error.kind() {
        _ if code.contains("AlreadyExist")
            || code.contains("AlreadyOwned")
            || code == "ResourceInUseException" =>
        {
            "AlreadyExists"
        }
        Kind::NotFound => "NotFound",
        Kind::Conflict => "ResourceConflict",
        Kind::Denied => "AccessDenied",
        Kind::Throttled => "Throttling",
        Kind::Invalid => "InvalidRequest",
        Kind::Unavailable | Kind::Internal => "ServiceInternalError",
        Kind::NotImplemented => "NotUpdatable",
    };
    format!(
        "Resource handler returned message: \"{}\" (RequestToken: {token}, HandlerErrorCode: {handler_code})",
        error.message()
    )
}
