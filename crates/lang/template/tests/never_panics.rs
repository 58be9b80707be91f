//! Whatever the text, there is a template or a sentence: never a panic, never a stack overflow.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use sereno_template::{
    Environment, Resolver, Template, World, conditions, diff, extensions, graph,
};
use sereno_template::{parameters, rules, summary, transforms};

struct Nothing;

impl World for Nothing {
    fn reference(&self, logical_id: &str) -> sereno_template::Result<Value> {
        Ok(logical_id.into())
    }

    fn attribute(&self, _: &str, name: &str) -> sereno_template::Result<Value> {
        Ok(name.into())
    }

    fn export(&self, name: &str) -> sereno_template::Result<Value> {
        Ok(name.into())
    }

    fn zones(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Everything that can be done with a text, each step whatever became of the one before.
fn all(text: &str) {
    let Ok(template) = Template::parse(text) else { return };
    let sound = template.check_form().is_ok() && template.check().is_ok();
    let _ = (transforms::names(&template), transforms::next_embedded(&template.to_value()));
    let _ = (summary::Capabilities::of(&template), summary::resource_types(&template));
    let mut environment = Environment::default();
    if let Ok(declared) = parameters::declared(&template)
        && let Ok(chosen) = parameters::choose(&declared, &[], None)
    {
        environment.parameters = parameters::bind(&declared, &chosen, &BTreeMap::new());
    }
    environment.conditions =
        conditions::decide(&template, &environment, &Nothing).unwrap_or_default();
    let resolver = Resolver { template: &template, environment: &environment, world: &Nothing };
    let _ = (rules::check(&resolver), extensions::process(&template, &resolver));
    let _ = graph::dependencies(&template, &environment.conditions);
    let ids: Vec<String> = template.resources().map(|it| it.id.to_owned()).collect();
    for id in ids {
        if let Ok(properties) = resolver.properties(&id) {
            assert!(diff::properties(&properties, &properties).is_empty());
        }
    }
    let _ = (resolver.outputs(), sound);
}

fn samples() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let files = std::fs::read_dir(folder).unwrap();
    let texts = files.map(|it| std::fs::read_to_string(it.unwrap().path()).unwrap());
    let templates = texts.flat_map(|text| {
        text.split("\n=== ")
            .map(|case| case.split("\n---\n").nth(1).unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    });
    templates.collect()
}

#[test]
fn deep_and_wide() {
    for text in [
        "[".repeat(100_000),
        "{".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "- ".repeat(100_000),
        "a: ".repeat(1000),
        "!Sub ".repeat(1000),
        format!("Resources: {}", "{A: ".repeat(90)),
        format!("a: &a x\nb: [{}]", "*a, ".repeat(100_000)),
        "&a ".repeat(1000),
        "? ".repeat(10_000),
        format!("{}x", " ".repeat(900_000)),
        format!("a: |\n{}", "  x\n".repeat(200_000)),
    ] {
        let started = std::time::Instant::now();
        all(&text);
        assert!(started.elapsed().as_secs() < 20, "{} took {:?}", &text[..20], started.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        all(&text);
    }

    #[test]
    fn broken_templates(at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), piece in "[\\[\\]{}:,!&*\"'|> \\n$a-zA-Z0-9-]{0,12}") {
        let samples = samples();
        let mut text = at.get(&samples).clone();
        let mut place = cut.index(text.len() + 1);
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        text.insert_str(place, &piece);
        all(&text);
    }
}
