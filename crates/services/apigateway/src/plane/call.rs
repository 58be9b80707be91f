//! One request on its way through the gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use sereno_base::Timestamp;
use sereno_kernel::{Caller, Ctx};

use super::compiled::{Compiled, Plan};
use super::headers::Headers;
use super::router::Parameters;
use crate::state::StageRecord;

/// Headers of the connection and of ours, which no backend is shown.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
const DROPPED: [&str; 14] = [
    "Connection",
    "Content-Length",
    "Content-MD5",
    "Expect",
    "Keep-Alive",
    "Max-Forwards",
    "Proxy-Authenticate",
    "Server",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "WWW-Authenticate",
    "X-Amzn-Apigateway-Api-Id",
];

pub struct Call {
    /// In the API's account and region; the caller is whoever signed the request, or nobody.
    pub ctx: Ctx,
    pub compiled: Arc<Compiled>,
    pub stage: StageRecord,
    pub deployment_id: String,
    /// Whether the canary serves it; `None` on a stage without one.
    pub canary: Option<bool>,
    /// Stage variables, with the canary's own over them.
    pub variables: BTreeMap<String, String>,
    pub method: String,
    /// Without the stage, still encoded.
    pub path: String,
    /// As events show it: with a custom domain's base path.
    pub event_path: String,
    /// With the stage: `$context.path`.
    pub full_path: String,
    pub parameters: Parameters,
    /// Decoded, in the order of their first appearance.
    pub query: IndexMap<String, Vec<String>>,
    pub headers: Headers,
    pub body: Bytes,
    pub domain: String,
    pub request_id: String,
    pub extended_id: String,
    pub trace_id: String,
    pub time: Timestamp,
    pub identity: Identity,
    /// `$context.authorizer`
    pub authorizer: Option<Map<String, Value>>,
    /// Set by routing.
    pub plan: Option<Arc<Plan>>,
    /// What templates set for the request to the backend and for the answer.
    pub request_override: Value,
    pub response_override: Value,
    /// How the backend did, for logs.
    pub integration_ms: Option<i64>,
    pub integration_status: Option<u16>,
    /// `TestInvokeMethod` shows what happened; nobody else keeps it.
    pub log: Option<Vec<String>>,
}

#[derive(Default)]
pub struct Identity {
    pub api_key: Option<String>,
    pub api_key_id: Option<String>,
    /// What an authorizer named as the key of the usage plan.
    pub usage_identifier: Option<String>,
    /// The method asks for a signature, so that the caller is shown.
    pub signed: bool,
}

/// The parts of a request that are read from HTTP.
pub struct Incoming {
    pub method: String,
    pub path: String,
    pub event_path: String,
    pub full_path: String,
    pub query: String,
    pub headers: Headers,
    pub body: Bytes,
    pub domain: String,
}

