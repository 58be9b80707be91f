//! `AWS::Serverless::Function`: a Lambda function with its role, versions, URL and events.

mod checks;
mod destinations;
mod url;
mod version;

use crate::events::{self, Invoked, InvokedKind};
use crate::fault::{Fault, Result};
use crate::intrinsics::{if_else, if_parts, is_if, is_no_value, join, not_condition};
use crate::policies;
use crate::resource::{Resource, Source};
use crate::role::{RoleParts, role, trust};
use crate::s3_uri;
use crate::schema::{Is, Schema, opt, pass, strict};
use crate::tags;
use crate::value::{Map, Value, list, map, str_of};
use crate::world::World;

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::Function",
    props: &[
        &[
            opt("FunctionName", Is::StrOrMap),
            pass("Handler"),
            pass("Runtime"),
            pass("CodeUri"),
            pass("ImageUri"),
            pass("PackageType"),
            pass("InlineCode"),
            opt("DeadLetterQueue", Is::Map),
            pass("Description"),
            pass("MemorySize"),
            pass("Timeout"),
            pass("VpcConfig"),
            opt("Role", Is::Str),
            opt("AssumeRolePolicyDocument", Is::Map),
            opt("Policies", Is::Policies),
            pass("RolePath"),
            opt("PermissionsBoundary", Is::Str),
            opt("Environment", Is::MapOfMap),
            opt("Events", Is::MapOfMap),
            opt("Tags", Is::Map),
            opt("PropagateTags", Is::Bool),
            opt("Tracing", Is::StrOrMap),
            pass("KmsKeyArn"),
            opt("DeploymentPreference", Is::Map),
            pass("ReservedConcurrentExecutions"),
            opt("Layers", Is::ListOfStrOrMap),
            opt("EventInvokeConfig", Is::Map),
        ],
        &[
            pass("EphemeralStorage"),
            opt("AutoPublishAlias", Is::StrUnnamed),
            opt("AutoPublishCodeSha256", Is::StrUnnamed),
            strict("AutoPublishAliasAllProperties", Is::Bool),
            pass("VersionDescription"),
            pass("ProvisionedConcurrencyConfig"),
            pass("FileSystemConfigs"),
            pass("ImageConfig"),
            pass("CodeSigningConfigArn"),
            pass("Architectures"),
            opt("SnapStart", Is::Map),
            opt("FunctionUrlConfig", Is::Map),
            pass("RuntimeManagementConfig"),
            pass("LoggingConfig"),
            pass("RecursiveLoop"),
            pass("SourceKMSKeyArn"),
            opt("CapacityProviderConfig", Is::Map),
            opt("FunctionScalingConfig", Is::Map),
            opt("VersionDeletionPolicy", Is::OneOf(&["Delete", "Retain"])),
            pass("PublishToLatestPublished"),
            pass("TenancyConfig"),
            opt("DurableConfig", Is::Map),
        ],
    ],
};

/// Properties that the function takes as they are.
const SAME: [&str; 25] = [
    "FunctionName",
    "Handler",
    "Runtime",
    "Description",
    "MemorySize",
    "Timeout",
    "VpcConfig",
    "Role",
    "Environment",
    "KmsKeyArn",
    "ReservedConcurrentExecutions",
    "Layers",
    "FileSystemConfigs",
    "ImageConfig",
    "PackageType",
    "Architectures",
    "SnapStart",
    "EphemeralStorage",
    "CodeSigningConfigArn",
    "RuntimeManagementConfig",
    "LoggingConfig",
    "TenancyConfig",
    "RecursiveLoop",
    "DurableConfig",
    "PublishToLatestPublished",
];

