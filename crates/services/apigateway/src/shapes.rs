//! Records as the API shows them.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_base::{AccountId, Timestamp};
use sereno_kernel::Ctx;

use crate::policy;
use crate::state::{
    ApiKeyRecord, AuthorizerRecord, CanaryRecord, DeploymentRecord, IntegrationRecord,
    IntegrationResponseRecord, MethodRecord, MethodResponseRecord, MethodSettingRecord,
    ModelRecord, ResourceRecord, RestApiRecord, StageRecord, ThrottleRecord, UsagePlanRecord,
    ValidatorRecord,
};

/// Dates are whole seconds.
pub fn date(at: Timestamp) -> Option<Timestamp> {
    Some(Timestamp::from_secs(at.secs()))
}

fn filled<K: Ord, V>(map: BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
    Some(map).filter(|map| !map.is_empty())
}

/// Templates as they are kept: one that is null is empty.
pub fn texts(templates: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    templates.into_iter().map(|(kind, text)| (kind, text.unwrap_or_default())).collect()
}

/// Templates as they are shown: one that is empty is null.
/// Recorded: `test_put_integration_response_templates`.
fn templates(texts: BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    texts.into_iter().map(|(kind, text)| (kind, Some(text).filter(|t| !t.is_empty()))).collect()
}

pub fn rest_api(ctx: &Ctx, record: RestApiRecord) -> api::RestApi {
    let policy = record.policy.as_deref().map(|text| {
        let account: AccountId = ctx.account();
        policy::shown(text, ctx.partition(), ctx.region(), account, &record.id)
    });
    api::RestApi {
        description: record.description,
        created_date: date(record.created),
        version: record.version,
        warnings: Some(record.warnings).filter(|list| !list.is_empty()),
        binary_media_types: Some(record.binary_media_types).filter(|list| !list.is_empty()),
        minimum_compression_size: record.minimum_compression_size,
        api_key_source: Some(record.api_key_source.as_str().into()),
        endpoint_configuration: Some(api::EndpointConfiguration {
            types: Some(vec![record.endpoint_type.as_str().into()]),
            vpc_endpoint_ids: Some(record.vpc_endpoint_ids).filter(|list| !list.is_empty()),
            ip_address_type: Some(record.ip_address_type.as_str().into()),
        }),
        policy,
        tags: filled(record.tags),
        disable_execute_api_endpoint: Some(record.disable_execute_api_endpoint),
        root_resource_id: Some(record.root_resource_id),
        security_policy: record.security_policy.map(|text| text.as_str().into()),
        endpoint_access_mode: record.endpoint_access_mode.map(|text| text.as_str().into()),
        id: Some(record.id),
        name: Some(record.name),
        ..api::RestApi::default()
    }
}

/// With `methods`, each method in full; without, only their names.
pub fn resource(record: ResourceRecord, methods: bool) -> api::Resource {
    let show = |(name, record): (String, MethodRecord)| {
        let shown = if methods { method(&name, record) } else { api::Method::default() };
        (name, shown)
    };
    api::Resource {
        id: Some(record.id),
        parent_id: record.parent_id,
        path_part: record.path_part,
        path: Some(record.path),
        resource_methods: filled(record.methods.into_iter().map(show).collect()),
    }
}

pub fn method(name: &str, record: MethodRecord) -> api::Method {
    let responses = record.responses.into_iter();
    let responses = responses.map(|(status, r)| (status.clone(), method_response(&status, r)));
    api::Method {
        http_method: Some(name.to_owned()),
        authorization_type: Some(record.authorization_type),
        authorizer_id: record.authorizer_id,
        api_key_required: Some(record.api_key_required),
        request_validator_id: record.request_validator_id,
        operation_name: record.operation_name,
        request_parameters: filled(record.request_parameters),
        request_models: filled(record.request_models),
        method_responses: filled(responses.collect()),
        method_integration: record.integration.map(integration),
        authorization_scopes: Some(record.authorization_scopes).filter(|list| !list.is_empty()),
    }
}

