//! Stored forms: a change of a key or a record shows in review.

use std::collections::BTreeMap;

use sereno_base::Timestamp;
use sereno_store::Scope;
use sereno_store::golden::Golden;

use crate::state::*;

fn main_fields() -> (String, String, String, Timestamp) {
    ("Name".into(), "/path/".into(), "AIDAID".into(), Timestamp::from_secs(1_480_586_400))
}

#[test]
fn golden() {
    let scope = Scope::new("123456789012".parse().unwrap(), None);
    let (name, path, id, created) = main_fields();
    let tags = vec![TagRecord { key: "k".into(), value: "v".into() }];
    let grants = GrantsRecord {
        inline: BTreeMap::from([("p".into(), "{}".into())]),
        attached: vec!["arn:aws:iam::aws:policy/X".into()],
    };
    let user = UserRecord {
        name: name.clone(),
        path: path.clone(),
        id: id.clone(),
        created,
        tags: tags.clone(),
        boundary: Some("arn".into()),
        grants: grants.clone(),
        groups: vec!["g".into()],
        access_keys: vec!["AKIA".into()],
    };
    let group = GroupRecord {
        name: name.clone(),
        path: path.clone(),
        id: id.clone(),
        created,
        grants: grants.clone(),
    };
    let role = RoleRecord {
        name: name.clone(),
        path: path.clone(),
        id: id.clone(),
        created,
        tags: tags.clone(),
        boundary: Some("arn".into()),
        grants,
        trust: "{}".into(),
        trust_ids: BTreeMap::from([("arn".into(), "AROA".into())]),
        description: Some("d".into()),
        session_s_max: 3_600,
        instance_profiles: vec!["i".into()],
        linked_to: Some("batch.amazonaws.com".into()),
    };
    let policy = PolicyRecord {
        name: name.clone(),
        path: path.clone(),
        id: id.clone(),
        created,
        updated: created,
        tags: tags.clone(),
        description: Some("d".into()),
        default_version: 2,
        last_version: 3,
        versions: vec![VersionRecord { number: 2, document: "{}".into(), created }],
    };
    let key = AccessKeyRecord {
        id: "AKIA".into(),
        user: name.clone(),
        user_id: id.clone(),
        inactive: true,
        created,
    };
    let used = LastUsedRecord { at: created, service: "s3".into(), region: "us-east-1".into() };
    let profile = InstanceProfileRecord {
        name: name.clone(),
        path: path.clone(),
        id: id.clone(),
        created,
        tags: tags.clone(),
        role: Some("r".into()),
    };
    let provider = OidcRecord {
        url: "x.example.com".into(),
        created,
        tags,
        client_ids: vec!["c".into()],
        thumbprints: vec!["t".into()],
    };
    let attachment = AttachmentRecord { name, id, path };
    Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&USERS, scope, "name", &user)
        .table(&GROUPS, scope, "name", &group)
        .table(&ROLES, scope, "name", &role)
        .table(&POLICIES, scope, "name", &policy)
        .table(&ACCESS_KEYS, scope, "AKIA", &key)
        .table(&LAST_USED, scope, "AKIA", &used)
        .table(&PROFILES, scope, "name", &profile)
        .table(&PROVIDERS, scope, "x.example.com", &provider)
        .table(&ALIASES, scope, "alias", &AliasRecord { alias: "a".into() })
        .table(&DELETIONS, scope, "task", &())
        .table(&MEMBERS, scope, &("g", "u"), &())
        .table(&ATTACHMENTS, scope, &("arn", "permissions", "user", "name"), &attachment)
        .check();
}
