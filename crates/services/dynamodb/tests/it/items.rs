//! Single items: put, get, update, delete.

use serde_json::{Value, json};

use crate::house::{definition, house, item, plain, with};

#[tokio::test]
async fn an_item_is_what_was_put() {
    let house = house();
    house.table("tab").await;
    let whole = json!({
        "p": "a", "s": 1, "text": "é", "flag": true, "nothing": null,
        "list": [1, "two", [3]], "map": {"deep": {"er": 4}}
    });
    house.put("tab", whole.clone()).await;
    assert_eq!(house.get("tab", json!({"p": "a", "s": 1})).await, whole);
    assert_eq!(house.get("tab", json!({"p": "a", "s": 2})).await, Value::Null);
    let answer = house
        .ok("DeleteItem", json!({"TableName": "tab", "Key": item(&json!({"p": "a", "s": 1})), "ReturnValues": "ALL_OLD"}))
        .await;
    assert_eq!(plain(&answer["Attributes"]), whole);
    assert_eq!(house.get("tab", json!({"p": "a", "s": 1})).await, Value::Null);
}

#[tokio::test]
async fn numbers_are_exact_and_one_key_however_they_are_written() {
    let house = house();
    house.table("tab").await;
    let put = json!({"TableName": "tab", "Item": {
        "p": {"S": "a"}, "s": {"N": "1.0e1"},
        "n": {"N": "0.1234567890123456789012345678901234567800"}
    }});
    house.ok("PutItem", put).await;
    let got = house
        .ok("GetItem", json!({"TableName": "tab", "Key": {"p": {"S": "a"}, "s": {"N": "10"}}}))
        .await;
    assert_eq!(got["Item"]["s"]["N"], "10");
    assert_eq!(got["Item"]["n"]["N"], "0.12345678901234567890123456789012345678");
}

#[tokio::test]
async fn updates_show_what_was_asked_for() {
    let house = house();
    house.table("tab").await;
    house.put("tab", json!({"p": "a", "s": 1, "n": 5, "kept": true})).await;
    let update = |what: &str| {
        json!({
            "TableName": "tab", "Key": item(&json!({"p": "a", "s": 1})), "ReturnValues": what,
            "UpdateExpression": "SET n = n + :one, fresh = if_not_exists(fresh, :one)",
            "ExpressionAttributeValues": {":one": {"N": "1"}}
        })
    };
    let cases = [
        ("NONE", Value::Null),
        ("ALL_OLD", json!({"p": "a", "s": 1, "n": 6, "kept": true, "fresh": 1})),
        ("UPDATED_OLD", json!({"n": 7, "fresh": 1})),
        ("ALL_NEW", json!({"p": "a", "s": 1, "n": 9, "kept": true, "fresh": 1})),
        ("UPDATED_NEW", json!({"n": 10, "fresh": 1})),
    ];
    for (what, expected) in cases {
        let answer = house.ok("UpdateItem", update(what)).await;
        let shown = answer.get("Attributes").map_or(Value::Null, plain);
        assert_eq!(shown, expected, "{what}");
    }
}

#[tokio::test]
async fn what_only_takes_away_makes_no_item() {
    let house = house();
    house.table("tab").await;
    let key = json!({"p": "a", "s": 1});
    for (expression, there) in [("REMOVE x", false), ("SET x = :v", true)] {
        let mut input =
            json!({"TableName": "tab", "Key": item(&key), "UpdateExpression": expression});
        if there {
            input["ExpressionAttributeValues"] = json!({":v": {"N": "1"}});
        }
        house.ok("UpdateItem", input).await;
        assert_eq!(!house.get("tab", key.clone()).await.is_null(), there, "{expression}");
    }
}

#[tokio::test]
async fn conditions_guard_and_show_the_item() {
    let house = house();
    house.table("tab").await;
    house.put("tab", json!({"p": "a", "s": 1, "v": 1})).await;
    let put = |show: &str| {
        json!({
            "TableName": "tab", "Item": item(&json!({"p": "a", "s": 1, "v": 2})),
            "ConditionExpression": "attribute_not_exists(p)",
            "ReturnValuesOnConditionCheckFailure": show
        })
    };
    let ctx = house.cloud.ctx();
    for show in ["NONE", "ALL_OLD"] {
        let error = ctx.call_json("dynamodb", "PutItem", &put(show)).await.unwrap_err();
        assert_eq!(error.code(), "ConditionalCheckFailedException");
        assert_eq!(error.message(), "The conditional request failed");
    }
    assert_eq!(house.get("tab", json!({"p": "a", "s": 1})).await["v"], 1);
}

