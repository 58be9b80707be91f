//! `AWS::Serverless::HttpApi`: an HTTP API with its stage, domain and authorizers.

pub mod authorizer;
pub mod domain;

use crate::editor::{Document, OpenApi};
use crate::fault::{Result, expect};
use crate::intrinsics::{is_intrinsic, is_no_value, reference};
use crate::logical_id::{hashed, is_alphanumeric};
use crate::resource::{Resource, Source};
use crate::s3_uri;
use crate::schema::{Is, Schema, opt, pass};
use crate::tags;
use crate::value::{Map, Value, list, map};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::HttpApi",
    props: &[&[
        opt("__MANAGE_SWAGGER", Is::Bool),
        pass("Name"),
        opt("StageName", Is::StrOrMap),
        opt("Tags", Is::Map),
        opt("PropagateTags", Is::Bool),
        opt("DefinitionBody", Is::Map),
        opt("DefinitionUri", Is::StrOrMap),
        opt("StageVariables", Is::Map),
        opt("CorsConfiguration", Is::BoolOrMap),
        opt("AccessLogSettings", Is::Map),
        opt("DefaultRouteSettings", Is::Map),
        opt("Auth", Is::Map),
        opt("RouteSettings", Is::Map),
        opt("Domain", Is::Map),
        opt("FailOnWarnings", Is::Bool),
        opt("Description", Is::Str),
        opt("DisableExecuteApiEndpoint", Is::Bool),
    ]],
};

const DEFAULT_STAGE: &str = "$default";
const MARK: &str = "httpapi:createdBy";
const CORS: [&str; 6] =
    ["AllowMethods", "AllowHeaders", "AllowOrigins", "MaxAge", "ExposeHeaders", "AllowCredentials"];
const AUTH: [&str; 3] = ["Authorizers", "DefaultAuthorizer", "EnableIamAuthorizer"];

/// An API under construction.
struct HttpApi {
    source: Source,
    definition: Value,
    /// The tags with the mark of SAM, once set.
    tags: Value,
}

pub fn transform(source: Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let cors = world.parameters.resolve(source.at("CorsConfiguration"))?;
    let domain = world.parameters.resolve(source.at("Domain"))?;
    let mut api = HttpApi {
        definition: source.at("DefinitionBody").clone(),
        tags: source.at("Tags").clone(),
        source,
    };
    let http_api = http_api(&mut api, &cors, world)?;
    let shared =
        domain::Shared { id: &api.source.id, inherited: &api.source.inherited(), mark: Some(MARK) };
    let domain = domain::domain(&shared, domain, world)?;
    let permissions = authorizer::permissions(&api.source)?;
    let stage = stage(&api)?;
    let mut resources = vec![http_api];
    resources.extend(permissions);
    resources.extend(domain.name);
    resources.extend(domain.mappings);
    resources.extend(domain.records);
    resources.push(stage);
    // Only an API whose definition is in the template hands its tags on; it always does.
    let own_tags = if api.source.at("Tags").truthy() { &api.tags } else { &Value::Null };
    let has_body = !api.source.at("DefinitionBody").is_null();
    tags::propagate(&mut resources, own_tags, has_body);
    Ok(resources)
}

fn http_api(api: &mut HttpApi, cors: &Value, world: &World<'_>) -> Result<Resource> {
    let mut http_api = Resource::new("AWS::ApiGatewayV2::Api", &api.source.id)?
        .with_attributes(&api.source.attributes)
        .depending_on(&api.source.depends_on);
    if api.source.at("DefinitionUri").truthy() && api.definition.truthy() {
        return Err(api
            .source
            .fault("Specify either 'DefinitionUri' or 'DefinitionBody' property and not both."));
    }
    if cors.truthy() {
        add_cors(api, cors)?;
    }
    add_auth(api, world)?;
    add_tags(api)?;
    if api.source.at("FailOnWarnings").truthy() {
        http_api.set("FailOnWarnings", api.source.at("FailOnWarnings"));
    }
    disable_endpoint(api)?;
    add_info(api, "Name")?;
    add_info(api, "Description")?;
    if api.source.at("FailOnWarnings").truthy() {
        move_default_path(api);
    }
    let uri = api.source.at("DefinitionUri");
    if uri.truthy() {
        let place = s3_uri::definition(api.source.id.as_str(), "DefinitionUri", uri)?;
        http_api.set("BodyS3Location", place);
    } else if api.definition.truthy() {
        http_api.set("Body", &api.definition);
    } else {
        return Err(api.source.fault(
            "'DefinitionUri' or 'DefinitionBody' are required properties of an \
             'AWS::Serverless::HttpApi'. Add a value for one of these properties or add a \
             'HttpApi' event to an 'AWS::Serverless::Function'.",
        ));
    }
    Ok(http_api)
}

