//! What each operation needs.

use sereno_api_sts as api;
use sereno_base::arn;
use sereno_kernel::{Access, Caller, Ctx, ResourceGuard, Result};
use sereno_policy::ResourceRule;

use crate::rules;

/// A role's trust policy. A role that does not exist is trusted to nobody.
pub async fn trust(ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    if !rules::is_role_arn(&arn) {
        return Ok(ResourceGuard::default());
    }
    let role = ctx.identities()?.role(&arn).await?;
    Ok(ResourceGuard {
        policy: role.as_ref().map(|r| r.trust.clone()),
        owner: role.as_ref().map(|r| r.account),
        rule: ResourceRule::Trust,
    })
}

/// `sts:AssumeRole`, and what the request carries besides.
/// `https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html`
pub fn assume_role(ctx: &Ctx, input: &api::AssumeRoleInput) -> Access {
    let role = input.role_arn.as_str();
    if rules::role_arn(role).is_err() {
        // The handler refuses it with the same rule.
        return Access::authenticated();
    }
    let mut access = with_conditions(Access::new("sts:AssumeRole", role), input);
    let inherited = matches!(ctx.caller(), Caller::Role(s) if !s.transitive_tags.is_empty());
    if inherited || input.tags.as_ref().is_some_and(|t| !t.is_empty()) {
        access = with_conditions(access.and("sts:TagSession", role), input);
    }
    let inherited = matches!(ctx.caller(), Caller::Role(s) if s.source_identity.is_some());
    if inherited || input.source_identity.is_some() {
        access = with_conditions(access.and("sts:SetSourceIdentity", role), input);
    }
    access
}

fn with_conditions(mut access: Access, input: &api::AssumeRoleInput) -> Access {
    let one = |value: &str| vec![value.to_owned()];
    access = access.condition("sts:RoleSessionName", one(&input.role_session_name));
    if let Some(id) = &input.external_id {
        access = access.condition("sts:ExternalId", one(id));
    }
    if let Some(seconds) = input.duration_seconds {
        access = access.condition("sts:DurationSeconds", vec![seconds.to_string()]);
    }
    if let Some(identity) = &input.source_identity {
        access = access.condition("sts:SourceIdentity", one(identity));
    }
    if let Some(keys) = &input.transitive_tag_keys {
        access = access.condition("sts:TransitiveTagKeys", keys.clone());
    }
    let tags = input.tags.as_deref().unwrap_or_default();
    if !tags.is_empty() {
        for tag in tags {
            access = access.condition(format!("aws:RequestTag/{}", tag.key), one(&tag.value));
        }
        let keys = tags.iter().map(|t| t.key.clone()).collect();
        access = access.condition("aws:TagKeys", keys);
    }
    access
}

pub fn federation_token(ctx: &Ctx, input: &api::GetFederationTokenInput) -> Access {
    let user = arn("sts", None, Some(ctx.account()), &format!("federated-user/{}", input.name));
    Access::new("sts:GetFederationToken", user)
}
