//! REST APIs: create, get, list, update, delete, clone.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request};
use crate::patch::{self, Patch};
use crate::state::{APIS, RestApiRecord};
use crate::{document, ids, page, policy, rules, shapes, tags};

const TYPES: [&str; 3] = ["REGIONAL", "EDGE", "PRIVATE"];

pub async fn create(ctx: Ctx, input: api::CreateRestApiInput) -> Result<api::CreateRestApiOutput> {
    let clone_from = input.clone_from.clone();
    let record = new(&ctx, input)?;
    let created: RestApiRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let document = match &clone_from {
            None => document::empty(&ctx, record.clone()),
            Some(source) => {
                let Some(source) = document::read(txn, ctx.scope(), source).await? else {
                    return Err(errors::api(ctx.account(), source));
                };
                let mut record = record.clone();
                record.binary_media_types.clone_from(&source.api.binary_media_types);
                record.policy = record.policy.or_else(|| source.api.policy.clone());
                document::copy(&ctx, source, record)
            }
        };
        document::create(&ctx, txn, &document);
        document.api
    })?;
    Ok(shapes::rest_api(&ctx, created))
}

/// Recorded: `test_create_rest_api_with_optional_params`, `test_create_rest_api_private_type`.
fn new(ctx: &Ctx, input: api::CreateRestApiInput) -> Result<RestApiRecord> {
    if input.description.as_deref() == Some("") {
        return Err(bad_request("Description cannot be an empty string"));
    }
    if input.name.is_empty() {
        return Err(bad_request("Name must be non-empty"));
    }
    let size = rules::compression_size(input.minimum_compression_size.map(i64::from))?;
    let endpoint = input.endpoint_configuration.unwrap_or_default();
    let (endpoint_type, ip_address_type) = endpoint_of(&endpoint)?;
    // An empty text is no policy: Serverless Framework's templates say so.
    let policy = input.policy.filter(|text| !text.is_empty());
    policy.as_deref().map_or(Ok(()), policy::check)?;
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    Ok(RestApiRecord {
        id: ids::long(ctx),
        name: input.name,
        description: input.description,
        created: ctx.now(),
        version: input.version,
        binary_media_types: input.binary_media_types.unwrap_or_default(),
        minimum_compression_size: size,
        api_key_source: input.api_key_source.map_or("HEADER".to_owned(), |s| s.to_string()),
        endpoint_type,
        ip_address_type,
        vpc_endpoint_ids: endpoint.vpc_endpoint_ids.unwrap_or_default(),
        policy,
        tags,
        disable_execute_api_endpoint: input.disable_execute_api_endpoint.unwrap_or_default(),
        root_resource_id: ids::long(ctx),
        security_policy: input.security_policy.map(|p| p.to_string()),
        endpoint_access_mode: input.endpoint_access_mode.map(|m| m.to_string()),
        warnings: Vec::new(),
    })
}

/// The endpoint's type and its kind of addresses.
pub fn endpoint_of(endpoint: &api::EndpointConfiguration) -> Result<(String, String)> {
    let kind = match endpoint.types.as_deref() {
        None => "EDGE".to_owned(),
        Some([]) => {
            return Err(bad_request(
                "REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.",
            ));
        }
        Some([one]) => one.to_string(),
        Some(_) => return Err(bad_request("Cannot create an api with multiple Endpoint Types.")),
    };
    let private = kind == "PRIVATE";
    let addresses = match &endpoint.ip_address_type {
        Some(given) => given.to_string(),
        None => if private { "dualstack" } else { "ipv4" }.to_owned(),
    };
    if private && addresses == "ipv4" {
        return Err(bad_request("Only dualstack ipAddressType is supported for Private APIs."));
    }
    Ok((kind, addresses))
}

pub async fn get(ctx: Ctx, input: api::GetRestApiInput) -> Result<api::GetRestApiOutput> {
    let record = load(&ctx, &input.rest_api_id).await?;
    Ok(shapes::rest_api(&ctx, record))
}

pub async fn load(ctx: &Ctx, api_id: &str) -> Result<RestApiRecord> {
    let found = APIS.get(ctx.store(), ctx.scope(), api_id).await?;
    found.ok_or_else(|| errors::api(ctx.account(), api_id))
}

