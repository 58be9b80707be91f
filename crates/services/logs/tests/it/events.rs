//! PutLogEvents and GetLogEvents.

use serde_json::{Value, json};

use crate::{House, STREAM, group, house, messages};

async fn get(house: &House, more: Value) -> Value {
    let mut input = group(json!({"logStreamName": STREAM}));
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.ok("GetLogEvents", input).await
}

#[tokio::test]
async fn reads_what_was_written() {
    let house = house().await;
    let put = house.put(STREAM, &[(0, "hello"), (0, "world 🙀")]).await;
    assert!(put["nextSequenceToken"].as_str().is_some_and(|token| token.len() == 56));
    let now = house.now();
    let read = get(&house, json!({})).await;
    assert_eq!(
        read["events"],
        json!([
            {"timestamp": now, "message": "hello", "ingestionTime": now},
            {"timestamp": now, "message": "world 🙀", "ingestionTime": now},
        ])
    );
}

#[tokio::test]
async fn pages_from_the_end_and_from_the_head() {
    let house = house().await;
    let texts: Vec<String> = (0..5).map(|n| n.to_string()).collect();
    let events: Vec<(i64, &str)> = (0..).zip(texts.iter().map(String::as_str)).collect();
    house.put(STREAM, &events).await;
    let newest = get(&house, json!({"limit": 2})).await;
    assert_eq!(messages(&newest), ["3", "4"]);
    let older = get(&house, json!({"limit": 2, "nextToken": newest["nextBackwardToken"]})).await;
    assert_eq!(messages(&older), ["1", "2"]);
    let newer = get(&house, json!({"limit": 2, "nextToken": older["nextForwardToken"]})).await;
    assert_eq!(messages(&newer), ["3", "4"]);
    let oldest = get(&house, json!({"limit": 2, "startFromHead": true})).await;
    assert_eq!(messages(&oldest), ["0", "1"]);
    let before = get(&house, json!({"nextToken": oldest["nextBackwardToken"]})).await;
    assert!(messages(&before).is_empty());
    assert_eq!(before["nextBackwardToken"], oldest["nextBackwardToken"]);
    let again = get(&house, json!({"nextToken": before["nextForwardToken"], "limit": 1})).await;
    assert_eq!(messages(&again), ["0"]);
}

#[tokio::test]
async fn waits_at_the_end_for_more() {
    let house = house().await;
    let empty = get(&house, json!({"startFromHead": true})).await;
    house.put(STREAM, &[(0, "one")]).await;
    let one = get(&house, json!({"nextToken": empty["nextForwardToken"]})).await;
    assert_eq!(messages(&one), ["one"]);
    let end = get(&house, json!({"nextToken": one["nextForwardToken"]})).await;
    assert!(messages(&end).is_empty());
    assert_eq!(end["nextForwardToken"], one["nextForwardToken"]);
    house.put(STREAM, &[(0, "two"), (1, "three")]).await;
    let more = get(&house, json!({"nextToken": end["nextForwardToken"]})).await;
    assert_eq!(messages(&more), ["two", "three"]);
    let back = get(&house, json!({"nextToken": end["nextBackwardToken"]})).await;
    assert_eq!(messages(&back), ["one"]);
}

#[tokio::test]
async fn between_two_times() {
    let house = house().await;
    house.put(STREAM, &[(0, "a"), (1, "b"), (2, "c")]).await;
    let (from, to) = (house.now() + 1, house.now() + 2);
    assert_eq!(messages(&get(&house, json!({"startTime": from})).await), ["b", "c"]);
    assert_eq!(messages(&get(&house, json!({"startTime": from, "endTime": to})).await), ["b"]);
    assert_eq!(messages(&get(&house, json!({"startTime": to, "endTime": from})).await), [""; 0]);
}

#[tokio::test]
async fn names_and_identifiers() {
    let house = house().await;
    house.put(STREAM, &[(0, "a")]).await;
    for identifier in [crate::GROUP, crate::GROUP_ARN] {
        let input = json!({"logGroupIdentifier": identifier, "logStreamName": STREAM});
        assert_eq!(messages(&house.ok("GetLogEvents", input).await), ["a"]);
    }
    let input = json!({"logStreamName": STREAM});
    assert_eq!(house.err("GetLogEvents", input).await.0, "ValidationException");
    let found = house.err("GetLogEvents", group(json!({"logStreamName": "none"}))).await;
    assert_eq!(found.1, "The specified log stream does not exist.");
}

#[tokio::test]
async fn refuses_as_aws_does() {
    let house = house().await;
    let input = group(json!({"logStreamName": STREAM, "nextToken": "invalid-token"}));
    let found = house.err("GetLogEvents", input).await;
    let message = "The specified nextToken is invalid.";
    assert_eq!(found, ("InvalidParameterException".into(), message.into()));
    let found =
        house.err("GetLogEvents", group(json!({"logStreamName": STREAM, "limit": 10001}))).await;
    let message = "1 validation error detected: Value '10001' at 'limit' failed to satisfy \
                   constraint: Member must have value less than or equal to 10000";
    assert_eq!(found, ("InvalidParameterException".into(), message.into()));
    let day = 24 * 3_600_000;
    let put = house.put(STREAM, &[(-30 * day, "old")]).await;
    assert_eq!(put["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1}));
    let put = house.put(STREAM, &[(day, "new")]).await;
    assert_eq!(put["rejectedLogEventsInfo"], json!({"tooNewLogEventStartIndex": 0}));
}
