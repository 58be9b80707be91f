//! Everything that is stored: records, tables, keys.
//!
//! An API's parts share a partition (its id), so that a deployment can copy them in one transaction.
//! A deployment's copy never changes: what serves traffic may keep it compiled for as long as it
//! likes.

use std::collections::BTreeMap;

use sereno_base::Timestamp;
use sereno_store::{Counter, Table, record};

record! {
    /// Whose an API or a domain name is, for requests that name nothing else.
    pub struct OwnerRecord {
        1 => account: String,
        2 => region: String,
    }

    pub struct RestApiRecord {
        1 => id: String,
        2 => name: String,
        3 => description: Option<String>,
        4 => created: Timestamp,
        5 => version: Option<String>,
        6 => binary_media_types: Vec<String>,
        7 => minimum_compression_size: Option<i32>,
        8 => api_key_source: String,
        9 => endpoint_type: String,
        10 => ip_address_type: String,
        11 => vpc_endpoint_ids: Vec<String>,
        12 => policy: Option<String>,
        13 => tags: BTreeMap<String, String>,
        14 => disable_execute_api_endpoint: bool,
        15 => root_resource_id: String,
        16 => security_policy: Option<String>,
        17 => endpoint_access_mode: Option<String>,
        /// What the last import found wrong.
        18 => warnings: Vec<String>,
    }

    pub struct ResourceRecord {
        1 => id: String,
        2 => parent_id: Option<String>,
        3 => path_part: Option<String>,
        4 => path: String,
        5 => methods: BTreeMap<String, MethodRecord>,
    }

    pub struct MethodRecord {
        1 => authorization_type: String,
        2 => authorizer_id: Option<String>,
        3 => api_key_required: bool,
        4 => request_validator_id: Option<String>,
        5 => operation_name: Option<String>,
        /// Whether each parameter is required.
        6 => request_parameters: BTreeMap<String, bool>,
        /// Model names by content type.
        7 => request_models: BTreeMap<String, String>,
        8 => responses: BTreeMap<String, MethodResponseRecord>,
        9 => integration: Option<IntegrationRecord>,
        10 => authorization_scopes: Vec<String>,
    }

    pub struct MethodResponseRecord {
        1 => parameters: BTreeMap<String, bool>,
        2 => models: BTreeMap<String, String>,
        /// They were given, if only as an empty map: AWS shows them then.
        3 => has_parameters: bool,
        4 => has_models: bool,
    }

    pub struct IntegrationRecord {
        1 => kind: String,
        2 => http_method: Option<String>,
        3 => uri: Option<String>,
        4 => connection_type: Option<String>,
        5 => connection_id: Option<String>,
        6 => credentials: Option<String>,
        7 => request_parameters: BTreeMap<String, String>,
        8 => request_templates: BTreeMap<String, String>,
        9 => passthrough_behavior: String,
        10 => content_handling: Option<String>,
        11 => timeout_ms: i32,
        12 => cache_namespace: String,
        13 => cache_key_parameters: Vec<String>,
        14 => responses: BTreeMap<String, IntegrationResponseRecord>,
        /// TLS certificates of the endpoint are not checked.
        15 => insecure_skip_verification: Option<bool>,
        16 => has_request_parameters: bool,
    }

    pub struct IntegrationResponseRecord {
        1 => selection_pattern: Option<String>,
        2 => parameters: BTreeMap<String, String>,
        3 => templates: BTreeMap<String, String>,
        4 => content_handling: Option<String>,
        5 => has_parameters: bool,
        6 => has_templates: bool,
    }

    pub struct ModelRecord {
        1 => id: String,
        2 => name: String,
        3 => description: Option<String>,
        4 => schema: Option<String>,
        5 => content_type: String,
    }

    pub struct ValidatorRecord {
        1 => id: String,
        2 => name: Option<String>,
        3 => body: bool,
        4 => parameters: bool,
    }

    pub struct AuthorizerRecord {
        1 => id: String,
        2 => name: String,
        3 => kind: String,
        4 => provider_arns: Vec<String>,
        5 => auth_type: Option<String>,
        6 => uri: Option<String>,
        7 => credentials: Option<String>,
        8 => identity_source: Option<String>,
        9 => validation_expression: Option<String>,
        10 => ttl_s: Option<i32>,
    }

