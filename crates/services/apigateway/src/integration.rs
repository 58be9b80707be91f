//! Integrations: what stands behind a method, and how its answers become the method's.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request, not_found};
use crate::mapping_rules as mapping;
use crate::method::{find, find_mut};
use crate::patch::{self, Patch};
use crate::resource::{load as load_resource, put as put_resource};
use crate::state::{IntegrationRecord, IntegrationResponseRecord, MethodRecord};
use crate::{role, shapes};

const TIMEOUT_MS_DEFAULT: i32 = 29_000;
const TIMEOUT_MS_MIN: i32 = 50;
const PASSTHROUGH: [&str; 3] = ["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"];

pub async fn put(ctx: Ctx, input: api::PutIntegrationInput) -> Result<api::PutIntegrationOutput> {
    let api_id = input.rest_api_id.clone();
    let (resource_id, http_method) = (input.resource_id.clone(), input.http_method.clone());
    let record = new(input)?;
    role::pass(&ctx, record.credentials.as_deref()).await?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, &api_id, &resource_id).await?;
        let method = find_mut(&mut resource, &http_method)?;
        check(&record, method)?;
        method.integration = Some(record.clone());
        put_resource(&ctx, txn, &api_id, &resource);
    })?;
    Ok(shapes::integration(record))
}

fn new(input: api::PutIntegrationInput) -> Result<IntegrationRecord> {
    if input.response_transfer_mode.as_ref().is_some_and(|mode| mode.as_str() == "STREAM") {
        return Err(errors::unsupported("integrations that stream their response"));
    }
    if input.integration_target.is_some() {
        return Err(errors::unsupported("integration targets of VPC links V2"));
    }
    let kind = input.r#type.to_string();
    let http = kind.starts_with("HTTP");
    let connection = input.connection_type.map(|t| t.to_string());
    Ok(IntegrationRecord {
        http_method: input.integration_http_method.filter(|_| kind != "MOCK"),
        uri: input.uri.filter(|_| kind != "MOCK"),
        connection_type: connection.or_else(|| http.then(|| "INTERNET".to_owned())),
        connection_id: input.connection_id,
        credentials: input.credentials,
        has_request_parameters: input.request_parameters.is_some(),
        request_parameters: input.request_parameters.unwrap_or_default(),
        request_templates: shapes::texts(input.request_templates.unwrap_or_default()),
        passthrough_behavior: input
            .passthrough_behavior
            .unwrap_or_else(|| PASSTHROUGH[0].to_owned())
            .to_uppercase(),
        content_handling: input.content_handling.map(|c| c.to_string()),
        timeout_ms: input.timeout_in_millis.unwrap_or(TIMEOUT_MS_DEFAULT),
        cache_namespace: input.cache_namespace.unwrap_or(input.resource_id),
        cache_key_parameters: input.cache_key_parameters.unwrap_or_default(),
        insecure_skip_verification: input
            .tls_config
            .map(|tls| tls.insecure_skip_verification.unwrap_or_default()),
        kind,
        ..IntegrationRecord::default()
    })
}

/// Recorded: `test_put_integration_validation`, `test_put_integration_aws_proxy_uri`.
pub fn check(record: &IntegrationRecord, method: &MethodRecord) -> Result<()> {
    if record.kind != "MOCK" {
        if record.http_method.as_deref().is_none_or(str::is_empty) {
            return Err(bad_request("Enumeration value for HttpMethod must be non-empty"));
        }
        check_uri(&record.kind, record.uri.as_deref().unwrap_or_default())?;
    }
    if !PASSTHROUGH.contains(&record.passthrough_behavior.as_str()) {
        return Err(bad_request(
            "Invalid passthroughBehavior specified. Valid options are WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER",
        ));
    }
    if record.timeout_ms < TIMEOUT_MS_MIN {
        return Err(bad_request("Timeout should be at least 50 ms"));
    }
    if record.connection_type.as_deref() == Some("VPC_LINK") && record.connection_id.is_none() {
        return Err(bad_request("Invalid VPC Link specified"));
    }
    let errors = mapping::request_errors(&record.request_parameters, method);
    mapping::refuse("Invalid mapping expression specified: Validation Result", &errors)?;
    templates(&record.request_templates)
}

