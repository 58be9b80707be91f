//! `AWS::Serverless::Api`: a REST API with its stage, deployment, domain, authorizers and usage
//! plan.

mod authorizer;
mod definition;
pub mod domain;
mod usage_plan;

pub use usage_plan::SharedUsagePlan;

use crate::fault::{Fault, Result};
use crate::intrinsics::{reference, sub_with};
use crate::logical_id::{digest_text, hashed, is_alphanumeric};
use crate::resource::{Resource, Source};
use crate::s3_uri;
use crate::schema::{Is, Schema, opt, req, strict};
use crate::tags;
use crate::value::{Map, Text, Value, dumps, list, map, repr, str_of};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::Api",
    props: &[&[
        opt("__MANAGE_SWAGGER", Is::Bool),
        opt("Name", Is::StrOrMap),
        req("StageName", Is::StrOrMap),
        opt("Tags", Is::Map),
        opt("PropagateTags", Is::Bool),
        opt("DefinitionBody", Is::Map),
        opt("DefinitionUri", Is::StrOrMap),
        strict("MergeDefinitions", Is::Bool),
        opt("CacheClusterEnabled", Is::Bool),
        opt("CacheClusterSize", Is::Str),
        opt("Variables", Is::Map),
        opt("EndpointConfiguration", Is::StrOrMap),
        opt("MethodSettings", Is::List),
        opt("BinaryMediaTypes", Is::List),
        opt("MinimumCompressionSize", Is::Int),
        opt("Cors", Is::StrOrMap),
        opt("Auth", Is::Map),
        opt("GatewayResponses", Is::Map),
        opt("AccessLogSetting", Is::Map),
        opt("CanarySetting", Is::Map),
        opt("TracingEnabled", Is::Bool),
        opt("OpenApiVersion", Is::Str),
        opt("Models", Is::Map),
        opt("Domain", Is::Map),
        opt("FailOnWarnings", Is::Bool),
        opt("Description", Is::Str),
        opt("Mode", Is::Str),
        opt("DisableExecuteApiEndpoint", Is::Bool),
        opt("ApiKeySourceType", Is::Str),
        strict("AlwaysDeploy", Is::Bool),
        opt("Policy", Is::StrOrMap),
        opt("SecurityPolicy", Is::Str),
        opt("EndpointAccessMode", Is::Str),
    ]],
};

/// An API under construction.
pub struct Api {
    pub source: Source,
    pub inherited: Map,
    pub definition: Value,
    pub auth: Value,
    pub domain: Value,
    pub binary_media_types: Value,
}

impl Api {
    fn at(&self, name: &str) -> &Value {
        self.source.at(name)
    }

    fn id(&self) -> &str {
        self.source.id.as_str()
    }

    fn fault(&self, message: &str) -> Fault {
        self.source.fault(message)
    }
}

/// Makes the resources of an API.
pub fn transform(source: Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let resolve = |name: &str| world.parameters.resolve(source.at(name));
    let mut api = Api {
        binary_media_types: resolve("BinaryMediaTypes")?,
        domain: resolve("Domain")?,
        auth: resolve("Auth")?,
        definition: source.at("DefinitionBody").clone(),
        inherited: source.inherited(),
        source,
    };
    let rest_api = rest_api(&mut api, world)?;
    let domain = domain::domain(&mut api, world)?;
    let mut deployment = deployment(&api)?;
    let body = rest_api.at("Body").or(|| rest_api.at("BodyS3Location").clone());
    let stage = stage(&api, &mut deployment, &body, world)?;
    let permissions = authorizer_permissions(&api, world)?;
    let usage_plan = usage_plan::usage_plan(&api, &stage.id, world)?;
    let mut resources = vec![rest_api, deployment, stage];
    resources.extend(permissions);
    resources.extend(domain.name);
    resources.extend(domain.mappings);
    resources.extend(domain.records);
    resources.extend(usage_plan);
    resources.extend(domain.association);
    tags::propagate(&mut resources, api.at("Tags"), api.at("PropagateTags").truthy());
    Ok(resources)
}

fn rest_api(api: &mut Api, world: &World<'_>) -> Result<Resource> {
    check(api)?;
    let mut rest_api = Resource::new("AWS::ApiGateway::RestApi", &api.source.id)?
        .depending_on(&api.source.depends_on)
        .with_attributes(&api.source.attributes)
        .with("BinaryMediaTypes", &api.binary_media_types)
        .with("MinimumCompressionSize", api.at("MinimumCompressionSize"));
    set_endpoint(api, &mut rest_api, world)?;
    definition::edit(api, world)?;
    let location = api.at("DefinitionUri").clone();
    if location.truthy() {
        let place = s3_uri::definition(api.id(), "DefinitionUri", &location)?;
        rest_api.set("BodyS3Location", place);
    } else if api.definition.truthy() {
        definition::normalize(api)?;
        rest_api.set("Body", &api.definition);
    }
    let optional = [
        "FailOnWarnings",
        "Name",
        "Description",
        "Mode",
        "ApiKeySourceType",
        "Policy",
        "SecurityPolicy",
        "EndpointAccessMode",
    ];
    for name in optional.into_iter().filter(|name| api.at(name).truthy()) {
        rest_api.set(name, api.at(name));
    }
    Ok(rest_api)
}

