//! The step that creates or updates one resource.

use serde_json::{Map, Value};
use sereno_kernel::{ResourceRequest, Result};
use sereno_template::{Policy, Resolver, diff};

use super::apply::{Deed, Early, Order, Outcome};
use super::machine::Machine;
use super::work::Begun;
use super::{Action, Stage};
use crate::dynamic;
use crate::encode;
use crate::events::Form;
use crate::names;
use crate::policy;
use crate::state::{LiveRecord, ResourceRecord};
use crate::types;
use crate::vault;
use crate::world::StackWorld;

const INITIATED: &str = "Resource creation Initiated";
const REPLACING: &str =
    "Requested update requires the creation of a new physical resource; hence creating one.";

/// The properties that a resource is to get.
struct Wanted {
    properties: Map<String, Value>,
    shown: String,
    metadata: Option<String>,
}

impl Machine {
    pub(super) async fn start_make(&mut self, id: &str) -> Result<Begun> {
        let operation = self.stack.operation.id.clone();
        if let Some(record) = self.resources.get(id).filter(|it| it.operation == operation).cloned()
        {
            return match record.stage {
                stage if stage == Stage::Done as u32 => Ok(Begun::Nothing),
                stage if stage == Stage::Failed as u32 => Ok(Begun::Failed),
                // Begun by a process that died: the same again.
                _ => self.order_make(&record),
            };
        }
        let mut record = self.begin_record(id);
        let wanted = match self.wanted_properties(id).await {
            Ok(wanted) => wanted,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                let reason = error.message().to_owned();
                let create = !record.exists();
                record.action =
                    if create { Action::Create } else { Action::Update }.as_str().to_owned();
                self.make_failed(record, reason).await?;
                return Ok(Begun::Failed);
            }
        };
        let action = self.decide(&record, &wanted)?;
        record.action = action.as_str().to_owned();
        if let Err(reason) = self.check_policy(&record, action) {
            self.make_failed(record, reason).await?;
            return Ok(Begun::Failed);
        }
        record.metadata = wanted.metadata;
        record.shown = Some(wanted.shown);
        record.intended =
            Some(vault::seal(&self.ctx, &Value::Object(wanted.properties).to_string()));
        self.announce(record, action).await
    }

    /// The record of a resource as this operation finds it.
    fn begin_record(&self, id: &str) -> ResourceRecord {
        let mut record = self.resources.get(id).cloned().unwrap_or_default();
        if !record.exists() {
            let ResourceRecord { discarded, operation, before, .. } = record;
            record = ResourceRecord { discarded, operation, before, ..Default::default() };
        }
        let goes_on =
            !record.operation.is_empty() && record.operation == self.stack.operation.continues;
        if !goes_on {
            record.before = record.exists().then(|| record.live.clone());
            record.before_policies =
                vec![record.deletion_policy.clone(), record.update_replace_policy.clone()];
            record.before_metadata.clone_from(&record.metadata);
        }
        record.operation.clone_from(&self.stack.operation.id);
        record.stage = Stage::Started as u32;
        record.token = self.ctx.random_uuid();
        record.early_id = String::new();
        record.logical_id = id.to_owned();
        if let Some(resource) = self.template.resource(id) {
            record.type_name = resource.type_name().to_owned();
            record.deletion_policy = self.policy_text(id, "DeletionPolicy");
            record.update_replace_policy = self.policy_text(id, "UpdateReplacePolicy");
            let description = resource.attribute("Description").and_then(Value::as_str);
            record.description = description.map(str::to_owned);
        }
        let needs = self.needs.get(id).into_iter().flatten();
        record.depends_on = needs.cloned().collect();
        record
    }

    /// A policy that cannot be read would have been refused before.
    fn policy_text(&self, id: &str, attribute: &str) -> String {
        let world = StackWorld::new(&self.known, &self.exports, self.ctx.region().as_str());
        let resolver =
            Resolver { template: &self.template, environment: &self.environment, world: &world };
        resolver.policy(id, attribute).unwrap_or_default().as_str().to_owned()
    }

    async fn wanted_properties(&self, id: &str) -> Result<Wanted> {
        let invalid = |error: sereno_template::TemplateError| crate::errors::template(&error);
        let (mut properties, shown, metadata) = {
            let world = StackWorld::new(&self.known, &self.exports, self.ctx.region().as_str());
            let resolver = Resolver {
                template: &self.template,
                environment: &self.environment,
                world: &world,
            };
            let masked = Resolver { environment: &self.shown, ..resolver };
            let metadata = self.template.resource(id).and_then(|it| it.metadata());
            let metadata = metadata.map(|it| resolver.value(it)).transpose().map_err(invalid)?;
            (
                resolver.properties(id).map_err(invalid)?,
                masked.properties(id).map_err(invalid)?,
                metadata.flatten().map(|it| it.to_string()),
            )
        };
        dynamic::resolve(&self.actor, &mut properties).await?;
        let Value::Object(mut properties) = properties else {
            return Err(crate::errors::validation("Properties must be an object."));
        };
        // The one type that waits for signals needs to know for how many; it has no property of that name.
        let policy =
            self.template.resource(id).filter(|it| it.type_name() == types::WAIT_CONDITION);
        if let Some(policy) = policy.and_then(|it| it.attribute("CreationPolicy")) {
            properties.insert("CreationPolicy".to_owned(), policy.clone());
        }
        Ok(Wanted { properties, shown: shown.to_string(), metadata })
    }

    fn decide(&self, record: &ResourceRecord, wanted: &Wanted) -> Result<Action> {
        if !record.exists() {
            return Ok(Action::Create);
        }
        let before = encode::properties(&self.ctx, &record.live.properties)?;
        let after = &wanted.properties;
        let before_value = Value::Object(before.clone());
        let changes = diff::properties(&before_value, &Value::Object(after.clone()));
        let tags_changed = self.stack.operation.before.tags != self.stack.tags;
        let failed = record.status.ends_with("_FAILED");
        let updates = self.can_update(&record.type_name);
        if changes.is_empty() && !failed {
            return Ok(if tags_changed && updates {
                Action::Update
            } else if record.metadata != wanted.metadata {
                Action::Touch
            } else {
                Action::Keep
            });
        }
        let changed = |name: &str| changes.iter().any(|change| change.name == name);
        let replaces = if types::is_own(&record.type_name) {
            types::own_create_only(&record.type_name).iter().any(|name| changed(name))
        } else {
            self.ctx
                .cloud()
                .resource_type(&record.type_name)
                .is_some_and(|it| !changes.is_empty() && it.needs_replacement(&before, after))
        };
        Ok(if replaces { Action::Replace } else { Action::Update })
    }

    fn can_update(&self, type_name: &str) -> bool {
        let empty = Map::new();
        type_name == types::STACK
            || !types::is_own(type_name)
                && self
                    .ctx
                    .cloud()
                    .resource_type(type_name)
                    .is_some_and(|it| !it.needs_replacement(&empty, &empty))
    }

    fn check_policy(
        &self,
        record: &ResourceRecord,
        action: Action,
    ) -> std::result::Result<(), String> {
        let action = match action {
            Action::Update => "Update:Modify",
            Action::Replace => "Update:Replace",
            _ => return Ok(()),
        };
        let text = self.stack.operation.policy_override.as_ref().or(self.stack.policy.as_ref());
        text.map_or(Ok(()), |text| {
            policy::allow(text, action, &record.logical_id, &record.type_name)
        })
    }

    /// Writes the intention and its event, then starts.
    async fn announce(&mut self, mut record: ResourceRecord, action: Action) -> Result<Begun> {
        record.status_reason = None;
        match action {
            Action::Keep | Action::Touch => return self.finish_without_touch(record, action).await,
            Action::Create | Action::Replace => {
                record.suggested_name = names::suggest(
                    &self.ctx,
                    &record.type_name,
                    &self.stack.name,
                    &record.logical_id,
                );
            }
            Action::Update => record.suggested_name.clone_from(&record.live.suggested_name),
        }
        record.status = match action {
            Action::Create => "CREATE_IN_PROGRESS",
            _ => "UPDATE_IN_PROGRESS",
        }
        .to_owned();
        if action == Action::Replace {
            record.status_reason = Some(REPLACING.to_owned());
        }
        let physical_id = record.live.physical_id.clone();
        self.keep(record.clone(), Some((Form::Full, physical_id))).await?;
        self.order_make(&record)
    }

    async fn finish_without_touch(
        &mut self,
        mut record: ResourceRecord,
        action: Action,
    ) -> Result<Begun> {
        record.stage = Stage::Done as u32;
        record.intended = None;
        record.live.depends_on.clone_from(&record.depends_on);
        if action == Action::Keep {
            self.keep(record, None).await?;
            return Ok(Begun::Nothing);
        }
        for status in ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"] {
            record.status = status.to_owned();
            let physical_id = record.live.physical_id.clone();
            self.keep(record.clone(), Some((Form::Full, physical_id))).await?;
        }
        Ok(Begun::Nothing)
    }

    /// The deed for a record in `Started`.
    fn order_make(&self, record: &ResourceRecord) -> Result<Begun> {
        let action = Action::parse(&record.action);
        let intended = record.intended.clone().unwrap_or_default();
        let mut request = self.request(record);
        request.properties = encode::properties(&self.ctx, &intended)?;
        if action == Action::Update {
            request.physical_id.clone_from(&record.live.physical_id);
            request.previous = encode::properties(&self.ctx, &record.live.properties)?;
            request.attributes = serde_json::from_str(&record.live.attributes).unwrap_or_default();
        }
        let deed = if action == Action::Update { Deed::Update } else { Deed::Create };
        Ok(self.begun(record, deed, request))
    }

    pub(super) fn begun(
        &self,
        record: &ResourceRecord,
        deed: Deed,
        request: ResourceRequest,
    ) -> Begun {
        let order = Order {
            ctx: self.ctx.clone(),
            actor: self.actor.clone(),
            deed,
            type_name: record.type_name.clone(),
            request,
            early: self.early_sender.clone(),
        };
        Begun::Running(order.start(), types::is_own(&record.type_name))
    }

    /// A request with what is the same for every deed.
    pub(super) fn request(&self, record: &ResourceRecord) -> ResourceRequest {
        let mut tags: Vec<(String, String)> =
            self.stack.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        let own = [
            ("aws:cloudformation:stack-name", &self.stack.name),
            ("aws:cloudformation:stack-id", &self.stack.arn),
            ("aws:cloudformation:logical-id", &record.logical_id),
        ];
        tags.extend(own.map(|(key, value)| (key.to_owned(), value.clone())));
        ResourceRequest {
            stack_id: self.stack.arn.clone(),
            stack_name: self.stack.name.clone(),
            logical_id: record.logical_id.clone(),
            tags,
            suggested_name: record.suggested_name.clone(),
            token: record.token.clone(),
            ..Default::default()
        }
    }

    /// A physical id became known while the resource is being made.
    pub(super) async fn early_known(&mut self, early: Early) -> Result<()> {
        let Some(mut record) = self.resources.get(&early.id).cloned() else { return Ok(()) };
        let created = matches!(Action::parse(&record.action), Action::Create | Action::Replace);
        if record.stage != Stage::Started as u32 || !record.early_id.is_empty() || !created {
            return Ok(());
        }
        record.early_id.clone_from(&early.physical_id);
        record.status_reason = Some(INITIATED.to_owned());
        self.keep(record, Some((Form::Full, early.physical_id))).await
    }

    pub(super) async fn finish_make(&mut self, id: &str, outcome: Outcome) -> Result<bool> {
        let Some(mut record) = self.resources.get(id).cloned() else { return Ok(false) };
        let state = match outcome {
            Ok(state) => state,
            Err(reason) => {
                self.make_failed(record, reason).await?;
                return Ok(false);
            }
        };
        let action = Action::parse(&record.action);
        let live = LiveRecord {
            physical_id: state.physical_id,
            properties: record.intended.take().unwrap_or_default(),
            attributes: Value::Object(state.attributes).to_string(),
            shown: record.shown.clone(),
            depends_on: record.depends_on.clone(),
            suggested_name: record.suggested_name.clone(),
        };
        let physical_id = live.physical_id.clone();
        if matches!(action, Action::Create | Action::Replace) && record.early_id.is_empty() {
            let mut initiated = record.clone();
            initiated.status_reason = Some(INITIATED.to_owned());
            initiated.early_id.clone_from(&physical_id);
            // Not yet done as far as the record says: a crash here asks the type again, which adopts.
            initiated.intended = Some(live.properties.clone());
            self.keep(initiated, Some((Form::Full, physical_id.clone()))).await?;
        }
        // A custom resource may answer an update with another thing, which replaces the old one.
        let another = action == Action::Update && record.live.physical_id != live.physical_id;
        if action == Action::Replace || another {
            record.discarded.push(std::mem::take(&mut record.live));
        }
        record.live = live;
        record.stage = Stage::Done as u32;
        record.status_reason = None;
        record.status =
            if action == Action::Create { "CREATE_COMPLETE" } else { "UPDATE_COMPLETE" }.to_owned();
        self.keep(record, Some((Form::Full, physical_id))).await?;
        Ok(true)
    }

    async fn make_failed(&mut self, mut record: ResourceRecord, reason: String) -> Result<()> {
        let create = Action::parse(&record.action) == Action::Create;
        record.stage = Stage::Failed as u32;
        record.status = if create { "CREATE_FAILED" } else { "UPDATE_FAILED" }.to_owned();
        record.status_reason = Some(reason);
        // An update that failed half-way may have applied some of what it meant to: a rollback starts from there.
        let intended = if create { record.intended.take() } else { None }.unwrap_or_default();
        if create && !record.early_id.is_empty() {
            // What has an early id exists at least in part and must be deleted.
            record.live = LiveRecord {
                physical_id: record.early_id.clone(),
                properties: intended,
                shown: record.shown.clone(),
                depends_on: record.depends_on.clone(),
                suggested_name: record.suggested_name.clone(),
                ..Default::default()
            };
        }
        let physical_id = record.live.physical_id.clone();
        self.keep(record, Some((Form::Full, physical_id))).await
    }

    /// A step that only waited was dropped because the operation stops.
    pub(super) async fn cancelled(&mut self, id: &str) -> Result<()> {
        let Some(record) = self.resources.get(id).cloned() else { return Ok(()) };
        let create = Action::parse(&record.action) == Action::Create;
        let what = if create { "creation" } else { "update" };
        self.make_failed(record, format!("Resource {what} cancelled")).await
    }
}

/// The policy that a record keeps by name.
pub(super) fn policy_of(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_default()
}
