//! What is measured, in the order of the report.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sereno_base::base64_encode;
use sereno_wire::body::Method;

use crate::load::{self, Connection};
use crate::report::{Line, Report, Want, median};
use crate::server::Server;
use crate::{limits, signed};

const RUN: Duration = Duration::from_secs(4);
const STARTS: usize = 9;
const ITEMS: usize = 1000;
const COLD_STARTS: usize = 15;

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
            dynamodb(&mut report, &folder).await?;
        }
        if wants("lambda") {
            lambda(&mut report, &folder).await?;
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

fn ratio(what: &str, ours: f64, limit: f64, unit: &'static str, must: Want) -> Line {
    Line { what: what.to_owned(), ours, limit, unit, must }
}

async fn dynamodb(report: &mut Report, folder: &Path) -> Result<(), String> {
    let bare = Server::bare()?;
    let (sereno, _) = Server::sereno(&folder.join("dynamodb")).await?;
    fill(sereno.port).await?;
    report.heading("DynamoDB, signatures verified; limit: bare hyper on the same requests");
    let gets = || {
        let get =
            |n: usize| json!({"TableName": "bench", "Key": {"id": {"S": format!("item-{n}")}}});
        (0..ITEMS).map(|n| signed::dynamodb("GetItem", &get(n))).collect::<Vec<_>>()
    };
    let limit_16 = load::run(bare.port, gets(), 16, RUN).await?;
    let limit_1 = load::run(bare.port, gets(), 1, RUN).await?;
    let get_16 = load::run(sereno.port, gets(), 16, RUN).await?;
    let get_1 = load::run(sereno.port, gets(), 1, RUN).await?;
    let must = Want::AtLeast(0.45);
    report.ratio(&ratio(
        "GetItem, 16 connections",
        get_16.per_second,
        limit_16.per_second,
        "/s",
        must,
    ));
    report.ratio(&ratio(
        "GetItem, 1 connection, p50",
        get_1.p50_us,
        limit_1.p50_us,
        "µs",
        Want::AtMost(2.0),
    ));
    report.note(&format!(
        "p99 at 16 connections {:.0} µs, bare {:.0} µs",
        get_16.p99_us, limit_16.p99_us
    ));
    let query = json!({
        "TableName": "lists",
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "list"}},
        "Limit": 10,
    });
    let queries = vec![signed::dynamodb("Query", &query)];
    let query_16 = load::run(sereno.port, queries, 16, RUN).await?;
    let must = Want::AtLeast(0.20);
    report.ratio(&ratio(
        "Query of 10 items, 16 connections",
        query_16.per_second,
        limit_16.per_second,
        "/s",
        must,
    ));

    report.heading("Durable writes; limit: bare appends with shared fdatasync on the same disk");
    let puts =
        || (0..ITEMS).map(|n| signed::dynamodb("PutItem", &item("bench", n))).collect::<Vec<_>>();
    let fsync_us = limits::fdatasync_us(folder, 300)?;
    let group = limits::group_commits_per_s(folder, 16, RUN)?;
    let put_16 = load::run(sereno.port, puts(), 16, RUN).await?;
    let put_1 = load::run(sereno.port, puts(), 1, RUN).await?;
    report.ratio(&ratio(
        "PutItem, 16 connections",
        put_16.per_second,
        group,
        "/s",
        Want::AtLeast(0.7),
    ));
    report.ratio(&ratio(
        "PutItem, 1 connection, p50",
        put_1.p50_us,
        fsync_us,
        "µs",
        Want::AtMost(1.5),
    ));
    report.note(&format!(
        "resident memory after the load: {:.1} MiB",
        sereno.rss_mib().unwrap_or(f64::NAN)
    ));
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

struct Runtime {
    name: &'static str,
    identifier: &'static str,
    file: &'static str,
    code: &'static str,
    interpreter: &'static str,
    bare_start: &'static [&'static str],
}

