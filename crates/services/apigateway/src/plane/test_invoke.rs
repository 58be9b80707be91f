//! `TestInvokeMethod`, `TestInvokeAuthorizer`: the API as it is being edited, with a log.
//!
//! Access, keys and throttling do not count. Recorded: `test_invoke_test_method`,
//! `test_failed_invoke_test_method`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};

use super::call::{Call, Incoming};
use super::compiled::{Compiled, Plan};
use super::headers::Headers;
use super::reply::Reply;
use super::request::Outgoing;
use super::router::{Parameters, Router};
use super::{Plane, authorizer, failure, run};
use crate::state::{RESOURCES, STAGES, StageRecord};
use crate::{document, errors};

const STAGE: &str = "test-invoke-stage";
const AUTHORIZER_STAGE: &str = "ESTestInvoke-stage";
const DOMAIN: &str = "testPrefix.testDomainName";
/// Longer headers are cut in the log.
const HEADERS_LOGGED_MAX: usize = 998;

pub async fn flush_authorizers(
    plane: Arc<Plane>,
    ctx: Ctx,
    input: api::FlushStageAuthorizersCacheInput,
) -> Result<api::FlushStageAuthorizersCacheOutput> {
    let key = (input.rest_api_id.as_str(), input.stage_name.as_str());
    if STAGES.get(ctx.store(), ctx.scope(), &key).await?.is_none() {
        return Err(errors::stage());
    }
    plane.decisions.forget(&input.rest_api_id, &input.stage_name);
    Ok(api::FlushStageAuthorizersCacheOutput::default())
}

/// What both tests ask with.
struct Asked {
    stage: &'static str,
    method: String,
    path: String,
    query: String,
    headers: Headers,
    body: Bytes,
    variables: BTreeMap<String, String>,
}

async fn call(ctx: &Ctx, api_id: &str, asked: Asked) -> Result<Call> {
    let document = document::read(ctx.store(), ctx.scope(), api_id).await?;
    let document = document.ok_or_else(|| errors::api(ctx.account(), api_id))?;
    let compiled = Compiled::new(document, ctx.partition(), ctx.region(), ctx.account());
    let stage = StageRecord {
        name: asked.stage.to_owned(),
        variables: asked.variables,
        ..StageRecord::default()
    };
    let incoming = Incoming {
        method: asked.method,
        event_path: asked.path.clone(),
        full_path: asked.path.clone(),
        path: asked.path,
        query: asked.query,
        headers: asked.headers,
        body: asked.body,
        domain: DOMAIN.to_owned(),
    };
    let mut call = Call::new(ctx.clone(), Arc::new(compiled), stage, None, incoming);
    call.identity.signed = true;
    call.log = Some(Vec::new());
    Ok(call)
}

fn headers(
    single: Option<BTreeMap<String, String>>,
    multi: Option<BTreeMap<String, Vec<String>>>,
) -> Headers {
    let mut headers = Headers::default();
    for (name, values) in multi.unwrap_or_default() {
        for value in values {
            headers.add(&name, &value);
        }
    }
    for (name, value) in single.unwrap_or_default() {
        headers.set_default(&name, &value);
    }
    headers
}

