//! Policies attached to users, groups, roles and sessions. IAM checks in this order, and answers only the
//! first finding; the table `tests/testdata/identity.txt` holds the cases.

use super::{Malformed, malformed};
use crate::document::{self, Document, Element, Flaw, RawStatement, V2012};
use crate::policy::Policy;
use crate::value;

/// Where an identity policy is kept: managed policies must say version 2012-10-17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    Managed,
    Inline,
}

pub fn identity(text: &str, kind: IdentityKind) -> Result<Policy, Malformed> {
    let document = match document::read(text) {
        Ok(document) => document,
        // recorded on AWS by several projects: every flaw of the grammar has the same sentence.
        Err(Flaw::Principal(_)) => return malformed(PRINCIPAL),
        Err(_) => return malformed("Syntax errors in policy."),
    };
    if document.statements.iter().any(|s| s.principal.is_some()) {
        return malformed(PRINCIPAL);
    }
    if kind == IdentityKind::Managed && document.version.as_deref() != Some(V2012) {
        return malformed("Policy document must be version 2012-10-17 or greater.");
    }
    let resource_error = legacy(&document)?;
    unique_sids(&document)?;
    let has = |element: &Option<Element>| element.as_ref().is_some_and(|e| !e.values.is_empty());
    if !document.statements.iter().all(|s| has(&s.action)) {
        return malformed("Policy statement must contain actions.");
    }
    // An empty list counts as missing, a missing element is told after a bad action.
    if document.statements.iter().any(|s| s.resource.as_ref().is_some_and(|r| r.values.is_empty()))
    {
        return malformed("Policy statement must contain resources.");
    }
    if let Some(error) = resource_error {
        return malformed(error);
    }
    for statement in &document.statements {
        for action in statement.action.iter().flat_map(|a| &a.values) {
            action_is_prefixed(action)?;
        }
    }
    if document.statements.iter().any(|s| s.resource.is_none()) {
        return malformed("Policy statement must contain resources.");
    }
    Ok(Policy::compile(&document))
}

const PRINCIPAL: &str = "Policy document should not specify a principal.";
const LEGACY: &str = "The policy failed legacy parsing";

/// Checks that all answer [`LEGACY`]; the first bad resource is handed back, since it is told later.
fn legacy(document: &Document) -> Result<Option<String>, Malformed> {
    for statement in &document.statements {
        let dates = statement.condition.iter().filter(|c| c.operator.is_date());
        let bad_date = |v: &String| !is_legacy_date(v);
        if !matches!(statement.effect.as_str(), "Allow" | "Deny")
            || dates.flat_map(|c| &c.values).any(bad_date)
        {
            return malformed(LEGACY);
        }
    }
    let mut error = None;
    for statement in &document.statements {
        let mut values: Vec<&String> = resources(statement).collect();
        values.sort();
        for value in &values {
            if error.is_none() {
                error = resource_error(value);
            }
        }
        if error.is_none() && values.iter().any(|v| fails_legacy(v)) {
            return malformed(LEGACY);
        }
    }
    Ok(error)
}

fn resources(statement: &RawStatement) -> impl Iterator<Item = &String> {
    statement.resource.iter().flat_map(|r| &r.values)
}

/// Policy variables stand for dates that are not known yet.
fn is_legacy_date(text: &str) -> bool {
    text.contains("${") || value::date(text).is_some()
}

fn fails_legacy(resource: &str) -> bool {
    if resource == "*" {
        return false;
    }
    let colons = resource.matches(':').count();
    let service = resource.split(':').nth(2);
    (colons < 5 && resource.contains("::")) || service == Some("")
}

const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

fn resource_error(resource: &str) -> Option<String> {
    if resource == "*" {
        return None;
    }
    let no_arn = || format!("Resource {resource} must be in ARN format or \"*\".");
    let mut parts = resource.splitn(6, ':');
    let prefix = parts.next().unwrap_or_default();
    let Some(partition) = parts.next() else {
        return Some(no_arn());
    };
    let rest: Vec<&str> = parts.collect();
    let part = |i: usize| rest.get(i).copied().unwrap_or("*");
    if !["aws", "aws-cn", "aws-us-gov", "*", "${aws:partition}"].contains(&partition) {
        return Some(format!(
            "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{}:{}:{}:{}\".",
            part(0),
            part(1),
            part(2),
            part(3)
        ));
    }
    if prefix != "arn" {
        return Some(no_arn());
    }
    let Some(service) = rest.first().filter(|s| !s.contains(['*', '?'])) else {
        return Some("Resource vendor must be fully qualified and cannot contain regexes.".into());
    };
    let region = rest.get(1).copied().unwrap_or_default();
    match *service {
        "iam" if !region.is_empty() => {
            Some(format!("IAM resource {resource} cannot contain region information."))
        }
        "iam" => {
            let path = part(3);
            let known = path == "*" || IAM_PATHS.iter().any(|p| path.starts_with(p));
            (!known).then(|| {
                let paths = IAM_PATHS.join(", ");
                format!("IAM resource path must either be \"*\" or start with {paths}.")
            })
        }
        // Access points and their like have a region and an account, buckets have neither.
        "s3" if !region.is_empty() && region != "*" && part(2).is_empty() => {
            Some(format!("Resource {resource} can not contain region information."))
        }
        _ => None,
    }
}

fn unique_sids(document: &Document) -> Result<(), Malformed> {
    let mut seen: Vec<&str> = Vec::new();
    for sid in document.statements.iter().filter_map(|s| s.sid.as_deref()).filter(|s| !s.is_empty())
    {
        if seen.contains(&sid) {
            return malformed("Statement IDs (SID) in a single policy must be unique.");
        }
        seen.push(sid);
    }
    Ok(())
}

fn action_is_prefixed(action: &str) -> Result<(), Malformed> {
    if action == "*" {
        return Ok(());
    }
    let (vendor, name) = match action.split_once(':') {
        None => {
            return malformed(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            );
        }
        Some(pair) => pair,
    };
    if name.contains(':') {
        return malformed("Actions/Condition can contain only one colon.");
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if vendor != "*" && !vendor.bytes().all(known) {
        return malformed(format!("Vendor {vendor} is not valid"));
    }
    Ok(())
}
