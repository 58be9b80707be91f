//! S3's old presigned URLs (`AWSAccessKeyId`, `Expires`, `Signature`), which boto3 still makes by default.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>, "Query String Request
//! Authentication Alternative".

use hmac::{Hmac, KeyInit, Mac};
use sereno_base::{Timestamp, base64_encode, percent_decode};
use sereno_wire::HttpRequest;
use sha1::Sha1;

/// The query parameters that are part of the signed resource.
const SUBRESOURCES: &[&str] = &[
    "acl",
    "accelerate",
    "analytics",
    "cors",
    "delete",
    "encryption",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// What such a URL claims.
pub struct ClaimV2 {
    pub access_key_id: String,
    pub expires: Timestamp,
    pub session_token: Option<String>,
    signature: String,
}

impl ClaimV2 {
    pub fn read(query: &str) -> Option<ClaimV2> {
        let access_key_id = parameter(query, "AWSAccessKeyId")?;
        Some(ClaimV2 {
            access_key_id,
            expires: Timestamp::from_secs(parameter(query, "Expires")?.parse().ok()?),
            session_token: parameter(query, "x-amz-security-token"),
            signature: parameter(query, "Signature")?,
        })
    }

    /// `bucket` is the one of a virtual-hosted request, whose path does not name it.
    pub fn matches(&self, request: &HttpRequest, bucket: Option<&str>, secret: &str) -> bool {
        let text = string_to_sign(request, bucket, self.expires);
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        let expected = base64_encode(&mac.finalize().into_bytes());
        crate::sigv4::same(expected.as_bytes(), self.signature.as_bytes())
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    percent_decode(value)
}

fn string_to_sign(request: &HttpRequest, bucket: Option<&str>, expires: Timestamp) -> String {
    let header = |name| request.header(name).unwrap_or_default();
    let mut text = format!(
        "{}\n{}\n{}\n{}\n",
        request.method,
        header("content-md5"),
        header("content-type"),
        expires.secs()
    );
    // A parameter counts as a header here: presigning puts x-amz-* there.
    let mut amz: Vec<(String, String)> = request
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-amz-"))
        .map(|name| (name.to_owned(), crate::sigv4::signed_header_values(request, name)))
        .collect();
    let queried = request.query.split('&').filter_map(|pair| pair.split_once('='));
    for (name, value) in queried.filter(|(name, _)| name.starts_with("x-amz-")) {
        amz.push((name.to_owned(), percent_decode(value).unwrap_or_default()));
    }
    amz.sort_unstable();
    for (name, value) in amz {
        text.push_str(&format!("{name}:{value}\n"));
    }
    if let Some(bucket) = bucket {
        text.push('/');
        text.push_str(bucket);
    }
    text.push_str(&request.path);
    let mut parameters: Vec<&str> = request
        .query
        .split('&')
        .filter(|pair| SUBRESOURCES.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    parameters.sort_unstable();
    for (index, pair) in parameters.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(&percent_decode(pair).unwrap_or_else(|| pair.to_owned()));
    }
    text
}
