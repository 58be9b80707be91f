//! How a caller is kept with work that runs later in its name. The policies are not kept: they are looked up when
//! the work runs, so that a right taken away is gone.

use std::sync::Arc;

use sereno_base::{AccountId, Timestamp};
use sereno_store::record;

use crate::Caller;
use crate::caller::{FederatedUser, RoleSession, ServicePrincipal, User};

record! {
    /// A caller of any kind; which fields count is said by `kind`.
    pub struct CallerRecord {
        1 => kind: u32,
        2 => account: u64,
        3 => name: String,
        4 => path: String,
        5 => id: String,
        6 => access_key_id: String,
        7 => session_name: String,
        8 => session_policies: Vec<String>,
        9 => tags: Vec<String>,
        10 => issued_ms: i64,
        11 => expires_ms: i64,
        12 => source_arn: Option<String>,
        13 => transitive_tags: Vec<String>,
        14 => source_identity: Option<String>,
    }
}

const ANONYMOUS: u32 = 0;
const ROOT: u32 = 1;
const USER: u32 = 2;
const ROLE: u32 = 3;
const SERVICE: u32 = 4;
const FEDERATED: u32 = 5;

impl CallerRecord {
    pub fn of(caller: &Caller) -> CallerRecord {
        let account = caller.account().map_or(0, AccountId::as_u64);
        let base = CallerRecord { account, ..Default::default() };
        match caller {
            Caller::Anonymous => CallerRecord { kind: ANONYMOUS, ..base },
            Caller::Root { .. } => CallerRecord { kind: ROOT, ..base },
            Caller::User(user) => CallerRecord { kind: USER, ..base }.with_user(user),
            Caller::Role(session) => CallerRecord {
                kind: ROLE,
                name: session.role_name.clone(),
                path: session.path.clone(),
                id: session.role_id.clone(),
                access_key_id: session.access_key_id.clone(),
                session_name: session.session_name.clone(),
                session_policies: session.session_policies.clone(),
                tags: session.tags.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect(),
                transitive_tags: session.transitive_tags.clone(),
                source_identity: session.source_identity.clone(),
                issued_ms: session.issued.millis(),
                expires_ms: session.expires.millis(),
                ..base
            },
            Caller::Federated(user) => {
                let record = CallerRecord {
                    kind: FEDERATED,
                    session_name: user.name.clone(),
                    session_policies: user.session_policies.clone(),
                    expires_ms: user.expires.millis(),
                    ..base
                };
                match &user.issuer {
                    Some(issuer) => record.with_user(issuer),
                    None => record,
                }
            }
            Caller::Service(service) => CallerRecord {
                kind: SERVICE,
                name: service.name.clone(),
                source_arn: service.source_arn.clone(),
                ..base
            },
        }
    }

    fn with_user(mut self, user: &User) -> CallerRecord {
        self.name.clone_from(&user.name);
        self.path.clone_from(&user.path);
        self.id.clone_from(&user.id);
        self.access_key_id.clone_from(&user.access_key_id);
        self
    }

    fn user(&self, account: AccountId) -> User {
        User {
            account,
            name: self.name.clone(),
            path: self.path.clone(),
            id: self.id.clone(),
            access_key_id: self.access_key_id.clone(),
        }
    }

    /// `None` for a kind that this version does not know.
    pub fn caller(&self) -> Option<Caller> {
        let account = AccountId::from_u64(self.account)?;
        let expires = Timestamp::from_millis(self.expires_ms);
        Some(match self.kind {
            ANONYMOUS => Caller::Anonymous,
            ROOT => Caller::Root { account },
            USER => Caller::User(Arc::new(self.user(account))),
            ROLE => Caller::Role(Arc::new(RoleSession {
                account,
                role_name: self.name.clone(),
                path: self.path.clone(),
                role_id: self.id.clone(),
                session_name: self.session_name.clone(),
                session_policies: self.session_policies.clone(),
                tags: self.tags.chunks_exact(2).map(|t| (t[0].clone(), t[1].clone())).collect(),
                transitive_tags: self.transitive_tags.clone(),
                source_identity: self.source_identity.clone(),
                access_key_id: self.access_key_id.clone(),
                issued: Timestamp::from_millis(self.issued_ms),
                expires,
            })),
            FEDERATED => Caller::Federated(Arc::new(FederatedUser {
                account,
                name: self.session_name.clone(),
                issuer: (!self.name.is_empty()).then(|| self.user(account)),
                session_policies: self.session_policies.clone(),
                access_key_id: self.access_key_id.clone(),
                expires,
            })),
            SERVICE => Caller::Service(Arc::new(ServicePrincipal {
                name: self.name.clone(),
                source_arn: self.source_arn.clone(),
                source_account: account,
            })),
            _ => return None,
        })
    }
}
