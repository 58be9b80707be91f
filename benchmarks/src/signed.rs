//! Signed requests as bytes, ready to be sent: signing is the client's work and must not be measured as the server's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sereno_base::{Timestamp, hex};
use sereno_gateway::sigv4::{self, Claim, PathEncoding, Placement, Scope, SigningKey};
use sereno_wire::HttpRequest;
use sereno_wire::body::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

const REGION: &str = "us-east-1";
const SECRET: &str = "test";

/// A whole HTTP/1.1 request.
pub fn request(
    service: &str,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut request = HttpRequest::new(method.clone(), path);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let time = Timestamp::EPOCH.plus(Duration::from_secs(now.as_secs()));
    let hash = hex(&Sha256::digest(body));
    let date = time.basic();
    let of_s3 = (service == "s3").then_some(("x-amz-content-sha256", hash.as_str()));
    let fixed = [("host", "127.0.0.1"), ("x-amz-date", date.as_str())];
    for (name, value) in fixed.iter().chain(&of_s3).chain(headers) {
        let value = HeaderValue::from_str(value).expect("benchmarks send plain headers");
        request.headers.insert(HeaderName::from_static(name), value);
    }
    let mut signed_headers: Vec<String> =
        request.headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed_headers.sort_unstable();
    let scope = Scope {
        date: date[..8].to_owned(),
        region: REGION.to_owned(),
        service: service.to_owned(),
    };
    let claim = Claim {
        access_key_id: "test".to_owned(),
        scope: scope.clone(),
        signed_headers: signed_headers.join(";"),
        signature: String::new(),
        time,
        session_token: None,
        placement: Placement::Header,
    };
    let key = SigningKey::derive(SECRET, &scope);
    let encoding = if service == "s3" { PathEncoding::Once } else { PathEncoding::Twice };
    let signature = sigv4::signature(&key, &claim, &request, &hash, encoding);
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    text.push_str(&format!(
        "authorization: {} Credential=test/{scope}, SignedHeaders={}, Signature={signature}\r\n\
         content-length: {}\r\n\r\n",
        sigv4::ALGORITHM,
        claim.signed_headers,
        body.len()
    ));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A DynamoDB call.
pub fn dynamodb(operation: &str, input: &serde_json::Value) -> Vec<u8> {
    let target = format!("DynamoDB_20120810.{operation}");
    let headers =
        [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
    request("dynamodb", Method::POST, "/", &headers, input.to_string().as_bytes())
}

/// A call of S3, its body's hash signed with it.
pub fn s3(method: Method, path: &str, body: &[u8]) -> Vec<u8> {
    request("s3", method, path, &[], body)
}

/// A Lambda invocation.
pub fn invoke(function: &str) -> Vec<u8> {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    request("lambda", Method::POST, &path, &[], b"{\"n\":1}")
}