impl Call {
    pub fn new(
        ctx: Ctx,
        compiled: Arc<Compiled>,
        stage: StageRecord,
        canary: Option<bool>,
        incoming: Incoming,
    ) -> Call {
        let mut variables = stage.variables.clone();
        let mut deployment_id = stage.deployment_id.clone();
        if canary == Some(true)
            && let Some(settings) = &stage.canary
        {
            variables.extend(settings.variable_overrides.clone());
            deployment_id = settings.deployment_id.clone().unwrap_or(deployment_id);
        }
        let Incoming { method, path, event_path, full_path, query, mut headers, body, domain } =
            incoming;
        let trace_id = trace_id(&ctx, headers.get("x-amzn-trace-id").unwrap_or_default());
        headers.remove_all(&DROPPED);
        Call {
            request_id: ctx.request_id().to_string(),
            extended_id: extended_id(&ctx),
            trace_id,
            time: ctx.now(),
            compiled,
            stage,
            deployment_id,
            canary,
            variables,
            method,
            path,
            event_path,
            full_path,
            parameters: Parameters::new(),
            query: query_of(&query),
            headers,
            body,
            domain,
            identity: Identity::default(),
            authorizer: None,
            plan: None,
            request_override: json!({"header": {}, "querystring": {}, "path": {}}),
            response_override: json!({"header": {}}),
            integration_ms: None,
            integration_status: None,
            log: None,
            ctx,
        }
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    pub fn api_id(&self) -> &str {
        &self.compiled.api.id
    }

    /// `arn:aws:execute-api:region:account:api/stage/METHOD/path`
    pub fn method_arn(&self) -> String {
        let path = self.path.trim_start_matches('/');
        let resource = format!("{}/{}/{}/{path}", self.api_id(), self.stage.name, self.method);
        self.ctx.arn("execute-api", &resource)
    }

    /// The ARN under which the gateway itself acts for the method: the resource's path with stars for
    /// its variables.
    pub fn source_arn(&self) -> String {
        let plan_path = self.plan.as_ref().map_or("/", |plan| plan.resource_path.as_str());
        let path: Vec<&str> = plan_path
            .trim_start_matches('/')
            .split('/')
            .map(|part| if part.starts_with('{') { "*" } else { part })
            .collect();
        let resource =
            format!("{}/{}/{}/{}", self.api_id(), self.stage.name, self.method, path.join("/"));
        self.ctx.arn("execute-api", &resource)
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `requestContext` of events and `$context`, in the order in which AWS shows it.
    pub fn context(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        if let Some(plan) = &self.plan {
            put("resourceId", plan.resource_id.as_str().into());
            put("resourcePath", plan.resource_path.as_str().into());
            if let Some(name) = &plan.method.operation_name {
                put("operationName", name.as_str().into());
            }
        }
        if let Some(authorizer) = &self.authorizer {
            put("authorizer", Value::Object(authorizer.clone()));
        }
        put("httpMethod", self.method.as_str().into());
        put("extendedRequestId", self.extended_id.as_str().into());
        put("requestTime", log_time(self.time).into());
        put("path", self.full_path.as_str().into());
        put("accountId", self.ctx.account().to_string().into());
        put("protocol", "HTTP/1.1".into());
        put("stage", self.stage.name.as_str().into());
        put("domainPrefix", self.domain.split('.').next().unwrap_or_default().into());
        put("requestTimeEpoch", self.time.millis().into());
        put("requestId", self.request_id.as_str().into());
        put("identity", Value::Object(self.identity()));
        put("domainName", self.domain.as_str().into());
        put("deploymentId", self.deployment_id.as_str().into());
        put("apiId", self.api_id().into());
        if let Some(canary) = self.canary {
            put("isCanaryRequest", canary.into());
        }
        map
    }

    fn identity(&self) -> Map<String, Value> {
        let caller = self.ctx.caller();
        let shown = self.identity.signed && *caller != Caller::Anonymous;
        let text = |value: Option<String>| value.map_or(Value::Null, Value::from);
        let only = |value: String| if shown { Value::from(value) } else { Value::Null };
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        put("cognitoIdentityPoolId", Value::Null);
        put("accountId", only(caller.account().map(|a| a.to_string()).unwrap_or_default()));
        put("cognitoIdentityId", Value::Null);
        if self.identity.api_key.is_some() {
            put("apiKey", text(self.identity.api_key.clone()));
            put("apiKeyId", text(self.identity.api_key_id.clone()));
        }
        put("caller", only(caller.user_id()));
        put("sourceIp", self.ctx.origin().source_ip.as_str().into());
        put("principalOrgId", Value::Null);
        put("accessKey", text(caller.access_key_id().filter(|_| shown).map(str::to_owned)));
        put("cognitoAuthenticationType", Value::Null);
        put("cognitoAuthenticationProvider", Value::Null);
        put("userArn", only(caller.arn()));
        put("userAgent", text(self.headers.get("user-agent").map(str::to_owned)));
        put("user", only(caller.user_id()));
        map
    }
}

/// `01/Dec/2016:10:00:00 +0000`
pub fn log_time(at: Timestamp) -> String {
    // Thu, 01 Dec 2016 10:00:00 GMT
    let date = at.http_date();
    match date.split([' ', ',']).filter(|part| !part.is_empty()).collect::<Vec<_>>().as_slice() {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => date,
    }
}

/// Fifteen characters and an equals sign.
fn extended_id(ctx: &Ctx) -> String {
    let mut bytes = [0; 11];
    ctx.fill_random(&mut bytes);
    STANDARD.encode(bytes)
}

/// Keeps what the client sent of `Root`, `Parent` and `Sampled`, and adds the rest.
/// Recorded: `test_invocation_trace_id`.
fn trace_id(ctx: &Ctx, sent: &str) -> String {
    let part = |name: &str| {
        let parts = sent.split(';').filter_map(|part| part.trim().split_once('='));
        parts.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned())
    };
    let random = |digits: usize| ctx.random_id(b"0123456789abcdef", digits);
    let root = part("root").unwrap_or_else(|| format!("1-{:08x}-{}", ctx.now().secs(), random(24)));
    let parent = part("parent");
    let sampled = part("sampled");
    let sampled = sampled.unwrap_or_else(|| if parent.is_some() { "1" } else { "0" }.to_owned());
    let parent = parent.unwrap_or_else(|| random(16));
    format!("Root={root};Parent={parent};Sampled={sampled}")
}

/// A query's values by name; a plus sign is a blank.
pub fn query_of(query: &str) -> IndexMap<String, Vec<String>> {
    let mut map: IndexMap<String, Vec<String>> = IndexMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            sereno_base::percent_decode(&text).unwrap_or(text)
        };
        map.entry(decode(name)).or_default().push(decode(value));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let map = query_of("a=1&b=x+y&a=%32&c&url=https://x/");
        assert_eq!(map["a"], ["1", "2"]);
        assert_eq!(map["b"], ["x y"]);
        assert_eq!(map["c"], [""]);
        assert_eq!(map["url"], ["https://x/"]);
    }

    #[test]
    fn times_of_logs() {
        let at = Timestamp::parse_iso8601("2016-12-01T10:00:00Z").unwrap();
        assert_eq!(log_time(at), "01/Dec/2016:10:00:00 +0000");
    }
}
