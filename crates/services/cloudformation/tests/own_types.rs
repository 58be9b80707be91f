//! The types that CloudFormation makes itself: custom resources, wait conditions, nested stacks, macros.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::{Shared, World, thing};
use serde_json::{Value, json};
use sereno_api_cloudformation as api;
use sereno_api_lambda::{Invoke, InvokeInput, InvokeOutput};
use sereno_api_s3::{GetObject, GetObjectInput, GetObjectOutput};
use sereno_kernel::{Access, Ctx, Error, Service};
use sereno_store::{MemoryBlobs, MemoryStore};
use sereno_testkit::TestCloud;
use sereno_wire::{Body, HttpRequest};

type Events = Arc<Mutex<Vec<Value>>>;

async fn put(ctx: &Ctx, url: &str, body: &str) -> u16 {
    let path = url.split_once("://").unwrap().1.split_once('/').unwrap().1;
    let mut request = HttpRequest::new("PUT".parse().unwrap(), format!("/{path}"));
    request.body = Body::from(body.to_owned());
    let service = ctx.cloud().service("cloudformation").unwrap();
    service.plane().unwrap().serve(ctx.clone(), request).await.status
}

/// Functions: `custom` answers to the response URL, `macro` adds a resource, `silent` does nothing.
fn functions(events: &Events) -> Service {
    let events = Arc::clone(events);
    Service::new(&sereno_api_lambda::SERVICE).on::<Invoke>(
        |_, _| Access::authenticated(),
        move |ctx: Ctx, input: InvokeInput| {
            let events = Arc::clone(&events);
            async move {
                let event: Value = serde_json::from_slice(&input.payload.unwrap()).unwrap();
                events.lock().unwrap().push(event.clone());
                if input.function_name.ends_with("macro") {
                    let mut fragment = event["fragment"].clone();
                    fragment["Resources"]["Added"] = json!({"Type": "Test::Unit::Thing", "Properties": {"Value": event["params"]["V"]}});
                    let answer = json!({"requestId": event["requestId"], "status": "success", "fragment": fragment});
                    return Ok(InvokeOutput { payload: Some(answer.to_string().into()), ..Default::default() });
                }
                if input.function_name.ends_with("custom") {
                    let failed = event["ResourceProperties"]["Fail"] == event["RequestType"];
                    let answer = json!({
                        "Status": if failed { "FAILED" } else { "SUCCESS" }, "Reason": "because",
                        "PhysicalResourceId": "custom-1", "StackId": event["StackId"], "RequestId": event["RequestId"],
                        "LogicalResourceId": event["LogicalResourceId"], "Data": {"Answer": "42"},
                    });
                    assert_eq!(put(&ctx, event["ResponseURL"].as_str().unwrap(), &answer.to_string()).await, 200);
                }
                Ok(InvokeOutput { status_code: Some(202), ..Default::default() })
            }
        },
    )
}

const CHILD: &str = r#"{"Parameters": {"V": {"Type": "String"}},
    "Resources": {"T": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Ref": "V"}}}},
    "Outputs": {"Out": {"Value": {"Fn::GetAtt": ["T", "Value"]}}}}"#;

/// Objects: `child.json`, and one whose stack fails.
fn objects() -> Service {
    Service::new(&sereno_api_s3::SERVICE).on::<GetObject>(
        |_, _| Access::authenticated(),
        |_ctx: Ctx, input: GetObjectInput| async move {
            let text = match input.key.as_str() {
                "child.json" => CHILD.to_owned(),
                "bad.json" => CHILD
                    .replace("\"Value\": {\"Ref\"", "\"Fail\": \"create\", \"Value\": {\"Ref\""),
                "part.yaml" => "Included:\n  Type: Test::Unit::Thing\n".to_owned(),
                _ => {
                    return Err(Error::not_found("NoSuchKey", "The specified key does not exist."));
                }
            };
            Ok(GetObjectOutput { body: Body::from(text), ..Default::default() })
        },
    )
}

