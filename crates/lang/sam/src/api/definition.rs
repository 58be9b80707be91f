//! What an API's properties add to its definition: CORS, authorizers, responses, models.

use super::{Api, authorizer};
use crate::editor::{self, Cors, DefaultAuthorizer, Document, Swagger};
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::is_intrinsic;
use crate::value::{Map, Value, legacy_map, str_of};
use crate::world::World;

const AUTH: [&str; 8] = [
    "Authorizers",
    "DefaultAuthorizer",
    "InvokeRole",
    "AddDefaultAuthorizerToCorsPreflight",
    "AddApiKeyRequiredToCorsPreflight",
    "ApiKeyRequired",
    "ResourcePolicy",
    "UsagePlan",
];
const CORS: [&str; 5] =
    ["AllowMethods", "AllowHeaders", "AllowOrigin", "MaxAge", "AllowCredentials"];
const RESPONSE: [&str; 3] = ["ResponseParameters", "ResponseTemplates", "StatusCode"];
const ANY_ORIGIN: &str = "'*'";

/// Edits the definition, in the order that AWS does.
pub fn edit(api: &mut Api, world: &World<'_>) -> Result<()> {
    add_cors(api)?;
    add_auth(api, world)?;
    add_gateway_responses(api)?;
    if api.binary_media_types.truthy() && api.definition.truthy() {
        let mut swagger = Swagger::open(&api.definition)?;
        swagger.set_binary_media_types(&api.binary_media_types);
        api.definition = swagger.close();
    }
    add_models(api)?;
    let disable = api.at("DisableExecuteApiEndpoint").clone();
    if !disable.is_null() {
        if !api.definition.truthy() {
            return Err(
                api.fault("DisableExecuteApiEndpoint works only within 'DefinitionBody' property.")
            );
        }
        let mut swagger = Swagger::open(&api.definition)?;
        swagger.disable_execute_api_endpoint(&disable)?;
        api.definition = swagger.close();
    }
    Ok(())
}

/// Refuses a property that needs a definition in the template when there is none.
fn check_definition(api: &Api, property: &str, feature: &str) -> Result<()> {
    if !api.definition.truthy() {
        return Err(api.fault(&format!(
            "{property} works only with inline Swagger specified in 'DefinitionBody' property."
        )));
    }
    if !Swagger::is_valid(&api.definition) {
        return Err(api.fault(&format!(
            "Unable to add {feature} because 'DefinitionBody' does not contain a valid Swagger definition."
        )));
    }
    Ok(())
}

fn add_cors(api: &mut Api) -> Result<()> {
    let wanted = api.at("Cors").clone();
    if !wanted.truthy() {
        return Ok(());
    }
    if !api.definition.truthy() {
        check_definition(api, "Cors", "Cors configuration")?;
    }
    let mut cors = Cors {
        origins: ANY_ORIGIN.into(),
        headers: Value::Null,
        methods: Value::Null,
        max_age: Value::Null,
        credentials: false,
    };
    match &wanted {
        Value::Map(settings) if !is_intrinsic(&wanted) => {
            if let Some((name, _)) = settings.iter().find(|(n, _)| !CORS.contains(&n.as_str())) {
                return Err(api.fault(&format!("Invalid key '{name}' for 'Cors' property.")));
            }
            if let Some(origins) = settings.get("AllowOrigin") {
                cors.origins = origins.clone();
            }
            cors.headers = settings.at("AllowHeaders").clone();
            cors.methods = settings.at("AllowMethods").clone();
            cors.max_age = settings.at("MaxAge").clone();
            cors.credentials = *settings.at("AllowCredentials") == Value::Bool(true);
        }
        origins => cors.origins = origins.clone(),
    }
    check_definition(api, "Cors", "Cors configuration")?;
    if cors.credentials && cors.origins.as_str() == Some(ANY_ORIGIN) {
        return Err(api.fault(
            "Unable to add Cors configuration because 'AllowCredentials' can not be true when 'AllowOrigin' is \"'*'\" or not set",
        ));
    }
    let mut swagger = Swagger::open(&api.definition)?;
    // `/a` and `/a/` are one resource to API Gateway; it would refuse a second `options`.
    let mut seen = Vec::new();
    for path in swagger.path_names() {
        let trimmed = if path == "/" { "/" } else { path.as_str().trim_end_matches('/') };
        if !seen.contains(&trimmed.to_owned()) {
            seen.push(trimmed.to_owned());
            swagger.add_cors(path.as_str(), &cors).map_err(|fault| as_own(api, fault))?;
        }
    }
    api.definition = swagger.close();
    Ok(())
}

/// A fault of the structure as one of this resource.
fn as_own(api: &Api, fault: Fault) -> Fault {
    match fault {
        Fault::Template(_) => api.fault(&fault.message()),
        other => other,
    }
}

