//! CloudFormation's types, made, changed and removed as a stack does.

use serde_json::{Map, Value, json};
use sereno_kernel::{ResourceRequest, ResourceState};

use crate::house::{House, house, settle};

fn properties(json: Value) -> Map<String, Value> {
    let Value::Object(map) = json else { panic!("properties are an object") };
    map
}

async fn create(house: &House, kind: &str, wanted: Value) -> ResourceState {
    let request = ResourceRequest {
        stack_id: "stack".to_owned(),
        logical_id: "Logical".to_owned(),
        suggested_name: "suggested".to_owned(),
        properties: properties(wanted),
        ..Default::default()
    };
    let cloud = house.cloud.cloud();
    cloud.resource_type(kind).unwrap().run_create(house.ctx(), request).await.unwrap()
}

async fn update(house: &House, kind: &str, id: &str, before: Value, after: Value) {
    let request = ResourceRequest {
        physical_id: id.to_owned(),
        properties: properties(after),
        previous: properties(before),
        ..Default::default()
    };
    let cloud = house.cloud.cloud();
    cloud.resource_type(kind).unwrap().run_update(house.ctx(), request).await.unwrap();
}

async fn delete(house: &House, kind: &str, id: &str, had: Value) {
    let request = ResourceRequest {
        physical_id: id.to_owned(),
        properties: properties(had),
        ..Default::default()
    };
    let cloud = house.cloud.cloud();
    let kind = cloud.resource_type(kind).unwrap();
    kind.run_delete(house.ctx(), request.clone()).await.unwrap();
    // What is gone already has been deleted.
    kind.run_delete(house.ctx(), request).await.unwrap();
}

#[tokio::test]
async fn urls() {
    let house = house(json!(["s3:*"])).await;
    let arn = house.function("f").await;
    let cors = json!({"AllowOrigins": ["*"]});
    let before = json!({"TargetFunctionArn": arn, "AuthType": "NONE", "Cors": cors});
    let made = create(&house, "AWS::Lambda::Url", before.clone()).await;
    assert_eq!(made.physical_id, arn);
    assert!(made.attributes["FunctionUrl"].as_str().unwrap().contains("lambda-url"));
    let after = json!({"TargetFunctionArn": arn, "AuthType": "AWS_IAM"});
    update(&house, "AWS::Lambda::Url", &arn, before, after.clone()).await;
    let shown = house.ok("GetFunctionUrlConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(shown["AuthType"], "AWS_IAM");
    assert!(shown.get("Cors").is_none());
    delete(&house, "AWS::Lambda::Url", &arn, after).await;
}

#[tokio::test]
async fn layers_and_their_permissions() {
    let house = house(json!(["s3:*"])).await;
    house.bucket("code").await;
    let zip = crate::house::package(b"x");
    let input = sereno_api_s3::PutObjectInput {
        bucket: "code".to_owned(),
        key: "layer.zip".to_owned(),
        body: sereno_wire::Body::from(sereno_base::base64_decode(&zip).unwrap()),
        ..Default::default()
    };
    house.ctx().call::<sereno_api_s3::PutObject>(input).await.unwrap();
    let wanted = json!({"Content": {"S3Bucket": "code", "S3Key": "layer.zip"}});
    let layer = create(&house, "AWS::Lambda::LayerVersion", wanted.clone()).await;
    assert!(layer.physical_id.ends_with(":layer:suggested:1"), "{}", layer.physical_id);
    let grant = json!({"LayerVersionArn": layer.physical_id, "Principal": "*",
        "Action": "lambda:GetLayerVersion"});
    let permission = create(&house, "AWS::Lambda::LayerVersionPermission", grant.clone()).await;
    let policy = json!({"LayerName": "suggested", "VersionNumber": 1});
    house.ok("GetLayerVersionPolicy", policy.clone()).await;
    delete(&house, "AWS::Lambda::LayerVersionPermission", &permission.physical_id, grant).await;
    let (code, _) = house.refused("GetLayerVersionPolicy", policy).await;
    assert_eq!(code, "ResourceNotFoundException");
    delete(&house, "AWS::Lambda::LayerVersion", &layer.physical_id, wanted).await;
}

#[tokio::test]
async fn aliases_keep_instances_ready() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let version = create(&house, "AWS::Lambda::Version", json!({"FunctionName": "f"})).await;
    assert_eq!(version.attributes["Version"], "1");
    let with = |count: u32| {
        json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1",
            "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": count}})
    };
    let alias = create(&house, "AWS::Lambda::Alias", with(2)).await;
    settle().await;
    let input = json!({"FunctionName": "f", "Qualifier": "live"});
    let shown = house.ok("GetProvisionedConcurrencyConfig", input.clone()).await;
    assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 2);
    let without = json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"});
    update(&house, "AWS::Lambda::Alias", &alias.physical_id, with(2), without).await;
    let (code, _) = house.refused("GetProvisionedConcurrencyConfig", input).await;
    assert_eq!(code, "ProvisionedConcurrencyConfigNotFoundException");
}

#[tokio::test]
async fn code_signing() {
    let house = house(json!(["s3:*"])).await;
    let wanted = json!({"AllowedPublishers": {"SigningProfileVersionArns":
        ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p"]}, "Description": "one"});
    let made = create(&house, "AWS::Lambda::CodeSigningConfig", wanted.clone()).await;
    let mut after = wanted.clone();
    after["Description"] = json!("two");
    update(&house, "AWS::Lambda::CodeSigningConfig", &made.physical_id, wanted, after.clone())
        .await;
    let input = json!({"CodeSigningConfigArn": made.physical_id});
    let shown = house.ok("GetCodeSigningConfig", input).await;
    assert_eq!(shown["CodeSigningConfig"]["Description"], "two");
    delete(&house, "AWS::Lambda::CodeSigningConfig", &made.physical_id, after).await;
}
