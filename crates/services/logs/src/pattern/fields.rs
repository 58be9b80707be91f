//! Events of fields between spaces: `[ip, user, ..., status = 4*, bytes > 1000]`.

use super::Invalid;
use super::condition::{Comparison, Operand};
use super::scan::Scanner;
use std::collections::BTreeMap;

const WORD_ENDS: [char; 8] = ['&', '|', '(', ')', ',', ']', '=', '!'];
const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Comparison, Operand),
    /// The field is only named.
    Always,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    condition: Condition,
}

#[derive(Clone, Debug)]
pub struct Fields {
    before: Vec<Field>,
    /// Whether `...` stands for any number of fields between the others.
    open: bool,
    after: Vec<Field>,
}

impl Fields {
    pub fn parse(text: &str) -> Result<Fields, Invalid> {
        let mut scanner = Scanner::new(text);
        scanner.expect("[")?;
        let mut fields = Fields { before: Vec::new(), open: false, after: Vec::new() };
        if scanner.take("]") {
            fields.open = true;
            return if scanner.is_at_end() { Ok(fields) } else { Err(Invalid) };
        }
        loop {
            if scanner.take("...") {
                if fields.open {
                    return Err(Invalid);
                }
                fields.open = true;
            } else {
                let field = field(&mut scanner)?;
                if fields.open { &mut fields.after } else { &mut fields.before }.push(field);
            }
            if scanner.take("]") {
                break;
            }
            scanner.expect(",")?;
        }
        if scanner.is_at_end() { Ok(fields) } else { Err(Invalid) }
    }

    /// The fields of the pattern with those of the message; none when their number differs.
    fn align<'a>(&'a self, values: &'a [String]) -> Option<Vec<(&'a Field, &'a String)>> {
        let named = self.before.len() + self.after.len();
        let fits = if self.open { values.len() >= named } else { values.len() == named };
        if !fits {
            return None;
        }
        let tail = values.len() - self.after.len();
        let before = self.before.iter().zip(values);
        Some(before.chain(self.after.iter().zip(&values[tail..])).collect())
    }

    pub fn matches(&self, message: &str) -> bool {
        let values = split(message);
        self.align(&values).is_some_and(|pairs| {
            pairs.into_iter().all(|(field, value)| field.condition.holds(value))
        })
    }

    /// Every field by its name; those of `...` by their number.
    pub fn extract(&self, message: &str) -> BTreeMap<String, String> {
        let values = split(message);
        let mut found = BTreeMap::new();
        if let Some(pairs) = self.align(&values) {
            let unnamed = self.before.len()..values.len() - self.after.len();
            for index in unnamed {
                found.insert(format!("${}", index + 1), values[index].clone());
            }
            for (field, value) in pairs {
                found.insert(format!("${}", field.name), value.clone());
            }
        }
        found
    }
}

fn field(scanner: &mut Scanner<'_>) -> Result<Field, Invalid> {
    let mut name = None;
    let condition = any(scanner, &mut name, 0)?;
    Ok(Field { name: name.ok_or(Invalid)?, condition })
}

fn any(s: &mut Scanner<'_>, name: &mut Option<String>, depth: usize) -> Result<Condition, Invalid> {
    let mut conditions = vec![all(s, name, depth)?];
    while s.take("||") {
        conditions.push(all(s, name, depth)?);
    }
    Ok(Condition::Any(conditions))
}

fn all(s: &mut Scanner<'_>, name: &mut Option<String>, depth: usize) -> Result<Condition, Invalid> {
    let mut conditions = vec![one(s, name, depth)?];
    while s.take("&&") {
        conditions.push(one(s, name, depth)?);
    }
    Ok(Condition::All(conditions))
}

fn one(s: &mut Scanner<'_>, name: &mut Option<String>, depth: usize) -> Result<Condition, Invalid> {
    if depth > DEPTH_MAX {
        return Err(Invalid);
    }
    if s.take("(") {
        let condition = any(s, name, depth + 1)?;
        s.expect(")")?;
        return Ok(condition);
    }
    s.skip_spaces();
    let word = s.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$'));
    // All conditions of one field are about that field.
    if word.is_empty() || name.as_ref().is_some_and(|name| name != word) {
        return Err(Invalid);
    }
    *name = Some(word.to_owned());
    if matches!(s.peek(), Some('=' | '!' | '<' | '>')) {
        let comparison = Comparison::parse(s)?;
        return Ok(Condition::Compare(comparison, s.operand(&WORD_ENDS)?));
    }
    Ok(Condition::Always)
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        match self {
            Condition::All(conditions) => conditions.iter().all(|one| one.holds(value)),
            Condition::Any(conditions) => conditions.iter().any(|one| one.holds(value)),
            Condition::Compare(comparison, operand) => operand.compares(*comparison, value),
            Condition::Always => true,
        }
    }
}

/// The fields of a message; what stands in brackets or quotes is one field.
fn split(message: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = message.trim_start();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '[' => Some(']'),
            '"' => Some('"'),
            _ => None,
        };
        let enclosed = close.and_then(|close| rest[1..].split_once(close));
        let (field, after) = match enclosed {
            Some((field, after)) => (field, after),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /apache_pb.gif HTTP/1.0\" 404 1534";

    fn matches(pattern: &str) -> bool {
        Fields::parse(pattern).unwrap().matches(EVENT)
    }

    #[test]
    fn fields_by_place() {
        assert!(matches("[ip, id, user, timestamp, request, status_code, size]"));
        assert!(!matches("[ip, id, user]") && matches("[]"));
        assert!(matches(
            "[ip=127.0.*, id, user, timestamp, request =*.gif*, status_code=4*, size>1000]"
        ));
        assert!(matches("[..., request = *.gif*, status_code = 4*, size]"));
        assert!(matches("[ip, ...]") && !matches("[ip=10.*, ...]"));
    }

    #[test]
    fn several_conditions_of_a_field() {
        assert!(matches("[..., status_code = 404 || status_code = 410, size]"));
        assert!(!matches("[..., status_code >= 500 && status_code < 600, size]"));
        assert!(matches("[..., (status_code != 5* && status_code != 3*), size]"));
        assert!(Fields::parse("[a = 1 || b = 2]").is_err());
    }

    #[test]
    fn extracts_all_fields() {
        let found = Fields::parse("[ip, ..., size]").unwrap().extract(EVENT);
        assert_eq!(found["$ip"], "127.0.0.1");
        assert_eq!(found["$size"], "1534");
        assert_eq!(found["$4"], "10/Oct/2000:13:25:15 -0700");
        assert_eq!(found.len(), 7);
    }
}
