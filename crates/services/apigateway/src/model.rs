//! Models (JSON schemas) and request validators.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request, conflict};
use crate::patch;
use crate::state::{APIS, MODELS, ModelRecord, RESOURCES, VALIDATORS, ValidatorRecord};
use crate::{ids, page, rest_api, schema, shapes};

const EMPTY_SCHEMA: &str = "Model schema must have at least 1 property or array items defined";

pub async fn create(ctx: Ctx, input: api::CreateModelInput) -> Result<api::CreateModelOutput> {
    let api_id = input.rest_api_id.as_str();
    let record = ModelRecord {
        id: ids::short(&ctx),
        name: input.name,
        description: input.description.filter(|text| !text.is_empty()),
        schema: input.schema,
        content_type: input.content_type,
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(errors::api(ctx.account(), api_id));
        }
        check(&record)?;
        let key = (api_id, record.name.as_str());
        if MODELS.get(txn, ctx.scope(), &key).await?.is_some() {
            return Err(conflict("Model name already exists for this REST API"));
        }
        MODELS.put(txn, ctx.scope(), &key, &record);
    })?;
    Ok(shapes::model(record))
}

/// Recorded: `test_model_validation`.
pub fn check(record: &ModelRecord) -> Result<()> {
    if record.name.is_empty() {
        return Err(bad_request("Model name must be non-empty"));
    }
    if !record.name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(bad_request(format!("Model name must be alphanumeric: {}", record.name)));
    }
    check_schema(record.schema.as_deref(), &record.content_type)
}

fn check_schema(text: Option<&str>, content_type: &str) -> Result<()> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(bad_request(EMPTY_SCHEMA));
    };
    if content_type.contains("json") {
        schema::check(text).map_err(|why| {
            bad_request(format!(
                "Invalid model specified: Validation Result: warnings : [], errors : [{why}]"
            ))
        })?;
    }
    Ok(())
}

pub async fn get(ctx: Ctx, input: api::GetModelInput) -> Result<api::GetModelOutput> {
    let (api_id, name) = (input.rest_api_id.as_str(), input.model_name.as_str());
    let found = MODELS.get(ctx.store(), ctx.scope(), &(api_id, name)).await?;
    let record = found.ok_or_else(|| errors::model(name))?;
    if input.flatten == Some(true) && record.schema.as_deref().is_some_and(|s| s.contains("$ref")) {
        return Err(errors::unsupported("flattening a model that refers to others"));
    }
    Ok(shapes::model(record))
}

pub async fn list(ctx: Ctx, input: api::GetModelsInput) -> Result<api::GetModelsOutput> {
    rest_api::load(&ctx, &input.rest_api_id).await?;
    let all = MODELS.list(ctx.scope(), (input.rest_api_id.as_str(),)).read(ctx.store()).await?;
    let all: Vec<ModelRecord> = all.into_iter().map(|(_, record)| record).collect();
    let page = page::cut(all, |record| &record.name, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shapes::model).collect();
    Ok(api::GetModelsOutput { position: page.position, items: Some(items) })
}

/// A model that a method uses stays (recorded: `test_put_method_model`).
pub async fn delete(ctx: Ctx, input: api::DeleteModelInput) -> Result<api::DeleteModelOutput> {
    let (api_id, name) = (input.rest_api_id.as_str(), input.model_name.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if MODELS.get(txn, ctx.scope(), &(api_id, name)).await?.is_none() {
            return Err(errors::model(name));
        }
        for (_, resource) in RESOURCES.list(ctx.scope(), (api_id,)).read(txn).await? {
            for (verb, method) in &resource.methods {
                let place = if method.request_models.values().any(|model| model == name) {
                    "request"
                } else if method.responses.values().any(|r| r.models.values().any(|m| m == name)) {
                    "response"
                } else {
                    continue;
                };
                let path = resource.path.trim_end_matches('/');
                let path = if path.is_empty() { "/" } else { path };
                return Err(conflict(format!(
                    "Cannot delete model '{name}', is referenced in method {place}: {path}/{verb}"
                )));
            }
        }
        MODELS.delete(txn, ctx.scope(), &(api_id, name));
        api::DeleteModelOutput::default()
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateModelInput) -> Result<api::UpdateModelOutput> {
    let patches = patch::read(input.patch_operations)?;
    let (api_id, name) = (input.rest_api_id.as_str(), input.model_name.as_str());
    let record: ModelRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = MODELS.get(txn, ctx.scope(), &(api_id, name)).await?;
        let mut record = found.ok_or_else(|| errors::model(name))?;
        for patch in &patches {
            patch.replace_one_of(&["/description", "/schema"])?;
            if patch.path == "/description" {
                record.description = patch.some();
            } else {
                record.schema = patch.some();
            }
        }
        check_schema(record.schema.as_deref(), &record.content_type)?;
        MODELS.put(txn, ctx.scope(), &(api_id, name), &record);
        record
    })?;
    Ok(shapes::model(record))
}

