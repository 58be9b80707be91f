//! JSON Schema, draft 4, as API Gateway checks bodies with it.
//!
//! Models refer to each other by
//! `https://apigateway.amazonaws.com/restapis/{id}/models/{name}`, and to their own parts by
//! `#/definitions/...`. The sentences are those of the validator that AWS uses; they reach clients
//! as `$context.error.validationErrorString`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Deepest nesting of schemas that one check follows: references may be circular.
const DEPTH_MAX: usize = 64;
/// Sentences that one check reports.
const ERRORS_MAX: usize = 20;

/// Refuses what is no schema at all.
pub fn check(text: &str) -> Result<(), String> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(schema)) => {
            let known = |kind: &str| {
                matches!(
                    kind,
                    "array" | "boolean" | "integer" | "null" | "number" | "object" | "string"
                )
            };
            match schema.get("type") {
                Some(Value::String(kind)) if !known(kind) => {
                    Err(format!("Unknown type specified: {kind}"))
                }
                _ => Ok(()),
            }
        }
        Ok(_) => Err("Model schema is not an object".to_owned()),
        Err(error) => Err(format!("Invalid JSON: {error}")),
    }
}

/// The schemas of an API by model name.
#[derive(Debug, Default)]
pub struct Models(BTreeMap<String, Value>);

impl Models {
    pub fn new<'a>(models: impl Iterator<Item = (&'a str, &'a str)>) -> Models {
        let parse =
            |(name, text): (&str, &str)| Some((name.to_owned(), serde_json::from_str(text).ok()?));
        Models(models.filter_map(parse).collect())
    }

    /// What of `body` breaks the model, in the validator's words; empty if nothing does.
    pub fn violations(&self, model: &str, body: &Value) -> Vec<String> {
        let Some(root) = self.0.get(model) else { return Vec::new() };
        let mut check = Check { models: self, errors: Vec::new() };
        check.value(root, root, body, 0);
        check.errors
    }

    /// A reference's schema and the document it is in.
    fn resolve<'a>(&'a self, root: &'a Value, reference: &str) -> Option<(&'a Value, &'a Value)> {
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let root = match document.rsplit_once("/models/") {
            Some((_, name)) => self.0.get(name)?,
            None if document.is_empty() => root,
            None => return None,
        };
        Some((root.pointer(pointer)?, root))
    }
}

struct Check<'a> {
    models: &'a Models,
    errors: Vec<String>,
}

