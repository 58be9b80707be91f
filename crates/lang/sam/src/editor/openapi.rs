//! Editing the definition of an HTTP API.

use super::swagger::make_conditional;
use super::{ANY_METHOD, Document, INTEGRATION, integration_mut, is_integrated, is_version_3};
use super::{normalize, normalize_text};
use crate::fault::{Fault, Result};
use crate::intrinsics::{branches, branches_mut, is_intrinsic, reference, when};
use crate::value::{Map, Text, Value, legacy_map, list, map, repr};
use regex::Regex;
use std::sync::LazyLock;

const TAG_VALUE: &str = "x-amazon-apigateway-tag-value";
const CORS: &str = "x-amazon-apigateway-cors";
const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";
/// The path of the route that takes what no other takes.
pub const DEFAULT_PATH: &str = "$default";
const CORS_MEMBERS: [(&str, &str); 6] = [
    ("AllowOrigins", "allowOrigins"),
    ("AllowHeaders", "allowHeaders"),
    ("AllowMethods", "allowMethods"),
    ("ExposeHeaders", "exposeHeaders"),
    ("MaxAge", "maxAge"),
    ("AllowCredentials", "allowCredentials"),
];

/// The function in an integration's URI.
static FUNCTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([A-Za-z0-9]+)\.Arn").expect("the pattern is well-formed"));

/// An OpenAPI document under edit.
pub struct OpenApi {
    doc: Map,
    security: Value,
    tags: Value,
    info: Value,
}

impl Document for OpenApi {
    fn doc(&self) -> &Map {
        &self.doc
    }

    fn doc_mut(&mut self) -> &mut Map {
        &mut self.doc
    }
}

impl OpenApi {
    /// Takes a copy of `definition` to edit.
    pub fn open(definition: &Value) -> Result<OpenApi> {
        if !OpenApi::is_valid(definition) {
            return Err(Fault::document(
                "Invalid OpenApi document. Invalid values or missing keys for 'openapi' or 'paths' in 'DefinitionBody'.",
            ));
        }
        let doc = definition.as_map().map(Map::deep_copy).unwrap_or_default();
        let components = doc.at("components");
        if !components.is_null() && !components.is_map() {
            return Err(Fault::document(
                "Invalid OpenApi document: The value of 'components' should be a map",
            ));
        }
        Ok(OpenApi {
            security: components.at("securitySchemes").or(|| Map::legacy().into()),
            tags: doc.at("tags").or(|| list![]),
            info: doc.at("info").or(|| Map::legacy().into()),
            doc,
        })
    }

    pub fn is_valid(definition: &Value) -> bool {
        let version = definition.at("openapi");
        definition.at("paths").is_map() && version.truthy() && is_version_3(version)
    }

    /// The definition of an API without paths.
    pub fn skeleton() -> Map {
        legacy_map! {
            "openapi" => "3.0.1",
            "info" => legacy_map! { "version" => "1.0", "title" => OpenApi::default_title() },
            "paths" => Map::legacy(),
        }
    }

    /// The title of an API that was given none.
    pub fn default_title() -> Value {
        reference("AWS::StackName")
    }

    /// The edited definition.
    pub fn close(mut self) -> Value {
        if self.tags.truthy() {
            self.doc.set("tags", self.tags);
        }
        if self.security.truthy() {
            let components = self.doc.entry("components", Map::legacy());
            if !components.truthy() {
                *components = Map::legacy().into();
            }
            if let Some(components) = components.as_map_mut() {
                components.set("securitySchemes", self.security);
            }
        }
        if self.info.truthy() {
            self.doc.set("info", self.info);
        }
        self.doc.deep_copy().into()
    }