const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "Python",
        identifier: "python3.12",
        file: "index.py",
        code: "def handler(event, context):\n    return {'n': event['n']}\n",
        interpreter: "python3",
        bare_start: &["python3", "-I", "-c", "pass"],
    },
    Runtime {
        name: "Node.js",
        identifier: "nodejs20.x",
        file: "index.js",
        code: "exports.handler = async (event) => ({ n: event.n });\n",
        interpreter: "node",
        bare_start: &["node", "-e", "0"],
    },
];

async fn lambda(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.heading("Lambda, through the public API, signed");
    let bare = Server::bare()?;
    let (sereno, _) = Server::sereno(&folder.join("lambda")).await?;
    make_role(sereno.port).await?;
    for runtime in RUNTIMES {
        let (Some(pipe_us), Some(bare_ms)) = (
            limits::pipe_us(runtime.interpreter, 2000),
            limits::process_ms(runtime.bare_start, 15),
        ) else {
            report.note(&format!(
                "{}: skipped, {} is not installed",
                runtime.name, runtime.interpreter
            ));
            continue;
        };
        let hyper_us = load::run(bare.port, vec![signed::invoke("warm")], 1, RUN / 2).await?.p50_us;
        let warm = format!("warm-{}", runtime.interpreter);
        create(sereno.port, runtime, &warm).await?;
        let one = load::run(sereno.port, vec![signed::invoke(&warm)], 1, RUN).await?;
        let what = format!("{} warm, 1 connection, p50", runtime.name);
        report.ratio(&ratio(&what, one.p50_us, hyper_us + pipe_us, "µs", Want::AtMost(3.0)));
        let many = load::run(sereno.port, vec![signed::invoke(&warm)], 16, RUN).await?;
        let what = format!("{} warm, 16 connections", runtime.name);
        report.bound(&what, many.per_second, "/s", Want::AtLeast(5000.0));
        let cold_ms = cold(sereno.port, runtime).await?;
        let what = format!("{} cold, first call of a function, p50", runtime.name);
        report.ratio(&ratio(&what, cold_ms, bare_ms, "ms", Want::AtMost(0.5)));
    }
    let idle = sereno.rss_mib().unwrap_or(f64::NAN);
    report.note(&format!("resident memory of the server afterwards: {idle:.1} MiB"));
    Ok(())
}

const ROLE: &str = "arn:aws:iam::000000000000:role/bench";

async fn make_role(port: u16) -> Result<(), String> {
    let trust = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A\
        %22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%2C%22Version%22%3A\
        %222012-10-17%22%7D";
    let form = format!(
        "Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument={trust}"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let request = signed::request("iam", Method::POST, "/", &headers, form.as_bytes());
    Connection::open(port).await?.call(&request).await.map(|_| ())
}

async fn create(port: u16, runtime: &Runtime, name: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(runtime.file, options).map_err(|error| failed(&error))?;
    zip.write_all(runtime.code.as_bytes()).map_err(|error| failed(&error))?;
    let bytes = zip.finish().map_err(|error| failed(&error))?.into_inner();
    let input = json!({
        "FunctionName": name,
        "Runtime": runtime.identifier,
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": base64_encode(&bytes)},
    });
    let path = "/2015-03-31/functions";
    let request = signed::request("lambda", Method::POST, path, &[], input.to_string().as_bytes());
    Connection::open(port).await?.call(&request).await.map(|_| ())
}

/// The first call of functions that have never run; the runtime itself has.
async fn cold(port: u16, runtime: &Runtime) -> Result<f64, String> {
    let mut connection = Connection::open(port).await?;
    let mut taken = Vec::new();
    for n in 0..COLD_STARTS {
        let name = format!("cold-{}-{n}", runtime.interpreter);
        create(port, runtime, &name).await?;
        let request = signed::invoke(&name);
        let started = Instant::now();
        connection.call(&request).await?;
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut taken))
}
