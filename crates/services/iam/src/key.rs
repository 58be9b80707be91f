//! Access keys. A secret is not kept: it follows from the server's key and the access key's id.

use hmac::{Hmac, KeyInit, Mac};
use sereno_api_iam as api;
use sereno_base::{access_key_id, base64_encode};
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Scope, Txn, transact};
use sha2::Sha256;

use crate::access::named_user;
use crate::rules::{ACCESS_KEYS_PER_USER_MAX, Page};
use crate::state::{self, AccessKeyRecord, UserRecord};
use crate::{errors, ids};

/// What the server's key is derived for.
pub const PURPOSE: &str = "iam.access-key";

/// Forty characters of base64, as AWS's secrets are.
pub fn secret(key: &[u8; 32], id: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(id.as_bytes());
    let digest = mac.finalize().into_bytes();
    base64_encode(&digest[..30])
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateAccessKeyInput,
) -> Result<api::CreateAccessKeyOutput> {
    let scope = ctx.account_scope();
    let name = named_user(&ctx, input.user_name)?;
    let mut chance = [0; 6];
    ctx.fill_random(&mut chance);
    let id = access_key_id("AKIA", ctx.account(), chance);
    let record = transact!(ctx.store(), Error, |txn| {
        let mut user: UserRecord = state::find_mut(txn, scope, &name).await?;
        if user.access_keys.len() >= ACCESS_KEYS_PER_USER_MAX {
            return Err(errors::quota("AccessKeysPerUser", ACCESS_KEYS_PER_USER_MAX));
        }
        if state::ACCESS_KEYS.get(txn, scope, &id).await?.is_some() {
            return Err(Error::unavailable("an access key id came up twice"));
        }
        let record = AccessKeyRecord {
            id: id.clone(),
            user: user.name.clone(),
            user_id: user.id.clone(),
            inactive: false,
            created: ids::now(&ctx),
        };
        user.access_keys.push(id.clone());
        state::ACCESS_KEYS.put(txn, scope, &id, &record);
        state::save(txn, scope, &user);
        record
    })?;
    Ok(api::CreateAccessKeyOutput {
        access_key: api::AccessKey {
            user_name: record.user,
            secret_access_key: secret(&ctx.derive_key(PURPOSE), &record.id),
            access_key_id: record.id,
            status: api::StatusType::Active,
            create_date: Some(record.created),
        },
    })
}

pub async fn list(ctx: Ctx, input: api::ListAccessKeysInput) -> Result<api::ListAccessKeysOutput> {
    let scope = ctx.account_scope();
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let name = named_user(&ctx, input.user_name)?;
    let user: UserRecord = state::find(ctx.store(), scope, &name).await?;
    let mut ids = user.access_keys.clone();
    ids.sort();
    let cut = page.cut(ids.into_iter().map(|id| (id.clone(), id)));
    let mut keys = Vec::with_capacity(cut.items.len());
    for id in &cut.items {
        if let Some(found) = state::ACCESS_KEYS.get(ctx.store(), scope, id).await? {
            keys.push(api::AccessKeyMetadata {
                user_name: Some(user.name.clone()),
                access_key_id: Some(found.id),
                status: Some(status(found.inactive)),
                create_date: Some(found.created),
            });
        }
    }
    Ok(api::ListAccessKeysOutput {
        access_key_metadata: keys,
        is_truncated: cut.is_truncated(),
        marker: cut.marker,
    })
}

fn status(inactive: bool) -> api::StatusType {
    if inactive { api::StatusType::Inactive } else { api::StatusType::Active }
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateAccessKeyInput,
) -> Result<api::UpdateAccessKeyOutput> {
    let scope = ctx.account_scope();
    let inactive = match input.status {
        api::StatusType::Active => false,
        api::StatusType::Inactive => true,
        other => {
            return Err(errors::validation(format!("{other} is not a status of an access key.")));
        }
    };
    let name = named_user(&ctx, input.user_name)?;
    transact!(ctx.store(), Error, |txn| {
        let (_, mut record) = of_user(txn, scope, &name, &input.access_key_id).await?;
        record.inactive = inactive;
        state::ACCESS_KEYS.put(txn, scope, &record.id, &record);
        state::touch(txn, scope);
    })?;
    Ok(api::UpdateAccessKeyOutput {})
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteAccessKeyInput,
) -> Result<api::DeleteAccessKeyOutput> {
    let scope = ctx.account_scope();
    let name = named_user(&ctx, input.user_name)?;
    transact!(ctx.store(), Error, |txn| {
        let (mut user, record) = of_user(txn, scope, &name, &input.access_key_id).await?;
        user.access_keys.retain(|id| *id != record.id);
        state::ACCESS_KEYS.delete(txn, scope, &record.id);
        state::LAST_USED.delete(txn, scope, &record.id);
        state::save(txn, scope, &user);
    })?;
    Ok(api::DeleteAccessKeyOutput {})
}

async fn of_user(
    txn: &Txn,
    scope: Scope,
    name: &str,
    id: &str,
) -> Result<(UserRecord, AccessKeyRecord)> {
    let user: UserRecord = state::find(txn, scope, name).await?;
    let found = state::ACCESS_KEYS.get(txn, scope, id).await?;
    match found.filter(|k| k.user_id == user.id) {
        Some(key) => Ok((user, key)),
        None => Err(errors::no_such_access_key(id)),
    }
}

/// The user of these keys got another name.
pub async fn rename(txn: &mut Txn, scope: Scope, user: &UserRecord) -> Result<()> {
    for id in &user.access_keys {
        if let Some(mut record) = state::ACCESS_KEYS.get(txn, scope, id).await? {
            record.user.clone_from(&user.name);
            state::ACCESS_KEYS.put(txn, scope, id, &record);
        }
    }
    Ok(())
}

pub async fn last_used(
    ctx: Ctx,
    input: api::GetAccessKeyLastUsedInput,
) -> Result<api::GetAccessKeyLastUsedOutput> {
    let scope = ctx.account_scope();
    let id = input.access_key_id;
    let found = state::ACCESS_KEYS.get(ctx.store(), scope, &id).await?;
    let key = found.ok_or_else(|| errors::no_such_access_key(&id))?;
    let used = state::LAST_USED.get(ctx.store(), scope, &id).await?;
    let shown = match used {
        Some(used) => api::AccessKeyLastUsed {
            last_used_date: Some(used.at),
            service_name: used.service,
            region: used.region,
        },
        // A key that was never used.
        None => api::AccessKeyLastUsed {
            last_used_date: None,
            service_name: "N/A".to_owned(),
            region: "N/A".to_owned(),
        },
    };
    Ok(api::GetAccessKeyLastUsedOutput {
        user_name: Some(key.user),
        access_key_last_used: Some(shown),
    })
}
