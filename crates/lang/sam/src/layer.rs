//! `AWS::Serverless::LayerVersion`: a new layer version, with a new id, for every change.

use crate::fault::{Fault, Result};
use crate::intrinsics::is_intrinsic;
use crate::logical_id::hashed;
use crate::resource::{Resource, Source};
use crate::s3_uri;
use crate::schema::{Is, Schema, opt, req};
use crate::value::{Text, Value, map};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::LayerVersion",
    props: &[&[
        opt("LayerName", Is::StrOrMap),
        opt("Description", Is::Str),
        opt("PublishLambdaVersion", Is::Bool),
        req("ContentUri", Is::StrOrMap),
        opt("CompatibleArchitectures", Is::ListOfStrOrMap),
        opt("CompatibleRuntimes", Is::ListOfStrOrMap),
        opt("LicenseInfo", Is::Str),
        opt("RetentionPolicy", Is::Str),
    ]],
};

pub fn transform(mut source: Source, world: &World<'_>) -> Result<Vec<Resource>> {
    for name in ["LayerName", "LicenseInfo", "Description", "RetentionPolicy"] {
        if source.at(name).is_null() {
            continue;
        }
        let resolved = world.parameters.resolve(source.at(name))?;
        if !resolved.is_str() && !is_intrinsic(&resolved) {
            return Err(source.fault(format!(
                "Could not resolve parameter for '{name}' or parameter is not a String."
            )));
        }
        source.properties.set(name, resolved);
    }
    let mut attributes = source.inherited();
    if !attributes.contains("DeletionPolicy") {
        attributes.set("DeletionPolicy", "Retain");
    }
    if let Some(retention) = retention(&source)? {
        attributes.set("DeletionPolicy", retention);
    }
    let id = Text::plain(&hashed(source.id.as_str(), &state(&source)));
    let content = s3_uri::code(id.as_str(), "ContentUri", source.at("ContentUri"))?;
    let mut layer = Resource::new("AWS::Lambda::LayerVersion", &id)?
        .with_attributes(&attributes)
        .depending_on(&source.depends_on)
        .with("LayerName", source.at("LayerName").or(|| (&source.id).into()))
        .with("Content", content);
    check_architectures(id.as_str(), source.at("CompatibleArchitectures"))?;
    let same = ["Description", "CompatibleArchitectures", "CompatibleRuntimes", "LicenseInfo"];
    layer.copy(&source.properties, &same);
    Ok(vec![layer])
}

/// What makes a layer version another one: all of the resource but what only says how long it is
/// kept.
fn state(source: &Source) -> Value {
    let mut resource = source.to_template(SCHEMA.kind);
    for name in ["DeletionPolicy", "UpdateReplacePolicy", "Metadata"] {
        resource.remove(name);
    }
    map! { &source.id => resource }.into()
}

fn retention(source: &Source) -> Result<Option<&'static str>> {
    let policy = source.at("RetentionPolicy");
    if is_intrinsic(policy) {
        return Err(source.fault(
            "'RetentionPolicy' does not accept intrinsic functions, please use one of the \
             following options: ['Retain', 'Delete']",
        ));
    }
    let Some(text) = policy.as_str() else { return Ok(None) };
    ["Retain", "Delete"]
        .into_iter()
        .find(|option| option.eq_ignore_ascii_case(text))
        .map(Some)
        .ok_or_else(|| {
            source.fault(
                "'RetentionPolicy' must be one of the following options: ['Retain', 'Delete'].",
            )
        })
}

fn check_architectures(id: &str, architectures: &Value) -> Result<()> {
    let Some(architectures) = architectures.as_list() else { return Ok(()) };
    let known = |one: &Value| is_intrinsic(one) || matches!(one.as_str(), Some("arm64" | "x86_64"));
    if architectures.iter().all(known) {
        return Ok(());
    }
    let message = "CompatibleArchitectures needs to be a list of 'x86_64' or 'arm64'";
    Err(Fault::resource(id, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    #[test]
    fn retention_has_any_case() {
        let source = |policy: &str| Source {
            id: "L".into(),
            depends_on: Value::Null,
            attributes: Map::new(),
            properties: map! { "RetentionPolicy" => policy },
        };
        assert_eq!(retention(&source("rEtAiN")).unwrap(), Some("Retain"));
        assert!(retention(&source("Keep")).is_err());
    }
}