fn add_auth(api: &mut Api, world: &World<'_>) -> Result<()> {
    if !api.auth.truthy() {
        return Ok(());
    }
    if !api.definition.truthy() {
        check_definition(api, "Auth", "Auth configuration")?;
    }
    let auth = api.auth.as_map().cloned().unwrap_or_default();
    if auth.iter().any(|(name, _)| !AUTH.contains(&name.as_str())) {
        return Err(api.fault("Invalid value for 'Auth' property"));
    }
    check_definition(api, "Auth", "Auth configuration")?;
    let mut swagger = Swagger::open(&api.definition)?;
    let default = auth.at("DefaultAuthorizer");
    let authorizers = authorizer::authorizers(api.id(), auth.at("Authorizers"), default)?;
    if !authorizers.is_empty() {
        let mut definitions = Map::legacy();
        for authorizer in &authorizers {
            definitions.set(&authorizer.name, authorizer.definition(api.id(), world)?);
        }
        swagger.add_security_definitions(&definitions)?;
        set_default_authorizer(api, &mut swagger, &auth, &authorizers)?;
    }
    let or_true = |name: &str| auth.get(name).is_none_or(Value::truthy);
    if auth.at("ApiKeyRequired").truthy() {
        swagger.add_api_key_definition()?;
        for path in swagger.path_names() {
            let on_preflight = or_true("AddApiKeyRequiredToCorsPreflight");
            swagger.set_default_api_key(path.as_str(), on_preflight)?;
        }
    }
    if auth.at("ResourcePolicy").truthy() {
        let policy = auth.at("ResourcePolicy").as_map().ok_or_else(|| {
            Fault::document("ResourcePolicy must be a map (ResourcePolicyStatement).")
        })?;
        for path in swagger.path_names() {
            swagger.add_resource_policy(policy, &path, api.at("StageName"))?;
        }
        if policy.at("CustomStatements").truthy() {
            swagger.add_custom_statements(policy.at("CustomStatements"));
        }
    }
    api.definition = swagger.close();
    normalize(api)
}

fn set_default_authorizer(
    api: &Api,
    swagger: &mut Swagger,
    auth: &Map,
    authorizers: &[authorizer::Authorizer],
) -> Result<()> {
    let default = auth.at("DefaultAuthorizer");
    if !default.truthy() {
        return Ok(());
    }
    let Some(name) = default.as_text() else {
        return Err(api.fault("DefaultAuthorizer is not a string."));
    };
    let found = authorizers.iter().find(|authorizer| authorizer.name == *name);
    if found.is_none() && *name != "AWS_IAM" {
        return Err(api.fault(&format!(
            "Unable to set DefaultAuthorizer because '{name}' was not defined in 'Authorizers'."
        )));
    }
    let names: Vec<_> = authorizers.iter().map(|authorizer| authorizer.name.clone()).collect();
    let default = DefaultAuthorizer {
        name,
        scopes: found.map_or(Value::List(Vec::new()), authorizer::Authorizer::scopes),
        authorizers: &names,
        on_preflight: auth.get("AddDefaultAuthorizerToCorsPreflight").is_none_or(Value::truthy),
    };
    for path in swagger.path_names() {
        swagger.set_default_authorizer(path.as_str(), &default)?;
    }
    Ok(())
}

fn add_gateway_responses(api: &mut Api) -> Result<()> {
    let wanted = api.at("GatewayResponses").clone();
    let Some(responses) = wanted.as_map().filter(|_| wanted.truthy()) else { return Ok(()) };
    if !api.definition.truthy() {
        check_definition(api, "GatewayResponses", "Auth configuration")?;
    }
    for (kind, response) in responses.iter() {
        if is_intrinsic(response) {
            return Err(api.fault(
                "Unable to set GatewayResponses attribute because intrinsic functions are not supported for this field.",
            ));
        }
        let Some(members) = response.as_map() else {
            return Err(api.fault(&format!(
                "Invalid property type '{}' for GatewayResponses. Expected an object of type 'GatewayResponse'.",
                response.type_name()
            )));
        };
        if let Some((name, _)) = members.iter().find(|(n, _)| !RESPONSE.contains(&n.as_str())) {
            return Err(api.fault(&format!(
                "Invalid property '{name}' in 'GatewayResponses' property '{kind}'."
            )));
        }
    }
    check_definition(api, "GatewayResponses", "Auth configuration")?;
    let mut definitions = Map::legacy();
    for (kind, response) in responses.iter() {
        definitions.set(kind, gateway_response(api, kind.as_str(), response)?);
    }
    let mut swagger = Swagger::open(&api.definition)?;
    swagger.add_gateway_responses(&definitions);
    api.definition = swagger.close();
    Ok(())
}

