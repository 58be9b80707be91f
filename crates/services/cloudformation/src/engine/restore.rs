//! The step that puts one resource back as it was before an update that failed, and the phases around it.

use serde_json::Value;
use sereno_kernel::Result;
use sereno_store::transact;

use super::apply::{Deed, Outcome};
use super::graph::Node;
use super::machine::Machine;
use super::work::{Begun, Step, Why};
use super::{Action, Phase, Stage};
use crate::encode;
use crate::events::Form;
use crate::state::{CURRENT, LiveRecord, PREVIOUS, ResourceRecord, TEMPLATES};

impl Machine {
    /// Undoes what the update did to each resource.
    pub(super) async fn roll_back(&mut self) -> Result<()> {
        let operation = self.stack.operation.id.clone();
        let continues = self.stack.operation.continues.clone();
        let touched = self.resources.values().filter(|it| {
            it.operation == operation || (it.operation == continues && !continues.is_empty())
        });
        let nodes = touched.map(|record| Node {
            id: record.logical_id.clone(),
            item: 0,
            needs: record.live.depends_on.iter().cloned().collect(),
        });
        let nodes = nodes.collect();
        self.all(Step::Restore, nodes).await?;
        let failed = self.failures(&[Stage::RestoreFailed]);
        if !failed.is_empty() {
            let reason =
                format!("The following resource(s) failed to update: [{}]. ", failed.join(", "));
            return self.move_to(Phase::Ended, "UPDATE_ROLLBACK_FAILED", Some(reason)).await;
        }
        self.rolled_back().await
    }

    /// The stack is what it was; only leftovers remain.
    async fn rolled_back(&mut self) -> Result<()> {
        let (id, scope) = (self.stack.id.clone(), self.ctx.scope());
        let previous = TEMPLATES.get(self.ctx.store(), scope, &(id.as_str(), PREVIOUS)).await?;
        self.set_imports().await?;
        self.commit_stack(move |stack, txn| {
            let before = stack.operation.before.clone();
            stack.description = before.description;
            stack.parameters = before.parameters;
            stack.tags = before.tags;
            stack.capabilities = before.capabilities;
            stack.outputs = before.outputs;
            if let Some(template) = &previous {
                TEMPLATES.put(txn, scope, &(id.as_str(), CURRENT), template);
            }
            stack.operation.phase = Phase::RollbackCleanup.as_str().to_owned();
            stack.status = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS".to_owned();
            stack.status_reason = None;
        })
        .await
    }

