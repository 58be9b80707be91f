//! Authorizers: Lambda functions (TOKEN, REQUEST) and Cognito user pools.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request, conflict};
use crate::patch::{self, Patch};
use crate::state::{APIS, AUTHORIZERS, AuthorizerRecord, MethodRecord, RESOURCES};
use crate::{ids, page, rest_api, role, shapes};

const TTL_S_DEFAULT: i32 = 300;
const TTL_S_MAX: i32 = 3600;

pub async fn create(
    ctx: Ctx,
    input: api::CreateAuthorizerInput,
) -> Result<api::CreateAuthorizerOutput> {
    if input.jwt_configuration.is_some() || input.r#type == api::AuthorizerType::Jwt {
        return Err(errors::unsupported("JWT authorizers of REST APIs"));
    }
    let kind = input.r#type.to_string();
    let auth_type = input.auth_type.unwrap_or_else(|| default_auth_type(&kind).to_owned());
    let record = AuthorizerRecord {
        id: ids::short(&ctx),
        name: input.name,
        provider_arns: input.provider_ar_ns.unwrap_or_default(),
        auth_type: Some(auth_type),
        uri: input.authorizer_uri.filter(|text| !text.is_empty()),
        credentials: input.authorizer_credentials.filter(|text| !text.is_empty()),
        identity_source: input.identity_source.filter(|text| !text.is_empty()),
        validation_expression: input.identity_validation_expression,
        ttl_s: input.authorizer_result_ttl_in_seconds.or_else(|| default_ttl_s(&kind)),
        kind,
    };
    role::pass(&ctx, record.credentials.as_deref()).await?;
    let api_id = input.rest_api_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        // AWS's own words for an API that is not there (recorded: test_authorizer_crud_no_api).
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(conflict(
                "Unable to complete operation due to concurrent modification. Please try again later.",
            ));
        }
        check(&record)?;
        let all = AUTHORIZERS.list(ctx.scope(), (api_id,)).read(txn).await?;
        if all.iter().any(|(_, other)| other.name == record.name) {
            return Err(bad_request(
                "Authorizer name must be unique. Authorizer with same name already exists",
            ));
        }
        AUTHORIZERS.put(txn, ctx.scope(), &(api_id, record.id.as_str()), &record);
    })?;
    Ok(shapes::authorizer(record))
}

pub fn default_auth_type(kind: &str) -> &'static str {
    if kind == "COGNITO_USER_POOLS" { "cognito_user_pools" } else { "custom" }
}

pub fn default_ttl_s(kind: &str) -> Option<i32> {
    (kind != "COGNITO_USER_POOLS").then_some(TTL_S_DEFAULT)
}

/// <https://docs.aws.amazon.com/apigateway/latest/api/API_CreateAuthorizer.html>
pub fn check(record: &AuthorizerRecord) -> Result<()> {
    if record.name.is_empty() {
        return Err(bad_request("Authorizer name must be non-empty"));
    }
    if let Some(ttl) = record.ttl_s
        && !(0..=TTL_S_MAX).contains(&ttl)
    {
        return Err(bad_request(format!(
            "Authorizer result TTL must be between 0 and {TTL_S_MAX} seconds"
        )));
    }
    let caches = record.ttl_s.unwrap_or_default() > 0;
    match record.kind.as_str() {
        "COGNITO_USER_POOLS" if record.provider_arns.is_empty() => {
            return Err(bad_request(
                "Invalid Authorizer. COGNITO_USER_POOLS authorizers require at least one provider ARN",
            ));
        }
        "COGNITO_USER_POOLS" => {}
        kind => {
            let uri = record.uri.as_deref().unwrap_or_default();
            let path = uri.splitn(6, ':').nth(5).unwrap_or_default();
            if !uri.starts_with("arn:") || !path.starts_with("path/") {
                return Err(bad_request(format!(
                    "Invalid Authorizer URI: {uri}. Authorizer URI should be a valid API Gateway ARN that represents a Lambda function invocation."
                )));
            }
            if kind == "TOKEN" && record.identity_source.is_none() {
                return Err(bad_request(
                    "Identity source must be specified for authorizers of type TOKEN",
                ));
            }
            if kind == "REQUEST" && caches && record.identity_source.is_none() {
                return Err(bad_request(
                    "Identity source must be specified for authorizers of type REQUEST when caching is enabled",
                ));
            }
        }
    }
    for source in sources(record) {
        let known = [
            "method.request.header.",
            "method.request.querystring.",
            "stageVariables.",
            "context.",
        ];
        if !known.iter().any(|prefix| source.starts_with(prefix)) {
            return Err(bad_request(format!("Invalid identity source specified: {source}")));
        }
    }
    if let Some(pattern) = &record.validation_expression
        && regex::Regex::new(pattern).is_err()
    {
        return Err(bad_request(format!("Invalid identity validation expression: {pattern}")));
    }
    Ok(())
}

