//! Who may: resource policies and the condition keys of item operations.

use std::sync::Arc;

use serde_json::{Value, json};
use sereno_kernel::{Caller, Ctx, User};

use crate::house::{House, call, house, item};

const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/tab";

/// A user that no identity policy says anything about.
fn stranger(house: &House) -> Ctx {
    house.cloud.ctx_as(Caller::User(Arc::new(User {
        account: "000000000000".parse().unwrap(),
        name: "ann".into(),
        path: "/".into(),
        id: "AIDAEXAMPLE".into(),
        access_key_id: "AKIAEXAMPLE".into(),
    })))
}

async fn put_policy(house: &House, statement: Value) {
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    house.ok("PutResourcePolicy", json!({"ResourceArn": ARN, "Policy": policy})).await;
}

fn get(p: &str, more: Value) -> Value {
    let key = item(&json!({"p": p, "s": 1}));
    crate::house::with(json!({"TableName": "tab", "Key": key}), more)
}

#[tokio::test]
async fn a_tables_policy_lets_others_in() {
    let house = house();
    house.table("tab").await;
    let ann = stranger(&house);
    let denied = call(&ann, "GetItem", get("a", json!({}))).await.unwrap_err();
    assert_eq!(denied.code(), "AccessDeniedException");
    put_policy(
        &house,
        json!({
            "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": ARN,
            "Principal": {"AWS": "arn:aws:iam::000000000000:user/ann"},
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"], "dynamodb:Attributes": ["p", "s", "x"]}}
        }),
    )
    .await;
    let only_x = json!({"ProjectionExpression": "x"});
    for more in [only_x.clone(), json!({"AttributesToGet": ["x"]})] {
        call(&ann, "GetItem", get("a", more)).await.unwrap();
    }
    let allowed = |input: Value| {
        let ann = ann.clone();
        async move { call(&ann, "GetItem", input).await.is_ok() }
    };
    assert!(!allowed(get("b", only_x)).await, "another leading key");
    let others = [
        json!({"AttributesToGet": ["y"]}),
        json!({"ProjectionExpression": "y"}),
        json!({"ProjectionExpression": "#y[0].x", "ExpressionAttributeNames": {"#y": "y"}}),
    ];
    for more in others {
        assert!(!allowed(get("a", more)).await, "another attribute");
    }
    house.ok("DeleteResourcePolicy", json!({"ResourceArn": ARN})).await;
    assert!(!allowed(get("a", json!({"AttributesToGet": ["x"]}))).await);
}

/// Whatever shows something of an attribute counts as touching it.
#[tokio::test]
async fn conditions_and_filters_touch_attributes() {
    let house = house();
    house.table("tab").await;
    let ann = stranger(&house);
    put_policy(
        &house,
        json!({
            "Effect": "Allow", "Action": "dynamodb:*", "Resource": ARN,
            "Principal": {"AWS": "arn:aws:iam::000000000000:user/ann"},
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["p", "s", "x"]}}
        }),
    )
    .await;
    let key = item(&json!({"p": "a", "s": 1}));
    let cases = |name: &str| {
        let condition = format!("attribute_not_exists({name})");
        let update = format!("SET x = if_not_exists({name}, x)");
        vec![
            ("PutItem", json!({"TableName": "tab", "Item": key, "ConditionExpression": condition})),
            (
                "DeleteItem",
                json!({"TableName": "tab", "Key": key, "ConditionExpression": condition}),
            ),
            (
                "DeleteItem",
                json!({"TableName": "tab", "Key": key, "Expected": {name: {"Exists": false}}}),
            ),
            (
                "UpdateItem",
                json!({"TableName": "tab", "Key": key, "UpdateExpression": "REMOVE x", "ConditionExpression": condition}),
            ),
            (
                "UpdateItem",
                json!({"TableName": "tab", "Key": key, "AttributeUpdates": {name: {"Action": "DELETE"}}}),
            ),
            ("Scan", json!({"TableName": "tab", "FilterExpression": condition})),
            (
                "TransactWriteItems",
                json!({"TransactItems": [{"ConditionCheck": {"TableName": "tab", "Key": key, "ConditionExpression": condition}}]}),
            ),
            (
                "TransactGetItems",
                json!({"TransactItems": [{"Get": {"TableName": "tab", "Key": key, "ProjectionExpression": name}}]}),
            ),
            (
                "BatchGetItem",
                json!({"RequestItems": {"tab": {"Keys": [key], "ProjectionExpression": name}}}),
            ),
            (
                "UpdateItem",
                json!({"TableName": "tab", "Key": key, "UpdateExpression": update, "ConditionExpression": "p <> s"}),
            ),
        ]
    };
    for (name, may) in [("x", true), ("secret", false)] {
        for (operation, input) in cases(name) {
            let denied = match call(&ann, operation, input.clone()).await {
                Ok(_) => false,
                Err(error) => error.code() == "AccessDeniedException",
            };
            assert_eq!(!denied, may, "{operation} {input}");
        }
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_tables() {
    let house = house();
    let ann = stranger(&house);
    let error = call(&ann, "GetItem", get("a", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), "AccessDeniedException");
}
