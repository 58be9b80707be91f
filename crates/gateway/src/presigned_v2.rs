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
        // A line break would let one parameter pass for two.
        let value = percent_decode(value).unwrap_or_default().replace(['\r', '\n'], " ");
        amz.push((name.to_owned(), value));
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

#[cfg(test)]
mod tests {
    use sereno_wire::body::{HeaderValue, Method};

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// The example of the page named above.
    fn example() -> HttpRequest {
        let mut request = HttpRequest::new(Method::GET, "/photos/puppy.jpg");
        request.query = "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620".to_owned();
        request
    }

    fn holds(request: &HttpRequest, bucket: Option<&str>) -> bool {
        ClaimV2::read(&request.query).unwrap().matches(request, bucket, SECRET)
    }

    #[test]
    fn the_documented_example_holds_in_both_address_forms() {
        let mut request = example();
        assert!(holds(&request, Some("johnsmith")));
        assert!(!holds(&request, Some("other")));
        request.path = "/johnsmith/photos/puppy.jpg".to_owned();
        assert!(holds(&request, None));
    }

    #[test]
    fn everything_that_counts_is_signed() {
        let changes: [fn(&mut HttpRequest); 6] = [
            |r| r.method = Method::DELETE,
            |r| r.path.push('x'),
            |r| r.query = r.query.replace("Expires=1", "Expires=2"),
            |r| r.query.push_str("&acl"),
            |r| r.query.push_str("&x-amz-acl=public-read"),
            |r| drop(r.headers.insert("x-amz-acl", HeaderValue::from_static("public-read"))),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut request = example();
            change(&mut request);
            assert!(!holds(&request, Some("johnsmith")), "change {index}");
        }
    }

    #[test]
    fn parameters_cannot_be_joined_by_a_line_break() {
        let mut two = example();
        two.query.push_str("&x-amz-meta-a=1&x-amz-meta-b=2");
        let mut one = example();
        one.query.push_str("&x-amz-meta-a=1%0Ax-amz-meta-b:2");
        let expires = Timestamp::from_secs(1);
        assert_ne!(string_to_sign(&two, None, expires), string_to_sign(&one, None, expires));
    }

    #[test]
    fn half_a_claim_is_none() {
        for query in ["", "AWSAccessKeyId=A&Signature=B", "AWSAccessKeyId=A&Signature=B&Expires=x"]
        {
            assert!(ClaimV2::read(query).is_none(), "{query}");
        }
    }
}
