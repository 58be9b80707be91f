//! AWS Signature Version 4: reads what a request claims, computes what its signature must be.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>. Proven by AWS's own vectors
//! (`tests/`). Invariants: pure; secrets and derived keys are never printed; signatures are compared in constant time.

mod canonical;
mod claim;
mod key;

pub use canonical::{canonical_request, signed_header_values};
pub use claim::{Claim, ClaimError, Placement, Scope};
pub use key::{KeyCache, SigningKey, hmac_sha256, same};

use sereno_wire::HttpRequest;
use sha2::{Digest, Sha256};

pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Whether the path is encoded once (S3) or twice and normalised (all others) in the canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEncoding {
    Once,
    Twice,
}

/// The text that is signed: algorithm, time, scope and the canonical request's hash.
pub fn string_to_sign(claim: &Claim, canonical_request: &str) -> String {
    let mut text = String::with_capacity(192);
    text.push_str(ALGORITHM);
    text.push('\n');
    text.push_str(&claim.time.basic());
    text.push('\n');
    claim.scope.push_to(&mut text);
    text.push('\n');
    text.push_str(&sereno_base::hex(&Sha256::digest(canonical_request.as_bytes())));
    text
}

/// The signature that the request must carry, were it signed with this key over a body of this hash.
pub fn signature(
    key: &SigningKey,
    claim: &Claim,
    request: &HttpRequest,
    payload_hash: &str,
    encoding: PathEncoding,
) -> String {
    let canonical = canonical_request(claim, request, payload_hash, encoding);
    sereno_base::hex(&hmac_sha256(key.as_bytes(), string_to_sign(claim, &canonical).as_bytes()))
}
