//! Objects copied inside the server.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};

use crate::bucket::load;
use crate::checksum::{self, Expected, show};
use crate::content;
use crate::head::{Encryption, Wishes, wishes};
use crate::object::{self, Place, WriteConditions, hide, quoted, shown_version};
use crate::rules::{self, Conditions, Source};
use crate::state::{BucketRecord, HeadRecord, ObjectRecord};
use crate::{errors, version};

/// Loads what is to be copied, if the conditions on it hold.
pub async fn source(
    ctx: &Ctx,
    header: &str,
    owner: Option<&str>,
    conditions: &Conditions<'_>,
) -> Result<(Source, BucketRecord, ObjectRecord)> {
    let source = rules::copy_source(header)?;
    let bucket = load(ctx.store(), &source.bucket, owner).await?;
    let version = source.version.as_deref();
    let found = version::find(ctx.store(), &bucket, &source.key, version, "GET").await;
    let found = match found {
        Ok(object) => object,
        Err(error) if error.code() == "MethodNotAllowed" => {
            return Err(errors::request(
                "The source of a copy request may not specifically refer to a delete marker by \
                 version id.",
            ));
        }
        Err(error) => return Err(hide(ctx, &source.bucket, error).await),
    };
    // To a copy, "not modified" is a condition that does not hold.
    let holds = rules::read_conditions(conditions, &found.etag, found.modified);
    match holds {
        Ok(()) => Ok((source, bucket, found)),
        Err(error) if error.fixed_status() == Some(304) => {
            let which = match conditions.if_none_match {
                Some(_) => "x-amz-copy-source-If-None-Match",
                None => "x-amz-copy-source-If-Modified-Since",
            };
            Err(errors::precondition(which))
        }
        Err(_) => Err(errors::precondition(match conditions.if_match {
            Some(_) => "x-amz-copy-source-If-Match",
            None => "x-amz-copy-source-If-Unmodified-Since",
        })),
    }
}

/// The version `null` is not told (recorded: test_s3_copy_object_in_place_suspended_only).
pub fn source_version(from: &BucketRecord, found: &ObjectRecord) -> Option<String> {
    shown_version(from, found).filter(|_| !found.is_null())
}

pub async fn object(ctx: Ctx, input: api::CopyObjectInput) -> Result<api::CopyObjectOutput> {
    object::check_key(&input.key)?;
    let write = WriteConditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
    };
    write.check_form()?;
    refuse(&input)?;
    let conditions = Conditions {
        if_match: input.copy_source_if_match.as_deref(),
        if_none_match: input.copy_source_if_none_match.as_deref(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
        now: ctx.now(),
    };
    let from_owner = input.expected_source_bucket_owner.as_deref();
    let (source, from, found) = source(&ctx, &input.copy_source, from_owner, &conditions).await?;
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let in_place = source.bucket == input.bucket && source.key == input.key;
    if in_place && source.version.is_none() && !changes(&input, &bucket) {
        return Err(errors::request(
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata, storage class, website redirect location or \
             encryption attributes.",
        ));
    }
    if found.size > rules::PUT_BYTES_MAX {
        return Err(errors::request(format!(
            "The specified copy source is larger than the maximum allowable size for a copy \
             source: {}",
            rules::PUT_BYTES_MAX
        )));
    }
    let head = head(&ctx, &input, &bucket, &found)?;
    let body = content::send(&ctx, &found.content, 0..found.size).await?;
    let algorithm = match &input.checksum_algorithm {
        Some(named) => Some(checksum::supported(named.as_str())?),
        None => found.checksums.keys().find_map(|name| checksum::Algorithm::parse(name)),
    };
    let expected = Expected { algorithm, ..Expected::default() };
    let mut received = content::receive(&ctx, body, &expected, &[], rules::PUT_BYTES_MAX).await?;
    if let Some(algorithm) = algorithm {
        received.checksums.retain(|name, _| name == algorithm.name());
    }
    let copied = object::record(&ctx, &received, head);
    let place = Place { bucket: &input.bucket, owner, key: &input.key };
    let written =
        object::commit(&ctx, place, write, &received, &copied, "ObjectCreated:Copy").await?;
    let encryption = Encryption::of(&ctx, &bucket, &copied.head);
    let mut result = api::CopyObjectResult {
        e_tag: Some(quoted(&copied.etag)),
        last_modified: Some(copied.modified),
        checksum_type: checksum::kind(&copied.checksums, false),
        ..api::CopyObjectResult::default()
    };
    show!(result, &copied.checksums);
    Ok(api::CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source_version(&from, &found),
        version_id: written.version,
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        ..api::CopyObjectOutput::default()
    })
}

fn refuse(input: &api::CopyObjectInput) -> Result<()> {
    if input.copy_source_sse_customer_algorithm.is_some()
        || input.copy_source_sse_customer_key.is_some()
    {
        return Err(errors::header(
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        ));
    }
    match input.annotation_directive {
        Some(_) => Err(errors::header("x-amz-object-annotation-directive", "Annotations")),
        None => Ok(()),
    }
}

fn replaces(input: &api::CopyObjectInput) -> bool {
    input.metadata_directive.as_ref().is_some_and(|d| *d == api::MetadataDirective::Replace)
}

/// Whether a copy onto itself changes anything.
fn changes(input: &api::CopyObjectInput, bucket: &BucketRecord) -> bool {
    replaces(input)
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some()
        || input.bucket_key_enabled.is_some()
        || !bucket.encryption.algorithm.is_empty()
}

/// Metadata and tags come with the source unless they are to be replaced; the rest never does.
fn head(
    ctx: &Ctx,
    input: &api::CopyObjectInput,
    bucket: &BucketRecord,
    found: &ObjectRecord,
) -> Result<HeadRecord> {
    let wishes: Wishes = wishes!(*input);
    let mut head = wishes.grant(ctx, bucket)?;
    if !replaces(input) {
        let own = &found.head;
        head.content_type.clone_from(&own.content_type);
        head.cache_control.clone_from(&own.cache_control);
        head.content_disposition.clone_from(&own.content_disposition);
        head.content_encoding.clone_from(&own.content_encoding);
        head.content_language.clone_from(&own.content_language);
        head.expires.clone_from(&own.expires);
        head.metadata.clone_from(&own.metadata);
    }
    let new_tags =
        input.tagging_directive.as_ref().is_some_and(|d| *d == api::TaggingDirective::Replace);
    if !new_tags {
        head.tags.clone_from(&found.head.tags);
    }
    Ok(head)
}
