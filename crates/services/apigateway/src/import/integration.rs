//! `x-amazon-apigateway-integration`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-integration.html>

use std::collections::BTreeMap;

use serde_json::Value;
use sereno_kernel::Result;

use super::{list, plain, text, texts};
use crate::errors::bad_request;
use crate::integration::check;
use crate::state::{IntegrationRecord, IntegrationResponseRecord, MethodRecord};

const TIMEOUT_MS: i32 = 29_000;

/// `None`: the operation has none, which is allowed until it is deployed.
pub fn read(
    operation: &Value,
    method: &MethodRecord,
    resource_id: &str,
) -> Result<Option<IntegrationRecord>> {
    let Some(given) = operation.get("x-amazon-apigateway-integration") else { return Ok(None) };
    let kind = text(given, "type").unwrap_or_default().to_uppercase();
    if !["AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"].contains(&kind.as_str()) {
        return Err(bad_request(format!("Invalid integration type specified: {kind}")));
    }
    let is_http = kind.starts_with("HTTP");
    let connection_type = text(given, "connectionType").map(|kind| kind.to_uppercase());
    let timeout = given.get("timeoutInMillis").and_then(Value::as_i64);
    let tls = given.get("tlsConfig");
    let passthrough = text(given, "passthroughBehavior");
    let record = IntegrationRecord {
        http_method: text(given, "httpMethod").filter(|_| kind != "MOCK"),
        uri: text(given, "uri"),
        connection_type: connection_type.or_else(|| is_http.then(|| "INTERNET".to_owned())),
        connection_id: text(given, "connectionId"),
        credentials: text(given, "credentials"),
        request_parameters: request_parameters(given),
        has_request_parameters: given.get("requestParameters").is_some(),
        request_templates: texts(given, "requestTemplates"),
        passthrough_behavior: passthrough
            .unwrap_or_else(|| "WHEN_NO_MATCH".to_owned())
            .to_uppercase(),
        content_handling: text(given, "contentHandling"),
        timeout_ms: timeout.and_then(|ms| i32::try_from(ms).ok()).unwrap_or(TIMEOUT_MS),
        cache_namespace: text(given, "cacheNamespace").unwrap_or_else(|| resource_id.to_owned()),
        cache_key_parameters: list(given, "cacheKeyParameters"),
        insecure_skip_verification: tls.map(|tls| {
            tls.get("insecureSkipVerification").and_then(Value::as_bool).unwrap_or_default()
        }),
        responses: responses(given),
        kind,
    };
    check(&record, method)?;
    Ok(Some(record))
}

/// Only texts are mappings; [`warnings`] tells of the others.
fn request_parameters(given: &Value) -> BTreeMap<String, String> {
    let all = given.get("requestParameters").and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Recorded: `test_import_rest_api_with_base_path_oas30`.
pub fn warnings(operation: &Value, path: &str, http_method: &str) -> Vec<String> {
    let given = operation.get("x-amazon-apigateway-integration");
    let all = given.and_then(|given| given.get("requestParameters")?.as_object());
    let bad = all.into_iter().flatten().filter(|(_, value)| !value.is_string());
    let warning = |(name, value): (&String, &Value)| {
        format!(
            "Invalid format for 'requestParameters'. Expected type string for property '{name}' of resource '{path}' and method '{http_method}' but got '{value}'"
        )
    };
    bad.map(warning).collect()
}

/// By status; their keys are the patterns that select them.
fn responses(given: &Value) -> BTreeMap<String, IntegrationResponseRecord> {
    let responses = given.get("responses").and_then(Value::as_object).into_iter().flatten();
    let read = responses.map(|(pattern, response)| {
        let status = response.get("statusCode").map_or_else(|| "200".to_owned(), plain);
        let record = IntegrationResponseRecord {
            selection_pattern: (pattern != "default").then(|| pattern.clone()),
            parameters: texts(response, "responseParameters"),
            templates: texts(response, "responseTemplates"),
            content_handling: text(response, "contentHandling"),
            has_parameters: response.get("responseParameters").is_some(),
            has_templates: response.get("responseTemplates").is_some(),
        };
        (status, record)
    });
    read.collect()
}
