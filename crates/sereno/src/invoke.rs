//! `sereno invoke`: calls a function and shows its answer and its log.

use std::io::Read;

use clap::Args;
use sereno_base::{base64_decode, percent_encode};
use sereno_wire::body::Method;

use crate::Outcome;
use crate::client::Target;

/// Examples:
///   sereno invoke hello
///   sereno invoke hello --payload '{"name": "Ada"}'
///   sereno invoke hello:PROD --payload @event.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// Name or ARN, with `:version` or `:alias` if wanted.
    function: String,

    /// The event, as JSON; @FILE reads a file, @- standard input.
    #[arg(long, default_value = "{}")]
    payload: String,

    /// Do not wait: Lambda queues the event and retries it if it fails.
    #[arg(long = "async")]
    asynchronous: bool,

    #[command(flatten)]
    target: Target,
}

pub async fn invoke(options: Options) -> Outcome {
    let client = options.target.client()?;
    let payload = payload(&options.payload)?;
    let path =
        format!("/2015-03-31/functions/{}/invocations", percent_encode(&options.function, false));
    let kind = if options.asynchronous { "Event" } else { "RequestResponse" };
    let headers = [("x-amz-invocation-type", kind), ("x-amz-log-type", "Tail")];
    let (response, body) = client.send("lambda", Method::POST, &path, &headers, payload).await?;
    let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(log) = header("x-amz-log-result").and_then(base64_decode) {
        eprint!("{}", String::from_utf8_lossy(&log));
    }
    if options.asynchronous {
        println!("queued");
        return Ok(());
    }
    println!("{}", String::from_utf8_lossy(&body));
    match header("x-amz-function-error") {
        Some(kind) => Err(format!("the function failed ({kind}); its answer is above")),
        None => Ok(()),
    }
}

fn payload(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix('@') {
        Some("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            read.map_err(|error| format!("cannot read standard input: {error}"))?;
            Ok(bytes)
        }
        Some(file) => std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}
