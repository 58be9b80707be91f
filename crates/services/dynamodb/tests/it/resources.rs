//! AWS::DynamoDB::Table: made, changed, made again after a crash, removed.

use serde_json::{Map, Value, json};
use sereno_kernel::{ResourceRequest, ResourceState};

use crate::house::{House, call, house};

const TYPE: &str = "AWS::DynamoDB::Table";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn request(properties: Value) -> ResourceRequest {
    ResourceRequest {
        stack_id: "stack-id".into(),
        stack_name: "stack".into(),
        logical_id: "Table".into(),
        properties: object(properties),
        suggested_name: "stack-Table-ABCDEF123456".into(),
        token: "token".into(),
        ..Default::default()
    }
}

fn properties() -> Value {
    json!({
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true},
        "Tags": [{"Key": "a", "Value": "b"}],
    })
}

async fn create(house: &House, request: &ResourceRequest) -> ResourceState {
    let kind = house.cloud.cloud().resource_type(TYPE).expect(TYPE);
    kind.run_create(house.cloud.ctx(), request.clone()).await.expect("created")
}

#[tokio::test]
async fn a_table_as_a_resource() {
    let house = house();
    let first = request(properties());
    let made = create(&house, &first).await;
    // A second try after a crash finds the same table.
    assert_eq!(create(&house, &first).await.physical_id, made.physical_id);
    assert_eq!(made.physical_id, "stack-Table-ABCDEF123456");
    let table =
        house.ok("DescribeTable", json!({"TableName": made.physical_id})).await["Table"].clone();
    assert_eq!(made.attributes["Arn"], table["TableArn"]);
    assert_eq!(made.attributes["StreamArn"], table["LatestStreamArn"]);

    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    let mut changed = properties();
    changed["BillingMode"] = json!("PROVISIONED");
    changed["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 2, "WriteCapacityUnits": 1});
    changed["TimeToLiveSpecification"]["Enabled"] = json!(false);
    changed["Tags"] = json!([{"Key": "c", "Value": "d"}]);
    let update = ResourceRequest {
        physical_id: made.physical_id.clone(),
        attributes: made.attributes.clone(),
        previous: first.properties.clone(),
        properties: object(changed),
        ..first.clone()
    };
    assert!(!kind.needs_replacement(&update.previous, &update.properties));
    kind.run_update(house.cloud.ctx(), update.clone()).await.expect("updated");
    let name = json!({"TableName": made.physical_id});
    let table = house.ok("DescribeTable", name.clone()).await["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 2);
    let ttl = house.ok("DescribeTimeToLive", name.clone()).await;
    assert_eq!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"], "DISABLED");
    let tags = house.ok("ListTagsOfResource", json!({"ResourceArn": table["TableArn"]})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "c", "Value": "d"}]));

    let mut other = properties();
    other["KeySchema"] = json!([{"AttributeName": "other", "KeyType": "HASH"}]);
    assert!(kind.needs_replacement(&first.properties, &object(other)));

    for _ in 0..2 {
        let delete = ResourceRequest { physical_id: made.physical_id.clone(), ..update.clone() };
        kind.run_delete(house.cloud.ctx(), delete).await.expect("deleted");
    }
    assert_eq!(house.fails("DescribeTable", name).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let house = house();
    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    let cases = [
        ("Colour", json!("red"), "Encountered unsupported property Colour"),
        (
            "SSESpecification",
            json!({"SSEEnabled": true, "Why": 1}),
            "Encountered unsupported property Why",
        ),
        (
            "KinesisStreamSpecification",
            json!({"StreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}),
            "Stream s under account 000000000000 not found.",
        ),
    ];
    for (name, value, sentence) in cases {
        let mut wanted = properties();
        wanted[name] = value;
        let error = kind.run_create(house.cloud.ctx(), request(wanted)).await.unwrap_err();
        assert_eq!(error.message(), sentence);
    }
}

#[tokio::test]
async fn insights_and_policies() {
    let house = house();
    let mut wanted = properties();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "dynamodb:DescribeStream", "Resource": "*"
    }]});
    wanted["ContributorInsightsSpecification"] = json!({"Enabled": true, "Mode": "THROTTLED_KEYS"});
    wanted["StreamSpecification"]["ResourcePolicy"] = json!({"PolicyDocument": policy});
    let first = request(wanted);
    let made = create(&house, &first).await;
    let name = json!({"TableName": made.physical_id});
    let found = house.ok("DescribeContributorInsights", name.clone()).await;
    assert_eq!(found["ContributorInsightsStatus"], "ENABLED");
    assert_eq!(found["ContributorInsightsMode"], "THROTTLED_KEYS");
    assert_eq!(found["ContributorInsightsRuleList"].as_array().unwrap().len(), 2);
    let stream = json!({"ResourceArn": made.attributes["StreamArn"]});
    let found = house.ok("GetResourcePolicy", stream.clone()).await;
    let text: Value = serde_json::from_str(found["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(text, policy);

    let update = ResourceRequest {
        physical_id: made.physical_id.clone(),
        previous: first.properties.clone(),
        properties: object(properties()),
        ..first
    };
    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    kind.run_update(house.cloud.ctx(), update).await.expect("updated");
    let found = house.ok("DescribeContributorInsights", name).await;
    assert_eq!(found["ContributorInsightsStatus"], "DISABLED");
    assert_eq!(house.fails("GetResourcePolicy", stream).await.0, "PolicyNotFoundException");
}

#[tokio::test]
async fn a_table_filled_by_an_import() {
    let house = house();
    house.cloud.start_tasks().await;
    let ctx = house.cloud.ctx();
    let bucket = sereno_api_s3::CreateBucketInput { bucket: "data".into(), ..Default::default() };
    ctx.call::<sereno_api_s3::CreateBucket>(bucket).await.unwrap();
    let object = sereno_api_s3::PutObjectInput {
        bucket: "data".into(),
        key: "in.csv".into(),
        body: sereno_wire::Body::Bytes("id,v\na,1\nb,2\n".into()),
        content_length: Some(13),
        ..Default::default()
    };
    ctx.call::<sereno_api_s3::PutObject>(object).await.unwrap();
    let mut wanted = properties();
    wanted["ImportSourceSpecification"] =
        json!({"InputFormat": "CSV", "S3BucketSource": {"S3Bucket": "data"}});
    let kind = house.cloud.cloud().resource_type(TYPE).unwrap();
    let making = tokio::spawn(kind.run_create(ctx, request(wanted)));
    while !making.is_finished() {
        house.cloud.advance(std::time::Duration::from_millis(100));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let made = making.await.unwrap().expect("created");
    let items = house.all("Scan", json!({"TableName": made.physical_id})).await;
    assert_eq!(items.len(), 2);
    assert!(made.attributes.contains_key("StreamArn"));
}

fn global(regions: &[&str]) -> Value {
    let replicas: Vec<Value> = regions
        .iter()
        .map(|region| {
            json!({
                "Region": region,
                "Tags": [{"Key": "region", "Value": region}],
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
                "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": 5},
                "GlobalSecondaryIndexes": [{
                    "IndexName": "by-v",
                    "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": "3"}
                }],
            })
        })
        .collect();
    json!({
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "v", "AttributeType": "S"}
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PROVISIONED",
        "WriteProvisionedThroughputSettings": {"WriteCapacityAutoScalingSettings": {
            "MinCapacity": 2, "MaxCapacity": 10,
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70}
        }},
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-v",
            "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
            "WriteProvisionedThroughputSettings": {"WriteCapacityAutoScalingSettings": {
                "SeedCapacity": 4, "MinCapacity": 2, "MaxCapacity": 10,
                "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70}
            }}
        }],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true},
        "Replicas": replicas,
    })
}