/// Makes the resources of a function.
pub fn transform(mut source: Source, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let id = source.id.clone();
    let events =
        events::read(&id, source.at("Events"), world).map_err(|fault| fault.of_owner(&id))?;
    checks::check(&source)?;
    let mut function = lambda(&mut source, world)?;
    if source.at("ProvisionedConcurrencyConfig").truthy() && !source.at("AutoPublishAlias").truthy()
    {
        return Err(source.fault(
            "To set ProvisionedConcurrencyConfig AutoPublishALias must be defined on the function",
        ));
    }
    let mut resources = Vec::new();
    let mut alias = version::publish(&source, &mut function, world)?;
    if source.at("FunctionUrlConfig").truthy() {
        resources.extend(url::resources(&source, &function, alias.as_ref())?);
    }
    version::set_update_policy(&mut source, alias.as_mut().map(|a| &mut a.alias), world)?;
    let (destinations, destination_policies) =
        destinations::resources(&mut source, &function, alias.as_ref(), world)?;
    resources.extend(destinations);
    let mut role = execution_role(&source, destination_policies, world)?;
    let keeps_role = set_role(&source, &mut function, &mut role, world)?;
    let invoked = match &alias {
        Some(published) => Invoked {
            id: published.alias.id.clone(),
            kind: InvokedKind::FunctionAlias,
            attributes: published.alias.attributes.clone(),
        },
        None => Invoked {
            id: id.clone(),
            kind: InvokedKind::Function,
            attributes: function.attributes.clone(),
        },
    };
    for event in &events {
        let made = events::transform(event, &invoked, &mut role, world)
            .map_err(|fault| fault.of_owner(&id))?;
        resources.extend(made);
    }
    let mut all = vec![function];
    if let Some(published) = alias {
        all.extend([published.version, published.alias]);
    }
    if keeps_role {
        all.push(role);
    }
    all.extend(resources);
    tags::propagate(&mut all, source.at("Tags"), source.at("PropagateTags").truthy());
    Ok(all)
}

fn lambda(source: &mut Source, world: &World<'_>) -> Result<Resource> {
    let mut function = Resource::new("AWS::Lambda::Function", &source.id)?
        .with_attributes(&source.attributes)
        .depending_on(&source.depends_on);
    let traced = is_traced(source, world)?;
    function.copy(&source.properties, &SAME);
    if !source.at("FunctionName").truthy() {
        function.set("FunctionName", Value::Null);
    }
    function.set("Code", code(source)?);
    function.set("Tags", tags::marked(source.id.as_str(), source.at("Tags"), &Map::new())?);
    if traced {
        function.set("TracingConfig", map! { "Mode" => source.at("Tracing") });
    }
    let dead_letters = source.at("DeadLetterQueue");
    if dead_letters.truthy() {
        let target = map! { "TargetArn" => dead_letters.at("TargetArn") };
        function.set("DeadLetterConfig", target);
    }
    let provider = source.at("CapacityProviderConfig");
    if provider.truthy() {
        function.set("CapacityProviderConfig", checks::capacity_provider(source, provider)?);
    }
    if source.at("FunctionScalingConfig").truthy() {
        function.set("FunctionScalingConfig", source.at("FunctionScalingConfig"));
    }
    checks::check_package(&function)?;
    Ok(function)
}

/// Whether X-Ray is on. What `Tracing` refers to is filled in where it is part of a text.
fn is_traced(source: &mut Source, world: &World<'_>) -> Result<bool> {
    let Some(tracing) = source.properties.get_mut("Tracing") else { return Ok(false) };
    let resolved = world.parameters.resolve_shared(tracing)?;
    Ok(tracing.truthy() && resolved.as_str() != Some("Disabled"))
}

fn code(source: &Source) -> Result<Map> {
    let package = source.at("PackageType").or(|| "Zip".into());
    let id = source.id.as_str();
    let mut code = match package.as_str() {
        Some("Zip") => {
            let (inline, uri) = (source.at("InlineCode"), source.at("CodeUri"));
            if !inline.is_null() {
                map! { "ZipFile" => inline }
            } else if !uri.is_null() {
                s3_uri::code(id, "CodeUri", uri)?
            } else {
                return Err(source.fault("Only one of 'InlineCode' or 'CodeUri' can be set."));
            }
        }
        Some("Image") => {
            let image = source.at("ImageUri");
            if image.is_null() {
                return Err(source.fault("'ImageUri' must be set."));
            }
            if !image.truthy() {
                return Err(source
                    .fault("'ImageUri' requires that a image hosted at a registry be specified."));
            }
            map! { "ImageUri" => image }
        }
        _ => {
            return Err(source.fault(format!("invalid 'PackageType' : {}", str_of(&package))));
        }
    };
    if source.at("SourceKMSKeyArn").truthy() && package.as_str() == Some("Zip") {
        code.set("SourceKMSKeyArn", source.at("SourceKMSKeyArn"));
    }
    Ok(code)
}

