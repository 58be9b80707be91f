//! What travels between a client and a service: shapes, their schemas, and AWS's wire protocols.
//!
//! * A service's API is generated (`crates/api/*`): plain types plus a static [`schema`].
//! * [`Shape`] walks a type's members; a [`shape::Reader`] or [`shape::Writer`] is a protocol.
//! * Reading validates in the same pass and answers in AWS's words ([`validate`]).
//!
//! Invariants: no I/O, no clock, no knowledge of any service. Malformed input is an error, never
//! a panic, and never costs more than its size.

#[macro_use]
mod macros;

pub mod body;
pub mod cbor;
mod describe;
pub mod eventstream;
pub mod field;
pub mod json;
mod pattern;
pub mod protocol;
mod query;
mod rest;
pub mod route;
pub mod schema;
pub mod shape;
mod text;
pub mod validate;
pub mod value;
pub mod xml;

pub use body::{Body, ByteStream, HttpRequest, HttpResponse, Trailers};
pub use json::{from_json, to_json};
pub use protocol::{WireError, decode, decode_with, encode, encode_error, streams_input};
pub use route::{Route, RouteError, Target, route};
pub use schema::{
    ErrorSchema, Kind, Location, Member, OperationSchema, OperationStub, Protocol, Schema,
    ServiceSchema,
};
pub use shape::{Document, DynShape, Operation, ReadError, Shape};
pub use validate::{DecodeError, Violation, validation_message};
pub use value::{Dynamic, Value, read_value, write_value};

/// What a generated file needs in scope.
pub mod idl {
    pub use crate::body::Body;
    pub use crate::route::Router;
    pub use crate::schema::prelude::*;
    pub use crate::schema::{
        Checksum, ErrorSchema, Kind, Member, OperationSchema, OperationStub, Pattern, Protocol,
        Schema, ServiceSchema,
    };
    pub use crate::schema::{
        EVENT_STREAM, FLAT_BY_ELEMENT, FLATTENED, HOST_LABEL, IDEMPOTENCY_TOKEN, JSON_VALUE,
        PAYLOAD, SENSITIVE, XML_ATTRIBUTE, XML_TEXT,
    };
    pub use crate::shape::{Document, Shape};
    pub use crate::{open_enum, operation, structure, union};
    pub use bytes::Bytes;
    pub use sereno_base::Timestamp;
    pub use std::collections::BTreeMap;

    use crate::schema::Location;

    pub const HEADER: Location = Location::Header;
    pub const PREFIX_HEADERS: Location = Location::PrefixHeaders;
    pub const QUERY: Location = Location::Query;
    pub const STATUS_CODE: Location = Location::StatusCode;
    pub const URI: Location = Location::Uri;

    pub const fn m(name: &'static str, target: &'static Schema) -> Member {
        Member::new(name, target)
    }

    pub const fn stub(
        name: &'static str,
        method: &'static str,
        uri: &'static str,
    ) -> OperationStub {
        OperationStub { name, method, uri }
    }
}
