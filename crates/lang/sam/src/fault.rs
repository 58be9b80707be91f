//! What can be wrong with a template, in the words of AWS.

use crate::value::{Map, Value};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A resource is wrong; the others are still looked at.
    Resource { id: String, message: String },
    /// An event of a function or state machine is wrong.
    Event { id: String, message: String },
    /// The template's structure is wrong.
    Template(String),
    /// Sentences that stand for themselves.
    Plain(String),
    /// Ends the transform at once with these sentences.
    Document(Vec<String>),
}

pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub fn resource(id: impl fmt::Display, message: impl fmt::Display) -> Fault {
        Fault::Resource { id: id.to_string(), message: message.to_string() }
    }

    pub fn event(id: impl fmt::Display, message: impl fmt::Display) -> Fault {
        Fault::Event { id: id.to_string(), message: message.to_string() }
    }

    /// A wrong structure that ends the transform.
    pub fn document(message: impl fmt::Display) -> Fault {
        Fault::Document(vec![Fault::Template(message.to_string()).message()])
    }

    /// The sentence, without the sentence that counts the errors.
    pub fn message(&self) -> String {
        match self {
            Fault::Resource { id, message } => {
                format!("Resource with id [{id}] is invalid. {message}")
            }
            Fault::Event { id, message } => format!("Event with id [{id}] is invalid. {message}"),
            Fault::Template(message) => {
                format!("Structure of the SAM template is invalid. {message}")
            }
            Fault::Plain(message) => message.clone(),
            Fault::Document(messages) => messages.join(" "),
        }
    }

    /// An event's fault as a fault of the resource it belongs to.
    pub fn of_owner(self, id: impl fmt::Display) -> Fault {
        match self {
            Fault::Event { .. } => Fault::resource(id, self.message()),
            other => other,
        }
    }
}

/// Whose value is wrong.
#[derive(Clone, Copy)]
enum Of {
    Property,
    Attribute,
    Event,
}

/// A value with the type it should have.
pub struct Expect<'a, 'p> {
    value: &'a Value,
    id: &'p str,
    path: &'p str,
    of: Of,
}

/// Begins a check of `value`, found at `path` in the resource `id`.
pub fn expect<'a, 'p>(value: &'a Value, id: &'p str, path: &'p str) -> Expect<'a, 'p> {
    Expect { value, id, path, of: Of::Property }
}

impl<'a, 'p> Expect<'a, 'p> {
    /// The value belongs to the event of that id.
    pub fn in_event(self) -> Expect<'a, 'p> {
        Expect { of: Of::Event, ..self }
    }

    /// The value is beside `Properties`, not in it.
    pub fn beside_properties(self) -> Expect<'a, 'p> {
        Expect { of: Of::Attribute, ..self }
    }

    fn wrong(&self, kind: &str) -> Fault {
        let noun = if matches!(self.of, Of::Attribute) { "Attribute" } else { "Property" };
        self.fault(format!("{noun} '{}' should be a {kind}.", self.path))
    }

    fn fault(&self, message: String) -> Fault {
        match self.of {
            Of::Event => Fault::event(self.id, message),
            _ => Fault::resource(self.id, message),
        }
    }

    pub fn map(self) -> Result<&'a Map> {
        self.value.as_map().ok_or_else(|| self.wrong("map"))
    }

    /// A map, or `message`.
    pub fn map_or(self, message: &str) -> Result<&'a Map> {
        self.value.as_map().ok_or_else(|| self.fault(message.to_owned()))
    }

    pub fn list(self) -> Result<&'a [Value]> {
        self.value.as_list().ok_or_else(|| self.wrong("list"))
    }

    pub fn list_of_strings(self) -> Result<&'a [Value]> {
        let Some(items) = self.value.as_list() else { return Err(self.wrong("list")) };
        for (index, item) in items.iter().enumerate() {
            if !item.is_str() {
                let path = format!("{}[{index}]", self.path);
                return Err(Expect { value: item, path: &path, ..self }.wrong("string"));
            }
        }
        Ok(items)
    }

    pub fn string(self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("string"))
    }

    pub fn boolean(self) -> Result<bool> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.wrong("boolean")),
        }
    }

    pub fn present(self) -> Result<&'a Value> {
        if self.value.is_null() {
            return Err(self.fault(format!("Property '{}' is required.", self.path)));
        }
        Ok(self.value)
    }
}
