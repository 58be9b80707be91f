//! Events: written with the change that causes them, carried to functions by a task.
//!
//! The record: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! recorded: localstack `test_s3_notifications_lambda.snapshot.json`.

use bytes::Bytes;
use serde_json::{Value, json};
use sereno_api_lambda as lambda;
use sereno_api_s3 as api;
use sereno_base::{AccountId, Arn, Region, percent_encode};
use sereno_kernel::{Access, Ctx, Error, Kind, Outcome, Result, Task, TaskKind, task};
use sereno_store::Txn;

use crate::access::{bucket_arn, source_arn};
use crate::bucket::{change, load};
use crate::errors;
use crate::rules::canonical_id;
use crate::state::BucketRecord;

const DELIVER: &str = "s3.event";
const PRINCIPAL: &str = "s3.amazonaws.com";

/// What an event is about.
pub struct About<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub version: Option<&'a str>,
    pub size: Option<u64>,
    pub etag: Option<&'a str>,
    pub sequence: u64,
}

pub async fn get(
    ctx: Ctx,
    input: api::GetBucketNotificationConfigurationInput,
) -> Result<api::GetBucketNotificationConfigurationOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    Ok(configuration(&bucket))
}

fn configuration(bucket: &BucketRecord) -> api::NotificationConfiguration {
    let stored = bucket.notification.as_deref().and_then(|text| serde_json::from_str(text).ok());
    stored.and_then(|json: Value| sereno_wire::from_json(&json).ok()).unwrap_or_default()
}

pub async fn put(
    ctx: Ctx,
    input: api::PutBucketNotificationConfigurationInput,
) -> Result<api::PutBucketNotificationConfigurationOutput> {
    let mut wanted = input.notification_configuration;
    let others = wanted.queue_configurations.as_ref().is_some_and(|list| !list.is_empty())
        || wanted.topic_configurations.as_ref().is_some_and(|list| !list.is_empty());
    if others || wanted.event_bridge_configuration.is_some() {
        return Err(errors::not_served("notifications to anything but Lambda functions"));
    }
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    for target in wanted.lambda_function_configurations.iter_mut().flatten() {
        check(target)?;
        if target.id.as_ref().is_none_or(String::is_empty) {
            target.id = Some(ctx.random_uuid());
        }
        if input.skip_destination_validation != Some(true) {
            reach(&ctx, &bucket, &input.bucket, &target.lambda_function_arn).await?;
        }
    }
    let stored = sereno_wire::to_json(&wanted).to_string();
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.notification = Some(stored.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutBucketNotificationConfigurationOutput::default())
}

fn check(target: &api::LambdaFunctionConfiguration) -> Result<()> {
    let arn = &target.lambda_function_arn;
    if Arn::parse(arn).is_none_or(|parsed| parsed.service != "lambda") {
        return Err(errors::bad_argument("The ARN could not be parsed", "CloudFunction", arn));
    }
    for event in &target.events {
        let served = ["s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:ObjectTagging:"]
            .iter()
            .any(|family| event.as_str().starts_with(family));
        if !served {
            return Err(errors::not_served(&format!("the event {event}")));
        }
    }
    Ok(())
}

/// S3 asks the function's policy before it accepts it as a target.
async fn reach(ctx: &Ctx, bucket: &BucketRecord, name: &str, function: &str) -> Result<()> {
    let service = sender(ctx, bucket, name);
    let access = Access::new("lambda:InvokeFunction", function);
    service.authorise("lambda", &access).await.map_err(|_| {
        errors::bad_argument(
            "Unable to validate the following destination configurations",
            &format!("{function}, null"),
            &format!("Not authorized to invoke function [{function}]"),
        )
    })
}

/// S3 itself, acting for the bucket in its owner's account and region.
fn sender(ctx: &Ctx, bucket: &BucketRecord, name: &str) -> Ctx {
    let owner = AccountId::from_u64(bucket.account).unwrap_or(AccountId::DEFAULT);
    let region = Region::parse(&bucket.region).unwrap_or(ctx.region());
    ctx.in_account(owner).in_region(region).as_service(PRINCIPAL, Some(&source_arn(name)))
}

