//! `AWS::Serverless::WebSocketApi`: a WebSocket API with a function behind each route.

use crate::fault::Result;
use crate::http_api::authorizer::permission;
use crate::http_api::domain::{self, Shared};
use crate::intrinsics::{is_intrinsic, join, reference, sub, sub_with};
use crate::logical_id::is_alphanumeric;
use crate::resource::{Resource, Source};
use crate::schema::{Is, Schema, opt, req};
use crate::tags;
use crate::value::{Map, Text, Value, list, map, str_of};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::WebSocketApi",
    props: &[&[
        opt("ApiKeySelectionExpression", Is::Str),
        opt("AccessLogSettings", Is::Map),
        opt("Auth", Is::Map),
        opt("DefaultRouteSettings", Is::Map),
        opt("Description", Is::Str),
        opt("DisableExecuteApiEndpoint", Is::Bool),
        opt("Domain", Is::Map),
        opt("DisableSchemaValidation", Is::Bool),
        opt("FailOnWarnings", Is::Bool),
        opt("IpAddressType", Is::Str),
        opt("Name", Is::Str),
        opt("PropagateTags", Is::Bool),
        req("Routes", Is::Map),
        opt("RouteSettings", Is::Map),
        req("RouteSelectionExpression", Is::Str),
        opt("StageName", Is::StrOrMap),
        opt("StageVariables", Is::Map),
        opt("Tags", Is::Map),
    ]],
};

const MARK: &str = "websocketapi:createdBy";
const INVOCATION: &str = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${FUNCTION}/invocations";

/// A function as the target of API Gateway; the variable of `Fn::Sub` has the name AWS gives it.
fn invocation(variable: &str, function: &Value) -> Value {
    sub_with(INVOCATION.replace("FUNCTION", variable), map! { variable => function })
}

pub fn transform(mut source: Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    SCHEMA.check(source.id.as_str(), &source.properties)?;
    for name in ["Auth", "Domain", "Routes"] {
        if !source.at(name).is_null() {
            let resolved = world.parameters.resolve(source.at(name))?;
            source.properties.set(name, resolved);
        }
    }
    check(&source)?;
    let mut tags = source.at("Tags").as_map().cloned().unwrap_or_default();
    tags.set(MARK, "SAM");
    let api = api(&source, &tags)?;
    let shared = Shared { id: &source.id, inherited: &Map::new(), mark: Some(MARK) };
    // AWS does not share DNS records among WebSocket APIs: of one zone, the last API's stay.
    let shared_records = std::mem::take(&mut world.record_sets);
    let domain = domain::domain(&shared, source.at("Domain").clone(), world);
    world.record_sets = shared_records;
    let domain = domain?;
    let mut stage = stage(&source)?;
    let mut resources = vec![api];
    let (mut authorizer, mut routes) = (None, Vec::new());
    for (key, route) in source.at("Routes").as_map().into_iter().flat_map(Map::iter) {
        let (made, own) = route_resources(&source, key, route)?;
        routes.push(Value::from(&made[0].id));
        resources.extend(made);
        authorizer = own.or(authorizer);
    }
    resources.extend(domain.name);
    resources.extend(domain.mappings);
    resources.extend(domain.records);
    if source.at("RouteSettings").truthy() && !routes.is_empty() {
        stage.depends_on = routes.into();
    }
    resources.push(stage);
    if let Some(authorizer) = authorizer {
        resources.push(authorizer);
        resources.extend(authorizer_permission(&source)?);
    }
    let own = if source.at("Tags").truthy() { tags.into() } else { Value::Null };
    tags::propagate(&mut resources, &own, source.at("PropagateTags").truthy());
    Ok(resources)
}

fn check(source: &Source) -> Result<()> {
    if !source.at("Routes").truthy() {
        return Err(source.fault("WebSocket API must have at least one route."));
    }
    let address = source.at("IpAddressType");
    let known = matches!(address.as_str(), Some("ipv4" | "dualstack"));
    if !address.is_null() && !is_intrinsic(address) && !known {
        return Err(source.fault("IpAddressType must be 'ipv4' or 'dualstack'."));
    }
    if source.at("Domain").at("MutualTlsAuthentication").truthy() {
        return Err(
            source.fault("Mutual TLS domain name association is not supported for Websocket APIs.")
        );
    }
    let connects = source.at("Routes").as_map().is_some_and(|routes| routes.contains("$connect"));
    if source.at("Auth").truthy() && !connects {
        return Err(source.fault("Authorization is only available if there is a $connect route."));
    }
    if source.at("StageName").as_str() == Some("$default") {
        return Err(source.fault("Stages cannot be named $default for WebSocket APIs."));
    }
    Ok(())
}

fn api(source: &Source, tags: &Map) -> Result<Resource> {
    let name = source.at("Name");
    let mut api = Resource::new("AWS::ApiGatewayV2::Api", &source.id)?
        .depending_on(&source.depends_on)
        .with("Name", if name.is_null() { (&source.id).into() } else { name.clone() })
        .with("Tags", tags.clone())
        .with("ProtocolType", "WEBSOCKET");
    let same = [
        "ApiKeySelectionExpression",
        "Description",
        "DisableExecuteApiEndpoint",
        "DisableSchemaValidation",
        "IpAddressType",
        "RouteSelectionExpression",
    ];
    api.copy(&source.properties, &same);
    Ok(api)
}

