//! CloudFormation's types beside the function: URLs, layers, who may use them, code signing.

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Error, Kind, ResourceRequest, ResourceState, ResourceType, Result};

use crate::errors;
use crate::resources::{gone_is_fine, refuse};

const LAMBDA: &str = "lambda";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const URL: &str = "AWS::Lambda::Url";
const URL_PROPERTIES: &[&str] =
    &["AuthType", "Cors", "InvokeMode", "Qualifier", "TargetFunctionArn"];

fn url_input(properties: &Map<String, Value>) -> Result<Value> {
    let mut input = properties.clone();
    refuse(&mut input, URL, URL_PROPERTIES)?;
    let target = input.remove("TargetFunctionArn").unwrap_or_default();
    input.insert("FunctionName".to_owned(), target);
    Ok(Value::Object(input))
}

fn url_state(made: &Value) -> ResourceState {
    ResourceState::new(text(&made["FunctionArn"]))
        .attribute("FunctionArn", made["FunctionArn"].clone())
        .attribute("FunctionUrl", made["FunctionUrl"].clone())
}

pub fn url() -> ResourceType {
    ResourceType::new(URL)
        .create_only(&["Qualifier", "TargetFunctionArn"])
        .create(|ctx, request| async move {
            let input = url_input(&request.properties)?;
            match ctx.call_json(LAMBDA, "CreateFunctionUrlConfig", &input).await {
                Ok(made) => Ok(url_state(&made)),
                // Made by a try before this one: it has no tags to tell whose it is, only its content.
                Err(error) if error.kind() == Kind::Conflict => {
                    adopt_url(&ctx, &input, error).await
                }
                Err(error) => Err(error),
            }
        })
        .update(|ctx, request| async move {
            let mut input = url_input(&request.properties)?;
            if request.previous.contains_key("Cors") && input.get("Cors").is_none() {
                input["Cors"] = json!({});
            }
            if request.previous.contains_key("InvokeMode") && input.get("InvokeMode").is_none() {
                input["InvokeMode"] = json!(crate::url::BUFFERED);
            }
            let made = ctx.call_json(LAMBDA, "UpdateFunctionUrlConfig", &input).await?;
            Ok(url_state(&made))
        })
        .delete(|ctx, request| async move {
            let mut input = json!({"FunctionName": request.properties.get("TargetFunctionArn")});
            if let Some(qualifier) = request.properties.get("Qualifier") {
                input["Qualifier"] = qualifier.clone();
            }
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteFunctionUrlConfig", &input).await)
        })
}

async fn adopt_url(ctx: &Ctx, input: &Value, error: Error) -> Result<ResourceState> {
    let found = ctx.call_json(LAMBDA, "GetFunctionUrlConfig", input).await?;
    let same = found["AuthType"] == input["AuthType"] && found["Cors"] == input["Cors"];
    if same { Ok(url_state(&found)) } else { Err(error) }
}

const LAYER_VERSION: &str = "AWS::Lambda::LayerVersion";
const LAYER_VERSION_PROPERTIES: &[&str] = &[
    "CompatibleArchitectures",
    "CompatibleRuntimes",
    "Content",
    "Description",
    "LayerName",
    "LicenseInfo",
];

pub fn layer_version() -> ResourceType {
    // Without an update every change publishes a new version.
    ResourceType::new(LAYER_VERSION)
        .create_only(LAYER_VERSION_PROPERTIES)
        .create(|ctx, request| async move {
            let mut input = request.properties.clone();
            refuse(&mut input, LAYER_VERSION, LAYER_VERSION_PROPERTIES)?;
            let name = || json!(request.suggested_name);
            input.entry("LayerName").or_insert_with(name);
            let made = ctx.call_json(LAMBDA, "PublishLayerVersion", &Value::Object(input)).await?;
            let arn = made["LayerVersionArn"].clone();
            Ok(ResourceState::new(text(&arn)).attribute("LayerVersionArn", arn))
        })
        .delete(|ctx, request| async move {
            let (layer, version) = split_version(&request.physical_id)?;
            let input = json!({"LayerName": layer, "VersionNumber": version});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteLayerVersion", &input).await)
        })
}

