//! Multipart uploads: begun, filled, completed or given up.
//!
//! Completing moves no bytes: the parts' rows become the object's content. The parts that the
//! completion does not name are removed with it.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, transact};

use crate::bucket::load;
use crate::checksum::{self, Algorithm, Expected, given, show};
use crate::content::{self, Received};
use crate::copy;
use crate::errors;
use crate::head::{Encryption, Wishes, wishes};
use crate::object::{Place, check_key, quoted};
use crate::rules::{self, Conditions};
use crate::state::{
    BODIES, BucketRecord, CURRENT, ContentRecord, PARTS, PartRecord, SCOPE, UPLOADS, UploadRecord,
};

const ID_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

pub async fn create(
    ctx: Ctx,
    input: api::CreateMultipartUploadInput,
) -> Result<api::CreateMultipartUploadOutput> {
    check_key(&input.key)?;
    let algorithm = match &input.checksum_algorithm {
        Some(named) => Some(checksum::supported(named.as_str())?),
        None => None,
    };
    let composite = composite(algorithm, input.checksum_type.as_ref())?;
    let owner = input.expected_bucket_owner.as_deref();
    // Listings show uploads of one key in the order in which they began.
    let id = rules::version_id(
        u64::try_from(ctx.now().millis()).unwrap_or_default(),
        &ctx.random_id(ID_LETTERS, 53),
    );
    let wishes: Wishes = wishes!(input);
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let mut upload = UploadRecord {
        newest: 0,
        initiated: rules::whole_seconds(ctx.now()),
        initiator: ctx.caller().arn().to_string(),
        head: wishes.grant(&ctx, &bucket)?,
        algorithm: algorithm.map(|a| a.name().to_owned()).unwrap_or_default(),
        composite,
    };
    let key = input.key.as_str();
    transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, &input.bucket, owner).await?;
        let newest = CURRENT.get(txn, SCOPE, &(bucket.id.as_str(), key)).await?;
        upload.newest = newest.map_or(0, |newest| newest.sequence);
        UPLOADS.put(txn, SCOPE, &(bucket.id.as_str(), key, id.as_str()), &upload);
    })?;
    let encryption = Encryption::of(&ctx, &bucket, &upload.head);
    let kind = if composite { api::ChecksumType::Composite } else { api::ChecksumType::FullObject };
    Ok(api::CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        checksum_algorithm: algorithm.map(|a| a.name().into()),
        checksum_type: algorithm.map(|_| kind),
        ..api::CreateMultipartUploadOutput::default()
    })
}

/// What the upload's checksum is to cover.
fn composite(algorithm: Option<Algorithm>, asked: Option<&api::ChecksumType>) -> Result<bool> {
    let Some(algorithm) = algorithm else {
        return match asked {
            Some(_) => Err(errors::request(
                "The x-amz-checksum-type header can only be used with the \
                 x-amz-checksum-algorithm header.",
            )),
            None => Ok(false),
        };
    };
    let incompatible = |kind: &str| {
        errors::request(format!(
            "The {kind} checksum type cannot be used with the {} checksum algorithm.",
            algorithm.name().to_lowercase()
        ))
    };
    match asked {
        None => Ok(algorithm.composite_by_default()),
        Some(api::ChecksumType::Composite) if algorithm == Algorithm::Crc64Nvme => {
            Err(incompatible("COMPOSITE"))
        }
        Some(api::ChecksumType::FullObject)
            if matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256) =>
        {
            Err(incompatible("FULL_OBJECT"))
        }
        Some(kind) => Ok(*kind == api::ChecksumType::Composite),
    }
}

pub async fn find(
    read: &(impl Read + ?Sized),
    bucket: &BucketRecord,
    key: &str,
    id: &str,
) -> Result<UploadRecord> {
    let found = UPLOADS.get(read, SCOPE, &(bucket.id.as_str(), key, id)).await?;
    found.ok_or_else(|| errors::no_such_upload(id))
}

