//! Items read, queried and written, beside a bare HTTP server and a bare disk.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{self, Connection};
use crate::measure::{Contender, RUN, race, ratio};
use crate::report::{Report, Want};
use crate::server::Server;
use crate::{limits, signed};

const ITEMS: usize = 1000;
/// What memory must not depend on.
const REQUESTS: [usize; 2] = [10_000, 1_000_000];

fn gets() -> Vec<Vec<u8>> {
    let get = |n: usize| json!({"TableName": "bench", "Key": {"id": {"S": format!("item-{n}")}}});
    (0..ITEMS).map(|n| signed::dynamodb("GetItem", &get(n))).collect()
}

fn puts() -> Vec<Vec<u8>> {
    (0..ITEMS).map(|n| signed::dynamodb("PutItem", &item("bench", n))).collect()
}

fn queries() -> Vec<Vec<u8>> {
    let query = json!({
        "TableName": "lists",
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "list"}},
        "Limit": 10,
    });
    vec![signed::dynamodb("Query", &query)]
}

pub async fn speed(report: &mut Report, folder: &Path) -> Result<(), String> {
    let bare = Server::bare()?;
    let (sereno, _) = Server::sereno(&folder.join("dynamodb")).await?;
    fill(sereno.port).await?;
    report.heading("DynamoDB, signatures verified; limit: bare hyper on the same requests");
    let contenders = |requests: &[fn() -> Vec<Vec<u8>>]| -> Vec<Contender<'_>> {
        let bare = Contender { server: &bare, requests: gets() };
        let ours = requests.iter().map(|make| Contender { server: &sereno, requests: make() });
        std::iter::once(bare).chain(ours).collect()
    };
    let many = race(&contenders(&[gets, queries]), 16).await?;
    let one = race(&contenders(&[gets]), 1).await?;
    let [(limit, limit_cpu), (get, get_cpu), (query, query_cpu)] = &many[..] else {
        return Err("a race without results".to_owned());
    };
    let rate =
        |what, ours: f64, must| ratio(what, ours, limit.per_second, "/s", Want::AtLeast(must));
    report.ratio(&rate("GetItem, 16 connections", get.per_second, 0.45));
    report.ratio(&rate("Query of 10 items, 16 connections", query.per_second, 0.20));
    report.ratio(&ratio(
        "GetItem, 1 connection, p50",
        one[1].0.p50_us,
        one[0].0.p50_us,
        "µs",
        Want::AtMost(2.0),
    ));
    report.note(&format!(
        "p99 at 16 connections: GetItem {:.0} µs, bare {:.0} µs",
        get.p99_us, limit.p99_us
    ));
    report.note(&format!(
        "processor time of the server a request: GetItem {get_cpu:.1} µs, Query {query_cpu:.1} µs, \
         bare {limit_cpu:.1} µs"
    ));
    writes(report, folder, &sereno).await
}

/// Keeps a server that runs already busy with one operation, for a profiler to watch.
pub async fn drive(port: u16, operation: &str, time: Duration) -> Result<(), String> {
    let requests = match operation {
        "get" => gets(),
        "query" => queries(),
        "put" => puts(),
        _ => return Err("drive what? get, query or put".to_owned()),
    };
    if let Err(error) = fill(port).await {
        println!("not filled ({error})");
    }
    let measured = load::run(port, requests, 16, time).await?;
    println!("{operation}: {:.0}/s, p50 {:.0} µs", measured.per_second, measured.p50_us);
    Ok(())
}

async fn writes(report: &mut Report, folder: &Path, sereno: &Server) -> Result<(), String> {
    report.heading("Durable writes; limit: bare appends with shared fdatasync on the same disk");
    let fsync_us = limits::fdatasync_us(folder, 300)?;
    let group = limits::group_commits_per_s(folder, 16, RUN)?;
    let put = [Contender { server: sereno, requests: puts() }];
    let (many, many_cpu) = race(&put, 16).await?.remove(0);
    let (one, _) = race(&put, 1).await?.remove(0);
    report.ratio(&ratio(
        "PutItem, 16 connections",
        many.per_second,
        group,
        "/s",
        Want::AtLeast(0.7),
    ));
    report.ratio(&ratio(
        "PutItem, 1 connection, p50",
        one.p50_us,
        fsync_us,
        "µs",
        Want::AtMost(1.5),
    ));
    report.note(&format!("processor time of the server a PutItem: {many_cpu:.1} µs"));
    let rss = sereno.rss_mib().unwrap_or(f64::NAN);
    report.note(&format!("resident memory after the load: {rss:.1} MiB"));
    Ok(())
}

/// Resident memory after many requests beside that after few: reads alone, then with a write in ten.
pub async fn memory(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.heading("Memory; limit: the same server after the first 10,000 requests");
    let (sereno, _) = Server::sereno(&folder.join("memory")).await?;
    fill(sereno.port).await?;
    let mut mixed = gets();
    for (place, put) in mixed.iter_mut().step_by(10).zip(puts()) {
        *place = put;
    }
    let resident = || sereno.rss_mib().unwrap_or(f64::NAN);
    load::send(sereno.port, gets(), 16, REQUESTS[0]).await?;
    let few = resident();
    load::send(sereno.port, gets(), 16, REQUESTS[1] - REQUESTS[0]).await?;
    let what = "after 1,000,000 reads";
    report.ratio(&ratio(what, resident(), few, "MiB", Want::AtMost(1.2)));
    load::send(sereno.port, mixed, 16, REQUESTS[1]).await?;
    // What was written last is kept in memory, up to a limit that so many writes reach.
    report.bound(
        "after 1,000,000 more, a tenth of them writes",
        resident(),
        "MiB",
        Want::AtMost(64.0),
    );
    Ok(())
}

fn item(table: &str, n: usize) -> Value {
    let value = "x".repeat(220);
    json!({"TableName": table, "Item": {"id": {"S": format!("item-{n}")}, "value": {"S": value}, "n": {"N": "42"}}})
}

async fn fill(port: u16) -> Result<(), String> {
    let mut connection = Connection::open(port).await?;
    let table = |name: &str, schema: &[(&str, &str)]| {
        let keys: Vec<Value> = schema
            .iter()
            .map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind}))
            .collect();
        let attributes: Vec<Value> = schema
            .iter()
            .map(|(name, _)| json!({"AttributeName": name, "AttributeType": "S"}))
            .collect();
        json!({"TableName": name, "KeySchema": keys, "AttributeDefinitions": attributes,
               "BillingMode": "PAY_PER_REQUEST"})
    };
    for input in
        [table("bench", &[("id", "HASH")]), table("lists", &[("id", "HASH"), ("at", "RANGE")])]
    {
        connection.call(&signed::dynamodb("CreateTable", &input)).await?;
    }
    for n in 0..ITEMS {
        connection.call(&signed::dynamodb("PutItem", &item("bench", n))).await?;
    }
    for n in 0..50 {
        let mut input = item("lists", n);
        input["Item"]["id"] = json!({"S": "list"});
        input["Item"]["at"] = json!({"S": format!("{n:04}")});
        connection.call(&signed::dynamodb("PutItem", &input)).await?;
    }
    Ok(())
}
