//! Runs the tables in `tests/data`: blocks of a command, its inputs, `----` and what comes out.
//!
//! Commands: `condition|filter|key|update|projection|partiql <text>`, `number <text>`, `add a b`,
//! `size <json>`.
//! Inputs: `names <json>`, `values <json>`, `item <json>`, `new` (the item is not stored yet).

#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value as Json, json};
use sereno_ddbexpr::partiql::Statement;
use sereno_ddbexpr::{
    Condition, Invalid, Item, Number, Parameter, Placeholders, Projection, Update, Value,
    key_condition, placeholders,
};

fn value_of(json: &Json) -> Value {
    let (kind, inner) = json.as_object().unwrap().iter().next().unwrap();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let number = |json: &Json| Number::parse(json.as_str().unwrap()).unwrap();
    let list = || inner.as_array().unwrap().iter();
    match kind.as_str() {
        "S" => Value::S(text(inner)),
        "N" => Value::N(number(inner)),
        "B" => Value::B(text(inner).into_bytes()),
        "BOOL" => Value::Bool(inner.as_bool().unwrap()),
        "NULL" => Value::Null,
        "M" => Value::M(item_of(inner)),
        "L" => Value::L(list().map(value_of).collect()),
        "SS" => Value::Ss(list().map(text).collect()),
        "NS" => Value::Ns(list().map(number).collect()),
        "BS" => Value::Bs(list().map(|b| text(b).into_bytes()).collect()),
        other => panic!("type {other}"),
    }
}

fn item_of(json: &Json) -> Item {
    json.as_object().unwrap().iter().map(|(k, v)| (k.clone(), value_of(v))).collect()
}

fn json_of(value: &Value) -> Json {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Value::S(s) => json!({ "S": s }),
        Value::N(n) => json!({ "N": n.to_string() }),
        Value::B(b) => json!({ "B": text(b) }),
        Value::Bool(b) => json!({ "BOOL": b }),
        Value::Null => json!({ "NULL": true }),
        Value::M(m) => json!({ "M": item_json(m) }),
        Value::L(l) => json!({ "L": l.iter().map(json_of).collect::<Vec<_>>() }),
        Value::Ss(s) => json!({ "SS": s }),
        Value::Ns(s) => json!({ "NS": s.iter().map(Number::to_string).collect::<Vec<_>>() }),
        Value::Bs(s) => json!({ "BS": s.iter().map(text).collect::<Vec<_>>() }),
    }
}

fn item_json(item: &Item) -> Json {
    Json::Object(item.iter().map(|(k, v)| (k.to_owned(), json_of(v))).collect::<Map<_, _>>())
}

#[derive(Default)]
struct Inputs {
    names: Map<String, Json>,
    values: Map<String, Json>,
    item: Option<Item>,
    new: bool,
}

fn run(command: &str, inputs: &Inputs) -> Result<String, Invalid> {
    let (verb, text) = command.split_once(' ').unwrap_or((command, ""));
    let with = Placeholders::new(
        inputs.names.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())),
        inputs.values.iter().map(|(k, v)| (k.clone(), value_of(v))),
    );
    let item = inputs.item.clone().unwrap_or_default();
    let out = match verb {
        "condition" | "filter" => {
            let parameter = if verb == "filter" { Parameter::Filter } else { Parameter::Condition };
            let condition = Condition::parse(parameter, text, &with)?;
            with.check_all_used()?;
            inputs.item.as_ref().map_or("ok".into(), |item| condition.holds(item).to_string())
        }
        "key" => key_condition::parse(text, &with)?
            .iter()
            .map(|c| {
                let values: Vec<_> = c.values.iter().map(Value::display).collect();
                format!("{} {} {}", c.attribute, c.operator.name(), values.join(" "))
            })
            .collect::<Vec<_>>()
            .join("; "),
        "projection" => {
            let projection = Projection::parse(text, &with)?;
            with.check_all_used()?;
            item_json(&projection.apply(&item)).to_string()
        }
        "update" => {
            let update = Update::parse(text, &with)?;
            with.check_all_used()?;
            match &inputs.item {
                None => "ok".into(),
                Some(item) => item_json(&update.apply(item, !inputs.new)?).to_string(),
            }
        }
        "partiql" => {
            // Parameters are the values in the order of their names.
            let parameters: Vec<Value> = inputs.values.values().map(value_of).collect();
            partiql(text, &parameters, inputs.item.as_ref())?
        }
        "number" => Number::parse(text)?.to_string(),
        "add" => {
            let (a, b) = text.split_once(' ').unwrap();
            Number::parse(a)?.add(&Number::parse(b)?)?.to_string()
        }
        "size" => value_of(&serde_json::from_str(text).unwrap()).size().to_string(),
        "keys" => {
            let keys: Vec<&str> = text.split_whitespace().collect();
            placeholders::check_keys("ExpressionAttributeNames", '#', keys)?;
            "ok".into()
        }
        other => panic!("verb {other}"),
    };
    Ok(out)
}

