//! The `Policies` of functions and state machines: names, documents, and policy templates.

mod templates;

pub use templates::{actions, logical_lines};

use crate::fault::{Fault, Result};
use crate::intrinsics::{if_parts, is_if, is_intrinsic, is_no_value};
use crate::value::{Map, Value, list, map};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    Managed,
    Statement,
    Template,
    Unknown,
}

/// One entry of `Policies`.
#[derive(Clone, Debug)]
pub struct Policy {
    pub data: Value,
    pub kind: PolicyKind,
}

/// The entries of `Policies`. Templates are known as such only `before` they are expanded.
fn classify_all(policies: &Value, before: bool) -> Result<Vec<Policy>> {
    if !policies.truthy() {
        return Ok(Vec::new());
    }
    let entries = match policies {
        Value::List(entries) => entries.clone(),
        one => vec![one.clone()],
    };
    let mut classified = Vec::new();
    for data in entries {
        let kind = classify(&data, before)?;
        classified.push(Policy { data, kind });
    }
    Ok(classified)
}

/// The entries of `Policies` after its templates were expanded.
pub fn entries(policies: &Value) -> Result<Vec<Policy>> {
    classify_all(policies, false)
}

fn classify(policy: &Value, before: bool) -> Result<PolicyKind> {
    if policy.is_str() {
        return Ok(PolicyKind::Managed);
    }
    if is_if(policy) {
        let (_, yes, no) =
            if_parts(policy).map_err(|message| Fault::Template(message.to_owned()))?;
        let (yes_kind, no_kind) = (classify(yes, before)?, classify(no, before)?);
        return if yes_kind == no_kind || is_no_value(no) {
            Ok(yes_kind)
        } else if is_no_value(yes) {
            Ok(no_kind)
        } else {
            Err(Fault::Template(
                "Different policy types within the same Fn::If statement is unsupported. Separate \
                 different policy types into different Fn::If statements"
                    .to_owned(),
            ))
        };
    }
    if is_intrinsic(policy) {
        return Ok(PolicyKind::Managed);
    }
    let Some(members) = policy.as_map() else { return Ok(PolicyKind::Unknown) };
    if members.contains("Statement") {
        return Ok(PolicyKind::Statement);
    }
    let is_template = before
        && members.len() == 1
        && members.first().is_some_and(|(name, _)| templates::find(name.as_str()).is_some());
    Ok(if is_template { PolicyKind::Template } else { PolicyKind::Unknown })
}

/// Replaces the policy templates among a resource's policies by what they stand for.
pub fn expand(id: &str, properties: &mut Map) -> Result<()> {
    let entries = classify_all(properties.at("Policies"), true)?;
    if entries.is_empty() {
        return Ok(());
    }
    let mut expanded = Vec::new();
    for policy in entries {
        expanded.push(match policy.kind {
            PolicyKind::Template if is_if(&policy.data) => {
                let (condition, yes, no) =
                    if_parts(&policy.data).map_err(|message| Fault::resource(id, message))?;
                let one = |branch: &Value| {
                    if is_no_value(branch) { Ok(branch.clone()) } else { expand_one(id, branch) }
                };
                map! { "Fn::If" => list![condition, one(yes)?, one(no)?] }.into()
            }
            PolicyKind::Template => expand_one(id, &policy.data)?,
            _ => policy.data,
        });
    }
    properties.set("Policies", expanded);
    Ok(())
}

fn expand_one(id: &str, policy: &Value) -> Result<Value> {
    let Some((name, parameters)) = policy.as_map().and_then(Map::first) else {
        return Err(Fault::resource(id, "Policy template must name one template."));
    };
    let Some(parameters) = parameters.as_map() else {
        return Err(Fault::resource(
            id,
            format!("Must specify valid parameter values for policy template '{name}'"),
        ));
    };
    let Some(template) = templates::find(name.as_str()) else {
        return Err(Fault::resource(id, format!("Template with name '{name}' is not found")));
    };
    template.expand(parameters).map_err(|message| Fault::resource(id, message))
}
