//! Records, tables and keys of IAM. All of it belongs to an account and to no region.
//!
//! Invariants
//! - Names are unique without regard to case: a key is the name in lower case, the record keeps it as written.
//! - A user, group or role is one record, with its inline policies and the ARNs of its managed ones.
//! - `ATTACHMENTS` and `MEMBERS` mirror what entities hold, and are written with it.
//! - Every transaction that changes anything calls [`touch`]: what [`crate::Directory`] keeps in memory
//!   is good as long as the account's generation has not moved.

use std::collections::BTreeMap;

use sereno_base::{AccountId, Timestamp, arn};
use sereno_kernel::Result;
use sereno_store::{Counter, Key, Read, Record, Scope, Table, Write, record};

record! {
    pub struct TagRecord {
        1 => key: String,
        2 => value: String,
    }

    /// What a user, a group or a role may do.
    pub struct GrantsRecord {
        /// Name → document.
        1 => inline: BTreeMap<String, String>,
        /// ARNs, in the order they were attached.
        2 => attached: Vec<String>,
    }

    pub struct UserRecord {
        1 => name: String,
        2 => path: String,
        3 => id: String,
        4 => created: Timestamp,
        5 => tags: Vec<TagRecord>,
        6 => boundary: Option<String>,
        7 => grants: GrantsRecord,
        8 => groups: Vec<String>,
        9 => access_keys: Vec<String>,
        10 => credentials: Vec<CredentialRecord>,
    }

    /// A user's password for one service.
    pub struct CredentialRecord {
        1 => id: String,
        2 => service: String,
        3 => service_user_name: String,
        // SHA-256 of the password, in hexadecimal digits.
        4 => digest: String,
        5 => inactive: bool,
        6 => created: Timestamp,
    }

    pub struct GroupRecord {
        1 => name: String,
        2 => path: String,
        3 => id: String,
        4 => created: Timestamp,
        5 => grants: GrantsRecord,
    }

    pub struct RoleRecord {
        1 => name: String,
        2 => path: String,
        3 => id: String,
        4 => created: Timestamp,
        5 => tags: Vec<TagRecord>,
        6 => boundary: Option<String>,
        7 => grants: GrantsRecord,
        /// The trust policy as it was given.
        8 => trust: String,
        /// ARNs in it → the ids they had then: a namesake made later is not trusted.
        9 => trust_ids: BTreeMap<String, String>,
        10 => description: Option<String>,
        11 => session_s_max: u32,
        12 => instance_profiles: Vec<String>,
        /// The service to which the role is linked.
        13 => linked_to: Option<String>,
    }

    pub struct VersionRecord {
        1 => number: u32,
        2 => document: String,
        3 => created: Timestamp,
    }

    /// A customer managed policy.
    pub struct PolicyRecord {
        1 => name: String,
        2 => path: String,
        3 => id: String,
        4 => created: Timestamp,
        5 => updated: Timestamp,
        6 => tags: Vec<TagRecord>,
        7 => description: Option<String>,
        8 => default_version: u32,
        /// Numbers are not used again.
        9 => last_version: u32,
        10 => versions: Vec<VersionRecord>,
    }

    pub struct AttachmentRecord {
        1 => name: String,
        2 => id: String,
        3 => path: String,
    }

    /// The secret is not here: it follows from the server's key and `id`.
    pub struct AccessKeyRecord {
        1 => id: String,
        2 => user: String,
        3 => user_id: String,
        4 => inactive: bool,
        5 => created: Timestamp,
    }

    pub struct LastUsedRecord {
        1 => at: Timestamp,
        2 => service: String,
        3 => region: String,
    }

    pub struct InstanceProfileRecord {
        1 => name: String,
        2 => path: String,
        3 => id: String,
        4 => created: Timestamp,
        5 => tags: Vec<TagRecord>,
        6 => role: Option<String>,
    }

    pub struct OidcRecord {
        /// Without `https://`.
        1 => url: String,
        2 => created: Timestamp,
        3 => tags: Vec<TagRecord>,
        4 => client_ids: Vec<String>,
        5 => thumbprints: Vec<String>,
    }

    pub struct AliasRecord {
        1 => alias: String,
    }
}

pub const USERS: Table<String, UserRecord> = Table::new("iam", "users");
pub const GROUPS: Table<String, GroupRecord> = Table::new("iam", "groups");
pub const ROLES: Table<String, RoleRecord> = Table::new("iam", "roles");
pub const POLICIES: Table<String, PolicyRecord> = Table::new("iam", "policies");
pub const ACCESS_KEYS: Table<String, AccessKeyRecord> = Table::new("iam", "access_keys");
pub const LAST_USED: Table<String, LastUsedRecord> = Table::new("iam", "last_used");
pub const PROFILES: Table<String, InstanceProfileRecord> = Table::new("iam", "instance_profiles");
pub const PROVIDERS: Table<String, OidcRecord> = Table::new("iam", "oidc_providers");
/// At most one, under the key `alias`.
pub const ALIASES: Table<String, AliasRecord> = Table::new("iam", "aliases");
/// Ids of the deletions of service-linked roles, all of them done.
pub const DELETIONS: Table<String, ()> = Table::new("iam", "deletions");
/// (group, user)
pub const MEMBERS: Table<(String, String), ()> = Table::new("iam", "members");
/// (policy ARN, [`Usage`], [`Kind`], name)
pub const ATTACHMENTS: Table<(String, String, String, String), AttachmentRecord> =
    Table::new("iam", "attachments").partition(0);