/// Opens the definition to edit it for a property that needs one in the template.
fn open(api: &HttpApi, property: &str, the: &str, feature: &str) -> Result<OpenApi> {
    if !api.definition.truthy() {
        return Err(api.source.fault(format!(
            "{property} works only with inline OpenApi specified in {the}'DefinitionBody' property."
        )));
    }
    if !OpenApi::is_valid(&api.definition) {
        return Err(api.source.fault(format!(
            "Unable to add {feature} because 'DefinitionBody' does not contain a valid OpenApi definition."
        )));
    }
    OpenApi::open(&api.definition)
}

fn add_cors(api: &mut HttpApi, cors: &Value) -> Result<()> {
    if !api.definition.truthy() {
        open(api, "Cors", "", "Cors configuration")?;
    }
    let settings = match cors {
        Value::Bool(_) => map! { "AllowOrigins" => list!["*"] },
        _ if is_intrinsic(cors) => map! { "AllowOrigins" => cors },
        Value::Map(settings) => {
            if let Some((name, _)) = settings.iter().find(|(n, _)| !CORS.contains(&n.as_str())) {
                let message = format!("Invalid key '{name}' for 'Cors' property.");
                return Err(api.source.fault(message));
            }
            settings.clone()
        }
        _ => return Err(api.source.fault("Invalid value for 'Cors' property.")),
    };
    let mut openapi = open(api, "Cors", "", "Cors configuration")?;
    let credentials = *settings.at("AllowCredentials") == Value::Bool(true);
    if credentials && *settings.at("AllowOrigins") == list!["*"] {
        return Err(api.source.fault(
            "Unable to add Cors configuration because 'AllowCredentials' can not be true when 'AllowOrigin' is \"'*'\" or not set.",
        ));
    }
    openapi.add_cors(&settings)?;
    api.definition = openapi.close();
    Ok(())
}

fn add_auth(api: &mut HttpApi, world: &World<'_>) -> Result<()> {
    let auth = api.source.at("Auth").clone();
    let Some(auth) = auth.as_map().filter(|_| auth.truthy()) else { return Ok(()) };
    if !api.definition.truthy() {
        open(api, "Auth", "the ", "Auth configuration")?;
    }
    if auth.iter().any(|(name, _)| !AUTH.contains(&name.as_str())) {
        return Err(api.source.fault("Invalid value for 'Auth' property"));
    }
    let mut openapi = open(api, "Auth", "the ", "Auth configuration")?;
    let id = api.source.id.as_str();
    let authorizers = authorizer::authorizers(id, auth)?;
    let mut schemes = Map::new();
    for authorizer in &authorizers {
        schemes.set(&authorizer.name, authorizer.definition(id, world)?);
    }
    openapi.add_security_schemes(&schemes);
    let default = auth.at("DefaultAuthorizer");
    if default.truthy() && !is_no_value(default) {
        expect(default, id, "Auth.DefaultAuthorizer").string()?;
        let found = authorizers.iter().find(|one| default.as_text() == Some(&one.name));
        let Some(found) = found else {
            return Err(api.source.fault(format!(
                "Unable to set DefaultAuthorizer because '{}' was not defined in 'Authorizers'.",
                default.as_str().unwrap_or_default()
            )));
        };
        for path in openapi.path_names() {
            openapi.set_default_authorizer(path.as_str(), &found.name, &found.scopes())?;
        }
    }
    api.definition = openapi.close();
    Ok(())
}

