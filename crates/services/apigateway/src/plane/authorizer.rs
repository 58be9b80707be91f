//! Lambda authorizers: asked once per identity and remembered for their time to live.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use sereno_policy::validate::{IdentityKind, identity};
use sereno_policy::{Context, Effect, Policy, Principal, Request};

use super::backend::{self, Fault};
use super::call::Call;
use super::compiled::AuthorizerPlan;
use super::failure::Failure;
use super::mapping;
use crate::authorizer::sources;

/// Decisions beyond which all are forgotten.
const DECISIONS_MAX: usize = 50_000;

pub enum Verdict {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
}

/// What an authorizer said of an identity.
pub struct Decision {
    policy: Policy,
    /// The policy as the function gave it.
    pub document: String,
    /// `$context.authorizer`
    pub context: Map<String, Value>,
    usage_identifier: Option<String>,
}

/// Decisions and when they are no longer true, by API, stage, authorizer and identity.
#[derive(Default)]
pub struct Decisions(Mutex<HashMap<Key, (Arc<Decision>, i64)>>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    api_id: String,
    stage: String,
    deployment_id: String,
    authorizer_id: String,
    identity: Vec<String>,
}

impl Decisions {
    fn get(&self, key: &Key, now_ms: i64) -> Option<Arc<Decision>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (decision, until_ms) = known.get(key)?;
        (now_ms < *until_ms).then(|| Arc::clone(decision))
    }

    fn keep(&self, key: Key, decision: &Arc<Decision>, until_ms: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DECISIONS_MAX {
            known.clear();
        }
        known.insert(key, (Arc::clone(decision), until_ms));
    }

    /// `FlushStageAuthorizersCache`
    pub fn forget(&self, api_id: &str, stage: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| key.api_id != api_id || key.stage != stage);
    }
}

pub async fn decide(
    decisions: &Decisions,
    call: &mut Call,
    authorizer: &AuthorizerPlan,
) -> Result<Verdict, Failure> {
    let record = &authorizer.record;
    let identity = identity_of(call, authorizer)?;
    let ttl_s = i64::from(record.ttl_s.unwrap_or(300));
    let key = Key {
        api_id: call.api_id().to_owned(),
        stage: call.stage.name.clone(),
        deployment_id: call.deployment_id.clone(),
        authorizer_id: record.id.clone(),
        identity,
    };
    let caches = ttl_s > 0 && !key.identity.is_empty();
    let now_ms = call.time.millis();
    let known = if caches { decisions.get(&key, now_ms) } else { None };
    let decision = match known {
        Some(known) => known,
        None => {
            let token = key.identity.first().map(String::as_str);
            let decision = Arc::new(ask(call, authorizer, token).await?);
            if caches {
                decisions.keep(key, &decision, now_ms + ttl_s * 1000);
            }
            decision
        }
    };
    let verdict = judge(call, &decision.policy);
    call.authorizer = Some(decision.context.clone());
    call.identity.usage_identifier.clone_from(&decision.usage_identifier);
    Ok(verdict)
}

/// `TestInvokeAuthorizer`: always asks.
pub async fn test(call: &Call, authorizer: &AuthorizerPlan) -> Result<Decision, Failure> {
    let identity = identity_of(call, authorizer)?;
    ask(call, authorizer, identity.first().map(String::as_str)).await
}

/// The values of the identity sources; one that is missing is nobody's.
fn identity_of(call: &Call, authorizer: &AuthorizerPlan) -> Result<Vec<String>, Failure> {
    let mut values = Vec::new();
    for source in sources(&authorizer.record) {
        let source = source.strip_prefix('$').unwrap_or(source);
        let value = mapping::request_value(call, source).filter(|value| !value.is_empty());
        values.push(value.ok_or_else(Failure::unauthorized)?);
    }
    if authorizer.record.kind == "TOKEN" {
        let has_pattern =
            authorizer.record.validation_expression.as_ref().is_some_and(|text| !text.is_empty());
        let token = values.first().ok_or_else(Failure::unauthorized)?;
        let fits = authorizer.pattern.as_ref().is_some_and(|pattern| pattern.is_match(token));
        if has_pattern && !fits {
            return Err(Failure::unauthorized());
        }
    }
    Ok(values)
}

