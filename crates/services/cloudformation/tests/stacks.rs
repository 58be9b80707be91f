//! The life of stacks: creation, update, replacement, rollback, deletion, in AWS's events.

mod common;

use common::World;
use sereno_api_cloudformation as api;

const TWO: &str = r#"
Parameters:
  Value: {Type: String, Default: one}
Resources:
  B:
    Type: Test::Unit::Thing
    Properties: {Value: !Sub "${A.Arn}/${Value}"}
  A:
    Type: Test::Unit::Thing
    Properties: {Name: a-thing, Value: !Ref Value}
Outputs:
  Arn: {Value: !GetAtt B.Arn, Description: where, Export: {Name: !Sub "${AWS::StackName}-arn"}}
  Value: {Value: !GetAtt B.Value}
"#;

#[tokio::test]
async fn creates_in_order_and_deletes_in_reverse() {
    let world = World::new().await;
    let id = world.create("shop", TWO).await.unwrap();
    assert!(id.starts_with("arn:aws:cloudformation:us-east-1:000000000000:stack/shop/"), "{id}");
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE");
    assert_eq!(
        world.events(&id).await,
        [
            "shop CREATE_IN_PROGRESS User Initiated",
            "A CREATE_IN_PROGRESS",
            "A CREATE_IN_PROGRESS Resource creation Initiated",
            "A CREATE_COMPLETE",
            "B CREATE_IN_PROGRESS",
            "B CREATE_IN_PROGRESS Resource creation Initiated",
            "B CREATE_COMPLETE",
            "shop CREATE_COMPLETE",
        ]
    );
    let stack = world.stack("shop").await.unwrap();
    let outputs = stack.outputs.unwrap();
    assert_eq!(outputs[1].output_value.as_deref(), Some("arn:thing:a-thing/one"));
    assert_eq!(outputs[0].export_name.as_deref(), Some("shop-arn"));
    let name =
        outputs[0].output_value.as_deref().unwrap().strip_prefix("arn:thing:shop-B-").unwrap();
    assert_eq!(name.len(), 12);

    world.log();
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.log(), ["delete B", "delete A"]);
    assert_eq!(world.count(), 0);
    let error = world.stack("shop").await.unwrap_err();
    assert_eq!(error.message(), "Stack with id shop does not exist");
    assert_eq!(error.code(), "ValidationError");
    let exports = world.ctx().call::<api::ListExports>(Default::default()).await.unwrap();
    assert!(exports.exports.unwrap().is_empty());
    // The name is free again.
    let again = world.create("shop", TWO).await.unwrap();
    assert_ne!(again, id);
    assert_eq!(world.ended(&again).await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn a_failed_creation_is_undone() {
    let world = World::new().await;
    let template = r#"{"Resources": {
        "A": {"Type": "Test::Unit::Thing"},
        "B": {"Type": "Test::Unit::Thing", "DependsOn": "A", "Properties": {"Fail": "create"}},
        "C": {"Type": "Test::Unit::Thing", "DependsOn": "B"}}}"#;
    let id = world.create("bad", template).await.unwrap();
    assert_eq!(world.ended(&id).await, "ROLLBACK_COMPLETE");
    let events = world.events(&id).await;
    assert_eq!(events[4], "B CREATE_IN_PROGRESS");
    assert!(events[5].starts_with(
        "B CREATE_FAILED Resource handler returned message: \"cannot create B\" (RequestToken: "
    ));
    assert!(events[5].ends_with(", HandlerErrorCode: InvalidRequest)"), "{}", events[5]);
    assert_eq!(
        events[6],
        "bad ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [B]. Rollback requested by user."
    );
    assert_eq!(events[7..9], ["A DELETE_IN_PROGRESS", "A DELETE_COMPLETE"]);
    assert_eq!(events.last().unwrap(), "bad ROLLBACK_COMPLETE");
    assert_eq!(world.count(), 0);
    let error = world.update("bad", template).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!("Stack:{id} is in ROLLBACK_COMPLETE state and can not be updated.")
    );
}

