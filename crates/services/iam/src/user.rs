//! Users.

use sereno_api_iam as api;
use sereno_kernel::{Caller, Ctx, Error, Result};
use sereno_store::{Scope, Txn, transact};

use crate::access::named_user;
use crate::ids::{self, Prefix};
use crate::rules::{self, Page};
use crate::state::{self, Entity, Kind, UserRecord};
use crate::{boundary, errors, key, list};

pub async fn create(ctx: Ctx, input: api::CreateUserInput) -> Result<api::CreateUserOutput> {
    let scope = ctx.account_scope();
    let mut user = UserRecord {
        name: input.user_name,
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        id: ids::unique_id(&ctx, Prefix::User),
        created: ids::now(&ctx),
        ..Default::default()
    };
    rules::set_tags(&mut user.tags, input.tags.as_deref().unwrap_or_default())?;
    transact!(ctx.store(), Error, |txn| {
        if state::USERS.get(txn, scope, &state::key(&user.name)).await?.is_some() {
            return Err(errors::entity_exists(Kind::User, &user.name));
        }
        let mut made = user.clone();
        if let Some(arn) = &input.permissions_boundary {
            boundary::set(&ctx, txn, &mut made, arn).await?;
        }
        state::save(txn, scope, &made);
        user.boundary = made.boundary;
    })?;
    let shown = api::User { tags: tags_unless_none(&user), ..shown(&ctx, &user) };
    Ok(api::CreateUserOutput { user: Some(shown) })
}

pub async fn get(ctx: Ctx, input: api::GetUserInput) -> Result<api::GetUserOutput> {
    if let (None, Caller::Root { account }) = (&input.user_name, ctx.caller()) {
        let user = api::User {
            user_id: account.to_string(),
            arn: ctx.caller().arn(),
            ..Default::default()
        };
        return Ok(api::GetUserOutput { user });
    }
    let name = named_user(&ctx, input.user_name)?;
    let user: UserRecord = state::find(ctx.store(), ctx.account_scope(), &name).await?;
    let user = api::User { tags: tags_unless_none(&user), ..shown(&ctx, &user) };
    Ok(api::GetUserOutput { user })
}

pub async fn list(ctx: Ctx, input: api::ListUsersInput) -> Result<api::ListUsersOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let cut = list::by_path::<UserRecord>(&ctx, &page, input.path_prefix.as_deref()).await?;
    Ok(api::ListUsersOutput {
        is_truncated: cut.is_truncated(),
        // "This operation does not return the following attributes: PermissionsBoundary, Tags."
        users: cut
            .items
            .iter()
            .map(|u| api::User { permissions_boundary: None, ..shown(&ctx, u) })
            .collect(),
        marker: cut.marker,
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateUserInput) -> Result<api::UpdateUserOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut old: UserRecord = state::find_mut(txn, scope, &input.user_name).await?;
        let mut new = old.clone();
        if let Some(path) = &input.new_path {
            new.path.clone_from(path);
        }
        if let Some(name) = &input.new_user_name {
            new.name.clone_from(name);
            if state::key(name) != state::key(&old.name) {
                if state::USERS.get(txn, scope, &state::key(name)).await?.is_some() {
                    return Err(errors::entity_exists(Kind::User, name));
                }
                state::USERS.delete(txn, scope, &state::key(&old.name));
            }
        }
        list::move_attachments(txn, scope, &old, &new);
        list::move_boundary(txn, scope, &mut old, &new);
        rename_in_groups(txn, scope, &old, &new);
        key::rename(txn, scope, &new).await?;
        state::save(txn, scope, &new);
    })?;
    Ok(api::UpdateUserOutput {})
}

fn rename_in_groups(txn: &mut Txn, scope: Scope, old: &UserRecord, new: &UserRecord) {
    for group in &old.groups {
        let group = state::key(group);
        state::MEMBERS.delete(txn, scope, &(group.as_str(), state::key(&old.name).as_str()));
        state::MEMBERS.put(txn, scope, &(group.as_str(), state::key(&new.name).as_str()), &());
    }
}

pub async fn delete(ctx: Ctx, input: api::DeleteUserInput) -> Result<api::DeleteUserOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let user: UserRecord = state::find_mut(txn, scope, &input.user_name).await?;
        deletable(&user)?;
        if let Some(arn) = &user.boundary {
            state::note_attachment(txn, scope, arn, state::Usage::Boundary, &user, false);
        }
        state::USERS.delete(txn, scope, &state::key(&user.name));
        state::touch(txn, scope);
    })?;
    Ok(api::DeleteUserOutput {})
}

fn deletable(user: &UserRecord) -> Result<()> {
    if !user.grants.attached.is_empty() {
        Err(errors::delete_conflict("Cannot delete entity, must detach all policies first."))
    } else if !user.grants.inline.is_empty() {
        Err(errors::delete_conflict("Cannot delete entity, must delete policies first."))
    } else if !user.access_keys.is_empty() {
        Err(errors::delete_conflict("Cannot delete entity, must delete access keys first."))
    } else if !user.groups.is_empty() {
        Err(errors::delete_conflict("Cannot delete entity, must remove users from group first."))
    } else if !user.credentials.is_empty() {
        Err(errors::delete_conflict("Cannot delete entity, must remove referenced objects first."))
    } else {
        Ok(())
    }
}

/// With its boundary, without its tags.
pub fn shown(ctx: &Ctx, user: &UserRecord) -> api::User {
    api::User {
        path: user.path.clone(),
        user_name: user.name.clone(),
        user_id: user.id.clone(),
        arn: user.arn(ctx.account()),
        create_date: user.created,
        password_last_used: None,
        permissions_boundary: boundary::shown(user.boundary.as_deref()),
        tags: None,
    }
}

fn tags_unless_none(user: &UserRecord) -> Option<Vec<api::Tag>> {
    (!user.tags.is_empty()).then(|| rules::shown_tags(&user.tags))
}
