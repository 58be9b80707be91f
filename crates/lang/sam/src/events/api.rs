//! `Api`: a method of a REST API invokes the function. The API's definition is edited.

use super::{Event, Invoked, InvokedKind};
use crate::editor::{Document, Swagger, normalize, wildcards};
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::{is_intrinsic, shorthand, sub_with};
use crate::resource::Resource;
use crate::value::{Map, Text, Value, legacy_map, map, str_of};
use crate::world::World;

/// The API that an event refers to.
pub struct Linked {
    pub api_id: Text,
    /// The stage as it stands in the permission's id.
    pub stage: Text,
}

/// Finds the API of the event, which must be in the template.
pub fn linked_api(event: &Event, world: &World<'_>) -> Result<Linked> {
    let given = event.at("RestApiId");
    let id = given.as_map().and_then(|given| given.get("Ref")).unwrap_or(given);
    let Some(api_id) = id.as_text().cloned() else {
        return Ok(Linked { api_id: Text::plain(""), stage: Text::plain("AllStages") });
    };
    let resource = world.resources.at(api_id.as_str());
    let message =
        "RestApiId property of Api event must reference a valid resource in the same template.";
    let resource = expect(resource, event.name.as_str(), "RestApiId").in_event().map_or(message)?;
    let properties = match resource.get("Properties") {
        None => &Value::Null,
        Some(properties) => {
            expect(properties, api_id.as_str(), "Properties").beside_properties().map()?;
            properties
        }
    };
    let stage = match properties.at("StageName") {
        Value::Str(name) if name.as_str().is_empty() => {
            return Err(Fault::resource(&api_id, "StageName cannot be empty."));
        }
        Value::Str(name) => name.clone(),
        _ => Text::plain("Stage"),
    };
    Ok(Linked { api_id, stage })
}

pub fn method(event: &Event, invoked: &Invoked, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let linked = linked_api(event, world)?;
    let (path, method) = path_and_method(event);
    let permission = permission(event, invoked, &path, &method, &linked, world)?;
    let api = world.properties_of(linked.api_id.as_str());
    if api.at("__MANAGE_SWAGGER").truthy() || api.at("MergeDefinitions").truthy() {
        integrate(event, invoked, &path, &method, &linked, world)?;
    }
    override_auth(event, &path, &method, &linked, world)?;
    Ok(vec![permission])
}

/// Path, and method in lower case.
fn path_and_method(event: &Event) -> (Text, Text) {
    let text = |name: &str| event.at(name).as_text().cloned().unwrap_or(Text::plain(""));
    let method = text("Method");
    (text("Path"), method.same_kind(&method.as_str().to_lowercase()))
}

/// Lets API Gateway invoke the function for this method, in every stage.
fn permission(
    event: &Event,
    invoked: &Invoked,
    path: &Text,
    method: &Text,
    linked: &Linked,
    world: &World<'_>,
) -> Result<Resource> {
    let path = without_last_slash(path.as_str());
    let pattern = wildcards(path, true);
    let method = if *method == "any" { "*".to_owned() } else { method.as_str().to_uppercase() };
    let resource = format!("${{__ApiId__}}/${{__Stage__}}/{method}{pattern}");
    let variables = map! { "__ApiId__" => event.at("RestApiId"), "__Stage__" => "*" };
    let arn = sub_with(world.arn("execute-api", &resource), variables);
    let permission = event
        .permission_named(invoked, "apigateway.amazonaws.com", event.id(), linked.stage.as_str())?
        .with("SourceArn", arn);
    Ok(permission)
}

/// `/a/` and `/a` are one resource; `/` stays.
pub fn without_last_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    }
}

/// Where API Gateway finds the function.
pub fn integration_uri(invoked: &Invoked, partition: &str, streaming: bool) -> Value {
    let (version, call) = if streaming {
        ("2021-11-15", "response-streaming-invocations")
    } else {
        ("2015-03-31", "invocations")
    };
    let function = shorthand(&invoked.arn());
    let arn = format!(
        "arn:{partition}:apigateway:${{AWS::Region}}:lambda:path/{version}/functions/{function}/{call}"
    );
    let unicode = invoked.kind == InvokedKind::Function && invoked.id.is_unicode();
    let arn = if unicode { Text::unicode(&arn) } else { Text::plain(&arn) };
    legacy_map! { "Fn::Sub" => arn }.into()
}

