//! Methods and what they answer with.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request, not_found};
use crate::patch::{self, Patch};
use crate::resource::{load as load_resource, put as put_resource};
use crate::state::{
    AUTHORIZERS, MODELS, MethodRecord, MethodResponseRecord, ResourceRecord, VALIDATORS,
};
use crate::{rules, shapes};

const AUTHORIZER_NEEDED: &str = "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.";

pub fn find<'a>(resource: &'a ResourceRecord, method: &str) -> Result<&'a MethodRecord> {
    resource.methods.get(method).ok_or_else(errors::method)
}

pub fn find_mut<'a>(
    resource: &'a mut ResourceRecord,
    method: &str,
) -> Result<&'a mut MethodRecord> {
    resource.methods.get_mut(method).ok_or_else(errors::method)
}

pub async fn put(ctx: Ctx, input: api::PutMethodInput) -> Result<api::PutMethodOutput> {
    let api_id = input.rest_api_id.as_str();
    let record: MethodRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        rules::http_method(&input.http_method)?;
        let record = MethodRecord {
            authorization_type: input.authorization_type.clone(),
            authorizer_id: input.authorizer_id.clone().filter(|id| !id.is_empty()),
            api_key_required: input.api_key_required.unwrap_or_default(),
            request_validator_id: input.request_validator_id.clone().filter(|id| !id.is_empty()),
            operation_name: input.operation_name.clone(),
            request_parameters: input.request_parameters.clone().unwrap_or_default(),
            request_models: input.request_models.clone().unwrap_or_default(),
            authorization_scopes: input.authorization_scopes.clone().unwrap_or_default(),
            ..MethodRecord::default()
        };
        let record = checked(&ctx, txn, api_id, record).await?;
        if resource.methods.contains_key(&input.http_method) {
            return Err(errors::conflict("Method already exists for this resource"));
        }
        resource.methods.insert(input.http_method.clone(), record.clone());
        put_resource(&ctx, txn, api_id, &resource);
        record
    })?;
    Ok(shapes::method(&input.http_method, record))
}

/// Everything that a method refers to must be there.
/// Recorded: `test_put_method_validation`, `test_update_method_validation`.
async fn checked(
    ctx: &Ctx,
    txn: &mut Txn,
    api_id: &str,
    mut record: MethodRecord,
) -> Result<MethodRecord> {
    // AWS takes any case (recorded: `test_rest_api_multi_region`).
    record.authorization_type.make_ascii_uppercase();
    match record.authorization_type.as_str() {
        "NONE" | "AWS_IAM" => record.authorizer_id = None,
        "CUSTOM" | "COGNITO_USER_POOLS" => {
            let id = record.authorizer_id.as_deref().unwrap_or_default();
            if AUTHORIZERS.get(txn, ctx.scope(), &(api_id, id)).await?.is_none() {
                return Err(bad_request(AUTHORIZER_NEEDED));
            }
        }
        other => {
            return Err(bad_request(format!(
                "Invalid authorization type specified: {other}. Valid options are NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS"
            )));
        }
    }
    if let Some(id) = &record.request_validator_id
        && VALIDATORS.get(txn, ctx.scope(), &(api_id, id.as_str())).await?.is_none()
    {
        return Err(bad_request("Invalid Request Validator identifier specified"));
    }
    for model in record.request_models.values() {
        model_exists(ctx, txn, api_id, model).await?;
    }
    rules::request_parameters(&record.request_parameters)?;
    Ok(record)
}

async fn model_exists(ctx: &Ctx, txn: &mut Txn, api_id: &str, model: &str) -> Result<()> {
    match MODELS.get(txn, ctx.scope(), &(api_id, model)).await? {
        Some(_) => Ok(()),
        None => Err(bad_request(format!("Invalid model identifier specified: {model}"))),
    }
}

pub async fn get(ctx: Ctx, input: api::GetMethodInput) -> Result<api::GetMethodOutput> {
    let api_id = input.rest_api_id.as_str();
    let resource = load_resource(&ctx, ctx.store(), api_id, &input.resource_id).await?;
    let record = find(&resource, &input.http_method)?.clone();
    Ok(shapes::method(&input.http_method, record))
}

pub async fn delete(ctx: Ctx, input: api::DeleteMethodInput) -> Result<api::DeleteMethodOutput> {
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        resource.methods.remove(&input.http_method).ok_or_else(errors::method)?;
        put_resource(&ctx, txn, api_id, &resource);
        api::DeleteMethodOutput::default()
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateMethodInput) -> Result<api::UpdateMethodOutput> {
    let patches = patch::read(input.patch_operations)?;
    let api_id = input.rest_api_id.as_str();
    let record: MethodRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let mut record = find(&resource, &input.http_method)?.clone();
        for patch in &patches {
            change(&mut record, patch)?;
        }
        let record = checked(&ctx, txn, api_id, record).await?;
        resource.methods.insert(input.http_method.clone(), record.clone());
        put_resource(&ctx, txn, api_id, &resource);
        record
    })?;
    Ok(shapes::method(&input.http_method, record))
}

