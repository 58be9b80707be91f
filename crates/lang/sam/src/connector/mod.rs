//! `AWS::Serverless::Connector`: lets one resource use another.

mod grants;
mod party;

use crate::fault::{Fault, Result};
use crate::intrinsics::{logical_id_of, reference};
use crate::resource::{Resource, Source};
use crate::schema::{Is, Schema, req};
use crate::value::{Map, Value, list, map};
use crate::world::World;
use grants::{Form, Grants, Waits};
use party::Party;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::Connector",
    props: &[&[
        req("Source", Is::Map),
        req("Destination", Is::MapOrListOfMap),
        req("Permissions", Is::ListOfStr),
    ]],
};

/// Makes the policies of a connector, and has resources depend on them where they must.
pub fn transform(source: &Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let (several, destinations) = match source.at("Destination") {
        Value::List(destinations) => (true, destinations.clone()),
        one => (false, vec![one.clone()]),
    };
    let mut made = Vec::new();
    for (index, destination) in destinations.iter().enumerate() {
        let suffix = if several { format!("Destination{index}") } else { String::new() };
        let other = Party::read(destination, source.at("Source"), world);
        let parties = other.and_then(|destination_party| {
            let source_party = Party::read(source.at("Source"), destination, world)?;
            Ok((source_party, destination_party))
        });
        let (from, to) = parties.map_err(|message| source.fault(message))?;
        let mut resources = connect(source, &from, &to, &suffix, world)?;
        describe(source, &from, &to, &mut resources, world);
        made.extend(resources);
    }
    let ids: Vec<Value> = made.iter().map(|resource| Value::from(&resource.id)).collect();
    replace_dependency(source.id.as_str(), &ids, world);
    if made.is_empty() {
        return Err(source.fault("'Destination' is an empty list"));
    }
    Ok(made)
}

fn connect(
    source: &Source,
    from: &Party,
    to: &Party,
    suffix: &str,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    let pair = format!("from {} to {}", from.kind, to.kind);
    let Some(grants) = grants::find(&from.kind, &to.kind) else {
        return Err(source.fault(format!(
            "Unable to create connector {pair}; it's not supported or the template is invalid."
        )));
    };
    let permissions = permissions(source, grants, &pair)?;
    let replaced = grants.replaced(from, to).map_err(|message| source.fault(message))?;
    let wanted = |name: &str| permissions.iter().any(|permission| permission == name);
    let make = |name: &str, kind: &'static str| -> Result<Resource> {
        let resource = Resource::new(kind, source.id.plus(&format!("{name}{suffix}")))?;
        Ok(resource.with_attributes(&source.attributes).depending_on(&source.depends_on))
    };
    let statements: Vec<Value> = replaced
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(_, statement)| statement.clone().into())
        .collect();
    let document = map! { "Version" => "2012-10-17", "Statement" => statements };
    let unable = |what: &str, side: &str| {
        source.fault(format!("Unable to get {what} from '{side}' resource."))
    };
    match grants.form {
        Form::Role { of_source } => {
            let (owner, side) = if of_source { (from, "Source") } else { (to, "Destination") };
            if !owner.role_name.truthy() {
                return Err(unable("IAM role name", side));
            }
            let policy = make("Policy", "AWS::IAM::ManagedPolicy")?
                .with("PolicyDocument", document)
                .with("Roles", list![&owner.role_name]);
            make_wait(grants.waits, from, to, &policy, world);
            Ok(vec![policy])
        }
        Form::Permission => {
            if !to.arn.truthy() {
                return Err(unable("Lambda function ARN", "Destination"));
            }
            let mut made = Vec::new();
            for (name, grant) in replaced.iter().filter(|(name, _)| wanted(name)) {
                let mut permission =
                    make(&format!("{name}LambdaPermission"), "AWS::Lambda::Permission")?
                        .with("FunctionName", &to.arn);
                permission.copy(grant, &["Action", "Principal", "SourceArn", "SourceAccount"]);
                made.push(permission);
            }
            Ok(made)
        }
        Form::TopicPolicy if !to.arn.truthy() => Err(unable("SNS topic ARN", "Destination")),
        Form::TopicPolicy => Ok(vec![
            make("TopicPolicy", "AWS::SNS::TopicPolicy")?
                .with("Topics", list![&to.arn])
                .with("PolicyDocument", document),
        ]),
        Form::QueuePolicy if !to.queue_url.truthy() => Err(unable("SQS queue URL", "Destination")),
        Form::QueuePolicy => Ok(vec![
            make("QueuePolicy", "AWS::SQS::QueuePolicy")?
                .with("PolicyDocument", document)
                .with("Queues", list![&to.queue_url]),
        ]),
    }
}

/// The permissions asked for, each once, if the pair of types has them.
fn permissions(source: &Source, grants: &Grants, pair: &str) -> Result<Vec<String>> {
    let mut asked: Vec<String> = Vec::new();
    for permission in source.at("Permissions").as_list().unwrap_or_default() {
        let permission = permission.as_str().unwrap_or_default().to_owned();
        if !asked.contains(&permission) {
            asked.push(permission);
        }
    }
    let valid = grants.permissions();
    if asked.is_empty() {
        return Err(source.fault(format!(
            "'Permissions' cannot be empty; valid values are: {}.",
            valid.join(", ")
        )));
    }
    let unsupported = format!("Unsupported 'Permissions' provided for connector {pair};");
    if asked.iter().any(|permission| !valid.contains(&permission.as_str())) {
        return Err(source.fault(format!("{unsupported} valid values are: {}.", valid.join(", "))));
    }
    let mut sorted = asked.clone();
    sorted.sort();
    if !grants.needs.is_empty() && !grants.needs.contains(&sorted) {
        let combinations: Vec<String> =
            grants.needs.iter().map(|needs| needs.join(" + ")).collect();
        return Err(source
            .fault(format!("{unsupported} valid combinations are: {}.", combinations.join(", "))));
    }
    Ok(asked)
}

