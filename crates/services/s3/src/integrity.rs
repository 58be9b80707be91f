//! Bodies that are all there: documents of configurations, lists of keys.

use bytes::Bytes;
use md5::{Digest, Md5};
use sereno_base::base64_encode;
use sereno_kernel::Result;
use sereno_wire::HttpRequest;

use crate::checksum::{ALL, Hasher, check_form};
use crate::errors;

/// Holds a body against the sums that its request's headers claim.
pub fn check(request: &HttpRequest, body: &Bytes) -> Result<()> {
    // A body that streams is not all there; its operation checks it while it passes.
    if body.is_empty() && !request.body.is_empty() {
        return Ok(());
    }
    if let Some(given) = request.header("content-md5") {
        let bytes = sereno_base::base64_decode(given);
        if bytes.is_none_or(|bytes| bytes.len() != 16) {
            return Err(errors::digest(given));
        }
        let found = base64_encode(&Md5::digest(body));
        if found != given {
            return Err(errors::md5_mismatch(given, &found));
        }
    }
    // Of a completed upload the headers speak of the object, not of this body.
    if request.query.contains("uploadId=") {
        return Ok(());
    }
    for algorithm in ALL {
        let Some(given) = request.header(algorithm.header()) else { continue };
        check_form(algorithm, given)?;
        let mut hasher = Hasher::new(algorithm);
        hasher.update(body);
        if hasher.finish().1 != given {
            return Err(errors::checksum_mismatch(algorithm.name()));
        }
    }
    Ok(())
}