fn templates(templates: &std::collections::BTreeMap<String, String>) -> Result<()> {
    let errors: Vec<String> = templates
        .keys()
        .filter(|kind| !kind.contains('/') && *kind != "$default")
        .map(|kind| format!("Invalid content type specified: {kind}"))
        .collect();
    mapping::refuse("Validation Result", &errors)
}

fn check_uri(kind: &str, uri: &str) -> Result<()> {
    if kind.starts_with("HTTP") {
        let known = uri.starts_with("http://") || uri.starts_with("https://");
        let host = uri.splitn(3, '/').nth(2).unwrap_or_default();
        return if known && !host.is_empty() && !host.starts_with('/') || uri.starts_with("${") {
            Ok(())
        } else {
            Err(bad_request("Invalid HTTP endpoint specified for URI"))
        };
    }
    // arn:partition:apigateway:region:service:path|action/...
    if !uri.starts_with("arn:") {
        return Err(bad_request("Invalid ARN specified in the request"));
    }
    let parts: Vec<&str> = uri.splitn(6, ':').collect();
    let (target, rest) = match parts[..] {
        [_, _, "apigateway", _, target, rest] => (target, rest),
        _ => ("", ""),
    };
    if !rest.starts_with("path/") && !rest.starts_with("action/") {
        return Err(bad_request("AWS ARN for integration must contain path or action"));
    }
    let known = match target {
        "lambda" => rest.contains("/functions/") && rest.ends_with("/invocations"),
        other => other == "firehose" && rest.starts_with("action/"),
    };
    if kind == "AWS_PROXY" && !known {
        return Err(bad_request(
            "Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations.",
        ));
    }
    Ok(())
}

fn of(method: &MethodRecord) -> Result<&IntegrationRecord> {
    method.integration.as_ref().ok_or_else(errors::integration)
}

pub async fn get(ctx: Ctx, input: api::GetIntegrationInput) -> Result<api::GetIntegrationOutput> {
    let api_id = input.rest_api_id.as_str();
    let resource = load_resource(&ctx, ctx.store(), api_id, &input.resource_id).await?;
    let record = of(find(&resource, &input.http_method)?)?.clone();
    Ok(shapes::integration(record))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteIntegrationInput,
) -> Result<api::DeleteIntegrationOutput> {
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        method.integration.take().ok_or_else(errors::integration)?;
        put_resource(&ctx, txn, api_id, &resource);
        api::DeleteIntegrationOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateIntegrationInput,
) -> Result<api::UpdateIntegrationOutput> {
    let patches = patch::read(input.patch_operations)?;
    role::pass_patched(&ctx, &patches, "/credentials").await?;
    let api_id = input.rest_api_id.as_str();
    let record: IntegrationRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        let mut record = of(method)?.clone();
        for patch in &patches {
            change(&mut record, patch)?;
        }
        check(&record, method)?;
        method.integration = Some(record.clone());
        put_resource(&ctx, txn, api_id, &resource);
        record
    })?;
    Ok(shapes::integration(record))
}

fn change(record: &mut IntegrationRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["type"] => patch.text().clone_into(&mut record.kind),
        ["httpMethod"] => record.http_method = patch.some(),
        ["uri"] => record.uri = patch.some(),
        ["connectionType"] => record.connection_type = patch.some(),
        ["connectionId"] => record.connection_id = patch.some(),
        ["credentials"] => record.credentials = patch.some(),
        ["passthroughBehavior"] => patch.text().clone_into(&mut record.passthrough_behavior),
        ["contentHandling"] => record.content_handling = patch.some(),
        ["timeoutInMillis"] => {
            patch.replace_only()?;
            record.timeout_ms = patch.number()?;
        }
        ["cacheNamespace"] => patch.text().clone_into(&mut record.cache_namespace),
        ["cacheKeyParameters", name] => {
            patch::change_list(&mut record.cache_key_parameters, patch, name);
        }
        ["tlsConfig", "insecureSkipVerification"] => {
            record.insecure_skip_verification = Some(patch.truth());
        }
        ["requestParameters", name] if patch.removes() => {
            record.request_parameters.remove(*name);
        }
        ["requestParameters", name] => {
            record.request_parameters.insert((*name).to_owned(), patch.text().to_owned());
        }
        ["requestTemplates", kind] if patch.removes() => {
            record.request_templates.remove(*kind);
        }
        ["requestTemplates", kind] => {
            record.request_templates.insert((*kind).to_owned(), patch.text().to_owned());
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

pub async fn put_response(
    ctx: Ctx,
    input: api::PutIntegrationResponseInput,
) -> Result<api::PutIntegrationResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    let record = IntegrationResponseRecord {
        selection_pattern: input.selection_pattern,
        has_parameters: input.response_parameters.is_some(),
        parameters: input.response_parameters.unwrap_or_default(),
        has_templates: input.response_templates.is_some(),
        templates: shapes::texts(input.response_templates.unwrap_or_default()),
        content_handling: input.content_handling.map(|c| c.to_string()),
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        check_response(&record, method, &input.status_code)?;
        let integration = method.integration.as_mut().ok_or_else(errors::integration)?;
        integration.responses.insert(input.status_code.clone(), record.clone());
        put_resource(&ctx, txn, api_id, &resource);
    })?;
    Ok(shapes::integration_response(&input.status_code, record))
}

