//! Stored forms: a change of a key or a record shows in review.

use std::collections::BTreeMap;

use sereno_base::Timestamp;
use sereno_store::Scope;
use sereno_store::golden::Golden;

use crate::state::*;

fn created() -> Timestamp {
    Timestamp::from_secs(1_480_586_400)
}

fn tags() -> Vec<TagRecord> {
    vec![TagRecord { key: "k".into(), value: "v".into() }]
}

fn grants() -> GrantsRecord {
    GrantsRecord {
        inline: BTreeMap::from([("p".into(), "{}".into())]),
        attached: vec!["arn:aws:iam::aws:policy/X".into()],
    }
}

fn user() -> UserRecord {
    UserRecord {
        name: "Name".into(),
        path: "/path/".into(),
        id: "AIDAID".into(),
        created: created(),
        tags: tags(),
        boundary: Some("arn".into()),
        grants: grants(),
        groups: vec!["g".into()],
        access_keys: vec!["AKIA".into()],
        credentials: vec![CredentialRecord {
            id: "ACCA".into(),
            service: "codecommit.amazonaws.com".into(),
            service_user_name: "Name-at-123456789012".into(),
            digest: "00".into(),
            inactive: true,
            created: created(),
        }],
    }
}

fn group() -> GroupRecord {
    GroupRecord {
        name: "Name".into(),
        path: "/path/".into(),
        id: "AIDAID".into(),
        created: created(),
        grants: grants(),
    }
}

fn role() -> RoleRecord {
    RoleRecord {
        name: "Name".into(),
        path: "/path/".into(),
        id: "AIDAID".into(),
        created: created(),
        tags: tags(),
        boundary: Some("arn".into()),
        grants: grants(),
        trust: "{}".into(),
        trust_ids: BTreeMap::from([("arn".into(), "AROA".into())]),
        description: Some("d".into()),
        session_s_max: 3_600,
        instance_profiles: vec!["i".into()],
        linked_to: Some("batch.amazonaws.com".into()),
    }
}

fn policy() -> PolicyRecord {
    PolicyRecord {
        name: "Name".into(),
        path: "/path/".into(),
        id: "AIDAID".into(),
        created: created(),
        updated: created(),
        tags: tags(),
        description: Some("d".into()),
        default_version: 2,
        last_version: 3,
        versions: vec![VersionRecord { number: 2, document: "{}".into(), created: created() }],
    }
}

fn key() -> AccessKeyRecord {
    AccessKeyRecord {
        id: "AKIA".into(),
        user: "Name".into(),
        user_id: "AIDAID".into(),
        inactive: true,
        created: created(),
    }
}

fn profile() -> InstanceProfileRecord {
    InstanceProfileRecord {
        name: "Name".into(),
        path: "/path/".into(),
        id: "AIDAID".into(),
        created: created(),
        tags: tags(),
        role: Some("r".into()),
    }
}

fn provider() -> OidcRecord {
    OidcRecord {
        url: "x.example.com".into(),
        created: created(),
        tags: tags(),
        client_ids: vec!["c".into()],
        thumbprints: vec!["t".into()],
    }
}

#[test]
fn golden() {
    let scope = Scope::new("123456789012".parse().unwrap(), None);
    let used = LastUsedRecord { at: created(), service: "s3".into(), region: "us-east-1".into() };
    let attachment =
        AttachmentRecord { name: "Name".into(), id: "AIDAID".into(), path: "/path/".into() };
    Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&USERS, scope, "name", &user())
        .table(&GROUPS, scope, "name", &group())
        .table(&ROLES, scope, "name", &role())
        .table(&POLICIES, scope, "name", &policy())
        .table(&ACCESS_KEYS, scope, "AKIA", &key())
        .table(&LAST_USED, scope, "AKIA", &used)
        .table(&PROFILES, scope, "name", &profile())
        .table(&PROVIDERS, scope, "x.example.com", &provider())
        .table(&ALIASES, scope, "alias", &AliasRecord { alias: "a".into() })
        .table(&DELETIONS, scope, "task", &())
        .table(&MEMBERS, scope, &("g", "u"), &())
        .table(&ATTACHMENTS, scope, &("arn", "permissions", "user", "name"), &attachment)
        .check();
}
