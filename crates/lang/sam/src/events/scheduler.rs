//! `ScheduleV2`: schedules of EventBridge Scheduler, for functions and state machines.

use super::bridge::dead_letters;
use super::{Event, Invoked, InvokedKind};
use crate::fault::Result;
use crate::resource::Resource;
use crate::role;
use crate::value::{Value, map};

pub fn schedule(event: &Event, invoked: &Invoked) -> Result<Vec<Resource>> {
    let attributes = invoked.inherited();
    let mut schedule =
        Resource::new("AWS::Scheduler::Schedule", event.id())?.with_attributes(&attributes);
    if event.at("State").truthy() {
        schedule.set("State", event.at("State"));
    }
    if !event.at("OmitName").truthy() {
        schedule.set("Name", event.at("Name").or(|| event.id().into()));
    } else if event.at("Name").truthy() {
        return Err(event.fault_by_id("Name cannot be set when OmitName is True"));
    }
    let window = event.at("FlexibleTimeWindow").or(|| map! { "Mode" => "OFF" }.into());
    schedule.set("FlexibleTimeWindow", window);
    let same = [
        "ScheduleExpression",
        "Description",
        "StartDate",
        "EndDate",
        "ScheduleExpressionTimezone",
        "GroupName",
        "KmsKeyArn",
    ];
    schedule.copy(&event.source.properties, &same);
    let dead = dead_letters(event, None, &attributes)?;
    let mut role_arn = event.at("RoleArn").clone();
    let mut made_role = None;
    if !role_arn.truthy() {
        let role = execution_role(event, invoked, &dead.arn)?;
        role_arn = role.get_att("Arn");
        made_role = Some(role);
    }
    let mut target = map! { "Arn" => invoked.arn(), "RoleArn" => role_arn };
    if !event.at("Input").is_null() {
        target.set("Input", event.at("Input"));
    }
    if !event.at("DeadLetterConfig").is_null() {
        target.set("DeadLetterConfig", map! { "Arn" => &dead.arn });
    }
    if !event.at("RetryPolicy").is_null() {
        target.set("RetryPolicy", event.at("RetryPolicy"));
    }
    schedule.set("Target", target);
    let mut resources = vec![schedule];
    resources.extend(dead.resources);
    resources.extend(made_role);
    Ok(resources)
}

fn execution_role(event: &Event, invoked: &Invoked, dead_letters: &Value) -> Result<Resource> {
    let boundary = event.at("PermissionsBoundary");
    let id = event.id().as_str();
    let mut policies = vec![if invoked.kind == InvokedKind::StateMachine {
        role::allow(id, "StartExecutionPolicy", "states:StartExecution", &invoked.arn())
    } else {
        role::allow(id, "LambdaPolicy", "lambda:InvokeFunction", &invoked.arn())
    }];
    if dead_letters.truthy() {
        policies.push(role::allow(id, "SQSPolicy", "sqs:SendMessage", dead_letters));
    }
    let mut role = Resource::new("AWS::IAM::Role", event.id().plus("Role"))?
        .with_attributes(&invoked.inherited())
        .with("AssumeRolePolicyDocument", role::trust("scheduler.amazonaws.com"))
        .with("Policies", policies);
    if boundary.truthy() {
        role.set("PermissionsBoundary", boundary);
    }
    Ok(role)
}
