//! What a function may not combine.

use super::fault;
use crate::fault::{Result, expect};
use crate::intrinsics::quoted_list;
use crate::resource::{Resource, Source};
use crate::value::{Map, Value, map, str_of};

pub fn check(source: &Source) -> Result<()> {
    check_rules(source)?;
    let dead_letters = source.at("DeadLetterQueue");
    if dead_letters.truthy() {
        check_dead_letters(source, dead_letters)?;
    }
    if source.at("TenancyConfig").truthy() {
        check_tenancy(source)?;
    }
    Ok(())
}

fn check_rules(source: &Source) -> Result<()> {
    let has = |name: &str| !source.at(name).is_null();
    let mut messages = Vec::new();
    for other in ["ProvisionedConcurrencyConfig", "VpcConfig"] {
        if has("CapacityProviderConfig") && has(other) {
            messages
                .push(format!("Cannot specify 'CapacityProviderConfig' and '{other}' together."));
        }
    }
    for (one, other) in [
        ("FunctionScalingConfig", "CapacityProviderConfig"),
        ("VersionDeletionPolicy", "AutoPublishAlias"),
    ] {
        if has(one) && !has(other) {
            messages.push(format!("'{one}' requires '{other}'."));
        }
    }
    if messages.is_empty() { Ok(()) } else { Err(source.fault(messages.join("\n"))) }
}

fn check_dead_letters(source: &Source, queue: &Value) -> Result<()> {
    let kind = queue.at("Type");
    if !kind.truthy() || !queue.at("TargetArn").truthy() {
        return Err(source
            .fault("'DeadLetterQueue' requires Type and TargetArn properties to be specified."));
    }
    let kind = expect(kind, source.id.as_str(), "DeadLetterQueue.Type").string()?;
    let known = ["SQS", "SNS"];
    if known.contains(&kind) {
        return Ok(());
    }
    Err(source.fault(format!("'DeadLetterQueue' requires Type of {}", quoted_list(&known))))
}

fn check_tenancy(source: &Source) -> Result<()> {
    for (property, name) in [
        ("ProvisionedConcurrencyConfig", "Provisioned concurrency"),
        ("FunctionUrlConfig", "Function URL"),
        ("SnapStart", "SnapStart"),
    ] {
        if source.at(property).truthy() {
            return Err(source.fault(format!(
                "{name} is not supported for functions enabled with tenancy configuration."
            )));
        }
    }
    for (_, event) in source.at("Events").as_map().into_iter().flat_map(Map::iter) {
        let kind = event.at("Type");
        if !matches!(kind.as_str(), Some("Api" | "HttpApi")) {
            return Err(source.fault(format!(
                "Event source '{}' is not supported for functions enabled with tenancy \
                 configuration. Only Api and HttpApi event sources are supported.",
                str_of(kind)
            )));
        }
    }
    Ok(())
}

/// A package has either code, runtime and handler, or an image.
pub fn check_package(function: &Resource) -> Result<()> {
    let has = |name: &str| function.at(name).truthy();
    let image = function.at("Code").at("ImageUri").truthy();
    match function.at("PackageType").or(|| "Zip".into()).as_str() {
        Some("Image") => {
            if has("Handler") || has("Runtime") || has("Layers") {
                return Err(fault(
                    function,
                    "Runtime, Handler, Layers cannot be present when PackageType is of type `Image`",
                ));
            }
            if !image {
                return Err(fault(
                    function,
                    "ImageUri needs to be present when PackageType is of type `Image`",
                ));
            }
        }
        _ => {
            if !has("Runtime") || !has("Handler") {
                return Err(fault(
                    function,
                    "Runtime and Handler needs to be present when PackageType is of type `Zip`",
                ));
            }
            if image || has("ImageConfig") {
                return Err(fault(
                    function,
                    "ImageUri or ImageConfig cannot be present when PackageType is of type `Zip`",
                ));
            }
        }
    }
    Ok(())
}

/// `CapacityProviderConfig` in Lambda's words.
pub fn capacity_provider(source: &Source, config: &Value) -> Result<Map> {
    const MEMBERS: [(&str, &str); 3] = [
        ("Arn", "CapacityProviderArn"),
        ("PerExecutionEnvironmentMaxConcurrency", "PerExecutionEnvironmentMaxConcurrency"),
        ("ExecutionEnvironmentMemoryGiBPerVCpu", "ExecutionEnvironmentMemoryGiBPerVCpu"),
    ];
    let mut own = Map::new();
    for (name, value) in config.as_map().into_iter().flat_map(Map::iter) {
        let Some((_, target)) = MEMBERS.iter().find(|(member, _)| *name == *member) else {
            return Err(source.fault(format!(
                "Invalid CapacityProviderConfig: 1 validation error for \
                 CapacityProviderConfig\n{name}\n  extra fields not permitted \
                 (type=value_error.extra)"
            )));
        };
        // The translator reads the ratio as an integer where it can.
        let whole = match value {
            Value::Number(number) => {
                number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0)
            }
            _ => None,
        };
        own.set(*target, whole.map_or_else(|| value.clone(), |whole| Value::from(whole as i64)));
    }
    if own.at("CapacityProviderArn").is_null() {
        return Err(source.fault(
            "Invalid CapacityProviderConfig: 1 validation error for CapacityProviderConfig\nArn\n  \
             field required (type=value_error.missing)",
        ));
    }
    Ok(map! { "LambdaManagedInstancesCapacityProviderConfig" => own })
}
