//! The values the transform works on.
//!
//! They are JSON with two things JSON has not: a text knows whether it came from the template (a
//! Python 2 `unicode`), and a map may keep its keys in the order a Python 2.7 `dict` would. AWS
//! derives the logical id of an API's deployment from the printed form of exactly such a map, so
//! both must be carried from the template to the hash.

mod dict;
mod keys;

mod repr;
mod text;

pub use dict::Map;
pub use repr::{dumps, dumps_pretty, repr, str_of};
pub use text::Text;

use serde_json::Number;

/// One value of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Str(Text),
    List(Vec<Value>),
    Map(Map),
}

static NULL: Value = Value::Null;

impl Value {
    /// The member `key` of a map; null when it is absent or this is no map.
    pub fn at(&self, key: &str) -> &Value {
        self.as_map().map_or(&NULL, |map| map.at(key))
    }

    pub fn as_str(&self) -> Option<&str> {
        self.as_text().map(Text::as_str)
    }

    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn is_map(&self) -> bool {
        matches!(self, Value::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self, Value::List(_))
    }

    pub fn is_str(&self) -> bool {
        matches!(self, Value::Str(_))
    }

    pub fn is_bool(&self) -> bool {
        matches!(self, Value::Bool(_))
    }

    /// What Python's `if value` says: null, false, zero and everything empty are false.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Str(text) => !text.as_str().is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// The value when it is truthy, as Python's `value or other`.
    pub fn or(&self, other: impl FnOnce() -> Value) -> Value {
        if self.truthy() { self.clone() } else { other() }
    }

    /// A copy as `copy.deepcopy` makes it: the keys of ordered maps are inserted anew, which may
    /// change their order.
    pub fn deep_copy(&self) -> Value {
        match self {
            Value::List(items) => Value::List(items.iter().map(Value::deep_copy).collect()),
            Value::Map(map) => Value::Map(map.deep_copy()),
            other => other.clone(),
        }
    }

    /// The same value in Python 2's types: every text a `unicode`, every map ordered as of old.
    pub fn to_legacy(&self) -> Value {
        match self {
            Value::Str(text) => Value::Str(text.to_unicode()),
            Value::List(items) => Value::List(items.iter().map(Value::to_legacy).collect()),
            Value::Map(map) => {
                let mut legacy = Map::legacy();
                for (key, value) in map.iter() {
                    legacy.set(key.to_unicode(), value.to_legacy());
                }
                Value::Map(legacy)
            }
            other => other.clone(),
        }
    }

    /// The name Python gives to the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
        }
    }

    pub fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(flag) => Value::Bool(*flag),
            serde_json::Value::Number(number) => Value::Number(number.clone()),
            serde_json::Value::String(text) => Value::Str(Text::plain(text)),
            serde_json::Value::Array(items) => {
                Value::List(items.iter().map(Value::from_json).collect())
            }
            serde_json::Value::Object(object) => {
                let mut map = Map::new();
                for (key, value) in object {
                    map.set(Text::plain(key), Value::from_json(value));
                }
                Value::Map(map)
            }
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => serde_json::Value::Bool(*flag),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Str(text) => serde_json::Value::String(text.as_str().to_owned()),
            Value::List(items) => {
                serde_json::Value::Array(items.iter().map(Value::to_json).collect())
            }
            Value::Map(map) => serde_json::Value::Object(
                map.iter().map(|(key, value)| (key.as_str().to_owned(), value.to_json())).collect(),
            ),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(Text::plain(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(Text::plain(&text))
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::Str(text)
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Value {
        Value::Str(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::List(items)
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Value {
        value.clone()
    }
}

/// A plain map written out: `map! { "Ref" => id }`.
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = $crate::value::Map::new();
        $(map.set($key, $value);)*
        map
    }};
}

/// A map ordered as Python 2.7 would order it.
macro_rules! legacy_map {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = $crate::value::Map::legacy();
        $(map.set($key, $value);)*
        map
    }};
}

/// A list written out.
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::value::Value::List(vec![$($crate::value::Value::from($value)),*])
    };
}

pub(crate) use {legacy_map, list, map};