#[tokio::test]
async fn a_failed_creation_may_stay_or_go() {
    let world = World::new().await;
    let template = r#"{"Resources": {"A": {"Type": "Test::Unit::Thing"},
        "B": {"Type": "Test::Unit::Thing", "DependsOn": "A", "Properties": {"Fail": "create"}}}}"#;
    for (choice, status, left) in [
        (api::OnFailure::DoNothing, "CREATE_FAILED", 1),
        (api::OnFailure::Delete, "DELETE_COMPLETE", 1),
    ] {
        let input = api::CreateStackInput {
            stack_name: format!("s{}", choice.as_str().len()),
            template_body: Some(template.to_owned()),
            on_failure: Some(choice),
            ..Default::default()
        };
        let id = world.create_with(input).await.unwrap();
        assert_eq!(world.ended(&id).await, status);
        assert_eq!(world.count(), left);
    }
    // A failed creation that stayed can be mended or rolled back.
    world
        .update("s10", &template.replace("\"Fail\": \"create\"", "\"Value\": \"good\""))
        .await
        .unwrap();
    assert_eq!(world.ended("s10").await, "UPDATE_COMPLETE");
    assert_eq!(world.count(), 2);
}

#[tokio::test]
async fn an_update_replaces_what_cannot_change() {
    let world = World::new().await;
    let id = world.create("shop", TWO).await.unwrap();
    world.ended(&id).await;
    let seen = world.events(&id).await.len();
    world.log();
    world.update("shop", &TWO.replace("a-thing", "b-thing")).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
    assert_eq!(
        world.events(&id).await[seen..],
        [
            "shop UPDATE_IN_PROGRESS User Initiated",
            "A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
            "A UPDATE_IN_PROGRESS Resource creation Initiated",
            "A UPDATE_COMPLETE",
            "B UPDATE_IN_PROGRESS",
            "B UPDATE_COMPLETE",
            "shop UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "A DELETE_IN_PROGRESS",
            "A DELETE_COMPLETE",
            "shop UPDATE_COMPLETE",
        ]
    );
    assert_eq!(world.log(), ["create A", "update B", "delete A"]);
    assert_eq!(world.count(), 2);
    let error = world.update("shop", &TWO.replace("a-thing", "b-thing")).await.unwrap_err();
    assert_eq!(error.message(), "No updates are to be performed.");
}

#[tokio::test]
async fn a_failed_update_is_undone() {
    let world = World::new().await;
    let template = |a: &str, b: &str, more: &str| {
        format!(
            r#"{{"Resources": {{"A": {{"Type": "Test::Unit::Thing", "Properties": {{"Name": "{a}"}}}},
            "B": {{"Type": "Test::Unit::Thing", "Properties": {{"Value": "{b}", "Other": {{"Ref": "A"}}}}}}{more}}}}}"#
        )
    };
    let id = world.create("shop", &template("one", "x", "")).await.unwrap();
    world.ended(&id).await;
    let seen = world.events(&id).await.len();
    let more = r#", "C": {"Type": "Test::Unit::Thing", "DependsOn": "B", "Properties": {"Fail": "create"}}"#;
    world.update("shop", &template("two", "y", more)).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    let events = world.events(&id).await;
    let statuses: Vec<&str> =
        events[seen..].iter().filter(|it| it.starts_with("shop")).map(String::as_str).collect();
    assert_eq!(
        statuses,
        [
            "shop UPDATE_IN_PROGRESS User Initiated",
            "shop UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [C].",
            "shop UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "shop UPDATE_ROLLBACK_COMPLETE",
        ]
    );
    let things = world.things.lock().unwrap().by_id.clone();
    assert!(things.contains_key("one") && things.len() == 2, "{things:?}");
    let b = things.iter().find(|(id, _)| id.starts_with("shop-B-")).unwrap().1;
    assert_eq!((b["Value"].as_str(), b["Other"].as_str()), (Some("x"), Some("one")));
    let input = api::ListStackResourcesInput { stack_name: "shop".into(), next_token: None };
    let left = world.ctx().call::<api::ListStackResources>(input).await.unwrap();
    let left: Vec<_> = left
        .stack_resource_summaries
        .unwrap()
        .into_iter()
        .map(|it| it.logical_resource_id)
        .collect();
    assert_eq!(left, ["A", "B"]);
    // What works again is what was.
    assert_eq!(
        world.update("shop", &template("one", "x", "")).await.unwrap_err().message(),
        "No updates are to be performed."
    );
    world.update("shop", &template("one", "z", "")).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn policies_keep_things() {
    let world = World::new().await;
    let template = r#"{"Resources": {
        "Kept": {"Type": "Test::Unit::Thing", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": {"Name": "k1"}},
        "Gone": {"Type": "Test::Unit::Thing"}}}"#;
    let id = world.create("shop", template).await.unwrap();
    world.ended(&id).await;
    world.update("shop", &template.replace("k1", "k2")).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
    assert_eq!(world.count(), 3);
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(
        world.things.lock().unwrap().by_id.keys().cloned().collect::<Vec<_>>(),
        ["k1", "k2"]
    );
    assert!(world.events(&id).await.contains(&"Kept DELETE_SKIPPED".to_owned()));
}