async fn world(events: &Events) -> World {
    let things = Shared::default();
    let cloud = TestCloud::on(Arc::new(MemoryStore::new()), Arc::new(MemoryBlobs::new()))
        .service(sereno_cloudformation::service().resource(thing(&things)))
        .service(functions(events))
        .service(objects())
        .build();
    cloud.start_tasks().await;
    World { cloud, things }
}

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:custom";

#[tokio::test]
async fn custom_resources() {
    let events = Events::default();
    let world = world(&events).await;
    let template = json!({"Resources": {"C": {"Type": "Custom::Mine", "Properties": {"ServiceToken": FUNCTION, "N": 1, "B": true}}},
        "Outputs": {"O": {"Value": {"Fn::GetAtt": ["C", "Answer"]}}, "R": {"Value": {"Ref": "C"}}}});
    let id = world.create("shop", &template.to_string()).await.unwrap();
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE", "{:?}", world.events(&id).await);
    let outputs = world.stack("shop").await.unwrap().outputs.unwrap();
    assert_eq!(outputs[0].output_value.as_deref(), Some("42"));
    assert_eq!(outputs[1].output_value.as_deref(), Some("custom-1"));
    let event = events.lock().unwrap().remove(0);
    assert_eq!(event["RequestType"], "Create");
    assert_eq!(
        event["ResourceProperties"],
        json!({"ServiceToken": FUNCTION, "N": "1", "B": "true"})
    );
    assert_eq!(event["ResourceType"], "Custom::Mine");
    let changed = template.to_string().replace("\"N\":1", "\"N\":2");
    world.update("shop", &changed).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
    let event = events.lock().unwrap().remove(0);
    assert_eq!(
        (&event["RequestType"], &event["OldResourceProperties"]["N"]),
        (&json!("Update"), &json!("1"))
    );
    assert_eq!(event["PhysicalResourceId"], "custom-1");
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(events.lock().unwrap()[0]["RequestType"], "Delete");
    // A late or foreign answer is refused.
    let late = event["ResponseURL"].as_str().unwrap();
    assert_eq!(put(&world.ctx(), late, "{}").await, 403);
}

#[tokio::test]
async fn a_custom_resource_that_fails() {
    let events = Events::default();
    let world = world(&events).await;
    let template = json!({"Resources": {"C": {"Type": "AWS::CloudFormation::CustomResource",
        "Properties": {"ServiceToken": FUNCTION, "Fail": "Create"}}}});
    let id = world.create("shop", &template.to_string()).await.unwrap();
    assert_eq!(world.ended(&id).await, "ROLLBACK_COMPLETE");
    let failed =
        world.events(&id).await.into_iter().find(|it| it.contains("CREATE_FAILED")).unwrap();
    assert!(failed.contains("Received response status [FAILED] from custom resource. Message returned: because (RequestId: "), "{failed}");
    let kinds: Vec<Value> =
        events.lock().unwrap().iter().map(|it| it["RequestType"].clone()).collect();
    assert_eq!(kinds, ["Create", "Delete"]);
}