fn change(record: &mut MethodRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["authorizationType"] => {
            patch.replace_only()?;
            patch.text().clone_into(&mut record.authorization_type);
        }
        ["authorizerId"] => {
            patch.replace_only()?;
            record.authorizer_id = patch.some();
        }
        ["apiKeyRequired"] => {
            patch.replace_only()?;
            record.api_key_required = patch.truth();
        }
        ["requestValidatorId"] => {
            patch.replace_only()?;
            record.request_validator_id = patch.some();
        }
        ["operationName"] => {
            patch.replace_only()?;
            record.operation_name = patch.some();
        }
        ["requestParameters", name] if patch.removes() => {
            record.request_parameters.remove(*name);
        }
        ["requestParameters", name] => {
            record.request_parameters.insert((*name).to_owned(), patch.truth());
        }
        ["requestModels", kind] if patch.removes() => {
            record.request_models.remove(*kind);
        }
        ["requestModels", kind] => {
            record.request_models.insert((*kind).to_owned(), patch.text().to_owned());
        }
        ["authorizationScopes"] => {
            let scope = patch.text().to_owned();
            patch::change_list(&mut record.authorization_scopes, patch, &scope);
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

pub async fn put_response(
    ctx: Ctx,
    input: api::PutMethodResponseInput,
) -> Result<api::PutMethodResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    let record = MethodResponseRecord {
        has_parameters: input.response_parameters.is_some(),
        has_models: input.response_models.is_some(),
        parameters: input.response_parameters.unwrap_or_default(),
        models: input.response_models.unwrap_or_default(),
    };
    response_parameters(&record.parameters)?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        find(&resource, &input.http_method)?;
        for model in record.models.values() {
            model_exists(&ctx, txn, api_id, model).await?;
        }
        let method = find_mut(&mut resource, &input.http_method)?;
        if method.responses.contains_key(&input.status_code) {
            return Err(errors::conflict("Response already exists for this resource"));
        }
        method.responses.insert(input.status_code.clone(), record.clone());
        put_resource(&ctx, txn, api_id, &resource);
    })?;
    Ok(shapes::method_response(&input.status_code, record))
}

fn response_parameters(parameters: &BTreeMap<String, bool>) -> Result<()> {
    match parameters.keys().find(|key| !key.starts_with("method.response.header.")) {
        None => Ok(()),
        Some(key) => Err(bad_request(format!("Invalid mapping expression specified: {key}"))),
    }
}

pub async fn get_response(
    ctx: Ctx,
    input: api::GetMethodResponseInput,
) -> Result<api::GetMethodResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    let resource = load_resource(&ctx, ctx.store(), api_id, &input.resource_id).await?;
    let method = find(&resource, &input.http_method)?;
    let record = method.responses.get(&input.status_code).ok_or_else(errors::response)?;
    Ok(shapes::method_response(&input.status_code, record.clone()))
}

pub async fn delete_response(
    ctx: Ctx,
    input: api::DeleteMethodResponseInput,
) -> Result<api::DeleteMethodResponseOutput> {
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        method.responses.remove(&input.status_code).ok_or_else(errors::response)?;
        put_resource(&ctx, txn, api_id, &resource);
        api::DeleteMethodResponseOutput::default()
    })
}

pub async fn update_response(
    ctx: Ctx,
    input: api::UpdateMethodResponseInput,
) -> Result<api::UpdateMethodResponseOutput> {
    let patches = patch::read(input.patch_operations)?;
    let api_id = input.rest_api_id.as_str();
    let record: MethodResponseRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut resource = load_resource(&ctx, txn, api_id, &input.resource_id).await?;
        let method = find_mut(&mut resource, &input.http_method)?;
        let record = method.responses.get_mut(&input.status_code).ok_or_else(errors::response)?;
        for patch in &patches {
            change_response(record, patch)?;
        }
        let record = record.clone();
        put_resource(&ctx, txn, api_id, &resource);
        record
    })?;
    Ok(shapes::method_response(&input.status_code, record))
}

/// Recorded: `test_update_method_response`, `test_update_method_wrong_param_names`.
fn change_response(record: &mut MethodResponseRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["responseParameters", name] => {
            let known = record.parameters.contains_key(*name);
            if patch.op != api::Op::Add && !known {
                return Err(not_found("Invalid parameter name specified"));
            }
            if patch.removes() {
                record.parameters.remove(*name);
            } else {
                record.parameters.insert((*name).to_owned(), patch.truth());
            }
            record.has_parameters = false;
        }
        ["responseModels", kind] => {
            if patch.op != api::Op::Add && !record.models.contains_key(*kind) {
                return Err(not_found("Content-Type specified was not found"));
            }
            if patch.removes() {
                record.models.remove(*kind);
            } else {
                record.models.insert((*kind).to_owned(), patch.text().to_owned());
            }
            record.has_models = false;
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}
