//! The stored form of every record, in `tests/golden.txt`: a change of it is seen in review.

use std::collections::BTreeMap;

use sereno_base::Timestamp;
use sereno_store::golden::Golden;

use crate::state::*;

fn when() -> Timestamp {
    Timestamp::from_millis(1_480_586_400_123)
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn bucket() -> BucketRecord {
    BucketRecord {
        id: "id".into(),
        account: 123_456_789_012,
        region: "eu-west-1".into(),
        created: when(),
        versioning: Versioning::Suspended,
        tags: map("a", "b"),
        policy: Some("{}".into()),
        encryption: EncryptionRecord { algorithm: "aws:kms".into(), bucket_key: true },
        cors: Some("{}".into()),
        public_access_block: Some(PublicAccessBlockRecord {
            block_public_acls: true,
            ignore_public_acls: true,
            block_public_policy: true,
            restrict_public_buckets: true,
        }),
        ownership: "ObjectWriter".into(),
        acl: "public-read".into(),
        notification: Some("{}".into()),
        lifecycle: Some("{}".into()),
        website: Some("{}".into()),
        location: "EU".into(),
        acceleration: "Enabled".into(),
        requester_pays: true,
        lock: Some(LockRecord { mode: "GOVERNANCE".into(), days: 1, years: 2 }),
    }
}

fn head() -> HeadRecord {
    HeadRecord {
        content_type: Some("text/css".into()),
        cache_control: Some("no-cache".into()),
        content_disposition: Some("inline".into()),
        content_encoding: Some("br".into()),
        content_language: Some("de".into()),
        expires: Some("never".into()),
        metadata: map("m", "v"),
        storage_class: "STANDARD_IA".into(),
        website_redirect: Some("/x".into()),
        tags: map("t", "v"),
        encryption: "aws:kms".into(),
        bucket_key: true,
        acl: "public-read".into(),
        lock_mode: "COMPLIANCE".into(),
        retain_until: Some(when()),
        legal_hold: "ON".into(),
    }
}

fn object(content: ContentRecord) -> ObjectRecord {
    ObjectRecord {
        version: NULL.into(),
        sequence: 7,
        delete_marker: true,
        modified: when(),
        size: 3,
        etag: "e".into(),
        content,
        head: head(),
        checksums: map("CRC32", "AAAAAA=="),
        composite: true,
        parts: 2,
        parts_checked: true,
    }
}

#[test]
fn golden() {
    let owned = OwnedRecord { created: when(), region: "eu-west-1".into() };
    let scope = sereno_store::Scope::new("123456789012".parse().expect("an account"), None);
    let upload = UploadRecord {
        initiated: when(),
        head: head(),
        algorithm: "SHA256".into(),
        composite: true,
        initiator: "arn:aws:iam::123456789012:root".into(),
        newest: 7,
    };
    let part = PartRecord {
        etag: "e".into(),
        size: 3,
        modified: when(),
        content: ContentRecord::Small("body".into()),
        checksums: map("CRC32", "AAAAAA=="),
    };
    let current = object(ContentRecord::Parts("upload".into()));
    Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&BUCKETS, SCOPE, "name", &bucket())
        .table(&OWNED, scope, "name", &owned)
        .table(&CURRENT, SCOPE, &("id", "a/b"), &current)
        .table(&OLDER, SCOPE, &("id", "a/b", 9), &object(ContentRecord::Blob("blob".into())))
        .table(&NULLS, SCOPE, &("id", "a/b"), &NullRecord { age: 9 })
        .table(&UPLOADS, SCOPE, &("id", "a/b", "upload"), &upload)
        .table(&PARTS, SCOPE, &("upload", 1), &part)
        .check();
}
