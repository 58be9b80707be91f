//! Style as a test: what a reader of the house may rely on and no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// Words that say nothing about what a module is.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "common", "misc", "manager"];

/// What only certain rooms may touch: (text, rooms that may, what to use instead).
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "SystemTime::now",
        &["kernel", "sereno", "sandbox", "store-local", "store-postgres", "store"],
        "ctx.now()",
    ),
    ("thread::sleep", &["sandbox", "store-local"], "a watch, or ctx.now() and a task"),
    ("std::env::var", &["sereno", "sandbox", "store", "testkit"], "an option of `sereno serve`"),
    ("getrandom::", &["kernel", "sandbox", "store-local", "store-postgres"], "ctx.fill_random()"),
];

/// The rooms that every service has.
const SERVICE_ROOMS: &[&str] = &["README.md", "src/lib.rs", "src/errors.rs", "src/access.rs"];

/// One sentence for each thing that is not tidy.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        list(&root.join(folder), &mut files)?;
    }
    files.sort();
    for file in &files {
        let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
        // Generated.
        if name.starts_with("crates/api/") {
            continue;
        }
        check_file(&name, &fs::read_to_string(file)?, &mut found);
    }
    check_services(root, &mut found)?;
    check_dependencies(root, &mut found)?;
    Ok(found)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(name: &str, text: &str, found: &mut Vec<String>) {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        found.push(format!("{name}: the name says nothing; name it after what it is"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{name}: {lines} lines, at most {FILE_LINES_MAX}; split it by noun"));
    }
    let is_test = name.contains("/tests/") || stem == "tests";
    if !is_test && !text.starts_with("//!") && !text.starts_with("#!") {
        found.push(format!("{name}: the file does not begin by saying what it is (//! ...)"));
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let room = name.strip_prefix("crates/").and_then(|rest| rest.split('/').next());
    if let (false, Some(room)) = (is_test, room) {
        for (text, rooms, instead) in RESERVED {
            if code.contains(text) && !rooms.contains(&room) {
                found.push(format!("{name}: {text} is not for this room; use {instead}"));
            }
        }
    }
    check_functions(name, text, found);
}

/// Finds functions by their indentation, which rustfmt guarantees.
fn check_functions(name: &str, text: &str, found: &mut Vec<String>) {
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match open {
            None if is_function(line) && !line.trim_end().ends_with(['}', ';']) => {
                open = Some((number, indent, line.trim()));
            }
            Some((start, depth, head)) if indent == depth && line.trim_start().starts_with('}') => {
                let lines = number - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    let place = start + 1;
                    found.push(format!(
                        "{name}:{place}: {lines} lines, at most {FUNCTION_LINES_MAX}: {head}"
                    ));
                }
                open = None;
            }
            _ => {}
        }
    }
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    ["fn ", "async fn ", "const fn ", "unsafe fn "].iter().any(|word| line.starts_with(word))
}

fn check_services(root: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join("crates/services"))? {
        let folder = entry?.path();
        for room in SERVICE_ROOMS {
            if folder.is_dir() && !folder.join(room).is_file() {
                let name = folder.strip_prefix(root).unwrap_or(&folder).display();
                found.push(format!("{name}: has no {room}"));
            }
        }
    }
    Ok(())
}

/// Every dependency from outside earns its line.
fn check_dependencies(root: &Path, found: &mut Vec<String>) -> Result<()> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let reasons = fs::read_to_string(root.join("docs/dependencies.md"))?;
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    for line in section.lines().take_while(|line| !line.starts_with('[')) {
        let Some((name, _)) = line.split_once('=') else { continue };
        let name = name.trim();
        if !name.starts_with("sereno-") && !reasons.contains(&format!("`{name}`")) {
            found.push(format!("docs/dependencies.md does not say why `{name}` is used"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_are_found_and_short_ones_not() {
        let long = format!("//! x\nfn f() {{\n{}}}\n", "    a();\n".repeat(FUNCTION_LINES_MAX));
        let mut found = Vec::new();
        check_file("crates/kernel/src/x.rs", &long, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
        found.clear();
        check_file("crates/kernel/src/x.rs", "//! x\nfn f() {\n    a();\n}\n", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn reserved_words_are_found() {
        let mut found = Vec::new();
        let text = "//! x\nfn f() { SystemTime::now() }\n";
        check_file("crates/services/sqs/src/x.rs", text, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
