//! What a service may ask of the world, apart from running code (`sandbox`) and keeping data (`store`).
//! Rooms above implement these; no service knows which implementation it has.

use std::sync::Arc;

use sereno_base::{AccountId, Timestamp};
use sereno_policy::Policy;
use sereno_wire::{HttpRequest, HttpResponse};

use crate::{BoxFuture, Caller, Credentials, Result};

/// Sends an HTTP request out: HTTP integrations, webhooks, custom resources.
pub trait HttpClient: Send + Sync + 'static {
    /// `url` is absolute; path and query of `request` are ignored.
    fn send(&self, url: &str, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>>;
}

/// Who holds which key, and what may they do: implemented by IAM and STS.
pub trait Identities: Send + Sync + 'static {
    /// Looks up an access key as a signature names it. Root keys are not asked here.
    fn credential<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Credential, CredentialError>>;

    /// The policies that speak for or bound a user, a role session or a federated user.
    fn policies<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, Result<Arc<IdentityPolicies>>>;

    /// A role by its ARN; `None` if there is none.
    fn role<'a>(&'a self, role_arn: &'a str) -> BoxFuture<'a, Result<Option<Arc<RoleInfo>>>>;

    /// Temporary credentials that stand for `caller` until `expires`. Nothing is stored: the token says it all.
    fn issue(
        &self,
        caller: &Caller,
        access_key_id: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Credentials;

    /// A session of a role for a service, as AssumeRole by that service would give: the trust policy must name it.
    fn assume<'a>(
        &'a self,
        role_arn: &'a str,
        session_name: &'a str,
        service: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(Caller, Credentials)>>;
}

/// What AssumeRole must know of a role.
#[derive(Clone)]
pub struct RoleInfo {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    /// `AROA...`
    pub id: String,
    pub trust: Arc<Policy>,
    /// How long a session may last.
    pub session_s_max: u32,
    pub tags: Vec<(String, String)>,
}

/// The secret behind an access key and whom it stands for.
#[derive(Clone)]
pub struct Credential {
    pub secret_access_key: Arc<str>,
    pub caller: Caller,
}

/// Why an access key stands for nobody.
#[derive(Debug, PartialEq)]
pub enum CredentialError {
    /// No such key, an inactive one, or a session token that is not its.
    Invalid,
    Expired,
    /// The store did not answer: never an allow, and not the caller's fault.
    Unavailable(String),
}

/// The compiled policies of an identity.
#[derive(Clone, Default)]
pub struct IdentityPolicies {
    /// Inline and attached, of the user and its groups or of the role.
    pub identity: Vec<Arc<Policy>>,
    pub boundary: Option<Arc<Policy>>,
    /// `None`: the session is not bound further.
    pub session: Option<Vec<Arc<Policy>>>,
    /// The user's or role's own tags: `aws:PrincipalTag/...`.
    pub tags: Vec<(String, String)>,
}
