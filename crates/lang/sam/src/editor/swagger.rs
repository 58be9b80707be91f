//! Editing the definition of a REST API.

use super::{
    ANY_METHOD, Document, INTEGRATION, integration_mut, is_version_3, normalize, normalize_text,
};
use crate::fault::{Fault, Result};
use crate::intrinsics::{reference, when};
use crate::value::{Map, Text, Value, legacy_map, list, map};

pub const BINARY_MEDIA_TYPES: &str = "x-amazon-apigateway-binary-media-types";
const GATEWAY_RESPONSES: &str = "x-amazon-apigateway-gateway-responses";
pub(super) const POLICY: &str = "x-amazon-apigateway-policy";
const REQUEST_VALIDATORS: &str = "x-amazon-apigateway-request-validators";
const REQUEST_VALIDATOR: &str = "x-amazon-apigateway-request-validator";
const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";
const METHODS: [&str; 7] = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"];
/// Members of a path item that are no methods.
pub(super) const NOT_METHODS: [&str; 3] = ["summary", "description", "parameters"];

/// A Swagger document under edit.
pub struct Swagger {
    doc: Map,
    pub(super) security: Value,
    gateway_responses: Value,
    pub(super) policy: Value,
    definitions: Value,
}

impl Document for Swagger {
    fn doc(&self) -> &Map {
        &self.doc
    }

    fn doc_mut(&mut self) -> &mut Map {
        &mut self.doc
    }
}

/// What the answers to preflight requests say.
pub struct Cors {
    pub origins: Value,
    pub headers: Value,
    pub methods: Value,
    pub max_age: Value,
    pub credentials: bool,
}

impl Swagger {
    /// Takes a copy of `definition` to edit.
    pub fn open(definition: &Value) -> Result<Swagger> {
        if !Swagger::is_valid(definition) {
            return Err(Fault::document(
                "Invalid Swagger document or the Swagger document is not explicitly defined in 'DefinitionBody'.",
            ));
        }
        let doc = definition.as_map().map(Map::deep_copy).unwrap_or_default();
        let part = |name: &str| doc.at(name).or(|| Map::legacy().into());
        let mut swagger = Swagger {
            security: part("securityDefinitions"),
            gateway_responses: part(GATEWAY_RESPONSES),
            policy: part(POLICY),
            definitions: doc.get("definitions").cloned().unwrap_or(Map::legacy().into()),
            doc,
        };
        for path in swagger.path_names() {
            swagger.each_item(path.as_str(), &mut |_| Ok(()))?;
        }
        Ok(swagger)
    }

    /// Whether `definition` is one that can be edited.
    pub fn is_valid(definition: &Value) -> bool {
        let version = definition.at("openapi");
        definition.at("paths").is_map()
            && (definition.at("swagger").truthy() || (version.truthy() && is_version_3(version)))
    }

    /// The definition of an API without paths.
    pub fn skeleton() -> Map {
        legacy_map! {
            "swagger" => "2.0",
            "info" => legacy_map! { "version" => "1.0", "title" => reference("AWS::StackName") },
            "paths" => Map::legacy(),
        }
    }

    /// The edited definition.
    pub fn close(mut self) -> Value {
        if self.security.truthy() {
            self.doc.set("securityDefinitions", self.security);
        }
        if self.gateway_responses.truthy() {
            self.doc.set(GATEWAY_RESPONSES, self.gateway_responses);
        }
        if self.definitions.truthy() {
            self.doc.set("definitions", self.definitions);
        }
        self.doc.deep_copy().into()
    }

    pub fn disable_execute_api_endpoint(&mut self, disable: &Value) -> Result<()> {
        if self.doc.at("openapi").truthy() && is_version_3(self.doc.at("openapi")) {
            let mut servers = self.doc.get("servers").cloned().unwrap_or(list![Map::legacy()]);
            for (index, server) in servers.as_list_mut().into_iter().flatten().enumerate() {
                let place = format!("Invalid OpenAPI definition of 'servers[{index}]'");
                set_endpoint(server, disable, &place)?;
            }
            self.doc.set("servers", servers);
            return Ok(());
        }
        let mut doc = Value::Map(std::mem::take(&mut self.doc));
        set_endpoint(&mut doc, disable, "Invalid OpenAPI definition")?;
        if let Value::Map(doc) = doc {
            self.doc = doc;
        }
        Ok(())
    }

