//! The step that deletes one real thing, and the phases that consist of nothing else.

use std::collections::BTreeSet;

use sereno_kernel::Result;
use sereno_template::Policy;

use super::apply::{Deed, Outcome};
use super::graph::Node;
use super::machine::Machine;
use super::make::policy_of;
use super::work::{Begun, Step, Why};
use super::{Phase, Stage};
use crate::encode;
use crate::events::Form;
use crate::state::{LiveRecord, ResourceRecord};

/// What one removal is about.
enum Target {
    Live,
    /// The first of what was put aside.
    Discarded,
}

impl Machine {
    /// After an update: what was replaced and what the template has no more.
    pub(super) async fn clean_up(&mut self) -> Result<()> {
        let wanted = self.wanted();
        let mut nodes = self.discarded_nodes();
        nodes.extend(self.live_nodes(|record| !wanted.contains(&record.logical_id)));
        self.all(Step::Remove(Why::Cleanup), reversed(nodes)).await?;
        let gone: Vec<String> =
            self.resources.keys().filter(|id| !wanted.contains(*id)).cloned().collect();
        let left = self
            .resources
            .values()
            .any(|it| !it.discarded.is_empty() || (gone.contains(&it.logical_id) && it.exists()));
        self.forget(&gone).await?;
        self.drop_discarded().await?;
        let reason = left.then(|| "One or more resources could not be deleted.".to_owned());
        self.move_to(Phase::Ended, "UPDATE_COMPLETE", reason).await
    }

    /// What could not be deleted after an update is no longer the stack's business.
    async fn drop_discarded(&mut self) -> Result<()> {
        let left = self.resources.values().filter(|it| !it.discarded.is_empty()).cloned();
        for mut record in left.collect::<Vec<_>>() {
            record.discarded.clear();
            self.keep(record, None).await?;
        }
        Ok(())
    }

    /// The creation of the stack failed: everything that exists goes.
    pub(super) async fn undo_creation(&mut self) -> Result<()> {
        let failed = self.remove_everything(Why::Undo).await?;
        if failed.is_empty() {
            return self.move_to(Phase::Ended, "ROLLBACK_COMPLETE", None).await;
        }
        let reason = failed_to_delete(&failed);
        self.move_to(Phase::Ended, "ROLLBACK_FAILED", Some(reason)).await
    }

    /// The stack is deleted.
    pub(super) async fn delete_all(&mut self) -> Result<()> {
        if let Some(sentence) = self.exports_in_use(&BTreeSet::new()).await? {
            return self.cancel_deletion(sentence).await;
        }
        let failed = self.remove_everything(Why::Stack).await?;
        if failed.is_empty() || self.stack.operation.force {
            return self.deleted().await;
        }
        let reason = failed_to_delete(&failed);
        self.move_to(Phase::Ended, "DELETE_FAILED", Some(reason)).await
    }

    /// Deletes all that exists, users before what they use. Answers what could not be deleted.
    async fn remove_everything(&mut self, why: Why) -> Result<Vec<String>> {
        let mut nodes = self.discarded_nodes();
        nodes.extend(self.live_nodes(|_| true));
        self.all(Step::Remove(why), reversed(nodes)).await?;
        // What was never made has nothing to delete, but the record says so.
        let never: Vec<ResourceRecord> = self
            .resources
            .values()
            .filter(|it| it.live.physical_id.is_empty() && it.status != "DELETE_COMPLETE")
            .cloned()
            .collect();
        for mut record in never {
            record.status = "DELETE_COMPLETE".to_owned();
            record.status_reason = None;
            self.keep(record, Some((Form::Full, String::new()))).await?;
        }
        let left = self.resources.values().filter(|it| it.exists() || !it.discarded.is_empty());
        Ok(left.map(|it| it.logical_id.clone()).collect())
    }

    /// Steps for what replacements and rollbacks put aside.
    pub(super) fn discarded_nodes(&self) -> Vec<Node> {
        let nodes = self.resources.values().flat_map(|record| {
            record.discarded.iter().enumerate().map(|(at, live)| Node {
                id: record.logical_id.clone(),
                item: at + 1,
                needs: live.depends_on.iter().cloned().collect(),
            })
        });
        nodes.collect()
    }

    fn live_nodes(&self, choose: impl Fn(&ResourceRecord) -> bool) -> Vec<Node> {
        let chosen = self.resources.values().filter(|it| it.exists() && choose(it));
        let node = |record: &ResourceRecord| Node {
            id: record.logical_id.clone(),
            item: 0,
            needs: record.live.depends_on.iter().cloned().collect(),
        };
        chosen.map(node).collect()
    }

    fn target(&self, record: &ResourceRecord, why: Why) -> Option<Target> {
        if !record.discarded.is_empty() {
            return Some(Target::Discarded);
        }
        let live = match why {
            Why::Cleanup => !self.wanted().contains(&record.logical_id),
            Why::Leftover => false,
            Why::Undo | Why::Stack => true,
        };
        (live && record.exists()).then_some(Target::Live)
    }

