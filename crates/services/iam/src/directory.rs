//! The kernel's [`Identities`]: who holds which key, and what may they do. Asked for every request.
//!
//! Invariants
//! - What is kept in memory belongs to one generation of an account, whose counter is watched: before it is used
//!   the watch is looked at. So a key that is deleted or a policy that is detached is gone with the next request
//!   on this node, and soon after on others ([`Store::watch`]).
//! - What cannot be read is no permission, and no identity.
//! - A session whose role or user is gone, or was made anew under the same name, is invalid.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sereno_base::{AccountId, Arn, Timestamp, access_key_id, account_of_access_key};
use sereno_kernel::{
    AuditEvent, AuditSink, BoxFuture, Caller, Credential, CredentialError, Credentials, Error,
    Identities, IdentityPolicies, Kind, Result, RoleInfo, RoleSession, User, derive_key,
};
use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{Context, Policies, Principal, Request, ResourceRule, decide, denied};
use sereno_store::{Scope, Store, Watch};

use crate::held::{boundary, collect, managed_policy};
use crate::last_used::LastUsed;
use crate::session::{Sealer, SessionRecord};
use crate::state::{self, RoleRecord, UserRecord};
use crate::{key, trust};

/// How long a service may use a role before it must ask again.
const SERVICE_SESSION_S: i64 = 12 * 3_600;
/// Entries kept for one account; more are not remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Answers from the store, remembering what has not changed.
pub struct Directory {
    store: Arc<dyn Store>,
    access_key_secret: [u8; 32],
    sealer: Sealer,
    accounts: Mutex<HashMap<AccountId, (Arc<Known>, Watch)>>,
    used: LastUsed,
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

impl Known {
    fn new(generation: u64) -> Known {
        Known {
            generation,
            keys: Remembered::new(),
            roles: Remembered::new(),
            policies: Remembered::new(),
            users: Remembered::new(),
        }
    }
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
            used: LastUsed::default(),
        }
    }

    async fn known(&self, account: AccountId) -> Result<Arc<Known>> {
        if let Some(known) = self.current(account) {
            return Ok(known);
        }
        let scope = Scope::new(account, None);
        // First watch, then read: a change in between wakes the watch.
        let watch = self.store.watch(&[state::generation_key(scope)]);
        let generation = state::generation(self.store.as_ref(), scope).await?;
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match accounts.remove(&account) {
            Some((known, _)) if known.generation == generation => known,
            _ => Arc::new(Known::new(generation)),
        };
        // Whoever invents access keys invents accounts: those without anything in them are not remembered.
        if generation > 0 {
            accounts.insert(account, (Arc::clone(&known), watch));
        }
        Ok(known)
    }

    /// What is known and has not changed since. Where other nodes change it too, their news may be on its way: a key
    /// that was put out of use must open nothing anywhere, so the generation is read each time.
    fn current(&self, account: AccountId) -> Option<Arc<Known>> {
        if self.store.is_shared() {
            return None;
        }
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, watch) = accounts.get(&account)?;
        (!watch.is_woken()).then(|| Arc::clone(known))
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
                (Some("AKIA"), None) => {
                    let found = self.lasting(access_key_id).await?;
                    if let Some(account) = found.caller.account() {
                        let scope = Scope::new(account, None);
                        self.used.write(self.store.as_ref(), scope, access_key_id, now).await;
                    }
                    Ok(found)
                }
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

impl AuditSink for Directory {
    fn record(&self, event: &AuditEvent<'_>) {
        self.used.note(event);
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
