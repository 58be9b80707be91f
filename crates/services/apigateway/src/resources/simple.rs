//! The types that one operation makes and another deletes.

use serde_json::{Value, json};
use sereno_kernel::{ResourceRequest, ResourceState, ResourceType};

use super::{Form, Property, call, gone_is_fine, input, tags};

/// Such a type. A change of any property makes a new one.
pub struct Simple {
    kind: &'static str,
    properties: &'static [Property],
    create: &'static str,
    delete: &'static str,
    /// The member of create's answer that `Ref` gives.
    id: &'static str,
    /// The attribute that is the same.
    attribute: &'static str,
    /// What delete names it by.
    delete_by: &'static str,
    /// It belongs to an API.
    of_api: bool,
    has_tags: bool,
}

const API: Property = ("RestApiId", "restApiId", Form::Plain);

pub const SIMPLE: &[Simple] = &[
    Simple {
        kind: "AWS::ApiGateway::Authorizer",
        properties: &[
            API,
            ("AuthType", "authType", Form::Plain),
            ("AuthorizerCredentials", "authorizerCredentials", Form::Plain),
            ("AuthorizerResultTtlInSeconds", "authorizerResultTtlInSeconds", Form::Plain),
            ("AuthorizerUri", "authorizerUri", Form::Plain),
            ("IdentitySource", "identitySource", Form::Plain),
            ("IdentityValidationExpression", "identityValidationExpression", Form::Plain),
            ("Name", "name", Form::Plain),
            ("ProviderARNs", "providerARNs", Form::Plain),
            ("Type", "type", Form::Plain),
        ],
        create: "CreateAuthorizer",
        delete: "DeleteAuthorizer",
        id: "id",
        attribute: "AuthorizerId",
        delete_by: "authorizerId",
        of_api: true,
        has_tags: false,
    },
    Simple {
        kind: "AWS::ApiGateway::Model",
        properties: &[
            API,
            ("ContentType", "contentType", Form::Plain),
            ("Description", "description", Form::Plain),
            ("Name", "name", Form::Plain),
            ("Schema", "schema", Form::Text),
        ],
        create: "CreateModel",
        delete: "DeleteModel",
        id: "name",
        attribute: "Name",
        delete_by: "modelName",
        of_api: true,
        has_tags: false,
    },
    Simple {
        kind: "AWS::ApiGateway::RequestValidator",
        properties: &[
            API,
            ("Name", "name", Form::Plain),
            ("ValidateRequestBody", "validateRequestBody", Form::Plain),
            ("ValidateRequestParameters", "validateRequestParameters", Form::Plain),
        ],
        create: "CreateRequestValidator",
        delete: "DeleteRequestValidator",
        id: "id",
        attribute: "RequestValidatorId",
        delete_by: "requestValidatorId",
        of_api: true,
        has_tags: false,
    },
    Simple {
        kind: "AWS::ApiGateway::GatewayResponse",
        properties: &[
            API,
            ("ResponseParameters", "responseParameters", Form::Plain),
            ("ResponseTemplates", "responseTemplates", Form::Plain),
            ("ResponseType", "responseType", Form::Plain),
            ("StatusCode", "statusCode", Form::Plain),
        ],
        create: "PutGatewayResponse",
        delete: "DeleteGatewayResponse",
        id: "responseType",
        attribute: "Id",
        delete_by: "responseType",
        of_api: true,
        has_tags: false,
    },
    Simple {
        kind: "AWS::ApiGateway::ApiKey",
        properties: &[
            ("CustomerId", "customerId", Form::Plain),
            ("Description", "description", Form::Plain),
            ("Enabled", "enabled", Form::Plain),
            ("GenerateDistinctId", "generateDistinctId", Form::Plain),
            ("Name", "name", Form::Plain),
            ("StageKeys", "stageKeys", Form::Structure),
            ("Value", "value", Form::Plain),
        ],
        create: "CreateApiKey",
        delete: "DeleteApiKey",
        id: "id",
        attribute: "APIKeyId",
        delete_by: "apiKey",
        of_api: false,
        has_tags: true,
    },
    Simple {
        kind: "AWS::ApiGateway::UsagePlan",
        properties: &[
            ("ApiStages", "apiStages", Form::Structure),
            ("Description", "description", Form::Plain),
            ("Quota", "quota", Form::Structure),
            ("Throttle", "throttle", Form::Structure),
            ("UsagePlanName", "name", Form::Plain),
        ],
        create: "CreateUsagePlan",
        delete: "DeleteUsagePlan",
        id: "id",
        attribute: "Id",
        delete_by: "usagePlanId",
        of_api: false,
        has_tags: true,
    },
];

