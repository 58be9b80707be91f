//! `EventInvokeConfig`: retries of asynchronous invocations, and where their outcome goes.

use super::version::Published;
use crate::events::to_bucket;
use crate::fault::{Result, expect};
use crate::intrinsics::{if_else, if_parts, is_if, is_no_value, not_condition, reference};
use crate::logical_id::hashed;
use crate::resource::{Resource, Source};
use crate::role::allow;
use crate::value::{Map, Value, list, map, str_of};
use crate::world::World;

const KINDS: &str = "['SQS', 'SNS', 'EventBridge', 'Lambda', 'S3Bucket']";

/// A destination, what is made for it, and the policy that lets the function reach it.
struct Destination {
    arn: Value,
    resource: Option<Resource>,
    policy: Option<Value>,
}

/// The configuration, the queues and topics it makes, and the policies for the function's role.
pub fn resources(
    source: &mut Source,
    function: &Resource,
    published: Option<&Published>,
    world: &mut World<'_>,
) -> Result<(Vec<Resource>, Vec<Value>)> {
    let given = source.at("EventInvokeConfig").clone();
    if !given.truthy() {
        return Ok((Vec::new(), Vec::new()));
    }
    let given = world.parameters.resolve(&given)?;
    let id = function.id.plus("EventInvokeConfig");
    let mut config = Resource::new("AWS::Lambda::EventInvokeConfig", &id)?
        .with_attributes(&source.attributes)
        .with("FunctionName", reference(&function.id))
        .with("MaximumEventAgeInSeconds", given.at("MaximumEventAgeInSeconds"))
        .with("MaximumRetryAttempts", given.at("MaximumRetryAttempts"));
    match published {
        Some(published) => {
            config.depends_on = list![&published.alias.id];
            config.set("Qualifier", &published.name);
        }
        None => config.set("Qualifier", "$LATEST"),
    }
    let (mut made, mut policies, mut destinations) = (Vec::new(), Vec::new(), Map::new());
    let wanted = given.at("DestinationConfig");
    if wanted.truthy() {
        let path = "EventInvokeConfig.DestinationConfig";
        let wanted = expect(wanted, source.id.as_str(), path).map()?;
        for outcome in ["OnSuccess", "OnFailure"] {
            if wanted.at(outcome).is_null() {
                continue;
            }
            let path = format!("{path}.{outcome}");
            let settings = expect(wanted.at(outcome), source.id.as_str(), &path).map()?;
            let prefix = format!("{id}{outcome}");
            let destination = destination(source, settings, &prefix, id.as_str(), world)?;
            destinations.set(outcome, map! { "Destination" => destination.arn });
            made.extend(destination.resource);
            policies.extend(destination.policy);
        }
    }
    config.set("DestinationConfig", destinations);
    made.push(config);
    Ok((made, policies))
}

fn destination(
    source: &Source,
    settings: &Map,
    prefix: &str,
    config_id: &str,
    world: &mut World<'_>,
) -> Result<Destination> {
    let kind = settings.at("Type");
    let Some(kind @ ("SQS" | "SNS" | "EventBridge" | "Lambda" | "S3Bucket")) = kind.as_str() else {
        let printed = str_of(kind);
        return Err(source.fault(format!("'Type: {printed}' must be one of {KINDS}")));
    };
    let given = settings.at("Destination");
    let (condition, otherwise) = own_condition(given, config_id, world)?;
    if !given.is_null() && condition.is_null() {
        let policy = Some(policy(kind, given, prefix));
        return Ok(Destination { arn: given.clone(), resource: None, policy });
    }
    let attributes = source.inherited();
    let mut resource = match kind {
        "SQS" => Resource::new("AWS::SQS::Queue", format!("{prefix}Queue"))?,
        "SNS" => Resource::new("AWS::SNS::Topic", format!("{prefix}Topic"))?,
        _ => {
            return Err(source.fault("Destination is required if Type is not ['SQS', 'SNS']"));
        }
    }
    .with_attributes(&attributes);
    let combined = both(source, attributes.at("Condition"), &condition, world);
    if combined.truthy() {
        resource.attributes.set("Condition", combined);
    }
    let made = if kind == "SQS" { resource.get_att("Arn") } else { resource.reference() };
    let arn = if condition.truthy() { if_else(&condition, made, otherwise) } else { made };
    let policy = Some(policy(kind, &arn, prefix));
    Ok(Destination { arn, resource: Some(resource), policy })
}

fn policy(kind: &str, arn: &Value, prefix: &str) -> Value {
    match kind {
        "SQS" => allow(prefix, "SQSPolicy", "sqs:SendMessage", arn),
        "SNS" => allow(prefix, "SNSPolicy", "sns:publish", arn),
        "EventBridge" => allow(prefix, "EventBridgePolicy", "events:PutEvents", arn),
        "Lambda" => allow(prefix, "LambdaPolicy", "lambda:InvokeFunction", arn),
        _ => to_bucket(prefix, arn),
    }
}

/// A destination that is an `Fn::If` with nothing in one branch: the condition under which one is
/// to be made, and what stands otherwise.
fn own_condition(given: &Value, config_id: &str, world: &mut World<'_>) -> Result<(Value, Value)> {
    let none = (Value::Null, Value::Null);
    if !is_if(given) {
        return Ok(none);
    }
    let (condition, yes, no) = if_parts(given).map_err(|message| {
        crate::fault::Fault::resource(
            config_id,
            format!("Malformed 'Destination' property: {message}."),
        )
    })?;
    match (is_no_value(yes), is_no_value(no)) {
        (true, false) => Ok((condition.clone(), no.clone())),
        (false, true) => {
            let name = generated_name(&format!("NOT{}", str_of(condition)), config_id);
            world.add_condition(&name, not_condition(condition));
            Ok((name.into(), yes.clone()))
        }
        _ => Ok(none),
    }
}

/// The condition of the resource and its own, as one.
fn both(source: &Source, resource: &Value, own: &Value, world: &mut World<'_>) -> Value {
    if resource.is_null() {
        return own.clone();
    }
    if own.is_null() {
        return resource.clone();
    }
    // AWS wraps each condition twice; CloudFormation takes it.
    let wrapped =
        |name: &Value| -> Value { map! { "Condition" => map! { "Condition" => name } }.into() };
    let and = map! { "Fn::And" => list![wrapped(resource), wrapped(own)] };
    let joined = format!("{}AND{}", str_of(resource), str_of(own));
    let name = generated_name(&joined, source.id.as_str());
    world.add_condition(&name, and.into());
    name.into()
}

fn generated_name(name: &str, seed: &str) -> String {
    hashed(name, &seed.into())
}
