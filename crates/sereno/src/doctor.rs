//! `sereno doctor`: what this machine has, what is missing, and what to do about it.

use std::path::PathBuf;

use clap::Args;

use sereno_kernel::Sandbox;

use crate::Outcome;
use crate::client::Target;
use crate::data_dir::DataDir;

#[derive(Args)]
pub struct Options {
    /// The data folder to look at.
    #[arg(long)]
    data: Option<PathBuf>,

    #[command(flatten)]
    target: Target,
}

pub async fn doctor(options: Options) -> Outcome {
    let data = options.data.unwrap_or_else(DataDir::default_path);
    println!("Data folder");
    if data.is_dir() {
        line(true, &data.display().to_string(), "");
    } else {
        line(true, &data.display().to_string(), "will be made at the first start");
    }
    println!("Server");
    let client = options.target.client()?;
    if client.is_up().await {
        line(true, client.endpoint(), "answers");
    } else {
        line(false, client.endpoint(), "does not answer; start it with `sereno serve`");
    }
    let sandbox = crate::serve::sandbox(&data, None)?;
    println!("Runtimes");
    for (runtime, found) in sandbox.runtimes() {
        match found {
            Ok(interpreter) => line(true, &runtime, &interpreter),
            Err(advice) => line(false, &runtime, &advice),
        }
    }
    println!("Sandbox");
    for protection in sandbox.protections().await {
        line(protection.holds, protection.name, &protection.detail);
    }
    Ok(())
}

fn line(good: bool, what: &str, detail: &str) {
    println!("  {} {what:<24} {detail}", if good { "ok     " } else { "missing" });
}
