//! Events that services push to a function: schedules, rules, Alexa, IoT, logs.

use super::bridge::{dead_letters, state, target, target_id, target_id_of};
use super::{Event, Invoked};
use crate::fault::Result;
use crate::intrinsics::{reference, sub, sub_with};
use crate::resource::Resource;
use crate::value::{list, map};
use crate::world::World;

const TARGET: &str = "LambdaTarget";
const EVENTS: &str = "events.amazonaws.com";

pub fn schedule(event: &Event, invoked: &Invoked) -> Result<Vec<Resource>> {
    let attributes = invoked.inherited();
    let mut rule = Resource::new("AWS::Events::Rule", event.id())?
        .with_attributes(&attributes)
        .with("ScheduleExpression", event.at("Schedule"))
        .with("State", state(event)?)
        .with("Name", event.at("Name"))
        .with("Description", event.at("Description"));
    let arn = rule.get_att("Arn");
    let dead = dead_letters(event, Some(&arn), &attributes)?;
    let id = target_id(event.id().as_str(), TARGET);
    let own = map! { "Arn" => invoked.arn(), "Id" => id };
    rule.set("Targets", list![target(event, own, &dead)]);
    let permission = event.permission(invoked, EVENTS)?.with("SourceArn", arn);
    let mut resources = vec![rule];
    resources.extend(dead.resources);
    resources.push(permission);
    Ok(resources)
}

pub fn rule(event: &Event, invoked: &Invoked) -> Result<Vec<Resource>> {
    let attributes = invoked.inherited();
    let mut rule = Resource::new("AWS::Events::Rule", event.id())?
        .with_attributes(&attributes)
        .with("EventBusName", event.at("EventBusName"))
        .with("EventPattern", event.at("Pattern"))
        .with("Name", event.at("RuleName"));
    let arn = rule.get_att("Arn");
    let dead = dead_letters(event, Some(&arn), &attributes)?;
    rule.set("State", state(event)?);
    let own = map! { "Arn" => invoked.arn(), "Id" => target_id_of(event, TARGET) };
    rule.set("Targets", list![target(event, own, &dead)]);
    let permission = event.permission(invoked, EVENTS)?.with("SourceArn", arn);
    let mut resources = dead.resources;
    resources.push(rule);
    resources.push(permission);
    Ok(resources)
}

pub fn alexa_skill(event: &Event, invoked: &Invoked) -> Result<Vec<Resource>> {
    let permission = event
        .permission(invoked, "alexa-appkit.amazon.com")?
        .with("EventSourceToken", event.at("SkillId"));
    Ok(vec![permission])
}

pub fn iot_rule(event: &Event, invoked: &Invoked, world: &World<'_>) -> Result<Vec<Resource>> {
    let variables = map! { "RuleName" => reference(event.id()) };
    let permission = event
        .permission(invoked, "iot.amazonaws.com")?
        .with("SourceArn", sub_with(world.arn("iot", "rule/${RuleName}"), variables))
        .with("SourceAccount", sub("${AWS::AccountId}"));
    let mut payload = map! {
        "Sql" => event.at("Sql"),
        "RuleDisabled" => false,
        "Actions" => list![map! { "Lambda" => map! { "FunctionArn" => invoked.arn() } }],
    };
    if event.at("AwsIotSqlVersion").truthy() {
        payload.set("AwsIotSqlVersion", event.at("AwsIotSqlVersion"));
    }
    let rule = Resource::new("AWS::IoT::TopicRule", event.id())?
        .with_attributes(&invoked.inherited())
        .with("TopicRulePayload", payload);
    Ok(vec![permission, rule])
}

pub fn logs(event: &Event, invoked: &Invoked, world: &World<'_>) -> Result<Vec<Resource>> {
    let variables = map! { "__LogGroupName__" => event.at("LogGroupName") };
    let arn = world.arn("logs", "log-group:${__LogGroupName__}:*");
    let permission = event
        .permission(invoked, "logs.amazonaws.com")?
        .with("SourceArn", sub_with(arn, variables));
    let filter = Resource::new("AWS::Logs::SubscriptionFilter", event.id())?
        .with_attributes(&invoked.inherited())
        .depending_on(list![&permission.id])
        .with("LogGroupName", event.at("LogGroupName"))
        .with("FilterPattern", event.at("FilterPattern"))
        .with("DestinationArn", invoked.arn());
    Ok(vec![permission, filter])
}
