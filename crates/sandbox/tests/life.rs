//! Instances from their start to their end, also when something is killed.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Bench, Function};
use futures::join_all;
use sereno_kernel::sandbox::Sandbox;

mod futures {
    //! As much of it as these tests need.
    pub async fn join_all<T: Send + 'static>(
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let handles: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        let mut results = Vec::new();
        for handle in handles {
            results.push(handle.await.expect("the task ends well"));
        }
        results
    }
}

const COUNT: &str =
    "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n";

/// Processes of this bench: its folder is in their command line, or in their helper's.
fn processes(bench: &Bench) -> Vec<i32> {
    let work = bench.work.to_str().expect("a plain path").to_owned();
    let all = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let line = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    numbers.filter(|pid| String::from_utf8_lossy(&line(*pid)).contains(&work)).collect()
}

fn parent(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn helper(bench: &Bench) -> i32 {
    let own = std::process::id() as i32;
    processes(bench).into_iter().find(|pid| parent(*pid) == own).expect("a helper runs")
}

fn children_of(pids: &[i32]) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| pids.contains(&parent(*pid))).collect()
}

async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..300 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_instance_is_frozen_and_wakes_up() {
    let bench = Bench::new();
    let ticking = "import threading, time\nticks = 0\ndef tick():\n    global ticks\n    while True:\n        ticks += 1; time.sleep(0.005)\nthreading.Thread(target=tick, daemon=True).start()\ndef handler(event, context):\n    return ticks\n";
    let function = Function::python(ticking);
    bench.invoke(&function, "0").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let before = bench.result(&function, "0").await.as_u64().unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let after = bench.result(&function, "0").await.as_u64().unwrap();
    // It would be 500 more without the freezer, which comes after about half a second.
    assert!(after - before < 300, "{before} {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_the_helper_ends_all_and_harms_nobody_after() {
    let bench = Bench::new();
    let function = Function::python(COUNT);
    let node = Function::node("let n = 0; exports.handler = async () => ++n;");
    bench.invoke(&function, "0").await;
    bench.invoke(&node, "0").await;
    // Frozen by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let helper = helper(&bench);
    let mut of_helper = children_of(&[helper]);
    of_helper.extend(children_of(&of_helper));
    assert!(of_helper.len() >= 4, "{of_helper:?}");
    std::process::Command::new("kill").args(["-9", &helper.to_string()]).status().unwrap();
    eventually("all instances gone", || {
        of_helper.iter().all(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.is_empty() || status.contains("State:\tZ")
        })
    })
    .await;
    assert_eq!(bench.result(&function, "0").await, 1, "a new helper, a new instance");
    assert_eq!(bench.result(&node, "0").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cold_starts_at_once() {
    let bench = std::sync::Arc::new(Bench::new());
    let start = |n: usize| {
        let bench = std::sync::Arc::clone(&bench);
        async move {
            let function = match n % 2 {
                0 => Function::python("def handler(event, context):\n    return event\n"),
                _ => Function::node("exports.handler = async (event) => event;"),
            };
            bench.result(&function.timeout(60_000), &n.to_string()).await
        }
    };
    let results = join_all((0..60).map(start)).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result, n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_invocations_have_instances_of_their_own() {
    let bench = std::sync::Arc::new(Bench::new());
    let function = Function::python(
        "import time\nbusy = False\ndef handler(event, context):\n    global busy\n    assert not busy\n    busy = True\n    time.sleep(0.05)\n    busy = False\n    return event\n",
    );
    let call = |n: usize| {
        let (bench, function) = (std::sync::Arc::clone(&bench), function.clone());
        async move { bench.result(&function, &n.to_string()).await }
    };
    for (n, result) in join_all((0..30).map(call)).await.iter().enumerate() {
        assert_eq!(result, n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_leave_nothing_behind() {
    let bench = Bench::new();
    let function = Function::python("import os, time\ndef handler(event, context):\n    if event == 1: os._exit(1)\n    if event == 2: time.sleep(30)\n    return 0\n").timeout(300);
    bench.invoke(&function, "0").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = children_of(&[helper(&bench)]).len();
    for round in 0..10 {
        bench.invoke(&function, &(1 + round % 2).to_string()).await;
    }
    eventually("as many processes as before", || children_of(&[helper(&bench)]).len() <= before)
        .await;
    let groups = Path::new("/sys/fs/cgroup/pids").join(format!("sereno-{}", helper(&bench)));
    if groups.exists() {
        eventually("as many groups as before", || {
            std::fs::read_dir(&groups).unwrap().flatten().filter(|e| e.path().is_dir()).count()
                <= before
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provisioned_instances_are_ready_and_stay() {
    let bench = Bench::with(4566, |config| config.idle = Duration::from_millis(300));
    let function =
        Function::python("import os\ndef handler(event, context):\n    return os.getpid()\n");
    let spec = bench.spec(&function);
    let maker: sereno_kernel::sandbox::SpecMaker = std::sync::Arc::new(move || {
        let spec = spec.clone();
        Box::pin(async move { Ok(spec) })
    });
    let provision =
        |count| bench.sandbox.provision(function.id(), count, std::sync::Arc::clone(&maker));
    assert_eq!(provision(2).await.expect("they can start"), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // None was started for this invocation, and none has gone for idleness.
    let reply = bench.invoke(&function, "0").await;
    assert!(reply.init_us.is_some(), "the first invocation of an instance reports its start");
    assert_eq!(provision(2).await.expect("they are there"), 2);
    assert_eq!(provision(0).await.expect("none is wanted"), 0);
    eventually("they end when they are not kept", || {
        let spares_and_zygotes = 8;
        children_of(&children_of(&[helper(&bench)])).len() <= spares_and_zygotes
    })
    .await;
}
