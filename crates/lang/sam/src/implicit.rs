//! APIs that nobody wrote: definitions for APIs without one, and the API of events that name none.

use crate::editor::{ANY_METHOD, DEFAULT_PATH, Document, OpenApi, Swagger};
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::{combined_condition, reference, when};
use crate::value::{Map, Text, Value, map};

/// A kind of API that may be implicit.
struct Kind {
    /// The event's property that names the API.
    property: &'static str,
    id: &'static str,
    condition: &'static str,
    event: &'static str,
    resource: &'static str,
}

const REST: Kind = Kind {
    property: "RestApiId",
    id: "ServerlessRestApi",
    condition: "ServerlessRestApiCondition",
    event: "Api",
    resource: "AWS::Serverless::Api",
};
const HTTP: Kind = Kind {
    property: "ApiId",
    id: "ServerlessHttpApi",
    condition: "ServerlessHttpApiCondition",
    event: "HttpApi",
    resource: "AWS::Serverless::HttpApi",
};

/// What the functions behind an API's methods say of themselves.
#[derive(Default)]
struct Owners {
    /// By API and path: method and condition.
    conditions: Vec<(Text, Text, Text, Value)>,
    /// Attributes of the implicit API's owners: deletion policy, update-replace policy.
    policies: Vec<(Value, Value)>,
}

/// Gives a definition to every API that has none.
pub fn add_definitions(template: &mut Map) {
    let Some(resources) = template.get_mut("Resources").and_then(Value::as_map_mut) else { return };
    for (kind, is_rest) in [(REST, true), (HTTP, false)] {
        for resource in resources.values_mut() {
            if resource.at("Type").as_str() != Some(kind.resource) {
                continue;
            }
            let Some(resource) = resource.as_map_mut() else { continue };
            if !is_rest {
                resource.entry("Properties", Map::new());
            }
            let Some(properties) = resource.get_mut("Properties").and_then(Value::as_map_mut)
            else {
                continue;
            };
            if properties.at("DefinitionBody").truthy() || properties.at("DefinitionUri").truthy() {
                continue;
            }
            let skeleton = if is_rest { Swagger::skeleton() } else { OpenApi::skeleton() };
            properties.set("DefinitionBody", skeleton);
            properties.set("__MANAGE_SWAGGER", true);
        }
    }
}

/// Makes the implicit REST API and the implicit HTTP API, where events ask for them.
pub fn add_apis(template: &mut Map) -> Result<()> {
    add_api(template, &REST)?;
    add_api(template, &HTTP)
}

impl Kind {
    fn is_rest(&self) -> bool {
        self.event == "Api"
    }

    fn is_valid(&self, definition: &Value) -> bool {
        if self.is_rest() { Swagger::is_valid(definition) } else { OpenApi::is_valid(definition) }
    }

    /// A definition after an edit.
    fn edited(
        &self,
        definition: &Value,
        edit: impl FnOnce(&mut dyn Document) -> Result<()>,
    ) -> Result<Value> {
        if self.is_rest() {
            let mut swagger = Swagger::open(definition)?;
            edit(&mut swagger)?;
            Ok(swagger.close())
        } else {
            let mut openapi = OpenApi::open(definition)?;
            edit(&mut openapi)?;
            Ok(openapi.close())
        }
    }
}