fn check(api: &Api) -> Result<()> {
    if api.at("DefinitionUri").truthy() && api.definition.truthy() {
        return Err(
            api.fault("Specify either 'DefinitionUri' or 'DefinitionBody' property and not both.")
        );
    }
    if api.at("DefinitionUri").truthy() && api.at("MergeDefinitions").truthy() {
        return Err(api.fault("Cannot set 'MergeDefinitions' to True when using `DefinitionUri`."));
    }
    let version = api.at("OpenApiVersion");
    if version.truthy() && !crate::editor::is_supported_version(version) {
        return Err(api.fault("The OpenApiVersion value must be of the format '3.0.0'."));
    }
    Ok(())
}

fn set_endpoint(api: &Api, rest_api: &mut Resource, world: &World<'_>) -> Result<()> {
    let partition = world.partition();
    let edge = !partition.starts_with("aws-iso")
        && !matches!(partition, "aws-us-gov" | "aws-cn" | "aws-eusc");
    let wanted = match api.at("EndpointConfiguration") {
        wanted if wanted.truthy() => wanted.clone(),
        _ if edge => return Ok(()),
        _ => "REGIONAL".into(),
    };
    let kind = wanted.at("Type").or(|| wanted.clone());
    let mut configuration = map! { "Types" => list![&kind] };
    if let Some(settings) = wanted.as_map().filter(|_| wanted.at("Type").truthy()) {
        if settings.contains("VPCEndpointIds") && settings.contains("VpcEndpointIds") {
            return Err(api.fault(
                "'VPCEndpointIds' and 'VpcEndpointIds' cannot be used together in EndpointConfiguration.",
            ));
        }
        if settings.contains("VPCEndpointIds") || settings.contains("VpcEndpointIds") {
            let ids = settings.at("VPCEndpointIds").or(|| settings.at("VpcEndpointIds").clone());
            configuration.set("VpcEndpointIds", ids);
        }
        if settings.contains("IpAddressType") {
            configuration.set("IpAddressType", settings.at("IpAddressType"));
        }
    }
    rest_api.set("EndpointConfiguration", configuration);
    rest_api.set("Parameters", map! { "endpointConfigurationTypes" => kind });
    Ok(())
}

fn deployment(api: &Api) -> Result<Resource> {
    let id = api.source.id.plus("Deployment");
    let mut deployment = Resource::new("AWS::ApiGateway::Deployment", id)?
        .with_attributes(&api.inherited)
        .with("RestApiId", reference(&api.source.id));
    // A deployment that names a stage makes API Gateway create it, beside the one wanted.
    if !api.at("OpenApiVersion").truthy() {
        deployment.set("StageName", "Stage");
    }
    Ok(deployment)
}

fn stage(
    api: &Api,
    deployment: &mut Resource,
    body: &Value,
    world: &World<'_>,
) -> Result<Resource> {
    let name = api.at("StageName");
    let prefix = name.as_str().unwrap_or_default();
    let id = if is_alphanumeric(prefix) {
        api.source.id.plus(&format!("{prefix}Stage"))
    } else {
        hashed(&format!("{}Stage", api.id()), &prefix.into()).into()
    };
    identify(api, deployment, body, world);
    let mut stage = Resource::new("AWS::ApiGateway::Stage", id)?
        .with_attributes(&api.inherited)
        .with("RestApiId", reference(&api.source.id))
        .with("DeploymentId", deployment.reference());
    stage.copy(
        &api.source.properties,
        &[
            "StageName",
            "CacheClusterEnabled",
            "CacheClusterSize",
            "Variables",
            "MethodSettings",
            "AccessLogSetting",
            "CanarySetting",
            "TracingEnabled",
        ],
    );
    if !api.at("Tags").is_null() {
        stage.set("Tags", tags::list(api.at("Tags")));
    }
    Ok(stage)
}

/// Gives a deployment the id that changes whenever the API does, so that it is made anew.
fn identify(api: &Api, deployment: &mut Resource, body: &Value, world: &World<'_>) {
    if !body.truthy() {
        return;
    }
    let mut parts = vec![repr(body)];
    let version = api.at("OpenApiVersion");
    if version.truthy() {
        parts.push(str_of(version));
    }
    if api.domain.truthy() {
        parts.push(dumps(&api.domain, false));
    }
    if let Some(names) = world.function_names.get(api.id()).filter(|names| !names.is_empty()) {
        parts.push(names.clone());
    }
    if api.at("AlwaysDeploy").truthy() {
        parts = vec![world.context.now_s.to_string()];
    }
    let digest = digest_text(&parts.join("||"));
    deployment.id = Text::plain(&format!("{}{}", deployment.id, &digest[..10]));
    deployment.set("Description", format!("RestApi deployment id: {digest}"));
}

fn authorizer_permissions(api: &Api, world: &World<'_>) -> Result<Vec<Resource>> {
    let mut permissions = Vec::new();
    for authorizer in authorizer::authorizers(api.id(), api.auth.at("Authorizers"), &Value::Null)? {
        let Some(function) = authorizer.permitted_function() else { continue };
        let id = api.source.id.plus(&format!("{}AuthorizerPermission", authorizer.name));
        let arn = world.arn("execute-api", "${__ApiId__}/authorizers/*");
        let variables = map! { "__ApiId__" => reference(&api.source.id) };
        permissions.push(
            Resource::new("AWS::Lambda::Permission", id)?
                .with_attributes(&api.inherited)
                .with("Action", "lambda:InvokeFunction")
                .with("FunctionName", function)
                .with("Principal", "apigateway.amazonaws.com")
                .with("SourceArn", sub_with(arn, variables)),
        );
    }
    Ok(permissions)
}
