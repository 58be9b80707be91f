//! `codegen`: `crates/api/<svc>/src/lib.rs` from `models/`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::model::Model;
use crate::{Result, SERVICES, emit, root};

/// Writes the files of `only` (all when empty), or with `check` fails when one differs.
pub fn run(only: &[&str], check: bool) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| !SERVICES.contains(name)) {
        return Err(format!("no model of {unknown}").into());
    }
    let mut stale = Vec::new();
    for service in SERVICES.iter().filter(|s| only.is_empty() || only.contains(s)) {
        let path = root().join(format!("crates/api/{service}/src/lib.rs"));
        let fresh = generate(service)?;
        if fs::read_to_string(&path).is_ok_and(|old| old == fresh) {
            continue;
        }
        match check {
            true => stale.push(*service),
            false => fs::write(&path, fresh)?,
        }
    }
    match stale.is_empty() {
        true => Ok(()),
        false => Err(format!("run `cargo xtask codegen`: {} differ", stale.join(", ")).into()),
    }
}

pub fn generate(service: &str) -> Result<String> {
    let source = fs::read_to_string(root().join("models/SOURCE"))?;
    let model = Model::load(service)?;
    format(&emit::emit(&model, source.lines().next().unwrap_or_default()))
}

fn format(code: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("rustfmt takes no input")?;
    let text = code.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    feeder.join().map_err(|_| "the thread that feeds rustfmt panicked")??;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err("rustfmt refused the generated code".into()),
    }
}
