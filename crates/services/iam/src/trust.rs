//! Whom a trust policy means. IAM notes the unique ids of the users and roles that a trust policy names: a
//! namesake that is made later is somebody else.
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles`

use std::collections::BTreeMap;

use serde_json::Value;
use sereno_base::{AccountId, Arn};
use sereno_kernel::{Ctx, Result};
use sereno_policy::{Policy, validate};
use sereno_store::{Read, Scope};

use crate::errors;
use crate::state::{self, Entity, RoleRecord, UserRecord};

/// The ids of all users and roles that `policy` names; one that does not exist makes it invalid.
pub async fn ids<R: Read + ?Sized>(read: &R, policy: &Policy) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for arn in policy.principal_arns().filter(|arn| entity_name(arn).is_some()) {
        match current_id(read, arn).await? {
            Some(id) => ids.insert(arn.to_owned(), id),
            None => {
                return Err(errors::malformed(format!(
                    "Invalid principal in policy: \"AWS\":\"{arn}\""
                )));
            }
        };
    }
    Ok(ids)
}

/// (account, `user` or `role`, path, name); None for anything else (sessions, federated users).
fn entity_name(arn: &str) -> Option<(AccountId, bool, String, String)> {
    let parsed = Arn::parse(arn).filter(|a| a.service == "iam")?;
    let (kind, rest) = parsed.resource.split_once('/')?;
    let is_user = match kind {
        "user" => true,
        "role" => false,
        _ => return None,
    };
    let (path, name) = match rest.rsplit_once('/') {
        Some((path, name)) => (format!("/{path}/"), name),
        None => ("/".to_owned(), rest),
    };
    Some((parsed.account_id()?, is_user, path, name.to_owned()))
}

/// The id of the user or role that has this ARN now.
async fn current_id<R: Read + ?Sized>(read: &R, arn: &str) -> Result<Option<String>> {
    let Some((account, is_user, path, name)) = entity_name(arn) else { return Ok(None) };
    let scope = Scope::new(account, None);
    let key = state::key(&name);
    let same = |entity_path: &str, entity_name: &str| entity_path == path && entity_name == name;
    Ok(if is_user {
        let user: Option<UserRecord> = state::USERS.get(read, scope, &key).await?;
        user.filter(|u| same(u.path(), u.name())).map(|u| u.id)
    } else {
        let role: Option<RoleRecord> = state::ROLES.get(read, scope, &key).await?;
        role.filter(|r| same(r.path(), r.name())).map(|r| r.id)
    })
}

/// The trust policy as it is judged.
pub fn compiled(role: &RoleRecord) -> Option<Policy> {
    let mut policy = validate::trust(&role.trust).ok()?;
    policy.bind_principals(&|arn| role.trust_ids.get(arn).cloned());
    Some(policy)
}

/// The document as IAM shows it: ids stand where an entity is gone.
pub async fn shown(ctx: &Ctx, role: &RoleRecord) -> Result<String> {
    let mut gone = BTreeMap::new();
    for (arn, id) in &role.trust_ids {
        if current_id(ctx.store(), arn).await?.as_ref() != Some(id) {
            gone.insert(arn.as_str(), id.as_str());
        }
    }
    if gone.is_empty() {
        return Ok(role.trust.clone());
    }
    let Ok(mut document) = serde_json::from_str::<Value>(&role.trust) else {
        return Ok(role.trust.clone());
    };
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(many)) => many.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in statements {
        match statement.get_mut("Principal").and_then(|p| p.get_mut("AWS")) {
            Some(Value::Array(values)) => values.iter_mut().for_each(|v| replace(v, &gone)),
            Some(value) => replace(value, &gone),
            None => {}
        }
    }
    Ok(document.to_string())
}

fn replace(value: &mut Value, gone: &BTreeMap<&str, &str>) {
    let id = value.as_str().and_then(|arn| gone.get(arn));
    if let Some(id) = id {
        *value = Value::from(*id);
    }
}
