//! `AWS::Serverless::StateMachine`: a Step Functions state machine with its role and events.

mod events;

use crate::events::{Event, Invoked, InvokedKind, OF_STATE_MACHINES, linked_api};
use crate::fault::Result;
use crate::function::xray_policy;
use crate::intrinsics::{get_att, is_dynamic_reference, is_intrinsic, join};
use crate::policies;
use crate::resource::{Resource, Source};
use crate::role::{RoleParts, role, trust};
use crate::s3_uri;
use crate::schema::{Is, Schema, opt, pass, strict};
use crate::tags;
use crate::value::{Map, Value, dumps_pretty, map, str_of};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::StateMachine",
    props: &[&[
        opt("Definition", Is::Map),
        opt("DefinitionUri", Is::StrOrMap),
        opt("Logging", Is::Map),
        opt("Role", Is::Str),
        pass("RolePath"),
        opt("DefinitionSubstitutions", Is::Map),
        opt("Events", Is::MapOfMap),
        opt("Name", Is::Str),
        opt("Type", Is::Str),
        opt("Tags", Is::Map),
        opt("PropagateTags", Is::Bool),
        opt("Policies", Is::StrOrListOfStrOrMap),
        opt("Tracing", Is::Map),
        opt("PermissionsBoundary", Is::Str),
        pass("AutoPublishAlias"),
        pass("DeploymentPreference"),
        strict("UseAliasAsEventTarget", Is::Bool),
    ]],
};

pub fn transform(source: Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let events = read_events(&source, world).map_err(|fault| fault.of_owner(&source.id))?;
    let mut machine = Resource::new("AWS::StepFunctions::StateMachine", &source.id)?
        .with_attributes(&source.attributes)
        .depending_on(&source.depends_on);
    set_definition(&source, &mut machine)?;
    if source.at("Role").truthy() && source.at("Policies").truthy() {
        return Err(source.fault(
            "Specify either 'Role' or 'Policies' (but not both at the same time) or neither of them",
        ));
    }
    let mut marked = tags::list(&map! { "stateMachine:createdBy" => "SAM" }.into());
    marked.extend(tags::list(source.at("Tags")));
    let mut made_role = None;
    if source.at("Role").truthy() {
        machine.set("RoleArn", source.at("Role"));
    } else {
        let role = execution_role(&source, &marked, world)?;
        machine.set("RoleArn", role.get_att("Arn"));
        made_role = Some(role);
    }
    for (name, property) in [
        ("StateMachineName", "Name"),
        ("StateMachineType", "Type"),
        ("LoggingConfiguration", "Logging"),
        ("TracingConfiguration", "Tracing"),
    ] {
        machine.set(name, source.at(property));
    }
    machine.set("Tags", marked);
    let published = publish(&source)?;
    let alias = published.last().map(|alias| alias.id.clone());
    let target = match alias {
        Some(alias) if source.at("UseAliasAsEventTarget").truthy() => alias,
        _ => source.id.clone(),
    };
    let attributes =
        if target == source.id { source.attributes.clone() } else { source.inherited() };
    let invoked = Invoked { id: target, kind: InvokedKind::StateMachine, attributes };
    let mut resources = vec![machine];
    resources.extend(made_role);
    resources.extend(published);
    for event in &events {
        // AWS does not name the state machine in the faults of its events.
        resources.extend(events::transform(event, &invoked, &source, world)?);
    }
    tags::propagate(&mut resources, source.at("Tags"), source.at("PropagateTags").truthy());
    Ok(resources)
}

fn read_events(source: &Source, world: &World<'_>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    if !source.at("Events").truthy() {
        return Ok(events);
    }
    for (name, event) in source.at("Events").as_map().into_iter().flat_map(Map::iter) {
        let event = Event::read(&source.id, name, event, OF_STATE_MACHINES)?;
        if event.kind == "Api" {
            linked_api(&event, world)?;
        }
        events.push(event);
    }
    Ok(events)
}

