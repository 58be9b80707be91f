//! IAM: who may do what. Users, groups, roles, policies, access keys; and [`Directory`], through which the kernel
//! asks for keys and policies of every request.
//!
//! Invariants
//! - Every operation is registered through [`access::Guarded`]: its target is judged before its handler runs.
//! - A change of an account moves its generation in the same commit ([`state::touch`]).
//! - No secret is stored: secrets follow from the server's key.

mod access;
mod account;
mod attach;
mod boundary;
mod credential;
mod details;
mod directory;
mod errors;
#[cfg(test)]
mod golden;
mod group;
mod held;
mod ids;
mod inline;
mod key;
mod last_used;
mod linked;
mod list;
mod managed;
mod oidc;
mod policy;
mod profile;
mod resources;
mod role;
mod rules;
mod session;
mod simulate;
mod source;
mod state;
mod tag;
mod trust;
mod user;

use sereno_api_iam as api;
use sereno_kernel::Service;

use access::{Guarded, Target};
pub use directory::Directory;

/// What AWS's own policies are called: templates name them without their ARN.
pub use managed::arn_of_name as managed_policy_arn;

pub fn service() -> Service {
    let service = Service::new(&api::SERVICE).violations(errors::violations);
    let service = simulation(providers(account_wide(profiles(service))));
    let service = credentials(access_keys(service));
    resources::all(managed_policies(grants(tags(roles(groups(users(service)))))))
}

fn users(service: Service) -> Service {
    service
        .guarded::<api::CreateUser, _, _, _>(
            |ctx, i| {
                Target::made(ctx, "user", i.path.as_deref(), &i.user_name)
                    .boundary(i.permissions_boundary.as_deref())
                    .tagged(i.tags.as_deref())
            },
            user::create,
        )
        .guarded::<api::GetUser, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            user::get,
        )
        .guarded::<api::ListUsers, _, _, _>(
            |ctx, i| Target::listed(ctx, "user", i.path_prefix.as_deref()),
            user::list,
        )
        .guarded::<api::UpdateUser, _, _, _>(|_, i| Target::user(&i.user_name), user::update)
        .guarded::<api::DeleteUser, _, _, _>(|_, i| Target::user(&i.user_name), user::delete)
        .guarded::<api::PutUserPermissionsBoundary, _, _, _>(
            |_, i| Target::user(&i.user_name).boundary(Some(&i.permissions_boundary)),
            boundary::put_on_user,
        )
        .guarded::<api::DeleteUserPermissionsBoundary, _, _, _>(
            |_, i| Target::user(&i.user_name),
            boundary::delete_from_user,
        )
}

fn groups(service: Service) -> Service {
    service
        .guarded::<api::CreateGroup, _, _, _>(
            |ctx, i| Target::made(ctx, "group", i.path.as_deref(), &i.group_name),
            group::create,
        )
        .guarded::<api::GetGroup, _, _, _>(|_, i| Target::group(&i.group_name), group::get)
        .guarded::<api::ListGroups, _, _, _>(
            |ctx, i| Target::listed(ctx, "group", i.path_prefix.as_deref()),
            group::list,
        )
        .guarded::<api::ListGroupsForUser, _, _, _>(
            |_, i| Target::user(&i.user_name),
            group::list_of_user,
        )
        .guarded::<api::UpdateGroup, _, _, _>(|_, i| Target::group(&i.group_name), group::update)
        .guarded::<api::DeleteGroup, _, _, _>(|_, i| Target::group(&i.group_name), group::delete)
        .guarded::<api::AddUserToGroup, _, _, _>(
            |_, i| Target::group(&i.group_name),
            group::add_user,
        )
        .guarded::<api::RemoveUserFromGroup, _, _, _>(
            |_, i| Target::group(&i.group_name),
            group::remove_user,
        )
}

