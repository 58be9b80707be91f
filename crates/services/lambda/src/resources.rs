//! CloudFormation's types of Lambda, made by Lambda's own operations.

use std::io::{Cursor, Write};

use serde_json::{Map, Value, json};
use sereno_base::base64_encode;
use sereno_kernel::{Ctx, Error, Kind, ResourceRequest, ResourceState, ResourceType, Result};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::errors;

type Properties = Map<String, Value>;

const LAMBDA: &str = "lambda";

pub fn function() -> ResourceType {
    ResourceType::new("AWS::Lambda::Function")
        .create_only(&["FunctionName", "PackageType"])
        .create(create_function)
        .update(update_function)
        .delete(|ctx, request| async move {
            let input = json!({"FunctionName": request.physical_id});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteFunction", &input).await)
        })
}

/// Deleting what is not there has been done.
pub fn gone_is_fine(outcome: Result<Value>) -> Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// What CreateFunction and UpdateFunctionConfiguration take under the same name.
const SETTINGS: &[&str] = &[
    "DeadLetterConfig",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

/// What a setting goes back to when a template no longer names it.
fn default_of(setting: &str) -> Option<Value> {
    Some(match setting {
        "DeadLetterConfig" => json!({"TargetArn": ""}),
        "Description" => json!(""),
        "Environment" => json!({"Variables": {}}),
        "EphemeralStorage" => json!({"Size": 512}),
        "MemorySize" => json!(128),
        "SnapStart" => json!({"ApplyOn": "None"}),
        "Timeout" => json!(3),
        "TracingConfig" => json!({"Mode": "PassThrough"}),
        "VpcConfig" => json!({"SubnetIds": [], "SecurityGroupIds": []}),
        _ => return None,
    })
}

async fn create_function(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let name = match request.properties.get("FunctionName").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => request.suggested_name.clone(),
    };
    let mut input = settings(&request.properties)?;
    input.insert("FunctionName".to_owned(), json!(name));
    input.insert("Code".to_owned(), code(&request.properties)?);
    for property in ["Architectures", "CodeSigningConfigArn", "KmsKeyArn", "PackageType"] {
        if let Some(value) = request.properties.get(property) {
            input.insert(property.replace("Kms", "KMS"), value.clone());
        }
    }
    let tags = tags(&request);
    if !tags.is_empty() {
        input.insert("Tags".to_owned(), Value::Object(tags));
    }
    let created = match ctx.call_json(LAMBDA, "CreateFunction", &Value::Object(input)).await {
        Ok(created) => created,
        // A try before this one made it: it carries this stack's own tags.
        Err(error) if error.kind() == Kind::Conflict => adopt(&ctx, &name, &request, error).await?,
        Err(error) => return Err(error),
    };
    set_concurrency(&ctx, &name, &request).await?;
    set_beside(&ctx, &name, &request).await?;
    Ok(function_state(&name, &created))
}

async fn adopt(ctx: &Ctx, name: &str, request: &ResourceRequest, error: Error) -> Result<Value> {
    let found = ctx.call_json(LAMBDA, "GetFunction", &json!({"FunctionName": name})).await?;
    let tag = |key: &str| found["Tags"][key].as_str().unwrap_or_default().to_owned();
    let ours = tag("aws:cloudformation:stack-id") == request.stack_id
        && tag("aws:cloudformation:logical-id") == request.logical_id;
    if ours { Ok(found["Configuration"].clone()) } else { Err(error) }
}

fn function_state(name: &str, configuration: &Value) -> ResourceState {
    ResourceState::new(name)
        .attribute("Arn", configuration["FunctionArn"].clone())
        .attribute("SnapStartResponse", json!({"ApplyOn": "None", "OptimizationStatus": "Off"}))
}

