//! `AWS::ApiGateway::Stage`.

use serde_json::{Value, json};
use sereno_kernel::{Ctx, Kind, ResourceRequest, ResourceState, ResourceType, Result};

use super::{
    Form, Properties, Property, as_text, call, escaped, gone_is_fine, input, is_ours, replace,
    tags, text,
};
use crate::errors::bad_request;

const KIND: &str = "AWS::ApiGateway::Stage";

/// What CreateStage takes; the rest is patched in afterwards.
const CREATED: &[Property] = &[
    ("CacheClusterEnabled", "cacheClusterEnabled", Form::Plain),
    ("CacheClusterSize", "cacheClusterSize", Form::Plain),
    ("CanarySetting", "canarySettings", Form::Structure),
    ("DeploymentId", "deploymentId", Form::Plain),
    ("Description", "description", Form::Plain),
    ("DocumentationVersion", "documentationVersion", Form::Plain),
    ("RestApiId", "restApiId", Form::Plain),
    ("StageName", "stageName", Form::Plain),
    ("TracingEnabled", "tracingEnabled", Form::Plain),
    ("Variables", "variables", Form::Plain),
];
const PATCHED: &[&str] = &["AccessLogSetting", "MethodSettings"];

pub fn stage() -> ResourceType {
    ResourceType::new(KIND)
        .create_only(&["RestApiId", "StageName", "CanarySetting"])
        .create(create)
        .update(|ctx, request| async move {
            let api = text(&request.properties, "RestApiId").to_owned();
            let patches = patches(&request.previous, &request.properties)?;
            patch(&ctx, &api, &request.physical_id, patches).await?;
            Ok(ResourceState::new(request.physical_id))
        })
        .delete(|ctx, request| async move {
            let input = json!({
                "restApiId": request.properties.get("RestApiId"),
                "stageName": request.physical_id,
            });
            gone_is_fine(call(&ctx, "DeleteStage", &input).await)
        })
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let created = request.properties.iter().filter(|(name, _)| !PATCHED.contains(&name.as_str()));
    let created: Properties = created.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut input = input(KIND, &created, CREATED)?;
    input.insert("tags".to_owned(), Value::Object(tags(&request)));
    let (api, name) =
        (text(&request.properties, "RestApiId"), text(&request.properties, "StageName"));
    if let Err(error) = call(&ctx, "CreateStage", &Value::Object(input)).await {
        let found = call(&ctx, "GetStage", &json!({"restApiId": api, "stageName": name})).await;
        let ours =
            error.kind() == Kind::Conflict && found.is_ok_and(|found| is_ours(&found, &request));
        if !ours {
            return Err(error);
        }
    }
    let rest = request.properties.iter().filter(|(name, _)| PATCHED.contains(&name.as_str()));
    let rest: Properties = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Err(error) = patch(&ctx, api, name, patches(&Properties::new(), &rest)?).await {
        let input = json!({"restApiId": api, "stageName": name});
        gone_is_fine(call(&ctx, "DeleteStage", &input).await)?;
        return Err(error);
    }
    Ok(ResourceState::new(name))
}

pub async fn patch(ctx: &Ctx, api: &str, name: &str, patches: Vec<Value>) -> Result<()> {
    if patches.is_empty() {
        return Ok(());
    }
    let input = json!({"restApiId": api, "stageName": name, "patchOperations": patches});
    call(ctx, "UpdateStage", &input).await.map(|_| ())
}

/// What turns a stage of `before` into one of `after`. Also for a deployment's `StageDescription`.
pub fn patches(before: &Properties, after: &Properties) -> Result<Vec<Value>> {
    const SCALARS: &[(&str, &str)] = &[
        ("CacheClusterEnabled", "/cacheClusterEnabled"),
        ("CacheClusterSize", "/cacheClusterSize"),
        ("ClientCertificateId", "/clientCertificateId"),
        ("DeploymentId", "/deploymentId"),
        ("Description", "/description"),
        ("DocumentationVersion", "/documentationVersion"),
        ("TracingEnabled", "/tracingEnabled"),
    ];
    const OTHERS: &[&str] =
        &["AccessLogSetting", "MethodSettings", "RestApiId", "StageName", "Tags", "Variables"];
    let mut patches = Vec::new();
    for (name, value) in after {
        match SCALARS.iter().find(|(known, _)| known == name) {
            Some((_, path)) if before.get(name) != Some(value) => {
                patches.push(replace(path, value))
            }
            Some(_) => {}
            None if OTHERS.contains(&name.as_str()) => {}
            None => {
                return Err(bad_request(format!(
                    "{KIND}: Encountered unsupported property {name}"
                )));
            }
        }
    }
    variables(before, after, &mut patches);
    access_log(before, after, &mut patches);
    method_settings(before, after, &mut patches);
    Ok(patches)
}

