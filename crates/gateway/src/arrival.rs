//! What can be read off a request before anything is known of its service.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;
use sereno_base::percent_decode;
use sereno_kernel::{CorsRequest, Error, Kind, Origin};
use sereno_wire::{HttpRequest, Protocol, ServiceSchema};

/// The largest body that is held in memory, where a service has no limit of its own.
pub const BODY_BYTES_MAX: usize = 10 << 20;

/// The largest form of somebody who has not signed it: a SAML assertion has 100,000 characters at most.
pub const UNSIGNED_BYTES_MAX: usize = 256 << 10;

/// AWS's own limits on a request, base64 included.
fn body_bytes_max(schema: &ServiceSchema) -> usize {
    match schema.name {
        "lambda" => 70_167_211,
        "dynamodb" => 17 << 20,
        _ => BODY_BYTES_MAX,
    }
}

pub fn origin(request: &HttpRequest, authority: Option<&str>, peer: SocketAddr) -> Origin {
    let host = request.header("host").or(authority).unwrap_or("localhost");
    let secure = request.header("x-forwarded-proto") == Some("https");
    // An IPv4 client of a socket for both kinds is `::ffff:192.0.2.1`, which no policy's condition names.
    let peer = peer.ip().to_canonical();
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    Origin {
        endpoint: [if secure { "https://" } else { "http://" }, host].concat(),
        host: bare.to_ascii_lowercase(),
        source_ip: peer.to_string(),
        user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
        // What never leaves the machine cannot be read on the way: docs/decisions/0001-loopback-is-secure.md.
        secure: peer.is_loopback(),
        trace_id: request.header("x-amzn-trace-id").unwrap_or_default().to_owned(),
        refusal: None,
    }
}

/// The service in the credential scope of a header or a presigned URL.
pub fn scope_service(request: &HttpRequest) -> Option<Cow<'_, str>> {
    if let Some(header) = request.header("authorization") {
        let mut parts = header.split([' ', ',']);
        let credential = parts.find_map(|part| part.strip_prefix("Credential="))?;
        return credential.rsplit('/').nth(1).map(Cow::Borrowed);
    }
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, credential) = pairs.find(|(name, _)| *name == "X-Amz-Credential")?;
    percent_decode(credential)?.rsplit('/').nth(1).map(|service| Cow::Owned(service.to_owned()))
}

pub fn is_form(request: &HttpRequest) -> bool {
    request.method == "POST"
        && request.path == "/"
        && request
            .header("content-type")
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

/// The protocol that the client speaks, of those that the service has.
pub fn protocol(schema: &ServiceSchema, request: &HttpRequest) -> Protocol {
    let has = |protocol| schema.protocols.contains(&protocol);
    if request.header("smithy-protocol") == Some("rpc-v2-cbor") && has(Protocol::Cbor) {
        return Protocol::Cbor;
    }
    if request.header("x-amz-target").is_some() {
        let json_11 = has(Protocol::Json11) && !has(Protocol::Json10);
        return if json_11 { Protocol::Json11 } else { Protocol::Json10 };
    }
    if has(Protocol::Query) {
        return Protocol::Query;
    }
    schema.protocols.first().copied().unwrap_or(Protocol::Json11)
}

/// What a browser asks in the name of a page; `None`: this is no page's request.
pub fn cors(request: &HttpRequest, bucket: Option<&str>) -> Option<CorsRequest> {
    let origin = request.header("origin")?.to_owned();
    let asked = request.header("access-control-request-method");
    let preflight = request.method == "OPTIONS" && asked.is_some();
    let headers = request.header("access-control-request-headers").unwrap_or_default();
    Some(CorsRequest {
        path: addressed_path(request, bucket),
        origin,
        method: asked.unwrap_or(request.method.as_str()).to_owned(),
        headers: headers
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|n| !n.is_empty())
            .collect(),
        preflight,
    })
}

/// The path with the bucket in it, whichever way the bucket was named.
fn addressed_path(request: &HttpRequest, bucket: Option<&str>) -> String {
    match bucket {
        Some(bucket) => format!("/{bucket}{}", request.path),
        None => request.path.clone(),
    }
}

/// Puts the bucket of the host into the path, so that there is one form behind this point.
pub fn address_bucket(request: &mut HttpRequest, bucket: Option<&str>) {
    if let Some(bucket) = bucket {
        request.path = format!("/{bucket}{}", request.path);
    }
}

pub async fn collect(request: &mut HttpRequest, limit: usize) -> std::io::Result<Bytes> {
    std::mem::take(&mut request.body).collect(limit).await
}

/// Up to the service's limit, and `limit`.
pub async fn collect_for(
    schema: &ServiceSchema,
    request: &mut HttpRequest,
    limit: usize,
) -> Result<Bytes, Error> {
    collect(request, body_bytes_max(schema).min(limit)).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            let message = "Request size exceeded the limit for this service.";
            return Error::invalid("RequestEntityTooLargeException", message).status(413);
        }
        Error::new(Kind::Invalid, "RequestTimeout", "The request body did not arrive whole.")
    })
}
