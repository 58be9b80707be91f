//! Objects removed: one, or many at once.

use sereno_api_s3 as api;
use sereno_kernel::{Access, Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::access;
use crate::bucket::load;
use crate::state::{BucketRecord, CURRENT, NULL, ObjectRecord, SCOPE, Versioning};
use crate::{content, errors, lock, notify, rules, version};

const AT_ONCE_MAX: usize = 1000;

/// What became of one deletion.
pub struct Gone {
    marker: bool,
    version: Option<String>,
}

/// Why something is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Who may pass over governance says so, or says nothing of it.
    Client { bypass: Option<bool> },
    /// A rule's, and only if it is still this version of the key.
    Expiration { sequence: u64 },
}

pub async fn object(ctx: Ctx, input: api::DeleteObjectInput) -> Result<api::DeleteObjectOutput> {
    if input.mfa.is_some() {
        return Err(errors::header("x-amz-mfa", "MFA Delete"));
    }
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(errors::header(
            "x-amz-if-match-last-modified-time",
            "Only directory buckets know it.",
        ));
    }
    let owner = input.expected_bucket_owner.as_deref();
    let place = crate::object::Place { bucket: &input.bucket, owner, key: &input.key };
    let cause = Cause::Client { bypass: input.bypass_governance_retention };
    let gone =
        remove(&ctx, place, input.version_id.as_deref(), input.if_match.as_deref(), cause).await?;
    Ok(api::DeleteObjectOutput {
        delete_marker: Some(true).filter(|_| gone.marker),
        version_id: gone.version,
        request_charged: None,
    })
}

pub async fn remove(
    ctx: &Ctx,
    place: crate::object::Place<'_>,
    version_id: Option<&str>,
    if_match: Option<&str>,
    cause: Cause,
) -> Result<Gone> {
    let (gone, blobs) = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        if let Cause::Client { bypass } = cause {
            lock::check_bypass(&bucket, bypass)?;
        }
        let removal = Removal { ctx, place, bucket: &bucket, cause };
        let current = CURRENT.get(txn, SCOPE, &(bucket.id.as_str(), place.key)).await?;
        if let Some(tags) = if_match {
            match current.as_ref().filter(|current| !current.delete_marker) {
                None => return Err(errors::no_such_key(place.key)),
                Some(object) if !rules::names_etag(tags, &object.etag) => {
                    return Err(errors::precondition("If-Match"));
                }
                Some(_) => {}
            }
        }
        match (version_id, bucket.versioning) {
            (Some(wanted), _) => removal.one_version(txn, wanted).await?,
            (None, Versioning::Never) => removal.newest(txn, current).await?,
            (None, _) => removal.marker(txn, current).await?,
        }
    })?;
    content::drop_blobs(ctx, &blobs).await;
    Ok(gone)
}

/// What was removed, and the blobs to remove after the commit.
type Done = (Gone, Vec<String>);

struct Removal<'a> {
    ctx: &'a Ctx,
    place: crate::object::Place<'a>,
    bucket: &'a BucketRecord,
    cause: Cause,
}