#[tokio::test]
async fn a_deletion_that_fails_can_leave_things_behind() {
    let world = World::new().await;
    let template = r#"{"Resources": {"Stuck": {"Type": "Test::Unit::Thing", "Properties": {"Fail": "delete"}},
        "User": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Ref": "Stuck"}}}}}"#;
    let id = world.create("shop", template).await.unwrap();
    world.ended(&id).await;
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_FAILED");
    let stack = world.stack("shop").await.unwrap();
    assert_eq!(
        stack.stack_status_reason.as_deref(),
        Some("The following resource(s) failed to delete: [Stuck]. ")
    );
    let input = api::DeleteStackInput {
        stack_name: "shop".into(),
        retain_resources: Some(vec!["Stuck".into()]),
        ..Default::default()
    };
    world.ctx().call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn exports_are_locked_while_they_are_used() {
    let world = World::new().await;
    let a = world.create("a", TWO).await.unwrap();
    world.ended(&a).await;
    let user = r#"{"Resources": {"T": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Fn::ImportValue": "a-arn"}}}}}"#;
    let b = world.create("b", user).await.unwrap();
    assert_eq!(world.ended(&b).await, "CREATE_COMPLETE");
    let imports = world
        .ctx()
        .call::<api::ListImports>(api::ListImportsInput {
            export_name: "a-arn".into(),
            next_token: None,
        })
        .await
        .unwrap();
    assert_eq!(imports.imports.unwrap(), ["b"]);
    world.delete("a").await;
    assert_eq!(world.ended(&a).await, "CREATE_COMPLETE");
    let reason = world.stack("a").await.unwrap().stack_status_reason.unwrap();
    assert_eq!(reason, "Delete canceled. Cannot delete export a-arn as it is in use by b.");
    world.delete("b").await;
    world.ended(&b).await;
    world.delete("a").await;
    assert_eq!(world.ended(&a).await, "DELETE_COMPLETE");
    // Nobody exports it any more.
    let b = world.create("b", user).await.unwrap();
    assert_eq!(world.ended(&b).await, "ROLLBACK_COMPLETE");
    assert!(world.events(&b).await.iter().any(|it| it.contains("No export named a-arn found")));
}

#[tokio::test]
async fn termination_protection_and_tokens() {
    let world = World::new().await;
    let template = r#"{"Resources": {"A": {"Type": "Test::Unit::Thing"}}}"#;
    let input = api::CreateStackInput {
        stack_name: "safe".into(),
        template_body: Some(template.into()),
        enable_termination_protection: Some(true),
        client_request_token: Some("t1".into()),
        ..Default::default()
    };
    let id = world.create_with(input.clone()).await.unwrap();
    world.ended(&id).await;
    assert_eq!(world.create_with(input).await.unwrap(), id);
    let error = world.create("safe", template).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("AlreadyExistsException", "Stack [safe] already exists")
    );
    let input = api::DeleteStackInput { stack_name: "safe".into(), ..Default::default() };
    let error = world.ctx().call::<api::DeleteStack>(input).await.unwrap_err();
    assert_eq!(
        error.message(),
        "Stack [safe] cannot be deleted while TerminationProtection is enabled"
    );
    let input = api::UpdateTerminationProtectionInput {
        enable_termination_protection: false,
        stack_name: "safe".into(),
    };
    world.ctx().call::<api::UpdateTerminationProtection>(input).await.unwrap();
    world.delete("safe").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn refusals() {
    let world = World::new().await;
    let cases = [
        ("{}", "Template format error: At least one Resources member must be defined."),
        (
            r#"{"Resources": {"A": {"Type": "AWS::Nope::Nope"}}}"#,
            "Template format error: Unrecognized resource types: [AWS::Nope::Nope]",
        ),
        (
            r#"{"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "Test::Unit::Thing"}}}"#,
            "Parameters: [P] must have values",
        ),
        (
            r#"{"Transform": "AWS::Include", "Resources": {"A": {"Type": "Test::Unit::Thing"}}}"#,
            "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
        ),
    ];
    for (template, sentence) in cases {
        assert_eq!(world.create("s", template).await.unwrap_err().message(), sentence);
    }
    let error = world.create("*@da591fa3_$", "{}").await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("1 validation error detected: Value '*@da591fa3_$' at 'stackName'")
    );
}