    pub(super) async fn start_restore(&mut self, id: &str) -> Result<Begun> {
        let Some(mut record) = self.resources.get(id).cloned() else { return Ok(Begun::Nothing) };
        let restored = record.stage == Stage::Restored as u32;
        if restored {
            return Ok(Begun::Nothing);
        }
        let Some(before) = record.before.clone() else {
            // It did not exist: it will be deleted with the leftovers.
            record.stage = Stage::Restored as u32;
            let made = made(&mut record);
            record.discarded.extend(made);
            self.keep(record, None).await?;
            return Ok(Begun::Nothing);
        };
        let action = self.undone_action(&record, &before)?;
        if action == Action::Keep {
            self.put_back(&mut record, before);
            self.keep(record, None).await?;
            return Ok(Begun::Nothing);
        }
        let skipped = self.stack.operation.skip.contains(&record.logical_id);
        if action == Action::Update && !skipped {
            return self.start_restore_update(record, &before).await;
        }
        if action == Action::Replace {
            let made = made(&mut record);
            record.discarded.extend(made);
            // What the update had put aside is the resource again.
            record.discarded.retain(|it| it.physical_id != before.physical_id);
        }
        self.put_back(&mut record, before);
        for status in ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"] {
            record.status = status.to_owned();
            let physical_id = record.live.physical_id.clone();
            self.keep(record.clone(), Some((Form::Full, physical_id))).await?;
        }
        Ok(Begun::Nothing)
    }

    /// What is to be undone: what this operation did, and what a failed one did before it.
    fn undone_action(&self, record: &ResourceRecord, before: &LiveRecord) -> Result<Action> {
        if record.live.physical_id != before.physical_id {
            return Ok(Action::Replace);
        }
        let action = Action::parse(&record.action);
        let present = encode::properties(&self.ctx, &record.live.properties)?;
        let changed = present != encode::properties(&self.ctx, &before.properties)?;
        Ok(match action {
            Action::Keep | Action::Touch if changed => Action::Update,
            other => other,
        })
    }

    async fn start_restore_update(
        &mut self,
        mut record: ResourceRecord,
        before: &LiveRecord,
    ) -> Result<Begun> {
        // As far as anyone knows it now has what the update meant to give it.
        let present = match record.intended.clone().filter(|it| !it.is_empty()) {
            Some(intended) => intended,
            None => record.live.properties.clone(),
        };
        if record.stage != Stage::Restoring as u32 {
            record.token = self.ctx.random_uuid();
            record.stage = Stage::Restoring as u32;
            record.status = "UPDATE_IN_PROGRESS".to_owned();
            record.status_reason = None;
            record.shown.clone_from(&before.shown);
            let physical_id = record.live.physical_id.clone();
            self.keep(record.clone(), Some((Form::Full, physical_id))).await?;
        }
        let mut request = self.request(&record);
        let tags = &self.stack.operation.before.tags;
        let own = request.tags.split_off(self.stack.tags.len());
        request.tags = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        request.tags.extend(own);
        request.physical_id.clone_from(&before.physical_id);
        request.properties = encode::properties(&self.ctx, &before.properties)?;
        request.previous = encode::properties(&self.ctx, &present)?;
        request.attributes = serde_json::from_str(&record.live.attributes).unwrap_or_default();
        Ok(self.begun(&record, Deed::Update, request))
    }

    pub(super) async fn finish_restore(&mut self, id: &str, outcome: Outcome) -> Result<bool> {
        let Some(mut record) = self.resources.get(id).cloned() else { return Ok(false) };
        let (Some(before), true) = (record.before.clone(), record.stage == Stage::Restoring as u32)
        else {
            return Ok(true);
        };
        let physical_id = before.physical_id.clone();
        match outcome {
            Ok(state) => {
                let attributes = Value::Object(state.attributes).to_string();
                self.put_back(&mut record, LiveRecord { attributes, ..before });
                record.status = "UPDATE_COMPLETE".to_owned();
                self.keep(record, Some((Form::Full, physical_id))).await?;
                Ok(true)
            }
            Err(reason) => {
                record.stage = Stage::RestoreFailed as u32;
                record.status = "UPDATE_FAILED".to_owned();
                record.status_reason = Some(reason);
                self.keep(record, Some((Form::Full, physical_id))).await?;
                Ok(false)
            }
        }
    }

    fn put_back(&self, record: &mut ResourceRecord, before: LiveRecord) {
        record.depends_on.clone_from(&before.depends_on);
        record.shown.clone_from(&before.shown);
        record.live = before;
        record.metadata.clone_from(&record.before_metadata);
        if let [deletion, replacement] = record.before_policies.as_slice() {
            record.deletion_policy.clone_from(deletion);
            record.update_replace_policy.clone_from(replacement);
        }
        record.stage = Stage::Restored as u32;
        record.status_reason = None;
        record.intended = None;
    }

    /// Deletes what the rollback left over and ends the operation.
    pub(super) async fn clean_up_rollback(&mut self) -> Result<()> {
        let nodes = self.discarded_nodes();
        self.all(Step::Remove(Why::Leftover), nodes).await?;
        let gone: Vec<String> = self
            .resources
            .values()
            .filter(|it| it.before.is_none() && it.operation == self.stack.operation.id)
            .map(|it| it.logical_id.clone())
            .collect();
        self.forget(&gone).await?;
        self.move_to(Phase::Ended, "UPDATE_ROLLBACK_COMPLETE", None).await
    }

    /// Removes the records of resources that are no longer the stack's.
    pub(super) async fn forget(&mut self, ids: &[String]) -> Result<()> {
        let scope = self.ctx.scope();
        let stack_id = self.stack.id.clone();
        let done: Result<()> = transact!(self.ctx.store(), |txn| {
            for id in ids {
                crate::state::RESOURCES.delete(txn, scope, &(stack_id.as_str(), id.as_str()));
            }
        });
        done?;
        for id in ids {
            self.resources.remove(id);
            self.known.remove(id);
        }
        Ok(())
    }
}

/// What the operation made for this resource, taken out of its record.
fn made(record: &mut ResourceRecord) -> Option<LiveRecord> {
    let before = record.before.as_ref().map(|before| before.physical_id.clone());
    if !record.early_id.is_empty() && record.live.physical_id.is_empty() {
        record.live.physical_id.clone_from(&record.early_id);
    }
    let new =
        !record.live.physical_id.is_empty() && before.as_deref() != Some(&record.live.physical_id);
    if new {
        return Some(std::mem::take(&mut record.live));
    }
    // A replacement that failed half-way.
    let early = !record.early_id.is_empty() && before.as_deref() != Some(&record.early_id);
    (early && record.discarded.iter().all(|it| it.physical_id != record.early_id)).then(|| {
        LiveRecord {
            physical_id: record.early_id.clone(),
            properties: record.intended.clone().unwrap_or_default(),
            suggested_name: record.suggested_name.clone(),
            ..Default::default()
        }
    })
}
