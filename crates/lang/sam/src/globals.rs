//! `Globals`: properties that all resources of a type share.

use crate::fault::{Fault, Result};
use crate::intrinsics::{is_intrinsic, quoted_list};
use crate::value::{Map, Value};

/// The sections, with the properties that each may have.
const SECTIONS: [(&str, &[&str]); 9] = [
    (
        "Function",
        &[
            "Handler",
            "Runtime",
            "CodeUri",
            "DeadLetterQueue",
            "Description",
            "MemorySize",
            "Timeout",
            "VpcConfig",
            "Environment",
            "Tags",
            "PropagateTags",
            "Tracing",
            "KmsKeyArn",
            "AutoPublishAlias",
            "AutoPublishAliasAllProperties",
            "Layers",
            "DeploymentPreference",
            "RolePath",
            "PermissionsBoundary",
            "ReservedConcurrentExecutions",
            "ProvisionedConcurrencyConfig",
            "AssumeRolePolicyDocument",
            "EventInvokeConfig",
            "FileSystemConfigs",
            "CodeSigningConfigArn",
            "Architectures",
            "SnapStart",
            "EphemeralStorage",
            "FunctionUrlConfig",
            "RuntimeManagementConfig",
            "LoggingConfig",
            "RecursiveLoop",
            "SourceKMSKeyArn",
            "TenancyConfig",
            "DurableConfig",
            "CapacityProviderConfig",
            "FunctionScalingConfig",
            "PublishToLatestPublished",
            "VersionDeletionPolicy",
        ],
    ),
    (
        "Api",
        &[
            "Auth",
            "Name",
            "DefinitionUri",
            "CacheClusterEnabled",
            "CacheClusterSize",
            "MergeDefinitions",
            "Variables",
            "EndpointConfiguration",
            "MethodSettings",
            "BinaryMediaTypes",
            "MinimumCompressionSize",
            "Cors",
            "GatewayResponses",
            "AccessLogSetting",
            "CanarySetting",
            "TracingEnabled",
            "OpenApiVersion",
            "Domain",
            "AlwaysDeploy",
            "PropagateTags",
            "SecurityPolicy",
            "EndpointAccessMode",
        ],
    ),
    (
        "HttpApi",
        &[
            "Auth",
            "AccessLogSettings",
            "StageVariables",
            "Tags",
            "CorsConfiguration",
            "DefaultRouteSettings",
            "Domain",
            "RouteSettings",
            "FailOnWarnings",
            "PropagateTags",
        ],
    ),
    ("SimpleTable", &["SSESpecification"]),
    ("StateMachine", &["PropagateTags"]),
    ("LayerVersion", &["PublishLambdaVersion"]),
    (
        "CapacityProvider",
        &[
            "VpcConfig",
            "OperatorRole",
            "Tags",
            "InstanceRequirements",
            "ScalingConfig",
            "KmsKeyArn",
            "PropagateTags",
            "LoggingConfig",
            "ManagedResourceTags",
        ],
    ),
    (
        "WebSocketApi",
        &[
            "AccessLogSettings",
            "ApiKeySelectionExpression",
            "DefaultRouteSettings",
            "DisableExecuteApiEndpoint",
            "DisableSchemaValidation",
            "Domain",
            "FailOnWarnings",
            "IpAddressType",
            "PropagateTags",
            "RouteSelectionExpression",
            "RouteSettings",
            "StageVariables",
            "Tags",
        ],
    ),
    ("NetworkConnector", &["OperatorRole", "Tags", "PropagateTags"]),
];

/// Properties that are not merged member by member.
enum Rule {
    /// The resource's own value stands alone.
    Replace,
    /// Only what the resource itself names is taken from the globals.
    Prune,
}

fn rule(section: &str, path: &str) -> Option<Rule> {
    match (section, path) {
        ("Function", "Architectures")
        | ("CapacityProvider", "InstanceRequirements.Architectures") => Some(Rule::Replace),
        ("CapacityProvider", "ManagedResourceTags") => Some(Rule::Prune),
        _ => None,
    }
}

fn wrong(message: String) -> Fault {
    Fault::Document(vec![format!("'Globals' section is invalid. {message}")])
}

