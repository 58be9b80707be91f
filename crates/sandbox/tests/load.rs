//! Many invocations of functions that crash, hang, leak and change meanwhile: afterwards nothing of them is left.
//!
//! Short here; `SERENO_LOAD=100000 cargo test -p sereno-sandbox --test load -- --nocapture` for the long form.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, Function};
use sereno_kernel::sandbox::{FunctionError, Sandbox};

/// Open files are counted for the whole process: one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const CALLERS: usize = 16;
const PYTHON: &str = "import os, time\nkept = []\n\
    def handler(event, context):\n\
    \x20   if event % 100 == 1: os._exit(7)\n\
    \x20   if event % 100 == 2: time.sleep(60)\n\
    \x20   if event % 100 == 3: kept.append(bytearray(300 << 20))\n\
    \x20   open('/tmp/%d' % (event % 50), 'w').write('x' * 1000)\n\
    \x20   return event\n";
const NODE: &str = "const kept = [];\n\
    exports.handler = async (event) => {\n\
    \x20 if (event % 100 === 1) process.exit(7);\n\
    \x20 if (event % 100 === 2) await new Promise((done) => setTimeout(done, 60000));\n\
    \x20 if (event % 100 === 3) kept.push(Buffer.alloc(300 << 20, 1));\n\
    \x20 return event;\n\
    };\n";

/// What must be as before: open files of ours, processes below the helper, their control groups.
#[derive(Debug, PartialEq)]
struct Left {
    files: usize,
    processes: usize,
    groups: usize,
    mounts: usize,
}

fn left(helper: &str) -> Left {
    let children = |pid: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
    };
    let count = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let mounts = std::fs::read_to_string(format!("/proc/{helper}/mountinfo")).unwrap_or_default();
    Left {
        files: count("/proc/self/fd"),
        processes: children(helper).split_whitespace().count(),
        groups: count_groups(Path::new("/sys/fs/cgroup"), &format!("sereno-{helper}"), 3),
        mounts: mounts.lines().count(),
    }
}

fn count_groups(folder: &Path, name: &str, depth: usize) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .map(|entry| {
            if entry.file_name() == name {
                return std::fs::read_dir(entry.path()).map_or(0, |inside| {
                    inside.flatten().filter(|entry| entry.path().is_dir()).count()
                });
            }
            if depth == 0 { 0 } else { count_groups(&entry.path(), name, depth - 1) }
        })
        .sum()
}

fn helper_of(bench: &Bench) -> String {
    let work = bench.work.to_str().expect("a plain path").to_owned();
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).expect("our own").flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all = children.collect::<Vec<_>>().join(" ");
    let line = |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut helpers = all.split_whitespace();
    let helper = helpers.find(|pid| String::from_utf8_lossy(&line(pid)).contains(&work));
    helper.expect("the helper is a child of this process").to_owned()
}

fn resident_mib(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().unwrap_or("0").parse::<f64>().unwrap_or(0.0) / 1024.0
}

