//! The template as a whole: its shape, its parameters, and the types that are SAM's.

use crate::fault::{Fault, Result, expect};
use crate::resolve::Parameters;
use crate::value::{Map, Text, Value};

/// Types whose properties must be a map, and that globals apply to.
const SAM_TYPES: [&str; 12] = [
    "AWS::Serverless::Api",
    "AWS::Serverless::Function",
    "AWS::Serverless::WebFunction",
    "AWS::Serverless::SimpleTable",
    "AWS::Serverless::Application",
    "AWS::Serverless::LayerVersion",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::WebSocketApi",
    "AWS::Serverless::StateMachine",
    "AWS::Serverless::CapacityProvider",
    "AWS::Serverless::MicrovmImage",
    "AWS::Serverless::NetworkConnector",
];

pub fn is_sam_type(kind: &str) -> bool {
    SAM_TYPES.contains(&kind)
}

/// Refuses a template that is not even the shape of one.
pub fn check(template: &Map) -> Result<()> {
    let Some(resources) = template.at("Resources").as_map().filter(|map| !map.is_empty()) else {
        return Err(Fault::document("'Resources' section is required"));
    };
    if resources.iter().any(|(_, resource)| !resource.is_map()) {
        return Err(Fault::document(
            "All 'Resources' must be Objects. If you're using YAML, this may be an indentation issue.",
        ));
    }
    for (id, resource) in resources.iter() {
        let condition = resource.at("Condition");
        if condition.truthy() && !condition.is_str() {
            return Err(Fault::document("Every Condition member must be a string."));
        }
        let kind = resource.at("Type").as_str().unwrap_or_default();
        if let Some(properties) = resource.as_map().and_then(|map| map.get("Properties"))
            && is_sam_type(kind)
        {
            expect(properties, id.as_str(), "Properties")
                .beside_properties()
                .map()
                .map_err(|fault| Fault::Document(vec![fault.message()]))?;
        }
    }
    Ok(())
}

/// Turns into Python 2's values what ends in the definition of an API, because the ids of
/// deployments are hashes of how Python 2 would have printed it.
pub fn make_legacy(template: &mut Map, parameters: &mut Map) {
    if !has_rest_api(template) && !has_http_api_with_default_authorizer(template) {
        return;
    }
    if let Some(globals) = template.get_mut("Globals").and_then(Value::as_map_mut)
        && let Some(api) = globals.get_mut("Api")
    {
        *api = api.to_legacy();
    }
    if let Some(declared) = template.get_mut("Parameters").and_then(Value::as_map_mut) {
        for parameter in declared.values_mut().filter_map(Value::as_map_mut) {
            if let Some(default) = parameter.get_mut("Default") {
                *default = default.to_legacy();
            }
        }
    }
    if let Some(resources) = template.get("Resources").and_then(Value::as_map) {
        let mut legacy = Map::legacy();
        for (id, resource) in resources.iter() {
            legacy.set(id.to_unicode(), legacy_resource(resource));
        }
        template.set("Resources", legacy);
    }
    for value in parameters.values_mut() {
        *value = value.to_legacy();
    }
}

fn legacy_resource(resource: &Value) -> Value {
    let mut resource = resource.as_map().cloned().unwrap_or_default();
    let properties = resource.at("Properties").clone();
    if properties.is_null() {
        return resource.into();
    }
    match resource.at("Type").as_str() {
        Some("AWS::Serverless::Api" | "AWS::Serverless::HttpApi") => {
            resource.set("Properties", properties.to_legacy());
        }
        Some("AWS::Serverless::Function" | "AWS::Serverless::StateMachine") => {
            if let Some(condition) = resource.get_mut("Condition") {
                *condition = condition.to_legacy();
            }
            let properties = resource.get_mut("Properties").and_then(Value::as_map_mut);
            if let Some(properties) = properties {
                for name in ["FunctionName", "Events"] {
                    if let Some(property) = properties.get_mut(name) {
                        *property = property.to_legacy();
                    }
                }
            }
        }
        _ => {}
    }
    resource.into()
}

fn resources(template: &Map) -> impl Iterator<Item = &Value> {
    template.at("Resources").as_map().into_iter().flat_map(Map::iter).map(|(_, value)| value)
}

fn has_event(resource: &Value, kind: &str) -> bool {
    let events = resource.at("Properties").at("Events").as_map();
    events.into_iter().flat_map(Map::iter).any(|(_, e)| e.at("Type").as_str() == Some(kind))
}

fn has_rest_api(template: &Map) -> bool {
    resources(template).any(|resource| match resource.at("Type").as_str() {
        Some("AWS::Serverless::Api") => true,
        Some("AWS::Serverless::Function" | "AWS::Serverless::StateMachine") => {
            has_event(resource, "Api")
        }
        _ => false,
    })
}

fn has_http_api_with_default_authorizer(template: &Map) -> bool {
    let by_globals =
        template.at("Globals").at("HttpApi").at("Auth").at("DefaultAuthorizer").truthy();
    resources(template).any(|resource| match resource.at("Type").as_str() {
        Some("AWS::Serverless::HttpApi") => {
            let auth = resource.at("Properties").at("Auth");
            by_globals || auth.at("DefaultAuthorizer").truthy()
        }
        Some("AWS::Serverless::Function") => by_globals && has_event(resource, "HttpApi"),
        _ => false,
    })
}

/// The parameters' values: as given, else by default, and region and partition.
pub fn parameters(template: &Map, mut given: Map, region: &str, partition: &str) -> Parameters {
    for (name, parameter) in template.at("Parameters").as_map().into_iter().flat_map(Map::iter) {
        if let Some(default) = parameter.as_map().and_then(|parameter| parameter.get("Default")) {
            given.entry(name, default);
        }
    }
    given.entry("AWS::Region", Text::plain(region));
    given.entry("AWS::Partition", Text::plain(partition));
    Parameters { values: given }
}
