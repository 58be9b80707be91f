//! Authorizers of a REST API.

use crate::fault::{Fault, Result, expect};
use crate::intrinsics::sub_with;
use crate::value::{Map, Text, Value, legacy_map, list, map};
use crate::world::World;

const DEFINITION: &str = "x-amazon-apigateway-authorizer";

/// One authorizer, as an API's `Auth` declares it.
pub struct Authorizer {
    pub name: Text,
    config: Value,
    is_iam: bool,
}

/// Which party decides.
enum Decider {
    Iam,
    UserPool,
    Function,
}

/// The authorizers of an API in the order of a Python 2.7 dictionary.
pub fn authorizers(id: &str, config: &Value, default: &Value) -> Result<Vec<Authorizer>> {
    let mut order = Map::legacy();
    if default.as_str() == Some("AWS_IAM")
        && let Some(name) = default.as_text()
    {
        order.set(name, true);
    }
    if config.truthy() {
        for (name, authorizer) in expect(config, id, "Auth.Authorizers").map()?.iter() {
            let path = format!("Auth.Authorizers.{name}");
            expect(authorizer, id, &path).map()?;
            check(id, name, authorizer)?;
            order.set(name, authorizer);
        }
    }
    Ok(order
        .iter()
        .map(|(name, config)| Authorizer {
            name: name.clone(),
            is_iam: config.is_bool(),
            config: config.clone(),
        })
        .collect())
}

fn check(id: &str, name: &Text, config: &Value) -> Result<()> {
    let payload = config.at("FunctionPayloadType");
    if !payload.is_null() && !matches!(payload.as_str(), Some("TOKEN" | "REQUEST")) {
        let printed = crate::value::str_of(payload);
        return Err(Fault::resource(
            id,
            format!("{name} Authorizer has invalid 'FunctionPayloadType': {printed}."),
        ));
    }
    if payload.as_str() == Some("REQUEST") && lacks_identity(id, name, config.at("Identity"))? {
        return Err(Fault::resource(
            id,
            format!(
                "{name} Authorizer must specify Identity with at least one of Headers, \
                 QueryStrings, StageVariables, or Context."
            ),
        ));
    }
    let scopes = config.at("AuthorizationScopes");
    if !scopes.is_null() {
        expect(scopes, id, &format!("Authorizers.{name}.AuthorizationScopes")).list()?;
    }
    let disable = config.at("DisableFunctionDefaultPermissions");
    if !disable.is_null() {
        let path = format!("Authorizers.{name}.DisableFunctionDefaultPermissions");
        expect(disable, id, &path).boolean()?;
    }
    Ok(())
}

/// Whether a request authorizer names no part of the request; it need not when it caches nothing.
fn lacks_identity(id: &str, name: &Text, identity: &Value) -> Result<bool> {
    if !identity.truthy() {
        return Ok(true);
    }
    let identity = expect(identity, id, &format!("Authorizer.{name}.Identity")).map()?;
    let lacks = ["Headers", "QueryStrings", "StageVariables", "Context"]
        .iter()
        .all(|part| !identity.at(part).truthy());
    let ttl = match identity.at("ReauthorizeEvery") {
        Value::Number(number) => number.as_f64(),
        Value::Str(text) => text.as_str().trim().parse::<i64>().ok().map(|ttl| ttl as f64),
        _ => None,
    };
    Ok(lacks && ttl.is_none_or(|ttl| ttl > 0.0))
}

impl Authorizer {
    fn at(&self, name: &str) -> &Value {
        self.config.at(name)
    }

    pub fn scopes(&self) -> Value {
        let scopes = self.at("AuthorizationScopes");
        if scopes.is_null() { list![] } else { scopes.clone() }
    }

    /// The function to which API Gateway must be let, if any.
    pub fn permitted_function(&self) -> Option<&Value> {
        let function = self.at("FunctionArn");
        let wanted = function.truthy() && !self.at("DisableFunctionDefaultPermissions").truthy();
        wanted.then_some(function)
    }

