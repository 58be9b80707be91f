//! Authorizers of an HTTP API.

use crate::fault::{Fault, Result, expect};
use crate::intrinsics::{reference, sub_with};
use crate::resource::{Resource, Source};
use crate::value::{Map, Text, Value, list, map};
use crate::world::{World, arn};

const DEFINITION: &str = "x-amazon-apigateway-authorizer";
/// Members, and whose they are.
const MEMBERS: [(&str, &str); 9] = [
    ("AuthorizationScopes", "OAuth2 Authorizer"),
    ("JwtConfiguration", "OAuth2 Authorizer"),
    (
        "IdentitySource",
        "OAuth2 Authorizer. For Lambda Authorizer, use the 'Identity' property instead",
    ),
    ("FunctionArn", "Lambda Authorizer"),
    ("FunctionInvokeRole", "Lambda Authorizer"),
    ("Identity", "Lambda Authorizer"),
    ("AuthorizerPayloadFormatVersion", "Lambda Authorizer"),
    ("EnableSimpleResponses", "Lambda Authorizer"),
    ("EnableFunctionDefaultPermissions", "Lambda Authorizer"),
];

/// One authorizer, as an API's `Auth` declares it.
pub struct Authorizer {
    pub name: Text,
    /// Null for IAM's.
    config: Value,
}

/// The authorizers of an API.
pub fn authorizers(id: &str, auth: &Map) -> Result<Vec<Authorizer>> {
    let mut all = Map::new();
    if *auth.at("EnableIamAuthorizer") == Value::Bool(true) {
        all.set("AWS_IAM", Value::Null);
    }
    let declared = auth.at("Authorizers");
    if declared.truthy() {
        for (name, config) in expect(declared, id, "Auth.Authorizers").map()?.iter() {
            let path = format!("Auth.Authorizers.{name}");
            let config_map = expect(config, id, &path).map()?;
            if config_map.contains("OpenIdConnectUrl") {
                return Err(Fault::resource(
                    id,
                    format!(
                        "'OpenIdConnectUrl' is no longer a supported property for authorizer '{name}'. Please refer to the AWS SAM documentation."
                    ),
                ));
            }
            check(id, name, config)?;
            all.set(name, config);
        }
    }
    Ok(all
        .iter()
        .map(|(name, config)| Authorizer { name: name.clone(), config: config.clone() })
        .collect())
}

fn check(id: &str, name: &Text, config: &Value) -> Result<()> {
    let fault = |message: String| Err(Fault::resource(id, message));
    let jwt = config.at("JwtConfiguration");
    if jwt.truthy() {
        expect(jwt, id, "JwtConfiguration").map()?;
    }
    let scopes = config.at("AuthorizationScopes");
    if !scopes.is_null() && !scopes.is_list() {
        return fault("AuthorizationScopes must be a list.".to_owned());
    }
    let kind = if jwt.truthy() { "OAuth2 Authorizer" } else { "Lambda Authorizer" };
    for (member, whose) in MEMBERS {
        // An empty JwtConfiguration counts as none.
        let given = !config.at(member).is_null() && (member != "JwtConfiguration" || jwt.truthy());
        if given && !whose.starts_with(kind) {
            return fault(format!("{member} is only supported for {whose}."));
        }
    }
    if jwt.truthy() {
        if !config.at("IdentitySource").truthy() {
            return fault(format!("{name} {kind} must define 'IdentitySource'."));
        }
        return Ok(());
    }
    for member in ["FunctionArn", "AuthorizerPayloadFormatVersion"] {
        if !config.at(member).truthy() {
            return fault(format!("{name} {kind} must define '{member}'."));
        }
    }
    let permissions = config.at("EnableFunctionDefaultPermissions");
    if !permissions.is_null() {
        let path = format!("Authorizers.{name}.EnableFunctionDefaultPermissions");
        expect(permissions, id, &path).boolean()?;
    }
    Ok(())
}

impl Authorizer {
    pub fn scopes(&self) -> Value {
        let scopes = self.config.at("AuthorizationScopes");
        if scopes.is_null() { list![] } else { scopes.clone() }
    }