    /// Lets a Lambda function answer a method.
    pub fn add_lambda(
        &mut self,
        path: &Text,
        method: &Text,
        uri: &Value,
        credentials: Option<Value>,
        condition: &Value,
        streaming: bool,
    ) -> Result<()> {
        let method = normalize_text(method);
        if self.has_integration(path.as_str(), method.as_str())? {
            return Err(Fault::document(format!(
                "Lambda integration already exists on Path={path}, Method={method}"
            )));
        }
        self.add_path(path, &method)?;
        let uri = if condition.truthy() { when(condition, uri.clone()) } else { uri.clone() };
        self.each_item(path.as_str(), &mut |item| {
            let definition = definition_mut(item, path, &method)?;
            let mut integration = legacy_map! {
                "type" => "aws_proxy", "httpMethod" => "POST", "uri" => uri.clone(),
            };
            if streaming {
                integration.set("responseTransferMode", "STREAM");
            }
            if let Some(credentials) = &credentials {
                integration.set("credentials", credentials);
            }
            definition.set(INTEGRATION, integration);
            definition.entry("responses", Map::legacy());
            make_conditional(item, &method, condition);
            Ok(())
        })
    }

    /// Lets a method start a state machine.
    pub fn add_state_machine(
        &mut self,
        path: &Text,
        method: &Text,
        uri: &Value,
        credentials: &Value,
        templates: &Map,
        condition: &Value,
    ) -> Result<()> {
        let method = normalize_text(method);
        if self.has_integration(path.as_str(), method.as_str())? {
            return Err(Fault::document(format!(
                "Integration already exists on Path={path}, Method={method}"
            )));
        }
        self.add_path(path, &method)?;
        let uri = if condition.truthy() { when(condition, uri.clone()) } else { uri.clone() };
        self.each_item(path.as_str(), &mut |item| {
            let definition = definition_mut(item, path, &method)?;
            let mut integration = legacy_map! {
                "type" => "aws",
                "httpMethod" => "POST",
                "uri" => uri.clone(),
                "responses" => legacy_map! {
                    "200" => legacy_map! { "statusCode" => "200" },
                    "400" => legacy_map! { "statusCode" => "400" },
                },
                "credentials" => credentials,
            };
            integration.update(&map! { "requestTemplates" => templates.clone() });
            definition.set(INTEGRATION, integration);
            let responses = legacy_map! {
                "200" => legacy_map! { "description" => "OK" },
                "400" => legacy_map! { "description" => "Bad Request" },
            };
            definition.entry("responses", responses);
            make_conditional(item, &method, condition);
            Ok(())
        })
    }

    /// Answers preflight requests to `path`, unless it has its own `options`.
    pub fn add_cors(&mut self, path: &str, cors: &Cors) -> Result<()> {
        let mut methods = cors.methods.clone();
        self.each_item(path, &mut |item| {
            if item.contains("options") {
                return Ok(());
            }
            if !cors.origins.truthy() {
                return Err(Fault::Template(
                    "Invalid input. Value for AllowedOrigins is required".to_owned(),
                ));
            }
            if !methods.truthy() {
                methods = format!("'{}'", allowed_methods(item)).into();
            }
            item.set("options", preflight(cors, &methods));
            Ok(())
        })
    }

    pub fn set_binary_media_types(&mut self, types: &Value) {
        self.doc.set(BINARY_MEDIA_TYPES, unescape_slashes(types));
    }

