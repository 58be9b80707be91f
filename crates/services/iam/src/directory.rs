//! The kernel's [`Identities`]: who holds which key, and what may they do. Asked for every request.
//!
//! Invariants
//! - What is kept in memory belongs to one generation of an account; the generation is read from the store
//!   for every question. So a key that is deleted or a policy that is detached is gone with the next request,
//!   on every node.
//! - What cannot be read is no permission, and no identity.
//! - A session whose role or user is gone, or was made anew under the same name, is invalid.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sereno_base::{AccountId, Arn, Timestamp, access_key_id, account_of_access_key};
use sereno_kernel::{
    BoxFuture, Caller, Credential, CredentialError, Credentials, Error, Identities,
    IdentityPolicies, Kind, Result, RoleInfo, RoleSession, User, derive_key,
};
use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{Context, Policies, Policy, Principal, Request, ResourceRule, decide, denied};
use sereno_store::{Read, Scope, Store};

use crate::rules::PolicyArn;
use crate::session::{Sealer, SessionRecord};
use crate::state::{self, GrantsRecord, RoleRecord, UserRecord};
use crate::{key, managed, trust};

/// How long a service may use a role before it must ask again.
const SERVICE_SESSION_S: i64 = 12 * 3_600;
/// Entries kept for one account; more are not remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Answers from the store, remembering what has not changed.
pub struct Directory {
    store: Arc<dyn Store>,
    access_key_secret: [u8; 32],
    sealer: Sealer,
    accounts: Mutex<HashMap<AccountId, Arc<Known>>>,
}

/// What is known of an account in one generation.
struct Known {
    generation: u64,
    keys: Remembered<Credential>,
    roles: Remembered<Option<Arc<RoleInfo>>>,
    /// By user id or role id, followed by a session's own policies if it has any.
    policies: Remembered<Arc<IdentityPolicies>>,
    /// Ids of users that exist.
    users: Remembered<()>,
}

struct Remembered<T>(RwLock<HashMap<String, T>>);

impl<T: Clone> Remembered<T> {
    fn new() -> Remembered<T> {
        Remembered(RwLock::new(HashMap::new()))
    }

    fn get(&self, key: &str) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn set(&self, key: &str, value: T) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.clear();
        }
        all.insert(key.to_owned(), value);
    }
}

impl Directory {
    pub fn new(store: Arc<dyn Store>, server_key: [u8; 32]) -> Directory {
        Directory {
            store,
            access_key_secret: derive_key(&server_key, key::PURPOSE),
            sealer: Sealer::new(
                derive_key(&server_key, "iam.session"),
                derive_key(&server_key, "iam.session-secret"),
            ),
            accounts: Mutex::new(HashMap::new()),
        }
    }

    async fn known(&self, account: AccountId) -> Result<Arc<Known>> {
        let scope = Scope::new(account, None);
        let generation = state::generation(self.store.as_ref(), scope).await?;
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        match accounts.get(&account) {
            Some(known) if known.generation == generation => Ok(Arc::clone(known)),
            _ => {
                let known = Arc::new(Known {
                    generation,
                    keys: Remembered::new(),
                    roles: Remembered::new(),
                    policies: Remembered::new(),
                    users: Remembered::new(),
                });
                accounts.insert(account, Arc::clone(&known));
                Ok(known)
            }
        }
    }

