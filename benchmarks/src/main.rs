//! Side-by-side measurements: every figure of Sereno beside the limit that the machine itself sets, in one run.
//!
//! `./bench` builds and runs it. Figures are not comparable between machines or runs; ratios are.

mod dynamodb;
mod lambda;
mod limits;
mod load;
mod measure;
mod report;
mod s3;
mod server;
mod signed;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match arguments.first().map(String::as_str) {
        // This same program is also the bare server that Sereno is compared with.
        Some("bare-server") => runtime.block_on(limits::bare_server()),
        Some("drive") => runtime.block_on(drive(&arguments[1..])),
        Some("--help" | "-h") => {
            println!(
                "usage: ./bench [start] [dynamodb] [memory] [s3] [lambda]   (all without a word)"
            );
            Ok(())
        }
        _ => runtime.block_on(measure::all(&arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn drive(arguments: &[String]) -> Result<(), String> {
    let wrong = || "usage: drive PORT get|query|put SECONDS".to_owned();
    let [port, operation, seconds] = arguments else { return Err(wrong()) };
    let (port, seconds) = port.parse().ok().zip(seconds.parse().ok()).ok_or_else(wrong)?;
    dynamodb::drive(port, operation, std::time::Duration::from_secs(seconds)).await
}
