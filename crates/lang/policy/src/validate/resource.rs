//! Policies of resources (buckets, queues, functions, APIs, ...): S3's sentences, which its siblings share.
//! Which actions and resources a service lets in is for that service to see.

use super::{Malformed, malformed, principal_is_valid};
use crate::document::{self, Flaw, RawStatement};
use crate::policy::Policy;

pub fn resource(text: &str) -> Result<Policy, Malformed> {
    let document = document::read(text).map_err(|flaw| Malformed(sentence(&flaw)))?;
    for statement in &document.statements {
        check(statement)?;
    }
    Ok(Policy::compile(&document))
}

fn check(statement: &RawStatement) -> Result<(), Malformed> {
    if !matches!(statement.effect.as_str(), "Allow" | "Deny") {
        return malformed(format!("Invalid effect: {}", statement.effect));
    }
    let Some(principal) = &statement.principal else {
        return malformed("Missing required field Principal");
    };
    let named = !principal.entries.is_empty();
    if !named || !principal.entries.iter().all(|(k, v)| principal_is_valid(k, v)) {
        return malformed("Invalid principal in policy");
    }
    match &statement.action {
        None => return malformed("Missing required field Action"),
        Some(a) => {
            let valid = |v: &String| v == "*" || v.split(':').count() == 2 && !v.starts_with(':');
            if a.values.is_empty() || !a.values.iter().all(valid) {
                return malformed("Policy has invalid action");
            }
        }
    }
    match &statement.resource {
        None => malformed("Missing required field Resource"),
        Some(r) => {
            let valid = |v: &String| v == "*" || v.starts_with("arn:");
            if r.values.is_empty() || !r.values.iter().all(valid) {
                return malformed("Policy has invalid resource");
            }
            Ok(())
        }
    }
}

fn sentence(flaw: &Flaw) -> String {
    match flaw {
        // recorded: LocalStack test_s3_api
        Flaw::Json => "Policies must be valid JSON and the first byte must be '{'".into(),
        Flaw::Duplicate(key) => format!("Duplicate key {key}"),
        Flaw::UnknownField(field) => format!("Unknown field {field}"),
        Flaw::MissingField(field) => format!("Missing required field {field}"),
        Flaw::Effect(effect) => format!("Invalid effect: {effect}"),
        Flaw::Principal(_) => "Invalid principal in policy".into(),
        Flaw::Version => "The policy must contain a valid version string".into(),
        Flaw::Statement => "Statement is empty!".into(),
        Flaw::Action => "Policy has invalid action".into(),
        Flaw::Resource => "Policy has invalid resource".into(),
        Flaw::ConditionType(name) => format!("Invalid Condition type : {name}"),
        Flaw::Both(..) | Flaw::Sid | Flaw::Id | Flaw::Condition => "Invalid policy syntax.".into(),
    }
}
