//! Policies with the names under which the simulator reports them.

use std::sync::Arc;

use sereno_api_iam as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Result};
use sereno_policy::Policy;
use sereno_policy::validate::IdentityKind;

use crate::policy::{self, Found};
use crate::state::{self, Entity, GroupRecord, RoleRecord, UserRecord};
use crate::{errors, rules};

pub struct Source {
    pub id: String,
    pub policy: Arc<Policy>,
}

/// All that an entity holds.
pub struct Held {
    pub sources: Vec<Source>,
    pub boundary: Option<Arc<Policy>>,
}

/// Documents that a request brings: `PolicyInputList.1`, `PolicyInputList.2`, ...
pub fn documents(documents: &[String], list: &str) -> Result<Vec<Source>> {
    let numbered = documents.iter().enumerate();
    numbered
        .map(|(at, document)| {
            let id = format!("{list}.{}", at + 1);
            let policy = rules::identity_policy(document, IdentityKind::Inline).map_err(|e| {
                errors::invalid_input(format!("Invalid Policy {id}: {}", e.message()))
            })?;
            Ok(Source { id, policy: Arc::new(policy) })
        })
        .collect()
}

/// The policies of a user (and its groups), a group or a role.
pub async fn of_entity(ctx: &Ctx, arn: &str) -> Result<Held> {
    let parsed = Arn::parse(arn)
        .filter(|a| a.service == "iam" && a.account_id() == Some(ctx.account()))
        .ok_or_else(|| errors::invalid_input(format!("Invalid Entity Arn: {arn}")))?;
    let Some((kind, rest)) = parsed.resource.split_once('/') else {
        return Err(errors::invalid_input(format!("Invalid Entity Arn: {arn}")));
    };
    let name = rest.rsplit('/').next().unwrap_or(rest);
    let scope = ctx.account_scope();
    let mut held = Held { sources: Vec::new(), boundary: None };
    match kind {
        "user" => {
            let user: UserRecord = state::find(ctx.store(), scope, name).await?;
            collect(ctx, &user, &mut held.sources).await?;
            for group in &user.groups {
                let group: GroupRecord = state::find(ctx.store(), scope, group).await?;
                collect(ctx, &group, &mut held.sources).await?;
            }
            held.boundary = boundary(ctx, user.boundary.as_deref()).await?;
        }
        "group" => {
            let group: GroupRecord = state::find(ctx.store(), scope, name).await?;
            collect(ctx, &group, &mut held.sources).await?;
        }
        "role" => {
            let role: RoleRecord = state::find(ctx.store(), scope, name).await?;
            collect(ctx, &role, &mut held.sources).await?;
            held.boundary = boundary(ctx, role.boundary.as_deref()).await?;
        }
        _ => return Err(errors::invalid_input(format!("Invalid Entity Arn: {arn}"))),
    }
    Ok(held)
}

async fn collect<E: Entity>(ctx: &Ctx, entity: &E, into: &mut Vec<Source>) -> Result<()> {
    let (kind, name) = (E::KIND.word(), entity.name());
    for (policy, document) in &entity.grants().inline {
        let compiled = rules::identity_policy(document, IdentityKind::Inline)?;
        into.push(Source { id: format!("{kind}_{name}_{policy}"), policy: Arc::new(compiled) });
    }
    for arn in &entity.grants().attached {
        let id = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        into.extend(managed(ctx, arn).await?.map(|policy| Source { id, policy }));
    }
    Ok(())
}

async fn boundary(ctx: &Ctx, arn: Option<&str>) -> Result<Option<Arc<Policy>>> {
    match arn {
        Some(arn) => managed(ctx, arn).await,
        None => Ok(None),
    }
}

async fn managed(ctx: &Ctx, arn: &str) -> Result<Option<Arc<Policy>>> {
    match policy::look_up(ctx, ctx.store(), arn).await? {
        Some(Found::Aws(policy)) => Ok(Some(Arc::clone(&policy.policy))),
        Some(Found::Own(policy)) => {
            let default = policy.versions.iter().find(|v| v.number == policy.default_version);
            let compile = |document: &str| rules::identity_policy(document, IdentityKind::Inline);
            default.map(|v| compile(&v.document).map(Arc::new)).transpose()
        }
        None => Ok(None),
    }
}

/// Inline policies as GetAccountAuthorizationDetails shows them.
pub fn inline_details<E: Entity>(entity: &E) -> Vec<api::PolicyDetail> {
    let inline = entity.grants().inline.iter();
    inline
        .map(|(name, document)| api::PolicyDetail {
            policy_name: Some(name.clone()),
            policy_document: Some(rules::encoded(document)),
        })
        .collect()
}
