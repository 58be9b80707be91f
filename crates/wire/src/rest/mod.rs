//! REST protocols: members spread over path, query, headers, status and body.

mod read;
mod scalar;
mod write;

pub(crate) use read::RestReader;
pub(crate) use write::RestWriter;

use crate::schema::{Location, Schema};

/// Which language the body is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Xml,
}

/// Members that make a document of the body, as no single one is the payload.
pub(crate) fn has_document(schema: &'static Schema) -> bool {
    schema.payload().is_none() && schema.members.iter().any(|m| m.location == Location::Body)
}
