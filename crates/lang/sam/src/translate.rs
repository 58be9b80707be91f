//! The transform from end to end.

use crate::fault::{Fault, Result};
use crate::resolve::{Mappings, Properties, Renamed};
use crate::resource::{Resource, Source};
use crate::schema::Schema;
use crate::value::{Map, Text, Value, str_of};
use crate::world::World;
use crate::{
    SamContext, api, application, connector, deployment, function, globals, http_api, implicit,
    layer, policies, simple_table, state_machine, template, websocket_api,
};
use std::collections::HashMap;

/// Kinds of resources in the order in which they are transformed: what edits APIs before the APIs,
/// connectors last because they look at what the others became.
const ORDER: [&[&str]; 4] = [
    &["AWS::Serverless::Function"],
    &["AWS::Serverless::StateMachine"],
    &["AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Serverless::WebSocketApi"],
    &[
        "AWS::Serverless::SimpleTable",
        "AWS::Serverless::Application",
        "AWS::Serverless::LayerVersion",
    ],
];

/// Transforms the template; the faults are all that could be found.
pub fn translate(
    input: &serde_json::Value,
    context: &SamContext<'_>,
) -> std::result::Result<serde_json::Value, Vec<String>> {
    let (mut world, mut template, mut faults) =
        prepare(input, context).map_err(|fault| messages(vec![fault]))?;
    let (mut renamed, mut properties) = (Renamed::default(), Properties::default());
    for (id, kind) in in_order(&world.resources) {
        match transform_one(&id, &kind, &mut world) {
            Ok(made) => {
                note_references(&id, &kind, &made, &mut properties);
                if kind == layer::SCHEMA.kind
                    && let [layer] = made.as_slice()
                {
                    renamed.ids.push((id.clone(), layer.id.clone()));
                }
                put_out(&id, made, &mut world, &mut faults);
            }
            Err(Fault::Document(messages)) => return Err(messages),
            Err(fault) => faults.push(fault),
        }
    }
    match deployment::resources(&mut world, &mut faults) {
        Ok(made) => {
            for resource in made {
                world.output.set(&resource.id, resource.to_template());
            }
        }
        Err(fault) => faults.push(fault),
    }
    if !faults.is_empty() {
        return Err(messages(faults));
    }
    template.set("Resources", world.output);
    if let Some(conditions) = world.conditions {
        template.set("Conditions", conditions);
    }
    let mut template = Value::from(template);
    renamed.resolve_in_place(&mut template).map_err(|fault| messages(vec![fault]))?;
    properties.resolve_in_place(&mut template).map_err(|fault| messages(vec![fault]))?;
    Ok(template.to_json())
}

/// Each message once.
fn messages(faults: Vec<Fault>) -> Vec<String> {
    let mut all = Vec::new();
    for fault in faults {
        let own = match fault {
            Fault::Document(messages) => messages,
            other => vec![other.message()],
        };
        for message in own {
            if !all.contains(&message) {
                all.push(message);
            }
        }
    }
    all
}

/// Everything that happens to the template before single resources are looked at.
fn prepare<'a>(
    input: &serde_json::Value,
    context: &'a SamContext<'a>,
) -> Result<(World<'a>, Map, Vec<Fault>)> {
    let mut whole = Value::from_json(input).as_map().cloned().unwrap_or_default();
    template::check(&whole)?;
    let mut given = Map::new();
    for (name, value) in &context.parameter_values {
        given.set(name.as_str(), Value::from_json(value));
    }
    template::make_legacy(&mut whole, &mut given);
    let parameters = template::parameters(&whole, given, context.region, context.partition);
    implicit::add_definitions(&mut whole);
    implicit::add_apis(&mut whole)?;
    globals::apply(&mut whole)?;
    let mut faults = Vec::new();
    add_embedded_connectors(&mut whole, &mut faults);
    let section = |name: &str| match whole.get(name) {
        None => Ok(None),
        Some(Value::Map(map)) => Ok(Some(map.clone())),
        Some(_) => Err(Fault::document(
            "'Mappings' or 'Parameters' is either null or not a valid dictionary.",
        )),
    };
    let mappings = Mappings { values: section("Mappings")?.unwrap_or_default() };
    let resources = whole.at("Resources").as_map().cloned().unwrap_or_default();
    whole.remove("Transform");
    let mut world = World {
        context,
        parameters,
        mappings,
        conditions: whole.at("Conditions").as_map().cloned(),
        output: resources.deep_copy(),
        resources,
        deployments: deployment::Deployments::default(),
        usage_plan: api::SharedUsagePlan::default(),
        record_sets: HashMap::new(),
        function_names: HashMap::new(),
    };
    name_functions(&mut world)?;
    Ok((world, whole, faults))
}

