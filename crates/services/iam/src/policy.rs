//! Managed policies: the account's own, with versions, and AWS's.

use std::collections::HashMap;

use sereno_api_iam as api;
use sereno_base::arn;
use sereno_kernel::{Ctx, Error, Result};
use sereno_policy::validate::IdentityKind;
use sereno_store::{Read, Txn, transact};

use crate::ids::{self, Prefix};
use crate::managed::{self, ManagedPolicy};
use crate::rules::{
    self, MANAGED_POLICY_SIZE_MAX, Page, PolicyArn, VERSIONS_PER_POLICY_MAX, version_number,
};
use crate::state::{self, PolicyRecord, Usage, VersionRecord};
use crate::{errors, rules::Cut};

/// A policy by its ARN.
pub enum Found {
    Own(PolicyRecord),
    Aws(&'static ManagedPolicy),
}

/// None where the ARN names nothing that this account can see.
pub async fn look_up<R: Read + ?Sized>(ctx: &Ctx, read: &R, text: &str) -> Result<Option<Found>> {
    let parsed = PolicyArn::parse(text)?;
    match parsed.account {
        None => Ok(managed::find(&parsed).map(Found::Aws)),
        Some(account) if account == ctx.account() => {
            let key = state::key(&parsed.name);
            let found = state::POLICIES.get(read, ctx.account_scope(), &key).await?;
            let exact = |p: &PolicyRecord| p.path == parsed.path && p.name == parsed.name;
            Ok(found.filter(exact).map(Found::Own))
        }
        Some(_) => Ok(None),
    }
}

/// A policy that exists, for attaching it.
pub async fn attachable(ctx: &Ctx, txn: &Txn, arn: &str) -> Result<()> {
    match look_up(ctx, txn, arn).await? {
        Some(_) => Ok(()),
        None => Err(errors::not_attachable(arn)),
    }
}

async fn found(ctx: &Ctx, arn: &str) -> Result<Found> {
    look_up(ctx, ctx.store(), arn).await?.ok_or_else(|| errors::no_such_policy(arn))
}

/// The account's own policy, to change it.
pub async fn own(ctx: &Ctx, txn: &Txn, arn: &str) -> Result<PolicyRecord> {
    match look_up(ctx, txn, arn).await? {
        Some(Found::Own(policy)) => Ok(policy),
        Some(Found::Aws(_)) => Err(errors::aws_managed(arn)),
        None => Err(errors::no_such_policy(arn)),
    }
}

pub fn save(ctx: &Ctx, txn: &mut Txn, policy: &PolicyRecord) {
    let scope = ctx.account_scope();
    state::POLICIES.put(txn, scope, &state::key(&policy.name), policy);
    state::touch(txn, scope);
}

fn checked(document: &str) -> Result<()> {
    rules::identity_policy(document, IdentityKind::Managed)?;
    if rules::policy_size(document) > MANAGED_POLICY_SIZE_MAX {
        return Err(errors::quota("PolicySize", MANAGED_POLICY_SIZE_MAX));
    }
    Ok(())
}

pub async fn create(ctx: Ctx, input: api::CreatePolicyInput) -> Result<api::CreatePolicyOutput> {
    checked(&input.policy_document)?;
    let now = ids::now(&ctx);
    let mut policy = PolicyRecord {
        name: input.policy_name,
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        id: ids::unique_id(&ctx, Prefix::Policy),
        created: now,
        updated: now,
        description: input.description,
        default_version: 1,
        last_version: 1,
        versions: vec![VersionRecord { number: 1, document: input.policy_document, created: now }],
        ..Default::default()
    };
    rules::set_tags(&mut policy.tags, input.tags.as_deref().unwrap_or_default())?;
    transact!(ctx.store(), Error, |txn| {
        let key = state::key(&policy.name);
        if state::POLICIES.get(txn, ctx.account_scope(), &key).await?.is_some() {
            return Err(errors::policy_exists(&policy.name));
        }
        save(&ctx, txn, &policy);
    })?;
    // Recorded (LocalStack test_role_attach_policy): no description, tags only where there are some.
    let tags = (!policy.tags.is_empty()).then(|| rules::shown_tags(&policy.tags));
    let shown = api::Policy { tags, ..shown(&ctx, &policy, Uses::default()) };
    Ok(api::CreatePolicyOutput { policy: Some(shown) })
}

pub async fn get(ctx: Ctx, input: api::GetPolicyInput) -> Result<api::GetPolicyOutput> {
    let uses = uses(&ctx).await?.remove(&input.policy_arn).unwrap_or_default();
    let policy = match found(&ctx, &input.policy_arn).await? {
        Found::Own(policy) => api::Policy {
            description: policy.description.clone(),
            tags: Some(rules::shown_tags(&policy.tags)),
            ..shown(&ctx, &policy, uses)
        },
        Found::Aws(policy) => api::Policy { tags: Some(Vec::new()), ..shown_managed(policy, uses) },
    };
    Ok(api::GetPolicyOutput { policy: Some(policy) })
}

pub async fn delete(ctx: Ctx, input: api::DeletePolicyInput) -> Result<api::DeletePolicyOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let policy = own(&ctx, txn, &input.policy_arn).await?;
        let attachments = state::ATTACHMENTS.list(scope, (input.policy_arn.as_str(),)).limit(1);
        if !attachments.read(txn).await?.is_empty() {
            return Err(errors::delete_conflict("Cannot delete a policy attached to entities."));
        }
        if policy.versions.len() > 1 {
            return Err(errors::delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
            ));
        }
        state::POLICIES.delete(txn, scope, &state::key(&policy.name));
        state::touch(txn, scope);
    })?;
    Ok(api::DeletePolicyOutput {})
}

