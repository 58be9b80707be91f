//! `AWS::ApiGateway::Deployment`.

use serde_json::{Value, json};
use sereno_kernel::{ResourceState, ResourceType};

use super::{Form, Property, call, gone_is_fine, input, replace, stage, text};

const KIND: &str = "AWS::ApiGateway::Deployment";

const PROPERTIES: &[Property] = &[
    ("DeploymentCanarySettings", "canarySettings", Form::Structure),
    ("Description", "description", Form::Plain),
    ("RestApiId", "restApiId", Form::Plain),
    ("StageName", "stageName", Form::Plain),
];

pub fn deployment() -> ResourceType {
    ResourceType::new(KIND)
        .create_only(&["RestApiId", "DeploymentCanarySettings", "StageDescription", "StageName"])
        .create(|ctx, request| async move {
            let mut properties = request.properties.clone();
            let described = properties.remove("StageDescription");
            let input = input(KIND, &properties, PROPERTIES)?;
            let made = call(&ctx, "CreateDeployment", &Value::Object(input)).await?;
            let id = made["id"].as_str().unwrap_or_default();
            if let Some(described) = described.as_ref().and_then(Value::as_object) {
                let (api, name) = (text(&properties, "RestApiId"), text(&properties, "StageName"));
                let patches = stage::patches(&Default::default(), described)?;
                stage::patch(&ctx, api, name, patches).await?;
            }
            Ok(ResourceState::new(id).attribute("DeploymentId", id))
        })
        .update(|ctx, request| async move {
            let empty = json!("");
            let description = request.properties.get("Description").unwrap_or(&empty);
            let input = json!({
                "restApiId": request.properties.get("RestApiId"),
                "deploymentId": request.physical_id,
                "patchOperations": [replace("/description", description)],
            });
            call(&ctx, "UpdateDeployment", &input).await?;
            let id = request.physical_id;
            Ok(ResourceState::new(id.clone()).attribute("DeploymentId", id))
        })
        .delete(|ctx, request| async move {
            let api = text(&request.properties, "RestApiId");
            // The stage that this deployment made itself goes with it.
            let name = text(&request.properties, "StageName");
            if !name.is_empty() {
                let stage = json!({"restApiId": api, "stageName": name});
                if let Ok(found) = call(&ctx, "GetStage", &stage).await
                    && found["deploymentId"] == json!(request.physical_id)
                {
                    gone_is_fine(call(&ctx, "DeleteStage", &stage).await)?;
                }
            }
            let input = json!({"restApiId": api, "deploymentId": request.physical_id});
            gone_is_fine(call(&ctx, "DeleteDeployment", &input).await)
        })
}
