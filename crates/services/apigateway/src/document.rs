//! An API as a whole: read and written in one transaction.

use std::collections::BTreeMap;

use sereno_kernel::{Ctx, Result};
use sereno_store::{Read, Scope, Txn, Write};

use crate::errors;
use crate::state::{
    API_OWNERS, APIS, AUTHORIZERS, ApiDocument, DEPLOYMENTS, DOCUMENTATION_PARTS,
    DOCUMENTATION_VERSIONS, GATEWAY_RESPONSES, MODELS, ModelRecord, OwnerRecord, RESOURCES,
    ResourceRecord, RestApiRecord, SNAPSHOTS, STAGES, VALIDATORS,
};
use crate::{ids, rules};

/// Most resources of an API.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
pub const RESOURCES_MAX: usize = 300;

/// Every part of an API; `None` if there is no such API.
pub async fn read<R: Read + ?Sized>(
    read: &R,
    scope: Scope,
    api_id: &str,
) -> Result<Option<ApiDocument>> {
    let Some(api) = APIS.get(read, scope, api_id).await? else { return Ok(None) };
    let values = |list: Vec<((String, String), _)>| list.into_iter().map(|(_, v)| v).collect();
    let resources = RESOURCES.list(scope, (api_id,)).read(read).await?;
    let mut resources: Vec<ResourceRecord> = resources.into_iter().map(|(_, v)| v).collect();
    resources.sort_by(|a, b| a.path.cmp(&b.path));
    let models = MODELS.list(scope, (api_id,)).read(read).await?;
    let models: Vec<ModelRecord> = values(models);
    let validators = VALIDATORS.list(scope, (api_id,)).read(read).await?;
    let authorizers = AUTHORIZERS.list(scope, (api_id,)).read(read).await?;
    let responses = GATEWAY_RESPONSES.list(scope, (api_id,)).read(read).await?;
    let documentation = DOCUMENTATION_PARTS.list(scope, (api_id,)).read(read).await?;
    Ok(Some(ApiDocument {
        api,
        resources,
        models,
        validators: validators.into_iter().map(|(_, v)| v).collect(),
        authorizers: authorizers.into_iter().map(|(_, v)| v).collect(),
        gateway_responses: responses.into_iter().map(|(_, v)| v).collect(),
        documentation: documentation.into_iter().map(|(_, v)| v).collect(),
    }))
}

/// Writes every part of an API.
pub fn write<W: Write + ?Sized>(write: &mut W, scope: Scope, document: &ApiDocument) {
    let api_id = document.api.id.as_str();
    APIS.put(write, scope, api_id, &document.api);
    for resource in &document.resources {
        RESOURCES.put(write, scope, &(api_id, resource.id.as_str()), resource);
    }
    for model in &document.models {
        MODELS.put(write, scope, &(api_id, model.name.as_str()), model);
    }
    for validator in &document.validators {
        VALIDATORS.put(write, scope, &(api_id, validator.id.as_str()), validator);
    }
    for authorizer in &document.authorizers {
        AUTHORIZERS.put(write, scope, &(api_id, authorizer.id.as_str()), authorizer);
    }
    for response in &document.gateway_responses {
        GATEWAY_RESPONSES.put(write, scope, &(api_id, response.kind.as_str()), response);
    }
    for part in &document.documentation {
        DOCUMENTATION_PARTS.put(write, scope, &(api_id, part.id.as_str()), part);
    }
}

/// Removes what `before` has, so that [`write`] can put a new whole in its place.
pub fn erase<W: Write + ?Sized>(write: &mut W, scope: Scope, before: &ApiDocument) {
    let api_id = before.api.id.as_str();
    for resource in &before.resources {
        RESOURCES.delete(write, scope, &(api_id, resource.id.as_str()));
    }
    for model in &before.models {
        MODELS.delete(write, scope, &(api_id, model.name.as_str()));
    }
    for validator in &before.validators {
        VALIDATORS.delete(write, scope, &(api_id, validator.id.as_str()));
    }
    for authorizer in &before.authorizers {
        AUTHORIZERS.delete(write, scope, &(api_id, authorizer.id.as_str()));
    }
    for response in &before.gateway_responses {
        GATEWAY_RESPONSES.delete(write, scope, &(api_id, response.kind.as_str()));
    }
    for part in &before.documentation {
        DOCUMENTATION_PARTS.delete(write, scope, &(api_id, part.id.as_str()));
    }
}

