//! One operation in memory: what it works on, its phases, and how it ends.

use std::collections::{BTreeMap, BTreeSet};

use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Batch, transact};
use sereno_template::{Environment, Template};
use tokio::sync::mpsc;

use super::Phase;
use super::apply::Early;
use crate::change_set;
use crate::encode;
use crate::errors;
use crate::events::{self, Form};
use crate::state::{
    CURRENT, OperationTask, PREVIOUS, RESOURCES, ResourceRecord, STACKS, StackRecord, TEMPLATES,
};
use crate::world::{Exports, Known};

/// A stack's current operation.
pub(crate) struct Machine {
    /// In whose name the stack's own records are kept: whoever asked for the operation.
    pub ctx: Ctx,
    /// In whose name resources are touched: the stack's role, or whoever asked.
    pub actor: Ctx,
    pub stack: StackRecord,
    pub resources: BTreeMap<String, ResourceRecord>,
    pub template: Template,
    pub environment: Environment,
    /// The environment as events may show it.
    pub shown: Environment,
    pub exports: Exports,
    /// What templates may ask of `resources`.
    pub known: BTreeMap<String, Known>,
    /// For each resource that the template makes, those that it needs; filled by the first phase.
    pub needs: BTreeMap<String, BTreeSet<String>>,
    pub early: mpsc::UnboundedReceiver<Early>,
    pub early_sender: mpsc::UnboundedSender<Early>,
}

impl Machine {
    /// Reads everything; None if the operation is not the stack's current one any more.
    pub async fn load(ctx: &Ctx, job: &OperationTask) -> Result<Option<Machine>> {
        let (store, scope) = (ctx.store(), ctx.scope());
        let Some(stack) = STACKS.get(store, scope, job.stack_id.as_str()).await? else {
            return Ok(None);
        };
        let phase = Phase::parse(&stack.operation.phase);
        if stack.operation.id != job.operation || phase == Phase::Ended {
            return Ok(None);
        }
        let all = RESOURCES.list(scope, (stack.id.as_str(),)).read(store).await?;
        let resources: BTreeMap<String, ResourceRecord> =
            all.into_iter().map(|((_, id), record)| (id, record)).collect();
        let existing = resources.iter().filter(|(_, record)| record.exists());
        let known = existing.map(|(id, record)| (id.clone(), Known::of(record))).collect();
        let slot = match phase {
            Phase::Rollback | Phase::RollbackCleanup if stack.operation.kind != "CREATE" => {
                PREVIOUS
            }
            _ => CURRENT,
        };
        let record = TEMPLATES.get(store, scope, &(stack.id.as_str(), slot)).await?;
        let (template, environment, shown) = match record {
            Some(record) => encode::template(ctx, &record)?,
            None => (
                Template::from_value(serde_json::json!({})).map_err(template_lost)?,
                Environment::default(),
                Environment::default(),
            ),
        };
        let (early_sender, early) = mpsc::unbounded_channel();
        Ok(Some(Machine {
            actor: ctx.clone(),
            exports: crate::world::exports(ctx, store).await?,
            ctx: ctx.clone(),
            stack,
            known,
            needs: BTreeMap::new(),
            resources,
            template,
            environment,
            shown,
            early,
            early_sender,
        }))
    }

    pub fn phase(&self) -> Phase {
        Phase::parse(&self.stack.operation.phase)
    }

    /// Goes on until the operation has ended.
    pub async fn drive(&mut self) -> Result<()> {
        if !self.take_role().await? {
            return Ok(());
        }
        loop {
            match self.phase() {
                Phase::Work => self.work().await?,
                Phase::Cleanup => self.clean_up().await?,
                Phase::Rollback if self.stack.operation.kind == "CREATE" => {
                    self.undo_creation().await?
                }
                Phase::Rollback => self.roll_back().await?,
                Phase::RollbackCleanup => self.clean_up_rollback().await?,
                Phase::Delete => self.delete_all().await?,
                Phase::Ended => return Ok(()),
            }
        }
    }

