//! `AWS::ApiGateway::RestApi`: by itself, or from a definition in the template or in S3.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sereno_api_apigateway as api;
use sereno_api_s3 as s3;
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::{
    Form, Properties, Property, call, changed, gone_is_fine, input, is_ours, replace, tags, text,
};
use crate::errors::bad_request;

const KIND: &str = "AWS::ApiGateway::RestApi";
const DEFINITION_BYTES_MAX: usize = 6 << 20;

const PROPERTIES: &[Property] = &[
    ("ApiKeySourceType", "apiKeySource", Form::Plain),
    ("BinaryMediaTypes", "binaryMediaTypes", Form::Plain),
    ("CloneFrom", "cloneFrom", Form::Plain),
    ("Description", "description", Form::Plain),
    ("DisableExecuteApiEndpoint", "disableExecuteApiEndpoint", Form::Plain),
    ("EndpointConfiguration", "endpointConfiguration", Form::Structure),
    ("MinimumCompressionSize", "minimumCompressionSize", Form::Plain),
    ("Name", "name", Form::Plain),
    ("Policy", "policy", Form::Text),
];

/// What says how the definition is read, not what the API is.
const DEFINITION: &[&str] = &["Body", "BodyS3Location", "FailOnWarnings", "Mode", "Parameters"];

pub fn rest_api() -> ResourceType {
    ResourceType::new(KIND).create_only(&["CloneFrom"]).create(create).update(update).delete(
        |ctx, request| async move {
            let input = json!({"restApiId": request.physical_id});
            gone_is_fine(call(&ctx, "DeleteRestApi", &input).await)
        },
    )
}

fn own_properties(request: &ResourceRequest) -> Result<Properties> {
    let own = request.properties.iter().filter(|(name, _)| !DEFINITION.contains(&name.as_str()));
    let own: Properties = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    input(KIND, &own, PROPERTIES)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let mut input = own_properties(&request)?;
    let definition = definition(&ctx, &request.properties).await?;
    if !input.contains_key("name") {
        if definition.is_none() {
            return Err(bad_request("Resource name is not specified"));
        }
        // The definition's title takes its place.
        input.insert("name".to_owned(), json!(request.suggested_name));
    }
    input.insert("tags".to_owned(), Value::Object(tags(&request)));
    let api = match find_ours(&ctx, &request).await? {
        Some(api) => api,
        None => call(&ctx, "CreateRestApi", &Value::Object(input)).await?,
    };
    let id = api["id"].as_str().unwrap_or_default().to_owned();
    let state = ResourceState::new(id.clone())
        .attribute("RestApiId", id.clone())
        .attribute("RootResourceId", api["rootResourceId"].clone());
    let Some(definition) = definition else { return Ok(state) };
    if let Err(error) = put(&ctx, &id, definition, &request).await {
        // A create that fails leaves nothing behind.
        gone_is_fine(call(&ctx, "DeleteRestApi", &json!({"restApiId": id})).await)?;
        return Err(error);
    }
    Ok(state)
}

async fn find_ours(ctx: &Ctx, request: &ResourceRequest) -> Result<Option<Value>> {
    let mut position = Value::Null;
    loop {
        let mut page = json!({"limit": 500});
        if !position.is_null() {
            page["position"] = position;
        }
        // Whoever may create an API but not list them has none to adopt.
        let Ok(mut apis) = call(ctx, "GetRestApis", &page).await else { return Ok(None) };
        let items = apis["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        if let Some(ours) = items.into_iter().find(|api| is_ours(api, request)) {
            return Ok(Some(ours));
        }
        position = apis.get("position").cloned().unwrap_or(Value::Null);
        if position.is_null() {
            return Ok(None);
        }
    }
}

/// The definition, from the template itself or from S3.
async fn definition(ctx: &Ctx, properties: &Properties) -> Result<Option<Bytes>> {
    if let Some(body) = properties.get("Body") {
        return Ok(Some(body.to_string().into()));
    }
    let Some(place) = properties.get("BodyS3Location").and_then(Value::as_object) else {
        return Ok(None);
    };
    let input = s3::GetObjectInput {
        bucket: text(place, "Bucket").to_owned(),
        key: text(place, "Key").to_owned(),
        version_id: place.get("Version").and_then(Value::as_str).map(str::to_owned),
        if_match: place.get("ETag").and_then(Value::as_str).map(str::to_owned),
        ..Default::default()
    };
    let object = ctx.call::<s3::GetObject>(input).await?;
    let body = object.body.collect(DEFINITION_BYTES_MAX).await;
    body.map(Some).map_err(|_| bad_request("The API definition is larger than 6 MB."))
}

