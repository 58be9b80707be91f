//! CompleteMultipartUpload: the parts become an object.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use sereno_api_s3 as api;
use sereno_base::{hex, percent_encode, unhex};
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::bucket::load;
use crate::checksum::{self, Algorithm, given, show};
use crate::content::{drop_blobs, parts};
use crate::head::Encryption;
use crate::object::{WriteConditions, quoted};
use crate::state::{
    BucketRecord, ContentRecord, ObjectRecord, PartRecord, SCOPE, UPLOADS, UploadRecord,
};
use crate::upload::{drop_part, find};
use crate::version::{self, Written};
use crate::{errors, notify, rules};

pub async fn complete(
    ctx: Ctx,
    input: api::CompleteMultipartUploadInput,
) -> Result<api::CompleteMultipartUploadOutput> {
    let conditions = WriteConditions {
        if_match: input.if_match.as_deref(),
        if_none_match: input.if_none_match.as_deref(),
    };
    conditions.check_form()?;
    let owner = input.expected_bucket_owner.as_deref();
    let (bucket, object, written) = transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, &input.bucket, owner).await?;
        let key = input.key.as_str();
        let upload = find(txn, &bucket, key, &input.upload_id).await?;
        conditions.check_since(txn, &bucket, key, &upload).await?;
        let (object, dropped) = assemble(&ctx, txn, &input, upload).await?;
        UPLOADS.delete(txn, SCOPE, &(bucket.id.as_str(), key, input.upload_id.as_str()));
        let mut written: Written = version::write(&ctx, txn, &bucket, key, object.clone()).await?;
        written.blobs.extend(dropped);
        let about = notify::About {
            bucket: &input.bucket,
            key,
            version: written.version.as_deref(),
            size: Some(object.size),
            etag: Some(&object.etag),
            sequence: written.sequence,
        };
        let event = "ObjectCreated:CompleteMultipartUpload";
        notify::schedule(&ctx, txn, &bucket, event, &about);
        (bucket, object, written)
    })?;
    drop_blobs(&ctx, &written.blobs).await;
    Ok(answer(&ctx, &bucket, &input, &object, written))
}

fn answer(
    ctx: &Ctx,
    bucket: &BucketRecord,
    input: &api::CompleteMultipartUploadInput,
    object: &ObjectRecord,
    written: Written,
) -> api::CompleteMultipartUploadOutput {
    let encryption = Encryption::of(ctx, bucket, &object.head);
    let path = percent_encode(&input.key, true);
    let mut output = api::CompleteMultipartUploadOutput {
        location: Some(format!("{}/{}/{path}", ctx.endpoint(), input.bucket)),
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        e_tag: Some(quoted(&object.etag)),
        checksum_type: checksum::kind(&object.checksums, object.composite),
        version_id: written.version,
        server_side_encryption: encryption.algorithm,
        ssekms_key_id: encryption.key,
        bucket_key_enabled: encryption.bucket_key,
        ..api::CompleteMultipartUploadOutput::default()
    };
    show!(output, &object.checksums);
    output
}

/// The object that the named parts make, and the blobs of those that were not named.
async fn assemble(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::CompleteMultipartUploadInput,
    upload: UploadRecord,
) -> Result<(ObjectRecord, Vec<String>)> {
    let id = input.upload_id.as_str();
    let listed = input.multipart_upload.as_ref().and_then(|m| m.parts.as_deref());
    let listed = listed.filter(|parts| !parts.is_empty());
    let listed = listed.ok_or_else(|| errors::request("You must specify at least one part"))?;
    check_mode(input, &upload)?;
    let mut rows: BTreeMap<u64, PartRecord> = parts(txn, id).await?.into_iter().collect();
    let chosen = choose(id, listed, &mut rows, &upload)?;
    let dropped =
        rows.iter().filter_map(|(number, part)| drop_part(txn, id, *number, part)).collect();
    let size = chosen.iter().map(|part| part.size).sum();
    if let Some(said) = input.mpu_object_size
        && u64::try_from(said) != Ok(size)
    {
        return Err(errors::request(format!(
            "The provided 'x-amz-mp-object-size' header value {said} does not match what was \
             computed: {size}"
        )));
    }
    let mut md5 = Md5::new();
    chosen.iter().for_each(|part| md5.update(unhex(&part.etag).unwrap_or_default()));
    let etag = format!("{}-{}", hex(&md5.finalize()), chosen.len());
    let algorithm = Algorithm::parse(&upload.algorithm).unwrap_or(Algorithm::Crc64Nvme);
    let sums = chosen
        .iter()
        .map(|part| (part.checksums.get(algorithm.name()).map_or("", String::as_str), part.size));
    let sum = checksum::of_parts(algorithm, upload.composite, sums);
    check_sum(input, algorithm, sum.as_deref())?;
    let object = ObjectRecord {
        modified: rules::whole_seconds(ctx.now()),
        size,
        etag,
        content: ContentRecord::Parts(id.to_owned()),
        parts: u32::try_from(chosen.len()).unwrap_or(u32::MAX),
        parts_checked: !upload.algorithm.is_empty(),
        composite: upload.composite,
        checksums: sum.into_iter().map(|sum| (algorithm.name().to_owned(), sum)).collect(),
        head: upload.head,
        ..ObjectRecord::default()
    };
    Ok((object, dropped))
}