fn check_number(number: i32) -> Result<u64> {
    let valid =
        u64::try_from(number).ok().filter(|_| (1..=rules::PART_NUMBER_MAX).contains(&number));
    valid.ok_or_else(|| {
        errors::bad_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            &number.to_string(),
        )
    })
}

pub async fn part(ctx: Ctx, mut input: api::UploadPartInput) -> Result<api::UploadPartOutput> {
    let number = check_number(input.part_number)?;
    if input.sse_customer_algorithm.is_some() || input.sse_customer_key.is_some() {
        return Err(errors::header(
            "x-amz-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        ));
    }
    let expected = Expected::new(
        input.checksum_algorithm.as_ref(),
        given!(input),
        input.content_md5.as_deref(),
    )?;
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let upload = find(ctx.store(), &bucket, &input.key, &input.upload_id).await?;
    let own = upload_algorithm(&upload);
    if let (Some(given), false) = (expected.algorithm, upload.algorithm.is_empty())
        && given != own
    {
        return Err(errors::request(format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            own.name().to_lowercase(),
            given.name().to_lowercase()
        )));
    }
    let body = std::mem::take(&mut input.body);
    let received = content::receive(&ctx, body, &expected, &[own], rules::PUT_BYTES_MAX).await?;
    let place =
        Part { bucket: &input.bucket, owner, key: &input.key, id: &input.upload_id, number };
    save(&ctx, place, &received).await?;
    let encryption = Encryption::of(&ctx, &bucket, &upload.head);
    let mut output = api::UploadPartOutput {
        e_tag: Some(quoted(&received.etag())),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        ..api::UploadPartOutput::default()
    };
    let mut shown = received.checksums.clone();
    // What was computed only for the upload's own sake is not told.
    let told = expected.algorithm.or(Some(own).filter(|_| !upload.algorithm.is_empty()));
    shown.retain(|name, _| told.is_some_and(|told| told.name() == name));
    show!(output, &shown);
    Ok(output)
}

/// An upload without a named algorithm has CRC64NVME, as AWS gives it.
fn upload_algorithm(upload: &UploadRecord) -> Algorithm {
    Algorithm::parse(&upload.algorithm).unwrap_or(Algorithm::Crc64Nvme)
}

#[derive(Clone, Copy)]
struct Part<'a> {
    bucket: &'a str,
    owner: Option<&'a str>,
    key: &'a str,
    id: &'a str,
    number: u64,
}

async fn save(ctx: &Ctx, place: Part<'_>, received: &Received) -> Result<()> {
    let row = PartRecord {
        etag: received.etag(),
        size: received.size,
        modified: rules::whole_seconds(ctx.now()),
        content: received.content.clone(),
        checksums: received.checksums.clone(),
    };
    let outcome = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        find(txn, &bucket, place.key, place.id).await?;
        let at = (place.id, place.number);
        let before = PARTS.get(txn, SCOPE, &at).await?;
        let blobs = match before {
            Some(before) => content::retire(txn, &before.content).await?,
            None => Vec::new(),
        };
        received.put(txn);
        PARTS.put(txn, SCOPE, &at, &row);
        blobs
    });
    match outcome {
        Ok(blobs) => {
            content::drop_blobs(ctx, &blobs).await;
            Ok(())
        }
        Err(error) => {
            received.discard(ctx).await;
            Err(error)
        }
    }
}

