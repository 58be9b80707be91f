//! JSON events: `{ ($.user.id = 1 || $.ip != 10.*) && $.error NOT EXISTS }`.

use super::Invalid;
use super::condition::{Comparison, Operand};
use super::scan::Scanner;
use serde_json::Value;
use std::collections::BTreeMap;

const WORD_ENDS: [char; 8] = ['&', '|', '(', ')', '}', '=', '<', '>'];
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug)]
enum Step {
    Member(String),
    Element(usize),
}

/// `$.a.b[0]`, and how it was written.
#[derive(Clone, Debug)]
struct Selector {
    written: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Selector, Comparison, Operand),
    IsNull(Selector),
    IsTrue(Selector),
    IsFalse(Selector),
    NotExists(Selector),
}

#[derive(Clone, Debug)]
pub struct Json {
    condition: Condition,
}

impl Json {
    pub fn parse(text: &str) -> Result<Json, Invalid> {
        let mut scanner = Scanner::new(text);
        scanner.expect("{")?;
        let condition = any(&mut scanner, 0)?;
        scanner.expect("}")?;
        if scanner.is_at_end() { Ok(Json { condition }) } else { Err(Invalid) }
    }

    pub fn matches(&self, message: &str) -> bool {
        parse_event(message).is_some_and(|event| self.condition.holds(&event))
    }

    pub fn extract(&self, message: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        if let Some(event) = parse_event(message) {
            self.condition.each_selector(&mut |selector| {
                if let Some(value) = selector.find(&event) {
                    values.insert(selector.written.clone(), printed(value));
                }
            });
        }
        values
    }
}

fn parse_event(message: &str) -> Option<Value> {
    if !message.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(message).ok()
}

/// A value as text: texts without quotes.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn any(scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, Invalid> {
    let mut conditions = vec![all(scanner, depth)?];
    while scanner.take("||") {
        conditions.push(all(scanner, depth)?);
    }
    Ok(Condition::Any(conditions))
}

