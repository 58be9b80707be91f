//! Passwords of a user for one service: CodeCommit and Keyspaces take no signatures.
//!
//! A password is told when it is made and when it is made anew; kept is its digest, which is enough
//! to know it again: nobody guesses 256 bits of chance.
//!
//! Recorded: localstack tests/aws/services/iam/test_iam.py, `TestIAMServiceSpecificCredentials`.

use sereno_api_iam as api;
use sereno_base::{base64_encode, hex};
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;
use sha2::{Digest, Sha256};

use crate::access::named_user;
use crate::rules::Page;
use crate::state::{self, CredentialRecord, UserRecord};
use crate::{errors, ids};

const SERVICES: [&str; 2] = ["codecommit.amazonaws.com", "cassandra.amazonaws.com"];
const PER_SERVICE_MAX: usize = 2;

fn check_service(name: &str) -> Result<()> {
    match SERVICES.contains(&name) {
        true => Ok(()),
        false => Err(errors::no_such(format!(
            "No such service {name} is supported for Service Specific Credentials"
        ))),
    }
}

fn password(ctx: &Ctx) -> String {
    let mut chance = [0; 32];
    ctx.fill_random(&mut chance);
    base64_encode(&chance)
}

fn digest(password: &str) -> String {
    hex(&Sha256::digest(password))
}

/// The first credential for a service has the plain name, a second one `+1`.
fn service_user_name(user: &UserRecord, service: &str, account: &str) -> String {
    let plain = format!("{}-at-{account}", user.name);
    let mut own = user.credentials.iter().filter(|c| c.service == service);
    match own.any(|c| c.service_user_name == plain) {
        true => format!("{}+1-at-{account}", user.name),
        false => plain,
    }
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateServiceSpecificCredentialInput,
) -> Result<api::CreateServiceSpecificCredentialOutput> {
    let scope = ctx.account_scope();
    let password = password(&ctx);
    let id = ids::unique_id(&ctx, ids::Prefix::Credential);
    let account = ctx.account().to_string();
    let (user, record) = transact!(ctx.store(), Error, |txn| {
        let mut user: UserRecord = state::find_mut(txn, scope, &input.user_name).await?;
        check_service(&input.service_name)?;
        if input.credential_age_days.is_some() {
            return Err(errors::invalid_input(format!(
                "CredentialAgeDays is not supported for the service {}",
                input.service_name
            )));
        }
        let held = user.credentials.iter().filter(|c| c.service == input.service_name).count();
        if held >= PER_SERVICE_MAX {
            return Err(errors::quota("ServiceSpecificCredentialsPerUser", PER_SERVICE_MAX));
        }
        let record = CredentialRecord {
            id: id.clone(),
            service: input.service_name.clone(),
            service_user_name: service_user_name(&user, &input.service_name, &account),
            digest: digest(&password),
            inactive: false,
            created: ids::now(&ctx),
        };
        user.credentials.push(record.clone());
        state::save(txn, scope, &user);
        (user.name, record)
    })?;
    Ok(api::CreateServiceSpecificCredentialOutput {
        service_specific_credential: Some(with_password(user, record, password)),
    })
}

fn status(record: &CredentialRecord) -> api::StatusType {
    if record.inactive { api::StatusType::Inactive } else { api::StatusType::Active }
}

fn with_password(
    user: String,
    record: CredentialRecord,
    password: String,
) -> api::ServiceSpecificCredential {
    api::ServiceSpecificCredential {
        status: status(&record),
        create_date: record.created,
        service_name: record.service,
        service_user_name: Some(record.service_user_name),
        service_password: Some(password),
        service_specific_credential_id: record.id,
        user_name: user,
        ..api::ServiceSpecificCredential::default()
    }
}

