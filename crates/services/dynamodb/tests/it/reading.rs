//! Query, Scan and the batches: order, pages, filters, segments.

use serde_json::{Value, json};

use crate::house::{House, definition, house, item, plain, with};

async fn filled() -> House {
    let house = house();
    house.table("tab").await;
    for p in ["a", "b", "c"] {
        for s in [3, -1, 10, 2] {
            house.put("tab", json!({"p": p, "s": s, "even": s % 2 == 0})).await;
        }
    }
    house
}

fn sorts(items: &[Value]) -> Vec<i64> {
    items.iter().map(|item| item["s"].as_i64().unwrap()).collect()
}

fn query(condition: &str, values: Value) -> Value {
    let values = item(&values);
    json!({"TableName": "tab", "KeyConditionExpression": condition, "ExpressionAttributeValues": values})
}

#[tokio::test]
async fn a_query_goes_by_the_sort_key() {
    let house = filled().await;
    let cases = [
        (query("p = :p", json!({":p": "b"})), vec![-1, 2, 3, 10]),
        (query("p = :p AND s > :s", json!({":p": "b", ":s": 2})), vec![3, 10]),
        (
            query("p = :p AND s BETWEEN :a AND :z", json!({":p": "b", ":a": -5, ":z": 2})),
            vec![-1, 2],
        ),
        (query("p = :p AND s = :s", json!({":p": "b", ":s": 4})), vec![]),
    ];
    for (input, expected) in cases {
        assert_eq!(sorts(&house.all("Query", input.clone()).await), expected);
        let backward = with(input.clone(), json!({"ScanIndexForward": false, "Limit": 1}));
        let mut reversed = expected.clone();
        reversed.reverse();
        assert_eq!(sorts(&house.all("Query", backward).await), reversed, "page by page, backward");
    }
    let filtered = with(
        query("p = :p", json!({":p": "a", ":yes": true})),
        json!({"FilterExpression": "even = :yes"}),
    );
    let page = house.ok("Query", filtered).await;
    assert_eq!((page["Count"].as_i64(), page["ScannedCount"].as_i64()), (Some(2), Some(4)));
}

#[tokio::test]
async fn segments_of_a_scan_share_the_table() {
    let house = filled().await;
    let whole = house.all("Scan", json!({"TableName": "tab", "Limit": 5})).await;
    assert_eq!(whole.len(), 12);
    let mut parts = Vec::new();
    for segment in 0..4 {
        let input = json!({"TableName": "tab", "Segment": segment, "TotalSegments": 4, "Limit": 2});
        parts.extend(house.all("Scan", input).await);
    }
    let text = |items: &[Value]| {
        let mut all: Vec<String> = items.iter().map(Value::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(text(&parts), text(&whole));
    let count = house.ok("Scan", json!({"TableName": "tab", "Select": "COUNT"})).await;
    assert_eq!(count["Count"], 12);
    assert!(count.get("Items").is_none());
}

#[tokio::test]
async fn a_page_is_a_megabyte() {
    let house = house();
    house.table("tab").await;
    for s in 0..30 {
        house.put("tab", json!({"p": "a", "s": s, "big": "x".repeat(100_000)})).await;
    }
    let input = query("p = :p", json!({":p": "a"}));
    let page = house.ok("Query", input.clone()).await;
    assert_eq!(page["Count"], 11);
    assert_eq!(plain(&page["LastEvaluatedKey"]), json!({"p": "a", "s": 10}));
    assert_eq!(house.all("Query", input).await.len(), 30);
}

#[tokio::test]
async fn batches_write_and_read() {
    let house = house();
    house.table("tab").await;
    let puts: Vec<Value> = (0..25)
        .map(|s| json!({"PutRequest": {"Item": item(&json!({"p": "a", "s": s}))}}))
        .collect();
    let answer = house.ok("BatchWriteItem", json!({"RequestItems": {"tab": puts}})).await;
    assert_eq!(answer["UnprocessedItems"], json!({}));
    let key = |s: i64| item(&json!({"p": "a", "s": s}));
    let keys: Vec<Value> = (20..40).map(key).collect();
    let answer = house.ok("BatchGetItem", json!({"RequestItems": {"tab": {"Keys": keys}}})).await;
    assert_eq!(answer["Responses"]["tab"].as_array().unwrap().len(), 5);
    let twice = json!({"RequestItems": {"tab": {"Keys": [key(1), key(1)]}}});
    assert_eq!(
        house.fails("BatchGetItem", twice).await.1,
        "Provided list of item keys contains duplicates"
    );
    let deletes: Vec<Value> = (0..25).map(|s| json!({"DeleteRequest": {"Key": key(s)}})).collect();
    house.ok("BatchWriteItem", json!({"RequestItems": {"tab": deletes}})).await;
    assert!(house.all("Scan", json!({"TableName": "tab"})).await.is_empty());
}

#[tokio::test]
async fn a_batch_of_much_leaves_keys_unprocessed() {
    let house = house();
    house.table("tab").await;
    for s in 0..50 {
        house.put("tab", json!({"p": "a", "s": s, "big": "x".repeat(390_000)})).await;
    }
    let keys: Vec<Value> = (0..50).map(|s| item(&json!({"p": "a", "s": s}))).collect();
    let answer = house.ok("BatchGetItem", json!({"RequestItems": {"tab": {"Keys": keys}}})).await;
    let got = answer["Responses"]["tab"].as_array().unwrap().len();
    let left = answer["UnprocessedKeys"]["tab"]["Keys"].as_array().unwrap().len();
    assert_eq!(got + left, 50);
    assert!(got * 390_000 <= 17 << 20 && left > 0, "{got} came, {left} are left");
}

#[tokio::test]
async fn tables_of_one_name_share_nothing() {
    let house = filled().await;
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    let (code, _) = house.fails("Scan", json!({"TableName": "tab"})).await;
    assert_eq!(code, "ResourceNotFoundException");
    house.ok("CreateTable", definition("tab")).await;
    assert!(house.all("Scan", json!({"TableName": "tab"})).await.is_empty());
}
