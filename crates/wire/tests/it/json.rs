//! JSON: what is written reads back; what is malformed says so.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use sereno_api_dynamodb::{AttributeValue, PutItemInput};
use sereno_wire::json::{JsonReader, JsonWriter, Names};
use sereno_wire::{DecodeError, Shape, from_json, to_json};

fn attribute() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        any::<String>().prop_map(AttributeValue::S),
        "-?[0-9]{1,20}".prop_map(AttributeValue::N),
        any::<Vec<u8>>().prop_map(|b| AttributeValue::B(Bytes::from(b))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        prop::collection::vec(any::<String>(), 1..4).prop_map(AttributeValue::Ss),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(AttributeValue::L),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(AttributeValue::M),
        ]
    })
}

fn input() -> impl Strategy<Value = PutItemInput> {
    (any::<String>(), prop::collection::btree_map(any::<String>(), attribute(), 0..5))
        .prop_map(|(name, item)| PutItemInput { table_name: name, item, ..PutItemInput::default() })
}

fn write(input: &PutItemInput) -> Vec<u8> {
    JsonWriter::object(Names::Wire, |w| input.write(w))
}

fn read(text: &str) -> Result<PutItemInput, String> {
    let mut reader = JsonReader::new(text, Names::Wire, None);
    let input = PutItemInput::read(&mut reader).map_err(|e| e.to_string())?;
    reader.finish().map_err(|e| e.to_string())?;
    Ok(input)
}

proptest! {
    #[test]
    fn what_is_written_reads_back(input in input()) {
        let text = String::from_utf8(write(&input)).expect("JSON is UTF-8");
        let standard: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        prop_assert_eq!(read(&text).expect("reads"), input.clone());
        // Another writer's spacing and escapes read the same.
        let pretty = serde_json::to_string_pretty(&standard).expect("writes");
        prop_assert_eq!(read(&pretty).expect("reads"), input);
    }

    #[test]
    fn we_accept_no_more_than_json(text in "[\\[\\]{}\",:0-9eE.+\\-tfn \\\\ua]{0,40}") {
        let ours = read(&format!("{{\"x\":{text}}}")).is_ok();
        let theirs: Result<serde_json::Value, _> =
            serde_json::from_str(&format!("{{\"x\":{text}}}"));
        // Half a surrogate pair is the one thing that only we accept; numbers only they refuse.
        if ours && !text.contains("\\u") {
            let out_of_range = theirs.as_ref().is_err_and(|e| e.to_string().contains("number"));
            prop_assert!(theirs.is_ok() || out_of_range, "{text}: {theirs:?}");
        }
    }
}

#[test]
fn types_are_told_apart_in_awss_words() {
    for (json, message) in [
        (r#"{"TableName":1}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"TableName":true}"#, "TRUE_VALUE cannot be converted to String"),
        (r#"{"TableName":{}}"#, "Start of structure or map found where not expected"),
        (r#"{"TableName":["a"]}"#, "Unrecognized collection type class java.lang.String"),
        (r#"{"Item":"a"}"#, "Unexpected field type"),
        (r#"{"Item":{"a":{"BOOL":"x"}}}"#, "Unexpected token received from parser"),
        (r#"{"Item":{"a":{"BOOL":1}}}"#, "NUMBER_VALUE cannot be converted to Boolean"),
        (r#"{"Item":{"a":true}}"#, "Unexpected value type in payload"),
        (r#"{"Expected":{"a":{"Value":1}}}"#, "Unexpected field type"),
        (r#"{"TableName":"a""#, "Unexpected token in JSON"),
        (r#"{"TableName":"a"#, "Unexpected end of JSON"),
        ("", "Unexpected end of JSON"),
        (r#"{} {}"#, "Unexpected token in JSON"),
    ] {
        assert_eq!(read(json).expect_err(json), message, "{json}");
    }
}

#[test]
fn depth_is_limited_not_the_stack() {
    let deep = |levels: usize| {
        format!(
            r#"{{"TableName":"t","Item":{{"a":{}{{"S":"x"}}{}}}}}"#,
            r#"{"L":["#.repeat(levels),
            "]}".repeat(levels)
        )
    };
    assert!(read(&deep(90)).is_ok());
    assert_eq!(read(&deep(100_000)).expect_err("too deep"), "JSON is nested too deeply");
    let unknown = format!("{{\"x\":{}", "[".repeat(1_000_000));
    assert_eq!(read(&unknown).expect_err("too deep"), "JSON is nested too deeply");
}

#[test]
fn unions_tell_none_from_many() {
    let item = |json: &str| {
        let text = format!(r#"{{"TableName":"t","Item":{{"a":{json}}}}}"#);
        read(&text).expect(json).item["a"].clone()
    };
    assert_eq!(item("{}"), AttributeValue::Unknown);
    assert_eq!(item(r#"{"X":"y"}"#), AttributeValue::Unknown);
    assert_eq!(item(r#"{"S":"y","N":null}"#), AttributeValue::S("y".into()));
    assert_eq!(item(r#"{"S":"y","N":"1"}"#), AttributeValue::Several);
}

#[test]
fn values_convert_to_shapes_and_back() {
    let input = PutItemInput {
        table_name: "t".into(),
        item: BTreeMap::from([("a".to_owned(), AttributeValue::N("1".into()))]),
        ..PutItemInput::default()
    };
    let json = to_json(&input);
    assert_eq!(json.to_string(), r#"{"TableName":"t","Item":{"a":{"N":"1"}}}"#);
    assert_eq!(from_json::<PutItemInput>(&json), Ok(input));
    let missing = from_json::<PutItemInput>(&serde_json::json!({"TableName": "t"}));
    assert!(matches!(missing, Err(DecodeError::Violations(v)) if v.len() == 1));
}

#[test]
fn a_sparse_map_keeps_its_nulls() {
    let json = serde_json::json!({
        "restApiId": "a", "resourceId": "b", "httpMethod": "GET", "type": "MOCK",
        "requestTemplates": {"application/json": null, "text/plain": "x"},
    });
    let input: sereno_api_apigateway::PutIntegrationInput = from_json(&json).unwrap();
    let templates = input.request_templates.as_ref().unwrap();
    assert_eq!(templates["application/json"], None);
    assert_eq!(templates["text/plain"].as_deref(), Some("x"));
    assert_eq!(to_json(&input), json);
    // A null elsewhere is still wrong.
    let mut bad = json;
    bad["requestParameters"] = serde_json::json!({"a": null});
    assert!(from_json::<sereno_api_apigateway::PutIntegrationInput>(&bad).is_err());
}
