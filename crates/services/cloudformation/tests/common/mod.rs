//! A cloud with one resource type of the test's own: `Test::Thing`, kept in memory, failing on demand.

#![allow(dead_code, clippy::unwrap_used)]

pub mod slow;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use sereno_api_cloudformation as api;
use sereno_kernel::{Ctx, Error, ResourceRequest, ResourceState, ResourceType, Result};
use sereno_store::{MemoryBlobs, MemoryStore};
use sereno_testkit::TestCloud;

/// Things by physical id, and what was done in order.
#[derive(Default)]
pub struct Things {
    pub by_id: BTreeMap<String, Map<String, Value>>,
    pub tokens: BTreeMap<String, String>,
    pub log: Vec<String>,
}

pub type Shared = Arc<Mutex<Things>>;

fn text(properties: &Map<String, Value>, name: &str) -> String {
    properties.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn fail(request: &ResourceRequest, when: &str) -> Result<()> {
    if text(&request.properties, "Fail") == when {
        return Err(Error::invalid("ThingError", format!("cannot {when} {}", request.logical_id)));
    }
    Ok(())
}

fn state(id: &str, properties: &Map<String, Value>) -> ResourceState {
    ResourceState::new(id)
        .attribute("Arn", format!("arn:thing:{id}"))
        .attribute("Value", text(properties, "Value"))
}

fn make(things: &Shared, request: &ResourceRequest) -> Result<ResourceState> {
    let mut things = things.lock().unwrap();
    if let Some(id) = things.tokens.get(&request.token) {
        return Ok(state(id, &request.properties));
    }
    fail(request, "create")?;
    let name = text(&request.properties, "Name");
    let id = if name.is_empty() { request.suggested_name.clone() } else { name };
    if things.by_id.contains_key(&id) {
        return Err(Error::conflict("AlreadyExists", format!("{id} exists")));
    }
    things.log.push(format!("create {}", request.logical_id));
    things.by_id.insert(id.clone(), request.properties.clone());
    things.tokens.insert(request.token.clone(), id.clone());
    Ok(state(&id, &request.properties))
}

/// The type: `Name` cannot be changed; `Hang` never comes back.
pub fn thing(things: &Shared) -> ResourceType {
    let (creates, updates, deletes) = (Arc::clone(things), Arc::clone(things), Arc::clone(things));
    ResourceType::new("Test::Unit::Thing")
        .create_only(&["Name"])
        .create(move |_ctx, request| {
            let things = Arc::clone(&creates);
            async move {
                if text(&request.properties, "Hang") == "create" {
                    std::future::pending::<()>().await;
                }
                let made = make(&things, &request);
                // The thing is there and the answer is still on its way.
                tokio::task::yield_now().await;
                made
            }
        })
        .update(move |_ctx, request| {
            let things = Arc::clone(&updates);
            async move {
                fail(&request, "update")?;
                let mut things = things.lock().unwrap();
                things.log.push(format!("update {}", request.logical_id));
                things.by_id.insert(request.physical_id.clone(), request.properties.clone());
                Ok(state(&request.physical_id, &request.properties))
            }
        })
        .delete(move |_ctx, request| {
            let things = Arc::clone(&deletes);
            async move {
                fail(&request, "delete")?;
                let mut things = things.lock().unwrap();
                things.log.push(format!("delete {}", request.logical_id));
                things.by_id.remove(&request.physical_id);
                Ok(())
            }
        })
}

pub struct World {
    pub cloud: TestCloud,
    pub things: Shared,
}

impl World {
    pub async fn new() -> World {
        let things = Shared::default();
        World::on(&MemoryStore::new(), &things).await
    }

    /// On a store that may already hold something.
    pub async fn on(store: &MemoryStore, things: &Shared) -> World {
        let blobs = MemoryBlobs::new();
        let cloud = TestCloud::on(Arc::new(slow::SlowStore(store.clone())), Arc::new(blobs))
            .service(sereno_cloudformation::service().resource(thing(things)))
            .build();
        cloud.start_tasks().await;
        World { cloud, things: Arc::clone(things) }
    }

    pub fn ctx(&self) -> Ctx {
        self.cloud.ctx()
    }

    pub async fn create(&self, name: &str, template: &str) -> Result<String> {
        self.create_with(api::CreateStackInput {
            stack_name: name.to_owned(),
            template_body: Some(template.to_owned()),
            ..Default::default()
        })
        .await
    }

    pub async fn create_with(&self, input: api::CreateStackInput) -> Result<String> {
        let output = self.ctx().call::<api::CreateStack>(input).await?;
        Ok(output.stack_id.unwrap())
    }

    pub async fn update(&self, name: &str, template: &str) -> Result<()> {
        let input = api::UpdateStackInput {
            stack_name: name.to_owned(),
            template_body: Some(template.to_owned()),
            ..Default::default()
        };
        self.ctx().call::<api::UpdateStack>(input).await.map(drop)
    }

    pub async fn delete(&self, name: &str) {
        let input = api::DeleteStackInput { stack_name: name.to_owned(), ..Default::default() };
        self.ctx().call::<api::DeleteStack>(input).await.unwrap();
    }

    pub async fn stack(&self, name: &str) -> Result<api::Stack> {
        let input =
            api::DescribeStacksInput { stack_name: Some(name.to_owned()), ..Default::default() };
        let output = self.ctx().call::<api::DescribeStacks>(input).await?;
        Ok(output.stacks.unwrap().remove(0))
    }

    /// Waits until nothing is under way; the status then.
    pub async fn ended(&self, id: &str) -> String {
        for _ in 0..2000 {
            let status = self.stack(id).await.unwrap().stack_status.as_str().to_owned();
            if !status.ends_with("_IN_PROGRESS") {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("the operation does not end: {:#?}", self.events(id).await);
    }

    /// `logical id STATUS reason`, oldest first.
    pub async fn events(&self, id: &str) -> Vec<String> {
        let input =
            api::DescribeStackEventsInput { stack_name: id.to_owned(), ..Default::default() };
        let output = self.ctx().call::<api::DescribeStackEvents>(input).await.unwrap();
        let line = |it: &api::StackEvent| {
            let reason = it.resource_status_reason.clone().unwrap_or_default();
            let status = it.resource_status.as_ref().map(|it| it.as_str()).unwrap_or_default();
            format!("{} {status} {reason}", it.logical_resource_id.clone().unwrap())
                .trim_end()
                .to_owned()
        };
        output.stack_events.unwrap().iter().rev().map(line).collect()
    }

    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.things.lock().unwrap().log)
    }

    pub fn count(&self) -> usize {
        self.things.lock().unwrap().by_id.len()
    }
}
