//! XML as rest-xml and query speak it.

mod parse;
mod read;
mod write;

pub use parse::Element;
pub use read::XmlReader;
pub use write::{XmlWriter, escape};
