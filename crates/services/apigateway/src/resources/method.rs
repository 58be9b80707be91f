//! `AWS::ApiGateway::Resource` and `AWS::ApiGateway::Method`.

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Kind, ResourceRequest, ResourceState, ResourceType, Result};

use super::{Form, Properties, Property, call, camel, gone_is_fine, input, text};
use crate::errors::bad_request;

pub fn resource() -> ResourceType {
    const PROPERTIES: &[Property] = &[
        ("ParentId", "parentId", Form::Plain),
        ("PathPart", "pathPart", Form::Plain),
        ("RestApiId", "restApiId", Form::Plain),
    ];
    let state = |id: &str| ResourceState::new(id).attribute("ResourceId", id);
    ResourceType::new("AWS::ApiGateway::Resource")
        .create_only(&["ParentId", "PathPart", "RestApiId"])
        .create(move |ctx, request| async move {
            let input = input("AWS::ApiGateway::Resource", &request.properties, PROPERTIES)?;
            match call(&ctx, "CreateResource", &Value::Object(input)).await {
                Ok(made) => Ok(state(made["id"].as_str().unwrap_or_default())),
                Err(error) if error.kind() == Kind::Conflict => {
                    let found = find(&ctx, &request.properties).await?;
                    found.map(|id| state(&id)).ok_or(error)
                }
                Err(error) => Err(error),
            }
        })
        .delete(|ctx, request| async move {
            let input = json!({
                "restApiId": request.properties.get("RestApiId"),
                "resourceId": request.physical_id,
            });
            gone_is_fine(call(&ctx, "DeleteResource", &input).await)
        })
}

/// One that a try before this one made: there is only one of a parent and a part.
async fn find(ctx: &Ctx, properties: &Properties) -> Result<Option<String>> {
    let list = json!({"restApiId": properties.get("RestApiId"), "limit": 500});
    let found = call(ctx, "GetResources", &list).await?;
    let is_it = |item: &&Value| {
        Some(&item["parentId"]) == properties.get("ParentId")
            && Some(&item["pathPart"]) == properties.get("PathPart")
    };
    let item = found["items"].as_array().into_iter().flatten().find(is_it);
    Ok(item.and_then(|item| item["id"].as_str()).map(str::to_owned))
}

const METHOD: &str = "AWS::ApiGateway::Method";

const METHOD_PROPERTIES: &[Property] = &[
    ("ApiKeyRequired", "apiKeyRequired", Form::Plain),
    ("AuthorizationScopes", "authorizationScopes", Form::Plain),
    ("AuthorizationType", "authorizationType", Form::Plain),
    ("AuthorizerId", "authorizerId", Form::Plain),
    ("HttpMethod", "httpMethod", Form::Plain),
    ("OperationName", "operationName", Form::Plain),
    ("RequestModels", "requestModels", Form::Plain),
    ("RequestParameters", "requestParameters", Form::Plain),
    ("RequestValidatorId", "requestValidatorId", Form::Plain),
    ("ResourceId", "resourceId", Form::Plain),
    ("RestApiId", "restApiId", Form::Plain),
];

/// What belongs to the method but is put by operations of its own.
const PARTS: &[&str] = &["Integration", "MethodResponses"];

pub fn method() -> ResourceType {
    ResourceType::new(METHOD)
        .create_only(&["HttpMethod", "ResourceId", "RestApiId"])
        .create(|ctx, request| async move { put(&ctx, &request).await })
        // A method is small: it is made anew in place, which no deployed API notices.
        .update(|ctx, request| async move { put(&ctx, &request).await })
        .delete(|ctx, request| async move {
            gone_is_fine(call(&ctx, "DeleteMethod", &key(&request.properties)).await)
        })
}

fn key(properties: &Properties) -> Value {
    json!({
        "restApiId": properties.get("RestApiId"),
        "resourceId": properties.get("ResourceId"),
        "httpMethod": properties.get("HttpMethod"),
    })
}

