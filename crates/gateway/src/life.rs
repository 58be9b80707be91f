//! The life of a request, in order:
//!
//!  1. development controls and health;
//!  2. data planes: URLs of deployed APIs and the like belong to the service that owns them;
//!  3. *name*: which service is meant;
//!  4. *claim*: whose key, which scope, which time;
//!  5. *route*: which operation;
//!  6. *verify*: the signature, over the body as it arrived;
//!  7. *decode* into the typed input, validated against the model;
//!  8. *execute*: the kernel authorises, runs, audits, meters;
//!  9. *encode*, success and failure alike.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use sereno_base::Region;
use sereno_kernel::{Caller, Cloud, Ctx, Error, Origin, Service};
use sereno_wire::{Body, HttpRequest, HttpResponse, OperationSchema, Protocol, ServiceSchema};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer;
use crate::arrival;
use crate::body::{Leaving, incoming};
use crate::development;
use crate::identify::{Claimed, Identifier, RootKeys, declared_body};
use crate::naming::{Directory, Named, bucket_of_host};
use crate::patience::{Limits, Pulse};
use crate::refusal::Refusal;

/// Takes requests from sockets to the cloud and back.
pub struct Gateway {
    cloud: Arc<Cloud>,
    identifier: Identifier,
    directory: Directory,
    development: bool,
    limits: Limits,
    connections: Arc<Semaphore>,
}

impl Gateway {
    pub fn new(cloud: Arc<Cloud>, roots: RootKeys, limits: Limits) -> Gateway {
        Gateway {
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            limits,
            directory: Directory::new(&cloud),
            development: roots.development,
            identifier: Identifier::new(Arc::clone(&cloud), roots),
            cloud,
        }
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Room for one more connection, for as long as the answer is kept.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }

    /// Answers one request from a socket.
    pub(crate) async fn handle(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
        pulse: Arc<Pulse>,
    ) -> hyper::Response<Leaving> {
        pulse.request_begins();
        let (head, body) = request.into_parts();
        let authority = head.uri.authority().map(|authority| authority.as_str().to_owned());
        let request = HttpRequest {
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            method: head.method,
            headers: head.headers,
            body: incoming(body, &pulse),
        };
        let response = self.respond(request, authority.as_deref(), peer).await;
        let mut out = hyper::Response::new(Leaving { body: response.body, pulse });
        *out.status_mut() = hyper::StatusCode::from_u16(response.status)
            .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
        *out.headers_mut() = response.headers;
        out
    }

    async fn respond(
        &self,
        mut request: HttpRequest,
        authority: Option<&str>,
        peer: SocketAddr,
    ) -> HttpResponse {
        // What few requests do is boxed, so that the others need not carry room for it.
        if development::concerns(&request.path) {
            let controls = development::answer(&self.cloud, self.development, &mut request);
            if let Some(answer) = Box::pin(controls).await {
                return answer;
            }
        }
        let origin = Arc::new(arrival::origin(&request, authority, peer));
        let mut planes = self.cloud.services().iter().filter_map(Service::plane);
        if let Some(plane) = planes.find(|plane| plane.owns(&origin.host, &request.path)) {
            let verified = self.data_plane_ctx(plane.signing_name(), request, origin);
            let (ctx, request) = Box::pin(verified).await;
            return plane.serve(ctx, request).await;
        }
        self.call(request, origin).await
    }

    /// A data plane's caller is whoever signed, if somebody did; who must sign is for the plane to say.
    async fn data_plane_ctx(
        &self,
        signing_name: Option<&str>,
        request: HttpRequest,
        origin: Arc<Origin>,
    ) -> (Ctx, HttpRequest) {
        let (home, home_region) = self.cloud.home();
        let (request, outcome) = self.identifier.data_plane(signing_name, request).await;
        let (caller, region, origin) = match outcome {
            Ok(Some((caller, region))) => (caller, region, origin),
            Ok(None) => (Caller::Anonymous, home_region, origin),
            Err((code, message)) => {
                let refusal = Some((code, message));
                let refused = Origin { refusal, ..Origin::clone(&origin) };
                (Caller::Anonymous, home_region, Arc::new(refused))
            }
        };
        let account = caller.account().unwrap_or(home);
        (self.cloud.ctx(account, region, caller, origin), request)
    }