    /// A lasting key of a user.
    async fn lasting(&self, id: &str) -> Result<Credential, CredentialError> {
        let account = account_of_access_key(id).ok_or(CredentialError::Invalid)?;
        let known = self.known(account).await.map_err(unavailable)?;
        if let Some(found) = known.keys.get(id) {
            return Ok(found);
        }
        let scope = Scope::new(account, None);
        let read = self.store.snapshot().await.map_err(|e| unavailable(e.into()))?;
        let found = state::ACCESS_KEYS.get(&read, scope, id).await;
        let record = found.map_err(|e| unavailable(e.into()))?;
        let record = record.filter(|k| !k.inactive).ok_or(CredentialError::Invalid)?;
        let user = state::USERS.get(&read, scope, &state::key(&record.user)).await;
        let user = user.map_err(|e| unavailable(e.into()))?;
        let user = user.filter(|u| u.id == record.user_id).ok_or(CredentialError::Invalid)?;
        let credential = Credential {
            secret_access_key: key::secret(&self.access_key_secret, id).into(),
            caller: Caller::User(Arc::new(User {
                account,
                name: user.name,
                path: user.path,
                id: user.id,
                access_key_id: id.to_owned(),
            })),
        };
        known.keys.set(id, credential.clone());
        Ok(credential)
    }