    fn decider(&self) -> Decider {
        if self.is_iam {
            Decider::Iam
        } else if self.at("UserPoolArn").truthy() {
            Decider::UserPool
        } else {
            Decider::Function
        }
    }

    fn takes_request(&self) -> bool {
        self.at("FunctionPayloadType").as_str() == Some("REQUEST")
    }

    /// Its form in the API's definition.
    pub fn definition(&self, id: &str, world: &World<'_>) -> Result<Map> {
        let decider = self.decider();
        let mut definition = legacy_map! {
            "type" => "apiKey",
            "name" => self.header(id, &decider)?,
            "in" => "header",
            "x-amazon-apigateway-authtype" => match decider {
                Decider::Iam => "awsSigv4",
                Decider::UserPool => "cognito_user_pools",
                Decider::Function => "custom",
            },
        };
        let mut own = match decider {
            Decider::Iam => return Ok(definition),
            Decider::UserPool => {
                let pools = match self.at("UserPoolArn") {
                    pools @ Value::List(_) => pools.clone(),
                    pool => list![pool],
                };
                legacy_map! { "type" => "cognito_user_pools", "providerARNs" => pools }
            }
            Decider::Function => self.function_definition(id, world)?,
        };
        let validates = matches!(decider, Decider::UserPool) || !self.takes_request();
        let expression = self.at("Identity").at("ValidationExpression");
        if validates && expression.truthy() {
            own.set("identityValidationExpression", expression);
        }
        definition.set(DEFINITION, own);
        Ok(definition)
    }

    fn header(&self, id: &str, decider: &Decider) -> Result<Value> {
        if matches!(decider, Decider::Function) && self.takes_request() {
            return Ok("Unused".into());
        }
        let identity = self.at("Identity");
        if identity.truthy() && !identity.is_map() {
            return Err(Fault::resource(
                id,
                "Auth.Authorizers.<Authorizer>.Identity must be a dict \
                 (LambdaTokenAuthorizationIdentity, LambdaRequestAuthorizationIdentity or \
                 CognitoAuthorizationIdentity).",
            ));
        }
        Ok(identity.at("Header").or(|| "Authorization".into()))
    }

    fn function_definition(&self, id: &str, world: &World<'_>) -> Result<Map> {
        let request = self.takes_request();
        let mut own = legacy_map! { "type" => if request { "request" } else { "token" } };
        let path = "lambda:path/2015-03-31/functions/${__FunctionArn__}/invocations";
        let variables = map! { "__FunctionArn__" => self.at("FunctionArn") };
        let uri = world.arn_without_account("apigateway", path);
        own.set("authorizerUri", sub_with(uri, variables));
        let ttl = self.at("Identity").at("ReauthorizeEvery");
        if !ttl.is_null() {
            own.set("authorizerResultTtlInSeconds", ttl);
        }
        let role = self.at("FunctionInvokeRole");
        if role.truthy() && role.as_str() != Some("NONE") {
            own.set("authorizerCredentials", role);
        }
        if request {
            let source = self.identity_source(id)?;
            if !source.as_str().is_empty() {
                own.set("identitySource", source);
            }
        }
        Ok(own)
    }

    /// The parts of the request that identify the caller, as API Gateway lists them.
    fn identity_source(&self, id: &str) -> Result<Text> {
        let mut parts = Vec::new();
        let mut unicode = false;
        for (property, prefix) in [
            ("Headers", "method.request.header."),
            ("QueryStrings", "method.request.querystring."),
            ("StageVariables", "stageVariables."),
            ("Context", "context."),
        ] {
            let values = self.at("Identity").at(property);
            if !values.truthy() {
                continue;
            }
            let path = format!("Auth.Authorizers.{}.Identity.{property}", self.name);
            for value in expect(values, id, &path).list_of_strings()? {
                unicode |= value.as_text().is_some_and(Text::is_unicode);
                parts.push(format!("{prefix}{}", value.as_str().unwrap_or_default()));
            }
        }
        let source = parts.join(", ");
        Ok(if unicode { Text::unicode(&source) } else { Text::plain(&source) })
    }
}
