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

/// The operation that is cut off, and what must have become of it in the end.
struct Case {
    template: String,
    /// Another template, `delete`, or nothing: then the creation itself is cut off.
    then: String,
    status: &'static str,
    left: usize,
}

/// Runs the operation, ends the process after it had its turn `steps` times, and starts another on the same data.
/// Says whether the operation was over before that.
async fn cut_off_after(steps: u32, case: &Case) -> bool {
    let (store, things) = (MemoryStore::new(), Shared::default());
    let first = || first_life(&store, &things, steps, case);
    let (finished, id) = std::thread::scope(|scope| scope.spawn(first).join().unwrap());
    let world = World::on(&store, &things).await;
    assert_eq!(world.ended(&id).await, case.status, "{steps}: {:#?}", world.events(&id).await);
    let log = things.lock().unwrap().log.clone();
    assert_eq!(world.count(), case.left, "after {steps} steps: {log:?}");
    let creations = log.iter().filter(|it| it.starts_with("create B")).count();
    assert_eq!(creations, 1, "after {steps} steps: {log:?}");
    finished
}

/// A life that ends in the middle: its runtime is dropped with everything that runs on it.
fn first_life(store: &MemoryStore, things: &Shared, steps: u32, case: &Case) -> (bool, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::on(store, things).await;
        let id = world.create("shop", &case.template).await.unwrap();
        if !case.then.is_empty() {
            world.ended(&id).await;
        }
        match case.then.as_str() {
            "" => {}
            "delete" => world.delete("shop").await,
            template => world.update("shop", template).await.unwrap(),
        }
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        let status = world.stack(&id).await.unwrap().stack_status;
        (!status.as_str().ends_with("_IN_PROGRESS"), id)
    })
}

async fn at_every_point(case: Case) {
    for steps in 0..600 {
        if cut_off_after(steps, &case).await {
            assert!(steps > 5, "the operation was over before it could be cut off");
            return;
        }
    }
    panic!("the operation never ends");
}

fn case(then: &str, status: &'static str, left: usize) -> Case {
    Case { template: TEMPLATE.to_owned(), then: then.to_owned(), status, left }
}

#[tokio::test]
async fn creation() {
    at_every_point(case("", "CREATE_COMPLETE", 3)).await;
}

#[tokio::test]
async fn failed_creation() {
    let template = TEMPLATE.replace(
        "{\"Value\": {\"Fn::GetAtt\"",
        "{\"Fail\": \"create\", \"Value\": {\"Fn::GetAtt\"",
    );
    at_every_point(Case { template, ..case("", "ROLLBACK_COMPLETE", 0) }).await;
}

#[tokio::test]
async fn deletion() {
    at_every_point(case("delete", "DELETE_COMPLETE", 0)).await;
}

#[tokio::test]
async fn failed_update() {
    let bad = TEMPLATE.replace("\"Name\": \"a\"", "\"Name\": \"b\"").replace(
        "{\"Value\": {\"Fn::GetAtt\"",
        "{\"Fail\": \"update\", \"Value\": {\"Fn::GetAtt\"",
    );
    at_every_point(case(&bad, "UPDATE_ROLLBACK_COMPLETE", 3)).await;
}

#[tokio::test]
async fn update_with_replacement() {
    let other = TEMPLATE.replace("\"Name\": \"a\"", "\"Name\": \"b\"");
    at_every_point(case(&other, "UPDATE_COMPLETE", 3)).await;
}
