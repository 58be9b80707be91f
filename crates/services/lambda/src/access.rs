//! What each operation needs to be allowed.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html>

use sereno_api_lambda as api;
use sereno_kernel::{Access, Ctx};

use crate::layer;
use crate::mapping::mapping_arn;
use crate::names::{FunctionName, function_arn};

fn function(ctx: &Ctx, action: &'static str, name: &str, qualifier: Option<&str>) -> Access {
    let parsed = FunctionName::parse(name);
    let qualifier = qualifier.or(parsed.qualifier.as_deref());
    Access::new(action, function_arn(&parsed.locate(ctx), &parsed.name, qualifier))
}

/// Giving a role to a function needs the right to pass that role.
fn passing(access: Access, role: &str) -> Access {
    access
        .and("iam:PassRole", role)
        .condition("iam:PassedToService", vec!["lambda.amazonaws.com".to_owned()])
}

/// One function per operation whose input names a function, without or with a qualifier.
macro_rules! on_function {
    ($($name:ident($input:ident) => $action:literal;)*) => {
        $(pub fn $name(ctx: &Ctx, input: &api::$input) -> Access {
            function(ctx, $action, &input.function_name, None)
        })*
    };
}

macro_rules! on_qualified {
    ($($name:ident($input:ident) => $action:literal;)*) => {
        $(pub fn $name(ctx: &Ctx, input: &api::$input) -> Access {
            function(ctx, $action, &input.function_name, input.qualifier.as_deref())
        })*
    };
}

on_function! {
    invoke_async(InvokeAsyncInput) => "lambda:InvokeFunction";
    update_function_code(UpdateFunctionCodeInput) => "lambda:UpdateFunctionCode";
    publish_version(PublishVersionInput) => "lambda:PublishVersion";
    list_versions(ListVersionsByFunctionInput) => "lambda:ListVersionsByFunction";
    create_alias(CreateAliasInput) => "lambda:CreateAlias";
    get_alias(GetAliasInput) => "lambda:GetAlias";
    update_alias(UpdateAliasInput) => "lambda:UpdateAlias";
    delete_alias(DeleteAliasInput) => "lambda:DeleteAlias";
    list_aliases(ListAliasesInput) => "lambda:ListAliases";
    list_urls(ListFunctionUrlConfigsInput) => "lambda:ListFunctionUrlConfigs";
    put_concurrency(PutFunctionConcurrencyInput) => "lambda:PutFunctionConcurrency";
    get_concurrency(GetFunctionConcurrencyInput) => "lambda:GetFunctionConcurrency";
    delete_concurrency(DeleteFunctionConcurrencyInput) => "lambda:DeleteFunctionConcurrency";
    get_function_code_signing_config(GetFunctionCodeSigningConfigInput)
        => "lambda:GetFunctionCodeSigningConfig";
    delete_function_code_signing_config(DeleteFunctionCodeSigningConfigInput)
        => "lambda:DeleteFunctionCodeSigningConfig";
    list_provisioned(ListProvisionedConcurrencyConfigsInput)
        => "lambda:ListProvisionedConcurrencyConfigs";
    get_recursion_config(GetFunctionRecursionConfigInput) => "lambda:GetFunctionRecursionConfig";
    put_recursion_config(PutFunctionRecursionConfigInput) => "lambda:PutFunctionRecursionConfig";
    list_event_configs(ListFunctionEventInvokeConfigsInput)
        => "lambda:ListFunctionEventInvokeConfigs";
}

on_qualified! {
    invoke(InvokeInput) => "lambda:InvokeFunction";
    invoke_with_response_stream(InvokeWithResponseStreamInput) => "lambda:InvokeFunction";
    get_function(GetFunctionInput) => "lambda:GetFunction";
    get_function_configuration(GetFunctionConfigurationInput)
        => "lambda:GetFunctionConfiguration";
    delete_function(DeleteFunctionInput) => "lambda:DeleteFunction";
    add_permission(AddPermissionInput) => "lambda:AddPermission";
    remove_permission(RemovePermissionInput) => "lambda:RemovePermission";
    get_policy(GetPolicyInput) => "lambda:GetPolicy";
    put_runtime_management_config(PutRuntimeManagementConfigInput)
        => "lambda:PutRuntimeManagementConfig";
    get_url(GetFunctionUrlConfigInput) => "lambda:GetFunctionUrlConfig";
    delete_url(DeleteFunctionUrlConfigInput) => "lambda:DeleteFunctionUrlConfig";
    get_runtime_management_config(GetRuntimeManagementConfigInput)
        => "lambda:GetRuntimeManagementConfig";
    put_event_config(PutFunctionEventInvokeConfigInput) => "lambda:PutFunctionEventInvokeConfig";
    update_event_config(UpdateFunctionEventInvokeConfigInput)
        => "lambda:UpdateFunctionEventInvokeConfig";
    get_event_config(GetFunctionEventInvokeConfigInput) => "lambda:GetFunctionEventInvokeConfig";
    delete_event_config(DeleteFunctionEventInvokeConfigInput)
        => "lambda:DeleteFunctionEventInvokeConfig";
}

