//! What OpenAPI has no words for: integrations, authorizers, and API Gateway's settings.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sereno_kernel::Result;

use super::{Export, insert_filled, insert_texts};
use crate::errors::{self, bad_request};
use crate::state::{
    ApiDocument, AuthorizerRecord, IntegrationRecord, IntegrationResponseRecord, MethodRecord,
};

const TIMEOUT_MS_DEFAULT: i32 = 29_000;
const API_KEY: &str = "api_key";
const IAM: &str = "sigv4";

/// Which extensions were asked for.
#[derive(Default)]
pub struct Extensions {
    pub integrations: bool,
    pub authorizers: bool,
    pub documentation: bool,
}

impl Extensions {
    pub fn read(parameters: &BTreeMap<String, String>) -> Result<Extensions> {
        let mut asked = Extensions::default();
        for (name, value) in parameters {
            if name != "extensions" {
                return Err(bad_request(format!("Invalid export parameter specified: {name}")));
            }
            for extension in value.split(',').map(str::trim) {
                match extension {
                    "integrations" => asked.integrations = true,
                    "authorizers" => asked.authorizers = true,
                    "apigateway" => (asked.integrations, asked.authorizers) = (true, true),
                    "documentation" => asked.documentation = true,
                    "postman" => return Err(errors::unsupported("exports for Postman")),
                    other => {
                        return Err(bad_request(format!("Invalid extension specified: {other}")));
                    }
                }
            }
        }
        Ok(asked)
    }
}

/// How requests to methods prove who they are, by the names that [`security`] uses.
pub fn schemes(export: &Export<'_>) -> Map<String, Value> {
    let document = export.document;
    let methods = || document.resources.iter().flat_map(|resource| resource.methods.values());
    let mut out = Map::new();
    if methods().any(|method| method.api_key_required) {
        out.insert(API_KEY.to_owned(), scheme("x-api-key"));
    }
    if !export.extensions.authorizers {
        return out;
    }
    if methods().any(|method| method.authorization_type == "AWS_IAM") {
        let mut iam = scheme("Authorization");
        iam["x-amazon-apigateway-authtype"] = "awsSigv4".into();
        out.insert(IAM.to_owned(), iam);
    }
    for record in &document.authorizers {
        if methods().any(|method| method.authorizer_id.as_ref() == Some(&record.id)) {
            out.insert(record.name.clone(), authorizer(record));
        }
    }
    out
}

fn scheme(header: &str) -> Value {
    json!({"type": "apiKey", "name": header, "in": "header"})
}

fn authorizer(record: &AuthorizerRecord) -> Value {
    let header = record.identity_source.as_deref();
    let header = header.and_then(|source| source.strip_prefix("method.request.header."));
    // A request authorizer may read several places, none of which is "the" header.
    let header = if record.kind == "REQUEST" { None } else { header };
    let mut out = scheme(header.unwrap_or(match record.kind.as_str() {
        "REQUEST" => "Unused",
        _ => "Authorization",
    }));
    let user_pool = record.kind == "COGNITO_USER_POOLS";
    let auth_type = record.auth_type.as_deref();
    let default = if user_pool { "cognito_user_pools" } else { "custom" };
    out["x-amazon-apigateway-authtype"] = auth_type.unwrap_or(default).into();
    let mut inner = Map::new();
    inner.insert("type".to_owned(), record.kind.to_lowercase().into());
    let source = record.identity_source.as_ref().filter(|_| record.kind == "REQUEST");
    let texts = [
        ("identitySource", source),
        ("authorizerUri", record.uri.as_ref()),
        ("authorizerCredentials", record.credentials.as_ref()),
        ("identityValidationExpression", record.validation_expression.as_ref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            inner.insert(name.to_owned(), text.as_str().into());
        }
    }
    if !record.provider_arns.is_empty() {
        inner.insert("providerARNs".to_owned(), json!(record.provider_arns));
    }
    if let Some(ttl) = record.ttl_s {
        inner.insert("authorizerResultTtlInSeconds".to_owned(), ttl.into());
    }
    out["x-amazon-apigateway-authorizer"] = Value::Object(inner);
    out
}

/// What one operation asks for.
pub fn security(export: &Export<'_>, method: &MethodRecord) -> Vec<Value> {
    let mut all = Vec::new();
    if export.extensions.authorizers {
        let authorizers = &export.document.authorizers;
        let authorizer = authorizers.iter().find(|a| method.authorizer_id.as_ref() == Some(&a.id));
        if let Some(authorizer) = authorizer {
            let mut need = Map::new();
            need.insert(authorizer.name.clone(), json!(method.authorization_scopes));
            all.push(Value::Object(need));
        } else if method.authorization_type == "AWS_IAM" {
            all.push(json!({IAM: []}));
        }
    }
    if method.api_key_required {
        all.push(json!({API_KEY: []}));
    }
    all
}