async fn update_function(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let name = request.physical_id.clone();
    let changed = |names: &[&str]| {
        names.iter().any(|name| request.previous.get(*name) != request.properties.get(*name))
    };
    if changed(&["Code", "Architectures"]) {
        let Value::Object(mut input) = code(&request.properties)? else {
            return Err(errors::no_code());
        };
        input.insert("FunctionName".to_owned(), json!(name));
        if let Some(architectures) = request.properties.get("Architectures") {
            input.insert("Architectures".to_owned(), architectures.clone());
        }
        ctx.call_json(LAMBDA, "UpdateFunctionCode", &Value::Object(input)).await?;
    }
    if changed(SETTINGS) {
        let mut input = settings(&request.properties)?;
        for setting in SETTINGS {
            if request.previous.contains_key(*setting)
                && !input.contains_key(*setting)
                && let Some(default) = default_of(setting)
            {
                input.insert((*setting).to_owned(), default);
            }
        }
        input.insert("FunctionName".to_owned(), json!(name));
        let input = Value::Object(input);
        ctx.call_json(LAMBDA, "UpdateFunctionConfiguration", &input).await?;
    }
    if changed(&["ReservedConcurrentExecutions"]) {
        set_concurrency(&ctx, &name, &request).await?;
    }
    if changed(&["CodeSigningConfigArn", "RecursiveLoop", "RuntimeManagementConfig"]) {
        set_beside(&ctx, &name, &request).await?;
    }
    let input = json!({"FunctionName": name});
    let found = ctx.call_json(LAMBDA, "GetFunction", &input).await?;
    let arn = found["Configuration"]["FunctionArn"].clone();
    retag(&ctx, &arn, &tags(&request)).await?;
    Ok(function_state(&name, &found["Configuration"]))
}

/// What has operations of its own: code signing, recursion, the runtime's updates. What the template no longer names
/// goes back to its default.
async fn set_beside(ctx: &Ctx, name: &str, request: &ResourceRequest) -> Result<()> {
    let wanted = |property: &str| request.properties.get(property);
    let had = |property: &str| request.previous.contains_key(property);
    let mut input = json!({"FunctionName": name});
    if let Some(arn) = wanted("CodeSigningConfigArn") {
        input["CodeSigningConfigArn"] = arn.clone();
        ctx.call_json(LAMBDA, "PutFunctionCodeSigningConfig", &input).await?;
    } else if had("CodeSigningConfigArn") {
        ctx.call_json(LAMBDA, "DeleteFunctionCodeSigningConfig", &input).await?;
    }
    if wanted("RecursiveLoop").is_some() || had("RecursiveLoop") {
        let mode = wanted("RecursiveLoop").cloned().unwrap_or_else(|| json!("Terminate"));
        let input = json!({"FunctionName": name, "RecursiveLoop": mode});
        ctx.call_json(LAMBDA, "PutFunctionRecursionConfig", &input).await?;
    }
    if wanted("RuntimeManagementConfig").is_some() || had("RuntimeManagementConfig") {
        let config = wanted("RuntimeManagementConfig").cloned();
        set_runtime_policy(ctx, name, config.unwrap_or_else(|| json!({"UpdateRuntimeOn": "Auto"})))
            .await?;
    }
    Ok(())
}

async fn set_runtime_policy(ctx: &Ctx, function: &str, mut config: Value) -> Result<()> {
    config["FunctionName"] = json!(function);
    ctx.call_json(LAMBDA, "PutRuntimeManagementConfig", &config).await.map(drop)
}

/// Sets or takes back what a version or alias keeps ready.
async fn set_provisioned(ctx: &Ctx, arn: &str, request: &ResourceRequest) -> Result<()> {
    let wanted = request.properties.get("ProvisionedConcurrencyConfig");
    if wanted == request.previous.get("ProvisionedConcurrencyConfig") {
        return Ok(());
    }
    let (function, qualifier) = arn.rsplit_once(':').unwrap_or((arn, ""));
    let mut input = json!({"FunctionName": function, "Qualifier": qualifier});
    let Some(wanted) = wanted else {
        let deleted = ctx.call_json(LAMBDA, "DeleteProvisionedConcurrencyConfig", &input).await;
        return gone_is_fine(deleted);
    };
    const COUNT: &str = "ProvisionedConcurrentExecutions";
    input[COUNT] = wanted[COUNT].clone();
    ctx.call_json(LAMBDA, "PutProvisionedConcurrencyConfig", &input).await.map(drop)
}

/// Makes the tags of a resource exactly `wanted`.
pub async fn retag(ctx: &Ctx, arn: &Value, wanted: &Properties) -> Result<()> {
    let found = ctx.call_json(LAMBDA, "ListTags", &json!({"Resource": arn})).await?;
    let known = found["Tags"].as_object().into_iter().flatten();
    let stale: Vec<&String> =
        known.map(|(key, _)| key).filter(|key| !wanted.contains_key(*key)).collect();
    if !stale.is_empty() {
        let input = json!({"Resource": arn, "TagKeys": stale});
        ctx.call_json(LAMBDA, "UntagResource", &input).await?;
    }
    if !wanted.is_empty() {
        let input = json!({"Resource": arn, "Tags": wanted});
        ctx.call_json(LAMBDA, "TagResource", &input).await?;
    }
    Ok(())
}

