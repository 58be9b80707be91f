//! `HttpApi`: a route of an HTTP API invokes the function. The API's definition is edited.

use super::api::{integration_uri, without_last_slash};
use super::{Event, Invoked};
use crate::editor::{ANY_METHOD, DEFAULT_PATH, Document, OpenApi, wildcards};
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::sub_with;
use crate::resource::Resource;
use crate::value::{Map, Text, Value, map, str_of};
use crate::world::{World, arn};

pub fn route(event: &Event, invoked: &Invoked, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let given = event.at("ApiId");
    let id = given.as_map().and_then(|given| given.get("Ref")).unwrap_or(given);
    let Some(api_id) = id.as_text().cloned() else {
        return Err(event.fault("ApiId must be a valid reference to an 'AWS::Serverless::HttpApi' resource in same template."));
    };
    let text = |name: &str| event.at(name).as_text().cloned().unwrap_or(Text::plain(""));
    let (path, method) = (text("Path"), text("Method"));
    let method = method.same_kind(&method.as_str().to_lowercase());
    let permission = permission(event, invoked, &path, &method, &api_id, world)?;
    integrate(event, invoked, &path, &method, &api_id, world)?;
    Ok(permission.into_iter().collect())
}

/// Lets API Gateway invoke the function for this route. None when the function has the default
/// route, whose permission covers every other.
fn permission(
    event: &Event,
    invoked: &Invoked,
    path: &Text,
    method: &Text,
    api_id: &Text,
    world: &World<'_>,
) -> Result<Option<Resource>> {
    let definition = world.properties_of(api_id.as_str()).at("DefinitionBody");
    let mut own = without_last_slash(path.as_str());
    let editor = match definition.truthy() {
        true => Some(OpenApi::open(definition).map_err(|fault| match fault {
            Fault::Document(_) => Fault::resource(api_id, fault.message()),
            other => other,
        })?),
        false => None,
    };
    if own == DEFAULT_PATH {
        own = "";
    } else if let Some(editor) = &editor
        && editor.is_answered_by(DEFAULT_PATH, ANY_METHOD, invoked.id.as_str())?
    {
        return Ok(None);
    }
    let pattern = wildcards(own, false);
    let any = *method == "any" || *method == ANY_METHOD;
    let verb = if any { "*".to_owned() } else { method.as_str().to_uppercase() };
    let resource = if *method == "any" && pattern == format!("/{DEFAULT_PATH}") {
        format!("${{__ApiId__}}/${{__Stage__}}{pattern}")
    } else {
        format!("${{__ApiId__}}/${{__Stage__}}/{verb}{pattern}")
    };
    let variables = map! { "__ApiId__" => event.at("ApiId"), "__Stage__" => "*" };
    let source = sub_with(arn("${AWS::Partition}", "execute-api", &resource), variables);
    let permission = event.permission(invoked, "apigateway.amazonaws.com")?;
    Ok(Some(permission.with("SourceArn", source)))
}

fn integrate(
    event: &Event,
    invoked: &Invoked,
    path: &Text,
    method: &Text,
    api_id: &Text,
    world: &mut World<'_>,
) -> Result<()> {
    let api = world.properties_of(api_id.as_str()).as_map().cloned().unwrap_or_default();
    let body = api.at("DefinitionBody");
    if body.is_null() {
        return Ok(());
    }
    let uri = integration_uri(invoked, "${AWS::Partition}", false);
    let mut openapi = OpenApi::open(body)?;
    let managed = api.at("__MANAGE_SWAGGER").truthy();
    if managed && openapi.has_integration(path.as_str(), method.as_str())? {
        return Err(
            event.fault(format!("API method '{method}' defined multiple times for path '{path}'."))
        );
    }
    openapi.add_lambda(path, method, &uri, invoked.condition())?;
    if let Some(auth) = event.at("Auth").as_map().filter(|auth| !auth.is_empty()) {
        add_auth(event, auth, &api, api_id, path, method, &mut openapi)?;
    }
    let (place, verb) = (path.as_str(), method.as_str());
    if event.at("TimeoutInMillis").truthy() {
        openapi.add_timeout(place, verb, event.at("TimeoutInMillis"))?;
    }
    let names = parameter_names(place);
    if !names.is_empty() {
        openapi.add_path_parameters(place, verb, &names)?;
    }
    if event.at("PayloadFormatVersion").truthy() {
        openapi.set_payload_version(place, verb, event.at("PayloadFormatVersion"))?;
    }
    world.set_property(api_id.as_str(), "DefinitionBody", openapi.close());
    Ok(())
}

/// What stands in braces in a path.
fn parameter_names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((_, tail)) = rest.split_once('{') {
        let Some((name, after)) = tail.split_once('}') else { break };
        names.push(name);
        rest = after;
    }
    names
}

fn add_auth(
    event: &Event,
    auth: &Map,
    api: &Map,
    api_id: &Text,
    path: &Text,
    method: &Text,
    openapi: &mut OpenApi,
) -> Result<()> {
    let empty = Value::Map(Map::new());
    let api_auth = api.get("Auth").unwrap_or(&empty);
    let api_auth = expect(api_auth, api_id.as_str(), "Auth").map()?;
    let mut auth = auth.clone();
    if !auth.at("Authorizer").truthy() {
        let default = api_auth.at("DefaultAuthorizer");
        if !default.truthy() {
            return Err(event.fault(
                "'Auth' section requires either an explicit 'Authorizer' set or a 'DefaultAuthorizer' configured on the HttpApi.",
            ));
        }
        auth.set("Authorizer", default);
    }
    check_authorizer(event, auth.at("Authorizer"), api_auth, path, method)?;
    let scopes = auth.at("AuthorizationScopes");
    if scopes.truthy() && !scopes.is_list() {
        return Err(event.fault(format!(
            "Unable to set Authorizer on API method [{method}] for path [{path}] because 'AuthorizationScopes' must be a list of strings."
        )));
    }
    let declared = api_auth.at("Authorizers");
    openapi.set_method_auth(path.as_str(), method.as_str(), &auth, declared)
}

fn check_authorizer(
    event: &Event,
    authorizer: &Value,
    api_auth: &Map,
    path: &Text,
    method: &Text,
) -> Result<()> {
    let none = Value::from(Map::new());
    let declared = if api_auth.is_empty() { &none } else { api_auth.at("Authorizers") };
    let iam = *api_auth.at("EnableIamAuthorizer") == Value::Bool(true);
    let place = format!("on API method [{method}] for path [{path}]");
    let unable = format!("Unable to set Authorizer [{}] {place}", str_of(authorizer));
    match authorizer.as_str() {
        Some("AWS_IAM") if iam => Ok(()),
        Some("NONE") if api_auth.at("DefaultAuthorizer").truthy() => Ok(()),
        Some("NONE") => Err(event.fault(format!(
            "Unable to set Authorizer {place} because 'NONE' is only a valid value when a DefaultAuthorizer on the API is specified."
        ))),
        Some(name) if declared.is_map() => {
            if declared.at(name).truthy() {
                return Ok(());
            }
            let reason = if declared.truthy() {
                "it wasn't defined in the API's Authorizers."
            } else {
                "the related API does not define any Authorizers."
            };
            Err(event.fault(format!("{unable} because {reason}")))
        }
        _ => Err(event.fault(format!(
            "{unable}. The method authorizer must be a string with a corresponding dict entry in the api authorizer."
        ))),
    }
}
