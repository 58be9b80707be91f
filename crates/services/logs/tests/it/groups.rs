//! Groups, streams, tags, retention.

use std::time::Duration;

use serde_json::json;

use crate::{GROUP, GROUP_ARN, House, STREAM, group, house};

fn names(answer: &serde_json::Value, list: &str, member: &str) -> Vec<String> {
    let found = answer[list].as_array().unwrap();
    found.iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_new_group_as_aws_shows_it() {
    let house = house().await;
    let answer = house.ok("DescribeLogGroups", json!({})).await;
    // recorded: LocalStack test_describe_log_groups
    assert_eq!(
        answer,
        json!({"logGroups": [{
            "logGroupName": GROUP, "creationTime": house.now(), "metricFilterCount": 0,
            "arn": format!("{GROUP_ARN}:*"), "logGroupArn": GROUP_ARN, "storedBytes": 0,
            "logGroupClass": "STANDARD", "deletionProtectionEnabled": false,
        }]})
    );
}

#[tokio::test]
async fn a_name_once() {
    let house = house().await;
    let found = house.err("CreateLogGroup", group(json!({}))).await;
    let message = "The specified log group already exists";
    assert_eq!(found, ("ResourceAlreadyExistsException".into(), message.into()));
    let found = house.err("CreateLogStream", group(json!({"logStreamName": STREAM}))).await;
    let message = "The specified log stream already exists";
    assert_eq!(found, ("ResourceAlreadyExistsException".into(), message.into()));
    let found = house.err("DeleteLogGroup", json!({"logGroupName": "none"})).await;
    let message = "The specified log group does not exist.";
    assert_eq!(found, ("ResourceNotFoundException".into(), message.into()));
}

#[tokio::test]
async fn groups_by_page_prefix_and_pattern() {
    let house = house().await;
    for name in ["/app/three", "/app/two", "zoo"] {
        house.ok("CreateLogGroup", json!({"logGroupName": name})).await;
    }
    let page =
        house.ok("DescribeLogGroups", json!({"limit": 2, "logGroupNamePrefix": "/app"})).await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), [GROUP, "/app/three"]);
    let next = json!({"limit": 2, "logGroupNamePrefix": "/app", "nextToken": page["nextToken"]});
    let page = house.ok("DescribeLogGroups", next).await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), ["/app/two"]);
    assert!(page.get("nextToken").is_none());
    let page = house.ok("DescribeLogGroups", json!({"logGroupNamePattern": "o"})).await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), [GROUP, "/app/two", "zoo"]);
    let page = house.ok("ListLogGroups", json!({"logGroupNamePattern": "^/app/t|zoo"})).await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), ["/app/three", "/app/two", "zoo"]);
    let both = json!({"logGroupNamePattern": "o", "logGroupNamePrefix": "/"});
    assert_eq!(house.err("DescribeLogGroups", both).await.0, "InvalidParameterException");
}

#[tokio::test]
async fn streams_by_name_and_by_last_event() {
    let house = house().await;
    for name in ["b", "c", "d"] {
        house.stream(name).await;
    }
    house.put("c", &[(-10, "old"), (0, "x")]).await;
    house.put("b", &[(-5, "x")]).await;
    let streams = |more| house.ok("DescribeLogStreams", group(more));
    let by_name = streams(json!({"descending": true, "limit": 3})).await;
    assert_eq!(names(&by_name, "logStreams", "logStreamName"), ["d", "c", "b"]);
    let rest = streams(json!({"descending": true, "nextToken": by_name["nextToken"]})).await;
    assert_eq!(names(&rest, "logStreams", "logStreamName"), ["a"]);
    let by_time = streams(json!({"orderBy": "LastEventTime", "descending": true})).await;
    assert_eq!(names(&by_time, "logStreams", "logStreamName"), ["c", "b", "d", "a"]);
    let first = &by_time["logStreams"][0];
    assert_eq!(first["firstEventTimestamp"], house.now() - 10);
    assert_eq!(first["lastEventTimestamp"], house.now());
    assert_eq!(first["arn"], format!("{GROUP_ARN}:log-stream:c"));
    assert_eq!(first["storedBytes"], 0);
}

#[tokio::test]
async fn tags_by_arn_and_by_name() {
    let house = house().await;
    house.ok("TagResource", json!({"resourceArn": GROUP_ARN, "tags": {"a": "1", "b": "2"}})).await;
    house.ok("TagLogGroup", group(json!({"tags": {"b": "3"}}))).await;
    house.ok("UntagResource", json!({"resourceArn": GROUP_ARN, "tagKeys": ["a"]})).await;
    let tags = house.ok("ListTagsForResource", json!({"resourceArn": GROUP_ARN})).await;
    assert_eq!(tags, json!({"tags": {"b": "3"}}));
    assert_eq!(house.ok("ListTagsLogGroup", group(json!({}))).await, tags);
    let other = GROUP_ARN.replace("/app/one", "none");
    let found = house.err("ListTagsForResource", json!({"resourceArn": other})).await;
    assert_eq!(found.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_protected_group_stays() {
    let house = house().await;
    let protect = |on: bool| json!({"logGroupIdentifier": GROUP, "deletionProtectionEnabled": on});
    house.ok("PutLogGroupDeletionProtection", protect(true)).await;
    assert_eq!(house.err("DeleteLogGroup", group(json!({}))).await.0, "ValidationException");
    house.ok("PutLogGroupDeletionProtection", protect(false)).await;
    house.ok("DeleteLogGroup", group(json!({}))).await;
}

async fn stored_bytes(house: &House) -> i64 {
    let answer = house.ok("DescribeLogGroups", json!({})).await;
    answer["logGroups"][0]["storedBytes"].as_i64().unwrap()
}

#[tokio::test]
async fn old_events_go_out_of_sight_and_then_away() {
    let house = house().await;
    house.cloud.start_tasks().await;
    house.put(STREAM, &[(0, "old")]).await;
    house.ok("PutRetentionPolicy", group(json!({"retentionInDays": 1}))).await;
    assert_eq!(stored_bytes(&house).await, 29);
    house.cloud.advance(Duration::from_hours(25));
    let read = house.ok("GetLogEvents", group(json!({"logStreamName": STREAM}))).await;
    assert_eq!(read["events"], json!([]));
    assert_eq!(house.ok("FilterLogEvents", group(json!({}))).await["events"], json!([]));
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if stored_bytes(&house).await == 0 {
            return;
        }
    }
    panic!("the events are still there");
}

#[tokio::test]
async fn a_new_group_of_the_name_is_empty() {
    let house = house().await;
    house.put(STREAM, &[(0, "secret")]).await;
    house.ok("DeleteLogGroup", group(json!({}))).await;
    let read = group(json!({"logStreamName": STREAM}));
    assert_eq!(house.err("GetLogEvents", read.clone()).await.0, "ResourceNotFoundException");
    house.ok("CreateLogGroup", group(json!({}))).await;
    let message = "The specified log stream does not exist.";
    assert_eq!(house.err("GetLogEvents", read.clone()).await.1, message);
    house.stream(STREAM).await;
    assert_eq!(house.ok("GetLogEvents", read).await["events"], json!([]));
}
