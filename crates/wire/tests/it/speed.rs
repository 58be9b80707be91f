//! The hot path's cost: `cargo test -p sereno-wire --release -- --ignored --nocapture speed`.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use sereno_api_dynamodb::{AttributeValue, GetItem, GetItemOutput};
use sereno_wire::{HttpRequest, Operation, Protocol, decode, encode, route};

#[test]
#[ignore = "a measurement"]
fn speed() {
    const ROUNDS: u32 = 200_000;
    let body = Bytes::from_static(
        br#"{"TableName":"orders","Key":{"pk":{"S":"user#1234"},"sk":{"S":"order#5678"}},"ConsistentRead":true}"#,
    );
    let item = [("pk", "user#1234"), ("sk", "order#5678"), ("name", "A name of some length")]
        .map(|(k, v)| (k.to_owned(), AttributeValue::S(v.to_owned())))
        .into_iter()
        .chain([("total".to_owned(), AttributeValue::N("12.50".to_owned()))])
        .collect();
    let output = GetItemOutput { item: Some(item), ..GetItemOutput::default() };
    let mut request = HttpRequest::new(http::Method::POST, "/");
    request
        .headers
        .insert("x-amz-target", http::HeaderValue::from_static("DynamoDB_20120810.GetItem"));
    let service = GetItem::SCHEMA.service;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let found = route(service, Protocol::Json10, &request).expect("a route");
        black_box(
            decode::<GetItem>(Protocol::Json10, &found, request.clone(), body.clone())
                .expect("valid"),
        );
    }
    let decoding = start.elapsed() / ROUNDS;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(encode(Protocol::Json10, GetItem::SCHEMA, black_box(&output), "request-id"));
    }
    println!("GetItem: route+decode {decoding:?}, encode {:?}", start.elapsed() / ROUNDS);
}
