//! The values of a template: Java's strings, numbers, lists and maps, and objects of the host.
//!
//! Lists and maps are shared by reference, as in Java: who holds one sees what others put in it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::ast::Defined;
use crate::{json, strings};

/// Longest text that a value prints as.
const PRINT_BYTES_MAX: usize = 20 << 20;
/// Deepest nesting that is printed.
const PRINT_DEPTH_MAX: usize = 256;
/// Most parts that a comparison of two values looks at.
const COMPARED_MAX: usize = 100_000;

/// A value of a template.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// Java's Integer, Long and `BigInteger` in one.
    Int(i128),
    Double(f64),
    /// A JSON number with more digits than a double holds, as it was written.
    Decimal(Rc<str>),
    Text(Rc<str>),
    List(Rc<List>),
    Map(Rc<Map>),
    Object(Rc<dyn Host>),
    #[doc(hidden)]
    Defined(DefinedValue),
}

/// The block of a `#define`.
#[derive(Clone, Debug)]
pub struct DefinedValue(pub(crate) Defined);

/// An object with behaviour, given by the service.
pub trait Host: fmt::Debug {
    /// `$object.name`; `None` if there is no such property.
    fn property(&self, name: &str) -> Option<Value>;
    /// `$object.method(...)`; `Ok(None)` if there is no such method.
    ///
    /// # Errors
    /// When the method fails: the template fails with it.
    fn call(&self, method: &str, arguments: &[Value]) -> Result<Option<Value>, String>;
    /// How it prints.
    fn text(&self) -> String;
}

/// A list; `json` ones (read from JSON) print as JSON.
#[derive(Debug, Default)]
pub struct List {
    pub items: RefCell<Vec<Value>>,
    pub json: bool,
}

/// A map from strings, in the order in which they were put.
#[derive(Debug, Default)]
pub struct Map {
    pub entries: RefCell<IndexMap<Rc<str>, Value>>,
    /// Prints as the empty string (the parts of `$context` do).
    pub silent: bool,
}

impl List {
    #[must_use]
    pub fn new(items: Vec<Value>) -> Rc<Self> {
        Rc::new(Self { items: RefCell::new(items), json: false })
    }

    #[must_use]
    pub fn json(items: Vec<Value>) -> Rc<Self> {
        Rc::new(Self { items: RefCell::new(items), json: true })
    }
}

impl Map {
    #[must_use]
    pub fn new(entries: IndexMap<Rc<str>, Value>) -> Rc<Self> {
        Rc::new(Self { entries: RefCell::new(entries), ..Self::default() })
    }

    /// A map that prints as nothing, as `$context.identity` does.
    #[must_use]
    pub fn silent(entries: IndexMap<Rc<str>, Value>) -> Rc<Self> {
        Rc::new(Self { entries: RefCell::new(entries), silent: true })
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    pub fn put(&self, key: &str, value: Value) -> Option<Value> {
        self.entries.borrow_mut().insert(key.into(), value)
    }

    /// A copy of its entries, to walk while the map changes.
    #[must_use]
    pub fn walk(&self) -> Vec<(Rc<str>, Value)> {
        self.entries.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

impl Value {
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A map of values, in this order.
    #[must_use]
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Map(Map::new(entries.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its key in a map.
    pub(crate) fn key(&self) -> Rc<str> {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_string().into(),
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)] // what Java's doubleValue does
            Self::Int(int) => Some(*int as f64),
            Self::Double(double) => Some(*double),
            Self::Decimal(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Java's `equals`, numbers by value; values too large to compare are different.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.same(other, &mut 0)
    }

    fn same(&self, other: &Self, compared: &mut usize) -> bool {
        *compared += 1;
        if *compared > COMPARED_MAX {
            return false;
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                Rc::ptr_eq(a, b) || {
                    let (a, b) = (a.items.borrow(), b.items.borrow());
                    a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b, compared))
                }
            }
            (Self::Map(a), Self::Map(b)) => {
                Rc::ptr_eq(a, b) || {
                    let (a, b) = (a.entries.borrow(), b.entries.borrow());
                    a.len() == b.len()
                        && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.same(b, compared)))
                }
            }
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b),
            (Self::Int(a), Self::Int(b)) => a == b,
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
                _ => false,
            },
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::text(value)
    }
}

/// Java's `toString`; texts over the bound and nesting over the depth (a list can hold itself) are
/// cut off.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        print(self, 0, &mut out);
        f.write_str(&out)
    }
}

fn print(value: &Value, depth: usize, out: &mut String) {
    if depth > PRINT_DEPTH_MAX || out.len() > PRINT_BYTES_MAX {
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Double(value) => out.push_str(&strings::double_text(*value)),
        Value::Decimal(value) | Value::Text(value) => out.push_str(value),
        Value::List(list) if list.json => out.push_str(&json::write_protected(value)),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.items.borrow().iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                print(item, depth + 1, out);
            }
            out.push(']');
        }
        Value::Map(map) if map.silent => {}
        Value::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.walk().iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                out.push_str(key);
                out.push('=');
                print(value, depth + 1, out);
            }
            out.push('}');
        }
        Value::Object(object) => out.push_str(&object.text()),
        Value::Defined(_) => {}
    }
}
