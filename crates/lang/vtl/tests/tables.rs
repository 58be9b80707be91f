//! The tables under `tests/tables`: what Velocity 1.7, Jayway's `JSONPath` 2.4 and AWS answer.

use std::rc::Rc;

use indexmap::IndexMap;
use sereno_vtl::jsonpath::Path;
use sereno_vtl::{Input, Limits, Map, Scope, Template, Util, Value, json};

const VARIABLES: &str = r#"{"a":"AA","b":7,"s":"abcb","l":["p",2,{"k":"v"}],
    "m":{"x":"X","y":3.5,"l":[{"k":1},{"k":"two/x"}],"n":null},
    "n":12345678901,"d":1.5e8,"t":true,"f":false}"#;

fn scope(body: &str) -> Scope {
    let mut scope = Scope::default();
    if let Some(Value::Map(variables)) = json::read(VARIABLES) {
        for (name, value) in variables.walk() {
            scope.set(&name, value);
        }
    }
    let map = |text: &str| match json::read(text) {
        Some(Value::Map(map)) => map,
        _ => Map::new(IndexMap::new()),
    };
    let header = map(r#"{"Content-Type":"application/json"}"#);
    let input = Input::new(body, map(r#"{"id":"p1"}"#), map(r#"{"id":"q1","q":"x y"}"#), header);
    scope.set("input", Value::Object(input));
    scope.set("util", Value::Object(Rc::new(Util)));
    scope
}

fn render(template: &str, body: &str) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    template.render(&mut scope(body), &Limits::default()).map_err(|error| error.to_string())
}

/// Lines of a table without comments, as (mark, text).
fn lines(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn text(json: &str) -> String {
    serde_json::from_str(json).expect("the tables hold JSON strings")
}

#[test]
fn templates() {
    let mut template = String::new();
    let mut seen = 0;
    for (mark, rest) in lines(include_str!("tables/templates.txt")) {
        match mark {
            "T" => template = text(rest),
            "O" => assert_eq!(render(&template, "{}"), Ok(text(rest)), "{template}"),
            _ => assert!(render(&template, "{}").is_err(), "{template}"),
        }
        seen += 1;
    }
    assert!(seen > 200);
}

#[test]
fn paths() {
    let mut document = Value::Null;
    let mut path = String::new();
    for (mark, rest) in lines(include_str!("tables/paths.txt")) {
        let found = || Path::parse(&path).map(|path| path.find(&document).map(|v| json::write(&v)));
        match mark {
            "D" => document = json::read(rest).unwrap(),
            "P" => path = text(rest),
            "V" => assert_eq!(found(), Ok(Some(rest.to_owned())), "{path}"),
            "N" => assert_eq!(found(), Ok(None), "{path}"),
            _ => assert!(found().is_err(), "{path}"),
        }
    }
}

#[test]
fn gateway() {
    let (mut body, mut template) = (String::new(), String::new());
    for (mark, rest) in lines(include_str!("tables/gateway.txt")) {
        match mark {
            "B" => body = text(rest),
            "T" => template = text(rest),
            "O" => assert_eq!(render(&template, &body), Ok(text(rest)), "{template} of {body}"),
            _ => assert!(render(&template, &body).is_err(), "{template} of {body}"),
        }
    }
}

#[test]
fn no_template_runs_for_ever() {
    for template in [
        "#set($a='xxxxxxxxxx')#foreach($i in [1..1000])#set($a=$a+$a)#end",
        "#set($a=[])#set($x=$a.add($a))$a",
        "#set($m={})#set($m.m=$m)$m $input.json('$')",
        "#macro(r)#r()#end#r()",
        "#set($a='$a$a')#foreach($i in [1..60])#set($a=\"$a$a\")#end$a",
        "#foreach($i in [1..1000])#foreach($j in [1..1000])#foreach($k in [1..1000])x#end#end#end",
        "#set($a=['x','y'])#foreach($i in [1..60])#set($a=[$a,$a])#end$a",
        "#set($a=['x'])#set($b=['x'])#foreach($i in [1..60])#set($a=[$a,$a])#set($b=[$b,$b])#end#if($a==$b)y#end",
        "#set($s='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')$s.matches('(a*)*b')",
        "#foreach($i in [1..900000000])#end",
    ] {
        let small = Limits { steps_max: 100_000, ..Limits::default() };
        let template = Template::parse(template).unwrap();
        let _ = template.render(&mut scope("{}"), &small);
    }
    let deep = format!("{}x{}", "#if(true)".repeat(5000), "#end".repeat(5000));
    assert!(render(&deep, "{}").is_err());
    let deep = format!("#set($x={}1{})", "[".repeat(5000), "]".repeat(5000));
    assert!(render(&deep, "{}").is_err());
    assert!(json::read(&"[".repeat(100_000)).is_none());
}

#[test]
fn templates_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Template::parse("$x").unwrap());
}