/// Names that a template may leave out.
fn default_name(spec: &Simple, request: &ResourceRequest) -> Option<(&'static str, Value)> {
    let named = matches!(
        spec.kind,
        "AWS::ApiGateway::ApiKey" | "AWS::ApiGateway::UsagePlan" | "AWS::ApiGateway::Model"
    );
    // A model's name has letters and digits only.
    let plain: String =
        request.suggested_name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = if spec.kind.ends_with("Model") { plain } else { request.suggested_name.clone() };
    named.then(|| ("name", json!(name)))
}

pub fn resource_type(spec: &'static Simple) -> ResourceType {
    ResourceType::new(spec.kind)
        .create(move |ctx, request| async move {
            let mut input = input(spec.kind, &request.properties, spec.properties)?;
            if let Some((member, name)) = default_name(spec, &request) {
                input.entry(member).or_insert(name);
            }
            if spec.kind.ends_with("Model") {
                input.entry("contentType").or_insert_with(|| json!("application/json"));
            }
            if spec.has_tags {
                input.insert("tags".to_owned(), Value::Object(tags(&request)));
            }
            let made = call(&ctx, spec.create, &Value::Object(input)).await?;
            let id = made[spec.id].as_str().unwrap_or_default();
            Ok(ResourceState::new(id).attribute(spec.attribute, id))
        })
        .delete(move |ctx, request| async move {
            let mut input = json!({});
            input[spec.delete_by] = json!(request.physical_id);
            if spec.of_api {
                input["restApiId"] =
                    request.properties.get("RestApiId").cloned().unwrap_or_default();
            }
            // A plan that still serves stages cannot be deleted: they are taken out of it first.
            if spec.kind.ends_with("UsagePlan") {
                detach(&ctx, &request).await?;
            }
            gone_is_fine(call(&ctx, spec.delete, &input).await)
        })
}

async fn detach(ctx: &sereno_kernel::Ctx, request: &ResourceRequest) -> sereno_kernel::Result<()> {
    let stages = request.properties.get("ApiStages").and_then(Value::as_array);
    let patches: Vec<Value> = stages
        .into_iter()
        .flatten()
        .filter_map(|stage| {
            Some(format!("{}:{}", stage["ApiId"].as_str()?, stage["Stage"].as_str()?))
        })
        .map(|stage| json!({"op": "remove", "path": "/apiStages", "value": stage}))
        .collect();
    if patches.is_empty() {
        return Ok(());
    }
    let input = json!({"usagePlanId": request.physical_id, "patchOperations": patches});
    match call(ctx, "UpdateUsagePlan", &input).await {
        // A stage that is gone has left the plan already.
        Ok(_) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                sereno_kernel::Kind::NotFound | sereno_kernel::Kind::Invalid
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

pub fn usage_plan_key() -> ResourceType {
    const KIND: &str = "AWS::ApiGateway::UsagePlanKey";
    const PROPERTIES: &[Property] = &[
        ("KeyId", "keyId", Form::Plain),
        ("KeyType", "keyType", Form::Plain),
        ("UsagePlanId", "usagePlanId", Form::Plain),
    ];
    ResourceType::new(KIND)
        .create(|ctx, request| async move {
            let input = Value::Object(input(KIND, &request.properties, PROPERTIES)?);
            let id = format!(
                "{}:{}",
                input["keyId"].as_str().unwrap_or_default(),
                input["usagePlanId"].as_str().unwrap_or_default()
            );
            match call(&ctx, "CreateUsagePlanKey", &input).await {
                Ok(_) => {}
                // There is one of a key and a plan.
                Err(error) if error.kind() == sereno_kernel::Kind::Conflict => {}
                Err(error) => return Err(error),
            }
            Ok(ResourceState::new(id.clone()).attribute("Id", id))
        })
        .delete(|ctx, request| async move {
            let input = json!({
                "keyId": request.properties.get("KeyId"),
                "usagePlanId": request.properties.get("UsagePlanId"),
            });
            gone_is_fine(call(&ctx, "DeleteUsagePlanKey", &input).await)
        })
}

/// The account's one setting. Deleting it from a stack leaves it, as on AWS.
pub fn account() -> ResourceType {
    let set = |ctx: sereno_kernel::Ctx, request: ResourceRequest| async move {
        let role = request.properties.get("CloudWatchRoleArn").cloned().unwrap_or_default();
        let value = role.as_str().unwrap_or_default();
        let patch = json!({"op": "replace", "path": "/cloudwatchRoleArn", "value": value});
        call(&ctx, "UpdateAccount", &json!({"patchOperations": [patch]})).await?;
        let id = request.suggested_name;
        Ok(ResourceState::new(id.clone()).attribute("Id", id))
    };
    ResourceType::new("AWS::ApiGateway::Account")
        .create(set)
        .update(move |ctx, request| async move {
            let id = request.physical_id.clone();
            let mut state: ResourceState = set(ctx, request).await?;
            state.physical_id = id;
            Ok(state)
        })
        .delete(|_, _| async move { Ok(()) })
}