const GENERATION: Table<String, Counter> = Table::new("iam", "generation");
const GENERATION_KEY: &str = "account";

/// Says that something of this account has changed.
pub fn touch<W: Write + ?Sized>(write: &mut W, scope: Scope) {
    GENERATION.add(write, scope, GENERATION_KEY, 1);
}

/// What to watch for any change of the account.
pub fn generation_key(scope: Scope) -> Key {
    GENERATION.key(scope, GENERATION_KEY)
}

/// A number that moves with every change of the account.
pub async fn generation<R: Read + ?Sized>(read: &R, scope: Scope) -> Result<u64> {
    let found = GENERATION.get_versioned(read, scope, GENERATION_KEY).await?;
    Ok(found.map_or(0, |(version, _)| version))
}

/// The key of a name.
pub fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What can hold policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
    Role,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Role => "role",
        }
    }
}

/// How a policy is used by an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Permissions,
    Boundary,
}

impl Usage {
    pub fn word(self) -> &'static str {
        match self {
            Usage::Permissions => "permissions",
            Usage::Boundary => "boundary",
        }
    }
}

/// What users, groups and roles have in common.
pub trait Entity: Record + Clone + Sync + 'static {
    const KIND: Kind;
    const TABLE: Table<String, Self>;

    fn name(&self) -> &str;
    fn path(&self) -> &str;
    fn id(&self) -> &str;
    fn grants(&self) -> &GrantsRecord;
    fn grants_mut(&mut self) -> &mut GrantsRecord;

    fn tags(&self) -> &[TagRecord] {
        &[]
    }

    /// The service whose role this is; nobody else may change it.
    fn linked_to(&self) -> Option<&str> {
        None
    }

    fn arn(&self, account: AccountId) -> String {
        entity_arn(account, Self::KIND, self.path(), self.name())
    }

    fn attachment(&self) -> AttachmentRecord {
        AttachmentRecord {
            name: self.name().to_owned(),
            id: self.id().to_owned(),
            path: self.path().to_owned(),
        }
    }
}

/// What can have a permissions boundary and tags.
pub trait Bounded: Entity {
    fn boundary_mut(&mut self) -> &mut Option<String>;
    fn tags_mut(&mut self) -> &mut Vec<TagRecord>;
}

pub fn entity_arn(account: AccountId, kind: Kind, path: &str, name: &str) -> String {
    arn("iam", None, Some(account), &format!("{}{path}{name}", kind.word()))
}

macro_rules! entity {
    ($record:ident, $kind:ident, $table:ident $(, $linked:ident)?) => {
        impl Entity for $record {
            const KIND: Kind = Kind::$kind;
            const TABLE: Table<String, Self> = $table;

            fn name(&self) -> &str {
                &self.name
            }
            fn path(&self) -> &str {
                &self.path
            }
            fn id(&self) -> &str {
                &self.id
            }
            fn grants(&self) -> &GrantsRecord {
                &self.grants
            }
            fn grants_mut(&mut self) -> &mut GrantsRecord {
                &mut self.grants
            }
            entity!(@more $record $($linked)?);
        }
    };
    (@more GroupRecord) => {};
    (@more $record:ident $($linked:ident)?) => {
        fn tags(&self) -> &[TagRecord] {
            &self.tags
        }
        $(fn linked_to(&self) -> Option<&str> {
            self.$linked.as_deref()
        })?
    };
}

entity!(UserRecord, User, USERS);
entity!(GroupRecord, Group, GROUPS);
entity!(RoleRecord, Role, ROLES, linked_to);

macro_rules! bounded {
    ($record:ident) => {
        impl Bounded for $record {
            fn boundary_mut(&mut self) -> &mut Option<String> {
                &mut self.boundary
            }
            fn tags_mut(&mut self) -> &mut Vec<TagRecord> {
                &mut self.tags
            }
        }
    };
}

bounded!(UserRecord);
bounded!(RoleRecord);

/// The entity, or NoSuchEntity.
pub async fn find<E: Entity, R: Read + ?Sized>(read: &R, scope: Scope, name: &str) -> Result<E> {
    let found = E::TABLE.get(read, scope, &key(name)).await?;
    found.ok_or_else(|| crate::errors::no_such_entity(E::KIND, name))
}

/// The same for an entity that is about to change.
pub async fn find_mut<E: Entity, R: Read + ?Sized>(
    read: &R,
    scope: Scope,
    name: &str,
) -> Result<E> {
    let found: E = find(read, scope, name).await?;
    match found.linked_to() {
        Some(_) => Err(crate::errors::protected_role(found.name())),
        None => Ok(found),
    }
}

/// Writes an entity back.
pub fn save<E: Entity, W: Write + ?Sized>(write: &mut W, scope: Scope, entity: &E) {
    E::TABLE.put(write, scope, &key(entity.name()), entity);
    touch(write, scope);
}

/// Notes that `entity` uses a policy, or that it does no longer.
pub fn note_attachment<E: Entity, W: Write + ?Sized>(
    write: &mut W,
    scope: Scope,
    policy_arn: &str,
    usage: Usage,
    entity: &E,
    attached: bool,
) {
    let name = key(entity.name());
    let place = (policy_arn, usage.word(), E::KIND.word(), name.as_str());
    if attached {
        ATTACHMENTS.put(write, scope, &place, &entity.attachment());
    } else {
        ATTACHMENTS.delete(write, scope, &place);
    }
}
