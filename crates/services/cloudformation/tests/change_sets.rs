//! Change sets: what they show, how they are executed, when they fail.

#![allow(clippy::unwrap_used)]

mod common;

use common::World;
use sereno_api_cloudformation as api;

const TEMPLATE: &str = r#"
Parameters:
  P: {Type: String, Default: one}
Resources:
  Topic1:
    Type: Test::Unit::Thing
    Properties: {Name: name-1, Value: value}
  Topic2:
    Type: Test::Unit::Thing
    Properties: {Name: name-2, Value: !Ref Topic1}
  Topic3:
    Type: Test::Unit::Thing
    Properties: {Value: !GetAtt Topic1.Value}
  Topic4:
    Type: Test::Unit::Thing
    Properties: {Value: !Ref P}
"#;

async fn set(world: &World, name: &str, kind: &str, template: &str) -> api::CreateChangeSetOutput {
    let input = api::CreateChangeSetInput {
        stack_name: "shop".into(),
        change_set_name: name.into(),
        change_set_type: Some(kind.into()),
        template_body: Some(template.into()),
        ..Default::default()
    };
    world.ctx().call::<api::CreateChangeSet>(input).await.unwrap()
}

async fn described(world: &World, id: &str, values: bool) -> api::DescribeChangeSetOutput {
    let input = api::DescribeChangeSetInput {
        change_set_name: id.into(),
        include_property_values: Some(values),
        ..Default::default()
    };
    world.ctx().call::<api::DescribeChangeSet>(input).await.unwrap()
}

async fn execute(world: &World, id: &str) -> sereno_kernel::Result<()> {
    let input = api::ExecuteChangeSetInput { change_set_name: id.into(), ..Default::default() };
    world.ctx().call::<api::ExecuteChangeSet>(input).await.map(drop)
}

/// One line for each change and each of its details, as the recorded tests are compared.
fn lines(output: &api::DescribeChangeSetOutput) -> Vec<String> {
    fn word<T: ToString>(value: Option<&T>) -> String {
        value.map_or_else(|| "-".to_owned(), ToString::to_string)
    }
    let mut lines = Vec::new();
    for change in output.changes.iter().flatten().filter_map(|it| it.resource_change.as_ref()) {
        lines.push(format!(
            "{} {} {} {}",
            word(change.action.as_ref()),
            word(change.logical_resource_id.as_ref()),
            word(change.replacement.as_ref()),
            word(change.policy_action.as_ref()),
        ));
        for detail in change.details.iter().flatten() {
            let target = detail.target.as_ref().unwrap();
            lines.push(format!(
                "  {} {} {} {} {} {}",
                word(detail.change_source.as_ref()),
                word(detail.causing_entity.as_ref()),
                word(detail.evaluation.as_ref()),
                word(target.name.as_ref()),
                word(target.requires_recreation.as_ref()),
                word(target.after_value.as_ref()),
            ));
        }
    }
    lines
}

#[tokio::test]
async fn a_creation_is_shown_and_executed() {
    let world = World::new().await;
    let made = set(&world, "first", "CREATE", TEMPLATE).await;
    let id = made.id.unwrap();
    assert!(id.starts_with("arn:aws:cloudformation:us-east-1:000000000000:changeSet/first/"));
    let stack = world.stack("shop").await.unwrap();
    assert_eq!(stack.stack_status.as_str(), "REVIEW_IN_PROGRESS");
    assert_eq!(stack.stack_status_reason.as_deref(), Some("User Initiated"));
    assert_eq!(world.count(), 0);
    let output = described(&world, &id, false).await;
    assert_eq!(output.status, Some(api::ChangeSetStatus::CreateComplete));
    assert_eq!(output.execution_status, Some(api::ExecutionStatus::Available));
    assert_eq!(
        lines(&output),
        ["Add Topic1 - -", "Add Topic2 - -", "Add Topic3 - -", "Add Topic4 - -"]
    );
    let values = described(&world, &id, true).await;
    let context =
        values.changes.unwrap()[1].resource_change.clone().unwrap().after_context.unwrap();
    assert_eq!(
        context,
        r#"{"Properties":{"Name":"name-2","Value":"{{changeSet:KNOWN_AFTER_APPLY}}"}}"#
    );
    execute(&world, &id).await.unwrap();
    assert_eq!(world.ended("shop").await, "CREATE_COMPLETE");
    let stack = world.stack("shop").await.unwrap();
    assert_eq!(stack.change_set_id, Some(id.clone()));
    assert!(stack.last_updated_time.is_some());
    assert_eq!(
        world.events("shop").await[..2],
        ["shop REVIEW_IN_PROGRESS User Initiated", "shop CREATE_IN_PROGRESS User Initiated"]
    );
    let error = execute(&world, &id).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!("ChangeSet [{id}] cannot be executed in its current status of [EXECUTE_COMPLETE]")
    );
    let input = api::CreateChangeSetInput {
        stack_name: "shop".into(),
        change_set_name: "again".into(),
        change_set_type: Some(api::ChangeSetType::Create),
        template_body: Some(TEMPLATE.into()),
        ..Default::default()
    };
    let error = world.ctx().call::<api::CreateChangeSet>(input).await.unwrap_err();
    assert_eq!(
        error.message(),
        "Stack [shop] already exists and cannot be created again with the changeSet [again]."
    );
}

