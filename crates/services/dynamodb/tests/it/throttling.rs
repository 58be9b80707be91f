//! Throughput that is used up, on tables that ask to be held to it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, call, definition, house, item, with};

const ON: &str = "sereno:throttle";

async fn put(house: &House, s: i64) -> Result<Value, sereno_kernel::Error> {
    let item = item(&json!({"p": "a", "s": s, "v": s}));
    call(&house.cloud.ctx(), "PutItem", json!({"TableName": "tab", "Item": item})).await
}

/// How many puts pass before one does not; and what that one is told.
async fn passed(house: &House) -> (i64, sereno_kernel::Error) {
    for count in 0..10_000 {
        if let Err(error) = put(house, count).await {
            return (count, error);
        }
    }
    panic!("no limit");
}

fn reason(error: &sereno_kernel::Error) -> Value {
    let detail = error.detail_shape().expect("a detail");
    let json = sereno_wire::to_json(detail);
    let reasons = json.get("ThrottlingReasons").or(json.get("throttlingReasons"));
    reasons.expect("reasons")[0]["reason"].clone()
}

#[tokio::test]
async fn provisioned_throughput_with_burst() {
    let house = house();
    let units = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1});
    let tags = json!([{"Key": ON, "Value": "on"}]);
    let mut wanted = with(definition("tab"), json!({"ProvisionedThroughput": units, "Tags": tags}));
    wanted["BillingMode"] = json!("PROVISIONED");
    house.ok("CreateTable", wanted).await;
    let (count, error) = passed(&house).await;
    assert_eq!((count, error.code()), (300, "ProvisionedThroughputExceededException"));
    assert_eq!(reason(&error), "TableWriteProvisionedThroughputExceeded");
    house.cloud.advance(Duration::from_secs(7));
    assert_eq!(passed(&house).await.0, 7);
    let batch = json!({"RequestItems": {"tab": [
        {"PutRequest": {"Item": item(&json!({"p": "a", "s": 1}))}}
    ]}});
    let (code, _) = house.fails("BatchWriteItem", batch).await;
    assert_eq!(code, "ProvisionedThroughputExceededException");
    // Reads have units of their own.
    let key = json!({"TableName": "tab", "Key": item(&json!({"p": "a", "s": 1}))});
    house.ok("GetItem", key).await;
}

#[tokio::test]
async fn the_most_on_demand_and_an_index_that_cannot_follow() {
    let house = house();
    let index = json!({
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"},
            {"AttributeName": "v", "AttributeType": "N"},
        ],
        "Tags": [{"Key": ON, "Value": "on"}],
        "OnDemandThroughput": {"MaxWriteRequestUnits": 50},
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "OnDemandThroughput": {"MaxWriteRequestUnits": 20}
        }],
    });
    house.ok("CreateTable", with(definition("tab"), index)).await;
    let (count, error) = passed(&house).await;
    assert_eq!((count, error.code()), (20, "ThrottlingException"));
    assert_eq!(reason(&error), "IndexWriteMaxOnDemandThroughputExceeded");
    house.cloud.advance(Duration::from_secs(60));
    let index = json!({"TableName": "tab", "GlobalSecondaryIndexUpdates": [{"Update": {
        "IndexName": "by-v", "OnDemandThroughput": {"MaxWriteRequestUnits": -1}}}]});
    house.ok("UpdateTable", index).await;
    let (count, error) = passed(&house).await;
    assert_eq!(count, 50);
    assert_eq!(reason(&error), "TableWriteMaxOnDemandThroughputExceeded");
    let untag =
        json!({"ResourceArn": house.cloud.ctx().arn("dynamodb", "table/tab"), "TagKeys": [ON]});
    house.ok("UntagResource", untag).await;
    put(&house, 1).await.expect("off");
}