fn integrate(
    event: &Event,
    invoked: &Invoked,
    path: &Text,
    method: &Text,
    linked: &Linked,
    world: &mut World<'_>,
) -> Result<()> {
    let id = linked.api_id.as_str();
    let api = world.properties_of(id).as_map().cloned().unwrap_or_default();
    let body = api.at("DefinitionBody").clone();
    if body.is_null() {
        return Ok(());
    }
    let merge = api.at("MergeDefinitions").truthy();
    let streaming = event.at("ResponseTransferMode").as_str() == Some("RESPONSE_STREAM");
    let uri = integration_uri(invoked, world.partition(), streaming);
    let mut swagger =
        if merge { Swagger::open(&Swagger::skeleton().into())? } else { Swagger::open(&body)? };
    if swagger.has_integration(path.as_str(), method.as_str())? {
        return Err(event.fault(format!(
            "API method \"{method}\" defined multiple times for path \"{path}\"."
        )));
    }
    let credentials = credentials(event, &api, id, world.partition())?;
    swagger.add_lambda(path, method, &uri, credentials, invoked.condition(), streaming)?;
    if let Some(auth) = event.at("Auth").as_map().filter(|auth| !auth.is_empty()) {
        let stage = Value::from(&linked.stage);
        add_auth(event, auth, &api, id, path, method, &stage, &mut swagger, world)?;
    }
    if event.at("TimeoutInMillis").truthy() {
        swagger.add_timeout(path.as_str(), method.as_str(), event.at("TimeoutInMillis"))?;
    }
    add_model(event, &api, path, method, &mut swagger)?;
    add_parameters(event, path, method, &mut swagger)?;
    let definition =
        if merge { merged(id, &body, path, method, swagger)? } else { swagger.close() };
    world.set_property(id, "DefinitionBody", definition);
    Ok(())
}

/// As whom API Gateway calls the function, when callers are authorised by IAM.
fn credentials(event: &Event, api: &Map, api_id: &str, partition: &str) -> Result<Option<Value>> {
    let empty = Value::Map(Map::legacy());
    let own = event.at("Auth").or(|| empty.clone());
    let own = expect(&own, event.name.as_str(), "Auth").in_event().map()?.clone();
    let shared = api.at("Auth").or(|| empty.clone());
    let shared = expect(&shared, api_id, "Auth").map()?.clone();
    let is_iam = |value: &Value| value.as_str() == Some("AWS_IAM");
    let by_default = is_iam(shared.at("DefaultAuthorizer")) && own.is_empty();
    if !is_iam(own.at("Authorizer")) && !by_default {
        return Ok(None);
    }
    // A role that is given but empty means none at all.
    let role = |auth: &Map| match auth.get("InvokeRole") {
        Some(role) => role.or(|| "NONE".into()),
        None => Value::Null,
    };
    let role = role(&own).or(|| role(&shared));
    Ok(match role.as_str() {
        Some("NONE") => None,
        Some("CALLER_CREDENTIALS") => Some(format!("arn:{partition}:iam::*:user/*").into()),
        _ if role.truthy() => Some(role),
        _ => Some(format!("arn:{partition}:iam::*:user/*").into()),
    })
}

/// Sets authorizer, API key and resource policy of a method, after checking them against the API.
#[allow(clippy::too_many_arguments)]
pub fn add_auth(
    event: &Event,
    auth: &Map,
    api: &Map,
    api_id: &str,
    path: &Text,
    method: &Text,
    stage: &Value,
    swagger: &mut Swagger,
    world: &World<'_>,
) -> Result<()> {
    let api_auth = world.parameters.resolve(api.at("Auth"))?;
    let place = format!("on API method [{method}] for path [{path}]");
    let authorizer = auth.at("Authorizer");
    if authorizer.truthy() {
        check_authorizer(event, authorizer, &api_auth, api_id, &place)?;
    }
    let scopes = auth.at("AuthorizationScopes");
    if scopes.truthy() {
        expect(scopes, event.name.as_str(), "Auth.AuthorizationScopes").in_event().list()?;
        if !authorizer.truthy() {
            return Err(event.fault("AuthorizationScopes works only when Authorizer is set"));
        }
    }
    let key = auth.at("ApiKeyRequired");
    if !key.is_null() && !key.truthy() && !api_auth.at("ApiKeyRequired").truthy() {
        return Err(event.fault(format!(
            "Unable to set ApiKeyRequired [False] {place} because the related API does not specify any ApiKeyRequired."
        )));
    }
    if authorizer.truthy() || !key.is_null() {
        swagger.set_method_auth(path.as_str(), method.as_str(), auth, &api_auth)?;
    }
    let policy = auth.at("ResourcePolicy");
    if policy.truthy() {
        let policy = expect(policy, event.name.as_str(), "Auth.ResourcePolicy").map()?;
        swagger.add_resource_policy(policy, path, stage)?;
        if policy.at("CustomStatements").truthy() {
            swagger.add_custom_statements(policy.at("CustomStatements"));
        }
    }
    Ok(())
}

