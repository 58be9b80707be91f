//! Temporary credentials. Nothing of them is kept: the session token is the session itself, sealed with a key of
//! this installation, and the secret follows from it.
//!
//! Token: base64 of one byte (the form's version), 32 bytes HMAC-SHA256 of the rest, the [`SessionRecord`].

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sereno_base::{AccountId, Timestamp, base64_decode, base64_encode};
use sereno_kernel::{Caller, FederatedUser, RoleSession, User};
use sereno_store::{Record, record};
use sha2::Sha256;

use crate::state::TagRecord;

record! {
    pub struct SessionRecord {
        1 => access_key_id: String,
        2 => kind: u32,
        3 => account: u64,
        4 => name: String,
        5 => path: String,
        6 => id: String,
        7 => session_name: String,
        8 => policies: Vec<String>,
        9 => tags: Vec<TagRecord>,
        10 => transitive_tags: Vec<String>,
        11 => source_identity: Option<String>,
        12 => issued: Timestamp,
        13 => expires: Timestamp,
        /// The access key of a federated user's issuer.
        14 => issuer_key: String,
    }
}

const ROOT: u32 = 1;
const USER: u32 = 2;
const ROLE: u32 = 3;
/// Of a user, and of the root user.
const FEDERATED: u32 = 4;
const FEDERATED_BY_ROOT: u32 = 5;

const FORM: u8 = 1;
const SEAL_BYTES: usize = 32;

/// The keys that make and check tokens.
#[derive(Clone)]
pub struct Sealer {
    seal: [u8; 32],
    secret: [u8; 32],
}

impl Sealer {
    pub fn new(seal: [u8; 32], secret: [u8; 32]) -> Sealer {
        Sealer { seal, secret }
    }

    pub fn token(&self, session: &SessionRecord) -> String {
        let body = session.to_bytes();
        let mut token = vec![FORM];
        token.extend_from_slice(&mac(&self.seal, &body).finalize().into_bytes());
        token.extend_from_slice(&body);
        base64_encode(&token)
    }

    /// The session that a token is; None if it was not made here.
    pub fn open(&self, token: &str) -> Option<SessionRecord> {
        let bytes = base64_decode(token)?;
        let (form, rest) = bytes.split_first()?;
        let (seal, body) = rest.split_at_checked(SEAL_BYTES)?;
        if *form != FORM || mac(&self.seal, body).verify_slice(seal).is_err() {
            return None;
        }
        SessionRecord::decode(&Bytes::copy_from_slice(body)).ok()
    }

    /// Forty characters of base64.
    pub fn secret(&self, session: &SessionRecord) -> String {
        let digest = mac(&self.secret, &session.to_bytes()).finalize().into_bytes();
        base64_encode(&digest[..30])
    }
}

fn mac(key: &[u8; 32], data: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac
}

