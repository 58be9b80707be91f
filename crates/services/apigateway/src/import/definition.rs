//! A definition as a whole: what it says of the API itself, its models, validators, answers and paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sereno_kernel::{Ctx, Result};

use super::method::Methods;
use super::security::Schemes;
use super::{list, plain, text};
use crate::errors::bad_request;
use crate::state::{
    ApiDocument, GatewayResponseRecord, ModelRecord, ResourceRecord, ValidatorRecord,
};
use crate::{document, documentation, ids, policy, rules};

/// The path of an OpenAPI 3 server: its variable `basePath`, or what its URL has.
/// Recorded: `test_import_rest_api_with_base_path_oas30`.
fn server_path(server: &Value) -> String {
    let variable =
        |server: &Value| server.get("variables")?.get("basePath")?.get("default").map(plain);
    variable(server).unwrap_or_else(|| {
        let url = text(server, "url").unwrap_or_default();
        let place = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        place.split_once('/').map(|(_, path)| path.to_owned()).unwrap_or_default()
    })
}

/// What to do with the definition's base path.
#[derive(Clone, Copy, PartialEq)]
enum BasePath {
    Ignore,
    Prepend,
    Split,
}

/// A definition that can be applied to an API.
pub struct Definition {
    root: Value,
    base_path: BasePath,
    endpoint_type: Option<String>,
    /// Its documentation parts are imported too.
    documented: bool,
}

/// Models, wherever the two formats keep them.
pub fn models(root: &Value) -> Option<&Map<String, Value>> {
    root.get("definitions")
        .or_else(|| root.get("components")?.get("schemas"))
        .and_then(Value::as_object)
}

impl Definition {
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/import-api-aws-variables.html>
    pub fn read(root: Value, parameters: &BTreeMap<String, String>) -> Result<Definition> {
        // YAML reads an unquoted version as a number (recorded: `test_duplicate_resources`).
        let is = |name: &str, major: char| {
            root.get(name).is_some_and(|version| plain(version).starts_with(major))
        };
        let (swagger, openapi) = (is("swagger", '2'), is("openapi", '3'));
        if !swagger && !openapi {
            return Err(bad_request("Invalid OpenAPI input."));
        }
        let mut definition =
            Definition { root, base_path: BasePath::Ignore, endpoint_type: None, documented: true };
        for (name, value) in parameters {
            match (name.as_str(), value.as_str()) {
                ("basepath", "ignore") => definition.base_path = BasePath::Ignore,
                ("basepath", "prepend") => definition.base_path = BasePath::Prepend,
                ("basepath", "split") => definition.base_path = BasePath::Split,
                ("endpointConfigurationTypes", "REGIONAL" | "EDGE" | "PRIVATE") => {
                    definition.endpoint_type = Some(value.clone());
                }
                ("ignore", "documentation") => definition.documented = false,
                // Parts of the request's own address that the model gives as parameters too.
                ("mode" | "failonwarnings", _) => {}
                _ => {
                    let message = format!("Invalid import parameter specified: {name}={value}");
                    return Err(bad_request(message));
                }
            }
        }
        Ok(definition)
    }

    /// Lays it over `base`.
    pub fn apply(&self, ctx: &Ctx, mut base: ApiDocument) -> Result<ApiDocument> {
        base.api.warnings.clear();
        self.apply_api(&mut base)?;
        self.apply_models(ctx, &mut base);
        self.apply_validators(ctx, &mut base);
        self.apply_gateway_responses(&mut base)?;
        if self.documented {
            let parts = documentation::read(ctx, &self.root)?;
            documentation::merge(&mut base.documentation, parts);
        }
        let schemes = Schemes::read(ctx, &self.root, &mut base)?;
        let methods = Methods::new(&self.root, &schemes, &base);
        let prefix = self.prefix();
        let mut resources = std::mem::take(&mut base.resources);
        let paths = self.root.get("paths").and_then(Value::as_object).into_iter().flatten();
        for (path, operations) in paths.filter(|(path, _)| path.starts_with('/')) {
            let path = format!("{prefix}{path}");
            let at = resource_at(ctx, &mut resources, &path)?;
            methods.read_path(operations, &path, &mut resources[at])?;
            base.api.warnings.extend(Methods::warnings(operations, &path));
        }
        resources.sort_by(|a, b| a.path.cmp(&b.path));
        base.resources = resources;
        Ok(base)
    }

    /// What stands before every path.
    fn prefix(&self) -> String {
        let base = match text(&self.root, "basePath") {
            Some(base) => base,
            None => {
                let servers = self.root.get("servers").and_then(Value::as_array);
                servers.and_then(|servers| servers.first()).map(server_path).unwrap_or_default()
            }
        };
        let base = base.trim_matches('/');
        let kept = match self.base_path {
            BasePath::Ignore => "",
            BasePath::Prepend => base,
            BasePath::Split => base.split_once('/').map_or("", |(_, rest)| rest),
        };
        if kept.is_empty() { String::new() } else { format!("/{kept}") }
    }