    /// Temporary credentials: the token says whose they are.
    async fn temporary(
        &self,
        id: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Credential, CredentialError> {
        let session = self.sealer.open(token).filter(|s| s.access_key_id == id);
        let session = session.ok_or(CredentialError::Invalid)?;
        if session.expires <= now {
            return Err(CredentialError::Expired);
        }
        if !self.is_alive(&session).await.map_err(unavailable)? {
            return Err(CredentialError::Invalid);
        }
        let secret = self.sealer.secret(&session);
        let caller = session.caller().ok_or(CredentialError::Invalid)?;
        Ok(Credential { secret_access_key: secret.into(), caller })
    }

    /// Whether the entity behind a session still exists.
    async fn is_alive(&self, session: &SessionRecord) -> Result<bool> {
        let Some(account) = session.account() else { return Ok(false) };
        if let Some((id, name)) = session.needs_role() {
            let role = self.role_named(account, name).await?;
            return Ok(role.is_some_and(|r| r.id == id));
        }
        let Some((id, name)) = session.needs_user() else { return Ok(true) };
        let known = self.known(account).await?;
        if known.users.get(id).is_some() {
            return Ok(true);
        }
        let scope = Scope::new(account, None);
        let user = state::USERS.get(self.store.as_ref(), scope, &state::key(name)).await?;
        let alive = user.is_some_and(|u| u.id == id);
        if alive {
            known.users.set(id, ());
        }
        Ok(alive)
    }

    async fn role_named(&self, account: AccountId, name: &str) -> Result<Option<Arc<RoleInfo>>> {
        let known = self.known(account).await?;
        let key = state::key(name);
        if let Some(found) = known.roles.get(&key) {
            return Ok(found);
        }
        let scope = Scope::new(account, None);
        let record: Option<RoleRecord> = state::ROLES.get(self.store.as_ref(), scope, &key).await?;
        let role = record.and_then(|role| {
            Some(Arc::new(RoleInfo {
                account,
                trust: Arc::new(trust::compiled(&role)?),
                name: role.name,
                path: role.path,
                id: role.id,
                session_s_max: role.session_s_max,
                tags: role.tags.into_iter().map(|t| (t.key, t.value)).collect(),
            }))
        });
        known.roles.set(&key, role.clone());
        Ok(role)
    }

    async fn of_user(
        &self,
        account: AccountId,
        id: &str,
        name: &str,
    ) -> Result<Arc<IdentityPolicies>> {
        let known = self.known(account).await?;
        if let Some(found) = known.policies.get(id) {
            return Ok(found);
        }
        let scope = Scope::new(account, None);
        let read = self.store.snapshot().await?;
        let user: Option<UserRecord> = state::USERS.get(&read, scope, &state::key(name)).await?;
        let Some(user) = user.filter(|u| u.id == id) else { return Ok(Arc::default()) };
        let mut policies = IdentityPolicies {
            tags: user.tags.into_iter().map(|t| (t.key, t.value)).collect(),
            ..Default::default()
        };
        collect(&read, scope, &user.grants, &mut policies.identity).await?;
        for group in &user.groups {
            if let Some(group) = state::GROUPS.get(&read, scope, &state::key(group)).await? {
                collect(&read, scope, &group.grants, &mut policies.identity).await?;
            }
        }
        policies.boundary = boundary(&read, scope, user.boundary.as_deref()).await?;
        let policies = Arc::new(policies);
        known.policies.set(id, Arc::clone(&policies));
        Ok(policies)
    }

    async fn of_role(
        &self,
        account: AccountId,
        id: &str,
        name: &str,
    ) -> Result<Arc<IdentityPolicies>> {
        let known = self.known(account).await?;
        if let Some(found) = known.policies.get(id) {
            return Ok(found);
        }
        let scope = Scope::new(account, None);
        let read = self.store.snapshot().await?;
        let role: Option<RoleRecord> = state::ROLES.get(&read, scope, &state::key(name)).await?;
        let Some(role) = role.filter(|r| r.id == id) else { return Ok(Arc::default()) };
        let mut policies = IdentityPolicies {
            tags: role.tags.into_iter().map(|t| (t.key, t.value)).collect(),
            ..Default::default()
        };
        collect(&read, scope, &role.grants, &mut policies.identity).await?;
        policies.boundary = boundary(&read, scope, role.boundary.as_deref()).await?;
        let policies = Arc::new(policies);
        known.policies.set(id, Arc::clone(&policies));
        Ok(policies)
    }

    /// `base` within the session's own policies, which are documents or ARNs of managed policies. If one of
    /// them cannot be had, the session may do nothing: it might have held a deny.
    async fn within(
        &self,
        account: AccountId,
        entity_id: &str,
        base: &IdentityPolicies,
        own: &[String],
    ) -> Result<Arc<IdentityPolicies>> {
        let known = self.known(account).await?;
        let key = format!("{entity_id}\n{}", own.join("\n"));
        if let Some(found) = known.policies.get(&key) {
            return Ok(found);
        }
        let scope = Scope::new(account, None);
        let mut session = Vec::with_capacity(own.len());
        for text in own {
            let policy = if text.starts_with("arn:") {
                managed_policy(self.store.as_ref(), scope, text).await?
            } else {
                validate::identity(text, IdentityKind::Inline).ok().map(Arc::new)
            };
            let Some(policy) = policy else {
                session.clear();
                break;
            };
            session.push(policy);
        }
        let policies = Arc::new(IdentityPolicies { session: Some(session), ..base.clone() });
        known.policies.set(&key, Arc::clone(&policies));
        Ok(policies)
    }

    async fn policies_of(&self, caller: &Caller) -> Result<Arc<IdentityPolicies>> {
        match caller {
            Caller::Anonymous | Caller::Root { .. } | Caller::Service(_) => Ok(Arc::default()),
            Caller::User(user) => self.of_user(user.account, &user.id, &user.name).await,
            Caller::Role(session) => {
                let base =
                    self.of_role(session.account, &session.role_id, &session.role_name).await?;
                if session.session_policies.is_empty() {
                    return Ok(base);
                }
                let own = &session.session_policies;
                self.within(session.account, &session.role_id, &base, own).await
            }
            Caller::Federated(guest) => {
                let base = match &guest.issuer {
                    Some(issuer) => self.of_user(issuer.account, &issuer.id, &issuer.name).await?,
                    None => Arc::default(),
                };
                // Without policies of its own a federated user may do nothing by itself.
                let issuer_id = guest.issuer.as_ref().map_or("root", |i| i.id.as_str());
                self.within(guest.account, issuer_id, &base, &guest.session_policies).await
            }
        }
    }

    async fn role_by_arn(&self, arn: &str) -> Result<Option<Arc<RoleInfo>>> {
        let Some((account, path, name)) = role_arn(arn) else { return Ok(None) };
        let found = self.role_named(account, &name).await?;
        Ok(found.filter(|r| r.path == path && r.name == name))
    }

    async fn assume_for(
        &self,
        arn: &str,
        session_name: &str,
        service: &str,
        now: Timestamp,
    ) -> Result<(Caller, Credentials)> {
        let role = self.role_by_arn(arn).await?;
        let principal = Principal::service(service);
        let mut context = Context::new();
        principal.fill(&mut context);
        let account = role.as_ref().map(|r| r.account.to_string()).unwrap_or_default();
        context.set("aws:SourceAccount", account.as_str());
        let request = Request {
            principal: &principal,
            action: "sts:AssumeRole",
            resource: arn,
            resource_account: None,
            context: &context,
        };
        let policies = Policies {
            resource: role.as_ref().map(|r| r.trust.as_ref()),
            rule: ResourceRule::Trust,
            ..Default::default()
        };
        let decision = decide(&request, &policies);
        let Some(role) = role.filter(|_| decision.is_allowed()) else {
            let message = denied(&request, &decision);
            return Err(Error::new(Kind::Denied, "AccessDenied", message).status(403));
        };
        let expires = Timestamp::from_millis(now.millis() + SERVICE_SESSION_S * 1_000);
        let id = access_key_id("ASIA", role.account, self.chance(arn, session_name, now));
        let caller = Caller::Role(Arc::new(RoleSession {
            account: role.account,
            role_name: role.name.clone(),
            path: role.path.clone(),
            role_id: role.id.clone(),
            session_name: session_name.to_owned(),
            session_policies: Vec::new(),
            tags: Vec::new(),
            transitive_tags: Vec::new(),
            source_identity: None,
            access_key_id: id.clone(),
            issued: now,
            expires,
        }));
        let credentials = self.issue(&caller, &id, now, expires);
        Ok((caller, credentials))
    }

    /// Six bytes that nobody can foretell without the server's key: enough for an id that is no secret.
    fn chance(&self, arn: &str, session_name: &str, now: Timestamp) -> [u8; 6] {
        let seed = format!("{arn}/{session_name}/{}", now.millis());
        let digest = derive_key(&self.access_key_secret, &seed);
        [digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]]
    }
}