/// Writes a task for each function that wants this event.
pub fn schedule(
    ctx: &Ctx,
    txn: &mut Txn,
    bucket: &BucketRecord,
    event: &'static str,
    about: &About<'_>,
) {
    if bucket.notification.is_none() {
        return;
    }
    for target in configuration(bucket).lambda_function_configurations.iter().flatten() {
        if !wants(target, event, about.key) {
            continue;
        }
        let payload = json!({
            "function": target.lambda_function_arn,
            "bucket": about.bucket,
            "account": bucket.account,
            "region": bucket.region,
            "event": {"Records": [record(ctx, bucket, event, about, target.id.as_deref())]},
        });
        task::schedule(ctx, txn, DELIVER, ctx.now(), payload.to_string());
    }
}

fn wants(target: &api::LambdaFunctionConfiguration, event: &str, key: &str) -> bool {
    let named = format!("s3:{event}");
    let family = named.rsplit_once(':').map(|(family, _)| format!("{family}:*"));
    let asked = target
        .events
        .iter()
        .any(|one| one.as_str() == named || Some(one.as_str()) == family.as_deref());
    let rules = target.filter.as_ref().and_then(|filter| filter.key.as_ref());
    let rules = rules.and_then(|key| key.filter_rules.as_deref()).unwrap_or_default();
    asked
        && rules.iter().all(|rule| {
            let value = rule.value.as_deref().unwrap_or_default();
            match rule.name.as_ref().map(|name| name.as_str().to_ascii_lowercase()).as_deref() {
                Some("prefix") => key.starts_with(value),
                Some("suffix") => key.ends_with(value),
                _ => false,
            }
        })
}

fn record(
    ctx: &Ctx,
    bucket: &BucketRecord,
    event: &str,
    about: &About<'_>,
    configuration: Option<&str>,
) -> Value {
    let owner = AccountId::from_u64(bucket.account).unwrap_or(AccountId::DEFAULT);
    let mut object = json!({
        // As a form would have it: a blank is a plus sign.
        "key": percent_encode(about.key, true).replace("%20", "+"),
        "sequencer": format!("{:018X}", about.sequence),
    });
    if let Some(size) = about.size {
        object["size"] = json!(size);
    }
    if let Some(etag) = about.etag {
        object["eTag"] = json!(etag);
    }
    if let Some(version) = about.version {
        object["versionId"] = json!(version);
    }
    let request = ctx.request_id().to_string();
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": ctx.now().iso8601_millis(),
        "eventName": event,
        "userIdentity": {"principalId": format!("AWS:{}", user_id(ctx))},
        "requestParameters": {"sourceIPAddress": ctx.origin().source_ip},
        "responseElements": {"x-amz-request-id": request, "x-amz-id-2": request},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": about.bucket,
                "ownerIdentity": {"principalId": canonical_id(owner)},
                "arn": bucket_arn(ctx, about.bucket),
            },
            "object": object,
        },
    })
}

fn user_id(ctx: &Ctx) -> String {
    match ctx.caller().account() {
        Some(account) => account.to_string(),
        None => "Anonymous".to_owned(),
    }
}

pub fn deliver() -> TaskKind {
    TaskKind::new(DELIVER, run)
}

async fn run(ctx: Ctx, task: Task) -> Result<Outcome> {
    let payload: Value = serde_json::from_slice(&task.payload)
        .map_err(|error| Error::internal(format!("an event's payload: {error}")))?;
    let bucket = BucketRecord {
        account: payload["account"].as_u64().unwrap_or_default(),
        region: payload["region"].as_str().unwrap_or_default().to_owned(),
        ..BucketRecord::default()
    };
    let name = payload["bucket"].as_str().unwrap_or_default();
    let input = lambda::InvokeInput {
        function_name: payload["function"].as_str().unwrap_or_default().to_owned(),
        invocation_type: Some(lambda::InvocationType::Event),
        payload: Some(Bytes::from(payload["event"].to_string())),
        ..lambda::InvokeInput::default()
    };
    match sender(&ctx, &bucket, name).call::<lambda::Invoke>(input).await {
        Ok(_) => Ok(Outcome::Done),
        // The function is gone, or no longer lets S3 in: nobody waits for this event.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Denied | Kind::Invalid) => {
            Ok(Outcome::Done)
        }
        Err(error) => Err(error),
    }
}