pub async fn list(ctx: Ctx, input: api::ListPoliciesInput) -> Result<api::ListPoliciesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let uses = uses(&ctx).await?;
    let of = |arn: &str| uses.get(arn).copied().unwrap_or_default();
    let mut all: Vec<(String, api::Policy)> = Vec::new();
    let scope = input.scope.unwrap_or(api::PolicyScopeType::All);
    if scope != api::PolicyScopeType::Aws {
        for (_, policy) in state::POLICIES.list(ctx.account_scope(), ()).read(ctx.store()).await? {
            let arn = own_arn(&ctx, &policy);
            all.push((format!("0{arn}"), shown(&ctx, &policy, of(&arn))));
        }
    }
    if scope != api::PolicyScopeType::Local {
        for policy in managed::all() {
            all.push((format!("1{}", policy.arn()), shown_managed(policy, of(&policy.arn()))));
        }
    }
    let attached = input.only_attached == Some(true);
    let wanted = |p: &api::Policy| {
        let prefix = input.path_prefix.as_deref();
        let path = p.path.as_deref().unwrap_or("/");
        let (permissions, boundary) = (
            p.attachment_count.unwrap_or(0) > 0,
            p.permissions_boundary_usage_count.unwrap_or(0) > 0,
        );
        let used = match &input.policy_usage_filter {
            Some(api::PolicyUsageType::PermissionsPolicy) => permissions,
            Some(api::PolicyUsageType::PermissionsBoundary) => boundary,
            _ => !attached || permissions || boundary,
        };
        prefix.is_none_or(|prefix| path.starts_with(prefix)) && used
    };
    all.retain(|(_, p)| wanted(p));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let cut: Cut<api::Policy> = page.cut(all);
    Ok(api::ListPoliciesOutput {
        is_truncated: cut.is_truncated(),
        policies: Some(cut.items),
        marker: cut.marker,
    })
}

pub async fn create_version(
    ctx: Ctx,
    input: api::CreatePolicyVersionInput,
) -> Result<api::CreatePolicyVersionOutput> {
    checked(&input.policy_document)?;
    let version = transact!(ctx.store(), Error, |txn| {
        let mut policy = own(&ctx, txn, &input.policy_arn).await?;
        if policy.versions.len() >= VERSIONS_PER_POLICY_MAX {
            return Err(errors::limit(
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
            ));
        }
        policy.last_version += 1;
        policy.updated = ids::now(&ctx);
        let version = VersionRecord {
            number: policy.last_version,
            document: input.policy_document.clone(),
            created: ids::now(&ctx),
        };
        policy.versions.push(version.clone());
        if input.set_as_default == Some(true) {
            policy.default_version = version.number;
        }
        save(&ctx, txn, &policy);
        shown_version(&policy, &version, false)
    })?;
    Ok(api::CreatePolicyVersionOutput { policy_version: Some(version) })
}

pub async fn get_version(
    ctx: Ctx,
    input: api::GetPolicyVersionInput,
) -> Result<api::GetPolicyVersionOutput> {
    let (arn, id) = (&input.policy_arn, &input.version_id);
    let missing = || errors::no_such_version(arn, id);
    let version = match look_up(&ctx, ctx.store(), arn).await?.ok_or_else(missing)? {
        Found::Own(policy) => {
            let number = version_number(id);
            let version = policy.versions.iter().find(|v| Some(v.number) == number);
            shown_version(&policy, version.ok_or_else(missing)?, true)
        }
        Found::Aws(policy) if policy.version() == *id => shown_managed_version(policy, true),
        Found::Aws(_) => return Err(missing()),
    };
    Ok(api::GetPolicyVersionOutput { policy_version: Some(version) })
}