async fn set_concurrency(ctx: &Ctx, name: &str, request: &ResourceRequest) -> Result<()> {
    let wanted = request.properties.get("ReservedConcurrentExecutions");
    let had = request.previous.contains_key("ReservedConcurrentExecutions");
    match wanted {
        Some(wanted) => {
            let input = json!({"FunctionName": name, "ReservedConcurrentExecutions": wanted});
            ctx.call_json(LAMBDA, "PutFunctionConcurrency", &input).await.map(|_| ())
        }
        None if had => {
            let input = json!({"FunctionName": name});
            ctx.call_json(LAMBDA, "DeleteFunctionConcurrency", &input).await.map(|_| ())
        }
        None => Ok(()),
    }
}

/// The settings among the properties; a property that nothing here knows is refused.
fn settings(properties: &Properties) -> Result<Properties> {
    const OTHERS: &[&str] = &[
        "Architectures",
        "Code",
        "CodeSigningConfigArn",
        "FunctionName",
        "KmsKeyArn",
        "PackageType",
        "RecursiveLoop",
        "ReservedConcurrentExecutions",
        "RuntimeManagementConfig",
        "Tags",
    ];
    let mut found = Map::new();
    for (name, value) in properties {
        if SETTINGS.contains(&name.as_str()) {
            found.insert(name.clone(), value.clone());
        } else if !OTHERS.contains(&name.as_str()) {
            return Err(errors::unsupported_property("AWS::Lambda::Function", name));
        }
    }
    Ok(found)
}

/// The template's tags and the stack's own.
pub fn tags(request: &ResourceRequest) -> Properties {
    let own = request.tags.iter().map(|(key, value)| (key.clone(), json!(value)));
    let mut tags: Properties = own.collect();
    for tag in request.properties.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        if let Some(key) = tag["Key"].as_str() {
            tags.insert(key.to_owned(), tag["Value"].clone());
        }
    }
    tags
}

/// Code given in the template itself becomes a package with one file.
fn code(properties: &Properties) -> Result<Value> {
    let mut code = properties.get("Code").cloned().unwrap_or_default();
    if let Some(source) = code.get("ZipFile").and_then(Value::as_str) {
        let runtime = properties.get("Runtime").and_then(Value::as_str).unwrap_or_default();
        let file = if runtime.starts_with("python") { "index.py" } else { "index.js" };
        let failed = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(file, SimpleFileOptions::default()).map_err(|error| failed(&error))?;
        zip.write_all(source.as_bytes()).map_err(|error| failed(&error))?;
        let bytes = zip.finish().map_err(|error| failed(&error))?.into_inner();
        code["ZipFile"] = json!(base64_encode(&bytes));
    }
    Ok(code)
}

const VERSION: &str = "AWS::Lambda::Version";
const VERSION_PROPERTIES: &[&str] = &["CodeSha256", "Description", "FunctionName"];
const PROVISIONED: &str = "ProvisionedConcurrencyConfig";

fn version_state(made: &Value) -> ResourceState {
    let arn = made["FunctionArn"].as_str().unwrap_or_default();
    ResourceState::new(arn)
        .attribute("Version", made["Version"].clone())
        .attribute("FunctionArn", arn)
}

pub fn version() -> ResourceType {
    ResourceType::new(VERSION)
        .create_only(VERSION_PROPERTIES)
        .create(|ctx, request| async move {
            let mut input = request.properties.clone();
            input.remove(PROVISIONED);
            let policy = input.remove("RuntimePolicy");
            refuse(&mut input, VERSION, VERSION_PROPERTIES)?;
            let made = ctx.call_json(LAMBDA, "PublishVersion", &Value::Object(input)).await?;
            let arn = made["FunctionArn"].as_str().unwrap_or_default();
            if let Some(policy) = policy {
                set_runtime_policy(&ctx, arn, policy).await?;
            }
            set_provisioned(&ctx, arn, &request).await?;
            Ok(version_state(&made))
        })
        .update(|ctx, request| async move {
            let arn = request.physical_id.clone();
            let policy = request.properties.get("RuntimePolicy").cloned();
            if policy.as_ref() != request.previous.get("RuntimePolicy") {
                let auto = || json!({"UpdateRuntimeOn": "Auto"});
                set_runtime_policy(&ctx, &arn, policy.unwrap_or_else(auto)).await?;
            }
            set_provisioned(&ctx, &arn, &request).await?;
            let input = json!({"FunctionName": arn});
            let found = ctx.call_json(LAMBDA, "GetFunctionConfiguration", &input).await?;
            Ok(version_state(&found))
        })
        .delete(|ctx, request| async move {
            let input = json!({"FunctionName": request.physical_id});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteFunction", &input).await)
        })
}

