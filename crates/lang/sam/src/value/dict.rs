//! A map from text to value, in order of insertion or in Python 2.7's.

use super::keys::Keys;
use super::{Text, Value};
use indexmap::IndexMap;

static NULL: Value = Value::Null;

/// A map. Equality ignores the order.
#[derive(Clone, Debug)]
pub struct Map {
    entries: IndexMap<Text, Value>,
    /// Present when the map iterates as a Python 2.7 dictionary.
    keys: Option<Keys>,
}

impl Default for Map {
    fn default() -> Map {
        Map::new()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        self.entries == other.entries
    }
}

impl Map {
    /// An empty map in order of insertion.
    pub fn new() -> Map {
        Map { entries: IndexMap::new(), keys: None }
    }

    /// An empty map in Python 2.7's order.
    pub fn legacy() -> Map {
        Map { entries: IndexMap::new(), keys: Some(Keys::new()) }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// The member, or null.
    pub fn at(&self, key: &str) -> &Value {
        self.entries.get(key).unwrap_or(&NULL)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.get_mut(key)
    }

    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets a member. A key that is present stays the key it was.
    pub fn set(&mut self, key: impl Into<Text>, value: impl Into<Value>) {
        let key = key.into();
        if let Some(keys) = &mut self.keys {
            keys.add(key.clone());
        }
        self.entries.insert(key, value.into());
    }

    /// The member; put there first when it is absent.
    pub fn entry(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> &mut Value {
        let key = key.into();
        if !self.contains(key.as_str()) {
            self.set(key.clone(), value);
        }
        self.entries.get_mut(key.as_str()).expect("it was set when it was absent")
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        if let Some(keys) = &mut self.keys {
            keys.remove(key);
        }
        self.entries.shift_remove(key)
    }

    /// Python's `update`: room is made for all keys first, which decides later order.
    pub fn update(&mut self, other: &Map) {
        if let Some(keys) = &mut self.keys {
            keys.merge(&other.key_list());
        }
        for (key, value) in other.iter() {
            self.set(key, value);
        }
    }

    /// Python's shallow `copy`.
    pub fn shallow_copy(&self) -> Map {
        let Some(keys) = &self.keys else { return self.clone() };
        let mut copy = Keys::new();
        copy.merge(&keys.iter().cloned().collect::<Vec<_>>());
        Map { entries: self.entries.clone(), keys: Some(copy) }
    }

    pub fn deep_copy(&self) -> Map {
        let keys = self.keys.as_ref().map(|keys| {
            let mut copy = Keys::new();
            for key in keys.iter() {
                copy.add(key.clone());
            }
            copy
        });
        let entries =
            self.entries.iter().map(|(key, value)| (key.clone(), value.deep_copy())).collect();
        Map { entries, keys }
    }

    /// The keys in the map's order.
    pub fn key_list(&self) -> Vec<Text> {
        match &self.keys {
            Some(keys) => keys.iter().cloned().collect(),
            None => self.entries.keys().cloned().collect(),
        }
    }

    /// The members in the map's order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        let ordered: Vec<(&Text, &Value)> = match &self.keys {
            Some(keys) => {
                keys.iter().filter_map(|key| self.entries.get_key_value(key.as_str())).collect()
            }
            None => self.entries.iter().collect(),
        };
        ordered.into_iter()
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.values_mut()
    }

    /// The first member in the map's order.
    pub fn first(&self) -> Option<(&Text, &Value)> {
        self.iter().next()
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(members: I) -> Map {
        let mut map = Map::new();
        for (key, value) in members {
            map.set(key, value);
        }
        map
    }
}
