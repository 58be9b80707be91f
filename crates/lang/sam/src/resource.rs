//! Resources: those of the template that are to be replaced, and those that replace them.

use crate::fault::{Fault, Result};
use crate::intrinsics::{get_att, reference};
use crate::schema::Schema;
use crate::value::{Map, Text, Value};

/// Attributes of a resource that its replacement keeps.
const KEPT: [&str; 5] =
    ["DeletionPolicy", "UpdatePolicy", "Condition", "UpdateReplacePolicy", "Metadata"];
/// Attributes that every generated resource inherits.
const INHERITED: [&str; 3] = ["Condition", "DeletionPolicy", "UpdateReplacePolicy"];

/// The attributes that generated resources inherit from one with `attributes`.
pub fn inherited(attributes: &Map) -> Map {
    INHERITED.iter().filter_map(|name| Some((*name, attributes.get(name)?.clone()))).collect()
}

/// A resource of the template, with a known type.
#[derive(Clone, Debug)]
pub struct Source {
    pub id: Text,
    pub depends_on: Value,
    pub attributes: Map,
    pub properties: Map,
}

impl Source {
    /// Reads `resource`, whose type is `schema`'s. `before` may change the properties before they
    /// are checked.
    pub fn read(
        id: &Text,
        resource: &Value,
        schema: &Schema,
        before: impl FnOnce(&mut Map) -> Result<()>,
    ) -> Result<Source> {
        check_id(id)?;
        if !resource.as_map().is_some_and(|map| map.contains("Type")) {
            return Err(Fault::resource(id, "Resource dict missing key 'Type'."));
        }
        let mut properties = match resource.as_map().and_then(|map| map.get("Properties")) {
            None => Map::new(),
            Some(Value::Map(map)) => map.clone(),
            Some(_) => {
                return Err(Fault::resource(id, "Properties of a resource must be an object."));
            }
        };
        before(&mut properties)?;
        schema.refuse_unknown(id.as_str(), &properties)?;
        schema.check(id.as_str(), &properties)?;
        let mut attributes = Map::new();
        for name in KEPT {
            if let Some(value) = resource.as_map().and_then(|map| map.get(name)) {
                attributes.set(name, value.clone());
            }
        }
        let depends_on = resource.at("DependsOn").clone();
        Ok(Source { id: id.clone(), depends_on, attributes, properties })
    }

    pub fn at(&self, name: &str) -> &Value {
        self.properties.at(name)
    }

    pub fn inherited(&self) -> Map {
        inherited(&self.attributes)
    }

    pub fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault::resource(&self.id, message)
    }

    /// The resource as the template would hold it.
    pub fn to_template(&self, kind: &str) -> Map {
        template_form(kind, &self.depends_on, &self.attributes, &self.properties)
    }
}

/// A generated CloudFormation resource.
#[derive(Clone, Debug)]
pub struct Resource {
    pub id: Text,
    pub kind: &'static str,
    pub depends_on: Value,
    pub attributes: Map,
    pub properties: Map,
}

impl Resource {
    pub fn new(kind: &'static str, id: impl Into<Text>) -> Result<Resource> {
        let id = id.into();
        check_id(&id)?;
        Ok(Resource {
            id,
            kind,
            depends_on: Value::Null,
            attributes: Map::new(),
            properties: Map::new(),
        })
    }

    pub fn with_attributes(mut self, attributes: &Map) -> Resource {
        self.attributes = attributes.clone();
        self
    }

    pub fn depending_on(mut self, depends_on: impl Into<Value>) -> Resource {
        self.depends_on = depends_on.into();
        self
    }

    /// Sets a property; null leaves it out.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() {
            self.properties.remove(name);
        } else {
            self.properties.set(name, value);
        }
    }

    /// As [`Resource::set`], in a chain.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Resource {
        self.set(name, value);
        self
    }

    /// Copies properties of the same name.
    pub fn copy(&mut self, from: &Map, names: &[&str]) {
        for name in names {
            self.set(name, from.at(name));
        }
    }

    pub fn at(&self, name: &str) -> &Value {
        self.properties.at(name)
    }

    pub fn reference(&self) -> Value {
        reference(&self.id)
    }

    pub fn get_att(&self, attribute: &str) -> Value {
        get_att(&self.id, attribute)
    }

    pub fn to_template(&self) -> Map {
        template_form(self.kind, &self.depends_on, &self.attributes, &self.properties)
    }
}

fn template_form(kind: &str, depends_on: &Value, attributes: &Map, properties: &Map) -> Map {
    let mut form = Map::new();
    form.set("Type", kind);
    if depends_on.truthy() {
        form.set("DependsOn", depends_on);
    }
    for (name, value) in attributes.iter() {
        form.set(name, value);
    }
    let mut present = Map::new();
    for (name, value) in properties.iter().filter(|(_, value)| !value.is_null()) {
        present.set(name, value);
    }
    form.set("Properties", present);
    form
}

fn check_id(id: &Text) -> Result<()> {
    let fine = !id.as_str().is_empty() && id.as_str().bytes().all(|b| b.is_ascii_alphanumeric());
    if fine { Ok(()) } else { Err(Fault::resource(id, "Logical ids must be alphanumeric.")) }
}
