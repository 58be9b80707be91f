//! The account as a whole: alias, summary, and who uses a policy.

use std::collections::BTreeMap;

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Record, Table, transact};

use crate::rules::{self, Page};
use crate::state::{self, AliasRecord, Kind, Usage};
use crate::{errors, policy};

const ALIAS: &str = "alias";

pub async fn create_alias(
    ctx: Ctx,
    input: api::CreateAccountAliasInput,
) -> Result<api::CreateAccountAliasOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let record = AliasRecord { alias: input.account_alias.clone() };
        // "An AWS account can have only one alias": a new one replaces the old.
        if state::ALIASES.get(txn, scope, ALIAS).await?.as_ref() == Some(&record) {
            return Err(errors::alias_exists(&record.alias));
        }
        state::ALIASES.put(txn, scope, ALIAS, &record);
    })?;
    Ok(api::CreateAccountAliasOutput {})
}

pub async fn delete_alias(
    ctx: Ctx,
    input: api::DeleteAccountAliasInput,
) -> Result<api::DeleteAccountAliasOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let found = state::ALIASES.get(txn, scope, ALIAS).await?;
        if found.is_none_or(|a| a.alias != input.account_alias) {
            return Err(errors::no_such(format!(
                "The account alias {} cannot be found.",
                input.account_alias
            )));
        }
        state::ALIASES.delete(txn, scope, ALIAS);
    })?;
    Ok(api::DeleteAccountAliasOutput {})
}

pub async fn list_aliases(
    ctx: Ctx,
    input: api::ListAccountAliasesInput,
) -> Result<api::ListAccountAliasesOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let found = state::ALIASES.get(ctx.store(), ctx.account_scope(), ALIAS).await?;
    let cut = page.cut(found.into_iter().map(|a| (a.alias.clone(), a.alias)));
    Ok(api::ListAccountAliasesOutput {
        is_truncated: cut.is_truncated(),
        account_aliases: cut.items,
        marker: cut.marker,
    })
}

async fn count<V: Record>(ctx: &Ctx, table: Table<String, V>) -> Result<i32> {
    let all = table.list(ctx.account_scope(), ()).read(ctx.store()).await?;
    Ok(i32::try_from(all.len()).unwrap_or(i32::MAX))
}

/// `https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html`
pub async fn summary(
    ctx: Ctx,
    _input: api::GetAccountSummaryInput,
) -> Result<api::GetAccountSummaryOutput> {
    let scope = ctx.account_scope();
    let policies = state::POLICIES.list(scope, ()).read(ctx.store()).await?;
    let versions: usize = policies.iter().map(|(_, p)| p.versions.len()).sum();
    let known = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let map: BTreeMap<&str, i32> = BTreeMap::from([
        ("Users", count(&ctx, state::USERS).await?),
        ("Groups", count(&ctx, state::GROUPS).await?),
        ("Roles", count(&ctx, state::ROLES).await?),
        ("Policies", known(policies.len())),
        ("PolicyVersionsInUse", known(versions)),
        ("InstanceProfiles", count(&ctx, state::PROFILES).await?),
        ("Providers", count(&ctx, state::PROVIDERS).await?),
        ("AccessKeysPerUserQuota", known(rules::ACCESS_KEYS_PER_USER_MAX)),
        ("AccountAccessKeysPresent", 0),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("AssumeRolePolicySizeQuota", known(rules::TRUST_POLICY_SIZE_MAX)),
        ("AttachedPoliciesPerGroupQuota", known(rules::POLICIES_PER_ENTITY_MAX)),
        ("AttachedPoliciesPerRoleQuota", known(rules::POLICIES_PER_ENTITY_MAX)),
        ("AttachedPoliciesPerUserQuota", known(rules::POLICIES_PER_ENTITY_MAX)),
        ("GlobalEndpointTokenVersion", 1),
        ("GroupPolicySizeQuota", known(rules::inline_size_max(Kind::Group))),
        ("GroupsPerUserQuota", known(rules::GROUPS_PER_USER_MAX)),
        ("GroupsQuota", 300),
        ("InstanceProfilesQuota", 1_000),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("PoliciesQuota", 1_500),
        ("PolicySizeQuota", known(rules::MANAGED_POLICY_SIZE_MAX)),
        ("PolicyVersionsInUseQuota", 10_000),
        ("RolePolicySizeQuota", known(rules::inline_size_max(Kind::Role))),
        ("RolesQuota", 1_000),
        ("ServerCertificates", 0),
        ("ServerCertificatesQuota", 20),
        ("SigningCertificatesPerUserQuota", 2),
        ("UserPolicySizeQuota", known(rules::inline_size_max(Kind::User))),
        ("UsersQuota", 5_000),
        ("VersionsPerPolicyQuota", known(rules::VERSIONS_PER_POLICY_MAX)),
    ]);
    let map = map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(api::GetAccountSummaryOutput { summary_map: Some(map) })
}

pub async fn entities_for_policy(
    ctx: Ctx,
    input: api::ListEntitiesForPolicyInput,
) -> Result<api::ListEntitiesForPolicyOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    if policy::look_up(&ctx, ctx.store(), &input.policy_arn).await?.is_none() {
        return Err(errors::no_such_policy(&input.policy_arn));
    }
    let listing = state::ATTACHMENTS.list(ctx.account_scope(), (input.policy_arn.as_str(),));
    let attachments = listing.read(ctx.store()).await?;
    let usage = match &input.policy_usage_filter {
        Some(api::PolicyUsageType::PermissionsBoundary) => Some(Usage::Boundary.word()),
        Some(api::PolicyUsageType::PermissionsPolicy) => Some(Usage::Permissions.word()),
        _ => None,
    };
    let kind = match &input.entity_filter {
        Some(api::EntityType::User) => Some("user"),
        Some(api::EntityType::Role) => Some("role"),
        Some(api::EntityType::Group) => Some("group"),
        Some(other) => {
            let managed = matches!(
                other,
                api::EntityType::LocalManagedPolicy | api::EntityType::AwsManagedPolicy
            );
            // The filter knows policies, but no policy is attached to a policy.
            managed.then_some("policy")
        }
        None => None,
    };
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let mut found: Vec<(String, (String, state::AttachmentRecord))> = attachments
        .into_iter()
        .filter(|((_, u, k, _), a)| {
            usage.is_none_or(|x| x == u)
                && kind.is_none_or(|x| x == k)
                && a.path.starts_with(prefix)
        })
        .map(|((_, _, kind, name), a)| (format!("{kind}/{name}"), (kind, a)))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    let cut = page.cut(found);
    let is_truncated = cut.is_truncated();
    let (mut groups, mut users, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, a) in cut.items {
        let (name, id) = (Some(a.name), Some(a.id));
        match kind.as_str() {
            "user" => users.push(api::PolicyUser { user_name: name, user_id: id }),
            "group" => groups.push(api::PolicyGroup { group_name: name, group_id: id }),
            _ => roles.push(api::PolicyRole { role_name: name, role_id: id }),
        }
    }
    Ok(api::ListEntitiesForPolicyOutput {
        policy_groups: Some(groups),
        policy_users: Some(users),
        policy_roles: Some(roles),
        is_truncated,
        marker: cut.marker,
    })
}