fn add_api(template: &mut Map, kind: &Kind) -> Result<()> {
    let shared = template.at("Globals").clone();
    let Some(Value::Map(mut resources)) = template.get("Resources").cloned() else {
        return Ok(());
    };
    let existing = resources.get(kind.id).map(Value::deep_copy);
    let (skeleton, stage) = match kind.is_rest() {
        true => (Swagger::skeleton(), Some("Prod")),
        false => (OpenApi::skeleton(), None),
    };
    let mut properties = Map::new();
    if let Some(stage) = stage {
        properties.set("StageName", stage);
    }
    properties.set("DefinitionBody", skeleton);
    properties.set("__MANAGE_SWAGGER", true);
    resources.set(kind.id, map! { "Type" => kind.resource, "Properties" => properties });
    let mut owners = Owners::default();
    let mut faults = Vec::new();
    for id in resources.key_list() {
        if let Err(fault) = add_events(kind, &id, &mut resources, &shared, &mut owners) {
            match fault {
                Fault::Event { .. } => faults.push(fault.of_owner(&id).message()),
                other => return Err(other),
            }
        }
    }
    let mut conditions = template.at("Conditions").as_map().cloned().unwrap_or_default();
    set_attributes(kind, &mut resources, &owners, &mut conditions);
    make_paths_conditional(kind, &mut resources, &owners, &mut conditions)?;
    let paths = resources.at(kind.id).at("Properties").at("DefinitionBody").at("paths");
    if !paths.truthy() {
        match existing {
            Some(existing) => resources.set(kind.id, existing),
            None => {
                resources.remove(kind.id);
            }
        }
    }
    template.set("Resources", resources);
    if !conditions.is_empty() {
        template.set("Conditions", conditions);
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::Document(faults)) }
}

/// Adds the events of one function or state machine to their APIs.
fn add_events(
    kind: &Kind,
    id: &Text,
    resources: &mut Map,
    shared: &Value,
    owners: &mut Owners,
) -> Result<()> {
    let owner = resources.at(id.as_str()).clone();
    let owner_type = owner.at("Type").as_str().unwrap_or_default();
    let section = match owner_type {
        "AWS::Serverless::Function" => "Function",
        "AWS::Serverless::StateMachine" => "StateMachine",
        _ => return Ok(()),
    };
    let Some(events) = owner.at("Properties").at("Events").as_map() else { return Ok(()) };
    // The order in which they are added is that of a dictionary of their own.
    let mut own = Map::legacy();
    for (name, event) in events.iter() {
        if event.at("Type").as_str() == Some(kind.event) {
            own.set(name, event);
        }
    }
    let mut outcome = Ok(());
    for name in own.key_list() {
        let Some(event) = own.get_mut(name.as_str()) else { continue };
        outcome = add_event(kind, &name, event, &owner, shared.at(section), resources, owners);
        if outcome.is_err() {
            break;
        }
    }
    let properties = resources.get_mut(id.as_str()).and_then(Value::as_map_mut);
    let properties = properties.and_then(|owner| owner.get_mut("Properties"));
    if let Some(events) = properties
        .and_then(Value::as_map_mut)
        .and_then(|properties| properties.get_mut("Events"))
        .and_then(Value::as_map_mut)
    {
        events.update(&own);
    }
    outcome
}

fn add_event(
    kind: &Kind,
    name: &Text,
    event: &mut Value,
    owner: &Value,
    shared: &Value,
    resources: &mut Map,
    owners: &mut Owners,
) -> Result<()> {
    let Some(event) = event.as_map_mut() else { return Ok(()) };
    let given = event.get("Properties").cloned().unwrap_or(Map::new().into());
    if kind.is_rest() && !given.truthy() {
        return Ok(());
    }
    expect(&given, name.as_str(), "").in_event().map_or("Properties should be a map.")?;
    let properties = event.entry("Properties", Map::new());
    if !properties.is_map() {
        *properties = given;
    }
    let Some(properties) = properties.as_map_mut() else { return Ok(()) };
    if !properties.contains(kind.property) {
        add_tags(kind, owner.at("Properties"), shared, resources);
        properties.set(kind.property, reference(kind.id));
    }
    if !kind.is_rest() && !properties.at("Path").truthy() && !properties.at("Method").truthy() {
        properties.set("Path", DEFAULT_PATH);
        properties.set("Method", ANY_METHOD);
    }
    let (api_id, path, method) = checked(kind, name.as_str(), properties)?;
    owners.conditions.push((
        api_id.clone(),
        path.clone(),
        method.clone(),
        owner.at("Condition").clone(),
    ));
    if api_id == kind.id {
        let policies = (owner.at("DeletionPolicy"), owner.at("UpdateReplacePolicy"));
        owners.policies.push((policies.0.clone(), policies.1.clone()));
    }
    add_method(kind, name.as_str(), &api_id, &path, &method, resources)?;
    if !kind.is_rest() && properties.contains("RouteSettings") {
        let condition = owner.at("Condition");
        let settings = properties.at("RouteSettings");
        add_route_settings(name, &api_id, &path, &method, settings, condition, resources)?;
    }
    Ok(())
}

