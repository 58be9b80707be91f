//! Exports to S3 and imports from it: what one writes, the other reads.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sereno_api_s3 as s3;
use sereno_wire::Body;

use crate::house::{House, eventually, house, item};

async fn started() -> House {
    let house = house();
    house.cloud.start_tasks().await;
    let bucket = s3::CreateBucketInput { bucket: "data".into(), ..Default::default() };
    house.cloud.ctx().call::<s3::CreateBucket>(bucket).await.unwrap();
    house
}

async fn upload(house: &House, key: &str, body: impl Into<Bytes>) {
    let body: Bytes = body.into();
    let input = s3::PutObjectInput {
        bucket: "data".into(),
        key: key.into(),
        content_length: Some(body.len() as i64),
        body: Body::Bytes(body),
        ..Default::default()
    };
    house.cloud.ctx().call::<s3::PutObject>(input).await.unwrap();
}

async fn download(house: &House, key: &str) -> Vec<u8> {
    let input = s3::GetObjectInput { bucket: "data".into(), key: key.into(), ..Default::default() };
    let found = house.cloud.ctx().call::<s3::GetObject>(input).await;
    let found = found.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    found.body.collect(1 << 24).await.unwrap().to_vec()
}

async fn json_at(house: &House, key: &str) -> Value {
    serde_json::from_slice(&download(house, key).await).unwrap()
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// A table with a past.
async fn with_recovery(house: &House) {
    house.table("tab").await;
    house
        .ok(
            "UpdateContinuousBackups",
            json!({"TableName": "tab",
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}}),
        )
        .await;
}

async fn exported(house: &House, input: Value) -> Value {
    let made = house.ok("ExportTableToPointInTime", input).await;
    let arn = made["ExportDescription"]["ExportArn"].clone();
    assert_eq!(made["ExportDescription"]["ExportStatus"], "IN_PROGRESS");
    eventually(house, || async {
        let found = house.ok("DescribeExport", json!({"ExportArn": arn})).await;
        found["ExportDescription"]["ExportStatus"] != "IN_PROGRESS"
    })
    .await;
    house.ok("DescribeExport", json!({"ExportArn": arn})).await["ExportDescription"].clone()
}

