//! What a client says of an object besides its bytes, and what is refused of it.

use std::collections::BTreeMap;

use sereno_api_s3 as api;
use sereno_base::AccountId;
use sereno_kernel::{Ctx, Result};

use crate::state::{BucketRecord, HeadRecord};
use crate::{acl, errors, lock, rules};

/// AWS's limit for the names and values of user metadata together.
const METADATA_BYTES_MAX: usize = 2048;

/// The members that PutObject, CopyObject and CreateMultipartUpload share.
pub struct Wishes {
    pub head: HeadRecord,
    pub acl: Option<String>,
    pub tagging: Option<String>,
    pub storage_class: Option<api::StorageClass>,
    pub encryption: Option<api::ServerSideEncryption>,
    pub bucket_key: Option<bool>,
    pub lock: lock::Asked,
    /// Headers that ask for what is not served: name, and whether it was there.
    pub refused: Vec<(&'static str, bool)>,
}

/// Takes them from any input that has them.
macro_rules! wishes {
    ($input:expr) => {{
        let input = &$input;
        $crate::head::Wishes {
            head: $crate::state::HeadRecord {
                content_type: input.content_type.clone(),
                cache_control: input.cache_control.clone(),
                content_disposition: input.content_disposition.clone(),
                content_encoding: input.content_encoding.clone(),
                content_language: input.content_language.clone(),
                expires: input.expires.clone(),
                metadata: input.metadata.clone().unwrap_or_default(),
                website_redirect: input.website_redirect_location.clone(),
                ..$crate::state::HeadRecord::default()
            },
            acl: input.acl.as_ref().map(|acl| acl.to_string()),
            tagging: input.tagging.clone(),
            storage_class: input.storage_class.clone(),
            encryption: input.server_side_encryption.clone(),
            bucket_key: input.bucket_key_enabled,
            lock: $crate::lock::Asked {
                mode: input.object_lock_mode.clone(),
                until: input.object_lock_retain_until_date,
                hold: input.object_lock_legal_hold_status.as_ref().map(|hold| hold.to_string()),
            },
            refused: vec![
                ("x-amz-grant-full-control", input.grant_full_control.is_some()),
                ("x-amz-grant-read", input.grant_read.is_some()),
                ("x-amz-grant-read-acp", input.grant_read_acp.is_some()),
                ("x-amz-grant-write-acp", input.grant_write_acp.is_some()),
                (
                    "x-amz-server-side-encryption-customer-algorithm",
                    input.sse_customer_algorithm.is_some()
                        || input.sse_customer_key.is_some()
                        || input.sse_customer_key_md5.is_some(),
                ),
                ("x-amz-server-side-encryption-aws-kms-key-id", input.ssekms_key_id.is_some()),
                ("x-amz-server-side-encryption-context", input.ssekms_encryption_context.is_some()),
                (
                    "x-amz-object-lock-event-hold",
                    input.object_lock_event_hold.is_some()
                        || input.object_lock_event_hold_duration_days.is_some()
                        || input.object_lock_event_hold_duration_years.is_some(),
                ),
            ],
        }
    }};
}

pub(crate) use wishes;

/// Storage classes that an object may be put into; archives would have to be restored first.
const CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
];

impl Wishes {
    /// The record, with the bucket's defaults for what was not said.
    pub fn grant(self, ctx: &Ctx, bucket: &BucketRecord) -> Result<HeadRecord> {
        if let Some((name, _)) = self.refused.iter().find(|(_, given)| *given) {
            return Err(errors::header(name, "Sereno's S3 does not serve it."));
        }
        let mut head = self.head;
        self.lock.apply(bucket, ctx.now(), &mut head)?;
        let size: usize = head.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA_BYTES_MAX {
            return Err(sereno_kernel::Error::invalid(
                "MetadataTooLarge",
                "Your metadata headers exceed the maximum allowed metadata size",
            ));
        }
        head.tags = match &self.tagging {
            Some(tagging) => rules::tag_header(tagging)?,
            None => BTreeMap::new(),
        };
        head.acl = match &self.acl {
            Some(acl) => acl::allowed(bucket, Some(acl), false)?,
            None => String::new(),
        };
        if let Some(class) = &self.storage_class {
            match class.as_str() {
                class if CLASSES.contains(&class) => class.clone_into(&mut head.storage_class),
                "GLACIER" | "DEEP_ARCHIVE" => {
                    return Err(errors::header("x-amz-storage-class", "Archives"));
                }
                other => return Err(errors::storage_class(other)),
            }
        }
        match self.encryption {
            Some(api::ServerSideEncryption::Aes256) => {}
            Some(api::ServerSideEncryption::AwsKms) => {
                "aws:kms".clone_into(&mut head.encryption);
                head.bucket_key = self.bucket_key.unwrap_or(bucket.encryption.bucket_key);
            }
            Some(_) => {
                return Err(errors::header("x-amz-server-side-encryption", "AES256, aws:kms"));
            }
            None => {
                if bucket.encryption.algorithm != "AES256" {
                    head.encryption.clone_from(&bucket.encryption.algorithm);
                }
                if head.encryption == "aws:kms" {
                    head.bucket_key = self.bucket_key.unwrap_or(bucket.encryption.bucket_key);
                }
            }
        }
        Ok(head)
    }
}

/// The three members by which an answer tells the encryption.
pub struct Encryption {
    pub algorithm: Option<api::ServerSideEncryption>,
    pub key: Option<String>,
    pub bucket_key: Option<bool>,
}

impl Encryption {
    pub fn of(ctx: &Ctx, bucket: &BucketRecord, head: &HeadRecord) -> Encryption {
        if head.encryption != "aws:kms" {
            return Encryption {
                algorithm: Some(api::ServerSideEncryption::Aes256),
                key: None,
                bucket_key: None,
            };
        }
        let account = AccountId::from_u64(bucket.account).unwrap_or(AccountId::DEFAULT);
        Encryption {
            algorithm: Some(api::ServerSideEncryption::AwsKms),
            key: Some(rules::managed_key(account, &bucket.region, ctx.partition())),
            bucket_key: Some(true).filter(|_| head.bucket_key),
        }
    }
}

/// Listings and answers leave `STANDARD` out where AWS does.
pub fn storage_class(head: &HeadRecord) -> &str {
    if head.storage_class.is_empty() { "STANDARD" } else { &head.storage_class }
}
