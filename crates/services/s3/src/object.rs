//! Objects: written, read, looked at.

use std::collections::BTreeMap;
use std::ops::Range;

use sereno_api_s3 as api;
use sereno_base::Timestamp;
use sereno_kernel::{Access, Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::access::bucket_arn;
use crate::bucket::load;
use crate::checksum::{self, Expected, given, show};
use crate::content::{self, Received};
use crate::head::{Encryption, Wishes, wishes};
use crate::rules::{self, Conditions};
use crate::state::{
    BucketRecord, CURRENT, ContentRecord, HeadRecord, NULL, ObjectRecord, SCOPE, UploadRecord,
};
use crate::version::{self, Written};
use crate::{errors, lifecycle, lock, notify};

/// Preconditions of a write.
#[derive(Clone, Copy, Default)]
pub struct WriteConditions<'a> {
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
}

impl WriteConditions<'_> {
    pub fn check_form(&self) -> Result<()> {
        let value = |header: &str| {
            let why = format!("We don't accept the provided value of {header} header for this API");
            Err(errors::header(header, &why))
        };
        match (self.if_match, self.if_none_match) {
            (Some(_), Some(_)) => Err(errors::header(
                "If-Match,If-None-Match",
                "Multiple conditional request headers present in the request",
            )),
            (None, Some(tags)) if tags != "*" => value("If-None-Match"),
            (Some("*"), None) => value("If-Match"),
            _ => Ok(()),
        }
    }

    /// For the completion of an upload: whatever happened to the key since it began is in its way
    /// (recorded: `test_multipart_if_match_with_put_identical`, `test_multipart_if_none_match_with_delete`).
    pub async fn check_since(
        &self,
        txn: &mut Txn,
        bucket: &BucketRecord,
        key: &str,
        began: &UploadRecord,
    ) -> Result<()> {
        self.check(txn, bucket, key).await?;
        let condition = match (self.if_match, self.if_none_match) {
            (Some(_), _) => "If-Match",
            (None, Some(_)) => "If-None-Match",
            (None, None) => return Ok(()),
        };
        let current = CURRENT.get(txn, SCOPE, &(bucket.id.as_str(), key)).await?;
        match current.map_or(0, |current| current.sequence) == began.newest {
            true => Ok(()),
            false => Err(errors::conflicting(condition, key)),
        }
    }

    pub async fn check(&self, txn: &mut Txn, bucket: &BucketRecord, key: &str) -> Result<()> {
        if self.if_match.is_none() && self.if_none_match.is_none() {
            return Ok(());
        }
        let current = CURRENT.get(txn, SCOPE, &(bucket.id.as_str(), key)).await?;
        let current = current.filter(|current| !current.delete_marker);
        match (self.if_match, self.if_none_match, current) {
            (Some(_), _, None) => Err(errors::no_such_key(key)),
            (Some(tags), _, Some(object)) if !rules::names_etag(tags, &object.etag) => {
                Err(errors::precondition("If-Match"))
            }
            (_, Some(_), Some(_)) => Err(errors::precondition("If-None-Match")),
            _ => Ok(()),
        }
    }
}

pub async fn put(ctx: Ctx, mut input: api::PutObjectInput) -> Result<api::PutObjectOutput> {
    check_key(&input.key)?;
    let conditions = WriteConditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
    };
    conditions.check_form()?;
    if input.write_offset_bytes.is_some() {
        return Err(errors::header("x-amz-write-offset-bytes", "Appending"));
    }
    let expected = Expected::new(
        input.checksum_algorithm.as_ref(),
        given!(input),
        input.content_md5.as_deref(),
    )?;
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let wishes: Wishes = wishes!(input);
    let head = wishes.grant(&ctx, &bucket)?;
    let body = std::mem::take(&mut input.body);
    let received = content::receive(&ctx, body, &expected, &[], rules::PUT_BYTES_MAX).await?;
    let object = record(&ctx, &received, head);
    let place = Place { bucket: &input.bucket, owner, key: &input.key };
    let written = commit(&ctx, place, conditions, &received, &object, "ObjectCreated:Put").await?;
    let encryption = Encryption::of(&ctx, &bucket, &object.head);
    let mut output = api::PutObjectOutput {
        e_tag: Some(quoted(&object.etag)),
        checksum_type: checksum::kind(&object.checksums, false),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        // Suspended versioning is not spoken of here (recorded: test_s3_put_object_versioned).
        version_id: written.version.filter(|version| version != NULL),
        expiration: lifecycle::header(&bucket, &input.key, &object),
        ..api::PutObjectOutput::default()
    };
    show!(output, &object.checksums);
    Ok(output)
}

