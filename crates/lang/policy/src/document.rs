//! The grammar: a policy's JSON as a tree that keeps what the author wrote. Only shape is checked here;
//! what a kind of policy must or must not contain is decided in `validate`.

use crate::condition::Operator;
use crate::json::{self, JsonError, Span};
use serde_json::{Map, Value};

#[derive(Debug)]
pub(crate) struct Document {
    pub version: Option<String>,
    pub statements: Vec<RawStatement>,
}

#[derive(Debug)]
pub(crate) struct RawStatement {
    pub sid: Option<String>,
    /// As written: IAM tells wrong case apart from a wrong word.
    pub effect: String,
    pub principal: Option<RawPrincipal>,
    pub action: Option<Element>,
    pub resource: Option<Element>,
    pub condition: Vec<RawCondition>,
    pub span: Span,
}

/// `Action`/`NotAction` or `Resource`/`NotResource`.
#[derive(Debug)]
pub(crate) struct Element {
    pub negated: bool,
    pub values: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct RawPrincipal {
    pub negated: bool,
    /// (`AWS`, value) pairs; the bare `"*"` is (`*`, `*`).
    pub entries: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct RawCondition {
    pub operator: Operator,
    pub key: String,
    pub values: Vec<String>,
}

/// What is wrong with a document's shape. Identity policies answer one sentence for all of these,
/// resource and trust policies one each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Json,
    Duplicate(String),
    UnknownField(String),
    Version,
    MissingField(&'static str),
    Both(&'static str, &'static str),
    Effect(String),
    Sid,
    Id,
    Statement,
    Principal(String),
    Action,
    Resource,
    ConditionType(String),
    Condition,
}

const TOP: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

pub(crate) const V2008: &str = "2008-10-17";
pub(crate) const V2012: &str = "2012-10-17";

pub(crate) fn read(text: &str) -> Result<Document, Flaw> {
    let read = json::read(text).map_err(|e| match e {
        JsonError::Invalid => Flaw::Json,
        JsonError::Duplicate(key) => Flaw::Duplicate(key),
    })?;
    let Value::Object(top) = &read.value else {
        return Err(Flaw::Json);
    };
    known_fields(top, &TOP)?;
    let version = match top.get("Version") {
        None => None,
        Some(Value::String(v)) if v == V2008 || v == V2012 => Some(v.clone()),
        Some(_) => return Err(Flaw::Version),
    };
    if !matches!(top.get("Id"), None | Some(Value::String(_))) {
        return Err(Flaw::Id);
    }
    let objects: Vec<&Value> = match top.get("Statement") {
        None => return Err(Flaw::MissingField("Statement")),
        Some(one @ Value::Object(_)) => vec![one],
        Some(Value::Array(many)) if !many.is_empty() => many.iter().collect(),
        Some(_) => return Err(Flaw::Statement),
    };
    let mut statements = Vec::with_capacity(objects.len());
    for (i, object) in objects.into_iter().enumerate() {
        let Value::Object(object) = object else {
            return Err(Flaw::Statement);
        };
        let span = read.statements.get(i).copied().unwrap_or_default();
        statements.push(statement(object, span)?);
    }
    Ok(Document { version, statements })
}

fn known_fields(object: &Map<String, Value>, known: &[&str]) -> Result<(), Flaw> {
    match object.keys().find(|k| !known.contains(&k.as_str())) {
        Some(k) => Err(Flaw::UnknownField(k.clone())),
        None => Ok(()),
    }
}

fn statement(object: &Map<String, Value>, span: Span) -> Result<RawStatement, Flaw> {
    known_fields(object, &STATEMENT)?;
    let effect = match object.get("Effect") {
        None => return Err(Flaw::MissingField("Effect")),
        Some(Value::String(e))
            if e.eq_ignore_ascii_case("Allow") || e.eq_ignore_ascii_case("Deny") =>
        {
            e.clone()
        }
        Some(Value::String(e)) => return Err(Flaw::Effect(e.clone())),
        Some(other) => return Err(Flaw::Effect(other.to_string())),
    };
    let sid = match object.get("Sid") {
        None => None,
        Some(Value::String(s)) => Some(s.clone()),
        Some(_) => return Err(Flaw::Sid),
    };
    Ok(RawStatement {
        sid,
        effect,
        principal: principal(object)?,
        action: element(object, "Action", "NotAction", Flaw::Action)?,
        resource: element(object, "Resource", "NotResource", Flaw::Resource)?,
        condition: conditions(object.get("Condition"))?,
        span,
    })
}

/// At most one of a pair of fields.
fn either<'a>(
    object: &'a Map<String, Value>,
    plain: &'static str,
    not: &'static str,
) -> Result<Option<(bool, &'a Value)>, Flaw> {
    match (object.get(plain), object.get(not)) {
        (Some(_), Some(_)) => Err(Flaw::Both(plain, not)),
        (Some(v), None) => Ok(Some((false, v))),
        (None, Some(v)) => Ok(Some((true, v))),
        (None, None) => Ok(None),
    }
}

fn element(
    object: &Map<String, Value>,
    plain: &'static str,
    not: &'static str,
    flaw: Flaw,
) -> Result<Option<Element>, Flaw> {
    let Some((negated, value)) = either(object, plain, not)? else {
        return Ok(None);
    };
    match strings(value) {
        Some(values) => Ok(Some(Element { negated, values })),
        None => Err(flaw),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn principal(object: &Map<String, Value>) -> Result<Option<RawPrincipal>, Flaw> {
    let Some((negated, value)) = either(object, "Principal", "NotPrincipal")? else {
        return Ok(None);
    };
    let mut entries = Vec::new();
    match value {
        Value::String(s) if s == "*" => entries.push(("*".to_owned(), "*".to_owned())),
        Value::Object(kinds) => {
            for (kind, value) in kinds {
                if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) {
                    return Err(Flaw::Principal(entry(kind, value)));
                }
                let values = strings(value).ok_or_else(|| Flaw::Principal(entry(kind, value)))?;
                entries.extend(values.into_iter().map(|v| (kind.clone(), v)));
            }
        }
        other => return Err(Flaw::Principal(other.to_string())),
    }
    Ok(Some(RawPrincipal { negated, entries }))
}

/// `"AWS":"arn:..."`, as IAM shows a principal that it refuses.
fn entry(kind: &str, value: &Value) -> String {
    format!("\"{}\":{value}", kind.to_ascii_uppercase())
}

fn conditions(value: Option<&Value>) -> Result<Vec<RawCondition>, Flaw> {
    let mut all = Vec::new();
    let blocks = match value {
        None => return Ok(all),
        Some(Value::Object(blocks)) => blocks,
        Some(_) => return Err(Flaw::Condition),
    };
    for (name, block) in blocks {
        let Value::Object(keys) = block else {
            return Err(Flaw::Condition);
        };
        // An unknown operator with an empty block is accepted by IAM; it decides nothing.
        if keys.is_empty() {
            continue;
        }
        let operator = Operator::parse(name).ok_or_else(|| Flaw::ConditionType(name.clone()))?;
        for (key, value) in keys {
            all.push(RawCondition {
                operator,
                key: key.clone(),
                values: condition_values(value).ok_or(Flaw::Condition)?,
            });
        }
    }
    Ok(all)
}

fn condition_values(value: &Value) -> Option<Vec<String>> {
    let scalar = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    match value {
        Value::Array(many) => many.iter().map(scalar).collect(),
        one => scalar(one).map(|s| vec![s]),
    }
}
