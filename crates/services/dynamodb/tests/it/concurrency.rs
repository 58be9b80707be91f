//! Many writers at once: nothing is lost, nothing is counted twice.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::house::{House, call, house, item};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_add_up() {
    const WRITERS: i64 = 16;
    const EACH: i64 = 25;
    let house = Arc::new(house());
    house.table("tab").await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let ctx = house.cloud.ctx();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let input = json!({
                        "TableName": "tab", "Key": item(&json!({"p": "a", "s": 1})),
                        "UpdateExpression": "ADD n :one",
                        "ExpressionAttributeValues": {":one": {"N": "1"}}
                    });
                    call(&ctx, "UpdateItem", input).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(house.get("tab", json!({"p": "a", "s": 1})).await["n"], WRITERS * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creates() {
    let house = house();
    house.table("tab").await;
    let tries: Vec<_> = (0..20)
        .map(|n| {
            let ctx = house.cloud.ctx();
            tokio::spawn(async move {
                let input = json!({
                    "TableName": "tab", "Item": item(&json!({"p": "a", "s": 1, "by": n})),
                    "ConditionExpression": "attribute_not_exists(p)"
                });
                match call(&ctx, "PutItem", input).await {
                    Ok(_) => 1,
                    Err(error) => {
                        assert_eq!(error.code(), "ConditionalCheckFailedException");
                        0
                    }
                }
            })
        })
        .collect();
    let mut made = 0;
    for one in tries {
        made += one.await.unwrap();
    }
    assert_eq!(made, 1);
}

/// Money moves between accounts by transactions; every reader sees the same sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_keep_the_sum() {
    const ACCOUNTS: i64 = 4;
    let house = Arc::new(house());
    house.table("tab").await;
    for s in 0..ACCOUNTS {
        house.put("tab", json!({"p": "bank", "s": s, "money": 100})).await;
    }
    let writers: Vec<_> = (0..6i64)
        .map(|writer| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for round in 0..20 {
                    let (from, to) = ((writer + round) % ACCOUNTS, (writer + round + 1) % ACCOUNTS);
                    transfer(&house, from, to).await;
                }
            })
        })
        .collect();
    let reader = {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            for _ in 0..40 {
                assert_eq!(sum(&house).await, ACCOUNTS * 100);
            }
        })
    };
    for writer in writers {
        writer.await.unwrap();
    }
    reader.await.unwrap();
    assert_eq!(sum(&house).await, ACCOUNTS * 100);
}

async fn transfer(house: &House, from: i64, to: i64) {
    let update = |s: i64, expression: &str| {
        json!({"Update": {
            "TableName": "tab", "Key": item(&json!({"p": "bank", "s": s})),
            "UpdateExpression": expression, "ExpressionAttributeValues": {":m": {"N": "3"}}
        }})
    };
    let items = [update(from, "SET money = money - :m"), update(to, "SET money = money + :m")];
    let input = json!({"TransactItems": items});
    loop {
        match call(&house.cloud.ctx(), "TransactWriteItems", input.clone()).await {
            Ok(_) => return,
            Err(error) => assert!(error.message().contains("TransactionConflict"), "{error:?}"),
        }
    }
}

async fn sum(house: &House) -> i64 {
    let gets: Vec<Value> = (0..4)
        .map(|s| json!({"Get": {"TableName": "tab", "Key": item(&json!({"p": "bank", "s": s}))}}))
        .collect();
    let answer = house.ok("TransactGetItems", json!({"TransactItems": gets})).await;
    answer["Responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|response| response["Item"]["money"]["N"].as_str().unwrap().parse::<i64>().unwrap())
        .sum()
}

/// A writer that took the table for what it was before finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tables_are_remade_under_writers() {
    let house = Arc::new(house());
    house.table("tab").await;
    let writer = {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            for s in 0..400 {
                let put = json!({"TableName": "tab", "Item": item(&json!({"p": "a", "s": s}))});
                if let Err(error) = call(&house.cloud.ctx(), "PutItem", put).await {
                    assert_eq!(error.code(), "ResourceNotFoundException", "{error:?}");
                }
            }
        })
    };
    for _ in 0..20 {
        house.ok("DeleteTable", json!({"TableName": "tab"})).await;
        house.table("tab").await;
        tokio::task::yield_now().await;
    }
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    house.table("tab").await;
    writer.await.unwrap();
    let items = house.all("Scan", json!({"TableName": "tab"})).await;
    let described = house.ok("DescribeTable", json!({"TableName": "tab"})).await;
    assert_eq!(described["Table"]["ItemCount"], items.len());
}
