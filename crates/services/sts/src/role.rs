//! AssumeRole.

use std::sync::Arc;
use std::time::Duration;

use sereno_api_sts as api;
use sereno_base::{Timestamp, access_key_id};
use sereno_kernel::{Caller, Credentials, Ctx, Result, RoleSession};

use crate::{errors, rules};

pub async fn assume(ctx: Ctx, input: api::AssumeRoleInput) -> Result<api::AssumeRoleOutput> {
    rules::role_arn(&input.role_arn)?;
    refuse_unsupported(&input)?;
    let caller_arn = ctx.caller().arn();
    // "You cannot call any AWS STS API except GetCallerIdentity" as a federated user.
    if matches!(ctx.caller(), Caller::Federated(_)) {
        return Err(errors::session_credentials("AssumeRole"));
    }
    let found = ctx.identities()?.role(&input.role_arn).await?;
    // A caller cannot learn whether a role exists that it may not assume.
    let role = found.ok_or_else(|| {
        errors::denied(format!(
            "User: {caller_arn} is not authorized to perform: sts:AssumeRole on resource: {}",
            input.role_arn
        ))
    })?;
    let chained = matches!(ctx.caller(), Caller::Role(_));
    let seconds = rules::role_duration(input.duration_seconds, role.session_s_max, chained)?;
    let (tags, transitive_tags) = rules::session_tags(
        input.tags.as_deref().unwrap_or_default(),
        input.transitive_tag_keys.as_deref().unwrap_or_default(),
        &inherited_tags(ctx.caller()),
    )?;
    let (session_policies, percent) =
        rules::session_policies(input.policy.as_deref(), input.policy_arns.as_deref(), &tags)?;
    let source_identity = source_identity(ctx.caller(), input.source_identity)?;

    let mut chance = [0; 6];
    ctx.fill_random(&mut chance);
    let key = access_key_id("ASIA", role.account, chance);
    let issued = ctx.now();
    let expires = issued.plus(Duration::from_secs(seconds.into()));
    let packed = !session_policies.is_empty() || !tags.is_empty();
    let session = Caller::Role(Arc::new(RoleSession {
        account: role.account,
        role_name: role.name.clone(),
        path: role.path.clone(),
        role_id: role.id.clone(),
        session_name: input.role_session_name.clone(),
        session_policies,
        tags,
        transitive_tags,
        source_identity: source_identity.clone(),
        access_key_id: key.clone(),
        issued,
        expires,
    }));
    let credentials = ctx.identities()?.issue(&session, &key, issued, expires);
    Ok(api::AssumeRoleOutput {
        credentials: Some(shown(credentials, expires)),
        assumed_role_user: Some(api::AssumedRoleUser {
            assumed_role_id: format!("{}:{}", role.id, input.role_session_name),
            arn: session.arn(),
        }),
        packed_policy_size: packed.then(|| i32::try_from(percent).unwrap_or(i32::MAX)),
        source_identity,
        ..Default::default()
    })
}

fn refuse_unsupported(input: &api::AssumeRoleInput) -> Result<()> {
    if input.serial_number.is_some() || input.token_code.is_some() {
        return Err(errors::no_mfa());
    }
    if input.provided_contexts.is_some() {
        return Err(errors::unsupported("ProvidedContexts"));
    }
    if input.minimum_session_token_size.is_some() {
        return Err(errors::unsupported("MinimumSessionTokenSize"));
    }
    Ok(())
}

/// Tags that a session hands on to the sessions it opens.
fn inherited_tags(caller: &Caller) -> Vec<(String, String)> {
    let Caller::Role(session) = caller else { return Vec::new() };
    let handed_on = |key: &str| session.transitive_tags.iter().any(|t| t.eq_ignore_ascii_case(key));
    session.tags.iter().filter(|(key, _)| handed_on(key)).cloned().collect()
}

/// "After the source identity is set, the value cannot be changed."
fn source_identity(caller: &Caller, asked: Option<String>) -> Result<Option<String>> {
    let Caller::Role(session) = caller else { return Ok(asked) };
    match (&session.source_identity, asked) {
        (Some(set), Some(asked)) if *set != asked => {
            Err(errors::denied("The source identity cannot be changed once it is set."))
        }
        (Some(set), _) => Ok(Some(set.clone())),
        (None, asked) => Ok(asked),
    }
}

pub fn shown(credentials: Credentials, expires: Timestamp) -> api::Credentials {
    api::Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        session_token: credentials.session_token,
        // AWS tells whole seconds.
        expiration: Timestamp::from_secs(expires.secs()),
    }
}
