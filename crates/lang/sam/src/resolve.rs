//! Replacing references: to parameters and mappings before the transform of a property, to SAM
//! resources in the finished template.

use crate::fault::{Fault, Result};
use crate::value::{Map, Text, Value, map, repr, str_of};
use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What `Fn::Sub` may name.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\{([A-Za-z0-9.]+|AWS::[A-Z][A-Za-z]*)\}").expect("the pattern is well-formed")
});

/// Values of parameters (and pseudo parameters) by name.
pub struct Parameters {
    pub values: Map,
}

impl Parameters {
    /// The value of a parameter, unless it is itself not known yet.
    fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .get(name)
            .filter(|value| !value.as_str().is_some_and(|v| v.starts_with("{{IntrinsicFunction:")))
    }

    /// `value` with every reference to a parameter replaced.
    pub fn resolve(&self, value: &Value) -> Result<Value> {
        let mut copy = value.clone();
        self.resolve_in_place(&mut copy)?;
        Ok(copy)
    }

    /// As [`Parameters::resolve`], and the parts of `shared` are replaced as well; only a `Ref` that
    /// is all of `shared` stays.
    ///
    /// Here and there AWS shows resolved parts in its output; this is where.
    pub fn resolve_shared(&self, shared: &mut Value) -> Result<Value> {
        let is_reference = shared.as_map().is_some_and(|m| m.len() == 1 && m.contains("Ref"));
        if is_reference {
            return self.resolve(shared);
        }
        self.resolve_in_place(shared)?;
        Ok(shared.clone())
    }

    pub fn resolve_in_place(&self, value: &mut Value) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let replaced = match only_member(value) {
            Some(("Ref", Value::Str(name))) => self.get(name.as_str()).cloned(),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *value = replaced;
        } else {
            substitute(value, &mut |whole, name| match self.get(name) {
                None => Ok(whole.to_owned()),
                Some(Value::Str(text)) => Ok(text.as_str().to_owned()),
                Some(other) => Err(Fault::document(format!(
                    "Invalid Fn::Sub variable value {}. Fn::Sub expects all variables to be strings.",
                    str_of(other)
                ))),
            })?;
        }
        each_child(value, &mut |child| self.resolve_in_place(child))
    }
}

/// The template's mappings, for `Fn::FindInMap`.
pub struct Mappings {
    pub values: Map,
}

impl Mappings {
    pub fn resolve(&self, value: &Value) -> Result<Value> {
        let mut copy = value.clone();
        self.resolve_in_place(&mut copy)?;
        Ok(copy)
    }

    fn resolve_in_place(&self, value: &mut Value) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        if let Some(found) = self.find(value)? {
            *value = found;
        }
        each_child(value, &mut |child| self.resolve_in_place(child))
    }

    /// What an `Fn::FindInMap` finds; none when it finds nothing or this is none.
    fn find(&self, value: &Value) -> Result<Option<Value>> {
        let Some(("Fn::FindInMap", arguments)) = only_member(value) else { return Ok(None) };
        let Value::List(arguments) = arguments else { return Err(not_three(arguments)) };
        let [name, top, second] = arguments.as_slice() else {
            return Err(not_three(&arguments.clone().into()));
        };
        let mut keys = Vec::new();
        for key in [name, top, second] {
            keys.push(self.find(key)?.unwrap_or_else(|| key.clone()));
        }
        let [Some(name), Some(top), Some(second)] =
            [keys[0].as_str(), keys[1].as_str(), keys[2].as_str()]
        else {
            return Ok(None);
        };
        let not_two_levels = || {
            Fault::document(format!(
                "Cannot use Fn::FindInMap on Mapping '{name}' which is not a a two-level map."
            ))
        };
        let Some(mapping) = self.values.get(name) else { return Ok(None) };
        let Some(row) = mapping.as_map().ok_or_else(not_two_levels)?.get(top) else {
            return Ok(None);
        };
        Ok(row.as_map().ok_or_else(not_two_levels)?.get(second).cloned())
    }
}

fn not_three(arguments: &Value) -> Fault {
    Fault::document(format!(
        "Invalid FindInMap value {}. FindInMap expects an array with 3 values.",
        repr(arguments)
    ))
}

/// The logical ids behind `Function.Version`, `Api.Stage` and the like.
#[derive(Default)]
pub struct Properties {
    ids: HashMap<(String, String), Text>,
}

impl Properties {
    pub fn add(&mut self, id: &str, property: &str, target: &Text) {
        self.ids.insert((id.to_owned(), property.to_owned()), target.clone());
    }

    fn get(&self, id: &str, property: &str) -> Option<&Text> {
        self.ids.get(&(id.to_owned(), property.to_owned()))
    }

