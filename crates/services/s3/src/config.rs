//! A bucket's configurations that are one document each.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Error, Result};

use crate::bucket::{change, load};
use crate::state::{EncryptionRecord, PublicAccessBlockRecord, Versioning};
use crate::{errors, lock, rules};

pub async fn get_versioning(
    ctx: Ctx,
    input: api::GetBucketVersioningInput,
) -> Result<api::GetBucketVersioningOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let status = match bucket.versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(api::BucketVersioningStatus::Enabled),
        Versioning::Suspended => Some(api::BucketVersioningStatus::Suspended),
    };
    Ok(api::GetBucketVersioningOutput { status, mfa_delete: None })
}

pub async fn put_versioning(
    ctx: Ctx,
    input: api::PutBucketVersioningInput,
) -> Result<api::PutBucketVersioningOutput> {
    let wanted = input.versioning_configuration;
    if wanted.mfa_delete.is_some_and(|mfa| mfa == api::MFADelete::Enabled) || input.mfa.is_some() {
        return Err(errors::header("x-amz-mfa", "MFA Delete"));
    }
    let versioning = match wanted.status {
        Some(api::BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(api::BucketVersioningStatus::Suspended) => Versioning::Suspended,
        Some(_) => return Err(errors::malformed_xml()),
        None => {
            return Err(Error::invalid(
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
            ));
        }
    };
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        if bucket.lock.is_some() && versioning != Versioning::Enabled {
            return Err(lock::invalid_state(
                "An Object Lock configuration is present on this bucket, so the versioning state \
                 cannot be changed.",
            ));
        }
        bucket.versioning = versioning;
        Ok(())
    })
    .await?;
    Ok(api::PutBucketVersioningOutput::default())
}

pub async fn get_tagging(
    ctx: Ctx,
    input: api::GetBucketTaggingInput,
) -> Result<api::GetBucketTaggingOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    if bucket.tags.is_empty() {
        return Err(errors::absent("NoSuchTagSet", "The TagSet does not exist", &input.bucket));
    }
    Ok(api::GetBucketTaggingOutput { tag_set: tag_set(bucket.tags) })
}

pub fn tag_set(tags: std::collections::BTreeMap<String, String>) -> Vec<api::Tag> {
    tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect()
}

pub fn tag_pairs(tagging: api::Tagging) -> Vec<(String, String)> {
    tagging.tag_set.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}

pub async fn put_tagging(
    ctx: Ctx,
    input: api::PutBucketTaggingInput,
) -> Result<api::PutBucketTaggingOutput> {
    let tags = rules::tags(&tag_pairs(input.tagging), 50)?;
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.tags = tags.clone();
        Ok(())
    })
    .await?;
    Ok(api::PutBucketTaggingOutput::default())
}

/// A stack's tags, system ones too; clients cannot set those.
pub async fn set_stack_tags(ctx: &Ctx, name: &str, tags: Vec<(String, String)>) -> Result<()> {
    let (system, own): (Vec<_>, Vec<_>) =
        tags.into_iter().partition(|(key, _)| key.starts_with("aws:"));
    let mut all = rules::tags(&own, 50)?;
    all.extend(system);
    change(ctx, name, None, |bucket| {
        bucket.tags.clone_from(&all);
        Ok(())
    })
    .await
}

pub async fn delete_tagging(
    ctx: Ctx,
    input: api::DeleteBucketTaggingInput,
) -> Result<api::DeleteBucketTaggingOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.tags.clear();
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketTaggingOutput::default())
}

pub async fn get_encryption(
    ctx: Ctx,
    input: api::GetBucketEncryptionInput,
) -> Result<api::GetBucketEncryptionOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let algorithm = match bucket.encryption.algorithm.as_str() {
        "" => "AES256",
        other => other,
    };
    let rule = api::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(api::ServerSideEncryptionByDefault {
            sse_algorithm: algorithm.into(),
            kms_master_key_id: None,
        }),
        bucket_key_enabled: Some(bucket.encryption.bucket_key),
        blocked_encryption_types: None,
    };
    Ok(api::GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(api::ServerSideEncryptionConfiguration {
            rules: vec![rule],
        }),
    })
}

/// What new objects are said to be encrypted with. Keys of one's own need KMS, which is not served.
pub fn encryption(
    configuration: &api::ServerSideEncryptionConfiguration,
) -> Result<EncryptionRecord> {
    let [rule] = configuration.rules.as_slice() else { return Err(errors::malformed_xml()) };
    let Some(default) = &rule.apply_server_side_encryption_by_default else {
        return Err(errors::malformed_xml());
    };
    if rule.blocked_encryption_types.is_some() {
        return Err(errors::not_served("BlockedEncryptionTypes"));
    }
    if default.kms_master_key_id.is_some() {
        return Err(match default.sse_algorithm {
            api::ServerSideEncryption::Aes256 => errors::bad_argument_name(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
                 aws:kms:dsse",
                "ApplyServerSideEncryptionByDefault",
            ),
            _ => errors::not_served("KMS keys of one's own: leave KMSMasterKeyID out"),
        });
    }
    match default.sse_algorithm {
        api::ServerSideEncryption::Aes256 | api::ServerSideEncryption::AwsKms => {
            Ok(EncryptionRecord {
                algorithm: default.sse_algorithm.to_string(),
                bucket_key: rule.bucket_key_enabled.unwrap_or(false),
            })
        }
        _ => Err(errors::not_served("this encryption; AES256 and aws:kms are")),
    }
}

pub async fn put_encryption(
    ctx: Ctx,
    input: api::PutBucketEncryptionInput,
) -> Result<api::PutBucketEncryptionOutput> {
    // Recorded: what is not there comes before what is wrong (test_s3_default_bucket_encryption_exc).
    load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let encryption = encryption(&input.server_side_encryption_configuration)?;
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.encryption = encryption.clone();
        Ok(())
    })
    .await?;
    Ok(api::PutBucketEncryptionOutput::default())
}

