//! Subscription filters: what comes in is passed on to functions.
//! https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html

use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sereno_api_lambda as lambda;
use sereno_api_logs as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Error, Kind, Outcome, Result, Task, TaskKind, task};
use sereno_store::{Record, Txn, record, transact};

use crate::event::Batch;
use crate::pattern::Pattern;
use crate::state::{FILTERS, FilterRecord, GROUPS, Place};
use crate::{access, errors, group, token};

const FILTERS_MAX: usize = 2;
const PAGE: usize = 50;
const DELIVER: &str = "logs.deliver";
/// What one invocation carries, before compression: what does not compress must still fit.
const MESSAGE_BYTES: usize = 160 * 1024;
/// AWS tries for a day.
const DELIVERY_AGE_MAX_MS: i64 = 24 * 3_600_000;

record! {
    /// Events on their way to a function.
    struct Delivery {
        1 => destination_arn: String,
        2 => group_arn: String,
        // Compressed.
        3 => data: Bytes,
    }
}

pub async fn put(
    ctx: Ctx,
    input: api::PutSubscriptionFilterInput,
) -> Result<api::PutSubscriptionFilterOutput> {
    refuse_unserved(&input)?;
    Pattern::parse(&input.filter_pattern).map_err(|_| errors::bad_pattern())?;
    let group_name = input.log_group_name.as_str();
    let function = destination(&ctx, &input)?;
    let name = function.resource.split(':').nth(1).unwrap_or_default();
    if group_name == format!("/aws/lambda/{name}") {
        return Err(errors::own_function());
    }
    group::load(&ctx, group_name).await?;
    try_out(&ctx, &input).await?;
    let created_ms = ctx.now().millis();
    transact!(ctx.store(), Error, |txn| {
        let group = GROUPS.get(txn, ctx.scope(), group_name).await?.ok_or_else(errors::no_group)?;
        let key = (group.number, input.filter_name.as_str());
        let others = FILTERS.list(ctx.scope(), (group.number,)).read(txn).await?;
        let before = others.iter().find(|(_, filter)| filter.name == input.filter_name);
        if before.is_none() && others.len() >= FILTERS_MAX {
            return Err(errors::limit_exceeded());
        }
        let distribution = input.distribution.as_ref().unwrap_or(&api::Distribution::ByLogStream);
        let record = FilterRecord {
            name: input.filter_name.clone(),
            pattern: input.filter_pattern.clone(),
            destination_arn: input.destination_arn.clone(),
            distribution: distribution.as_str().to_owned(),
            created_ms: before.map_or(created_ms, |(_, filter)| filter.created_ms),
        };
        FILTERS.put(txn, ctx.scope(), &key, &record);
        api::PutSubscriptionFilterOutput::default()
    })
}

fn refuse_unserved(input: &api::PutSubscriptionFilterInput) -> Result<()> {
    if input.apply_on_transformed_logs == Some(true) {
        return Err(errors::unsupported("Transforming log events"));
    }
    if input.field_selection_criteria.is_some() || input.emit_system_fields.is_some() {
        return Err(errors::unsupported("Selecting events of a subscription by system fields"));
    }
    Ok(())
}

/// The function that is to be invoked: one of this account.
fn destination(ctx: &Ctx, input: &api::PutSubscriptionFilterInput) -> Result<Arn> {
    let arn = Arn::parse(&input.destination_arn)
        .ok_or_else(|| errors::invalid("Invalid destinationArn"))?;
    match (arn.service.as_str(), &input.role_arn) {
        ("lambda", Some(_)) => Err(errors::lambda_with_role()),
        ("lambda", None) if arn.account_id() != Some(ctx.account()) => {
            Err(errors::foreign_function())
        }
        ("lambda", None) => Ok(arn),
        ("kinesis" | "firehose", None) => Err(errors::no_role_for(&arn.service)),
        (service, _) => Err(errors::unsupported(&format!("A subscription to {service}"))),
    }
}

/// Whether the function is there and lets CloudWatch Logs invoke it.
async fn try_out(ctx: &Ctx, input: &api::PutSubscriptionFilterInput) -> Result<()> {
    let group_arn = access::group_arn(ctx, &input.log_group_name);
    let dry = lambda::InvokeInput {
        function_name: input.destination_arn.clone(),
        invocation_type: Some(lambda::InvocationType::DryRun),
        ..Default::default()
    };
    match invoke(ctx, &group_arn, dry).await {
        Err(error) if matches!(error.kind(), Kind::Denied | Kind::NotFound) => {
            Err(errors::cannot_invoke())
        }
        outcome => outcome,
    }
}

/// Invokes a function as CloudWatch Logs, which has two names: permissions name either.
async fn invoke(ctx: &Ctx, group_arn: &str, input: lambda::InvokeInput) -> Result<()> {
    let source = format!("{group_arn}:*");
    let names =
        [format!("logs.{}.amazonaws.com", ctx.region().as_str()), "logs.amazonaws.com".to_owned()];
    let mut outcome = Ok(());
    for name in names {
        let service = ctx.as_service(&name, Some(&source));
        outcome = service.call::<lambda::Invoke>(input.clone()).await.map(|_| ());
        if !outcome.as_ref().is_err_and(|error| error.kind() == Kind::Denied) {
            break;
        }
    }
    outcome
}

