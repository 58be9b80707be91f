//! Gateway responses: what the gateway itself answers.
//!
//! A type that is not set shows the default of its family (`DEFAULT_4XX`, `DEFAULT_5XX`) if that is
//! set. Recorded: `test_gateway_response_put`, `test_gateway_response_crud`.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request, not_found};
use crate::patch::{self, Patch};
use crate::state::{APIS, GATEWAY_RESPONSES, GatewayResponseRecord};

/// Every type with its status, sorted; `DEFAULT_*` have none of their own.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>
pub const TYPES: [(&str, Option<u16>); 21] = [
    ("ACCESS_DENIED", Some(403)),
    ("API_CONFIGURATION_ERROR", Some(500)),
    ("AUTHORIZER_CONFIGURATION_ERROR", Some(500)),
    ("AUTHORIZER_FAILURE", Some(500)),
    ("BAD_REQUEST_BODY", Some(400)),
    ("BAD_REQUEST_PARAMETERS", Some(400)),
    ("DEFAULT_4XX", None),
    ("DEFAULT_5XX", None),
    ("EXPIRED_TOKEN", Some(403)),
    ("INTEGRATION_FAILURE", Some(504)),
    ("INTEGRATION_TIMEOUT", Some(504)),
    ("INVALID_API_KEY", Some(403)),
    ("INVALID_SIGNATURE", Some(403)),
    ("MISSING_AUTHENTICATION_TOKEN", Some(403)),
    ("QUOTA_EXCEEDED", Some(429)),
    ("REQUEST_TOO_LARGE", Some(413)),
    ("RESOURCE_NOT_FOUND", Some(404)),
    ("THROTTLED", Some(429)),
    ("UNAUTHORIZED", Some(401)),
    ("UNSUPPORTED_MEDIA_TYPE", Some(415)),
    ("WAF_FILTERED", Some(403)),
];

pub const TEMPLATE: &str = "{\"message\":$context.error.messageString}";

pub fn status_of(kind: &str) -> Option<u16> {
    TYPES.iter().find(|(name, _)| *name == kind).and_then(|(_, status)| *status)
}

/// The family's default of a type.
pub fn family(kind: &str) -> Option<&'static str> {
    Some(if status_of(kind)? < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" })
}

/// What a type answers with: its own record, its family's, or the built-in one.
pub fn effective(
    set: &BTreeMap<String, GatewayResponseRecord>,
    kind: &str,
) -> GatewayResponseRecord {
    let own = set.get(kind);
    let from = own.or_else(|| set.get(family(kind)?));
    let mut record = from.cloned().unwrap_or_else(|| GatewayResponseRecord {
        templates: BTreeMap::from([("application/json".to_owned(), TEMPLATE.to_owned())]),
        ..GatewayResponseRecord::default()
    });
    kind.clone_into(&mut record.kind);
    record.status = record.status.or_else(|| status_of(kind).map(|status| status.to_string()));
    record
}

fn shown(set: &BTreeMap<String, GatewayResponseRecord>, kind: &str) -> api::GatewayResponse {
    let record = effective(set, kind);
    api::GatewayResponse {
        response_type: Some(kind.into()),
        status_code: record.status,
        response_parameters: Some(record.parameters),
        response_templates: Some(record.templates),
        default_response: Some(!set.contains_key(kind)),
    }
}

async fn all<R: sereno_store::Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    api_id: &str,
) -> Result<BTreeMap<String, GatewayResponseRecord>> {
    if APIS.get(read, ctx.scope(), api_id).await?.is_none() {
        return Err(errors::api(ctx.account(), api_id));
    }
    let all = GATEWAY_RESPONSES.list(ctx.scope(), (api_id,)).read(read).await?;
    Ok(all.into_iter().map(|((_, kind), record)| (kind, record)).collect())
}

