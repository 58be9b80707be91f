//! CloudFormation's types of CloudWatch Logs.

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Error, Kind, ResourceRequest, ResourceState, ResourceType, Result};

use crate::{access, errors, group, stream};

type Properties = Map<String, Value>;

const LOGS: &str = "logs";

fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).and_then(Value::as_str)
}

fn required<'a>(properties: &'a Properties, name: &str) -> Result<&'a str> {
    text(properties, name)
        .ok_or_else(|| errors::validation(format!("#: required key [{name}] not found")))
}

fn refuse(properties: &Properties, type_name: &str, unserved: &[&str]) -> Result<()> {
    match unserved.iter().find(|name| properties.contains_key(**name)) {
        Some(name) => Err(errors::unsupported(&format!("The property {name} of {type_name}"))),
        None => Ok(()),
    }
}

/// Deleting what is not there has been done.
fn gone_is_fine(outcome: Result<Value>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Templates may write numbers and booleans as texts.
fn scalar(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    }
}

pub fn log_group() -> ResourceType {
    ResourceType::new("AWS::Logs::LogGroup")
        .create_only(&["LogGroupName"])
        .create(create_group)
        .update(update_group)
        .delete(|ctx, request| async move {
            let input = json!({"logGroupName": request.physical_id});
            gone_is_fine(ctx.call_json(LOGS, "DeleteLogGroup", &input).await)
        })
}

const GROUP_UNSERVED: &[&str] = &[
    "BearerTokenAuthenticationEnabled",
    "DataProtectionPolicy",
    "FieldIndexPolicies",
    "ResourcePolicyDocument",
];

/// The tags of the template and those of the stack.
fn tags(request: &ResourceRequest) -> Properties {
    let mut tags: Properties =
        request.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let own = request.properties.get("Tags").and_then(Value::as_array);
    for tag in own.into_iter().flatten() {
        if let (Some(key), Some(value)) = (tag["Key"].as_str(), tag["Value"].as_str()) {
            tags.insert(key.to_owned(), json!(value));
        }
    }
    tags
}

fn group_state(ctx: &Ctx, name: &str) -> ResourceState {
    ResourceState::new(name).attribute("Arn", format!("{}:*", access::group_arn(ctx, name)))
}

async fn create_group(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    refuse(properties, "AWS::Logs::LogGroup", GROUP_UNSERVED)?;
    let name = text(properties, "LogGroupName").unwrap_or(&request.suggested_name);
    let mut input = json!({"logGroupName": name});
    for (property, member) in [("KmsKeyId", "kmsKeyId"), ("LogGroupClass", "logGroupClass")] {
        if let Some(value) = properties.get(property) {
            input[member] = value.clone();
        }
    }
    if let Some(protected) = properties.get("DeletionProtectionEnabled") {
        input["deletionProtectionEnabled"] = scalar(protected);
    }
    let tags = tags(&request);
    if !tags.is_empty() {
        input["tags"] = Value::Object(tags);
    }
    match ctx.call_json(LOGS, "CreateLogGroup", &input).await {
        // A try before this one made it: it carries this stack's own tags.
        Err(error) if error.kind() == Kind::Conflict => adopt(&ctx, name, &request, error).await?,
        outcome => drop(outcome?),
    }
    set_retention(&ctx, name, None, properties.get("RetentionInDays")).await?;
    Ok(group_state(&ctx, name))
}

async fn adopt(ctx: &Ctx, name: &str, request: &ResourceRequest, error: Error) -> Result<()> {
    let found = group::load(ctx, name).await?;
    let tag = |key: &str| found.tags.get(key).map(String::as_str);
    let ours = tag("aws:cloudformation:stack-id") == Some(request.stack_id.as_str())
        && tag("aws:cloudformation:logical-id") == Some(request.logical_id.as_str());
    if ours { Ok(()) } else { Err(error) }
}

async fn set_retention(
    ctx: &Ctx,
    name: &str,
    before: Option<&Value>,
    days: Option<&Value>,
) -> Result<()> {
    if before == days {
        return Ok(());
    }
    match days {
        Some(days) => {
            let input = json!({"logGroupName": name, "retentionInDays": scalar(days)});
            ctx.call_json(LOGS, "PutRetentionPolicy", &input).await?;
        }
        None => {
            let input = json!({"logGroupName": name});
            ctx.call_json(LOGS, "DeleteRetentionPolicy", &input).await?;
        }
    }
    Ok(())
}

