//! Editing API definitions: what is common to Swagger 2 and OpenAPI 3 documents.
//!
//! A path's or method's definition may be an `Fn::If`; an edit is then made in each branch.

mod openapi;
mod policy;
mod security;
mod swagger;

pub use openapi::{DEFAULT_PATH, OpenApi};
pub use security::DefaultAuthorizer;
pub use swagger::{Cors, Swagger};

use crate::fault::{Fault, Result};
use crate::intrinsics::{branches, branches_mut, when};
use crate::value::{Map, Text, Value, str_of};

pub const INTEGRATION: &str = "x-amazon-apigateway-integration";
pub const ANY_METHOD: &str = "x-amazon-apigateway-any-method";

/// A definition that can be edited.
pub trait Document {
    fn doc(&self) -> &Map;
    fn doc_mut(&mut self) -> &mut Map;

    fn paths(&self) -> &Map {
        self.doc().at("paths").as_map().expect("a document is made from a definition with paths")
    }

    fn path_names(&self) -> Vec<Text> {
        self.paths().key_list()
    }

    fn paths_mut(&mut self) -> &mut Map {
        self.doc_mut()
            .get_mut("paths")
            .and_then(Value::as_map_mut)
            .expect("a document is made from a definition with paths")
    }

    /// Makes a path part of the API only under `condition`.
    fn make_path_conditional(&mut self, path: &str, condition: &Value) {
        let item = self.paths().at(path).clone();
        self.paths_mut().set(path, when(condition, item));
    }

    fn has_path(&self, path: &str, method: &str) -> Result<bool> {
        let Some(item) = self.paths().get(path) else { return Ok(false) };
        let method = normalize(method);
        if !method.is_empty() {
            for item in branches(item)? {
                if !item.as_map().is_some_and(|item| item.contains(method.as_str())) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn has_integration(&self, path: &str, method: &str) -> Result<bool> {
        if !self.has_path(path, method)? {
            return Ok(false);
        }
        let method = normalize(method);
        for item in branches(self.paths().at(path))? {
            let item = as_path_item(item, path)?;
            let definition = item.at(method.as_str());
            if !definition.is_map() {
                return Ok(false);
            }
            let mut found = false;
            for definition in branches(definition)? {
                found |= is_integrated(as_method(definition, path, method.as_str())?);
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds an empty definition of the method where there is none.
    fn add_path(&mut self, path: &Text, method: &Text) -> Result<()> {
        let method = normalize_text(method);
        let item = self.paths_mut().entry(path, Map::legacy());
        if !item.is_map() {
            return Err(not_a_map(path.as_str()));
        }
        for item in branches_mut(item)? {
            let item = item.as_map_mut().ok_or_else(|| not_a_map(path.as_str()))?;
            item.entry(&method, Map::legacy());
        }
        Ok(())
    }

    fn add_timeout(&mut self, path: &str, method: &str, timeout: &Value) -> Result<()> {
        self.each_definition(path, method, true, &mut |definition| {
            integration_mut(definition).set("timeoutInMillis", timeout);
            Ok(())
        })
    }

    /// Acts on every branch of a path.
    fn each_item(&mut self, path: &str, act: &mut dyn FnMut(&mut Map) -> Result<()>) -> Result<()> {
        let Some(item) = self.paths_mut().get_mut(path) else { return Err(not_a_map(path)) };
        for item in branches_mut(item)? {
            act(item.as_map_mut().ok_or_else(|| not_a_map(path))?)?;
        }
        Ok(())
    }

    /// Acts on every branch of one method's definition.
    fn each_definition(
        &mut self,
        path: &str,
        method: &str,
        integrated_only: bool,
        act: &mut dyn FnMut(&mut Map) -> Result<()>,
    ) -> Result<()> {
        let name = normalize(method);
        self.each_item(path, &mut |item| {
            let Some(definition) = item.get_mut(name.as_str()) else {
                return Err(not_a_method(path, method));
            };
            for definition in branches_mut(definition)? {
                let definition =
                    definition.as_map_mut().ok_or_else(|| not_a_method(path, method))?;
                if !integrated_only || is_integrated(definition) {
                    act(definition)?;
                }
            }
            Ok(())
        })
    }
}

/// `any` and upper case, as API Gateway names methods.
pub fn normalize(method: &str) -> String {
    let method = method.to_lowercase();
    if method == "any" { ANY_METHOD.to_owned() } else { method }
}

pub fn normalize_text(method: &Text) -> Text {
    let lower = method.same_kind(&method.as_str().to_lowercase());
    if lower == "any" { Text::plain(ANY_METHOD) } else { lower }
}

pub fn is_integrated(definition: &Map) -> bool {
    definition.at(INTEGRATION).truthy()
}

/// The integration of a definition that has one.
fn integration_mut(definition: &mut Map) -> &mut Map {
    let integration = definition.entry(INTEGRATION, Map::legacy());
    if !integration.is_map() {
        *integration = Map::legacy().into();
    }
    integration.as_map_mut().expect("it was made a map where it was none")
}

fn as_path_item<'a>(item: &'a Value, path: &str) -> Result<&'a Map> {
    item.as_map().ok_or_else(|| not_a_map(path))
}

fn as_method<'a>(definition: &'a Value, path: &str, method: &str) -> Result<&'a Map> {
    definition.as_map().ok_or_else(|| not_a_method(path, method))
}

fn not_a_map(path: &str) -> Fault {
    Fault::document(format!(
        "Value of '{path}' path must be a dictionary according to Swagger spec."
    ))
}

fn not_a_method(path: &str, method: &str) -> Fault {
    Fault::document(format!("Definition of method '{method}' for path '{path}' should be a map."))
}

/// Whether `version` is OpenAPI's: `3.0` or `3.0.1`, with single digits.
pub fn is_version_3(version: &Value) -> bool {
    version_digits(&str_of(version), &['3'])
}

/// Whether `version` is one that `OpenApiVersion` takes.
pub fn is_supported_version(version: &Value) -> bool {
    version_digits(&str_of(version), &['2', '3'])
}

fn version_digits(version: &str, majors: &[char]) -> bool {
    let version = version.strip_suffix('\n').unwrap_or(version);
    let mut parts = version.split('.');
    let digit = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_numeric);
    let major = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    majors.iter().any(|m| major == m.to_string())
        && (1..=2).contains(&rest.len())
        && rest.iter().all(|part| digit(part))
}

/// Path parameters become `*`, for use in ARNs. Greedy ones do where `any_greedy` or when named
/// `proxy`.
pub fn wildcards(path: &str, any_greedy: bool) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let tail = &rest[open + 1..];
        match tail.find('}').map(|close| (&tail[..close], &tail[close + 1..])) {
            Some((name, after)) if is_parameter(name, any_greedy) => {
                out.push('*');
                rest = after;
            }
            _ => {
                out.push('{');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_parameter(name: &str, any_greedy: bool) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    plain(name) || name == "proxy+" || (any_greedy && name.strip_suffix('+').is_some_and(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_wildcards() {
        assert_eq!(wildcards("/a/{id}/{proxy+}", true), "/a/*/*");
        assert_eq!(wildcards("/{rest+}", true), "/*");
        assert_eq!(wildcards("/{rest+}", false), "/{rest+}");
        assert_eq!(wildcards("/{a b}/{c}", true), "/{a b}/*");
    }

    #[test]
    fn versions() {
        assert!(is_version_3(&"3.0.1".into()));
        assert!(!is_version_3(&"3.0.10".into()));
        assert!(!is_version_3(&"2.0".into()));
        assert!(is_supported_version(&"2.0".into()));
    }
}
