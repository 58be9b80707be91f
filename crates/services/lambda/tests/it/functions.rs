//! Functions, versions and aliases: states, revisions, what is kept secret, what is kept ready.

use serde_json::{Value, json};

use crate::house::{House, ROLE, house, package, settle};

impl House {
    /// How many invocations of a version the sandbox was told to run at once.
    async fn limit(&self, version: &str) -> Option<u32> {
        self.ok("Invoke", json!({"FunctionName": "f", "Qualifier": version})).await;
        self.stage.seen("f").last().unwrap().limit
    }
}

async fn configuration(house: &House) -> Value {
    house.ok("GetFunctionConfiguration", json!({"FunctionName": "f"})).await
}

/// Recorded: test_lambda_api.py::TestLambdaFunction::test_function_lifecycle
#[tokio::test]
async fn states_as_waiters_see_them() {
    let house = house(json!(["s3:*"])).await;
    let input = json!({"FunctionName": "f", "Role": ROLE, "Runtime": "python3.12",
        "Handler": "index.handler", "Code": {"ZipFile": package(b"pass")}});
    let made = house.ok("CreateFunction", input).await;
    assert_eq!((&made["State"], &made["StateReasonCode"]), (&json!("Pending"), &json!("Creating")));
    assert!(made.get("LastUpdateStatus").is_none());
    let shown = configuration(&house).await;
    assert_eq!(shown["State"], "Active");
    assert_ne!(shown["RevisionId"], made["RevisionId"]);
    let update = json!({"FunctionName": "f", "Timeout": 5, "RevisionId": shown["RevisionId"]});
    let changed = house.ok("UpdateFunctionConfiguration", update.clone()).await;
    assert_eq!(changed["LastUpdateStatus"], "InProgress");
    assert_eq!(configuration(&house).await["LastUpdateStatus"], "Successful");
    let (code, _) = house.refused("UpdateFunctionConfiguration", update).await;
    assert_eq!(code, "PreconditionFailedException");
}

/// Recorded: test_lambda_api.py::TestLambdaRevisions::test_function_revisions_permissions
#[tokio::test]
async fn a_policy_has_the_revision_of_what_it_stands_on() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let before = configuration(&house).await;
    let mut grant = json!({"FunctionName": "f", "StatementId": "s", "Principal": "s3.amazonaws.com",
        "Action": "lambda:InvokeFunction", "RevisionId": "wrong"});
    let (code, _) = house.refused("AddPermission", grant.clone()).await;
    assert_eq!(code, "PreconditionFailedException");
    grant["RevisionId"] = before["RevisionId"].clone();
    house.ok("AddPermission", grant).await;
    let policy = house.ok("GetPolicy", json!({"FunctionName": "f"})).await;
    let after = configuration(&house).await;
    assert_eq!(policy["RevisionId"], after["RevisionId"]);
    assert_ne!(before["RevisionId"], after["RevisionId"]);
    // Nothing of the function itself has changed: publishing twice makes one version.
    let publish = json!({"FunctionName": "f"});
    assert_eq!(house.ok("PublishVersion", publish.clone()).await["Version"], "1");
    assert_eq!(house.ok("PublishVersion", publish).await["Version"], "1");
}

#[tokio::test]
async fn environments_are_the_same_however_they_are_sealed() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let variables = json!({"SECRET": "correct horse battery staple"});
    let input = json!({"FunctionName": "f", "Environment": {"Variables": variables}});
    house.ok("UpdateFunctionConfiguration", input).await;
    assert_eq!(configuration(&house).await["Environment"]["Variables"], variables);
    let published = house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    assert_eq!(published["Environment"]["Variables"], variables);
    // The same variables again are the same function, although they are sealed anew.
    let again = json!({"FunctionName": "f", "Environment": {"Variables": variables}});
    house.ok("UpdateFunctionConfiguration", again).await;
    let same = house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    assert_eq!(same["Version"], published["Version"]);
}

/// Recorded: test_lambda_api.py::TestLambdaVersions::test_version_lifecycle
#[tokio::test]
async fn a_new_description_is_a_new_version() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let describe = |text: &str| json!({"FunctionName": "f", "Description": text});
    house.ok("UpdateFunctionConfiguration", describe("one")).await;
    assert_eq!(house.ok("PublishVersion", describe("first")).await["Version"], "1");
    house.ok("UpdateFunctionConfiguration", describe("two")).await;
    let second = house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    assert_eq!((&second["Version"], &second["Description"]), (&json!("2"), &json!("two")));
    assert_eq!(house.ok("PublishVersion", describe("third")).await["Version"], "2");
}