/// The parts of a comma-separated identity source.
pub fn sources(record: &AuthorizerRecord) -> impl Iterator<Item = &str> {
    let source = record.identity_source.as_deref().unwrap_or_default();
    source.split(',').map(str::trim).filter(|source| !source.is_empty())
}

pub async fn load(ctx: &Ctx, api_id: &str, id: &str) -> Result<AuthorizerRecord> {
    let found = AUTHORIZERS.get(ctx.store(), ctx.scope(), &(api_id, id)).await?;
    found.ok_or_else(errors::authorizer)
}

pub async fn get(ctx: Ctx, input: api::GetAuthorizerInput) -> Result<api::GetAuthorizerOutput> {
    let record = load(&ctx, &input.rest_api_id, &input.authorizer_id).await?;
    Ok(shapes::authorizer(record))
}

pub async fn list(ctx: Ctx, input: api::GetAuthorizersInput) -> Result<api::GetAuthorizersOutput> {
    let api_id = input.rest_api_id.as_str();
    rest_api::load(&ctx, api_id).await?;
    let all = AUTHORIZERS.list(ctx.scope(), (api_id,)).read(ctx.store()).await?;
    let all: Vec<AuthorizerRecord> = all.into_iter().map(|(_, record)| record).collect();
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shapes::authorizer).collect();
    Ok(api::GetAuthorizersOutput { position: page.position, items: Some(items) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteAuthorizerInput,
) -> Result<api::DeleteAuthorizerOutput> {
    let key = (input.rest_api_id.as_str(), input.authorizer_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if AUTHORIZERS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::authorizer());
        }
        for (_, resource) in RESOURCES.list(ctx.scope(), (key.0,)).read(txn).await? {
            let used = |method: &MethodRecord| method.authorizer_id.as_deref() == Some(key.1);
            if let Some((verb, _)) = resource.methods.iter().find(|(_, method)| used(method)) {
                return Err(conflict(format!(
                    "Cannot delete authorizer '{}', is referenced in method: {}/{verb}",
                    key.1, resource.path
                )));
            }
        }
        AUTHORIZERS.delete(txn, ctx.scope(), &key);
        api::DeleteAuthorizerOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateAuthorizerInput,
) -> Result<api::UpdateAuthorizerOutput> {
    let patches = patch::read(input.patch_operations)?;
    role::pass_patched(&ctx, &patches, "/authorizerCredentials").await?;
    let key = (input.rest_api_id.as_str(), input.authorizer_id.as_str());
    let record: AuthorizerRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = AUTHORIZERS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::authorizer)?;
        for patch in &patches {
            change(&mut record, patch)?;
        }
        check(&record)?;
        AUTHORIZERS.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shapes::authorizer(record))
}

fn change(record: &mut AuthorizerRecord, patch: &Patch) -> Result<()> {
    match patch.parts().as_slice() {
        ["name"] => patch.text().clone_into(&mut record.name),
        ["type"] => patch.text().clone_into(&mut record.kind),
        ["authType"] => record.auth_type = patch.some(),
        ["authorizerUri"] => record.uri = patch.some(),
        ["authorizerCredentials"] => record.credentials = patch.some().filter(|_| !patch.removes()),
        ["identitySource"] => record.identity_source = patch.some(),
        ["identityValidationExpression"] => {
            record.validation_expression = patch.some().filter(|_| !patch.removes());
        }
        ["authorizerResultTtlInSeconds"] => record.ttl_s = Some(patch.number()?),
        ["providerARNs"] => {
            let arn = patch.text().to_owned();
            patch::change_list(&mut record.provider_arns, patch, &arn);
        }
        // An ARN's slashes are not escaped by every client.
        ["providerARNs", arn @ ..] => {
            patch::change_list(&mut record.provider_arns, patch, &arn.join("/"));
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}
