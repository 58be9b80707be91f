//! Event source mappings on a DynamoDB stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{Ground, House, house, ids, settle};
use crate::stage::Act;

/// A function `f` mapped to the stream of a table `tab`. Answers the mapping's UUID.
async fn mapped(house: &House, more: Value) -> String {
    house.function("f").await;
    let stream = house.table().await;
    let mut input = json!({"FunctionName": "f", "EventSourceArn": stream,
        "StartingPosition": "TRIM_HORIZON"});
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    let made = house.ok("CreateEventSourceMapping", input).await;
    assert_eq!(made["State"], "Creating");
    assert_eq!(made["LastProcessingResult"], "No records processed");
    settle().await;
    made["UUID"].as_str().unwrap().to_owned()
}

async fn state(house: &House, uuid: &str) -> (String, String) {
    let shown = house.ok("GetEventSourceMapping", json!({"UUID": uuid})).await;
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    (text("State"), text("LastProcessingResult"))
}

async fn put_all(house: &House, ids: &[&str]) {
    for id in ids {
        house.put(id, 1).await;
    }
}

#[tokio::test]
async fn batches_in_order_and_nothing_twice() {
    let house = house(json!("dynamodb:*")).await;
    let uuid = mapped(&house, json!({"BatchSize": 3, "MaximumBatchingWindowInSeconds": 5})).await;
    assert_eq!(state(&house, &uuid).await.0, "Enabled");
    put_all(&house, &["a", "b"]).await;
    settle().await;
    assert!(house.batches("f").is_empty(), "the window is open");
    put_all(&house, &["c", "d"]).await;
    settle().await;
    assert_eq!(house.batches("f"), [["a", "b", "c"]]);
    house.advance(5).await;
    assert_eq!(house.batches("f").concat(), ["a", "b", "c", "d"]);
    assert_eq!(state(&house, &uuid).await.1, "OK");
    let event = &house.stage.seen("f")[0].event["Records"][0];
    assert_eq!(event["eventSource"], "aws:dynamodb");
    assert_eq!(event["dynamodb"]["NewImage"]["v"]["N"], "1");
}

#[tokio::test]
async fn latest_begins_where_the_mapping_was_made() {
    let house = house(json!("dynamodb:*")).await;
    house.function("f").await;
    let stream = house.table().await;
    house.put("old", 1).await;
    house.cloud.advance(Duration::from_secs(1));
    let input =
        json!({"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST"});
    house.ok("CreateEventSourceMapping", input).await;
    house.put("new", 1).await;
    settle().await;
    assert_eq!(house.batches("f"), [["new"]]);
}

#[tokio::test]
async fn filters_let_through_what_they_say() {
    let house = house(json!("dynamodb:*")).await;
    let pattern = json!({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"v": {"N": ["2"]}}}});
    let filters = json!({"Filters": [{"Pattern": pattern.to_string()}]});
    mapped(&house, json!({"FilterCriteria": filters})).await;
    house.put("a", 1).await;
    house.put("b", 2).await;
    house.put("a", 2).await;
    settle().await;
    assert_eq!(house.batches("f"), [["b"]]);
}

#[tokio::test]
async fn disabled_pauses_and_deleted_forgets() {
    let house = house(json!("dynamodb:*")).await;
    let uuid = mapped(&house, json!({})).await;
    put_all(&house, &["a"]).await;
    settle().await;
    let off = json!({"UUID": uuid, "Enabled": false});
    assert_eq!(house.ok("UpdateEventSourceMapping", off).await["State"], "Disabling");
    settle().await;
    assert_eq!(state(&house, &uuid).await.0, "Disabled");
    put_all(&house, &["b"]).await;
    settle().await;
    assert_eq!(house.batches("f"), [["a"]]);
    let on = json!({"UUID": uuid, "Enabled": true});
    assert_eq!(house.ok("UpdateEventSourceMapping", on).await["State"], "Enabling");
    settle().await;
    assert_eq!(house.batches("f"), [["a"], ["b"]]);
    let gone = house.ok("DeleteEventSourceMapping", json!({"UUID": uuid})).await;
    assert_eq!(gone["State"], "Deleting");
    settle().await;
    let (code, message) = house.refused("GetEventSourceMapping", json!({"UUID": uuid})).await;
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "The resource you requested does not exist.");
    put_all(&house, &["c"]).await;
    settle().await;
    assert_eq!(house.stage.seen("f").len(), 2);
}

