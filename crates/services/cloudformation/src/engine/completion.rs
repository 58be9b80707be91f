//! How an operation ends: outputs and exports, failure, cancellation, and a deleted stack.

use std::collections::BTreeSet;

use sereno_kernel::Result;
use sereno_store::{Read, transact};
use sereno_template::{Output, Resolver};

use super::Phase;
use super::machine::Machine;
use crate::events;
use crate::state::{
    CHANGE_SET_IDS, CHANGE_SETS, EXPORTS, ExportRecord, IMPORTS, ImportRecord, NAMES, OutputRecord,
    PREVIOUS, STACKS, StackRecord, TEMPLATES,
};
use crate::world::StackWorld;

impl Machine {
    /// Everything was made: outputs and exports, then the end or the cleanup.
    pub(super) async fn complete(&mut self) -> Result<()> {
        self.exports = crate::world::exports(&self.ctx, self.ctx.store()).await?;
        let outputs = match self.outputs() {
            Ok(outputs) => outputs,
            Err(sentence) => return self.fail(Some(sentence)).await,
        };
        if let Some(sentence) = self.export_conflict(&outputs).await? {
            return self.fail(Some(sentence)).await;
        }
        let create = self.stack.operation.kind == "CREATE";
        let (phase, status) = if create {
            (Phase::Ended, "CREATE_COMPLETE")
        } else {
            (Phase::Cleanup, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        };
        self.set_exports(&outputs).await?;
        self.set_imports().await?;
        let description = self.template.description().map(str::to_owned);
        self.commit_stack(|stack, _| {
            stack.outputs = outputs.iter().map(output_record).collect();
            stack.description.clone_from(&description);
            stack.operation.phase = phase.as_str().to_owned();
            stack.status = status.to_owned();
            stack.status_reason = None;
        })
        .await
    }

    fn outputs(&self) -> std::result::Result<Vec<Output>, String> {
        let world = StackWorld::new(&self.known, &self.exports, self.ctx.region().as_str());
        let resolver =
            Resolver { template: &self.template, environment: &self.environment, world: &world };
        let section = self.template.section("Outputs");
        let keys = section.into_iter().flat_map(|it| it.keys());
        let one = |key: &String| {
            resolver.output(key).map_err(|error| {
                let direct = section
                    .and_then(|all| all.get(key)?.get("Value")?.as_object())
                    .is_some_and(|value| value.contains_key("Fn::GetAtt"));
                // recorded: test_invalid_getatt_fails
                match error.message().starts_with("Resource type ") && direct {
                    true => format!("[Error] /Outputs/{key}/Value/Fn::GetAtt: {error}"),
                    false => error.to_string(),
                }
            })
        };
        keys.filter_map(|key| one(key).transpose()).collect()
    }

    /// Why the exports of this stack cannot be what the outputs say.
    async fn export_conflict(&self, outputs: &[Output]) -> Result<Option<String>> {
        let mut wanted = BTreeSet::new();
        for output in outputs {
            let Some(name) = &output.export else { continue };
            let found = EXPORTS.get(self.ctx.store(), self.ctx.scope(), name.as_str()).await?;
            let foreign = found.as_ref().filter(|it| it.stack_id != self.stack.id);
            if let Some(other) = foreign {
                return Ok(Some(format!(
                    "Export with name {name} is already exported by stack {}",
                    other.stack_name
                )));
            }
            if !wanted.insert(name.clone()) {
                return Ok(Some(format!("Duplicate Export names: {name}")));
            }
            if found.is_some_and(|it| it.value != output.value)
                && let Some(user) = self.importer(name).await?
            {
                return Ok(Some(format!("Cannot update export {name} as it is in use by {user}")));
            }
        }
        self.exports_in_use(&wanted).await
    }

    async fn importer(&self, name: &str) -> Result<Option<String>> {
        let all = IMPORTS.list(self.ctx.scope(), (name,)).limit(2).read(self.ctx.store()).await?;
        let mut others = all.into_iter().filter(|((_, stack), _)| *stack != self.stack.id);
        Ok(others.next().map(|(_, import)| import.stack_name))
    }

    /// An export that goes away although another stack uses it.
    pub(super) async fn exports_in_use(&self, kept: &BTreeSet<String>) -> Result<Option<String>> {
        for name in self.own_exports(self.ctx.store()).await? {
            if !kept.contains(&name)
                && let Some(user) = self.importer(&name).await?
            {
                return Ok(Some(format!("Cannot delete export {name} as it is in use by {user}.")));
            }
        }
        Ok(None)
    }

    async fn own_exports<R: Read + ?Sized>(&self, read: &R) -> Result<Vec<String>> {
        let all = EXPORTS.list(self.ctx.scope(), ()).read(read).await?;
        let own = all.into_iter().filter(|(_, export)| export.stack_id == self.stack.id);
        Ok(own.map(|(name, _)| name).collect())
    }

    async fn set_exports(&mut self, outputs: &[Output]) -> Result<()> {
        let (scope, stack) = (self.ctx.scope(), self.stack.clone());
        let old = self.own_exports(self.ctx.store()).await?;
        let done: Result<()> = transact!(self.ctx.store(), |txn| {
            for name in &old {
                EXPORTS.delete(txn, scope, name.as_str());
            }
            for output in outputs {
                let Some(name) = &output.export else { continue };
                let record = ExportRecord {
                    value: output.value.clone(),
                    stack_id: stack.id.clone(),
                    stack_arn: stack.arn.clone(),
                    stack_name: stack.name.clone(),
                };
                EXPORTS.put(txn, scope, name.as_str(), &record);
            }
        });
        done
    }

    /// Records which exports the stack uses now.
    pub(super) async fn set_imports(&mut self) -> Result<()> {
        let mut used: BTreeSet<String> = BTreeSet::new();
        {
            let mut world = StackWorld::new(&self.known, &self.exports, self.ctx.region().as_str());
            world.preview = true;
            let resolver = Resolver {
                template: &self.template,
                environment: &self.environment,
                world: &world,
            };
            for id in self.wanted() {
                // What cannot be resolved imports nothing that was used.
                let _ = resolver.properties(&id);
            }
            let _ = resolver.outputs();
            used.append(&mut world.imported.borrow_mut());
        }
        self.replace_imports(used).await
    }

    async fn replace_imports(&mut self, used: BTreeSet<String>) -> Result<()> {
        let (scope, stack) = (self.ctx.scope(), self.stack.clone());
        let done: Result<()> = transact!(self.ctx.store(), |txn| {
            for name in &stack.imports {
                IMPORTS.delete(txn, scope, &(name.as_str(), stack.id.as_str()));
            }
            for name in &used {
                let record = ImportRecord { stack_name: stack.name.clone() };
                IMPORTS.put(txn, scope, &(name.as_str(), stack.id.as_str()), &record);
            }
        });
        done?;
        let imports: Vec<String> = used.into_iter().collect();
        self.commit_stack_silently(|stack| stack.imports.clone_from(&imports)).await
    }

    /// Changes the stack's record without an event.
    pub(super) async fn commit_stack_silently(
        &mut self,
        change: impl Fn(&mut StackRecord),
    ) -> Result<()> {
        let (ctx, id) = (self.ctx.clone(), self.stack.id.clone());
        let operation = self.stack.operation.id.clone();
        let changed: Result<Option<StackRecord>> = transact!(ctx.store(), |txn| {
            let found = STACKS.get(txn, ctx.scope(), id.as_str()).await?;
            let Some(mut stack) = found.filter(|stack| stack.operation.id == operation) else {
                return Ok(None);
            };
            change(&mut stack);
            STACKS.put(txn, ctx.scope(), id.as_str(), &stack);
            Some(stack)
        });
        if let Some(stack) = changed? {
            self.stack = stack;
        }
        Ok(())
    }

    /// Something failed: what follows depends on the operation and its options.
    pub(super) async fn fail(&mut self, reason: Option<String>) -> Result<()> {
        let (created, updated) = self.created_failures();
        let mut sentence = String::new();
        for (what, ids) in [("create", created), ("update", updated)] {
            if !ids.is_empty() {
                sentence +=
                    &format!("The following resource(s) failed to {what}: [{}]. ", ids.join(", "));
            }
        }
        // recorded: "{reason}. Rollback requested by user."
        let with = |text: &str| match &reason {
            Some(reason) => format!("{reason}. {text}"),
            None => format!("{sentence}{text}"),
        };
        let create = self.stack.operation.kind == "CREATE";
        match (create, self.stack.operation.on_failure.as_str()) {
            (true, "DO_NOTHING") => {
                self.move_to(Phase::Ended, "CREATE_FAILED", Some(with(""))).await
            }
            (true, "DELETE") => {
                let reason = with("Delete requested by user.");
                self.move_to(Phase::Delete, "DELETE_IN_PROGRESS", Some(reason)).await
            }
            (true, _) => {
                let reason = with("Rollback requested by user.");
                self.move_to(Phase::Rollback, "ROLLBACK_IN_PROGRESS", Some(reason)).await
            }
            (false, "DO_NOTHING") => {
                self.move_to(Phase::Ended, "UPDATE_FAILED", Some(with(""))).await
            }
            (false, _) => {
                self.move_to(Phase::Rollback, "UPDATE_ROLLBACK_IN_PROGRESS", Some(with("")))
                    .await?;
                self.take_previous_template().await
            }
        }
    }

    pub(super) async fn cancel(&mut self) -> Result<()> {
        let reason = Some("User Initiated".to_owned());
        self.move_to(Phase::Rollback, "UPDATE_ROLLBACK_IN_PROGRESS", reason).await?;
        self.take_previous_template().await
    }

    async fn take_previous_template(&mut self) -> Result<()> {
        let key = (self.stack.id.as_str(), PREVIOUS);
        if let Some(record) = TEMPLATES.get(self.ctx.store(), self.ctx.scope(), &key).await? {
            (self.template, self.environment, self.shown) =
                crate::encode::template(&self.ctx, &record)?;
        }
        Ok(())
    }

    /// A deletion that cannot be: the stack is what it was.
    pub(super) async fn cancel_deletion(&mut self, sentence: String) -> Result<()> {
        let status = self.stack.operation.before.status.clone();
        let reason = format!("Delete canceled. {sentence}");
        self.move_to(Phase::Ended, &status, Some(reason)).await
    }

    /// Nothing of the stack is left but its record and its events.
    pub(super) async fn deleted(&mut self) -> Result<()> {
        self.set_exports(&[]).await?;
        self.replace_imports(BTreeSet::new()).await?;
        let (ctx, id) = (self.ctx.clone(), self.stack.id.clone());
        let scope = ctx.scope();
        let now = ctx.now();
        let done: Result<()> = transact!(ctx.store(), |txn| {
            for ((_, name), set) in CHANGE_SETS.list(scope, (id.as_str(),)).read(txn).await? {
                CHANGE_SETS.delete(txn, scope, &(id.as_str(), name.as_str()));
                CHANGE_SET_IDS.delete(txn, scope, set.id.as_str());
                TEMPLATES.delete(txn, scope, &(id.as_str(), set.id.as_str()));
            }
            TEMPLATES.delete(txn, scope, &(id.as_str(), PREVIOUS));
            let Some(mut stack) = STACKS.get(txn, scope, id.as_str()).await? else { return Ok(()) };
            let owner = NAMES.get(txn, scope, stack.name.as_str()).await?;
            if owner.is_some_and(|owner| owner == events::id_bytes(&stack)) {
                NAMES.delete(txn, scope, stack.name.as_str());
            }
            stack.status = "DELETE_COMPLETE".to_owned();
            stack.status_reason = None;
            stack.deleted_ms = Some(now.millis());
            stack.outputs.clear();
            stack.operation.phase = Phase::Ended.as_str().to_owned();
            stack.operation.ended_ms = Some(now.millis());
            STACKS.put(txn, scope, id.as_str(), &stack);
            events::of_stack(&ctx, txn, &stack);
            crate::purge::schedule(&ctx, txn, &stack);
        });
        done?;
        self.stack.operation.phase = Phase::Ended.as_str().to_owned();
        Ok(())
    }
}

fn output_record(output: &Output) -> OutputRecord {
    OutputRecord {
        key: output.key.clone(),
        value: output.value.clone(),
        description: output.description.clone(),
        export: output.export.clone(),
    }
}
