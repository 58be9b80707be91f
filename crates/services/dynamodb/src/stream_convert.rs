//! Items as DynamoDB Streams' own model spells them.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use sereno_api_dynamodbstreams::AttributeValue;
use sereno_ddbexpr::{Item, Number, Value};

pub fn item_out(item: Item) -> BTreeMap<String, AttributeValue> {
    item.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

fn value_out(value: Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(number) => AttributeValue::N(number.to_string()),
        Value::B(bytes) => AttributeValue::B(bytes.into()),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Null => AttributeValue::Null(true),
        Value::M(map) => AttributeValue::M(item_out(map)),
        Value::L(list) => AttributeValue::L(list.into_iter().map(value_out).collect()),
        Value::Ss(set) => AttributeValue::Ss(set),
        Value::Ns(set) => AttributeValue::Ns(set.iter().map(Number::to_string).collect()),
        Value::Bs(set) => AttributeValue::Bs(set.into_iter().map(bytes::Bytes::from).collect()),
    }
}

/// 32 hexadecimal digits, the same whenever the record is read.
pub fn event_id(stream: u64, sequence: &str) -> String {
    let mut md5 = Md5::new();
    md5.update(stream.to_be_bytes());
    md5.update(sequence);
    sereno_base::hex(&md5.finalize())
}
