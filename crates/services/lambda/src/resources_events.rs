//! CloudFormation's types of events: AWS::Lambda::EventSourceMapping and AWS::Lambda::EventInvokeConfig.

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Error, Kind, ResourceRequest, ResourceState, ResourceType, Result};

use crate::mapping::RESOURCE;
use crate::resources::{gone_is_fine, refuse, retag, tags};

type Properties = Map<String, Value>;

const LAMBDA: &str = "lambda";
const MAPPING: &str = "AWS::Lambda::EventSourceMapping";
const INVOKE_CONFIG: &str = "AWS::Lambda::EventInvokeConfig";

/// What only creation takes.
const MAPPING_CREATE_ONLY: &[&str] =
    &["EventSourceArn", "SelfManagedEventSource", "StartingPosition", "StartingPositionTimestamp"];

/// What can be changed. Those that only other kinds of sources have are refused by the operation.
const MAPPING_SETTINGS: &[&str] = &[
    "AmazonManagedKafkaEventSourceConfig",
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "DocumentDBEventSourceConfig",
    "Enabled",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "LoggingConfig",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
    "TumblingWindowInSeconds",
];

/// What a setting goes back to when a template no longer names it.
fn default_of(setting: &str) -> Option<Value> {
    Some(match setting {
        "BatchSize" => json!(100),
        "BisectBatchOnFunctionError" => json!(false),
        "DestinationConfig" => json!({"OnFailure": {}}),
        "Enabled" => json!(true),
        "FilterCriteria" => json!({"Filters": []}),
        "FunctionResponseTypes" => json!([]),
        "MaximumBatchingWindowInSeconds" | "TumblingWindowInSeconds" => json!(0),
        "MaximumRecordAgeInSeconds" | "MaximumRetryAttempts" => json!(-1),
        "ParallelizationFactor" => json!(1),
        _ => return None,
    })
}

/// A template's parameters are texts, also where a number or a boolean is meant.
fn typed(name: &str, value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    match default_of(name) {
        Some(Value::Number(_)) => text.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        Some(Value::Bool(_)) => text.parse::<bool>().map_or_else(|_| value.clone(), Value::from),
        _ => value.clone(),
    }
}

fn settings(properties: &Properties) -> Properties {
    let of =
        |name: &&str| properties.get(*name).map(|value| (name.to_string(), typed(name, value)));
    let mut found: Properties = MAPPING_SETTINGS.iter().filter_map(of).collect();
    if let Some(key) = found.remove("KmsKeyArn") {
        found.insert("KMSKeyArn".to_owned(), key);
    }
    found
}

fn mapping_state(ctx: &Ctx, uuid: &str) -> ResourceState {
    let arn = ctx.arn(LAMBDA, &format!("{RESOURCE}{uuid}"));
    ResourceState::new(uuid).attribute("Id", uuid).attribute("EventSourceMappingArn", arn)
}

pub fn mapping() -> ResourceType {
    ResourceType::new(MAPPING)
        .create_only(MAPPING_CREATE_ONLY)
        .create(create_mapping)
        .update(update_mapping)
        .delete(|ctx, request| async move {
            let input = json!({"UUID": request.physical_id});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteEventSourceMapping", &input).await)
        })
}

async fn create_mapping(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let mut properties = request.properties.clone();
    let known = [MAPPING_SETTINGS, MAPPING_CREATE_ONLY, &["Tags"]].concat();
    refuse(&mut properties, MAPPING, &known)?;
    let mut input = settings(&request.properties);
    for name in MAPPING_CREATE_ONLY {
        if let Some(value) = request.properties.get(*name) {
            input.insert((*name).to_owned(), value.clone());
        }
    }
    input.insert("Tags".to_owned(), Value::Object(tags(&request)));
    let input = Value::Object(input);
    let uuid = match ctx.call_json(LAMBDA, "CreateEventSourceMapping", &input).await {
        Ok(made) => made["UUID"].as_str().unwrap_or_default().to_owned(),
        // A try before this one made it: it carries this stack's own tags.
        Err(error) if error.kind() == Kind::Conflict => adopt(&ctx, &request, error).await?,
        Err(error) => return Err(error),
    };
    Ok(mapping_state(&ctx, &uuid))
}