async fn update_group(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    refuse(after, "AWS::Logs::LogGroup", GROUP_UNSERVED)?;
    for fixed in ["KmsKeyId", "LogGroupClass"] {
        if before.get(fixed) != after.get(fixed) {
            return Err(errors::unsupported(&format!("Changing {fixed} of a log group")));
        }
    }
    let name = request.physical_id.as_str();
    set_retention(&ctx, name, before.get("RetentionInDays"), after.get("RetentionInDays")).await?;
    let protected = after.get("DeletionProtectionEnabled");
    if before.get("DeletionProtectionEnabled") != protected {
        let protected = protected.map_or(Value::Bool(false), scalar);
        let input = json!({"logGroupIdentifier": name, "deletionProtectionEnabled": protected});
        ctx.call_json(LOGS, "PutLogGroupDeletionProtection", &input).await?;
    }
    let tags = tags(&request);
    let found = group::load(&ctx, name).await?;
    let stale: Vec<&String> = found.tags.keys().filter(|key| !tags.contains_key(*key)).collect();
    let arn = access::group_arn(&ctx, name);
    if !stale.is_empty() {
        let input = json!({"resourceArn": arn, "tagKeys": stale});
        ctx.call_json(LOGS, "UntagResource", &input).await?;
    }
    if !tags.is_empty() {
        let input = json!({"resourceArn": arn, "tags": tags});
        ctx.call_json(LOGS, "TagResource", &input).await?;
    }
    Ok(group_state(&ctx, name))
}

pub fn log_stream() -> ResourceType {
    ResourceType::new("AWS::Logs::LogStream")
        .create(|ctx, request| async move {
            let group = required(&request.properties, "LogGroupName")?;
            let name =
                text(&request.properties, "LogStreamName").unwrap_or(&request.suggested_name);
            ctx.authorise(LOGS, &access::group("logs:CreateLogStream", &ctx, group)).await?;
            stream::make(&ctx, group, name, &request.token).await?;
            Ok(ResourceState::new(name))
        })
        .delete(|ctx, request| async move {
            let group = required(&request.properties, "LogGroupName")?;
            let input = json!({"logGroupName": group, "logStreamName": request.physical_id});
            gone_is_fine(ctx.call_json(LOGS, "DeleteLogStream", &input).await)
        })
}

pub fn subscription_filter() -> ResourceType {
    ResourceType::new("AWS::Logs::SubscriptionFilter")
        .create_only(&["FilterName", "LogGroupName"])
        .create(put_filter)
        .update(put_filter)
        .delete(|ctx, request| async move {
            let group = required(&request.properties, "LogGroupName")?;
            let input = json!({"logGroupName": group, "filterName": request.physical_id});
            gone_is_fine(ctx.call_json(LOGS, "DeleteSubscriptionFilter", &input).await)
        })
}

async fn put_filter(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    let given = text(properties, "FilterName");
    let name = match given {
        Some(name) => name,
        None if request.physical_id.is_empty() => &request.suggested_name,
        None => &request.physical_id,
    };
    let mut input = json!({
        "logGroupName": required(properties, "LogGroupName")?,
        "filterName": name,
        "filterPattern": required(properties, "FilterPattern")?,
        "destinationArn": required(properties, "DestinationArn")?,
    });
    for (property, member) in [
        ("RoleArn", "roleArn"),
        ("Distribution", "distribution"),
        ("ApplyOnTransformedLogs", "applyOnTransformedLogs"),
        ("FieldSelectionCriteria", "fieldSelectionCriteria"),
        ("EmitSystemFields", "emitSystemFields"),
    ] {
        if let Some(value) = properties.get(property) {
            input[member] = if value.is_string() { scalar(value) } else { value.clone() };
        }
    }
    ctx.call_json(LOGS, "PutSubscriptionFilter", &input).await?;
    Ok(ResourceState::new(name))
}

pub fn resource_policy() -> ResourceType {
    ResourceType::new("AWS::Logs::ResourcePolicy")
        .create_only(&["PolicyName"])
        .create(put_policy)
        .update(put_policy)
        .delete(|ctx, request| async move {
            let input = json!({"policyName": request.physical_id});
            gone_is_fine(ctx.call_json(LOGS, "DeleteResourcePolicy", &input).await)
        })
}

async fn put_policy(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let name = required(&request.properties, "PolicyName")?;
    let document = match request.properties.get("PolicyDocument") {
        Some(Value::String(text)) => text.clone(),
        Some(object) => object.to_string(),
        None => String::new(),
    };
    let input = json!({"policyName": name, "policyDocument": document});
    ctx.call_json(LOGS, "PutResourcePolicy", &input).await?;
    Ok(ResourceState::new(name))
}
