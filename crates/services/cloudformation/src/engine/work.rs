//! Runs steps in parallel, and the first phase: create and update what the template says.

use std::collections::BTreeSet;

use sereno_base::Timestamp;
use sereno_kernel::Result;
use sereno_template::Resolver;
use sereno_template::graph::dependencies;

use super::apply::Outcome;
use super::graph::{Node, Waiting};
use super::machine::Machine;
use super::running::{PARALLEL_MAX, Running};
use super::{Phase, Stage};
use crate::policy;
use crate::state::STACKS;
use crate::types;
use crate::world::StackWorld;

/// What one step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create or update as the new template says.
    Make,
    /// Go on with what a process that died had started, come what may.
    Resume,
    /// Put back as it was before the operation.
    Restore,
    /// Delete; says for what reason, which decides about policies and events.
    Remove(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The template has it no more, or it was replaced.
    Cleanup,
    /// A rollback of an update left it over.
    Leftover,
    /// The creation of the stack is undone.
    Undo,
    /// The stack is deleted.
    Stack,
}

/// Why steps were not all taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Failure,
    Cancel,
    Delete,
    Timeout,
}

/// What a started step is.
pub enum Begun {
    /// It goes on; the flag says whether it may be dropped.
    Running(sereno_kernel::BoxFuture<'static, Outcome>, bool),
    /// Nothing was to be done, or it is done already.
    Nothing,
    /// It failed at once.
    Failed,
}

impl Machine {
    /// Takes all steps that can be taken. Says whether something stopped it.
    pub(super) async fn all(&mut self, step: Step, nodes: Vec<Node>) -> Result<Option<Stop>> {
        let mut waiting = Waiting::new(nodes);
        let mut running = Running::new();
        let mut stop: Option<Stop> = None;
        loop {
            let changed =
                self.ctx.store().watch(&[STACKS.key(self.ctx.scope(), self.stack.id.as_str())]);
            if stop.is_none() && step == Step::Make {
                stop = self.stopped().await?;
            }
            if stop.is_some() {
                for id in running.cancel() {
                    self.cancelled(&id).await?;
                }
            }
            while stop.is_none() && running.len() < PARALLEL_MAX {
                let Some(node) = waiting.take(|id| running.contains(id)) else { break };
                match self.start(step, &node).await? {
                    Begun::Running(future, drops) => running.push(node.id, drops, future),
                    Begun::Nothing => {}
                    Begun::Failed => self.failed(step, &node.id, &mut waiting, &mut stop),
                }
            }
            if running.is_empty() {
                // Old and new needs may contradict each other; with no failure the order is then free.
                if stop.is_none() && step != Step::Make && waiting.release() {
                    continue;
                }
                return Ok(stop);
            }
            let deadline = self.deadline().filter(|_| step == Step::Make && stop.is_none());
            let clock = std::sync::Arc::clone(self.ctx.cloud());
            tokio::select! {
                (id, outcome) = running.next() => {
                    // What was told before the end comes before it.
                    while let Ok(early) = self.early.try_recv() {
                        self.early_known(early).await?;
                    }
                    if !self.finish(step, &id, outcome).await? {
                        self.failed(step, &id, &mut waiting, &mut stop);
                    }
                }
                Some(early) = self.early.recv() => self.early_known(early).await?,
                () = changed, if step == Step::Make && stop.is_none() => {}
                () = async {
                    match deadline {
                        Some(at) => clock.clock().sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
    }

    fn failed(&self, step: Step, id: &str, waiting: &mut Waiting, stop: &mut Option<Stop>) {
        waiting.fail(id);
        if step == Step::Make {
            stop.get_or_insert(Stop::Failure);
        }
    }

    /// Whether somebody or the clock ends the work.
    async fn stopped(&mut self) -> Result<Option<Stop>> {
        if self.deadline().is_some_and(|at| self.ctx.now() >= at) {
            return Ok(Some(Stop::Timeout));
        }
        Ok(match self.asked().await?.as_str() {
            "cancel" => Some(Stop::Cancel),
            "delete" => Some(Stop::Delete),
            _ => None,
        })
    }

    /// `TimeoutInMinutes` holds for the creation of a stack.
    fn deadline(&self) -> Option<Timestamp> {
        let minutes =
            self.stack.timeout_minutes.filter(|_| self.stack.operation.kind == "CREATE")?;
        let started = Timestamp::from_millis(self.stack.operation.started_ms);
        let minutes = u64::try_from(minutes).unwrap_or_default();
        Some(started.plus(std::time::Duration::from_secs(minutes * 60)))
    }

    async fn start(&mut self, step: Step, node: &Node) -> Result<Begun> {
        match step {
            Step::Make | Step::Resume => self.start_make(&node.id).await,
            Step::Restore => self.start_restore(&node.id).await,
            Step::Remove(why) => self.start_remove(&node.id, why).await,
        }
    }

    /// Writes what came out of a step; false if it failed.
    async fn finish(&mut self, step: Step, id: &str, outcome: Outcome) -> Result<bool> {
        match step {
            Step::Make | Step::Resume => self.finish_make(id, outcome).await,
            Step::Restore => self.finish_restore(id, outcome).await,
            Step::Remove(why) => self.finish_remove(id, why, outcome).await,
        }
    }

    /// Creates and updates everything, then completes or fails the operation.
    pub(super) async fn work(&mut self) -> Result<()> {
        if let Some(reason) = self.stack.operation.failure.clone() {
            return self.fail(Some(reason)).await;
        }
        let nodes = match self.nodes_of_template() {
            Ok(nodes) => nodes,
            Err(error) => return self.fail(Some(error.message().to_owned())).await,
        };
        if let Some(reason) = self.forbidden_removal() {
            return self.fail(Some(reason)).await;
        }
        self.resume(&nodes).await?;
        // A step that failed before a crash has not been acted upon yet.
        let stop = match self.failures(&[Stage::Failed]).is_empty() {
            true => self.all(Step::Make, nodes).await?,
            false => Some(Stop::Failure),
        };
        if stop.is_some() {
            // What only waited and was never taken up again.
            for id in self.failures(&[Stage::Started]) {
                self.cancelled(&id).await?;
            }
        }
        match stop {
            None => self.complete().await,
            Some(Stop::Failure) => self.fail(None).await,
            Some(Stop::Cancel) => self.cancel().await,
            Some(Stop::Delete) => self.turn_to_deletion().await,
            Some(Stop::Timeout) => {
                self.fail(Some("Stack creation time exceeded the specified timeout.".to_owned()))
                    .await
            }
        }
    }

    /// Real things must not be lost sight of: what was being made is brought to an end first. What only waits for
    /// the outside is left to the ordinary course.
    async fn resume(&mut self, nodes: &[Node]) -> Result<()> {
        let started = self.failures(&[Stage::Started]);
        let started = nodes.iter().filter(|node| {
            let record = self.resources.get(&node.id);
            started.contains(&node.id) && record.is_some_and(|it| !types::is_own(&it.type_name))
        });
        let nodes: Vec<Node> = started.cloned().collect();
        if nodes.is_empty() {
            return Ok(());
        }
        self.all(Step::Resume, nodes).await?;
        Ok(())
    }

    /// A stack policy may forbid what the cleanup would do.
    fn forbidden_removal(&self) -> Option<String> {
        let text = self.stack.operation.policy_override.as_ref().or(self.stack.policy.as_ref())?;
        let wanted = self.wanted();
        let gone =
            self.resources.values().filter(|it| it.exists() && !wanted.contains(&it.logical_id));
        let forbidden = |it: &crate::state::ResourceRecord| {
            policy::allow(text, "Update:Delete", &it.logical_id, &it.type_name).err()
        };
        gone.filter(|_| self.stack.operation.kind == "UPDATE").find_map(forbidden)
    }

    fn nodes_of_template(&mut self) -> sereno_template::Result<Vec<Node>> {
        self.needs = dependencies(&self.template, &self.environment.conditions)?;
        let world = StackWorld::new(&self.known, &self.exports, self.ctx.region().as_str());
        let resolver =
            Resolver { template: &self.template, environment: &self.environment, world: &world };
        let ids = resolver.resources()?;
        let node = |id: &str| Node {
            id: id.to_owned(),
            item: 0,
            needs: self.needs.get(id).cloned().unwrap_or_default(),
        };
        Ok(ids.into_iter().map(node).collect())
    }

    /// Logical ids that the template makes.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        let holds = |condition: Option<&str>| {
            condition.is_none_or(|name| self.environment.conditions.get(name) == Some(&true))
        };
        let resources = self.template.resources().filter(|it| holds(it.condition()));
        resources.map(|it| it.id.to_owned()).collect()
    }

    /// Resources of this operation in one of these stages, in order of logical ids.
    pub(super) fn failures(&self, stages: &[Stage]) -> Vec<String> {
        let failed = self.resources.values().filter(|record| {
            record.operation == self.stack.operation.id
                && stages.iter().any(|stage| record.stage == *stage as u32)
        });
        failed.map(|record| record.logical_id.clone()).collect()
    }

    async fn turn_to_deletion(&mut self) -> Result<()> {
        // The event of the deletion was written when it was asked for.
        self.commit_stack_silently(|stack| {
            stack.operation.phase = Phase::Delete.as_str().to_owned();
            stack.operation.kind = "DELETE".to_owned();
        })
        .await
    }
}