#[tokio::test]
async fn sentences_of_refusals() {
    let house = house();
    house.table("tab").await;
    let local = json!([{
        "IndexName": "by-x", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "x", "KeyType": "RANGE"}]
    }]);
    let mut indexed = with(definition("indexed"), json!({"LocalSecondaryIndexes": local}));
    let defined = indexed["AttributeDefinitions"].as_array_mut().unwrap();
    defined.push(json!({"AttributeName": "x", "AttributeType": "S"}));
    house.ok("CreateTable", indexed).await;
    let put = |table: &str, item: Value| json!({"TableName": table, "Item": item});
    let long = "x".repeat(2049);
    let cases = [
        (
            put("tab", json!({"p": {"S": "a"}})),
            "One or more parameter values were invalid: Missing the key s in the item",
        ),
        (
            put("tab", json!({"p": {"S": "a"}, "s": {"S": "1"}})),
            "One or more parameter values were invalid: Type mismatch for key s expected: N actual: S",
        ),
        (
            put("tab", json!({"p": {"S": ""}, "s": {"N": "1"}})),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
        ),
        (
            put("tab", json!({"p": {"S": long}, "s": {"N": "1"}})),
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            put("indexed", json!({"p": {"S": "a"}, "s": {"N": "1"}, "x": {"N": "1"}})),
            "One or more parameter values were invalid: Type mismatch for Index Key x Expected: S Actual: N IndexName: by-x",
        ),
        (
            put(
                "tab",
                json!({"p": {"S": "a"}, "s": {"N": "1"}, "big": {"S": "x".repeat(400 * 1024)}}),
            ),
            "Item size has exceeded the maximum allowed size",
        ),
        (
            put("tab", json!({"p": {"S": "a"}, "s": {"N": "1"}, "e": {}})),
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            put("tab", json!({"p": {"S": "a"}, "s": {"N": "1"}, "e": {"SS": ["a", "a"]}})),
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
    ];
    for (input, sentence) in cases {
        let (code, message) = house.fails("PutItem", input).await;
        assert_eq!((code.as_str(), message.as_str()), ("ValidationException", sentence));
    }
    let (code, message) = house.fails("PutItem", put("none", json!({"p": {"S": "a"}}))).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ResourceNotFoundException", "Requested resource not found")
    );
}

#[tokio::test]
async fn what_it_costs() {
    let house = house();
    house.table("tab").await;
    let asked = |input: Value| with(input, json!({"ReturnConsumedCapacity": "TOTAL"}));
    let big = json!({"p": "a", "s": 1, "big": "x".repeat(5000)});
    let put = house.ok("PutItem", asked(json!({"TableName": "tab", "Item": item(&big)}))).await;
    assert_eq!(put["ConsumedCapacity"], json!({"TableName": "tab", "CapacityUnits": 5.0}));
    let key = json!({"TableName": "tab", "Key": item(&json!({"p": "a", "s": 1}))});
    let get = house.ok("GetItem", asked(key.clone())).await;
    assert_eq!(get["ConsumedCapacity"]["CapacityUnits"], 1.0);
    let consistent = asked(with(key.clone(), json!({"ConsistentRead": true})));
    assert_eq!(house.ok("GetItem", consistent).await["ConsumedCapacity"]["CapacityUnits"], 2.0);
    let delete = house.ok("DeleteItem", asked(key)).await;
    assert_eq!(delete["ConsumedCapacity"]["CapacityUnits"], 5.0);
}

#[tokio::test]
async fn the_legacy_parameters() {
    let house = house();
    house.table("tab").await;
    let key = item(&json!({"p": "a", "s": 1}));
    let update = json!({
        "TableName": "tab", "Key": key,
        "AttributeUpdates": {
            "n": {"Action": "ADD", "Value": {"N": "2"}},
            "x": {"Action": "PUT", "Value": {"S": "y"}}
        },
        "Expected": {"x": {"Exists": false}}
    });
    house.ok("UpdateItem", update.clone()).await;
    let (code, _) = house.fails("UpdateItem", update).await;
    assert_eq!(code, "ConditionalCheckFailedException");
    let get = json!({"TableName": "tab", "Key": key, "AttributesToGet": ["n"]});
    assert_eq!(plain(&house.ok("GetItem", get).await["Item"]), json!({"n": 2}));
    let alone = json!({"TableName": "tab", "Key": key, "ConditionalOperator": "OR"});
    let (_, message) = house.fails("DeleteItem", alone).await;
    assert_eq!(message, "ConditionalOperator cannot be used without Filter or Expected");
}
