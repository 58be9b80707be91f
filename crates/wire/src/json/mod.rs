//! JSON as AWS's JSON protocols speak it: a pull parser and a writer, both driven by schemas.

mod plain;
mod read;
mod scan;
mod write;

pub use read::JsonReader;
pub use write::JsonWriter;
pub(crate) use write::epoch;

use crate::schema::Member;
use crate::shape::{DynShape, ReadError, Shape};
use crate::validate::{Checks, DecodeError};

/// Which names members have in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The protocol's (`locationName`).
    Wire,
    /// The model's own: one form for all services, used by templates and audit.
    Model,
}

impl Names {
    fn of(self, m: &Member) -> &'static str {
        match self {
            Names::Wire => m.wire,
            Names::Model => m.name,
        }
    }
}

/// The shape's JSON, by the model's own names.
pub fn to_json(shape: &dyn DynShape) -> serde_json::Value {
    let text = JsonWriter::object(Names::Model, |w| shape.write_members(w));
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Reads and validates what [`to_json`] writes.
pub fn from_json<S: Shape>(json: &serde_json::Value) -> Result<S, DecodeError> {
    Checks::run(|checks| {
        let text = json.to_string();
        let mut reader = JsonReader::new(&text, Names::Model, Some(checks));
        let shape = S::read(&mut reader)?;
        reader.finish()?;
        Ok(shape)
    })
}

/// The class that AWS's reader wants a value to become.
fn java_class(m: &Member) -> &'static str {
    use crate::schema::Kind;
    match m.target.kind {
        Kind::Boolean => "Boolean",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Double => "Double",
        Kind::Blob | Kind::Stream => "Blob",
        Kind::Timestamp => "Date",
        _ => "String",
    }
}

/// A value of another type than the model's, in the words AWS uses for it.
fn converted(found: &str, m: &Member) -> ReadError {
    ReadError::new(format!("{found} cannot be converted to {}", java_class(m)))
}