fn check_authorizer(
    event: &Event,
    authorizer: &Value,
    api_auth: &Value,
    api_id: &str,
    place: &str,
) -> Result<()> {
    let declared = api_auth.at("Authorizers");
    if declared.truthy() {
        expect(declared, api_id, "Auth.Authorizers").map()?;
    }
    match authorizer.as_str() {
        Some("AWS_IAM") => Ok(()),
        Some("NONE") if api_auth.at("DefaultAuthorizer").truthy() => Ok(()),
        Some("NONE") => Err(event.fault(format!(
            "Unable to set Authorizer {place} because 'NONE' is only a valid value when a DefaultAuthorizer on the API is specified."
        ))),
        _ => {
            let printed = str_of(authorizer);
            let unable = format!("Unable to set Authorizer [{printed}] {place}");
            if !declared.truthy() {
                return Err(event.fault(format!(
                    "{unable} because the related API does not define any Authorizers."
                )));
            }
            let Some(name) = authorizer.as_str() else {
                return Err(event.fault(format!(
                    "{unable}. The method authorizer must be a string with a corresponding dict entry in the api authorizer."
                )));
            };
            if declared.at(name).truthy() {
                return Ok(());
            }
            Err(event.fault(format!(
                "{unable} because it wasn't defined in the API's Authorizers."
            )))
        }
    }
}

/// Sets the model of a method's body, and how requests are checked.
fn add_model(
    event: &Event,
    api: &Map,
    path: &Text,
    method: &Text,
    swagger: &mut Swagger,
) -> Result<()> {
    let request = event.at("RequestModel");
    if !request.truthy() {
        return Ok(());
    }
    let request = expect(request, event.name.as_str(), "RequestModel").in_event().map()?;
    let model = request.at("Model");
    if !model.truthy() {
        return Ok(());
    }
    let printed = str_of(model);
    let place = format!("on API method [{method}] for path [{path}]");
    let unable = format!("Unable to set RequestModel [{printed}] {place} because");
    let models = api.at("Models");
    if !models.truthy() {
        return Err(event.fault(format!("{unable} the related API does not define any Models.")));
    }
    if !is_intrinsic(models) && !models.is_map() {
        return Err(
            event.fault(format!("{unable} the related API Models defined is of invalid type."))
        );
    }
    let Some(name) = model.as_str() else {
        return Err(event.fault(format!("{unable} the related API does not contain valid Models.")));
    };
    if !models.at(name).truthy() {
        return Err(event.fault(format!("{unable} it wasn't defined in the API's Models.")));
    }
    swagger.add_request_model(path.as_str(), method.as_str(), request)?;
    let (body, parameters) = (request.at("ValidateBody"), request.at("ValidateParameters"));
    if body.is_null() && parameters.is_null() {
        return Ok(());
    }
    let flag = |value: &Value| match value {
        Value::Null => Some(false),
        Value::Bool(flag) => Some(*flag),
        _ => None,
    };
    let (Some(body), Some(parameters)) = (flag(body), flag(parameters)) else {
        return Err(event.fault(format!(
            "Unable to set Validator to RequestModel [{printed}] {place} ValidateBody and ValidateParameters must be a boolean type, strings or intrinsics are not supported."
        )));
    };
    swagger.add_request_validator(path.as_str(), method.as_str(), body, parameters)
}