fn roles(service: Service) -> Service {
    service
        .guarded::<api::CreateRole, _, _, _>(
            |ctx, i| {
                Target::made(ctx, "role", i.path.as_deref(), &i.role_name)
                    .boundary(i.permissions_boundary.as_deref())
                    .tagged(i.tags.as_deref())
            },
            role::create,
        )
        .guarded::<api::GetRole, _, _, _>(|_, i| Target::role(&i.role_name), role::get)
        .guarded::<api::ListRoles, _, _, _>(
            |ctx, i| Target::listed(ctx, "role", i.path_prefix.as_deref()),
            role::list,
        )
        .guarded::<api::UpdateRole, _, _, _>(|_, i| Target::role(&i.role_name), role::update)
        .guarded::<api::UpdateRoleDescription, _, _, _>(
            |_, i| Target::role(&i.role_name),
            role::update_description,
        )
        .guarded::<api::UpdateAssumeRolePolicy, _, _, _>(
            |_, i| Target::role(&i.role_name),
            role::update_trust,
        )
        .guarded::<api::DeleteRole, _, _, _>(|_, i| Target::role(&i.role_name), role::delete)
        .guarded::<api::PutRolePermissionsBoundary, _, _, _>(
            |_, i| Target::role(&i.role_name).boundary(Some(&i.permissions_boundary)),
            boundary::put_on_role,
        )
        .guarded::<api::DeleteRolePermissionsBoundary, _, _, _>(
            |_, i| Target::role(&i.role_name),
            boundary::delete_from_role,
        )
        .guarded::<api::CreateServiceLinkedRole, _, _, _>(
            |ctx, i| {
                let service = &i.aws_service_name;
                Target::own(ctx, &format!("role/aws-service-role/{service}/*"))
                    .with("iam:AWSServiceName", Some(service))
            },
            linked::create,
        )
        .guarded::<api::DeleteServiceLinkedRole, _, _, _>(
            |_, i| Target::role(&i.role_name),
            linked::delete,
        )
        .guarded::<api::GetServiceLinkedRoleDeletionStatus, _, _, _>(
            |ctx, i| {
                let path = i.deletion_task_id.strip_prefix("task/").unwrap_or_default();
                let role = path.rsplit_once('/').map_or(path, |(role, _)| role);
                Target::own(ctx, &format!("role/{role}"))
            },
            linked::deletion_status,
        )
}

fn tags(service: Service) -> Service {
    service
        .guarded::<api::TagUser, _, _, _>(
            |_, i| Target::user(&i.user_name).tagged(Some(&i.tags)),
            tag::user,
        )
        .guarded::<api::UntagUser, _, _, _>(
            |_, i| Target::user(&i.user_name).untagged(&i.tag_keys),
            tag::untag_user,
        )
        .guarded::<api::ListUserTags, _, _, _>(|_, i| Target::user(&i.user_name), tag::list_user)
        .guarded::<api::TagRole, _, _, _>(
            |_, i| Target::role(&i.role_name).tagged(Some(&i.tags)),
            tag::role,
        )
        .guarded::<api::UntagRole, _, _, _>(
            |_, i| Target::role(&i.role_name).untagged(&i.tag_keys),
            tag::untag_role,
        )
        .guarded::<api::ListRoleTags, _, _, _>(|_, i| Target::role(&i.role_name), tag::list_role)
        .guarded::<api::TagPolicy, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn).tagged(Some(&i.tags)),
            tag::policy,
        )
        .guarded::<api::UntagPolicy, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn).untagged(&i.tag_keys),
            tag::untag_policy,
        )
        .guarded::<api::ListPolicyTags, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            tag::list_policy,
        )
}

fn grants(service: Service) -> Service {
    service
        .guarded::<api::PutUserPolicy, _, _, _>(|_, i| Target::user(&i.user_name), inline::put_user)
        .guarded::<api::GetUserPolicy, _, _, _>(|_, i| Target::user(&i.user_name), inline::get_user)
        .guarded::<api::DeleteUserPolicy, _, _, _>(
            |_, i| Target::user(&i.user_name),
            inline::delete_user,
        )
        .guarded::<api::ListUserPolicies, _, _, _>(
            |_, i| Target::user(&i.user_name),
            inline::list_user,
        )
        .guarded::<api::PutGroupPolicy, _, _, _>(
            |_, i| Target::group(&i.group_name),
            inline::put_group,
        )
        .guarded::<api::GetGroupPolicy, _, _, _>(
            |_, i| Target::group(&i.group_name),
            inline::get_group,
        )
        .guarded::<api::DeleteGroupPolicy, _, _, _>(
            |_, i| Target::group(&i.group_name),
            inline::delete_group,
        )
        .guarded::<api::ListGroupPolicies, _, _, _>(
            |_, i| Target::group(&i.group_name),
            inline::list_group,
        )
        .guarded::<api::PutRolePolicy, _, _, _>(|_, i| Target::role(&i.role_name), inline::put_role)
        .guarded::<api::GetRolePolicy, _, _, _>(|_, i| Target::role(&i.role_name), inline::get_role)
        .guarded::<api::DeleteRolePolicy, _, _, _>(
            |_, i| Target::role(&i.role_name),
            inline::delete_role,
        )
        .guarded::<api::ListRolePolicies, _, _, _>(
            |_, i| Target::role(&i.role_name),
            inline::list_role,
        )
}

