//! API Gateway REST APIs (v1): the control plane, and the gateway that serves deployed APIs.
//!
//! Invariants:
//! - What serves traffic is a deployment's snapshot, never the API as it is being edited.
//! - An API id is unique in the whole installation, so that a host name alone finds its owner.
//! - Nothing that a request asks for is ignored: what is not served is refused (README.md lists it).

mod access;
mod api_key;
mod authorizer;
mod deployment;
mod document;
mod documentation;
mod documentation_version;
mod domain;
mod errors;
mod export;
mod gateway_response;
mod ids;
mod import;
mod integration;
mod mapping_rules;
mod method;
mod model;
mod page;
mod patch;
mod plane;
mod policy;
mod quota;
mod resource;
mod resources;
mod rest_api;
mod role;
mod rules;
mod schema;
mod shapes;
mod stage;
mod stage_patch;
mod state;
mod tags;
mod usage_plan;
mod violations;

use std::sync::Arc;

use plane::{Gateway, Plane};
use sereno_api_apigateway as api;
use sereno_kernel::{Handler, Service};
use sereno_wire::Operation;

/// Registers an operation; the access follows from its HTTP verb and path.
fn on<O: Operation>(service: Service, handler: impl Handler<O>) -> Service {
    service.on::<O>(access::of::<O>, handler)
}

macro_rules! serve {
    ($service:expr, $($operation:ident => $handler:path),+ $(,)?) => {{
        let service = $service;
        $(let service = on::<api::$operation>(service, $handler);)+
        service
    }};
}

/// The service: everything that it serves.
#[must_use]
pub fn service() -> Service {
    let service = Service::new(&api::SERVICE).violations(violations::error);
    let service = apis(service);
    let service = deployments(service);
    let service = policies(service);
    let service = documentation(service);
    let service = domains(service);
    let service = resources::all().into_iter().fold(service, Service::resource);
    gateway(service)
}

/// The traffic of deployed APIs, and the operations that speak to what serves it.
fn gateway(service: Service) -> Service {
    let plane = Arc::new(Plane::default());
    let service = serve!(service,
        TestInvokeMethod => plane::test_method,
        TestInvokeAuthorizer => plane::test_authorizer,
    );
    let flushed = Arc::clone(&plane);
    let service = on::<api::FlushStageAuthorizersCache>(service, move |ctx, input| {
        plane::flush_authorizers(Arc::clone(&flushed), ctx, input)
    });
    let guarded = Arc::clone(&plane);
    service
        .resource_policy(move |ctx, arn| plane::guard(Arc::clone(&guarded), ctx, arn))
        .data_plane(Gateway(plane))
}

fn apis(service: Service) -> Service {
    serve!(service,
        CreateRestApi => rest_api::create,
        GetRestApi => rest_api::get,
        GetRestApis => rest_api::list,
        UpdateRestApi => rest_api::update,
        DeleteRestApi => rest_api::delete,
        ImportRestApi => import::create,
        PutRestApi => import::put,
        CreateResource => resource::create,
        GetResource => resource::get,
        GetResources => resource::list,
        UpdateResource => resource::update,
        DeleteResource => resource::delete,
        PutMethod => method::put,
        GetMethod => method::get,
        UpdateMethod => method::update,
        DeleteMethod => method::delete,
        PutMethodResponse => method::put_response,
        GetMethodResponse => method::get_response,
        UpdateMethodResponse => method::update_response,
        DeleteMethodResponse => method::delete_response,
        PutIntegration => integration::put,
        GetIntegration => integration::get,
        UpdateIntegration => integration::update,
        DeleteIntegration => integration::delete,
        PutIntegrationResponse => integration::put_response,
        GetIntegrationResponse => integration::get_response,
        UpdateIntegrationResponse => integration::update_response,
        DeleteIntegrationResponse => integration::delete_response,
        CreateModel => model::create,
        GetModel => model::get,
        GetModels => model::list,
        UpdateModel => model::update,
        DeleteModel => model::delete,
        CreateRequestValidator => model::create_validator,
        GetRequestValidator => model::get_validator,
        GetRequestValidators => model::list_validators,
        UpdateRequestValidator => model::update_validator,
        DeleteRequestValidator => model::delete_validator,
        PutGatewayResponse => gateway_response::put,
        GetGatewayResponse => gateway_response::get,
        GetGatewayResponses => gateway_response::list,
        UpdateGatewayResponse => gateway_response::update,
        DeleteGatewayResponse => gateway_response::delete,
    )
}

fn deployments(service: Service) -> Service {
    serve!(service,
        CreateDeployment => deployment::create,
        GetDeployment => deployment::get,
        GetDeployments => deployment::list,
        UpdateDeployment => deployment::update,
        DeleteDeployment => deployment::delete,
        CreateStage => stage::create,
        GetStage => stage::get,
        GetStages => stage::list,
        UpdateStage => stage::update,
        DeleteStage => stage::delete,
        FlushStageCache => stage::flush_cache,
    )
}

fn documentation(service: Service) -> Service {
    serve!(service,
        CreateDocumentationPart => documentation::create,
        GetDocumentationPart => documentation::get,
        GetDocumentationParts => documentation::list,
        UpdateDocumentationPart => documentation::update,
        DeleteDocumentationPart => documentation::delete,
        ImportDocumentationParts => documentation::import,
        CreateDocumentationVersion => documentation_version::create,
        GetDocumentationVersion => documentation_version::get,
        GetDocumentationVersions => documentation_version::list,
        UpdateDocumentationVersion => documentation_version::update,
        DeleteDocumentationVersion => documentation_version::delete,
        GetExport => export::get,
    )
}

fn policies(service: Service) -> Service {
    serve!(service,
        CreateAuthorizer => authorizer::create,
        GetAuthorizer => authorizer::get,
        GetAuthorizers => authorizer::list,
        UpdateAuthorizer => authorizer::update,
        DeleteAuthorizer => authorizer::delete,
        CreateApiKey => api_key::create,
        GetApiKey => api_key::get,
        GetApiKeys => api_key::list,
        UpdateApiKey => api_key::update,
        DeleteApiKey => api_key::delete,
        ImportApiKeys => api_key::import,
        CreateUsagePlan => usage_plan::create,
        GetUsagePlan => usage_plan::get,
        GetUsagePlans => usage_plan::list,
        UpdateUsagePlan => usage_plan::update,
        DeleteUsagePlan => usage_plan::delete,
        CreateUsagePlanKey => usage_plan::create_key,
        GetUsagePlanKey => usage_plan::get_key,
        GetUsagePlanKeys => usage_plan::list_keys,
        DeleteUsagePlanKey => usage_plan::delete_key,
        GetUsage => usage_plan::get_usage,
        UpdateUsage => usage_plan::update_usage,
    )
}

fn domains(service: Service) -> Service {
    serve!(service,
        GetAccount => tags::get_account,
        UpdateAccount => tags::update_account,
        TagResource => tags::tag,
        UntagResource => tags::untag,
        GetTags => tags::get,
        CreateDomainName => domain::create,
        GetDomainName => domain::get,
        GetDomainNames => domain::list,
        UpdateDomainName => domain::update,
        DeleteDomainName => domain::delete,
        CreateBasePathMapping => domain::create_mapping,
        GetBasePathMapping => domain::get_mapping,
        GetBasePathMappings => domain::list_mappings,
        UpdateBasePathMapping => domain::update_mapping,
        DeleteBasePathMapping => domain::delete_mapping,
    )
}