async fn settle(bench: &Bench) {
    bench.sandbox.retire_all();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // The test's own: it is not to be counted.
    *bench.logs.0.lock().expect("no test panics with it") = Vec::new();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_what_crashed_hung_and_leaked() {
    let _alone = ALONE.lock().await;
    let total: usize =
        std::env::var("SERENO_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let bench = Arc::new(Bench::new());
    let small = |function: Function| function.memory(192).timeout(400);
    let functions = [small(Function::python(PYTHON)), small(Function::node(NODE))];
    // What is kept ready (zygotes, waiting workers, prepared jails) is there before the first count.
    for function in &functions {
        for _ in 0..3 {
            bench.invoke(function, "0").await;
        }
    }
    settle(&bench).await;
    let helper = helper_of(&bench);
    let (before, memory) = (left(&helper), (resident_mib("self"), resident_mib(&helper)));
    let next = Arc::new(AtomicUsize::new(0));
    let failed: Arc<[AtomicUsize; 4]> = Arc::default();
    let began = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let (bench, next, failed) = (Arc::clone(&bench), Arc::clone(&next), Arc::clone(&failed));
        let mut function = functions[caller % 2].clone();
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return;
                }
                // An update: new invocations meet new instances only.
                function.revision = (number / 2000).to_string();
                if number % 2000 == 0 {
                    let id = function.id();
                    bench.sandbox.retire(id.account, id.region, &id.name, None, Some(&id.revision));
                }
                let reply = bench.try_invoke(&function, &number.to_string()).await;
                let reply = reply.unwrap_or_else(|error| panic!("{number}: {error:?}"));
                let bad = (1..=3).contains(&(number % 100));
                let text = String::from_utf8_lossy(&reply.payload).into_owned();
                let right = match reply.error {
                    None => !bad && text == number.to_string(),
                    Some(FunctionError::Handled | FunctionError::Unhandled) => bad,
                };
                failed[if bad { number % 100 } else { 0 }].fetch_add(1, Ordering::Relaxed);
                assert!(right, "{number}: {text}\n{}", common::tail(&reply));
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let spent = began.elapsed();
    settle(&bench).await;
    let (after, memory_after) = (left(&helper), (resident_mib("self"), resident_mib(&helper)));
    println!(
        "{total} invocations in {spent:.1?} (good, crashed, hung, leaked: {failed:?}); before {before:?}, after {after:?}; \
         resident MiB of the server {:.1} -> {:.1}, of the helper {:.1} -> {:.1}",
        memory.0, memory_after.0, memory.1, memory_after.1
    );
    // Spare jails and waiting workers vary by a few.
    let near = |a: usize, b: usize, by: usize| a.abs_diff(b) <= by;
    assert!(near(before.files, after.files, 24), "{before:?} {after:?}");
    assert!(near(before.processes, after.processes, 6), "{before:?} {after:?}");
    assert!(near(before.groups, after.groups, 24), "{before:?} {after:?}");
    assert_eq!(before.mounts, after.mounts);
    assert!(memory_after.1 < memory.1 + 20.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_cold_starts_at_once_all_succeed() {
    let _alone = ALONE.lock().await;
    let many: usize =
        std::env::var("SERENO_BURST").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let bench = Arc::new(Bench::new());
    for make in [Function::python as fn(&str) -> Function, Function::node] {
        let source = if make("").runtime.starts_with("python") {
            "def handler(event, context):\n    return event\n"
        } else {
            "exports.handler = async (event) => event;\n"
        };
        let began = Instant::now();
        let calls = (0..many).map(|number| {
            let (bench, function) = (Arc::clone(&bench), make(source));
            tokio::spawn(async move { bench.result(&function, &number.to_string()).await })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), number);
        }
        println!("{many} cold starts at once ({}): {:.2?}", make("").runtime, began.elapsed());
        bench.sandbox.retire_all();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_short_calls_does_not_start_an_instance_for_each() {
    let _alone = ALONE.lock().await;
    let bench = Arc::new(Bench::new());
    let function = Function::node("const id = Math.random(); exports.handler = async () => id;");
    bench.invoke(&function, "0").await;
    let calls = (0..200).map(|_| {
        let (bench, function) = (Arc::clone(&bench), function.clone());
        tokio::spawn(async move { bench.result(&function, "0").await.to_string() })
    });
    let mut instances = std::collections::BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        instances.insert(call.await.unwrap());
    }
    assert!(instances.len() <= 40, "{} instances", instances.len());
}

/// Figures for people: `cargo test --release -p sereno-sandbox --test load figures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn figures() {
    let _alone = ALONE.lock().await;
    let bench = Arc::new(Bench::new());
    for function in [
        Function::python("def handler(event, context):\n    return event\n"),
        Function::node("exports.handler = async (event) => event;\n"),
    ] {
        bench.invoke(&function, "0").await;
        let mut spent = Vec::new();
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let fresh = Function { name: format!("cold-{}", spent.len()), ..function.clone() };
            let began = Instant::now();
            bench.invoke(&fresh, "0").await;
            spent.push(began.elapsed());
        }
        spent.sort();
        println!("{}: cold p50 {:.1?}, max {:.1?}", function.runtime, spent[6], spent[11]);
        for callers in [1, 16] {
            let until = Instant::now() + Duration::from_secs(3);
            let calls = (0..callers).map(|_| {
                let (bench, function) = (Arc::clone(&bench), function.clone());
                tokio::spawn(async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        bench.invoke(&function, "0").await;
                        count += 1;
                    }
                    count
                })
            });
            let mut total = 0;
            for call in calls.collect::<Vec<_>>() {
                total += call.await.unwrap();
            }
            println!("{}: {callers} callers {}/s", function.runtime, total / 3);
        }
    }
}