fn add_tags(api: &mut HttpApi) -> Result<()> {
    if api.tags.truthy() {
        open(api, "Tags", "the ", "`Tags`")?;
    }
    if !OpenApi::is_valid(&api.definition) {
        return Ok(());
    }
    let mut tags = api.tags.as_map().cloned().unwrap_or_default();
    tags.set(MARK, "SAM");
    let mut openapi = OpenApi::open(&api.definition)?;
    openapi.add_tags(&tags)?;
    api.definition = openapi.close();
    api.tags = tags.into();
    Ok(())
}

fn disable_endpoint(api: &mut HttpApi) -> Result<()> {
    let disable = api.source.at("DisableExecuteApiEndpoint");
    if disable.is_null() {
        return Ok(());
    }
    if !api.definition.truthy() {
        return Err(api
            .source
            .fault("DisableExecuteApiEndpoint works only within 'DefinitionBody' property."));
    }
    let mut openapi = OpenApi::open(&api.definition)?;
    openapi.disable_execute_api_endpoint(disable)?;
    api.definition = openapi.close();
    Ok(())
}

/// Sets the title or description of the definition, which must not have its own.
fn add_info(api: &mut HttpApi, property: &str) -> Result<()> {
    let value = api.source.at(property).clone();
    if !value.truthy() {
        return Ok(());
    }
    if !api.definition.truthy() {
        return Err(api.source.fault(format!(
            "{property} works only with inline OpenApi specified in the 'DefinitionBody' property."
        )));
    }
    let info = api.definition.at("info");
    if !info.is_null() && !info.is_map() {
        let end = if property == "Name" { "." } else { "'." };
        return Err(api
            .source
            .fault(format!("Invalid 'DefinitionBody': The value of 'info' should be a map{end}")));
    }
    let taken = match property {
        "Name" => *info.at("title") != OpenApi::default_title(),
        _ => info.at("description").truthy(),
    };
    if taken {
        return Err(api.source.fault(format!(
            "Unable to set {property} because it is already defined within inline OpenAPI \
             specified in the 'DefinitionBody' property."
        )));
    }
    let mut openapi = OpenApi::open(&api.definition)?;
    match property {
        "Name" => openapi.set_title(&value),
        _ => openapi.set_description(&value),
    }
    api.definition = openapi.close();
    Ok(())
}

/// With `FailOnWarnings` a path must begin with a slash, also the default one.
fn move_default_path(api: &mut HttpApi) {
    let paths = api.definition.as_map_mut().and_then(|definition| definition.get_mut("paths"));
    if let Some(paths) = paths.and_then(Value::as_map_mut)
        && let Some(item) = paths.remove(DEFAULT_STAGE)
    {
        paths.set(format!("/{DEFAULT_STAGE}"), item);
    }
}

fn stage(api: &HttpApi) -> Result<Resource> {
    let name = api.source.at("StageName").or(|| DEFAULT_STAGE.into());
    let id = &api.source.id;
    let id = match name.as_str().unwrap_or_default() {
        DEFAULT_STAGE => id.plus("ApiGatewayDefaultStage"),
        prefix if is_alphanumeric(prefix) => id.plus(&format!("{prefix}Stage")),
        prefix => hashed(&format!("{id}Stage"), &prefix.into()).into(),
    };
    let mut stage = Resource::new("AWS::ApiGatewayV2::Stage", id)?
        .with_attributes(&api.source.inherited())
        .with("ApiId", reference(&api.source.id))
        .with("StageName", name)
        .with("Tags", &api.tags)
        .with("AutoDeploy", true);
    let same = ["StageVariables", "AccessLogSettings", "DefaultRouteSettings", "RouteSettings"];
    stage.copy(&api.source.properties, &same);
    Ok(stage)
}
