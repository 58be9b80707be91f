//! AWS's query protocol: a form of dotted names, read as the tree it stands for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::{Timestamp, base64_decode, percent_decode};

use crate::field::{element, key};
use crate::schema::{FLAT_BY_ELEMENT, FLATTENED, Member, Schema};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::text;
use crate::validate::Checks;

/// More levels than any model has.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct Form {
    value: Option<String>,
    children: BTreeMap<String, Form>,
}

impl Form {
    /// `a.b.1=x&c=y`
    pub fn parse(text: &str) -> Result<Form, ReadError> {
        let mut root = Form::default();
        for (name, value) in pairs(text) {
            let (name, value) = (name?, value?);
            if name.split('.').count() > DEPTH_MAX {
                return Err(ReadError::new("The query string has a name with too many parts"));
            }
            let mut node = &mut root;
            for part in name.split('.') {
                node = node.children.entry(part.to_owned()).or_default();
            }
            node.value = Some(value);
        }
        Ok(root)
    }

    /// Numbered children in their order.
    fn numbered(&self) -> Vec<&Form> {
        let mut found: Vec<(u64, &Form)> = self
            .children
            .iter()
            .filter_map(|(name, form)| name.parse().ok().map(|number| (number, form)))
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, form)| form).collect()
    }
}

type Part = Result<String, ReadError>;

/// The parameters of a query string or form, decoded.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (Part, Part)> {
    let decode = |part: &str| {
        percent_decode(&part.replace('+', " "))
            .ok_or_else(|| ReadError::new("Could not decode the query string"))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

pub struct QueryReader<'a> {
    form: &'a Form,
    checks: Option<&'a RefCell<Checks>>,
}

impl<'a> QueryReader<'a> {
    pub fn new(form: &'a Form, checks: Option<&'a RefCell<Checks>>) -> Self {
        QueryReader { form, checks }
    }

    fn at(&self, form: &'a Form) -> QueryReader<'a> {
        QueryReader { form, checks: self.checks }
    }

    fn text(&self) -> &'a str {
        self.form.value.as_deref().unwrap_or_default()
    }

    fn parse<T>(&self, parsed: Option<T>, m: &Member) -> Result<T, ReadError> {
        parsed.ok_or_else(|| {
            let kind = m.target.kind;
            ReadError::new(format!("{} is not a valid {kind:?} for {}", self.text(), m.name))
        })
    }
}

/// The name of a member, of each element where it is a flattened list.
pub(crate) fn flat_name(m: &Member) -> &'static str {
    match &m.target.element {
        Some(element) if m.is(FLAT_BY_ELEMENT) => element.wire,
        _ => m.wire,
    }
}

impl Reader for QueryReader<'_> {
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        for (index, member) in schema.members.iter().enumerate() {
            if let Some(form) = self.form.children.get(flat_name(member)) {
                on(index, &mut self.at(form))?;
            }
        }
        Ok(())
    }

    fn list(&mut self, m: &'static Member, on: OnElement<'_>) -> Result<(), ReadError> {
        let items = match m.is(FLATTENED) {
            true => Some(self.form),
            false => self.form.children.get(element(m).wire),
        };
        for form in items.map(Form::numbered).unwrap_or_default() {
            on(&mut self.at(form))?;
        }
        Ok(())
    }

    fn map(&mut self, m: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError> {
        let entries = match m.is(FLATTENED) {
            true => Some(self.form),
            false => self.form.children.get("entry"),
        };
        for entry in entries.map(Form::numbered).unwrap_or_default() {
            let name = entry.children.get(key(m).wire).and_then(|form| form.value.clone());
            let Some(name) = name else {
                return Err(ReadError::new(format!("An entry of {} has no key", m.name)));
            };
            let nothing = Form::default();
            let value = entry.children.get(element(m).wire).unwrap_or(&nothing);
            on(name, &mut QueryReader { form: value, checks: self.checks })?;
        }
        Ok(())
    }

    fn string(&mut self, _: &'static Member) -> Result<String, ReadError> {
        Ok(self.text().to_owned())
    }

    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError> {
        self.parse(text::boolean(self.text()), m)
    }

    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError> {
        self.parse(self.text().trim().parse().ok(), m)
    }

    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError> {
        self.parse(text::parse_double(self.text()), m)
    }

    fn blob(&mut self, m: &'static Member) -> Result<Bytes, ReadError> {
        self.parse(base64_decode(self.text()).map(Bytes::from), m)
    }

    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError> {
        self.parse(text::timestamp(self.text()), m)
    }

    fn document(&mut self, m: &'static Member) -> Result<Document, ReadError> {
        self.parse(serde_json::from_str(self.text()).ok(), m)
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}