async fn ask(
    call: &Call,
    authorizer: &AuthorizerPlan,
    token: Option<&str>,
) -> Result<Decision, Failure> {
    let record = &authorizer.record;
    let method_arn = call.method_arn();
    let event = if record.kind == "TOKEN" {
        json!({"type": "TOKEN", "methodArn": method_arn, "authorizationToken": token})
    } else {
        backend::authorizer_event(call, &method_arn)
    };
    let source_arn =
        call.ctx.arn("execute-api", &format!("{}/authorizers/{}", call.api_id(), record.id));
    let uri = mapping::with_variables(record.uri.as_deref().unwrap_or_default(), call);
    let payload = event.to_string().into();
    let asked_ms = call.ctx.now().millis();
    let credentials = record.credentials.as_deref();
    let output = backend::invoke(call, &uri, credentials, &source_arn, None, payload).await;
    let output = output.map_err(|fault| match fault {
        Fault::Denied(error) | Fault::Other(error) => {
            Failure::authorizer_configuration(error.to_string())
        }
    })?;
    let latency_ms = call.ctx.now().millis() - asked_ms;
    read(&output.payload.unwrap_or_default(), latency_ms)
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html>
fn read(payload: &[u8], latency_ms: i64) -> Result<Decision, Failure> {
    let invalid = |why: &str| Failure::authorizer_configuration(why);
    let Ok(Value::Object(answer)) = serde_json::from_slice::<Value>(payload) else {
        return Err(invalid("the authorizer's answer is no JSON object"));
    };
    match answer.get("errorMessage").and_then(Value::as_str) {
        Some("Unauthorized") => return Err(Failure::unauthorized()),
        Some(message) => return Err(invalid(message)),
        None => {}
    }
    let principal = answer.get("principalId").and_then(Value::as_str);
    let principal = principal.ok_or_else(|| invalid("the answer has no principalId"))?;
    let document = answer.get("policyDocument").filter(|document| document.is_object());
    let document = document.ok_or_else(|| invalid("the answer has no policyDocument"))?;
    let document = document.to_string();
    let policy =
        identity(&document, IdentityKind::Inline).map_err(|error| invalid(&error.to_string()))?;
    let mut context = Map::new();
    for (name, value) in answer.get("context").and_then(Value::as_object).into_iter().flatten() {
        let text = match value {
            Value::String(text) => Value::from(text.as_str()),
            Value::Number(_) | Value::Bool(_) => value.to_string().into(),
            Value::Null => Value::Null,
            _ => return Err(invalid("a value of the context is an object or an array")),
        };
        context.insert(name.clone(), text);
    }
    context.insert("principalId".to_owned(), principal.into());
    context.insert("integrationLatency".to_owned(), latency_ms.into());
    let usage_identifier = answer.get("usageIdentifierKey").and_then(Value::as_str);
    Ok(Decision {
        policy,
        document,
        context,
        usage_identifier: usage_identifier.map(str::to_owned),
    })
}

fn judge(call: &Call, policy: &Policy) -> Verdict {
    let origin = call.ctx.origin();
    let principal = Principal::anonymous();
    let mut context = Context::new();
    context.set("aws:CurrentTime", call.time.iso8601());
    context.set("aws:EpochTime", call.time.secs().to_string());
    context.set("aws:SourceIp", origin.source_ip.as_str());
    context.set("aws:UserAgent", origin.user_agent.as_str());
    context.set("aws:SecureTransport", if origin.secure { "true" } else { "false" });
    let arn = call.method_arn();
    let request = Request {
        principal: &principal,
        action: "execute-api:Invoke",
        resource: &arn,
        resource_account: None,
        context: &context,
    };
    let mut verdict = Verdict::ImplicitDeny;
    for statement in policy.matching(&request) {
        match statement.effect() {
            Effect::Deny => return Verdict::ExplicitDeny,
            Effect::Allow => verdict = Verdict::Allow,
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(payload: &str) -> &'static str {
        match read(payload.as_bytes(), 1) {
            Ok(_) => "decided",
            Err(failure) => failure.kind,
        }
    }

    #[test]
    fn answers() {
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}"#;
        for (payload, expected) in [
            (format!(r#"{{"principalId":"me","policyDocument":{document}}}"#), "decided"),
            (
                format!(
                    r#"{{"principalId":"me","policyDocument":{document},"context":{{"a":1}}}}"#
                ),
                "decided",
            ),
            (
                format!(
                    r#"{{"principalId":"me","policyDocument":{document},"context":{{"a":[]}}}}"#
                ),
                "AUTHORIZER_CONFIGURATION_ERROR",
            ),
            (format!(r#"{{"policyDocument":{document}}}"#), "AUTHORIZER_CONFIGURATION_ERROR"),
            (r#"{"principalId":"me"}"#.to_owned(), "AUTHORIZER_CONFIGURATION_ERROR"),
            (r#"{"errorMessage":"Unauthorized"}"#.to_owned(), "UNAUTHORIZED"),
            (r#"{"errorMessage":"x"}"#.to_owned(), "AUTHORIZER_CONFIGURATION_ERROR"),
            ("null".to_owned(), "AUTHORIZER_CONFIGURATION_ERROR"),
        ] {
            assert_eq!(kind(&payload), expected, "{payload}");
        }
    }

    #[test]
    fn context_values_become_text() {
        let payload = br#"{"principalId":"me","policyDocument":{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]},"context":{"n":1,"b":true,"s":"x"}}"#;
        let decision = read(payload, 5).unwrap();
        assert_eq!(decision.context["n"], "1");
        assert_eq!(decision.context["b"], "true");
        assert_eq!(decision.context["principalId"], "me");
    }
}
