//! What connectors grant, read from `grants.txt`.

use super::party::Party;
use crate::intrinsics::{sub, sub_with};
use crate::policies::{actions, logical_lines};
use crate::value::{Map, Value, map};
use std::sync::LazyLock;

static GRANTS: LazyLock<Vec<Grants>> = LazyLock::new(|| read(include_str!("grants.txt")));

/// Where the grant is written.
#[derive(Clone, Copy)]
pub enum Form {
    Role { of_source: bool },
    Permission,
    TopicPolicy,
    QueuePolicy,
}

/// What must not be made before the grant.
#[derive(Clone, Copy)]
pub enum Waits {
    Source,
    Mapping,
}

/// What a connector between two types may grant.
pub struct Grants {
    source: String,
    destination: String,
    pub form: Form,
    pub waits: Option<Waits>,
    /// The only combinations that may be asked for; empty when any may.
    pub needs: Vec<Vec<String>>,
    lines: Vec<(String, String)>,
}

pub fn find(source: &str, destination: &str) -> Option<&'static Grants> {
    GRANTS.iter().find(|grants| grants.source == source && grants.destination == destination)
}

fn read(text: &str) -> Vec<Grants> {
    let mut all: Vec<Grants> = Vec::new();
    for line in logical_lines(text) {
        if let Some(line) = line.strip_prefix("  ") {
            if let (Some(grants), Some((name, rest))) = (all.last_mut(), line.split_once(' ')) {
                grants.lines.push((name.to_owned(), rest.to_owned()));
            }
        } else {
            all.extend(pair(&line));
        }
    }
    all
}

fn pair(line: &str) -> Option<Grants> {
    let (types, rest) = line.split_once(": ")?;
    let (source, destination) = types.split_once(' ')?;
    let mut words = rest.split(' ');
    let form = match words.next()? {
        "role-of-source" => Form::Role { of_source: true },
        "role-of-destination" => Form::Role { of_source: false },
        "permission" => Form::Permission,
        "topic-policy" => Form::TopicPolicy,
        _ => Form::QueuePolicy,
    };
    let (mut waits, mut needs) = (None, Vec::new());
    for word in words {
        match word.split_once('=') {
            Some(("waits", "source")) => waits = Some(Waits::Source),
            Some(("waits", _)) => waits = Some(Waits::Mapping),
            Some((_, combinations)) => {
                let split = |one: &str| one.split('+').map(str::to_owned).collect();
                needs = combinations.split(',').map(split).collect();
            }
            None => {}
        }
    }
    let (source, destination) = (source.to_owned(), destination.to_owned());
    Some(Grants { source, destination, form, waits, needs, lines: Vec::new() })
}

impl Grants {
    /// The names of the permissions.
    pub fn permissions(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for (name, _) in &self.lines {
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Every grant with the two parties put in, by permission. All are filled in, also those not
    /// asked for: what one lacks is an error.
    pub fn replaced(&self, from: &Party, to: &Party) -> Result<Vec<(String, Map)>, String> {
        let fill = |text: &str| fill(text, from, to);
        let mut all = Vec::new();
        for (name, line) in &self.lines {
            let grant = match self.form {
                Form::Role { .. } => {
                    let (allowed, resources) = line.split_once(" -> ").unwrap_or((line, ""));
                    let mut filled = Vec::new();
                    for resource in resources.split_whitespace() {
                        filled.push(fill(resource)?);
                    }
                    let actions: Vec<Value> =
                        actions(allowed).into_iter().map(Value::from).collect();
                    map! { "Effect" => "Allow", "Action" => actions, "Resource" => filled }
                }
                Form::Permission => {
                    let mut words = line.split(' ');
                    let mut next = || words.next().unwrap_or_default();
                    let mut grant =
                        map! { "Action" => "lambda:InvokeFunction", "Principal" => next() };
                    grant.set("SourceArn", fill(next())?);
                    let account = next();
                    if !account.is_empty() {
                        grant.set("SourceAccount", fill(account)?);
                    }
                    grant
                }
                Form::TopicPolicy | Form::QueuePolicy => {
                    let (principal, action) = line.split_once(' ').unwrap_or((line, ""));
                    let resource = fill("{Destination.Arn}")?;
                    let source = map! { "aws:SourceArn" => fill("{Source.Arn}")? };
                    map! {
                        "Effect" => "Allow",
                        "Principal" => map! { "Service" => principal },
                        "Resource" => resource,
                        "Action" => action,
                        "Condition" => map! { "ArnEquals" => source },
                    }
                }
            };
            all.push((name.clone(), grant));
        }
        Ok(all)
    }
}

/// Puts the parties' values in the place of their names.
fn fill(text: &str, from: &Party, to: &Party) -> Result<Value, String> {
    let mut text = match text.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some((service, rest)) => crate::world::arn("${AWS::Partition}", service, rest),
        None => text.to_owned(),
    };
    let mut variables = Map::new();
    for (name, value) in [
        ("Source.Arn", &from.arn),
        ("Destination.Arn", &to.arn),
        ("Source.ResourceId", &from.resource_id),
        ("Destination.ResourceId", &to.resource_id),
        ("Source.Name", &from.name),
        ("Destination.Name", &to.name),
        ("Source.Qualifier", &from.qualifier),
        ("Destination.Qualifier", &to.qualifier),
    ] {
        let place = format!("{{{name}}}");
        if !text.contains(&place) {
            continue;
        }
        if value.is_null() {
            return Err(format!("{name} is missing."));
        }
        if text == place {
            return Ok(value.clone());
        }
        let variable = name.replace('.', "");
        text = text.replace(&place, &format!("${{{variable}}}"));
        variables.set(variable, value);
    }
    if !variables.is_empty() {
        return Ok(sub_with(text, variables));
    }
    Ok(if text.contains("${") { sub(text) } else { text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_read() {
        assert_eq!(GRANTS.len(), 31);
        assert!(GRANTS.iter().all(|grants| !grants.lines.is_empty()));
        let queue = find("AWS::SQS::Queue", "AWS::Lambda::Function").unwrap();
        assert_eq!(queue.needs, [["Read", "Write"]]);
    }
}