/// The key and what else an operation takes.
fn with(properties: &Properties, more: Map<String, Value>) -> Value {
    let mut input = key(properties);
    for (name, value) in more {
        input[name] = value;
    }
    input
}

async fn put(ctx: &Ctx, request: &ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    let own = properties.iter().filter(|(name, _)| !PARTS.contains(&name.as_str()));
    let own: Properties = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut own = input(METHOD, &own, METHOD_PROPERTIES)?;
    own.entry("authorizationType").or_insert_with(|| json!("NONE"));
    gone_is_fine(call(ctx, "DeleteMethod", &key(properties)).await)?;
    call(ctx, "PutMethod", &Value::Object(own)).await?;
    let parts = put_parts(ctx, properties).await;
    if let Err(error) = parts {
        gone_is_fine(call(ctx, "DeleteMethod", &key(properties)).await)?;
        return Err(error);
    }
    let part = |name| text(properties, name);
    Ok(ResourceState::new(format!(
        "{}|{}|{}",
        part("RestApiId"),
        part("ResourceId"),
        part("HttpMethod")
    )))
}

async fn put_parts(ctx: &Ctx, properties: &Properties) -> Result<()> {
    let responses = properties.get("MethodResponses").and_then(Value::as_array);
    for response in responses.into_iter().flatten() {
        let mut more = Map::new();
        more.insert("statusCode".to_owned(), response["StatusCode"].clone());
        for (from, to) in
            [("ResponseModels", "responseModels"), ("ResponseParameters", "responseParameters")]
        {
            if let Some(value) = response.get(from) {
                more.insert(to.to_owned(), value.clone());
            }
        }
        call(ctx, "PutMethodResponse", &with(properties, more)).await?;
    }
    let Some(integration) = properties.get("Integration").and_then(Value::as_object) else {
        return Ok(());
    };
    call(ctx, "PutIntegration", &with(properties, integration_input(integration)?)).await?;
    let responses = integration.get("IntegrationResponses").and_then(Value::as_array);
    for response in responses.into_iter().flatten().filter_map(Value::as_object) {
        const KNOWN: &[Property] = &[
            ("ContentHandling", "contentHandling", Form::Plain),
            ("ResponseParameters", "responseParameters", Form::Plain),
            ("ResponseTemplates", "responseTemplates", Form::Plain),
            ("SelectionPattern", "selectionPattern", Form::Plain),
            ("StatusCode", "statusCode", Form::Plain),
        ];
        let more = input(METHOD, response, KNOWN)?;
        call(ctx, "PutIntegrationResponse", &with(properties, more)).await?;
    }
    Ok(())
}

fn integration_input(integration: &Properties) -> Result<Map<String, Value>> {
    let mut more = Map::new();
    for (name, value) in integration {
        let (target, value) = match name.as_str() {
            "IntegrationResponses" => continue,
            // The method's own name for it is taken.
            "IntegrationHttpMethod" => ("integrationHttpMethod", value.clone()),
            "CacheKeyParameters" => ("cacheKeyParameters", value.clone()),
            "CacheNamespace" => ("cacheNamespace", value.clone()),
            "ConnectionId" => ("connectionId", value.clone()),
            "ConnectionType" => ("connectionType", value.clone()),
            "ContentHandling" => ("contentHandling", value.clone()),
            "Credentials" => ("credentials", value.clone()),
            "PassthroughBehavior" => ("passthroughBehavior", value.clone()),
            "RequestParameters" => ("requestParameters", value.clone()),
            "RequestTemplates" => ("requestTemplates", value.clone()),
            "TimeoutInMillis" => ("timeoutInMillis", value.clone()),
            "TlsConfig" => ("tlsConfig", camel(value)),
            "Type" => ("type", value.clone()),
            "Uri" => ("uri", value.clone()),
            other => {
                return Err(bad_request(format!(
                    "{METHOD}: Encountered unsupported property Integration/{other}"
                )));
            }
        };
        more.insert(target.to_owned(), value);
    }
    Ok(more)
}
