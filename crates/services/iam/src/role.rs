//! Roles and their trust policies.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::ids::{self, Prefix};
use crate::rules::{self, Page, SESSION_S_DEFAULT};
use crate::state::{self, Entity, Kind, RoleRecord, Usage};
use crate::{boundary, errors, list, trust};

pub async fn create(ctx: Ctx, input: api::CreateRoleInput) -> Result<api::CreateRoleOutput> {
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    if path.starts_with("/aws-service-role/") {
        return Err(errors::invalid_input(
            "Path '/aws-service-role/' is reserved for service-linked roles.",
        ));
    }
    let mut role = RoleRecord {
        name: input.role_name,
        path,
        id: ids::unique_id(&ctx, Prefix::Role),
        created: ids::now(&ctx),
        trust: input.assume_role_policy_document,
        description: input.description,
        session_s_max: seconds(input.max_session_duration),
        ..Default::default()
    };
    rules::set_tags(&mut role.tags, input.tags.as_deref().unwrap_or_default())?;
    let role = insert(&ctx, role, input.permissions_boundary.as_deref()).await?;
    // Recorded (LocalStack test_create_describe_role): without MaxSessionDuration and RoleLastUsed.
    Ok(api::CreateRoleOutput {
        role: api::Role { tags: tags_unless_none(&role), ..shown(&ctx, &role).await? },
    })
}

fn seconds(duration: Option<i32>) -> u32 {
    duration.and_then(|d| u32::try_from(d).ok()).unwrap_or(SESSION_S_DEFAULT)
}

/// Adds a role whose name is free.
pub async fn insert(ctx: &Ctx, role: RoleRecord, limit: Option<&str>) -> Result<RoleRecord> {
    let scope = ctx.account_scope();
    let policy = rules::trust_policy(&role.trust)?;
    let role = transact!(ctx.store(), Error, |txn| {
        if state::ROLES.get(txn, scope, &state::key(&role.name)).await?.is_some() {
            return Err(errors::entity_exists(Kind::Role, &role.name));
        }
        let mut made = role.clone();
        made.trust_ids = trust::ids(txn, &policy).await?;
        if let Some(arn) = limit {
            boundary::set(ctx, txn, &mut made, arn).await?;
        }
        state::save(txn, scope, &made);
        made
    })?;
    Ok(role)
}

pub async fn get(ctx: Ctx, input: api::GetRoleInput) -> Result<api::GetRoleOutput> {
    let role: RoleRecord = state::find(ctx.store(), ctx.account_scope(), &input.role_name).await?;
    Ok(api::GetRoleOutput { role: described(&ctx, &role).await? })
}

/// With everything that GetRole tells.
async fn described(ctx: &Ctx, role: &RoleRecord) -> Result<api::Role> {
    Ok(api::Role {
        max_session_duration: duration(role),
        role_last_used: Some(api::RoleLastUsed::default()),
        tags: tags_unless_none(role),
        ..shown(ctx, role).await?
    })
}

fn duration(role: &RoleRecord) -> Option<i32> {
    i32::try_from(role.session_s_max).ok()
}

pub async fn list(ctx: Ctx, input: api::ListRolesInput) -> Result<api::ListRolesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::by_path::<RoleRecord>(&ctx, &page, input.path_prefix.as_deref()).await?;
    let mut roles = Vec::with_capacity(cut.items.len());
    for role in &cut.items {
        roles.push(listed(&ctx, role).await?);
    }
    Ok(api::ListRolesOutput { roles, is_truncated: cut.is_truncated(), marker: cut.marker })
}

/// "This operation does not return the following attributes: PermissionsBoundary, RoleLastUsed, Tags."
pub async fn listed(ctx: &Ctx, role: &RoleRecord) -> Result<api::Role> {
    Ok(api::Role {
        max_session_duration: duration(role),
        permissions_boundary: None,
        ..shown(ctx, role).await?
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateRoleInput) -> Result<api::UpdateRoleOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut role: RoleRecord = state::find_mut(txn, scope, &input.role_name).await?;
        // UpdateRole sets both: what is left out goes back to its default.
        role.description = input.description.clone();
        role.session_s_max = seconds(input.max_session_duration);
        state::save(txn, scope, &role);
    })?;
    Ok(api::UpdateRoleOutput {})
}

pub async fn update_description(
    ctx: Ctx,
    input: api::UpdateRoleDescriptionInput,
) -> Result<api::UpdateRoleDescriptionOutput> {
    let scope = ctx.account_scope();
    let role = transact!(ctx.store(), Error, |txn| {
        let mut role: RoleRecord = state::find(txn, scope, &input.role_name).await?;
        role.description = Some(input.description.clone());
        state::save(txn, scope, &role);
        role
    })?;
    Ok(api::UpdateRoleDescriptionOutput { role: Some(described(&ctx, &role).await?) })
}

pub async fn update_trust(
    ctx: Ctx,
    input: api::UpdateAssumeRolePolicyInput,
) -> Result<api::UpdateAssumeRolePolicyOutput> {
    let scope = ctx.account_scope();
    let policy = rules::trust_policy(&input.policy_document)?;
    transact!(ctx.store(), Error, |txn| {
        let mut role: RoleRecord = state::find_mut(txn, scope, &input.role_name).await?;
        role.trust_ids = trust::ids(txn, &policy).await?;
        role.trust.clone_from(&input.policy_document);
        state::save(txn, scope, &role);
    })?;
    Ok(api::UpdateAssumeRolePolicyOutput {})
}

pub async fn delete(ctx: Ctx, input: api::DeleteRoleInput) -> Result<api::DeleteRoleOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let role: RoleRecord = state::find_mut(txn, scope, &input.role_name).await?;
        if !role.instance_profiles.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must remove roles from instance profile first.",
            ));
        }
        if !role.grants.attached.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must detach all policies first.",
            ));
        }
        if !role.grants.inline.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must delete policies first.",
            ));
        }
        if let Some(arn) = &role.boundary {
            state::note_attachment(txn, scope, arn, Usage::Boundary, &role, false);
        }
        state::ROLES.delete(txn, scope, &state::key(&role.name));
        state::touch(txn, scope);
    })?;
    Ok(api::DeleteRoleOutput {})
}

/// What every operation shows of a role, and its boundary.
pub async fn shown(ctx: &Ctx, role: &RoleRecord) -> Result<api::Role> {
    Ok(api::Role {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: role.arn(ctx.account()),
        create_date: role.created,
        assume_role_policy_document: Some(rules::encoded(&trust::shown(ctx, role).await?)),
        description: role.description.clone(),
        permissions_boundary: boundary::shown(role.boundary.as_deref()),
        ..Default::default()
    })
}

fn tags_unless_none(role: &RoleRecord) -> Option<Vec<api::Tag>> {
    (!role.tags.is_empty()).then(|| rules::shown_tags(&role.tags))
}