/// Has the resource that needs the policy from its first moment wait for it.
fn make_wait(
    waits: Option<Waits>,
    from: &Party,
    to: &Party,
    policy: &Resource,
    world: &mut World<'_>,
) {
    let (Some(waits), Some(source)) = (waits, &from.id) else { return };
    match waits {
        Waits::Source => add_dependency(source, &[(&policy.id).into()], world),
        Waits::Mapping => {
            let Some(function) = &to.id else { return };
            let is_between = |mapping: &Value| {
                let properties = mapping.at("Properties");
                mapping.at("Type").as_str() == Some("AWS::Lambda::EventSourceMapping")
                    && logical_id_of(properties.at("FunctionName")) == Some(function)
                    && logical_id_of(properties.at("EventSourceArn")) == Some(source)
            };
            let found: Vec<String> = world
                .output
                .iter()
                .filter(|(_, resource)| is_between(resource))
                .map(|(id, _)| id.as_str().to_owned())
                .collect();
            if let [only] = found.as_slice() {
                add_dependency(only, &[(&policy.id).into()], world);
            }
        }
    }
}

fn add_dependency(id: &str, on: &[Value], world: &mut World<'_>) {
    if let Some(resource) = world.output.get_mut(id).and_then(Value::as_map_mut) {
        let mut all = dependencies(resource);
        all.extend(on.iter().filter(|id| !all.contains(id)).cloned().collect::<Vec<_>>());
        resource.set("DependsOn", all);
    }
}

fn dependencies(resource: &Map) -> Vec<Value> {
    match resource.at("DependsOn") {
        Value::Null => Vec::new(),
        Value::List(ids) => ids.clone(),
        id => vec![id.clone()],
    }
}

/// What depended on the connector depends on what the connector became.
fn replace_dependency(id: &str, by: &[Value], world: &mut World<'_>) {
    for resource in world.output.values_mut().filter_map(Value::as_map_mut) {
        let mut all = dependencies(resource);
        let Some(at) = all.iter().position(|on| on.as_str() == Some(id)) else { continue };
        all.remove(at);
        all.extend(by.iter().filter(|id| !all.contains(id)).cloned().collect::<Vec<_>>());
        resource.set("DependsOn", all);
    }
}

/// Notes in the metadata what was connected, by the types of the template as written.
fn describe(
    source: &Source,
    from: &Party,
    to: &Party,
    resources: &mut [Resource],
    world: &World<'_>,
) {
    let kind = |party: &Party| -> Value {
        let written = party.id.as_deref().map(|id| world.resources.at(id).at("Type"));
        let written = written.filter(|kind| kind.truthy()).cloned();
        map! { "Type" => written.unwrap_or_else(|| party.kind.as_str().into()) }.into()
    };
    let described = map! { "Source" => kind(from), "Destination" => kind(to) };
    let connectors = map! { &source.id => described };
    for resource in resources {
        let mut metadata = resource.attributes.at("Metadata").as_map().cloned().unwrap_or_default();
        metadata.set("aws:sam:connectors", connectors.clone());
        resource.attributes.set("Metadata", metadata);
    }
}

/// The connectors written in a resource, as resources of their own.
pub fn embedded(id: &crate::value::Text, resource: &Value) -> Vec<Result<(String, Value)>> {
    let Some(connectors) = resource.as_map().and_then(|resource| resource.get("Connectors")) else {
        return Vec::new();
    };
    let Some(connectors) = connectors.as_map() else {
        let message = format!("Attribute '{id}.Connectors' should be a map.");
        return vec![Err(Fault::resource(id, message))];
    };
    let one = |(name, connector): (&crate::value::Text, &Value)| {
        let full = format!("{id}{name}");
        let Some(connector) = connector.as_map() else {
            let message = format!("{id}.{full} should be a map.");
            return Err(Fault::resource(&full, message));
        };
        let path = format!("Connectors.{name}.Properties");
        let properties = connector.at("Properties");
        crate::fault::expect(properties, id.as_str(), &path).beside_properties().map()?;
        let mut properties = properties.as_map().cloned().unwrap_or_default();
        let mut source = map! { "Id" => id };
        if let Some(given) = properties.remove("SourceReference") {
            let path = format!("{path}.SourceReference");
            let given = crate::fault::expect(&given, id.as_str(), &path).map()?;
            if given.contains("Id") {
                return Err(Fault::resource(
                    name,
                    "'Id' shouldn't be defined in 'SourceReference'.",
                ));
            }
            source.update(given);
        }
        properties.set("Source", source);
        let mut made = connector.clone();
        made.set("Type", SCHEMA.kind);
        made.set("Properties", properties);
        let made = Value::from(made);
        let read = Source::read(&full.as_str().into(), &made, &SCHEMA, |_| Ok(()))?;
        Ok((full, read.to_template(SCHEMA.kind).into()))
    };
    connectors.iter().map(one).collect()
}

/// The name of a role, for a policy's `Roles`.
fn role_reference(role: &Value) -> Value {
    logical_id_of(role).map_or(Value::Null, reference)
}
