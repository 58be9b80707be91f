//! Groups and who is in them.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::ids::{self, Prefix};
use crate::rules::{GROUPS_PER_USER_MAX, Page};
use crate::state::{self, Entity, GroupRecord, Kind, UserRecord};
use crate::{errors, list, user};

pub async fn create(ctx: Ctx, input: api::CreateGroupInput) -> Result<api::CreateGroupOutput> {
    let scope = ctx.account_scope();
    let group = GroupRecord {
        name: input.group_name,
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        id: ids::unique_id(&ctx, Prefix::Group),
        created: ids::now(&ctx),
        ..Default::default()
    };
    transact!(ctx.store(), Error, |txn| {
        if state::GROUPS.get(txn, scope, &state::key(&group.name)).await?.is_some() {
            return Err(errors::entity_exists(Kind::Group, &group.name));
        }
        state::save(txn, scope, &group);
    })?;
    Ok(api::CreateGroupOutput { group: shown(&ctx, &group) })
}

pub async fn get(ctx: Ctx, input: api::GetGroupInput) -> Result<api::GetGroupOutput> {
    let scope = ctx.account_scope();
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let group: GroupRecord = state::find(ctx.store(), scope, &input.group_name).await?;
    let members = members(&ctx, &group).await?;
    let cut = page.cut(members.into_iter().map(|name| (name.clone(), name)));
    let mut users = Vec::with_capacity(cut.items.len());
    for name in &cut.items {
        if let Some(found) = state::USERS.get(ctx.store(), scope, name).await? {
            users.push(api::User { permissions_boundary: None, ..user::shown(&ctx, &found) });
        }
    }
    Ok(api::GetGroupOutput {
        group: shown(&ctx, &group),
        users,
        is_truncated: cut.is_truncated(),
        marker: cut.marker,
    })
}

/// Keys of the users, sorted.
async fn members(ctx: &Ctx, group: &GroupRecord) -> Result<Vec<String>> {
    let listing = state::MEMBERS.list(ctx.account_scope(), (state::key(&group.name),));
    let found = listing.read(ctx.store()).await?;
    Ok(found.into_iter().map(|((_, user), ())| user).collect())
}

pub async fn list(ctx: Ctx, input: api::ListGroupsInput) -> Result<api::ListGroupsOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::by_path::<GroupRecord>(&ctx, &page, input.path_prefix.as_deref()).await?;
    Ok(api::ListGroupsOutput {
        is_truncated: cut.is_truncated(),
        groups: cut.items.iter().map(|g| shown(&ctx, g)).collect(),
        marker: cut.marker,
    })
}

pub async fn list_of_user(
    ctx: Ctx,
    input: api::ListGroupsForUserInput,
) -> Result<api::ListGroupsForUserOutput> {
    let scope = ctx.account_scope();
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let user: UserRecord = state::find(ctx.store(), scope, &input.user_name).await?;
    let mut names: Vec<String> = user.groups.iter().map(|g| state::key(g)).collect();
    names.sort();
    let cut = page.cut(names.into_iter().map(|name| (name.clone(), name)));
    let mut groups = Vec::with_capacity(cut.items.len());
    for name in &cut.items {
        if let Some(group) = state::GROUPS.get(ctx.store(), scope, name).await? {
            groups.push(shown(&ctx, &group));
        }
    }
    Ok(api::ListGroupsForUserOutput {
        groups,
        is_truncated: cut.is_truncated(),
        marker: cut.marker,
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateGroupInput) -> Result<api::UpdateGroupOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let old: GroupRecord = state::find(txn, scope, &input.group_name).await?;
        let mut new = old.clone();
        if let Some(path) = &input.new_path {
            new.path.clone_from(path);
        }
        if let Some(name) = &input.new_group_name {
            new.name.clone_from(name);
        }
        let (old_key, new_key) = (state::key(&old.name), state::key(&new.name));
        if new_key != old_key {
            if state::GROUPS.get(txn, scope, &new_key).await?.is_some() {
                return Err(errors::entity_exists(Kind::Group, &new.name));
            }
            state::GROUPS.delete(txn, scope, &old_key);
        }
        list::move_attachments(txn, scope, &old, &new);
        let members = state::MEMBERS.list(scope, (old_key.as_str(),)).read(txn).await?;
        for ((_, user_key), ()) in members {
            let found = state::USERS.get(txn, scope, &user_key).await?;
            let Some(mut user) = found else { continue };
            for group in user.groups.iter_mut().filter(|g| state::key(g) == old_key) {
                group.clone_from(&new.name);
            }
            state::MEMBERS.delete(txn, scope, &(old_key.as_str(), user_key.as_str()));
            state::MEMBERS.put(txn, scope, &(new_key.as_str(), user_key.as_str()), &());
            state::save(txn, scope, &user);
        }
        state::save(txn, scope, &new);
    })?;
    Ok(api::UpdateGroupOutput {})
}

pub async fn delete(ctx: Ctx, input: api::DeleteGroupInput) -> Result<api::DeleteGroupOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let group: GroupRecord = state::find(txn, scope, &input.group_name).await?;
        let key = state::key(&group.name);
        if !group.grants.attached.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must detach all policies first.",
            ));
        }
        if !group.grants.inline.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must delete policies first.",
            ));
        }
        if !state::MEMBERS.list(scope, (key.as_str(),)).limit(1).read(txn).await?.is_empty() {
            return Err(errors::delete_conflict(
                "Cannot delete entity, must remove users from group first.",
            ));
        }
        state::GROUPS.delete(txn, scope, &key);
        state::touch(txn, scope);
    })?;
    Ok(api::DeleteGroupOutput {})
}

pub async fn add_user(
    ctx: Ctx,
    input: api::AddUserToGroupInput,
) -> Result<api::AddUserToGroupOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let group: GroupRecord = state::find(txn, scope, &input.group_name).await?;
        let mut user: UserRecord = state::find(txn, scope, &input.user_name).await?;
        let key = state::key(&group.name);
        if user.groups.iter().all(|g| state::key(g) != key) {
            if user.groups.len() >= GROUPS_PER_USER_MAX {
                return Err(errors::quota("GroupsPerUser", GROUPS_PER_USER_MAX));
            }
            let place = (key.as_str(), state::key(&user.name));
            state::MEMBERS.put(txn, scope, &(place.0, place.1.as_str()), &());
            user.groups.push(group.name);
            state::save(txn, scope, &user);
        }
    })?;
    Ok(api::AddUserToGroupOutput {})
}

pub async fn remove_user(
    ctx: Ctx,
    input: api::RemoveUserFromGroupInput,
) -> Result<api::RemoveUserFromGroupOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let group: GroupRecord = state::find(txn, scope, &input.group_name).await?;
        let mut user: UserRecord = state::find(txn, scope, &input.user_name).await?;
        let (group_key, user_key) = (state::key(&group.name), state::key(&user.name));
        user.groups.retain(|g| state::key(g) != group_key);
        state::MEMBERS.delete(txn, scope, &(group_key.as_str(), user_key.as_str()));
        state::save(txn, scope, &user);
    })?;
    Ok(api::RemoveUserFromGroupOutput {})
}

pub fn shown(ctx: &Ctx, group: &GroupRecord) -> api::Group {
    api::Group {
        path: group.path.clone(),
        group_name: group.name.clone(),
        group_id: group.id.clone(),
        arn: group.arn(ctx.account()),
        create_date: group.created,
    }
}
