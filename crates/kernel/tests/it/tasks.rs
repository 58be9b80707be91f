//! The runner: once, again after errors and panics, after a restart, every so often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sereno_api_sts::SERVICE;
use sereno_kernel::{Ctx, Error, Outcome, Result, Service, Task, TaskKind, task};
use sereno_store::{Batch, MemoryBlobs, MemoryStore, Store};
use sereno_testkit::TestCloud;

type Runs = Arc<Mutex<Vec<u32>>>;

/// Notes each try's number, then ends as `end` says.
fn kind(
    name: &'static str,
    runs: &Runs,
    end: impl Fn(u32) -> Result<Outcome> + Send + Sync + 'static,
) -> TaskKind {
    let (runs, end) = (Arc::clone(runs), Arc::new(end));
    TaskKind::new(name, move |_: Ctx, task: Task| {
        let (runs, end) = (Arc::clone(&runs), Arc::clone(&end));
        async move {
            runs.lock().unwrap().push(task.attempt);
            end(task.attempt)
        }
    })
}

fn cloud(store: &Arc<MemoryStore>, kind: TaskKind) -> TestCloud {
    let store = Arc::clone(store) as Arc<dyn Store>;
    TestCloud::on(store, Arc::new(MemoryBlobs::new()))
        .service(Service::new(&SERVICE).task(kind))
        .build()
}

async fn leave(cloud: &TestCloud, kind: &'static str) {
    let ctx = cloud.ctx();
    let mut batch = Batch::new();
    task::schedule(&ctx, &mut batch, kind, ctx.now(), "payload");
    ctx.store().commit(batch).await.unwrap();
}

/// Lets all that can run now run.
async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

fn tries(runs: &Runs) -> Vec<u32> {
    runs.lock().unwrap().clone()
}

#[tokio::test]
async fn runs_once() {
    let runs = Runs::default();
    let cloud = cloud(&Arc::default(), kind("test.once", &runs, |_| Ok(Outcome::Done)));
    leave(&cloud, "test.once").await;
    cloud.start_tasks().await;
    settle().await;
    cloud.advance(Duration::from_secs(86_400));
    settle().await;
    assert_eq!(tries(&runs), [1]);
}

#[tokio::test]
async fn is_tried_again_with_growing_pauses_also_after_a_panic() {
    let runs = Runs::default();
    let end = |attempt| match attempt {
        1 => Err(Error::internal("on purpose")),
        2 => panic!("on purpose"),
        _ => Ok(Outcome::Done),
    };
    let cloud = cloud(&Arc::default(), kind("test.again", &runs, end));
    leave(&cloud, "test.again").await;
    cloud.start_tasks().await;
    settle().await;
    assert_eq!(tries(&runs), [1]);
    cloud.advance(Duration::from_secs(1));
    settle().await;
    assert_eq!(tries(&runs), [1, 2]);
    cloud.advance(Duration::from_secs(1));
    settle().await;
    assert_eq!(tries(&runs), [1, 2], "the second pause is longer");
    cloud.advance(Duration::from_secs(1));
    settle().await;
    assert_eq!(tries(&runs), [1, 2, 3]);
}

#[tokio::test]
async fn what_a_dead_process_held_runs_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let started = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&started);
    let stuck = TaskKind::new("test.held", move |_: Ctx, _: Task| {
        seen.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Outcome>>()
    });
    let first = cloud(&store, stuck);
    leave(&first, "test.held").await;
    let runner = first.cloud().start_tasks().await.unwrap();
    settle().await;
    assert_eq!(started.load(Ordering::Relaxed), 1);
    // A task that runs keeps its lease however late it gets.
    for _ in 0..10 {
        first.advance(Duration::from_secs(20));
        settle().await;
    }
    assert_eq!(started.load(Ordering::Relaxed), 1);
    runner.abort();

    let runs = Runs::default();
    let second = cloud(&store, kind("test.held", &runs, |_| Ok(Outcome::Done)));
    second.start_tasks().await;
    settle().await;
    assert_eq!(tries(&runs), [2]);
}

#[tokio::test]
async fn recurring_work_recurs_also_after_a_reset() {
    let runs = Runs::default();
    let every = Duration::from_secs(60);
    let kind = kind("test.every", &runs, |_| Ok(Outcome::Done)).every(every);
    let cloud = cloud(&Arc::default(), kind);
    cloud.start_tasks().await;
    for count in 0..3 {
        assert_eq!(tries(&runs).len(), count);
        cloud.advance(every);
        settle().await;
    }
    cloud.cloud().reset().await.unwrap();
    leave(&cloud, "test.unknown").await;
    settle().await;
    cloud.advance(every);
    settle().await;
    assert_eq!(tries(&runs), [1; 4]);
}

#[tokio::test]
async fn recurring_work_is_planned_once_however_many_nodes_start() {
    let (runs, store) = (Runs::default(), Arc::default());
    let every = Duration::from_secs(60);
    let kind = kind("test.every", &runs, |_| Ok(Outcome::Done)).every(every);
    let nodes: Vec<_> = (0..3).map(|_| cloud(&store, kind.clone())).collect();
    for node in &nodes {
        // Together, as if nobody had seen what the others plan.
        node.start_tasks().await;
    }
    for round in 1..=3 {
        for node in &nodes {
            node.advance(every);
        }
        settle().await;
        assert_eq!(tries(&runs).len(), round);
    }
}

/// Pollers sleep most of the time: however many there are, other work finds room.
#[tokio::test]
async fn standing_tasks_take_no_room() {
    let stands = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&stands);
    let standing = TaskKind::new("test.standing", move |_: Ctx, _: Task| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Outcome>>()
    })
    .standing();
    let runs = Runs::default();
    let passing = kind("test.passing", &runs, |_| Ok(Outcome::Done));
    let cloud =
        TestCloud::builder().service(Service::new(&SERVICE).task(standing).task(passing)).build();
    for _ in 0..300 {
        leave(&cloud, "test.standing").await;
    }
    leave(&cloud, "test.passing").await;
    cloud.start_tasks().await;
    for _ in 0..10 {
        settle().await;
    }
    assert_eq!(stands.load(Ordering::Relaxed), 300);
    assert_eq!(tries(&runs), [1]);
}
