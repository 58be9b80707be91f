//! Who asks. Made by the gateway from a verified signature, or by the kernel when one service acts for another.

use std::sync::Arc;

use sereno_base::{AccountId, Timestamp, arn};

/// The principal of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Unsigned. May do only what a resource policy or the operation itself opens to everyone.
    Anonymous,
    /// The account itself.
    Root {
        account: AccountId,
    },
    User(Arc<User>),
    /// A session of an assumed role.
    Role(Arc<RoleSession>),
    /// A session of GetFederationToken.
    Federated(Arc<FederatedUser>),
    /// Another service of this cloud, acting for a resource: allowed only by the target's resource policy.
    Service(Arc<ServicePrincipal>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub account: AccountId,
    pub name: String,
    /// Begins and ends with a slash.
    pub path: String,
    /// `AIDA...`
    pub id: String,
    pub access_key_id: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RoleSession {
    pub account: AccountId,
    pub role_name: String,
    pub path: String,
    /// `AROA...`: a role made anew under the same name does not inherit old sessions.
    pub role_id: String,
    pub session_name: String,
    /// JSON documents that bound the session further; all of AssumeRole's Policy and PolicyArns.
    pub session_policies: Vec<String>,
    /// Session tags: `aws:PrincipalTag/...`.
    pub tags: Vec<(String, String)>,
    /// Keys of the session tags that a role assumed from this session inherits.
    pub transitive_tags: Vec<String>,
    /// `aws:SourceIdentity`
    pub source_identity: Option<String>,
    pub access_key_id: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FederatedUser {
    pub account: AccountId,
    pub name: String,
    /// The user that asked for the session, whose policies bound it; `None`: the root user did.
    pub issuer: Option<User>,
    pub session_policies: Vec<String>,
    pub access_key_id: String,
    pub expires: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServicePrincipal {
    /// `apigateway.amazonaws.com`
    pub name: String,
    /// `aws:SourceArn`: the resource for which the service acts.
    pub source_arn: Option<String>,
    /// `aws:SourceAccount`
    pub source_account: AccountId,
}

impl Caller {
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Caller::Anonymous => None,
            Caller::Root { account } => Some(*account),
            Caller::User(user) => Some(user.account),
            Caller::Role(session) => Some(session.account),
            Caller::Federated(user) => Some(user.account),
            Caller::Service(service) => Some(service.source_account),
        }
    }

    /// The principal's ARN as GetCallerIdentity shows it; empty for nobody.
    pub fn arn(&self) -> String {
        match self {
            Caller::Anonymous => String::new(),
            Caller::Root { account } => arn("iam", None, Some(*account), "root"),
            Caller::User(user) => user.arn(),
            Caller::Role(session) => arn(
                "sts",
                None,
                Some(session.account),
                &format!("assumed-role/{}/{}", session.role_name, session.session_name),
            ),
            Caller::Federated(user) => {
                arn("sts", None, Some(user.account), &format!("federated-user/{}", user.name))
            }
            Caller::Service(service) => service.name.clone(),
        }
    }

    /// `aws:userid`, the UserId of GetCallerIdentity.
    pub fn user_id(&self) -> String {
        match self {
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::Root { account } => account.to_string(),
            Caller::User(user) => user.id.clone(),
            Caller::Role(session) => format!("{}:{}", session.role_id, session.session_name),
            Caller::Federated(user) => format!("{}:{}", user.account, user.name),
            Caller::Service(service) => service.name.clone(),
        }
    }

    pub fn access_key_id(&self) -> Option<&str> {
        match self {
            Caller::User(user) => Some(&user.access_key_id),
            Caller::Role(session) => Some(&session.access_key_id),
            Caller::Federated(user) => Some(&user.access_key_id),
            Caller::Anonymous | Caller::Root { .. } | Caller::Service(_) => None,
        }
    }
}

impl User {
    pub fn arn(&self) -> String {
        arn("iam", None, Some(self.account), &format!("user{}{}", self.path, self.name))
    }
}

impl RoleSession {
    /// The ARN of the role itself, not of the session.
    pub fn role_arn(&self) -> String {
        arn("iam", None, Some(self.account), &format!("role{}{}", self.path, self.role_name))
    }
}
