//! `sereno logs`: a function's or log group's newest lines, and what comes after them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use sereno_base::Timestamp;

use crate::Outcome;
use crate::client::{Client, Target};

const POLL_EVERY: Duration = Duration::from_millis(300);
/// Lines may come in late by this much: asked for again, shown once.
const OVERLAP_MS: i64 = 5_000;

/// Examples:
///   sereno logs hello
///   sereno logs hello --follow
///   sereno logs /aws/apigateway/shop --since 60 --filter ERROR
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// A function's name, or a log group's if it begins with a slash.
    name: String,

    /// Keep showing what is written.
    #[arg(short, long)]
    follow: bool,

    /// How many minutes back.
    #[arg(long, default_value_t = 10)]
    since: u32,

    /// A CloudWatch Logs filter pattern.
    #[arg(long, default_value = "")]
    filter: String,

    #[command(flatten)]
    target: Target,
}

pub async fn logs(options: Options) -> Outcome {
    let client = options.target.client()?;
    let mut tail = Tail::new(&options.name, i64::from(options.since) * 60_000);
    tail.filter.clone_from(&options.filter);
    loop {
        tail.print_new(&client).await?;
        if !options.follow {
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Where we are in a log group.
pub struct Tail {
    group: String,
    filter: String,
    from_ms: i64,
    shown: std::collections::HashSet<String>,
}

impl Tail {
    pub fn new(name: &str, back_ms: i64) -> Tail {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let group = match name {
            group if group.starts_with('/') => group.to_owned(),
            function => format!("/aws/lambda/{function}"),
        };
        Tail {
            group,
            filter: String::new(),
            from_ms: now_ms - back_ms,
            shown: std::collections::HashSet::new(),
        }
    }

    /// Prints what was not shown yet. A group that is not there yet has nothing to show.
    pub async fn print_new(&mut self, client: &Client) -> Outcome {
        let mut token = Value::Null;
        let mut newest = self.from_ms;
        loop {
            let mut input = json!({
                "logGroupName": self.group,
                "startTime": self.from_ms,
                "interleaved": true,
            });
            if !self.filter.is_empty() {
                input["filterPattern"] = json!(self.filter);
            }
            if !token.is_null() {
                input["nextToken"] = token;
            }
            let page = match client.json("logs", "Logs_20140328.FilterLogEvents", &input).await {
                Ok(page) => page,
                Err(failure) if failure.code == "ResourceNotFoundException" => return Ok(()),
                Err(failure) => return Err(failure.to_string()),
            };
            for event in page["events"].as_array().into_iter().flatten() {
                let time = event["timestamp"].as_i64().unwrap_or(0);
                newest = newest.max(time);
                let id = event["eventId"].as_str().unwrap_or_default().to_owned();
                if self.shown.insert(id) {
                    let message = event["message"].as_str().unwrap_or_default().trim_end();
                    println!("{} {message}", Timestamp::from_millis(time).iso8601_millis());
                }
            }
            token = page.get("nextToken").cloned().unwrap_or(Value::Null);
            if token.is_null() {
                break;
            }
        }
        self.from_ms = self.from_ms.max(newest - OVERLAP_MS);
        Ok(())
    }
}
