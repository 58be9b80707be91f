//! `cargo xtask model-pull | codegen [--check] [service..] | new-service NAME | tidy`

use std::process::ExitCode;

use xtask::{Result, arrows, codegen, new_service, pull, root, tidy};

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
        Some("new-service") => new_service::run(&root(), words.next().unwrap_or_default()),
        Some("tidy") => tidy_up(),
        _ => Err("usage: cargo xtask model-pull | codegen [--check] [service..] | \
                  new-service NAME | tidy"
            .into()),
    }
}

/// Style and structure: everything that is not as the house wants it.
fn tidy_up() -> Result<()> {
    let mut found = tidy::violations(&root())?;
    found.extend(arrows::violations()?);
    for violation in &found {
        println!("{violation}");
    }
    match found.len() {
        0 => Ok(()),
        number => Err(format!("{number} things are not tidy").into()),
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
