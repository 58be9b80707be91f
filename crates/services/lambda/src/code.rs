//! Deployment packages: where they come from, what they must be, where they are kept.

use std::io::Cursor;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sereno_api_s3 as s3;
use sereno_base::{Timestamp, base64_encode, hex, percent_encode};
use sereno_kernel::sandbox::PackageError;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::write_blob;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::state::{CodeRecord, FunctionRecord, LayerVersionRecord};
use crate::{errors, invoke};

/// AWS's limits: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const ZIPPED_BYTES_MAX: usize = 50 << 20;
const ZIPPED_FROM_S3_BYTES_MAX: usize = 250 << 20;
const UNZIPPED_BYTES_MAX: u64 = 262_144_000;
/// How long the link of GetFunction works.
const LINK_S: u64 = 600;

/// Where the request says that the code is.
pub struct Source<'a> {
    pub zip_file: Option<&'a Bytes>,
    pub s3_bucket: Option<&'a str>,
    pub s3_key: Option<&'a str>,
    pub s3_object_version: Option<&'a str>,
}

/// Takes a package from the request or from S3, checks and keeps it.
pub async fn accept(ctx: &Ctx, source: &Source<'_>) -> Result<CodeRecord> {
    let bytes = match (source.zip_file, source.s3_bucket, source.s3_key) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => return Err(errors::code_from_two_places()),
        (Some(bytes), ..) if bytes.len() > ZIPPED_BYTES_MAX => {
            return Err(errors::zipped_too_large(ZIPPED_BYTES_MAX));
        }
        (Some(bytes), ..) => bytes.clone(),
        (None, Some(bucket), Some(key)) => {
            fetch(ctx, bucket, key, source.s3_object_version).await?
        }
        _ => return Err(errors::no_code()),
    };
    let unzipped_bytes = check(&bytes)?;
    let sha256 = base64_encode(&Sha256::digest(&bytes));
    let size_bytes = bytes.len() as u64;
    let blob = write_blob(ctx.blobs(), bytes).await?;
    let record = CodeRecord { blob, sha256, size_bytes, unzipped_bytes };
    unpack(ctx, &record).await?;
    Ok(record)
}

/// Unpacks it now, so that the first invocation need not, and so that what cannot be unpacked is refused here.
async fn unpack(ctx: &Ctx, record: &CodeRecord) -> Result<()> {
    let Ok(sandbox) = ctx.sandbox() else { return Ok(()) };
    match sandbox.prepare(invoke::package(ctx, record), UNZIPPED_BYTES_MAX).await {
        Ok(_) => Ok(()),
        Err(PackageError::Invalid(_)) => Err(errors::cannot_unzip()),
        Err(PackageError::TooLarge { limit_bytes, .. }) => {
            Err(errors::unzipped_too_large(limit_bytes))
        }
        Err(PackageError::Unavailable(why)) => Err(Error::unavailable(why)),
    }
}

/// Reads it as the caller, who must be allowed to.
async fn fetch(ctx: &Ctx, bucket: &str, key: &str, version: Option<&str>) -> Result<Bytes> {
    let input = s3::GetObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: version.map(str::to_owned),
        ..Default::default()
    };
    let output = ctx.call::<s3::GetObject>(input).await;
    let body = output.map_err(|error| errors::cannot_read_s3(&error))?.body;
    body.collect(ZIPPED_FROM_S3_BYTES_MAX)
        .await
        .map_err(|_| errors::unzipped_too_large(UNZIPPED_BYTES_MAX))
}

/// How large a zip is unpacked: one that is not empty, can be read and is not too large. Entries that would leave their folder are
/// refused where they are unpacked.
fn check(bytes: &Bytes) -> Result<u64> {
    if bytes.is_empty() {
        return Err(errors::empty_zip());
    }
    let mut archive =
        ZipArchive::new(Cursor::new(bytes.as_ref())).map_err(|_| errors::cannot_unzip())?;
    if archive.is_empty() {
        return Err(errors::empty_zip());
    }
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| errors::cannot_unzip())?;
        total = total.saturating_add(entry.size());
    }
    if total >= UNZIPPED_BYTES_MAX {
        return Err(errors::unzipped_too_large(UNZIPPED_BYTES_MAX));
    }
    Ok(total)
}

/// A link to the package that works for ten minutes, without other credentials.
pub fn link(ctx: &Ctx, function: &FunctionRecord) -> String {
    link_to(ctx, &function.name, &function.version)
}

pub fn layer_link(ctx: &Ctx, layer: &LayerVersionRecord) -> String {
    link_to(ctx, &format!("{LAYER}{}", layer.name), &layer.version.to_string())
}

fn link_to(ctx: &Ctx, name: &str, version: &str) -> String {
    let expires = ctx.now().secs() + i64::try_from(LINK_S).unwrap_or(0);
    let path = format!(
        "{PATH}{}/{}/{}/{}",
        ctx.account(),
        ctx.region(),
        percent_encode(name, false),
        percent_encode(version, false)
    );
    let signature = sign(ctx, &path, expires);
    format!("{}{path}?expires={expires}&signature={signature}", ctx.endpoint())
}

/// What a link has before a layer's name. No function's name has a colon.
pub const LAYER: &str = "layer:";

/// Where links to packages lead.
pub const PATH: &str = "/_aws/lambda-code/";

/// Whether a link is ours and still good.
pub fn link_holds(ctx: &Ctx, path: &str, expires: i64, signature: &str) -> bool {
    let expected = sign(ctx, path, expires);
    let same = expected.len() == signature.len()
        && expected.bytes().zip(signature.bytes()).fold(0, |d, (a, b)| d | (a ^ b)) == 0;
    same && Timestamp::from_secs(expires) > ctx.now()
}

fn sign(ctx: &Ctx, path: &str, expires: i64) -> String {
    let key = ctx.derive_key("lambda.code-link");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(format!("{path}?{expires}").as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zips_with_something_in_them() {
        assert!(check(&Bytes::new()).unwrap_err().message().contains("non-empty"));
        let not_a_zip = check(&Bytes::from_static(b"exports.handler = 1")).unwrap_err();
        assert!(not_a_zip.message().starts_with("Could not unzip"));
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("index.js", zip::write::SimpleFileOptions::default()).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert!(check(&bytes.into()).is_ok());
    }
}