/// `arn:...:layer:name` and the version's number.
fn split_version(arn: &str) -> Result<(&str, i64)> {
    let parts = arn.rsplit_once(':').and_then(|(layer, n)| Some((layer, n.parse().ok()?)));
    parts.ok_or_else(|| errors::no_layer_version(arn))
}

const LAYER_PERMISSION: &str = "AWS::Lambda::LayerVersionPermission";
const LAYER_PERMISSION_PROPERTIES: &[&str] =
    &["Action", "LayerVersionArn", "OrganizationId", "Principal"];

pub fn layer_permission() -> ResourceType {
    ResourceType::new(LAYER_PERMISSION)
        .create_only(LAYER_PERMISSION_PROPERTIES)
        .create(add_layer_permission)
        .delete(|ctx, request| async move {
            let Some((arn, statement)) = request.physical_id.rsplit_once('#') else {
                return Ok(());
            };
            let (layer, version) = split_version(arn)?;
            let input =
                json!({"LayerName": layer, "VersionNumber": version, "StatementId": statement});
            gone_is_fine(ctx.call_json(LAMBDA, "RemoveLayerVersionPermission", &input).await)
        })
}

async fn add_layer_permission(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let mut input = request.properties.clone();
    refuse(&mut input, LAYER_PERMISSION, LAYER_PERMISSION_PROPERTIES)?;
    let arn = text(&input.remove("LayerVersionArn").unwrap_or_default());
    let (layer, version) = split_version(&arn)?;
    let statement = request.suggested_name;
    input.insert("LayerName".to_owned(), json!(layer));
    input.insert("VersionNumber".to_owned(), json!(version));
    input.insert("StatementId".to_owned(), json!(statement));
    let added = ctx.call_json(LAMBDA, "AddLayerVersionPermission", &Value::Object(input)).await;
    match added {
        // The id is this resource's own, so a statement that is there already is too.
        Err(error) if error.kind() != Kind::Conflict => Err(error),
        _ => {
            let id = format!("{arn}#{statement}");
            Ok(ResourceState::new(id.clone()).attribute("Id", id))
        }
    }
}

const CODE_SIGNING: &str = "AWS::Lambda::CodeSigningConfig";
const CODE_SIGNING_PROPERTIES: &[&str] =
    &["AllowedPublishers", "CodeSigningPolicies", "Description", "Tags"];

fn code_signing_state(made: &Value) -> ResourceState {
    let made = &made["CodeSigningConfig"];
    ResourceState::new(text(&made["CodeSigningConfigArn"]))
        .attribute("CodeSigningConfigArn", made["CodeSigningConfigArn"].clone())
        .attribute("CodeSigningConfigId", made["CodeSigningConfigId"].clone())
}

pub fn code_signing_config() -> ResourceType {
    ResourceType::new(CODE_SIGNING)
        .create(|ctx, request| async move {
            let mut input = request.properties.clone();
            refuse(&mut input, CODE_SIGNING, CODE_SIGNING_PROPERTIES)?;
            let tags = crate::resources::tags(&request);
            if !tags.is_empty() {
                input.insert("Tags".to_owned(), Value::Object(tags));
            }
            let input = Value::Object(input);
            let made = ctx.call_json(LAMBDA, "CreateCodeSigningConfig", &input).await?;
            Ok(code_signing_state(&made))
        })
        .update(|ctx, request| async move {
            let mut input = request.properties.clone();
            refuse(&mut input, CODE_SIGNING, CODE_SIGNING_PROPERTIES)?;
            input.remove("Tags");
            input.insert("CodeSigningConfigArn".to_owned(), json!(request.physical_id));
            let input = Value::Object(input);
            let made = ctx.call_json(LAMBDA, "UpdateCodeSigningConfig", &input).await?;
            let tags = crate::resources::tags(&request);
            crate::resources::retag(&ctx, &json!(request.physical_id), &tags).await?;
            Ok(code_signing_state(&made))
        })
        .delete(|ctx, request| async move {
            let input = json!({"CodeSigningConfigArn": request.physical_id});
            gone_is_fine(ctx.call_json(LAMBDA, "DeleteCodeSigningConfig", &input).await)
        })
}
