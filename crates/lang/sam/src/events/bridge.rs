//! EventBridge rules: targets and dead-letter queues, for functions and state machines.

use super::Event;
use crate::fault::Result;
use crate::resource::Resource;
use crate::value::{Map, Value, list, map};

const TARGET_ID_MAX: usize = 64;

/// A target's id: the event's, cut so that the suffix fits.
pub fn target_id(id: &str, suffix: &str) -> String {
    let kept: String = id.chars().take(TARGET_ID_MAX - suffix.len()).collect();
    kept + suffix
}

/// `State`, or `Enabled` in the words of `State`.
pub fn state(event: &Event) -> Result<Value> {
    let (state, enabled) = (event.at("State"), event.at("Enabled"));
    match enabled {
        Value::Null => Ok(state.or(|| Value::Null)),
        _ if state.truthy() => {
            Err(event.fault("State and Enabled Properties cannot both be specified."))
        }
        enabled if enabled.truthy() => Ok("ENABLED".into()),
        _ => Ok("DISABLED".into()),
    }
}

/// A queue for events that could not be delivered.
pub struct DeadLetters {
    /// Null when there is none.
    pub arn: Value,
    /// The queue, and its policy, when it is to be made.
    pub resources: Vec<Resource>,
}

/// The dead-letter queue an event asks for. Rules send to it by its policy; schedules by their
/// role, so they need none.
pub fn dead_letters(
    event: &Event,
    rule_arn: Option<&Value>,
    attributes: &Map,
) -> Result<DeadLetters> {
    let none = DeadLetters { arn: Value::Null, resources: Vec::new() };
    let Some(config) = event.at("DeadLetterConfig").as_map() else { return Ok(none) };
    let fault = |message: &str| Err(event.fault_by_id(message));
    match (config.contains("Arn"), config.contains("Type")) {
        (true, true) => {
            return fault("You can either define 'Arn' or 'Type' property of DeadLetterConfig.");
        }
        (false, false) => {
            return fault("No 'Arn' or 'Type' property provided for DeadLetterConfig.");
        }
        (false, true) if config.at("Type").as_str() != Some("SQS") => {
            return fault("The only valid value for 'Type' property of DeadLetterConfig is 'SQS'.");
        }
        _ => {}
    }
    if !config.at("Arn").is_null() {
        return Ok(DeadLetters { arn: config.at("Arn").clone(), ..none });
    }
    let queue_id = match config.at("QueueLogicalId") {
        Value::Str(id) if !id.as_str().is_empty() => id.clone(),
        Value::Str(_) | Value::Null => event.id().plus("Queue"),
        _ => return fault("QueueLogicalId must be a string"),
    };
    let queue = Resource::new("AWS::SQS::Queue", queue_id)?.with_attributes(attributes);
    let arn = queue.get_att("Arn");
    let mut resources = vec![];
    if let Some(rule_arn) = rule_arn {
        let policy = send_policy(&arn, map! { "Service" => "events.amazonaws.com" }, rule_arn);
        let policy = Resource::new("AWS::SQS::QueuePolicy", event.id().plus("QueuePolicy"))?
            .with_attributes(attributes)
            .with("PolicyDocument", policy)
            .with("Queues", list![queue.reference()]);
        resources.push(policy);
    }
    resources.insert(0, queue);
    Ok(DeadLetters { arn, resources })
}

/// Lets `principal` send to a queue on behalf of `source`.
pub fn send_policy(queue: &Value, principal: impl Into<Value>, source: &Value) -> Map {
    let condition = map! { "ArnEquals" => map! { "aws:SourceArn" => source } };
    let statement = map! {
        "Action" => "sqs:SendMessage",
        "Effect" => "Allow",
        "Principal" => principal.into(),
        "Resource" => queue,
        "Condition" => condition,
    };
    map! { "Version" => "2012-10-17", "Statement" => list![statement] }
}

/// A rule's target, with what the event says of it.
pub fn target(event: &Event, mut target: Map, dead_letters: &DeadLetters) -> Map {
    for name in ["Input", "InputPath"] {
        if !event.at(name).is_null() {
            target.set(name, event.at(name));
        }
    }
    if !event.at("DeadLetterConfig").is_null() {
        target.set("DeadLetterConfig", map! { "Arn" => &dead_letters.arn });
    }
    for name in ["RetryPolicy", "InputTransformer"] {
        if !event.at(name).is_null() {
            target.set(name, event.at(name));
        }
    }
    target
}

/// The id of the event's target: its own, or one made of the event's.
pub fn target_id_of(event: &Event, suffix: &str) -> Value {
    let own = event.at("Target").as_map().and_then(|target| target.get("Id"));
    own.cloned().unwrap_or_else(|| target_id(event.id().as_str(), suffix).into())
}
