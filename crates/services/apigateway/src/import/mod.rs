//! Import of API definitions: Swagger 2 and OpenAPI 3, JSON and YAML, with API Gateway's extensions.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-import-api.html>. The definition is read into
//! a whole [`ApiDocument`], which then takes the place of what was there, or is laid over it (`mode=merge`).

mod definition;
mod integration;
mod method;
mod security;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request};
use crate::state::{ApiDocument, RestApiRecord};
use crate::{document, ids, role, shapes};
use definition::Definition;

/// AWS's limit: <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>.
const DEFINITION_BYTES_MAX: usize = 6 << 20;

pub async fn create(ctx: Ctx, input: api::ImportRestApiInput) -> Result<api::ImportRestApiOutput> {
    let parameters = input.parameters.unwrap_or_default();
    let definition = Definition::read(parse(&input.body)?, &parameters)?;
    let record = RestApiRecord {
        id: ids::long(&ctx),
        created: ctx.now(),
        api_key_source: "HEADER".to_owned(),
        endpoint_type: "EDGE".to_owned(),
        ip_address_type: "ipv4".to_owned(),
        root_resource_id: ids::long(&ctx),
        ..RestApiRecord::default()
    };
    let document = definition.apply(&ctx, bare(&ctx, record))?;
    check_warnings(&document, input.fail_on_warnings)?;
    pass_roles(&ctx, &document).await?;
    transact!(ctx.store(), Error, |txn| {
        document::create(&ctx, txn, &document);
    })?;
    Ok(shapes::rest_api(&ctx, document.api))
}

pub async fn put(ctx: Ctx, input: api::PutRestApiInput) -> Result<api::PutRestApiOutput> {
    let parameters = input.parameters.clone().unwrap_or_default();
    let definition = Definition::read(parse(&input.body)?, &parameters)?;
    let api_id = input.rest_api_id.as_str();
    let document: ApiDocument = transact!(ctx.store(), Error, |txn| {
        let Some(before) = document::read(txn, ctx.scope(), api_id).await? else {
            return Err(errors::api(ctx.account(), api_id));
        };
        let base = match input.mode {
            Some(api::PutMode::Overwrite) => emptied(&ctx, &before),
            _ => before.clone(),
        };
        let after = definition.apply(&ctx, base)?;
        check_warnings(&after, input.fail_on_warnings)?;
        pass_roles(&ctx, &after).await?;
        document::erase(txn, ctx.scope(), &before);
        document::write(txn, ctx.scope(), &after);
        after
    })?;
    // Tags are shown even if there are none (recorded: `test_put_rest_api_mode_binary_media_types`).
    let tags = document.api.tags.clone();
    Ok(api::RestApi { tags: Some(tags), ..shapes::rest_api(&ctx, document.api) })
}

/// What stays of an API whose definition is replaced: who it is, and what no definition says.
fn emptied(ctx: &Ctx, before: &ApiDocument) -> ApiDocument {
    let mut api = before.api.clone();
    api.binary_media_types.clear();
    api.minimum_compression_size = None;
    bare(ctx, api)
}

/// An API without even the default models: a definition says them all.
/// Recorded: `test_import_and_validate_rest_api`.
fn bare(ctx: &Ctx, api: RestApiRecord) -> ApiDocument {
    ApiDocument { models: Vec::new(), ..document::empty(ctx, api) }
}

/// Every role that the definition names, each once.
async fn pass_roles(ctx: &Ctx, document: &ApiDocument) -> Result<()> {
    let methods = document.resources.iter().flat_map(|resource| resource.methods.values());
    let integrations = methods.filter_map(|method| method.integration.as_ref());
    let roles: BTreeSet<&String> = integrations
        .filter_map(|integration| integration.credentials.as_ref())
        .chain(document.authorizers.iter().filter_map(|a| a.credentials.as_ref()))
        .collect();
    for arn in roles {
        role::pass(ctx, Some(arn)).await?;
    }
    Ok(())
}

fn check_warnings(document: &ApiDocument, fail: Option<bool>) -> Result<()> {
    let warnings = &document.api.warnings;
    if fail == Some(true) && !warnings.is_empty() {
        let message = format!("Warnings found during import:\n\t{}", warnings.join("\n\t"));
        return Err(bad_request(message));
    }
    Ok(())
}

pub fn parse(body: &[u8]) -> Result<Value> {
    let malformed = || {
        // Recorded: `test_import_api_bad_file`.
        bad_request("Invalid OpenAPI input.")
    };
    if body.len() > DEFINITION_BYTES_MAX {
        return Err(bad_request("The API definition is larger than 6 MB."));
    }
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|_| malformed());
    }
    let parsed = sereno_template::text::parse(text).map_err(|_| malformed())?;
    if parsed.is_object() { Ok(parsed) } else { Err(malformed()) }
}

/// A text of a definition's object.
fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// A map of texts; numbers and booleans count as texts.
fn texts(value: &Value, name: &str) -> BTreeMap<String, String> {
    let entries = value.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), plain(value))).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A template that is null is there and empty.
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A list of texts.
fn list(value: &Value, name: &str) -> Vec<String> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_be_a_number() {
        let read = |text: &str| Definition::read(parse(text.as_bytes()).unwrap(), &BTreeMap::new());
        assert!(read("swagger: 2.0\ninfo: {title: x}\n").is_ok());
        assert!(read(r#"{"openapi": "3.0.1", "info": {"title": "x"}}"#).is_ok());
        assert!(read("swagger: 1.2\n").is_err());
    }

    #[test]
    fn null_is_an_empty_template() {
        let integration = parse(b"responseTemplates: {application/json: null}").unwrap();
        assert_eq!(texts(&integration, "responseTemplates")["application/json"], "");
    }

    #[test]
    fn json_and_yaml_read_the_same() {
        let yaml = parse(b"swagger: '2.0'\ninfo: {title: x}\n").unwrap();
        let json = parse(br#"{"swagger": "2.0", "info": {"title": "x"}}"#).unwrap();
        assert_eq!(yaml, json);
        for bad in [&b"{"[..], b"", b"- a\n", b"\xff"] {
            assert!(parse(bad).is_err());
        }
    }
}
