//! A request to the operation's input: only its outermost structure is spread over the message.

use std::cell::RefCell;

use bytes::Bytes;
use sereno_base::Timestamp;

use super::scalar::ScalarReader;
use super::{Language, has_document};
use crate::body::{Body, HeaderMap};
use crate::json::{JsonReader, Names};
use crate::route::Route;
use crate::schema::{Kind, Location, Member, Schema};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::validate::Checks;
use crate::xml::{Element, XmlReader};

pub(crate) struct RestReader<'a> {
    pub language: Language,
    pub route: &'a Route,
    /// Decoded, in their order.
    pub query: Vec<(String, String)>,
    pub headers: &'a HeaderMap,
    /// The body where a payload streams.
    pub stream: Body,
    pub body: &'a Bytes,
    pub checks: Option<&'a RefCell<Checks>>,
}

impl RestReader<'_> {
    fn outer(&self, m: &'static Member, schema: &'static Schema) -> Option<ScalarReader<'_>> {
        let mut it = ScalarReader::new(m, self.checks);
        match m.location {
            Location::Uri => {
                let label = self.route.labels.iter().find(|(name, _)| *name == m.wire);
                it.values.extend(label.map(|(_, value)| value.clone()));
            }
            Location::Query if m.target.kind == Kind::Map => {
                let bound = |name: &str| {
                    schema.members.iter().any(|other| {
                        other.location == Location::Query
                            && other.target.kind != Kind::Map
                            && other.wire == name
                    })
                };
                it.pairs.extend(self.query.iter().filter(|(name, _)| !bound(name)).cloned());
            }
            Location::Query => {
                // To S3 an empty number is none (recorded: `test_list_parts_empty_part_number_marker`).
                let none = |value: &str| {
                    let number = matches!(m.target.kind, Kind::Integer | Kind::Long);
                    number && value.is_empty() && matches!(self.language, Language::Xml)
                };
                let given = self.query.iter().filter(|(name, v)| name == m.wire && !none(v));
                it.values.extend(given.map(|(_, value)| value.clone()));
            }
            Location::Header => {
                let given = self.headers.get_all(m.wire).iter();
                it.values.extend(given.map(|v| String::from_utf8_lossy(v.as_bytes()).into()));
                if it.values.is_empty() {
                    let given = self.hoisted().filter(|(n, _)| n.eq_ignore_ascii_case(m.wire));
                    it.values.extend(given.map(|(_, value)| value.clone()));
                }
            }
            Location::PrefixHeaders => {
                let prefix = m.wire.to_ascii_lowercase();
                for (name, value) in self.headers {
                    if let Some(rest) = name.as_str().strip_prefix(&prefix) {
                        let value = String::from_utf8_lossy(value.as_bytes()).into();
                        it.pairs.push((rest.to_owned(), value));
                    }
                }
                for (name, value) in self.hoisted() {
                    let name = name.to_ascii_lowercase();
                    if let Some(rest) = name.strip_prefix(&prefix)
                        && !self.headers.contains_key(&name)
                    {
                        it.pairs.push((rest.to_owned(), value.clone()));
                    }
                }
            }
            Location::Body | Location::StatusCode => return None,
        }
        (!it.values.is_empty() || !it.pairs.is_empty()).then_some(it)
    }

    /// A presigned URL of S3 carries headers as parameters, so that who uses it need not send them
    /// (recorded: localstack tests/aws/services/s3, `test_presigned_url_v4_x_amz_in_qs`).
    fn hoisted(&self) -> impl Iterator<Item = &(String, String)> {
        let all = match self.language {
            Language::Xml => self.query.as_slice(),
            Language::Json => &[],
        };
        all.iter()
    }

    fn text(&self) -> Result<&str, ReadError> {
        std::str::from_utf8(self.body).map_err(|_| ReadError::new("The body is not UTF-8"))
    }

    fn payload(
        &mut self,
        index: usize,
        m: &'static Member,
        on: OnMember<'_>,
    ) -> Result<(), ReadError> {
        let kind = m.target.kind;
        if kind == Kind::Stream {
            let mut it = ScalarReader::new(m, self.checks);
            it.stream = match &self.stream {
                body if body.is_empty() => Body::Bytes(self.body.clone()),
                body => body.clone(),
            };
            return on(index, &mut it);
        }
        if self.body.is_empty() {
            return Ok(());
        }
        match (kind, self.language) {
            (Kind::Blob, _) => {
                let mut it = ScalarReader::new(m, self.checks);
                it.blob = self.body.clone();
                on(index, &mut it)
            }
            (Kind::String | Kind::Enum, _) => {
                let mut it = ScalarReader::new(m, self.checks);
                it.values.push(self.text()?.to_owned());
                on(index, &mut it)
            }
            (_, Language::Json) => {
                let mut it = JsonReader::new(self.text()?, Names::Wire, self.checks);
                on(index, &mut it)?;
                it.finish()
            }
            (_, Language::Xml) => {
                let root = Element::parse(self.text()?)?;
                on(index, &mut XmlReader::new(&root, self.checks))
            }
        }
    }

    fn whole(&self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        match self.language {
            Language::Json => {
                let mut it = JsonReader::new(self.text()?, Names::Wire, self.checks);
                it.body_only();
                it.structure(schema, on)?;
                it.finish()
            }
            Language::Xml => {
                let root = Element::parse(self.text()?)?;
                let mut it = XmlReader::new(&root, self.checks);
                it.body_only();
                it.structure(schema, on)
            }
        }
    }
}

fn inside() -> ReadError {
    ReadError::new("an operation's input is a structure")
}

impl Reader for RestReader<'_> {
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        for (index, member) in schema.members.iter().enumerate() {
            if let Some(mut outer) = self.outer(member, schema) {
                on(index, &mut outer)?;
            }
        }
        match schema.payload() {
            Some((index, member)) => self.payload(index, member, on),
            None if has_document(schema) => self.whole(schema, on),
            None => Ok(()),
        }
    }

    fn list(&mut self, _: &'static Member, _: OnElement<'_>) -> Result<(), ReadError> {
        Err(inside())
    }

    fn map(&mut self, _: &'static Member, _: OnEntry<'_>) -> Result<(), ReadError> {
        Err(inside())
    }

    fn string(&mut self, _: &'static Member) -> Result<String, ReadError> {
        Err(inside())
    }

    fn boolean(&mut self, _: &'static Member) -> Result<bool, ReadError> {
        Err(inside())
    }

    fn long(&mut self, _: &'static Member) -> Result<i64, ReadError> {
        Err(inside())
    }

    fn double(&mut self, _: &'static Member) -> Result<f64, ReadError> {
        Err(inside())
    }

    fn blob(&mut self, _: &'static Member) -> Result<Bytes, ReadError> {
        Err(inside())
    }

    fn timestamp(&mut self, _: &'static Member) -> Result<Timestamp, ReadError> {
        Err(inside())
    }

    fn document(&mut self, _: &'static Member) -> Result<Document, ReadError> {
        Err(inside())
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}
