//! Names that a template uses and does not have.

use serde_json::{Map, Value};

use crate::call::{Call, single};
use crate::error::{Result, TemplateError};
use crate::graph;
use crate::resolve::is_pseudo;
use crate::sub::{Piece, pieces};
use crate::template::Template;

pub(super) fn check(template: &Template) -> Result<()> {
    check_conditions(template)?;
    let mut missing = Missing { template, names: Vec::new() };
    for resource in template.resources() {
        for name in super::ATTRIBUTES_WITH_FUNCTIONS {
            resource.attribute(name).map_or(Ok(()), |value| missing.look(value))?;
        }
        let absent = resource.depends_on().into_iter().filter(|name| !template.has_resource(name));
        absent.for_each(|name| missing.add(name));
        known_condition(template, resource.condition(), "the Resources block of the template")?;
    }
    missing.refuse("Resources")?;
    for (_, body) in template.section("Outputs").into_iter().flatten() {
        missing.look(body)?;
        let condition = body.get("Condition").and_then(Value::as_str);
        known_condition(template, condition, "the Outputs block of the template")?;
    }
    missing.refuse("Outputs")?;
    graph::check_cycles(template)
}

fn known_condition(template: &Template, name: Option<&str>, place: &str) -> Result<()> {
    let conditions = template.section("Conditions");
    match name {
        Some(name) if conditions.is_none_or(|all| !all.contains_key(name)) => {
            Err(TemplateError::format(format_args!(
                "Unresolved condition dependency {name} in {place}"
            )))
        }
        _ => Ok(()),
    }
}

/// Conditions may use parameters, pseudo parameters, mappings and other conditions only.
fn check_conditions(template: &Template) -> Result<()> {
    let empty = Map::new();
    let conditions = template.section("Conditions").unwrap_or(&empty);
    let mut foreign = Vec::new();
    for value in conditions.values() {
        foreign_names(template, value, &mut foreign)?;
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(TemplateError::format(format_args!(
        "Unresolved dependencies [{}]. Cannot reference resources in the Conditions block of the template",
        foreign.join(", ")
    )))
}

fn foreign_names(template: &Template, value: &Value, names: &mut Vec<String>) -> Result<()> {
    let mut add = |name: &str| {
        if !is_pseudo(name) && !template.has_parameter(name) && !names.iter().any(|it| it == name) {
            names.push(name.to_owned());
        }
    };
    if let Some(("Condition", Value::String(_))) = single(value) {
        return Ok(());
    }
    if let Some(call) = Call::of(value)? {
        match call {
            Call::Ref(name) => add(name),
            Call::GetAtt { resource, .. } => add(resource),
            Call::Sub { text, variables } => {
                for piece in pieces(text)? {
                    match piece {
                        Piece::Name(name)
                            if variables.is_none_or(|all| !all.contains_key(name)) =>
                        {
                            add(name)
                        }
                        Piece::Attribute(resource, _) => add(resource),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        return call.arguments().into_iter().try_for_each(|it| foreign_names(template, it, names));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|it| foreign_names(template, it, names)),
        Value::Object(map) => map.values().try_for_each(|it| foreign_names(template, it, names)),
        _ => Ok(()),
    }
}

/// Names in one block that are neither resource nor parameter.
struct Missing<'a> {
    template: &'a Template,
    names: Vec<String>,
}

impl Missing<'_> {
    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    fn reference(&mut self, name: &str) {
        let template = self.template;
        if !is_pseudo(name) && !template.has_resource(name) && !template.has_parameter(name) {
            self.add(name);
        }
    }

    fn look(&mut self, value: &Value) -> Result<()> {
        if let Some(call) = Call::of(value)? {
            self.look_at_call(call)?;
            return call.arguments().into_iter().try_for_each(|argument| self.look(argument));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.look(item)),
            Value::Object(map) => map.values().try_for_each(|item| self.look(item)),
            _ => Ok(()),
        }
    }

    fn look_at_call(&mut self, call: Call<'_>) -> Result<()> {
        match call {
            Call::Ref(name) => self.reference(name),
            Call::GetAtt { resource, .. } if !self.template.has_resource(resource) => {
                return Err(TemplateError::function(format_args!(
                    "instance of Fn::GetAtt references undefined resource {resource}"
                )));
            }
            Call::If { condition, .. } => {
                let conditions = self.template.section("Conditions");
                if conditions.is_none_or(|all| !all.contains_key(condition)) {
                    // recorded: test_missing_condition
                    return Err(TemplateError::function(format_args!(
                        "unresolved condition dependency {condition} in Fn::If"
                    )));
                }
            }
            Call::Sub { text, variables } => {
                let bound = |name: &str| variables.is_some_and(|all| all.contains_key(name));
                for piece in pieces(text)? {
                    match piece {
                        Piece::Name(name) if !bound(name) => self.reference(name),
                        Piece::Attribute(resource, attribute)
                            if !bound(&format!("{resource}.{attribute}"))
                                && !self.template.has_resource(resource) =>
                        {
                            return Err(TemplateError::function(format_args!(
                                "instance of Fn::Sub references invalid resource attribute {resource}.{attribute}"
                            )));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// recorded: test_useful_error_when_invalid_ref, test_depends_on_with_missing_reference
    fn refuse(&mut self, block: &str) -> Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        Err(TemplateError::format(format_args!(
            "Unresolved resource dependencies [{}] in the {block} block of the template",
            std::mem::take(&mut self.names).join(", ")
        )))
    }
}