fn set_definition(source: &Source, machine: &mut Resource) -> Result<()> {
    let given = source.at("DefinitionSubstitutions");
    if given.truthy() {
        machine.set("DefinitionSubstitutions", given);
    }
    let (definition, uri) = (source.at("Definition"), source.at("DefinitionUri"));
    match (definition.truthy(), uri.truthy()) {
        (true, true) => {
            Err(source
                .fault("Specify either 'Definition' or 'DefinitionUri' property and not both."))
        }
        (true, false) => {
            let mut definition = definition.deep_copy();
            let mut found = Map::new();
            substitute(&mut definition, &mut found);
            if !found.is_empty() {
                let mut all = given.as_map().cloned().unwrap_or_default();
                all.update(&found);
                machine.set("DefinitionSubstitutions", all);
            }
            let printed = dumps_pretty(&definition);
            let lines: Vec<Value> = printed.split('\n').map(Value::from).collect();
            machine.set("DefinitionString", join("\n", lines.into()));
            Ok(())
        }
        (false, true) => {
            let place = s3_uri::definition(source.id.as_str(), "DefinitionUri", uri)?;
            machine.set("DefinitionS3Location", place);
            Ok(())
        }
        (false, false) => {
            Err(source.fault("Either 'Definition' or 'DefinitionUri' property must be specified."))
        }
    }
}

/// Puts a named place where an intrinsic function or dynamic reference stands: the definition
/// becomes text, in which CloudFormation would not look for them.
fn substitute(value: &mut Value, found: &mut Map) {
    let mut one = |child: &mut Value| {
        if is_intrinsic(child) || is_dynamic_reference(child) {
            let name = format!("definition_substitution_{}", found.len() + 1);
            let place = Value::from(format!("${{{name}}}"));
            found.set(name, std::mem::replace(child, place));
        } else {
            substitute(child, found);
        }
    };
    match value {
        Value::Map(members) => {
            let mut names = members.key_list();
            names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            for name in names {
                if let Some(child) = members.get_mut(name.as_str()) {
                    one(child);
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(one),
        _ => {}
    }
}

fn execution_role(source: &Source, tags: &[Value], world: &World<'_>) -> Result<Resource> {
    let mut listed = match source.at("Policies") {
        Value::List(policies) => policies.clone(),
        policies if policies.truthy() => vec![policies.clone()],
        _ => Vec::new(),
    };
    if *source.at("Tracing").at("Enabled") == Value::Bool(true) {
        listed.push(xray_policy(world).into());
    }
    let parts = RoleParts {
        attributes: &source.inherited(),
        trust: trust("states.amazonaws.com").into(),
        policies: &policies::entries(&listed.into())?,
        managed: Vec::new(),
        inline: Vec::new(),
        path: source.at("RolePath"),
        boundary: source.at("PermissionsBoundary"),
        tags: tags.to_vec().into(),
    };
    role(&source.id, parts, world)
}

/// The version and alias that `AutoPublishAlias` asks for.
fn publish(source: &Source) -> Result<Vec<Resource>> {
    let (name, preference) = (source.at("AutoPublishAlias"), source.at("DeploymentPreference"));
    if !name.truthy() {
        for property in ["UseAliasAsEventTarget", "DeploymentPreference"] {
            if source.at(property).truthy() {
                return Err(source.fault(format!(
                    "'{property}' requires 'AutoPublishAlias' property to be specified."
                )));
            }
        }
        return Ok(Vec::new());
    }
    let mut attributes = source.inherited();
    for attribute in ["DeletionPolicy", "UpdateReplacePolicy"] {
        attributes.entry(attribute, "Retain");
    }
    let id = source.id.plus("Version");
    let version = Resource::new("AWS::StepFunctions::StateMachineVersion", id)?
        .with_attributes(&attributes)
        .with("StateMachineArn", crate::intrinsics::reference(&source.id))
        .with("StateMachineRevisionId", get_att(&source.id, "StateMachineRevisionId"));
    let mut settings = match preference.as_map() {
        Some(given) if !given.is_empty() => given.clone(),
        _ => map! { "Type" => "ALL_AT_ONCE" },
    };
    settings.set("StateMachineVersionArn", version.reference());
    let id = source.id.plus(&format!("Alias{}", str_of(name)));
    let alias = Resource::new("AWS::StepFunctions::StateMachineAlias", id)?
        .with_attributes(&source.inherited())
        .with("Name", name)
        .with("DeploymentPreference", settings);
    Ok(vec![version, alias])
}
