//! SNS subscriptions of a function, directly or through a queue.

use super::bridge::send_policy;
use super::{Event, Invoked, pull};
use crate::fault::{Result, expect};
use crate::intrinsics::logical_id_of;
use crate::resource::Resource;
use crate::value::{Text, Value, list};
use crate::world::World;

pub fn subscription(
    event: &Event,
    invoked: &Invoked,
    role: &mut Resource,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    let topic = event.at("Topic");
    let through_queue = event.at("SqsSubscription");
    if !through_queue.truthy() {
        let subscription = subscribe(event, invoked, "lambda", &invoked.arn())?;
        let permission = event.permission(invoked, "sns.amazonaws.com")?.with("SourceArn", topic);
        return Ok(vec![permission, subscription]);
    }
    if through_queue.is_bool() {
        let mut queue = Resource::new("AWS::SQS::Queue", event.id().plus("Queue"))?
            .with_attributes(&invoked.inherited());
        let fifo = is_fifo(topic, world)?;
        if fifo.truthy() {
            queue.set("FifoQueue", fifo);
        }
        let (arn, url) = (queue.get_att("Arn"), queue.reference());
        let policy = queue_policy(event, invoked, &arn, &url, event.id().plus("QueuePolicy"))?;
        let subscription = subscribe(event, invoked, "sqs", &arn)?;
        let mapping = map_queue(event, invoked, role, world, &arn, &Value::Null)?;
        return Ok([mapping, vec![queue, policy, subscription]].concat());
    }
    let settings =
        expect(through_queue, event.name.as_str(), "SqsSubscription").in_event().map()?;
    let (arn, url) = (settings.at("QueueArn"), settings.at("QueueUrl"));
    if !arn.truthy() || !url.truthy() {
        return Err(event.fault("No QueueARN or QueueURL provided."));
    }
    let policy_id = match settings.at("QueuePolicyLogicalId").as_text() {
        Some(id) if !id.as_str().is_empty() => id.clone(),
        _ => event.id().plus("QueuePolicy"),
    };
    let policy = queue_policy(event, invoked, arn, url, policy_id)?;
    let subscription = subscribe(event, invoked, "sqs", arn)?;
    let mapping = map_queue(event, invoked, role, world, arn, settings.at("BatchSize"))?;
    Ok([mapping, vec![policy, subscription]].concat())
}

/// Whether the topic, when it is of this template, is a FIFO one.
fn is_fifo(topic: &Value, world: &World<'_>) -> Result<Value> {
    let Some(id) = logical_id_of(topic) else { return Ok(false.into()) };
    world.parameters.resolve(world.properties_of(id).at("FifoTopic"))
}

fn subscribe(
    event: &Event,
    invoked: &Invoked,
    protocol: &str,
    endpoint: &Value,
) -> Result<Resource> {
    let mut subscription = Resource::new("AWS::SNS::Subscription", event.id())?
        .with_attributes(&invoked.inherited())
        .with("Protocol", protocol)
        .with("Endpoint", endpoint)
        .with("TopicArn", event.at("Topic"));
    let optional = ["Region", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"];
    subscription.copy(&event.source.properties, &optional);
    Ok(subscription)
}

fn queue_policy(
    event: &Event,
    invoked: &Invoked,
    arn: &Value,
    url: &Value,
    id: Text,
) -> Result<Resource> {
    Ok(Resource::new("AWS::SQS::QueuePolicy", id)?
        .with_attributes(&invoked.inherited())
        .with("PolicyDocument", send_policy(arn, "*", event.at("Topic")))
        .with("Queues", list![url]))
}

/// Has the function read the queue. Its `Enabled` is not looked at: AWS always enables it.
fn map_queue(
    event: &Event,
    invoked: &Invoked,
    role: &mut Resource,
    world: &World<'_>,
    queue: &Value,
    batch_size: &Value,
) -> Result<Vec<Resource>> {
    let mapping =
        Resource::new("AWS::Lambda::EventSourceMapping", event.id().plus("EventSourceMapping"))?
            .with_attributes(&invoked.inherited())
            .with("FunctionName", invoked.name())
            .with("EventSourceArn", queue)
            .with("BatchSize", batch_size.or(|| Value::from(10)))
            .with("Enabled", true);
    let policy = world.managed_policy_arn("service-role/AWSLambdaSQSQueueExecutionRole");
    pull::attach(role, Some(policy), Vec::new());
    Ok(vec![mapping])
}