pub fn refuse(properties: &mut Properties, kind: &str, known: &[&str]) -> Result<()> {
    match properties.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(errors::unsupported_property(kind, name)),
        None => Ok(()),
    }
}

const ALIAS_PROPERTIES: &[&str] =
    &["Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig"];

/// CloudFormation lists the weights; the API maps them.
fn alias_input(properties: &Properties) -> Result<Value> {
    let mut input = properties.clone();
    input.remove(PROVISIONED);
    refuse(&mut input, "AWS::Lambda::Alias", ALIAS_PROPERTIES)?;
    let mut weights = Map::new();
    let listed = properties.get("RoutingConfig").map(|config| &config["AdditionalVersionWeights"]);
    for entry in listed.and_then(Value::as_array).into_iter().flatten() {
        let version = entry["FunctionVersion"].as_str().unwrap_or_default();
        weights.insert(version.to_owned(), entry["FunctionWeight"].clone());
    }
    input.insert("RoutingConfig".to_owned(), json!({"AdditionalVersionWeights": weights}));
    Ok(Value::Object(input))
}

fn alias_state(made: &Value) -> ResourceState {
    let arn = made["AliasArn"].as_str().unwrap_or_default();
    ResourceState::new(arn).attribute("AliasArn", arn)
}

pub fn alias() -> ResourceType {
    ResourceType::new("AWS::Lambda::Alias")
        .create_only(&["FunctionName", "Name"])
        .create(|ctx, request| async move {
            let input = alias_input(&request.properties)?;
            let made = match ctx.call_json(LAMBDA, "CreateAlias", &input).await {
                Ok(made) => made,
                // Made by a try before this one: an alias has no tags to tell whose it is, only its content.
                Err(error) if error.kind() == Kind::Conflict => {
                    let found = ctx.call_json(LAMBDA, "GetAlias", &input).await?;
                    if found["FunctionVersion"] != input["FunctionVersion"] {
                        return Err(error);
                    }
                    found
                }
                Err(error) => return Err(error),
            };
            let state = alias_state(&made);
            set_provisioned(&ctx, &state.physical_id, &request).await?;
            Ok(state)
        })
        .update(|ctx, request| async move {
            let input = alias_input(&request.properties)?;
            let state = alias_state(&ctx.call_json(LAMBDA, "UpdateAlias", &input).await?);
            set_provisioned(&ctx, &state.physical_id, &request).await?;
            Ok(state)
        })
        .delete(|ctx, request| async move {
            let input = json!({
                "FunctionName": request.properties.get("FunctionName"),
                "Name": request.properties.get("Name"),
            });
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteAlias", &input).await)
        })
}

const PERMISSION_PROPERTIES: &[&str] = &[
    "Action",
    "EventSourceToken",
    "FunctionName",
    "FunctionUrlAuthType",
    "InvokedViaFunctionUrl",
    "Principal",
    "PrincipalOrgID",
    "SourceAccount",
    "SourceArn",
];

pub fn permission() -> ResourceType {
    ResourceType::new("AWS::Lambda::Permission")
        .create(|ctx, request| async move {
            let mut input = request.properties.clone();
            refuse(&mut input, "AWS::Lambda::Permission", PERMISSION_PROPERTIES)?;
            let id = request.suggested_name.clone();
            input.insert("StatementId".to_owned(), json!(id));
            match ctx.call_json(LAMBDA, "AddPermission", &Value::Object(input)).await {
                Ok(_) => Ok(ResourceState::new(id.clone()).attribute("Id", id)),
                // The id is this resource's own, so the statement is too.
                Err(error) if error.kind() == Kind::Conflict => {
                    Ok(ResourceState::new(id.clone()).attribute("Id", id))
                }
                Err(error) => Err(error),
            }
        })
        .delete(|ctx, request| async move {
            let input = json!({
                "FunctionName": request.properties.get("FunctionName"),
                "StatementId": request.physical_id,
            });
            gone_is_fine(ctx.call_json(LAMBDA, "RemovePermission", &input).await)
        })
}