/// One function per operation whose input names a code signing configuration.
macro_rules! on_code_signing_config {
    ($($name:ident($input:ident) => $action:literal;)*) => {
        $(pub fn $name(_: &Ctx, input: &api::$input) -> Access {
            Access::new($action, input.code_signing_config_arn.clone())
        })*
    };
}

on_code_signing_config! {
    get_code_signing_config(GetCodeSigningConfigInput) => "lambda:GetCodeSigningConfig";
    update_code_signing_config(UpdateCodeSigningConfigInput) => "lambda:UpdateCodeSigningConfig";
    delete_code_signing_config(DeleteCodeSigningConfigInput) => "lambda:DeleteCodeSigningConfig";
    list_functions_by_code_signing_config(ListFunctionsByCodeSigningConfigInput)
        => "lambda:ListFunctionsByCodeSigningConfig";
}

pub fn create_code_signing_config(_: &Ctx, _: &api::CreateCodeSigningConfigInput) -> Access {
    Access::new("lambda:CreateCodeSigningConfig", "*")
}

pub fn list_code_signing_configs(_: &Ctx, _: &api::ListCodeSigningConfigsInput) -> Access {
    Access::new("lambda:ListCodeSigningConfigs", "*")
}

/// Needs the function and the configuration.
pub fn put_function_code_signing_config(
    ctx: &Ctx,
    input: &api::PutFunctionCodeSigningConfigInput,
) -> Access {
    const ACTION: &str = "lambda:PutFunctionCodeSigningConfig";
    function(ctx, ACTION, &input.function_name, None)
        .and(ACTION, input.code_signing_config_arn.clone())
}

/// One function per operation on what a version or alias has ready.
macro_rules! on_provisioned {
    ($($name:ident($input:ident) => $action:literal;)*) => {
        $(pub fn $name(ctx: &Ctx, input: &api::$input) -> Access {
            function(ctx, $action, &input.function_name, Some(&input.qualifier))
        })*
    };
}

on_provisioned! {
    put_provisioned(PutProvisionedConcurrencyConfigInput)
        => "lambda:PutProvisionedConcurrencyConfig";
    get_provisioned(GetProvisionedConcurrencyConfigInput)
        => "lambda:GetProvisionedConcurrencyConfig";
    delete_provisioned(DeleteProvisionedConcurrencyConfigInput)
        => "lambda:DeleteProvisionedConcurrencyConfig";
}

/// One function per operation on a whole resource policy.
macro_rules! on_resource_policy {
    ($($name:ident($input:ident) => $action:literal;)*) => {
        $(pub fn $name(ctx: &Ctx, input: &api::$input) -> Access {
            function(ctx, $action, &input.resource_arn, None)
        })*
    };
}

on_resource_policy! {
    put_resource_policy(PutResourcePolicyInput) => "lambda:PutResourcePolicy";
    get_resource_policy(GetResourcePolicyInput) => "lambda:GetResourcePolicy";
    delete_resource_policy(DeleteResourcePolicyInput) => "lambda:DeleteResourcePolicy";
}

/// With the condition key that says which kind of URL is made.
pub fn create_url(ctx: &Ctx, input: &api::CreateFunctionUrlConfigInput) -> Access {
    let (name, qualifier) = (&input.function_name, input.qualifier.as_deref());
    function(ctx, "lambda:CreateFunctionUrlConfig", name, qualifier)
        .condition(URL_AUTH_TYPE, vec![input.auth_type.as_str().to_owned()])
}

pub fn update_url(ctx: &Ctx, input: &api::UpdateFunctionUrlConfigInput) -> Access {
    let (name, qualifier) = (&input.function_name, input.qualifier.as_deref());
    let access = function(ctx, "lambda:UpdateFunctionUrlConfig", name, qualifier);
    match &input.auth_type {
        Some(kind) => access.condition(URL_AUTH_TYPE, vec![kind.as_str().to_owned()]),
        None => access,
    }
}

const URL_AUTH_TYPE: &str = "lambda:FunctionUrlAuthType";

pub fn create_function(ctx: &Ctx, input: &api::CreateFunctionInput) -> Access {
    let access = function(ctx, "lambda:CreateFunction", &input.function_name, None);
    reading_layers(passing(access, &input.role), input.layers.as_deref())
}

/// A function can only have layers that its maker may read.
fn reading_layers(access: Access, layers: Option<&[String]>) -> Access {
    layers
        .unwrap_or_default()
        .iter()
        .fold(access, |access, layer| access.and("lambda:GetLayerVersion", layer.clone()))
}

fn layer_version(ctx: &Ctx, action: &'static str, layer: &str, version: i64) -> Access {
    Access::new(action, format!("{}:{version}", layer_arn(ctx, layer)))
}

fn layer_arn(ctx: &Ctx, layer: &str) -> String {
    if layer.starts_with("arn:") { layer.to_owned() } else { layer::layer_arn(ctx, layer) }
}

