//! What an update would change: change sets show it, and an update that changes nothing is refused.
//!
//! Forms recorded: tests of change sets with `Ref`, `Fn::GetAtt`, parameters and mappings. Changes come in
//! the order of logical ids. A property that takes something from a resource that will be another one is not
//! known before the change set has been executed; one that takes an attribute of a resource that is
//! only updated is listed as `Dynamic`, except where values are shown.

mod causes;
mod details;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sereno_api_cloudformation as api;
use sereno_kernel::{Ctx, Result};
use sereno_template::diff::{self, Change};
use sereno_template::{Environment, Policy, Resolver, Template, graph};

use crate::errors;
use crate::types;
use crate::world::{Exports, Known, StackWorld};

/// A template and the values decided for it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub template: &'a Template,
    pub environment: &'a Environment,
    pub tags: &'a [(String, String)],
}

/// All that is compared.
pub struct Compare<'a> {
    pub ctx: &'a Ctx,
    /// What the stack was made from; none if it has no resources yet.
    pub before: Option<Side<'a>>,
    pub after: Side<'a>,
    pub known: &'a BTreeMap<String, Known>,
    /// Resources that failed last time and must be tried again.
    pub failed: &'a BTreeSet<String>,
    pub exports: &'a Exports,
    /// Parameters whose values are masked.
    pub masked: &'a [String],
}

/// The result: the API's form without and with property values.
#[derive(Debug, Default)]
pub struct Changes {
    pub plain: Vec<api::Change>,
    pub with_values: Vec<api::Change>,
    /// Whether outputs or tags differ.
    pub others: bool,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && !self.others
    }
}

/// How one resource changes.
pub(crate) struct Modification {
    pub properties: Vec<Change>,
    pub metadata: bool,
    pub tags: bool,
    pub retry: bool,
    pub replacement: Replacement,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacement {
    No,
    Perhaps,
    Yes,
}

/// Compares.
pub fn compare(compare: &Compare<'_>) -> Result<Changes> {
    let work = Work::new(compare)?;
    let mut found = BTreeMap::new();
    work.collect(&mut found)?;
    let mut changes = Changes { others: work.others_differ()?, ..Changes::default() };
    for (plain, with_values) in found.into_values() {
        changes.plain.extend(plain);
        changes.with_values.extend(with_values);
    }
    Ok(changes)
}

type Shown = (Option<api::Change>, Option<api::Change>);

pub(crate) struct Work<'a> {
    pub all: &'a Compare<'a>,
    pub world: std::cell::RefCell<StackWorld<'a>>,
    /// Resources that are updated in place.
    pub modified: std::cell::RefCell<BTreeSet<String>>,
    /// Parameters whose values differ.
    pub parameters: BTreeSet<String>,
    /// The environments as they may be shown.
    shown_before: Option<Environment>,
    shown_after: Environment,
}

/// An environment in which secret parameters are not readable.
pub fn mask(environment: &Environment, masked: &[String]) -> Environment {
    let mut environment = environment.clone();
    for name in masked {
        if let Some(value) = environment.parameters.get_mut(name) {
            *value = "****".into();
        }
    }
    environment
}

fn invalid(error: &sereno_template::TemplateError) -> sereno_kernel::Error {
    errors::template(error)
}

impl<'a> Work<'a> {
    fn new(all: &'a Compare<'a>) -> Result<Self> {
        let region = &all.after.environment.pseudo.region;
        let mut world = StackWorld::new(all.known, all.exports, region);
        world.preview = true;
        let after = &all.after.environment.parameters;
        let before = all.before.map(|side| &side.environment.parameters);
        let differs = |(name, value): &(&String, &Value)| {
            before.is_none_or(|before| before.get(*name) != Some(*value))
        };
        let parameters = after.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        Ok(Self {
            all,
            world: world.into(),
            modified: BTreeSet::new().into(),
            parameters,
            shown_before: all.before.map(|side| mask(side.environment, all.masked)),
            shown_after: mask(all.after.environment, all.masked),
        })
    }

    /// Resources in the order of their dependencies, so that what is replaced is known before its users.
    fn order(&self) -> Result<Vec<String>> {
        let side = self.all.after;
        let mut open = graph::dependencies(side.template, &side.environment.conditions)
            .map_err(|error| invalid(&error))?;
        let mut order = Vec::new();
        while !open.is_empty() {
            let ready: Vec<String> = open
                .iter()
                .filter(|(_, needs)| needs.iter().all(|need| !open.contains_key(need)))
                .map(|(id, _)| id.clone())
                .collect();
            if ready.is_empty() {
                break;
            }
            open.retain(|id, _| !ready.contains(id));
            order.extend(ready);
        }
        Ok(order)
    }

    fn collect(&self, found: &mut BTreeMap<String, Shown>) -> Result<()> {
        let order = self.order()?;
        for id in &order {
            let shown = match self.all.known.get(id) {
                Some(known) if !known.physical_id.is_empty() => self.modify(id, known)?,
                _ => self.add(id)?,
            };
            found.insert(id.clone(), shown);
        }
        for (id, known) in self.all.known {
            if !known.physical_id.is_empty() && !order.contains(id) {
                found.insert(id.clone(), self.remove(id, known));
            }
        }
        Ok(())
    }