/// Recorded: test_dynamodb_event_source_mapping_with_s3_on_failure_destination
#[tokio::test]
async fn what_fails_too_often_is_reported_and_passed_over() {
    let house = house(json!(["dynamodb:*", "s3:*"])).await;
    house.bucket("lost").await;
    let destination = json!({"OnFailure": {"Destination": "arn:aws:s3:::lost"}});
    let uuid = mapped(
        &house,
        json!({"BatchSize": 1, "MaximumRetryAttempts": 1, "DestinationConfig": destination}),
    )
    .await;
    house.stage.play("f", |event| match ids(event)[0].as_str() {
        "bad" => Act::Throw("on purpose"),
        _ => Act::Answer(Value::Null),
    });
    put_all(&house, &["good", "bad", "after"]).await;
    settle().await;
    assert_eq!(house.batches("f"), [["good"], ["bad"]]);
    assert_eq!(state(&house, &uuid).await.1, "PROBLEM: Function call failed");
    house.advance(1).await;
    assert_eq!(house.batches("f"), [["good"], ["bad"], ["bad"], ["after"]]);
    let (key, record) = house.objects("lost").await.remove(0);
    assert!(key.starts_with(&format!("aws/lambda/{uuid}/shardId-")), "{key}");
    assert_eq!(record["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    let info = &record["DDBStreamBatchInfo"];
    assert_eq!(info["batchSize"], 1);
    assert_eq!(info["startSequenceNumber"], info["endSequenceNumber"]);
    assert_eq!(info["approximateArrivalOfFirstRecord"], "2016-12-01T10:00:00Z");
    let payload: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
    assert_eq!(ids(&payload), ["bad"]);
    assert_eq!(state(&house, &uuid).await.1, "OK");
}

#[tokio::test]
async fn halves_find_the_bad_record() {
    let house = house(json!("dynamodb:*")).await;
    let more = json!({"MaximumBatchingWindowInSeconds": 1, "BisectBatchOnFunctionError": true,
        "MaximumRetryAttempts": 0});
    mapped(&house, more).await;
    house.stage.play("f", |event| match ids(event).contains(&"c".to_owned()) {
        true => Act::Throw("on purpose"),
        false => Act::Answer(Value::Null),
    });
    put_all(&house, &["a", "b", "c", "d"]).await;
    house.advance(1).await;
    for _ in 0..4 {
        house.advance(1).await;
    }
    let expected: [&[&str]; 5] = [&["a", "b", "c", "d"], &["a", "b"], &["c", "d"], &["c"], &["d"]];
    assert_eq!(house.batches("f"), expected);
}

/// Recorded: test_dynamodb_report_batch_item_failures
#[tokio::test]
async fn partial_success_is_kept() {
    let house = house(json!("dynamodb:*")).await;
    let more = json!({"MaximumBatchingWindowInSeconds": 1, "MaximumRetryAttempts": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"]});
    mapped(&house, more).await;
    house.stage.play("f", |event| {
        let records = event["Records"].as_array().unwrap().iter();
        let bad = records.filter(|record| record["dynamodb"]["Keys"]["id"]["S"] == "b");
        let failures: Vec<Value> = bad
            .map(|record| json!({"itemIdentifier": record["dynamodb"]["SequenceNumber"]}))
            .collect();
        Act::Answer(json!({"batchItemFailures": failures}))
    });
    put_all(&house, &["a", "b", "c"]).await;
    house.advance(1).await;
    for _ in 0..5 {
        house.advance(1).await;
    }
    // The first answer did some good, so it is not one of the two tries of the rest.
    let expected: [&[&str]; 3] = [&["a", "b", "c"], &["b", "c"], &["b", "c"]];
    assert_eq!(house.batches("f"), expected);
}

#[tokio::test]
async fn records_grow_too_old_while_they_fail() {
    let house = house(json!(["dynamodb:*", "s3:*"])).await;
    house.bucket("lost").await;
    let destination = json!({"OnFailure": {"Destination": "arn:aws:s3:::lost"}});
    let more = json!({"MaximumRecordAgeInSeconds": 60, "DestinationConfig": destination});
    mapped(&house, more).await;
    house.stage.play("f", |_| Act::Throw("on purpose"));
    put_all(&house, &["a"]).await;
    settle().await;
    for _ in 0..70 {
        house.advance(1).await;
    }
    let (_, record) = house.objects("lost").await.remove(0);
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert!(record.get("responseContext").is_none());
}

#[tokio::test]
async fn lanes_keep_the_order_of_each_item() {
    let house = house(json!("dynamodb:*")).await;
    mapped(&house, json!({"ParallelizationFactor": 4, "BatchSize": 2})).await;
    for round in 0..5 {
        for id in ["a", "b", "c", "d", "e", "f"] {
            house.put(id, round).await;
        }
    }
    settle().await;
    let mut seen: Vec<(String, String)> = Vec::new();
    for one in house.stage.seen("f") {
        for record in one.event["Records"].as_array().unwrap() {
            let image = &record["dynamodb"]["NewImage"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            seen.push((text(&image["id"]["S"]), text(&image["v"]["N"])));
        }
    }
    assert_eq!(seen.len(), 30);
    for id in ["a", "b", "c", "d", "e", "f"] {
        let values: Vec<_> = seen.iter().filter(|(one, _)| one == id).map(|(_, v)| v).collect();
        assert_eq!(values, ["0", "1", "2", "3", "4"], "{id}");
    }
}

#[tokio::test]
async fn windows_carry_a_state_and_end() {
    let house = house(json!("dynamodb:*")).await;
    mapped(&house, json!({"TumblingWindowInSeconds": 10, "BatchSize": 1})).await;
    house.stage.play("f", |event| {
        let count = event["state"]["count"].as_u64().unwrap_or(0);
        let here = event["Records"].as_array().unwrap().len() as u64;
        Act::Answer(json!({"state": {"count": count + here}}))
    });
    put_all(&house, &["a", "b"]).await;
    settle().await;
    house.advance(10).await;
    put_all(&house, &["c"]).await;
    settle().await;
    let seen = house.stage.seen("f");
    let of = |event: &Value| {
        (
            ids(event).len(),
            event["state"]["count"].as_u64(),
            event["isFinalInvokeForWindow"] == true,
        )
    };
    let seen: Vec<_> = seen.iter().map(|one| of(&one.event)).collect();
    assert_eq!(seen, [(1, None, false), (1, Some(1), false), (0, Some(2), true), (1, None, false)]);
    let first = &house.stage.seen("f")[0].event;
    assert_eq!(
        first["window"],
        json!({"start": "2016-12-01T10:00:00Z", "end": "2016-12-01T10:00:10Z"})
    );
}

#[tokio::test]
async fn throttles_are_no_tries() {
    let house = house(json!("dynamodb:*")).await;
    mapped(&house, json!({"MaximumRetryAttempts": 0})).await;
    let left = Arc::new(AtomicU32::new(3));
    house.stage.play("f", move |_| match left.load(Ordering::Relaxed) {
        0 => Act::Answer(Value::Null),
        n => {
            left.store(n - 1, Ordering::Relaxed);
            Act::Throttle
        }
    });
    put_all(&house, &["a"]).await;
    settle().await;
    for _ in 0..10 {
        house.advance(1).await;
    }
    assert_eq!(house.batches("f"), [["a"]]);
}

#[tokio::test]
async fn a_role_that_may_not_read() {
    let house = house(json!("s3:*")).await;
    house.function("f").await;
    let stream = house.table().await;
    let input =
        json!({"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST"});
    let (code, message) = house.refused("CreateEventSourceMapping", input.clone()).await;
    assert_eq!(code, "InvalidParameterValueException");
    assert!(message.starts_with(&format!("Cannot access stream {stream}. Please ensure")));
    house.allow(json!("dynamodb:*")).await;
    let made = house.ok("CreateEventSourceMapping", input).await;
    let uuid = made["UUID"].as_str().unwrap();
    settle().await;
    house.allow(json!("s3:*")).await;
    put_all(&house, &["a"]).await;
    settle().await;
    let (state, result) = state(&house, uuid).await;
    assert_eq!(state, "Enabled");
    assert!(result.starts_with("PROBLEM: Cannot access stream"), "{result}");
    house.allow(json!("dynamodb:*")).await;
    house.advance(60).await;
    assert_eq!(house.batches("f"), [["a"]]);
}

/// A process ends in the middle of a batch; the next one begins with that batch.
#[tokio::test]
async fn a_new_process_goes_on_where_the_old_one_was() {
    let ground = Ground::default();
    let first = ground.build();
    first.make_role(json!("dynamodb:*")).await;
    let tasks = first.cloud.cloud().start_tasks().await.unwrap();
    mapped(&first, json!({"BatchSize": 2})).await;
    let hangs = Arc::new(AtomicBool::new(false));
    let hang = Arc::clone(&hangs);
    first.stage.play("f", move |_| match hang.load(Ordering::Relaxed) {
        true => Act::Hang,
        false => Act::Answer(Value::Null),
    });
    put_all(&first, &["a", "b"]).await;
    settle().await;
    hangs.store(true, Ordering::Relaxed);
    put_all(&first, &["c", "d", "e"]).await;
    settle().await;
    tasks.abort();
    let seen: Vec<String> = first.batches("f").concat();
    assert!(seen.starts_with(&["a".to_owned(), "b".to_owned()]));
    let second = ground.build();
    second.cloud.start_tasks().await;
    settle().await;
    assert_eq!(second.batches("f").concat(), ["c", "d", "e"]);
}