pub async fn test_method(
    ctx: Ctx,
    input: api::TestInvokeMethodInput,
) -> Result<api::TestInvokeMethodOutput> {
    let key = (input.rest_api_id.as_str(), input.resource_id.as_str());
    let resource = RESOURCES.get(ctx.store(), ctx.scope(), &key).await?;
    let resource = resource.ok_or_else(errors::resource)?;
    let methods = &resource.methods;
    if !methods.contains_key(&input.http_method) && !methods.contains_key("ANY") {
        return Err(errors::method());
    }
    let asked = input.path_with_query_string.filter(|path| !path.is_empty());
    let asked = asked.unwrap_or_else(|| resource.path.clone());
    let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
    let asked = Asked {
        stage: STAGE,
        method: input.http_method.clone(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers(input.headers, input.multi_value_headers),
        body: input.body.unwrap_or_default().into(),
        variables: input.stage_variables.unwrap_or_default(),
    };
    let mut call = call(&ctx, &input.rest_api_id, asked).await?;
    let plan = call.compiled.plan(&resource.id, &input.http_method).ok_or_else(errors::method)?;
    call.plan = Some(Arc::clone(&plan));
    call.parameters = parameters(&plan, &call.path);
    call.note_start();
    let started_ms = ctx.now().millis();
    let (reply, answered) = match run(&mut call, &plan).await {
        Ok(reply) => (reply, true),
        Err(failed) => {
            call.note(|| {
                failed.log.clone().unwrap_or_else(|| format!("Execution failed: {failed:?}"))
            });
            let (status, mut headers, body) = failure::answer(&call, &failed);
            headers.remove("Content-Type");
            (Reply { status, headers, body: body.into() }, false)
        }
    };
    let latency_ms = ctx.now().millis() - started_ms;
    call.note_end(&reply, answered);
    Ok(output(&call, &reply, latency_ms))
}

fn output(call: &Call, reply: &Reply, latency_ms: i64) -> api::TestInvokeMethodOutput {
    let mut multi: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in reply.headers.iter() {
        multi.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    let single = multi.iter().map(|(name, values)| (name.clone(), values.join(","))).collect();
    api::TestInvokeMethodOutput {
        status: Some(reply.status.into()),
        body: Some(String::from_utf8_lossy(&reply.body).into_owned()),
        headers: Some(single),
        multi_value_headers: Some(multi),
        log: Some(log(call)),
        latency: Some(latency_ms),
    }
}

/// Any path is taken; one that is not the resource's has no parameters.
fn parameters(plan: &Plan, path: &str) -> Parameters {
    let mut router = Router::default();
    router.add(&plan.resource_path, HashMap::from([("ANY".to_owned(), ())]));
    router.find(path, "ANY").map(|(_, parameters)| parameters).unwrap_or_default()
}

fn log(call: &Call) -> String {
    // Thu Dec 01 10:00:00 UTC 2016
    let date = call.time.http_date();
    let parts: Vec<&str> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let date = match parts.as_slice() {
        [weekday, day, month, year, time, _] => {
            format!("{weekday} {month} {day} {time} UTC {year}")
        }
        _ => date.clone(),
    };
    let mut text = format!("Execution log for request {}\n", call.request_id);
    for line in call.log.iter().flatten() {
        // A String takes everything.
        let _ = writeln!(text, "{date} : {line}");
    }
    text
}

fn map<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn shown(headers: &Headers) -> String {
    let mut joined: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (name, value) in headers.iter() {
        joined.entry(name).or_default().push(value);
    }
    let text = map(joined.into_iter().map(|(name, values)| (name, values.join(","))));
    match text.char_indices().nth(HEADERS_LOGGED_MAX) {
        Some((end, _)) => format!("{} [TRUNCATED]", &text[..end]),
        None => text,
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

impl Call {
    fn note_start(&mut self) {
        let query = self.query.iter();
        let lines = [
            format!("Starting execution for request: {}", self.request_id),
            format!("HTTP Method: {}, Resource Path: {}", self.method, self.path),
            format!(
                "Method request path: {}",
                map(self.parameters.iter().map(|(name, value)| (name.as_str(), value.clone())))
            ),
            format!(
                "Method request query string: {}",
                map(query.map(|(n, v)| (n.as_str(), v.last().cloned().unwrap_or_default())))
            ),
            format!("Method request headers: {}", shown(&self.headers)),
            format!("Method request body before transformations: {}", text(&self.body)),
        ];
        self.log.get_or_insert_default().extend(lines);
    }

    fn has_endpoint(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.integration.record.kind != "MOCK")
    }

    pub fn note_request(&mut self, outgoing: &Outgoing) {
        if !self.has_endpoint() {
            return;
        }
        self.note(|| format!("Endpoint request URI: {}", outgoing.uri));
        self.note(|| format!("Endpoint request headers: {}", shown(&outgoing.headers)));
        self.note(|| {
            format!("Endpoint request body after transformations: {}", text(&outgoing.body))
        });
        self.note(|| format!("Sending request to {}", outgoing.uri));
    }

    pub fn note_backend(&mut self, backend: &Reply) {
        if !self.has_endpoint() {
            return;
        }
        let latency_ms = self.integration_ms.unwrap_or_default();
        self.note(|| {
            format!(
                "Received response. Status: {}, Integration latency: {latency_ms} ms",
                backend.status
            )
        });
        self.note(|| format!("Endpoint response headers: {}", shown(&backend.headers)));
        self.note(|| {
            format!("Endpoint response body before transformations: {}", text(&backend.body))
        });
    }

    fn note_end(&mut self, reply: &Reply, answered: bool) {
        if answered {
            self.note(|| {
                format!("Method response body after transformations: {}", text(&reply.body))
            });
            self.note(|| format!("Method response headers: {}", shown(&reply.headers)));
            self.note(|| "Successfully completed execution".to_owned());
        }
        self.note(|| format!("Method completed with status: {}", reply.status));
    }
}

pub async fn test_authorizer(
    ctx: Ctx,
    input: api::TestInvokeAuthorizerInput,
) -> Result<api::TestInvokeAuthorizerOutput> {
    let asked = input.path_with_query_string.unwrap_or_else(|| "/".to_owned());
    let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
    let asked = Asked {
        stage: AUTHORIZER_STAGE,
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers(input.headers, input.multi_value_headers),
        body: input.body.unwrap_or_default().into(),
        variables: input.stage_variables.unwrap_or_default(),
    };
    let mut call = call(&ctx, &input.rest_api_id, asked).await?;
    let compiled = Arc::clone(&call.compiled);
    let found = compiled.authorizers.get(&input.authorizer_id).ok_or_else(errors::authorizer)?;
    if found.record.kind == "COGNITO_USER_POOLS" {
        return Err(errors::unsupported("testing Cognito authorizers"));
    }
    call.note(|| "Starting authorizer".to_owned());
    let started_ms = ctx.now().millis();
    let tested = authorizer::test(&call, found).await;
    let latency = Some(ctx.now().millis() - started_ms);
    match tested {
        Ok(decision) => {
            call.note(|| format!("Authorizer result body: {}", decision.document));
            let principal = decision.context.get("principalId").and_then(|value| value.as_str());
            Ok(api::TestInvokeAuthorizerOutput {
                client_status: Some(200),
                log: Some(log(&call)),
                latency,
                principal_id: principal.map(str::to_owned),
                policy: Some(decision.document.clone()),
                authorization: None,
                claims: None,
            })
        }
        Err(failed) => {
            call.note(|| failed.log.clone().unwrap_or_else(|| "Unauthorized request".to_owned()));
            let (status, ..) = failure::answer(&call, &failed);
            Ok(api::TestInvokeAuthorizerOutput {
                client_status: Some(status.into()),
                log: Some(log(&call)),
                latency,
                ..Default::default()
            })
        }
    }
}
