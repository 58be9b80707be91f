//! Requests to inputs, outputs and errors to responses: the four calls that the pipeline makes.

use std::io::Read;

use bytes::Bytes;

use crate::body::{HttpRequest, HttpResponse};
use crate::cbor::{CborReader, CborWriter};
use crate::json::{JsonReader, JsonWriter, Names};
use crate::query::{Form, QueryReader, pairs};
use crate::rest::{Language, RestReader, RestWriter};
use crate::route::Route;
use crate::schema::{Kind, Member, OperationSchema, Protocol, ServiceSchema};
use crate::shape::{DynShape, Operation, ReadError, Reader, Shape};
use crate::validate::{Checks, DecodeError};
use crate::xml::XmlWriter;

/// A gzipped request may not grow beyond this.
const INFLATED_MAX: u64 = 64 << 20;

/// Whether the operation takes its request's body piece by piece, so that it must not be collected.
pub fn streams_input(operation: &OperationSchema) -> bool {
    operation.input.members.iter().any(|m| m.target.kind == Kind::Stream)
}

/// Reads and validates an operation's input. `body` is the collected body, empty where it streams.
pub fn decode<O: Operation>(
    protocol: Protocol,
    route: &Route,
    request: HttpRequest,
    body: Bytes,
) -> Result<O::Input, DecodeError> {
    let mut input = None;
    decode_with(protocol, route, request, body, &mut |r| {
        input = Some(O::Input::read(r)?);
        Ok(())
    })?;
    input.ok_or_else(|| DecodeError::Malformed("the request has no input".to_owned()))
}

/// The part of [`decode`] that is the same for all types.
pub fn decode_with(
    protocol: Protocol,
    route: &Route,
    request: HttpRequest,
    body: Bytes,
    read: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
) -> Result<(), DecodeError> {
    let body = inflate(protocol, &request, body)
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    Checks::run(|checks| {
        let text =
            || std::str::from_utf8(&body).map_err(|_| ReadError::new("The request is not UTF-8"));
        match protocol {
            Protocol::Json10 | Protocol::Json11 => {
                let text = text()?;
                let text = if text.is_empty() { "{}" } else { text };
                let mut reader = JsonReader::new(text, Names::Wire, Some(checks));
                read(&mut reader)?;
                reader.finish()
            }
            Protocol::Query => {
                let all = [request.query.as_str(), text()?].join("&");
                read(&mut QueryReader::new(&Form::parse(&all)?, Some(checks)))
            }
            Protocol::RestJson | Protocol::RestXml => {
                let query = pairs(&request.query)
                    .map(|(name, value)| Ok((name?, value?)))
                    .collect::<Result<_, ReadError>>()?;
                read(&mut RestReader {
                    language: language(protocol),
                    route,
                    query,
                    headers: &request.headers,
                    stream: request.body.clone(),
                    body: &body,
                    checks: Some(checks),
                })
            }
            Protocol::Cbor => {
                // Without input there is no body.
                let body: &[u8] = if body.is_empty() { &[0xa0] } else { &body };
                read(&mut CborReader::new(body, Some(checks)))
            }
        }
    })
}

fn language(protocol: Protocol) -> Language {
    match protocol {
        Protocol::RestXml => Language::Xml,
        _ => Language::Json,
    }
}

/// Unpacks a gzipped body. To S3 a content encoding is metadata: it never unpacks.
fn inflate(protocol: Protocol, request: &HttpRequest, body: Bytes) -> std::io::Result<Bytes> {
    let gzip = request
        .header("content-encoding")
        .and_then(|encodings| encodings.rsplit(',').next())
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("gzip"));
    if !gzip || protocol == Protocol::RestXml || body.is_empty() {
        return Ok(body);
    }
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).take(INFLATED_MAX + 1).read_to_end(&mut inflated)?;
    match inflated.len() as u64 > INFLATED_MAX {
        true => Err(std::io::Error::other("The unpacked request is too large")),
        false => Ok(inflated.into()),
    }
}

fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Query => "text/xml",
        Protocol::RestJson => "application/json",
        Protocol::RestXml => "application/xml",
        Protocol::Cbor => "application/cbor",
    }
}

fn is_s3(service: &ServiceSchema) -> bool {
    service.name == "s3"
}

/// S3's second name of a request: opaque, and another than the first.
fn host_id(request_id: &str) -> String {
    sereno_base::base64_encode(request_id.as_bytes())
}

fn identify(response: &mut HttpResponse, service: &ServiceSchema, request_id: &str) {
    if !is_s3(service) {
        response.set_header("x-amzn-requestid", request_id);
        return;
    }
    response.set_header("x-amz-request-id", request_id);
    response.set_header("x-amz-id-2", &host_id(request_id));
    response.set_header("server", "AmazonS3");
}

