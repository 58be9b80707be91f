//! `model-pull`: AWS's API models from the botocore package, at one pinned version.
//!
//! What only SDKs need (documentation, endpoint rules, examples) is dropped; everything else stays
//! as AWS wrote it. Corrections are in `models/patches`, applied when generating.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Result, SERVICES, root};

const VERSION: &str = "1.44.5";
const SHA256: &str = "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921";

/// Keys that say nothing about the wire.
const DROPPED: &[&str] = &[
    "documentation",
    "documentationUrl",
    "examples",
    "clientContextParams",
    "contextParam",
    "deprecatedMessage",
    "deprecatedSince",
    "endpointdiscovery",
    "operationContextParams",
    "staticContextParams",
];

pub fn run() -> Result<()> {
    let wheel = download()?;
    let bytes = fs::read(&wheel)?;
    let sum: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if sum != SHA256 {
        return Err(format!("{} has sha256 {sum}, pinned is {SHA256}", wheel.display()).into());
    }
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let names: Vec<String> = (archive.file_names().map(|n| n.map(|n| n.into_owned())))
        .collect::<std::result::Result<_, _>>()?;
    let mut source = format!("botocore {VERSION}\nsha256 {SHA256}\n");
    for service in SERVICES {
        let prefix = format!("botocore/data/{service}/");
        let newest = names
            .iter()
            .filter(|n| n.starts_with(&prefix) && n.ends_with("/service-2.json.gz"))
            .max()
            .ok_or_else(|| format!("no model of {service}"))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(archive.by_name(newest)?).read_to_string(&mut text)?;
        let mut model: Value = serde_json::from_str(&text)?;
        strip(&mut model);
        fs::write(root().join(format!("models/{service}.json")), layout(&model)?)?;
        source.push_str(&format!("{service} {}\n", newest.trim_start_matches("botocore/data/")));
    }
    fs::write(root().join("models/SOURCE"), source)?;
    Ok(())
}

/// The wheel, from the cache or from PyPI through pip.
fn download() -> Result<PathBuf> {
    let cache = root().join(".cache");
    let wheel = cache.join(format!("botocore-{VERSION}-py3-none-any.whl"));
    if wheel.exists() {
        return Ok(wheel);
    }
    let status = Command::new("pip")
        .args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(&cache)
        .arg(format!("botocore=={VERSION}"))
        .status()?;
    match status.success() && Path::new(&wheel).exists() {
        true => Ok(wheel),
        false => Err("pip could not download botocore".into()),
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A shape's members are names of AWS's choosing: never dropped by name.
            if let Some(members) = map.get_mut("members").and_then(Value::as_object_mut) {
                members.values_mut().for_each(strip);
            }
            map.retain(|key, _| !DROPPED.contains(&key.as_str()));
            for (key, inner) in map.iter_mut().filter(|(key, _)| *key != "members") {
                match (key.as_str(), inner.as_object_mut()) {
                    ("shapes" | "operations", Some(named)) => {
                        named.values_mut().for_each(strip);
                    }
                    _ => strip(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// JSON with one operation or shape a line, so that a change of the model reads as a diff.
fn layout(model: &Value) -> Result<String> {
    let mut out = String::from("{\n");
    let top = model.as_object().ok_or("a model is an object")?;
    for (index, (key, value)) in top.iter().enumerate() {
        let comma = if index + 1 < top.len() { "," } else { "" };
        match value.as_object().filter(|_| key == "operations" || key == "shapes") {
            None => out.push_str(&format!("{key:?}:{value}{comma}\n")),
            Some(named) => {
                let lines: Vec<String> =
                    named.iter().map(|(name, one)| format!("{name:?}:{one}")).collect();
                out.push_str(&format!("{key:?}:{{\n{}\n}}{comma}\n", lines.join(",\n")));
            }
        }
    }
    out.push_str("}\n");
    Ok(out)
}
