//! Global tables: one table in several regions.

use serde_json::{Value, json};
use sereno_base::Region;
use sereno_kernel::Ctx;

use crate::house::{call, definition, house, item, with};

fn there(ctx: &Ctx, region: &str) -> Ctx {
    ctx.in_region(Region::parse(region).unwrap())
}

async fn get(ctx: &Ctx) -> Value {
    let key = json!({"TableName": "tab", "Key": item(&json!({"p": "a", "s": 1}))});
    call(ctx, "GetItem", key).await.unwrap()["Item"].clone()
}

async fn put(ctx: &Ctx, v: i64) {
    let item = item(&json!({"p": "a", "s": 1, "v": v}));
    call(ctx, "PutItem", json!({"TableName": "tab", "Item": item})).await.unwrap();
}

fn streaming() -> Value {
    with(
        definition("tab"),
        json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}),
    )
}

fn add(region: &str) -> Value {
    json!({"TableName": "tab", "ReplicaUpdates": [{"Create": {"RegionName": region}}]})
}

/// What the newest stream of the table has.
async fn changes(ctx: &Ctx) -> Vec<Value> {
    let table = call(ctx, "DescribeTable", json!({"TableName": "tab"})).await.unwrap();
    let arn = table["Table"]["LatestStreamArn"].clone();
    let stream = call(ctx, "DescribeStream", json!({"StreamArn": arn})).await.unwrap();
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let start = call(ctx, "GetShardIterator", start).await.unwrap();
    let input = json!({"ShardIterator": start["ShardIterator"]});
    call(ctx, "GetRecords", input).await.unwrap()["Records"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_write_is_seen_in_every_region() {
    let house = house();
    let east = house.cloud.ctx();
    let (paris, dublin) = (there(&east, "eu-west-3"), there(&east, "eu-west-1"));
    call(&east, "CreateTable", streaming()).await.unwrap();
    put(&east, 1).await;
    let add = |region: &str| json!({"TableName": "tab", "ReplicaUpdates": [{"Create": {"RegionName": region}}]});
    call(&east, "UpdateTable", add("eu-west-3")).await.unwrap();
    // From any of them.
    call(&paris, "UpdateTable", add("eu-west-1")).await.unwrap();
    let again = call(&east, "UpdateTable", add("eu-west-1")).await.unwrap_err();
    assert_eq!(
        again.message(),
        "Failed to create a the new replica of table with name: 'tab' because one or more replicas \
         already existed as tables."
    );
    for (ctx, arn) in [(&east, "us-east-1"), (&paris, "eu-west-3"), (&dublin, "eu-west-1")] {
        let table = call(ctx, "DescribeTable", json!({"TableName": "tab"})).await.unwrap();
        let table = &table["Table"];
        assert!(table["TableArn"].as_str().unwrap().contains(arn));
        assert_eq!(table["GlobalTableVersion"], "2019.11.21");
        assert_eq!(table["Replicas"].as_array().unwrap().len(), 2);
        assert_eq!(get(ctx).await["v"], json!({"N": "1"}));
    }
    put(&dublin, 2).await;
    assert_eq!(get(&east).await["v"], json!({"N": "2"}));
    let seen = changes(&paris).await;
    assert_eq!(seen[0]["dynamodb"]["NewImage"]["v"], json!({"N": "2"}));
    assert_eq!(seen[0]["awsRegion"], "eu-west-3");
    assert_eq!(changes(&east).await.len(), 2);

    // A new index is there for all.
    let index = json!({
        "TableName": "tab",
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"},
            {"AttributeName": "v", "AttributeType": "N"}
        ],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}
        }}],
    });
    call(&paris, "UpdateTable", index).await.unwrap();
    house.cloud.start_tasks().await;
    crate::house::eventually(&house, || async {
        let table = call(&east, "DescribeTable", json!({"TableName": "tab"})).await.unwrap();
        table["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    })
    .await;
}

#[tokio::test]
async fn regions_come_and_go() {
    let house = house();
    let east = house.cloud.ctx();
    let (paris, dublin) = (there(&east, "eu-west-3"), there(&east, "eu-west-1"));
    call(&east, "CreateTable", streaming()).await.unwrap();
    for region in ["eu-west-3", "eu-west-1"] {
        call(&east, "UpdateTable", add(region)).await.unwrap();
    }
    put(&dublin, 2).await;
    // The region where it began may leave.
    call(&east, "DeleteTable", json!({"TableName": "tab"})).await.unwrap();
    assert_eq!(get(&paris).await["v"], json!({"N": "2"}));
    put(&paris, 3).await;
    assert_eq!(get(&dublin).await["v"], json!({"N": "3"}));
    let gone =
        json!({"TableName": "tab", "ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]});
    call(&paris, "UpdateTable", gone.clone()).await.unwrap();
    let error = call(&dublin, "DescribeTable", json!({"TableName": "tab"})).await.unwrap_err();
    assert_eq!(error.code(), "ResourceNotFoundException");
    let error = call(&paris, "UpdateTable", gone).await.unwrap_err();
    assert!(error.message().starts_with("Update global table operation failed"), "{error:?}");
    let table = call(&paris, "DescribeTable", json!({"TableName": "tab"})).await.unwrap();
    assert_eq!(table["Table"].get("Replicas"), None);
    // A replica may remove itself, but not the last.
    call(&paris, "UpdateTable", add("eu-west-1")).await.unwrap();
    let resign =
        json!({"TableName": "tab", "ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-3"}}]});
    call(&paris, "UpdateTable", resign).await.unwrap();
    assert_eq!(get(&dublin).await["v"], json!({"N": "3"}));
    let error = call(&paris, "DescribeTable", json!({"TableName": "tab"})).await.unwrap_err();
    assert_eq!(error.code(), "ResourceNotFoundException");
    let last =
        json!({"TableName": "tab", "ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]});
    assert!(call(&dublin, "UpdateTable", last).await.is_err());
}

#[tokio::test]
async fn the_older_kind_joins_tables_that_exist() {
    let house = house();
    let east = house.cloud.ctx();
    let paris = there(&east, "eu-west-3");
    let group = json!([{"RegionName": "us-east-1"}, {"RegionName": "eu-west-3"}]);
    let create = json!({"GlobalTableName": "tab", "ReplicationGroup": group});
    call(&east, "CreateTable", streaming()).await.unwrap();
    let error = call(&east, "CreateGlobalTable", create.clone()).await.unwrap_err();
    assert_eq!(error.code(), "TableNotFoundException");
    call(&paris, "CreateTable", streaming()).await.unwrap();
    call(&east, "CreateGlobalTable", create.clone()).await.unwrap();
    let error = call(&east, "CreateGlobalTable", create).await.unwrap_err();
    assert_eq!(error.code(), "GlobalTableAlreadyExistsException");
    put(&east, 1).await;
    assert_eq!(get(&paris).await["v"], json!({"N": "1"}));
    put(&paris, 2).await;
    assert_eq!(changes(&east).await.len(), 2);
    let found =
        call(&paris, "DescribeGlobalTable", json!({"GlobalTableName": "tab"})).await.unwrap();
    let found = &found["GlobalTableDescription"];
    assert_eq!(found["ReplicationGroup"].as_array().unwrap().len(), 2);
    call(&east, "DeleteTable", json!({"TableName": "tab"})).await.unwrap();
    assert_eq!(get(&paris).await["v"], json!({"N": "2"}));
    let listed =
        call(&paris, "ListGlobalTables", json!({"RegionName": "us-east-1"})).await.unwrap();
    assert_eq!(listed["GlobalTables"], json!([]));
}