/// The lines of all objects of data that the manifest names.
async fn lines(house: &House, export: &Value) -> Vec<String> {
    assert_eq!(export["ExportStatus"], "COMPLETED", "{export}");
    let summary = json_at(house, export["ExportManifest"].as_str().unwrap()).await;
    let files = download(house, summary["manifestFilesS3Key"].as_str().unwrap()).await;
    let mut lines = Vec::new();
    for file in String::from_utf8(files).unwrap().lines() {
        let file: Value = serde_json::from_str(file).unwrap();
        let data = download(house, file["dataFileS3Key"].as_str().unwrap()).await;
        let text = unpacked(&data);
        assert_eq!(file["itemCount"], text.lines().count());
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

fn arn(house: &House) -> String {
    house.cloud.ctx().arn("dynamodb", "table/tab")
}

#[tokio::test]
async fn a_full_export_is_of_its_moment() {
    let house = started().await;
    with_recovery(&house).await;
    house.put("tab", json!({"p": "a", "s": 600, "v": "x"})).await;
    house.put("tab", json!({"p": "b", "s": 1, "list": [1, true, null]})).await;
    let at = house.cloud.now().secs();
    house.cloud.advance(Duration::from_secs(5));
    house.put("tab", json!({"p": "c", "s": 2})).await;
    let key = item(&json!({"p": "a", "s": 600}));
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
    let input = json!({"TableArn": arn(&house), "S3Bucket": "data", "S3Prefix": "night",
        "ExportTime": at, "ClientToken": "token-1"});
    let export = exported(&house, input.clone()).await;
    assert_eq!(
        (&export["ItemCount"], &export["ExportFormat"]),
        (&json!(2), &json!("DYNAMODB_JSON"))
    );
    assert_eq!(
        lines(&house, &export).await,
        [
            r#"{"Item":{"list":{"L":[{"N":"1"},{"BOOL":true},{"NULL":true}]},"p":{"S":"b"},"s":{"N":"1"}}}"#,
            r#"{"Item":{"p":{"S":"a"},"s":{"N":"600"},"v":{"S":"x"}}}"#,
        ]
    );
    let manifest = export["ExportManifest"].as_str().unwrap();
    let folder = manifest.strip_suffix("manifest-summary.json").unwrap();
    assert!(folder.starts_with("night/AWSDynamoDB/"), "{folder}");
    assert_eq!(download(&house, &format!("{folder}_started")).await, b"");
    let summary = json_at(&house, manifest).await;
    assert_eq!(summary["version"], "2020-06-30");
    assert_eq!(summary["exportArn"], export["ExportArn"]);
    assert_eq!(summary["exportType"], "FULL_EXPORT");
    assert_eq!(summary["s3SseKmsKeyId"], Value::Null);
    assert_eq!(summary["itemCount"], 2);
    assert_eq!(download(&house, &format!("{folder}manifest-summary.md5")).await.len(), 24);

    // The same token: the same export; with other parameters: none.
    let again = house.ok("ExportTableToPointInTime", input.clone()).await;
    assert_eq!(again["ExportDescription"]["ExportArn"], export["ExportArn"]);
    let mut other = input;
    other["S3Prefix"] = json!("day");
    let (code, _) = house.fails("ExportTableToPointInTime", other).await;
    assert_eq!(code, "ExportConflictException");

    let ion = json!({"TableArn": arn(&house), "S3Bucket": "data", "ExportFormat": "ION",
        "ExportTime": at, "ClientToken": "token-2"});
    let ion = exported(&house, ion).await;
    assert_eq!(
        lines(&house, &ion).await,
        [
            r#"$ion_1_0 {Item:{list:[1.,true,null],p:"b",s:1.}}"#,
            r#"$ion_1_0 {Item:{p:"a",s:6d2,v:"x"}}"#,
        ]
    );
    let listed = house.ok("ListExports", json!({"TableArn": arn(&house)})).await;
    assert_eq!(listed["ExportSummaries"].as_array().unwrap().len(), 2);
    let lost = json!({"TableArn": arn(&house), "S3Bucket": "no-such", "ClientToken": "token-3"});
    let failed = exported(&house, lost).await;
    assert_eq!(failed["FailureCode"], "S3NoSuchBucket");
}

#[tokio::test]
async fn an_incremental_export_is_what_changed() {
    let house = started().await;
    with_recovery(&house).await;
    for (s, v) in [(1, 1), (2, 2), (3, 3)] {
        house.put("tab", json!({"p": "a", "s": s, "v": v})).await;
    }
    house.cloud.advance(Duration::from_secs(10));
    let from = house.cloud.now().secs();
    house.cloud.advance(Duration::from_secs(10));
    house.put("tab", json!({"p": "a", "s": 1, "v": 10})).await;
    house.put("tab", json!({"p": "a", "s": 1, "v": 11})).await;
    let key = |s: i64| json!({"TableName": "tab", "Key": item(&json!({"p": "a", "s": s}))});
    house.ok("DeleteItem", key(2)).await;
    house.put("tab", json!({"p": "a", "s": 4, "v": 4})).await;
    // There and gone again: nothing.
    house.put("tab", json!({"p": "a", "s": 5})).await;
    house.ok("DeleteItem", key(5)).await;
    house.cloud.advance(Duration::from_secs(1000));
    let to = house.cloud.now().secs();
    house.put("tab", json!({"p": "a", "s": 1, "v": 99})).await;
    house.put("tab", json!({"p": "a", "s": 3, "v": 99})).await;
    let input = |view: &str, token: &str| {
        json!({"TableArn": arn(&house), "S3Bucket": "data", "ExportType": "INCREMENTAL_EXPORT",
            "ClientToken": token, "IncrementalExportSpecification":
                {"ExportFromTime": from, "ExportToTime": to, "ExportViewType": view}})
    };
    let export = exported(&house, input("NEW_AND_OLD_IMAGES", "t-1")).await;
    let at = (from + 10) * 1_000_000;
    let meta = format!(r#"{{"Metadata":{{"WriteTimestampMicros":{{"N":"{at}"}}}},"Keys":"#);
    let whole =
        |s: i64, v: i64| format!(r#"{{"p":{{"S":"a"}},"s":{{"N":"{s}"}},"v":{{"N":"{v}"}}}}"#);
    let keys = |s: i64| format!(r#"{{"p":{{"S":"a"}},"s":{{"N":"{s}"}}}}"#);
    assert_eq!(
        lines(&house, &export).await,
        [
            format!(
                r#"{meta}{},"OldImage":{},"NewImage":{}}}"#,
                keys(1),
                whole(1, 1),
                whole(1, 11)
            ),
            format!(r#"{meta}{},"OldImage":{}}}"#, keys(2), whole(2, 2)),
            format!(r#"{meta}{},"NewImage":{}}}"#, keys(4), whole(4, 4)),
        ]
    );
    let export = exported(&house, input("NEW_IMAGE", "t-2")).await;
    assert_eq!(lines(&house, &export).await[1], format!(r#"{meta}{}}}"#, keys(2)));
    let mut short = input("NEW_IMAGE", "t-3");
    short["IncrementalExportSpecification"]["ExportToTime"] = json!(from + 60);
    let (code, message) = house.fails("ExportTableToPointInTime", short).await;
    assert_eq!(code, "ValidationException");
    assert!(message.ends_with("is less than 15 minutes"), "{message}");
}

fn import(format: &str, prefix: &str, more: Value) -> Value {
    let mut input = json!({
        "S3BucketSource": {"S3Bucket": "data", "S3KeyPrefix": prefix},
        "InputFormat": format,
        "TableCreationParameters": {
            "TableName": "new",
            "AttributeDefinitions": [
                {"AttributeName": "p", "AttributeType": "S"},
                {"AttributeName": "s", "AttributeType": "N"},
                {"AttributeName": "v", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"}
            }],
        },
    });
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

async fn imported(house: &House, input: Value) -> Value {
    let made = house.ok("ImportTable", input).await;
    let arn = made["ImportTableDescription"]["ImportArn"].clone();
    assert_eq!(made["ImportTableDescription"]["ImportStatus"], "IN_PROGRESS");
    eventually(house, || async {
        let found = house.ok("DescribeImport", json!({"ImportArn": arn})).await;
        found["ImportTableDescription"]["ImportStatus"] != "IN_PROGRESS"
    })
    .await;
    eventually(house, || async {
        let found = house.ok("DescribeTable", json!({"TableName": "new"})).await;
        found["Table"]["TableStatus"] == "ACTIVE"
    })
    .await;
    house.ok("DescribeImport", json!({"ImportArn": arn})).await["ImportTableDescription"].clone()
}

async fn contents(house: &House) -> Vec<String> {
    let items = house.all("Scan", json!({"TableName": "new"})).await;
    let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
    items.sort();
    items
}

#[tokio::test]
async fn csv_from_several_objects() {
    let house = started().await;
    upload(&house, "csv/1.csv", "p,s,v\na,1,\"x, \"\"y\"\"\nz\"\r\na,wrong,x\n\na,2,\n").await;
    upload(&house, "csv/2.csv", "p,s,v\na,1,last\nb,7,x").await;
    let done = imported(&house, import("CSV", "csv/", json!({}))).await;
    assert_eq!(
        (&done["ImportedItemCount"], &done["ErrorCount"], &done["ProcessedItemCount"]),
        (&json!(4), &json!(1), &json!(5)),
        "{done}"
    );
    assert_eq!(
        contents(&house).await,
        [r#"{"p":"a","s":1,"v":"last"}"#, r#"{"p":"a","s":2}"#, r#"{"p":"b","s":7,"v":"x"}"#]
    );
    let by_index = json!({
        "TableName": "new", "IndexName": "by-v", "KeyConditionExpression": "v = :v",
        "ExpressionAttributeValues": {":v": {"S": "last"}}
    });
    assert_eq!(house.all("Query", by_index).await.len(), 1);
    let listed = house.ok("ListImports", json!({})).await;
    assert_eq!(listed["ImportSummaryList"][0]["ImportStatus"], "COMPLETED");
    let (code, _) = house.fails("ImportTable", import("CSV", "csv/", json!({}))).await;
    assert_eq!(code, "ResourceInUseException");
}

#[tokio::test]
async fn packed_objects_of_every_kind() {
    // `{"Item":{"p":{"S":"zstd"},"s":{"N":"1"}}}` twice as a frame, as zstd 1.5 packs it.
    let line = |s: i64| format!("{{\"Item\":{{\"p\":{{\"S\":\"a\"}},\"s\":{{\"N\":\"{s}\"}}}}}}\n");
    let house = started().await;
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
    for s in 0..3000 {
        packed.write_all(line(s).as_bytes()).unwrap();
    }
    upload(&house, "gz/data.json.gz", packed.finish().unwrap()).await;
    let gzip = json!({"InputCompressionType": "GZIP"});
    let done = imported(&house, import("DYNAMODB_JSON", "gz/", gzip.clone())).await;
    assert_eq!(done["ImportedItemCount"], 3000);
    assert_eq!(contents(&house).await.len(), 3000);
    let described = house.ok("DescribeTable", json!({"TableName": "new"})).await;
    assert_eq!(described["Table"]["ItemCount"], 3000);
    house.ok("DeleteTable", json!({"TableName": "new"})).await;

    let raw = ruzstd::encoding::compress_to_vec(
        (0..500).map(line).collect::<String>().as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let two = [raw.clone(), raw].concat();
    upload(&house, "zstd/data", two).await;
    let zstd = json!({"InputCompressionType": "ZSTD"});
    let done = imported(&house, import("DYNAMODB_JSON", "zstd/", zstd)).await;
    assert_eq!(done["ImportedItemCount"], 1000, "{done}");
    assert_eq!(contents(&house).await.len(), 500);
    house.ok("DeleteTable", json!({"TableName": "new"})).await;

    upload(&house, "ion/1", "$ion_1_0 {Item:{p:\"a\",s:6d2,set:$dynamodb_SS::[\"x\"]}}\n").await;
    let done = imported(&house, import("ION", "ion/", json!({}))).await;
    assert_eq!(done["ImportedItemCount"], 1, "{done}");
    assert_eq!(contents(&house).await, [r#"{"p":"a","s":600,"set":["x"]}"#]);
    house.ok("DeleteTable", json!({"TableName": "new"})).await;

    let done = imported(&house, import("DYNAMODB_JSON", "ion/", gzip)).await;
    assert_eq!(done["ImportStatus"], "FAILED", "{done}");
}
