//! Layers: versions, who may use them, what functions keep of them.

use serde_json::{Value, json};
use sereno_kernel::Caller;

use crate::house::{House, house, package};

const LAYER: &str = "arn:aws:lambda:us-east-1:000000000000:layer:l";

async fn publish(house: &House, content: &[u8]) -> Value {
    let input = json!({"LayerName": "l", "Content": {"ZipFile": package(content)},
        "CompatibleRuntimes": ["python3.12"]});
    house.ok("PublishLayerVersion", input).await
}

async fn layers(house: &House, arns: Value) -> Result<Value, (String, String)> {
    let input = json!({"FunctionName": "f", "Layers": arns});
    let made = house.call("lambda", "UpdateFunctionConfiguration", input).await;
    made.map_err(|error| (error.code().to_owned(), error.message().to_owned()))
}

#[tokio::test]
async fn versions_count_on_and_are_listed_backwards() {
    let house = house(json!(["s3:*"])).await;
    for version in 1..=3 {
        let made = publish(&house, b"x").await;
        assert_eq!(made["Version"], version);
        assert_eq!(made["LayerVersionArn"], format!("{LAYER}:{version}"));
        assert_eq!(made["CompatibleRuntimes"], json!(["python3.12"]));
        assert!(made.get("CompatibleArchitectures").is_none());
    }
    house.ok("DeleteLayerVersion", json!({"LayerName": "l", "VersionNumber": 3})).await;
    assert_eq!(publish(&house, b"x").await["Version"], 4);
    let page = house.ok("ListLayerVersions", json!({"LayerName": "l", "MaxItems": 2})).await;
    let versions = |page: &Value| -> Vec<i64> {
        let listed = page["LayerVersions"].as_array().unwrap();
        listed.iter().map(|one| one["Version"].as_i64().unwrap()).collect()
    };
    assert_eq!(versions(&page), [4, 2]);
    let rest = json!({"LayerName": "l", "Marker": page["NextMarker"]});
    assert_eq!(versions(&house.ok("ListLayerVersions", rest).await), [1]);
    let listed = house.ok("ListLayers", json!({"CompatibleRuntime": "python3.12"})).await;
    assert_eq!(listed["Layers"][0]["LatestMatchingVersion"]["Version"], 4);
    let none = house.ok("ListLayers", json!({"CompatibleRuntime": "java21"})).await;
    assert_eq!(none["Layers"], json!([]));
}

#[tokio::test]
async fn a_function_keeps_its_layer_when_the_version_is_deleted() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    publish(&house, b"x").await;
    let made = layers(&house, json!([format!("{LAYER}:1")])).await.unwrap();
    assert_eq!(made["Layers"][0]["Arn"], format!("{LAYER}:1"));
    house.ok("DeleteLayerVersion", json!({"LayerName": "l", "VersionNumber": 1})).await;
    let shown = house.ok("GetFunctionConfiguration", json!({"FunctionName": "f"})).await;
    assert_eq!(shown["Layers"][0]["Arn"], format!("{LAYER}:1"));
    let (code, message) = layers(&house, json!([format!("{LAYER}:1")])).await.unwrap_err();
    assert_eq!(code, "InvalidParameterValueException");
    assert_eq!(message, format!("Layer version {LAYER}:1 does not exist."));
    assert!(layers(&house, json!([])).await.unwrap().get("Layers").is_none());
}

#[tokio::test]
async fn what_cannot_be_a_function_s_layers() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    publish(&house, b"x").await;
    publish(&house, b"y").await;
    let (_, twice) =
        layers(&house, json!([format!("{LAYER}:1"), format!("{LAYER}:2")])).await.unwrap_err();
    assert!(twice.starts_with("Two different versions of the same layer"), "{twice}");
    let far = "arn:aws:lambda:eu-west-1:000000000000:layer:l:1";
    let (_, region) = layers(&house, json!([far])).await.unwrap_err();
    assert!(region.ends_with("Layers are expected to be in region us-east-1."), "{region}");
    let (code, _) = layers(&house, json!([LAYER])).await.unwrap_err();
    assert_eq!(code, "ValidationException");
}

/// Another account's layer can be used by those whom its policy names.
#[tokio::test]
async fn permissions_open_a_layer_to_others() {
    let house = house(json!(["s3:*"])).await;
    publish(&house, b"x").await;
    let other = house.cloud.ctx_as(Caller::Root { account: "111111111111".parse().unwrap() });
    let input = json!({"Arn": format!("{LAYER}:1")});
    let refused = other.call_json("lambda", "GetLayerVersionByArn", &input).await.unwrap_err();
    assert_eq!(refused.code(), "AccessDeniedException");
    let grant = json!({"LayerName": "l", "VersionNumber": 1, "StatementId": "s",
        "Action": "lambda:GetLayerVersion", "Principal": "111111111111"});
    let added = house.ok("AddLayerVersionPermission", grant.clone()).await;
    assert!(other.call_json("lambda", "GetLayerVersionByArn", &input).await.is_ok());
    let (code, _) = house.refused("AddLayerVersionPermission", grant).await;
    assert_eq!(code, "ResourceConflictException");
    let wrong = json!({"LayerName": "l", "VersionNumber": 1, "StatementId": "s",
        "RevisionId": "wrong"});
    let (code, _) = house.refused("RemoveLayerVersionPermission", wrong.clone()).await;
    assert_eq!(code, "PreconditionFailedException");
    let mut right = wrong;
    right["RevisionId"] = added["RevisionId"].clone();
    house.ok("RemoveLayerVersionPermission", right).await;
    assert!(other.call_json("lambda", "GetLayerVersionByArn", &input).await.is_err());
}
