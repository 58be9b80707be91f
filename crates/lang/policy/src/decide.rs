//! All policies that apply to a request → one decision.
//!
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html`
//! and, between accounts, `.../reference_policies_evaluation-logic-cross-account.html`.

use crate::context::Context;
use crate::policy::{Policy, Statement, Verdict};
use crate::principal::{Grant, Principal, PrincipalKind};
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub principal: &'a Principal<'a>,
    /// `dynamodb:GetItem`
    pub action: &'a str,
    /// An ARN, or `*` where the action knows no resources.
    pub resource: &'a str,
    /// Who owns the resource. None: the account in its ARN, and without one the caller's.
    /// A service whose ARNs name no account (S3) must say it.
    pub resource_account: Option<&'a str>,
    pub context: &'a Context<'a>,
}

/// The policies that apply. What the caller's kind has none of is ignored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    pub identity: &'a [Arc<Policy>],
    pub boundary: Option<&'a Policy>,
    /// `Some(&[])`: a session that was given no permissions at all (a federated user without policies).
    pub session: Option<&'a [Arc<Policy>]>,
    pub resource: Option<&'a Policy>,
    pub rule: ResourceRule,
}

/// What part a resource's own policy has in the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResourceRule {
    /// Within an account, identity or resource policy may allow (S3, SQS, Lambda, ...).
    #[default]
    Optional,
    /// A role's trust policy: nobody gets in that it does not name, directly or by account.
    Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    Identity,
    Boundary,
    Session,
    Resource,
    Trust,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// Nothing of this kind allows it.
    ImplicitDeny(PolicyKind),
    ExplicitDeny {
        kind: PolicyKind,
        sid: Option<String>,
    },
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        *self == Decision::Allow
    }
}

pub fn decide(request: &Request, policies: &Policies) -> Decision {
    let resource_kind = match policies.rule {
        ResourceRule::Optional => PolicyKind::Resource,
        ResourceRule::Trust => PolicyKind::Trust,
    };
    let resource = policies.resource.map_or_else(Verdict::default, |p| p.verdict(request));
    if let Some(statement) = resource.deny {
        return explicit(resource_kind, statement);
    }
    match request.principal.kind {
        PrincipalKind::Service { .. }
        | PrincipalKind::Federated { .. }
        | PrincipalKind::Anonymous => match resource.allow {
            Some(_) => Decision::Allow,
            None => Decision::ImplicitDeny(resource_kind),
        },
        PrincipalKind::Root => {
            let owner = same_account(request) && policies.rule == ResourceRule::Optional;
            if owner || resource.allow.is_some() {
                Decision::Allow
            } else {
                Decision::ImplicitDeny(resource_kind)
            }
        }
        PrincipalKind::User { .. }
        | PrincipalKind::RoleSession { .. }
        | PrincipalKind::FederatedUser { .. } => {
            entity(request, policies, resource.allow, resource_kind)
        }
    }
}

/// A user, a role's session or a federated user: those that have policies of their own.
fn entity(
    request: &Request,
    policies: &Policies,
    grant: Option<Grant>,
    resource_kind: PolicyKind,
) -> Decision {
    let identity = union(policies.identity, request);
    let boundary = policies.boundary.map(|p| p.verdict(request));
    let session = policies.session.map(|s| union(s, request));
    let denies = [
        (PolicyKind::Identity, identity.deny),
        (PolicyKind::Boundary, boundary.and_then(|v| v.deny)),
        (PolicyKind::Session, session.and_then(|v| v.deny)),
    ];
    for (kind, deny) in denies {
        if let Some(statement) = deny {
            return explicit(kind, statement);
        }
    }
    let same = same_account(request);
    if same && grant == Some(Grant::Direct) {
        return Decision::Allow;
    }
    // A federated user of the root user has all that root has, within its session policies.
    let of_root =
        matches!(request.principal.kind, PrincipalKind::FederatedUser { issuer_arn: None, .. });
    let by_resource = same && grant == Some(Grant::Role);
    if !(identity.allow.is_some() || of_root || by_resource) {
        return Decision::ImplicitDeny(PolicyKind::Identity);
    }
    if boundary.is_some_and(|v| v.allow.is_none()) {
        return Decision::ImplicitDeny(PolicyKind::Boundary);
    }
    if session.is_some_and(|v| v.allow.is_none()) {
        return Decision::ImplicitDeny(PolicyKind::Session);
    }
    let needs_grant = !same || policies.rule == ResourceRule::Trust;
    if needs_grant && grant.is_none() {
        return Decision::ImplicitDeny(resource_kind);
    }
    Decision::Allow
}

fn union<'p>(policies: &'p [Arc<Policy>], request: &Request) -> Verdict<'p> {
    let mut all = Verdict::default();
    for policy in policies {
        let one = policy.verdict(request);
        all.allow = all.allow.max(one.allow);
        all.deny = all.deny.or(one.deny);
        if all.deny.is_some() {
            break;
        }
    }
    all
}

fn explicit(kind: PolicyKind, statement: &Statement) -> Decision {
    Decision::ExplicitDeny { kind, sid: statement.sid().map(str::to_owned) }
}

fn same_account(request: &Request) -> bool {
    let owner = request
        .resource_account
        .or_else(|| request.resource.split(':').nth(4))
        .filter(|a| !a.is_empty());
    // `arn:aws:iam::aws:policy/...` belongs to AWS and is everyone's to read.
    owner.is_none_or(|o| o == request.principal.account || o == "aws")
}
