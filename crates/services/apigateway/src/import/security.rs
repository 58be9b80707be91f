//! Security schemes of a definition: API keys, IAM, authorizers.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authorizer.html>

use std::collections::BTreeMap;

use serde_json::Value;
use sereno_kernel::{Ctx, Result};

use super::{list, text};
use crate::authorizer::default_ttl_s;
use crate::errors::bad_request;
use crate::ids;
use crate::state::{ApiDocument, AuthorizerRecord, MethodRecord};

enum Scheme {
    ApiKey,
    Iam,
    Authorizer { id: String, kind: &'static str },
}

/// The schemes by name.
pub struct Schemes(BTreeMap<String, Scheme>);

impl Schemes {
    /// Reads them; authorizers become part of `base`.
    pub fn read(ctx: &Ctx, root: &Value, base: &mut ApiDocument) -> Result<Schemes> {
        let schemes = root
            .get("securityDefinitions")
            .or_else(|| root.get("components")?.get("securitySchemes"))
            .and_then(Value::as_object);
        let mut read = BTreeMap::new();
        for (name, scheme) in schemes.into_iter().flatten() {
            let auth_type = text(scheme, "x-amazon-apigateway-authtype");
            let found = if let Some(authorizer) = scheme.get("x-amazon-apigateway-authorizer") {
                let record = authorizer_record(name, scheme, authorizer, auth_type)?;
                let kind = match record.kind.as_str() {
                    "COGNITO_USER_POOLS" => "COGNITO_USER_POOLS",
                    _ => "CUSTOM",
                };
                Scheme::Authorizer { id: keep(ctx, record, base), kind }
            } else if auth_type.is_some_and(|kind| kind.eq_ignore_ascii_case("awsSigv4")) {
                Scheme::Iam
            } else if text(scheme, "type").as_deref() == Some("apiKey")
                && text(scheme, "name").is_some_and(|name| name.eq_ignore_ascii_case("x-api-key"))
            {
                Scheme::ApiKey
            } else {
                continue;
            };
            read.insert(name.clone(), found);
        }
        Ok(Schemes(read))
    }

    /// What an operation's `security` asks for, or the definition's own where the operation has none.
    /// Recorded: `test_import_with_global_api_key_authorizer`.
    pub fn apply(&self, root: &Value, operation: &Value, method: &mut MethodRecord) {
        "NONE".clone_into(&mut method.authorization_type);
        if let Some(auth) = operation.get("x-amazon-apigateway-auth")
            && let Some(kind) = text(auth, "type")
        {
            method.authorization_type = kind.to_uppercase();
        }
        let needs = operation.get("security").or_else(|| root.get("security"));
        let needs = needs.and_then(Value::as_array).into_iter().flatten();
        for (name, scopes) in needs.filter_map(Value::as_object).flatten() {
            match self.0.get(name) {
                Some(Scheme::ApiKey) => method.api_key_required = true,
                Some(Scheme::Iam) => "AWS_IAM".clone_into(&mut method.authorization_type),
                Some(Scheme::Authorizer { id, kind }) => {
                    (*kind).clone_into(&mut method.authorization_type);
                    method.authorizer_id = Some(id.clone());
                    let scopes = scopes.as_array().into_iter().flatten();
                    method.authorization_scopes =
                        scopes.filter_map(Value::as_str).map(str::to_owned).collect();
                }
                None => {}
            }
        }
    }
}

/// Puts an authorizer in the place of the one of the same name; answers its id.
fn keep(ctx: &Ctx, mut record: AuthorizerRecord, base: &mut ApiDocument) -> String {
    let known = base.authorizers.iter_mut().find(|known| known.name == record.name);
    match known {
        Some(known) => {
            record.id.clone_from(&known.id);
            *known = record;
            known.id.clone()
        }
        None => {
            record.id = ids::short(ctx);
            let id = record.id.clone();
            base.authorizers.push(record);
            id
        }
    }
}

fn authorizer_record(
    name: &str,
    scheme: &Value,
    authorizer: &Value,
    auth_type: Option<String>,
) -> Result<AuthorizerRecord> {
    let kind = text(authorizer, "type").unwrap_or_else(|| "token".to_owned()).to_uppercase();
    if !["TOKEN", "REQUEST", "COGNITO_USER_POOLS"].contains(&kind.as_str()) {
        return Err(bad_request(format!("Invalid authorizer type specified: {kind}")));
    }
    // A token is read from the header that the scheme names.
    let header = text(scheme, "name").unwrap_or_else(|| "Authorization".to_owned());
    let from_scheme = (kind != "REQUEST").then(|| format!("method.request.header.{header}"));
    let ttl = authorizer.get("authorizerResultTtlInSeconds").and_then(Value::as_i64);
    Ok(AuthorizerRecord {
        id: String::new(),
        name: name.to_owned(),
        provider_arns: list(authorizer, "providerARNs"),
        auth_type,
        uri: text(authorizer, "authorizerUri"),
        credentials: text(authorizer, "authorizerCredentials"),
        identity_source: text(authorizer, "identitySource").or(from_scheme),
        validation_expression: text(authorizer, "identityValidationExpression"),
        ttl_s: ttl.and_then(|ttl| i32::try_from(ttl).ok()).or_else(|| default_ttl_s(&kind)),
        kind,
    })
}