fn variables(before: &Properties, after: &Properties, patches: &mut Vec<Value>) {
    let of = |properties: &Properties| {
        properties.get("Variables").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (before, after) = (of(before), of(after));
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        patches.push(json!({"op": "remove", "path": format!("/variables/{}", escaped(name))}));
    }
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(*value)) {
        patches.push(replace(&format!("/variables/{}", escaped(name)), value));
    }
}

fn access_log(before: &Properties, after: &Properties, patches: &mut Vec<Value>) {
    let (old, new) = (before.get("AccessLogSetting"), after.get("AccessLogSetting"));
    if old == new {
        return;
    }
    let Some(new) = new else {
        patches.push(json!({"op": "remove", "path": "/accessLogSettings"}));
        return;
    };
    for (property, path) in [("DestinationArn", "destinationArn"), ("Format", "format")] {
        if let Some(value) = new.get(property) {
            patches.push(replace(&format!("/accessLogSettings/{path}"), value));
        }
    }
}

fn method_settings(before: &Properties, after: &Properties, patches: &mut Vec<Value>) {
    const SETTINGS: &[(&str, &str)] = &[
        ("CacheDataEncrypted", "caching/dataEncrypted"),
        ("CacheTtlInSeconds", "caching/ttlInSeconds"),
        ("CachingEnabled", "caching/enabled"),
        ("DataTraceEnabled", "logging/dataTrace"),
        ("LoggingLevel", "logging/loglevel"),
        ("MetricsEnabled", "metrics/enabled"),
        ("ThrottlingBurstLimit", "throttling/burstLimit"),
        ("ThrottlingRateLimit", "throttling/rateLimit"),
    ];
    if before.get("MethodSettings") == after.get("MethodSettings") {
        return;
    }
    let keys = |properties: &Properties| -> Vec<String> {
        let settings = properties.get("MethodSettings").and_then(Value::as_array);
        settings.into_iter().flatten().map(method_key).collect()
    };
    let wanted = keys(after);
    for key in keys(before).into_iter().filter(|key| !wanted.contains(key)) {
        patches.push(json!({"op": "remove", "path": format!("/{key}")}));
    }
    let settings = after.get("MethodSettings").and_then(Value::as_array);
    for setting in settings.into_iter().flatten() {
        let key = method_key(setting);
        for (property, path) in SETTINGS {
            if let Some(value) = setting.get(*property) {
                patches.push(replace(&format!("/{key}/{path}"), &json!(as_text(value))));
            }
        }
    }
}

/// `*/*`, or `~1pets~1{id}/GET`. Templates write the path with or without its first slash.
fn method_key(setting: &Value) -> String {
    let part = |name: &str| setting.get(name).and_then(Value::as_str).unwrap_or("*").to_owned();
    let path = match part("ResourcePath").as_str() {
        "/*" | "*" => "*".to_owned(),
        path => escaped(path).replace("~01", "~1"),
    };
    format!("{path}/{}", part("HttpMethod"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_patched_by_what_changed() {
        let before = json!({"DeploymentId": "a", "Variables": {"x": "1", "y": "2"}});
        let after = json!({
            "DeploymentId": "b",
            "Variables": {"x": "1", "z": "3"},
            "MethodSettings": [{"ResourcePath": "/*", "HttpMethod": "*", "LoggingLevel": "INFO"}],
        });
        let patches = patches(before.as_object().unwrap(), after.as_object().unwrap()).unwrap();
        let expected = json!([
            {"op": "replace", "path": "/deploymentId", "value": "b"},
            {"op": "remove", "path": "/variables/y"},
            {"op": "replace", "path": "/variables/z", "value": "3"},
            {"op": "replace", "path": "/*/*/logging/loglevel", "value": "INFO"},
        ]);
        assert_eq!(Value::Array(patches), expected);
    }
}
