//! The inner door of a running server: a socket in its data folder. Whoever may open the folder, which is its owner's
//! alone, may ask for a backup or a check; nobody else can reach it.
//!
//! One request a connection, a line; then lines come back until one says how it ended:
//!
//! ```text
//! backup <folder>  |  verify
//! progress <entries> <blobs>         as often as there is news
//! problem <sentence>
//! done <entries> <bytes> <blobs> <blob bytes>  |  failed <sentence>
//! ```

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sereno_kernel::Cloud;
use sereno_store::backup::Summary;
use sereno_store_local::backup::{Progress, Report};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::backup::work;
use crate::place::Place;

const NAME: &str = "control";

/// A path of any length names a socket through its folder's descriptor, which must stay open.
fn address(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
}

/// Answers for as long as the process lives. Without it the server serves all the same: then commands need it stopped.
pub fn listen(folder: &Path, place: &Place, cloud: &Arc<Cloud>) {
    let bound = File::open(folder).and_then(|open| {
        // Of a server that was killed: the folder's lock is ours, so nobody listens there.
        match std::fs::remove_file(folder.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        UnixListener::bind(address(&open))
    });
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            return eprintln!(
                "online backups are not possible: {}: {error}",
                folder.join(NAME).display()
            );
        }
    };
    let (place, cloud) = (place.clone(), Arc::clone(cloud));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, place.clone(), Arc::clone(&cloud)));
        }
    });
}

async fn answer(stream: UnixStream, place: Place, cloud: Arc<Cloud>) {
    let (from, mut to) = stream.into_split();
    let Ok(Some(request)) = BufReader::new(from).lines().next_line().await else { return };
    let (lines, mut written) = mpsc::unbounded_channel::<String>();
    let told = lines.clone();
    let progress = move |so_far: Progress| {
        // Nobody listens any more: the work is finished all the same.
        drop(told.send(format!("progress {} {}", so_far.entries, so_far.blobs)));
    };
    let runtime = tokio::runtime::Handle::current();
    // Reads and writes files for long: not on a thread that serves requests.
    tokio::task::spawn_blocking(move || {
        let outcome = runtime.block_on(async {
            match request.split_once(' ') {
                Some(("backup", folder)) => {
                    work::backup(&place, &cloud, Path::new(folder), &progress).await
                }
                None if request == "verify" => work::verify(&place, &cloud, &progress).await,
                _ => Err(format!("the server does not know {request:?}")),
            }
        });
        let mut text = String::new();
        match outcome {
            Ok(report) => {
                for problem in &report.problems {
                    text.push_str(&format!("problem {}\n", one_line(problem)));
                }
                let Summary { entries, bytes, .. } = report.entries;
                text.push_str(&format!(
                    "done {entries} {bytes} {} {}",
                    report.blobs, report.blob_bytes
                ));
            }
            Err(error) => text.push_str(&format!("failed {}", one_line(&error))),
        }
        drop(lines.send(text));
    });
    while let Some(line) = written.recv().await {
        if to.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// Asks the server that runs on this folder; `None`: none does.
pub async fn ask(
    folder: &Path,
    request: &str,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Option<Report>, String> {
    let Ok(open) = File::open(folder) else { return Ok(None) };
    let Ok(mut stream) = UnixStream::connect(address(&open)).await else { return Ok(None) };
    let lost = |error: io::Error| format!("the server stopped answering: {error}");
    stream.write_all(format!("{request}\n").as_bytes()).await.map_err(lost)?;
    let mut lines = BufReader::new(stream).lines();
    let mut report = Report::default();
    while let Some(line) = lines.next_line().await.map_err(lost)? {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let numbers: Vec<u64> = rest.split(' ').map_while(|text| text.parse().ok()).collect();
        match (word, numbers[..].as_ref()) {
            ("progress", [entries, blobs]) => {
                progress(Progress { entries: *entries, blobs: *blobs })
            }
            ("problem", _) => report.problems.push(rest.to_owned()),
            ("done", [entries, bytes, blobs, blob_bytes]) => {
                report.entries = Summary { entries: *entries, bytes: *bytes, version: 0 };
                (report.blobs, report.blob_bytes) = (*blobs, *blob_bytes);
                return Ok(Some(report));
            }
            ("failed", _) => return Err(rest.to_owned()),
            _ => return Err(format!("the server said {line:?}: is it of another version?")),
        }
    }
    Err("the server stopped before the end".to_owned())
}
