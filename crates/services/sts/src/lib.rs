//! STS: temporary credentials. Nothing is stored; a session is its token ([`sereno_kernel::Identities::issue`]).
//!
//! Invariants
//! - A role is assumed only by whom its trust policy names: the kernel judges `sts:AssumeRole` on the role's ARN
//!   with the trust policy as the resource's ([`access::trust`]).
//! - A session never lasts longer than its role allows, and a chained one no longer than an hour.

mod access;
mod errors;
mod federation;
mod identity;
mod role;
mod rules;

use sereno_api_sts as api;
use sereno_kernel::{Access, Service};

pub fn service() -> Service {
    Service::new(&api::SERVICE)
        .violations(errors::violations)
        .resource_policy(access::trust)
        .on::<api::AssumeRole>(access::assume_role, role::assume)
        .on::<api::GetSessionToken>(|_, _| Access::authenticated(), federation::session_token)
        .on::<api::GetFederationToken>(access::federation_token, federation::federation_token)
        .on::<api::GetCallerIdentity>(|_, _| Access::authenticated(), identity::caller)
        .on::<api::GetAccessKeyInfo>(
            |_, _| Access::new("sts:GetAccessKeyInfo", "*"),
            identity::access_key_info,
        )
        .on::<api::DecodeAuthorizationMessage>(
            |_, _| Access::new("sts:DecodeAuthorizationMessage", "*"),
            identity::decode_message,
        )
}
