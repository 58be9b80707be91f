//! Failures as the client's protocol words them.

use sereno_base::RequestId;
use sereno_kernel::{CorsHeaders, Ctx, Error, Kind, Service};
use sereno_wire::{
    DecodeError, ErrorSchema, HttpRequest, HttpResponse, OperationSchema, Protocol, RouteError,
    ServiceSchema, WireError,
};

pub fn failure(
    protocol: Protocol,
    schema: &'static ServiceSchema,
    error: &Error,
    request_id: RequestId,
) -> HttpResponse {
    let modelled = schema.error(error.code());
    let status = error
        .fixed_status()
        .or(modelled.map(|modelled| modelled.status))
        .unwrap_or_else(|| status(error.kind(), protocol));
    sereno_wire::encode_error(
        protocol,
        schema,
        &WireError {
            // A query service's wire code may differ from the shape's name that a service uses.
            code: modelled.map_or(error.code(), |modelled| wire_code(protocol, modelled)),
            status,
            message: error.message(),
            sender: status < 500,
            request_id: &request_id.to_string(),
            detail: error.detail_shape(),
        },
    )
}

/// The answer to a browser that asks before it sends.
pub fn preflight(
    protocol: Protocol,
    schema: &'static ServiceSchema,
    ctx: &Ctx,
    headers: Result<CorsHeaders, Error>,
) -> HttpResponse {
    match headers {
        Ok(headers) => {
            let mut response = HttpResponse::new(200);
            add_cors(&mut response, Ok(headers));
            response
        }
        Err(error) => failure(protocol, schema, &error, ctx.request_id()),
    }
}

/// A page that may not read the answer still gets it; its browser keeps it from the page.
pub fn add_cors(response: &mut HttpResponse, headers: Result<CorsHeaders, Error>) {
    for (name, value) in headers.ok().flatten().unwrap_or_default() {
        response.set_header(name, &value);
    }
}

fn wire_code(protocol: Protocol, modelled: &'static ErrorSchema) -> &'static str {
    match protocol {
        Protocol::Query | Protocol::RestXml => modelled.code,
        _ => modelled.shape,
    }
}

/// Where neither the service nor its model says.
fn status(kind: Kind, protocol: Protocol) -> u16 {
    let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    match kind {
        Kind::Invalid => 400,
        Kind::NotFound if rest => 404,
        Kind::Conflict if rest => 409,
        Kind::Throttled if rest => 429,
        Kind::NotFound | Kind::Conflict | Kind::Throttled => 400,
        Kind::Denied => 403,
        Kind::Unavailable => 503,
        Kind::Internal => 500,
        Kind::NotImplemented => 501,
    }
}

pub fn route_error(error: RouteError) -> Error {
    Error::invalid(error.code, error.message).status(error.status)
}

pub fn decode_error(
    service: &Service,
    operation: &OperationSchema,
    protocol: Protocol,
    error: DecodeError,
) -> Error {
    match error {
        DecodeError::Violations(violations) => service.violation_error(operation, &violations),
        DecodeError::Malformed(message) => match protocol {
            Protocol::RestXml => Error::invalid("MalformedXML", message),
            Protocol::Query => Error::invalid("MalformedQueryString", message),
            _ => Error::invalid("SerializationException", message),
        },
    }
}

/// AWS has this operation, this cloud does not.
pub fn unserved(schema: &ServiceSchema, operation: &str) -> Error {
    let service = schema.service_id;
    Error::not_implemented(format!(
        "Sereno does not serve {service} {operation} yet. The README lists what it serves."
    ))
}

pub fn unserved_service(request: &HttpRequest, name: &str, request_id: RequestId) -> HttpResponse {
    let message = format!("Sereno does not serve {name} yet. The README lists what it serves.");
    let response = HttpResponse::new(501)
        .with_header("x-amzn-requestid", &request_id.to_string())
        .with_header("x-amzn-errortype", "NotImplemented");
    if request.header("x-amz-target").is_some() {
        let body = serde_json::json!({"__type": "NotImplemented", "message": message});
        return response
            .with_header("content-type", "application/x-amz-json-1.1")
            .with_body(body.to_string());
    }
    let name = name.replace(['<', '&', '>'], "");
    let message = format!("Sereno does not serve {name} yet. The README lists what it serves.");
    response.with_header("content-type", "text/xml").with_body(format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>NotImplemented</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ))
}

pub fn too_large() -> HttpResponse {
    HttpResponse::new(413).with_body("The request body is too large.")
}
