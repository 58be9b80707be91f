//! Invocations through the public API, warm and cold, beside a bare interpreter.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use sereno_base::base64_encode;
use sereno_wire::body::Method;

use crate::load::{self, Connection};
use crate::measure::{RUN, ratio};
use crate::report::{Report, Want, median};
use crate::server::Server;
use crate::{limits, signed};

const COLD_STARTS: usize = 15;

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

pub async fn lambda(report: &mut Report, folder: &Path) -> Result<(), String> {
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
