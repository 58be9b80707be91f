//! Which properties a resource or event takes, and of which type.

use crate::fault::{Fault, Result};
use crate::value::{Map, Value};

/// The type of a property.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    Any,
    Str,
    /// A text; AWS does not say so when it is none.
    StrUnnamed,
    Map,
    List,
    Bool,
    Int,
    StrOrMap,
    BoolOrMap,
    /// A text or a list of texts.
    StrOrStrs,
    /// A list of texts or maps.
    ListOfStrOrMap,
    /// A list of texts.
    ListOfStr,
    /// A text, a map, or a list of either.
    Policies,
    /// A text, or a list of texts or maps.
    StrOrListOfStrOrMap,
    MapOfMap,
    MapOfStr,
    MapOfIntOrMap,
    /// A map or a list of maps.
    MapOrListOfMap,
    OneOf(&'static [&'static str]),
}

impl Is {
    fn holds(self, value: &Value) -> bool {
        let int = |value: &Value| match value {
            Value::Bool(_) => true, // Python's bool is an int.
            Value::Number(number) => !number.is_f64(),
            _ => false,
        };
        let str_or_map = |value: &Value| value.is_str() || value.is_map();
        let all = |value: &Value, test: &dyn Fn(&Value) -> bool| match value {
            Value::List(items) => items.iter().all(test),
            _ => false,
        };
        let every = |value: &Value, test: &dyn Fn(&Value) -> bool| match value {
            Value::Map(map) => map.iter().all(|(_, member)| test(member)),
            _ => false,
        };
        match self {
            Is::Any => true,
            Is::Str | Is::StrUnnamed => value.is_str(),
            Is::Map => value.is_map(),
            Is::List => value.is_list(),
            Is::Bool => value.is_bool(),
            Is::Int => int(value),
            Is::StrOrMap => str_or_map(value),
            Is::BoolOrMap => value.is_bool() || value.is_map(),
            Is::StrOrStrs => value.is_str() || all(value, &Value::is_str),
            Is::ListOfStrOrMap => all(value, &str_or_map),
            Is::ListOfStr => all(value, &Value::is_str),
            Is::Policies => str_or_map(value) || all(value, &str_or_map),
            Is::StrOrListOfStrOrMap => value.is_str() || all(value, &str_or_map),
            Is::MapOfMap => every(value, &Value::is_map),
            Is::MapOfStr => every(value, &Value::is_str),
            Is::MapOfIntOrMap => every(value, &|member| int(member) || member.is_map()),
            Is::MapOrListOfMap => value.is_map() || all(value, &Value::is_map),
            Is::OneOf(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
        }
    }

    /// The sentence for a value of another type.
    fn complaint(self, name: &str) -> String {
        let description = match self {
            Is::Map => "map".to_owned(),
            Is::Str => "string".to_owned(),
            Is::OneOf([only]) => format!("the string '{only}'"),
            Is::OneOf([first, second]) => format!("one of the strings: '{first}' or '{second}'"),
            Is::OneOf([head @ .., last]) => {
                let head: Vec<String> = head.iter().map(|text| format!("'{text}'")).collect();
                format!("one of the strings: {}, or '{last}'", head.join(", "))
            }
            _ => return format!("Type of property '{name}' is invalid."),
        };
        format!("Property '{name}' should be a {description}.")
    }
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Prop {
    name: &'static str,
    required: bool,
    is: Is,
    /// A map of one member is taken for an intrinsic function and not checked.
    intrinsics: bool,
}

pub const fn opt(name: &'static str, is: Is) -> Prop {
    Prop { name, required: false, is, intrinsics: true }
}

pub const fn req(name: &'static str, is: Is) -> Prop {
    Prop { name, required: true, is, intrinsics: true }
}

/// A property whose type is checked even of what looks like an intrinsic function.
pub const fn strict(name: &'static str, is: Is) -> Prop {
    Prop { name, required: false, is, intrinsics: false }
}

pub const fn strict_req(name: &'static str, is: Is) -> Prop {
    Prop { name, required: true, is, intrinsics: false }
}

/// A property that is handed on unseen.
pub const fn pass(name: &'static str) -> Prop {
    Prop { name, required: false, is: Is::Any, intrinsics: false }
}

pub const fn pass_req(name: &'static str) -> Prop {
    Prop { name, required: true, is: Is::Any, intrinsics: false }
}

/// The properties of one kind of resource or event.
pub struct Schema {
    pub kind: &'static str,
    /// In the order in which they are checked.
    pub props: &'static [&'static [Prop]],
}

impl Schema {
    fn props(&self) -> impl Iterator<Item = &'static Prop> {
        self.props.iter().flat_map(|part| part.iter())
    }

    /// Refuses what the kind does not take.
    pub fn refuse_unknown(&self, id: &str, properties: &Map) -> Result<()> {
        for (name, _) in properties.iter() {
            if !self.props().any(|prop| *name == prop.name) {
                let kind = self.kind;
                let message = format!("property {name} not defined for resource of type {kind}");
                return Err(Fault::resource(id, message));
            }
        }
        Ok(())
    }

    /// Refuses what is missing or of a wrong type.
    pub fn check(&self, id: &str, properties: &Map) -> Result<()> {
        for prop in self.props() {
            let value = properties.at(prop.name);
            if prop.intrinsics && value.as_map().is_some_and(|map| map.len() == 1) {
                continue;
            }
            if value.is_null() {
                if prop.required {
                    let message = format!("Missing required property '{}'.", prop.name);
                    return Err(Fault::resource(id, message));
                }
            } else if !prop.is.holds(value) {
                return Err(Fault::resource(id, prop.is.complaint(prop.name)));
            }
        }
        Ok(())
    }
}
