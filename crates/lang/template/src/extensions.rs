//! `AWS::LanguageExtensions`: loops, and functions where plain templates want text.
//!
//! `Fn::ForEach` is unrolled everywhere; `DeletionPolicy` and `UpdateReplacePolicy` may be functions of
//! parameters. `Fn::Length`, `Fn::ToJsonString` and the default of `Fn::FindInMap` are ordinary functions of
//! the resolver, see [`allowed`].

use serde_json::{Map, Value};

use crate::check::is_alphanumeric;
use crate::error::{Result, TemplateError};
use crate::resolve::{Resolver, text_of};
use crate::template::Template;

/// Collections longer than any template can hold are refused early.
const ITEMS_MAX: usize = 500;

/// The template without loops. `resolver` knows parameters and mappings, no resources.
pub fn process(template: &Template, resolver: &Resolver<'_>) -> Result<Template> {
    let mut root = Map::new();
    for (name, section) in template.root() {
        let value = match name.as_str() {
            "Resources" | "Outputs" | "Conditions" => unroll(section, resolver)?,
            _ => section.clone(),
        };
        root.insert(name.clone(), value);
    }
    if let Some(Value::Object(resources)) = root.get_mut("Resources") {
        for body in resources.values_mut().filter_map(Value::as_object_mut) {
            for name in ["DeletionPolicy", "UpdateReplacePolicy"] {
                if let Some(policy @ Value::Object(_)) = body.get(name) {
                    let policy = resolver.value(policy)?;
                    match policy {
                        Some(policy) => body.insert(name.to_owned(), policy),
                        None => body.remove(name),
                    };
                }
            }
        }
    }
    Template::from_value(Value::Object(root))
}

fn unroll(value: &Value, resolver: &Resolver<'_>) -> Result<Value> {
    match value {
        Value::Array(items) => items.iter().map(|item| unroll(item, resolver)).collect(),
        Value::Object(map) => {
            let mut result = Map::new();
            for (key, value) in map {
                if key.starts_with("Fn::ForEach::") {
                    for (key, value) in each(key, value, resolver)? {
                        if result.insert(key.clone(), value).is_some() {
                            return Err(TemplateError::new(format!(
                                "{key} is made twice by Fn::ForEach"
                            )));
                        }
                    }
                } else {
                    result.insert(key.clone(), unroll(value, resolver)?);
                }
            }
            Ok(Value::Object(result))
        }
        _ => Ok(value.clone()),
    }
}

fn each(key: &str, value: &Value, resolver: &Resolver<'_>) -> Result<Map<String, Value>> {
    // recorded wording of the transform's own errors: "layout is incorrect".
    let layout = || TemplateError::new(format!("{key} layout is incorrect"));
    let Some([Value::String(identifier), collection, Value::Object(body)]) =
        value.as_array().map(Vec::as_slice)
    else {
        return Err(layout());
    };
    if !is_alphanumeric(identifier) || body.len() != 1 {
        return Err(layout());
    }
    let items = match resolver.value(collection)? {
        Some(Value::Array(items)) if items.len() <= ITEMS_MAX => items,
        _ => return Err(layout()),
    };
    let mut result = Map::new();
    for item in items {
        let item = text_of(&item).ok_or_else(layout)?;
        let made = substitute(&Value::Object(body.clone()), identifier, &item);
        let Value::Object(made) = unroll(&made, resolver)? else { continue };
        for (name, value) in made {
            if result.insert(name.clone(), value).is_some() {
                return Err(TemplateError::new(format!("{name} is made twice by {key}")));
            }
        }
    }
    Ok(result)
}

/// `${Identifier}` becomes the item, `&{Identifier}` its alphanumeric characters, `{Ref: Identifier}` the item.
fn substitute(value: &Value, identifier: &str, item: &str) -> Value {
    let plain: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
    let text = |text: &str| {
        text.replace(&format!("${{{identifier}}}"), item)
            .replace(&format!("&{{{identifier}}}"), &plain)
    };
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Array(items) => items.iter().map(|it| substitute(it, identifier, item)).collect(),
        Value::Object(map)
            if map.len() == 1 && map.get("Ref").and_then(Value::as_str) == Some(identifier) =>
        {
            Value::String(item.to_owned())
        }
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, it)| (text(key), substitute(it, identifier, item))).collect(),
        ),
        _ => value.clone(),
    }
}

/// Refuses what needs this transform when the template does not name it.
pub fn allowed(template: &Template) -> Result<()> {
    fn look(value: &Value) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(look),
            Value::Object(map) => {
                let key = map.keys().find(|key| {
                    matches!(key.as_str(), "Fn::Length" | "Fn::ToJsonString")
                        || key.starts_with("Fn::ForEach::")
                });
                if let Some(key) = key {
                    return Err(TemplateError::function(format_args!(
                        "{key} needs Transform: AWS::LanguageExtensions"
                    )));
                }
                map.values().try_for_each(look)
            }
            _ => Ok(()),
        }
    }
    let sections = ["Resources", "Outputs", "Conditions"];
    sections.iter().filter_map(|name| template.root().get(*name)).try_for_each(look)
}
