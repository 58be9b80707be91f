//! Where the outcome of an event is reported: queues, topics, buses, functions, buckets. Sent as the function's role.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use serde_json::{Value, json};
use sereno_base::{Arn, Timestamp, base64_encode};
use sereno_kernel::{Access, Ctx, Error, Kind, Result};

use crate::names::{FunctionName, resolve};
use crate::state::FunctionRecord;
use crate::{errors, invoke};

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// By account and name: a queue's URL is made of them.
    Queue {
        account: String,
        name: String,
    },
    Topic,
    Bus,
    Function,
    Bucket {
        name: String,
    },
}

impl Target {
    /// What an ARN names, if that is something that takes reports. FIFO queues and topics do not.
    pub fn parse(text: &str) -> Option<Target> {
        let arn = Arn::parse(text)?;
        let is_fifo = arn.resource.ends_with(".fifo");
        Some(match arn.service.as_str() {
            "sqs" if !is_fifo => Target::Queue { account: arn.account, name: arn.resource },
            "sns" if !is_fifo => Target::Topic,
            "events" if arn.resource.starts_with("event-bus/") => Target::Bus,
            "lambda" if arn.resource.starts_with("function:") => Target::Function,
            "s3" => Target::Bucket { name: arn.resource },
            _ => return None,
        })
    }

    /// Records of asynchronous invocations: everything, but buckets take failures only.
    pub fn takes_invocations(&self, of_failure: bool) -> bool {
        of_failure || !matches!(self, Target::Bucket { .. })
    }

    /// Batches of a stream that were given up.
    pub fn takes_batches(&self) -> bool {
        matches!(self, Target::Queue { .. } | Target::Topic | Target::Bucket { .. })
    }

    /// Events whose function failed, as they are.
    pub fn takes_dead_letters(&self) -> bool {
        matches!(self, Target::Queue { .. } | Target::Topic)
    }

    /// The service as its schema names it, and as the errors do.
    pub fn service(&self) -> (&'static str, &'static str) {
        match self {
            Target::Queue { .. } => ("sqs", "SQS"),
            Target::Topic => ("sns", "SNS"),
            Target::Bus => ("events", "EventBridge"),
            Target::Function => ("lambda", "Lambda"),
            Target::Bucket { .. } => ("s3", "S3"),
        }
    }

    /// What the role must be allowed; the operation's name is what follows the colon.
    fn action(&self) -> &'static str {
        match self {
            Target::Queue { .. } => "sqs:SendMessage",
            Target::Topic => "sns:Publish",
            Target::Bus => "events:PutEvents",
            Target::Function => "lambda:InvokeFunction",
            Target::Bucket { .. } => "s3:PutObject",
        }
    }

    pub fn operation(&self) -> &'static str {
        self.action().split_once(':').map_or("", |(_, operation)| operation)
    }
}

/// Whether the role may send there. A target of a service that this server does not have is refused, not forgotten.
pub async fn authorise(role: &Ctx, target: &Target, arn: &str) -> Result<()> {
    let (service, _) = target.service();
    let resource = match target {
        Target::Bucket { .. } => format!("{arn}/*"),
        _ => arn.to_owned(),
    };
    role.authorise(service, &Access::new(target.action(), resource)).await
}

/// The function's own role, as it reports.
pub async fn as_role(ctx: &Ctx, function: &FunctionRecord) -> Result<Ctx> {
    ctx.as_role(&function.role, &function.name, invoke::PRINCIPAL).await
}

/// A target of EventInvokeConfig: there, allowed, and not the function itself.
pub async fn check(ctx: &Ctx, function: &FunctionRecord, target: &Target, arn: &str) -> Result<()> {
    if *target == Target::Function {
        let name = FunctionName::parse(arn);
        if name.name == function.name && name.locate(ctx).scope() == ctx.scope() {
            return Err(errors::destination_is_itself());
        }
        let place = name.locate(ctx);
        let found = resolve(&place, place.store(), &name, 0.0).await;
        found.map_err(|error| match error.kind() {
            Kind::NotFound => errors::destination_not_found(arn),
            _ => error,
        })?;
    }
    let role = as_role(ctx, function).await?;
    if let Target::Bucket { name } = target {
        let bucket = role.call_json("s3", "HeadBucket", &json!({"Bucket": name})).await;
        bucket.map_err(|error| match error.kind() {
            Kind::NotFound => errors::destination_not_found(arn),
            Kind::Denied => errors::role_cannot_call("ListBucket", arn),
            _ => error,
        })?;
    }
    authorise(&role, target, arn).await.map_err(|error| match error.kind() {
        Kind::Denied => errors::role_cannot_call(target.operation(), arn),
        _ => error,
    })
}

