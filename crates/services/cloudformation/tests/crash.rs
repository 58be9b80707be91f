//! Operations survive the death of the process at every point: nothing is made twice, nothing is left over.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Shared, World};
use sereno_store::MemoryStore;

const TEMPLATE: &str = r#"{"Resources": {
    "A": {"Type": "Test::Unit::Thing", "Properties": {"Name": "a"}},
    "B": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Ref": "A"}}},
    "C": {"Type": "Test::Unit::Thing", "Properties": {"Value": {"Fn::GetAtt": ["B", "Arn"]}}}},
    "Outputs": {"O": {"Value": {"Ref": "C"}, "Export": {"Name": "o"}}}}"#;

/// Runs an operation, kills the process after it has worked for `steps` polls, and starts another on the same data.
async fn killed_after(steps: u32, change: &str, expected: &str, left: usize) -> bool {
    let (store, things) = (MemoryStore::new(), Shared::default());
    let mut finished = false;
    {
        let runtime = std::thread::scope(|scope| {
            scope.spawn(|| first_life(&store, &things, steps, change)).join().unwrap()
        });
        finished |= runtime;
    }
    let world = World::on(&store, &things).await;
    assert_eq!(world.ended("shop").await, expected, "{steps}: {:#?}", world.events("shop").await);
    assert_eq!(world.count(), left, "after {steps} steps: {:?}", things.lock().unwrap().log);
    let log = things.lock().unwrap().log.clone();
    let creations = log.iter().filter(|it| it.starts_with("create B")).count();
    assert_eq!(creations, 1, "{log:?}");
    finished
}

/// A life that ends in the middle: its runtime is dropped with everything that runs on it.
fn first_life(store: &MemoryStore, things: &Shared, steps: u32, change: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::on(store, things).await;
        let id = world.create("shop", TEMPLATE).await.unwrap();
        if !change.is_empty() {
            world.ended(&id).await;
            world.update("shop", change).await.unwrap();
        }
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        !world.stack("shop").await.unwrap().stack_status.as_str().ends_with("_IN_PROGRESS")
    })
}

async fn at_every_point(change: &str, expected: &str, left: usize) {
    for steps in 0..400 {
        if killed_after(steps, change, expected, left).await {
            assert!(steps > 5, "the operation was over before it could be killed");
            return;
        }
    }
    panic!("the operation never ends");
}

#[tokio::test]
async fn creation() {
    at_every_point("", "CREATE_COMPLETE", 3).await;
}

#[tokio::test]
async fn failed_creation_and_update() {
    let bad = TEMPLATE.replace("\"Name\": \"a\"", "\"Name\": \"b\"").replace(
        "\"Value\": {\"Fn::GetAtt\": [\"B\", \"Arn\"]}",
        "\"Fail\": \"update\", \"Value\": {\"Fn::GetAtt\": [\"B\", \"Arn\"]}",
    );
    at_every_point(&bad, "UPDATE_ROLLBACK_COMPLETE", 3).await;
}

#[tokio::test]
async fn update_with_replacement() {
    at_every_point(&TEMPLATE.replace("\"Name\": \"a\"", "\"Name\": \"b\""), "UPDATE_COMPLETE", 3)
        .await;
}