    /// Has requests to a method checked; the validator is named for what it checks.
    pub fn add_request_validator(
        &mut self,
        path: &str,
        method: &str,
        body: bool,
        parameters: bool,
    ) -> Result<()> {
        let name = match (body, parameters) {
            (true, true) => "body-and-params",
            (true, false) => "body-only",
            (false, true) => "params-only",
            (false, false) => "no-validation",
        };
        let definition = legacy_map! {
            name => legacy_map! {
                "validateRequestBody" => body, "validateRequestParameters" => parameters,
            },
        };
        if !self.doc.at(REQUEST_VALIDATORS).truthy() {
            self.doc.set(REQUEST_VALIDATORS, Map::legacy());
        }
        if let Some(Value::Map(validators)) = self.doc.get_mut(REQUEST_VALIDATORS)
            && !validators.at(name).truthy()
        {
            validators.update(&definition);
        }
        self.each_definition(path, method, true, &mut |definition| {
            definition.update(&legacy_map! { REQUEST_VALIDATOR => name });
            Ok(())
        })
    }

    /// Has a method take a body of the model.
    pub fn add_request_model(&mut self, path: &str, method: &str, model: &Map) -> Result<()> {
        let Some(name) = model.at("Model").as_text() else { return Ok(()) };
        let name = name.same_kind(&name.as_str().to_lowercase());
        let required = model.at("Required").clone();
        let is_swagger = !self.doc.at("swagger").is_null();
        let is_openapi = self.doc.at("openapi").truthy() && is_version_3(self.doc.at("openapi"));
        self.each_definition(path, method, true, &mut |definition| {
            if is_swagger {
                let mut parameter = legacy_map! {
                    "in" => "body",
                    "name" => &name,
                    "schema" => map! { "$ref" => format!("#/definitions/{name}") },
                };
                if !required.is_null() {
                    parameter.set("required", &required);
                }
                append_parameter(definition, parameter);
            } else if is_openapi {
                let schema = map! { "$ref" => format!("#/components/schemas/{name}") };
                let content = map! { "application/json" => map! { "schema" => schema } };
                let mut body = map! { "content" => content };
                if !required.is_null() {
                    body.set("required", &required);
                }
                definition.set("requestBody", body);
            }
            Ok(())
        })
    }

    /// Declares parameters of a method: maps of `Name`, `Required`, `Caching`.
    pub fn add_request_parameters(
        &mut self,
        path: &str,
        method: &str,
        parameters: &[Map],
    ) -> Result<()> {
        self.each_definition(path, method, true, &mut |definition| {
            definition.entry("parameters", list![]);
            for request in parameters {
                let Some(full) = request.at("Name").as_text() else { continue };
                let short = full.as_str().replace("method.request.", "");
                let (location, name) = short.split_once('.').unwrap_or((short.as_str(), ""));
                let location = match location {
                    "querystring" => Text::plain("query"),
                    other => full.same_kind(other),
                };
                let parameter = legacy_map! {
                    "in" => location,
                    "name" => full.same_kind(name),
                    "required" => request.at("Required"),
                    "type" => "string",
                };
                append_parameter(definition, parameter);
                if request.at("Caching").truthy() {
                    let keys = integration_mut(definition).entry("cacheKeyParameters", list![]);
                    if let Some(keys) = keys.as_list_mut() {
                        keys.push(full.into());
                    }
                }
            }
            Ok(())
        })
    }

    pub fn add_gateway_responses(&mut self, responses: &Map) {
        if let Some(present) = self.gateway_responses.as_map_mut() {
            for (name, response) in responses.iter() {
                present.set(name, response);
            }
        }
    }

    pub fn add_models(&mut self, models: &Map) -> Result<()> {
        let mut definitions = self.definitions.or(|| Map::legacy().into());
        for (name, schema) in models.iter() {
            if !schema.at("type").truthy() {
                return Err(Fault::document("'Models' schema is missing 'type'."));
            }
            if let Some(definitions) = definitions.as_map_mut() {
                definitions.set(name.same_kind(&name.as_str().to_lowercase()), schema);
            }
        }
        self.definitions = definitions;
        Ok(())
    }
}

