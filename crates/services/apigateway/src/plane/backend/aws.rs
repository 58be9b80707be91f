//! `AWS`: any service of this cloud, by path or by action.
//!
//! `arn:aws:apigateway:{region}:{service}:path/{path}` sends the request as it is;
//! `...:{service}:action/{Action}` names the operation, and the body or the query holds its input.
//! A Lambda function goes another way, for it is called by a service and not over HTTP.

use bytes::Bytes;
use sereno_api_lambda::InvocationType;
use sereno_base::Region;
use sereno_kernel::{Ctx, Error, Kind, Service};
use sereno_wire::body::Method;
use sereno_wire::{DecodeError, HttpRequest, HttpResponse, Protocol, ServiceSchema, WireError};

use super::function::{self, Fault};
use crate::plane::call::Call;
use crate::plane::compiled::IntegrationPlan;
use crate::plane::failure::Failure;
use crate::plane::headers::Headers;
use crate::plane::reply::Reply;
use crate::plane::request::Outgoing;

/// API Gateway's limit for an answer.
const BODY_BYTES_MAX: usize = 10 << 20;

/// What an integration's URI means.
#[derive(Debug, PartialEq)]
struct Address<'a> {
    region: &'a str,
    /// What stands before the service: a bucket.
    subdomain: Option<&'a str>,
    service: &'a str,
    is_action: bool,
    path: &'a str,
}

fn address(uri: &str) -> Option<Address<'_>> {
    let parts: Vec<&str> = uri.splitn(6, ':').collect();
    let ["arn", _, "apigateway", region, service, target] = parts.as_slice() else { return None };
    let (how, path) = target.split_once('/')?;
    let (subdomain, service) = match service.rsplit_once('.') {
        Some((subdomain, service)) => (Some(subdomain), service),
        None => (None, *service),
    };
    Some(Address { region, subdomain, service, is_action: how == "action", path })
}

pub async fn ask(
    call: &Call,
    plan: &IntegrationPlan,
    outgoing: &Outgoing,
) -> Result<Reply, Failure> {
    let credentials = plan.record.credentials.as_deref();
    if function::function_arn(&outgoing.uri).is_some() {
        return ask_function(call, credentials, outgoing).await;
    }
    let configuration = |why: String| {
        Failure::internal(format!("Execution failed due to configuration error: {why}"))
    };
    let address =
        address(&outgoing.uri).ok_or_else(|| configuration("Invalid AWS URI".to_owned()))?;
    let cloud = call.ctx.cloud();
    let service = cloud
        .services()
        .iter()
        .find(|service| {
            let schema = service.schema();
            schema.endpoint_prefix == address.service || schema.name == address.service
        })
        .ok_or_else(|| configuration(format!("Sereno does not serve {}", address.service)))?;
    let acting = function::acting(call, credentials, &call.source_arn()).await;
    let acting = acting.map_err(|error| configuration(error.to_string()))?;
    let region = Region::parse(address.region).unwrap_or(call.ctx.region());
    let (protocol, request) = request(service.schema(), &address, outgoing)
        .ok_or_else(|| configuration("Invalid AWS request".to_owned()))?;
    let response = send(&acting.in_region(region), service, protocol, request).await;
    let headers = Headers::incoming(&response.headers);
    let body = response.body.collect(BODY_BYTES_MAX).await;
    let body = body.map_err(|error| Failure::network(error.to_string()))?;
    Ok(Reply { status: response.status, headers, body })
}