/// The extensions of an operation.
pub fn of_method(export: &Export<'_>, method: &MethodRecord, out: &mut Map<String, Value>) {
    let validators = &export.document.validators;
    let validator = validators.iter().find(|v| method.request_validator_id.as_ref() == Some(&v.id));
    if let Some(name) = validator.and_then(|validator| validator.name.as_deref()) {
        out.insert("x-amazon-apigateway-request-validator".to_owned(), name.into());
    }
    if let Some(record) = &method.integration {
        out.insert("x-amazon-apigateway-integration".to_owned(), integration(record));
    }
}

fn integration(record: &IntegrationRecord) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), record.kind.to_lowercase().into());
    let texts = [
        ("httpMethod", &record.http_method),
        ("uri", &record.uri),
        ("connectionId", &record.connection_id),
        ("credentials", &record.credentials),
        ("contentHandling", &record.content_handling),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            out.insert(name.to_owned(), text.as_str().into());
        }
    }
    if record.connection_type.as_deref() == Some("VPC_LINK") {
        out.insert("connectionType".to_owned(), "VPC_LINK".into());
    }
    let responses = record.responses.iter().map(|(status, response)| {
        let pattern = response.selection_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        (pattern.unwrap_or("default").to_owned(), answer(status, response))
    });
    insert_filled(&mut out, "responses", responses.collect());
    insert_texts(&mut out, "requestParameters", &record.request_parameters);
    insert_texts(&mut out, "requestTemplates", &record.request_templates);
    let passthrough = record.passthrough_behavior.to_lowercase();
    out.insert("passthroughBehavior".to_owned(), passthrough.into());
    if record.timeout_ms != TIMEOUT_MS_DEFAULT {
        out.insert("timeoutInMillis".to_owned(), record.timeout_ms.into());
    }
    if !record.cache_key_parameters.is_empty() {
        out.insert("cacheNamespace".to_owned(), record.cache_namespace.as_str().into());
        out.insert("cacheKeyParameters".to_owned(), json!(record.cache_key_parameters));
    }
    if let Some(skip) = record.insecure_skip_verification {
        out.insert("tlsConfig".to_owned(), json!({"insecureSkipVerification": skip}));
    }
    Value::Object(out)
}

fn answer(status: &str, record: &IntegrationResponseRecord) -> Value {
    let mut out = Map::new();
    out.insert("statusCode".to_owned(), status.into());
    insert_texts(&mut out, "responseParameters", &record.parameters);
    insert_texts(&mut out, "responseTemplates", &record.templates);
    if let Some(handling) = &record.content_handling {
        out.insert("contentHandling".to_owned(), handling.as_str().into());
    }
    Value::Object(out)
}

/// The extensions of the API as a whole.
pub fn of_api(document: &ApiDocument, out: &mut Map<String, Value>) {
    let api = &document.api;
    if !document.gateway_responses.is_empty() {
        let mut responses = Map::new();
        for record in &document.gateway_responses {
            let mut response = Map::new();
            if let Some(status) = &record.status {
                response.insert("statusCode".to_owned(), status.as_str().into());
            }
            insert_texts(&mut response, "responseParameters", &record.parameters);
            insert_texts(&mut response, "responseTemplates", &record.templates);
            responses.insert(record.kind.clone(), Value::Object(response));
        }
        insert_filled(out, "x-amazon-apigateway-gateway-responses", responses);
    }
    let validators = document.validators.iter().filter_map(|validator| {
        let settings = json!({
            "validateRequestParameters": validator.parameters,
            "validateRequestBody": validator.body,
        });
        Some((validator.name.clone()?, settings))
    });
    insert_filled(out, "x-amazon-apigateway-request-validators", validators.collect());
    let policy = api.policy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    if let Some(policy) = policy {
        out.insert("x-amazon-apigateway-policy".to_owned(), policy);
    }
    if let Some(size) = api.minimum_compression_size {
        out.insert("x-amazon-apigateway-minimum-compression-size".to_owned(), size.into());
    }
    if api.api_key_source != "HEADER" {
        let source = api.api_key_source.as_str().into();
        out.insert("x-amazon-apigateway-api-key-source".to_owned(), source);
    }
    if !api.binary_media_types.is_empty() {
        let kinds = json!(api.binary_media_types);
        out.insert("x-amazon-apigateway-binary-media-types".to_owned(), kinds);
    }
}