    fn apply_api(&self, base: &mut ApiDocument) -> Result<()> {
        let (root, record) = (&self.root, &mut base.api);
        let info = root.get("info").unwrap_or(&Value::Null);
        if let Some(title) = text(info, "title").filter(|title| !title.is_empty()) {
            record.name = title;
        } else if record.name.is_empty() {
            return Err(bad_request(
                "Invalid OpenAPI input. The title must be specified in the info object.",
            ));
        }
        record.description = text(info, "description").or(record.description.take());
        record.version = info.get("version").map(plain).or(record.version.take());
        if let Some(kind) = &self.endpoint_type {
            record.endpoint_type.clone_from(kind);
        }
        for kind in list(root, "x-amazon-apigateway-binary-media-types") {
            if !record.binary_media_types.contains(&kind) {
                record.binary_media_types.push(kind);
            }
        }
        if let Some(size) = root.get("x-amazon-apigateway-minimum-compression-size") {
            record.minimum_compression_size = rules::compression_size(size.as_i64())?;
        }
        if let Some(source) = text(root, "x-amazon-apigateway-api-key-source") {
            record.api_key_source = source.to_uppercase();
        }
        if let Some(given) = root.get("x-amazon-apigateway-policy") {
            let given = given.to_string();
            policy::check(&given)?;
            record.policy = Some(given);
        }
        if let Some(endpoint) = root.get("x-amazon-apigateway-endpoint-configuration") {
            record.vpc_endpoint_ids = list(endpoint, "vpcEndpointIds");
            let disabled = endpoint.get("disableExecuteApiEndpoint").and_then(Value::as_bool);
            record.disable_execute_api_endpoint = disabled.unwrap_or_default();
        }
        Ok(())
    }

    fn apply_models(&self, ctx: &Ctx, base: &mut ApiDocument) {
        for (name, schema) in models(&self.root).into_iter().flatten() {
            let description = text(schema, "description");
            let schema = Some(with_model_links(schema, &base.api.id).to_string());
            let content_type = "application/json".to_owned();
            match base.models.iter_mut().find(|model| model.name == *name) {
                Some(model) => (model.schema, model.description) = (schema, description),
                None => base.models.push(ModelRecord {
                    id: ids::short(ctx),
                    name: name.clone(),
                    description,
                    schema,
                    content_type,
                }),
            }
        }
    }

    fn apply_validators(&self, ctx: &Ctx, base: &mut ApiDocument) {
        let validators = self.root.get("x-amazon-apigateway-request-validators");
        for (name, validator) in validators.and_then(Value::as_object).into_iter().flatten() {
            let says =
                |what: &str| validator.get(what).and_then(Value::as_bool).unwrap_or_default();
            let (body, parameters) =
                (says("validateRequestBody"), says("validateRequestParameters"));
            let same = base.validators.iter_mut().find(|v| v.name.as_ref() == Some(name));
            match same {
                Some(known) => (known.body, known.parameters) = (body, parameters),
                None => base.validators.push(ValidatorRecord {
                    id: ids::short(ctx),
                    name: Some(name.clone()),
                    body,
                    parameters,
                }),
            }
        }
    }

    fn apply_gateway_responses(&self, base: &mut ApiDocument) -> Result<()> {
        let responses = self.root.get("x-amazon-apigateway-gateway-responses");
        for (kind, response) in responses.and_then(Value::as_object).into_iter().flatten() {
            let record = GatewayResponseRecord {
                kind: kind.clone(),
                status: response.get("statusCode").map(plain),
                parameters: super::texts(response, "responseParameters"),
                templates: super::texts(response, "responseTemplates"),
            };
            base.gateway_responses.retain(|known| known.kind != *kind);
            base.gateway_responses.push(record);
        }
        Ok(())
    }
}

/// API Gateway's own way to point from one model to another.
fn with_model_links(schema: &Value, api_id: &str) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| match (name.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => {
                        let model = target.rsplit('/').next().unwrap_or_default();
                        let link = format!(
                            "https://apigateway.amazonaws.com/restapis/{api_id}/models/{model}"
                        );
                        (name.clone(), Value::String(link))
                    }
                    _ => (name.clone(), with_model_links(value, api_id)),
                })
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| with_model_links(item, api_id)).collect())
        }
        other => other.clone(),
    }
}

/// The index of the resource of a path, which is made with all that lead to it if need be.
fn resource_at(ctx: &Ctx, resources: &mut Vec<ResourceRecord>, path: &str) -> Result<usize> {
    let mut at = resources.iter().position(|resource| resource.parent_id.is_none()).unwrap_or(0);
    let mut walked = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        walked.push('/');
        walked.push_str(part);
        at = match resources.iter().position(|resource| resource.path == walked) {
            Some(known) => known,
            None => {
                let parent = &resources[at];
                let siblings =
                    resources.iter().filter(|r| r.parent_id.as_ref() == Some(&parent.id));
                rules::place(part, parent, siblings)?;
                if resources.len() >= document::RESOURCES_MAX {
                    return Err(crate::errors::limit_exceeded(
                        "Maximum number of resources for this API has been reached. Please contact AWS if you need additional resources.",
                    ));
                }
                let record = ResourceRecord {
                    id: ids::short(ctx),
                    parent_id: Some(parent.id.clone()),
                    path_part: Some(part.to_owned()),
                    path: walked.clone(),
                    ..ResourceRecord::default()
                };
                resources.push(record);
                resources.len() - 1
            }
        };
    }
    Ok(at)
}
