//! The operations of an `Update...` call: read once, then taken by the thing they change.
//!
//! AWS words the refusals of these in three ways; which one depends on the thing.

use sereno_api_apigateway::{Op, PatchOperation};
use sereno_kernel::{Error, Result};

use crate::errors::bad_request;

/// One operation with its path taken apart.
#[derive(Debug, Clone)]
pub struct Patch {
    pub op: Op,
    /// As it was sent.
    pub path: String,
    /// Its parts with `~1` and `~0` replaced.
    pub parts: Vec<String>,
    pub value: Option<String>,
    pub from: Option<String>,
}

/// Reads the operations of a request.
pub fn read(operations: Option<Vec<PatchOperation>>) -> Result<Vec<Patch>> {
    operations.unwrap_or_default().into_iter().map(read_one).collect()
}

fn read_one(operation: PatchOperation) -> Result<Patch> {
    let path = operation.path.ok_or_else(|| bad_request("Invalid patch path null"))?;
    let parts = path
        .strip_prefix('/')
        .unwrap_or(&path)
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    Ok(Patch {
        op: operation.op.unwrap_or(Op::Replace),
        parts,
        value: operation.value,
        from: operation.from,
        path,
    })
}

impl Patch {
    pub fn parts(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).collect()
    }

    pub fn removes(&self) -> bool {
        self.op == Op::Remove
    }

    /// The value, or the empty text.
    pub fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// The value unless it is missing or empty.
    pub fn some(&self) -> Option<String> {
        self.value.clone().filter(|value| !value.is_empty())
    }

    /// Anything but `true` is false, as on AWS.
    pub fn truth(&self) -> bool {
        self.text().eq_ignore_ascii_case("true")
    }

    pub fn number<T: std::str::FromStr>(&self) -> Result<T> {
        let message = || format!("Invalid value for number: {}", self.text());
        self.text().parse().map_err(|_| bad_request(message()))
    }

    /// `Invalid patch path /x`
    pub fn bad_path(&self) -> Error {
        bad_request(format!("Invalid patch path {}", self.path))
    }

    /// For members that can only be replaced.
    pub fn replace_only(&self) -> Result<()> {
        if self.op == Op::Replace {
            return Ok(());
        }
        Err(bad_request("Invalid patch operation specified. Must be one of: [replace]"))
    }

    /// Both sentences of things whose every member is replaced: the operation is looked at first.
    pub fn replace_one_of(&self, allowed: &[&str]) -> Result<()> {
        if self.op != Op::Replace {
            return Err(bad_request(format!(
                "Invalid patch path  '{}' specified for op '{}'. Please choose supported operations",
                self.path, self.op
            )));
        }
        if allowed.contains(&self.path.as_str()) {
            return Ok(());
        }
        Err(self.none_of(allowed))
    }

    /// `Invalid patch path  '/x' specified for op 'replace'. Must be one of: [...]`
    pub fn none_of(&self, allowed: &[&str]) -> Error {
        bad_request(format!(
            "Invalid patch path  '{}' specified for op '{}'. Must be one of: [{}]",
            self.path,
            self.op,
            allowed.join(", ")
        ))
    }
}

/// Adds to, replaces in and removes from a list whose items are named by the path
/// (`/binaryMediaTypes/image~1png`); a replaced item goes to the end.
pub fn change_list(list: &mut Vec<String>, patch: &Patch, item: &str) {
    match patch.op {
        Op::Add => {
            if !list.iter().any(|known| known == item) {
                list.push(item.to_owned());
            }
        }
        Op::Replace => {
            list.retain(|known| known != item);
            if let Some(value) = patch.some()
                && !list.contains(&value)
            {
                list.push(value);
            }
        }
        _ => list.retain(|known| known != item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unescaped() {
        let operation = PatchOperation {
            op: Some(Op::Add),
            path: Some("/requestModels/application~1json~0".to_owned()),
            ..PatchOperation::default()
        };
        let patch = read(Some(vec![operation])).unwrap().remove(0);
        assert_eq!(patch.parts, ["requestModels", "application/json~"]);
    }

    #[test]
    fn a_replaced_item_goes_to_the_end() {
        let patch = |op, value: Option<&str>| Patch {
            op,
            path: String::new(),
            parts: Vec::new(),
            value: value.map(str::to_owned),
            from: None,
        };
        let mut list = vec!["a".to_owned(), "b".to_owned()];
        change_list(&mut list, &patch(Op::Replace, Some("c")), "a");
        assert_eq!(list, ["b", "c"]);
        change_list(&mut list, &patch(Op::Remove, None), "b");
        change_list(&mut list, &patch(Op::Add, None), "c");
        assert_eq!(list, ["c"]);
    }
}