fn all(scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, Invalid> {
    let mut conditions = vec![one(scanner, depth)?];
    while scanner.take("&&") {
        conditions.push(one(scanner, depth)?);
    }
    Ok(Condition::All(conditions))
}

fn one(scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, Invalid> {
    if depth > DEPTH_MAX {
        return Err(Invalid);
    }
    if scanner.take("(") {
        let condition = any(scanner, depth + 1)?;
        scanner.expect(")")?;
        return Ok(condition);
    }
    let selector = selector(scanner)?;
    if scanner.take_word("IS") {
        if scanner.take_word("NULL") {
            return Ok(Condition::IsNull(selector));
        }
        if scanner.take_word("TRUE") {
            return Ok(Condition::IsTrue(selector));
        }
        return if scanner.take_word("FALSE") {
            Ok(Condition::IsFalse(selector))
        } else {
            Err(Invalid)
        };
    }
    if scanner.take_word("NOT") {
        return if scanner.take_word("EXISTS") {
            Ok(Condition::NotExists(selector))
        } else {
            Err(Invalid)
        };
    }
    let comparison = Comparison::parse(scanner)?;
    let operand = scanner.operand(&WORD_ENDS)?;
    Ok(Condition::Compare(selector, comparison, operand))
}

fn selector(scanner: &mut Scanner<'_>) -> Result<Selector, Invalid> {
    scanner.expect("$")?;
    let mut selector = Selector { written: "$".to_owned(), steps: Vec::new() };
    loop {
        if scanner.take_at_once("[") {
            selector.bracket(scanner)?;
        } else if scanner.take_at_once(".") {
            if scanner.take_at_once("[") {
                selector.bracket(scanner)?;
                continue;
            }
            let name = scanner.take_while(|c| !c.is_whitespace() && !".[]=!<>()&|{}\"".contains(c));
            if name.is_empty() {
                return Err(Invalid);
            }
            selector.written.push('.');
            selector.written.push_str(name);
            selector.steps.push(Step::Member(name.to_owned()));
        } else if selector.steps.is_empty() {
            return Err(Invalid);
        } else {
            return Ok(selector);
        }
    }
}

impl Selector {
    /// `[0]`, `["a b"]` or `['a b']`, behind the opening bracket.
    fn bracket(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Invalid> {
        let step = match scanner.peek() {
            Some('"') => Step::Member(scanner.quoted()?),
            Some('\'') => {
                scanner.expect("'")?;
                let name = scanner.take_while(|c| c != '\'').to_owned();
                scanner.expect("'")?;
                Step::Member(name)
            }
            _ => {
                let digits = scanner.take_while(|c| c.is_ascii_digit());
                Step::Element(digits.parse().map_err(|_| Invalid)?)
            }
        };
        scanner.expect("]")?;
        match &step {
            Step::Member(name) => self.written.push_str(&format!(".[\"{name}\"]")),
            Step::Element(index) => self.written.push_str(&format!("[{index}]")),
        }
        self.steps.push(step);
        Ok(())
    }

    fn find<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(event, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(index) => value.get(index),
        })
    }
}

impl Condition {
    fn holds(&self, event: &Value) -> bool {
        match self {
            Condition::All(conditions) => conditions.iter().all(|one| one.holds(event)),
            Condition::Any(conditions) => conditions.iter().any(|one| one.holds(event)),
            Condition::Compare(selector, comparison, operand) => match selector.find(event) {
                None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => false,
                Some(value) => operand.compares(*comparison, &printed(value)),
            },
            Condition::IsNull(selector) => selector.find(event).is_some_and(Value::is_null),
            Condition::IsTrue(selector) => selector.find(event) == Some(&Value::Bool(true)),
            Condition::IsFalse(selector) => selector.find(event) == Some(&Value::Bool(false)),
            Condition::NotExists(selector) => selector.find(event).is_none(),
        }
    }

    fn each_selector(&self, act: &mut dyn FnMut(&Selector)) {
        match self {
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|one| one.each_selector(act));
            }
            Condition::Compare(selector, ..)
            | Condition::IsNull(selector)
            | Condition::IsTrue(selector)
            | Condition::IsFalse(selector)
            | Condition::NotExists(selector) => act(selector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another"], "objectList": [{"name": "a", "id": 1}, {"id": 2}],
        "SomeObject": null, "cluster.name": "c", "code": 404, "ok": true}"#;

    fn matches(pattern: &str) -> bool {
        Json::parse(pattern).unwrap().matches(EVENT)
    }

    #[test]
    fn comparisons() {
        assert!(matches("{ $.eventType = \"UpdateTrail\" }"));
        assert!(matches("{$.eventType = Update*}") && !matches("{ $.eventType = Create* }"));
        assert!(matches("{ $.sourceIPAddress != 123.123.* }"));
        assert!(matches("{ $.arrayKey[0] = \"value\" }") && !matches("{ $.arrayKey[2] = \"x\" }"));
        assert!(matches("{ $.objectList[1].id = 2 }") && matches("{ $.code >= 4.04e2 }"));
        assert!(matches("{ $.code = 4* }") && !matches("{ $.code < 404 }"));
        assert!(matches("{ $.['cluster.name'] = \"c\" }"));
        assert!(matches("{ $.eventType = %Trail$% }"));
    }

    #[test]
    fn presence() {
        assert!(matches("{ $.SomeObject IS NULL }") && matches("{ $.Other NOT EXISTS }"));
        assert!(matches("{ $.ok IS TRUE }") && !matches("{ $.ok IS FALSE }"));
        assert!(!matches("{ $.missing != \"x\" }"));
    }

    #[test]
    fn compounds() {
        assert!(matches("{ ($.code = 1 || $.code = 404) && $.ok IS TRUE }"));
        assert!(!matches("{ ($.code = 1 && $.code = 404) || ($.ok IS FALSE) }"));
        assert!(!Json::parse("{ $.a = 1 }").unwrap().matches("no json"));
    }

    #[test]
    fn extracts_what_it_names() {
        let found = Json::parse("{ $.code > 1 && $.missing NOT EXISTS }").unwrap().extract(EVENT);
        assert_eq!(found, BTreeMap::from([("$.code".to_owned(), "404".to_owned())]));
    }
}