/// Merges the globals into every resource, and removes the section.
pub fn apply(template: &mut Map) -> Result<()> {
    let sections = template.remove("Globals");
    let empty = Map::new();
    let sections = match &sections {
        None => &empty,
        Some(Value::Map(sections)) => sections,
        Some(_) => return Err(wrong("It must be a non-empty dictionary".to_owned())),
    };
    check(sections)?;
    let Some(resources) = template.get_mut("Resources").and_then(Value::as_map_mut) else {
        return Ok(());
    };
    for id in resources.key_list() {
        let Some(resource) = resources.get_mut(id.as_str()).and_then(Value::as_map_mut) else {
            continue;
        };
        let kind = resource.at("Type").as_str().unwrap_or_default().to_owned();
        let Some(section) = kind.strip_prefix("AWS::Serverless::") else { continue };
        if !crate::template::is_sam_type(&kind) {
            continue;
        }
        let own = resource.get("Properties").cloned().unwrap_or(Map::new().into());
        let merged = match sections.get(section).and_then(Value::as_map) {
            None => own,
            Some(shared) => {
                let shared = without_ignored(id.as_str(), shared, resource.at("IgnoreGlobals"))?;
                merge(section, &shared.into(), &own, "")
            }
        };
        resource.set("Properties", merged);
    }
    fix_versions(resources);
    Ok(())
}

fn check(sections: &Map) -> Result<()> {
    for (name, properties) in sections.iter() {
        let Some((_, supported)) = SECTIONS.iter().find(|(section, _)| *name == *section) else {
            let mut known: Vec<&str> = SECTIONS.iter().map(|(section, _)| *section).collect();
            known.push("MicrovmImage");
            known.sort_unstable();
            return Err(wrong(format!(
                "'{name}' is not supported. Must be one of the following values - {}",
                quoted_list(&known)
            )));
        };
        let Some(properties) = properties.as_map() else {
            return Err(wrong("Value of ${section} must be a dictionary".to_owned()));
        };
        if let Some((key, _)) = properties.iter().find(|(k, _)| !supported.contains(&k.as_str())) {
            return Err(wrong(format!(
                "'{key}' is not a supported property of '{name}'. Must be one of the following \
                 values - {}",
                quoted_list(supported)
            )));
        }
    }
    Ok(())
}

/// The globals without what a resource's `IgnoreGlobals` names.
fn without_ignored(id: &str, shared: &Map, ignored: &Value) -> Result<Map> {
    let wrong = |end: &str| {
        let message = format!("Resource {id} has invalid resource attribute 'IgnoreGlobals'{end}.");
        Fault::Document(vec![Fault::resource(id, message).message()])
    };
    match ignored {
        value if !value.truthy() => Ok(shared.clone()),
        Value::Str(all) if *all == "*" => Ok(Map::new()),
        Value::List(names) => {
            let mut left = shared.deep_copy();
            for name in names {
                let name = name.as_str().unwrap_or_default();
                if left.remove(name).is_none() {
                    return Err(wrong(&format!(" on item '{name}'")));
                }
            }
            Ok(left)
        }
        _ => Err(wrong("")),
    }
}

/// Own values win; maps are merged and lists joined, the shared ones first.
fn merge(section: &str, shared: &Value, own: &Value, path: &str) -> Value {
    let child_path = |key: &str| {
        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
    };
    match (shared, own) {
        (Value::Map(shared_map), Value::Map(own_map))
            if !is_intrinsic(shared) && !is_intrinsic(own) =>
        {
            let pruned = match rule(section, path) {
                Some(Rule::Replace) => return own.clone(),
                Some(Rule::Prune) => !own_map.is_empty(),
                None => false,
            };
            let mut merged = if pruned { Map::new() } else { shared_map.shallow_copy() };
            for (key, value) in own_map.iter() {
                let value = match shared_map.get(key.as_str()) {
                    Some(shared) => merge(section, shared, value, &child_path(key.as_str())),
                    None => value.clone(),
                };
                merged.set(key, value);
            }
            merged.into()
        }
        (Value::List(shared), Value::List(own_items)) => match rule(section, path) {
            Some(Rule::Replace) => own.clone(),
            _ => shared.iter().chain(own_items).cloned().collect::<Vec<_>>().into(),
        },
        _ => own.clone(),
    }
}

/// Gives generated definitions the version that their API asks for.
fn fix_versions(resources: &mut Map) {
    for resource in resources.values_mut() {
        if resource.at("Type").as_str() != Some("AWS::Serverless::Api") {
            continue;
        }
        let properties = resource.as_map_mut().and_then(|r| r.get_mut("Properties"));
        let Some(properties) = properties.and_then(Value::as_map_mut) else { continue };
        let version = properties.at("OpenApiVersion").clone();
        if !properties.contains("OpenApiVersion")
            || !properties.contains("__MANAGE_SWAGGER")
            || !crate::editor::is_version_3(&version)
        {
            continue;
        }
        let version = match version {
            Value::Str(_) => version,
            other => {
                let text = Value::from(crate::value::str_of(&other));
                properties.set("OpenApiVersion", &text);
                text
            }
        };
        let body = properties.get_mut("DefinitionBody").and_then(Value::as_map_mut);
        if let Some(body) = body {
            body.set("openapi", version);
            if body.at("swagger").truthy() {
                body.remove("swagger");
            }
        }
    }
}