fn definition_mut<'a>(item: &'a mut Map, path: &Text, method: &Text) -> Result<&'a mut Map> {
    item.get_mut(method.as_str())
        .and_then(Value::as_map_mut)
        .ok_or_else(|| super::not_a_method(path.as_str(), method.as_str()))
}

/// Puts a method's definition under a condition.
pub(super) fn make_conditional(item: &mut Map, method: &Text, condition: &Value) {
    if condition.truthy() {
        let definition = item.at(method.as_str()).clone();
        item.set(method, when(condition, definition));
    }
}

pub(super) fn append_parameter(definition: &mut Map, parameter: Map) {
    if let Some(parameters) = definition.entry("parameters", list![]).as_list_mut() {
        parameters.push(parameter.into());
    }
}

fn set_endpoint(place: &mut Value, disable: &Value, name: &str) -> Result<()> {
    let fault = |what: &str| Fault::document(format!("{name}: {what}."));
    let map = place.as_map_mut().ok_or_else(|| fault("It should be a map"))?;
    let endpoint = map.entry(ENDPOINT, Map::new());
    let endpoint = endpoint
        .as_map_mut()
        .ok_or_else(|| fault(&format!("The value of '{ENDPOINT}' should be a map")))?;
    endpoint.set("disableExecuteApiEndpoint", disable);
    Ok(())
}

/// Every method of the path and `OPTIONS`, sorted.
fn allowed_methods(item: &Map) -> String {
    let mut methods: Vec<String> = if item.contains(ANY_METHOD) {
        METHODS.iter().map(|method| (*method).to_owned()).collect()
    } else {
        item.iter().map(|(method, _)| method.as_str().to_uppercase()).collect()
    };
    methods.push(normalize("options").to_uppercase());
    methods.sort();
    methods.dedup();
    methods.join(",")
}

/// The definition of a method that answers preflight requests by itself.
fn preflight(cors: &Cors, methods: &Value) -> Map {
    let response = |header: &str| format!("method.response.header.Access-Control-{header}");
    let header = |header: &str| format!("Access-Control-{header}");
    let mut parameters = legacy_map! { response("Allow-Origin") => &cors.origins };
    let mut headers = legacy_map! { header("Allow-Origin") => map! { "type" => "string" } };
    let mut add = |name: &str, value: &Value, kind: &str| {
        parameters.set(response(name), value);
        headers.set(header(name), map! { "type" => kind });
    };
    if cors.headers.truthy() {
        add("Allow-Headers", &cors.headers, "string");
    }
    if methods.truthy() {
        add("Allow-Methods", methods, "string");
    }
    if !cors.max_age.is_null() {
        add("Max-Age", &cors.max_age, "integer");
    }
    if cors.credentials {
        add("Allow-Credentials", &"'true'".into(), "string");
    }
    let answer = legacy_map! {
        "statusCode" => "200",
        "responseParameters" => parameters,
        "responseTemplates" => map! { "application/json" => "{}\n" },
    };
    let request = map! { "application/json" => "{\n  \"statusCode\" : 200\n}\n" };
    let integration = legacy_map! {
        "type" => "mock",
        "requestTemplates" => request,
        "responses" => legacy_map! { "default" => answer },
    };
    let described = legacy_map! {
        "description" => "Default response for CORS method", "headers" => headers,
    };
    legacy_map! {
        "summary" => "CORS support",
        "consumes" => list!["application/json"],
        "produces" => list!["application/json"],
        INTEGRATION => integration,
        "responses" => legacy_map! { "200" => described },
    }
}

/// `~1` stands for a slash in media types.
fn unescape_slashes(value: &Value) -> Value {
    let unescape = |text: &Text| Text::unicode(&text.as_str().replace("~1", "/"));
    match value {
        Value::Map(members) => {
            let mut out = Map::legacy();
            for (key, member) in members.iter() {
                out.set(unescape(key), unescape_slashes(member));
            }
            out.into()
        }
        Value::List(items) => Value::List(items.iter().map(unescape_slashes).collect()),
        Value::Str(text) => unescape(text).into(),
        other => other.clone(),
    }
}
