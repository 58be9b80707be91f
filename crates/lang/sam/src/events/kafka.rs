//! What a function's role needs to read from Kafka.

use super::Event;
use super::pull::{network_access, read_secret, secrets_key, sub_arn};
use crate::fault::{Result, expect};
use crate::intrinsics::is_intrinsic;
use crate::role::{named, statement};
use crate::value::{Value, list, map, str_of};
use crate::world::World;

const AUTHENTICATION: [&str; 7] = [
    "SASL_SCRAM_256_AUTH",
    "SASL_SCRAM_512_AUTH",
    "BASIC_AUTH",
    "CLIENT_CERTIFICATE_TLS_AUTH",
    "OAUTHBEARER_AUTH",
    "IAM_AUTH",
    "IAM_OAUTHBEARER_AUTH",
];
const WITHOUT_SECRET: [&str; 2] = ["IAM_AUTH", "IAM_OAUTHBEARER_AUTH"];
const OAUTH: [&str; 4] = [
    "OAUTHBEARER_SCOPE",
    "OAUTHBEARER_AUDIENCE",
    "OAUTHBEARER_LOGICAL_CLUSTER",
    "OAUTHBEARER_IDENTITY_POOL",
];

/// Amazon MSK: a schema registry and client certificates; the rest is in the managed policy.
pub fn msk_policy(event: &Event, world: &World<'_>) -> Result<Option<Value>> {
    let mut statements = registry_statements(event, world)?;
    for configuration in event.at("SourceAccessConfigurations").as_list().unwrap_or_default() {
        let certificate = configuration.at("Type").as_str() == Some("CLIENT_CERTIFICATE_TLS_AUTH");
        if certificate && configuration.at("URI").truthy() {
            statements.push(read_secret(configuration.at("URI")).into());
        }
    }
    let policy = || named("MSKExecutionRolePolicy", statements.clone().into());
    Ok((!statements.is_empty()).then(policy))
}

pub fn self_managed_policy(event: &Event, world: &World<'_>) -> Result<Option<Value>> {
    if !event.at("KafkaBootstrapServers").truthy() {
        return Err(event
            .fault("No KafkaBootstrapServers provided for self managed kafka as an event source"));
    }
    let topics = event.at("Topics");
    if !topics.truthy() {
        return Err(event.fault("No Topics provided for self managed kafka as an event source"));
    }
    if topics.as_list().is_some_and(|topics| topics.len() != 1) {
        return Err(
            event.fault("Topics for self managed kafka only supports single configuration entry.")
        );
    }
    if !event.at("SourceAccessConfigurations").truthy() {
        return Err(
            event.fault("No SourceAccessConfigurations for self managed kafka event provided.")
        );
    }
    let access = access(event)?;
    let mut statements: Vec<Value> = Vec::new();
    for secret in [&access.secret, &access.root_certificate] {
        if secret.truthy() {
            statements.push(read_secret(secret).into());
        }
    }
    if access.in_network {
        statements.push(network_access().into());
    }
    if let Some(key) = secrets_key(event)? {
        statements.push(statement(list!["kms:Decrypt"], key).into());
    }
    statements.extend(registry_statements(event, world)?);
    if statements.is_empty() {
        return Ok(None);
    }
    let document = map! { "Statement" => statements, "Version" => "2012-10-17" };
    let name = "SelfManagedKafkaExecutionRolePolicy";
    Ok(Some(map! { "PolicyDocument" => document, "PolicyName" => name }.into()))
}

/// What the access configurations of a self-managed cluster name.
struct Access {
    secret: Value,
    root_certificate: Value,
    in_network: bool,
}

