//! Who may call the methods of a REST API: authorizers and API keys in its definition.

use super::swagger::{NOT_METHODS, Swagger};
use super::{Document, as_method, is_integrated, normalize};
use crate::fault::{Fault, Result};
use crate::intrinsics::branches_mut;
use crate::value::{Map, Text, Value, legacy_map, list, str_of};

/// What a default authorizer applies to.
pub struct DefaultAuthorizer<'a> {
    pub name: &'a Text,
    pub scopes: Value,
    /// The names of all authorizers of the API.
    pub authorizers: &'a [Text],
    pub on_preflight: bool,
}

impl Swagger {
    pub fn add_security_definitions(&mut self, definitions: &Map) -> Result<()> {
        let security = self.security_mut()?;
        for (name, definition) in definitions.iter() {
            security.set(name, definition);
        }
        Ok(())
    }

    fn security_mut(&mut self) -> Result<&mut Map> {
        if !self.security.truthy() {
            self.security = Map::legacy().into();
        }
        self.security
            .as_map_mut()
            .ok_or_else(|| Fault::Template("securityDefinitions must be a dictionary.".to_owned()))
    }

    fn add_iam_definition(&mut self) -> Result<()> {
        let definition = legacy_map! {
            "x-amazon-apigateway-authtype" => "awsSigv4",
            "type" => "apiKey",
            "name" => "Authorization",
            "in" => "header",
        };
        self.add_definition("AWS_IAM", definition)
    }

    pub fn add_api_key_definition(&mut self) -> Result<()> {
        let definition =
            legacy_map! { "type" => "apiKey", "name" => "x-api-key", "in" => "header" };
        self.add_definition("api_key", definition)
    }

    fn add_definition(&mut self, name: &str, definition: Map) -> Result<()> {
        let security = self.security_mut()?;
        if !security.contains(name) {
            security.update(&legacy_map! { name => definition });
        }
        Ok(())
    }