/// An operation's answer.
pub fn encode(
    protocol: Protocol,
    operation: &'static OperationSchema,
    output: &dyn DynShape,
    request_id: &str,
) -> HttpResponse {
    let mut response = match protocol {
        Protocol::Cbor => HttpResponse::new(200)
            .with_header("content-type", content_type(protocol))
            .with_header("smithy-protocol", "rpc-v2-cbor")
            .with_body(CborWriter::object(|w| output.write_members(w))),
        Protocol::Json10 | Protocol::Json11 => {
            let body = JsonWriter::object(Names::Wire, |w| output.write_members(w));
            HttpResponse::new(200)
                .with_header("content-type", content_type(protocol))
                .with_body(body)
        }
        Protocol::Query => HttpResponse::new(200)
            .with_header("content-type", content_type(protocol))
            .with_body(query_document(operation, output, request_id)),
        Protocol::RestJson | Protocol::RestXml => {
            let mut writer = RestWriter::new(operation, language(protocol));
            output.write_members(&mut writer);
            writer.finish()
        }
    };
    identify(&mut response, operation.service, request_id);
    response
}

fn query_document(
    operation: &'static OperationSchema,
    output: &dyn DynShape,
    request_id: &str,
) -> String {
    let namespace = operation.service.xml_namespace.map(|uri| ("", uri));
    XmlWriter::document(&format!("{}Response", operation.name), namespace, |w| {
        match operation.result_wrapper {
            Some(wrapper) => {
                w.open(wrapper, None);
                output.write_members(w);
                w.close(wrapper);
            }
            None => output.write_members(w),
        }
        w.open("ResponseMetadata", None);
        w.extra("RequestId", request_id);
        w.close("ResponseMetadata");
    })
}

/// An error on its way out.
#[derive(Debug)]
pub struct WireError<'a> {
    pub code: &'a str,
    pub status: u16,
    pub message: &'a str,
    /// The caller's fault.
    pub sender: bool,
    pub request_id: &'a str,
    /// Members of the error besides its message.
    pub detail: Option<&'a dyn DynShape>,
}

pub fn encode_error(
    protocol: Protocol,
    service: &'static ServiceSchema,
    error: &WireError<'_>,
) -> HttpResponse {
    let body = match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            json_error(protocol, service, error)
        }
        Protocol::Cbor => CborWriter::object(|w| {
            w.extra("__type", &qualified(service, error.code));
            w.extra("message", error.message);
            if let Some(detail) = error.detail {
                detail.write_members(w);
            }
        }),
        Protocol::RestXml if is_s3(service) => s3_error(error).into_bytes(),
        Protocol::Query | Protocol::RestXml => xml_error(service, error).into_bytes(),
    };
    let mut response = HttpResponse::new(error.status);
    // "Not modified" is no message: it has no body.
    if error.status != 304 {
        response = response.with_header("content-type", content_type(protocol)).with_body(body);
    }
    if protocol == Protocol::RestJson {
        response.set_header("x-amzn-errortype", error.code);
    }
    if protocol == Protocol::Cbor {
        response.set_header("smithy-protocol", "rpc-v2-cbor");
    }
    identify(&mut response, service, error.request_id);
    response
}

/// AWS's frameworks answer these themselves, under their own namespaces.
fn qualified(service: &ServiceSchema, code: &str) -> String {
    match (service.error_namespace, code) {
        (None, _) => code.to_owned(),
        (_, "ValidationException") => format!("com.amazon.coral.validate#{code}"),
        (
            _,
            "AccessDeniedException"
            | "SerializationException"
            | "UnknownOperationException"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException",
        ) => format!("com.amazon.coral.service#{code}"),
        (Some(namespace), _) => format!("{namespace}#{code}"),
    }
}

fn json_error(
    protocol: Protocol,
    service: &'static ServiceSchema,
    error: &WireError<'_>,
) -> Vec<u8> {
    let schema = service.error(error.code).map(|e| e.schema);
    let member = |wanted: &str| -> Option<&'static Member> {
        schema?.members.iter().find(|m| m.name.eq_ignore_ascii_case(wanted))
    };
    let mut w = JsonWriter::open(Names::Wire);
    if protocol != Protocol::RestJson {
        w.extra("__type", &qualified(service, error.code));
    } else if let Some(kind) = member("type") {
        w.extra(kind.wire, if error.sender { "User" } else { "Service" });
    }
    if let Some(detail) = error.detail {
        detail.write_members(&mut w);
    }
    // Errors of the framework itself spell it with a capital (recorded on AWS).
    let framework = qualified(service, error.code).starts_with("com.amazon.coral.service#");
    let message = match member("message") {
        Some(own) => own.wire,
        None if framework => "Message",
        None => "message",
    };
    if !error.message.is_empty() && !w.has(message) {
        w.extra(message, error.message);
    }
    w.close()
}

fn xml_error(service: &'static ServiceSchema, error: &WireError<'_>) -> String {
    let namespace = service.xml_namespace.map(|uri| ("", uri));
    XmlWriter::document("ErrorResponse", namespace, |w| {
        w.open("Error", None);
        w.extra("Type", if error.sender { "Sender" } else { "Receiver" });
        w.extra("Code", error.code);
        w.extra("Message", error.message);
        if let Some(detail) = error.detail {
            detail.write_members(w);
        }
        w.close("Error");
        w.extra("RequestId", error.request_id);
    })
}

fn s3_error(error: &WireError<'_>) -> String {
    XmlWriter::document("Error", None, |w| {
        w.extra("Code", error.code);
        w.extra("Message", error.message);
        if let Some(detail) = error.detail {
            detail.write_members(w);
        }
        w.extra("RequestId", error.request_id);
        w.extra("HostId", &host_id(error.request_id));
    })
}
