//! GetObjectAttributes: what is known of an object without its bytes.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};

use crate::bucket::load;
use crate::checksum::{self, show};
use crate::content;
use crate::errors;
use crate::head::storage_class;
use crate::list::Query;
use crate::object::{hide, shown_version};
use crate::state::{ContentRecord, ObjectRecord};
use crate::version;

pub async fn get(
    ctx: Ctx,
    input: api::GetObjectAttributesInput,
) -> Result<api::GetObjectAttributesOutput> {
    if input.sse_customer_algorithm.is_some() || input.sse_customer_key.is_some() {
        return Err(errors::header(
            "x-amz-server-side-encryption-customer-algorithm",
            "Keys of the client's",
        ));
    }
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let wanted = input.version_id.as_deref();
    let object = match version::find(ctx.store(), &bucket, &input.key, wanted, "GET").await {
        Ok(object) => object,
        Err(error) => return Err(hide(&ctx, &input.bucket, error).await),
    };
    let asks = |attribute| input.object_attributes.contains(&attribute);
    let checksum = if asks(api::ObjectAttributes::Checksum) && !object.checksums.is_empty() {
        let mut all = api::Checksum {
            checksum_type: checksum::kind(&object.checksums, object.composite),
            ..api::Checksum::default()
        };
        show!(all, &object.checksums);
        Some(all)
    } else {
        None
    };
    let object_parts = match asks(api::ObjectAttributes::ObjectParts) {
        true => parts(&ctx, &input, &object).await?,
        false => None,
    };
    Ok(api::GetObjectAttributesOutput {
        last_modified: Some(object.modified),
        version_id: shown_version(&bucket, &object),
        e_tag: asks(api::ObjectAttributes::ETag).then(|| object.etag.clone()),
        checksum,
        object_parts,
        storage_class: asks(api::ObjectAttributes::StorageClass)
            .then(|| storage_class(&object.head).into()),
        object_size: i64::try_from(object.size)
            .ok()
            .filter(|_| asks(api::ObjectAttributes::ObjectSize)),
        ..api::GetObjectAttributesOutput::default()
    })
}

/// The parts are told one by one only where the client gave them checksums.
async fn parts(
    ctx: &Ctx,
    input: &api::GetObjectAttributesInput,
    object: &ObjectRecord,
) -> Result<Option<api::GetObjectAttributesParts>> {
    let ContentRecord::Parts(upload) = &object.content else { return Ok(None) };
    let mut told = api::GetObjectAttributesParts {
        total_parts_count: i32::try_from(object.parts).ok(),
        ..api::GetObjectAttributesParts::default()
    };
    if !object.parts_checked {
        return Ok(Some(told));
    }
    let max = Query::max_of(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let limit = usize::try_from(max).unwrap_or_default();
    let rows = content::parts(ctx.store(), upload).await?;
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|(number, _)| i64::try_from(*number).is_ok_and(|n| n > i64::from(marker)))
        .collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    told.part_number_marker = Some(marker);
    told.next_part_number_marker = rows.last().and_then(|(number, _)| i32::try_from(*number).ok());
    told.max_parts = Some(max);
    told.is_truncated = Some(more);
    let parts = rows.into_iter().map(|(number, row)| {
        let mut part = api::ObjectPart {
            part_number: i32::try_from(number).ok(),
            size: i64::try_from(row.size).ok(),
            ..api::ObjectPart::default()
        };
        show!(part, &row.checksums);
        part
    });
    told.parts = Some(parts.collect());
    Ok(Some(told))
}
