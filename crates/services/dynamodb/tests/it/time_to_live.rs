//! Items that expire.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, definition, eventually, house, item, with};

fn on(enabled: bool) -> Value {
    json!({"TableName": "tab", "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": "at"}})
}

async fn left(house: &House) -> Vec<i64> {
    let items = house.all("Scan", json!({"TableName": "tab"})).await;
    let mut left: Vec<i64> = items.iter().map(|item| item["s"].as_i64().unwrap()).collect();
    left.sort();
    left
}

#[tokio::test]
async fn what_is_due_goes_and_says_so_in_the_stream() {
    let house = house();
    let stream =
        json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "OLD_IMAGE"}});
    let made = house.ok("CreateTable", with(definition("tab"), stream)).await;
    house.cloud.start_tasks().await;
    let now_s = house.cloud.now().secs();
    // There before expiry is turned on.
    house.put("tab", json!({"p": "a", "s": 1, "at": now_s - 10})).await;
    house.ok("UpdateTimeToLive", on(true)).await;
    let described = house.ok("DescribeTimeToLive", json!({"TableName": "tab"})).await;
    assert_eq!(
        described["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "at"})
    );
    house.put("tab", json!({"p": "a", "s": 2, "at": now_s - 1})).await;
    house.put("tab", json!({"p": "a", "s": 3, "at": now_s + 3600})).await;
    house.put("tab", json!({"p": "a", "s": 4, "at": "text"})).await;
    house.put("tab", json!({"p": "a", "s": 5, "at": now_s - 6 * 365 * 86_400})).await;
    house.put("tab", json!({"p": "a", "s": 6, "at": now_s - 1})).await;
    // Given more time before it goes.
    house.put("tab", json!({"p": "a", "s": 6, "at": now_s + 90_000})).await;
    eventually(&house, || async { left(&house).await == [3, 4, 5, 6] }).await;
    house.cloud.advance(Duration::from_secs(3600));
    eventually(&house, || async { left(&house).await == [4, 5, 6] }).await;

    let arn = &made["TableDescription"]["LatestStreamArn"];
    let shard =
        house.ok("DescribeStream", json!({"StreamArn": arn})).await["StreamDescription"]["Shards"]
            [0]["ShardId"]
            .clone();
    let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let start = house.ok("GetShardIterator", start).await["ShardIterator"].clone();
    let records = house.ok("GetRecords", json!({"ShardIterator": start})).await;
    let removed: Vec<&Value> = records["Records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["eventName"] == "REMOVE")
        .collect();
    assert_eq!(removed.len(), 3);
    for record in removed {
        assert_eq!(
            record["userIdentity"],
            json!({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"})
        );
    }
}

#[tokio::test]
async fn nothing_goes_once_it_is_turned_off() {
    let house = house();
    house.table("tab").await;
    house.cloud.start_tasks().await;
    house.ok("UpdateTimeToLive", on(true)).await;
    let (code, message) = house.fails("UpdateTimeToLive", on(true)).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ValidationException", "TimeToLive is already enabled")
    );
    house.put("tab", json!({"p": "a", "s": 1, "at": house.cloud.now().secs() + 60})).await;
    house.ok("UpdateTimeToLive", on(false)).await;
    house.cloud.advance(Duration::from_secs(120));
    for _ in 0..20 {
        house.cloud.advance(Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(left(&house).await, [1]);
    let key = item(&json!({"p": "a", "s": 1}));
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
}
