//! Compares the transform with the outputs of AWS's own translator.
//!
//! `conformance/sam_oracle.py` writes the cases: one JSON file each, with the template and, for each
//! partition, the translator's output or errors. The directory is named by `SERENO_SAM_CASES`;
//! without it the test is skipped, because the translator is not part of this repository.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use sereno_sam::{SamContext, transform};
use std::collections::HashMap;
use std::path::Path;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Lists in a fixed order: AWS does not promise one for those made of sets.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(|item| {
                let mut keys = item.clone();
                keys.sort_all_objects();
                keys.to_string()
            });
            Value::Array(items)
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        other => other.clone(),
    }
}

/// Numbers by value: Python prints `1.0` where the template said `1.0`, JSON readers may not.
fn same(a: &Value, b: &Value) -> bool {
    sorted(a) == sorted(b)
}

fn first_difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys() {
                if !b.contains_key(key) {
                    return Some(format!("{path}/{key} is ours alone: {}", a[key]));
                }
            }
            for (key, value) in b {
                let Some(own) = a.get(key) else {
                    return Some(format!("{path}/{key} is missing: {value}"));
                };
                if let Some(found) = first_difference(&format!("{path}/{key}"), own, value) {
                    return Some(found);
                }
            }
            None
        }
        (a, b) if same(a, b) => None,
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let found = a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(index, (a, b))| first_difference(&format!("{path}/{index}"), a, b));
            found.or_else(|| Some(format!("{path}: order")))
        }
        (a, b) => Some(format!("{path}\n   ours   {a}\n   theirs {b}")),
    }
}

fn run(input: &Value, expected: &Value, policies: &Value) -> Result<(), String> {
    let partition = expected["partition"].as_str().unwrap();
    let region = expected["region"].as_str().unwrap();
    let named = |name: &str| policies[partition][name].as_str().map(str::to_owned);
    let applications = |id: &str, _version: &str| match id {
        "no-access" | "non-existent" | "invalid-semver" => {
            Err(format!("Cannot access application: {id}."))
        }
        _ => Ok("https://awsserverlessrepo-changesets-xxx.s3.amazonaws.com/signed-url".to_owned()),
    };
    let mut context = SamContext::new(region, partition);
    context.managed_policies = &named;
    context.applications = &applications;
    context.parameter_values =
        json!({"param1": "value1", "param2": "value2"}).as_object().unwrap().clone();
    match (transform(input, &context), expected.get("ok")) {
        (Ok(ours), Some(theirs)) => {
            if same(&ours, theirs) {
                return Ok(());
            }
            Err(first_difference("", &ours, theirs).unwrap_or_default())
        }
        (Err(error), None) => {
            let theirs: Vec<String> =
                serde_json::from_value(expected["causes"].clone()).unwrap_or_default();
            let (mut a, mut b) = (error.causes.clone(), theirs.clone());
            a.sort();
            b.sort();
            if a == b { Ok(()) } else { Err(format!("ours   {a:#?}\ntheirs {b:#?}")) }
        }
        (Ok(_), None) => Err(format!("we accept; theirs {:#?}", expected["causes"])),
        (Err(error), Some(_)) => Err(format!("we refuse: {error}")),
    }
}

#[test]
fn matches_the_translator() {
    let Ok(directory) = std::env::var("SERENO_SAM_CASES") else {
        eprintln!("skipped: SERENO_SAM_CASES names no cases (see conformance/sam_oracle.py)");
        return;
    };
    let directory = Path::new(&directory);
    let policies = read(&directory.join("managed_policies.json"));
    let known: Vec<String> = std::fs::read_to_string(directory.join("known_differences.txt"))
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    let only = std::env::var("SERENO_SAM_ONLY").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(directory.join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut unexpected = Vec::new();
    for file in files {
        let case = read(&file);
        let name = case["name"].as_str().unwrap().to_owned();
        if !name.contains(&only) {
            continue;
        }
        let outcome = case["runs"]
            .as_array()
            .unwrap()
            .iter()
            .try_for_each(|expected| run(&case["input"], expected, &policies));
        let kind = if case["runs"][0].get("ok").is_some() { "template" } else { "error" };
        let result = match outcome {
            Ok(()) if kind == "template" => "templates that match",
            Ok(()) => "errors that match",
            Err(difference) => {
                println!("--- {name} ({kind})\n{difference}");
                if !known.contains(&name) {
                    unexpected.push(name);
                }
                if kind == "template" { "templates that differ" } else { "errors that differ" }
            }
        };
        *counts.entry(result).or_default() += 1;
    }
    println!("{counts:#?}");
    assert!(unexpected.is_empty(), "{} differ: {unexpected:?}", unexpected.len());
}