/// The owner's tags become the implicit API's, when it propagates them.
fn add_tags(kind: &Kind, own: &Value, shared: &Value, resources: &mut Map) {
    let either = |name: &str| own.at(name).or(|| shared.at(name).clone());
    let tags = either("Tags");
    let implicit = resources.get_mut(kind.id).and_then(Value::as_map_mut);
    let properties = implicit.and_then(|api| api.get_mut("Properties"));
    let Some(properties) = properties.and_then(Value::as_map_mut) else { return };
    if let Some(tags) = tags.as_map().filter(|tags| !tags.is_empty())
        && either("PropagateTags").truthy()
    {
        if let Some(all) = properties.entry("Tags", Map::new()).as_map_mut() {
            all.update(tags);
        }
        properties.set("PropagateTags", true);
    }
}

/// The API's id, path and method of an event, all texts.
fn checked(kind: &Kind, name: &str, properties: &Map) -> Result<(Text, Text, Text)> {
    let given = properties.at(kind.property);
    let api_id = given.as_map().and_then(|given| given.get("Ref")).unwrap_or(given);
    for property in ["Path", "Method"] {
        expect(properties.at(property), name, property).in_event().present()?;
    }
    expect(api_id, name, kind.property).in_event().string()?;
    let text = |property: &str| {
        expect(properties.at(property), name, property).in_event().string()?;
        Ok(properties.at(property).as_text().cloned().unwrap_or(Text::plain("")))
    };
    let api_id = api_id.as_text().cloned().unwrap_or(Text::plain(""));
    Ok((api_id, text("Path")?, text("Method")?))
}

/// Adds an empty method to the API's definition, when SAM manages it.
fn add_method(
    kind: &Kind,
    name: &str,
    api_id: &Text,
    path: &Text,
    method: &Text,
    resources: &mut Map,
) -> Result<()> {
    let api = resources.get(api_id.as_str());
    let of_other_kind =
        kind.is_rest() && api.is_some_and(|api| api.at("Type").as_str() == Some(HTTP.resource));
    if api.is_none() || of_other_kind {
        return Err(Fault::event(
            name,
            format!(
                "{} must be a valid reference to an '{}' resource in same template.",
                kind.property, kind.resource
            ),
        ));
    }
    let api = resources.get_mut(api_id.as_str()).and_then(Value::as_map_mut);
    let properties = api.and_then(|api| api.get_mut("Properties")).and_then(Value::as_map_mut);
    let Some(properties) = properties else { return Ok(()) };
    let definition = properties.at("DefinitionBody");
    if !kind.is_valid(definition) || !properties.at("__MANAGE_SWAGGER").truthy() {
        return Ok(());
    }
    let definition = kind.edited(definition, |document| document.add_path(path, method))?;
    properties.set("DefinitionBody", definition);
    Ok(())
}

fn add_route_settings(
    name: &Text,
    api_id: &Text,
    path: &Text,
    method: &Text,
    settings: &Value,
    condition: &Value,
    resources: &mut Map,
) -> Result<()> {
    let route = if *method == ANY_METHOD {
        path.as_str().to_owned()
    } else {
        format!("{} {path}", method.as_str().to_uppercase())
    };
    let api = resources.get_mut(api_id.as_str()).and_then(Value::as_map_mut);
    let properties = api.and_then(|api| api.get_mut("Properties")).and_then(Value::as_map_mut);
    let Some(properties) = properties else { return Ok(()) };
    let all = properties.get("RouteSettings").cloned().unwrap_or(Map::new().into());
    let mut all = expect(&all, api_id.as_str(), "RouteSettings").map()?.clone();
    let own = if condition.truthy() { when(condition, settings.clone()) } else { settings.clone() };
    let own = expect(&own, name.as_str(), "RouteSettings").in_event().map()?.clone();
    if let Some(present) = all.entry(route, Map::new()).as_map_mut() {
        present.update(&own);
    }
    properties.set("RouteSettings", all);
    Ok(())
}