pub fn check_key(key: &str) -> Result<()> {
    match key.len() > rules::KEY_BYTES_MAX {
        true => Err(Error::invalid("KeyTooLongError", "Your key is too long")),
        false => Ok(()),
    }
}

pub fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The record of bytes that were received; version and sequence come with the commit.
pub fn record(ctx: &Ctx, received: &Received, head: HeadRecord) -> ObjectRecord {
    ObjectRecord {
        modified: rules::whole_seconds(ctx.now()),
        size: received.size,
        etag: received.etag(),
        content: received.content.clone(),
        head,
        checksums: received.checksums.clone(),
        ..ObjectRecord::default()
    }
}

/// Where an object goes.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub bucket: &'a str,
    pub owner: Option<&'a str>,
    pub key: &'a str,
}

/// Commits what was received as the newest version, together with the events it causes.
pub async fn commit(
    ctx: &Ctx,
    place: Place<'_>,
    conditions: WriteConditions<'_>,
    received: &Received,
    object: &ObjectRecord,
    event: &'static str,
) -> Result<Written> {
    let outcome = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        conditions.check(txn, &bucket, place.key).await?;
        received.put(txn);
        let written = version::write(ctx, txn, &bucket, place.key, object.clone()).await?;
        let about = notify::About {
            bucket: place.bucket,
            key: place.key,
            version: written.version.as_deref(),
            size: Some(object.size),
            etag: Some(&object.etag),
            sequence: written.sequence,
        };
        notify::schedule(ctx, txn, &bucket, event, &about);
        written
    });
    match outcome {
        Ok(written) => {
            content::drop_blobs(ctx, &written.blobs).await;
            Ok(written)
        }
        Err(error) => {
            received.discard(ctx).await;
            Err(error)
        }
    }
}

/// Whether something is missing is told only to those who may list.
pub async fn hide(ctx: &Ctx, bucket: &str, error: Error) -> Error {
    if error.code() != "NoSuchKey" {
        return error;
    }
    let list = Access::new("s3:ListBucket", bucket_arn(ctx, bucket));
    match ctx.authorise("s3", &list).await {
        Ok(()) => error,
        Err(denied) => denied,
    }
}

/// What a read of one version, or of a stretch of it, gives.
struct Selected {
    object: ObjectRecord,
    range: Range<u64>,
    content_range: Option<String>,
    parts: Option<i32>,
    /// What the client may hold the bytes against: nothing for a stretch of its own choice.
    checksums: BTreeMap<String, String>,
}

struct Request<'a> {
    bucket: &'a str,
    owner: Option<&'a str>,
    key: &'a str,
    version: Option<&'a str>,
    method: &'a str,
    conditions: Conditions<'a>,
    range: Option<&'a str>,
    part: Option<i32>,
    checksum: bool,
}