fn access(event: &Event) -> Result<Access> {
    let Some(configurations) = event.at("SourceAccessConfigurations").as_list() else {
        return Err(event
            .fault("SourceAccessConfigurations for self managed kafka event should be a list."));
    };
    let mut access =
        Access { secret: Value::Null, root_certificate: Value::Null, in_network: false };
    let (mut subnet, mut group, mut authenticated) = (false, false, false);
    for configuration in configurations {
        expect(configuration, event.name.as_str(), "SourceAccessConfigurations").map()?;
        let uri = configuration.at("URI");
        let kind = configuration.at("Type").as_str().unwrap_or_default();
        match kind {
            "VPC_SUBNET" => {
                check_uri(event, uri, kind)?;
                subnet = true;
            }
            "VPC_SECURITY_GROUP" => {
                check_uri(event, uri, kind)?;
                group = true;
            }
            kind if AUTHENTICATION.contains(&kind) => {
                if authenticated {
                    return Err(event.fault(
                        "Multiple auth mechanism properties specified in SourceAccessConfigurations for self managed kafka event.",
                    ));
                }
                authenticated = true;
                if !WITHOUT_SECRET.contains(&kind) {
                    check_uri(event, uri, "auth mechanism")?;
                    access.secret = uri.clone();
                }
            }
            "SERVER_ROOT_CA_CERTIFICATE" => {
                check_uri(event, uri, kind)?;
                access.root_certificate = uri.clone();
            }
            kind if OAUTH.contains(&kind) => check_uri(event, uri, kind)?,
            _ => {
                return Err(event.fault(
                    "Invalid SourceAccessConfigurations Type provided for self managed kafka event.",
                ));
            }
        }
    }
    if subnet != group {
        return Err(event.fault(
            "VPC_SUBNET and VPC_SECURITY_GROUP in SourceAccessConfigurations for SelfManagedKafka must be both provided.",
        ));
    }
    access.in_network = subnet;
    Ok(access)
}

fn check_uri(event: &Event, uri: &Value, what: &str) -> Result<()> {
    if !uri.truthy() {
        return Err(event.fault(format!(
            "No {what} URI property specified in SourceAccessConfigurations for self managed kafka event."
        )));
    }
    if !uri.is_str() && !is_intrinsic(uri) {
        return Err(event.fault(format!(
            "Wrong Type for {what} URI property specified in SourceAccessConfigurations for self managed kafka event."
        )));
    }
    Ok(())
}

/// What reading a schema registry takes.
fn registry_statements(event: &Event, world: &World<'_>) -> Result<Vec<Value>> {
    let config = event.at("SchemaRegistryConfig");
    if !config.truthy() {
        return Ok(Vec::new());
    }
    check_registry(event, config)?;
    let mut statements = Vec::new();
    for access in config.at("AccessConfigs").as_list().unwrap_or_default() {
        if !access.at("URI").is_null() {
            statements.push(read_secret(access.at("URI")).into());
        }
    }
    let registry = config.at("SchemaRegistryURI");
    let arn = match registry {
        Value::Str(arn) => arn.as_str().to_owned(),
        other => str_of(world.parameters.resolve(other)?.at("Fn::Sub")),
    };
    if let Some(name) = registry_name(&arn) {
        statements.push(statement(list!["glue:GetRegistry"], registry).into());
        let schemas = list![sub_arn("glue", &format!("schema/{name}/*"))];
        statements.push(statement(list!["glue:GetSchemaVersion"], schemas).into());
    }
    Ok(statements)
}

/// The name of a Glue registry.
fn registry_name(arn: &str) -> Option<&str> {
    arn.starts_with("arn").then(|| arn.split(':').nth(5))??.strip_prefix("registry/")
}

fn check_registry(event: &Event, config: &Value) -> Result<()> {
    let path = "SchemaRegistryConfig";
    let config = expect(config, event.name.as_str(), path).in_event().map()?;
    for field in ["SchemaRegistryURI", "EventRecordFormat", "SchemaValidationConfigs"] {
        if !config.contains(field) {
            return Err(
                event.fault(format!("Missing required field {field} in SchemaRegistryConfig"))
            );
        }
    }
    if !matches!(config.at("EventRecordFormat").as_str(), Some("JSON" | "SOURCE")) {
        return Err(event
            .fault("EventRecordFormat in SchemaRegistryConfig must be either 'JSON' or 'SOURCE'"));
    }
    if !config.at("SchemaValidationConfigs").is_list() {
        return Err(event.fault("SchemaValidationConfigs must be a list"));
    }
    let access = config.at("AccessConfigs");
    if !access.truthy() {
        return Ok(());
    }
    let Some(access) = access.as_list() else {
        return Err(event.fault("AccessConfigs in SchemaRegistryConfig must be a list"));
    };
    for one in access {
        if !one.as_map().is_some_and(|one| one.contains("Type") && one.contains("URI")) {
            return Err(
                event.fault("Each AccessConfig must be a dict with 'Type' and 'URI' fields")
            );
        }
    }
    Ok(())
}