/// Leaves the delivery of a batch to be done, in the commit that writes it.
pub async fn owe(ctx: &Ctx, txn: &mut Txn, batch: &Batch<'_>) -> Result<()> {
    let filters = FILTERS.list(ctx.scope(), (batch.group.number,)).read(txn).await?;
    for (_, filter) in filters {
        let Ok(pattern) = Pattern::parse(&filter.pattern) else { continue };
        for message in messages(ctx, batch, &filter, &pattern) {
            let delivery = Delivery {
                destination_arn: filter.destination_arn.clone(),
                group_arn: access::group_arn(ctx, &batch.group.name),
                data: compress(&message)?,
            };
            task::schedule(ctx, txn, DELIVER, ctx.now(), delivery.to_bytes());
        }
    }
    Ok(())
}

/// What the function is to see: the events that match, in pieces that it can take.
fn messages(ctx: &Ctx, batch: &Batch<'_>, filter: &FilterRecord, pattern: &Pattern) -> Vec<Value> {
    let (mut messages, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
    let matching = batch.placed().filter(|(_, event)| pattern.matches(&event.message));
    for (place, event) in matching {
        if bytes + event.message.len() > MESSAGE_BYTES && !events.is_empty() {
            messages.push(data_message(ctx, batch, filter, std::mem::take(&mut events)));
            bytes = 0;
        }
        bytes += event.message.len();
        events.push(log_event(batch, place, event, pattern));
    }
    if !events.is_empty() {
        messages.push(data_message(ctx, batch, filter, events));
    }
    messages
}

fn log_event(
    batch: &Batch<'_>,
    place: Place,
    event: &api::InputLogEvent,
    pattern: &Pattern,
) -> Value {
    let mut shown = json!({
        "id": token::event_id(place, batch.stream.number),
        "timestamp": event.timestamp,
        "message": event.message,
    });
    // Only fields between spaces are taken apart.
    if let Pattern::Fields(fields) = pattern {
        shown["extractedFields"] = json!(fields.extract(&event.message));
    }
    shown
}

fn data_message(ctx: &Ctx, batch: &Batch<'_>, filter: &FilterRecord, events: Vec<Value>) -> Value {
    json!({
        "messageType": "DATA_MESSAGE",
        "owner": ctx.account().to_string(),
        "logGroup": batch.group.name,
        "logStream": batch.stream.name,
        "subscriptionFilters": [filter.name],
        "logEvents": events,
    })
}

fn compress(message: &Value) -> Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(message.to_string().as_bytes()).and_then(|()| encoder.finish());
    written.map(Bytes::from).map_err(|error| Error::internal(format!("gzip: {error}")))
}

/// Carries events to their function, again and again for a day.
pub fn deliver_task() -> TaskKind {
    TaskKind::new(DELIVER, |ctx: Ctx, task: Task| async move {
        let delivery = Delivery::decode(&task.payload)?;
        let payload = json!({"awslogs": {"data": STANDARD.encode(&delivery.data)}});
        let input = lambda::InvokeInput {
            function_name: delivery.destination_arn,
            invocation_type: Some(lambda::InvocationType::Event),
            payload: Some(payload.to_string().into()),
            ..Default::default()
        };
        let young = ctx.now().millis() - task.created.millis() < DELIVERY_AGE_MAX_MS;
        match invoke(&ctx, &delivery.group_arn, input).await {
            Err(error) if young && may_pass(error.kind()) => Err(error),
            // Delivered, or the function is gone or no longer lets us.
            _ => Ok(Outcome::Done),
        }
    })
}

fn may_pass(kind: Kind) -> bool {
    matches!(kind, Kind::Throttled | Kind::Unavailable | Kind::Internal | Kind::Conflict)
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeSubscriptionFiltersInput,
) -> Result<api::DescribeSubscriptionFiltersOutput> {
    let group = group::load(&ctx, &input.log_group_name).await?;
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let mut list = FILTERS.list(ctx.scope(), (group.number,)).limit(limit + 1);
    if let Some(prefix) = &input.filter_name_prefix {
        list = list.starting_with(prefix);
    }
    if let Some(next) = &input.next_token {
        let [last] = token::parse_texts::<1>('f', next)?;
        list = list.after(&(group.number, last.as_str()));
    }
    let mut found = list.read(ctx.store()).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_token = last.map(|(_, filter)| token::texts('f', &[&filter.name]));
    let shown = |(_, filter): (_, FilterRecord)| api::SubscriptionFilter {
        filter_name: Some(filter.name),
        log_group_name: Some(group.name.clone()),
        filter_pattern: Some(filter.pattern),
        destination_arn: Some(filter.destination_arn),
        distribution: Some(filter.distribution.as_str().into()),
        apply_on_transformed_logs: Some(false),
        creation_time: Some(filter.created_ms),
        ..Default::default()
    };
    let subscription_filters = Some(found.into_iter().map(shown).collect());
    Ok(api::DescribeSubscriptionFiltersOutput { subscription_filters, next_token })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteSubscriptionFilterInput,
) -> Result<api::DeleteSubscriptionFilterOutput> {
    transact!(ctx.store(), Error, |txn| {
        let group = GROUPS.get(txn, ctx.scope(), &*input.log_group_name).await?;
        let key = (group.ok_or_else(errors::no_group)?.number, &*input.filter_name);
        if FILTERS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::no_filter());
        }
        FILTERS.delete(txn, ctx.scope(), &key);
        api::DeleteSubscriptionFilterOutput::default()
    })
}
