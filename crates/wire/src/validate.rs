//! Checks of the model's constraints, collected while reading, and AWS's sentences for them.
//!
//! Invariant: a message that breaks no constraint allocates nothing here. Paths are built only
//! when a violation exists, from the inside out, as the readers return.
//!
//! Sentences recorded: localstack's `*.snapshot.json` ("failed to satisfy constraint").

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::describe::Describe;
use crate::field::{Field, key};
use crate::schema::{Kind, Member, SENSITIVE, Schema};
use crate::shape::{ReadError, Reader, Writer};

/// One broken constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `attributeDefinitions.1.member.attributeName`
    pub path: String,
    /// `None` is null.
    pub value: Option<String>,
    /// AWS leaves the value out of its sentence.
    pub sensitive: bool,
    /// `Member must not be null`
    pub constraint: String,
}

impl Violation {
    /// `Value 'x' at 'path' failed to satisfy constraint: Member must ...`
    pub fn sentence(&self) -> String {
        let value = match &self.value {
            None => " null".to_owned(),
            Some(_) if self.sensitive => String::new(),
            Some(value) => format!(" '{value}'"),
        };
        format!("Value{value} at '{}' failed to satisfy constraint: {}", self.path, self.constraint)
    }
}

/// `2 validation errors detected: Value ...; Value ...`
pub fn validation_message(violations: &[Violation]) -> String {
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    let sentences: Vec<String> = violations.iter().map(Violation::sentence).collect();
    format!("{count} validation error{plural} detected: {}", sentences.join("; "))
}

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Checks {
    pub violations: Vec<Violation>,
}

/// A message that could not be turned into its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is not of the protocol's grammar, or a value is not of its type.
    Malformed(String),
    /// It breaks constraints of the model.
    Violations(Vec<Violation>),
}

impl Checks {
    /// Reads with a place for violations; any found are the answer.
    pub fn run<T>(
        read: impl FnOnce(&RefCell<Checks>) -> Result<T, ReadError>,
    ) -> Result<T, DecodeError> {
        let checks = RefCell::new(Checks::default());
        let value = read(&checks).map_err(|error| DecodeError::Malformed(error.0))?;
        let violations = checks.into_inner().violations;
        match violations.is_empty() {
            true => Ok(value),
            false => Err(DecodeError::Violations(violations)),
        }
    }
}

pub(crate) fn count(r: &dyn Reader) -> usize {
    r.checks().map_or(0, |checks| checks.borrow().violations.len())
}

