//! Uploads under way, and the parts of one.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};

use crate::bucket::{load, owner, owner_of};
use crate::checksum::show;
use crate::errors;
use crate::head::storage_class;
use crate::list::{Encoding, Query};
use crate::object::quoted;
use crate::state::{BucketRecord, PARTS, SCOPE, UPLOADS, UploadRecord};
use crate::upload::find;

pub async fn parts(ctx: Ctx, input: api::ListPartsInput) -> Result<api::ListPartsOutput> {
    if input.sse_customer_algorithm.is_some() || input.sse_customer_key.is_some() {
        return Err(errors::header(
            "x-amz-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        ));
    }
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let id = input.upload_id.as_str();
    let upload = find(ctx.store(), &bucket, &input.key, id).await?;
    let max = Query::max_of(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0).max(0);
    let limit = usize::try_from(max).unwrap_or_default();
    let mut rows = PARTS
        .list(SCOPE, (id,))
        .after(&(id, u64::try_from(marker).unwrap_or_default()))
        .limit(limit + 1)
        .read(ctx.store())
        .await?;
    let more = rows.len() > limit && limit > 0;
    rows.truncate(limit);
    let last = rows.last().and_then(|((_, number), _)| i32::try_from(*number).ok());
    let parts: Vec<api::Part> = rows
        .into_iter()
        .map(|((_, number), row)| {
            let mut part = api::Part {
                part_number: i32::try_from(number).ok(),
                last_modified: Some(row.modified),
                e_tag: Some(quoted(&row.etag)),
                size: i64::try_from(row.size).ok(),
                ..api::Part::default()
            };
            if !upload.algorithm.is_empty() {
                show!(part, &row.checksums);
            }
            part
        })
        .collect();
    let (checksum_algorithm, checksum_type) = checksum(&upload);
    Ok(api::ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(last.unwrap_or(0)),
        max_parts: Some(max),
        is_truncated: Some(more),
        parts: Some(parts).filter(|parts| !parts.is_empty()),
        initiator: Some(initiator(&bucket, &upload)),
        owner: Some(owner_of(&bucket)),
        storage_class: Some(storage_class(&upload.head).into()),
        checksum_algorithm,
        checksum_type,
        ..api::ListPartsOutput::default()
    })
}

/// A user or a session by its ARN and name; an account by its canonical id.
fn initiator(bucket: &BucketRecord, upload: &UploadRecord) -> api::Initiator {
    let arn = upload.initiator.as_str();
    match arn.rsplit_once('/') {
        Some((_, name)) => {
            api::Initiator { id: Some(arn.to_owned()), display_name: Some(name.to_owned()) }
        }
        None => {
            let account = arn.split(':').nth(4).and_then(|account| account.parse().ok());
            let owner = account.map_or_else(|| owner_of(bucket), owner);
            api::Initiator { id: owner.id, display_name: Some("root".to_owned()) }
        }
    }
}

fn checksum(upload: &UploadRecord) -> (Option<api::ChecksumAlgorithm>, Option<api::ChecksumType>) {
    if upload.algorithm.is_empty() {
        return (None, None);
    }
    let kind = match upload.composite {
        true => api::ChecksumType::Composite,
        false => api::ChecksumType::FullObject,
    };
    (Some(upload.algorithm.as_str().into()), Some(kind))
}

pub async fn uploads(
    ctx: Ctx,
    input: api::ListMultipartUploadsInput,
) -> Result<api::ListMultipartUploadsOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let max = Query::max_of(input.max_uploads, "max-uploads")?;
    let key_marker = input.key_marker.unwrap_or_default();
    let id_marker = input.upload_id_marker.filter(|_| !key_marker.is_empty()).unwrap_or_default();
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.unwrap_or_default();
    let limit = usize::try_from(max).unwrap_or_default();
    let query = Query { prefix: &prefix, delimiter: &delimiter, after: &key_marker, max: limit };
    let rows =
        UPLOADS.list(SCOPE, (bucket.id.as_str(),)).starting_with(&prefix).read(ctx.store()).await?;
    // Another key's (recorded: test_list_multiparts_next_marker).
    if rows.iter().any(|((_, key, id), _)| *id == id_marker && *key != key_marker) {
        return Err(errors::bad_argument(
            "Invalid uploadId marker",
            "upload-id-marker",
            &id_marker,
        ));
    }
    let encoding = Encoding::new(input.encoding_type.as_ref());
    let (mut uploads, mut groups) = (Vec::new(), Vec::<String>::new());
    let (mut next, mut more) = ((String::new(), String::new()), false);
    for ((_, key, id), upload) in rows {
        let behind =
            key > key_marker || (key == key_marker && !id_marker.is_empty() && id > id_marker);
        if !behind {
            continue;
        }
        let group = query.group(&key);
        if group.as_ref().is_some_and(|g| groups.contains(g) || key_marker.starts_with(g.as_str()))
        {
            continue;
        }
        if uploads.len() + groups.len() >= limit {
            more = limit > 0;
            break;
        }
        match group {
            Some(group) => {
                next = (group.clone(), String::new());
                groups.push(group);
            }
            None => {
                next = (key.clone(), id.clone());
                uploads.push(shown(&bucket, &encoding, key, id, &upload));
            }
        }
    }
    let prefixed = |group| api::CommonPrefix { prefix: Some(encoding.name(group)) };
    let groups: Vec<api::CommonPrefix> = groups.into_iter().map(prefixed).collect();
    Ok(api::ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        key_marker: Some(encoding.name(key_marker)),
        upload_id_marker: Some(id_marker),
        next_key_marker: Some(encoding.name(next.0)),
        next_upload_id_marker: Some(next.1),
        prefix: Some(encoding.name(prefix)).filter(|p| !p.is_empty()),
        delimiter: Some(encoding.name(delimiter)).filter(|d| !d.is_empty()),
        max_uploads: Some(max),
        is_truncated: Some(more),
        uploads: Some(uploads).filter(|list| !list.is_empty()),
        common_prefixes: Some(groups).filter(|list| !list.is_empty()),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

fn shown(
    bucket: &BucketRecord,
    encoding: &Encoding,
    key: String,
    id: String,
    upload: &UploadRecord,
) -> api::MultipartUpload {
    let (checksum_algorithm, checksum_type) = checksum(upload);
    api::MultipartUpload {
        upload_id: Some(id),
        key: Some(encoding.name(key)),
        initiated: Some(upload.initiated),
        storage_class: Some(storage_class(&upload.head).into()),
        owner: Some(owner_of(bucket)),
        initiator: Some(initiator(bucket, upload)),
        checksum_algorithm,
        checksum_type,
        version_id: None,
    }
}