pub async fn put(
    ctx: Ctx,
    input: api::PutGatewayResponseInput,
) -> Result<api::PutGatewayResponseOutput> {
    let (api_id, kind) = (input.rest_api_id.as_str(), input.response_type.to_string());
    let templates = input.response_templates.filter(|templates| !templates.is_empty());
    let record = GatewayResponseRecord {
        kind: kind.clone(),
        status: input.status_code,
        parameters: input.response_parameters.unwrap_or_default(),
        templates: templates.unwrap_or_else(|| {
            BTreeMap::from([("application/json".to_owned(), TEMPLATE.to_owned())])
        }),
    };
    check(&record)?;
    let mut set = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let set = all(&ctx, txn, api_id).await?;
        GATEWAY_RESPONSES.put(txn, ctx.scope(), &(api_id, kind.as_str()), &record);
        set
    })?;
    set.insert(kind.clone(), record);
    Ok(shown(&set, &kind))
}

fn check(record: &GatewayResponseRecord) -> Result<()> {
    for (target, source) in &record.parameters {
        let quoted = source.len() >= 2 && source.starts_with('\'') && source.ends_with('\'');
        let known = quoted
            || ["method.request.header.", "method.request.querystring.", "method.request.path."]
                .iter()
                .any(|prefix| source.starts_with(prefix))
            || source.starts_with("method.request.multivalue")
            || source.starts_with("context.")
            || source.starts_with("stageVariables.");
        if !target.starts_with("gatewayresponse.header.") || !known {
            return Err(bad_request(format!(
                "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: {}]",
                if known { target } else { source }
            )));
        }
    }
    Ok(())
}

pub async fn get(
    ctx: Ctx,
    input: api::GetGatewayResponseInput,
) -> Result<api::GetGatewayResponseOutput> {
    let set = all(&ctx, ctx.store(), &input.rest_api_id).await?;
    Ok(shown(&set, input.response_type.as_str()))
}

pub async fn list(
    ctx: Ctx,
    input: api::GetGatewayResponsesInput,
) -> Result<api::GetGatewayResponsesOutput> {
    let set = all(&ctx, ctx.store(), &input.rest_api_id).await?;
    let items = TYPES.iter().map(|(kind, _)| shown(&set, kind)).collect();
    Ok(api::GetGatewayResponsesOutput { position: None, items: Some(items) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteGatewayResponseInput,
) -> Result<api::DeleteGatewayResponseOutput> {
    let (api_id, kind) = (input.rest_api_id.as_str(), input.response_type.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if all(&ctx, txn, api_id).await?.remove(kind).is_none() {
            return Err(errors::gateway_response());
        }
        GATEWAY_RESPONSES.delete(txn, ctx.scope(), &(api_id, kind));
        api::DeleteGatewayResponseOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateGatewayResponseInput,
) -> Result<api::UpdateGatewayResponseOutput> {
    let (api_id, kind) = (input.rest_api_id.as_str(), input.response_type.as_str());
    let operations = input.patch_operations;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut set = all(&ctx, txn, api_id).await?;
        let patches = patch::read(operations.clone())?;
        let mut record = effective(&set, kind);
        if !set.contains_key(kind) {
            record.status = status_of(kind).map(|status| status.to_string());
        }
        for patch in &patches {
            change(&mut record, patch)?;
        }
        check(&record)?;
        GATEWAY_RESPONSES.put(txn, ctx.scope(), &(api_id, kind), &record);
        set.insert(kind.to_owned(), record);
        shown(&set, kind)
    })
}

/// Recorded: `test_update_gateway_response`.
fn change(record: &mut GatewayResponseRecord, patch: &Patch) -> Result<()> {
    let parts = patch.parts();
    let (map, what) = match parts.as_slice() {
        ["statusCode"] if patch.op == api::Op::Replace => {
            record.status = patch.some();
            return Ok(());
        }
        ["responseParameters", _] => (&mut record.parameters, "responseParameters"),
        ["responseTemplates", _] => (&mut record.templates, "responseTemplates"),
        _ => return Err(patch.bad_path()),
    };
    let name = parts[1];
    let known = map.contains_key(name);
    if patch.op != api::Op::Add && !known {
        return Err(not_found("Invalid parameter name specified"));
    }
    if patch.removes() {
        map.remove(name);
        return Ok(());
    }
    let Some(value) = patch.some() else {
        return Err(bad_request(format!("Invalid null or empty value in {what}")));
    };
    map.insert(name.to_owned(), value);
    Ok(())
}