#[tokio::test]
async fn wait_conditions() {
    let events = Events::default();
    let world = world(&events).await;
    let template = r#"{"Resources": {"H": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "W": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "H"}, "Timeout": "60", "Count": 2}}},
        "Outputs": {"D": {"Value": {"Fn::GetAtt": ["W", "Data"]}}, "U": {"Value": {"Ref": "H"}}}}"#;
    let id = world.create("shop", template).await.unwrap();
    let url = handle(&world).await;
    for unique in ["a", "a", "b"] {
        let body = json!({"Status": "SUCCESS", "UniqueId": unique, "Data": format!("d{unique}"), "Reason": "r"});
        assert_eq!(put(&world.ctx(), &url, &body.to_string()).await, 200);
    }
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE");
    let outputs = world.stack("shop").await.unwrap().outputs.unwrap();
    assert_eq!(outputs[0].output_value.as_deref(), Some(r#"{"a":"da","b":"db"}"#));
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(put(&world.ctx(), &url, "{}").await, 403);
    // Nobody reports: the time runs out.
    let id = world.create("slow", template).await.unwrap();
    handle_of(&world, "slow").await;
    world.cloud.advance(std::time::Duration::from_secs(61));
    assert_eq!(world.ended(&id).await, "ROLLBACK_COMPLETE");
    let events = world.events(&id).await;
    assert!(
        events.iter().any(
            |it| it.contains("WaitCondition timed out. Received 0 conditions when expecting 2")
        ),
        "{events:?}"
    );
}

async fn handle(world: &World) -> String {
    handle_of(world, "shop").await
}

async fn handle_of(world: &World, stack: &str) -> String {
    for _ in 0..500 {
        let input = api::DescribeStackResourcesInput {
            stack_name: Some(stack.into()),
            ..Default::default()
        };
        let found = world
            .ctx()
            .call::<api::DescribeStackResources>(input)
            .await
            .unwrap()
            .stack_resources
            .unwrap();
        let waits = found
            .iter()
            .any(|it| it.logical_resource_id == "W" && it.physical_resource_id.is_some());
        if let Some(handle) = found.iter().find(|it| it.logical_resource_id == "H" && waits) {
            return handle.physical_resource_id.clone().unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("the wait condition never begins");
}

#[tokio::test]
async fn a_creation_can_be_deleted_while_it_waits() {
    let events = Events::default();
    let world = world(&events).await;
    let template = r#"{"Resources": {"T": {"Type": "Test::Unit::Thing"}, "H": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "W": {"Type": "AWS::CloudFormation::WaitCondition", "DependsOn": "T", "Properties": {"Handle": {"Ref": "H"}, "Timeout": "600"}}}}"#;
    let id = world.create("shop", template).await.unwrap();
    handle(&world).await;
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE", "{:?}", world.events(&id).await);
    assert_eq!(world.count(), 0);
    // And an update that waits can be cancelled.
    let id = world
        .create("shop", r#"{"Resources": {"T": {"Type": "Test::Unit::Thing"}}}"#)
        .await
        .unwrap();
    world.ended(&id).await;
    world.update("shop", template).await.unwrap();
    handle(&world).await;
    let input = api::CancelUpdateStackInput { stack_name: "shop".into(), ..Default::default() };
    world.ctx().call::<api::CancelUpdateStack>(input).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn signals() {
    let events = Events::default();
    let world = world(&events).await;
    let template = r#"{"Resources": {"H": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "W": {"Type": "AWS::CloudFormation::WaitCondition", "CreationPolicy": {"ResourceSignal": {"Timeout": "PT10M"}}}}}"#;
    let id = world.create("shop", template).await.unwrap();
    handle(&world).await;
    let input = api::SignalResourceInput {
        stack_name: "shop".into(),
        logical_resource_id: "W".into(),
        unique_id: "u".into(),
        status: api::ResourceSignalStatus::Success,
    };
    world.ctx().call::<api::SignalResource>(input).await.unwrap();
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn nested_stacks() {
    let events = Events::default();
    let world = world(&events).await;
    let template = |key: &str, value: &str| {
        json!({"Resources": {"N": {"Type": "AWS::CloudFormation::Stack", "Properties": {
            "TemplateURL": format!("https://s3.amazonaws.com/bucket/{key}"), "Parameters": {"V": value}}}},
            "Outputs": {"O": {"Value": {"Fn::GetAtt": ["N", "Outputs.Out"]}}}})
        .to_string()
    };
    let id = world.create("shop", &template("child.json", "one")).await.unwrap();
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE", "{:?}", world.events(&id).await);
    assert_eq!(
        world.stack("shop").await.unwrap().outputs.unwrap()[0].output_value.as_deref(),
        Some("one")
    );
    let all =
        world.ctx().call::<api::DescribeStacks>(Default::default()).await.unwrap().stacks.unwrap();
    let child = all.iter().find(|it| it.stack_name.starts_with("shop-N-")).unwrap();
    assert_eq!(child.parent_id.as_deref(), Some(id.as_str()));
    assert_eq!(child.root_id.as_deref(), Some(id.as_str()));
    world.update("shop", &template("child.json", "two")).await.unwrap();
    assert_eq!(world.ended(&id).await, "UPDATE_COMPLETE");
    assert_eq!(
        world.stack("shop").await.unwrap().outputs.unwrap()[0].output_value.as_deref(),
        Some("two")
    );
    world.delete("shop").await;
    assert_eq!(world.ended(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.count(), 0);
    let all =
        world.ctx().call::<api::DescribeStacks>(Default::default()).await.unwrap().stacks.unwrap();
    assert!(all.is_empty(), "{all:?}");

    let id = world.create("bad", &template("bad.json", "one")).await.unwrap();
    assert_eq!(world.ended(&id).await, "ROLLBACK_COMPLETE");
    let events = world.events(&id).await;
    assert!(
        events.iter().any(|it| it.contains(
            "was not successfully created: The following resource(s) failed to create: [T]. "
        ) || it.contains(
            "was not successfully created: The following resource(s) failed to create: [T]."
        )),
        "{events:?}"
    );
    assert_eq!(world.count(), 0);
}

#[tokio::test]
async fn macros_and_includes() {
    let events = Events::default();
    let world = world(&events).await;
    let template = json!({"Resources": {"M": {"Type": "AWS::CloudFormation::Macro",
        "Properties": {"Name": "Adder", "FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:macro"}}}});
    let id = world.create("macros", &template.to_string()).await.unwrap();
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE");
    let template = json!({"Transform": {"Name": "Adder", "Parameters": {"V": {"Ref": "P"}}}, "Parameters": {"P": {"Type": "String", "Default": "x"}},
        "Resources": {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/part.yaml"}}}});
    let input = api::CreateStackInput {
        stack_name: "user".into(),
        template_body: Some(template.to_string()),
        capabilities: Some(vec!["CAPABILITY_AUTO_EXPAND".into()]),
        ..Default::default()
    };
    let id = world.create_with(input.clone()).await.unwrap();
    assert_eq!(world.ended(&id).await, "CREATE_COMPLETE", "{:?}", world.events(&id).await);
    let event = events.lock().unwrap()[0].clone();
    assert_eq!(event["transformId"], "000000000000::Adder");
    assert_eq!(
        (&event["params"], &event["templateParameterValues"]),
        (&json!({"V": "x"}), &json!({"P": "x"}))
    );
    let input2 = api::GetTemplateInput {
        stack_name: Some("user".into()),
        template_stage: Some(api::TemplateStage::Processed),
        ..Default::default()
    };
    let processed =
        world.ctx().call::<api::GetTemplate>(input2).await.unwrap().template_body.unwrap();
    let processed: Value = serde_json::from_str(&processed).unwrap();
    assert_eq!(
        processed["Resources"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["Included", "Added"]
    );
    assert!(processed.get("Transform").is_none());
    // A macro that is not there fails the stack, not the request.
    let input = api::CreateStackInput {
        stack_name: "none".into(),
        template_body: Some(template.to_string().replace("Adder", "Nobody")),
        ..input
    };
    let id = world.create_with(input).await.unwrap();
    assert_eq!(world.ended(&id).await, "ROLLBACK_COMPLETE");
    assert_eq!(
        world.events(&id).await[1],
        "none ROLLBACK_IN_PROGRESS No transform named 000000000000::Nobody found.. Rollback requested by user."
    );
}