fn managed_policies(service: Service) -> Service {
    attachments(service)
        .guarded::<api::CreatePolicy, _, _, _>(
            |ctx, i| {
                Target::made(ctx, "policy", i.path.as_deref(), &i.policy_name)
                    .tagged(i.tags.as_deref())
            },
            policy::create,
        )
        .guarded::<api::GetPolicy, _, _, _>(|_, i| Target::policy_arn(&i.policy_arn), policy::get)
        .guarded::<api::DeletePolicy, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::delete,
        )
        .guarded::<api::ListPolicies, _, _, _>(
            |ctx, i| Target::listed(ctx, "policy", i.path_prefix.as_deref()),
            policy::list,
        )
        .guarded::<api::CreatePolicyVersion, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::create_version,
        )
        .guarded::<api::GetPolicyVersion, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::get_version,
        )
        .guarded::<api::ListPolicyVersions, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::list_versions,
        )
        .guarded::<api::DeletePolicyVersion, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::delete_version,
        )
        .guarded::<api::SetDefaultPolicyVersion, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            policy::set_default,
        )
        .guarded::<api::ListEntitiesForPolicy, _, _, _>(
            |_, i| Target::policy_arn(&i.policy_arn),
            account::entities_for_policy,
        )
}

fn attachments(service: Service) -> Service {
    service
        .guarded::<api::AttachUserPolicy, _, _, _>(
            |_, i| Target::user(&i.user_name).policy(&i.policy_arn),
            attach::to_user,
        )
        .guarded::<api::DetachUserPolicy, _, _, _>(
            |_, i| Target::user(&i.user_name).policy(&i.policy_arn),
            attach::from_user,
        )
        .guarded::<api::ListAttachedUserPolicies, _, _, _>(
            |_, i| Target::user(&i.user_name),
            attach::list_user,
        )
        .guarded::<api::AttachGroupPolicy, _, _, _>(
            |_, i| Target::group(&i.group_name).policy(&i.policy_arn),
            attach::to_group,
        )
        .guarded::<api::DetachGroupPolicy, _, _, _>(
            |_, i| Target::group(&i.group_name).policy(&i.policy_arn),
            attach::from_group,
        )
        .guarded::<api::ListAttachedGroupPolicies, _, _, _>(
            |_, i| Target::group(&i.group_name),
            attach::list_group,
        )
        .guarded::<api::AttachRolePolicy, _, _, _>(
            |_, i| Target::role(&i.role_name).policy(&i.policy_arn),
            attach::to_role,
        )
        .guarded::<api::DetachRolePolicy, _, _, _>(
            |_, i| Target::role(&i.role_name).policy(&i.policy_arn),
            attach::from_role,
        )
        .guarded::<api::ListAttachedRolePolicies, _, _, _>(
            |_, i| Target::role(&i.role_name),
            attach::list_role,
        )
}

fn access_keys(service: Service) -> Service {
    service
        .guarded::<api::CreateAccessKey, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            key::create,
        )
        .guarded::<api::ListAccessKeys, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            key::list,
        )
        .guarded::<api::UpdateAccessKey, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            key::update,
        )
        .guarded::<api::DeleteAccessKey, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            key::delete,
        )
        .guarded::<api::GetAccessKeyLastUsed, _, _, _>(|_, _| Target::any(), key::last_used)
}

fn credentials(service: Service) -> Service {
    service
        .guarded::<api::CreateServiceSpecificCredential, _, _, _>(
            |_, i| Target::user(&i.user_name),
            credential::create,
        )
        .guarded::<api::ListServiceSpecificCredentials, _, _, _>(
            |ctx, i| match i.all_users {
                Some(true) => Target::any(),
                _ => Target::user_or_caller(ctx, i.user_name.as_deref()),
            },
            credential::list,
        )
        .guarded::<api::UpdateServiceSpecificCredential, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            credential::update,
        )
        .guarded::<api::ResetServiceSpecificCredential, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            credential::reset,
        )
        .guarded::<api::DeleteServiceSpecificCredential, _, _, _>(
            |ctx, i| Target::user_or_caller(ctx, i.user_name.as_deref()),
            credential::delete,
        )
}

