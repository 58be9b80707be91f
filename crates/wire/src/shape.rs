//! The one way in and out of every generated type: a shape walks its own members, a [`Reader`] or
//! [`Writer`] knows the protocol.
//!
//! Invariant: a shape never knows a protocol, a protocol never knows a type. Readers are lenient
//! in what the model does not forbid (unknown members are skipped) and collect every violation of
//! the model in one pass.

use std::any::Any;
use std::cell::RefCell;
use std::fmt::Debug;

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::body::Body;
use crate::schema::{Member, OperationSchema, Schema};
use crate::validate::{self, Checks};

/// JSON inside a message that no model describes.
pub type Document = serde_json::Value;

/// A generated structure or union.
pub trait Shape: Default + Clone + Debug + PartialEq + Send + Sync + 'static {
    const SCHEMA: &'static Schema;
    fn read(r: &mut dyn Reader) -> Result<Self, ReadError>;
    /// Writes the members, without a frame around them.
    fn write(&self, w: &mut dyn Writer);
}

/// A generated operation.
pub trait Operation: Send + Sync + 'static {
    type Input: Shape;
    type Output: Shape;
    const SCHEMA: &'static OperationSchema;
}

/// A shape whose type is not known.
pub trait DynShape: Debug + Send + Sync {
    fn schema(&self) -> &'static Schema;
    fn write_members(&self, w: &mut dyn Writer);
    fn boxed(&self) -> Box<dyn DynShape>;
    fn as_any(&self) -> &dyn Any;
    /// To take the type back without a copy.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<S: Shape> DynShape for S {
    fn schema(&self) -> &'static Schema {
        S::SCHEMA
    }

    fn write_members(&self, w: &mut dyn Writer) {
        self.write(w);
    }

    fn boxed(&self) -> Box<dyn DynShape> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The message cannot be read at all; violations of the model are not this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(pub String);

impl ReadError {
    pub fn new(message: impl Into<String>) -> Self {
        ReadError(message.into())
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// Called with a member's index in the schema, the reader standing at its value.
pub type OnMember<'a> = &'a mut dyn FnMut(usize, &mut dyn Reader) -> Result<(), ReadError>;
pub type OnElement<'a> = &'a mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>;
pub type OnEntry<'a> = &'a mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>;

/// Stands at one value of a message and turns it into what the shape expects there.
pub trait Reader {
    /// Members that are absent or null are not called; unknown ones are skipped.
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError>;
    fn list(&mut self, m: &'static Member, on: OnElement<'_>) -> Result<(), ReadError>;
    fn map(&mut self, m: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError>;
    fn string(&mut self, m: &'static Member) -> Result<String, ReadError>;
    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError>;
    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError>;
    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError>;
    fn blob(&mut self, m: &'static Member) -> Result<Bytes, ReadError>;
    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError>;
    fn document(&mut self, m: &'static Member) -> Result<Document, ReadError>;
    fn stream(&mut self, m: &'static Member) -> Result<Body, ReadError> {
        self.blob(m).map(Body::Bytes)
    }
    /// True (and consumed) where an element of a list or map is null.
    fn null(&mut self) -> Result<bool, ReadError> {
        Ok(false)
    }
    /// Where violations are collected; `None` reads without validating.
    fn checks(&self) -> Option<&RefCell<Checks>>;
}

/// Takes the values of a message in the order of the model.
pub trait Writer {
    fn begin_structure(&mut self, m: &'static Member);
    fn end_structure(&mut self, m: &'static Member);
    fn begin_list(&mut self, m: &'static Member, len: usize);
    fn end_list(&mut self, m: &'static Member);
    fn begin_map(&mut self, m: &'static Member, len: usize);
    /// Before each value of a map.
    fn key(&mut self, m: &'static Member, key: &str);
    fn end_entry(&mut self, m: &'static Member);
    fn end_map(&mut self, m: &'static Member);
    /// A null in a list or map, where the model allows one.
    fn null(&mut self, m: &'static Member);
    fn string(&mut self, m: &'static Member, value: &str);
    fn boolean(&mut self, m: &'static Member, value: bool);
    fn long(&mut self, m: &'static Member, value: i64);
    fn double(&mut self, m: &'static Member, value: f64);
    fn blob(&mut self, m: &'static Member, value: &Bytes);
    fn timestamp(&mut self, m: &'static Member, value: Timestamp);
    fn document(&mut self, m: &'static Member, value: &Document);
    fn stream(&mut self, m: &'static Member, value: &Body);
}

/// The members a structure has met while being read.
#[derive(Default)]
pub struct Seen(u128);

impl Seen {
    pub fn set(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub fn has(&self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub fn count(&self) -> u32 {
        self.0.count_ones()
    }

    /// Reports the required members that never came.
    pub fn finish(&self, schema: &'static Schema, r: &dyn Reader) {
        if let Some(checks) = r.checks() {
            for (index, member) in schema.members.iter().enumerate() {
                if member.is(crate::schema::REQUIRED) && !self.has(index) {
                    validate::missing(checks, member);
                }
            }
        }
    }
}