    /// Steps 3 to 9.
    async fn call(&self, mut request: HttpRequest, origin: Arc<Origin>) -> HttpResponse {
        let scope = arrival::scope_service(&request);
        let mut named = self.directory.name(&request, &origin.host, scope.as_deref());
        let is_signed = scope.is_some();
        if !is_signed && arrival::is_form(&request) {
            // An unsigned form names its service in the body only.
            let Ok(body) = arrival::collect(&mut request, arrival::UNSIGNED_BYTES_MAX).await else {
                return answer::too_large();
            };
            if let Some(index) = self.directory.by_form(&String::from_utf8_lossy(&body)) {
                named = Named::Service(index);
            }
            request.body = Body::Bytes(body);
        }
        let index = match named {
            Named::Service(index) => index,
            Named::Unserved(name) => {
                return answer::unserved_service(&request, &name, self.cloud.new_request_id());
            }
        };
        let service = &self.cloud.services()[index];
        let protocol = arrival::protocol(service.schema(), &request);
        let (_, home_region) = self.cloud.home();
        let (home, _) = self.cloud.home();
        // Replaced by the caller's own as soon as it is known; an early failure has a request id too.
        let mut ctx = self.cloud.ctx(home, home_region, Caller::Anonymous, origin);
        let bucket = virtual_bucket(service.schema(), &ctx.origin().host);
        let cors = arrival::cors(&request, bucket.as_deref());
        if let Some(preflight) = cors.as_ref().filter(|cors| cors.preflight)
            && let Some(answer) = service.run_cors(ctx.clone(), preflight.clone())
        {
            return answer::preflight(protocol, service.schema(), &ctx, answer.await);
        }
        let mut response = match self.call_service(service, protocol, request, &mut ctx).await {
            Ok(response) => response,
            Err(error) => answer::failure(protocol, service.schema(), &error, ctx.request_id()),
        };
        if let Some(cors) = cors
            && let Some(headers) = service.run_cors(ctx, cors)
        {
            answer::add_cors(&mut response, headers.await);
        }
        response
    }

    /// Steps 4 to 9.
    async fn call_service(
        &self,
        service: &Service,
        protocol: Protocol,
        mut request: HttpRequest,
        ctx: &mut Ctx,
    ) -> Result<HttpResponse, Error> {
        let schema = service.schema();
        let bucket = virtual_bucket(schema, &ctx.origin().host);
        let refused = |refusal: Refusal| refusal.error(schema);

        let claimed = self.identifier.claim(&request, schema).await.map_err(refused)?;
        if protocol == Protocol::Query {
            let limit = claimed.as_ref().map_or(arrival::UNSIGNED_BYTES_MAX, |_| usize::MAX);
            let body = arrival::collect_for(schema, &mut request, limit).await?;
            request.body = Body::Bytes(body);
        }
        let signed_path = request.path.clone();
        arrival::address_bucket(&mut request, bucket.as_deref());
        let route = sereno_wire::route(schema, protocol, &request).map_err(answer::route_error)?;
        let Some(operation) = route.operation() else {
            return Err(answer::unserved(schema, route.target.name()));
        };
        let streams = sereno_wire::streams_input(operation);
        // A body is held in memory only for whom the operation is open to.
        if claimed.is_none() && !open_to_unsigned(schema, operation) {
            return Err(refused(Refusal::Unsigned));
        }
        let body = if streams {
            Bytes::new()
        } else {
            arrival::collect_for(schema, &mut request, usize::MAX).await?
        };
        let routed_path = std::mem::replace(&mut request.path, signed_path);
        let verified =
            self.verify(schema, operation, claimed, bucket.as_deref(), &mut request, body);
        let (caller, region, body) = verified.await.map_err(refused)?;
        request.path = routed_path;
        service.check_body(&request, &body)?;

        let (home, home_region) = self.cloud.home();
        let account = caller.account().unwrap_or(home);
        ctx.identify(caller, account, region.unwrap_or(home_region));
        let Some(operable) = service.operation(operation.name) else {
            return Err(answer::unserved(schema, operation.name));
        };
        let input = operable
            .decode(protocol, &route, request, body)
            .map_err(|error| answer::decode_error(service, operation, protocol, error))?;
        let output = self.cloud.execute(ctx, service, operable, input).await?;
        Ok(sereno_wire::encode(protocol, operation, output.as_ref(), &ctx.request_id().to_string()))
    }

    /// Step 6. A body that streams is replaced by one that checks itself while it is read.
    async fn verify(
        &self,
        schema: &ServiceSchema,
        operation: &OperationSchema,
        claimed: Option<Claimed>,
        bucket: Option<&str>,
        request: &mut HttpRequest,
        body: Bytes,
    ) -> Result<(Caller, Option<Region>, Bytes), Refusal> {
        let streams = sereno_wire::streams_input(operation);
        let Some(claimed) = claimed else {
            let signed = match schema.name {
                "s3" => self.identifier.presigned_v2(request, bucket).await?,
                _ => None,
            };
            if signed.is_none() && !open_to_unsigned(schema, operation) {
                return Err(Refusal::Unsigned);
            }
            if schema.name == "s3" && streams {
                let stream = std::mem::take(&mut request.body);
                request.body = declared_body(request, stream, None)?;
            }
            return Ok((signed.unwrap_or(Caller::Anonymous), None, body));
        };
        let body = if streams {
            let stream = std::mem::take(&mut request.body);
            request.body = claimed.verify_stream(request, stream)?;
            body
        } else {
            claimed.verify_whole(request, schema, body).await?
        };
        Ok((claimed.credential.caller, Some(claimed.region), body))
    }
}

/// What anyone may do with S3 is for the bucket's policy to say.
fn open_to_unsigned(schema: &ServiceSchema, operation: &OperationSchema) -> bool {
    operation.unsigned || schema.name == "s3"
}

fn virtual_bucket(schema: &ServiceSchema, host: &str) -> Option<String> {
    if schema.name != "s3" {
        return None;
    }
    bucket_of_host(host).map(str::to_owned)
}