/// Puts a segment in front of the paths of all violations since `from`.
#[cold]
pub(crate) fn prefix(r: &dyn Reader, from: usize, segment: &str) {
    let Some(checks) = r.checks() else { return };
    let segment = lower_first(segment);
    for violation in &mut checks.borrow_mut().violations[from..] {
        violation.path = match violation.path.is_empty() {
            true => segment.clone(),
            false => format!("{segment}.{}", violation.path),
        };
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cold]
fn report(m: &Member, value: Option<String>, constraint: String, checks: &RefCell<Checks>) {
    checks.borrow_mut().violations.push(Violation {
        path: String::new(),
        value,
        sensitive: m.is(SENSITIVE),
        constraint,
    });
}

#[cold]
pub(crate) fn missing(checks: &RefCell<Checks>, m: &Member) {
    checks.borrow_mut().violations.push(Violation {
        path: lower_first(m.name),
        value: None,
        sensitive: false,
        constraint: NOT_NULL.to_owned(),
    });
}

const NOT_NULL: &str = "Member must not be null";

#[cold]
pub(crate) fn null_element(m: &Member, r: &dyn Reader) {
    if let Some(checks) = r.checks() {
        report(m, None, NOT_NULL.to_owned(), checks);
    }
}

pub(crate) fn nothing<T>(_: &Member, _: &T, _: &dyn Reader) {}

pub fn string(m: &Member, value: &str, r: &dyn Reader) {
    let schema = m.target;
    let plain = schema.pattern.is_none() && schema.min.is_none() && schema.max.is_none();
    if plain && schema.values.is_empty() {
        return;
    }
    let Some(checks) = r.checks() else { return };
    let mut fail = |constraint| report(m, Some(value.to_owned()), constraint, checks);
    if let Some(pattern) = schema.pattern
        && !pattern.matches(value)
    {
        fail(pattern_sentence(schema));
    }
    if !plain {
        let within = |n: usize| {
            schema.min.is_none_or(|min| n as i64 >= min)
                && schema.max.is_none_or(|max| n as i64 <= max)
        };
        if !within(value.len()) || !value.is_ascii() {
            length(schema, value.encode_utf16().count(), &mut fail);
        }
    }
    if !schema.values.is_empty() && !schema.values.contains(&value) {
        fail(enum_sentence(schema));
    }
}

fn length(schema: &Schema, len: usize, fail: &mut dyn FnMut(String)) {
    if schema.min.is_some_and(|min| (len as i64) < min) {
        fail(min_sentence(schema));
    }
    if schema.max.is_some_and(|max| len as i64 > max) {
        fail(max_sentence(schema));
    }
}

pub(crate) fn number(m: &Member, value: &i64, r: &dyn Reader) {
    let schema = m.target;
    if schema.min.is_none_or(|min| *value >= min) && schema.max.is_none_or(|max| *value <= max) {
        return;
    }
    let Some(checks) = r.checks() else { return };
    let low = schema.min.is_some_and(|min| *value < min);
    let constraint = if low { min_sentence(schema) } else { max_sentence(schema) };
    report(m, Some(value.to_string()), constraint, checks);
}

pub(crate) fn double(m: &Member, value: &f64, r: &dyn Reader) {
    let schema = m.target;
    let low = schema.min.is_some_and(|min| *value < min as f64);
    let high = schema.max.is_some_and(|max| *value > max as f64);
    let Some(checks) = r.checks().filter(|_| low || high) else { return };
    let constraint = if low { min_sentence(schema) } else { max_sentence(schema) };
    report(m, Some(format!("{value:?}")), constraint, checks);
}

pub(crate) fn blob(m: &Member, value: &Bytes, r: &dyn Reader) {
    let schema = m.target;
    if schema.min.is_none() && schema.max.is_none() {
        return;
    }
    let Some(checks) = r.checks() else { return };
    // AWS prints the Java buffer, not its bytes.
    let shown = format!("java.nio.HeapByteBuffer[pos=0 lim={} cap={}]", value.len(), value.len());
    length(schema, value.len(), &mut |constraint| {
        report(m, Some(shown.clone()), constraint, checks);
    });
}

pub(crate) fn list<T: Field>(m: &'static Member, items: &Vec<T>, start: usize, r: &dyn Reader) {
    let Some(checks) = r.checks() else { return };
    if fits(m.target, items.len()) && checks.borrow().violations.len() == start {
        return;
    }
    container(m, items.len(), start, checks, &|w| items.write(m, w));
}

pub(crate) fn map<T: Field>(
    m: &'static Member,
    items: &BTreeMap<String, T>,
    start: usize,
    r: &dyn Reader,
) {
    let Some(checks) = r.checks() else { return };
    if !fits(m.target, items.len()) || checks.borrow().violations.len() > start {
        container(m, items.len(), start, checks, &|w| items.write(m, w));
    }
    let keys = key(m);
    let free = keys.target.pattern.is_none()
        && keys.target.min.is_none()
        && keys.target.max.is_none()
        && keys.target.values.is_empty();
    if free {
        return;
    }
    let before = checks.borrow().violations.len();
    items.keys().for_each(|name| string(keys, name, r));
    let broken = checks.borrow().violations.len() > before;
    checks.borrow_mut().violations.truncate(before);
    if broken {
        let constraint = format!("Map keys must satisfy constraint: [{}]", sentences(keys.target));
        report(m, Some(Describe::of(&|w| items.write(m, w))), constraint, checks);
    }
}

fn fits(schema: &Schema, len: usize) -> bool {
    schema.min.is_none_or(|min| len as i64 >= min) && schema.max.is_none_or(|max| len as i64 <= max)
}

/// Elements that are themselves wrong are reported as one violation of their container; what is
/// wrong deeper inside them keeps its path.
#[cold]
fn container(
    m: &'static Member,
    len: usize,
    start: usize,
    checks: &RefCell<Checks>,
    write: &dyn Fn(&mut dyn Writer),
) {
    let before = checks.borrow().violations.len();
    let mut null = false;
    checks.borrow_mut().violations.retain({
        let mut index = 0;
        move |violation| {
            index += 1;
            let own = index > start && is_element(&violation.path);
            !own
        }
    });
    let broken = checks.borrow().violations.len() < before;
    if broken {
        let element = crate::field::element(m);
        let mut all = sentences(element.target);
        if all.is_empty() {
            null = true;
            all = NOT_NULL.to_owned();
        }
        let what = match m.target.kind {
            Kind::Map => "Map value must satisfy constraint",
            _ => "Member must satisfy constraint",
        };
        let value = if null { "[null]".to_owned() } else { Describe::of(write) };
        report(m, Some(value), format!("{what}: [{all}]"), checks);
    }
    length(m.target, len, &mut |constraint| {
        report(m, Some(Describe::of(write)), constraint, checks);
    });
}

/// `3.member` or `key.member`, with nothing behind it.
fn is_element(path: &str) -> bool {
    path.strip_suffix(".member").is_some_and(|rest| !rest.contains(".member."))
}

/// All constraints of an element, as AWS lists them whichever of them is broken.
fn sentences(schema: &Schema) -> String {
    let mut all = Vec::new();
    if schema.max.is_some() {
        all.push(max_sentence(schema));
    }
    if schema.min.is_some() {
        all.push(min_sentence(schema));
    }
    if schema.pattern.is_some() {
        all.push(pattern_sentence(schema));
    }
    if !schema.values.is_empty() {
        all.push(enum_sentence(schema));
    }
    all.join(", ")
}

fn measure(schema: &Schema, bound: i64) -> (&'static str, String) {
    match schema.kind {
        Kind::Integer | Kind::Long => ("value", bound.to_string()),
        Kind::Double => ("value", format!("{bound}.0")),
        _ => ("length", bound.to_string()),
    }
}

fn min_sentence(schema: &Schema) -> String {
    let (noun, bound) = measure(schema, schema.min.unwrap_or_default());
    format!("Member must have {noun} greater than or equal to {bound}")
}

fn max_sentence(schema: &Schema) -> String {
    let (noun, bound) = measure(schema, schema.max.unwrap_or_default());
    format!("Member must have {noun} less than or equal to {bound}")
}

fn pattern_sentence(schema: &Schema) -> String {
    let source = schema.pattern.map_or("", |pattern| pattern.source);
    format!("Member must satisfy regular expression pattern: {source}")
}

fn enum_sentence(schema: &Schema) -> String {
    format!("Member must satisfy enum value set: [{}]", schema.values.join(", "))
}
