//! AWS Lambda: functions, their versions and aliases, who may invoke them, and running them.
//!
//! Invariants: a published version never changes; `revision_id` changes with every change of what it stands on, and
//! the sandbox reuses an instance only for the same revision; code is stored before the record that names it.

mod access;
mod account;
mod alias;
mod asynchronous;
mod code;
mod concurrency;
mod configuration;
mod destination;
mod errors;
mod event_config;
#[cfg(test)]
mod event_golden;
mod event_outcome;
mod event_state;
mod function;
#[cfg(test)]
mod golden;
mod invoke;
mod lane;
mod lane_batch;
mod lane_window;
mod layer;
mod layer_policy;
mod layer_use;
mod lineage;
mod log_sink;
mod mapping;
mod mapping_rules;
mod names;
mod permission;
mod plane;
mod poller;
mod provisioned;
mod resource_policy;
mod resources;
mod resources_config;
mod resources_events;
mod rules;
mod runtime_management;
mod settings;
mod signing;
mod source;
mod source_dynamodb;
mod state;
mod stream;
mod tag;
mod url;
mod url_plane;
mod version;

use std::sync::Arc;

use sereno_api_lambda as api;
use sereno_kernel::Service;

/// The table of contents.
pub fn service() -> Service {
    let guards = Arc::new(permission::Guards::default());
    let service = Service::new(&api::SERVICE)
        .on::<api::CreateFunction>(access::create_function, function::create)
        .on::<api::GetFunction>(access::get_function, function::get)
        .on::<api::GetFunctionConfiguration>(
            access::get_function_configuration,
            function::get_configuration,
        )
        .on::<api::ListFunctions>(access::list_functions, function::list)
        .on::<api::UpdateFunctionCode>(access::update_function_code, function::update_code)
        .on::<api::UpdateFunctionConfiguration>(
            access::update_function_configuration,
            function::update_configuration,
        )
        .on::<api::DeleteFunction>(access::delete_function, function::delete)
        .on::<api::Invoke>(access::invoke, invoke::invoke)
        .on::<api::InvokeWithResponseStream>(access::invoke_with_response_stream, stream::invoke)
        .on::<api::InvokeAsync>(access::invoke_async, invoke::invoke_async)
        .on::<api::PublishVersion>(access::publish_version, version::publish)
        .on::<api::ListVersionsByFunction>(access::list_versions, version::list)
        .on::<api::CreateAlias>(access::create_alias, alias::create)
        .on::<api::GetAlias>(access::get_alias, alias::get)
        .on::<api::UpdateAlias>(access::update_alias, alias::update)
        .on::<api::DeleteAlias>(access::delete_alias, alias::delete)
        .on::<api::ListAliases>(access::list_aliases, alias::list)
        .on::<api::GetAccountSettings>(access::get_account_settings, account::settings)
        .on::<api::ListTags>(access::list_tags, tag::list)
        .on::<api::TagResource>(access::tag_resource, tag::add)
        .on::<api::UntagResource>(access::untag_resource, tag::remove)
        .resource_policy(move |ctx, arn| Arc::clone(&guards).guard(ctx, arn))
        .data_plane(plane::Plane)
        .blobs(state::FUNCTIONS, |function| {
            let layers = function.layers.into_iter().map(|layer| layer.code.blob);
            layers.chain([function.code.blob]).collect()
        })
        .blobs(state::LAYER_VERSIONS, |layer| vec![layer.code.blob])
        .task(asynchronous::task_kind())
        .task(provisioned::task_kind())
        .task(poller::task_kind())
        .violations(errors::violations);
    let service = layers(urls(signing(concurrency(permissions(events(service))))));
    templates(service)
}

/// Who may.
fn permissions(service: Service) -> Service {
    service
        .on::<api::AddPermission>(access::add_permission, permission::add)
        .on::<api::RemovePermission>(access::remove_permission, permission::remove)
        .on::<api::GetPolicy>(access::get_policy, permission::get)
        .on::<api::PutResourcePolicy>(access::put_resource_policy, resource_policy::put)
        .on::<api::GetResourcePolicy>(access::get_resource_policy, resource_policy::get)
        .on::<api::DeleteResourcePolicy>(access::delete_resource_policy, resource_policy::delete)
}

/// How many at once.
fn concurrency(service: Service) -> Service {
    service
        .on::<api::PutFunctionConcurrency>(access::put_concurrency, concurrency::put)
        .on::<api::GetFunctionConcurrency>(access::get_concurrency, concurrency::get)
        .on::<api::DeleteFunctionConcurrency>(access::delete_concurrency, concurrency::delete)
        .on::<api::PutProvisionedConcurrencyConfig>(access::put_provisioned, provisioned::put)
        .on::<api::GetProvisionedConcurrencyConfig>(access::get_provisioned, provisioned::get)
        .on::<api::DeleteProvisionedConcurrencyConfig>(
            access::delete_provisioned,
            provisioned::delete,
        )
        .on::<api::ListProvisionedConcurrencyConfigs>(access::list_provisioned, provisioned::list)
}

