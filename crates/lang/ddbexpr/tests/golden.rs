//! Stored bytes: what is written today must be read for ever. If this fails, the format changed.

#![allow(clippy::unwrap_used)]

use sereno_ddbexpr::encode::{decode_item, encode_item, key_part, whole_key};
use sereno_ddbexpr::{Item, Number, Value};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(text: &str) -> Value {
    Value::N(Number::parse(text).unwrap())
}

#[test]
fn item() {
    let inner: Item = [("k".to_owned(), Value::Null)].into_iter().collect();
    let item: Item = [
        ("a", Value::S("é".into())),
        ("b", number("-12.5")),
        ("c", Value::B(vec![0, 255])),
        ("d", Value::Bool(true)),
        ("e", Value::M(inner)),
        ("f", Value::L(vec![Value::Bool(false)])),
        ("g", Value::Ss(vec!["x".into()])),
        ("h", Value::Ns(vec![Number::ZERO])),
        ("i", Value::Bs(vec![vec![7]])),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    let bytes = encode_item(&item);
    assert_eq!(
        hex(&bytes),
        "010901610002c3a901620181ffff7d016302\
         0200ff01640401650601016b0501660701030167080101780168090100000001690a010107"
            .replace(char::is_whitespace, "")
    );
    assert_eq!(decode_item(&bytes), Ok(item));
}

#[test]
fn keys() {
    let whole = |value: Value| hex(&whole_key(&value).unwrap());
    assert_eq!(whole(Value::S("a\0b".into())), "610062");
    assert_eq!(whole(number("0")), "80");
    assert_eq!(whole(number("1")), "c0820b00");
    assert_eq!(whole(number("12.5")), "c0830d3300");
    assert_eq!(whole(number("-12.5")), "407cf2ccff");
    let mut part = Vec::new();
    key_part(&Value::S("a\0b".into()), &mut part);
    assert_eq!(hex(&part), "6100ff620001");
}