impl Removal<'_> {
    /// An expiration is of what a rule saw; a newer version is none of its business.
    fn is_outdated(&self, found: Option<&ObjectRecord>) -> bool {
        match self.cause {
            Cause::Client { .. } => false,
            Cause::Expiration { sequence } => found.is_none_or(|o| o.sequence != sequence),
        }
    }

    fn is_expiration(&self) -> bool {
        matches!(self.cause, Cause::Expiration { .. })
    }

    /// A rule passes over what is locked; a client is told.
    fn is_locked(&self, object: &ObjectRecord) -> Result<bool> {
        let bypass = matches!(self.cause, Cause::Client { bypass: Some(true) });
        match lock::check_removal(&object.head, self.ctx.now(), bypass) {
            Ok(()) => Ok(false),
            Err(_) if self.is_expiration() => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, txn: &mut Txn, event: &'static str, version: Option<&str>, sequence: u64) {
        if self.is_expiration() {
            return;
        }
        let about = notify::About {
            bucket: self.place.bucket,
            key: self.place.key,
            version,
            size: None,
            etag: None,
            sequence,
        };
        notify::schedule(self.ctx, txn, self.bucket, event, &about);
    }

    async fn one_version(&self, txn: &mut Txn, wanted: &str) -> Result<Done> {
        let key = self.place.key;
        let found = version::lookup(txn, self.bucket, key, wanted).await?;
        let told = self.bucket.versioning != Versioning::Never || found.is_none();
        let version = told.then(|| wanted.to_owned());
        match found {
            None if wanted != NULL => Err(errors::no_such_version(key, wanted)),
            Some(object) if !self.is_outdated(Some(&object)) && !self.is_locked(&object)? => {
                let blobs = version::remove(txn, self.bucket, key, &object).await?;
                self.tell(txn, "ObjectRemoved:Delete", Some(wanted), object.sequence);
                Ok((Gone { marker: object.delete_marker, version }, blobs))
            }
            _ => Ok((Gone { marker: false, version }, Vec::new())),
        }
    }

    async fn newest(&self, txn: &mut Txn, current: Option<ObjectRecord>) -> Result<Done> {
        let nothing = Gone { marker: false, version: None };
        let Some(object) = current.filter(|object| !self.is_outdated(Some(object))) else {
            return Ok((nothing, Vec::new()));
        };
        self.tell(txn, "ObjectRemoved:Delete", None, object.sequence);
        let blobs = version::remove(txn, self.bucket, self.place.key, &object).await?;
        Ok((nothing, blobs))
    }

    async fn marker(&self, txn: &mut Txn, current: Option<ObjectRecord>) -> Result<Done> {
        if self.is_outdated(current.as_ref()) {
            return Ok((Gone { marker: false, version: None }, Vec::new()));
        }
        let marker = ObjectRecord {
            delete_marker: true,
            modified: rules::whole_seconds(self.ctx.now()),
            ..ObjectRecord::default()
        };
        let written = version::write(self.ctx, txn, self.bucket, self.place.key, marker).await?;
        let event = "ObjectRemoved:DeleteMarkerCreated";
        self.tell(txn, event, written.version.as_deref(), written.sequence);
        Ok((Gone { marker: true, version: written.version }, written.blobs))
    }
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
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let bypass = input.bypass_governance_retention;
    lock::check_bypass(&bucket, bypass)?;
    let quiet = input.delete.quiet == Some(true);
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for one in wanted {
        let outcome = match ctx.authorise("s3", &needs(&ctx, &input.bucket, one, bypass)).await {
            Err(denied) => Err(denied),
            Ok(()) if one.last_modified_time.is_some() || one.size.is_some() => {
                Err(errors::not_served("conditions on size and time"))
            }
            Ok(()) => {
                let place = crate::object::Place { bucket: &input.bucket, owner, key: &one.key };
                let (version, cause) = (one.version_id.as_deref(), Cause::Client { bypass });
                let outcome = remove(&ctx, place, version, one.e_tag.as_deref(), cause).await;
                // Recorded: of many, one that cannot be a version's id is not there (test_delete_objects).
                outcome.map_err(|error| match (error.code(), version) {
                    ("InvalidArgument", Some(version)) => {
                        errors::no_such_version(&one.key, version)
                    }
                    _ => error,
                })
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

fn needs(ctx: &Ctx, bucket: &str, one: &api::ObjectIdentifier, bypass: Option<bool>) -> Access {
    let actions = ("s3:DeleteObject", "s3:DeleteObjectVersion");
    let access = access::versioned(ctx, actions, bucket, &one.key, one.version_id.as_deref());
    lock::bypass(access, bypass, access::object_arn(ctx, bucket, &one.key))
}

fn told(one: &api::ObjectIdentifier, gone: Gone) -> api::DeletedObject {
    api::DeletedObject {
        key: Some(one.key.clone()),
        version_id: one.version_id.clone(),
        delete_marker: Some(true).filter(|_| gone.marker),
        delete_marker_version_id: gone.version.filter(|_| gone.marker),
    }
}