async fn ask_function(
    call: &Call,
    credentials: Option<&str>,
    outgoing: &Outgoing,
) -> Result<Reply, Failure> {
    let invocation_type = outgoing.headers.get("x-amz-invocation-type").map(InvocationType::from);
    let body = outgoing.body.clone();
    let source_arn = call.source_arn();
    let answer =
        function::invoke(call, &outgoing.uri, credentials, &source_arn, invocation_type, body)
            .await;
    match answer {
        Ok(output) => {
            let mut headers = Headers::default();
            headers.add("Content-Type", "application/json");
            if let Some(error) = &output.function_error {
                headers.add("X-Amz-Function-Error", error);
            }
            if let Some(version) = &output.executed_version {
                headers.add("X-Amz-Executed-Version", version);
            }
            let status = output.status_code.and_then(|status| u16::try_from(status).ok());
            let body = output.payload.unwrap_or_default();
            Ok(Reply { status: status.unwrap_or(200), headers, body })
        }
        Err(Fault::Denied(error)) => Err(Failure::internal(format!(
            "Execution failed due to configuration error: Invalid permissions on Lambda function: {error}"
        ))),
        Err(Fault::Other(error)) => {
            let mut headers = Headers::default();
            headers.add("Content-Type", "application/json");
            let status = error.fixed_status().unwrap_or_else(|| status(error.kind(), true));
            let body = serde_json::json!({"Message": error.message(), "Type": "User"}).to_string();
            Ok(Reply { status, headers, body: body.into() })
        }
    }
}

/// The request that a client of the service would send.
fn request(
    schema: &ServiceSchema,
    address: &Address<'_>,
    outgoing: &Outgoing,
) -> Option<(Protocol, HttpRequest)> {
    let (path, own_query) = address.path.split_once('?').unwrap_or((address.path, ""));
    let mut pairs: Vec<String> =
        own_query.split('&').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    for (name, values) in &outgoing.query {
        for value in values {
            let (name, value) = (
                sereno_base::percent_encode(name, false),
                sereno_base::percent_encode(value, false),
            );
            pairs.push(format!("{name}={value}"));
        }
    }
    let mut headers = outgoing.headers.clone();
    let mut request_path = format!("/{path}");
    if address.is_action {
        // `action/PutObject&Bucket=x`: the rest is input.
        let (action, rest) = path.split_once('&').unwrap_or((path, ""));
        "/".clone_into(&mut request_path);
        pairs.extend(rest.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned));
        let speaks_json =
            schema.protocols.iter().any(|p| matches!(p, Protocol::Json10 | Protocol::Json11));
        match schema.target_prefix {
            Some(prefix) if speaks_json && !schema.protocols.contains(&Protocol::Query) => {
                headers.set("X-Amz-Target", &format!("{prefix}.{action}"));
            }
            _ => pairs.push(format!("Action={action}")),
        }
    }
    if let Some(bucket) = address.subdomain {
        request_path = format!("/{bucket}{request_path}");
    }
    let protocol = protocol(schema, &headers);
    let method = Method::from_bytes(outgoing.method.as_bytes()).ok()?;
    let mut request = HttpRequest::new(method, request_path);
    let is_form = headers.get("content-type").is_some_and(|kind| kind.contains("form-urlencoded"));
    if protocol == Protocol::Query
        && !is_form
        && pairs.iter().any(|pair| pair.starts_with("Action="))
    {
        // The whole input is in the query; a body that merely passed through is none.
        request.body = Bytes::new().into();
    } else {
        request.body = outgoing.body.clone().into();
    }
    request.query = pairs.join("&");
    request.headers = headers.outgoing();
    Some((protocol, request))
}

fn protocol(schema: &ServiceSchema, headers: &Headers) -> Protocol {
    let has = |protocol| schema.protocols.contains(&protocol);
    if headers.has("x-amz-target") {
        return if has(Protocol::Json10) { Protocol::Json10 } else { Protocol::Json11 };
    }
    if has(Protocol::Query) {
        return Protocol::Query;
    }
    schema.protocols.first().copied().unwrap_or(Protocol::Json11)
}

/// Runs a request as the gateway of AWS's own APIs would, for a caller that is known already.
async fn send(
    ctx: &Ctx,
    service: &Service,
    protocol: Protocol,
    request: HttpRequest,
) -> HttpResponse {
    let id = ctx.request_id().to_string();
    match run(ctx, service, protocol, request, &id).await {
        Ok(response) => response,
        Err(error) => encode_error(service, protocol, &error, &id),
    }
}