/// Takes the named parts out of `rows`, in order.
fn choose(
    id: &str,
    listed: &[api::CompletedPart],
    rows: &mut BTreeMap<u64, PartRecord>,
    upload: &UploadRecord,
) -> Result<Vec<PartRecord>> {
    check_order(id, listed)?;
    let mut chosen: Vec<PartRecord> = Vec::with_capacity(listed.len());
    for named in listed {
        let number = named.part_number.unwrap_or_default();
        let etag = named.e_tag.as_deref().unwrap_or_default().trim_matches('"');
        let at = u64::try_from(number).unwrap_or_default();
        let found = rows.remove(&at).filter(|part| part.etag == etag);
        let part = found.ok_or_else(|| errors::part(id, number, etag))?;
        check_part(id, number, etag, &part, given!(named), upload)?;
        chosen.push(part);
    }
    let all_but_last = chosen.iter().zip(listed).take(listed.len() - 1);
    for (part, named) in all_but_last {
        if part.size < rules::PART_BYTES_MIN {
            let number = named.part_number.unwrap_or_default();
            return Err(errors::too_small(number, &part.etag, part.size, rules::PART_BYTES_MIN));
        }
    }
    Ok(chosen)
}

fn check_order(id: &str, listed: &[api::CompletedPart]) -> Result<()> {
    let mut before = 0;
    for number in listed.iter().map(|named| named.part_number.unwrap_or_default()) {
        if !(1..=rules::PART_NUMBER_MAX).contains(&number) {
            return Err(errors::bad_argument(
                "Part number must be an integer between 1 and 10000, inclusive",
                "partNumber",
                &number.to_string(),
            ));
        }
        if number <= before {
            return Err(errors::part_order(id));
        }
        before = number;
    }
    Ok(())
}

fn check_part(
    id: &str,
    number: i32,
    etag: &str,
    part: &PartRecord,
    given: checksum::Given,
    upload: &UploadRecord,
) -> Result<()> {
    if given.is_empty() && upload.composite {
        return Err(errors::request(format!(
            "The upload was created using a {} checksum. The complete request must include the \
             checksum for each part. It was missing for part {number} in the request.",
            upload.algorithm.to_lowercase()
        )));
    }
    let wrong = given
        .iter()
        .any(|(name, sum)| upload.algorithm.is_empty() || part.checksums.get(*name) != Some(sum));
    match wrong {
        true => Err(errors::part(id, number, etag)),
        false => Ok(()),
    }
}

fn check_mode(input: &api::CompleteMultipartUploadInput, upload: &UploadRecord) -> Result<()> {
    let Some(asked) = &input.checksum_type else { return Ok(()) };
    let own = match (upload.algorithm.is_empty(), upload.composite) {
        (true, _) => "null",
        (false, true) => "COMPOSITE",
        (false, false) => "FULL_OBJECT",
    };
    match asked.as_str() == own {
        true => Ok(()),
        false => Err(errors::request(format!(
            "The upload was created using the {own} checksum mode. The complete request must use \
             the same checksum mode."
        ))),
    }
}

/// The client may say what the whole must come to.
fn check_sum(
    input: &api::CompleteMultipartUploadInput,
    algorithm: Algorithm,
    sum: Option<&str>,
) -> Result<()> {
    for (name, said) in given!(input) {
        if name != algorithm.name() {
            continue;
        }
        if sum != Some(said.as_str()) {
            return Err(errors::checksum_mismatch(&name.to_lowercase()));
        }
    }
    Ok(())
}