pub async fn list_versions(
    ctx: Ctx,
    input: api::ListPolicyVersionsInput,
) -> Result<api::ListPolicyVersionsOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let versions: Vec<(String, api::PolicyVersion)> = match found(&ctx, &input.policy_arn).await? {
        Found::Own(policy) => {
            let newest_first = policy.versions.iter().rev();
            newest_first
                .map(|v| (format!("{:08}", u32::MAX - v.number), shown_version(&policy, v, false)))
                .collect()
        }
        Found::Aws(policy) => vec![(String::new(), shown_managed_version(policy, false))],
    };
    let cut = page.cut(versions);
    Ok(api::ListPolicyVersionsOutput {
        is_truncated: cut.is_truncated(),
        versions: Some(cut.items),
        marker: cut.marker,
    })
}

pub async fn delete_version(
    ctx: Ctx,
    input: api::DeletePolicyVersionInput,
) -> Result<api::DeletePolicyVersionOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut policy = own(&ctx, txn, &input.policy_arn).await?;
        let number = existing(&policy, &input.policy_arn, &input.version_id)?;
        if number == policy.default_version {
            return Err(errors::delete_conflict("Cannot delete the default version of a policy."));
        }
        policy.versions.retain(|v| v.number != number);
        policy.updated = ids::now(&ctx);
        save(&ctx, txn, &policy);
    })?;
    Ok(api::DeletePolicyVersionOutput {})
}

pub async fn set_default(
    ctx: Ctx,
    input: api::SetDefaultPolicyVersionInput,
) -> Result<api::SetDefaultPolicyVersionOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut policy = own(&ctx, txn, &input.policy_arn).await?;
        policy.default_version = existing(&policy, &input.policy_arn, &input.version_id)?;
        policy.updated = ids::now(&ctx);
        save(&ctx, txn, &policy);
    })?;
    Ok(api::SetDefaultPolicyVersionOutput {})
}

fn existing(policy: &PolicyRecord, arn: &str, id: &str) -> Result<u32> {
    let number = version_number(id);
    let found = policy.versions.iter().find(|v| Some(v.number) == number);
    found.map(|v| v.number).ok_or_else(|| errors::no_such_version(arn, id))
}

/// How often a policy is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uses {
    permissions: i32,
    boundary: i32,
}

/// Of every policy that is used at all, by ARN.
pub async fn uses(ctx: &Ctx) -> Result<HashMap<String, Uses>> {
    let mut all: HashMap<String, Uses> = HashMap::new();
    let attachments = state::ATTACHMENTS.list(ctx.account_scope(), ()).read(ctx.store()).await?;
    for ((arn, usage, ..), _) in attachments {
        let uses = all.entry(arn).or_default();
        if usage == Usage::Permissions.word() {
            uses.permissions += 1;
        } else {
            uses.boundary += 1;
        }
    }
    Ok(all)
}

pub fn own_arn(ctx: &Ctx, policy: &PolicyRecord) -> String {
    arn("iam", None, Some(ctx.account()), &format!("policy{}{}", policy.path, policy.name))
}

/// Without description and tags, which few operations show.
pub fn shown(ctx: &Ctx, policy: &PolicyRecord, uses: Uses) -> api::Policy {
    api::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        arn: Some(own_arn(ctx, policy)),
        path: Some(policy.path.clone()),
        default_version_id: Some(format!("v{}", policy.default_version)),
        attachment_count: Some(uses.permissions),
        permissions_boundary_usage_count: Some(uses.boundary),
        is_attachable: Some(true),
        description: None,
        create_date: Some(policy.created),
        update_date: Some(policy.updated),
        tags: None,
    }
}

pub fn shown_managed(policy: &ManagedPolicy, uses: Uses) -> api::Policy {
    api::Policy {
        policy_name: Some(policy.name.to_owned()),
        policy_id: Some(ids::managed_policy_id(policy.name)),
        arn: Some(policy.arn()),
        path: Some(policy.path.clone()),
        default_version_id: Some(policy.version().to_owned()),
        attachment_count: Some(uses.permissions),
        permissions_boundary_usage_count: Some(uses.boundary),
        is_attachable: Some(true),
        description: None,
        create_date: Some(managed::CREATED),
        update_date: Some(managed::CREATED),
        tags: None,
    }
}

pub fn shown_version(
    policy: &PolicyRecord,
    version: &VersionRecord,
    document: bool,
) -> api::PolicyVersion {
    api::PolicyVersion {
        document: document.then(|| rules::encoded(&version.document)),
        version_id: Some(format!("v{}", version.number)),
        is_default_version: Some(version.number == policy.default_version),
        create_date: Some(version.created),
    }
}

pub fn shown_managed_version(policy: &ManagedPolicy, document: bool) -> api::PolicyVersion {
    api::PolicyVersion {
        document: document.then(|| rules::encoded(&policy.document)),
        version_id: Some(policy.version().to_owned()),
        is_default_version: Some(true),
        create_date: Some(managed::CREATED),
    }
}
