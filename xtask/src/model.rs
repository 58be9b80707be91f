//! A service's model as read from `models/`, with its patches applied.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;

use serde_json::{Map, Value};

use crate::{Result, root};

pub struct Model {
    pub name: String,
    json: Value,
    /// Operations to generate, in the list's order.
    pub served: Vec<String>,
}

impl Model {
    pub fn load(service: &str) -> Result<Model> {
        let read = |path: String| {
            fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))
        };
        let mut json: Value = serde_json::from_str(&read(format!("models/{service}.json"))?)?;
        if let Ok(text) = read(format!("models/patches/{service}.json")) {
            apply(&mut json, &serde_json::from_str(&text)?)?;
        }
        let served: Vec<String> = read(format!("models/operations/{service}.txt"))?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        let model = Model { name: service.to_owned(), json, served };
        for name in &model.served {
            if model.operations().get(name).is_none() {
                return Err(format!("{service} has no operation {name}").into());
            }
        }
        Ok(model)
    }

    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.json["metadata"][key].as_str()
    }

    pub fn protocols(&self) -> Vec<&str> {
        let declared = self.json["metadata"]["protocols"].as_array();
        let mut all: Vec<&str> = declared.into_iter().flatten().filter_map(Value::as_str).collect();
        // Declared first by some models, but not what clients send today.
        all.sort_by_key(|p| *p == "smithy-rpc-v2-cbor");
        all
    }

    pub fn operations(&self) -> &Map<String, Value> {
        self.json["operations"].as_object().expect("every model has operations")
    }

    pub fn operation(&self, name: &str) -> &Value {
        &self.json["operations"][name]
    }

    pub fn shape(&self, name: &str) -> &Value {
        &self.json["shapes"][name]
    }

    pub fn shape_names(&self) -> impl Iterator<Item = &str> {
        self.json["shapes"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Shapes needed by the served operations, by name.
    pub fn reachable(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut todo: Vec<String> = Vec::new();
        for name in &self.served {
            let operation = self.operation(name);
            todo.extend(self.errors(operation));
            for end in ["input", "output"] {
                todo.extend(operation[end]["shape"].as_str().map(str::to_owned));
            }
        }
        while let Some(name) = todo.pop() {
            if all.insert(name.clone()) {
                todo.extend(self.targets(&name));
            }
        }
        all
    }

    pub fn errors(&self, operation: &Value) -> Vec<String> {
        let errors = operation["errors"].as_array().into_iter().flatten();
        errors.filter_map(|e| e["shape"].as_str()).map(str::to_owned).collect()
    }

    /// Shapes that this shape names; an event stream's events are framed by hand.
    fn targets(&self, name: &str) -> Vec<String> {
        let shape = self.shape(name);
        if shape["eventstream"] == true {
            return Vec::new();
        }
        let members = shape["members"].as_object().into_iter().flatten().map(|(_, m)| m);
        members
            .chain(["member", "key", "value"].iter().map(|part| &shape[*part]))
            .filter_map(|member| member["shape"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Whether a member of `from` with type `to` would make `from` contain itself.
    pub fn recursive(&self, from: &str, to: &str) -> bool {
        let mut seen = HashSet::new();
        let mut todo = vec![to.to_owned()];
        while let Some(name) = todo.pop() {
            if name == from {
                return true;
            }
            let shape = self.shape(&name);
            if shape["type"] == "structure" && seen.insert(name.clone()) {
                todo.extend(self.targets(&name));
            }
        }
        false
    }

    /// How often each shape is an operation's input or output, or named inside another shape.
    pub fn uses(&self) -> HashMap<String, usize> {
        let mut uses = HashMap::new();
        for name in &self.served {
            for end in ["input", "output"] {
                if let Some(shape) = self.operation(name)[end]["shape"].as_str() {
                    *uses.entry(shape.to_owned()).or_insert(0) += 1;
                }
            }
        }
        for name in self.reachable() {
            for target in self.targets(&name) {
                *uses.entry(target).or_insert(0) += 1;
            }
        }
        uses
    }
}

/// A patch is a list of `{ "why", "op": "set" | "remove", "path": "/a/b", "value" }`.
fn apply(model: &mut Value, patches: &Value) -> Result<()> {
    for patch in patches.as_array().ok_or("a patch file is a list")? {
        let path = patch["path"].as_str().ok_or("a patch has a path")?;
        if patch["why"].as_str().is_none_or(str::is_empty) {
            return Err(format!("patch of {path} does not say why").into());
        }
        let (parent, key) = path.rsplit_once('/').ok_or("a path starts with /")?;
        let parent = model
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .ok_or_else(|| format!("patch: nothing at {parent}"))?;
        match patch["op"].as_str() {
            Some("set") => {
                parent.insert(key.to_owned(), patch["value"].clone());
            }
            Some("remove") => {
                parent.remove(key).ok_or_else(|| format!("patch: nothing at {path}"))?;
            }
            other => return Err(format!("patch of {path}: op {other:?}").into()),
        }
    }
    Ok(())
}
