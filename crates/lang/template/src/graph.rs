//! Which resource needs which: `DependsOn`, `Ref`, `Fn::GetAtt`, `Fn::Sub`.
//!
//! Branches of `Fn::If` count as [`Branches`] says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::call::{Attribute, Call};
use crate::error::{Result, TemplateError};
use crate::sub::{Piece, pieces};
use crate::template::{Resource, Template};

/// Where a value takes something from another resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Reference(String),
    Attribute(String, String),
}

impl Use {
    pub fn resource(&self) -> &str {
        match self {
            Self::Reference(resource) | Self::Attribute(resource, _) => resource,
        }
    }
}

/// Which branches of `Fn::If` count.
#[derive(Clone, Copy)]
pub enum Branches<'a> {
    /// Only the branch that the decided condition takes.
    Taken(&'a BTreeMap<String, bool>),
    /// No branch: what holds whatever the conditions will be.
    Outside,
}

/// What `value` takes from the template's resources.
pub fn uses(template: &Template, value: &Value, branches: Branches<'_>) -> Result<BTreeSet<Use>> {
    let mut found = BTreeSet::new();
    Walk { template, branches }.walk(value, &mut found)?;
    Ok(found)
}

fn exists(resource: &Resource<'_>, conditions: &BTreeMap<String, bool>) -> bool {
    resource.condition().is_none_or(|name| conditions.get(name) == Some(&true))
}

/// For each resource that exists the resources that must exist before.
pub fn dependencies(
    template: &Template,
    conditions: &BTreeMap<String, bool>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let resources = || template.resources().filter(|it| exists(it, conditions));
    let ids: BTreeSet<&str> = resources().map(|it| it.id).collect();
    let mut graph = BTreeMap::new();
    for resource in resources() {
        let mut needs = needs_of(template, &resource, Branches::Taken(conditions))?;
        needs.retain(|id| ids.contains(id.as_str()));
        graph.insert(resource.id.to_owned(), needs);
    }
    refuse_cycles(template, &graph)?;
    Ok(graph)
}

/// Refuses uses of resources whose condition does not hold (recorded: test_dependent_ref,
/// test_dependent_get_att, test_output_reference_to_skipped_resource).
pub fn check_conditional(template: &Template, conditions: &BTreeMap<String, bool>) -> Result<()> {
    let gone = |value: &Value, missing: &mut Vec<String>| -> Result<()> {
        for it in uses(template, value, Branches::Taken(conditions))? {
            let there = template.resource(it.resource()).is_some_and(|it| exists(&it, conditions));
            if !there && !missing.iter().any(|known| known == it.resource()) {
                missing.push(it.resource().to_owned());
            }
        }
        Ok(())
    };
    let mut missing = Vec::new();
    for resource in template.resources().filter(|it| exists(it, conditions)) {
        resource.properties().map_or(Ok(()), |value| gone(value, &mut missing))?;
    }
    if !missing.is_empty() {
        return Err(TemplateError::format(format_args!(
            "Unresolved resource dependencies [{}] in the Resources block of the template",
            missing.join(", ")
        )));
    }
    for body in template.section("Outputs").into_iter().flat_map(serde_json::Map::values) {
        let condition = body.get("Condition").and_then(Value::as_str);
        if condition.is_none_or(|name| conditions.get(name) == Some(&true)) {
            gone(body, &mut missing)?;
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(TemplateError::new(format!(
        "Unresolved resource dependencies [{}] in the Outputs block of the template",
        missing.join(", ")
    )))
}

fn needs_of(
    template: &Template,
    resource: &Resource<'_>,
    branches: Branches<'_>,
) -> Result<BTreeSet<String>> {
    let mut needs: BTreeSet<String> =
        resource.depends_on().into_iter().map(str::to_owned).collect();
    for name in ["Properties", "Metadata", "CreationPolicy", "UpdatePolicy"] {
        if let Some(value) = resource.attribute(name) {
            let uses = uses(template, value, branches)?;
            needs.extend(uses.iter().map(|it| it.resource().to_owned()));
        }
    }
    Ok(needs)
}

/// Refuses resources that need each other whatever the conditions will be.
pub fn check_cycles(template: &Template) -> Result<()> {
    let mut graph = BTreeMap::new();
    for resource in template.resources() {
        graph.insert(resource.id.to_owned(), needs_of(template, &resource, Branches::Outside)?);
    }
    refuse_cycles(template, &graph)
}

fn refuse_cycles(template: &Template, graph: &BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    let ids = template.resources().map(|it| it.id);
    let in_cycle: Vec<&str> = ids.filter(|id| reaches(graph, id, id)).collect();
    if in_cycle.is_empty() {
        return Ok(());
    }
    Err(TemplateError::new(format!(
        "Circular dependency between resources: [{}]",
        in_cycle.join(", ")
    )))
}

fn reaches(graph: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(id) = open.pop() {
        for next in graph.get(id).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    false
}

struct Walk<'a> {
    template: &'a Template,
    branches: Branches<'a>,
}

impl Walk<'_> {
    fn walk(&self, value: &Value, found: &mut BTreeSet<Use>) -> Result<()> {
        if let Some(call) = Call::of(value)? {
            self.names(call, found)?;
            if let Call::If { condition, then, otherwise } = call {
                let Branches::Taken(conditions) = self.branches else { return Ok(()) };
                let taken = conditions.get(condition).copied().unwrap_or_default();
                return self.walk(if taken { then } else { otherwise }, found);
            }
            return call.arguments().into_iter().try_for_each(|it| self.walk(it, found));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item, found)),
            Value::Object(map) => map.values().try_for_each(|item| self.walk(item, found)),
            _ => Ok(()),
        }
    }

    fn names(&self, call: Call<'_>, found: &mut BTreeSet<Use>) -> Result<()> {
        match call {
            Call::Ref(name) => self.reference(name, found),
            Call::GetAtt { resource, attribute } => {
                let name = match attribute {
                    Attribute::Name(name) => name,
                    Attribute::Value(_) => "*",
                };
                found.insert(Use::Attribute(resource.to_owned(), name.to_owned()));
            }
            Call::Sub { text, variables } => {
                let bound = |name: &str| variables.is_some_and(|all| all.contains_key(name));
                for piece in pieces(text)? {
                    match piece {
                        Piece::Name(name) if !bound(name) => self.reference(name, found),
                        Piece::Attribute(resource, attribute)
                            if !bound(&format!("{resource}.{attribute}")) =>
                        {
                            found.insert(Use::Attribute(resource.to_owned(), attribute.to_owned()));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn reference(&self, name: &str, found: &mut BTreeSet<Use>) {
        if self.template.has_resource(name) && !self.template.has_parameter(name) {
            found.insert(Use::Reference(name.to_owned()));
        }
    }
}
