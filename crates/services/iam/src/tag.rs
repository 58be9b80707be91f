//! Tags of users, roles, policies, instance profiles and identity providers.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::rules::{self, Cut, Page};
use crate::state::{self, Bounded, RoleRecord, TagRecord, UserRecord};
use crate::{errors, oidc, policy, profile};

async fn change<E: Bounded>(
    ctx: &Ctx,
    name: &str,
    change: impl Fn(&mut Vec<TagRecord>) -> Result<()>,
) -> Result<()> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        // Tags of a service-linked role may be changed.
        let mut entity: E = state::find(txn, scope, name).await?;
        change(entity.tags_mut())?;
        state::save(txn, scope, &entity);
    })
}

/// The tags on one page, in the order of their keys.
fn cut(tags: &[TagRecord], marker: Option<&str>, max: Option<i32>) -> Result<Cut<api::Tag>> {
    let mut shown = rules::shown_tags(tags);
    shown.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Page::new(marker, max)?.cut(shown.into_iter().map(|t| (t.key.clone(), t))))
}

pub async fn user(ctx: Ctx, input: api::TagUserInput) -> Result<api::TagUserOutput> {
    let set = |tags: &mut Vec<TagRecord>| rules::set_tags(tags, &input.tags);
    change::<UserRecord>(&ctx, &input.user_name, set).await?;
    Ok(api::TagUserOutput {})
}

pub async fn untag_user(ctx: Ctx, input: api::UntagUserInput) -> Result<api::UntagUserOutput> {
    let remove = |tags: &mut Vec<TagRecord>| {
        rules::remove_tags(tags, &input.tag_keys);
        Ok(())
    };
    change::<UserRecord>(&ctx, &input.user_name, remove).await?;
    Ok(api::UntagUserOutput {})
}

pub async fn list_user(ctx: Ctx, input: api::ListUserTagsInput) -> Result<api::ListUserTagsOutput> {
    let user: UserRecord = state::find(ctx.store(), ctx.account_scope(), &input.user_name).await?;
    let cut = cut(&user.tags, input.marker.as_deref(), input.max_items)?;
    Ok(api::ListUserTagsOutput {
        is_truncated: cut.is_truncated(),
        tags: cut.items,
        marker: cut.marker,
    })
}

pub async fn role(ctx: Ctx, input: api::TagRoleInput) -> Result<api::TagRoleOutput> {
    let set = |tags: &mut Vec<TagRecord>| rules::set_tags(tags, &input.tags);
    change::<RoleRecord>(&ctx, &input.role_name, set).await?;
    Ok(api::TagRoleOutput {})
}

pub async fn untag_role(ctx: Ctx, input: api::UntagRoleInput) -> Result<api::UntagRoleOutput> {
    let remove = |tags: &mut Vec<TagRecord>| {
        rules::remove_tags(tags, &input.tag_keys);
        Ok(())
    };
    change::<RoleRecord>(&ctx, &input.role_name, remove).await?;
    Ok(api::UntagRoleOutput {})
}

pub async fn list_role(ctx: Ctx, input: api::ListRoleTagsInput) -> Result<api::ListRoleTagsOutput> {
    let role: RoleRecord = state::find(ctx.store(), ctx.account_scope(), &input.role_name).await?;
    let cut = cut(&role.tags, input.marker.as_deref(), input.max_items)?;
    Ok(api::ListRoleTagsOutput {
        is_truncated: cut.is_truncated(),
        tags: cut.items,
        marker: cut.marker,
    })
}

pub async fn policy(ctx: Ctx, input: api::TagPolicyInput) -> Result<api::TagPolicyOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = policy::own(&ctx, txn, &input.policy_arn).await?;
        rules::set_tags(&mut found.tags, &input.tags)?;
        policy::save(&ctx, txn, &found);
    })?;
    Ok(api::TagPolicyOutput {})
}

pub async fn untag_policy(
    ctx: Ctx,
    input: api::UntagPolicyInput,
) -> Result<api::UntagPolicyOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = policy::own(&ctx, txn, &input.policy_arn).await?;
        rules::remove_tags(&mut found.tags, &input.tag_keys);
        policy::save(&ctx, txn, &found);
    })?;
    Ok(api::UntagPolicyOutput {})
}

pub async fn list_policy(
    ctx: Ctx,
    input: api::ListPolicyTagsInput,
) -> Result<api::ListPolicyTagsOutput> {
    let tags = match policy::look_up(&ctx, ctx.store(), &input.policy_arn).await? {
        Some(policy::Found::Own(policy)) => policy.tags,
        Some(policy::Found::Aws(_)) => Vec::new(),
        None => return Err(errors::no_such_policy(&input.policy_arn)),
    };
    let cut = cut(&tags, input.marker.as_deref(), input.max_items)?;
    Ok(api::ListPolicyTagsOutput {
        is_truncated: cut.is_truncated(),
        tags: cut.items,
        marker: cut.marker,
    })
}

pub async fn profile(
    ctx: Ctx,
    input: api::TagInstanceProfileInput,
) -> Result<api::TagInstanceProfileOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = profile::find(&ctx, txn, &input.instance_profile_name).await?;
        rules::set_tags(&mut found.tags, &input.tags)?;
        profile::save(&ctx, txn, &found);
    })?;
    Ok(api::TagInstanceProfileOutput {})
}

pub async fn untag_profile(
    ctx: Ctx,
    input: api::UntagInstanceProfileInput,
) -> Result<api::UntagInstanceProfileOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = profile::find(&ctx, txn, &input.instance_profile_name).await?;
        rules::remove_tags(&mut found.tags, &input.tag_keys);
        profile::save(&ctx, txn, &found);
    })?;
    Ok(api::UntagInstanceProfileOutput {})
}

pub async fn list_profile(
    ctx: Ctx,
    input: api::ListInstanceProfileTagsInput,
) -> Result<api::ListInstanceProfileTagsOutput> {
    let found = profile::find(&ctx, ctx.store(), &input.instance_profile_name).await?;
    let cut = cut(&found.tags, input.marker.as_deref(), input.max_items)?;
    Ok(api::ListInstanceProfileTagsOutput {
        is_truncated: cut.is_truncated(),
        tags: cut.items,
        marker: cut.marker,
    })
}

pub async fn provider(
    ctx: Ctx,
    input: api::TagOpenIDConnectProviderInput,
) -> Result<api::TagOpenIDConnectProviderOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = oidc::find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        rules::set_tags(&mut found.tags, &input.tags)?;
        oidc::save(&ctx, txn, &found);
    })?;
    Ok(api::TagOpenIDConnectProviderOutput {})
}

pub async fn untag_provider(
    ctx: Ctx,
    input: api::UntagOpenIDConnectProviderInput,
) -> Result<api::UntagOpenIDConnectProviderOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = oidc::find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        rules::remove_tags(&mut found.tags, &input.tag_keys);
        oidc::save(&ctx, txn, &found);
    })?;
    Ok(api::UntagOpenIDConnectProviderOutput {})
}

pub async fn list_provider(
    ctx: Ctx,
    input: api::ListOpenIDConnectProviderTagsInput,
) -> Result<api::ListOpenIDConnectProviderTagsOutput> {
    let found = oidc::find(&ctx, ctx.store(), &input.open_id_connect_provider_arn).await?;
    let cut = cut(&found.tags, input.marker.as_deref(), input.max_items)?;
    Ok(api::ListOpenIDConnectProviderTagsOutput {
        is_truncated: cut.is_truncated(),
        tags: cut.items,
        marker: cut.marker,
    })
}