    /// Acts on every method of a path that has an integration.
    fn each_integrated_method(
        &mut self,
        path: &str,
        act: &mut dyn FnMut(&str, &mut Map) -> Result<()>,
    ) -> Result<()> {
        self.each_item(path, &mut |item| {
            for name in item.key_list() {
                if NOT_METHODS.contains(&name.as_str()) {
                    continue;
                }
                let Some(definition) = item.get_mut(name.as_str()) else { continue };
                for definition in branches_mut(definition)? {
                    as_method(definition, path, name.as_str())?;
                    if let Some(definition) = definition.as_map_mut()
                        && is_integrated(definition)
                    {
                        act(&normalize(name.as_str()), definition)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Sets the API's default authorizer where a method has none of its own. `NONE` marks a method
    /// that is to stay open.
    pub fn set_default_authorizer(
        &mut self,
        path: &str,
        default: &DefaultAuthorizer<'_>,
    ) -> Result<()> {
        let mut needs_iam = false;
        self.each_integrated_method(path, &mut |method, definition| {
            if method == "options" && !default.on_preflight {
                return Ok(());
            }
            let is_authorizer =
                |name: &Text| *name == "AWS_IAM" || default.authorizers.contains(name);
            let (own, mut others): (Vec<Value>, Vec<Value>) =
                security_of(definition, path, method)?
                    .into_iter()
                    .partition(|entry| keys(entry).iter().any(is_authorizer));
            let open = others.iter().position(|entry| keys(entry).iter().any(|k| *k == "NONE"));
            if let Some(open) = open {
                others.remove(open);
            } else if own.is_empty() {
                others.push(legacy_map! { default.name => default.scopes.clone() }.into());
            } else {
                others.extend(own);
            }
            if let Some(first) = others.first() {
                needs_iam |= keys(first).iter().any(|key| *key == "AWS_IAM");
                definition.set("security", others);
            }
            Ok(())
        })?;
        if needs_iam { self.add_iam_definition() } else { Ok(()) }
    }

    /// Asks for an API key wherever a method does not say that it needs none.
    pub fn set_default_api_key(&mut self, path: &str, on_preflight: bool) -> Result<()> {
        self.each_integrated_method(path, &mut |method, definition| {
            let existing = security_of(definition, path, method)?;
            let is_key = |key: &Text| *key == "api_key" || *key == "api_key_false";
            let (own, mut security): (Vec<Value>, Vec<Value>) =
                existing.iter().cloned().partition(|entry| keys(entry).iter().any(is_key));
            let not_needed =
                own.iter().any(|entry| keys(entry).iter().any(|key| *key == "api_key_false"));
            let skipped = method == "options" && !on_preflight;
            if !not_needed && !skipped {
                security.push(legacy_map! { "api_key" => list![] }.into());
            }
            if security != existing {
                definition.set("security", security);
            }
            Ok(())
        })
    }

    /// Sets what an event says of its method: authorizer, scopes, API key.
    pub fn set_method_auth(
        &mut self,
        path: &str,
        method: &str,
        auth: &Map,
        api_auth: &Value,
    ) -> Result<()> {
        let authorizer = auth.at("Authorizer");
        if let Some(name) = authorizer.as_text().filter(|_| authorizer.truthy()) {
            let scopes = auth.at("AuthorizationScopes");
            self.set_authorizer(path, method, name, api_auth.at("Authorizers"), scopes)?;
        }
        let key = auth.at("ApiKeyRequired");
        if key.is_null() {
            return Ok(());
        }
        let name = if key.truthy() { "api_key" } else { "api_key_false" };
        let mut found = false;
        self.each_definition(path, method, true, &mut |definition| {
            found = true;
            let mut security = security_of_list(definition, path, method)?;
            security.push(legacy_map! { name => list![] }.into());
            definition.set("security", security);
            Ok(())
        })?;
        if found && key.truthy() { self.add_api_key_definition() } else { Ok(()) }
    }

    fn set_authorizer(
        &mut self,
        path: &str,
        method: &str,
        name: &Text,
        authorizers: &Value,
        scopes: &Value,
    ) -> Result<()> {
        let mut granted = list![];
        if *name != "NONE" && authorizers.truthy() {
            let authorizer = authorizers.at(name.as_str());
            if !authorizer.is_null() && !authorizer.is_map() {
                return Err(Fault::document(format!(
                    "Type of authorizer '{name}' must be a dictionary"
                )));
            }
            let own = authorizer.at("AuthorizationScopes");
            let wanted = if scopes.is_null() { own } else { scopes };
            if !authorizer.is_null() && !wanted.is_null() {
                granted = wanted.clone();
            }
        }
        let mut needs_iam = false;
        self.each_definition(path, method, true, &mut |definition| {
            let mut security = security_of_list(definition, path, method)?;
            security.push(legacy_map! { name => granted.clone() }.into());
            needs_iam |= keys(&security[0]).iter().any(|key| *key == "AWS_IAM");
            definition.set("security", security);
            Ok(())
        })?;
        if needs_iam { self.add_iam_definition() } else { Ok(()) }
    }
}

fn keys(entry: &Value) -> Vec<Text> {
    entry.as_map().map(Map::key_list).unwrap_or_default()
}

fn security_of_list(definition: &Map, path: &str, method: &str) -> Result<Vec<Value>> {
    match definition.get("security") {
        None => Ok(Vec::new()),
        Some(Value::List(entries)) => Ok(entries.clone()),
        Some(_) => Err(Fault::document(format!(
            "Type of security for path {path} method {method} must be a list"
        ))),
    }
}

/// The security of a method: a list of maps.
fn security_of(definition: &Map, path: &str, method: &str) -> Result<Vec<Value>> {
    let entries = security_of_list(definition, path, method)?;
    for entry in &entries {
        if !entry.is_map() {
            return Err(Fault::document(format!(
                "{} in Security for path {path} method {method} is not a valid dictionary.",
                str_of(entry)
            )));
        }
    }
    Ok(entries)
}