async fn select(ctx: &Ctx, request: Request<'_>) -> Result<(BucketRecord, Selected)> {
    let bucket = load(ctx.store(), request.bucket, request.owner).await?;
    let found =
        version::find(ctx.store(), &bucket, request.key, request.version, request.method).await;
    let object = match found {
        Ok(object) => object,
        Err(error) => return Err(hide(ctx, request.bucket, error).await),
    };
    rules::read_conditions(&request.conditions, &object.etag, object.modified)?;
    if request.range.is_some() && request.part.is_some() {
        return Err(errors::request(
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    let checksums = match request.checksum {
        true => object.checksums.clone(),
        false => BTreeMap::new(),
    };
    let range = 0..object.size;
    let mut selected = Selected { range, content_range: None, parts: None, checksums, object };
    if let Some(header) = request.range
        && let Some(range) = rules::range(header, selected.object.size)?
    {
        // A stretch cannot be held against the sum of the whole (recorded: test_get_object_range).
        if range != selected.range {
            selected.checksums.clear();
        }
        selected.range = range;
    } else if let Some(part) = request.part {
        select_part(ctx, &mut selected, part).await?;
    } else {
        return Ok((bucket, selected));
    }
    let Range { start, end } = selected.range;
    let size = selected.object.size;
    if size > 0 {
        selected.content_range = Some(format!("bytes {start}-{}/{size}", end - 1));
    }
    Ok((bucket, selected))
}

async fn select_part(ctx: &Ctx, selected: &mut Selected, part: i32) -> Result<()> {
    if !(1..=rules::PART_NUMBER_MAX).contains(&part) {
        return Err(errors::bad_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            &part.to_string(),
        ));
    }
    let ContentRecord::Parts(upload) = &selected.object.content else {
        // An object in one piece is its own first part.
        return if part == 1 { Ok(()) } else { Err(errors::part_number(part, 1)) };
    };
    let parts = content::parts(ctx.store(), upload).await?;
    let index = usize::try_from(part - 1).unwrap_or(usize::MAX);
    let Some((_, row)) = parts.get(index) else {
        return Err(errors::part_number(part, parts.len()));
    };
    let start = parts[..index].iter().map(|(_, row)| row.size).sum();
    selected.range = start..start + row.size;
    selected.parts = i32::try_from(parts.len()).ok();
    // The part's own (recorded: test_get_object_part_checksum).
    let mut own = std::mem::take(&mut selected.checksums);
    if !selected.object.parts_checked {
        own.clear();
    }
    selected.checksums = own
        .into_keys()
        .filter_map(|name| row.checksums.get(&name).map(|sum| (name, sum.clone())))
        .collect();
    Ok(())
}

pub async fn get(ctx: Ctx, input: api::GetObjectInput) -> Result<api::GetObjectOutput> {
    refuse_customer_key(
        input.sse_customer_algorithm.is_some() || input.sse_customer_key.is_some(),
    )?;
    let request = Request {
        bucket: &input.bucket,
        owner: input.expected_bucket_owner.as_deref(),
        key: &input.key,
        version: input.version_id.as_deref(),
        method: "GET",
        conditions: Conditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
            now: ctx.now(),
        },
        range: input.range.as_deref(),
        part: input.part_number,
        checksum: wants_checksum(input.checksum_mode.as_deref()),
    };
    let (bucket, selected) = select(&ctx, request).await?;
    let body = content::send(&ctx, &selected.object.content, selected.range.clone()).await?;
    let object = selected.object;
    let encryption = Encryption::of(&ctx, &bucket, &object.head);
    let told = lock::Told::of(&ctx, &input.bucket, &input.key, &object).await;
    let length = selected.range.end - selected.range.start;
    let version = shown_version(&bucket, &object);
    let expiration = match input.version_id {
        None => lifecycle::header(&bucket, &input.key, &object),
        Some(_) => None,
    };
    let mut output = api::GetObjectOutput {
        body,
        expiration,
        accept_ranges: Some("bytes".to_owned()),
        last_modified: Some(object.modified),
        content_length: i64::try_from(length).ok(),
        content_range: selected.content_range,
        e_tag: Some(quoted(&object.etag)),
        version_id: version,
        cache_control: input.response_cache_control.or(object.head.cache_control),
        content_disposition: input.response_content_disposition.or(object.head.content_disposition),
        content_encoding: input.response_content_encoding.or(object.head.content_encoding),
        content_language: input.response_content_language.or(object.head.content_language),
        content_type: Some(content_type(input.response_content_type, object.head.content_type)),
        expires: input.response_expires.map(Timestamp::http_date).or(object.head.expires),
        website_redirect_location: object.head.website_redirect,
        metadata: Some(object.head.metadata),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        storage_class: unusual(&object.head.storage_class).map(Into::into),
        parts_count: selected.parts,
        tag_count: count(object.head.tags.len()),
        object_lock_mode: told.mode,
        object_lock_retain_until_date: told.until,
        object_lock_legal_hold_status: told.hold,
        ..api::GetObjectOutput::default()
    };
    output.checksum_type = checksum::kind(&selected.checksums, object.composite);
    show!(output, &selected.checksums);
    Ok(output)
}

pub async fn head(ctx: Ctx, input: api::HeadObjectInput) -> Result<api::HeadObjectOutput> {
    refuse_customer_key(
        input.sse_customer_algorithm.is_some() || input.sse_customer_key.is_some(),
    )?;
    let request = Request {
        bucket: &input.bucket,
        owner: input.expected_bucket_owner.as_deref(),
        key: &input.key,
        version: input.version_id.as_deref(),
        method: "HEAD",
        conditions: Conditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
            now: ctx.now(),
        },
        range: input.range.as_deref(),
        part: input.part_number,
        checksum: wants_checksum(input.checksum_mode.as_deref()),
    };
    let (bucket, selected) = select(&ctx, request).await?;
    let object = selected.object;
    let encryption = Encryption::of(&ctx, &bucket, &object.head);
    let told = lock::Told::of(&ctx, &input.bucket, &input.key, &object).await;
    let length = selected.range.end - selected.range.start;
    let version = shown_version(&bucket, &object);
    let expiration = match input.version_id {
        None => lifecycle::header(&bucket, &input.key, &object),
        Some(_) => None,
    };
    let mut output = api::HeadObjectOutput {
        expiration,
        accept_ranges: Some("bytes".to_owned()),
        last_modified: Some(object.modified),
        content_length: i64::try_from(length).ok(),
        content_range: selected.content_range,
        e_tag: Some(quoted(&object.etag)),
        version_id: version,
        cache_control: input.response_cache_control.or(object.head.cache_control),
        content_disposition: input.response_content_disposition.or(object.head.content_disposition),
        content_encoding: input.response_content_encoding.or(object.head.content_encoding),
        content_language: input.response_content_language.or(object.head.content_language),
        content_type: Some(content_type(input.response_content_type, object.head.content_type)),
        expires: input.response_expires.map(Timestamp::http_date).or(object.head.expires),
        website_redirect_location: object.head.website_redirect,
        metadata: Some(object.head.metadata),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        storage_class: unusual(&object.head.storage_class).map(Into::into),
        parts_count: selected.parts,
        tag_count: count(object.head.tags.len()),
        object_lock_mode: told.mode,
        object_lock_retain_until_date: told.until,
        object_lock_legal_hold_status: told.hold,
        ..api::HeadObjectOutput::default()
    };
    output.checksum_type = checksum::kind(&selected.checksums, object.composite);
    show!(output, &selected.checksums);
    Ok(output)
}

fn refuse_customer_key(given: bool) -> Result<()> {
    match given {
        true => Err(errors::header(
            "x-amz-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        )),
        false => Ok(()),
    }
}

fn wants_checksum(mode: Option<&str>) -> bool {
    mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"))
}

fn content_type(asked: Option<String>, own: Option<String>) -> String {
    asked.or(own).unwrap_or_else(|| "binary/octet-stream".to_owned())
}

fn unusual(class: &str) -> Option<&str> {
    Some(class).filter(|class| !matches!(*class, "" | "STANDARD"))
}

fn count(tags: usize) -> Option<i32> {
    i32::try_from(tags).ok().filter(|count| *count > 0)
}

/// A bucket that never had versioning does not speak of versions.
pub fn shown_version(bucket: &BucketRecord, object: &ObjectRecord) -> Option<String> {
    let speaks = bucket.versioning != crate::state::Versioning::Never;
    speaks.then(|| object.version.clone())
}
