//! What is wrong with a template before anything is known about its parameters.
//!
//! Order of the checks: sections, nulls, names and forms, functions, references, cycles. AWS answers one
//! sentence, the first that it finds; where two things are wrong it may find the other one first.

mod references;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::{Result, TemplateError};
use crate::template::{Policy, Template};

const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

const RESOURCE_ATTRIBUTES: [&str; 10] = [
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Description",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];

/// Attributes of a resource in which functions are evaluated.
pub(crate) const ATTRIBUTES_WITH_FUNCTIONS: [&str; 6] = [
    "Properties",
    "Metadata",
    "CreationPolicy",
    "UpdatePolicy",
    "DeletionPolicy",
    "UpdateReplacePolicy",
];

pub const RESOURCES_MAX: usize = 500;
pub const PARAMETERS_MAX: usize = 200;
pub const OUTPUTS_MAX: usize = 200;
pub const MAPPINGS_MAX: usize = 200;
pub const DESCRIPTION_BYTES_MAX: usize = 1024;

impl Template {
    /// Checks the whole template, which no longer has transforms.
    pub fn check(&self) -> Result<()> {
        self.check_form()?;
        self.check_resources()?;
        self.check_outputs()?;
        self.check_functions()?;
        references::check(self)
    }

    /// Checks what must hold even before macros have run: sections, parameters, no nulls.
    pub fn check_form(&self) -> Result<()> {
        for (name, section) in self.root() {
            no_nulls(section, &mut vec![name])?;
        }
        self.check_transformed_form()
    }

    /// The same for what a transform made: SAM leaves nulls in the documents of APIs.
    pub fn check_transformed_form(&self) -> Result<()> {
        self.check_sections()?;
        crate::parameters::declared(self)?;
        self.check_mappings()
    }

    fn check_sections(&self) -> Result<()> {
        // What transforms make of other sections (SAM's Globals) is checked after them.
        let any = self.root().contains_key("Transform");
        let unknown: Vec<&str> = self
            .root()
            .keys()
            .map(String::as_str)
            .filter(|key| !any && !SECTIONS.contains(key))
            .collect();
        if !unknown.is_empty() {
            return Err(TemplateError::new(format!(
                "Invalid template property or properties [{}]",
                unknown.join(", ")
            )));
        }
        match self.root().get("AWSTemplateFormatVersion") {
            None => {}
            Some(Value::String(version)) if version == "2010-09-09" => {}
            Some(_) => {
                return Err(TemplateError::format(
                    "unsupported value for AWSTemplateFormatVersion.",
                ));
            }
        }
        match self.root().get("Description") {
            None => {}
            Some(Value::String(text)) if text.len() <= DESCRIPTION_BYTES_MAX => {}
            Some(Value::String(_)) => {
                return Err(TemplateError::format("'Description' length is greater than 1024."));
            }
            Some(_) => return Err(TemplateError::format("Description is not a string.")),
        }
        for name in
            ["Conditions", "Mappings", "Metadata", "Outputs", "Parameters", "Resources", "Rules"]
        {
            if self.root().get(name).is_some_and(|section| !section.is_object()) {
                return Err(TemplateError::format(format_args!(
                    "{name} section is not an object."
                )));
            }
        }
        Ok(())
    }

    fn check_mappings(&self) -> Result<()> {
        let empty = Map::new();
        let mappings = self.section("Mappings").unwrap_or(&empty);
        limit("mappings", mappings.len(), MAPPINGS_MAX)?;
        for (name, keys) in mappings {
            if !is_alphanumeric(name) {
                return Err(TemplateError::format(format_args!(
                    "Mappings element name '{name}' must be alphanumeric."
                )));
            }
            let keys = keys.as_object().ok_or_else(|| {
                TemplateError::format(format_args!("Every Mappings member {name} must be a map"))
            })?;
            for (key, attributes) in keys {
                // A transform inside of a mapping is replaced before anything looks at it.
                if key == "Fn::Transform" {
                    continue;
                }
                // recorded: test_mapping_minimum_nesting_depth names the key, not the mapping.
                let attributes = attributes.as_object().ok_or_else(|| {
                    TemplateError::format(format_args!("Every Mappings member {key} must be a map"))
                })?;
                if attributes.iter().any(|(name, value)| name != "Fn::Transform" && !mapped(value))
                {
                    return Err(TemplateError::format(
                        "Every Mappings attribute must be a String or a List.",
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_resources(&self) -> Result<()> {
        let resources = self.section("Resources").filter(|resources| !resources.is_empty());
        let resources = resources.ok_or_else(|| {
            TemplateError::format("At least one Resources member must be defined.")
        })?;
        limit("resources", resources.len(), RESOURCES_MAX)?;
        for (id, body) in resources {
            if !is_alphanumeric(id) {
                return Err(TemplateError::format(format_args!(
                    "Resource name {id} is non alphanumeric."
                )));
            }
            let body = body
                .as_object()
                .ok_or_else(|| TemplateError::format("Any Resources member must be an object."))?;
            check_resource(id, body)?;
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<()> {
        let empty = Map::new();
        let outputs = self.section("Outputs").unwrap_or(&empty);
        limit("outputs", outputs.len(), OUTPUTS_MAX)?;
        for (name, body) in outputs {
            if !is_alphanumeric(name) {
                return Err(TemplateError::format(format_args!(
                    "Output name {name} is non alphanumeric."
                )));
            }
            let body = body.as_object().ok_or_else(|| {
                TemplateError::format(format_args!(
                    "[/Outputs/{name}] Every Outputs member must be an object."
                ))
            })?;
            // recorded: test_invalid_output_structure
            if !body.contains_key("Value") {
                return Err(TemplateError::format(
                    "Every Outputs member must contain a Value object",
                ));
            }
            if let Some(key) = body.keys().find(|key| !OUTPUT_ATTRIBUTES.contains(&key.as_str())) {
                return Err(TemplateError::new(format!(
                    "Invalid template output property '{key}'"
                )));
            }
            let export = body.get("Export");
            if export
                .is_some_and(|export| export.as_object().is_none_or(|it| !it.contains_key("Name")))
            {
                return Err(TemplateError::format(format_args!(
                    "Output {name} is malformed. The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens."
                )));
            }
        }
        Ok(())
    }

    /// Every function has the right form, taken or not.
    fn check_functions(&self) -> Result<()> {
        for resource in self.resources() {
            for name in ATTRIBUTES_WITH_FUNCTIONS {
                if let Some(value) = resource.attribute(name) {
                    functions_in(value)?;
                }
            }
        }
        for section in ["Conditions", "Outputs"] {
            for value in self.section(section).into_iter().flat_map(Map::values) {
                functions_in(value)?;
            }
        }
        Ok(())
    }
}

const OUTPUT_ATTRIBUTES: [&str; 4] = ["Condition", "Description", "Export", "Value"];

fn check_resource(id: &str, body: &Map<String, Value>) -> Result<()> {
    let Some(Value::String(_)) = body.get("Type") else {
        // recorded: test_resources_blocks[missing-type]
        return Err(TemplateError::format(format_args!(
            "[/Resources/{id}] Every Resources object must contain a Type member."
        )));
    };
    if let Some(key) = body.keys().find(|key| !RESOURCE_ATTRIBUTES.contains(&key.as_str())) {
        // recorded: test_resources_blocks[invalid-key]
        return Err(TemplateError::new(format!("Invalid template resource property '{key}'")));
    }
    if body.get("Properties").is_some_and(|properties| !properties.is_object()) {
        return Err(TemplateError::format(format_args!(
            "[/Resources/{id}/Properties] Every Properties member must be an object."
        )));
    }
    let names = |value: &Value| match value {
        Value::String(_) => true,
        Value::Array(names) => names.iter().all(Value::is_string),
        _ => false,
    };
    if body.get("DependsOn").is_some_and(|value| !names(value)) {
        return Err(TemplateError::format(format_args!(
            "[/Resources/{id}/DependsOn] Every DependsOn value must be a string or a list of strings."
        )));
    }
    if body.get("Condition").is_some_and(|value| !value.is_string()) {
        return Err(TemplateError::format(format_args!(
            "[/Resources/{id}/Condition] Every Condition member must be a string."
        )));
    }
    check_policy(id, body, "DeletionPolicy")?;
    check_policy(id, body, "UpdateReplacePolicy")
}

/// Snapshot is refused: no type that is served has snapshots.
fn check_policy(id: &str, body: &Map<String, Value>, attribute: &str) -> Result<()> {
    let policy = match body.get(attribute) {
        None => return Ok(()),
        Some(Value::String(text)) => text,
        // recorded: test_deletion_policy_with_retain uses Fn::If; what it gives is checked when it is known.
        Some(function) if crate::call::is_function(function) => return Ok(()),
        Some(_) => {
            return Err(TemplateError::format(format_args!(
                "Every {attribute} member must be a string."
            )));
        }
    };
    let known = match Policy::parse(policy) {
        Some(Policy::Delete | Policy::Retain) => true,
        Some(Policy::RetainExceptOnCreate) => attribute == "DeletionPolicy",
        Some(Policy::Snapshot) | None => false,
    };
    if known {
        return Ok(());
    }
    Err(TemplateError::format(format_args!("Unrecognized {attribute} {policy} for resource {id}")))
}

fn limit(what: &str, count: usize, max: usize) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    Err(TemplateError::format(format_args!(
        "Number of {what}, {count}, is greater than maximum allowed, {max}"
    )))
}

pub(crate) fn is_alphanumeric(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Mapped values are scalars or lists of scalars (recorded: test_mapping_with_invalid_refs).
fn mapped(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        Value::Object(_) => false,
        _ => true,
    }
}

/// recorded: test_invalid_output_structure[none-value]
fn no_nulls<'a>(value: &'a Value, path: &mut Vec<&'a str>) -> Result<()> {
    match value {
        Value::Null => Err(TemplateError::new(format!(
            "[/{}] 'null' values are not allowed in templates",
            path.join("/")
        ))),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            path.push(key);
            no_nulls(value, path)?;
            path.pop();
            Ok(())
        }),
        Value::Array(items) => {
            // Positions are not part of the path's borrowed names; the list itself is named.
            items.iter().try_for_each(|item| no_nulls(item, path))
        }
        _ => Ok(()),
    }
}

fn functions_in(value: &Value) -> Result<()> {
    if let Some(call) = Call::of(value)? {
        if let Call::Sub { text, .. } = call {
            crate::sub::pieces(text)?;
        }
        if let Call::Select { index, list: Value::Array(items) } = call
            && crate::call::select_index(index).is_some_and(|index| index >= items.len())
        {
            // recorded: test_invalid_select_index_type[index-out-of-range]
            return Err(crate::call::select_error());
        }
        return call.arguments().into_iter().try_for_each(functions_in);
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(functions_in),
        Value::Object(map) => map.values().try_for_each(functions_in),
        _ => Ok(()),
    }
}