fn add_parameters(event: &Event, path: &Text, method: &Text, swagger: &mut Swagger) -> Result<()> {
    let given = event.at("RequestParameters");
    if !given.truthy() {
        return Ok(());
    }
    let invalid =
        |what: &str| event.fault(format!("Invalid value for 'RequestParameters' property. {what}"));
    let check_name = |name: &Text| {
        let fine = ["querystring", "path", "header"]
            .iter()
            .any(|part| name.as_str().starts_with(&format!("method.request.{part}.")));
        if fine {
            return Ok(());
        }
        Err(invalid(
            "Keys must be in the format 'method.request.[querystring|path|header].{value}', e.g 'method.request.header.Authorization'.",
        ))
    };
    let mut parameters = Vec::new();
    for parameter in given.as_list().unwrap_or_default() {
        let mut settings = map! { "Required" => false, "Caching" => false };
        let name = match parameter {
            Value::Map(one) => {
                let Some((name, value)) = one.first() else { continue };
                check_name(name)?;
                let known = |key: &Text| *key == "Required" || *key == "Caching";
                let value = value
                    .as_map()
                    .filter(|value| value.iter().all(|(key, _)| known(key)))
                    .ok_or_else(|| {
                        invalid("Values must be an object, e.g { Required: true, Caching: false }")
                    })?;
                settings.update(value);
                name.clone()
            }
            Value::Str(name) => {
                check_name(name)?;
                name.clone()
            }
            _ => return Err(invalid("Property must be either a string or an object")),
        };
        settings.set("Name", name);
        parameters.push(settings);
    }
    swagger.add_request_parameters(path.as_str(), method.as_str(), &parameters)
}

/// The definition as written, with the generated method merged in.
fn merged(
    api_id: &str,
    body: &Value,
    path: &Text,
    method: &Text,
    swagger: Swagger,
) -> Result<Value> {
    let mut merged = body.as_map().map(Map::shallow_copy).unwrap_or_default();
    let invalid = |place: &str| {
        let what = match place {
            "" => "It should be a map".to_owned(),
            place => format!("The value of '{place}' should be a map"),
        };
        Fault::resource(api_id, format!("Property 'DefinitionBody' is invalid: {what}"))
    };
    let mut paths = match merged.at("paths") {
        Value::Map(paths) => paths.clone(),
        value if !value.truthy() => Map::new(),
        _ => return Err(invalid("")),
    };
    let item = paths.at(path.as_str()).clone();
    if !item.is_null() && !item.is_map() {
        return Err(invalid(path.as_str()));
    }
    let written = item.at(method.as_str()).or(|| Map::new().into());
    let place = format!("DefinitionBody.paths.{path}.{method}");
    let mut all: Map = expect(&written, api_id, &place).map()?.iter().map(owned).collect();
    let generated = swagger.close();
    let generated = generated.at("paths").at(path.as_str()).at(&normalize(method.as_str())).clone();
    for (key, value) in generated.as_map().into_iter().flat_map(Map::iter) {
        all.set(key, value);
    }
    if paths.contains(path.as_str()) {
        if let Some(item) = paths.get_mut(path.as_str()).and_then(Value::as_map_mut) {
            item.set(method, all);
        }
    } else {
        paths.set(path, map! { method => all });
    }
    if merged.at("paths").truthy() {
        merged.set("paths", paths);
    }
    Ok(merged.into())
}

fn owned((key, value): (&Text, &Value)) -> (Text, Value) {
    (key.clone(), value.clone())
}

/// Sets the event's auth on a definition that the template wrote itself, where asked to.
fn override_auth(
    event: &Event,
    path: &Text,
    method: &Text,
    linked: &Linked,
    world: &mut World<'_>,
) -> Result<()> {
    let id = linked.api_id.as_str();
    let Some(auth) = event.at("Auth").as_map() else { return Ok(()) };
    let api = world.properties_of(id).as_map().cloned().unwrap_or_default();
    let body = api.at("DefinitionBody").clone();
    if !body.truthy() || !auth.at("OverrideApiAuth").truthy() {
        return Ok(());
    }
    let some = ["Authorizer", "ApiKeyRequired", "ResourcePolicy"];
    if !some.iter().any(|name| auth.at(name).truthy()) {
        return Err(event.fault(
            "Must define one of: Authorizer, ApiKeyRequired or ResourcePolicy when using the OverrideApiAuth property.",
        ));
    }
    let mut swagger = Swagger::open(&body)?;
    let stage = Value::from(&linked.stage);
    add_auth(event, auth, &api, id, path, method, &stage, &mut swagger, world)?;
    world.set_property(id, "DefinitionBody", swagger.close());
    Ok(())
}