async fn adopt(ctx: &Ctx, request: &ResourceRequest, error: Error) -> Result<String> {
    let input = json!({"EventSourceArn": request.properties.get("EventSourceArn")});
    let listed = ctx.call_json(LAMBDA, "ListEventSourceMappings", &input).await?;
    for mapping in listed["EventSourceMappings"].as_array().into_iter().flatten() {
        let input = json!({"Resource": mapping["EventSourceMappingArn"]});
        let tags = ctx.call_json(LAMBDA, "ListTags", &input).await?;
        let tag = |key: &str| tags["Tags"][key].as_str().unwrap_or_default();
        let ours = tag("aws:cloudformation:stack-id") == request.stack_id
            && tag("aws:cloudformation:logical-id") == request.logical_id;
        if ours && let Some(uuid) = mapping["UUID"].as_str() {
            return Ok(uuid.to_owned());
        }
    }
    Err(error)
}

async fn update_mapping(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let mut input = settings(&request.properties);
    for name in MAPPING_SETTINGS {
        let dropped = request.previous.contains_key(*name) && !input.contains_key(*name);
        if let Some(default) = default_of(name).filter(|_| dropped) {
            input.insert((*name).to_owned(), default);
        }
    }
    input.insert("UUID".to_owned(), json!(request.physical_id));
    ctx.call_json(LAMBDA, "UpdateEventSourceMapping", &Value::Object(input)).await?;
    let state = mapping_state(&ctx, &request.physical_id);
    let arn = state.attributes["EventSourceMappingArn"].clone();
    retag(&ctx, &arn, &tags(&request)).await?;
    Ok(state)
}

const INVOKE_CONFIG_PROPERTIES: &[&str] = &[
    "DestinationConfig",
    "FunctionName",
    "MaximumEventAgeInSeconds",
    "MaximumRetryAttempts",
    "Qualifier",
];

/// Named by function and qualifier; every change writes it whole.
pub fn invoke_config() -> ResourceType {
    ResourceType::new(INVOKE_CONFIG)
        .create_only(&["FunctionName", "Qualifier"])
        .create(put_invoke_config)
        .update(put_invoke_config)
        .delete(|ctx, request| async move {
            let (function, qualifier) =
                request.physical_id.rsplit_once('|').unwrap_or((&request.physical_id, "$LATEST"));
            let input = json!({"FunctionName": function, "Qualifier": qualifier});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteFunctionEventInvokeConfig", &input).await)
        })
}

async fn put_invoke_config(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let mut input: Properties = request.properties.clone();
    refuse(&mut input, INVOKE_CONFIG, INVOKE_CONFIG_PROPERTIES)?;
    for name in ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"] {
        if let Some(number) = input.get(name).and_then(Value::as_str).and_then(|t| t.parse().ok()) {
            input.insert(name.to_owned(), Value::Number(number));
        }
    }
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let id = format!("{}|{}", text("FunctionName"), text("Qualifier"));
    ctx.call_json(LAMBDA, "PutFunctionEventInvokeConfig", &Value::Object(input)).await?;
    Ok(ResourceState::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_is_meant() {
        assert_eq!(typed("BatchSize", &json!("10")), json!(10));
        assert_eq!(typed("Enabled", &json!("false")), json!(false));
        assert_eq!(typed("FunctionName", &json!("10")), json!("10"));
        assert_eq!(typed("BatchSize", &json!(5)), json!(5));
    }

    #[test]
    fn everything_with_a_default_can_be_set() {
        let known = MAPPING_SETTINGS.iter().filter(|name| default_of(name).is_some());
        assert_eq!(known.count(), 11);
    }
}
