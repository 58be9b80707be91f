//! What the machine itself can do: a bare HTTP server, a bare interpreter behind a pipe, a bare disk.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::report::median;

/// hyper that reads the request's body and answers 200 bytes of JSON. Prints its port.
pub async fn bare_server() -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
    println!("{}", listener.local_addr().map_err(|e| e.to_string())?.port());
    loop {
        let (stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        tokio::spawn(async move {
            let service = service_fn(|request: hyper::Request<Incoming>| async {
                let read = request.into_body().collect().await;
                drop(read);
                let body = Full::new(Bytes::from_static(&[b'x'; 200]));
                Ok::<_, Infallible>(hyper::Response::new(body))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Ends when the client closes.
            let _ = connection.await;
        });
    }
}

/// Median time of an append and fdatasync of 300 bytes, in µs.
pub fn fdatasync_us(folder: &Path, rounds: usize) -> Result<f64, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut file = File::create(folder.join("fdatasync")).map_err(failed)?;
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        file.write_all(&[b'x'; 300]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        taken.push(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut taken))
}

#[derive(Default)]
struct Group {
    asked: Mutex<u64>,
    more: Condvar,
    done: AtomicU64,
    finished: Condvar,
    stop: std::sync::atomic::AtomicBool,
}

/// Commits per second of `writers` threads that share each fdatasync: the most a log can do.
pub fn group_commits_per_s(folder: &Path, writers: u64, time: Duration) -> Result<f64, String> {
    let path = folder.join("group");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| error.to_string())?;
    let group = Arc::new(Group::default());
    let flusher = {
        let group = Arc::clone(&group);
        std::thread::spawn(move || {
            while !group.stop.load(Ordering::Relaxed) {
                let mut asked = group.asked.lock().unwrap_or_else(PoisonError::into_inner);
                while *asked == group.done.load(Ordering::Relaxed) {
                    let waited = group.more.wait_timeout(asked, Duration::from_millis(50));
                    asked = waited.unwrap_or_else(PoisonError::into_inner).0;
                    if group.stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
                let upto = *asked;
                let waiting = upto - group.done.load(Ordering::Relaxed);
                drop(asked);
                let bytes = vec![b'x'; 300 * usize::try_from(waiting).unwrap_or(1)];
                if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
                    return;
                }
                let guard = group.asked.lock().unwrap_or_else(PoisonError::into_inner);
                group.done.store(upto, Ordering::Relaxed);
                drop(guard);
                group.finished.notify_all();
            }
        })
    };
    let workers: Vec<_> = (0..writers)
        .map(|_| {
            let group = Arc::clone(&group);
            std::thread::spawn(move || {
                let (until, mut commits) = (Instant::now() + time, 0_u64);
                while Instant::now() < until {
                    let mut asked = group.asked.lock().unwrap_or_else(PoisonError::into_inner);
                    *asked += 1;
                    let mine = *asked;
                    group.more.notify_one();
                    while group.done.load(Ordering::Relaxed) < mine {
                        asked = group.finished.wait(asked).unwrap_or_else(PoisonError::into_inner);
                    }
                    commits += 1;
                }
                commits
            })
        })
        .collect();
    let commits: u64 = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
    group.stop.store(true, Ordering::Relaxed);
    group.more.notify_all();
    flusher.join().map_err(|_| "the flusher panicked".to_owned())?;
    #[allow(clippy::cast_precision_loss)]
    Ok(commits as f64 / time.as_secs_f64())
}

/// A command in an environment without settings that change how an interpreter starts (certificates to load, options).
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    command
}

/// The interpreter itself, where the search path leads to a version manager's script; `None` if it is not installed.
pub fn interpreter(name: &str) -> Option<String> {
    let question = match name {
        "python3" => ["-c", "import sys; print(sys.executable)"],
        "node" => ["-p", "process.execPath"],
        _ => return Some(name.to_owned()),
    };
    let output = Command::new(name).args(question).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Median wall time of a command, in ms; `None` if it is not installed.
pub fn process_ms(command: &[&str], rounds: usize) -> Option<f64> {
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let status = bare(command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?;
        if !status.success() {
            return None;
        }
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Some(median(&mut taken))
}

const PYTHON_LOOP: &str = "import sys,json\nfor line in sys.stdin:\n e=json.loads(line)\n \
    sys.stdout.write(json.dumps({'n':e['n']})+'\\n'); sys.stdout.flush()";
const NODE_LOOP: &str = "let b='';process.stdin.on('data',d=>{b+=d;let i;while((i=b.indexOf('\\n'))>=0)\
    {const e=JSON.parse(b.slice(0,i));b=b.slice(i+1);process.stdout.write(JSON.stringify({n:e.n})+'\\n')}})";

/// Median round trip through pipes to a warm interpreter that decodes and encodes JSON, in µs.
pub fn pipe_us(interpreter: &str, rounds: usize) -> Option<f64> {
    let program = Path::new(interpreter).file_name()?.to_str()?;
    let arguments = match program {
        "node" => ["-e", NODE_LOOP],
        _ if program.starts_with("python") => ["-c", PYTHON_LOOP],
        _ => return None,
    };
    let mut child = bare(interpreter)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut to = child.stdin.take()?;
    let mut from = BufReader::new(child.stdout.take()?);
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        to.write_all(b"{\"n\":1}\n").ok()?;
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        taken.push(started.elapsed().as_secs_f64() * 1e6);
    }
    drop(to);
    child.wait().ok()?;
    Some(median(&mut taken))
}
