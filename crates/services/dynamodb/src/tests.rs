//! What only this crate can see: the form of stored data, and that nothing of a deleted table stays.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sereno_base::{AccountId, Region};
use sereno_ddbexpr::encode::encode_item;
use sereno_ddbexpr::{Item, Number, Value};
use sereno_store::golden::Golden;
use sereno_store::key::{Position, Tail};
use sereno_store::{Counter, Scope};
use sereno_testkit::TestCloud;

use crate::keys;
use crate::state::*;

fn throughput() -> Throughput {
    Throughput {
        read_units: 5,
        write_units: 6,
        increased_ms: 7,
        decreased_ms: 8,
        decreases_today: 1,
    }
}

fn index() -> IndexRecord {
    IndexRecord {
        number: 1,
        name: "by-owner".into(),
        local: true,
        hash: vec!["owner".into()],
        range: vec!["at".into(), "id".into()],
        projection: ProjectionKind::Include,
        non_key_attributes: vec!["title".into()],
        state: IndexState::Creating,
        backfilling: true,
        throughput: throughput(),
        on_demand_read_max: Some(9),
        on_demand_write_max: Some(10),
    }
}

fn stream(number: u64) -> StreamRecordOf {
    StreamRecordOf {
        number,
        label: "2016-12-01T10:00:00.000".into(),
        view: ViewType::OldImage,
        enabled: true,
        created_ms: 13,
        disabled_ms: 14,
    }
}

fn backup() -> BackupRecord {
    BackupRecord {
        id: "01480586400000-0123abcd".into(),
        name: "nightly".into(),
        created_ms: 1,
        expires_ms: 2,
        system: true,
        ready: true,
        storage: 3,
        table: TableRecord { name: "orders".into(), ..Default::default() },
        items: 4,
        bytes: 5,
    }
}

fn fill() -> FillRecord {
    FillRecord {
        after: Some(Bytes::from_static(b"key")),
        items: 1,
        bytes: 2,
        objects: 3,
        records: 4,
        errors: 5,
        read_bytes: 6,
    }
}

fn table() -> TableRecord {
    let attribute =
        |name: &str, kind: &str| AttributeRecord { name: name.into(), kind: kind.into() };
    TableRecord {
        name: "orders".into(),
        id: "0e33b5cd-8a4e-4bd4-90a9-8b9b1e1b5c6d".into(),
        storage: 0x0123_4567_89ab_cdef,
        created_ms: 1_480_586_400_000,
        attributes: vec![attribute("id", "S"), attribute("at", "N")],
        hash: "id".into(),
        range: Some("at".into()),
        indexes: vec![index()],
        next_index: 2,
        provisioned: true,
        throughput: throughput(),
        billing_changed_ms: 11,
        stream: Some(stream(12)),
        ttl_attribute: Some("ttl".into()),
        ttl_changed_ms: 15,
        deletion_protection: true,
        infrequent_access: true,
        class_changed_ms: 16,
        sse: Some(SseRecord { enabled: true, key_arn: Some("key".into()) }),
        tags: [("team".to_owned(), "blue".to_owned())].into_iter().collect(),
        policy: Some("{}".into()),
        policy_revision: "17".into(),
        pitr_since_ms: 18,
        pitr_days: 19,
        contributor_insights: [("*".to_owned(), "ENABLED".to_owned())].into_iter().collect(),
        kinesis: vec![KinesisDestination {
            stream_arn: "stream".into(),
            status: "ACTIVE".into(),
            precision: "MILLISECOND".into(),
        }],
        billing_stated: true,
        on_demand_read_max: Some(20),
        on_demand_write_max: Some(21),
        restored_from: Some("source".into()),
        restored_at_ms: 22,
        restored_backup: Some("backup".into()),
        warm_read: Some(23),
        warm_write: Some(24),
        changes: 25,
        insights_changed_ms: 26,
        keepers: 27,
        filling: true,
        home: "eu-west-1".into(),
        replicas: vec![ReplicaRecord {
            region: "eu-west-3".into(),
            stream: Some(stream(28)),
            key: Some("key".into()),
            infrequent_access: Some(true),
        }],
        global_version: "2019.11.21".into(),
        replica_key: Some("alias".into()),
        class_stated: true,
    }
}