/// One response in the words of the definition.
fn gateway_response(api: &Api, kind: &str, response: &Value) -> Result<Map> {
    let parameters = response.at("ResponseParameters");
    if parameters.truthy() {
        let path = format!("GatewayResponses.{kind}.ResponseParameters");
        let given = expect(parameters, api.id(), &path).map()?;
        let known = ["Headers", "Paths", "QueryStrings"];
        if let Some((name, _)) = given.iter().find(|(n, _)| !known.contains(&n.as_str())) {
            return Err(api.fault(&format!("Invalid gateway response parameter '{name}'")));
        }
    }
    let status = response.at("StatusCode");
    let printed = str_of(status);
    let numeric = (1..=3).contains(&printed.len()) && printed.bytes().all(|b| b.is_ascii_digit());
    if status.truthy() && !numeric {
        return Err(api.fault("Property 'StatusCode' must be numeric"));
    }
    let mut prefixed = Map::legacy();
    for (group, prefix) in
        [("Headers", "header"), ("Paths", "path"), ("QueryStrings", "querystring")]
    {
        let given = parameters.as_map().and_then(|parameters| parameters.get(group));
        let Some(given) = given else { continue };
        let path = format!("ResponseParameters.{group}");
        for (name, value) in expect(given, api.id(), &path).map()?.iter() {
            prefixed.set(name.same_kind(&format!("gatewayresponse.{prefix}.{name}")), value);
        }
    }
    let mut definition = legacy_map! {
        "responseParameters" => prefixed,
        "responseTemplates" => response.at("ResponseTemplates").or(|| Map::legacy().into()),
    };
    if !status.is_null() && !printed.is_empty() {
        definition.set("statusCode", printed);
    }
    Ok(definition)
}

fn add_models(api: &mut Api) -> Result<()> {
    let wanted = api.at("Models").clone();
    let Some(models) = wanted.as_map().filter(|_| wanted.truthy()) else { return Ok(()) };
    check_definition(api, "Models", "Models definitions")?;
    if models.iter().any(|(_, model)| !model.is_map()) {
        return Err(api.fault("Invalid value for 'Models' property"));
    }
    let mut swagger = Swagger::open(&api.definition)?;
    swagger.add_models(models)?;
    api.definition = swagger.close();
    normalize(api)
}

/// Moves to OpenAPI 3's places what was written in Swagger 2's, for an API of that version.
pub fn normalize(api: &mut Api) -> Result<()> {
    if !api.definition.at("swagger").is_null() {
        return Ok(());
    }
    let own = api.at("OpenApiVersion");
    let written = api.definition.at("openapi");
    let version = if own.is_null() { written } else { own };
    if !version.truthy() || !editor::is_version_3(version) {
        return Ok(());
    }
    let Some(definition) = api.definition.as_map_mut() else { return Ok(()) };
    for (old, new) in [("securityDefinitions", "securitySchemes"), ("definitions", "schemas")] {
        if !definition.at(old).truthy() {
            continue;
        }
        let moved = definition.at(old).clone();
        let mut components = definition.at("components").or(|| Map::legacy().into());
        if let Some(components) = components.as_map_mut() {
            components.set(new, moved);
        }
        definition.set("components", components);
        definition.remove(old);
    }
    if !definition.at("paths").truthy() {
        return Ok(());
    }
    let Some(paths) = definition.get_mut("paths").and_then(Value::as_map_mut) else {
        return Err(Fault::document(
            "Value of paths must be a dictionary according to Swagger spec.",
        ));
    };
    for path in paths.key_list() {
        let item = paths.get_mut(path.as_str()).and_then(Value::as_map_mut).ok_or_else(|| {
            Fault::document(format!(
                "Value of '{path}' path must be a dictionary according to Swagger spec."
            ))
        })?;
        if item.at("options").truthy() {
            normalize_options(item, path.as_str())?;
        }
    }
    Ok(())
}

fn normalize_options(item: &mut Map, path: &str) -> Result<()> {
    let Some(options) = item.get_mut("options").and_then(Value::as_map_mut) else {
        return Err(Fault::document(format!(
            "Value of options method for path {path} must be a dictionary according to Swagger spec."
        )));
    };
    options.remove("produces");
    options.remove("consumes");
    let not_maps = |what: &str| {
        Fault::document(format!("Invalid responses in options method for path {path}: {what}."))
    };
    let Some(responses) = options.get_mut("responses").filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let responses = responses.as_map_mut().ok_or_else(|| not_maps("It should be a map"))?;
    let Some(ok) = responses.get_mut("200").filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let ok = ok.as_map_mut().ok_or_else(|| not_maps("The value of '200' should be a map"))?;
    let Some(headers) = ok.get_mut("headers").filter(|value| value.truthy()) else {
        return Ok(());
    };
    let headers = headers.as_map_mut().ok_or_else(|| {
        Fault::document(format!(
            "Value of response's headers in options method for path {path} must be a dictionary according to Swagger spec."
        ))
    })?;
    for name in headers.key_list() {
        let schema = legacy_map! { "schema" => headers.at(name.as_str()) };
        headers.set(name, schema);
    }
    Ok(())
}
