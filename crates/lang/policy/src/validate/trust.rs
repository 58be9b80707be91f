//! A role's trust policy (`AssumeRolePolicyDocument`).

use super::{Malformed, malformed, principal_is_valid};
use crate::document::{self, Flaw, RawStatement};
use crate::policy::Policy;

/// Whether the users and roles it names exist is for the caller to see ([`Policy::principal_arns`]).
pub fn trust(text: &str) -> Result<Policy, Malformed> {
    let document = document::read(text).map_err(|flaw| Malformed(sentence(&flaw)))?;
    let mut sids: Vec<&str> = Vec::new();
    for statement in &document.statements {
        check(statement)?;
        if let Some(sid) = statement.sid.as_deref().filter(|s| !s.is_empty()) {
            if sids.contains(&sid) {
                return malformed("Statement IDs (SID) in a single policy must be unique.");
            }
            sids.push(sid);
        }
    }
    Ok(Policy::compile(&document))
}

fn check(statement: &RawStatement) -> Result<(), Malformed> {
    if !matches!(statement.effect.as_str(), "Allow" | "Deny") {
        return malformed(format!("Invalid effect: {}", statement.effect));
    }
    if let Some(resource) = &statement.resource {
        let field = if resource.negated { "NotResource" } else { "Resource" };
        return malformed(format!("Has prohibited field {field}"));
    }
    let Some(principal) = &statement.principal else {
        return malformed("Missing required field Principal");
    };
    if principal.negated {
        return malformed("Has prohibited field NotPrincipal");
    }
    if principal.entries.is_empty() {
        // seen in terraform-aws-modules/terraform-aws-iam issue 47
        return malformed(
            "Invalid principal in policy: com.amazon.balsa.error.InvalidPolicyException: The passed in policy has a statement with no principals!",
        );
    }
    for (kind, value) in &principal.entries {
        if !principal_is_valid(kind, value) {
            return malformed(invalid_principal(kind, value));
        }
    }
    match &statement.action {
        None => malformed("Missing required field Action"),
        Some(a) if a.values.is_empty() => malformed("Missing required field Action"),
        Some(a) => {
            let sts = |v: &String| {
                v.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("sts:"))
                    && !v[4..].contains(':')
            };
            if a.values.iter().all(sts) {
                Ok(())
            } else {
                malformed("AssumeRole policy may only specify STS AssumeRole actions.")
            }
        }
    }
}

/// `Invalid principal in policy: "AWS":"arn:..."`
pub(crate) fn invalid_principal(kind: &str, value: &str) -> String {
    format!("Invalid principal in policy: \"{}\":\"{value}\"", kind.to_ascii_uppercase())
}

fn sentence(flaw: &Flaw) -> String {
    match flaw {
        // recorded: LocalStack test_create_role_with_malformed_assume_role_policy_document
        Flaw::Json => "This policy contains invalid Json".into(),
        Flaw::Duplicate(key) => format!("Duplicate key {key}"),
        Flaw::UnknownField(field) => format!("Unknown field {field}"),
        Flaw::MissingField(field) => format!("Missing required field {field}"),
        Flaw::Effect(effect) => format!("Invalid effect: {effect}"),
        Flaw::Principal(entry) => format!("Invalid principal in policy: {entry}"),
        Flaw::ConditionType(name) => format!("Invalid Condition type : {name}"),
        Flaw::Both(..)
        | Flaw::Version
        | Flaw::Sid
        | Flaw::Id
        | Flaw::Statement
        | Flaw::Action
        | Flaw::Resource
        | Flaw::Condition => "Syntax errors in policy.".into(),
    }
}