/// Moves the connectors written in resources beside them.
fn add_embedded_connectors(whole: &mut Map, faults: &mut Vec<Fault>) {
    let Some(resources) = whole.get_mut("Resources").and_then(Value::as_map_mut) else { return };
    let mut added = Vec::new();
    for (id, resource) in resources.iter() {
        for connector in connector::embedded(id, resource) {
            match connector {
                Ok((name, _)) if resources.contains(&name) => {
                    faults.push(duplicate(id.as_str(), &name, connector::SCHEMA.kind));
                }
                Ok(connector) => added.push(connector),
                Err(fault) => faults.push(fault),
            }
        }
    }
    for resource in resources.values_mut().filter_map(Value::as_map_mut) {
        resource.remove("Connectors");
    }
    for (name, connector) in added {
        resources.set(name, connector);
    }
}

/// Notes the names of functions behind each explicit API: a deployment changes with them.
fn name_functions(world: &mut World<'_>) -> Result<()> {
    let mut names: HashMap<String, String> = HashMap::new();
    for (_, resource) in world.resources.iter() {
        if resource.at("Type").as_str() != Some(function::SCHEMA.kind) {
            continue;
        }
        let properties = resource.at("Properties");
        for (_, event) in properties.at("Events").as_map().into_iter().flat_map(Map::iter) {
            let api = event.at("Properties").at("RestApiId");
            if event.at("Type").as_str() != Some("Api") || !api.truthy() {
                continue;
            }
            let id = api.as_map().and_then(|api| api.get("Ref")).unwrap_or(api);
            let Some(id) = id.as_str() else { continue };
            let name = world.parameters.resolve(properties.at("FunctionName"))?;
            if name.truthy() {
                names.entry(id.to_owned()).or_default().push_str(&str_of(&name));
            }
        }
    }
    world.function_names = names;
    Ok(())
}

/// The resources to transform, in order.
fn in_order(resources: &Map) -> Vec<(Text, String)> {
    let mut ordered = Vec::new();
    for kinds in ORDER.iter().chain([&[connector::SCHEMA.kind].as_slice()]) {
        for (id, resource) in resources.iter() {
            if let Some(kind) = resource.at("Type").as_str().filter(|kind| kinds.contains(kind)) {
                ordered.push((id.clone(), kind.to_owned()));
            }
        }
    }
    ordered
}

fn transform_one(id: &Text, kind: &str, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let resource = world.resources.at(id.as_str()).clone();
    let read = |schema: &Schema| Source::read(id, &resource, schema, |_| Ok(()));
    let with_policies = |schema: &Schema| {
        Source::read(id, &resource, schema, |properties| policies::expand(id.as_str(), properties))
    };
    match kind {
        "AWS::Serverless::Function" => {
            function::transform(with_policies(&function::SCHEMA)?, world)
        }
        "AWS::Serverless::StateMachine" => {
            state_machine::transform(with_policies(&state_machine::SCHEMA)?, world)
        }
        "AWS::Serverless::Api" => api::transform(read(&api::SCHEMA)?, world),
        "AWS::Serverless::HttpApi" => http_api::transform(read(&http_api::SCHEMA)?, world),
        "AWS::Serverless::WebSocketApi" => {
            websocket_api::transform(read(&websocket_api::SCHEMA)?, world)
        }
        "AWS::Serverless::SimpleTable" => simple_table::transform(&read(&simple_table::SCHEMA)?),
        "AWS::Serverless::LayerVersion" => layer::transform(read(&layer::SCHEMA)?, world),
        "AWS::Serverless::Application" => {
            let source = Source::read(id, &resource, &application::SCHEMA, |properties| {
                application::locate(id.as_str(), properties, world)
            })?;
            application::transform(&source)
        }
        _ => connector::transform(&read(&connector::SCHEMA)?, world),
    }
}

