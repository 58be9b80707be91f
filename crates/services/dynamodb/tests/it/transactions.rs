//! Transactions: all or nothing, why not, and once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{house, item, with};

fn put(s: i64, condition: Option<&str>) -> Value {
    let mut put = json!({"TableName": "tab", "Item": item(&json!({"p": "a", "s": s}))});
    if let Some(condition) = condition {
        put["ConditionExpression"] = json!(condition);
    }
    json!({"Put": put})
}

#[tokio::test]
async fn one_failure_cancels_all() {
    let house = house();
    house.table("tab").await;
    house.put("tab", json!({"p": "a", "s": 1})).await;
    let items = json!([put(2, None), put(1, Some("attribute_not_exists(p)"))]);
    let (code, message) = house.fails("TransactWriteItems", json!({"TransactItems": items})).await;
    assert_eq!(code, "TransactionCanceledException");
    assert_eq!(
        message,
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    );
    assert!(house.get("tab", json!({"p": "a", "s": 2})).await.is_null());
}

#[tokio::test]
async fn all_four_kinds_of_action() {
    let house = house();
    house.table("tab").await;
    house.put("tab", json!({"p": "a", "s": 1})).await;
    house.put("tab", json!({"p": "a", "s": 2})).await;
    let key = |s: i64| item(&json!({"p": "a", "s": s}));
    let items = json!([
        {"ConditionCheck": {"TableName": "tab", "Key": key(1), "ConditionExpression": "attribute_exists(p)"}},
        {"Delete": {"TableName": "tab", "Key": key(2)}},
        {"Update": {"TableName": "tab", "Key": key(3), "UpdateExpression": "SET x = :x",
                    "ExpressionAttributeValues": {":x": {"S": "y"}}}},
        put(4, None),
    ]);
    house.ok("TransactWriteItems", json!({"TransactItems": items})).await;
    let mut left = house.all("Scan", json!({"TableName": "tab"})).await;
    left.sort_by_key(|item| item["s"].as_i64());
    assert_eq!(
        left,
        [json!({"p": "a", "s": 1}), json!({"p": "a", "s": 3, "x": "y"}), json!({"p": "a", "s": 4})]
    );
    let twice = json!({"TransactItems": [put(1, None), put(1, None)]});
    let (code, message) = house.fails("TransactWriteItems", twice).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(message, "Transaction request cannot include multiple operations on one item");
}

#[tokio::test]
async fn a_token_makes_it_once() {
    let house = house();
    house.table("tab").await;
    let add = |token: &str, by: &str| {
        let update = json!({
            "TableName": "tab", "Key": item(&json!({"p": "a", "s": 1})), "UpdateExpression": "ADD n :by",
            "ExpressionAttributeValues": {":by": {"N": by}}
        });
        json!({"TransactItems": [{"Update": update}], "ClientRequestToken": token})
    };
    house.ok("TransactWriteItems", add("one", "1")).await;
    let again = with(add("one", "1"), json!({"ReturnConsumedCapacity": "TOTAL"}));
    house.ok("TransactWriteItems", add("one", "1")).await;
    let (code, _) = house.fails("TransactWriteItems", add("one", "2")).await;
    assert_eq!(code, "IdempotentParameterMismatchException");
    let _ = again;
    let n = || async { house.get("tab", json!({"p": "a", "s": 1})).await["n"].clone() };
    assert_eq!(n().await, 1);
    house.cloud.advance(Duration::from_secs(601));
    house.ok("TransactWriteItems", add("one", "1")).await;
    assert_eq!(n().await, 2);
}