    /// Becomes the stack's role. A role that cannot be assumed ends the operation.
    async fn take_role(&mut self) -> Result<bool> {
        let Some(role) = self.stack.role_arn.clone() else { return Ok(true) };
        match self.ctx.as_role(&role, "AWSCloudFormation", "cloudformation.amazonaws.com").await {
            Ok(actor) => {
                // The role works where the stack is, whatever account the role's ARN says.
                self.actor = actor.in_region(self.ctx.region()).in_account(self.ctx.account());
                Ok(true)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(_) => {
                let status = match self.phase() {
                    Phase::Work if self.stack.operation.kind == "CREATE" => "CREATE_FAILED",
                    Phase::Work => "UPDATE_FAILED",
                    Phase::Cleanup => "UPDATE_COMPLETE",
                    Phase::Rollback if self.stack.operation.kind == "CREATE" => "ROLLBACK_FAILED",
                    Phase::Rollback => "UPDATE_ROLLBACK_FAILED",
                    Phase::RollbackCleanup => "UPDATE_ROLLBACK_COMPLETE",
                    Phase::Delete | Phase::Ended => "DELETE_FAILED",
                };
                let reason = errors::bad_role(&role).message().to_owned();
                self.move_to(Phase::Ended, status, Some(reason)).await?;
                Ok(false)
            }
        }
    }

    /// Moves to a phase: the stack's record and event in one commit.
    pub async fn move_to(
        &mut self,
        phase: Phase,
        status: &str,
        reason: Option<String>,
    ) -> Result<()> {
        self.commit_stack(|stack, _| {
            stack.operation.phase = phase.as_str().to_owned();
            stack.status = status.to_owned();
            stack.status_reason.clone_from(&reason);
        })
        .await
    }

    /// Changes the stack's record, keeping what others changed meanwhile, and writes its event.
    pub async fn commit_stack(
        &mut self,
        change: impl Fn(&mut StackRecord, &mut sereno_store::Txn),
    ) -> Result<()> {
        let (ctx, id) = (self.ctx.clone(), self.stack.id.clone());
        let operation = self.stack.operation.id.clone();
        let now = ctx.now().millis();
        let changed: Result<Option<StackRecord>> = transact!(ctx.store(), |txn| {
            let found = STACKS.get(txn, ctx.scope(), id.as_str()).await?;
            let Some(mut stack) = found.filter(|stack| stack.operation.id == operation) else {
                return Ok(None);
            };
            change(&mut stack, txn);
            turn_if_asked(&mut stack);
            if stack.operation.phase == Phase::Ended.as_str() {
                stack.operation.ended_ms = Some(now);
                change_set::executed(&ctx, txn, &stack).await?;
            }
            STACKS.put(txn, ctx.scope(), id.as_str(), &stack);
            events::of_stack(&ctx, txn, &stack);
            Some(stack)
        });
        match changed? {
            Some(stack) => self.stack = stack,
            // Everything was reset, or another operation took over: there is nothing left to do here.
            None => self.stack.operation.phase = Phase::Ended.as_str().to_owned(),
        }
        Ok(())
    }

    /// Reads what was asked of the running operation since.
    pub async fn asked(&mut self) -> Result<String> {
        let found = STACKS.get(self.ctx.store(), self.ctx.scope(), self.stack.id.as_str()).await?;
        Ok(found.map(|stack| stack.operation.asked).unwrap_or_default())
    }

    /// Keeps a resource's record with its event.
    pub async fn keep(
        &mut self,
        record: ResourceRecord,
        event: Option<(Form, String)>,
    ) -> Result<()> {
        let mut batch = Batch::new();
        let mut record = record;
        if let Some((form, physical_id)) = event {
            record.changed_ms = self.ctx.now().millis();
            events::of_resource(&self.ctx, &mut batch, &self.stack, &record, &physical_id, form);
        }
        let key = (self.stack.id.as_str(), record.logical_id.as_str());
        RESOURCES.put(&mut batch, self.ctx.scope(), &key, &record);
        self.ctx.store().commit(batch).await?;
        if record.exists() {
            self.known.insert(record.logical_id.clone(), Known::of(&record));
        } else {
            self.known.remove(&record.logical_id);
        }
        self.resources.insert(record.logical_id.clone(), record);
        Ok(())
    }
}

/// A deletion that was asked for while the stack was being created is not forgotten, whatever came first.
fn turn_if_asked(stack: &mut StackRecord) {
    if stack.operation.asked == "delete" && stack.operation.kind != "DELETE" {
        stack.operation.kind = "DELETE".to_owned();
        stack.operation.phase = Phase::Delete.as_str().to_owned();
        stack.status = "DELETE_IN_PROGRESS".to_owned();
        stack.status_reason = None;
    }
}

fn template_lost(error: sereno_template::TemplateError) -> Error {
    Error::internal(format!("cloudformation: {error}"))
}
