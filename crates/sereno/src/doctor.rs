//! `sereno doctor`: what this machine has, what is missing, and what to do about it.

use clap::Args;

use sereno_kernel::Sandbox;

use crate::Outcome;
use crate::backup::{self, work};
use crate::client::Target;
use crate::place::PlaceOptions;

#[derive(Args)]
#[command(after_help = "Examples:
  sereno doctor
  sereno doctor --verify --data ./cloud")]
pub struct Options {
    #[command(flatten)]
    place: PlaceOptions,

    /// Read every entry and every object, check them against their checksums and each other. The server may run meanwhile.
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    target: Target,
}

pub async fn doctor(options: Options) -> Outcome {
    if options.verify {
        return verify(&options.place).await;
    }
    let data = options.place.folder();
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
    println!("SDKs that functions need not bring");
    match crate::sdk::folder(&data) {
        Some(folder) => line(true, &folder.display().to_string(), ""),
        None => line(false, "boto3, @aws-sdk, aws-sdk", "fetch them with `sereno sdk`"),
    }
    println!("Sandbox");
    for protection in sandbox.protections().await {
        line(protection.holds, protection.name, &protection.detail);
    }
    Ok(())
}

async fn verify(place: &PlaceOptions) -> Outcome {
    let report = match backup::online(place, "verify").await? {
        Some(report) => report,
        None => {
            let place = place.open_existing().await?;
            let cloud = place.cloud().await?;
            work::verify(&place, &cloud, &backup::show).await?
        }
    };
    backup::conclude(&report, "checked")
}

fn line(good: bool, what: &str, detail: &str) {
    println!("  {} {what:<24} {detail}", if good { "ok     " } else { "missing" });
}
