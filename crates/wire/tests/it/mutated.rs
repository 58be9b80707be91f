//! Damaged requests of every protocol: an answer, never a panic.

use bytes::Bytes;
use proptest::prelude::*;
use sereno_wire::{Body, HttpRequest, Operation, Protocol, Route, decode, route};

fn damage(mut bytes: Vec<u8>, changes: &[(usize, u8, u8)]) -> Bytes {
    for &(at, byte, kind) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match kind % 4 {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes.into()
}

fn try_decode<O: Operation>(protocol: Protocol, body: &Bytes, query: &str) {
    let mut request = HttpRequest::new("POST".parse().expect("a method"), "/a/b/c");
    request.body = Body::Bytes(body.clone());
    query.clone_into(&mut request.query);
    drop(route(O::SCHEMA.service, protocol, &request));
    drop(decode::<O>(protocol, &Route::to(O::SCHEMA), request, body.clone()));
}

const PUT_ITEM: &str = r#"{"TableName":"t","Item":{"a":{"M":{"b":{"L":[{"N":"1"},{"B":"aGk="}]}}},
 "cé\u00e9\ud83d\ude00":{"S":"x\n"}},"ReturnValues":"NONE"}"#;
const ASSUME_ROLE: &str = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1\
 &RoleSessionName=s&Tags.member.1.Key=a&Tags.member.1.Value=b&PolicyArns.member.2.arn=x";
const DELETE: &str = r#"<?xml version="1.0"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
 <Object><Key>a&amp;b</Key></Object><Object><Key><![CDATA[x]]></Key></Object><!-- c -->
 <Quiet>true</Quiet></Delete>"#;

proptest! {
    #[test]
    fn no_request_panics(changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..6)) {
        let json = damage(PUT_ITEM.into(), &changes);
        try_decode::<sereno_api_dynamodb::PutItem>(Protocol::Json10, &json, "");
        try_decode::<sereno_api_dynamodb::PutItem>(Protocol::Cbor, &json, "");
        try_decode::<sereno_api_lambda::CreateFunction>(Protocol::RestJson, &json, "a=%zz");
        let form = damage(ASSUME_ROLE.into(), &changes);
        try_decode::<sereno_api_sts::AssumeRole>(Protocol::Query, &form, "");
        let query = String::from_utf8_lossy(&form).into_owned();
        try_decode::<sereno_api_s3::ListObjectsV2>(Protocol::RestXml, &form, &query);
        let xml = damage(DELETE.into(), &changes);
        try_decode::<sereno_api_s3::DeleteObjects>(Protocol::RestXml, &xml, "delete");
    }

    #[test]
    fn no_cbor_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_decode::<sereno_api_dynamodb::PutItem>(Protocol::Cbor, &bytes.into(), "");
    }
}

#[test]
fn depth_is_limited_in_every_language() {
    let xml = format!("<Delete>{}", "<a>".repeat(1_000_000));
    try_decode::<sereno_api_s3::DeleteObjects>(Protocol::RestXml, &xml.into(), "");
    let form = format!("{}a=1", "a.".repeat(1_000_000));
    try_decode::<sereno_api_sts::AssumeRole>(Protocol::Query, &form.into(), "");
    try_decode::<sereno_api_dynamodb::PutItem>(Protocol::Cbor, &vec![0x9f; 1_000_000].into(), "");
}