/// What happens without a caller waiting: events, mappings, loops.
fn events(service: Service) -> Service {
    service
        .on::<api::GetFunctionRecursionConfig>(access::get_recursion_config, lineage::get)
        .on::<api::PutFunctionRecursionConfig>(access::put_recursion_config, lineage::put)
        .on::<api::PutFunctionEventInvokeConfig>(access::put_event_config, event_config::put)
        .on::<api::UpdateFunctionEventInvokeConfig>(
            access::update_event_config,
            event_config::update,
        )
        .on::<api::GetFunctionEventInvokeConfig>(access::get_event_config, event_config::get)
        .on::<api::DeleteFunctionEventInvokeConfig>(
            access::delete_event_config,
            event_config::delete,
        )
        .on::<api::ListFunctionEventInvokeConfigs>(access::list_event_configs, event_config::list)
        .on::<api::CreateEventSourceMapping>(access::create_mapping, mapping::create)
        .on::<api::GetEventSourceMapping>(access::get_mapping, mapping::get)
        .on::<api::UpdateEventSourceMapping>(access::update_mapping, mapping::update)
        .on::<api::DeleteEventSourceMapping>(access::delete_mapping, mapping::delete)
        .on::<api::ListEventSourceMappings>(access::list_mappings, mapping::list)
}

/// What code and which interpreter.
fn signing(service: Service) -> Service {
    service
        .on::<api::CreateCodeSigningConfig>(access::create_code_signing_config, signing::create)
        .on::<api::GetCodeSigningConfig>(access::get_code_signing_config, signing::get)
        .on::<api::UpdateCodeSigningConfig>(access::update_code_signing_config, signing::update)
        .on::<api::DeleteCodeSigningConfig>(access::delete_code_signing_config, signing::delete)
        .on::<api::ListCodeSigningConfigs>(access::list_code_signing_configs, signing::list)
        .on::<api::ListFunctionsByCodeSigningConfig>(
            access::list_functions_by_code_signing_config,
            signing::list_functions,
        )
        .on::<api::PutFunctionCodeSigningConfig>(
            access::put_function_code_signing_config,
            signing::put_of_function,
        )
        .on::<api::GetFunctionCodeSigningConfig>(
            access::get_function_code_signing_config,
            signing::get_of_function,
        )
        .on::<api::DeleteFunctionCodeSigningConfig>(
            access::delete_function_code_signing_config,
            signing::delete_of_function,
        )
        .on::<api::GetRuntimeManagementConfig>(
            access::get_runtime_management_config,
            runtime_management::get,
        )
        .on::<api::PutRuntimeManagementConfig>(
            access::put_runtime_management_config,
            runtime_management::put,
        )
}

/// Functions' own addresses.
fn urls(service: Service) -> Service {
    service
        .on::<api::CreateFunctionUrlConfig>(access::create_url, url::create)
        .on::<api::GetFunctionUrlConfig>(access::get_url, url::get)
        .on::<api::UpdateFunctionUrlConfig>(access::update_url, url::update)
        .on::<api::DeleteFunctionUrlConfig>(access::delete_url, url::delete)
        .on::<api::ListFunctionUrlConfigs>(access::list_urls, url::list)
}

/// What functions share.
fn layers(service: Service) -> Service {
    service
        .on::<api::PublishLayerVersion>(access::publish_layer_version, layer::publish)
        .on::<api::GetLayerVersion>(access::get_layer_version, layer::get)
        .on::<api::GetLayerVersionByArn>(access::get_layer_version_by_arn, layer::get_by_arn)
        .on::<api::DeleteLayerVersion>(access::delete_layer_version, layer::delete)
        .on::<api::ListLayerVersions>(access::list_layer_versions, layer::list_versions)
        .on::<api::ListLayers>(access::list_layers, layer::list)
        .on::<api::AddLayerVersionPermission>(access::add_layer_permission, layer_policy::add)
        .on::<api::RemoveLayerVersionPermission>(
            access::remove_layer_permission,
            layer_policy::remove,
        )
        .on::<api::GetLayerVersionPolicy>(access::get_layer_policy, layer_policy::get)
}

/// CloudFormation's types.
fn templates(service: Service) -> Service {
    service
        .resource(resources::function())
        .resource(resources::version())
        .resource(resources::alias())
        .resource(resources::permission())
        .resource(resources_events::mapping())
        .resource(resources_events::invoke_config())
        .resource(resources_config::url())
        .resource(resources_config::layer_version())
        .resource(resources_config::layer_permission())
        .resource(resources_config::code_signing_config())
}
