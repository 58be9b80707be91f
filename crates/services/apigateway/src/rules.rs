//! Decisions that need nothing but their arguments.

use std::collections::BTreeMap;

use sereno_kernel::Result;

use crate::errors::{bad_request, conflict};
use crate::state::ResourceRecord;

pub const HTTP_METHODS: [&str; 8] =
    ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];

/// Largest smallest size that is compressed.
const COMPRESSION_BYTES_MAX: i64 = 10_485_760;

/// Recorded: `test_update_rest_api_compression`.
pub fn compression_size(size: Option<i64>) -> Result<Option<i32>> {
    match size {
        None => Ok(None),
        Some(size) if (0..=COMPRESSION_BYTES_MAX).contains(&size) => Ok(i32::try_from(size).ok()),
        Some(_) => {
            Err(bad_request("Invalid minimum compression size, must be between 0 and 10485760"))
        }
    }
}

/// The path that the parts of a resource and its parents make; `None` for a cycle or a lost parent.
pub fn path_of(
    id: &str,
    parts: &BTreeMap<String, (Option<String>, Option<String>)>,
) -> Option<String> {
    let mut names = Vec::new();
    let mut at = id.to_owned();
    loop {
        let (parent, part) = parts.get(&at)?;
        let Some(parent) = parent else { break };
        names.push(part.clone().unwrap_or_default());
        if names.len() > parts.len() {
            return None;
        }
        at.clone_from(parent);
    }
    names.reverse();
    Some(format!("/{}", names.join("/")))
}

/// `{id}` or `{proxy+}`
pub fn is_variable(part: &str) -> bool {
    part.starts_with('{') && part.ends_with('}')
}

pub fn is_greedy(part: &str) -> bool {
    part.starts_with('{') && part.ends_with("+}")
}

/// The characters a part of a path may have.
pub fn path_part(part: &str) -> Result<()> {
    let inner = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .map_or(part, |name| name.strip_suffix('+').unwrap_or(name));
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-:$~@%!*'(),;=&+ |".contains(c);
    let braces = inner.contains(['{', '}']);
    if !inner.is_empty() && !braces && (inner.chars().all(fine) || !is_variable(part)) {
        let plain = is_variable(part) || inner.chars().all(fine);
        if plain {
            return Ok(());
        }
    }
    Err(bad_request(
        "Resource's path part only allow a-zA-Z0-9._-:@ or a valid greedy path variable and curly braces at the beginning and the end.",
    ))
}

/// Whether `part` may stand under `parent`, next to `siblings`.
/// Recorded: `test_create_proxy_resource_validation`, `test_update_resource_behaviour`.
pub fn place<'a>(
    part: &str,
    parent: &ResourceRecord,
    siblings: impl Iterator<Item = &'a ResourceRecord>,
) -> Result<()> {
    path_part(part)?;
    let parent_part = parent.path_part.as_deref().unwrap_or_default();
    if is_greedy(parent_part) {
        return Err(bad_request(format!(
            "Cannot create a child of a resource with a greedy path variable: {parent_part}"
        )));
    }
    for sibling in siblings {
        let other = sibling.path_part.as_deref().unwrap_or_default();
        if other == part {
            return Err(conflict(format!(
                "Another resource with the same parent already has this name: {part}"
            )));
        }
        if is_variable(part) && is_variable(other) {
            return Err(bad_request(format!(
                "A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
            )));
        }
    }
    Ok(())
}

/// Recorded: `test_put_method_validation`.
pub fn http_method(method: &str) -> Result<()> {
    if HTTP_METHODS.contains(&method) {
        return Ok(());
    }
    Err(bad_request(
        "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY",
    ))
}

/// Recorded: `test_method_request_parameters`.
pub fn request_parameters(parameters: &BTreeMap<String, bool>) -> Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for key in parameters.keys() {
        let name =
            ["method.request.querystring.", "method.request.header.", "method.request.path."]
                .iter()
                .find_map(|prefix| key.strip_prefix(prefix))
                .or_else(|| key.strip_prefix("method.request.multivaluequerystring."))
                .or_else(|| key.strip_prefix("method.request.multivalueheader."));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(bad_request(format!("Invalid mapping expression specified: {key}")));
        };
        if names.contains(&name) {
            return Err(bad_request(
                "Parameter names must be unique across querystring, header and path",
            ));
        }
        names.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(part: Option<&str>) -> ResourceRecord {
        ResourceRecord { path_part: part.map(str::to_owned), ..ResourceRecord::default() }
    }

    #[test]
    fn path_parts() {
        for good in ["pets", "{id}", "{proxy+}", "a.b_c-d", "v1:run", "@x"] {
            assert!(path_part(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "{}", "{a", "a{b}", "{+}", "x?"] {
            assert!(path_part(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_variable_among_siblings() {
        let root = resource(None);
        let others = [resource(Some("{proxy+}")), resource(Some("pets"))];
        assert!(place("dogs", &root, others.iter()).is_ok());
        assert_eq!(
            place("{id}", &root, others.iter()).unwrap_err().message(),
            "A sibling ({proxy+}) of this resource already has a variable path part -- only one is allowed"
        );
        assert_eq!(place("pets", &root, others.iter()).unwrap_err().code(), "ConflictException");
        let greedy = resource(Some("{proxy+}"));
        assert!(place("x", &greedy, [].iter()).is_err());
    }

    #[test]
    fn parameter_names_are_unique() {
        let map = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), true)).collect();
        let fine = map(&["method.request.querystring.a", "method.request.header.b"]);
        assert!(request_parameters(&fine).is_ok());
        let twice = map(&["method.request.querystring.a", "method.request.header.a"]);
        assert!(request_parameters(&twice).is_err());
        assert!(request_parameters(&map(&["whatever"])).is_err());
    }
}
