//! XML to shapes.

use std::cell::RefCell;

use bytes::Bytes;
use sereno_base::{Timestamp, base64_decode};

use super::Element;
use crate::field::{element, key};
use crate::query::flat_name;
use crate::schema::{FLATTENED, Kind, Location, Member, Schema, XML_ATTRIBUTE, XML_TEXT};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::text;
use crate::validate::Checks;

/// Stands at one element; at several where a flattened list or map is.
pub struct XmlReader<'a> {
    at: Vec<&'a Element>,
    attribute: Option<&'a str>,
    checks: Option<&'a RefCell<Checks>>,
    /// The outermost structure has members elsewhere in the message; they are not read here.
    body_only: bool,
}

impl<'a> XmlReader<'a> {
    pub fn new(root: &'a Element, checks: Option<&'a RefCell<Checks>>) -> Self {
        XmlReader { at: vec![root], attribute: None, checks, body_only: false }
    }

    /// Leaves out the outermost structure's members that do not travel in the body.
    pub(crate) fn body_only(&mut self) {
        self.body_only = true;
    }

    fn one(&self, element: &'a Element) -> XmlReader<'a> {
        XmlReader { at: vec![element], attribute: None, checks: self.checks, body_only: false }
    }

    fn text(&self) -> &'a str {
        self.attribute.unwrap_or_else(|| self.at.first().map_or("", |element| &element.text))
    }

    fn parse<T>(&self, parsed: Option<T>, m: &Member) -> Result<T, ReadError> {
        parsed.ok_or_else(|| {
            let kind = m.target.kind;
            ReadError::new(format!("{} is not a valid {kind:?} for {}", self.text(), m.name))
        })
    }

    fn children(&self, name: &str) -> Vec<&'a Element> {
        let all = self.at.iter().flat_map(|element| &element.children);
        all.filter(|child| child.name == name).collect()
    }
}

fn is_collection(m: &Member) -> bool {
    matches!(m.target.kind, Kind::List | Kind::Map)
}

impl Reader for XmlReader<'_> {
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        for (index, member) in schema.members.iter().enumerate() {
            if self.body_only && member.location != Location::Body {
                continue;
            }
            let mut here = XmlReader {
                at: Vec::new(),
                attribute: None,
                checks: self.checks,
                body_only: false,
            };
            if member.is(XML_ATTRIBUTE) {
                let attributes = self.at.iter().flat_map(|element| &element.attributes);
                let local = |name: &str| name.rsplit_once(':').map_or(name.len(), |s| s.1.len());
                let wanted = &member.wire[member.wire.len() - local(member.wire)..];
                here.attribute = attributes
                    .filter(|(name, _)| &name[name.len() - local(name)..] == wanted)
                    .map(|(_, value)| value.as_str())
                    .next();
                if here.attribute.is_none() {
                    continue;
                }
            } else if member.is(XML_TEXT) {
                here.at.clone_from(&self.at);
            } else {
                here.at = self.children(flat_name(member));
                if !(member.is(FLATTENED) && is_collection(member)) {
                    here.at.truncate(1);
                }
                if here.at.is_empty() {
                    continue;
                }
            }
            on(index, &mut here)?;
        }
        Ok(())
    }

    fn list(&mut self, m: &'static Member, on: OnElement<'_>) -> Result<(), ReadError> {
        let items = match m.is(FLATTENED) {
            true => self.at.clone(),
            false => self.children(element(m).wire),
        };
        for item in items {
            on(&mut self.one(item))?;
        }
        Ok(())
    }

    fn map(&mut self, m: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError> {
        let entries = match m.is(FLATTENED) {
            true => self.at.clone(),
            false => self.children("entry"),
        };
        for entry in entries {
            let (Some(name), Some(value)) =
                (entry.child(key(m).wire), entry.child(element(m).wire))
            else {
                return Err(ReadError::new(format!("An entry of {} is not complete", m.name)));
            };
            on(name.text.clone(), &mut self.one(value))?;
        }
        Ok(())
    }

    fn string(&mut self, _: &'static Member) -> Result<String, ReadError> {
        Ok(self.text().to_owned())
    }

    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError> {
        self.parse(text::boolean(self.text().trim()), m)
    }

    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError> {
        self.parse(self.text().trim().parse().ok(), m)
    }

    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError> {
        self.parse(text::parse_double(self.text().trim()), m)
    }

    fn blob(&mut self, m: &'static Member) -> Result<Bytes, ReadError> {
        self.parse(base64_decode(self.text().trim()).map(Bytes::from), m)
    }

    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError> {
        self.parse(text::timestamp(self.text().trim()), m)
    }

    fn document(&mut self, m: &'static Member) -> Result<Document, ReadError> {
        self.parse(serde_json::from_str(self.text()).ok(), m)
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}
