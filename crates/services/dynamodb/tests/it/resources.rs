//! AWS::DynamoDB::Table: made, changed, made again after a crash, removed.

use serde_json::{Map, Value, json};
use sereno_kernel::{ResourceRequest, ResourceState};

use crate::house::{House, house};

const TYPE: &str = "AWS::DynamoDB::Table";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn request(properties: Value) -> ResourceRequest {
    ResourceRequest {
        stack_id: "stack-id".into(),
        stack_name: "stack".into(),
        logical_id: "Table".into(),
        properties: object(properties),
        suggested_name: "stack-Table-ABCDEF123456".into(),
        token: "token".into(),
        ..Default::default()
    }
}

fn properties() -> Value {
    json!({
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true},
        "Tags": [{"Key": "a", "Value": "b"}],
    })
}

async fn create(house: &House, request: &ResourceRequest) -> ResourceState {
    let kind = house.cloud.cloud().resource_type(TYPE).expect(TYPE);
    kind.run_create(house.cloud.ctx(), request.clone()).await.expect("created")
}

#[tokio::test]
async fn a_table_as_a_resource() {
    let house = house();
    let first = request(properties());
    let made = create(&house, &first).await;
    // A second try after a crash finds the same table.
    assert_eq!(create(&house, &first).await.physical_id, made.physical_id);
    assert_eq!(made.physical_id, "stack-Table-ABCDEF123456");
    let table =
        house.ok("DescribeTable", json!({"TableName": made.physical_id})).await["Table"].clone();
    assert_eq!(made.attributes["Arn"], table["TableArn"]);
    assert_eq!(made.attributes["StreamArn"], table["LatestStreamArn"]);

    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    let mut changed = properties();
    changed["BillingMode"] = json!("PROVISIONED");
    changed["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 2, "WriteCapacityUnits": 1});
    changed["TimeToLiveSpecification"]["Enabled"] = json!(false);
    changed["Tags"] = json!([{"Key": "c", "Value": "d"}]);
    let update = ResourceRequest {
        physical_id: made.physical_id.clone(),
        attributes: made.attributes.clone(),
        previous: first.properties.clone(),
        properties: object(changed),
        ..first.clone()
    };
    assert!(!kind.needs_replacement(&update.previous, &update.properties));
    kind.run_update(house.cloud.ctx(), update.clone()).await.expect("updated");
    let name = json!({"TableName": made.physical_id});
    let table = house.ok("DescribeTable", name.clone()).await["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 2);
    let ttl = house.ok("DescribeTimeToLive", name.clone()).await;
    assert_eq!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"], "DISABLED");
    let tags = house.ok("ListTagsOfResource", json!({"ResourceArn": table["TableArn"]})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "c", "Value": "d"}]));

    let mut other = properties();
    other["KeySchema"] = json!([{"AttributeName": "other", "KeyType": "HASH"}]);
    assert!(kind.needs_replacement(&first.properties, &object(other)));

    for _ in 0..2 {
        let delete = ResourceRequest { physical_id: made.physical_id.clone(), ..update.clone() };
        kind.run_delete(house.cloud.ctx(), delete).await.expect("deleted");
    }
    assert_eq!(house.fails("DescribeTable", name).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let house = house();
    let mut wanted = properties();
    wanted["ImportSourceSpecification"] = json!({"InputFormat": "CSV"});
    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    let error = kind.run_create(house.cloud.ctx(), request(wanted)).await.unwrap_err();
    assert!(error.message().contains("ImportSourceSpecification"), "{error:?}");
}