#[tokio::test]
async fn failed_updates_may_stay_and_be_continued() {
    let world = World::new().await;
    let template = |a: &str, b: &str| {
        format!(
            r#"{{"Resources": {{"A": {{"Type": "Test::Unit::Thing", "Properties": {{"Value": "{a}"}}}},
            "B": {{"Type": "Test::Unit::Thing", "DependsOn": "A", "Properties": {{{b}}}}}}}}}"#
        )
    };
    let id = world.create("shop", &template("one", "")).await.unwrap();
    world.ended(&id).await;
    let value = || {
        let things = world.things.lock().unwrap();
        let (_, thing) = things.by_id.iter().find(|(id, _)| id.starts_with("shop-A-")).unwrap();
        thing["Value"].as_str().unwrap().to_owned()
    };
    let fail = async |a: &str| {
        let input = api::UpdateStackInput {
            stack_name: "shop".into(),
            template_body: Some(template(a, r#""Fail": "update""#)),
            disable_rollback: Some(true),
            ..Default::default()
        };
        world.ctx().call::<api::UpdateStack>(input).await.unwrap();
        assert_eq!(world.ended(&id).await, "UPDATE_FAILED");
        assert_eq!(value(), a);
    };
    fail("two").await;
    // One more that fails goes back to before both.
    world.update("shop", &template("two", r#""Fail": "update", "Value": "x""#)).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(value(), "one");
    fail("three").await;
    world
        .ctx()
        .call::<api::RollbackStack>(api::RollbackStackInput {
            stack_name: "shop".into(),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(value(), "one");
    fail("four").await;
    world.update("shop", &template("four", r#""Value": "good""#)).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
    assert_eq!((value().as_str(), world.count()), ("four", 2));
}

#[tokio::test]
async fn a_rollback_that_fails_can_be_continued() {
    let world = World::new().await;
    // A refuses to go back: its old properties fail.
    let old =
        r#"{"Resources": {"A": {"Type": "Test::Unit::Thing", "Properties": {"Fail": "update"}}}}"#;
    let id = world.create("shop", old).await.unwrap();
    world.ended(&id).await;
    let new = r#"{"Resources": {"A": {"Type": "Test::Unit::Thing", "Properties": {"Value": "new"}},
        "B": {"Type": "Test::Unit::Thing", "DependsOn": "A", "Properties": {"Fail": "create"}}}}"#;
    world.update("shop", new).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_FAILED");
    let error = world.update("shop", new).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!("Stack:{id} is in UPDATE_ROLLBACK_FAILED state and can not be updated.")
    );
    let input = |skip: Option<Vec<String>>| api::ContinueUpdateRollbackInput {
        stack_name: "shop".into(),
        resources_to_skip: skip,
        ..Default::default()
    };
    world.ctx().call::<api::ContinueUpdateRollback>(input(None)).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_FAILED");
    world.ctx().call::<api::ContinueUpdateRollback>(input(Some(vec!["A".into()]))).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn stack_policies_hold() {
    let world = World::new().await;
    let id = world.create("shop", TWO).await.unwrap();
    world.ended(&id).await;
    let policy = r#"{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "Update:Replace", "Principal": "*", "Resource": "LogicalResourceId/A"}]}"#;
    let input = api::SetStackPolicyInput {
        stack_name: "shop".into(),
        stack_policy_body: Some(policy.into()),
        ..Default::default()
    };
    world.ctx().call::<api::SetStackPolicy>(input).await.unwrap();
    world.update("shop", &TWO.replace("a-thing", "b-thing")).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    assert!(
        world
            .events(&id)
            .await
            .iter()
            .any(|it| it.contains("does not allow [Update:Replace] for resource [A]"))
    );
    let input = api::UpdateStackInput {
        stack_name: "shop".into(),
        template_body: Some(TWO.replace("a-thing", "b-thing")),
        stack_policy_during_update_body: Some(r#"{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}"#.into()),
        ..Default::default()
    };
    world.ctx().call::<api::UpdateStack>(input).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
}
