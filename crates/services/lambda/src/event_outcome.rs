//! The outcome of an event, told: the record that destinations get, and the event itself for the dead-letter queue.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use serde_json::value::RawValue;
use serde_json::{Value, json};
use sereno_kernel::{Ctx, Result};

use crate::asynchronous::{EventRecord, OutcomeRecord};
use crate::destination::{self, Report, Target};
use crate::event_state::EventConfigRecord;
use crate::names::{LATEST, Resolved, function_arn};
use crate::state::FunctionRecord;

/// The most of an error's message that goes with a dead letter.
const ERROR_MESSAGE_BYTES_MAX: usize = 1024;

/// Why an event ended, as the record says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
    ZeroReservedConcurrency,
    /// AWS's word for it is not public.
    Loop,
}

impl Condition {
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Success => "Success",
            Condition::RetriesExhausted => "RetriesExhausted",
            Condition::EventAgeExceeded => "EventAgeExceeded",
            Condition::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Condition::Loop => "RecursiveInvocation",
        }
    }
}

impl OutcomeRecord {
    fn is_success(&self) -> bool {
        self.condition == Condition::Success.as_str()
    }
}

/// Notes whom the outcome concerns.
pub fn address(
    outcome: &mut OutcomeRecord,
    config: Option<&EventConfigRecord>,
    function: &FunctionRecord,
) {
    let success = outcome.is_success();
    let destination =
        config.map(|config| if success { &config.on_success } else { &config.on_failure });
    outcome.targets.extend(destination.filter(|arn| !arn.is_empty()).cloned());
    if !success && !function.dead_letter_arn.is_empty() {
        outcome.dead_letters = Some(function.dead_letter_arn.clone());
    }
}

/// Sends what is not sent yet. Whether all is done: sent, or given up because no other try can help.
pub async fn deliver(ctx: &Ctx, found: &Resolved, event: &mut EventRecord) -> bool {
    let Some(mut outcome) = event.outcome.take() else { return true };
    if outcome.targets.is_empty() && outcome.dead_letters.is_none() {
        return true;
    }
    let mut left = Vec::new();
    for arn in std::mem::take(&mut outcome.targets) {
        let sent = send(ctx, found, event, &outcome, &arn).await;
        if !is_settled(sent, &arn) {
            left.push(arn);
        }
    }
    outcome.targets = left;
    if let Some(arn) = outcome.dead_letters.take() {
        let sent = send_dead_letter(ctx, found, event, &outcome, &arn).await;
        if !is_settled(sent, &arn) {
            outcome.dead_letters = Some(arn);
        }
    }
    let done = outcome.targets.is_empty() && outcome.dead_letters.is_none();
    event.outcome = Some(outcome);
    done
}

fn is_settled(sent: Result<()>, arn: &str) -> bool {
    match sent {
        Ok(()) => true,
        Err(error) => {
            eprintln!("lambda: cannot report to {arn}: {error}");
            !destination::is_passing(&error)
        }
    }
}

async fn send(
    ctx: &Ctx,
    found: &Resolved,
    event: &EventRecord,
    outcome: &OutcomeRecord,
    arn: &str,
) -> Result<()> {
    let Some(target) = Target::parse(arn) else { return Ok(()) };
    let role = destination::as_role(ctx, &found.function).await?.with_trace(&event.trace_id);
    let qualifier = event.qualifier.as_deref().unwrap_or(LATEST);
    let function_arn = function_arn(ctx, &event.name, Some(qualifier));
    let report = Report {
        body: record(event, outcome, &function_arn, &ctx.now().iso8601_millis()),
        folder: format!("aws/lambda/async/{}", event.name),
        function_arn: &function_arn,
        success: outcome.is_success(),
        at: ctx.now(),
    };
    destination::send(&role, &target, arn, &report).await
}

/// The invocation record. Payloads are JSON that must not change on the way, so the text is put together.
/// Recorded: test_lambda_destinations.py.
fn record(event: &EventRecord, outcome: &OutcomeRecord, function_arn: &str, at: &str) -> String {
    let ran = outcome.response.is_some();
    // The successful run counts as well; what never ran was not an attempt.
    let count = event.attempts + u32::from(outcome.is_success());
    let mut head = json!({
        "version": "1.0",
        "timestamp": at,
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": function_arn,
            "condition": outcome.condition,
            "approximateInvokeCount": count,
        },
    })
    .to_string();
    head.pop();
    let mut text = format!("{head},\"requestPayload\":{}", as_json(&event.payload));
    if ran {
        let mut context = json!({"statusCode": 200, "executedVersion": outcome.executed_version});
        if !outcome.function_error.is_empty() {
            context["functionError"] = json!(outcome.function_error);
        }
        let response = outcome.response.as_deref().unwrap_or_default();
        text +=
            &format!(",\"responseContext\":{context},\"responsePayload\":{}", as_json(response));
    }
    text + "}"
}

