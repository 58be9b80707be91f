//! `sereno up`: the development loop. Starts a server if none runs, deploys, and redeploys what is saved.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;
use sereno_base::{base64_encode, percent_encode};
use sereno_wire::body::Method;

use crate::Outcome;
use crate::client::{Client, Target};
use crate::deploy::{Project, print_made};
use crate::logs::Tail;
use crate::package;
use crate::stack::Made;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOGS_EVERY: u32 = 5;
const READY_MAX: Duration = Duration::from_secs(10);

/// Examples:
///   sereno up
///   sereno up examples/crud/template.yaml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// The SAM or CloudFormation template. Default: template.yaml, .yml or .json in this folder.
    template: Option<PathBuf>,

    /// Default: the name of the template's folder.
    #[arg(long)]
    stack_name: Option<String>,

    /// A parameter of the template, as Name=Value; may be given several times.
    #[arg(long = "parameter")]
    parameters: Vec<String>,

    /// Where a server that has to be started keeps its data.
    #[arg(long)]
    data: Option<PathBuf>,

    #[command(flatten)]
    target: Target,
}

pub async fn up(options: Options) -> Outcome {
    let project = Project::new(options.template, options.stack_name, &options.parameters)?;
    let client = options.target.client()?;
    if !client.is_up().await {
        start_server(&client, options.data).await?;
    }
    println!("Deploying {} as {}", project.template.display(), project.stack_name);
    let mut made = project.deploy(&client).await?;
    print_made(&client, &made).await;
    println!("Watching {}. Save a file to see it live; Ctrl-C ends.", project.base().display());

    let mut watched = Watched::new(&project)?;
    let mut tails = tails(&made);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match watched.changes(&project) {
            Ok(changes) if !changes.is_empty() => {
                if let Some(now) = apply(&client, &project, &made, &changes).await {
                    made = now;
                    tails = self::tails(&made);
                }
            }
            Ok(_) => {}
            // Half-saved files are common: say it, look again.
            Err(message) => eprintln!("  {message}"),
        }
        turn += 1;
        if turn.is_multiple_of(LOGS_EVERY) {
            for tail in &mut tails {
                tail.print_new(&client).await?;
            }
        }
    }
}

async fn start_server(client: &Client, data: Option<PathBuf>) -> Outcome {
    let address = client
        .endpoint()
        .strip_prefix("http://")
        .and_then(|address| address.replace("localhost", "127.0.0.1").parse().ok())
        .ok_or_else(|| format!("cannot start a server for {}", client.endpoint()))?;
    let options = crate::serve::Options::development_at(address, data);
    let server = tokio::spawn(crate::serve::serve(options));
    let started = SystemTime::now();
    while !client.is_up().await {
        if server.is_finished() {
            return server.await.map_err(|error| error.to_string())?;
        }
        if started.elapsed().is_ok_and(|elapsed| elapsed > READY_MAX) {
            return Err(format!("the server at {} does not get ready", client.endpoint()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn tails(made: &Made) -> Vec<Tail> {
    let functions = made.resources.iter().filter(|r| r.kind == "AWS::Lambda::Function");
    functions.map(|function| Tail::new(&function.physical_id, 0)).collect()
}

/// What has been saved since the last look.
enum Change {
    /// The code of one function.
    Code { logical_id: String, path: PathBuf },
    /// The template, or a file that is not a function's.
    Template,
}

/// The newest change of every watched place.
struct Watched {
    template: SystemTime,
    code: HashMap<PathBuf, Stamp>,
}

/// Changes with every file that is saved, added or removed.
#[derive(Clone, Copy, PartialEq)]
struct Stamp {
    newest: SystemTime,
    files: usize,
}

impl Watched {
    fn new(project: &Project) -> Result<Watched, String> {
        let mut watched = Watched { template: modified(&project.template), code: HashMap::new() };
        watched.changes(project)?;
        Ok(watched)
    }

    fn changes(&mut self, project: &Project) -> Result<Vec<Change>, String> {
        let template = modified(&project.template);
        if template != self.template {
            self.template = template;
            return Ok(vec![Change::Template]);
        }
        let mut changes = Vec::new();
        for code in package::local_functions(&project.load()?, project.base()) {
            let stamp = stamp(&code.path)?;
            let before = self.code.insert(code.path.clone(), stamp);
            if before.is_some_and(|before| before != stamp) {
                changes.push(Change::Code { logical_id: code.logical_id, path: code.path });
            }
        }
        Ok(changes)
    }
}

fn modified(path: &std::path::Path) -> SystemTime {
    let metadata = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    metadata.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn stamp(path: &std::path::Path) -> Result<Stamp, String> {
    let mut files = Vec::new();
    if path.is_dir() {
        package::list(path, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    let newest = files.iter().map(|file| modified(file)).max();
    Ok(Stamp { newest: newest.unwrap_or(SystemTime::UNIX_EPOCH), files: files.len() })
}

/// Code goes straight to its function; everything else through the stack.
async fn apply(
    client: &Client,
    project: &Project,
    made: &Made,
    changes: &[Change],
) -> Option<Made> {
    let started = std::time::Instant::now();
    let mut whole = false;
    for change in changes {
        let swapped = match change {
            Change::Template => false,
            Change::Code { logical_id, path } => {
                match swap_code(client, made, logical_id, path).await {
                    Ok(swapped) => swapped,
                    Err(message) => {
                        eprintln!("  {message}");
                        true
                    }
                }
            }
        };
        whole |= !swapped;
    }
    let made = match whole {
        true => project.deploy(client).await.map(Some),
        false => Ok(None),
    };
    match made {
        Ok(made) => {
            println!("  live after {} ms", started.elapsed().as_millis());
            made
        }
        Err(message) => {
            eprintln!("  {message}");
            None
        }
    }
}

/// `false`: the stack does not know this function yet.
async fn swap_code(
    client: &Client,
    made: &Made,
    logical_id: &str,
    path: &std::path::Path,
) -> Result<bool, String> {
    let is_it = |r: &&crate::stack::Resource| {
        r.logical_id == logical_id && r.kind == "AWS::Lambda::Function"
    };
    let Some(function) = made.resources.iter().find(is_it) else { return Ok(false) };
    let zip = package::archive(path)?;
    let body = json!({"ZipFile": base64_encode(&zip)}).to_string().into_bytes();
    let name = percent_encode(&function.physical_id, false);
    let path = format!("/2015-03-31/functions/{name}/code");
    client.send("lambda", Method::PUT, &path, &[], body).await?;
    println!("  {logical_id}: code updated");
    Ok(true)
}