    pub struct GatewayResponseRecord {
        1 => kind: String,
        2 => status: Option<String>,
        3 => parameters: BTreeMap<String, String>,
        4 => templates: BTreeMap<String, String>,
    }

    pub struct DeploymentRecord {
        1 => id: String,
        2 => description: Option<String>,
        3 => created: Timestamp,
    }

    /// All parts of an API: what a deployment keeps, what an export writes, what an import makes.
    pub struct ApiDocument {
        1 => api: RestApiRecord,
        2 => resources: Vec<ResourceRecord>,
        3 => models: Vec<ModelRecord>,
        4 => validators: Vec<ValidatorRecord>,
        5 => authorizers: Vec<AuthorizerRecord>,
        6 => gateway_responses: Vec<GatewayResponseRecord>,
        7 => documentation: Vec<DocumentationPartRecord>,
    }

    /// What is written about one part of an API. What a location does not name is empty.
    pub struct DocumentationPartRecord {
        1 => id: String,
        2 => kind: String,
        3 => path: Option<String>,
        4 => method: Option<String>,
        5 => status_code: Option<String>,
        6 => name: Option<String>,
        /// JSON, as it was given.
        7 => properties: String,
    }

    /// All parts as they were at one time.
    pub struct DocumentationVersionRecord {
        1 => version: String,
        2 => description: Option<String>,
        3 => created: Timestamp,
        4 => parts: Vec<DocumentationPartRecord>,
    }

    pub struct StageRecord {
        1 => name: String,
        2 => deployment_id: String,
        3 => description: Option<String>,
        4 => cache_cluster_enabled: bool,
        5 => cache_cluster_size: Option<String>,
        6 => variables: BTreeMap<String, String>,
        7 => documentation_version: Option<String>,
        8 => tracing_enabled: bool,
        9 => tags: BTreeMap<String, String>,
        10 => created: Timestamp,
        11 => updated: Timestamp,
        12 => method_settings: BTreeMap<String, MethodSettingRecord>,
        13 => access_log_destination: Option<String>,
        14 => access_log_format: Option<String>,
        15 => canary: Option<CanaryRecord>,
        16 => client_certificate_id: Option<String>,
        17 => web_acl_arn: Option<String>,
    }

    pub struct CanaryRecord {
        1 => percent_traffic: f64,
        2 => deployment_id: Option<String>,
        3 => variable_overrides: BTreeMap<String, String>,
        4 => use_stage_cache: bool,
    }

    pub struct MethodSettingRecord {
        1 => metrics_enabled: bool,
        2 => logging_level: Option<String>,
        3 => data_trace_enabled: bool,
        4 => throttling_burst_limit: Option<i32>,
        5 => throttling_rate_limit: Option<f64>,
        6 => caching_enabled: bool,
        7 => cache_ttl_s: Option<i32>,
        8 => cache_data_encrypted: bool,
        9 => require_authorization_for_cache_control: Option<bool>,
        10 => unauthorized_cache_control: Option<String>,
    }

    pub struct ApiKeyRecord {
        1 => id: String,
        2 => value: String,
        3 => name: Option<String>,
        4 => customer_id: Option<String>,
        5 => description: Option<String>,
        6 => enabled: bool,
        7 => created: Timestamp,
        8 => updated: Timestamp,
        9 => stage_keys: Vec<String>,
        10 => tags: BTreeMap<String, String>,
    }

    pub struct UsagePlanRecord {
        1 => id: String,
        2 => name: String,
        3 => description: Option<String>,
        4 => stages: Vec<PlanStageRecord>,
        5 => throttle: Option<ThrottleRecord>,
        6 => quota: Option<QuotaRecord>,
        7 => product_code: Option<String>,
        8 => tags: BTreeMap<String, String>,
    }

    pub struct PlanStageRecord {
        1 => api_id: String,
        2 => stage: String,
        /// By `/path/METHOD`.
        3 => throttle: BTreeMap<String, ThrottleRecord>,
    }

    pub struct ThrottleRecord {
        1 => burst_limit: i32,
        2 => rate_limit: f64,
    }

    pub struct QuotaRecord {
        1 => limit: i32,
        2 => offset: i32,
        3 => period: String,
    }

    pub struct AccountRecord {
        1 => cloudwatch_role_arn: Option<String>,
    }