pub async fn list(
    ctx: Ctx,
    input: api::ListServiceSpecificCredentialsInput,
) -> Result<api::ListServiceSpecificCredentialsOutput> {
    let scope = ctx.account_scope();
    let users = match input.all_users {
        Some(true) if input.user_name.is_some() => {
            return Err(errors::invalid_input("UserName and AllUsers exclude each other"));
        }
        Some(true) => {
            let all = state::USERS.list(scope, ()).read(ctx.store()).await?;
            all.into_iter().map(|(_, user)| user).collect()
        }
        _ => {
            let name = named_user(&ctx, input.user_name)?;
            let user: UserRecord = state::find(ctx.store(), scope, &name).await?;
            vec![user]
        }
    };
    if let Some(service) = &input.service_name {
        check_service(service)?;
    }
    let wanted = |record: &CredentialRecord| {
        input.service_name.as_ref().is_none_or(|service| *service == record.service)
    };
    let shown = users.iter().flat_map(|user| {
        user.credentials.iter().filter(|record| wanted(record)).map(|record| {
            (format!("{}/{}", state::key(&user.name), record.id), metadata(user, record))
        })
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort_by(|(left, _), (right, _)| left.cmp(right));
    let cut = Page::new(input.marker.as_deref(), input.max_items)?.cut(shown);
    Ok(api::ListServiceSpecificCredentialsOutput {
        // Recorded: told only where there is more.
        is_truncated: cut.marker.as_ref().map(|_| true),
        marker: cut.marker,
        service_specific_credentials: Some(cut.items),
    })
}

fn metadata(
    user: &UserRecord,
    record: &CredentialRecord,
) -> api::ServiceSpecificCredentialMetadata {
    api::ServiceSpecificCredentialMetadata {
        user_name: user.name.clone(),
        status: status(record),
        service_user_name: Some(record.service_user_name.clone()),
        create_date: record.created,
        service_specific_credential_id: record.id.clone(),
        service_name: record.service.clone(),
        ..api::ServiceSpecificCredentialMetadata::default()
    }
}

/// Changes one of a user's credentials; `None` removes it.
async fn change(
    ctx: &Ctx,
    user_name: Option<String>,
    id: &str,
    change: impl Fn(&mut CredentialRecord) -> Option<()>,
) -> Result<(String, CredentialRecord)> {
    let scope = ctx.account_scope();
    let name = named_user(ctx, user_name)?;
    transact!(ctx.store(), Error, |txn| {
        let mut user: UserRecord = state::find_mut(txn, scope, &name).await?;
        let at = user.credentials.iter().position(|record| record.id == id);
        let at = at.ok_or_else(|| errors::no_such(format!("No such credential {id} exists")))?;
        let kept = change(&mut user.credentials[at]);
        let record = user.credentials[at].clone();
        if kept.is_none() {
            user.credentials.remove(at);
        }
        state::save(txn, scope, &user);
        (user.name, record)
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateServiceSpecificCredentialInput,
) -> Result<api::UpdateServiceSpecificCredentialOutput> {
    let inactive = match input.status {
        api::StatusType::Active => false,
        api::StatusType::Inactive => true,
        _ => return Err(errors::invalid_input("A credential cannot be set to expired")),
    };
    change(&ctx, input.user_name, &input.service_specific_credential_id, |record| {
        record.inactive = inactive;
        Some(())
    })
    .await?;
    Ok(api::UpdateServiceSpecificCredentialOutput {})
}

pub async fn reset(
    ctx: Ctx,
    input: api::ResetServiceSpecificCredentialInput,
) -> Result<api::ResetServiceSpecificCredentialOutput> {
    let password = password(&ctx);
    let changed = change(&ctx, input.user_name, &input.service_specific_credential_id, |record| {
        record.digest = digest(&password);
        Some(())
    });
    let (user, record) = changed.await?;
    Ok(api::ResetServiceSpecificCredentialOutput {
        service_specific_credential: Some(with_password(user, record, password)),
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteServiceSpecificCredentialInput,
) -> Result<api::DeleteServiceSpecificCredentialOutput> {
    change(&ctx, input.user_name, &input.service_specific_credential_id, |_| None).await?;
    Ok(api::DeleteServiceSpecificCredentialOutput {})
}
