//! What starts a state machine: schedules, rules, methods of REST APIs.

use crate::editor::{Document, Swagger};
use crate::events::bridge::{dead_letters, state, target, target_id_of};
use crate::events::{Event, Invoked, add_auth, linked_api, scheduler};
use crate::fault::Result;
use crate::intrinsics::sub;
use crate::resource::{Resource, Source};
use crate::role::{allow, trust};
use crate::value::{Text, Value, list, map};
use crate::world::World;

const TARGET: &str = "StepFunctionsTarget";
const EVENTS: &str = "events.amazonaws.com";

pub fn transform(
    event: &Event,
    invoked: &Invoked,
    machine: &Source,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    let boundary = machine.at("PermissionsBoundary");
    match event.kind {
        "Schedule" => schedule(event, invoked, boundary),
        "ScheduleV2" => scheduler::schedule(event, invoked),
        "Api" => method(event, invoked, boundary, world),
        _ => rule(event, invoked, boundary),
    }
}

/// The role with which `principal` starts the state machine.
fn start_role(
    event: &Event,
    invoked: &Invoked,
    boundary: &Value,
    principal: &str,
) -> Result<Resource> {
    let id = Text::plain(event.id().plus("Role").as_str());
    let policy =
        allow(id.as_str(), "StartExecutionPolicy", "states:StartExecution", &invoked.arn());
    let mut role = Resource::new("AWS::IAM::Role", id)?
        .with_attributes(&invoked.inherited())
        .with("AssumeRolePolicyDocument", trust(principal))
        .with("Policies", list![policy]);
    if boundary.truthy() {
        role.set("PermissionsBoundary", boundary);
    }
    Ok(role)
}

fn schedule(event: &Event, invoked: &Invoked, boundary: &Value) -> Result<Vec<Resource>> {
    let attributes = invoked.inherited();
    let mut rule = Resource::new("AWS::Events::Rule", event.id())?
        .with_attributes(&attributes)
        .with("ScheduleExpression", event.at("Schedule"))
        .with("State", state(event)?)
        .with("Name", event.at("Name"))
        .with("Description", event.at("Description"));
    let own_role = event.at("RoleArn");
    let role = match own_role {
        Value::Null => Some(start_role(event, invoked, boundary, EVENTS)?),
        _ => None,
    };
    let role_arn = role.as_ref().map_or(own_role.clone(), |role| role.get_att("Arn"));
    let arn = rule.get_att("Arn");
    let dead = dead_letters(event, Some(&arn), &attributes)?;
    let own = map! {
        "Arn" => invoked.arn(), "Id" => target_id_of(event, TARGET), "RoleArn" => role_arn,
    };
    rule.set("Targets", list![target(event, own, &dead)]);
    let mut resources = vec![rule];
    resources.extend(role);
    resources.extend(dead.resources);
    Ok(resources)
}

fn rule(event: &Event, invoked: &Invoked, boundary: &Value) -> Result<Vec<Resource>> {
    let attributes = invoked.inherited();
    let mut rule = Resource::new("AWS::Events::Rule", event.id())?
        .with_attributes(&attributes)
        .with("EventBusName", event.at("EventBusName"))
        .with("EventPattern", event.at("Pattern"))
        .with("Name", event.at("RuleName"))
        .with("State", event.at("State").or(|| Value::Null));
    let role = start_role(event, invoked, boundary, EVENTS)?;
    let arn = rule.get_att("Arn");
    let dead = dead_letters(event, Some(&arn), &attributes)?;
    let own = map! {
        "Arn" => invoked.arn(),
        "Id" => target_id_of(event, TARGET),
        "RoleArn" => role.get_att("Arn"),
    };
    rule.set("Targets", list![target(event, own, &dead)]);
    let mut resources = vec![rule, role];
    resources.extend(dead.resources);
    Ok(resources)
}

fn method(
    event: &Event,
    invoked: &Invoked,
    boundary: &Value,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    let linked = linked_api(event, world)?;
    let role = start_role(event, invoked, boundary, "apigateway.amazonaws.com")?;
    let id = linked.api_id.as_str();
    let api = world.properties_of(id).as_map().cloned().unwrap_or_default();
    let body = api.at("DefinitionBody");
    if !api.at("__MANAGE_SWAGGER").truthy() || body.is_null() {
        return Ok(vec![role]);
    }
    let text = |name: &str| event.at(name).as_text().cloned().unwrap_or(Text::plain(""));
    let (path, method) = (text("Path"), text("Method"));
    let method = method.same_kind(&method.as_str().to_lowercase());
    let mut swagger = Swagger::open(body)?;
    if swagger.has_integration(path.as_str(), method.as_str())? {
        return Err(event.fault(format!(
            "API method \"{method}\" defined multiple times for path \"{path}\"."
        )));
    }
    let uri = sub("arn:${AWS::Partition}:apigateway:${AWS::Region}:states:action/StartExecution");
    let templates = map! { "application/json" => sub(request_template(event, invoked)) };
    let arn = role.get_att("Arn");
    swagger.add_state_machine(&path, &method, &uri, &arn, &templates, invoked.condition())?;
    if let Some(auth) = event.at("Auth").as_map().filter(|auth| !auth.is_empty()) {
        let stage = event.at("Stage");
        add_auth(event, auth, &api, id, &path, &method, stage, &mut swagger, world)?;
    }
    world.set_property(id, "DefinitionBody", swagger.close());
    Ok(vec![role])
}

/// What the state machine is started with: the body of the request.
fn request_template(event: &Event, invoked: &Invoked) -> String {
    let body = "$util.escapeJavaScript($input.json('$'))";
    let machine = format!("\"stateMachineArn\": \"${{{}}}\"", invoked.id);
    if event.at("UnescapeMappingTemplate").truthy() {
        // escapeJavaScript escapes apostrophes, which JSON must not.
        return format!("{{\"input\": \"{body}.replaceAll(\"\\\\'\",\"'\")\", {machine}}}");
    }
    format!("{{\"input\": \"{body}\", {machine}}}")
}