pub async fn delete_encryption(
    ctx: Ctx,
    input: api::DeleteBucketEncryptionInput,
) -> Result<api::DeleteBucketEncryptionOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.encryption = EncryptionRecord::default();
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketEncryptionOutput::default())
}

pub async fn get_public_access_block(
    ctx: Ctx,
    input: api::GetPublicAccessBlockInput,
) -> Result<api::GetPublicAccessBlockOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let Some(block) = bucket.public_access_block else {
        return Err(errors::absent(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
            &input.bucket,
        ));
    };
    Ok(api::GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(api::PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            ignore_public_acls: Some(block.ignore_public_acls),
            block_public_policy: Some(block.block_public_policy),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        }),
    })
}

pub async fn put_public_access_block(
    ctx: Ctx,
    input: api::PutPublicAccessBlockInput,
) -> Result<api::PutPublicAccessBlockOutput> {
    let wanted = input.public_access_block_configuration;
    let block = PublicAccessBlockRecord {
        block_public_acls: wanted.block_public_acls.unwrap_or(false),
        ignore_public_acls: wanted.ignore_public_acls.unwrap_or(false),
        block_public_policy: wanted.block_public_policy.unwrap_or(false),
        restrict_public_buckets: wanted.restrict_public_buckets.unwrap_or(false),
    };
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.public_access_block = Some(block);
        Ok(())
    })
    .await?;
    Ok(api::PutPublicAccessBlockOutput::default())
}

pub async fn delete_public_access_block(
    ctx: Ctx,
    input: api::DeletePublicAccessBlockInput,
) -> Result<api::DeletePublicAccessBlockOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.public_access_block = None;
        Ok(())
    })
    .await?;
    Ok(api::DeletePublicAccessBlockOutput::default())
}

pub async fn get_ownership(
    ctx: Ctx,
    input: api::GetBucketOwnershipControlsInput,
) -> Result<api::GetBucketOwnershipControlsOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    if bucket.ownership.is_empty() {
        return Err(errors::absent(
            "OwnershipControlsNotFoundError",
            "The bucket ownership controls were not found",
            &input.bucket,
        ));
    }
    let rule = api::OwnershipControlsRule { object_ownership: bucket.ownership.into() };
    Ok(api::GetBucketOwnershipControlsOutput {
        ownership_controls: Some(api::OwnershipControls { rules: vec![rule] }),
    })
}

pub async fn put_ownership(
    ctx: Ctx,
    input: api::PutBucketOwnershipControlsInput,
) -> Result<api::PutBucketOwnershipControlsOutput> {
    let [rule] = input.ownership_controls.rules.as_slice() else {
        return Err(errors::malformed_xml());
    };
    let ownership = rule.object_ownership.to_string();
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        if ownership == "BucketOwnerEnforced" && !matches!(bucket.acl.as_str(), "" | "private") {
            return Err(Error::invalid(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        bucket.ownership.clone_from(&ownership);
        Ok(())
    })
    .await?;
    Ok(api::PutBucketOwnershipControlsOutput::default())
}

pub async fn delete_ownership(
    ctx: Ctx,
    input: api::DeleteBucketOwnershipControlsInput,
) -> Result<api::DeleteBucketOwnershipControlsOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.ownership.clear();
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketOwnershipControlsOutput::default())
}

pub async fn get_request_payment(
    ctx: Ctx,
    input: api::GetBucketRequestPaymentInput,
) -> Result<api::GetBucketRequestPaymentOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let payer = match bucket.requester_pays {
        true => api::Payer::Requester,
        false => api::Payer::BucketOwner,
    };
    Ok(api::GetBucketRequestPaymentOutput { payer: Some(payer) })
}

pub async fn put_request_payment(
    ctx: Ctx,
    input: api::PutBucketRequestPaymentInput,
) -> Result<api::PutBucketRequestPaymentOutput> {
    let requester = input.request_payment_configuration.payer == api::Payer::Requester;
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.requester_pays = requester;
        Ok(())
    })
    .await?;
    Ok(api::PutBucketRequestPaymentOutput::default())
}

pub async fn get_accelerate(
    ctx: Ctx,
    input: api::GetBucketAccelerateConfigurationInput,
) -> Result<api::GetBucketAccelerateConfigurationOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let status = Some(bucket.acceleration).filter(|status| !status.is_empty());
    Ok(api::GetBucketAccelerateConfigurationOutput {
        status: status.map(|status| status.as_str().into()),
        ..api::GetBucketAccelerateConfigurationOutput::default()
    })
}

pub async fn put_accelerate(
    ctx: Ctx,
    input: api::PutBucketAccelerateConfigurationInput,
) -> Result<api::PutBucketAccelerateConfigurationOutput> {
    if input.bucket.contains('.') {
        return Err(errors::request(
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        ));
    }
    let status = input.accelerate_configuration.status.ok_or_else(errors::malformed_xml)?;
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.acceleration = status.to_string();
        Ok(())
    })
    .await?;
    Ok(api::PutBucketAccelerateConfigurationOutput::default())
}

pub async fn get_logging(
    ctx: Ctx,
    input: api::GetBucketLoggingInput,
) -> Result<api::GetBucketLoggingOutput> {
    load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    Ok(api::GetBucketLoggingOutput::default())
}

/// Configurations that no bucket has here: asking for them is a question like any other.
pub async fn get_replication(
    ctx: Ctx,
    input: api::GetBucketReplicationInput,
) -> Result<api::GetBucketReplicationOutput> {
    load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    Err(errors::absent(
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
        &input.bucket,
    ))
}
