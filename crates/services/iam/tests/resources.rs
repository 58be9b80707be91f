//! CloudFormation types: made, changed, made again after a crash, removed.

#![allow(clippy::unwrap_used)]

mod house;

use house::{ACCOUNT, House, allow, house, trust};
use serde_json::{Map, Value, json};
use sereno_kernel::{ResourceRequest, ResourceState};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn request(logical_id: &str, properties: Value) -> ResourceRequest {
    ResourceRequest {
        stack_id: "stack-id".into(),
        stack_name: "stack".into(),
        logical_id: logical_id.into(),
        properties: object(properties),
        suggested_name: format!("stack-{logical_id}-ABCDEF123456"),
        token: format!("token-{logical_id}"),
        ..Default::default()
    }
}

impl House {
    async fn create(&self, kind: &str, request: &ResourceRequest) -> ResourceState {
        let kind = self.cloud.cloud().resource_type(kind).expect(kind);
        kind.run_create(self.cloud.ctx(), request.clone()).await.expect("created")
    }

    async fn update(
        &self,
        kind: &str,
        made: &ResourceState,
        old: &ResourceRequest,
        new: Value,
    ) -> ResourceRequest {
        let kind = self.cloud.cloud().resource_type(kind).expect(kind);
        let request = ResourceRequest {
            physical_id: made.physical_id.clone(),
            attributes: made.attributes.clone(),
            previous: old.properties.clone(),
            properties: object(new),
            ..old.clone()
        };
        assert!(!kind.needs_replacement(&request.previous, &request.properties));
        let state = kind.run_update(self.cloud.ctx(), request.clone()).await.expect("updated");
        assert_eq!(state.physical_id, made.physical_id);
        request
    }

    async fn delete(&self, kind: &str, made: &ResourceState, request: &ResourceRequest) {
        let kind = self.cloud.cloud().resource_type(kind).expect(kind);
        let physical_id = made.physical_id.clone();
        let request = ResourceRequest { physical_id, ..request.clone() };
        // Twice: a second try after a crash finds nothing.
        kind.run_delete(self.cloud.ctx(), request.clone()).await.expect("deleted");
        kind.run_delete(self.cloud.ctx(), request).await.expect("deleted again");
    }
}

fn policy(name: &str, action: &str) -> Value {
    let document: Value = serde_json::from_str(&allow(action)).unwrap();
    json!({"PolicyName": name, "PolicyDocument": document})
}

#[tokio::test]
async fn a_role() {
    let house = house();
    let kind = "AWS::IAM::Role";
    let lambda: Value =
        serde_json::from_str(&trust(json!({"Service": "lambda.amazonaws.com"}))).unwrap();
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let create = request(
        "Fn",
        json!({
            "AssumeRolePolicyDocument": lambda, "ManagedPolicyArns": [basic], "Policies": [policy("p", "s3:*")],
            "Tags": [{"Key": "a", "Value": "b"}], "MaxSessionDuration": "7200",
        }),
    );
    let made = house.create(kind, &create).await;
    assert_eq!(made.physical_id, "stack-Fn-ABCDEF123456");
    assert_eq!(
        made.attributes["Arn"],
        format!("arn:aws:iam::{ACCOUNT}:role/stack-Fn-ABCDEF123456")
    );
    assert!(made.attributes["RoleId"].as_str().unwrap().starts_with("AROA"));
    let name = json!({"RoleName": made.physical_id});
    let shown = house.root("GetRole", name.clone()).await;
    assert_eq!(shown["Role"]["MaxSessionDuration"], 7200);
    assert_eq!(shown["Role"]["Tags"], json!([{"Key": "a", "Value": "b"}]));

    let updated = house.update(kind, &made, &create, json!({
        "AssumeRolePolicyDocument": lambda, "Policies": [policy("q", "sqs:*")], "Description": "d",
        "Tags": [{"Key": "c", "Value": "d"}],
    })).await;
    let shown = house.root("GetRole", name.clone()).await;
    assert_eq!(shown["Role"]["Description"], "d");
    assert_eq!(shown["Role"]["MaxSessionDuration"], 3600);
    assert_eq!(shown["Role"]["Tags"], json!([{"Key": "c", "Value": "d"}]));
    let inline = house.root("ListRolePolicies", name.clone()).await;
    assert_eq!(inline["PolicyNames"], json!(["q"]));
    let attached = house.root("ListAttachedRolePolicies", name.clone()).await;
    assert_eq!(attached["AttachedPolicies"], json!([]));
    house.delete(kind, &made, &updated).await;
    assert_eq!(house.fails("GetRole", name).await, "NoSuchEntity");
}

#[tokio::test]
async fn a_try_that_a_crash_ended_is_finished() {
    let house = house();
    let kind = house.cloud.cloud().resource_type("AWS::IAM::User").unwrap();
    // The second policy is refused: the user is made, and stays half made.
    let bad =
        json!({"PolicyName": "bad", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}});
    let first = request("U", json!({"UserName": "ann", "Policies": [policy("p", "s3:*"), bad]}));
    assert!(kind.run_create(house.cloud.ctx(), first.clone()).await.is_err());
    let again = ResourceRequest {
        properties: object(json!({"UserName": "ann", "Policies": [policy("p", "s3:*")]})),
        ..first
    };
    kind.run_create(house.cloud.ctx(), again.clone()).await.expect("adopted");
    // Another change does not take over what it did not make.
    let other = ResourceRequest { token: "other".into(), ..again };
    let error = kind.run_create(house.cloud.ctx(), other).await.expect_err("taken");
    assert_eq!(error.code(), "EntityAlreadyExists");
}

