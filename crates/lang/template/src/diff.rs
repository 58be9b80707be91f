//! What changes between two sets of resolved properties, or two templates.

use serde_json::{Map, Value};

use crate::conditions::comparable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Add,
    Modify,
    Remove,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Modify => "Modify",
            Self::Remove => "Remove",
        }
    }
}

/// One difference, at the deepest place where it can be named.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The top-level property.
    pub name: String,
    /// `/Properties/Name/..`, as change sets print it.
    pub path: String,
    pub kind: Kind,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Whether two values are the same once CloudFormation has converted scalars to text.
pub fn same(before: &Value, after: &Value) -> bool {
    before == after || comparable(before) == comparable(after)
}

/// All differences, by property name.
pub fn properties(before: &Value, after: &Value) -> Vec<Change> {
    let empty = Map::new();
    let (before, after) =
        (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let path = format!("/Properties/{name}");
        compare(name, &path, before.get(name), after.get(name), &mut changes);
    }
    changes
}

fn compare(
    name: &str,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    let mut push = |kind, before: Option<&Value>, after: Option<&Value>| {
        changes.push(Change {
            name: name.to_owned(),
            path: path.to_owned(),
            kind,
            before: before.cloned(),
            after: after.cloned(),
        });
    };
    match (before, after) {
        (None, None) => {}
        (None, Some(_)) => push(Kind::Add, before, after),
        (Some(_), None) => push(Kind::Remove, before, after),
        (Some(old), Some(new)) if same(old, new) => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                compare(name, &format!("{path}/{key}"), old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                compare(name, &format!("{path}/{at}"), old.get(at), new.get(at), changes);
            }
        }
        _ => push(Kind::Modify, before, after),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_deepest_place() {
        let before = json!({"A": 60, "B": {"x": [1, 2], "y": 1}, "C": "gone"});
        let after = json!({"A": "60", "B": {"x": [1, 3, 4], "y": true}, "D": []});
        let paths: Vec<(String, Kind)> =
            properties(&before, &after).into_iter().map(|it| (it.path, it.kind)).collect();
        let expected = [
            ("/Properties/B/x/1", Kind::Modify),
            ("/Properties/B/x/2", Kind::Add),
            ("/Properties/B/y", Kind::Modify),
            ("/Properties/C", Kind::Remove),
            ("/Properties/D", Kind::Add),
        ];
        assert_eq!(paths, expected.map(|(path, kind)| (path.to_owned(), kind)));
    }
}
