//! Sessions of the caller itself: GetSessionToken, GetFederationToken.

use std::sync::Arc;
use std::time::Duration;

use sereno_api_sts as api;
use sereno_base::access_key_id;
use sereno_kernel::{Caller, Ctx, FederatedUser, Result, User};

use crate::role::shown;
use crate::{errors, rules};

/// A user with its own key, or the root user; anything that is a session itself may not open one.
enum Holder {
    Root,
    User(Arc<User>),
}

fn holder(caller: &Caller, operation: &'static str) -> Result<Holder> {
    match caller {
        Caller::Root { .. } => Ok(Holder::Root),
        Caller::User(user) if !user.access_key_id.starts_with("ASIA") => {
            Ok(Holder::User(Arc::clone(user)))
        }
        _ => Err(errors::session_credentials(operation)),
    }
}

fn new_key(ctx: &Ctx) -> String {
    let mut chance = [0; 6];
    ctx.fill_random(&mut chance);
    access_key_id("ASIA", ctx.account(), chance)
}

pub async fn session_token(
    ctx: Ctx,
    input: api::GetSessionTokenInput,
) -> Result<api::GetSessionTokenOutput> {
    if input.serial_number.is_some() || input.token_code.is_some() {
        return Err(errors::no_mfa());
    }
    if input.minimum_session_token_size.is_some() {
        return Err(errors::unsupported("MinimumSessionTokenSize"));
    }
    let holder = holder(ctx.caller(), "GetSessionToken")?;
    let seconds = rules::user_duration(input.duration_seconds, matches!(holder, Holder::Root));
    let key = new_key(&ctx);
    let issued = ctx.now();
    let expires = issued.plus(Duration::from_secs(seconds.into()));
    let session = match holder {
        Holder::Root => ctx.caller().clone(),
        Holder::User(user) => {
            Caller::User(Arc::new(User { access_key_id: key.clone(), ..(*user).clone() }))
        }
    };
    let credentials = ctx.identities()?.issue(&session, &key, issued, expires);
    Ok(api::GetSessionTokenOutput {
        credentials: Some(shown(credentials, expires)),
        ..Default::default()
    })
}

pub async fn federation_token(
    ctx: Ctx,
    input: api::GetFederationTokenInput,
) -> Result<api::GetFederationTokenOutput> {
    if input.tags.as_ref().is_some_and(|t| !t.is_empty()) {
        return Err(errors::unsupported("Tags"));
    }
    if input.minimum_session_token_size.is_some() {
        return Err(errors::unsupported("MinimumSessionTokenSize"));
    }
    let holder = holder(ctx.caller(), "GetFederationToken")?;
    let seconds = rules::user_duration(input.duration_seconds, matches!(holder, Holder::Root));
    let (session_policies, percent) =
        rules::session_policies(input.policy.as_deref(), input.policy_arns.as_deref(), &[])?;
    let key = new_key(&ctx);
    let issued = ctx.now();
    let expires = issued.plus(Duration::from_secs(seconds.into()));
    let session = Caller::Federated(Arc::new(FederatedUser {
        account: ctx.account(),
        name: input.name.clone(),
        issuer: match holder {
            Holder::Root => None,
            Holder::User(user) => Some((*user).clone()),
        },
        session_policies,
        access_key_id: key.clone(),
        expires,
    }));
    let credentials = ctx.identities()?.issue(&session, &key, issued, expires);
    Ok(api::GetFederationTokenOutput {
        credentials: Some(shown(credentials, expires)),
        federated_user: Some(api::FederatedUser {
            federated_user_id: session.user_id(),
            arn: session.arn(),
        }),
        packed_policy_size: Some(i32::try_from(percent).unwrap_or(i32::MAX)),
        ..Default::default()
    })
}