    /// Its form in the API's definition.
    pub fn definition(&self, id: &str, world: &World<'_>) -> Result<Map> {
        if self.config.is_null() {
            return Ok(map! {
                "type" => "apiKey",
                "name" => "Authorization",
                "in" => "header",
                "x-amazon-apigateway-authtype" => "awsSigv4",
            });
        }
        if let Some(jwt) = self.config.at("JwtConfiguration").as_map().filter(|jwt| !jwt.is_empty())
        {
            let jwt: Map = jwt
                .iter()
                .map(|(key, value)| (key.as_str().to_lowercase(), value.clone()))
                .collect();
            let own = map! {
                "jwtConfiguration" => jwt,
                "identitySource" => self.config.at("IdentitySource"),
                "type" => "jwt",
            };
            return Ok(map! { "type" => "oauth2", DEFINITION => own });
        }
        Ok(map! {
            "type" => "apiKey",
            "name" => "Unused",
            "in" => "header",
            DEFINITION => self.function_definition(id, world)?,
        })
    }

    fn function_definition(&self, id: &str, world: &World<'_>) -> Result<Map> {
        let path = "lambda:path/2015-03-31/functions/${__FunctionArn__}/invocations";
        let variables = map! { "__FunctionArn__" => self.config.at("FunctionArn") };
        let uri = world.arn_without_account("apigateway", path);
        let mut own = map! { "type" => "request", "authorizerUri" => sub_with(uri, variables) };
        let role = self.config.at("FunctionInvokeRole");
        if role.truthy() && role.as_str() != Some("NONE") {
            own.set("authorizerCredentials", role);
        }
        let identity = self.config.at("Identity");
        if identity.truthy() {
            let path = format!("Auth.Authorizers.{}.Identity", self.name);
            let identity = expect(identity, id, &path).map()?;
            if !identity.at("ReauthorizeEvery").is_null() {
                own.set("authorizerResultTtlInSeconds", identity.at("ReauthorizeEvery"));
            }
            own.set("identitySource", self.identity_source(id, identity)?);
        }
        let version = self.config.at("AuthorizerPayloadFormatVersion");
        own.set("authorizerPayloadFormatVersion", version);
        let simple = self.config.at("EnableSimpleResponses");
        if simple.truthy() {
            own.set("enableSimpleResponses", simple);
        }
        Ok(own)
    }

    fn identity_source(&self, id: &str, identity: &Map) -> Result<Vec<Value>> {
        let mut source = Vec::new();
        for (prefix, property) in [
            ("$request.header.", "Headers"),
            ("$request.querystring.", "QueryStrings"),
            ("$stageVariables.", "StageVariables"),
            ("$context.", "Context"),
        ] {
            let values = identity.at(property);
            if !values.truthy() {
                continue;
            }
            let path = format!("Authorizers.{}.Identity.{property}", self.name);
            for value in expect(values, id, &path).list_of_strings()? {
                source.push(format!("{prefix}{}", value.as_str().unwrap_or_default()).into());
            }
        }
        Ok(source)
    }
}

/// Lets API Gateway invoke the authorizers that ask for it.
pub fn permissions(source: &Source) -> Result<Vec<Resource>> {
    let Some(auth) = source.at("Auth").as_map().filter(|auth| !auth.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut permissions = Vec::new();
    for authorizer in authorizers(source.id.as_str(), auth)? {
        let config = &authorizer.config;
        if config.at("FunctionArn").truthy()
            && config.at("EnableFunctionDefaultPermissions").truthy()
        {
            let id = source.id.plus(&format!("{}AuthorizerPermission", authorizer.name));
            let api = reference(&source.id);
            permissions.push(
                permission(id, config.at("FunctionArn"), api)?.with_attributes(&source.inherited()),
            );
        }
    }
    Ok(permissions)
}

/// Lets API Gateway invoke an authorizer of `api`.
pub fn permission(id: Text, function: &Value, api: Value) -> Result<Resource> {
    let source = arn("${AWS::Partition}", "execute-api", "${__ApiId__}/authorizers/*");
    Ok(Resource::new("AWS::Lambda::Permission", id)?
        .with("Action", "lambda:InvokeFunction")
        .with("FunctionName", function)
        .with("Principal", "apigateway.amazonaws.com")
        .with("SourceArn", sub_with(source, map! { "__ApiId__" => api })))
}
