//! AWS's sentences on input that breaks its models.

use sereno_api_dynamodb as dynamodb;
use sereno_wire::{DecodeError, Shape, from_json, validation_message};

fn message<S: Shape>(json: serde_json::Value) -> String {
    match from_json::<S>(&json) {
        Err(DecodeError::Violations(violations)) => validation_message(&violations),
        Err(DecodeError::Malformed(message)) => format!("malformed: {message}"),
        Ok(_) => "valid".to_owned(),
    }
}

#[test]
fn required() {
    assert_eq!(
        message::<dynamodb::PutItemInput>(serde_json::json!({"TableName": "table"})),
        "1 validation error detected: Value null at 'item' failed to satisfy constraint: \
         Member must not be null"
    );
}

#[test]
fn nested_paths_and_several() {
    assert_eq!(
        message::<dynamodb::CreateTableInput>(serde_json::json!({
            "TableName": "table",
            "KeySchema": [{"AttributeName": "a", "KeyType": "NO"}, {"KeyType": "HASH"}],
            "AttributeDefinitions": []
        })),
        "2 validation errors detected: Value 'NO' at 'keySchema.1.member.keyType' failed to \
         satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]; Value null at \
         'keySchema.2.member.attributeName' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn ranges_and_lengths() {
    assert_eq!(
        message::<dynamodb::ListTablesInput>(serde_json::json!({"Limit": 0})),
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: \
         Member must have value greater than or equal to 1"
    );
    assert_eq!(
        message::<dynamodb::ListTablesInput>(serde_json::json!({"Limit": 101})),
        "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: \
         Member must have value less than or equal to 100"
    );
    assert_eq!(
        message::<dynamodb::TransactGetItemsInput>(serde_json::json!({"TransactItems": []})),
        "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy \
         constraint: Member must have length greater than or equal to 1"
    );
}

#[test]
fn patterns() {
    let message = message::<dynamodb::ListTablesInput>(serde_json::json!({
        "ExclusiveStartTableName": "no spaces"
    }));
    assert_eq!(
        message,
        "1 validation error detected: Value 'no spaces' at 'exclusiveStartTableName' failed to \
         satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    );
}

#[test]
fn elements_are_reported_at_their_container() {
    let table = serde_json::json!({"RequestItems": {"t": []}});
    assert_eq!(
        message::<dynamodb::BatchWriteItemInput>(table),
        "1 validation error detected: Value '{t=[]}' at 'requestItems' failed to satisfy \
         constraint: Map value must satisfy constraint: [Member must have length less than or \
         equal to 25, Member must have length greater than or equal to 1]"
    );
}

#[test]
fn every_pattern_of_the_models_is_checked() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
    let mut seen = 0;
    for entry in std::fs::read_dir(models).expect("the models") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a model");
        let model: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (name, shape) in model["shapes"].as_object().into_iter().flatten() {
            if let Some(source) = shape["pattern"].as_str() {
                let source: &'static str = Box::leak(source.to_owned().into_boxed_str());
                let pattern = sereno_wire::schema::Pattern::new(source);
                assert!(pattern.is_checked(), "{}: {name}: {source}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 200, "{seen}");
}