pub fn method_response(status: &str, record: MethodResponseRecord) -> api::MethodResponse {
    let show = |given: bool, empty: bool| given || !empty;
    let parameters = show(record.has_parameters, record.parameters.is_empty());
    let models = show(record.has_models, record.models.is_empty());
    api::MethodResponse {
        status_code: Some(status.to_owned()),
        response_parameters: Some(record.parameters).filter(|_| parameters),
        response_models: Some(record.models).filter(|_| models),
    }
}

pub fn integration(record: IntegrationRecord) -> api::Integration {
    let responses = record.responses.into_iter();
    let responses = responses.map(|(status, r)| (status.clone(), integration_response(&status, r)));
    let parameters = record.has_request_parameters || !record.request_parameters.is_empty();
    api::Integration {
        r#type: Some(record.kind.as_str().into()),
        http_method: record.http_method,
        uri: record.uri,
        connection_type: record.connection_type.map(|text| text.as_str().into()),
        connection_id: record.connection_id,
        credentials: record.credentials,
        request_parameters: Some(record.request_parameters).filter(|_| parameters),
        request_templates: filled(templates(record.request_templates)),
        passthrough_behavior: Some(record.passthrough_behavior),
        content_handling: record.content_handling.map(|text| text.as_str().into()),
        timeout_in_millis: Some(record.timeout_ms),
        cache_namespace: Some(record.cache_namespace),
        cache_key_parameters: Some(record.cache_key_parameters),
        integration_responses: filled(responses.collect()),
        tls_config: record
            .insecure_skip_verification
            .map(|skip| api::TlsConfig { insecure_skip_verification: Some(skip) }),
        ..api::Integration::default()
    }
}

pub fn integration_response(
    status: &str,
    record: IntegrationResponseRecord,
) -> api::IntegrationResponse {
    let parameters = record.has_parameters || !record.parameters.is_empty();
    let has_templates = record.has_templates || !record.templates.is_empty();
    api::IntegrationResponse {
        status_code: Some(status.to_owned()),
        selection_pattern: record.selection_pattern,
        response_parameters: Some(record.parameters).filter(|_| parameters),
        response_templates: Some(templates(record.templates)).filter(|_| has_templates),
        content_handling: record.content_handling.map(|text| text.as_str().into()),
    }
}

pub fn model(record: ModelRecord) -> api::Model {
    api::Model {
        id: Some(record.id),
        name: Some(record.name),
        description: record.description,
        schema: record.schema,
        content_type: Some(record.content_type),
    }
}

pub fn validator(record: ValidatorRecord) -> api::RequestValidator {
    api::RequestValidator {
        id: Some(record.id),
        name: record.name,
        validate_request_body: Some(record.body),
        validate_request_parameters: Some(record.parameters),
    }
}

pub fn authorizer(record: AuthorizerRecord) -> api::Authorizer {
    api::Authorizer {
        id: Some(record.id),
        name: Some(record.name),
        r#type: Some(record.kind.as_str().into()),
        provider_ar_ns: Some(record.provider_arns).filter(|list| !list.is_empty()),
        auth_type: record.auth_type,
        authorizer_uri: record.uri,
        authorizer_credentials: record.credentials,
        identity_source: record.identity_source,
        identity_validation_expression: record.validation_expression,
        authorizer_result_ttl_in_seconds: record.ttl_s,
        jwt_configuration: None,
    }
}

pub fn deployment(record: DeploymentRecord) -> api::Deployment {
    api::Deployment {
        id: Some(record.id),
        description: record.description,
        created_date: date(record.created),
        api_summary: None,
    }
}