    /// Whether the real thing is left alone.
    fn keeps(&self, record: &ResourceRecord, target: &Target, why: Why) -> bool {
        let operation = &self.stack.operation;
        let except = operation.retain_except_on_create || self.stack.retain_except_on_create;
        match (target, why) {
            (Target::Discarded, Why::Cleanup) => {
                policy_of(&record.update_replace_policy) == Policy::Retain
            }
            // New things that a rollback takes back are nobody's yet.
            (Target::Discarded, Why::Leftover) => {
                record.before.is_none() && created_policy(record, except)
            }
            (Target::Discarded, _) => false,
            (Target::Live, Why::Undo) => created_policy(record, except),
            (Target::Live, _) => {
                operation.retain.contains(&record.logical_id)
                    || policy_of(&record.deletion_policy) != Policy::Delete
            }
        }
    }

    pub(super) async fn start_remove(&mut self, id: &str, why: Why) -> Result<Begun> {
        let Some(mut record) = self.resources.get(id).cloned() else { return Ok(Begun::Nothing) };
        let Some(target) = self.target(&record, why) else { return Ok(Begun::Nothing) };
        let live = match target {
            Target::Live => record.live.clone(),
            Target::Discarded => record.discarded[0].clone(),
        };
        let form = form_of(why);
        record.status_reason = None;
        if self.keeps(&record, &target, why) {
            let status = std::mem::replace(&mut record.status, "DELETE_SKIPPED".to_owned());
            let reported = record.clone();
            if matches!(target, Target::Discarded) {
                record.discarded.remove(0);
                record.status = status;
                self.report(reported, form, &live).await?;
                self.keep(record, None).await?;
            } else {
                self.keep(record, Some((form, live.physical_id))).await?;
            }
            return Ok(Begun::Nothing);
        }
        let status = std::mem::replace(&mut record.status, "DELETE_IN_PROGRESS".to_owned());
        record.token = self.ctx.random_uuid();
        if matches!(target, Target::Discarded) {
            // The resource itself lives on under its own status.
            self.report(record.clone(), form, &live).await?;
            record.status = status;
        } else {
            self.keep(record.clone(), Some((form, live.physical_id.clone()))).await?;
        }
        let mut request = self.request(&record);
        request.physical_id.clone_from(&live.physical_id);
        request.suggested_name.clone_from(&live.suggested_name);
        request.properties = encode::properties(&self.ctx, &live.properties)?;
        request.attributes = serde_json::from_str(&live.attributes).unwrap_or_default();
        Ok(self.begun(&record, Deed::Delete, request))
    }

    /// Only an event: the record does not change.
    async fn report(
        &mut self,
        record: ResourceRecord,
        form: Form,
        live: &LiveRecord,
    ) -> Result<()> {
        let mut batch = sereno_store::Batch::new();
        let (ctx, stack) = (&self.ctx, &self.stack);
        crate::events::of_resource(ctx, &mut batch, stack, &record, &live.physical_id, form);
        self.ctx.store().commit(batch).await?;
        Ok(())
    }

    pub(super) async fn finish_remove(
        &mut self,
        id: &str,
        why: Why,
        outcome: Outcome,
    ) -> Result<bool> {
        let Some(mut record) = self.resources.get(id).cloned() else { return Ok(true) };
        let Some(target) = self.target(&record, why) else { return Ok(true) };
        let form = form_of(why);
        let failed = outcome.as_ref().err().cloned();
        let status = if failed.is_some() { "DELETE_FAILED" } else { "DELETE_COMPLETE" };
        match target {
            Target::Live => {
                let physical_id = record.live.physical_id.clone();
                record.status = status.to_owned();
                record.status_reason.clone_from(&failed);
                self.keep(record, Some((form, physical_id))).await?;
            }
            Target::Discarded => {
                let live = record.discarded[0].clone();
                let mut reported = record.clone();
                reported.status = status.to_owned();
                reported.status_reason.clone_from(&failed);
                self.report(reported, form, &live).await?;
                if failed.is_none() || why == Why::Cleanup || why == Why::Leftover {
                    record.discarded.remove(0);
                    self.keep(record, None).await?;
                }
            }
        }
        Ok(failed.is_none())
    }

    /// A creation that was undone by force of its policy stays only if the policy says so for creations too.
    pub(super) fn created_failures(&self) -> (Vec<String>, Vec<String>) {
        let failed = self.failures(&[Stage::Failed]);
        failed
            .into_iter()
            .partition(|id| self.resources.get(id).is_some_and(|it| it.status == "CREATE_FAILED"))
    }
}

fn created_policy(record: &ResourceRecord, except_on_create: bool) -> bool {
    policy_of(&record.deletion_policy) == Policy::Retain && !except_on_create
}

fn form_of(why: Why) -> Form {
    match why {
        Why::Cleanup | Why::Leftover => Form::Cleanup,
        Why::Undo | Why::Stack => Form::Full,
    }
}

/// Users go before what they use: each step needs the steps that need it.
fn reversed(nodes: Vec<Node>) -> Vec<Node> {
    let users = |id: &str| -> BTreeSet<String> {
        nodes.iter().filter(|it| it.needs.contains(id)).map(|it| it.id.clone()).collect()
    };
    let mut turned: Vec<Node> = nodes
        .iter()
        .map(|it| Node { id: it.id.clone(), item: it.item, needs: users(&it.id) })
        .collect();
    turned.reverse();
    turned
}

fn failed_to_delete(failed: &[String]) -> String {
    // recorded: test_blocked_stack_deletion, with the space at the end
    format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "))
}