#[tokio::test]
async fn a_global_table_as_a_resource() {
    const GLOBAL: &str = "AWS::DynamoDB::GlobalTable";
    let house = house();
    let ctx = house.cloud.ctx();
    let paris = ctx.in_region(sereno_base::Region::parse("eu-west-3").unwrap());
    let dublin = ctx.in_region(sereno_base::Region::parse("eu-west-1").unwrap());
    let kind = house.cloud.cloud().resource_type(GLOBAL).expect(GLOBAL);
    let first = request(global(&["us-east-1", "eu-west-3"]));
    let made = kind.run_create(ctx.clone(), first.clone()).await.expect("created");
    // A second try after a crash.
    let again = kind.run_create(ctx.clone(), first.clone()).await.expect("created again");
    assert_eq!(made, again);
    let name = json!({"TableName": made.physical_id});
    let describe = async |ctx: &sereno_kernel::Ctx| {
        call(ctx, "DescribeTable", name.clone()).await.map(|found| found["Table"].clone())
    };
    let table = describe(&paris).await.unwrap();
    assert_eq!(table["ProvisionedThroughput"]["WriteCapacityUnits"], 2);
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 5);
    let index = &table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"];
    assert_eq!((&index["ReadCapacityUnits"], &index["WriteCapacityUnits"]), (&json!(3), &json!(4)));
    let tags = call(&paris, "ListTagsOfResource", json!({"ResourceArn": table["TableArn"]})).await;
    assert_eq!(tags.unwrap()["Tags"], json!([{"Key": "region", "Value": "eu-west-3"}]));
    let past = call(&paris, "DescribeContinuousBackups", name.clone()).await.unwrap();
    let past = &past["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(past["PointInTimeRecoveryStatus"], "ENABLED");

    let update = ResourceRequest {
        physical_id: made.physical_id.clone(),
        previous: first.properties.clone(),
        properties: object(global(&["us-east-1", "eu-west-1"])),
        ..first.clone()
    };
    kind.run_update(ctx.clone(), update.clone()).await.expect("updated");
    assert!(describe(&paris).await.is_err());
    assert_eq!(describe(&dublin).await.unwrap()["Replicas"][0]["RegionName"], "us-east-1");
    let delete = ResourceRequest { physical_id: made.physical_id.clone(), ..update };
    for _ in 0..2 {
        kind.run_delete(ctx.clone(), delete.clone()).await.expect("deleted");
    }
    assert!(describe(&dublin).await.is_err() && describe(&ctx).await.is_err());
    let elsewhere = request(global(&["eu-west-3"]));
    let error = kind.run_create(ctx, elsewhere).await.unwrap_err();
    assert_eq!(error.message(), "Replicas must contain the region of the stack, us-east-1");
}
