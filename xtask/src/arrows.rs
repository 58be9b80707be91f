//! Which room may know which: reads the workspace's dependencies and finds arrows that go up or sideways.

use std::process::Command;

use serde_json::Value;

use crate::Result;

/// The level of a crate by its folder below `crates/`; DESIGN of the house: arrows point only downwards.
fn level(folder: &str) -> Option<u8> {
    Some(match folder {
        "base" => 0,
        "wire" => 1,
        folder if folder.starts_with("api/") || folder.starts_with("lang/") => 2,
        "store" => 3,
        "kernel" => 4,
        folder if folder.starts_with("services/") => 5,
        "gateway" | "sandbox" | "console" => 6,
        folder if folder.starts_with("store-") => 6,
        "sereno" | "testkit" => 7,
        _ => return None,
    })
}

/// One sentence for each arrow that should not be there.
pub fn violations() -> Result<Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let folder_of = |package: &Value| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let below = manifest.split("/crates/").nth(1)?;
        below.strip_suffix("/Cargo.toml").map(str::to_owned)
    };
    let mut found = Vec::new();
    for package in &packages {
        let Some(folder) = folder_of(package) else { continue };
        let Some(from) = level(&folder) else {
            found.push(format!("crates/{folder} has no level: name it in xtask/src/arrows.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // What only tests use is no arrow of the house.
            if dependency["kind"] == "dev" {
                continue;
            }
            let name = dependency["name"].as_str().unwrap_or_default();
            let target = packages.iter().find(|p| p["name"] == name).and_then(folder_of);
            let Some(target) = target else { continue };
            let Some(to) = level(&target) else { continue };
            if to > from || (to == from && !same_level_is_fine(&folder, &target)) {
                found.push(format!(
                    "crates/{folder} (level {from}) uses crates/{target} (level {to})"
                ));
            }
        }
    }
    Ok(found)
}

/// Languages may be built of languages; nothing else knows its neighbours.
fn same_level_is_fine(from: &str, to: &str) -> bool {
    from.starts_with("lang/") && to.starts_with("lang/")
}