pub fn stage(record: StageRecord) -> api::Stage {
    let logs = api::AccessLogSettings {
        format: record.access_log_format,
        destination_arn: record.access_log_destination,
    };
    let logged = logs.format.is_some() || logs.destination_arn.is_some();
    let settings = record.method_settings.into_iter();
    let cache = record.cache_cluster_enabled;
    api::Stage {
        deployment_id: Some(record.deployment_id),
        client_certificate_id: record.client_certificate_id,
        stage_name: Some(record.name),
        description: record.description,
        cache_cluster_enabled: Some(cache),
        cache_cluster_size: record.cache_cluster_size.map(|text| text.as_str().into()),
        cache_cluster_status: Some(if cache {
            api::CacheClusterStatus::Available
        } else {
            api::CacheClusterStatus::NotAvailable
        }),
        method_settings: Some(settings.map(|(path, s)| (path, method_setting(s))).collect()),
        variables: filled(record.variables),
        documentation_version: record.documentation_version,
        access_log_settings: Some(logs).filter(|_| logged),
        canary_settings: record.canary.map(canary),
        tracing_enabled: Some(record.tracing_enabled),
        web_acl_arn: record.web_acl_arn,
        tags: filled(record.tags),
        created_date: date(record.created),
        last_updated_date: date(record.updated),
    }
}

fn canary(record: CanaryRecord) -> api::CanarySettings {
    api::CanarySettings {
        percent_traffic: Some(record.percent_traffic),
        deployment_id: record.deployment_id,
        stage_variable_overrides: filled(record.variable_overrides),
        use_stage_cache: Some(record.use_stage_cache),
    }
}

fn method_setting(record: MethodSettingRecord) -> api::MethodSetting {
    api::MethodSetting {
        metrics_enabled: Some(record.metrics_enabled),
        logging_level: record.logging_level,
        data_trace_enabled: Some(record.data_trace_enabled),
        throttling_burst_limit: record.throttling_burst_limit,
        throttling_rate_limit: record.throttling_rate_limit,
        caching_enabled: Some(record.caching_enabled),
        cache_ttl_in_seconds: record.cache_ttl_s,
        cache_data_encrypted: Some(record.cache_data_encrypted),
        require_authorization_for_cache_control: record.require_authorization_for_cache_control,
        unauthorized_cache_control_header_strategy: record
            .unauthorized_cache_control
            .map(|text| text.as_str().into()),
    }
}

/// A key's value is shown only where it was asked for.
pub fn api_key(record: ApiKeyRecord, with_value: bool) -> api::ApiKey {
    api::ApiKey {
        id: Some(record.id),
        value: Some(record.value).filter(|_| with_value),
        name: record.name,
        customer_id: record.customer_id,
        description: record.description,
        enabled: Some(record.enabled),
        created_date: date(record.created),
        last_updated_date: date(record.updated),
        stage_keys: Some(record.stage_keys),
        tags: filled(record.tags),
    }
}

pub fn throttle(record: ThrottleRecord) -> api::ThrottleSettings {
    api::ThrottleSettings {
        burst_limit: Some(record.burst_limit),
        rate_limit: Some(record.rate_limit),
    }
}

pub fn usage_plan(record: UsagePlanRecord) -> api::UsagePlan {
    let stages = record.stages.into_iter().map(|stage| api::ApiStage {
        api_id: Some(stage.api_id),
        stage: Some(stage.stage),
        throttle: filled(
            stage.throttle.into_iter().map(|(path, limit)| (path, throttle(limit))).collect(),
        ),
    });
    api::UsagePlan {
        id: Some(record.id),
        name: Some(record.name),
        description: record.description,
        api_stages: Some(stages.collect()),
        throttle: record.throttle.map(throttle),
        quota: record.quota.map(|quota| api::QuotaSettings {
            limit: Some(quota.limit),
            offset: Some(quota.offset),
            period: Some(quota.period.as_str().into()),
        }),
        product_code: record.product_code,
        tags: filled(record.tags),
    }
}
