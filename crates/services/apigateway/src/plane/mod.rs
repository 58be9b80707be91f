//! The gateway itself: a request to a deployed API on its way to a backend and back.
//!
//! Order: stage, route, access, key and quota, throttling, validation, integration. The order is AWS's:
//! a client that may not call a method does not learn whether its request was well formed.

mod access;
mod access_log;
mod authorizer;
mod backend;
mod binary;
mod cache;
mod call;
mod compiled;
mod failure;
mod headers;
mod keys;
mod mapping;
mod reply;
mod request;
mod router;
mod target;
mod template;
mod test_invoke;
mod throttle;
mod validate;

pub use access::guard;
pub use test_invoke::{flush_authorizers, test_authorizer, test_method};

use std::sync::Arc;

use sereno_kernel::{BoxFuture, Ctx, DataPlane};
use sereno_wire::{HttpRequest, HttpResponse};

use authorizer::Decisions;
use cache::{Cache, Entry};
use call::{Call, Incoming};
use compiled::{Compiled, Plan};
use failure::Failure;
use headers::Headers;
use reply::Reply;
use throttle::Throttle;

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const BODY_BYTES_MAX: usize = 10 << 20;

/// What the gateway remembers between requests.
#[derive(Default)]
pub struct Plane {
    cache: Cache,
    decisions: Decisions,
    throttle: Throttle,
}

/// The gateway as the kernel sees it.
pub struct Gateway(pub Arc<Plane>);

impl DataPlane for Gateway {
    fn owns(&self, host: &str, path: &str) -> bool {
        target::owns(host, path)
    }

    fn signing_name(&self) -> Option<&'static str> {
        Some("execute-api")
    }

    fn serve(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, HttpResponse> {
        Box::pin(async move {
            let id = ctx.request_id().to_string();
            let mut response = self.0.serve(ctx, request).await;
            response.set_header("x-amzn-requestid", &id);
            response
        })
    }
}

impl Plane {
    async fn serve(&self, ctx: Ctx, request: HttpRequest) -> HttpResponse {
        let forbidden = || failure::bare(&Failure::forbidden(), 403);
        let host = ctx.origin().host.clone();
        let Some(target) = target::target(&host, &request.path) else { return forbidden() };
        let entry = match self.cache.stage(&ctx, &target.api_id, target.stage).await {
            Ok(Some(entry)) => entry,
            Ok(None) => return forbidden(),
            Err(error) => return failure::bare(&Failure::internal(error.to_string()), 500),
        };
        if entry.live.api.disable_execute_api_endpoint {
            return forbidden();
        }
        let path = if target.path.is_empty() { "/" } else { target.path };
        let place = Place {
            full_path: format!("/{}{path}", target.stage),
            // Recorded: `test_lambda_aws_proxy_integration`, slashes before the path.
            event_path: format!("/{}", path.trim_start_matches('/')),
            path: path.to_owned(),
            domain: target.domain(&host),
        };
        self.serve_stage(ctx, &entry, place, request).await
    }

    async fn serve_stage(
        &self,
        ctx: Ctx,
        entry: &Entry,
        place: Place,
        request: HttpRequest,
    ) -> HttpResponse {
        let ctx = ctx.in_account(entry.account).in_region(entry.region);
        let (compiled, canary) = choose(&ctx, entry);
        let body = request.body.collect(BODY_BYTES_MAX).await;
        let too_large = body.is_err();
        let incoming = Incoming {
            method: request.method.as_str().to_owned(),
            path: place.path,
            event_path: place.event_path,
            full_path: place.full_path,
            query: request.query,
            headers: Headers::incoming(&request.headers),
            body: body.unwrap_or_default(),
            domain: place.domain,
        };
        let mut call = Call::new(ctx, compiled, entry.stage.clone(), canary, incoming);
        call.ctx.meter("apigateway", "ApiCalls", 1);
        let outcome =
            if too_large { Err(Failure::too_large()) } else { self.handle(&mut call).await };
        let response = respond(&call, &outcome);
        access_log::write(&call, &response, outcome.as_ref().err());
        response
    }

    async fn handle(&self, call: &mut Call) -> Result<Reply, Failure> {
        let found = call.compiled.router.find(&call.path, &call.method);
        let Some((plan, parameters)) = found.map(|(plan, p)| (Arc::clone(plan), p)) else {
            return Err(Failure::no_such_method());
        };
        call.parameters = parameters;
        call.plan = Some(Arc::clone(&plan));
        access::check(self, call, &plan).await?;
        keys::check(self, call, &plan).await?;
        keys::throttled(self, call, &plan)?;
        run(call, &plan).await
    }
}

/// Where a request was addressed to.
struct Place {
    path: String,
    event_path: String,
    full_path: String,
    domain: String,
}

/// The stage's deployment, or now and then its canary's.
fn choose(ctx: &Ctx, entry: &Entry) -> (Arc<Compiled>, Option<bool>) {
    let Some(settings) = &entry.stage.canary else { return (Arc::clone(&entry.live), None) };
    #[expect(clippy::cast_precision_loss, reason = "a number below a million")]
    let drawn = (ctx.random_u64() % 1_000_000) as f64 / 10_000.0;
    match &entry.canary {
        Some(canary) if drawn < settings.percent_traffic => (Arc::clone(canary), Some(true)),
        _ => (Arc::clone(&entry.live), Some(false)),
    }
}

/// From the validated request to the client's answer.
async fn run(call: &mut Call, plan: &Plan) -> Result<Reply, Failure> {
    validate::check(call, plan)?;
    if plan.method.integration.is_none() {
        return Err(Failure::internal("No integration defined for method"));
    }
    let outgoing = request::outgoing(call, &plan.integration)?;
    call.note_request(&outgoing);
    let started_ms = call.ctx.now().millis();
    let backend = backend::ask(call, &plan.integration, &outgoing).await;
    call.integration_ms = Some(call.ctx.now().millis() - started_ms);
    let backend = backend?;
    call.integration_status = Some(backend.status);
    call.note_backend(&backend);
    let mut reply = reply::from_backend(call, &plan.integration, backend)?;
    if matches!(plan.integration.record.kind.as_str(), "AWS" | "AWS_PROXY" | "HTTP") {
        reply.headers.add_first("X-Amzn-Trace-Id", &call.trace_id);
    }
    reply.headers.set_default("Content-Type", "application/json");
    Ok(reply)
}

fn respond(call: &Call, outcome: &Result<Reply, Failure>) -> HttpResponse {
    let (status, mut headers, body) = match outcome {
        Ok(reply) => (reply.status, reply.headers.clone(), reply.body.clone()),
        Err(failure) => {
            if let Some(why) = &failure.log
                && failure::is_ours(failure)
            {
                eprintln!("{} apigateway {}: {why}", call.request_id, call.api_id());
            }
            let (status, headers, body) = failure::answer(call, failure);
            (status, headers, body.into())
        }
    };
    headers.set("x-amz-apigw-id", &call.extended_id);
    let mut response = HttpResponse::new(status).with_body(body);
    response.headers = headers.outgoing();
    response
}
