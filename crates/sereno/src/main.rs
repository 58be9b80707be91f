//! The `sereno` command: the server, and the tools that talk to it.

mod backup;
mod client;
mod clients;
mod control;
mod data_dir;
mod deploy;
mod doctor;
mod invoke;
mod keys;
mod logs;
mod package;
mod place;
mod sdk;
mod serve;
mod services;
mod stack;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A request makes a hundred small pieces of memory on one thread and often frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The serverless cloud that you own.
#[derive(Parser)]
#[command(name = "sereno", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until it is stopped.
    Serve(serve::Options),
    /// Start a server if none runs, deploy this folder's template, redeploy on save.
    Up(up::Options),
    /// Deploy a template once.
    Deploy(deploy::Options),
    /// Call a function.
    Invoke(invoke::Options),
    /// Show a function's log.
    Logs(logs::Options),
    /// Fetch the AWS SDKs that functions may use without bringing them.
    Sdk(sdk::Options),
    /// Save everything to a folder, while the server goes on.
    Backup(backup::BackupOptions),
    /// Fill an empty data folder or database from a backup.
    Restore(backup::RestoreOptions),
    /// Move everything from a data folder to a database, or back.
    Migrate(backup::MigrateOptions),
    /// Show what this machine has and what is missing; with --verify, read all data and check it.
    Doctor(doctor::Options),
}

/// The sandbox starts this program again under this word, to fork from a process without threads.
const JAIL: &str = "__jail";

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == JAIL) {
        return sereno_sandbox::helper_main();
    }
    let outcome = match Cli::parse().command {
        Command::Serve(options) => run(serve::serve(options)),
        Command::Up(options) => run(up::up(options)),
        Command::Deploy(options) => run(deploy::deploy(options)),
        Command::Invoke(options) => run(invoke::invoke(options)),
        Command::Logs(options) => run(logs::logs(options)),
        Command::Sdk(options) => sdk::fetch(options),
        Command::Backup(options) => run(backup::backup(options)),
        Command::Restore(options) => run(backup::restore(options)),
        Command::Migrate(options) => run(backup::migrate(options)),
        Command::Doctor(options) => run(doctor::doctor(options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sereno: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What to tell the person at the terminal, and what they can do.
type Outcome = Result<(), String>;

fn run(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?
        .block_on(command)
}
