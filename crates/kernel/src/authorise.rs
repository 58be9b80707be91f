//! May this caller do this? Collects the policies that apply and lets `sereno-policy` decide.
//!
//! Invariant: whatever cannot be read or decided is a refusal.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sereno_policy::{
    Context, Policies, Principal, PrincipalKind, Request, ResourceRule, decide, denied,
};
use sereno_wire::{Protocol, ServiceSchema};
use sha2::Sha256;

use crate::access::Mode;
use crate::service::ResourceGuard;
use crate::{Access, Caller, Ctx, Error, IdentityPolicies, Kind, Need, Result, Service, User};

/// Judges every need of an access; the first one that is not allowed is the answer.
pub(crate) async fn check(ctx: &Ctx, service: &Service, access: &Access) -> Result<()> {
    check_guarded(ctx, service, access, None).await
}

/// Whether the owner's root asks for a resource that has no policy of its own.
pub(crate) fn is_plain(ctx: &Ctx, guard: &ResourceGuard) -> bool {
    let Caller::Root { account } = ctx.caller() else { return false };
    guard.policy.is_none() && guard.rule != ResourceRule::Trust && guard.owner == Some(*account)
}

/// The same with the guard of the resources that the access names, if it is known.
pub(crate) async fn check_guarded(
    ctx: &Ctx,
    service: &Service,
    access: &Access,
    known: Option<&ResourceGuard>,
) -> Result<()> {
    match access.mode {
        Mode::Public => Ok(()),
        Mode::Authenticated if *ctx.caller() == Caller::Anonymous => {
            Err(missing_token(service.schema))
        }
        Mode::Authenticated => Ok(()),
        // Nothing was asked, so nothing can be allowed: `access.rs` has forgotten to say what it needs.
        Mode::Policies if access.needs.is_empty() => {
            Err(Error::internal("an operation says neither what it needs nor who may call it"))
        }
        // Boxed: the state of a judgement is large, and carried by every request if it is part of the request's own.
        Mode::Policies => Box::pin(judge_all(ctx, service, access, known)).await,
    }
}

async fn judge_all(
    ctx: &Ctx,
    service: &Service,
    access: &Access,
    known: Option<&ResourceGuard>,
) -> Result<()> {
    let mut identity = None;
    for need in &access.needs {
        let guard = match known {
            Some(guard) => guard.clone(),
            None => guard(ctx, service, need).await?,
        };
        // The owner of an account may do everything that no resource policy denies.
        if guard.policy.is_none() && is_owner(ctx, need, &guard) {
            continue;
        }
        let policies = match &identity {
            Some(policies) => Arc::clone(policies),
            None => identity_policies(ctx).await?,
        };
        judge(ctx, service, need, &guard, &policies)?;
        identity = Some(policies);
    }
    Ok(())
}

async fn guard(ctx: &Ctx, service: &Service, need: &Need) -> Result<ResourceGuard> {
    match &service.guard {
        Some(guard) if need.resource != "*" => guard(ctx.clone(), need.resource.clone()).await,
        _ => Ok(ResourceGuard::default()),
    }
}

fn is_owner(ctx: &Ctx, need: &Need, guard: &ResourceGuard) -> bool {
    let Caller::Root { account } = ctx.caller() else { return false };
    // Who may assume a role is for its trust policy alone to say.
    if guard.rule == ResourceRule::Trust {
        return false;
    }
    let named = need.resource.split(':').nth(4).filter(|text| !text.is_empty());
    match (guard.owner, named) {
        (Some(owner), _) => owner == *account,
        (None, Some(named)) => named == "aws" || named.parse() == Ok(*account),
        (None, None) => true,
    }
}

async fn identity_policies(ctx: &Ctx) -> Result<Arc<IdentityPolicies>> {
    match ctx.caller() {
        Caller::Anonymous | Caller::Root { .. } | Caller::Service(_) => Ok(Arc::default()),
        caller => ctx.identities()?.policies(caller).await,
    }
}

fn judge(
    ctx: &Ctx,
    service: &Service,
    need: &Need,
    guard: &ResourceGuard,
    identity: &IdentityPolicies,
) -> Result<()> {
    let names = Names::of(ctx.caller());
    let principal = names.principal(ctx.caller());
    let mut context = Context::new();
    principal.fill(&mut context);
    fill(&mut context, ctx, need, identity);
    let named = need.resource.split(':').nth(4).and_then(|text| text.parse().ok());
    let resource_account = guard.owner.or(named).unwrap_or(ctx.account());
    context.set("aws:ResourceAccount", resource_account.to_string());
    let owner = guard.owner.map(|account| account.to_string());
    let request = Request {
        principal: &principal,
        action: need.action,
        resource: &need.resource,
        resource_account: owner.as_deref(),
        context: &context,
    };
    let policies = Policies {
        identity: &identity.identity,
        boundary: identity.boundary.as_deref(),
        session: identity.session.as_deref(),
        resource: guard.policy.as_deref(),
        rule: guard.rule,
    };
    let decision = decide(&request, &policies);
    if decision.is_allowed() {
        Ok(())
    } else {
        Err(denied_error(service.schema, denied(&request, &decision)))
    }
}

