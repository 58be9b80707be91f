//! Dynamic references: `{{resolve:service:..}}` inside of resolved texts.
//!
//! Found and replaced here; fetched by the caller. A reference never nests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Result, TemplateError};

const OPEN: &str = "{{resolve:";
const CLOSE: &str = "}}";

/// What a reference asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A stored parameter; `secure` must be decrypted.
    Parameter {
        name: String,
        version: Option<u64>,
        secure: bool,
    },
    Secret {
        id: String,
        json_key: Option<String>,
        stage: Option<String>,
        version: Option<String>,
    },
}

/// All references in `value`, as written, without the braces.
pub fn find(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            spans(text).into_iter().for_each(|(start, end)| {
                found.insert(text[start + 2..end - CLOSE.len()].to_owned());
            });
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => map.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}

fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(OPEN).map(|at| from + at) {
        let Some(length) = text[start..].find(CLOSE) else { break };
        from = start + length + CLOSE.len();
        spans.push((start, from));
    }
    spans
}

/// Puts the fetched values in place of the references; those that were not fetched stay.
pub fn replace(value: &mut Value, fetched: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for (start, end) in spans(text).into_iter().rev() {
                if let Some(value) = fetched.get(&text[start + 2..end - CLOSE.len()]) {
                    text.replace_range(start..end, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, fetched)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, fetched)),
        _ => {}
    }
}

/// Reads one reference as [`find`] gives it.
pub fn parse(text: &str) -> Result<Reference> {
    let wrong = || TemplateError::new(format!("Could not parse dynamic reference {{{{{text}}}}}."));
    let rest = text.strip_prefix("resolve:").ok_or_else(wrong)?;
    let (service, rest) = rest.split_once(':').ok_or_else(wrong)?;
    match service {
        "ssm" | "ssm-secure" => {
            let (name, version) = match rest.rsplit_once(':') {
                Some((name, version)) => (name, Some(version.parse().map_err(|_| wrong())?)),
                None => (rest, None),
            };
            if name.is_empty() {
                return Err(wrong());
            }
            Ok(Reference::Parameter {
                name: name.to_owned(),
                version,
                secure: service == "ssm-secure",
            })
        }
        "secretsmanager" => secret(rest).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// `id[:SecretString[:json-key[:stage[:version]]]]`, where the id may be an ARN.
fn secret(text: &str) -> Option<Reference> {
    let parts: Vec<&str> = text.split(':').collect();
    let id_parts = if parts.first() == Some(&"arn") { 7 } else { 1 };
    let id = parts.get(..id_parts)?.join(":");
    let mut options = parts[id_parts..].iter();
    if options.next().is_some_and(|kind| !kind.is_empty() && *kind != "SecretString")
        || id.is_empty()
    {
        return None;
    }
    let mut option = || options.next().filter(|it| !it.is_empty()).map(|it| (*it).to_owned());
    let secret = Reference::Secret { id, json_key: option(), stage: option(), version: option() };
    options.next().is_none().then_some(secret)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references() {
        let parameter = |name: &str, version, secure| Reference::Parameter {
            name: name.into(),
            version,
            secure,
        };
        assert_eq!(parse("resolve:ssm:/a/b:3").unwrap(), parameter("/a/b", Some(3), false));
        assert_eq!(parse("resolve:ssm-secure:x").unwrap(), parameter("x", None, true));
        let Reference::Secret { id, json_key, stage, version } =
            parse("resolve:secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:n-x:SecretString:user::v1").unwrap()
        else { panic!() };
        assert_eq!(id, "arn:aws:secretsmanager:eu-west-1:1:secret:n-x");
        assert_eq!(
            (json_key.as_deref(), stage, version.as_deref()),
            (Some("user"), None, Some("v1"))
        );
        for wrong in
            ["resolve:ssm:", "resolve:s3:x", "resolve:ssm:a:b", "resolve:secretsmanager:a:Binary"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn replacement() {
        let mut value = json!({"a": ["x{{resolve:ssm:p}}y{{resolve:ssm:q:1}}", "{{other}}"]});
        assert_eq!(find(&value).len(), 2);
        let fetched = [
            ("resolve:ssm:p".to_owned(), "1".to_owned()),
            ("resolve:ssm:q:1".to_owned(), "{{2}}".to_owned()),
        ];
        replace(&mut value, &fetched.into());
        assert_eq!(value, json!({"a": ["x1y{{2}}", "{{other}}"]}));
    }
}