pub async fn create_validator(
    ctx: Ctx,
    input: api::CreateRequestValidatorInput,
) -> Result<api::CreateRequestValidatorOutput> {
    let api_id = input.rest_api_id.as_str();
    let record = ValidatorRecord {
        id: ids::short(&ctx),
        name: input.name,
        body: input.validate_request_body.unwrap_or_default(),
        parameters: input.validate_request_parameters.unwrap_or_default(),
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(bad_request("Invalid REST API identifier specified"));
        }
        VALIDATORS.put(txn, ctx.scope(), &(api_id, record.id.as_str()), &record);
    })?;
    Ok(shapes::validator(record))
}

pub async fn get_validator(
    ctx: Ctx,
    input: api::GetRequestValidatorInput,
) -> Result<api::GetRequestValidatorOutput> {
    let key = (input.rest_api_id.as_str(), input.request_validator_id.as_str());
    let found = VALIDATORS.get(ctx.store(), ctx.scope(), &key).await?;
    Ok(shapes::validator(found.ok_or_else(errors::validator)?))
}

pub async fn list_validators(
    ctx: Ctx,
    input: api::GetRequestValidatorsInput,
) -> Result<api::GetRequestValidatorsOutput> {
    rest_api::load(&ctx, &input.rest_api_id).await?;
    let all = VALIDATORS.list(ctx.scope(), (input.rest_api_id.as_str(),)).read(ctx.store()).await?;
    let all: Vec<ValidatorRecord> = all.into_iter().map(|(_, record)| record).collect();
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shapes::validator).collect();
    Ok(api::GetRequestValidatorsOutput { position: page.position, items: Some(items) })
}

pub async fn delete_validator(
    ctx: Ctx,
    input: api::DeleteRequestValidatorInput,
) -> Result<api::DeleteRequestValidatorOutput> {
    let key = (input.rest_api_id.as_str(), input.request_validator_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if VALIDATORS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::validator());
        }
        for (_, resource) in RESOURCES.list(ctx.scope(), (key.0,)).read(txn).await? {
            let used = |(_, m): &(_, &crate::state::MethodRecord)| {
                m.request_validator_id.as_deref() == Some(key.1)
            };
            if let Some((verb, _)) = resource.methods.iter().find(used) {
                let path = resource.path.trim_end_matches('/');
                return Err(conflict(format!(
                    "Cannot delete request validator '{}', is referenced in method: {path}/{verb}",
                    key.1
                )));
            }
        }
        VALIDATORS.delete(txn, ctx.scope(), &key);
        api::DeleteRequestValidatorOutput::default()
    })
}

/// Recorded: `test_invalid_update_request_validator_operations`.
pub async fn update_validator(
    ctx: Ctx,
    input: api::UpdateRequestValidatorInput,
) -> Result<api::UpdateRequestValidatorOutput> {
    let patches = patch::read(input.patch_operations)?;
    let key = (input.rest_api_id.as_str(), input.request_validator_id.as_str());
    let record: ValidatorRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = VALIDATORS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::validator)?;
        for patch in &patches {
            patch.replace_one_of(&[
                "/name",
                "/validateRequestParameters",
                "/validateRequestBody",
            ])?;
            match patch.path.as_str() {
                "/validateRequestBody" => record.body = patch.truth(),
                "/validateRequestParameters" => record.parameters = patch.truth(),
                _ if patch.text().is_empty() => {
                    return Err(bad_request("Request Validator name cannot be blank"));
                }
                _ => record.name = patch.some(),
            }
        }
        VALIDATORS.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shapes::validator(record))
}
