//! Templates as data: `tests/data/*.txt`, each case a template and what becomes of it.
//!
//! A case is `=== title`, lines of `given Name=value`, `export Name=value` or `stage form`, a line `---`,
//! the template, a line `---`, and what is expected: `error: sentence`, or JSON with the resolved properties of
//! every resource that exists and the outputs. Created resources answer `ref-Id` and `att-Id-Name`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sereno_template::parameters::{Given, bind, choose, declared};
use sereno_template::{Environment, Pseudo, Resolver, Result, Template, TemplateError, World};
use sereno_template::{conditions, extensions, graph, rules, transforms};

struct Exports(BTreeMap<String, String>);

impl World for Exports {
    fn reference(&self, logical_id: &str) -> Result<Value> {
        Ok(format!("ref-{logical_id}").into())
    }

    fn attribute(&self, logical_id: &str, name: &str) -> Result<Value> {
        Ok(format!("att-{logical_id}-{name}").into())
    }

    fn export(&self, name: &str) -> Result<Value> {
        let value = self.0.get(name).cloned();
        value
            .map(Value::String)
            .ok_or_else(|| TemplateError::new(format!("No export named {name} found")))
    }

    fn zones(&self, region: &str) -> Vec<String> {
        if region == "eu-west-1" {
            vec!["eu-west-1a".into(), "eu-west-1b".into()]
        } else {
            Vec::new()
        }
    }
}

fn run(template: &str, given: &[(String, Given)], exports: &Exports) -> Result<Value> {
    let mut template = Template::parse(template)?;
    template.check_form()?;
    let parameters = declared(&template)?;
    let chosen = choose(&parameters, given, None)?;
    let pseudo = Pseudo {
        account_id: "000000000000".into(),
        partition: "aws".into(),
        region: "eu-west-1".into(),
        stack_name: "shop".into(),
        url_suffix: "amazonaws.com".into(),
        ..Pseudo::default()
    };
    let mut environment = Environment {
        pseudo,
        parameters: bind(&parameters, &chosen, &chosen),
        ..Default::default()
    };
    if transforms::declared(&template)?.iter().any(|it| it.name == transforms::LANGUAGE_EXTENSIONS)
    {
        let resolver = Resolver { template: &template, environment: &environment, world: exports };
        template = extensions::process(&template, &resolver)?;
    } else {
        extensions::allowed(&template)?;
    }
    template.check()?;
    environment.conditions = conditions::decide(&template, &environment, exports)?;
    graph::check_conditional(&template, &environment.conditions)?;
    graph::dependencies(&template, &environment.conditions)?;
    let resolver = Resolver { template: &template, environment: &environment, world: exports };
    rules::check(&resolver)?;
    let mut result = Map::new();
    for id in resolver.resources()? {
        result.insert(id.to_owned(), resolver.properties(id)?);
    }
    for output in resolver.outputs()? {
        let value = match output.export {
            Some(export) => json!({"value": output.value, "export": export}),
            None => json!(output.value),
        };
        result.insert(format!("Outputs.{}", output.key), value);
    }
    Ok(Value::Object(result))
}

fn case(text: &str) -> std::result::Result<(), String> {
    let mut parts = text.split("\n---\n");
    let (head, template) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let expected = parts.next().unwrap_or_default().trim();
    let title = head.lines().next().unwrap_or_default();
    let mut given = Vec::new();
    let mut exports = BTreeMap::new();
    for line in head.lines().skip(1) {
        let (kind, rest) = line.split_once(' ').unwrap_or_default();
        let (name, value) = rest.split_once('=').unwrap_or_default();
        match kind {
            "given" => given.push((name.to_owned(), Given::Value(value.to_owned()))),
            "export" => drop(exports.insert(name.to_owned(), value.to_owned())),
            _ => return Err(format!("{title}: unknown line {line}")),
        }
    }
    let actual = run(template, &given, &Exports(exports));
    let wrong = match (&actual, expected.strip_prefix("error: ")) {
        (Err(error), Some(sentence)) => error.message() != sentence,
        (Ok(value), None) => serde_json::from_str::<Value>(expected).ok().as_ref() != Some(value),
        _ => true,
    };
    let shown = match actual {
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    };
    if wrong { Err(format!("{title}\n  got      {shown}\n  expected {expected}")) } else { Ok(()) }
}

#[test]
fn cases() {
    let mut failures = Vec::new();
    let mut count = 0;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for block in format!("\n{text}").split("\n=== ").skip(1) {
            count += 1;
            failures.extend(case(block).err());
        }
    }
    assert!(count > 20, "the data files were not found");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