pub fn publish_layer_version(ctx: &Ctx, input: &api::PublishLayerVersionInput) -> Access {
    Access::new("lambda:PublishLayerVersion", layer_arn(ctx, &input.layer_name))
}

pub fn get_layer_version(ctx: &Ctx, input: &api::GetLayerVersionInput) -> Access {
    layer_version(ctx, "lambda:GetLayerVersion", &input.layer_name, input.version_number)
}

pub fn get_layer_version_by_arn(_: &Ctx, input: &api::GetLayerVersionByArnInput) -> Access {
    Access::new("lambda:GetLayerVersion", input.arn.clone())
}

pub fn delete_layer_version(ctx: &Ctx, input: &api::DeleteLayerVersionInput) -> Access {
    layer_version(ctx, "lambda:DeleteLayerVersion", &input.layer_name, input.version_number)
}

pub fn list_layer_versions(_: &Ctx, _: &api::ListLayerVersionsInput) -> Access {
    Access::new("lambda:ListLayerVersions", "*")
}

pub fn list_layers(_: &Ctx, _: &api::ListLayersInput) -> Access {
    Access::new("lambda:ListLayers", "*")
}

pub fn add_layer_permission(ctx: &Ctx, input: &api::AddLayerVersionPermissionInput) -> Access {
    let (layer, version) = (&input.layer_name, input.version_number);
    layer_version(ctx, "lambda:AddLayerVersionPermission", layer, version)
}

pub fn remove_layer_permission(
    ctx: &Ctx,
    input: &api::RemoveLayerVersionPermissionInput,
) -> Access {
    let (layer, version) = (&input.layer_name, input.version_number);
    layer_version(ctx, "lambda:RemoveLayerVersionPermission", layer, version)
}

pub fn get_layer_policy(ctx: &Ctx, input: &api::GetLayerVersionPolicyInput) -> Access {
    let (layer, version) = (&input.layer_name, input.version_number);
    layer_version(ctx, "lambda:GetLayerVersionPolicy", layer, version)
}

pub fn update_function_configuration(
    ctx: &Ctx,
    input: &api::UpdateFunctionConfigurationInput,
) -> Access {
    let access = function(ctx, "lambda:UpdateFunctionConfiguration", &input.function_name, None);
    let access = match &input.role {
        Some(role) => passing(access, role),
        None => access,
    };
    reading_layers(access, input.layers.as_deref())
}

pub fn list_functions(_: &Ctx, _: &api::ListFunctionsInput) -> Access {
    Access::new("lambda:ListFunctions", "*")
}

pub fn get_account_settings(_: &Ctx, _: &api::GetAccountSettingsInput) -> Access {
    Access::new("lambda:GetAccountSettings", "*")
}

pub fn list_tags(_: &Ctx, input: &api::ListTagsInput) -> Access {
    Access::new("lambda:ListTags", input.resource.clone())
}

pub fn tag_resource(_: &Ctx, input: &api::TagResourceInput) -> Access {
    let mut access = Access::new("lambda:TagResource", input.resource.clone());
    for (key, value) in &input.tags {
        access = access.condition(format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    access.condition("aws:TagKeys", input.tags.keys().cloned().collect())
}

pub fn untag_resource(_: &Ctx, input: &api::UntagResourceInput) -> Access {
    Access::new("lambda:UntagResource", input.resource.clone())
        .condition("aws:TagKeys", input.tag_keys.clone())
}

/// The function that a mapping is for is a condition, not the resource.
fn mapped(ctx: &Ctx, access: Access, function: &str) -> Access {
    let name = FunctionName::parse(function);
    let arn = function_arn(&name.locate(ctx), &name.name, name.qualifier.as_deref());
    access.condition("lambda:FunctionArn", vec![arn])
}

pub fn create_mapping(ctx: &Ctx, input: &api::CreateEventSourceMappingInput) -> Access {
    let access = Access::new("lambda:CreateEventSourceMapping", "*");
    mapped(ctx, access, &input.function_name)
}

pub fn update_mapping(ctx: &Ctx, input: &api::UpdateEventSourceMappingInput) -> Access {
    let access = Access::new("lambda:UpdateEventSourceMapping", mapping_arn(ctx, &input.uuid));
    match &input.function_name {
        Some(function) => mapped(ctx, access, function),
        None => access,
    }
}

pub fn get_mapping(ctx: &Ctx, input: &api::GetEventSourceMappingInput) -> Access {
    Access::new("lambda:GetEventSourceMapping", mapping_arn(ctx, &input.uuid))
}

pub fn delete_mapping(ctx: &Ctx, input: &api::DeleteEventSourceMappingInput) -> Access {
    Access::new("lambda:DeleteEventSourceMapping", mapping_arn(ctx, &input.uuid))
}

pub fn list_mappings(_: &Ctx, _: &api::ListEventSourceMappingsInput) -> Access {
    Access::new("lambda:ListEventSourceMappings", "*")
}
