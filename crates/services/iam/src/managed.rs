//! AWS's managed policies, from the table `managed.txt`: those that templates, tools and documentation of the
//! services here name. A name that is not in the table does not exist.
//!
//! A policy is a line with its path and name, then its statements, one a line:
//! `Allow <actions> [on <resources>] [if <condition>]`, `Deny ...`, `Allow-all-but ...` (NotAction); an empty line
//! ends it. Without `on` the resource is `*`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use sereno_base::Timestamp;
use sereno_policy::Policy;
use sereno_policy::validate::{self, IdentityKind};

use crate::rules::PolicyArn;

/// One for all: AWS's real dates tell nothing about this table.
pub const CREATED: Timestamp = Timestamp::from_secs(1_480_550_400);

pub struct ManagedPolicy {
    pub name: &'static str,
    /// Begins and ends with a slash.
    pub path: String,
    pub document: String,
    pub policy: Arc<Policy>,
}

impl ManagedPolicy {
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::aws:policy{}{}", self.path, self.name)
    }

    pub fn version(&self) -> &'static str {
        "v1"
    }
}

static TABLE: LazyLock<Vec<ManagedPolicy>> =
    LazyLock::new(|| include_str!("managed.txt").split("\n\n").filter_map(read).collect());

static BY_NAME: LazyLock<HashMap<&'static str, &'static ManagedPolicy>> =
    LazyLock::new(|| TABLE.iter().map(|p| (p.name, p)).collect());

/// All of them, in the order of the table.
pub fn all() -> &'static [ManagedPolicy] {
    &TABLE
}

pub fn find(arn: &PolicyArn) -> Option<&'static ManagedPolicy> {
    let found = BY_NAME.get(arn.name.as_str()).copied()?;
    (arn.account.is_none() && found.path == arn.path).then_some(found)
}

/// The ARN of AWS's policy of this name.
pub fn arn_of_name(name: &str) -> Option<String> {
    BY_NAME.get(name).map(|p| p.arn())
}

fn read(block: &'static str) -> Option<ManagedPolicy> {
    let mut lines = block.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let full = lines.next()?;
    let (path, name) = match full.rsplit_once('/') {
        Some((path, name)) => (format!("/{path}/"), name),
        None => ("/".to_owned(), full),
    };
    let statements: Vec<Value> = lines.map(statement).collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let policy = validate::identity(&document, IdentityKind::Managed)
        .expect("a test compiles every policy of the table");
    Some(ManagedPolicy { name, path, document, policy: Arc::new(policy) })
}

fn statement(line: &str) -> Value {
    let (line, condition) = match line.split_once(" if ") {
        Some((line, condition)) => (line, serde_json::from_str(condition).ok()),
        None => (line, None),
    };
    let (head, resources) = line.split_once(" on ").unwrap_or((line, "*"));
    let mut words = head.split_whitespace();
    let word = words.next().unwrap_or_default();
    let (effect, element) = match word.strip_suffix("-all-but") {
        Some(effect) => (effect, "NotAction"),
        None => (word, "Action"),
    };
    let mut statement = Map::new();
    statement.insert("Effect".into(), effect.into());
    statement.insert(element.into(), one_or_many(words));
    statement.insert("Resource".into(), one_or_many(resources.split_whitespace()));
    if let Some(condition) = condition {
        statement.insert("Condition".into(), condition);
    }
    Value::Object(statement)
}

fn one_or_many<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [one] => Value::from(*one),
        many => Value::from(many.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_compiles_and_has_a_name_of_its_own() {
        assert!(all().len() > 60, "{}", all().len());
        assert_eq!(BY_NAME.len(), all().len());
        for line in include_str!("managed.txt").lines().filter(|l| l.contains(" if ")) {
            let (_, condition) = line.split_once(" if ").unwrap();
            assert!(serde_json::from_str::<Value>(condition).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_policy_is_found_by_its_whole_arn() {
        let find = |text| find(&PolicyArn::parse(text).unwrap());
        let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
        let found = find(basic).unwrap();
        assert_eq!(found.arn(), basic);
        assert_eq!(
            found.document,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#
        );
        assert!(find("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole").is_none());
        assert!(find("arn:aws:iam::aws:policy/NoSuchPolicy").is_none());
    }
}
