//! Objects removed: one, or many at once.

use sereno_api_s3 as api;
use sereno_kernel::{Access, Ctx, Error, Result};
use sereno_store::transact;

use crate::access;
use crate::bucket::load;
use crate::state::{CURRENT, ObjectRecord, SCOPE, Versioning};
use crate::{content, errors, notify, rules, version};

const AT_ONCE_MAX: usize = 1000;

/// What became of one deletion.
struct Gone {
    marker: bool,
    version: Option<String>,
}

pub async fn object(ctx: Ctx, input: api::DeleteObjectInput) -> Result<api::DeleteObjectOutput> {
    if input.mfa.is_some() {
        return Err(errors::header("x-amz-mfa", "MFA Delete"));
    }
    if input.bypass_governance_retention == Some(true) {
        return Err(errors::bad_argument_name(
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
            "x-amz-bypass-governance-retention",
        ));
    }
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(errors::header(
            "x-amz-if-match-last-modified-time",
            "Only directory buckets know it.",
        ));
    }
    let owner = input.expected_bucket_owner.as_deref();
    let place = crate::object::Place { bucket: &input.bucket, owner, key: &input.key };
    let gone = remove(&ctx, place, input.version_id.as_deref(), input.if_match.as_deref()).await?;
    Ok(api::DeleteObjectOutput {
        delete_marker: Some(true).filter(|_| gone.marker),
        version_id: gone.version,
        request_charged: None,
    })
}

async fn remove(
    ctx: &Ctx,
    place: crate::object::Place<'_>,
    version_id: Option<&str>,
    if_match: Option<&str>,
) -> Result<Gone> {
    let (gone, blobs) = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        let key = place.key;
        let current = CURRENT.get(txn, SCOPE, &(bucket.id.as_str(), key)).await?;
        if let Some(tags) = if_match {
            match current.as_ref().filter(|current| !current.delete_marker) {
                None => return Err(errors::no_such_key(key)),
                Some(object) if !rules::names_etag(tags, &object.etag) => {
                    return Err(errors::precondition("If-Match"));
                }
                Some(_) => {}
            }
        }
        let mut about = notify::About {
            bucket: place.bucket,
            key,
            version: None,
            size: None,
            etag: None,
            sequence: current.as_ref().map_or(0, |current| current.sequence),
        };
        if let Some(wanted) = version_id {
            match version::lookup(txn, &bucket, key, wanted).await? {
                None if wanted == "null" => {
                    (Gone { marker: false, version: Some(wanted.to_owned()) }, Vec::new())
                }
                None => return Err(errors::no_such_version(key, wanted)),
                Some(object) => {
                    let blobs = version::remove(txn, &bucket, key, &object).await?;
                    about.version = Some(wanted);
                    notify::schedule(ctx, txn, &bucket, "ObjectRemoved:Delete", &about);
                    let told = bucket.versioning != Versioning::Never;
                    let version = told.then(|| wanted.to_owned());
                    (Gone { marker: object.delete_marker, version }, blobs)
                }
            }
        } else if bucket.versioning == Versioning::Never {
            let blobs = match &current {
                Some(object) => {
                    notify::schedule(ctx, txn, &bucket, "ObjectRemoved:Delete", &about);
                    version::remove(txn, &bucket, key, object).await?
                }
                None => Vec::new(),
            };
            (Gone { marker: false, version: None }, blobs)
        } else {
            let marker = ObjectRecord {
                delete_marker: true,
                modified: ctx.now(),
                ..ObjectRecord::default()
            };
            let written = version::write(ctx, txn, &bucket, key, marker).await?;
            about.version = written.version.as_deref();
            about.sequence = written.sequence;
            notify::schedule(ctx, txn, &bucket, "ObjectRemoved:DeleteMarkerCreated", &about);
            (Gone { marker: true, version: written.version }, written.blobs)
        }
    })?;
    content::drop_blobs(ctx, &blobs).await;
    Ok(gone)
}

/// Each key is judged on its own: what is denied is told in the answer, not instead of it.
pub async fn objects(ctx: Ctx, input: api::DeleteObjectsInput) -> Result<api::DeleteObjectsOutput> {
    if input.mfa.is_some() {
        return Err(errors::header("x-amz-mfa", "MFA Delete"));
    }
    let wanted = &input.delete.objects;
    if wanted.is_empty() || wanted.len() > AT_ONCE_MAX {
        return Err(errors::malformed_xml());
    }
    let owner = input.expected_bucket_owner.as_deref();
    load(ctx.store(), &input.bucket, owner).await?;
    let quiet = input.delete.quiet == Some(true);
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for one in wanted {
        let outcome = match ctx.authorise("s3", &needs(&ctx, &input.bucket, one)).await {
            Err(denied) => Err(denied),
            Ok(()) if one.last_modified_time.is_some() || one.size.is_some() => {
                Err(errors::not_served("conditions on size and time"))
            }
            Ok(()) => {
                let place = crate::object::Place { bucket: &input.bucket, owner, key: &one.key };
                remove(&ctx, place, one.version_id.as_deref(), one.e_tag.as_deref()).await
            }
        };
        match outcome {
            Ok(_) if quiet => {}
            Ok(gone) => deleted.push(told(one, gone)),
            Err(error) => failed.push(api::Error {
                key: Some(one.key.clone()),
                version_id: one.version_id.clone(),
                code: Some(error.code().to_owned()),
                message: Some(error.message().to_owned()),
            }),
        }
    }
    Ok(api::DeleteObjectsOutput {
        deleted: Some(deleted).filter(|list| !list.is_empty()),
        errors: Some(failed).filter(|list| !list.is_empty()),
        request_charged: None,
    })
}

fn needs(ctx: &Ctx, bucket: &str, one: &api::ObjectIdentifier) -> Access {
    let actions = ("s3:DeleteObject", "s3:DeleteObjectVersion");
    access::versioned(ctx, actions, bucket, &one.key, one.version_id.as_deref())
}

fn told(one: &api::ObjectIdentifier, gone: Gone) -> api::DeletedObject {
    api::DeletedObject {
        key: Some(one.key.clone()),
        version_id: one.version_id.clone(),
        delete_marker: Some(true).filter(|_| gone.marker),
        delete_marker_version_id: gone.version.filter(|_| gone.marker),
    }
}
