//! Local and global indexes: contents, projections, backfill.

use serde_json::{Value, json};

use crate::house::{House, definition, eventually, house, item, with};

fn index(name: &str, hash: &str, range: Option<&str>, projection: Value) -> Value {
    let mut keys = vec![json!({"AttributeName": hash, "KeyType": "HASH"})];
    keys.extend(range.map(|range| json!({"AttributeName": range, "KeyType": "RANGE"})));
    json!({"IndexName": name, "KeySchema": keys, "Projection": projection})
}

async fn indexed() -> House {
    let house = house();
    let attributes = json!([
        {"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"},
        {"AttributeName": "g", "AttributeType": "S"}, {"AttributeName": "l", "AttributeType": "N"},
    ]);
    let include = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]});
    let table = with(
        definition("tab"),
        json!({
            "AttributeDefinitions": attributes,
            "LocalSecondaryIndexes": [index("local", "p", Some("l"), json!({"ProjectionType": "KEYS_ONLY"}))],
            "GlobalSecondaryIndexes": [
                index("all", "g", Some("l"), json!({"ProjectionType": "ALL"})),
                index("some", "g", None, include),
            ],
        }),
    );
    house.ok("CreateTable", table).await;
    house
}

fn of_index(name: &str, hash: &str, value: &str) -> Value {
    json!({
        "TableName": "tab", "IndexName": name, "KeyConditionExpression": format!("{hash} = :h"),
        "ExpressionAttributeValues": {":h": {"S": value}}
    })
}

#[tokio::test]
async fn indexes_hold_what_has_their_keys() {
    let house = indexed().await;
    house.put("tab", json!({"p": "a", "s": 1, "g": "G", "l": 2, "x": "X", "y": "Y"})).await;
    house.put("tab", json!({"p": "a", "s": 2, "g": "G", "l": 1, "y": "Y"})).await;
    house.put("tab", json!({"p": "a", "s": 3, "y": "not in any index"})).await;
    let all = house.all("Query", of_index("all", "g", "G")).await;
    assert_eq!(
        all,
        [
            json!({"p": "a", "s": 2, "g": "G", "l": 1, "y": "Y"}),
            json!({"p": "a", "s": 1, "g": "G", "l": 2, "x": "X", "y": "Y"}),
        ]
    );
    let local = house.all("Query", of_index("local", "p", "a")).await;
    assert_eq!(local, [json!({"p": "a", "s": 2, "l": 1}), json!({"p": "a", "s": 1, "l": 2})]);
    let mut some =
        house.all("Scan", json!({"TableName": "tab", "IndexName": "some", "Limit": 1})).await;
    some.sort_by_key(|item| item["s"].as_i64());
    assert_eq!(
        some,
        [json!({"p": "a", "s": 1, "g": "G", "x": "X"}), json!({"p": "a", "s": 2, "g": "G"})]
    );
}

#[tokio::test]
async fn indexes_follow_every_change() {
    let house = indexed().await;
    house.put("tab", json!({"p": "a", "s": 1, "g": "one", "l": 1})).await;
    let key = item(&json!({"p": "a", "s": 1}));
    let update = |expression: &str, values: Value| json!({"TableName": "tab", "Key": key, "UpdateExpression": expression, "ExpressionAttributeValues": values});
    house.ok("UpdateItem", update("SET g = :g", json!({":g": {"S": "two"}}))).await;
    assert!(house.all("Query", of_index("all", "g", "one")).await.is_empty());
    assert_eq!(house.all("Query", of_index("all", "g", "two")).await.len(), 1);
    let remove = json!({"TableName": "tab", "Key": key, "UpdateExpression": "REMOVE l"});
    house.ok("UpdateItem", remove).await;
    assert!(house.all("Query", of_index("all", "g", "two")).await.is_empty());
    assert_eq!(house.all("Query", of_index("some", "g", "two")).await.len(), 1);
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
    assert!(house.all("Query", of_index("some", "g", "two")).await.is_empty());
}

#[tokio::test]
async fn a_local_index_can_fetch_the_whole_item() {
    let house = indexed().await;
    house.put("tab", json!({"p": "a", "s": 1, "l": 7, "y": "Y"})).await;
    let input = with(of_index("local", "p", "a"), json!({"Select": "ALL_ATTRIBUTES"}));
    assert_eq!(house.all("Query", input).await, [json!({"p": "a", "s": 1, "l": 7, "y": "Y"})]);
    let input = with(of_index("some", "g", "a"), json!({"Select": "ALL_ATTRIBUTES"}));
    let (code, message) = house.fails("Query", input).await;
    assert_eq!(code, "ValidationException");
    assert!(message.contains("because its projection type is not ALL"), "{message}");
}

#[tokio::test]
async fn a_new_index_is_filled_while_others_write() {
    let house = house();
    house.table("tab").await;
    for s in 0..300 {
        house.put("tab", json!({"p": "a", "s": s, "g": "G"})).await;
    }
    house.cloud.start_tasks().await;
    let create = json!({
        "TableName": "tab", "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": index("new", "g", None, json!({"ProjectionType": "ALL"}))}]
    });
    house.ok("UpdateTable", create).await;
    for s in 0..100 {
        let key = item(&json!({"p": "a", "s": s}));
        house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
        house.put("tab", json!({"p": "b", "s": s, "g": "G"})).await;
    }
    let status = || async {
        let table = house.ok("DescribeTable", json!({"TableName": "tab"})).await;
        table["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    };
    eventually(&house, status).await;
    let found = house.all("Query", of_index("new", "g", "G")).await;
    let mut keys: Vec<String> =
        found.iter().map(|item| format!("{}{}", item["p"], item["s"])).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((found.len(), keys.len()), (300, 300));
    let table = house.ok("DescribeTable", json!({"TableName": "tab"})).await;
    assert_eq!(table["Table"]["GlobalSecondaryIndexes"][0]["ItemCount"], 300);

    let delete = json!({"TableName": "tab", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "new"}}]});
    house.ok("UpdateTable", delete).await;
    let gone = || async {
        let table = house.ok("DescribeTable", json!({"TableName": "tab"})).await;
        table["Table"].get("GlobalSecondaryIndexes").is_none()
    };
    eventually(&house, gone).await;
    let (_, message) = house.fails("Query", of_index("new", "g", "G")).await;
    assert_eq!(message, "The table does not have the specified index: new");
}
