//! Instance profiles: kept for templates and tools that make them; no machine ever uses one.

use sereno_api_iam as api;
use sereno_base::arn;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, Txn, transact};

use crate::ids::{self, Prefix};
use crate::rules::{self, Page};
use crate::state::{self, InstanceProfileRecord, RoleRecord};
use crate::{errors, role};

pub async fn find<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &str,
) -> Result<InstanceProfileRecord> {
    let found = state::PROFILES.get(read, ctx.account_scope(), &state::key(name)).await?;
    found.ok_or_else(|| errors::no_such_profile(name))
}

pub fn save(ctx: &Ctx, txn: &mut Txn, profile: &InstanceProfileRecord) {
    let scope = ctx.account_scope();
    state::PROFILES.put(txn, scope, &state::key(&profile.name), profile);
    state::touch(txn, scope);
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateInstanceProfileInput,
) -> Result<api::CreateInstanceProfileOutput> {
    let mut profile = InstanceProfileRecord {
        name: input.instance_profile_name,
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        id: ids::unique_id(&ctx, Prefix::Profile),
        created: ids::now(&ctx),
        ..Default::default()
    };
    rules::set_tags(&mut profile.tags, input.tags.as_deref().unwrap_or_default())?;
    transact!(ctx.store(), Error, |txn| {
        let key = state::key(&profile.name);
        if state::PROFILES.get(txn, ctx.account_scope(), &key).await?.is_some() {
            return Err(errors::profile_exists(&profile.name));
        }
        save(&ctx, txn, &profile);
    })?;
    Ok(api::CreateInstanceProfileOutput { instance_profile: shown(&ctx, &profile).await? })
}

pub async fn get(
    ctx: Ctx,
    input: api::GetInstanceProfileInput,
) -> Result<api::GetInstanceProfileOutput> {
    let profile = find(&ctx, ctx.store(), &input.instance_profile_name).await?;
    Ok(api::GetInstanceProfileOutput { instance_profile: shown(&ctx, &profile).await? })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteInstanceProfileInput,
) -> Result<api::DeleteInstanceProfileOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let profile = find(&ctx, txn, &input.instance_profile_name).await?;
        if profile.role.is_some() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must remove roles from instance profile first.",
            ));
        }
        state::PROFILES.delete(txn, scope, &state::key(&profile.name));
        state::touch(txn, scope);
    })?;
    Ok(api::DeleteInstanceProfileOutput {})
}

pub async fn list(
    ctx: Ctx,
    input: api::ListInstanceProfilesInput,
) -> Result<api::ListInstanceProfilesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let all = state::PROFILES.list(ctx.account_scope(), ()).read(ctx.store()).await?;
    let prefix = input.path_prefix.as_deref();
    let wanted = all.into_iter().filter(|(_, p)| prefix.is_none_or(|x| p.path.starts_with(x)));
    let cut = page.cut(wanted);
    let mut shown_profiles = Vec::with_capacity(cut.items.len());
    for profile in &cut.items {
        shown_profiles.push(api::InstanceProfile { tags: None, ..shown(&ctx, profile).await? });
    }
    Ok(api::ListInstanceProfilesOutput {
        instance_profiles: shown_profiles,
        is_truncated: cut.is_truncated(),
        marker: cut.marker,
    })
}

pub async fn list_of_role(
    ctx: Ctx,
    input: api::ListInstanceProfilesForRoleInput,
) -> Result<api::ListInstanceProfilesForRoleOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let role: RoleRecord = state::find(ctx.store(), ctx.account_scope(), &input.role_name).await?;
    let mut names: Vec<String> = role.instance_profiles.iter().map(|n| state::key(n)).collect();
    names.sort();
    let cut = page.cut(names.into_iter().map(|n| (n.clone(), n)));
    Ok(api::ListInstanceProfilesForRoleOutput {
        instance_profiles: of_role(&ctx, &cut.items).await?,
        is_truncated: cut.is_truncated(),
        marker: cut.marker,
    })
}

/// The profiles with these names, as listings show them.
pub async fn of_role(ctx: &Ctx, names: &[String]) -> Result<Vec<api::InstanceProfile>> {
    let mut profiles = Vec::with_capacity(names.len());
    for name in names {
        if let Ok(profile) = find(ctx, ctx.store(), name).await {
            profiles.push(api::InstanceProfile { tags: None, ..shown(ctx, &profile).await? });
        }
    }
    Ok(profiles)
}

pub async fn add_role(
    ctx: Ctx,
    input: api::AddRoleToInstanceProfileInput,
) -> Result<api::AddRoleToInstanceProfileOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut profile = find(&ctx, txn, &input.instance_profile_name).await?;
        let mut role: RoleRecord = state::find_mut(txn, scope, &input.role_name).await?;
        if profile.role.is_some() {
            return Err(errors::quota("InstanceSessionsPerInstanceProfile", 1));
        }
        profile.role = Some(role.name.clone());
        role.instance_profiles.push(profile.name.clone());
        save(&ctx, txn, &profile);
        state::save(txn, scope, &role);
    })?;
    Ok(api::AddRoleToInstanceProfileOutput {})
}

pub async fn remove_role(
    ctx: Ctx,
    input: api::RemoveRoleFromInstanceProfileInput,
) -> Result<api::RemoveRoleFromInstanceProfileOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut profile = find(&ctx, txn, &input.instance_profile_name).await?;
        let mut role: RoleRecord = state::find(txn, scope, &input.role_name).await?;
        let held = profile.role.as_ref().is_some_and(|r| state::key(r) == state::key(&role.name));
        if !held {
            return Err(errors::no_such_entity(state::Kind::Role, &input.role_name));
        }
        profile.role = None;
        role.instance_profiles.retain(|p| state::key(p) != state::key(&profile.name));
        save(&ctx, txn, &profile);
        state::save(txn, scope, &role);
    })?;
    Ok(api::RemoveRoleFromInstanceProfileOutput {})
}

async fn shown(ctx: &Ctx, profile: &InstanceProfileRecord) -> Result<api::InstanceProfile> {
    let mut roles = Vec::new();
    if let Some(name) = &profile.role {
        let found: RoleRecord = state::find(ctx.store(), ctx.account_scope(), name).await?;
        let role = role::shown(ctx, &found).await?;
        roles.push(api::Role { permissions_boundary: None, ..role });
    }
    let resource = format!("instance-profile{}{}", profile.path, profile.name);
    Ok(api::InstanceProfile {
        path: profile.path.clone(),
        instance_profile_name: profile.name.clone(),
        instance_profile_id: profile.id.clone(),
        arn: arn("iam", None, Some(ctx.account()), &resource),
        create_date: profile.created,
        roles,
        tags: (!profile.tags.is_empty()).then(|| rules::shown_tags(&profile.tags)),
    })
}
