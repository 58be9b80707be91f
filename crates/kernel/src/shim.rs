//! Temporary until wire has these.
#![allow(missing_docs)]
use sereno_wire::{DynShape, HttpRequest, Operation, Protocol, Violation};
pub struct Route;
pub enum DecodeError {
    Malformed(String),
    Violations(Vec<Violation>),
}
pub fn decode<O: Operation>(
    _: Protocol,
    _: &Route,
    _: HttpRequest,
    _: bytes::Bytes,
) -> Result<O::Input, DecodeError> {
    Err(DecodeError::Malformed(String::new()))
}
pub fn from_json<S: sereno_wire::Shape>(_: &serde_json::Value) -> Result<S, DecodeError> {
    Err(DecodeError::Malformed(String::new()))
}
pub fn to_json(_: &dyn DynShape) -> serde_json::Value {
    serde_json::Value::Null
}