fn profiles(service: Service) -> Service {
    service
        .guarded::<api::CreateInstanceProfile, _, _, _>(
            |ctx, i| {
                let name = &i.instance_profile_name;
                Target::made(ctx, "instance-profile", i.path.as_deref(), name)
                    .tagged(i.tags.as_deref())
            },
            profile::create,
        )
        .guarded::<api::GetInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name),
            profile::get,
        )
        .guarded::<api::DeleteInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name),
            profile::delete,
        )
        .guarded::<api::ListInstanceProfiles, _, _, _>(
            |ctx, i| Target::listed(ctx, "instance-profile", i.path_prefix.as_deref()),
            profile::list,
        )
        .guarded::<api::ListInstanceProfilesForRole, _, _, _>(
            |_, i| Target::role(&i.role_name),
            profile::list_of_role,
        )
        .guarded::<api::AddRoleToInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name).passing(&i.role_name),
            profile::add_role,
        )
        .guarded::<api::RemoveRoleFromInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name),
            profile::remove_role,
        )
        .guarded::<api::TagInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name).tagged(Some(&i.tags)),
            tag::profile,
        )
        .guarded::<api::UntagInstanceProfile, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name).untagged(&i.tag_keys),
            tag::untag_profile,
        )
        .guarded::<api::ListInstanceProfileTags, _, _, _>(
            |_, i| Target::profile(&i.instance_profile_name),
            tag::list_profile,
        )
}

fn providers(service: Service) -> Service {
    service
        .guarded::<api::CreateOpenIDConnectProvider, _, _, _>(
            |ctx, i| {
                let url = i.url.strip_prefix("https://").unwrap_or(&i.url);
                Target::own(ctx, &format!("oidc-provider/{url}")).tagged(i.tags.as_deref())
            },
            oidc::create,
        )
        .guarded::<api::GetOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            oidc::get,
        )
        .guarded::<api::ListOpenIDConnectProviders, _, _, _>(|_, _| Target::any(), oidc::list)
        .guarded::<api::DeleteOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            oidc::delete,
        )
        .guarded::<api::UpdateOpenIDConnectProviderThumbprint, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            oidc::update_thumbprints,
        )
        .guarded::<api::AddClientIDToOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            oidc::add_client_id,
        )
        .guarded::<api::RemoveClientIDFromOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            oidc::remove_client_id,
        )
        .guarded::<api::TagOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn).tagged(Some(&i.tags)),
            tag::provider,
        )
        .guarded::<api::UntagOpenIDConnectProvider, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn).untagged(&i.tag_keys),
            tag::untag_provider,
        )
        .guarded::<api::ListOpenIDConnectProviderTags, _, _, _>(
            |_, i| Target::provider(&i.open_id_connect_provider_arn),
            tag::list_provider,
        )
}

fn account_wide(service: Service) -> Service {
    service
        .guarded::<api::CreateAccountAlias, _, _, _>(|_, _| Target::any(), account::create_alias)
        .guarded::<api::DeleteAccountAlias, _, _, _>(|_, _| Target::any(), account::delete_alias)
        .guarded::<api::ListAccountAliases, _, _, _>(|_, _| Target::any(), account::list_aliases)
        .guarded::<api::GetAccountSummary, _, _, _>(|_, _| Target::any(), account::summary)
        .guarded::<api::GetAccountAuthorizationDetails, _, _, _>(|_, _| Target::any(), details::get)
}

fn simulation(service: Service) -> Service {
    service
        .guarded::<api::SimulateCustomPolicy, _, _, _>(|_, _| Target::any(), simulate::custom)
        .guarded::<api::SimulatePrincipalPolicy, _, _, _>(
            |_, i| Target::arn(&i.policy_source_arn),
            simulate::principal,
        )
        .guarded::<api::GetContextKeysForCustomPolicy, _, _, _>(
            |_, _| Target::any(),
            simulate::keys_custom,
        )
        .guarded::<api::GetContextKeysForPrincipalPolicy, _, _, _>(
            |_, i| Target::arn(&i.policy_source_arn),
            simulate::keys_principal,
        )
}
