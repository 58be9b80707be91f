//! The API's form of a change: one detail for each cause of each property.

use serde_json::Value;
use sereno_api_cloudformation as api;
use sereno_template::Policy;
use sereno_template::diff::{Change, Kind};
use sereno_template::graph::Use;

use super::causes::Causes;
use super::{Modification, Replacement, Work};
use crate::types;
use crate::world::Known;

pub(super) fn change(resource_change: api::ResourceChange) -> api::Change {
    api::Change {
        r#type: Some(api::ChangeType::Resource),
        resource_change: Some(resource_change),
        ..Default::default()
    }
}

/// The same place for all details of one property.
#[derive(Clone)]
struct Target {
    definition: api::ResourceTargetDefinition,
    details: Vec<api::ResourceChangeDetail>,
}

impl Target {
    fn new(attribute: api::ResourceAttribute, recreation: api::RequiresRecreation) -> Self {
        let definition = api::ResourceTargetDefinition {
            attribute: Some(attribute),
            requires_recreation: Some(recreation),
            ..Default::default()
        };
        Self { definition, details: Vec::new() }
    }

    fn push(
        &mut self,
        source: api::ChangeSource,
        evaluation: api::EvaluationType,
        cause: Option<String>,
    ) {
        self.details.push(api::ResourceChangeDetail {
            target: Some(self.definition.clone()),
            evaluation: Some(evaluation),
            change_source: Some(source),
            causing_entity: cause,
        });
    }

    fn push_use(&mut self, it: &Use, evaluation: api::EvaluationType) {
        match it {
            Use::Reference(id) => {
                self.push(api::ChangeSource::ResourceReference, evaluation, Some(id.clone()));
            }
            Use::Attribute(id, name) => {
                let cause = format!("{id}.{name}");
                self.push(api::ChangeSource::ResourceAttribute, evaluation, Some(cause));
            }
        }
    }

    fn push_causes(&mut self, causes: &Causes, with_values: bool) {
        use api::{ChangeSource, EvaluationType};
        for name in &causes.parameters {
            let source = ChangeSource::ParameterReference;
            self.push(source, EvaluationType::Static, Some(name.clone()));
        }
        for it in &causes.replaced {
            self.push_use(it, EvaluationType::Static);
        }
        let caused = !causes.parameters.is_empty() || !causes.replaced.is_empty();
        if !caused {
            self.push(ChangeSource::DirectModification, EvaluationType::Static, None);
        } else if with_values || !causes.parameters.is_empty() {
            self.push(ChangeSource::DirectModification, EvaluationType::Dynamic, None);
        }
    }
}

