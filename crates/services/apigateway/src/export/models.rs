//! The models that an export needs: those that methods name, and those that they point to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Format;
use crate::state::ModelRecord;

pub struct Used<'a> {
    models: BTreeMap<&'a str, &'a ModelRecord>,
    named: BTreeSet<String>,
}

impl<'a> Used<'a> {
    pub fn new(models: &'a [ModelRecord]) -> Used<'a> {
        let models = models.iter().map(|model| (model.name.as_str(), model)).collect();
        Used { models, named: BTreeSet::new() }
    }

    /// A reference to a model, which is then part of the export.
    pub fn link(&mut self, name: &str, format: Format) -> Value {
        self.named.insert(name.to_owned());
        json!({"$ref": place(name, format)})
    }

    pub fn schemas(&self, format: Format) -> Map<String, Value> {
        let mut out = Map::new();
        let mut todo: Vec<String> = self.named.iter().cloned().collect();
        while let Some(name) = todo.pop() {
            let Some(model) = self.models.get(name.as_str()) else { continue };
            if out.contains_key(&name) {
                continue;
            }
            let schema = model.schema.as_deref().unwrap_or("{}");
            let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
            if let Some(members) = schema.as_object_mut() {
                members.remove("$schema");
            }
            relink(&mut schema, format, &mut todo);
            out.insert(name, schema);
        }
        out
    }
}

fn place(name: &str, format: Format) -> String {
    match format {
        Format::Swagger => format!("#/definitions/{name}"),
        Format::OpenApi => format!("#/components/schemas/{name}"),
    }
}

/// API Gateway's links between models become the definition's own.
fn relink(schema: &mut Value, format: Format, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                let model = value.as_str().and_then(|link| link.rsplit_once("/models/"));
                match model {
                    Some((_, model)) if name == "$ref" => {
                        found.push(model.to_owned());
                        *value = place(model, format).into();
                    }
                    _ => relink(value, format, found),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relink(item, format, found)),
        _ => {}
    }
}
