//! Streams: what is in a record, and that a reader gets each exactly once, in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, definition, house, item, plain, with};

async fn streaming(view: &str) -> (House, String) {
    let house = house();
    let stream = json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": view}});
    let made = house.ok("CreateTable", with(definition("tab"), stream)).await;
    let arn = made["TableDescription"]["LatestStreamArn"].as_str().unwrap().to_owned();
    (house, arn)
}

async fn iterator(house: &House, arn: &str, more: Value) -> String {
    let described = house.ok("DescribeStream", json!({"StreamArn": arn})).await;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let input = with(json!({"StreamArn": arn, "ShardId": shard}), more);
    let answer = house.ok("GetShardIterator", input).await;
    answer["ShardIterator"].as_str().unwrap().to_owned()
}

async fn records(house: &House, iterator: &str) -> (Vec<Value>, Option<String>) {
    let answer = house.ok("GetRecords", json!({"ShardIterator": iterator})).await;
    let next = answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned);
    (answer["Records"].as_array().unwrap().clone(), next)
}

async fn changes(house: &House) {
    house.put("tab", json!({"p": "a", "s": 1, "v": 1})).await;
    house.put("tab", json!({"p": "a", "s": 1, "v": 2})).await;
    // Nothing changes: no record.
    house.put("tab", json!({"p": "a", "s": 1, "v": 2})).await;
    let key = item(&json!({"p": "a", "s": 1}));
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
}

#[tokio::test]
async fn views_show_what_they_say() {
    for (view, new, old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let (house, arn) = streaming(view).await;
        changes(&house).await;
        let start = iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"})).await;
        let (records, _) = records(&house, &start).await;
        let events: Vec<_> =
            records.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
        assert_eq!(events, ["INSERT", "MODIFY", "REMOVE"]);
        for record in &records {
            assert_eq!(record["eventSource"], "aws:dynamodb");
            assert_eq!(plain(&record["dynamodb"]["Keys"]), json!({"p": "a", "s": 1}));
            assert_eq!(record["dynamodb"]["StreamViewType"], view);
        }
        let change = &records[1]["dynamodb"];
        let image = |name: &str| change.get(name).map(plain);
        assert_eq!(image("NewImage"), new.then(|| json!({"p": "a", "s": 1, "v": 2})), "{view}");
        assert_eq!(image("OldImage"), old.then(|| json!({"p": "a", "s": 1, "v": 1})), "{view}");
    }
}

#[tokio::test]
async fn iterators_begin_where_they_say() {
    let (house, arn) = streaming("KEYS_ONLY").await;
    changes(&house).await;
    let latest = iterator(&house, &arn, json!({"ShardIteratorType": "LATEST"})).await;
    let start = iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"})).await;
    let (all, _) = records(&house, &start).await;
    let second = all[1]["dynamodb"]["SequenceNumber"].clone();
    for (kind, left) in [("AT_SEQUENCE_NUMBER", 2), ("AFTER_SEQUENCE_NUMBER", 1)] {
        let more = json!({"ShardIteratorType": kind, "SequenceNumber": second});
        let start = iterator(&house, &arn, more).await;
        assert_eq!(records(&house, &start).await.0, all[3 - left..], "{kind}");
    }
    assert!(records(&house, &latest).await.0.is_empty());
    house.put("tab", json!({"p": "b", "s": 1})).await;
    assert_eq!(records(&house, &latest).await.0.len(), 1);
    house.cloud.advance(Duration::from_secs(16 * 60));
    let (code, _) = house.fails("GetRecords", json!({"ShardIterator": latest})).await;
    assert_eq!(code, "ExpiredIteratorException");
}

#[tokio::test]
async fn records_live_for_a_day() {
    let (house, arn) = streaming("KEYS_ONLY").await;
    changes(&house).await;
    house.cloud.advance(Duration::from_secs(23 * 3600));
    let start = || iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"}));
    assert_eq!(records(&house, &start().await).await.0.len(), 3);
    house.cloud.advance(Duration::from_secs(2 * 3600));
    assert!(records(&house, &start().await).await.0.is_empty());
}

#[tokio::test]
async fn a_stream_outlives_its_table_and_ends() {
    let (house, arn) = streaming("KEYS_ONLY").await;
    changes(&house).await;
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    let described = house.ok("DescribeStream", json!({"StreamArn": arn})).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "DISABLED");
    let mut at = Some(iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"})).await);
    let mut seen = 0;
    while let Some(iterator) = at {
        let (records, next) = records(&house, &iterator).await;
        seen += records.len();
        at = next;
    }
    assert_eq!(seen, 3);
    house.cloud.advance(Duration::from_secs(25 * 3600));
    let (code, _) = house.fails("DescribeStream", json!({"StreamArn": arn})).await;
    assert_eq!(code, "ResourceNotFoundException");
}

/// Writers of all kinds at once; a reader that goes on and on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_misses_nothing_and_sees_nothing_twice() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 40;
    let (house, arn) = streaming("NEW_IMAGE").await;
    let house = Arc::new(house);
    let start = iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"})).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for n in 0..EACH {
                    // Each writer counts its own item up.
                    let update = json!({
                        "TableName": "tab", "Key": item(&json!({"p": "w", "s": writer})),
                        "UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": n.to_string()}}
                    });
                    if n % 2 == 0 {
                        house.ok("UpdateItem", update).await;
                    } else {
                        house.ok("TransactWriteItems", json!({"TransactItems": [{"Update": update}]})).await;
                    }
                }
            })
        })
        .collect();
    let reader = {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let (mut seen, mut at) = (vec![0i64; WRITERS as usize], start);
            let mut total = 0;
            while total < WRITERS * EACH {
                let (found, next) = records(&house, &at).await;
                for record in &found {
                    let image = plain(&record["dynamodb"]["NewImage"]);
                    let writer = image["s"].as_u64().unwrap() as usize;
                    assert_eq!(image["n"], seen[writer], "each writer's counts come in order");
                    seen[writer] += 1;
                    total += 1;
                }
                at = next.unwrap();
                tokio::task::yield_now().await;
            }
            records(&house, &at).await.0.len()
        })
    };
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(reader.await.unwrap(), 0);
}

#[tokio::test]
async fn streams_are_listed_and_turned_off() {
    let (house, arn) = streaming("KEYS_ONLY").await;
    let listed = house.ok("ListStreams", json!({"TableName": "tab"})).await;
    assert_eq!(listed["Streams"][0]["StreamArn"], arn);
    let off = json!({"TableName": "tab", "StreamSpecification": {"StreamEnabled": false}});
    house.ok("UpdateTable", off).await;
    house.put("tab", json!({"p": "a", "s": 1})).await;
    let start = iterator(&house, &arn, json!({"ShardIteratorType": "TRIM_HORIZON"})).await;
    assert_eq!(records(&house, &start).await, (vec![], None));
}