impl Identities for Directory {
    fn credential<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Credential, CredentialError>> {
        Box::pin(async move {
            match (access_key_id.get(..4), session_token) {
                (Some("AKIA"), None) => self.lasting(access_key_id).await,
                (Some("ASIA"), Some(token)) => self.temporary(access_key_id, token, now).await,
                _ => Err(CredentialError::Invalid),
            }
        })
    }

    fn policies<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, Result<Arc<IdentityPolicies>>> {
        Box::pin(self.policies_of(caller))
    }

    fn role<'a>(&'a self, role_arn: &'a str) -> BoxFuture<'a, Result<Option<Arc<RoleInfo>>>> {
        Box::pin(self.role_by_arn(role_arn))
    }

    fn issue(
        &self,
        caller: &Caller,
        access_key_id: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Credentials {
        // A caller that can have no session gets credentials that no request passes with.
        let session = SessionRecord::of(caller, access_key_id, issued, expires).unwrap_or_default();
        Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: self.sealer.secret(&session),
            session_token: self.sealer.token(&session),
        }
    }

    fn assume<'a>(
        &'a self,
        role_arn: &'a str,
        session_name: &'a str,
        service: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(Caller, Credentials)>> {
        Box::pin(self.assume_for(role_arn, session_name, service, now))
    }
}

fn unavailable(error: Error) -> CredentialError {
    CredentialError::Unavailable(error.to_string())
}

/// (account, path, name)
fn role_arn(text: &str) -> Option<(AccountId, String, String)> {
    let arn = Arn::parse(text).filter(|a| a.service == "iam" && a.region.is_empty())?;
    let rest = arn.resource.strip_prefix("role")?;
    let (path, name) = rest.rsplit_once('/').filter(|_| rest.starts_with('/'))?;
    Some((arn.account_id()?, format!("{path}/"), name.to_owned()))
}

/// Adds everything that an entity holds. What cannot be read is an error: it might have held a deny.
async fn collect<R: Read + ?Sized>(
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
async fn managed_policy<R: Read + ?Sized>(
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
async fn boundary<R: Read + ?Sized>(
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
