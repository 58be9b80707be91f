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
    handler: &'static str,
    interpreter: &'static str,
    /// Arguments of the emptiest program; of Java the class is compiled before.
    bare_start: &'static [&'static str],
    cold_at_most: f64,
}

/// Where the Java function is compiled.
const JAVA_FOLDER: &str = "/tmp/sereno-bench-java";

const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "Python",
        identifier: "python3.12",
        file: "index.py",
        code: "def handler(event, context):\n    return {'n': event['n']}\n",
        handler: "index.handler",
        interpreter: "python3",
        bare_start: &["-I", "-c", "pass"],
        cold_at_most: 0.5,
    },
    Runtime {
        name: "Node.js",
        identifier: "nodejs20.x",
        file: "index.js",
        code: "exports.handler = async (event) => ({ n: event.n });\n",
        handler: "index.handler",
        interpreter: "node",
        bare_start: &["-e", "0"],
        cold_at_most: 0.5,
    },
    Runtime {
        name: "Java",
        identifier: "java17",
        file: "App.class",
        code: "public class App { public static Object handle(java.util.Map<String, Object> event) { return event; }\n\
               public static void main(String[] arguments) { System.out.println(\"hello\"); } }\n",
        handler: "App::handle",
        interpreter: "java",
        bare_start: &[
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            "-cp",
            JAVA_FOLDER,
            "App",
        ],
        cold_at_most: 1.0,
    },
];

pub async fn lambda(report: &mut Report, folder: &Path) -> Result<(), String> {
    report.heading("Lambda, through the public API, signed");
    let bare = Server::bare()?;
    let (sereno, _) = Server::sereno(&folder.join("lambda")).await?;
    make_role(sereno.port).await?;
    for runtime in RUNTIMES {
        let interpreter = limits::interpreter(runtime.interpreter).unwrap_or_default();
        let files = runtime.files();
        let start: Vec<&str> =
            [interpreter.as_str()].into_iter().chain(runtime.bare_start.iter().copied()).collect();
        let (Some(files), Some(bare_ms)) = (files, limits::process_ms(&start, 15)) else {
            report.note(&format!(
                "{}: skipped, {} is not installed",
                runtime.name, runtime.interpreter
            ));
            continue;
        };
        let pipe_us = limits::pipe_us(&interpreter, 2000);
        let hyper_us = load::run(bare.port, vec![signed::invoke("warm")], 1, RUN / 2).await?.p50_us;
        let warm = format!("warm-{}", runtime.interpreter);
        create(sereno.port, runtime, &files, &warm).await?;
        let one = load::run(sereno.port, vec![signed::invoke(&warm)], 1, RUN).await?;
        let what = format!("{} warm, 1 connection, p50", runtime.name);
        match pipe_us {
            Some(pipe_us) => {
                let limit = hyper_us + pipe_us;
                report.ratio(&ratio(&what, one.p50_us, limit, "µs", Want::AtMost(3.0)));
            }
            None => report.note(&format!("{what}: {:.1} µs", one.p50_us)),
        }
        let many = load::run(sereno.port, vec![signed::invoke(&warm)], 16, RUN).await?;
        let what = format!("{} warm, 16 connections", runtime.name);
        report.bound(&what, many.per_second, "/s", Want::AtLeast(5000.0));
        let cold_ms = cold(sereno.port, runtime, &files).await?;
        let what = format!("{} cold, first call of a function, p50", runtime.name);
        report.ratio(&ratio(&what, cold_ms, bare_ms, "ms", Want::AtMost(runtime.cold_at_most)));
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

impl Runtime {
    /// The function's package; `None` where it cannot be made.
    fn files(&self) -> Option<Vec<u8>> {
        if self.interpreter != "java" {
            return Some(self.code.as_bytes().to_vec());
        }
        let folder = Path::new(JAVA_FOLDER);
        let source = folder.join("App.java");
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&source, self.code)).ok()?;
        let compiled = std::process::Command::new("javac").arg(&source).status();
        compiled.ok().filter(std::process::ExitStatus::success)?;
        std::fs::read(folder.join(self.file)).ok()
    }
}

async fn create(port: u16, runtime: &Runtime, file: &[u8], name: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(runtime.file, options).map_err(|error| failed(&error))?;
    zip.write_all(file).map_err(|error| failed(&error))?;
    let bytes = zip.finish().map_err(|error| failed(&error))?.into_inner();
    let input = json!({
        "FunctionName": name,
        "Runtime": runtime.identifier,
        "Handler": runtime.handler,
        "Role": ROLE,
        "MemorySize": if runtime.interpreter == "java" { 512 } else { 128 },
        "Code": {"ZipFile": base64_encode(&bytes)},
    });
    let path = "/2015-03-31/functions";
    let request = signed::request("lambda", Method::POST, path, &[], input.to_string().as_bytes());
    Connection::open(port).await?.call(&request).await.map(|_| ())
}

/// The first call of functions that have never run; the runtime itself has.
async fn cold(port: u16, runtime: &Runtime, file: &[u8]) -> Result<f64, String> {
    let mut connection = Connection::open(port).await?;
    let mut taken = Vec::new();
    for n in 0..COLD_STARTS {
        let name = format!("cold-{}-{n}", runtime.interpreter);
        create(port, runtime, file, &name).await?;
        let request = signed::invoke(&name);
        let started = Instant::now();
        connection.call(&request).await?;
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut taken))
}