pub async fn list(ctx: Ctx, input: api::GetRestApisInput) -> Result<api::GetRestApisOutput> {
    let all = APIS.list(ctx.scope(), ()).read(ctx.store()).await?;
    let mut all: Vec<RestApiRecord> = all.into_iter().map(|(_, record)| record).collect();
    all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(|record| shapes::rest_api(&ctx, record)).collect();
    Ok(api::GetRestApisOutput { position: page.position, items: Some(items) })
}

pub async fn delete(ctx: Ctx, input: api::DeleteRestApiInput) -> Result<api::DeleteRestApiOutput> {
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        document::delete(&ctx, txn, &input.rest_api_id).await?;
        api::DeleteRestApiOutput::default()
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateRestApiInput) -> Result<api::UpdateRestApiOutput> {
    let patches = patch::read(input.patch_operations)?;
    let api_id = input.rest_api_id.as_str();
    let record: RestApiRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = APIS.get(txn, ctx.scope(), api_id).await?;
        let Some(mut record) = found else { return Err(errors::api(ctx.account(), api_id)) };
        for patch in &patches {
            change(&mut record, patch)?;
        }
        APIS.put(txn, ctx.scope(), api_id, &record);
        record
    })?;
    let tags = record.tags.clone();
    // Recorded: an update shows the tags even if there are none.
    Ok(api::RestApi { tags: Some(tags), ..shapes::rest_api(&ctx, record) })
}

/// <https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html>
fn change(record: &mut RestApiRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["name"] => {
            patch.replace_only()?;
            record.name = patch.text().to_owned();
        }
        ["description"] if patch.removes() => record.description = None,
        ["description"] => record.description = patch.some(),
        ["version"] => record.version = patch.some(),
        ["apiKeySource"] => {
            patch.replace_only()?;
            let source = patch.text();
            if source != "HEADER" && source != "AUTHORIZER" {
                return Err(bad_request(
                    "Invalid api key source specified. Valid options are HEADER,AUTHORIZER",
                ));
            }
            record.api_key_source = source.to_owned();
        }
        ["binaryMediaTypes", kind] => {
            patch::change_list(&mut record.binary_media_types, patch, kind);
        }
        ["minimumCompressionSize"] => {
            patch.replace_only()?;
            let size = patch.some().map(|text| text.parse().unwrap_or(-1));
            record.minimum_compression_size = rules::compression_size(size)?;
        }
        ["policy"] => {
            record.policy = patch.some().filter(|_| !patch.removes());
            record.policy.as_deref().map_or(Ok(()), policy::check)?;
        }
        ["disableExecuteApiEndpoint"] => {
            patch.replace_only()?;
            record.disable_execute_api_endpoint = patch.truth();
        }
        ["endpointConfiguration", rest @ ..] => return change_endpoint(record, patch, rest),
        ["securityPolicy"] => record.security_policy = patch.some(),
        ["endpointAccessMode"] => record.endpoint_access_mode = patch.some(),
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

/// Recorded: `test_update_rest_api_ip_address_type`.
fn change_endpoint(record: &mut RestApiRecord, patch: &Patch, rest: &[&str]) -> Result<()> {
    match rest {
        ["types", _] => {
            let kind = patch.text();
            if patch.op != api::Op::Replace {
                return Err(bad_request(
                    "Invalid patch operation specified. Must be 'add'|'remove'|'replace'",
                ));
            }
            if !TYPES.contains(&kind) {
                return Err(bad_request(
                    "Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE",
                ));
            }
            if kind == "PRIVATE" {
                "dualstack".clone_into(&mut record.ip_address_type);
            }
            kind.clone_into(&mut record.endpoint_type);
        }
        ["ipAddressType"] => {
            patch.replace_only()?;
            let kind = patch.text();
            if kind != "ipv4" && kind != "dualstack" {
                return Err(bad_request("ipAddressType must be either ipv4 or dualstack."));
            }
            if record.endpoint_type == "PRIVATE" && kind == "ipv4" {
                return Err(bad_request(
                    "Only dualstack ipAddressType is supported for Private APIs.",
                ));
            }
            kind.clone_into(&mut record.ip_address_type);
        }
        ["vpcEndpointIds"] => {
            let id = patch.text().to_owned();
            patch::change_list(&mut record.vpc_endpoint_ids, patch, &id);
        }
        ["vpcEndpointIds", id] => patch::change_list(&mut record.vpc_endpoint_ids, patch, id),
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}
