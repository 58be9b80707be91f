//! `cargo xtask new-service NAME`: makes the rooms of a service, so that all look alike from the first line on.

use std::fs;
use std::path::Path;

use crate::Result;

/// File below the service's folder and its text; NAME is replaced.
const ROOMS: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[package]\nname = \"sereno-NAME\"\nversion.workspace = true\nedition.workspace = true\n\
         rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\n\
         [lints]\nworkspace = true\n\n[dependencies]\nsereno-api-NAME.workspace = true\n\
         sereno-base.workspace = true\nsereno-kernel.workspace = true\nsereno-store.workspace = true\n\
         sereno-wire.workspace = true\n\n[dev-dependencies]\nsereno-testkit.workspace = true\n\
         tokio.workspace = true\n",
    ),
    (
        "README.md",
        "# NAME\n\nWhat it is.\n\n## Operations\n\n| operation | state |\n|---|---|\n\n\
         ## Limits\n\n## Known differences from AWS\n",
    ),
    (
        "src/lib.rs",
        "//! NAME: what it is.\n//!\n//! Invariants: ...\n\nmod access;\nmod errors;\nmod rules;\nmod state;\n\n\
         use sereno_api_NAME as api;\nuse sereno_kernel::Service;\n\n\
         /// The table of contents.\npub fn service() -> Service {\n    Service::new(&api::SERVICE)\n}\n",
    ),
    (
        "src/access.rs",
        "//! What each operation needs to be allowed: action, resource, condition keys.\n",
    ),
    (
        "src/errors.rs",
        "//! NAME's errors: AWS's codes and exact sentences. Nothing else makes them.\n",
    ),
    ("src/rules.rs", "//! Decisions: pure functions of their arguments.\n"),
    ("src/state.rs", "//! Records, tables and every key of this service.\n"),
];

pub fn run(root: &Path, name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err("a service's name has lower-case letters and digits only".into());
    }
    let folder = root.join("crates/services").join(name);
    if folder.exists() {
        return Err(format!("{} exists already", folder.display()).into());
    }
    for (file, text) in ROOMS {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, text.replace("NAME", name))?;
    }
    let operations = root.join("models/operations").join(format!("{name}.txt"));
    if !operations.exists() {
        fs::write(&operations, "")?;
    }
    println!(
        "Made crates/services/{name}. Next:\n\
         1. list its operations in models/operations/{name}.txt\n\
         2. cargo xtask model-pull && cargo xtask codegen {name}\n\
         3. add sereno-api-{name} and sereno-{name} to [workspace.dependencies] in Cargo.toml\n\
         4. register it: one line in crates/sereno/src/services.rs"
    );
    Ok(())
}