fn execution_role(
    source: &Source,
    destination_policies: Vec<Value>,
    world: &World<'_>,
) -> Result<Resource> {
    let basic = if source.at("DurableConfig").truthy() {
        "service-role/AWSLambdaBasicDurableExecutionRolePolicy"
    } else {
        "service-role/AWSLambdaBasicExecutionRole"
    };
    let mut managed = vec![world.managed_policy_arn(basic).into()];
    let tracing = source.at("Tracing");
    let resolved = world.parameters.resolve(tracing)?;
    if tracing.truthy() && resolved.as_str() != Some("Disabled") {
        managed.push(world.managed_policy_arn(xray_policy(world)).into());
    }
    if source.at("VpcConfig").truthy() {
        let policy = "service-role/AWSLambdaVPCAccessExecutionRole";
        managed.push(world.managed_policy_arn(policy).into());
    }
    let mut inline = Vec::new();
    let dead_letters = source.at("DeadLetterQueue");
    if dead_letters.truthy() {
        inline.push(dead_letter_policy(dead_letters));
    }
    inline.extend(destination_policies);
    let trusted = source.at("AssumeRolePolicyDocument");
    let parts = RoleParts {
        attributes: &source.inherited(),
        trust: match trusted {
            Value::Null => trust("lambda.amazonaws.com").into(),
            own => own.clone(),
        },
        policies: &policies::entries(source.at("Policies"))?,
        managed,
        inline,
        path: source.at("RolePath"),
        boundary: source.at("PermissionsBoundary"),
        tags: tags::marked(source.id.as_str(), source.at("Tags"), &Map::new())?,
    };
    role(&source.id, parts, world)
}

/// The managed policy with which X-Ray takes segments; it has another name outside of `aws`.
pub fn xray_policy(world: &World<'_>) -> &'static str {
    if world.partition() == "aws" { "AWSXrayWriteOnlyAccess" } else { "AWSXRayDaemonWriteAccess" }
}

fn dead_letter_policy(queue: &Value) -> Value {
    let action = match queue.at("Type").as_str() {
        Some("SQS") => "sqs:SendMessage",
        _ => "sns:Publish",
    };
    let statement =
        map! { "Action" => action, "Resource" => queue.at("TargetArn"), "Effect" => "Allow" };
    let document = map! { "Version" => "2012-10-17", "Statement" => list![statement] };
    map! { "PolicyName" => "DeadLetterQueuePolicy", "PolicyDocument" => document }.into()
}

/// Gives the function its role; answers whether the generated role is used.
///
/// A role that is an `Fn::If` with nothing in one branch takes the generated role there; the role
/// is then made only under that condition.
fn set_role(
    source: &Source,
    function: &mut Resource,
    role: &mut Resource,
    world: &mut World<'_>,
) -> Result<bool> {
    let given = function.at("Role").clone();
    let generated = role.get_att("Arn");
    if given.is_null() {
        function.set("Role", generated);
        return Ok(true);
    }
    if !is_if(&given) {
        return Ok(false);
    }
    let given = world.parameters.resolve(&given)?;
    let (condition, yes, no) = if_parts(&given)
        .map_err(|message| source.fault(format!("Malformed 'Role' property: {message}.")))?;
    match (is_no_value(yes), is_no_value(no)) {
        (true, true) => function.set("Role", generated),
        (true, false) => {
            function.set("Role", if_else(condition, generated, no.clone()));
            role.attributes.set("Condition", condition);
        }
        (false, true) => {
            function.set("Role", if_else(condition, yes.clone(), generated));
            let name = format!("NOT{}", str_of(condition));
            role.attributes.set("Condition", name.as_str());
            world.add_condition(&name, not_condition(condition));
        }
        (false, false) => return Ok(false),
    }
    Ok(true)
}

/// A description with the hash of the code behind it, so that a version can be told by it.
fn described(description: &Value, hash: &Value) -> Value {
    match description {
        Value::Str(_) | Value::Null if description.truthy() => {
            format!("{} {}", str_of(description), str_of(hash)).into()
        }
        description if !description.truthy() => hash.clone(),
        other => join(" ", list![other, hash]),
    }
}

/// A fault of the function `id`.
fn fault(id: &Resource, message: &str) -> Fault {
    Fault::resource(&id.id, message)
}
