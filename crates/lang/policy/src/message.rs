//! The sentence of an AccessDenied error.
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html`

use crate::decide::{Decision, PolicyKind, Request};

/// `User: ... is not authorized to perform: ... on resource: ... because ...`
pub fn denied(request: &Request, decision: &Decision) -> String {
    let mut text = format!(
        "User: {} is not authorized to perform: {} on resource: {}",
        request.principal.arn, request.action, request.resource
    );
    match decision {
        Decision::Allow => {}
        Decision::ImplicitDeny(kind) => {
            text.push_str(" because no ");
            text.push_str(name(*kind));
            text.push_str(" allows the ");
            text.push_str(request.action);
            text.push_str(" action");
        }
        Decision::ExplicitDeny { kind, .. } => {
            text.push_str(" with an explicit deny in ");
            text.push_str(match kind {
                PolicyKind::Identity => "an ",
                PolicyKind::Trust => "the ",
                PolicyKind::Boundary | PolicyKind::Session | PolicyKind::Resource => "a ",
            });
            text.push_str(name(*kind));
        }
    }
    text
}

fn name(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Identity => "identity-based policy",
        PolicyKind::Boundary => "permissions boundary",
        PolicyKind::Session => "session policy",
        PolicyKind::Resource => "resource-based policy",
        PolicyKind::Trust => "role trust policy",
    }
}