async fn run(
    ctx: &Ctx,
    service: &Service,
    protocol: Protocol,
    mut request: HttpRequest,
    id: &str,
) -> Result<HttpResponse, Error> {
    let schema = service.schema();
    let route = sereno_wire::route(schema, protocol, &request)
        .map_err(|error| Error::invalid(error.code, error.message).status(error.status))?;
    let unserved =
        |name: &str| Error::not_implemented(format!("Sereno does not serve {name} yet."));
    let operation = route.operation().ok_or_else(|| unserved(route.target.name()))?;
    let operable = service.operation(operation.name).ok_or_else(|| unserved(operation.name))?;
    let body = if sereno_wire::streams_input(operation) {
        Bytes::new()
    } else {
        let body = std::mem::take(&mut request.body).collect(BODY_BYTES_MAX).await;
        body.map_err(|error| Error::invalid("InvalidRequest", error.to_string()))?
    };
    let input = operable.decode(protocol, &route, request, body).map_err(|error| match error {
        DecodeError::Violations(violations) => service.violation_error(operation, &violations),
        DecodeError::Malformed(message) => Error::invalid("SerializationException", message),
    })?;
    let output = ctx.cloud().execute(ctx, service, operable, input).await?;
    Ok(sereno_wire::encode(protocol, operation, output.as_ref(), id))
}

fn encode_error(
    service: &Service,
    protocol: Protocol,
    error: &Error,
    request_id: &str,
) -> HttpResponse {
    let schema = service.schema();
    let modelled = schema.error(error.code());
    let is_xml = matches!(protocol, Protocol::Query | Protocol::RestXml);
    let is_rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    let code = modelled.map_or(error.code(), |m| if is_xml { m.code } else { m.shape });
    let status = error
        .fixed_status()
        .or(modelled.map(|modelled| modelled.status))
        .unwrap_or_else(|| status(error.kind(), is_rest));
    sereno_wire::encode_error(
        protocol,
        schema,
        &WireError {
            code,
            status,
            message: error.message(),
            sender: status < 500,
            request_id,
            detail: error.detail_shape(),
        },
    )
}

fn status(kind: Kind, is_rest: bool) -> u16 {
    match kind {
        Kind::NotFound if is_rest => 404,
        Kind::Conflict if is_rest => 409,
        Kind::Throttled if is_rest => 429,
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Throttled => 400,
        Kind::Denied => 403,
        Kind::Unavailable => 503,
        Kind::Internal => 500,
        Kind::NotImplemented => 501,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let found = address("arn:aws:apigateway:us-west-2:s3:path/bucket/a:b?x=1").unwrap();
        assert_eq!((found.service, found.is_action, found.path), ("s3", false, "bucket/a:b?x=1"));
        let found = address("arn:aws:apigateway:us-west-2:b.c.s3:path/k").unwrap();
        assert_eq!((found.subdomain, found.service), (Some("b.c"), "s3"));
        let found = address("arn:aws:apigateway:us-west-2:dynamodb:action/PutItem").unwrap();
        assert!(found.is_action);
        assert_eq!(address("http://x/y"), None);
    }

    fn made(
        schema: &ServiceSchema,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> (Protocol, HttpRequest) {
        let mut outgoing = Outgoing { method: "POST".to_owned(), ..Outgoing::default() };
        outgoing.body = Bytes::from_static(b"{}");
        outgoing.query.insert("a b".to_owned(), vec!["1".to_owned()]);
        for (name, value) in headers {
            outgoing.headers.add(name, value);
        }
        request(schema, &address(uri).unwrap(), &outgoing).unwrap()
    }

    #[test]
    fn an_action_becomes_a_target_or_a_parameter() {
        let s3 = &sereno_api_s3::SERVICE;
        let (_, request) = made(s3, "arn:aws:apigateway:us-west-2:s3:path/bucket/key?x=1", &[]);
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/bucket/key", "x=1&a%20b=1"));
        let logs = &sereno_api_logs::SERVICE;
        let (protocol, request) =
            made(logs, "arn:aws:apigateway:us-west-2:logs:action/PutLogEvents", &[]);
        assert_eq!(protocol, Protocol::Json11);
        assert_eq!(request.header("x-amz-target"), Some("Logs_20140328.PutLogEvents"));
    }
}