/// Texts that a [`Principal`] borrows.
struct Names {
    arn: String,
    account: String,
    role_arn: String,
    issuer_arn: Option<String>,
}

impl Names {
    fn of(caller: &Caller) -> Names {
        Names {
            arn: caller.arn(),
            account: match caller {
                Caller::Service(_) => String::new(),
                other => other.account().map(|account| account.to_string()).unwrap_or_default(),
            },
            role_arn: match caller {
                Caller::Role(session) => session.role_arn(),
                _ => String::new(),
            },
            issuer_arn: match caller {
                Caller::Federated(user) => user.issuer.as_ref().map(User::arn),
                _ => None,
            },
        }
    }

    fn principal<'a>(&'a self, caller: &'a Caller) -> Principal<'a> {
        let (kind, unique_id) = match caller {
            Caller::Anonymous => return Principal::anonymous(),
            Caller::Service(service) => return Principal::service(&service.name),
            Caller::Root { .. } => (PrincipalKind::Root, None),
            Caller::User(user) => (PrincipalKind::User { name: &user.name }, Some(&*user.id)),
            Caller::Role(session) => (
                PrincipalKind::RoleSession {
                    role_arn: &self.role_arn,
                    session: &session.session_name,
                },
                Some(&*session.role_id),
            ),
            Caller::Federated(user) => (
                PrincipalKind::FederatedUser {
                    issuer_arn: self.issuer_arn.as_deref(),
                    name: &user.name,
                },
                None,
            ),
        };
        Principal { arn: &self.arn, account: &self.account, kind, unique_id }
    }
}

/// The global condition keys; source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
fn fill<'a>(
    context: &mut Context<'a>,
    ctx: &'a Ctx,
    need: &'a Need,
    identity: &'a IdentityPolicies,
) {
    let origin = ctx.origin();
    let now = ctx.now();
    context.set("aws:CurrentTime", now.iso8601());
    context.set("aws:EpochTime", now.secs().to_string());
    context.set("aws:RequestedRegion", ctx.region().as_str());
    context.set("aws:SecureTransport", if origin.secure { "true" } else { "false" });
    if !origin.source_ip.is_empty() {
        context.set("aws:SourceIp", origin.source_ip.as_str());
    }
    if !origin.user_agent.is_empty() {
        context.set("aws:UserAgent", origin.user_agent.as_str());
    }
    for (key, value) in &identity.tags {
        context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
    }
    match ctx.caller() {
        Caller::Service(service) => {
            context.set("aws:SourceAccount", service.source_account.to_string());
            if let Some(arn) = &service.source_arn {
                context.set("aws:SourceArn", arn.as_str());
            }
        }
        Caller::Role(session) => {
            context.set("aws:TokenIssueTime", session.issued.iso8601());
            context.set("aws:MultiFactorAuthPresent", "false");
            if let Some(identity) = &session.source_identity {
                context.set("aws:SourceIdentity", identity.as_str());
            }
            for (key, value) in &session.tags {
                context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
            }
        }
        Caller::Federated(_) => context.set("aws:MultiFactorAuthPresent", "false"),
        _ => {}
    }
    for (key, values) in &need.conditions {
        context.set_many(key.as_str(), values.iter().map(String::as_str));
    }
}

fn denied_error(schema: &ServiceSchema, message: String) -> Error {
    match schema.protocols.first() {
        Some(Protocol::Query | Protocol::RestXml) => {
            Error::new(Kind::Denied, "AccessDenied", message).status(403)
        }
        Some(Protocol::RestJson) => {
            Error::new(Kind::Denied, "AccessDeniedException", message).status(403)
        }
        _ => Error::new(Kind::Denied, "AccessDeniedException", message).status(400),
    }
}

fn missing_token(schema: &ServiceSchema) -> Error {
    match schema.protocols.first() {
        Some(Protocol::Query | Protocol::RestXml) => Error::new(
            Kind::Denied,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
        .status(403),
        _ => Error::new(
            Kind::Denied,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
        .status(400),
    }
}

/// A key for one purpose: HMAC-SHA256 of the purpose's name with the installation's key.
pub fn derive_key(server_key: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(server_key).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}