/// DeadLetterConfig: a queue or topic to which the role may send.
pub async fn check_dead_letters(ctx: &Ctx, function: &FunctionRecord) -> Result<()> {
    let arn = function.dead_letter_arn.as_str();
    if arn.is_empty() {
        return Ok(());
    }
    let target = Target::parse(arn).filter(Target::takes_dead_letters);
    let target = target.ok_or_else(|| errors::dead_letter_target_invalid(arn))?;
    let role = as_role(ctx, function).await?;
    let (_, service) = target.service();
    authorise(&role, &target, arn).await.map_err(|error| match error.kind() {
        Kind::Denied => errors::provided_role_cannot_call(target.operation(), service),
        _ => error,
    })
}

/// What is reported.
pub struct Report<'a> {
    /// JSON.
    pub body: String,
    /// In a bucket: the key before the time and the id.
    pub folder: String,
    pub function_arn: &'a str,
    pub success: bool,
    pub at: Timestamp,
}

/// Sends a report in the name of the function's role.
pub async fn send(role: &Ctx, target: &Target, arn: &str, report: &Report<'_>) -> Result<()> {
    let (service, _) = target.service();
    let (operation, input) = match target {
        Target::Queue { account, name } => {
            let url = queue_url(role, account, name);
            ("SendMessage", json!({"QueueUrl": url, "MessageBody": report.body}))
        }
        Target::Topic => ("Publish", json!({"TopicArn": arn, "Message": report.body})),
        Target::Bus => ("PutEvents", bus_event(arn, report)),
        Target::Function => (
            "Invoke",
            json!({
                "FunctionName": arn,
                "InvocationType": "Event",
                "Payload": base64_encode(report.body.as_bytes()),
            }),
        ),
        Target::Bucket { name } => (
            "PutObject",
            json!({
                "Bucket": name,
                "Key": object_key(&report.folder, report.at, &role.random_uuid()),
                "ContentType": "application/json",
                "Body": base64_encode(report.body.as_bytes()),
            }),
        ),
    };
    let answer = role.call_json(service, operation, &input).await?;
    match answer["FailedEntryCount"].as_i64() {
        Some(failed) if failed > 0 => Err(Error::unavailable(answer["Entries"].to_string())),
        _ => Ok(()),
    }
}

pub fn queue_url(ctx: &Ctx, account: &str, name: &str) -> String {
    format!("{}/{account}/{name}", ctx.server_endpoint())
}

/// Recorded: test_lambda_destinations.py::TestLambdaDestinationEventbridge::test_invoke_lambda_eventbridge
fn bus_event(bus: &str, report: &Report<'_>) -> Value {
    let outcome = if report.success { "Success" } else { "Failure" };
    json!({"Entries": [{
        "EventBusName": bus,
        "Source": "lambda",
        "DetailType": format!("Lambda Function Invocation Result - {outcome}"),
        "Detail": report.body,
        "Resources": [bus, report.function_arn],
        "Time": report.at.secs_f64(),
    }]})
}

/// `{folder}/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-{uuid}`
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
fn object_key(folder: &str, at: Timestamp, id: &str) -> String {
    let time = at.iso8601();
    let (day, clock) = time.trim_end_matches('Z').split_once('T').unwrap_or_default();
    format!("{folder}/{}/{day}T{}-{id}", day.replace('-', "/"), clock.replace(':', "."))
}

/// Whether another try may help; what may not is given up, and said in the server's log.
pub fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Internal | Kind::Throttled | Kind::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let queue = Target::Queue { account: "1".to_owned(), name: "q".to_owned() };
        assert_eq!(Target::parse("arn:aws:sqs:us-east-1:1:q"), Some(queue));
        assert_eq!(Target::parse("arn:aws:sqs:us-east-1:1:q.fifo"), None);
        assert_eq!(Target::parse("arn:aws:iam:us-east-1:1:function:f"), None);
        let bucket = Target::parse("arn:aws:s3:::b").unwrap();
        assert!(bucket.takes_invocations(true) && !bucket.takes_invocations(false));
        assert_eq!(bucket.operation(), "PutObject");
        assert_eq!(
            Target::parse("arn:aws:events:us-east-1:1:event-bus/default"),
            Some(Target::Bus)
        );
        assert!(!Target::Function.takes_batches() && !Target::Function.takes_dead_letters());
    }

    #[test]
    fn keys_of_objects() {
        let at = Timestamp::from_millis(1_480_586_400_000);
        assert_eq!(
            object_key("aws/lambda/u/shard", at, "id"),
            "aws/lambda/u/shard/2016/12/01/2016-12-01T10.00.00-id"
        );
    }

    #[test]
    fn events_of_buses() {
        let report = Report {
            body: "{}".to_owned(),
            folder: String::new(),
            function_arn: "arn:f",
            success: true,
            at: Timestamp::from_millis(1_480_586_400_000),
        };
        let event = bus_event("arn:b", &report);
        let entry = &event["Entries"][0];
        assert_eq!(entry["DetailType"], "Lambda Function Invocation Result - Success");
        assert_eq!(entry["Resources"], json!(["arn:b", "arn:f"]));
        assert_eq!(entry["Detail"], "{}");
    }
}
