//! SAM's policy templates, read from `templates.txt`.

use crate::intrinsics::{quoted_list, sub, sub_with};
use crate::value::{Map, Value, map};
use std::collections::HashMap;
use std::sync::LazyLock;

static TEMPLATES: LazyLock<HashMap<String, Template>> =
    LazyLock::new(|| read(include_str!("templates.txt")));

/// What one template allows.
#[derive(Default)]
pub struct Template {
    name: String,
    statements: Vec<Statement>,
}

struct Statement {
    actions: Vec<String>,
    single_action: bool,
    resources: Vec<String>,
    single_resource: bool,
    /// Operator, key, value.
    condition: Option<(String, String, String)>,
}

pub fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.get(name)
}

/// Lines with those that a backslash continues joined.
pub fn logical_lines(text: &str) -> Vec<String> {
    text.replace("\\\n", "")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// `service:A B other:C` as full names.
pub fn actions(text: &str) -> Vec<String> {
    let mut service = "";
    text.split_whitespace()
        .map(|word| match word.split_once(':') {
            Some((named, _)) => {
                service = named;
                word.to_owned()
            }
            None => format!("{service}:{word}"),
        })
        .collect()
}

fn read(text: &str) -> HashMap<String, Template> {
    let mut templates = HashMap::new();
    let mut current = Template::default();
    for line in logical_lines(text) {
        if line.starts_with(' ') {
            current.statements.extend(statement(&line));
        } else {
            let next = Template { name: line, statements: Vec::new() };
            let done = std::mem::replace(&mut current, next);
            templates.insert(done.name.clone(), done);
        }
    }
    templates.insert(current.name.clone(), current);
    templates.remove("");
    templates
}

fn statement(line: &str) -> Option<Statement> {
    let (allowed, rest) = line.trim().split_once(" -> ")?;
    let (resources, condition) = match rest.trim().split_once(" if ") {
        Some((resources, condition)) => (resources, Some(condition)),
        None => (rest, None),
    };
    let single_action = allowed.starts_with('=');
    let resources = resources.trim();
    let listed = resources.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let condition = condition.and_then(|condition| {
        let mut words = condition.split_whitespace();
        let (operator, key) = (words.next()?, words.next()?);
        Some((operator.to_owned(), key.to_owned(), words.nth(1)?.to_owned()))
    });
    Some(Statement {
        actions: actions(allowed.trim_start_matches('=')),
        single_action,
        resources: listed.unwrap_or(resources).split_whitespace().map(str::to_owned).collect(),
        single_resource: listed.is_none(),
        condition,
    })
}

impl Template {
    /// The policy with the parameters' values, or what is wrong with them.
    pub fn expand(&self, values: &Map) -> Result<Value, String> {
        let missing: Vec<String> =
            self.parameters().into_iter().filter(|name| !values.contains(name)).collect();
        if !missing.is_empty() {
            return Err(format!(
                "Following required parameters of template '{}' don't have values: {}",
                self.name,
                quoted_list(&missing)
            ));
        }
        let statements: Vec<Value> =
            self.statements.iter().map(|statement| statement.expand(values)).collect();
        Ok(map! { "Statement" => statements }.into())
    }

    fn parameters(&self) -> Vec<String> {
        let mut names = Vec::new();
        for statement in &self.statements {
            let condition = statement.condition.iter().map(|(_, _, value)| value);
            for text in statement.resources.iter().chain(condition) {
                for (_, parameter) in variables(text) {
                    if !names.contains(&parameter) {
                        names.push(parameter);
                    }
                }
            }
        }
        names
    }
}

impl Statement {
    fn expand(&self, values: &Map) -> Value {
        let actions: Vec<Value> =
            self.actions.iter().map(|action| action.as_str().into()).collect();
        let resources: Vec<Value> =
            self.resources.iter().map(|resource| resource_value(resource, values)).collect();
        let one_or_all = |single: bool, mut all: Vec<Value>| -> Value {
            if single && all.len() == 1 { all.remove(0) } else { all.into() }
        };
        let mut statement = map! {
            "Effect" => "Allow",
            "Action" => one_or_all(self.single_action, actions),
            "Resource" => one_or_all(self.single_resource, resources),
        };
        if let Some((operator, key, value)) = &self.condition {
            let condition = map! { key.as_str() => resource_value(value, values) };
            statement.set("Condition", map! { operator.as_str() => condition });
        }
        statement.into()
    }
}

/// The variables of a resource: name and parameter.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, tail)) = rest.split_once('{') {
        let Some((inside, after)) = tail.split_once('}') else { break };
        let (name, parameter) = inside.split_once('=').unwrap_or((inside, inside));
        found.push((name.to_owned(), parameter.to_owned()));
        rest = after;
    }
    found
}

fn resource_value(text: &str, values: &Map) -> Value {
    if text == "*" {
        return "*".into();
    }
    let mut pattern = match (text.split_at(1), text.split_once(':')) {
        (("@", _), Some((service, rest))) => {
            crate::world::arn("${AWS::Partition}", &service[1..], rest)
        }
        (("!", _), Some((service, rest))) => {
            format!("arn:${{AWS::Partition}}:{}:::{rest}", &service[1..])
        }
        _ => text.to_owned(),
    };
    let mut variables_of = Map::new();
    for (name, parameter) in variables(text) {
        let written = if name == parameter { name.clone() } else { format!("{name}={parameter}") };
        pattern = pattern.replace(&format!("{{{written}}}"), &format!("${{{name}}}"));
        variables_of.set(name, values.at(&parameter));
    }
    if variables_of.is_empty() { sub(pattern) } else { sub_with(pattern, variables_of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_read() {
        assert_eq!(TEMPLATES.len(), 81);
        assert!(TEMPLATES.values().all(|template| !template.statements.is_empty()));
    }

    #[test]
    fn a_template_takes_its_parameters() {
        let template = find("SQSPollerPolicy").unwrap();
        assert!(template.expand(&Map::new()).unwrap_err().ends_with("['QueueName']"));
        let policy = template.expand(&map! { "QueueName" => "q" }).unwrap();
        let resource = policy.at("Statement").as_list().unwrap()[0].at("Resource").clone();
        let expected = sub_with(
            "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${queueName}",
            map! { "queueName" => "q" },
        );
        assert_eq!(resource, expected);
    }
}