impl SessionRecord {
    /// None for callers that cannot have a session: services and anonymous ones.
    pub fn of(
        caller: &Caller,
        access_key_id: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Option<SessionRecord> {
        let base = SessionRecord {
            access_key_id: access_key_id.to_owned(),
            account: caller.account()?.as_u64(),
            issued,
            expires,
            ..Default::default()
        };
        Some(match caller {
            Caller::Anonymous | Caller::Service(_) => return None,
            Caller::Root { .. } => SessionRecord { kind: ROOT, ..base },
            Caller::User(user) => SessionRecord { kind: USER, ..base }.with_user(user),
            Caller::Role(session) => SessionRecord {
                kind: ROLE,
                name: session.role_name.clone(),
                path: session.path.clone(),
                id: session.role_id.clone(),
                session_name: session.session_name.clone(),
                policies: session.session_policies.clone(),
                tags: session
                    .tags
                    .iter()
                    .map(|(k, v)| TagRecord { key: k.clone(), value: v.clone() })
                    .collect(),
                transitive_tags: session.transitive_tags.clone(),
                source_identity: session.source_identity.clone(),
                ..base
            },
            Caller::Federated(user) => {
                let base = SessionRecord {
                    session_name: user.name.clone(),
                    policies: user.session_policies.clone(),
                    ..base
                };
                match &user.issuer {
                    Some(issuer) => SessionRecord {
                        kind: FEDERATED,
                        issuer_key: issuer.access_key_id.clone(),
                        ..base
                    }
                    .with_user(issuer),
                    None => SessionRecord { kind: FEDERATED_BY_ROOT, ..base },
                }
            }
        })
    }

    fn with_user(mut self, user: &User) -> SessionRecord {
        self.name.clone_from(&user.name);
        self.path.clone_from(&user.path);
        self.id.clone_from(&user.id);
        self
    }

    pub fn account(&self) -> Option<AccountId> {
        AccountId::from_u64(self.account)
    }

    /// The user whom the session needs to exist, by id and name.
    pub fn needs_user(&self) -> Option<(&str, &str)> {
        matches!(self.kind, USER | FEDERATED).then_some((self.id.as_str(), self.name.as_str()))
    }

    /// The role whom the session needs to exist, by id and name.
    pub fn needs_role(&self) -> Option<(&str, &str)> {
        (self.kind == ROLE).then_some((self.id.as_str(), self.name.as_str()))
    }

    /// None for a kind that this version does not know.
    pub fn caller(self) -> Option<Caller> {
        let account = self.account()?;
        Some(match self.kind {
            ROOT => Caller::Root { account },
            USER => {
                let key = self.access_key_id.clone();
                Caller::User(Arc::new(self.user(account, key)))
            }
            ROLE => Caller::Role(Arc::new(RoleSession {
                account,
                role_name: self.name,
                path: self.path,
                role_id: self.id,
                session_name: self.session_name,
                session_policies: self.policies,
                tags: self.tags.into_iter().map(|t| (t.key, t.value)).collect(),
                transitive_tags: self.transitive_tags,
                source_identity: self.source_identity,
                access_key_id: self.access_key_id,
                issued: self.issued,
                expires: self.expires,
            })),
            FEDERATED | FEDERATED_BY_ROOT => Caller::Federated(Arc::new(FederatedUser {
                account,
                name: self.session_name.clone(),
                session_policies: self.policies.clone(),
                access_key_id: self.access_key_id.clone(),
                expires: self.expires,
                issuer: (self.kind == FEDERATED).then(|| {
                    let key = self.issuer_key.clone();
                    self.user(account, key)
                }),
            })),
            _ => return None,
        })
    }

    fn user(self, account: AccountId, access_key_id: String) -> User {
        User { account, name: self.name, path: self.path, id: self.id, access_key_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        "111111111111".parse().unwrap()
    }

    fn user() -> User {
        User {
            account: account(),
            name: "ann".into(),
            path: "/".into(),
            id: "AIDAANN0000000000000A".into(),
            access_key_id: "AKIA".into(),
        }
    }

    fn callers() -> Vec<Caller> {
        let session_policies = vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
        let (issued, expires) = (Timestamp::from_secs(100), Timestamp::from_secs(200));
        vec![
            Caller::Root { account: account() },
            Caller::User(Arc::new(User { access_key_id: "ASIA".into(), ..user() })),
            Caller::Role(Arc::new(RoleSession {
                account: account(),
                role_name: "app".into(),
                path: "/x/".into(),
                role_id: "AROAAPP".into(),
                session_name: "one".into(),
                session_policies: session_policies.clone(),
                tags: vec![("a".into(), "b".into())],
                transitive_tags: vec!["a".into()],
                source_identity: Some("me".into()),
                access_key_id: "ASIA".into(),
                issued,
                expires,
            })),
            Caller::Federated(Arc::new(FederatedUser {
                account: account(),
                name: "guest".into(),
                issuer: Some(user()),
                session_policies: session_policies.clone(),
                access_key_id: "ASIA".into(),
                expires,
            })),
            Caller::Federated(Arc::new(FederatedUser {
                account: account(),
                name: "guest".into(),
                issuer: None,
                session_policies,
                access_key_id: "ASIA".into(),
                expires,
            })),
        ]
    }

    #[test]
    fn a_token_gives_back_its_caller() {
        let sealer = Sealer::new([1; 32], [2; 32]);
        for caller in callers() {
            let (issued, expires) = (Timestamp::from_secs(100), Timestamp::from_secs(200));
            let record = SessionRecord::of(&caller, "ASIA", issued, expires).unwrap();
            let opened = sealer.open(&sealer.token(&record)).unwrap();
            assert_eq!(opened, record);
            assert_eq!(sealer.secret(&opened).len(), 40);
            assert_eq!(opened.caller(), Some(caller));
        }
        let nobody = Timestamp::from_secs(0);
        assert!(SessionRecord::of(&Caller::Anonymous, "ASIA", nobody, nobody).is_none());
    }

    #[test]
    fn a_changed_token_is_none() {
        let sealer = Sealer::new([1; 32], [2; 32]);
        let at = Timestamp::from_secs(1);
        let record = SessionRecord::of(&callers()[2], "ASIA", at, at).unwrap();
        let token = sealer.token(&record);
        let bytes = base64_decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(sealer.open(&base64_encode(&changed)).is_none(), "byte {at}");
        }
        assert!(sealer.open(&base64_encode(&bytes[..20])).is_none());
        assert!(sealer.open("").is_none() && sealer.open("not base64").is_none());
        assert!(Sealer::new([9; 32], [2; 32]).open(&token).is_none());
    }
}
