//! GetAccountAuthorizationDetails: everything of an account at once.

use sereno_api_iam as api;
use sereno_kernel::{Ctx, Result};

use crate::rules::Page;
use crate::source::inline_details;
use crate::state::{self, Entity, GroupRecord, RoleRecord, UserRecord};
use crate::{attach, boundary, managed, policy, profile, role, rules};

enum Item {
    User(UserRecord),
    Group(GroupRecord),
    Role(RoleRecord),
    Policy(api::ManagedPolicyDetail),
}

pub async fn get(
    ctx: Ctx,
    input: api::GetAccountAuthorizationDetailsInput,
) -> Result<api::GetAccountAuthorizationDetailsOutput> {
    let page = Page::new(input.marker.as_deref(), input.max_items)?;
    let filter = input.filter.unwrap_or_default();
    let cut = page.cut(items(&ctx, &filter).await?);
    let is_truncated = cut.is_truncated();
    let mut output = api::GetAccountAuthorizationDetailsOutput {
        is_truncated,
        marker: cut.marker,
        ..Default::default()
    };
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let (mut roles, mut policies) = (Vec::new(), Vec::new());
    for item in cut.items {
        match item {
            Item::User(user) => users.push(shown_user(&ctx, &user)),
            Item::Group(group) => groups.push(shown_group(&ctx, &group)),
            Item::Role(role) => roles.push(shown_role(&ctx, &role).await?),
            Item::Policy(policy) => policies.push(policy),
        }
    }
    output.user_detail_list = Some(users);
    output.group_detail_list = Some(groups);
    output.role_detail_list = Some(roles);
    output.policies = Some(policies);
    Ok(output)
}

/// All that the filter lets through, sorted by kind and name.
async fn items(ctx: &Ctx, filter: &[api::EntityType]) -> Result<Vec<(String, Item)>> {
    let (scope, store) = (ctx.account_scope(), ctx.store());
    let wanted = |kind: api::EntityType| filter.is_empty() || filter.contains(&kind);
    let mut all = Vec::new();
    if wanted(api::EntityType::User) {
        let found = state::USERS.list(scope, ()).read(store).await?;
        all.extend(found.into_iter().map(|(k, v)| (format!("0{k}"), Item::User(v))));
    }
    if wanted(api::EntityType::Group) {
        let found = state::GROUPS.list(scope, ()).read(store).await?;
        all.extend(found.into_iter().map(|(k, v)| (format!("1{k}"), Item::Group(v))));
    }
    if wanted(api::EntityType::Role) {
        let found = state::ROLES.list(scope, ()).read(store).await?;
        all.extend(found.into_iter().map(|(k, v)| (format!("2{k}"), Item::Role(v))));
    }
    let uses = policy::uses(ctx).await?;
    if wanted(api::EntityType::LocalManagedPolicy) {
        for (key, found) in state::POLICIES.list(scope, ()).read(store).await? {
            let arn = policy::own_arn(ctx, &found);
            let shown = policy::shown(ctx, &found, uses.get(&arn).copied().unwrap_or_default());
            let versions = found.versions.iter().rev();
            let versions = versions.map(|v| policy::shown_version(&found, v, true)).collect();
            let shown = api::Policy { description: found.description.clone(), ..shown };
            all.push((format!("3{key}"), Item::Policy(detail(shown, versions))));
        }
    }
    if wanted(api::EntityType::AwsManagedPolicy) {
        // AWS's policies are listed as far as the account uses them.
        for found in managed::all() {
            if let Some(used) = uses.get(&found.arn()) {
                let shown = policy::shown_managed(found, *used);
                let versions = vec![policy::shown_managed_version(found, true)];
                all.push((format!("4{}", found.name), Item::Policy(detail(shown, versions))));
            }
        }
    }
    Ok(all)
}

fn detail(policy: api::Policy, versions: Vec<api::PolicyVersion>) -> api::ManagedPolicyDetail {
    api::ManagedPolicyDetail {
        policy_name: policy.policy_name,
        policy_id: policy.policy_id,
        arn: policy.arn,
        path: policy.path,
        default_version_id: policy.default_version_id,
        attachment_count: policy.attachment_count,
        permissions_boundary_usage_count: policy.permissions_boundary_usage_count,
        is_attachable: policy.is_attachable,
        description: policy.description,
        create_date: policy.create_date,
        update_date: policy.update_date,
        policy_version_list: Some(versions),
    }
}

fn shown_user(ctx: &Ctx, user: &UserRecord) -> api::UserDetail {
    api::UserDetail {
        path: Some(user.path.clone()),
        user_name: Some(user.name.clone()),
        user_id: Some(user.id.clone()),
        arn: Some(user.arn(ctx.account())),
        create_date: Some(user.created),
        user_policy_list: Some(inline_details(user)),
        group_list: Some(user.groups.clone()),
        attached_managed_policies: Some(attach::all(user)),
        permissions_boundary: boundary::shown(user.boundary.as_deref()),
        tags: Some(rules::shown_tags(&user.tags)),
    }
}

fn shown_group(ctx: &Ctx, group: &GroupRecord) -> api::GroupDetail {
    api::GroupDetail {
        path: Some(group.path.clone()),
        group_name: Some(group.name.clone()),
        group_id: Some(group.id.clone()),
        arn: Some(group.arn(ctx.account())),
        create_date: Some(group.created),
        group_policy_list: Some(inline_details(group)),
        attached_managed_policies: Some(attach::all(group)),
    }
}

async fn shown_role(ctx: &Ctx, record: &RoleRecord) -> Result<api::RoleDetail> {
    let shown = role::shown(ctx, record).await?;
    Ok(api::RoleDetail {
        path: Some(shown.path),
        role_name: Some(shown.role_name),
        role_id: Some(shown.role_id),
        arn: Some(shown.arn),
        create_date: Some(shown.create_date),
        assume_role_policy_document: shown.assume_role_policy_document,
        instance_profile_list: Some(profile::of_role(ctx, &record.instance_profiles).await?),
        role_policy_list: Some(inline_details(record)),
        attached_managed_policies: Some(attach::all(record)),
        permissions_boundary: shown.permissions_boundary,
        tags: Some(rules::shown_tags(&record.tags)),
        role_last_used: Some(api::RoleLastUsed::default()),
    })
}