/// Of a read: whether it finds the item, and what it shows of it. Of a write: the item afterwards.
fn partiql(text: &str, parameters: &[Value], item: Option<&Item>) -> Result<String, Invalid> {
    let holds = |condition: &Option<Condition>, item: &Item| {
        condition.as_ref().is_none_or(|condition| condition.holds(item))
    };
    Ok(match (Statement::parse(text, parameters)?, item) {
        (Statement::Insert { item, .. }, _) => item_json(&item).to_string(),
        (_, None) => "ok".into(),
        (Statement::Select(select) | Statement::Exists(select), Some(item)) => {
            if holds(&select.condition, item) {
                item_json(&select.show(item.clone())).to_string()
            } else {
                "nothing".into()
            }
        }
        (Statement::Update { update, condition, .. }, Some(item)) => {
            if holds(&condition, item) {
                item_json(&update.apply(item, true)?).to_string()
            } else {
                "nothing".into()
            }
        }
        (Statement::Delete { condition, .. }, Some(item)) => holds(&condition, item).to_string(),
    })
}

fn check(name: &str, data: &str) {
    let mut failures = Vec::new();
    let mut defaults = Inputs::default();
    let mut count = 0;
    for block in data.split("\n\n") {
        let lines: Vec<&str> =
            block.lines().filter(|line| !line.starts_with("//") && !line.is_empty()).collect();
        let Some((command, rest)) = lines.split_first() else { continue };
        let cut = rest.iter().position(|line| *line == "----");
        let (given, expected) = rest.split_at(cut.unwrap_or(rest.len()));
        let mut inputs = Inputs {
            names: defaults.names.clone(),
            values: defaults.values.clone(),
            item: defaults.item.clone(),
            new: false,
        };
        let set = |inputs: &mut Inputs, line: &str| {
            let (key, json) = line.split_once(' ').unwrap_or((line, "{}"));
            let json: Json = serde_json::from_str(json)
                .unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
            match key {
                "names" => inputs.names = json.as_object().unwrap().clone(),
                "values" => inputs.values = json.as_object().unwrap().clone(),
                "item" => inputs.item = Some(item_of(&json)),
                "new" => inputs.new = true,
                other => panic!("{name}: input {other}"),
            }
        };
        if *command == "defaults" {
            defaults = Inputs::default();
            rest.iter().for_each(|line| set(&mut defaults, line));
            continue;
        }
        given.iter().for_each(|line| set(&mut inputs, line));
        let expected = expected.get(1..).unwrap_or_default().join("\n");
        let got = run(command, &inputs).unwrap_or_else(|invalid| invalid.0);
        count += 1;
        if got != expected {
            failures.push(format!("{command}\n  wanted {expected}\n  got    {got}"));
        }
    }
    assert!(count > 0, "{name} holds no block");
    assert!(failures.is_empty(), "{name}: {} of {count}\n{}", failures.len(), failures.join("\n"));
}

macro_rules! tables {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("data/", stringify!($name), ".txt")));
        }
    )*};
}

tables! { syntax conditions keys updates projections numbers partiql_reads partiql_writes partiql_refused }