    /// Whether the function `id` answers the method.
    pub fn is_answered_by(&self, path: &str, method: &str, id: &str) -> Result<bool> {
        if !self.has_integration(path, method)? {
            return Ok(false);
        }
        let method = normalize(method);
        for item in branches(self.paths().at(path))? {
            for definition in branches(item.at(&method))? {
                let integration = definition.as_map().and_then(|d| d.get(INTEGRATION));
                let uri = integration.unwrap_or(&Value::Null).at("uri");
                if !uri.is_map() {
                    return Ok(false);
                }
                for uri in branches(uri)? {
                    let text = uri.at("Fn::Sub").as_str().unwrap_or_default();
                    let named = FUNCTION.captures(text).map(|found| found[1].to_owned());
                    if named.as_deref() != Some(id) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Lets a Lambda function answer a method that nothing answers yet.
    pub fn add_lambda(
        &mut self,
        path: &Text,
        method: &Text,
        uri: &Value,
        condition: &Value,
    ) -> Result<()> {
        let method = normalize_text(method);
        if self.has_integration(path.as_str(), method.as_str())? {
            return Ok(());
        }
        self.add_path(path, &method)?;
        let uri = if condition.truthy() { when(condition, uri.clone()) } else { uri.clone() };
        self.each_item(path.as_str(), &mut |item| {
            if item.at(method.as_str()).is_null() {
                item.set(&method, Map::legacy());
            }
            let Some(definition) = item.get_mut(method.as_str()).and_then(Value::as_map_mut) else {
                return Err(super::not_a_method(path.as_str(), method.as_str()));
            };
            let integration = legacy_map! {
                "type" => "aws_proxy",
                "httpMethod" => "POST",
                "payloadFormatVersion" => "2.0",
                "uri" => uri.clone(),
            };
            definition.set(INTEGRATION, integration);
            if *path == DEFAULT_PATH && method == ANY_METHOD {
                definition.set("isDefaultRoute", true);
            }
            definition.entry("responses", Map::legacy());
            make_conditional(item, &method, condition);
            Ok(())
        })
    }

    /// Declares the parameters in a path.
    pub fn add_path_parameters(&mut self, path: &str, method: &str, names: &[&str]) -> Result<()> {
        self.each_definition(path, method, true, &mut |definition| {
            let Some(parameters) = definition.entry("parameters", list![]).as_list_mut() else {
                return Ok(());
            };
            for name in names {
                let known = parameters.iter_mut().find(|p| p.at("name").as_str() == Some(name));
                if let Some(known) = known.and_then(Value::as_map_mut) {
                    known.set("in", "path");
                    known.set("required", true);
                } else {
                    let name = Text::unicode(name);
                    let parameter =
                        legacy_map! { "name" => name, "in" => "path", "required" => true };
                    parameters.push(parameter.into());
                }
            }
            Ok(())
        })
    }

    pub fn set_payload_version(&mut self, path: &str, method: &str, version: &Value) -> Result<()> {
        self.each_definition(path, method, true, &mut |definition| {
            integration_mut(definition).set("payloadFormatVersion", version);
            Ok(())
        })
    }

    pub fn add_security_schemes(&mut self, schemes: &Map) {
        if let Some(security) = self.security.as_map_mut() {
            for (name, scheme) in schemes.iter() {
                security.set(name, scheme);
            }
        }
    }

    /// Sets the API's default authorizer on the methods of a path that have none.
    pub fn set_default_authorizer(
        &mut self,
        path: &str,
        name: &Text,
        scopes: &Value,
    ) -> Result<()> {
        self.each_item(path, &mut |item| {
            for key in item.key_list() {
                let method = normalize(key.as_str());
                if method == "parameters" {
                    continue;
                }
                if method == "options" {
                    continue;
                }
                if !item.contains(&method) {
                    return Err(Fault::document(format!(
                        "Could not find {method} in {path} within DefinitionBody."
                    )));
                }
                let Some(definition) = item.get_mut(key.as_str()) else { continue };
                for definition in branches_mut(definition)? {
                    let definition = definition
                        .as_map_mut()
                        .ok_or_else(|| super::not_a_method(path, key.as_str()))?;
                    if is_integrated(definition) && !definition.at("security").truthy() {
                        definition.set("security", list![map! { name => scopes }]);
                    }
                }
            }
            Ok(())
        })
    }

    /// Sets what an event says of its method.
    pub fn set_method_auth(
        &mut self,
        path: &str,
        method: &str,
        auth: &Map,
        authorizers: &Value,
    ) -> Result<()> {
        let Some(name) = auth.at("Authorizer").as_text() else { return Ok(()) };
        let mut granted = list![];
        if *name != "NONE" && *name != "AWS_IAM" {
            let authorizer = authorizers.at(name.as_str());
            if !authorizer.is_null() && !authorizer.is_map() {
                return Err(Fault::document(format!(
                    "Type of authorizer '{name}' must be a dictionary"
                )));
            }
            let scopes = auth.at("AuthorizationScopes").or(|| list![]);
            let scopes = scopes.or(|| authorizer.at("AuthorizationScopes").clone());
            if authorizer.truthy() && scopes.truthy() {
                granted = scopes;
            }
        }
        self.each_definition(path, method, true, &mut |definition| {
            let existing = definition.get("security").cloned().unwrap_or(list![]);
            let Value::List(mut security) = existing else {
                return Err(Fault::document(format!(
                    "Type of security for path {path} method {method} must be a list"
                )));
            };
            security.push(map! { name => granted.clone() }.into());
            definition.set("security", security);
            Ok(())
        })
    }

    pub fn add_tags(&mut self, tags: &Map) -> Result<()> {
        for (name, value) in tags.iter() {
            if !self.tags.is_list() {
                let printed = repr(&self.tags);
                return Err(Fault::document(format!(
                    "Tags in OpenApi DefinitionBody needs to be a list. {printed} is a {} not a list.",
                    self.tags.type_name()
                )));
            }
            let Some(present) = self.tags.as_list_mut() else { continue };
            let same = |tag: &&mut Value| tag.at("name").as_text() == Some(name);
            if let Some(tag) = present.iter_mut().find(same).and_then(Value::as_map_mut) {
                tag.set(TAG_VALUE, value);
            } else {
                present.push(legacy_map! { "name" => name, TAG_VALUE => value }.into());
            }
        }
        Ok(())
    }

    pub fn disable_execute_api_endpoint(&mut self, disable: &Value) -> Result<()> {
        let mut servers = self.doc.get("servers").cloned().unwrap_or(list![Map::legacy()]);
        for server in servers.as_list_mut().into_iter().flatten() {
            let Some(server) = server.as_map_mut() else {
                return Err(Fault::document(
                    "Value of 'servers' item must be a dictionary according to Swagger spec.",
                ));
            };
            if let Some(endpoint) = server.entry(ENDPOINT, Map::new()).as_map_mut() {
                endpoint.set("disableExecuteApiEndpoint", disable);
            }
        }
        self.doc.set("servers", servers);
        Ok(())
    }

    /// Adds a CORS configuration; `cors` has SAM's member names. One that is an intrinsic function
    /// stands under `AllowOrigins`.
    pub fn add_cors(&mut self, cors: &Map) -> Result<()> {
        let mut all = match self.doc.get(CORS) {
            None => Map::new(),
            Some(Value::Map(present)) => present.clone(),
            Some(_) => {
                return Err(Fault::document(format!(
                    "Value of '{CORS}' must be a dictionary according to Swagger spec."
                )));
            }
        };
        let origins = cors.at("AllowOrigins");
        if is_intrinsic(origins) {
            if let Value::Map(renamed) = in_api_words(origins) {
                all.update(&renamed);
            }
        } else {
            for (given, name) in CORS_MEMBERS {
                let value = cors.at(given);
                let wanted = match given {
                    "MaxAge" => !value.is_null(),
                    "AllowCredentials" => *value == Value::Bool(true),
                    _ => value.truthy(),
                };
                if wanted {
                    all.set(name, value);
                }
            }
        }
        self.doc.set(CORS, all);
        Ok(())
    }

    pub fn set_description(&mut self, description: &Value) {
        if let Some(info) = self.info.as_map_mut()
            && !info.at("description").truthy()
        {
            info.set("description", description);
        }
    }

    pub fn set_title(&mut self, title: &Value) {
        if let Some(info) = self.info.as_map_mut()
            && *info.at("title") == OpenApi::default_title()
        {
            info.set("title", title);
        }
    }
}

/// The value with SAM's names of CORS members replaced by API Gateway's, wherever they occur.
fn in_api_words(value: &Value) -> Value {
    let rename = |text: &Text| {
        let mut words = text.as_str().to_owned();
        for (given, name) in CORS_MEMBERS {
            words = words.replace(given, name);
        }
        Text::plain(&words)
    };
    match value {
        Value::Str(text) => rename(text).into(),
        Value::List(items) => Value::List(items.iter().map(in_api_words).collect()),
        Value::Map(members) => members
            .iter()
            .map(|(key, value)| (rename(key), in_api_words(value)))
            .collect::<Map>()
            .into(),
        other => other.clone(),
    }
}
