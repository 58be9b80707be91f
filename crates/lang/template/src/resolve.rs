//! Values of a template: functions replaced by what they stand for.
//!
//! Pure: what lies outside of the template (created resources, exports, zones) comes through [`World`].
//! `AWS::NoValue` is `None` all the way up, so that the property, list item or output that holds it
//! disappears. Dynamic references (`{{resolve:..}}`) are left in place: see [`crate::dynamic`].

mod functions;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::{Result, TemplateError};
use crate::template::{Policy, Template};

/// What AWS prints for values that exist only after the change set has been executed.
pub const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// Everything outside of the template that its values may depend on.
pub trait World {
    /// What `Ref` on a resource of this stack gives.
    fn reference(&self, logical_id: &str) -> Result<Value>;
    /// What `Fn::GetAtt` gives.
    fn attribute(&self, logical_id: &str, name: &str) -> Result<Value>;
    /// What another stack exports under this name.
    fn export(&self, name: &str) -> Result<Value>;
    /// Names of the availability zones of a region; empty if there is no such region.
    fn zones(&self, region: &str) -> Vec<String>;
}

/// Who and where the stack is: the pseudo parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pseudo {
    pub account_id: String,
    pub notification_arns: Vec<String>,
    pub partition: String,
    pub region: String,
    pub stack_id: String,
    pub stack_name: String,
    pub url_suffix: String,
}

impl Pseudo {
    /// The value of `AWS::Something`, except `AWS::NoValue`, which has none.
    pub fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "AWS::AccountId" => self.account_id.clone().into(),
            "AWS::NotificationARNs" => self.notification_arns.clone().into(),
            "AWS::Partition" => self.partition.clone().into(),
            "AWS::Region" => self.region.clone().into(),
            "AWS::StackId" => self.stack_id.clone().into(),
            "AWS::StackName" => self.stack_name.clone().into(),
            "AWS::URLSuffix" => self.url_suffix.clone().into(),
            _ => return None,
        })
    }
}

/// Whether a name is a pseudo parameter.
pub fn is_pseudo(name: &str) -> bool {
    name == "AWS::NoValue" || Pseudo::default().get(name).is_some()
}

/// What is decided before the first resource exists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    pub pseudo: Pseudo,
    /// What `Ref` on a parameter gives: text, or a list of texts.
    pub parameters: BTreeMap<String, Value>,
    pub conditions: BTreeMap<String, bool>,
}

/// Resolves the values of one template.
#[derive(Clone, Copy)]
pub struct Resolver<'a> {
    pub template: &'a Template,
    pub environment: &'a Environment,
    pub world: &'a dyn World,
}

/// An output of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub key: String,
    pub value: String,
    pub description: Option<String>,
    pub export: Option<String>,
}

impl Resolver<'_> {
    /// The value, or None if it is `AWS::NoValue`.
    pub fn value(&self, value: &Value) -> Result<Option<Value>> {
        if let Some(call) = Call::of(value)? {
            return self.call(call);
        }
        match value {
            Value::Array(items) => Ok(Some(Value::Array(self.items(items)?))),
            Value::Object(map) => Ok(Some(Value::Object(self.members(map)?))),
            _ => Ok(Some(value.clone())),
        }
    }

    fn items(&self, items: &[Value]) -> Result<Vec<Value>> {
        items.iter().filter_map(|item| self.value(item).transpose()).collect()
    }

    fn members(&self, map: &Map<String, Value>) -> Result<Map<String, Value>> {
        let mut members = Map::new();
        for (key, value) in map {
            if let Some(value) = self.value(value)? {
                members.insert(key.clone(), value);
            }
        }
        Ok(members)
    }

    /// The properties of a resource; an empty object if it has none.
    pub fn properties(&self, logical_id: &str) -> Result<Value> {
        let properties =
            self.template.resource(logical_id).and_then(|resource| resource.properties());
        let resolved = properties.map(|value| self.value(value)).transpose()?.flatten();
        Ok(resolved.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// `DeletionPolicy` or `UpdateReplacePolicy` of a resource, which may be a function of parameters.
    pub fn policy(&self, logical_id: &str, attribute: &str) -> Result<Policy> {
        let written = self.template.resource(logical_id).and_then(|it| it.attribute(attribute));
        let value = written.map(|value| self.value(value)).transpose()?.flatten();
        let Some(value) = value else { return Ok(Policy::default()) };
        let policy = value.as_str().and_then(Policy::parse).filter(|it| *it != Policy::Snapshot);
        policy.ok_or_else(|| {
            TemplateError::format(format_args!(
                "Unrecognized {attribute} {} for resource {logical_id}",
                text_of(&value).unwrap_or_default()
            ))
        })
    }

    /// Whether a resource or output with this `Condition` exists.
    pub fn holds(&self, condition: Option<&str>) -> Result<bool> {
        match condition {
            None => Ok(true),
            Some(name) => self.environment.conditions.get(name).copied().ok_or_else(|| {
                TemplateError::function(format_args!("unresolved condition dependency {name}"))
            }),
        }
    }

    /// Logical ids of the resources that exist, in the template's order.
    pub fn resources(&self) -> Result<Vec<&str>> {
        let mut ids = Vec::new();
        for resource in self.template.resources() {
            if self.holds(resource.condition())? {
                ids.push(resource.id);
            }
        }
        Ok(ids)
    }

    /// One output; None if its condition does not hold.
    pub fn output(&self, key: &str) -> Result<Option<Output>> {
        let Some(body) = self.template.section("Outputs").and_then(|all| all.get(key)) else {
            return Ok(None);
        };
        if !self.holds(body.get("Condition").and_then(Value::as_str))? {
            return Ok(None);
        }
        let value = body.get("Value").map(|value| self.value(value)).transpose()?.flatten();
        let export = body.get("Export").and_then(|export| export.get("Name"));
        let export = export.map(|name| self.value(name)).transpose()?.flatten();
        Ok(Some(Output {
            key: key.to_owned(),
            value: output_text(value)?,
            description: body.get("Description").and_then(Value::as_str).map(str::to_owned),
            export: export.map(|name| output_text(Some(name))).transpose()?,
        }))
    }

    /// All outputs whose conditions hold, in the template's order.
    pub fn outputs(&self) -> Result<Vec<Output>> {
        let keys = self.template.section("Outputs").into_iter().flat_map(Map::keys);
        keys.filter_map(|key| self.output(key).transpose()).collect()
    }
}

fn output_text(value: Option<Value>) -> Result<String> {
    value.as_ref().and_then(text_of).ok_or_else(|| {
        TemplateError::format("The Value field of every Outputs member must evaluate to a String.")
    })
}

/// The text of a scalar, as CloudFormation converts it; None for lists and objects.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether a value is not known before the change set has been executed.
pub fn is_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(KNOWN_AFTER_APPLY),
        Value::Array(items) => items.iter().any(is_unknown),
        Value::Object(map) => map.values().any(is_unknown),
        _ => false,
    }
}