impl<'a> Check<'a> {
    fn fail(&mut self, message: String) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(message);
        }
    }

    fn value(&mut self, root: &'a Value, schema: &'a Value, value: &Value, depth: usize) {
        let Value::Object(schema) = schema else { return };
        if depth > DEPTH_MAX {
            return;
        }
        if let Some(Value::String(reference)) = schema.get("$ref") {
            if let Some((target, root)) = self.models.resolve(root, reference) {
                self.value(root, target, value, depth + 1);
            }
            return;
        }
        if !self.kind(schema, value) {
            return;
        }
        self.choices(schema, value);
        match value {
            Value::Object(map) => self.object(root, schema, map, depth),
            Value::Array(items) => self.array(root, schema, items, depth),
            Value::String(text) => self.text(schema, text),
            Value::Number(number) => self.number(schema, number),
            _ => {}
        }
        self.combined(root, schema, value, depth);
    }

    fn kind(&mut self, schema: &Map<String, Value>, value: &Value) -> bool {
        let allowed: Vec<&str> = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let found = kind_of(value);
        let fits = |kind: &&str| **kind == *found || (**kind == *"number" && found == "integer");
        if allowed.iter().any(fits) {
            return true;
        }
        self.fail(format!(
            "instance type ({found}) does not match any allowed primitive type (allowed: {})",
            json_list(allowed.into_iter())
        ));
        false
    }

    fn choices(&mut self, schema: &Map<String, Value>, value: &Value) {
        if let Some(Value::Array(all)) = schema.get("enum")
            && !all.iter().any(|one| same(one, value))
        {
            self.fail(format!(
                "instance value ({value}) not found in enum (possible values: {})",
                Value::Array(all.clone())
            ));
        }
    }

    fn object(
        &mut self,
        root: &'a Value,
        schema: &'a Map<String, Value>,
        map: &Map<String, Value>,
        depth: usize,
    ) {
        self.required(schema, map);
        self.count(schema, ["minProperties", "maxProperties"], map.len(), "properties", "object");
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let mut extra = Vec::new();
        for (name, value) in map {
            let mut known = false;
            if let Some(schema) = properties.and_then(|all| all.get(name)) {
                known = true;
                self.value(root, schema, value, depth + 1);
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                if regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(name)) {
                    known = true;
                    self.value(root, schema, value, depth + 1);
                }
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => extra.push(name.as_str()),
                Some(schema @ Value::Object(_)) if !known => {
                    self.value(root, schema, value, depth + 1);
                }
                _ => {}
            }
        }
        if !extra.is_empty() {
            self.fail(format!(
                "object instance has properties which are not allowed by the schema: {}",
                json_list(extra.into_iter())
            ));
        }
    }

    fn required(&mut self, schema: &Map<String, Value>, map: &Map<String, Value>) {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut missing: Vec<&str> =
            names.filter_map(Value::as_str).filter(|name| !map.contains_key(*name)).collect();
        missing.sort_unstable();
        if !missing.is_empty() {
            self.fail(format!(
                "object has missing required properties ({})",
                json_list(missing.into_iter())
            ));
        }
        for (name, needs) in
            schema.get("dependencies").and_then(Value::as_object).into_iter().flatten()
        {
            let needs = needs.as_array().into_iter().flatten().filter_map(Value::as_str);
            let lost: Vec<&str> = needs.filter(|need| !map.contains_key(*need)).collect();
            if map.contains_key(name) && !lost.is_empty() {
                self.fail(format!(
                    "property \"{name}\" of object has missing property dependencies ({})",
                    json_list(lost.into_iter())
                ));
            }
        }
    }

    /// `minItems`, `maxProperties` and the like.
    fn count(
        &mut self,
        schema: &Map<String, Value>,
        [min, max]: [&str; 2],
        count: usize,
        what: &str,
        of: &str,
    ) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        let count = count as u64;
        let short = if what == "elements" { "array" } else { of };
        if let Some(min) = limit(min).filter(|min| count < *min) {
            self.fail(match what {
                "elements" => format!("array is too short: must have at least {min} elements but instance has {count} elements"),
                _ => format!("{short} has too few {what} (found {count} but schema requires at least {min})"),
            });
        }
        if let Some(max) = limit(max).filter(|max| count > *max) {
            self.fail(match what {
                "elements" => format!("array is too long: must have at most {max} elements but instance has {count} elements"),
                _ => format!("{short} has too many {what} (found {count} but schema requires at most {max})"),
            });
        }
    }

    fn array(
        &mut self,
        root: &'a Value,
        schema: &'a Map<String, Value>,
        items: &[Value],
        depth: usize,
    ) {
        self.count(schema, ["minItems", "maxItems"], items.len(), "elements", "array");
        let twice = |at: usize| items[..at].iter().any(|other| same(other, &items[at]));
        if schema.get("uniqueItems") == Some(&Value::Bool(true))
            && items.len() <= 1000
            && (1..items.len()).any(twice)
        {
            self.fail("array must not contain duplicate elements".to_owned());
        }
        match schema.get("items") {
            Some(Value::Array(schemas)) => {
                for (schema, item) in schemas.iter().zip(items) {
                    self.value(root, schema, item, depth + 1);
                }
                match schema.get("additionalItems") {
                    Some(Value::Bool(false)) if items.len() > schemas.len() => {
                        self.fail(
                            "array must not contain more elements than its schema names".to_owned(),
                        );
                    }
                    Some(schema @ Value::Object(_)) => {
                        for item in items.iter().skip(schemas.len()) {
                            self.value(root, schema, item, depth + 1);
                        }
                    }
                    _ => {}
                }
            }
            Some(schema) => {
                for item in items {
                    self.value(root, schema, item, depth + 1);
                }
            }
            None => {}
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str) {
        let length = text.chars().count() as u64;
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        if let Some(min) = limit("minLength").filter(|min| length < *min) {
            self.fail(format!(
                "string \"{text}\" is too short (length: {length}, required minimum: {min})"
            ));
        }
        if let Some(max) = limit("maxLength").filter(|max| length > *max) {
            self.fail(format!(
                "string \"{text}\" is too long (length: {length}, maximum allowed: {max})"
            ));
        }
        if let Some(Value::String(pattern)) = schema.get("pattern")
            && regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
        {
            self.fail(format!(
                "ECMA 262 regex \"{pattern}\" does not match input string \"{text}\""
            ));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: &serde_json::Number) {
        let value = number.as_f64().unwrap_or_default();
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let strict = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if let Some(min) = limit("minimum") {
            if value < min {
                self.fail(format!("numeric instance is lower than the required minimum (minimum: {}, found: {number})", schema["minimum"]));
            } else if strict("exclusiveMinimum") && value <= min {
                self.fail(format!(
                    "numeric instance is not strictly greater than the required minimum {}",
                    schema["minimum"]
                ));
            }
        }
        if let Some(max) = limit("maximum") {
            if value > max {
                self.fail(format!("numeric instance is greater than the required maximum (maximum: {}, found: {number})", schema["maximum"]));
            } else if strict("exclusiveMaximum") && value >= max {
                self.fail(format!(
                    "numeric instance is not strictly lower than the required maximum {}",
                    schema["maximum"]
                ));
            }
        }
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0) {
            let times = value / step;
            if (times - times.round()).abs() > 1e-9 {
                self.fail(format!("remainder of division is not zero ({number} / {step})"));
            }
        }
    }

    fn combined(
        &mut self,
        root: &'a Value,
        schema: &'a Map<String, Value>,
        value: &Value,
        depth: usize,
    ) {
        let list = |name: &str| schema.get(name).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.value(root, schema, value, depth + 1);
        }
        let mut fits = |schema: &'a Value| {
            let mut inner = Check { models: self.models, errors: Vec::new() };
            inner.value(root, schema, value, depth + 1);
            inner.errors.is_empty()
        };
        let any = list("anyOf").map(|all| (all.len(), all.iter().any(&mut fits)));
        let one = list("oneOf").map(|all| (all.len(), all.iter().filter(|s| fits(s)).count()));
        let not = schema.get("not").is_some_and(&mut fits);
        if let Some((count, false)) = any {
            self.fail(format!(
                "instance failed to match at least one required schema among {count}"
            ));
        }
        if let Some((count, matched)) = one.filter(|(_, matched)| *matched != 1) {
            self.fail(format!(
                "instance failed to match exactly one schema (matched {matched} out of {count})"
            ));
        }
        if not {
            self.fail("instance matched a schema which it should not have".to_owned());
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            let whole = number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|value| value.fract() == 0.0);
            if whole { "integer" } else { "number" }
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// `["a","b"]`
fn json_list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    Value::Array(items.map(Value::from).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(schema: &str, body: &str) -> Vec<String> {
        let pet = r#"{"type":"object","properties":{"id":{"type":"integer"},"friend":{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/Pet"}},"required":["id"]}"#;
        let models = Models::new([("M", schema), ("Pet", pet)].into_iter());
        models.violations("M", &serde_json::from_str(body).unwrap())
    }

    #[test]
    fn sentences() {
        let required = r#"{"type":"object","required":["name","age"],"properties":{"age":{"type":"integer","minimum":0}}}"#;
        assert_eq!(
            violations(required, "{}"),
            [r#"object has missing required properties (["age","name"])"#]
        );
        assert_eq!(
            violations(required, r#"{"name":"x","age":"1"}"#),
            [
                r#"instance type (string) does not match any allowed primitive type (allowed: ["integer"])"#
            ]
        );
        assert_eq!(
            violations(required, r#"{"name":"x","age":-1}"#),
            ["numeric instance is lower than the required minimum (minimum: 0, found: -1)"]
        );
    }

    #[test]
    fn keywords() {
        for (schema, good, bad) in [
            (r#"{"enum":["a",1]}"#, "1.0", "\"b\""),
            (r#"{"type":["string","null"]}"#, "null", "1"),
            (r#"{"type":"number"}"#, "1", "\"1\""),
            (r#"{"maxLength":2}"#, "\"é€\"", "\"abc\""),
            (r#"{"pattern":"^a"}"#, "\"ab\"", "\"b\""),
            (r#"{"items":{"type":"integer"},"minItems":1}"#, "[1]", "[]"),
            (r#"{"items":{"type":"integer"}}"#, "[1,2]", "[1,\"2\"]"),
            (r#"{"uniqueItems":true}"#, "[1,2]", "[1,1.0]"),
            (r#"{"additionalProperties":false,"properties":{"a":{}}}"#, r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"additionalProperties":{"type":"string"}}"#, r#"{"b":"x"}"#, r#"{"b":1}"#),
            (r#"{"anyOf":[{"type":"string"},{"minimum":5}]}"#, "6", "4"),
            (r#"{"oneOf":[{"type":"integer"},{"minimum":5}]}"#, "4", "6"),
            (r#"{"not":{"type":"string"}}"#, "1", "\"x\""),
            (r#"{"allOf":[{"minimum":1},{"maximum":3}]}"#, "2", "4"),
            (r##"{"definitions":{"n":{"type":"number"}},"$ref":"#/definitions/n"}"##, "1", "\"x\""),
            (r#"{"minimum":1,"exclusiveMinimum":true}"#, "2", "1"),
            (r#"{"multipleOf":0.5}"#, "1.5", "1.2"),
            (r#"{"dependencies":{"a":["b"]}}"#, r#"{"a":1,"b":1}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(violations(schema, good), Vec::<String>::new(), "{schema} {good}");
            assert_eq!(violations(schema, bad).len(), 1, "{schema} {bad}");
        }
    }

    #[test]
    fn models_refer_to_each_other_even_in_circles() {
        let schema = r#"{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/Pet"}"#;
        assert!(violations(schema, r#"{"id":1,"friend":{"id":2}}"#).is_empty());
        assert_eq!(violations(schema, r#"{"id":1,"friend":{"id":"x"}}"#).len(), 1);
        assert!(violations(r##"{"$ref":"#"}"##, "1").is_empty());
    }

    #[test]
    fn what_is_no_schema() {
        assert!(check("{}").is_ok());
        assert!(check("[]").is_err());
        assert!(check("{").is_err());
        assert!(check(r#"{"type":"whatever"}"#).is_err());
    }
}
