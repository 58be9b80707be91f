//! Managed policies on users, groups and roles.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::rules::{Cut, POLICIES_PER_ENTITY_MAX, Page, PolicyArn};
use crate::state::{self, Entity, GroupRecord, Kind, RoleRecord, Usage, UserRecord};
use crate::{errors, policy};

async fn attach<E: Entity>(ctx: &Ctx, name: &str, arn: &str) -> Result<()> {
    let scope = ctx.account_scope();
    PolicyArn::parse(arn)?;
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        policy::attachable(ctx, txn, arn).await?;
        let attached = &mut entity.grants_mut().attached;
        if !attached.iter().any(|a| a == arn) {
            if attached.len() >= POLICIES_PER_ENTITY_MAX {
                let what = match E::KIND {
                    Kind::User => "PoliciesPerUser",
                    Kind::Group => "PoliciesPerGroup",
                    Kind::Role => "PoliciesPerRole",
                };
                return Err(errors::quota(what, POLICIES_PER_ENTITY_MAX));
            }
            attached.push(arn.to_owned());
            state::note_attachment(txn, scope, arn, Usage::Permissions, &entity, true);
            state::save(txn, scope, &entity);
        }
    })
}

async fn detach<E: Entity>(ctx: &Ctx, name: &str, arn: &str) -> Result<()> {
    let scope = ctx.account_scope();
    PolicyArn::parse(arn)?;
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        let attached = &mut entity.grants_mut().attached;
        let before = attached.len();
        attached.retain(|a| a != arn);
        if attached.len() == before {
            return Err(errors::no_such_policy(arn));
        }
        state::note_attachment(txn, scope, arn, Usage::Permissions, &entity, false);
        state::save(txn, scope, &entity);
    })
}

async fn list<E: Entity>(
    ctx: &Ctx,
    name: &str,
    prefix: Option<&str>,
    page: &Page,
) -> Result<Cut<api::AttachedPolicy>> {
    let entity: E = state::find(ctx.store(), ctx.account_scope(), name).await?;
    let mut items: Vec<(String, api::AttachedPolicy)> = shown(&entity.grants().attached, prefix);
    items.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(page.cut(items))
}

/// ARN → what is shown of it.
fn shown(arns: &[String], prefix: Option<&str>) -> Vec<(String, api::AttachedPolicy)> {
    let parsed = arns.iter().filter_map(|arn| Some((arn, PolicyArn::parse(arn).ok()?)));
    parsed
        .filter(|(_, p)| prefix.is_none_or(|prefix| p.path.starts_with(prefix)))
        .map(|(arn, parsed)| {
            let policy = api::AttachedPolicy {
                policy_name: Some(parsed.name),
                policy_arn: Some(arn.clone()),
            };
            (arn.clone(), policy)
        })
        .collect()
}

/// All of an entity's, in the order they were attached.
pub fn all<E: Entity>(entity: &E) -> Vec<api::AttachedPolicy> {
    shown(&entity.grants().attached, None).into_iter().map(|(_, p)| p).collect()
}

pub async fn to_user(
    ctx: Ctx,
    input: api::AttachUserPolicyInput,
) -> Result<api::AttachUserPolicyOutput> {
    attach::<UserRecord>(&ctx, &input.user_name, &input.policy_arn).await?;
    Ok(api::AttachUserPolicyOutput {})
}

pub async fn to_group(
    ctx: Ctx,
    input: api::AttachGroupPolicyInput,
) -> Result<api::AttachGroupPolicyOutput> {
    attach::<GroupRecord>(&ctx, &input.group_name, &input.policy_arn).await?;
    Ok(api::AttachGroupPolicyOutput {})
}

pub async fn to_role(
    ctx: Ctx,
    input: api::AttachRolePolicyInput,
) -> Result<api::AttachRolePolicyOutput> {
    attach::<RoleRecord>(&ctx, &input.role_name, &input.policy_arn).await?;
    Ok(api::AttachRolePolicyOutput {})
}

pub async fn from_user(
    ctx: Ctx,
    input: api::DetachUserPolicyInput,
) -> Result<api::DetachUserPolicyOutput> {
    detach::<UserRecord>(&ctx, &input.user_name, &input.policy_arn).await?;
    Ok(api::DetachUserPolicyOutput {})
}

pub async fn from_group(
    ctx: Ctx,
    input: api::DetachGroupPolicyInput,
) -> Result<api::DetachGroupPolicyOutput> {
    detach::<GroupRecord>(&ctx, &input.group_name, &input.policy_arn).await?;
    Ok(api::DetachGroupPolicyOutput {})
}

pub async fn from_role(
    ctx: Ctx,
    input: api::DetachRolePolicyInput,
) -> Result<api::DetachRolePolicyOutput> {
    detach::<RoleRecord>(&ctx, &input.role_name, &input.policy_arn).await?;
    Ok(api::DetachRolePolicyOutput {})
}

pub async fn list_user(
    ctx: Ctx,
    input: api::ListAttachedUserPoliciesInput,
) -> Result<api::ListAttachedUserPoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let prefix = input.path_prefix.as_deref();
    let cut = list::<UserRecord>(&ctx, &input.user_name, prefix, &page).await?;
    Ok(api::ListAttachedUserPoliciesOutput {
        is_truncated: cut.is_truncated(),
        attached_policies: Some(cut.items),
        marker: cut.marker,
    })
}

pub async fn list_group(
    ctx: Ctx,
    input: api::ListAttachedGroupPoliciesInput,
) -> Result<api::ListAttachedGroupPoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let prefix = input.path_prefix.as_deref();
    let cut = list::<GroupRecord>(&ctx, &input.group_name, prefix, &page).await?;
    Ok(api::ListAttachedGroupPoliciesOutput {
        is_truncated: cut.is_truncated(),
        attached_policies: Some(cut.items),
        marker: cut.marker,
    })
}

pub async fn list_role(
    ctx: Ctx,
    input: api::ListAttachedRolePoliciesInput,
) -> Result<api::ListAttachedRolePoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let prefix = input.path_prefix.as_deref();
    let cut = list::<RoleRecord>(&ctx, &input.role_name, prefix, &page).await?;
    Ok(api::ListAttachedRolePoliciesOutput {
        is_truncated: cut.is_truncated(),
        attached_policies: Some(cut.items),
        marker: cut.marker,
    })
}