impl Work<'_> {
    /// The change of a resource that exists; None if there is none.
    pub(super) fn shown(
        &self,
        id: &str,
        known: &Known,
        modification: &Modification,
        with_values: bool,
    ) -> Option<api::Change> {
        let mut details = Vec::new();
        let mut scope = Vec::new();
        if modification.metadata {
            let never = api::RequiresRecreation::Never;
            let mut target = Target::new(api::ResourceAttribute::Metadata, never);
            let expression = self.all.after.template.resource(id).and_then(|it| it.metadata());
            let causes = expression.map(|it| self.causes(id, it)).unwrap_or_default();
            target.push_causes(&causes, with_values);
            details.append(&mut target.details);
            scope.push(api::ResourceAttribute::Metadata);
        }
        let mut properties = self.property_details(id, known, modification, with_values);
        let conditional = properties.iter().any(is_conditional);
        if !properties.is_empty() || modification.retry {
            scope.push(api::ResourceAttribute::Properties);
        }
        details.append(&mut properties);
        if modification.tags {
            let never = api::RequiresRecreation::Never;
            let mut target = Target::new(api::ResourceAttribute::Tags, never);
            target.push_causes(&Causes::default(), with_values);
            details.append(&mut target.details);
            scope.push(api::ResourceAttribute::Tags);
        }
        if scope.is_empty() {
            return None;
        }
        let replacement = match modification.replacement {
            Replacement::Yes => api::Replacement::True,
            Replacement::Perhaps => api::Replacement::Conditional,
            Replacement::No if conditional => api::Replacement::Conditional,
            Replacement::No => api::Replacement::False,
        };
        let policy_action = (replacement != api::Replacement::False).then(|| {
            match self.policy(self.all.after, id, "UpdateReplacePolicy") {
                Policy::Retain => api::PolicyAction::ReplaceAndRetain,
                _ => api::PolicyAction::ReplaceAndDelete,
            }
        });
        Some(change(api::ResourceChange {
            action: Some(api::ChangeAction::Modify),
            logical_resource_id: Some(id.to_owned()),
            physical_resource_id: Some(known.physical_id.clone()),
            resource_type: Some(known.type_name.clone()),
            replacement: Some(replacement),
            policy_action,
            scope: Some(scope),
            details: Some(details),
            ..Default::default()
        }))
    }

    fn property_details(
        &self,
        id: &str,
        known: &Known,
        modification: &Modification,
        with_values: bool,
    ) -> Vec<api::ResourceChangeDetail> {
        let always = types::create_only(self.all.ctx, &known.type_name);
        let recreation = |name: &str| {
            if always.contains(&name) {
                api::RequiresRecreation::Always
            } else if modification.replacement == Replacement::Perhaps {
                api::RequiresRecreation::Conditionally
            } else {
                api::RequiresRecreation::Never
            }
        };
        let resource = self.all.after.template.resource(id);
        let properties = resource.and_then(|it| it.properties()).and_then(Value::as_object);
        let shown = with_values.then(|| (self.shown_before(id), self.shown_after(id)));
        let mut details = Vec::new();
        let mut named: Vec<&str> = Vec::new();
        for it in &modification.properties {
            if !with_values && named.contains(&it.name.as_str()) {
                continue;
            }
            named.push(&it.name);
            let mut target = Target::new(api::ResourceAttribute::Properties, recreation(&it.name));
            target.definition.name = Some(it.name.clone());
            if let Some((before, after)) = &shown {
                show_values(&mut target.definition, it, before, after);
            }
            let expression = properties.and_then(|all| all.get(&it.name));
            let causes = expression.map(|it| self.causes(id, it)).unwrap_or_default();
            target.push_causes(&causes, with_values);
            details.append(&mut target.details);
        }
        if !with_values {
            for (name, expression) in properties.into_iter().flatten() {
                let causes = self.causes(id, expression);
                if named.contains(&name.as_str()) || causes.modified.is_empty() {
                    continue;
                }
                let mut target = Target::new(api::ResourceAttribute::Properties, recreation(name));
                target.definition.name = Some(name.clone());
                causes
                    .modified
                    .iter()
                    .for_each(|it| target.push_use(it, api::EvaluationType::Dynamic));
                details.append(&mut target.details);
            }
        }
        details
    }
}

/// Whether a replacement depends on a value that is not known yet.
fn is_conditional(detail: &api::ResourceChangeDetail) -> bool {
    let recreation = detail.target.as_ref().and_then(|it| it.requires_recreation.as_ref());
    recreation == Some(&api::RequiresRecreation::Always)
        && detail.evaluation == Some(api::EvaluationType::Dynamic)
}

fn show_values(
    definition: &mut api::ResourceTargetDefinition,
    it: &Change,
    before: &Value,
    after: &Value,
) {
    let text = |value: &Value| {
        sereno_template::resolve::text_of(value).unwrap_or_else(|| value.to_string())
    };
    let pointer = it.path.strip_prefix("/Properties").unwrap_or_default();
    definition.path = Some(it.path.clone());
    definition.before_value = before.pointer(pointer).map(text);
    definition.after_value = after.pointer(pointer).map(text);
    definition.attribute_change_type = Some(match it.kind {
        Kind::Add => api::AttributeChangeType::Add,
        Kind::Modify => api::AttributeChangeType::Modify,
        Kind::Remove => api::AttributeChangeType::Remove,
    });
}
