//! The events of functions: what invokes them, and the resources that make it do so.

mod api;
pub mod bridge;
mod bucket;
mod cognito;
mod http_api;
mod kafka;
mod pull;
mod push;
pub mod scheduler;
mod schemas;
mod topic;

pub use api::{add_auth, linked_api};
pub use pull::to_bucket;
pub use schemas::OF_STATE_MACHINES;

use crate::fault::{Fault, Result};
use crate::intrinsics::{get_att, reference};
use crate::logical_id::suffixed;
use crate::resource::{Resource, Source, inherited};
use crate::schema::Schema;
use crate::value::{Map, Text, Value, str_of};
use crate::world::World;

/// What an event invokes.
pub struct Invoked {
    pub id: Text,
    pub kind: InvokedKind,
    pub attributes: Map,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InvokedKind {
    Function,
    FunctionAlias,
    StateMachine,
}

impl Invoked {
    pub fn arn(&self) -> Value {
        match self.kind {
            InvokedKind::Function => get_att(&self.id, "Arn"),
            InvokedKind::FunctionAlias | InvokedKind::StateMachine => reference(&self.id),
        }
    }

    pub fn name(&self) -> Value {
        reference(&self.id)
    }

    pub fn inherited(&self) -> Map {
        inherited(&self.attributes)
    }

    pub fn condition(&self) -> &Value {
        self.attributes.at("Condition")
    }
}

/// One event, with its properties checked.
pub struct Event {
    pub kind: &'static str,
    /// Its name in `Events`.
    pub name: Text,
    pub source: Source,
}

impl Event {
    /// Reads an event of the resource `owner`; `schemas` are those of the kinds it may be.
    pub fn read(
        owner: &Text,
        name: &Text,
        event: &Value,
        schemas: &[&'static Schema],
    ) -> Result<Event> {
        let Some(members) = event.as_map() else {
            let message = format!("'{}' object has no attribute 'get'", event.type_name());
            return Err(Fault::event(name, message));
        };
        let kind = members.at("Type");
        let Some(schema) = schemas.iter().find(|schema| kind.as_str() == Some(schema.kind)) else {
            let message = format!(
                "Resource dict has missing or invalid value for key Type. Event Type is: {}.",
                str_of(kind)
            );
            return Err(Fault::event(name, message));
        };
        let source = Source::read(&owner.plus(name.as_str()), event, schema, |_| Ok(()))?;
        Ok(Event { kind: schema.kind, name: name.clone(), source })
    }

    pub fn at(&self, property: &str) -> &Value {
        self.source.at(property)
    }

    pub fn id(&self) -> &Text {
        &self.source.id
    }

    /// A fault named for the event.
    pub fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault::event(&self.name, message)
    }

    /// A fault named for the event's logical id.
    pub fn fault_by_id(&self, message: impl std::fmt::Display) -> Fault {
        Fault::event(self.id(), message)
    }

    /// Lets `principal` invoke the function.
    fn permission(&self, invoked: &Invoked, principal: &str) -> Result<Resource> {
        self.permission_named(invoked, principal, self.id(), "")
    }

    fn permission_named(
        &self,
        invoked: &Invoked,
        principal: &str,
        prefix: &Text,
        suffix: &str,
    ) -> Result<Resource> {
        let id = suffixed(&prefix.plus("Permission"), suffix);
        let permission = Resource::new("AWS::Lambda::Permission", id)?
            .with_attributes(&invoked.inherited())
            .with("Action", "lambda:InvokeFunction")
            .with("FunctionName", invoked.name())
            .with("Principal", principal);
        Ok(permission)
    }
}

/// Reads the events of a function and checks what they refer to.
pub fn read(owner: &Text, events: &Value, world: &World<'_>) -> Result<Vec<Event>> {
    let mut read = Vec::new();
    if !events.truthy() {
        return Ok(read);
    }
    for (name, event) in events.as_map().into_iter().flat_map(Map::iter) {
        let event = Event::read(owner, name, event, schemas::OF_FUNCTIONS)?;
        match event.kind {
            "S3" => bucket::check_link(&event, world)?,
            "Cognito" => cognito::check_link(&event, world)?,
            "Api" => {
                api::linked_api(&event, world)?;
            }
            _ => {}
        }
        read.push(event);
    }
    // AWS makes them in the order of their paths; others stand where their names would.
    let key = |event: &Event| match event.at("Path") {
        Value::Str(path) => path.clone(),
        _ => event.name.clone(),
    };
    read.sort_by(|a, b| key(a).as_str().cmp(key(b).as_str()));
    Ok(read)
}

/// Makes the resources of an event. `role` is the function's role, which may be given more rights.
pub fn transform(
    event: &Event,
    invoked: &Invoked,
    role: &mut Resource,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    match event.kind {
        "Schedule" => push::schedule(event, invoked),
        "CloudWatchEvent" | "EventBridgeRule" => push::rule(event, invoked),
        "AlexaSkill" => push::alexa_skill(event, invoked),
        "IoTRule" => push::iot_rule(event, invoked, world),
        "CloudWatchLogs" => push::logs(event, invoked, world),
        "ScheduleV2" => scheduler::schedule(event, invoked),
        "S3" => bucket::notification(event, invoked, world),
        "SNS" => topic::subscription(event, invoked, role, world),
        "Cognito" => cognito::trigger(event, invoked, world),
        "Api" => api::method(event, invoked, world),
        "HttpApi" => http_api::route(event, invoked, world),
        _ => pull::mapping(event, invoked, role, world),
    }
}