pub async fn part_copy(
    ctx: Ctx,
    input: api::UploadPartCopyInput,
) -> Result<api::UploadPartCopyOutput> {
    let number = check_number(input.part_number)?;
    if input.copy_source_sse_customer_algorithm.is_some() || input.sse_customer_algorithm.is_some()
    {
        return Err(errors::header(
            "x-amz-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        ));
    }
    let conditions = Conditions {
        if_match: input.copy_source_if_match.as_deref(),
        if_none_match: input.copy_source_if_none_match.as_deref(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
        now: ctx.now(),
    };
    let from_owner = input.expected_source_bucket_owner.as_deref();
    let (_, from, found) = copy::source(&ctx, &input.copy_source, from_owner, &conditions).await?;
    let range = match &input.copy_source_range {
        None => 0..found.size,
        Some(header) => copy_range(header, found.size)?,
    };
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let upload = find(ctx.store(), &bucket, &input.key, &input.upload_id).await?;
    let own = upload_algorithm(&upload);
    let body = content::send(&ctx, &found.content, range).await?;
    let expected = Expected { algorithm: Some(own), ..Expected::default() };
    let received = content::receive(&ctx, body, &expected, &[own], rules::PUT_BYTES_MAX).await?;
    let place =
        Part { bucket: &input.bucket, owner, key: &input.key, id: &input.upload_id, number };
    save(&ctx, place, &received).await?;
    let encryption = Encryption::of(&ctx, &bucket, &upload.head);
    let mut result = api::CopyPartResult {
        e_tag: Some(quoted(&received.etag())),
        last_modified: Some(rules::whole_seconds(ctx.now())),
        ..api::CopyPartResult::default()
    };
    if !upload.algorithm.is_empty() {
        show!(result, &received.checksums);
    }
    Ok(api::UploadPartCopyOutput {
        copy_source_version_id: copy::source_version(&from, &found),
        copy_part_result: Some(result),
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        ..api::UploadPartCopyOutput::default()
    })
}

/// Stricter than a read's range: both ends are named.
fn copy_range(header: &str, size: u64) -> Result<std::ops::Range<u64>> {
    let form = || {
        errors::bad_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header,
        )
    };
    let (first, last) =
        header.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')).ok_or_else(form)?;
    let first: u64 = first.parse().map_err(|_| form())?;
    let last: u64 = last.parse().map_err(|_| form())?;
    if first > last {
        return Err(form());
    }
    if last >= size {
        return Err(match first < size {
            true => errors::bad_argument(
                &format!("Range specified is not valid for source object of size: {size}"),
                "x-amz-copy-source-range",
                header,
            ),
            false => {
                errors::request("The specified copy range is invalid for the source object size")
            }
        });
    }
    Ok(first..last + 1)
}

pub async fn abort(
    ctx: Ctx,
    input: api::AbortMultipartUploadInput,
) -> Result<api::AbortMultipartUploadOutput> {
    if input.if_match_initiated_time.is_some() {
        return Err(errors::header(
            "x-amz-if-match-initiated-time",
            "Only directory buckets know it.",
        ));
    }
    let owner = input.expected_bucket_owner.as_deref();
    let place = Place { bucket: &input.bucket, owner, key: &input.key };
    give_up(&ctx, place, &input.upload_id).await?;
    Ok(api::AbortMultipartUploadOutput::default())
}

/// Removes an upload and all its parts.
pub async fn give_up(ctx: &Ctx, place: Place<'_>, id: &str) -> Result<()> {
    let blobs = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, place.bucket, place.owner).await?;
        find(txn, &bucket, place.key, id).await?;
        UPLOADS.delete(txn, SCOPE, &(bucket.id.as_str(), place.key, id));
        content::retire(txn, &ContentRecord::Parts(id.to_owned())).await?
    })?;
    content::drop_blobs(ctx, &blobs).await;
    Ok(())
}

/// Removes parts that a completion left out.
pub fn drop_part(
    txn: &mut sereno_store::Txn,
    id: &str,
    number: u64,
    part: &PartRecord,
) -> Option<String> {
    PARTS.delete(txn, SCOPE, &(id, number));
    match &part.content {
        ContentRecord::Small(body) => {
            BODIES.delete(txn, SCOPE, body.as_str());
            None
        }
        ContentRecord::Blob(blob) => Some(blob.clone()),
        ContentRecord::Empty | ContentRecord::Parts(_) => None,
    }
}
