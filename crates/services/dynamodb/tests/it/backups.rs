//! Backups, point-in-time recovery, restores: a table's past, exact.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, definition, eventually, house, item, with};

async fn started() -> House {
    let house = house();
    house.cloud.start_tasks().await;
    house
}

async fn settled(house: &House, table: &str) {
    eventually(house, || async {
        let described = house.ok("DescribeTable", json!({"TableName": table})).await;
        described["Table"]["TableStatus"] == "ACTIVE"
    })
    .await;
}

async fn backed_up(house: &House, arn: &Value) {
    eventually(house, || async {
        let found = house.ok("DescribeBackup", json!({"BackupArn": arn})).await;
        found["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    })
    .await;
}

/// Items sorted as text.
async fn contents(house: &House, table: &str) -> Vec<String> {
    let items = house.all("Scan", json!({"TableName": table})).await;
    let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
    items.sort();
    items
}

async fn recovery(house: &House, on: bool) {
    let wanted = json!({"PointInTimeRecoveryEnabled": on});
    house
        .ok(
            "UpdateContinuousBackups",
            json!({"TableName": "tab", "PointInTimeRecoverySpecification": wanted}),
        )
        .await;
}

#[tokio::test]
async fn a_backup_holds_the_moment_of_its_creation() {
    let house = started().await;
    let index = json!({
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
            {"AttributeName": "v", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"}
        }],
    });
    house.ok("CreateTable", with(definition("tab"), index)).await;
    for s in 0..700 {
        house.put("tab", json!({"p": "a", "s": s, "v": s % 7})).await;
    }
    let before = contents(&house, "tab").await;
    let made = house.ok("CreateBackup", json!({"TableName": "tab", "BackupName": "one"})).await;
    let details = &made["BackupDetails"];
    assert_eq!(
        (&details["BackupStatus"], &details["BackupType"]),
        (&json!("CREATING"), &json!("USER"))
    );
    // Changed, added and removed while the backup is being made.
    for s in 0..300 {
        house.put("tab", json!({"p": "a", "s": s, "v": 99})).await;
        house.put("tab", json!({"p": "b", "s": s})).await;
        let key = item(&json!({"p": "a", "s": 699 - s}));
        house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
    }
    let arn = details["BackupArn"].clone();
    backed_up(&house, &arn).await;
    let described = house.ok("DescribeBackup", json!({"BackupArn": arn})).await;
    let described = &described["BackupDescription"];
    assert_eq!(described["SourceTableDetails"]["ItemCount"], 700);
    let indexes = &described["SourceTableFeatureDetails"]["GlobalSecondaryIndexes"];
    assert_eq!(indexes[0]["IndexName"], "by-v");

    // The table may be gone.
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    let restore = json!({"TargetTableName": "again", "BackupArn": arn});
    let made = house.ok("RestoreTableFromBackup", restore.clone()).await;
    let made = &made["TableDescription"];
    assert_eq!(made["TableStatus"], "CREATING");
    assert_eq!(made["RestoreSummary"]["RestoreInProgress"], true);
    let key = item(&json!({"p": "a", "s": 1}));
    let (code, _) = house.fails("GetItem", json!({"TableName": "again", "Key": key})).await;
    assert_eq!(code, "ResourceNotFoundException");
    let (code, _) = house.fails("DeleteTable", json!({"TableName": "again"})).await;
    assert_eq!(code, "ResourceInUseException");
    settled(&house, "again").await;
    assert_eq!(contents(&house, "again").await, before);
    let by_index = json!({
        "TableName": "again", "IndexName": "by-v", "KeyConditionExpression": "v = :v",
        "ExpressionAttributeValues": {":v": {"N": "3"}}
    });
    assert_eq!(house.all("Query", by_index).await.len(), 100);
    let (code, message) = house.fails("RestoreTableFromBackup", restore).await;
    assert_eq!((&*code, &*message), ("TableAlreadyExistsException", "Table already exists: again"));

    let listed = house.ok("ListBackups", json!({"TableName": "tab"})).await;
    assert_eq!(listed["BackupSummaries"].as_array().unwrap().len(), 1);
    let gone = house.ok("DeleteBackup", json!({"BackupArn": arn})).await;
    assert_eq!(gone["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED");
    let (code, message) = house.fails("DescribeBackup", json!({"BackupArn": arn})).await;
    assert_eq!(code, "BackupNotFoundException");
    assert_eq!(message, format!("Backup not found: {}", arn.as_str().unwrap()));
}

#[tokio::test]
async fn every_moment_can_be_restored() {
    let house = started().await;
    house.table("tab").await;
    let point = |at: i64, target: &str| json!({"SourceTableName": "tab", "TargetTableName": target, "RestoreDateTime": at});
    let now_s = || house.cloud.now().secs();
    let (code, message) = house.fails("RestoreTableToPointInTime", point(now_s(), "none")).await;
    assert_eq!(code, "PointInTimeRecoveryUnavailableException");
    assert_eq!(message, "Point in time recovery is not enabled for table 'tab'");
    house.put("tab", json!({"p": "old", "s": 0})).await;
    recovery(&house, true).await;
    let mut moments = Vec::new();
    for round in 0..6 {
        house.cloud.advance(Duration::from_secs(1));
        for s in 0..40 {
            let key = item(&json!({"p": "a", "s": s}));
            if (s + round) % 3 == 0 {
                house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
            } else {
                house.put("tab", json!({"p": "a", "s": s, "round": round})).await;
            }
        }
        moments.push((now_s(), contents(&house, "tab").await));
    }
    house.cloud.advance(Duration::from_secs(1));
    for (n, (at, expected)) in moments.iter().enumerate() {
        let name = format!("at-{n}");
        house.ok("RestoreTableToPointInTime", point(*at, &name)).await;
        settled(&house, &name).await;
        assert_eq!(contents(&house, &name).await, *expected, "round {n}");
    }
    let (code, _) = house.fails("RestoreTableToPointInTime", point(now_s() - 1000, "early")).await;
    assert_eq!(code, "InvalidRestoreTimeException");

    // Deleted with recovery on: a system backup is left.
    house.ok("DeleteTable", json!({"TableName": "tab"})).await;
    let listed = house.ok("ListBackups", json!({"BackupType": "SYSTEM"})).await;
    let backup = &listed["BackupSummaries"][0];
    assert_eq!(backup["BackupName"], "tab$DeletedTableBackup");
    let restore = json!({"TargetTableName": "tab", "BackupArn": backup["BackupArn"]});
    house.ok("RestoreTableFromBackup", restore).await;
    settled(&house, "tab").await;
    assert_eq!(contents(&house, "tab").await, moments[5].1);
    house.cloud.advance(Duration::from_secs(36 * 24 * 3600));
    eventually(&house, || async {
        let listed = house.ok("ListBackups", json!({"BackupType": "ALL"})).await;
        listed["BackupSummaries"].as_array().unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn recovery_that_is_turned_off_forgets() {
    let house = started().await;
    house.table("tab").await;
    recovery(&house, true).await;
    house.put("tab", json!({"p": "a", "s": 1})).await;
    house.cloud.advance(Duration::from_secs(2));
    recovery(&house, false).await;
    recovery(&house, true).await;
    let at = house.cloud.now().secs() - 2;
    let early =
        json!({"SourceTableName": "tab", "TargetTableName": "early", "RestoreDateTime": at});
    let (code, _) = house.fails("RestoreTableToPointInTime", early).await;
    assert_eq!(code, "InvalidRestoreTimeException");
}
