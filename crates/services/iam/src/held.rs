//! What an entity holds, compiled. Used by the directory only; what cannot be read is an error, never a gap.

use std::sync::Arc;

use sereno_kernel::{Error, Result};
use sereno_policy::Policy;
use sereno_policy::validate::{self, IdentityKind};
use sereno_store::{Read, Scope};

use crate::managed;
use crate::rules::PolicyArn;
use crate::state::{self, GrantsRecord};

/// Adds everything that an entity holds. What cannot be read is an error: it might have held a deny.
pub async fn collect<R: Read + ?Sized>(
    read: &R,
    scope: Scope,
    grants: &GrantsRecord,
    into: &mut Vec<Arc<Policy>>,
) -> Result<()> {
    for document in grants.inline.values() {
        let policy = validate::identity(document, IdentityKind::Inline);
        into.push(Arc::new(policy.map_err(|e| Error::internal(format!("a kept policy: {e}")))?));
    }
    for arn in &grants.attached {
        match managed_policy(read, scope, arn).await? {
            Some(policy) => into.push(policy),
            // Policies of service-linked roles: only their names are known, so they allow nothing.
            None if PolicyArn::parse(arn)?.account.is_none() => {}
            None => return Err(Error::internal(format!("{arn} is attached and does not exist"))),
        }
    }
    Ok(())
}

/// The default version of a managed policy.
pub async fn managed_policy<R: Read + ?Sized>(
    read: &R,
    scope: Scope,
    arn: &str,
) -> Result<Option<Arc<Policy>>> {
    let parsed = PolicyArn::parse(arn)?;
    if parsed.account.is_none() {
        return Ok(managed::find(&parsed).map(|p| Arc::clone(&p.policy)));
    }
    let found = state::POLICIES.get(read, scope, &state::key(&parsed.name)).await?;
    let Some(policy) = found.filter(|p| p.path == parsed.path) else { return Ok(None) };
    let version = policy.versions.iter().find(|v| v.number == policy.default_version);
    let Some(version) = version else { return Ok(None) };
    match validate::identity(&version.document, IdentityKind::Inline) {
        Ok(policy) => Ok(Some(Arc::new(policy))),
        Err(e) => Err(Error::internal(format!("a kept policy: {e}"))),
    }
}

/// A boundary that is gone bounds everything.
pub async fn boundary<R: Read + ?Sized>(
    read: &R,
    scope: Scope,
    arn: Option<&str>,
) -> Result<Option<Arc<Policy>>> {
    let Some(arn) = arn else { return Ok(None) };
    match managed_policy(read, scope, arn).await? {
        Some(policy) => Ok(Some(policy)),
        None => {
            let nothing = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
            let policy = validate::identity(nothing, IdentityKind::Inline);
            policy.map(|p| Some(Arc::new(p))).map_err(|e| Error::internal(e.to_string()))
        }
    }
}