/// Route, integration and permission, and for `$connect` perhaps the authorizer.
fn route_resources(
    source: &Source,
    key: &Text,
    route: &Value,
) -> Result<(Vec<Resource>, Option<Resource>)> {
    let prefix = source.id.plus(&id_part(source, key.as_str())?);
    let [route_id, integration_id, permission_id] =
        ["Route", "Integration", "Permission"].map(|suffix| prefix.plus(suffix));
    if route.at("RequestParameters").truthy() && *key != "$connect" {
        return Err(source.fault(
            "Request parameters are only supported for the $connect route in WebSocket APIs.",
        ));
    }
    let target = list!["integrations", reference(&integration_id)];
    let mut made = Resource::new("AWS::ApiGatewayV2::Route", &route_id)?
        .with("RouteKey", key)
        .with("ApiId", reference(&source.id))
        .with("Target", join("/", target));
    let settings = route.as_map().cloned().unwrap_or_default();
    let same = [
        "ApiKeyRequired",
        "ModelSelectionExpression",
        "OperationName",
        "RequestModels",
        "RouteResponseSelectionExpression",
    ];
    made.copy(&settings, &same);
    if settings.at("RequestParameters").truthy() {
        made.set("RequestParameters", settings.at("RequestParameters"));
    }
    let authorizer = authorize(source, key, &mut made)?;
    let Some(function) = settings.get("FunctionArn") else {
        return Err(source.fault("Route must have associated function."));
    };
    let integration = Resource::new("AWS::ApiGatewayV2::Integration", integration_id)?
        .with("ApiId", reference(&source.id))
        .with("IntegrationType", "AWS_PROXY")
        .with("IntegrationUri", invocation("FunctionArn", function))
        .with("TimeoutInMillis", settings.at("IntegrationTimeout"));
    let permission = Resource::new("AWS::Lambda::Permission", permission_id)?
        .with("Action", "lambda:InvokeFunction")
        .with("FunctionName", function)
        .with("Principal", "apigateway.amazonaws.com")
        .with("SourceArn", route_arn(source, key.as_str()));
    Ok((vec![made, integration, permission], authorizer))
}

fn route_arn(source: &Source, key: &str) -> Value {
    let api =
        crate::world::arn("${AWS::Partition}", "execute-api", &format!("${{{}.ApiId}}", source.id));
    match source.at("StageName") {
        Value::Null => sub(format!("{api}/default/{key}")),
        Value::Str(stage) => sub(format!("{api}/{stage}/{key}")),
        stage => {
            sub_with(format!("{api}/${{__StageName__}}/{key}"), map! { "__StageName__" => stage })
        }
    }
}

/// A route's key as part of logical ids.
fn id_part(source: &Source, key: &str) -> Result<String> {
    let special = ["$connect", "$disconnect", "$default"].contains(&key);
    let word = if special { &key[1..] } else { key };
    if !special && !is_alphanumeric(key) {
        return Err(source.fault(format!(
            "Route key '{key}' must be alphanumeric. Only $connect, $disconnect, and $default \
             special routes are supported."
        )));
    }
    let mut characters = word.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    Ok(first + &characters.as_str().to_lowercase())
}

/// Sets how `$connect` is authorised; answers the authorizer when it is a function.
fn authorize(source: &Source, key: &Text, route: &mut Resource) -> Result<Option<Resource>> {
    let Some(auth) = source.at("Auth").as_map().filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let kind = auth.at("AuthType");
    if !kind.truthy() {
        return Err(source.fault("AuthType must be specified for additional auth configurations."));
    }
    let name = kind.as_str().unwrap_or_default();
    match name {
        "CUSTOM" if !auth.at("AuthArn").truthy() => {
            return Err(source.fault("AuthArn must be specified if AuthType is CUSTOM."));
        }
        "AWS_IAM" | "NONE" if auth.len() > 1 => {
            return Err(source
                .fault(format!("No additional configurations supported for AuthType {name}.")));
        }
        "CUSTOM" | "AWS_IAM" | "NONE" => {}
        _ => {
            return Err(source.fault(format!(
                "AuthType '{}' is not one of AWS_IAM, CUSTOM or NONE.",
                str_of(kind)
            )));
        }
    }
    if *key != "$connect" {
        return Ok(None);
    }
    route.set("AuthorizationType", name);
    if name != "CUSTOM" {
        return Ok(None);
    }
    let id = source.id.plus("ConnectAuthorizer");
    let own_name = auth.at("Name").or(|| (&id).into());
    let authorizer = Resource::new("AWS::ApiGatewayV2::Authorizer", &id)?
        .with("ApiId", reference(&source.id))
        .with("AuthorizerCredentialsArn", auth.at("InvokeRole"))
        .with("AuthorizerType", "REQUEST")
        .with("AuthorizerUri", invocation("AuthArn", auth.at("AuthArn")))
        .with("IdentitySource", auth.at("IdentitySource"))
        .with("Name", own_name);
    route.set("AuthorizerId", authorizer.reference());
    Ok(Some(authorizer))
}

fn authorizer_permission(source: &Source) -> Result<Option<Resource>> {
    let auth = source.at("Auth");
    if auth.at("InvokeRole").truthy() {
        return Ok(None);
    }
    let id = source.id.plus("AuthorizerPermission");
    permission(id, auth.at("AuthArn"), reference(&source.id)).map(Some)
}

fn stage(source: &Source) -> Result<Resource> {
    let given = source.at("StageName");
    let name = if given.is_null() { "default".into() } else { given.clone() };
    let prefix = match name.as_str() {
        Some("default") => "Default",
        other => other.unwrap_or_default(),
    };
    let mut stage =
        Resource::new("AWS::ApiGatewayV2::Stage", source.id.plus(&format!("{prefix}Stage")))?
            .with("ApiId", reference(&source.id))
            .with("StageName", &name)
            .with("Tags", map! { MARK => "SAM" })
            .with("AutoDeploy", true);
    let same = ["StageVariables", "AccessLogSettings", "DefaultRouteSettings", "RouteSettings"];
    stage.copy(&source.properties, &same);
    Ok(stage)
}
