//! What is measured, in the order of the report; and what all measurements share.

use std::path::Path;
use std::time::Duration;

use crate::load::{self, Measured};
use crate::report::{Line, Report, Want, median};
use crate::server::Server;
use crate::{dynamodb, lambda, s3};

pub const RUN: Duration = Duration::from_secs(4);
const STARTS: usize = 9;
/// The servers take turns, so that a neighbour's noise meets all of them.
const TURNS: u32 = 3;

pub async fn all(wanted: &[String]) -> Result<(), String> {
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    let folder = std::env::temp_dir().join(format!("sereno-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut report = Report::default();
    let outcome = async {
        if wants("start") {
            start(&mut report, &folder).await?;
        }
        if wants("dynamodb") {
            dynamodb::speed(&mut report, &folder).await?;
        }
        if wants("memory") {
            dynamodb::memory(&mut report, &folder).await?;
        }
        if wants("s3") {
            s3::s3(&mut report, &folder).await?;
        }
        if wants("lambda") {
            lambda::lambda(&mut report, &folder).await?;
        }
        Ok(())
    }
    .await;
    // What is left in the temporary folder is no reason to fail.
    let _ = std::fs::remove_dir_all(&folder);
    report.close();
    outcome
}

async fn start(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.heading("Start");
    let mut taken = Vec::new();
    for round in 0..STARTS {
        let (server, started) = Server::sereno(&folder.join(format!("start-{round}"))).await?;
        taken.push(started.as_secs_f64() * 1e3);
        drop(server);
    }
    report.bound("exec to first answered call, p50", median(&mut taken), "ms", Want::AtMost(50.0));
    let (server, _) = Server::sereno(&folder.join("start-0")).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.rss_mib().unwrap_or(f64::NAN);
    report.bound("resident memory, idle", idle, "MiB", Want::AtMost(30.0));
    Ok(())
}

pub fn ratio(what: &str, ours: f64, limit: f64, unit: &'static str, must: Want) -> Line {
    Line { what: what.to_owned(), ours, limit, unit, must }
}

/// Some requests for one of the servers.
pub struct Contender<'a> {
    pub server: &'a Server,
    pub requests: Vec<Vec<u8>>,
}

/// What each contender did: medians of all turns, and the processor time of the server.
pub async fn race(
    contenders: &[Contender<'_>],
    connections: usize,
) -> Result<Vec<(Measured, f64)>, String> {
    let mut turns: Vec<Vec<(Measured, f64)>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..TURNS {
        for (contender, turns) in contenders.iter().zip(&mut turns) {
            let (server, requests) = (contender.server, contender.requests.clone());
            let before = server.cpu_us();
            let measured = load::run(server.port, requests, connections, RUN / TURNS).await?;
            let cpu_us = server.cpu_us().zip(before).map(|(after, before)| after - before);
            let a_request = cpu_us.unwrap_or(f64::NAN) / measured.count;
            turns.push((measured, a_request));
        }
    }
    let middle = |turns: Vec<(Measured, f64)>| {
        let of = |figure: fn(&(Measured, f64)) -> f64| {
            median(&mut turns.iter().map(figure).collect::<Vec<f64>>())
        };
        let measured = Measured {
            count: of(|turn| turn.0.count),
            per_second: of(|turn| turn.0.per_second),
            p50_us: of(|turn| turn.0.p50_us),
            p99_us: of(|turn| turn.0.p99_us),
        };
        (measured, of(|turn| turn.1))
    };
    Ok(turns.into_iter().map(middle).collect())
}