/// The distinct conditions among some methods; none when one of them has no condition.
fn common_conditions<'a>(methods: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut conditions: Vec<Value> = Vec::new();
    for condition in methods {
        if condition.is_null() {
            return Vec::new();
        }
        if !conditions.contains(condition) {
            conditions.push(condition.clone());
        }
    }
    conditions
}

/// One condition for all: the only one, or a new one of that name that joins them.
fn joined(found: Vec<Value>, name: &str, conditions: &mut Map) -> Option<Value> {
    match found.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => {
            let mut names = found;
            names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            if let Some(made) = combined_condition(names, name) {
                conditions.update(&made);
            }
            Some(name.into())
        }
    }
}

/// The implicit API exists and stays as long as any of its owners.
fn set_attributes(kind: &Kind, resources: &mut Map, owners: &Owners, conditions: &mut Map) {
    // A method that two owners claim counts once, for the last.
    let mut last: Vec<(&Text, &Text, &Value)> = Vec::new();
    for (api, path, method, condition) in &owners.conditions {
        if *api != kind.id {
            continue;
        }
        match last.iter_mut().find(|(p, m, _)| *p == path && *m == method) {
            Some(present) => present.2 = condition,
            None => last.push((path, method, condition)),
        }
    }
    let found = common_conditions(last.iter().map(|(_, _, condition)| *condition));
    let Some(api) = resources.get_mut(kind.id).and_then(Value::as_map_mut) else { return };
    if let Some(condition) = joined(found, kind.condition, conditions) {
        api.set("Condition", condition);
    }
    let strongest = |order: &[&str], of: &dyn Fn(&(Value, Value)) -> Value| {
        order
            .iter()
            .find(|word| owners.policies.iter().any(|policies| of(policies).as_str() == Some(word)))
            .map(|word| (*word).to_owned())
    };
    if let Some(policy) = strongest(&["Retain", "Delete"], &|policies| policies.0.clone()) {
        api.set("DeletionPolicy", policy);
    }
    let order = ["Retain", "Snapshot", "Delete"];
    if let Some(policy) = strongest(&order, &|policies| policies.1.clone()) {
        api.set("UpdateReplacePolicy", policy);
    }
}

/// A path whose methods are all conditional is conditional itself.
fn make_paths_conditional(
    kind: &Kind,
    resources: &mut Map,
    owners: &Owners,
    conditions: &mut Map,
) -> Result<()> {
    for id in resources.key_list() {
        let api = resources.get_mut(id.as_str()).and_then(Value::as_map_mut);
        let Some(api) = api.filter(|api| api.at("Type").as_str() == Some(kind.resource)) else {
            continue;
        };
        let Some(properties) = api.get_mut("Properties").and_then(Value::as_map_mut) else {
            continue;
        };
        if !properties.at("__MANAGE_SWAGGER").truthy() {
            continue;
        }
        let definition = kind.edited(properties.at("DefinitionBody"), |document| {
            for path in document.path_names() {
                let mut last: Vec<(&Text, &Value)> = Vec::new();
                for (api, at, method, condition) in &owners.conditions {
                    if *api == id && *at == path {
                        match last.iter_mut().find(|(m, _)| *m == method) {
                            Some(present) => present.1 = condition,
                            None => last.push((method, condition)),
                        }
                    }
                }
                let found = common_conditions(last.iter().map(|(_, condition)| *condition));
                let name = path_condition(id.as_str(), path.as_str());
                if let Some(condition) = joined(found, &name, conditions) {
                    document.make_path_conditional(path.as_str(), &condition);
                }
            }
            Ok(())
        })?;
        properties.set("DefinitionBody", definition);
    }
    Ok(())
}

fn path_condition(api: &str, path: &str) -> String {
    let path = path.replace('/', "SLASH").replace('{', "OB").replace('}', "CB");
    format!("{api}{path}PathCondition")
}
