//! Inline policies of users, groups and roles.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_policy::validate::IdentityKind;
use sereno_store::transact;

use crate::errors;
use crate::rules::{self, Cut, Page};
use crate::state::{self, Entity, GroupRecord, RoleRecord, UserRecord};

async fn put<E: Entity>(ctx: &Ctx, name: &str, policy: &str, document: &str) -> Result<()> {
    rules::identity_policy(document, IdentityKind::Inline)?;
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        let inline = &mut entity.grants_mut().inline;
        inline.insert(policy.to_owned(), document.to_owned());
        let size: usize = inline.values().map(|d| rules::policy_size(d)).sum();
        let most = rules::inline_size_max(E::KIND);
        if size > most {
            let (kind, name) = (E::KIND.word(), entity.name());
            return Err(errors::limit(format!(
                "Maximum policy size of {most} bytes exceeded for {kind} {name}"
            )));
        }
        state::save(txn, scope, &entity);
    })
}

async fn get<E: Entity>(ctx: &Ctx, name: &str, policy: &str) -> Result<(String, String)> {
    let entity: E = state::find(ctx.store(), ctx.account_scope(), name).await?;
    match entity.grants().inline.get(policy) {
        Some(document) => Ok((entity.name().to_owned(), rules::encoded(document))),
        None => Err(errors::no_such_inline_policy(E::KIND, policy)),
    }
}

async fn remove<E: Entity>(ctx: &Ctx, name: &str, policy: &str) -> Result<()> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        if entity.grants_mut().inline.remove(policy).is_none() {
            return Err(errors::no_such_inline_policy(E::KIND, policy));
        }
        state::save(txn, scope, &entity);
    })
}

async fn list<E: Entity>(ctx: &Ctx, name: &str, page: &Page) -> Result<Cut<String>> {
    let entity: E = state::find(ctx.store(), ctx.account_scope(), name).await?;
    Ok(page.cut(entity.grants().inline.keys().map(|name| (name.clone(), name.clone()))))
}

pub async fn put_user(
    ctx: Ctx,
    input: api::PutUserPolicyInput,
) -> Result<api::PutUserPolicyOutput> {
    put::<UserRecord>(&ctx, &input.user_name, &input.policy_name, &input.policy_document).await?;
    Ok(api::PutUserPolicyOutput {})
}

pub async fn put_group(
    ctx: Ctx,
    input: api::PutGroupPolicyInput,
) -> Result<api::PutGroupPolicyOutput> {
    put::<GroupRecord>(&ctx, &input.group_name, &input.policy_name, &input.policy_document).await?;
    Ok(api::PutGroupPolicyOutput {})
}

pub async fn put_role(
    ctx: Ctx,
    input: api::PutRolePolicyInput,
) -> Result<api::PutRolePolicyOutput> {
    put::<RoleRecord>(&ctx, &input.role_name, &input.policy_name, &input.policy_document).await?;
    Ok(api::PutRolePolicyOutput {})
}

pub async fn get_user(
    ctx: Ctx,
    input: api::GetUserPolicyInput,
) -> Result<api::GetUserPolicyOutput> {
    let (user_name, policy_document) =
        get::<UserRecord>(&ctx, &input.user_name, &input.policy_name).await?;
    let policy_name = input.policy_name;
    Ok(api::GetUserPolicyOutput { user_name, policy_name, policy_document })
}

pub async fn get_group(
    ctx: Ctx,
    input: api::GetGroupPolicyInput,
) -> Result<api::GetGroupPolicyOutput> {
    let (group_name, policy_document) =
        get::<GroupRecord>(&ctx, &input.group_name, &input.policy_name).await?;
    let policy_name = input.policy_name;
    Ok(api::GetGroupPolicyOutput { group_name, policy_name, policy_document })
}

pub async fn get_role(
    ctx: Ctx,
    input: api::GetRolePolicyInput,
) -> Result<api::GetRolePolicyOutput> {
    let (role_name, policy_document) =
        get::<RoleRecord>(&ctx, &input.role_name, &input.policy_name).await?;
    let policy_name = input.policy_name;
    Ok(api::GetRolePolicyOutput { role_name, policy_name, policy_document })
}

pub async fn delete_user(
    ctx: Ctx,
    input: api::DeleteUserPolicyInput,
) -> Result<api::DeleteUserPolicyOutput> {
    remove::<UserRecord>(&ctx, &input.user_name, &input.policy_name).await?;
    Ok(api::DeleteUserPolicyOutput {})
}

pub async fn delete_group(
    ctx: Ctx,
    input: api::DeleteGroupPolicyInput,
) -> Result<api::DeleteGroupPolicyOutput> {
    remove::<GroupRecord>(&ctx, &input.group_name, &input.policy_name).await?;
    Ok(api::DeleteGroupPolicyOutput {})
}

pub async fn delete_role(
    ctx: Ctx,
    input: api::DeleteRolePolicyInput,
) -> Result<api::DeleteRolePolicyOutput> {
    remove::<RoleRecord>(&ctx, &input.role_name, &input.policy_name).await?;
    Ok(api::DeleteRolePolicyOutput {})
}

pub async fn list_user(
    ctx: Ctx,
    input: api::ListUserPoliciesInput,
) -> Result<api::ListUserPoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::<UserRecord>(&ctx, &input.user_name, &page).await?;
    Ok(api::ListUserPoliciesOutput {
        is_truncated: cut.is_truncated(),
        policy_names: cut.items,
        marker: cut.marker,
    })
}

pub async fn list_group(
    ctx: Ctx,
    input: api::ListGroupPoliciesInput,
) -> Result<api::ListGroupPoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::<GroupRecord>(&ctx, &input.group_name, &page).await?;
    Ok(api::ListGroupPoliciesOutput {
        is_truncated: cut.is_truncated(),
        policy_names: cut.items,
        marker: cut.marker,
    })
}

pub async fn list_role(
    ctx: Ctx,
    input: api::ListRolePoliciesInput,
) -> Result<api::ListRolePoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::<RoleRecord>(&ctx, &input.role_name, &page).await?;
    Ok(api::ListRolePoliciesOutput {
        is_truncated: cut.is_truncated(),
        policy_names: cut.items,
        marker: cut.marker,
    })
}