    fn resolver<'b>(&self, side: Side<'b>, world: &'b StackWorld<'b>) -> Resolver<'b> {
        Resolver { template: side.template, environment: side.environment, world }
    }

    fn properties_after(&self, id: &str) -> Result<Value> {
        let world = self.world.borrow();
        let resolver = self.resolver(self.all.after, &world);
        resolver.properties(id).map_err(|error| invalid(&error))
    }

    /// The same with secrets masked.
    pub(crate) fn shown_after(&self, id: &str) -> Value {
        let world = self.world.borrow();
        let side = Side { environment: &self.shown_after, ..self.all.after };
        self.resolver(side, &world).properties(id).unwrap_or_default()
    }

    pub(crate) fn shown_before(&self, id: &str) -> Value {
        let (Some(side), Some(environment)) = (self.all.before, &self.shown_before) else {
            return Value::Null;
        };
        self.resolve_before(Side { environment, ..side }, id)
    }

    /// What the stack has, as the template that made it says: dynamic references unresolved on both sides.
    fn properties_before(&self, id: &str) -> Value {
        let Some(side) = self.all.before else { return Value::Object(Map::new()) };
        self.resolve_before(side, id)
    }

    fn resolve_before(&self, side: Side<'_>, id: &str) -> Value {
        let region = &side.environment.pseudo.region;
        let mut world = StackWorld::new(self.all.known, self.all.exports, region);
        world.preview = true;
        self.resolver(side, &world).properties(id).unwrap_or_else(|_| Value::Object(Map::new()))
    }

    pub(crate) fn policy(&self, side: Side<'_>, id: &str, attribute: &str) -> Policy {
        let world =
            StackWorld::new(self.all.known, self.all.exports, &side.environment.pseudo.region);
        self.resolver(side, &world).policy(id, attribute).unwrap_or_default()
    }

    fn add(&self, id: &str) -> Result<Shown> {
        self.world.borrow_mut().replaced.insert(id.to_owned());
        let type_name = self.all.after.template.resource(id).map(|it| it.type_name().to_owned());
        let change = api::ResourceChange {
            action: Some(api::ChangeAction::Add),
            logical_resource_id: Some(id.to_owned()),
            resource_type: type_name,
            details: Some(Vec::new()),
            scope: Some(Vec::new()),
            ..Default::default()
        };
        let mut with_values = change.clone();
        with_values.replacement = Some(api::Replacement::True);
        with_values.after_context = Some(context(&self.shown_after(id)));
        Ok((Some(details::change(change)), Some(details::change(with_values))))
    }

    fn remove(&self, id: &str, known: &Known) -> Shown {
        let policy = self.all.before.map(|side| self.policy(side, id, "DeletionPolicy"));
        let kept = policy.is_some_and(|policy| policy != Policy::Delete);
        let change = api::ResourceChange {
            action: Some(api::ChangeAction::Remove),
            logical_resource_id: Some(id.to_owned()),
            physical_resource_id: Some(known.physical_id.clone()),
            resource_type: Some(known.type_name.clone()),
            policy_action: Some(if kept {
                api::PolicyAction::Retain
            } else {
                api::PolicyAction::Delete
            }),
            details: Some(Vec::new()),
            scope: Some(Vec::new()),
            ..Default::default()
        };
        let mut with_values = change.clone();
        with_values.before_context = Some(context(&self.shown_before(id)));
        (Some(details::change(change)), Some(details::change(with_values)))
    }

    fn modify(&self, id: &str, known: &Known) -> Result<Shown> {
        let (before, after) = (self.properties_before(id), self.properties_after(id)?);
        let side =
            |side: Side<'_>| side.template.resource(id).and_then(|it| it.metadata().cloned());
        let mut modification = Modification {
            properties: diff::properties(&before, &after),
            metadata: self.all.before.and_then(side) != side(self.all.after),
            tags: self.tags_differ(),
            retry: self.all.failed.contains(id),
            replacement: Replacement::No,
        };
        let always = types::create_only(self.all.ctx, &known.type_name);
        if modification.properties.iter().any(|it| always.contains(&it.name.as_str())) {
            modification.replacement = Replacement::Yes;
        } else if !modification.properties.is_empty() && self.type_replaces(known, &before, &after)
        {
            modification.replacement = Replacement::Perhaps;
        }
        let plain = self.shown(id, known, &modification, false);
        if modification.replacement != Replacement::No {
            self.world.borrow_mut().replaced.insert(id.to_owned());
        } else if plain.is_some() {
            self.modified.borrow_mut().insert(id.to_owned());
        }
        let mut with_values = self.shown(id, known, &modification, true);
        if let Some(change) = with_values.as_mut().and_then(|it| it.resource_change.as_mut()) {
            change.before_context = Some(context(&self.shown_before(id)));
            change.after_context = Some(context(&self.shown_after(id)));
        }
        Ok((plain, with_values))
    }

    fn type_replaces(&self, known: &Known, before: &Value, after: &Value) -> bool {
        let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
            return false;
        };
        let found = self.all.ctx.cloud().resource_type(&known.type_name);
        found.is_some_and(|it| it.needs_replacement(before, after))
    }

    fn tags_differ(&self) -> bool {
        self.all.before.is_some_and(|side| side.tags != self.all.after.tags)
    }

    fn others_differ(&self) -> Result<bool> {
        if self.tags_differ() {
            return Ok(true);
        }
        let world = self.world.borrow();
        let after =
            self.resolver(self.all.after, &world).outputs().map_err(|error| invalid(&error))?;
        let Some(side) = self.all.before else { return Ok(!after.is_empty()) };
        let mut old =
            StackWorld::new(self.all.known, self.all.exports, &side.environment.pseudo.region);
        old.preview = true;
        Ok(self.resolver(side, &old).outputs().ok() != Some(after))
    }
}

/// `BeforeContext` and `AfterContext`: JSON text.
fn context(properties: &Value) -> String {
    let mut context = Map::new();
    if properties.as_object().is_some_and(|it| !it.is_empty()) {
        context.insert("Properties".to_owned(), properties.clone());
    }
    Value::Object(context).to_string()
}