    /// Replaces references to properties throughout the template.
    pub fn resolve_in_place(&self, value: &mut Value) -> Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let replaced = match only_member(value) {
            Some(("Ref", Value::Str(name))) => name
                .as_str()
                .split_once('.')
                .and_then(|(id, property)| self.get(id, property))
                .map(|target| map! { "Ref" => target }.into()),
            Some(("Fn::GetAtt", path)) => get_att_path(path).and_then(|parts| {
                let target = self.get(&parts[0], parts.get(1)?)?;
                Some(get_att_of(target, &parts[2..]))
            }),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *value = replaced;
        }
        substitute(value, &mut |whole, name| {
            let mut parts = name.split('.');
            let found = match (parts.next(), parts.next()) {
                (Some(id), Some(property)) => {
                    self.get(id, property).map(|target| (format!("{id}.{property}"), target))
                }
                _ => None,
            };
            Ok(match found {
                Some((named, target)) => whole.replace(&named, target.as_str()),
                None => whole.to_owned(),
            })
        })?;
        each_child(value, &mut |child| self.resolve_in_place(child))
    }
}

/// Logical ids that the transform changed (layers carry a hash): old to new.
#[derive(Default)]
pub struct Renamed {
    pub ids: Vec<(Text, Text)>,
}

impl Renamed {
    fn get(&self, id: &str) -> Option<&Text> {
        self.ids.iter().find(|(old, _)| *old == *id).map(|(_, new)| new)
    }

    /// Replaces the old ids in references and `DependsOn` throughout the template.
    pub fn resolve_in_place(&self, value: &mut Value) -> Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        self.depends_on(value);
        self.references(value)
    }

    fn depends_on(&self, value: &mut Value) {
        let rename = |id: &mut Value| {
            for (old, new) in &self.ids {
                if id.as_text() == Some(old) {
                    *id = new.into();
                }
            }
        };
        match value.as_map_mut().and_then(|map| map.get_mut("DependsOn")) {
            Some(Value::List(ids)) => ids.iter_mut().for_each(rename),
            Some(id @ Value::Str(_)) => rename(id),
            _ => {}
        }
        match value {
            Value::Map(map) => map.values_mut().for_each(|child| self.depends_on(child)),
            Value::List(items) => items.iter_mut().for_each(|child| self.depends_on(child)),
            _ => {}
        }
    }

    fn references(&self, value: &mut Value) -> Result<()> {
        let replaced = match only_member(value) {
            Some(("Ref", Value::Str(name))) => {
                self.get(name.as_str()).map(|target| map! { "Ref" => target }.into())
            }
            Some(("Fn::GetAtt", path)) => get_att_path(path)
                .and_then(|parts| Some(get_att_of(self.get(&parts[0])?, &parts[1..]))),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *value = replaced;
        }
        substitute(value, &mut |whole, name| {
            let id = name.split('.').next().unwrap_or_default();
            Ok(match self.get(id) {
                Some(target) => whole.replace(id, target.as_str()),
                None => whole.to_owned(),
            })
        })?;
        each_child(value, &mut |child| self.references(child))
    }
}

fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_map().filter(|map| map.len() == 1)?;
    map.first().map(|(key, value)| (key.as_str(), value))
}

/// The parts of an `Fn::GetAtt`'s path; none unless it is a list of at least two texts.
fn get_att_path(path: &Value) -> Option<Vec<String>> {
    let texts: Vec<&str> = path.as_list()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    if texts.len() < 2 {
        return None;
    }
    Some(texts.join(".").split('.').map(str::to_owned).collect())
}

fn get_att_of(target: &Text, rest: &[String]) -> Value {
    let mut path = vec![Value::from(target)];
    path.extend(rest.iter().map(|part| Value::from(part.as_str())));
    map! { "Fn::GetAtt" => path }.into()
}

type Replace<'a> = dyn FnMut(&str, &str) -> Result<String> + 'a;

/// Rewrites the variables of the text of an `Fn::Sub`, if `value` is one. `replace` is given
/// `${Name}` and `Name`.
fn substitute(value: &mut Value, replace: &mut Replace<'_>) -> Result<()> {
    if !matches!(only_member(value), Some(("Fn::Sub", _))) {
        return Ok(());
    }
    let argument = value.as_map_mut().and_then(|map| map.get_mut("Fn::Sub"));
    let text = match argument {
        Some(text @ Value::Str(_)) => text,
        Some(Value::List(items)) if items.first().is_some_and(Value::is_str) => &mut items[0],
        _ => return Ok(()),
    };
    let Some(original) = text.as_text().cloned() else { return Ok(()) };
    let mut written = original.as_str().to_owned();
    for found in VARIABLE.captures_iter(original.as_str()) {
        let by = replace(&found[0], &found[1])?;
        written = written.replacen(&found[0], &by, 1);
    }
    *text = original.same_kind(&written).into();
    Ok(())
}

fn each_child(value: &mut Value, act: &mut dyn FnMut(&mut Value) -> Result<()>) -> Result<()> {
    match value {
        Value::Map(map) => {
            for child in map.values_mut() {
                act(child)?;
            }
        }
        Value::List(items) => {
            for child in items {
                act(child)?;
            }
        }
        _ => {}
    }
    Ok(())
}
