//! `AWS::Serverless::Application`: a nested stack, by URL or from the application repository.

use crate::fault::{Fault, Result, expect};
use crate::resource::{Resource, Source};
use crate::schema::{Is, Schema, opt, req};
use crate::tags;
use crate::value::{Map, Value};
use crate::world::World;
use std::sync::LazyLock;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::Application",
    props: &[&[
        req("Location", Is::StrOrMap),
        opt("TemplateUrl", Is::Str),
        opt("Parameters", Is::Map),
        opt("NotificationARNs", Is::ListOfStrOrMap),
        opt("Tags", Is::Map),
        opt("TimeoutInMinutes", Is::Int),
    ]],
};

static SECRET: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"\{\{resolve:ssm:[a-zA-Z0-9_.\-/]+(:\d+)?\}\}")
        .expect("the pattern is well-formed")
});

/// Finds where the application's template is, before the properties are checked.
pub fn locate(id: &str, properties: &mut Map, world: &World<'_>) -> Result<()> {
    let missing = |name: &str| {
        Fault::resource(id, format!("Resource is missing the required [{name}] property."))
    };
    let Some(location) = properties.get("Location").cloned() else {
        return Err(missing("Location"));
    };
    let Some(mut parts) = location.as_map().cloned() else {
        properties.set("TemplateUrl", location);
        return Ok(());
    };
    for name in ["ApplicationId", "SemanticVersion"] {
        let Some(value) = parts.get(name) else { return Err(missing(name)) };
        let value = world.mappings.resolve(&world.parameters.resolve(value)?)?;
        parts.set(name, value);
    }
    let (application, version) =
        (parts.at("ApplicationId").clone(), parts.at("SemanticVersion").clone());
    properties.set("Location", parts);
    let unresolved = |name: &str| {
        Fault::resource(
            id,
            format!(
                "Property '{name}' cannot be resolved. Only FindInMap and Ref intrinsic functions \
                 are supported."
            ),
        )
    };
    expect(&application, id, "ApplicationId").present()?;
    if application.is_map() {
        return Err(unresolved("ApplicationId"));
    }
    if !version.truthy() {
        return Err(Fault::resource(id, "Property 'SemanticVersion' cannot be blank."));
    }
    if version.is_map() {
        return Err(unresolved("SemanticVersion"));
    }
    let application = expect(&application, id, "Location.ApplicationId").string()?;
    let version = expect(&version, id, "Location.SemanticVersion").string()?;
    if SECRET.is_match(application) {
        return Err(Fault::resource(
            id,
            "Serverless Application Repostiory does not support dynamic reference in \
             'ApplicationId' property.",
        ));
    }
    let url = (world.context.applications)(application, version)
        .map_err(|message| Fault::resource(id, message))?;
    properties.set("TemplateUrl", url);
    Ok(())
}

pub fn transform(source: &Source) -> Result<Vec<Resource>> {
    let mut marks = Map::new();
    for (tag, name) in [
        ("serverlessrepo:applicationId", "ApplicationId"),
        ("serverlessrepo:semanticVersion", "SemanticVersion"),
    ] {
        let value = source.at("Location").at(name);
        if !value.is_null() {
            marks.set(tag, value);
        }
    }
    let tags = tags::marked(source.id.as_str(), source.at("Tags"), &marks)?;
    let mut stack = Resource::new("AWS::CloudFormation::Stack", &source.id)?
        .with_attributes(&source.inherited())
        .depending_on(&source.depends_on)
        .with("TemplateURL", source.at("TemplateUrl").or(|| Value::from("")))
        .with("Tags", tags);
    stack.copy(&source.properties, &["Parameters", "NotificationARNs", "TimeoutInMinutes"]);
    Ok(vec![stack])
}
