//! AWS's codes and sentences. Status codes come from the model.

use sereno_kernel::Error;
use sereno_wire::Violation;

use crate::state::Kind;

pub fn no_such(message: impl Into<String>) -> Error {
    Error::not_found("NoSuchEntity", message).status(404)
}

/// recorded: LocalStack test_iam (`The user with name ... cannot be found.`)
pub fn no_such_entity(kind: Kind, name: &str) -> Error {
    no_such(format!("The {} with name {name} cannot be found.", kind.word()))
}

pub fn no_such_inline_policy(kind: Kind, policy: &str) -> Error {
    no_such(format!("The {} policy with name {policy} cannot be found.", kind.word()))
}

pub fn no_such_policy(arn: &str) -> Error {
    no_such(format!("Policy {arn} was not found."))
}

pub fn not_attachable(arn: &str) -> Error {
    no_such(format!("Policy {arn} does not exist or is not attachable."))
}

pub fn no_such_version(arn: &str, version: &str) -> Error {
    no_such(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

pub fn no_such_profile(name: &str) -> Error {
    no_such(format!("Instance Profile {name} cannot be found."))
}

pub fn no_such_access_key(id: &str) -> Error {
    no_such(format!("The Access Key with id {id} cannot be found."))
}

pub fn no_such_provider(arn: &str) -> Error {
    no_such(format!("OpenIDConnect Provider not found for arn {arn}"))
}

fn exists(message: String) -> Error {
    Error::conflict("EntityAlreadyExists", message).status(409)
}

pub fn entity_exists(kind: Kind, name: &str) -> Error {
    let noun = match kind {
        Kind::User => "User",
        Kind::Group => "Group",
        Kind::Role => "Role",
    };
    exists(format!("{noun} with name {name} already exists."))
}

pub fn policy_exists(name: &str) -> Error {
    exists(format!("A policy called {name} already exists. Duplicate names are not allowed."))
}

pub fn profile_exists(name: &str) -> Error {
    exists(format!("Instance Profile {name} already exists."))
}

pub fn provider_exists(url: &str) -> Error {
    exists(format!("Provider with url {url} already exists."))
}

pub fn alias_exists(alias: &str) -> Error {
    exists(format!("The account alias {alias} already exists."))
}

pub fn delete_conflict(message: &'static str) -> Error {
    Error::conflict("DeleteConflict", message).status(409)
}

pub fn limit(message: impl Into<String>) -> Error {
    Error::conflict("LimitExceeded", message).status(409)
}

/// `Cannot exceed quota for AccessKeysPerUser: 2`
pub fn quota(what: &str, most: usize) -> Error {
    limit(format!("Cannot exceed quota for {what}: {most}"))
}

pub fn malformed(message: impl Into<String>) -> Error {
    Error::invalid("MalformedPolicyDocument", message).status(400)
}

pub fn invalid_input(message: impl Into<String>) -> Error {
    Error::invalid("InvalidInput", message).status(400)
}

pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("ValidationError", message).status(400)
}

/// recorded: LocalStack test_role_attach_policy
pub fn unparsable_arn() -> Error {
    validation("Invalid ARN:  Could not be parsed!")
}

pub fn user_name_needed() -> Error {
    validation("Must specify userName when calling with non-User credentials")
}

pub fn session_token_refused() -> Error {
    let message = "The security token included in the request is invalid";
    Error::new(sereno_kernel::Kind::Denied, "InvalidClientTokenId", message).status(403)
}

pub fn protected_role(name: &str) -> Error {
    let message = format!(
        "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
    );
    Error::invalid("UnmodifiableEntity", message).status(400)
}

pub fn aws_managed(arn: &str) -> Error {
    let message = format!("Policy {arn} is outside your own account.");
    Error::invalid("AccessDenied", message).status(403)
}

/// IAM leaves the values and the members of enums out of the sentence.
/// recorded: LocalStack test_user_match_id_mismatch, test_invalid_update_parameters
pub fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    let sentences: Vec<String> = violations
        .iter()
        .map(|v| {
            let constraint = match v.constraint.split_once("enum value set") {
                Some((before, _)) => format!("{before}enum value set"),
                None => v.constraint.clone(),
            };
            format!("Value at '{}' failed to satisfy constraint: {constraint}", v.path)
        })
        .collect();
    validation(format!("{count} validation error{plural} detected: {}", sentences.join("; ")))
}
