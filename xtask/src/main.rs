//! `cargo xtask model-pull | codegen [--check] [service..]`

use std::process::ExitCode;

use xtask::{Result, codegen, pull};

fn run(arguments: &[String]) -> Result<()> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("model-pull") => pull::run(),
        Some("codegen") => {
            let rest: Vec<&str> = words.collect();
            let check = rest.contains(&"--check");
            let only: Vec<&str> = rest.into_iter().filter(|w| !w.starts_with("--")).collect();
            codegen::run(&only, check)
        }
        _ => Err("usage: cargo xtask model-pull | codegen [--check] [service..]".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