async fn put(ctx: &Ctx, id: &str, body: Bytes, request: &ResourceRequest) -> Result<()> {
    let properties = &request.properties;
    let parameters = properties.get("Parameters").and_then(Value::as_object);
    let parameters = parameters.map(|parameters| {
        parameters.iter().map(|(name, value)| (name.clone(), super::as_text(value))).collect()
    });
    let mode = match properties.get("Mode").and_then(Value::as_str) {
        Some("merge") => api::PutMode::Merge,
        _ => api::PutMode::Overwrite,
    };
    let input = api::PutRestApiInput {
        rest_api_id: id.to_owned(),
        mode: Some(mode),
        fail_on_warnings: properties.get("FailOnWarnings").and_then(Value::as_bool),
        parameters,
        body,
    };
    ctx.call::<api::PutRestApi>(input).await?;
    // What the template itself says stands above the definition.
    let mut patches = Vec::new();
    for (property, path) in [("Name", "/name"), ("Description", "/description")] {
        if let Some(value) = properties.get(property) {
            patches.push(replace(path, value));
        }
    }
    for kind in properties.get("BinaryMediaTypes").and_then(Value::as_array).into_iter().flatten() {
        let kind = super::escaped(kind.as_str().unwrap_or_default());
        patches.push(json!({"op": "add", "path": format!("/binaryMediaTypes/{kind}")}));
    }
    if let Some(size) = properties.get("MinimumCompressionSize") {
        patches.push(replace("/minimumCompressionSize", size));
    }
    patch(ctx, id, patches).await
}

async fn patch(ctx: &Ctx, id: &str, patches: Vec<Value>) -> Result<()> {
    if patches.is_empty() {
        return Ok(());
    }
    let input = json!({"restApiId": id, "patchOperations": patches});
    call(ctx, "UpdateRestApi", &input).await.map(|_| ())
}

async fn update(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    own_properties(&request)?;
    let id = request.physical_id.clone();
    let mut patches = Vec::new();
    for (property, path) in [
        ("Name", "/name"),
        ("Description", "/description"),
        ("ApiKeySourceType", "/apiKeySource"),
        ("MinimumCompressionSize", "/minimumCompressionSize"),
        ("DisableExecuteApiEndpoint", "/disableExecuteApiEndpoint"),
        ("Policy", "/policy"),
    ] {
        if changed(&request, property) {
            let value = request.properties.get(property).cloned().unwrap_or_else(|| json!(""));
            patches.push(replace(path, &value));
        }
    }
    patches.extend(endpoint_patches(&request));
    patches.extend(media_type_patches(&request));
    patch(&ctx, &id, patches).await?;
    if DEFINITION.iter().any(|property| changed(&request, property))
        && let Some(definition) = definition(&ctx, &request.properties).await?
    {
        put(&ctx, &id, definition, &request).await?;
    }
    retag(&ctx, &id, &request).await?;
    let api = call(&ctx, "GetRestApi", &json!({"restApiId": id})).await?;
    Ok(ResourceState::new(id.clone())
        .attribute("RestApiId", id)
        .attribute("RootResourceId", api["rootResourceId"].clone()))
}

fn endpoint_patches(request: &ResourceRequest) -> Vec<Value> {
    if !changed(request, "EndpointConfiguration") {
        return Vec::new();
    }
    let types = |properties: &Properties| {
        let endpoint = properties.get("EndpointConfiguration");
        let first = endpoint.and_then(|endpoint| endpoint["Types"][0].as_str());
        first.unwrap_or("EDGE").to_owned()
    };
    let (before, after) = (types(&request.previous), types(&request.properties));
    match before == after {
        true => Vec::new(),
        false => vec![replace(&format!("/endpointConfiguration/types/{before}"), &json!(after))],
    }
}

fn media_type_patches(request: &ResourceRequest) -> Vec<Value> {
    let kinds = |properties: &Properties| -> Vec<String> {
        let kinds = properties.get("BinaryMediaTypes").and_then(Value::as_array);
        kinds.into_iter().flatten().filter_map(Value::as_str).map(super::escaped).collect()
    };
    let (before, after) = (kinds(&request.previous), kinds(&request.properties));
    let op =
        |op: &str, kind: &String| json!({"op": op, "path": format!("/binaryMediaTypes/{kind}")});
    let removed = before.iter().filter(|kind| !after.contains(kind)).map(|kind| op("remove", kind));
    let added = after.iter().filter(|kind| !before.contains(kind)).map(|kind| op("add", kind));
    removed.chain(added).collect()
}

async fn retag(ctx: &Ctx, id: &str, request: &ResourceRequest) -> Result<()> {
    let arn = format!("arn:{}:apigateway:{}::/restapis/{id}", ctx.partition(), ctx.region());
    let wanted = tags(request);
    let found = call(ctx, "GetTags", &json!({"resourceArn": arn})).await?;
    let stale: Vec<Value> = found["tags"]
        .as_object()
        .unwrap_or(&Map::new())
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .map(|key| json!(key))
        .collect();
    if !stale.is_empty() {
        call(ctx, "UntagResource", &json!({"resourceArn": arn, "tagKeys": stale})).await?;
    }
    if wanted.is_empty() || found["tags"] == Value::Object(wanted.clone()) {
        return Ok(());
    }
    call(ctx, "TagResource", &json!({"resourceArn": arn, "tags": wanted})).await.map(|_| ())
}
