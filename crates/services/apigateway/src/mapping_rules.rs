//! What a parameter mapping may say.
//!
//! `integration.request.header.x` from `method.request.querystring.y`, `context.z`, `'text'`, ...
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html>

use std::collections::BTreeMap;

use sereno_kernel::Result;

use crate::errors::bad_request;
use crate::state::MethodRecord;

/// Where a value comes from or goes to: `header`, `querystring`, `path` and their name.
pub const PLACES: [&str; 5] =
    ["header.", "querystring.", "path.", "multivalueheader.", "multivaluequerystring."];

fn is_static(source: &str) -> bool {
    source.len() >= 2 && source.starts_with('\'') && source.ends_with('\'')
}

/// What is wrong with the request parameters of an integration.
pub fn request_errors(parameters: &BTreeMap<String, String>, method: &MethodRecord) -> Vec<String> {
    let mut errors = Vec::new();
    for (target, source) in parameters {
        let place = target.strip_prefix("integration.request.");
        if !place.is_some_and(|rest| PLACES.iter().any(|place| rest.starts_with(place))) {
            errors.push(format!("Invalid mapping expression specified: {target}"));
            continue;
        }
        match source.strip_prefix("method.request.") {
            Some(rest) if PLACES.iter().any(|place| rest.starts_with(place)) => {
                if !declares(method, rest) {
                    errors
                        .push(format!("Invalid mapping expression parameter specified: {source}"));
                }
            }
            Some(rest) if rest == "body" || rest.starts_with("body.") => {}
            _ if is_static(source)
                || source.starts_with("context.")
                || source.starts_with("stageVariables.") => {}
            _ => errors.push(format!("Invalid mapping expression specified: {source}")),
        }
    }
    errors
}

/// A multi-value form reads the parameter that was declared in the plain form.
fn declares(method: &MethodRecord, source: &str) -> bool {
    let plain = source.strip_prefix("multivalue").unwrap_or(source);
    [source, plain]
        .iter()
        .any(|name| method.request_parameters.contains_key(&format!("method.request.{name}")))
}

/// What is wrong with the response parameters of an integration response.
pub fn response_errors(
    parameters: &BTreeMap<String, String>,
    declared: Option<&BTreeMap<String, bool>>,
) -> Vec<String> {
    let mut errors = Vec::new();
    for (target, source) in parameters {
        if !target.starts_with("method.response.header.") {
            errors.push(format!("Invalid mapping expression specified: {target}"));
        } else if declared.is_some_and(|declared| !declared.contains_key(target)) {
            errors.push(format!("Invalid mapping expression parameter specified: {target}"));
        }
        let known = is_static(source)
            || source.starts_with("integration.response.header.")
            || source.starts_with("integration.response.multivalueheader.")
            || source.starts_with("integration.response.body")
            || source.starts_with("context.")
            || source.starts_with("stageVariables.");
        if !known {
            errors.push(format!("Invalid mapping expression specified: {source}"));
        }
    }
    errors
}

/// Recorded: `test_put_integration_request_parameter_bool_type`.
pub fn refuse(what: &str, errors: &[String]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(bad_request(format!("{what}: warnings : [], errors : [{}]", errors.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn requests() {
        let mut method = MethodRecord::default();
        method.request_parameters.insert("method.request.path.id".to_owned(), true);
        let good = map(&[
            ("integration.request.path.id", "method.request.path.id"),
            ("integration.request.header.a", "'x'"),
            ("integration.request.header.b", "context.requestId"),
            ("integration.request.querystring.c", "stageVariables.v"),
            ("integration.request.header.d", "method.request.body.x.y"),
        ]);
        assert!(request_errors(&good, &method).is_empty());
        for (target, source) in [
            ("integration.request.path.id", "true"),
            ("integration.request.path.id", "method.request.path.other"),
            ("request.path.id", "'x'"),
            ("integration.request.path.id", "'"),
        ] {
            assert_eq!(request_errors(&map(&[(target, source)]), &method).len(), 1, "{source}");
        }
    }

    #[test]
    fn responses() {
        let declared = BTreeMap::from([("method.response.header.a".to_owned(), false)]);
        let good = map(&[("method.response.header.a", "integration.response.header.b")]);
        assert!(response_errors(&good, Some(&declared)).is_empty());
        let undeclared = map(&[("method.response.header.b", "'x'")]);
        assert_eq!(response_errors(&undeclared, Some(&declared)).len(), 1);
    }
}
