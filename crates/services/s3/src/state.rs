//! What S3 keeps: every record and every key.
//!
//! * Bucket names are one namespace for all accounts and regions, so buckets and what is in them lie
//!   in no account's scope; a bucket's record says whose it is. Objects are keyed by the bucket's
//!   id, which a bucket made again under the same name does not share.
//! * [`CURRENT`] has the newest version of each key, a delete marker too. Older versions are in
//!   [`OLDER`], newest first; a key that is there is in `CURRENT` as well. [`NULLS`] finds the one
//!   among them that was written without versioning.
//! * Content is written before the record that names it and removed after the record is gone.
//! * Parts of an upload stay where they are when it is completed: the object's content is the
//!   upload's id, its pieces are the rows of [`PARTS`].

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::{AccountId, Timestamp};
use sereno_store::{BlobRef, Scope, Table, record, record_enum};

/// Of no account: see above.
pub const SCOPE: Scope = Scope::new(AccountId::DEFAULT, None);

/// By name.
pub const BUCKETS: Table<String, BucketRecord> = Table::new("s3", "buckets");
/// Names of an account's buckets, in its own scope.
pub const OWNED: Table<String, OwnedRecord> = Table::new("s3", "owned");
/// By bucket id and key.
pub const CURRENT: Table<(String, String), ObjectRecord> = Table::new("s3", "current");
/// By bucket id, key and how old: `u64::MAX` less the sequence.
pub const OLDER: Table<(String, String, u64), ObjectRecord> =
    Table::new("s3", "older").partition(1);
/// By bucket id and key: the place in [`OLDER`] of the version `null`.
pub const NULLS: Table<(String, String), NullRecord> = Table::new("s3", "nulls");
/// Small contents, by their id.
pub const BODIES: Table<String, BodyRecord> = Table::new("s3", "bodies").partition(1);
/// By bucket id, key and upload id.
pub const UPLOADS: Table<(String, String, String), UploadRecord> =
    Table::new("s3", "uploads").partition(1);
/// By upload id and part number.
pub const PARTS: Table<(String, u64), PartRecord> = Table::new("s3", "parts");

record! {
    #[derive(Eq)]
    pub struct BucketRecord {
        1 => id: String,
        2 => account: u64,
        3 => region: String,
        4 => created: Timestamp,
        5 => versioning: Versioning,
        6 => tags: BTreeMap<String, String>,
        7 => policy: Option<String>,
        8 => encryption: EncryptionRecord,
        // The document as JSON by the model's names.
        9 => cors: Option<String>,
        10 => public_access_block: Option<PublicAccessBlockRecord>,
        // Empty: no ownership controls.
        11 => ownership: String,
        12 => acl: String,
        // The document as JSON by the model's names.
        13 => notification: Option<String>,
        // The document as JSON by the model's names.
        14 => lifecycle: Option<String>,
        // The document as JSON by the model's names.
        15 => website: Option<String>,
        // The constraint as it was given, where it is an older name of the region.
        16 => location: String,
        // Enabled, Suspended; empty: never set.
        17 => acceleration: String,
        18 => requester_pays: bool,
        // Object Lock is on.
        19 => lock: Option<LockRecord>,
    }
}

record_enum! {
    #[derive(Copy, Eq)]
    pub enum Versioning { 1 => Never, 2 => Enabled, 3 => Suspended }
}

record! {
    #[derive(Eq)]
    pub struct EncryptionRecord {
        // Empty: AES256.
        1 => algorithm: String,
        2 => bucket_key: bool,
    }

    #[derive(Copy, Eq)]
    pub struct PublicAccessBlockRecord {
        1 => block_public_acls: bool,
        2 => ignore_public_acls: bool,
        3 => block_public_policy: bool,
        4 => restrict_public_buckets: bool,
    }

    /// How new objects are locked; an empty mode: they are not.
    #[derive(Eq)]
    pub struct LockRecord {
        1 => mode: String,
        2 => days: u32,
        3 => years: u32,
    }

    pub struct OwnedRecord {
        1 => created: Timestamp,
        2 => region: String,
    }

    pub struct NullRecord {
        1 => age: u64,
    }

    pub struct BodyRecord {
        1 => bytes: Bytes,
    }
}

record! {
    /// What a client says of an object besides its bytes.
    pub struct HeadRecord {
        1 => content_type: Option<String>,
        2 => cache_control: Option<String>,
        3 => content_disposition: Option<String>,
        4 => content_encoding: Option<String>,
        5 => content_language: Option<String>,
        6 => expires: Option<String>,
        7 => metadata: BTreeMap<String, String>,
        // Empty: STANDARD.
        8 => storage_class: String,
        9 => website_redirect: Option<String>,
        10 => tags: BTreeMap<String, String>,
        // Empty: AES256.
        11 => encryption: String,
        12 => bucket_key: bool,
        // Canned; empty: private.
        13 => acl: String,
        14 => lock_mode: String,
        15 => retain_until: Option<Timestamp>,
        // ON, OFF; empty: never set.
        16 => legal_hold: String,
    }

    /// One version of an object, or a delete marker.
    pub struct ObjectRecord {
        // `null` where it was written without versioning.
        1 => version: String,
        // Grows with every version of a key.
        2 => sequence: u64,
        3 => delete_marker: bool,
        4 => modified: Timestamp,
        5 => size: u64,
        // Without quotes.
        6 => etag: String,
        7 => content: ContentRecord,
        8 => head: HeadRecord,
        // By algorithm, as they are sent.
        9 => checksums: BTreeMap<String, String>,
        // COMPOSITE, else FULL_OBJECT.
        10 => composite: bool,
        // Of a multipart upload.
        11 => parts: u32,
        // The client named the algorithm of the upload.
        12 => parts_checked: bool,
    }

    pub struct UploadRecord {
        1 => initiated: Timestamp,
        2 => head: HeadRecord,
        // Empty: none was named.
        3 => algorithm: String,
        4 => composite: bool,
        // The ARN of who began it.
        5 => initiator: String,
        // The sequence of the key's newest version when it began; 0: there was none.
        6 => newest: u64,
    }

    pub struct PartRecord {
        1 => etag: String,
        2 => size: u64,
        3 => modified: Timestamp,
        4 => content: ContentRecord,
        5 => checksums: BTreeMap<String, String>,
    }
}

record_enum! {
    /// Where an object's bytes are.
    #[derive(Eq)]
    pub enum ContentRecord {
        1 => Empty,
        /// In `BODIES`.
        2 => Small(String),
        /// In the blob store.
        3 => Blob(String),
        /// In the parts of this upload.
        4 => Parts(String),
    }
}

/// The version that is there without versioning.
pub const NULL: &str = "null";

impl BucketRecord {
    pub fn is_owned_by(&self, account: AccountId) -> bool {
        self.account == account.as_u64()
    }
}

impl ContentRecord {
    /// The blob, where it is one of this size.
    pub fn blob(&self, size: u64) -> Vec<BlobRef> {
        match self {
            ContentRecord::Blob(id) => vec![BlobRef { id: id.clone(), len: size }],
            ContentRecord::Empty | ContentRecord::Small(_) | ContentRecord::Parts(_) => Vec::new(),
        }
    }
}

impl ObjectRecord {
    /// The last part of its key in [`OLDER`].
    pub fn age(&self) -> u64 {
        u64::MAX - self.sequence
    }

    pub fn is_null(&self) -> bool {
        self.version == NULL
    }
}
