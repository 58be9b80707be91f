//! A template as a tree with names for its parts. Nothing is resolved here.

use serde_json::{Map, Value};

use crate::error::{Result, TemplateError};
use crate::text;

/// A parsed template: an object. `Template::check` says whether it makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    root: Map<String, Value>,
}

impl Template {
    /// Reads YAML or JSON.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_value(text::parse(text)?)
    }

    /// Takes what a transform returned.
    pub fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Object(root) => Ok(Self { root }),
            _ => Err(TemplateError::format("unsupported structure.")),
        }
    }

    pub fn root(&self) -> &Map<String, Value> {
        &self.root
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.root)
    }

    pub fn to_value(&self) -> Value {
        Value::Object(self.root.clone())
    }

    pub fn description(&self) -> Option<&str> {
        self.root.get("Description").and_then(Value::as_str)
    }

    /// The top-level `Metadata` as JSON text, as `GetTemplateSummary` answers it.
    pub fn metadata(&self) -> Option<String> {
        self.root.get("Metadata").map(Value::to_string)
    }

    /// `AWSTemplateFormatVersion`, if written.
    pub fn version(&self) -> Option<&str> {
        self.root.get("AWSTemplateFormatVersion").and_then(Value::as_str)
    }

    /// A top-level section that is an object.
    pub fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.root.get(name).and_then(Value::as_object)
    }

    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let entries = self.section("Resources").into_iter().flatten();
        entries.filter_map(|(id, body)| Some(Resource { id, body: body.as_object()? }))
    }

    pub fn resource(&self, logical_id: &str) -> Option<Resource<'_>> {
        let (id, body) = self.section("Resources")?.get_key_value(logical_id)?;
        Some(Resource { id, body: body.as_object()? })
    }

    pub fn has_resource(&self, logical_id: &str) -> bool {
        self.section("Resources").is_some_and(|all| all.contains_key(logical_id))
    }

    pub fn has_parameter(&self, name: &str) -> bool {
        self.section("Parameters").is_some_and(|all| all.contains_key(name))
    }
}

/// One entry of `Resources`.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    pub id: &'a str,
    body: &'a Map<String, Value>,
}

/// What happens to the real thing when its resource goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    Delete,
    Retain,
    RetainExceptOnCreate,
    Snapshot,
}

impl Policy {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Delete" => Self::Delete,
            "Retain" => Self::Retain,
            "RetainExceptOnCreate" => Self::RetainExceptOnCreate,
            "Snapshot" => Self::Snapshot,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Retain => "Retain",
            Self::RetainExceptOnCreate => "RetainExceptOnCreate",
            Self::Snapshot => "Snapshot",
        }
    }
}

impl<'a> Resource<'a> {
    pub fn body(&self) -> &'a Map<String, Value> {
        self.body
    }

    pub fn type_name(&self) -> &'a str {
        self.text("Type").unwrap_or_default()
    }

    pub fn properties(&self) -> Option<&'a Value> {
        self.body.get("Properties")
    }

    pub fn metadata(&self) -> Option<&'a Value> {
        self.body.get("Metadata")
    }

    pub fn attribute(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name)
    }

    pub fn condition(&self) -> Option<&'a str> {
        self.text("Condition")
    }

    /// `DependsOn`, one name or a list.
    pub fn depends_on(&self) -> Vec<&'a str> {
        match self.body.get("DependsOn") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.body.get(name).and_then(Value::as_str)
    }
}