/// Puts a new API and its owner.
pub fn create(ctx: &Ctx, txn: &mut Txn, document: &ApiDocument) {
    let owner = OwnerRecord {
        account: ctx.account().to_string(),
        region: ctx.region().as_str().to_owned(),
    };
    API_OWNERS.put(txn, Scope::GLOBAL, document.api.id.as_str(), &owner);
    write(txn, ctx.scope(), document);
}

/// Removes an API with its stages and deployments.
pub async fn delete(ctx: &Ctx, txn: &mut Txn, api_id: &str) -> Result<()> {
    let scope = ctx.scope();
    let Some(document) = read(txn, scope, api_id).await? else {
        return Err(errors::api(ctx.account(), api_id));
    };
    erase(txn, scope, &document);
    for (key, _) in STAGES.list(scope, (api_id,)).read(txn).await? {
        STAGES.delete(txn, scope, &key);
    }
    for (key, _) in DEPLOYMENTS.list(scope, (api_id,)).read(txn).await? {
        DEPLOYMENTS.delete(txn, scope, &key);
        SNAPSHOTS.delete(txn, scope, &key);
    }
    for (key, _) in DOCUMENTATION_VERSIONS.list(scope, (api_id,)).read(txn).await? {
        DOCUMENTATION_VERSIONS.delete(txn, scope, &key);
    }
    APIS.delete(txn, scope, api_id);
    API_OWNERS.delete(txn, Scope::GLOBAL, api_id);
    Ok(())
}

/// An API with nothing in it but its root and the two models that every API begins with.
pub fn empty(ctx: &Ctx, api: RestApiRecord) -> ApiDocument {
    let root = ResourceRecord {
        id: api.root_resource_id.clone(),
        path: "/".to_owned(),
        ..ResourceRecord::default()
    };
    ApiDocument {
        api,
        resources: vec![root],
        models: default_models(ctx),
        ..ApiDocument::default()
    }
}

/// Recorded: `test_model_lifecycle`.
pub fn default_models(ctx: &Ctx) -> Vec<ModelRecord> {
    let model = |name: &str, what: &str, rest: &str| ModelRecord {
        id: ids::short(ctx),
        name: name.to_owned(),
        description: Some(format!("This is a default {what} schema model")),
        schema: Some(format!(
            "{{\n  \"$schema\" : \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"{name} Schema\",\n  \"type\" : \"object\"{rest}\n}}"
        )),
        content_type: "application/json".to_owned(),
    };
    let message = ",\n  \"properties\" : {\n    \"message\" : { \"type\" : \"string\" }\n  }";
    vec![model("Empty", "empty", ""), model("Error", "error", message)]
}

/// A copy under another id: everything inside gets ids of its own.
pub fn copy(ctx: &Ctx, mut document: ApiDocument, api: RestApiRecord) -> ApiDocument {
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut rename = |id: &mut String, new: String| {
        renamed.insert(std::mem::replace(id, new.clone()), new);
    };
    for resource in &mut document.resources {
        let root = resource.parent_id.is_none();
        rename(&mut resource.id, if root { api.root_resource_id.clone() } else { ids::short(ctx) });
    }
    for validator in &mut document.validators {
        rename(&mut validator.id, ids::short(ctx));
    }
    for authorizer in &mut document.authorizers {
        rename(&mut authorizer.id, ids::short(ctx));
    }
    for model in &mut document.models {
        model.id = ids::short(ctx);
    }
    for part in &mut document.documentation {
        part.id = ids::short(ctx);
    }
    let follow = |id: &mut Option<String>| {
        if let Some(id) = id
            && let Some(new) = renamed.get(id)
        {
            id.clone_from(new);
        }
    };
    for resource in &mut document.resources {
        follow(&mut resource.parent_id);
        for method in resource.methods.values_mut() {
            follow(&mut method.authorizer_id);
            follow(&mut method.request_validator_id);
        }
    }
    document.api = api;
    document
}

/// Sets each resource's path from its parents'. A resource whose parent is gone keeps its path.
pub fn repath(resources: &mut [ResourceRecord]) {
    let by_id: BTreeMap<String, (Option<String>, Option<String>)> = resources
        .iter()
        .map(|r| (r.id.clone(), (r.parent_id.clone(), r.path_part.clone())))
        .collect();
    for resource in resources {
        if let Some(path) = rules::path_of(&resource.id, &by_id) {
            resource.path = path;
        }
    }
}
