//! Versions and aliases: `AutoPublishAlias` publishes a version whenever the code changes.

use super::described;
use crate::fault::Result;
use crate::intrinsics::{is_intrinsic, logical_id_of};
use crate::logical_id::hashed;
use crate::resource::{Resource, Source};
use crate::value::{Map, Value};
use crate::world::World;

/// What `AutoPublishAlias` makes.
pub struct Published {
    pub version: Resource,
    pub alias: Resource,
    pub name: Value,
}

/// Makes version and alias, when asked for. May resolve references in the function's code.
pub fn publish(
    source: &Source,
    function: &mut Resource,
    world: &World<'_>,
) -> Result<Option<Published>> {
    if !source.at("AutoPublishAlias").truthy() {
        return Ok(None);
    }
    let name = world.parameters.resolve(source.at("AutoPublishAlias"))?;
    if !name.is_str() {
        return Err(
            source.fault("'AutoPublishAlias' must be a string or a Ref to a template parameter")
        );
    }
    let mut code_hash = Value::Null;
    if source.at("AutoPublishCodeSha256").truthy() {
        code_hash = world.parameters.resolve(source.at("AutoPublishCodeSha256"))?;
        if !code_hash.is_str() {
            return Err(source.fault("AutoPublishCodeSha256 must be a string"));
        }
        let description = world.parameters.resolve(source.at("Description"))?;
        function.set("Description", described(&description, &code_hash));
    }
    let version = version(source, function, &code_hash, world)?;
    let alias = alias(source, &name, function, &version)?;
    Ok(Some(Published { version, alias, name }))
}

/// A version whose id changes with the function's code and what is published beside it.
fn version(
    source: &Source,
    function: &mut Resource,
    code_hash: &Value,
    world: &World<'_>,
) -> Result<Resource> {
    if let Some(code) = function.properties.get_mut("Code") {
        world.parameters.resolve_shared(code)?;
    }
    let prefix = format!("{}Version", source.id);
    let id = match code_hash.as_str() {
        Some(hash) if !hash.is_empty() => {
            format!("{prefix}{}", hash.chars().take(10).collect::<String>())
        }
        _ => hashed(&prefix, &published_state(source, function, world).into()),
    };
    let mut attributes = source.inherited();
    if !attributes.contains("DeletionPolicy") {
        let own = source.at("VersionDeletionPolicy");
        let on_provider = !source.at("CapacityProviderConfig").is_null();
        attributes.set(
            "DeletionPolicy",
            match own {
                Value::Null if on_provider => "Delete".into(),
                Value::Null => "Retain".into(),
                own => own.clone(),
            },
        );
    }
    let mut version = Resource::new("AWS::Lambda::Version", id)?
        .with_attributes(&attributes)
        .with("FunctionName", function.reference())
        .with("Description", source.at("VersionDescription"));
    let scaling = source.at("FunctionScalingConfig");
    if !source.at("CapacityProviderConfig").is_null() && !scaling.is_null() {
        version.set("FunctionScalingConfig", scaling);
    }
    Ok(version)
}

/// What makes a version another one.
fn published_state(source: &Source, function: &Resource, world: &World<'_>) -> Map {
    if source.at("AutoPublishAliasAllProperties").truthy() {
        let mut state = function.properties.clone();
        for layer in function.at("Layers").as_list().unwrap_or_default() {
            let Some(id) = logical_id_of(layer) else { continue };
            let properties = world.output.at(id).at("Properties");
            if properties.at("PublishLambdaVersion").truthy() {
                state.set(id, properties);
            }
        }
        return state;
    }
    let mut state = function.at("Code").as_map().cloned().unwrap_or_default();
    if let Some(environment) = function.at("Environment").as_map() {
        state.update(environment);
    }
    if function.at("MemorySize").truthy() {
        state.set("MemorySize", function.at("MemorySize"));
    }
    let snap_start = function.at("SnapStart");
    let applies = snap_start.as_map().and_then(|settings| settings.get("ApplyOn"));
    if applies.is_some_and(|on| on.as_str() != Some("None")) {
        state.set("SnapStart", snap_start);
    }
    state
}

fn alias(
    source: &Source,
    name: &Value,
    function: &Resource,
    version: &Resource,
) -> Result<Resource> {
    let text = name.as_str().unwrap_or_default();
    if text.is_empty() {
        return Err(source.fault("Alias name is required to create an alias"));
    }
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !text.bytes().all(letters) || text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(source.fault(format!(
            "AutoPublishAlias name ('{text}') must contain only alphanumeric characters, hyphens, \
             or underscores matching (?!^[0-9]+$)([a-zA-Z0-9-_]+) pattern."
        )));
    }
    let id = function.id.plus(&format!("Alias{}", text.replace('-', "D").replace('_', "U")));
    let mut alias = Resource::new("AWS::Lambda::Alias", id.as_str())?
        .with_attributes(&source.inherited())
        .with("Name", name)
        .with("FunctionName", function.reference())
        .with("FunctionVersion", version.get_att("Version"));
    if source.at("ProvisionedConcurrencyConfig").truthy() {
        alias.set("ProvisionedConcurrencyConfig", source.at("ProvisionedConcurrencyConfig"));
    }
    Ok(alias)
}

/// Notes the `DeploymentPreference`, and has CodeDeploy update the alias.
pub fn set_update_policy(
    source: &mut Source,
    alias: Option<&mut Resource>,
    world: &mut World<'_>,
) -> Result<()> {
    let preference = source.at("DeploymentPreference").clone();
    let Some(mut settings) = preference.as_map().filter(|_| preference.truthy()).cloned() else {
        return Ok(());
    };
    for name in ["Enabled", "Type"] {
        if let Some(value) = settings.get(name) {
            let value = world.parameters.resolve(value)?;
            settings.set(name, world.mappings.resolve(&value)?);
        }
    }
    let passes = match settings.get("PassthroughCondition") {
        Some(value) => as_boolean(source, value, world)?,
        None => false,
    };
    settings.set("PassthroughCondition", passes);
    let id = source.id.clone();
    let enabled = world.deployments.add(
        id.as_str(),
        &settings,
        source.attributes.at("Condition"),
        source.at("Tags"),
        source.at("PropagateTags").truthy(),
    )?;
    if !enabled {
        return Ok(());
    }
    let Some(alias) = alias else {
        return Err(source
            .fault("'DeploymentPreference' requires AutoPublishAlias property to be specified."));
    };
    alias.attributes.set("UpdatePolicy", world.deployments.update_policy(id.as_str()));
    Ok(())
}

fn as_boolean(source: &Source, value: &Value, world: &World<'_>) -> Result<bool> {
    let value = world.mappings.resolve(&world.parameters.resolve(value)?)?;
    match &value {
        Value::Bool(flag) => Ok(*flag),
        Value::Str(text) if matches!(text.as_str(), "true" | "True") => Ok(true),
        Value::Str(text) if matches!(text.as_str(), "false" | "False") => Ok(false),
        value if is_intrinsic(value) => Err(source.fault(
            "Unsupported intrinsic: the only intrinsic functions supported for property \
             PassthroughCondition are FindInMap and parameter Refs.",
        )),
        _ => Err(source.fault("Invalid value for property PassthroughCondition.")),
    }
}
