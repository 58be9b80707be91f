//! Tags of objects.

use std::collections::BTreeMap;

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::bucket::load;
use crate::config::{tag_pairs, tag_set};
use crate::object::{Place, shown_version};
use crate::state::{BucketRecord, CURRENT, OLDER, ObjectRecord, SCOPE};
use crate::{notify, rules, version};

pub async fn get(
    ctx: Ctx,
    input: api::GetObjectTaggingInput,
) -> Result<api::GetObjectTaggingOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let version = input.version_id.as_deref();
    let object = version::bearer(ctx.store(), &bucket, &input.key, version, "GET").await?;
    Ok(api::GetObjectTaggingOutput {
        version_id: shown_version(&bucket, &object),
        tag_set: tag_set(object.head.tags),
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutObjectTaggingInput,
) -> Result<api::PutObjectTaggingOutput> {
    let tags = rules::tags(&tag_pairs(input.tagging), rules::OBJECT_TAGS_MAX)?;
    let owner = input.expected_bucket_owner.as_deref();
    let place = Place { bucket: &input.bucket, owner, key: &input.key };
    let version_id =
        set(&ctx, place, input.version_id.as_deref(), &tags, "ObjectTagging:Put").await?;
    Ok(api::PutObjectTaggingOutput { version_id })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteObjectTaggingInput,
) -> Result<api::DeleteObjectTaggingOutput> {
    let owner = input.expected_bucket_owner.as_deref();
    let place = Place { bucket: &input.bucket, owner, key: &input.key };
    let none = BTreeMap::new();
    let version_id =
        set(&ctx, place, input.version_id.as_deref(), &none, "ObjectTagging:Delete").await?;
    Ok(api::DeleteObjectTaggingOutput { version_id })
}

async fn set(
    ctx: &Ctx,
    place: Place<'_>,
    version_id: Option<&str>,
    tags: &BTreeMap<String, String>,
    event: &'static str,
) -> Result<Option<String>> {
    let method = if event == "ObjectTagging:Put" { "PUT" } else { "DELETE" };
    transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        let mut object = version::bearer(txn, &bucket, place.key, version_id, method).await?;
        object.head.tags.clone_from(tags);
        save(txn, &bucket, place.key, &object).await?;
        let shown = shown_version(&bucket, &object);
        let about = notify::About {
            bucket: place.bucket,
            key: place.key,
            version: shown.as_deref(),
            size: None,
            etag: Some(&object.etag),
            sequence: object.sequence,
        };
        notify::schedule(ctx, txn, &bucket, event, &about);
        shown
    })
}

/// Puts a version back to where it was.
pub async fn save(
    txn: &mut Txn,
    bucket: &BucketRecord,
    key: &str,
    object: &ObjectRecord,
) -> Result<()> {
    let id = bucket.id.as_str();
    let current = CURRENT.get(txn, SCOPE, &(id, key)).await?;
    match current.is_some_and(|current| current.sequence == object.sequence) {
        true => CURRENT.put(txn, SCOPE, &(id, key), object),
        false => OLDER.put(txn, SCOPE, &(id, key, object.age()), object),
    }
    Ok(())
}