#[tokio::test]
async fn provisioned_instances_are_asked_for_and_released() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    house
        .ok("CreateAlias", json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "1"}))
        .await;
    let input = |qualifier: &str| json!({"FunctionName": "f", "Qualifier": qualifier});
    let mut put = input("a");
    put["ProvisionedConcurrentExecutions"] = json!(2);
    let answered = house.ok("PutProvisionedConcurrencyConfig", put).await;
    assert_eq!(answered["Status"], "IN_PROGRESS");
    settle().await;
    let shown = house.ok("GetProvisionedConcurrencyConfig", input("a")).await;
    assert_eq!(shown["Status"], "READY");
    assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 2);
    let kept = |version: &str| {
        let kept = house.stage.kept.lock().unwrap();
        kept.get(&("f".to_owned(), version.to_owned())).copied()
    };
    assert_eq!(kept("1"), Some(2));
    // The alias goes on: so do the instances.
    house.ok("UpdateFunctionConfiguration", json!({"FunctionName": "f", "Timeout": 9})).await;
    house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    house
        .ok("UpdateAlias", json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "2"}))
        .await;
    house.advance(61).await;
    assert_eq!((kept("1"), kept("2")), (Some(0), Some(2)));
    // A reservation that is taken up by them leaves nothing for other versions.
    let reserve = |count: u32| json!({"FunctionName": "f", "ReservedConcurrentExecutions": count});
    let (code, _) = house.refused("PutFunctionConcurrency", reserve(1)).await;
    assert_eq!(code, "InvalidParameterValueException");
    house.ok("PutFunctionConcurrency", reserve(2)).await;
    assert_eq!(house.limit("$LATEST").await, Some(0));
    assert_eq!(house.limit("2").await, Some(2));
    house.ok("DeleteProvisionedConcurrencyConfig", input("a")).await;
    assert_eq!(house.limit("$LATEST").await, Some(2));
    assert_eq!(kept("2"), Some(0));
    let (code, _) = house.refused("GetProvisionedConcurrencyConfig", input("a")).await;
    assert_eq!(code, "ProvisionedConcurrencyConfigNotFoundException");
    let mut latest = input("$LATEST");
    latest["ProvisionedConcurrentExecutions"] = json!(1);
    let (code, _) = house.refused("PutProvisionedConcurrencyConfig", latest).await;
    assert_eq!(code, "InvalidParameterValueException");
}

#[tokio::test]
async fn enforced_signatures_refuse_unsigned_code() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let publisher = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/p";
    let config = |policy: &str| {
        json!({"AllowedPublishers": {"SigningProfileVersionArns": [publisher]},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy}})
    };
    let made = house.ok("CreateCodeSigningConfig", config("Enforce")).await;
    let arn = made["CodeSigningConfig"]["CodeSigningConfigArn"].clone();
    house
        .ok(
            "PutFunctionCodeSigningConfig",
            json!({"FunctionName": "f", "CodeSigningConfigArn": arn}),
        )
        .await;
    let update = json!({"FunctionName": "f", "ZipFile": package(b"other")});
    let (code, _) = house.refused("UpdateFunctionCode", update.clone()).await;
    assert_eq!(code, "CodeVerificationFailedException");
    let (code, _) =
        house.refused("DeleteCodeSigningConfig", json!({"CodeSigningConfigArn": arn})).await;
    assert_eq!(code, "ResourceConflictException");
    let mut warn = config("Warn");
    warn["CodeSigningConfigArn"] = arn.clone();
    house.ok("UpdateCodeSigningConfig", warn).await;
    house.ok("UpdateFunctionCode", update).await;
    house.ok("TagResource", json!({"Resource": arn, "Tags": {"a": "b"}})).await;
    assert_eq!(house.ok("ListTags", json!({"Resource": arn})).await["Tags"], json!({"a": "b"}));
    house.ok("DeleteFunctionCodeSigningConfig", json!({"FunctionName": "f"})).await;
    house.ok("DeleteCodeSigningConfig", json!({"CodeSigningConfigArn": arn})).await;
}

#[tokio::test]
async fn whole_policies_replace_statements() {
    let house = house(json!(["s3:*"])).await;
    let arn = house.function("f").await;
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
        "Resource": arn}]});
    let put = json!({"ResourceArn": arn, "Policy": policy.to_string()});
    let answer = house.ok("PutResourcePolicy", put.clone()).await;
    let shown = house.ok("GetPolicy", json!({"FunctionName": "f"})).await;
    assert_eq!(shown["RevisionId"], answer["RevisionId"]);
    house.ok("RemovePermission", json!({"FunctionName": "f", "StatementId": "a"})).await;
    let (code, _) = house.refused("GetResourcePolicy", json!({"ResourceArn": arn})).await;
    assert_eq!(code, "ResourceNotFoundException");
    house.ok("PutResourcePolicy", put).await;
    house.ok("DeleteResourcePolicy", json!({"ResourceArn": arn})).await;
    let bad = json!({"ResourceArn": arn, "Policy": "{}"});
    let (code, _) = house.refused("PutResourcePolicy", bad).await;
    assert_eq!(code, "InvalidParameterValueException");
}

#[tokio::test]
async fn runtimes_can_be_pinned_to_what_is_there() {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let here = configuration(&house).await["RuntimeVersionConfig"]["RuntimeVersionArn"].clone();
    let mut put = json!({"FunctionName": "f", "UpdateRuntimeOn": "Manual"});
    let (code, _) = house.refused("PutRuntimeManagementConfig", put.clone()).await;
    assert_eq!(code, "InvalidParameterValueException");
    put["RuntimeVersionArn"] = json!("arn:aws:lambda:us-east-1::runtime:another");
    let (code, _) = house.refused("PutRuntimeManagementConfig", put.clone()).await;
    assert_eq!(code, "InvalidParameterValueException");
    put["RuntimeVersionArn"] = here.clone();
    house.ok("PutRuntimeManagementConfig", put).await;
    let shown = house.ok("GetRuntimeManagementConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(shown["UpdateRuntimeOn"], "Manual");
    assert_eq!(shown["RuntimeVersionArn"], here);
}
