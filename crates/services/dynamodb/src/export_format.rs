//! Lines of exported data: DynamoDB JSON and Amazon Ion text.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html

use std::fmt::Write as _;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::value::base64;
use sereno_ddbexpr::{Item, Number, Value};

use crate::convert;
use crate::export_record::ExportRecord;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Ion,
}

/// A whole item.
pub fn item_line(form: Form, item: Item) -> String {
    match form {
        Form::Json => format!("{{\"Item\":{}}}\n", json(item)),
        Form::Ion => format!("$ion_1_0 {{Item:{}}}\n", ion_item(&item)),
    }
}

/// A change: when, whose, what was and what is.
pub fn change_line(
    form: Form,
    export: &ExportRecord,
    old: Option<Item>,
    new: Option<Item>,
    at_ms: i64,
) -> String {
    let any = new.as_ref().or(old.as_ref());
    let keys: Item = export
        .keys
        .iter()
        .filter_map(|name| Some((name.clone(), any?.get(name)?.clone())))
        .collect();
    // A deletion seen through new images alone is its key.
    let old = old.filter(|_| !export.new_images_only);
    let micros = at_ms * 1000;
    match form {
        Form::Json => {
            let mut line = format!(
                "{{\"Metadata\":{{\"WriteTimestampMicros\":{{\"N\":\"{micros}\"}}}},\"Keys\":{}",
                json(keys)
            );
            for (name, image) in [("OldImage", old), ("NewImage", new)] {
                if let Some(image) = image {
                    let _ = write!(line, ",\"{name}\":{}", json(image));
                }
            }
            line.push_str("}\n");
            line
        }
        Form::Ion => {
            let mut line = format!(
                "$ion_1_0 {{Record:{{Keys:{},Metadata:{{WriteTimestampMicros:{micros}.}}",
                ion_item(&keys)
            );
            for (name, image) in [("OldImage", old), ("NewImage", new)] {
                if let Some(image) = image {
                    let _ = write!(line, ",{name}:{}", ion_item(&image));
                }
            }
            line.push_str("}}\n");
            line
        }
    }
}

fn json(item: Item) -> serde_json::Value {
    let shape = api::GetItemOutput { item: Some(convert::item_out(item)), ..Default::default() };
    let mut shape = sereno_wire::to_json(&shape);
    shape.get_mut("Item").map(serde_json::Value::take).unwrap_or_default()
}

fn ion_item(item: &Item) -> String {
    let mut fields: Vec<(&str, &Value)> = item.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| format!("{}:{}", symbol(name), ion(value)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn ion(value: &Value) -> String {
    let list = |parts: Vec<String>| format!("[{}]", parts.join(","));
    let blob = |bytes: &[u8]| format!("{{{{{}}}}}", base64(bytes));
    match value {
        Value::S(text) => quoted(text, '"'),
        Value::N(number) => decimal(number),
        Value::B(bytes) => blob(bytes),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "null".to_owned(),
        Value::M(map) => ion_item(map),
        Value::L(all) => list(all.iter().map(ion).collect()),
        Value::Ss(set) => {
            format!("$dynamodb_SS::{}", list(set.iter().map(|text| quoted(text, '"')).collect()))
        }
        Value::Ns(set) => {
            format!("$dynamodb_NS::{}", list(set.iter().map(decimal).collect()))
        }
        Value::Bs(set) => {
            format!("$dynamodb_BS::{}", list(set.iter().map(|bytes| blob(bytes)).collect()))
        }
    }
}

/// `103.`, `6d2`, `1.5`: numbers are decimals, and a decimal must look like one.
fn decimal(number: &Number) -> String {
    let (negative, coefficient, exponent) = number.parts();
    let sign = if negative { "-" } else { "" };
    match exponent {
        0 => format!("{sign}{coefficient}."),
        -38..0 => number.to_string(),
        _ => format!("{sign}{coefficient}d{exponent}"),
    }
}

/// A field's name, in quotes if it must be.
fn symbol(name: &str) -> String {
    const KEYWORDS: [&str; 4] = ["null", "true", "false", "nan"];
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit() && first != b'$');
    if plain && !KEYWORDS.contains(&name) { name.to_owned() } else { quoted(name, '\'') }
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    /// The example of AWS's guide, and what is special in Ion.
    #[test]
    fn ion_text() {
        let mut item = Item::new();
        item.insert("Authors", Value::Ss(vec!["Author1".into(), "Author2".into()]));
        item.insert("Id", Value::N(number("103")));
        item.insert("PageCount", Value::N(number("600")));
        item.insert("InPublication", Value::Bool(false));
        item.insert("odd name", Value::S("a \"b\" \\ \n".into()));
        item.insert("null", Value::Null);
        item.insert("raw", Value::B(b"hello".to_vec()));
        item.insert("small", Value::N(number("-1.5")));
        item.insert("tiny", Value::N(number("1E-100")));
        assert_eq!(
            item_line(Form::Ion, item),
            "$ion_1_0 {Item:{Authors:$dynamodb_SS::[\"Author1\",\"Author2\"],Id:103.,\
             InPublication:false,PageCount:6d2,'null':null,'odd name':\"a \\\"b\\\" \\\\ \\n\",\
             raw:{{aGVsbG8=}},small:-1.5,tiny:1d-100}}\n"
        );
    }
}