/// Bytes that are JSON as they are, others as a JSON string.
fn as_json(bytes: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(raw) => raw.get().to_owned(),
        Err(_) => Value::from(String::from_utf8_lossy(bytes)).to_string(),
    }
}

async fn send_dead_letter(
    ctx: &Ctx,
    found: &Resolved,
    event: &EventRecord,
    outcome: &OutcomeRecord,
    arn: &str,
) -> Result<()> {
    let role = destination::as_role(ctx, &found.function).await?.with_trace(&event.trace_id);
    let body = String::from_utf8_lossy(&event.payload);
    let attributes = dead_letter_attributes(event, outcome);
    let (service, operation, input) = match Target::parse(arn) {
        Some(Target::Queue { account, name }) => {
            let url = destination::queue_url(&role, &account, &name);
            let input =
                json!({"QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes});
            ("sqs", "SendMessage", input)
        }
        Some(Target::Topic) => {
            let input = json!({"TopicArn": arn, "Message": body, "MessageAttributes": attributes});
            ("sns", "Publish", input)
        }
        // Nothing else is accepted as a DeadLetterConfig.
        _ => return Ok(()),
    };
    role.call_json(service, operation, &input).await.map(drop)
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq>
/// Recorded: test_lambda_destinations.py::TestLambdaDLQ::test_dead_letter_queue
fn dead_letter_attributes(event: &EventRecord, outcome: &OutcomeRecord) -> Value {
    let attribute = |kind: &str, value: &str| json!({"DataType": kind, "StringValue": value});
    let code = if outcome.throttled { "429" } else { "200" };
    let mut attributes = json!({
        "RequestID": attribute("String", &event.request_id),
        "ErrorCode": attribute("Number", code),
    });
    let answer: Value =
        serde_json::from_slice(outcome.response.as_deref().unwrap_or_default()).unwrap_or_default();
    let message = match answer["errorMessage"].as_str() {
        Some(message) => message,
        None if outcome.throttled => "Rate Exceeded.",
        None => &outcome.condition,
    };
    // An empty attribute is refused by queues and topics alike.
    if !message.is_empty() {
        let end = message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX);
        attributes["ErrorMessage"] = attribute("String", &message[..end]);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event() -> EventRecord {
        EventRecord {
            name: "f".to_owned(),
            request_id: "r".to_owned(),
            payload: Bytes::from_static(b"{\"n\": 1.10}"),
            attempts: 3,
            ..Default::default()
        }
    }

    fn failed() -> OutcomeRecord {
        OutcomeRecord {
            condition: Condition::RetriesExhausted.as_str().to_owned(),
            function_error: "Unhandled".to_owned(),
            executed_version: "$LATEST".to_owned(),
            response: Some(Bytes::from_static(b"{\"errorMessage\":\"no\"}")),
            ..Default::default()
        }
    }

    #[test]
    fn records() {
        assert_eq!(
            record(&event(), &failed(), "arn:f:$LATEST", "2016-12-01T10:00:00.000Z"),
            "{\"version\":\"1.0\",\"timestamp\":\"2016-12-01T10:00:00.000Z\",\"requestContext\":{\"requestId\":\"r\",\
             \"functionArn\":\"arn:f:$LATEST\",\"condition\":\"RetriesExhausted\",\"approximateInvokeCount\":3},\
             \"requestPayload\":{\"n\": 1.10},\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"$LATEST\",\
             \"functionError\":\"Unhandled\"},\"responsePayload\":{\"errorMessage\":\"no\"}}"
        );
        let never = OutcomeRecord {
            condition: Condition::ZeroReservedConcurrency.as_str().to_owned(),
            ..Default::default()
        };
        let told: Value =
            serde_json::from_str(&record(&EventRecord::default(), &never, "arn:f", "now")).unwrap();
        assert_eq!(told["requestContext"]["approximateInvokeCount"], 0);
        assert!(told.get("responseContext").is_none() && told.get("responsePayload").is_none());
    }

    #[test]
    fn dead_letters() {
        assert_eq!(
            dead_letter_attributes(&event(), &failed()),
            json!({
                "RequestID": {"DataType": "String", "StringValue": "r"},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": "no"},
            })
        );
        let long = OutcomeRecord {
            response: Some(format!("{{\"errorMessage\":\"{}\"}}", "é".repeat(600)).into()),
            ..failed()
        };
        let attributes = dead_letter_attributes(&event(), &long);
        assert_eq!(attributes["ErrorMessage"]["StringValue"].as_str().unwrap().len(), 1024);
        let throttled = OutcomeRecord { throttled: true, ..Default::default() };
        assert_eq!(dead_letter_attributes(&event(), &throttled)["ErrorCode"]["StringValue"], "429");
    }
}
