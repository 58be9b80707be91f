//! The template of the serverless deck, and both forms of its table.

use serde_json::{Value, json};
use sereno_sam::{SamContext, TransformError, transform};

fn context_with_policies() -> SamContext<'static> {
    let mut context = SamContext::new("eu-west-1", "aws");
    context.managed_policies = &|name| {
        (name == "AmazonDynamoDBReadOnlyAccess")
            .then(|| "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess".to_owned())
    };
    context
}

fn run(template: &Value) -> Result<Value, TransformError> {
    transform(template, &context_with_policies())
}

fn deck(definition_uri: &str) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": "Simple CRUD webservice.",
        "Resources": {
            "APIGatewayGetAPI": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"StageName": "prod", "DefinitionUri": definition_uri}
            },
            "LambdaGetFunction": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Handler": "index.get",
                    "Runtime": "nodejs4.3",
                    "CodeUri": "s3://bucket/api_backend.zip",
                    "Policies": "AmazonDynamoDBReadOnlyAccess",
                    "Events": {"GetResource": {
                        "Type": "Api",
                        "Properties": {"Path": "/resource/{resourceId}", "Method": "get"}
                    }}
                }
            },
            "DynamoDBTable": {
                "Type": "AWS::Serverless::SimpleTable",
                "PrimaryKey": {"Name": "id", "Type": "String"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
            }
        }
    })
}

#[test]
fn the_deck_makes_ten_resources() {
    let output = run(&deck("s3://bucket/swaggerFile.yml")).unwrap();
    let resources = output["Resources"].as_object().unwrap();
    let mut ids: Vec<&str> = resources.keys().map(String::as_str).collect();
    ids.sort_unstable();
    let deployment = ids.iter().find(|id| id.starts_with("APIGatewayGetAPIDeployment")).unwrap();
    let mut expected = vec![
        "APIGatewayGetAPI",
        deployment,
        "APIGatewayGetAPIprodStage",
        "DynamoDBTable",
        "LambdaGetFunction",
        "LambdaGetFunctionGetResourcePermissionProd",
        "LambdaGetFunctionRole",
        "ServerlessRestApi",
        // The id that AWS gives it: a hash of how Python 2 prints the definition.
        "ServerlessRestApiDeployment4da799d905",
        "ServerlessRestApiProdStage",
    ];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(output.get("Transform").is_none());
    assert_eq!(output["Description"], "Simple CRUD webservice.");
    let role = &resources["LambdaGetFunctionRole"]["Properties"]["ManagedPolicyArns"];
    assert_eq!(
        *role,
        json!([
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
        ])
    );
    let permission = &resources["LambdaGetFunctionGetResourcePermissionProd"]["Properties"];
    assert_eq!(
        permission["SourceArn"]["Fn::Sub"][0],
        "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/GET/resource/*"
    );
}

#[test]
fn the_deck_with_a_local_path_is_refused() {
    let error = run(&deck("swaggerFile.yml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Invalid Serverless Application Specification document. Number of errors found: 1. \
         Resource with id [APIGatewayGetAPI] is invalid. 'DefinitionUri' is not a valid S3 Uri of \
         the form 's3://bucket/key' with optional versionId query parameter."
    );
}

#[test]
fn keys_beside_properties_are_not_seen() {
    let output = run(&deck("s3://bucket/swaggerFile.yml")).unwrap();
    let table = &output["Resources"]["DynamoDBTable"]["Properties"];
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["KeySchema"], json!([{"AttributeName": "id", "KeyType": "HASH"}]));
    let mut template = deck("s3://bucket/swaggerFile.yml");
    let table = template["Resources"]["DynamoDBTable"].as_object_mut().unwrap();
    let throughput = table.remove("ProvisionedThroughput").unwrap();
    let key = table.remove("PrimaryKey").unwrap();
    table.insert(
        "Properties".to_owned(),
        json!({"PrimaryKey": key, "ProvisionedThroughput": throughput}),
    );
    let output = run(&template).unwrap();
    let table = &output["Resources"]["DynamoDBTable"]["Properties"];
    assert!(table.get("BillingMode").is_none());
    assert_eq!(
        table["ProvisionedThroughput"],
        json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
    );
}