/// Notes what `Ref: Function.Version` and the like stand for.
fn note_references(id: &Text, kind: &str, made: &[Resource], properties: &mut Properties) {
    let named: &[(&str, &str)] = match kind {
        "AWS::Serverless::Function" => &[
            ("Alias", "AWS::Lambda::Alias"),
            ("Version", "AWS::Lambda::Version"),
            ("DestinationTopic", "AWS::SNS::Topic"),
            ("DestinationQueue", "AWS::SQS::Queue"),
        ],
        "AWS::Serverless::Api" => &[
            ("Stage", "AWS::ApiGateway::Stage"),
            ("Deployment", "AWS::ApiGateway::Deployment"),
            ("DomainName", "AWS::ApiGateway::DomainName"),
            ("DomainNameV2", "AWS::ApiGateway::DomainNameV2"),
            ("UsagePlan", "AWS::ApiGateway::UsagePlan"),
            ("UsagePlanKey", "AWS::ApiGateway::UsagePlanKey"),
            ("ApiKey", "AWS::ApiGateway::ApiKey"),
        ],
        "AWS::Serverless::HttpApi" | "AWS::Serverless::WebSocketApi" => &[
            ("Stage", "AWS::ApiGatewayV2::Stage"),
            ("DomainName", "AWS::ApiGatewayV2::DomainName"),
        ],
        _ => &[],
    };
    for (property, kind) in named {
        if let Some(target) = made.iter().rev().find(|resource| resource.kind == *kind) {
            properties.add(id.as_str(), property, &target.id);
        }
    }
}

/// Puts generated resources in the place of the one they were made of.
fn put_out(id: &Text, made: Vec<Resource>, world: &mut World<'_>, faults: &mut Vec<Fault>) {
    world.output.remove(id.as_str());
    for resource in made {
        if is_free(&resource, &world.resources) {
            world.output.set(&resource.id, resource.to_template());
        } else {
            faults.push(duplicate(id.as_str(), resource.id.as_str(), resource.kind));
        }
    }
}

fn duplicate(id: &str, taken: &str, kind: &str) -> Fault {
    Fault::Plain(format!(
        "Transforming resource with id [{id}] attempts to create a new resource with id [{taken}] \
         and type \"{kind}\". A resource with that id already exists within this template. Please \
         use a different id for that resource."
    ))
}

/// Whether no resource of the template has the id, but the one it was made of.
fn is_free(resource: &Resource, written: &Map) -> bool {
    let Some(present) = written.get(resource.id.as_str()) else { return true };
    let Some(kind) = present.at("Type").as_str() else { return false };
    match resource.kind {
        "AWS::Lambda::Function" => kind == "AWS::Serverless::Function",
        "AWS::Lambda::LayerVersion" => kind == "AWS::Serverless::LayerVersion",
        "AWS::Lambda::CapacityProvider" => kind == "AWS::Serverless::CapacityProvider",
        "AWS::ApiGateway::RestApi" => kind == "AWS::Serverless::Api",
        "AWS::ApiGatewayV2::Api" => {
            kind == "AWS::Serverless::HttpApi" || kind == "AWS::Serverless::WebSocketApi"
        }
        "AWS::DynamoDB::Table" => kind == "AWS::Serverless::SimpleTable",
        "AWS::CloudFormation::Stack" => kind == "AWS::Serverless::Application",
        "AWS::StepFunctions::StateMachine" => kind == "AWS::Serverless::StateMachine",
        "AWS::AppSync::GraphQLApi" => kind == "AWS::Serverless::GraphQLApi",
        edited @ ("AWS::S3::Bucket"
        | "AWS::SNS::Topic"
        | "AWS::Cognito::UserPool"
        | "AWS::ApiGateway::DomainName"
        | "AWS::ApiGateway::BasePathMapping"
        | "AWS::ApiGateway::DomainNameV2"
        | "AWS::ApiGateway::BasePathMappingV2") => kind == edited,
        _ => false,
    }
}
