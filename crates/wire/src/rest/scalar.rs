//! A value outside the body: a label, a query parameter, a header; or a raw payload.

use std::cell::RefCell;

use bytes::Bytes;
use sereno_base::{Timestamp, base64_decode};

use crate::body::Body;
use crate::schema::{JSON_VALUE, Kind, Location, Member, Schema, TimestampFormat};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::text;
use crate::validate::Checks;

pub(super) struct ScalarReader<'a> {
    member: &'static Member,
    pub values: Vec<String>,
    /// Entries, where the member is a map.
    pub pairs: Vec<(String, String)>,
    pub stream: Body,
    pub blob: Bytes,
    checks: Option<&'a RefCell<Checks>>,
}

impl<'a> ScalarReader<'a> {
    pub fn new(member: &'static Member, checks: Option<&'a RefCell<Checks>>) -> Self {
        ScalarReader {
            member,
            values: Vec::new(),
            pairs: Vec::new(),
            stream: Body::default(),
            blob: Bytes::new(),
            checks,
        }
    }

    fn one(&self, value: String) -> ScalarReader<'a> {
        let mut it = ScalarReader::new(self.member, self.checks);
        it.values.push(value);
        it
    }

    fn text(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }

    fn parse<T>(&self, parsed: Option<T>, m: &Member) -> Result<T, ReadError> {
        parsed.ok_or_else(|| {
            let kind = m.target.kind;
            ReadError::new(format!("{} is not a valid {kind:?} for {}", self.text(), m.name))
        })
    }
}

impl Reader for ScalarReader<'_> {
    fn structure(&mut self, _: &'static Schema, _: OnMember<'_>) -> Result<(), ReadError> {
        Err(ReadError::new("a structure cannot be a label, parameter or header"))
    }

    fn list(&mut self, m: &'static Member, on: OnElement<'_>) -> Result<(), ReadError> {
        let header = self.member.location == Location::Header;
        let dates = crate::field::element(m).target.kind == Kind::Timestamp
            && crate::field::element(m).target.timestamp != TimestampFormat::Iso8601
            && crate::field::element(m).target.timestamp != TimestampFormat::Epoch;
        for value in &self.values {
            match header {
                false => on(&mut self.one(value.clone()))?,
                true => {
                    for part in split_header(value, dates) {
                        on(&mut self.one(part))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn map(&mut self, _: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError> {
        let mut names: Vec<&String> = self.pairs.iter().map(|(name, _)| name).collect();
        names.dedup();
        names.sort();
        names.dedup();
        for name in names {
            let mut it = ScalarReader::new(self.member, self.checks);
            let given = self.pairs.iter().filter(|(other, _)| other == name);
            it.values.extend(given.map(|(_, value)| value.clone()));
            on(name.clone(), &mut it)?;
        }
        Ok(())
    }

    fn string(&mut self, m: &'static Member) -> Result<String, ReadError> {
        if m.is(JSON_VALUE) && m.location == Location::Header {
            let decoded = base64_decode(self.text()).and_then(|b| String::from_utf8(b).ok());
            return self.parse(decoded, m);
        }
        Ok(self.text().to_owned())
    }

    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError> {
        self.parse(text::boolean(self.text()), m)
    }

    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError> {
        self.parse(self.text().trim().parse().ok(), m)
    }

    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError> {
        self.parse(text::parse_double(self.text().trim()), m)
    }

    fn blob(&mut self, m: &'static Member) -> Result<Bytes, ReadError> {
        if self.values.is_empty() {
            return Ok(self.blob.clone());
        }
        self.parse(base64_decode(self.text()).map(Bytes::from), m)
    }

    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError> {
        self.parse(text::timestamp(self.text().trim()), m)
    }

    fn document(&mut self, m: &'static Member) -> Result<Document, ReadError> {
        self.parse(serde_json::from_str(self.text()).ok(), m)
    }

    fn stream(&mut self, _: &'static Member) -> Result<Body, ReadError> {
        Ok(self.stream.clone())
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}

/// `a, "b, c", d`; HTTP dates have a comma of their own.
fn split_header(value: &str, dates: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut escaped = false;
    let mut commas = 0;
    for letter in value.chars() {
        match letter {
            _ if escaped => {
                current.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                commas += 1;
                if dates && commas % 2 == 1 {
                    current.push(letter);
                } else {
                    parts.push(std::mem::take(&mut current).trim().to_owned());
                }
            }
            _ => current.push(letter),
        }
    }
    parts.push(current.trim().to_owned());
    if parts == [""] {
        parts.clear();
    }
    parts
}
