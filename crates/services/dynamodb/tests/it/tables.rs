//! Tables: made, described, changed, listed, deleted.

use serde_json::{Value, json};

use crate::house::{definition, house, with};

#[tokio::test]
async fn a_tables_life() {
    let house = house();
    let made = house.ok("CreateTable", definition("tab")).await;
    assert_eq!(made["TableDescription"]["TableStatus"], "CREATING");
    let described = house.ok("DescribeTable", json!({"TableName": "tab"})).await;
    let table = &described["Table"];
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(table["TableArn"], "arn:aws:dynamodb:us-east-1:000000000000:table/tab");
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["TableId"], made["TableDescription"]["TableId"]);
    let (code, message) = house.fails("CreateTable", definition("tab")).await;
    assert_eq!(code, "ResourceInUseException");
    assert_eq!(message, "Table already exists: tab");
    let (_, message) = house.fails("CreateTable", json!({"AttributeDefinitions": []})).await;
    assert_eq!(message, "The parameter 'TableName' is required but was not present in the request");
    let deleted = house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    assert_eq!(deleted["TableDescription"]["TableStatus"], "DELETING");
    let (code, message) = house.fails("DescribeTable", json!({"TableName": "tab"})).await;
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "Requested resource not found: Table: tab not found");
}

#[tokio::test]
async fn lists_go_by_name_and_page() {
    let house = house();
    for name in ["ccc", "aaa", "bbb"] {
        house.table(name).await;
    }
    let first = house.ok("ListTables", json!({"Limit": 2})).await;
    assert_eq!(first, json!({"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}));
    let rest = house.ok("ListTables", json!({"ExclusiveStartTableName": "bbb"})).await;
    assert_eq!(rest, json!({"TableNames": ["ccc"]}));
}

#[tokio::test]
async fn protected_tables_stay() {
    let house = house();
    house
        .ok("CreateTable", with(definition("tab"), json!({"DeletionProtectionEnabled": true})))
        .await;
    let (code, message) = house.fails("DeleteTable", json!({"TableName": "tab"})).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    );
    house.ok("UpdateTable", json!({"TableName": "tab", "DeletionProtectionEnabled": false})).await;
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
}

#[tokio::test]
async fn tags_are_kept() {
    let house = house();
    house
        .ok("CreateTable", with(definition("tab"), json!({"Tags": [{"Key": "a", "Value": "1"}]})))
        .await;
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/tab";
    house.ok("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "b", "Value": ""}]})).await;
    house.ok("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a"]})).await;
    let listed = house.ok("ListTagsOfResource", json!({"ResourceArn": arn})).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "b", "Value": ""}]}));
    let bad = json!({"ResourceArn": arn, "Tags": [{"Key": "no!", "Value": ""}]});
    assert_eq!(house.fails("TagResource", bad).await.0, "ValidationException");
}

#[tokio::test]
async fn billing_changes_in_place() {
    let house = house();
    house.table("tab").await;
    let throughput = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 3});
    let update = json!({"TableName": "tab", "BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput});
    house.ok("UpdateTable", update).await;
    let table = house.ok("DescribeTable", json!({"TableName": "tab"})).await["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 5);
    let same = json!({"TableName": "tab", "ProvisionedThroughput": throughput});
    let (code, message) = house.fails("UpdateTable", same).await;
    assert_eq!(code, "ValidationException");
    assert!(
        message.starts_with("The provisioned throughput for the table will not change."),
        "{message}"
    );
}

#[tokio::test]
async fn counts_follow_the_items() {
    let house = house();
    house.table("tab").await;
    for s in 0..10 {
        house.put("tab", json!({"p": "a", "s": s, "x": "yy"})).await;
    }
    let key = crate::house::item(&json!({"p": "a", "s": 0}));
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
    let table = house.ok("DescribeTable", json!({"TableName": "tab"})).await["Table"].clone();
    assert_eq!(table["ItemCount"], 9);
    assert_eq!(table["TableSizeBytes"], 9 * (1 + 1 + 1 + 2 + 1 + 2));
}

#[tokio::test]
async fn continuous_backups_and_limits_are_described() {
    let house = house();
    house.table("tab").await;
    let backups = |answer: &Value| {
        answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"].clone()
    };
    let before = house.ok("DescribeContinuousBackups", json!({"TableName": "tab"})).await;
    assert_eq!(backups(&before), "DISABLED");
    let on = json!({"TableName": "tab", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
    let after = house.ok("UpdateContinuousBackups", on).await;
    assert_eq!(backups(&after), "ENABLED");
    let limits = house.ok("DescribeLimits", json!({})).await;
    assert_eq!(limits["TableMaxReadCapacityUnits"], 40_000);
}
