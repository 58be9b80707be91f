//! Objects, small beside a bare HTTP server, large beside nothing but their size.

use std::path::Path;
use std::time::Instant;

use sereno_wire::body::Method;

use crate::load::Connection;
use crate::measure::{Contender, race, ratio};
use crate::report::{Report, Want, median};
use crate::server::Server;
use crate::signed;

const SMALL: usize = 4 << 10;
const SMALL_KEYS: usize = 1000;
const LARGE: usize = 64 << 20;
const LARGE_ROUNDS: usize = 5;

pub async fn s3(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.heading("S3, signatures and checksums verified; limit: bare hyper on the same requests");
    let bare = Server::bare()?;
    let (sereno, _) = Server::sereno(&folder.join("s3")).await?;
    let mut connection = Connection::open(sereno.port).await?;
    connection.call(&signed::s3(Method::PUT, "/bench", b"")).await?;
    let small = vec![b'x'; SMALL];
    connection.call(&signed::s3(Method::PUT, "/bench/small", &small)).await?;
    let gets = || vec![signed::s3(Method::GET, "/bench/small", b"")];
    let contenders = [
        Contender { server: &bare, requests: gets() },
        Contender { server: &sereno, requests: gets() },
    ];
    let many = race(&contenders, 16).await?;
    let ((limit, limit_cpu), (get, get_cpu)) = (&many[0], &many[1]);
    report.ratio(&ratio(
        "GetObject of 4 KiB, 16 connections",
        get.per_second,
        limit.per_second,
        "/s",
        Want::AtLeast(0.30),
    ));
    report.note(&format!(
        "processor time of the server a request: GetObject {get_cpu:.1} µs, bare {limit_cpu:.1} µs"
    ));
    let puts = [Contender {
        server: &sereno,
        requests: (0..SMALL_KEYS)
            .map(|n| signed::s3(Method::PUT, &format!("/bench/small-{n}"), &small))
            .collect(),
    }];
    let (put, _) = race(&puts, 16).await?.remove(0);
    report.note(&format!("PutObject of 4 KiB, durable, 16 connections: {:.0}/s", put.per_second));
    large(report, &mut connection).await
}

/// The bounds are those of the best peer that was measured: PERF.md's figures of one machine, so a hint on another.
async fn large(report: &mut Report, connection: &mut Connection) -> Result<(), String> {
    let put = signed::s3(Method::PUT, "/bench/large", &vec![b'x'; LARGE]);
    let get = signed::s3(Method::GET, "/bench/large", b"");
    for (what, request, least) in [
        ("PutObject of 64 MiB, durable, 1 connection, p50", put, 317.0),
        ("GetObject of 64 MiB, 1 connection, p50", get, 1039.0),
    ] {
        let mut rates = Vec::new();
        for _ in 0..LARGE_ROUNDS {
            let started = Instant::now();
            connection.call(&request).await?;
            rates.push(LARGE as f64 / 1e6 / started.elapsed().as_secs_f64());
        }
        report.bound(what, median(&mut rates), "MB/s", Want::AtLeast(least));
    }
    Ok(())
}
