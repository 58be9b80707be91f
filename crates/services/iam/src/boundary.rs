//! Permissions boundaries of users and roles.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::state::{self, Bounded, RoleRecord, Usage, UserRecord};
use crate::{errors, policy};

/// Puts a boundary in the place of the present one; the entity is not saved yet.
pub async fn set<E: Bounded>(ctx: &Ctx, txn: &mut Txn, entity: &mut E, arn: &str) -> Result<()> {
    policy::attachable(ctx, txn, arn).await?;
    clear(ctx, txn, entity);
    *entity.boundary_mut() = Some(arn.to_owned());
    state::note_attachment(txn, ctx.account_scope(), arn, Usage::Boundary, entity, true);
    Ok(())
}

fn clear<E: Bounded>(ctx: &Ctx, txn: &mut Txn, entity: &mut E) -> bool {
    let Some(old) = entity.boundary_mut().take() else { return false };
    state::note_attachment(txn, ctx.account_scope(), &old, Usage::Boundary, entity, false);
    true
}

async fn put<E: Bounded>(ctx: &Ctx, name: &str, arn: &str) -> Result<()> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        set(ctx, txn, &mut entity, arn).await?;
        state::save(txn, scope, &entity);
    })
}

async fn remove<E: Bounded>(ctx: &Ctx, name: &str) -> Result<()> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let mut entity: E = state::find_mut(txn, scope, name).await?;
        if !clear(ctx, txn, &mut entity) {
            return Err(errors::no_such(format!(
                "{} {} does not have a PermissionsBoundary.",
                capital(E::KIND),
                entity.name()
            )));
        }
        state::save(txn, scope, &entity);
    })
}

fn capital(kind: state::Kind) -> &'static str {
    match kind {
        state::Kind::User => "User",
        state::Kind::Group => "Group",
        state::Kind::Role => "Role",
    }
}

pub async fn put_on_user(
    ctx: Ctx,
    input: api::PutUserPermissionsBoundaryInput,
) -> Result<api::PutUserPermissionsBoundaryOutput> {
    put::<UserRecord>(&ctx, &input.user_name, &input.permissions_boundary).await?;
    Ok(api::PutUserPermissionsBoundaryOutput {})
}

pub async fn put_on_role(
    ctx: Ctx,
    input: api::PutRolePermissionsBoundaryInput,
) -> Result<api::PutRolePermissionsBoundaryOutput> {
    put::<RoleRecord>(&ctx, &input.role_name, &input.permissions_boundary).await?;
    Ok(api::PutRolePermissionsBoundaryOutput {})
}

pub async fn delete_from_user(
    ctx: Ctx,
    input: api::DeleteUserPermissionsBoundaryInput,
) -> Result<api::DeleteUserPermissionsBoundaryOutput> {
    remove::<UserRecord>(&ctx, &input.user_name).await?;
    Ok(api::DeleteUserPermissionsBoundaryOutput {})
}

pub async fn delete_from_role(
    ctx: Ctx,
    input: api::DeleteRolePermissionsBoundaryInput,
) -> Result<api::DeleteRolePermissionsBoundaryOutput> {
    remove::<RoleRecord>(&ctx, &input.role_name).await?;
    Ok(api::DeleteRolePermissionsBoundaryOutput {})
}

pub fn shown(arn: Option<&str>) -> Option<api::AttachedPermissionsBoundary> {
    arn.map(|arn| api::AttachedPermissionsBoundary {
        // What AWS answers, whatever its model says.
        permissions_boundary_type: Some("Policy".into()),
        permissions_boundary_arn: Some(arn.to_owned()),
    })
}
