//! Signed requests against the identifier, and names and refusals of three families of services.

use sereno_base::Timestamp;
use sereno_kernel::{ManualClock, Service};
use sereno_store::{MemoryBlobs, MemoryStore};
use sereno_wire::body::{HeaderValue, Method};

use super::*;
use crate::naming::{Directory, Named};
use crate::sigv4::Scope;

const NOW: &str = "20161201T100000Z";

fn cloud() -> Arc<Cloud> {
    let clock = ManualClock::new(Timestamp::parse_basic(NOW).unwrap());
    Cloud::builder(Arc::new(MemoryStore::new()), Arc::new(MemoryBlobs::new()))
        .clock(Arc::new(clock))
        .service(Service::new(&sereno_api_s3::SERVICE))
        .service(Service::new(&sereno_api_dynamodb::SERVICE))
        .service(Service::new(&sereno_api_sts::SERVICE))
        .build()
}

fn identifier() -> Identifier {
    Identifier::new(cloud(), RootKeys { keys: Vec::new(), development: true })
}

fn request(headers: &[(&'static str, &str)]) -> HttpRequest {
    let mut request = HttpRequest::new(Method::PUT, "/bucket/a%20b");
    for (name, value) in headers.iter().chain(&[("host", "localhost"), ("x-amz-date", NOW)]) {
        request.headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// Signs with `test`/`test`, leaving out the headers in `without`.
fn sign(request: &mut HttpRequest, service: &str, hash: &str, without: &[&str]) {
    let mut names: Vec<String> = request.headers.keys().map(|name| name.to_string()).collect();
    names.retain(|name| !without.contains(&name.as_str()));
    names.sort_unstable();
    let scope = Scope {
        date: "20161201".to_owned(),
        region: "us-east-1".to_owned(),
        service: service.to_owned(),
    };
    let mut claim = Claim {
        access_key_id: "test".to_owned(),
        scope,
        signed_headers: names.join(";"),
        signature: String::new(),
        time: Timestamp::parse_basic(NOW).unwrap(),
        session_token: None,
        placement: Placement::Header,
    };
    let key = SigningKey::derive("test", &claim.scope);
    let encoding = if service == "s3" { PathEncoding::Once } else { PathEncoding::Twice };
    claim.signature = sigv4::signature(&key, &claim, request, hash, encoding);
    let header = format!(
        "AWS4-HMAC-SHA256 Credential=test/{}, SignedHeaders={}, Signature={}",
        claim.scope, claim.signed_headers, claim.signature
    );
    request.headers.insert("authorization", HeaderValue::from_str(&header).unwrap());
}

async fn refused(request: &HttpRequest, schema: &ServiceSchema) -> Refusal {
    match identifier().claim(request, schema).await {
        Err(refusal) => refusal,
        Ok(_) => panic!("not refused"),
    }
}

fn sha(text: &str) -> String {
    sereno_base::hex(&Sha256::digest(text))
}

#[tokio::test]
async fn s3_refuses_headers_that_nobody_signed() {
    let s3 = &sereno_api_s3::SERVICE;
    let mut good = request(&[("x-amz-acl", "private"), ("x-amz-content-sha256", UNSIGNED_PAYLOAD)]);
    sign(&mut good, "s3", UNSIGNED_PAYLOAD, &[]);
    let claimed = identifier().claim(&good, s3).await.ok().flatten().unwrap();
    assert!(claimed.verify_stream(&good, Body::empty()).is_ok());

    for unsigned in ["x-amz-acl", "x-amz-content-sha256", "x-amz-date"] {
        let mut bad =
            request(&[("x-amz-acl", "private"), ("x-amz-content-sha256", UNSIGNED_PAYLOAD)]);
        sign(&mut bad, "s3", UNSIGNED_PAYLOAD, &[unsigned]);
        assert_eq!(refused(&bad, s3).await, Refusal::UnsignedHeaders, "{unsigned}");
    }
    let error = Refusal::UnsignedHeaders.error(s3);
    assert_eq!((error.code(), error.fixed_status()), ("AccessDenied", Some(403)));
    assert_eq!(error.message(), "There were headers present in the request which were not signed");
}

#[tokio::test]
async fn what_chooses_operation_and_identity_must_be_signed() {
    for name in ["x-amz-target", "x-amz-security-token", "host"] {
        let mut bad =
            request(&[("x-amz-target", "DynamoDB_20120810.A"), ("x-amz-security-token", "t")]);
        sign(&mut bad, "dynamodb", &sha(""), &[name]);
        let refusal = refused(&bad, &sereno_api_dynamodb::SERVICE).await;
        assert!(matches!(refusal, Refusal::WrongScope(_)), "{name}: {refusal:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_all_there_is_the_signed_one() {
    let s3 = &sereno_api_s3::SERVICE;
    let check = async |declared: &str, body: &'static str| {
        let mut request = request(&[("x-amz-content-sha256", declared)]);
        sign(&mut request, "s3", declared, &[]);
        let claimed = identifier().claim(&request, s3).await.ok().flatten().unwrap();
        claimed.verify_whole(&request, s3, Bytes::from_static(body.as_bytes())).await
    };
    assert_eq!(check(&sha("<a/>"), "<a/>").await.unwrap(), "<a/>");
    assert_eq!(check(&sha("<a/>"), "<b/>").await, Err(Refusal::WrongPayloadHash));
    assert_eq!(check("anything", "<b/>").await, Err(Refusal::WrongPayloadHash));
    let chunked = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    assert_eq!(check(chunked, "4\r\n<a/>\r\n0\r\n\r\n").await.unwrap(), "<a/>");
    assert!(matches!(check(chunked, "<a/>").await, Err(Refusal::BrokenBody(_))));
    let signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    assert_eq!(check(signed, "4\r\n<a/>\r\n0\r\n\r\n").await, Err(Refusal::WrongSignature));
}

#[tokio::test]
async fn any_change_breaks_the_signature() {
    let dynamodb = &sereno_api_dynamodb::SERVICE;
    let changes: [fn(&mut HttpRequest); 4] = [
        |r| r.method = Method::GET,
        |r| r.path.push('x'),
        |r| r.query.push_str("a=b"),
        |r| assert!(r.headers.append("x-amz-target", HeaderValue::from_static("Other.B"))),
    ];
    let mut good = request(&[("x-amz-target", "DynamoDB_20120810.A")]);
    sign(&mut good, "dynamodb", &sha("{}"), &[]);
    let outcome = async |request: &HttpRequest, body: &'static str| {
        let claimed = identifier().claim(request, dynamodb).await.ok().flatten().unwrap();
        claimed.verify_whole(request, dynamodb, Bytes::from_static(body.as_bytes())).await
    };
    assert!(outcome(&good, "{}").await.is_ok());
    assert_eq!(outcome(&good, "{ }").await, Err(Refusal::WrongSignature));
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(outcome(&bad, "{}").await, Err(Refusal::WrongSignature));
    }
}

#[tokio::test]
async fn time_and_scope() {
    let identifier = identifier();
    let mut request = request(&[]);
    sign(&mut request, "sts", &sha(""), &[]);
    let sts = &sereno_api_sts::SERVICE;
    assert!(identifier.claim(&request, sts).await.is_ok());
    let other = identifier.claim(&request, &sereno_api_dynamodb::SERVICE).await.err();
    assert!(matches!(other, Some(Refusal::WrongScope(_))));
    identifier.cloud.clock().advance(SKEW_MAX + Duration::from_secs(1));
    let late = identifier.claim(&request, sts).await.err();
    assert!(matches!(late, Some(Refusal::Skewed { .. })));
}

#[test]
fn refusals_are_worded_by_family() {
    let word = |refusal: Refusal, schema| {
        let error = refusal.error(schema);
        (error.fixed_status().unwrap(), error.code().to_owned())
    };
    let (s3, json, query) =
        (&sereno_api_s3::SERVICE, &sereno_api_dynamodb::SERVICE, &sereno_api_sts::SERVICE);
    for (refusal, schema, status, code) in [
        (Refusal::Unsigned, s3, 403, "AccessDenied"),
        (Refusal::Unsigned, json, 400, "MissingAuthenticationTokenException"),
        (Refusal::Unsigned, query, 403, "MissingAuthenticationToken"),
        (Refusal::UnknownKey, s3, 403, "InvalidAccessKeyId"),
        (Refusal::UnknownKey, json, 400, "UnrecognizedClientException"),
        (Refusal::UnknownKey, query, 403, "InvalidClientTokenId"),
        (Refusal::WrongSignature, s3, 403, "SignatureDoesNotMatch"),
        (Refusal::WrongSignature, json, 400, "InvalidSignatureException"),
        (Refusal::WrongSignature, query, 403, "SignatureDoesNotMatch"),
        (Refusal::ExpiredToken, s3, 400, "ExpiredToken"),
        (Refusal::ExpiredToken, json, 400, "ExpiredTokenException"),
        (Refusal::ExpiredToken, query, 403, "ExpiredToken"),
    ] {
        assert_eq!(word(refusal, schema), (status, code.to_owned()));
    }
}

#[test]
fn names() {
    let directory = Directory::new(&cloud());
    let name = |headers: &[(&'static str, &str)], path: &str, host: &str, scope| {
        let mut request = request(headers);
        path.clone_into(&mut request.path);
        directory.name(&request, host, scope)
    };
    let target = [("x-amz-target", "DynamoDB_20120810.PutItem")];
    assert_eq!(name(&target, "/", "localhost", Some("s3")), Named::Service(1));
    let unknown = [("x-amz-target", "Other.PutItem")];
    assert_eq!(name(&unknown, "/", "localhost", None), Named::Unserved("Other".to_owned()));
    assert_eq!(name(&[], "/", "localhost", Some("sts")), Named::Service(2));
    assert_eq!(name(&[], "/", "localhost", Some("ec2")), Named::Unserved("ec2".to_owned()));
    assert_eq!(name(&[], "/", "dynamodb.eu-west-1.amazonaws.com", None), Named::Service(1));
    assert_eq!(name(&[], "/key", "photos.s3.localhost", None), Named::Service(0));
    assert_eq!(name(&[], "/bucket/key", "127.0.0.1", None), Named::Service(0));
    let control = Named::Unserved("s3control".to_owned());
    assert_eq!(name(&[], "/v20180820/x", "localhost", Some("s3")), control);
}