#[tokio::test]
async fn users_groups_keys() {
    let house = house();
    let group = request("G", json!({"Policies": [policy("p", "s3:*")]}));
    let made_group = house.create("AWS::IAM::Group", &group).await;
    let user = request("U", json!({"Groups": [made_group.physical_id], "Path": "/a/"}));
    let made_user = house.create("AWS::IAM::User", &user).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/a/{}", made_user.physical_id);
    assert_eq!(made_user.attributes["Arn"], arn);
    let key = request("K", json!({"UserName": made_user.physical_id}));
    let made_key = house.create("AWS::IAM::AccessKey", &key).await;
    assert!(made_key.physical_id.starts_with("AKIA"));
    assert_eq!(made_key.attributes["SecretAccessKey"].as_str().unwrap().len(), 40);
    let inactive = json!({"UserName": made_user.physical_id, "Status": "Inactive"});
    let key = house.update("AWS::IAM::AccessKey", &made_key, &key, inactive).await;
    let listed = house.root("ListAccessKeys", json!({"UserName": made_user.physical_id})).await;
    assert_eq!(listed["AccessKeyMetadata"][0]["Status"], "Inactive");

    let moved = house.update("AWS::IAM::User", &made_user, &user, json!({"Path": "/b/"})).await;
    let groups = house.root("ListGroupsForUser", json!({"UserName": made_user.physical_id})).await;
    assert_eq!(groups["Groups"], json!([]));
    let addition = request(
        "A",
        json!({"GroupName": made_group.physical_id, "Users": [made_user.physical_id]}),
    );
    let made_addition = house.create("AWS::IAM::UserToGroupAddition", &addition).await;
    let groups = house.root("ListGroupsForUser", json!({"UserName": made_user.physical_id})).await;
    assert_eq!(groups["Groups"].as_array().unwrap().len(), 1);
    house.delete("AWS::IAM::UserToGroupAddition", &made_addition, &addition).await;
    house.delete("AWS::IAM::AccessKey", &made_key, &key).await;
    house.delete("AWS::IAM::User", &made_user, &moved).await;
    house.delete("AWS::IAM::Group", &made_group, &group).await;
}

#[tokio::test]
async fn policies() {
    let house = house();
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust(json!({"AWS": ACCOUNT}))});
    house.root("CreateRole", role).await;
    house.root("CreateUser", json!({"UserName": "u"})).await;

    let mut properties = policy("p", "s3:*");
    properties["Roles"] = json!(["r"]);
    let inline = request("P", properties);
    let made = house.create("AWS::IAM::Policy", &inline).await;
    assert_eq!(made.physical_id, "stack-P-ABCDEF123456");
    let mut properties = policy("p2", "s3:*");
    properties["Users"] = json!(["u"]);
    let inline = house.update("AWS::IAM::Policy", &made, &inline, properties).await;
    let of_role = house.root("ListRolePolicies", json!({"RoleName": "r"})).await;
    assert_eq!(of_role["PolicyNames"], json!([]));
    let of_user = house.root("ListUserPolicies", json!({"UserName": "u"})).await;
    assert_eq!(of_user["PolicyNames"], json!(["p2"]));
    house.delete("AWS::IAM::Policy", &made, &inline).await;

    let document = |action: &str| serde_json::from_str::<Value>(&allow(action)).unwrap();
    let mut managed = request("M", json!({"PolicyDocument": document("s3:*"), "Roles": ["r"]}));
    let made = house.create("AWS::IAM::ManagedPolicy", &managed).await;
    assert_eq!(made.physical_id, format!("arn:aws:iam::{ACCOUNT}:policy/stack-M-ABCDEF123456"));
    assert_eq!(made.attributes["PolicyArn"], made.physical_id);
    assert_eq!(made.attributes["AttachmentCount"], 1);
    for version in 2..9 {
        let new = json!({"PolicyDocument": document(&format!("s3:Get{version}")), "Users": ["u"]});
        managed = house.update("AWS::IAM::ManagedPolicy", &made, &managed, new).await;
    }
    let shown = house.root("GetPolicy", json!({"PolicyArn": made.physical_id})).await;
    assert_eq!(shown["Policy"]["DefaultVersionId"], "v8");
    let attached = house.root("ListAttachedRolePolicies", json!({"RoleName": "r"})).await;
    assert_eq!(attached["AttachedPolicies"], json!([]));
    house.delete("AWS::IAM::ManagedPolicy", &made, &managed).await;

    let mut properties = policy("one", "s3:*");
    properties["RoleName"] = json!("r");
    let one = request("O", properties);
    let made = house.create("AWS::IAM::RolePolicy", &one).await;
    house.delete("AWS::IAM::RolePolicy", &made, &one).await;

    let profile = request("I", json!({"Roles": ["r"]}));
    let made = house.create("AWS::IAM::InstanceProfile", &profile).await;
    assert!(made.attributes["Arn"].as_str().unwrap().contains(":instance-profile/stack-I-"));
    house.delete("AWS::IAM::InstanceProfile", &made, &profile).await;
    house.root("DeleteRole", json!({"RoleName": "r"})).await;
}

#[tokio::test]
async fn unknown_properties_are_refused() {
    let house = house();
    let kind = house.cloud.cloud().resource_type("AWS::IAM::User").unwrap();
    let login = request("U", json!({"LoginProfile": {"Password": "x"}}));
    let error = kind.run_create(house.cloud.ctx(), login).await.expect_err("refused");
    assert_eq!(error.message(), "Encountered unsupported property LoginProfile");
}