/// An item with a value of every type.
fn item() -> Item {
    let number = |text: &str| Number::parse(text).unwrap();
    let mut inner = Item::new();
    inner.insert("deep".to_owned(), Value::Null);
    let mut item = Item::new();
    let values = [
        ("id", Value::S("order-1".into())),
        ("at", Value::N(number("-12.5e30"))),
        ("raw", Value::B(vec![0, 255])),
        ("paid", Value::Bool(true)),
        ("map", Value::M(inner)),
        ("list", Value::L(vec![Value::Bool(false), Value::N(number("1"))])),
        ("words", Value::Ss(vec!["a".into(), "b".into()])),
        ("numbers", Value::Ns(vec![number("0"), number("3.25")])),
        ("blobs", Value::Bs(vec![vec![1], vec![2, 3]])),
    ];
    for (name, value) in values {
        item.insert(name.to_owned(), value);
    }
    item
}

#[test]
fn format_of_stored_data() {
    let account: AccountId = "123456789012".parse().unwrap();
    let scope = Scope::new(account, Region::parse("us-east-1"));
    let position = Position { version: 7, index: 3 };
    let keys = crate::table::Table::prepare(table(), 1, scope, String::new()).keys;
    let sort = keys::primary(&keys, &item()).unwrap();
    let image = || Bytes::from(encode_item(&item()));
    let change = ChangeRecord {
        created_ms: 1,
        event: "MODIFY".into(),
        keys: image(),
        new_image: Some(image()),
        old_image: Some(image()),
        by_service: true,
        size_bytes: 99,
    };
    let stream = StreamEntry {
        number: 12,
        table: "orders".into(),
        label: "label".into(),
        view: ViewType::NewImage,
        enabled: true,
        created_ms: 1,
        ended_ms: 2,
        hash: "id".into(),
        range: Some("at".into()),
        last_version: 3,
        policy: Some("{}".into()),
        policy_revision: "4".into(),
    };
    let token =
        TokenRecord { fingerprint: Bytes::from_static(b"print"), expires_ms: 1, read_units: 2 };
    Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&TABLES, scope, "orders", &table())
        .table(&ITEMS, scope, &(5, 1, Tail(sort)), &Raw(image()))
        .table(&COUNTS, scope, &(5, 1), &Counter(-3))
        .table(&SIZES, scope, &(5, 1), &Counter(300))
        .table(&STREAM_RECORDS, scope, &(12, 0, position), &change)
        .table(&STREAMS, scope, &("orders", "label"), &stream)
        .table(&TOKENS, scope, "token", &token)
        .table(&BACKUPS, scope, &("orders", "01480586400000-0123abcd"), &backup())
        .table(&FILLS, scope, &3, &fill())
        .table(
            &TTL_TABLES,
            Scope::GLOBAL,
            &(account, "us-east-1", "orders"),
            &TtlTable { storage: 5 },
        )
        .check();
}

#[tokio::test]
async fn nothing_of_a_deleted_table_stays() {
    let cloud = TestCloud::builder().service(crate::service()).build();
    cloud.start_tasks().await;
    let ctx = cloud.ctx();
    let call = async |operation: &str, input: serde_json::Value| {
        ctx.call_json("dynamodb", operation, &input).await.unwrap()
    };
    let key = json!([{"AttributeName": "id", "KeyType": "HASH"}]);
    let index =
        json!([{"IndexName": "all", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}]);
    let create = json!({
        "TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "KeySchema": key,
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "GlobalSecondaryIndexes": index,
    });
    call("CreateTable", create).await;
    for n in 0..50 {
        let item = json!({"id": {"S": n.to_string()}});
        call("PutItem", json!({"TableName": "orders", "Item": item})).await;
    }
    let record = TABLES.get(ctx.store(), ctx.scope(), "orders").await.unwrap().unwrap();
    let stored = async |number: u32| {
        let partition = ITEMS.partition_key(ctx.scope(), &(record.storage, number)).partition;
        ctx.store().range(&sereno_store::Range::all(partition)).await.unwrap().len()
    };
    assert_eq!((stored(0).await, stored(1).await), (50, 50));
    call("DeleteTable", json!({"TableName": "orders"})).await;
    for _ in 0..500 {
        cloud.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
        if stored(0).await + stored(1).await == 0 {
            return;
        }
    }
    panic!("the items stay");
}