    pub struct DomainRecord {
        1 => name: String,
        2 => certificate_name: Option<String>,
        3 => certificate_arn: Option<String>,
        4 => certificate_uploaded: Option<Timestamp>,
        5 => regional_certificate_name: Option<String>,
        6 => regional_certificate_arn: Option<String>,
        7 => endpoint_type: String,
        8 => security_policy: String,
        9 => tags: BTreeMap<String, String>,
        /// The part of AWS's own host names that is this domain's.
        10 => label: String,
        11 => mutual_tls_uri: Option<String>,
        12 => mutual_tls_version: Option<String>,
        13 => ownership_certificate_arn: Option<String>,
        14 => ip_address_type: String,
        15 => created: Timestamp,
    }

    pub struct MappingRecord {
        /// `(none)` if it stands for the root.
        1 => base_path: String,
        2 => api_id: String,
        3 => stage: Option<String>,
    }
}

const SERVICE: &str = "apigateway";

/// In the global scope: API id → owner.
pub const API_OWNERS: Table<String, OwnerRecord> = Table::new(SERVICE, "api-owners").partition(1);
/// In the global scope: domain name → owner.
pub const DOMAIN_OWNERS: Table<String, OwnerRecord> =
    Table::new(SERVICE, "domain-owners").partition(1);

pub const APIS: Table<String, RestApiRecord> = Table::new(SERVICE, "apis");
/// By API and id; so are all the following.
pub const RESOURCES: Table<(String, String), ResourceRecord> = Table::new(SERVICE, "resources");
/// By API and name.
pub const MODELS: Table<(String, String), ModelRecord> = Table::new(SERVICE, "models");
pub const VALIDATORS: Table<(String, String), ValidatorRecord> = Table::new(SERVICE, "validators");
pub const AUTHORIZERS: Table<(String, String), AuthorizerRecord> =
    Table::new(SERVICE, "authorizers");
/// By API and response type.
pub const GATEWAY_RESPONSES: Table<(String, String), GatewayResponseRecord> =
    Table::new(SERVICE, "gateway-responses");
pub const DOCUMENTATION_PARTS: Table<(String, String), DocumentationPartRecord> =
    Table::new(SERVICE, "documentation-parts");
/// By API and version.
pub const DOCUMENTATION_VERSIONS: Table<(String, String), DocumentationVersionRecord> =
    Table::new(SERVICE, "documentation-versions");
pub const DEPLOYMENTS: Table<(String, String), DeploymentRecord> =
    Table::new(SERVICE, "deployments");
/// What a deployment deployed.
pub const SNAPSHOTS: Table<(String, String), ApiDocument> = Table::new(SERVICE, "snapshots");
/// By API and name.
pub const STAGES: Table<(String, String), StageRecord> = Table::new(SERVICE, "stages");

pub const API_KEYS: Table<String, ApiKeyRecord> = Table::new(SERVICE, "api-keys");
/// Value of an API key → its id.
pub const API_KEY_VALUES: Table<String, KeyIdRecord> = Table::new(SERVICE, "api-key-values");
pub const USAGE_PLANS: Table<String, UsagePlanRecord> = Table::new(SERVICE, "usage-plans");
/// By plan and key.
pub const PLAN_KEYS: Table<(String, String), PlanKeyRecord> = Table::new(SERVICE, "plan-keys");
/// By key and plan: the same relation from the other end.
pub const KEY_PLANS: Table<(String, String), PlanKeyRecord> = Table::new(SERVICE, "key-plans");
/// By plan, key and day (`2016-12-31`): requests that were let through.
pub const USED: Table<(String, String, String), Counter> = Table::new(SERVICE, "used");
/// By plan, key and the period's first day: what `UpdateUsage` added to the quota.
pub const EXTENDED: Table<(String, String, String), Counter> = Table::new(SERVICE, "extended");

/// By [`ACCOUNT_KEY`]: there is one.
pub const ACCOUNT: Table<String, AccountRecord> = Table::new(SERVICE, "account");
pub const ACCOUNT_KEY: &str = "account";
pub const DOMAINS: Table<String, DomainRecord> = Table::new(SERVICE, "domains");
/// By domain and base path.
pub const MAPPINGS: Table<(String, String), MappingRecord> = Table::new(SERVICE, "mappings");

record! {
    pub struct KeyIdRecord {
        1 => id: String,
    }

    /// That a key is in a plan.
    pub struct PlanKeyRecord {
        1 => added: Timestamp,
    }
}