/// What an integration response sets must be declared by the method's response.
fn check_response(
    record: &IntegrationResponseRecord,
    method: &MethodRecord,
    status: &str,
) -> Result<()> {
    let declared = method.responses.get(status).map(|response| &response.parameters);
    let errors = mapping::response_errors(&record.parameters, declared);
    mapping::refuse("Invalid mapping expression specified: Validation Result", &errors)?;
    templates(&record.templates)
}

pub async fn get_response(
    ctx: Ctx,
    input: api::GetIntegrationResponseInput,
) -> Result<api::GetIntegrationResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    let resource = load_resource(&ctx, ctx.store(), api_id, &input.resource_id).await?;
    let integration = of(find(&resource, &input.http_method)?)?;
    let record = integration.responses.get(&input.status_code).ok_or_else(errors::response)?;
    Ok(shapes::integration_response(&input.status_code, record.clone()))
}

/// Here a missing method is a missing integration (recorded: `test_delete_integration_response_errors`).
pub async fn delete_response(
    ctx: Ctx,
    input: api::DeleteIntegrationResponseInput,
) -> Result<api::DeleteIntegrationResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = resource.methods.get_mut(&input.http_method);
        let integration = method.and_then(|method| method.integration.as_mut());
        let integration = integration.ok_or_else(errors::integration)?;
        integration.responses.remove(&input.status_code).ok_or_else(errors::response)?;
        put_resource(&ctx, txn, api_id, &resource);
        api::DeleteIntegrationResponseOutput::default()
    })
}

pub async fn update_response(
    ctx: Ctx,
    input: api::UpdateIntegrationResponseInput,
) -> Result<api::UpdateIntegrationResponseOutput> {
    let patches = patch::read(input.patch_operations)?;
    let api_id = input.rest_api_id.as_str();
    let status = input.status_code.as_str();
    let record: IntegrationResponseRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        let mut record = of(method)?.responses.get(status).ok_or_else(errors::response)?.clone();
        for patch in &patches {
            change_response(&mut record, patch)?;
        }
        check_response(&record, method, status)?;
        if let Some(integration) = &mut method.integration {
            integration.responses.insert(status.to_owned(), record.clone());
        }
        put_resource(&ctx, txn, api_id, &resource);
        record
    })?;
    Ok(shapes::integration_response(status, record))
}

fn change_response(record: &mut IntegrationResponseRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["selectionPattern"] => record.selection_pattern.clone_from(&patch.value),
        ["contentHandling"] => record.content_handling = patch.some(),
        ["responseParameters", name] if patch.removes() => {
            let removed = record.parameters.remove(*name);
            removed.ok_or_else(|| not_found("Invalid parameter name specified"))?;
            record.has_parameters = false;
        }
        ["responseParameters", name] => {
            record.parameters.insert((*name).to_owned(), patch.text().to_owned());
        }
        ["responseTemplates", kind] if patch.removes() => {
            let removed = record.templates.remove(*kind);
            removed.ok_or_else(|| not_found("Content-Type specified was not found"))?;
            record.has_templates = false;
        }
        ["responseTemplates", kind] => {
            record.templates.insert((*kind).to_owned(), patch.text().to_owned());
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}