#[tokio::test]
async fn causes_are_named() {
    let world = World::new().await;
    let id = world.create("shop", TEMPLATE).await.unwrap();
    world.ended(&id).await;
    // recorded: test_direct_attribute_value_change, test_update_parameter_default_value
    let made = set(
        &world,
        "u1",
        "UPDATE",
        &TEMPLATE.replace("Value: value", "Value: other").replace("Default: one", "Default: two"),
    )
    .await;
    let output = described(&world, &made.id.unwrap(), false).await;
    assert_eq!(
        lines(&output),
        [
            "Modify Topic1 False -",
            "  DirectModification - Static Value Never -",
            "Modify Topic3 False -",
            "  ResourceAttribute Topic1.Value Dynamic Value Never -",
            "Modify Topic4 False -",
            "  ParameterReference P Static Value Never -",
            "  DirectModification - Dynamic Value Never -",
        ]
    );
    // recorded: test_immutable_property_update_causes_resource_replacement
    let made = set(&world, "u2", "UPDATE", &TEMPLATE.replace("name-1", "new-name")).await;
    let id = made.id.unwrap();
    assert_eq!(
        lines(&described(&world, &id, false).await),
        [
            "Modify Topic1 True ReplaceAndDelete",
            "  DirectModification - Static Name Always -",
            "Modify Topic2 False -",
            "  ResourceReference Topic1 Static Value Never -",
            "Modify Topic3 False -",
            "  ResourceAttribute Topic1.Value Static Value Never -",
        ]
    );
    assert_eq!(
        lines(&described(&world, &id, true).await),
        [
            "Modify Topic1 True ReplaceAndDelete",
            "  DirectModification - Static Name Always new-name",
            "Modify Topic2 False -",
            "  ResourceReference Topic1 Static Value Never {{changeSet:KNOWN_AFTER_APPLY}}",
            "  DirectModification - Dynamic Value Never {{changeSet:KNOWN_AFTER_APPLY}}",
            "Modify Topic3 False -",
            "  ResourceAttribute Topic1.Value Static Value Never {{changeSet:KNOWN_AFTER_APPLY}}",
            "  DirectModification - Dynamic Value Never {{changeSet:KNOWN_AFTER_APPLY}}",
        ]
    );
    execute(&world, &id).await.unwrap();
    assert_eq!(world.ended("shop").await, "UPDATE_COMPLETE");
    let input = api::ListChangeSetsInput { stack_name: "shop".into(), next_token: None };
    let left = world.ctx().call::<api::ListChangeSets>(input).await.unwrap();
    assert_eq!(left.summaries.unwrap().len(), 0);
}

#[tokio::test]
async fn no_changes_and_removal() {
    let world = World::new().await;
    let id = world.create("shop", TEMPLATE).await.unwrap();
    world.ended(&id).await;
    let made = set(&world, "same", "UPDATE", TEMPLATE).await;
    let id = made.id.unwrap();
    let output = described(&world, &id, false).await;
    assert_eq!(output.status, Some(api::ChangeSetStatus::Failed));
    assert_eq!(
        output.status_reason.as_deref(),
        Some(
            "The submitted information didn't contain changes. Submit different information to create a change set."
        )
    );
    let error = execute(&world, &id).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (
            "InvalidChangeSetStatus",
            format!("ChangeSet [{id}] cannot be executed in its current status of [FAILED]")
                .as_str()
        )
    );
    let input = api::DeleteChangeSetInput {
        change_set_name: "same".into(),
        stack_name: Some("shop".into()),
    };
    world.ctx().call::<api::DeleteChangeSet>(input).await.unwrap();
    let input = api::DescribeChangeSetInput {
        change_set_name: "same".into(),
        stack_name: Some("shop".into()),
        ..Default::default()
    };
    let error = world.ctx().call::<api::DescribeChangeSet>(input).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("ChangeSetNotFound", "ChangeSet [same] does not exist")
    );
    let short = TEMPLATE.split("  Topic4").next().unwrap();
    let made = set(&world, "less", "UPDATE", short).await;
    assert_eq!(
        lines(&described(&world, &made.id.clone().unwrap(), false).await),
        ["Remove Topic4 - Delete"]
    );
    execute(&world, &made.id.unwrap()).await.unwrap();
    assert_eq!(world.ended("shop").await, "UPDATE_COMPLETE");
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn secrets_are_masked() {
    let world = World::new().await;
    let template = r#"{"Parameters": {"S": {"Type": "String", "NoEcho": true, "Default": "hidden"}},
        "Resources": {"T": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Ref": "S"}}}}}"#;
    let made = set(&world, "one", "CREATE", template).await;
    let output = described(&world, &made.id.clone().unwrap(), true).await;
    assert!(!format!("{output:?}").contains("hidden"));
    assert_eq!(output.parameters.unwrap()[0].parameter_value.as_deref(), Some("****"));
    execute(&world, &made.id.unwrap()).await.unwrap();
    assert_eq!(world.ended("shop").await, "CREATE_COMPLETE");
    let input = api::DescribeStackEventsInput { stack_name: "shop".into(), ..Default::default() };
    let events = world.ctx().call::<api::DescribeStackEvents>(input).await.unwrap();
    let text = format!("{events:?}");
    assert!(!text.contains("hidden") && text.contains(r#"{\"Value\":\"****\"}"#), "{text}");
    assert_eq!(world.things.lock().unwrap().by_id.values().next().unwrap()["Value"], "hidden");
    // The value is kept for an update that does not give it.
    let input = api::UpdateStackInput {
        stack_name: "shop".into(),
        template_body: Some(
            template
                .replace("\"Value\"", "\"Other\": \"x\", \"Value\"")
                .replace(", \"Default\": \"hidden\"", ""),
        ),
        parameters: Some(vec![api::Parameter {
            parameter_key: Some("S".into()),
            use_previous_value: Some(true),
            ..Default::default()
        }]),
        ..Default::default()
    };
    world.ctx().call::<api::UpdateStack>(input).await.unwrap();
    assert_eq!(world.ended("shop").await, "UPDATE_COMPLETE");
    assert_eq!(world.things.lock().unwrap().by_id.values().next().unwrap()["Value"], "hidden");
}
