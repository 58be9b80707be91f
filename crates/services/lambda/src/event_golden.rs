//! The stored form of events, mappings and checkpoints: a change of it is seen in review.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::{AccountId, Region};
use sereno_store::{Scope, Table};

use crate::asynchronous::{EventRecord, OutcomeRecord};
use crate::event_state::{
    CHECKPOINTS, CheckpointRecord, EVENT_CONFIGS, EventConfigRecord, MAPPINGS, MappingRecord,
    RESULTS, ResultRecord,
};

fn mapping() -> MappingRecord {
    MappingRecord {
        uuid: "uuid".into(),
        source_arn: "arn:stream".into(),
        function: "f".into(),
        qualifier: Some("live".into()),
        enabled: true,
        state: "Enabled".into(),
        starting_position: "LATEST".into(),
        batch_size: 1,
        window_s: 2,
        lanes: 3,
        filters: vec!["{}".into()],
        on_failure: "arn:queue".into(),
        age_s_max: -1,
        retries_max: 4,
        bisect: true,
        tumbling_s: 5,
        report_failures: true,
        created_ms: 6,
        modified_ms: 7,
        tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        revision: 8,
    }
}

fn event() -> EventRecord {
    EventRecord {
        name: "f".into(),
        qualifier: Some("live".into()),
        request_id: "request".into(),
        trace_id: "Root=1".into(),
        payload: Bytes::from_static(b"{}"),
        client_context: Some("{}".into()),
        created_ms: 1,
        attempts: 2,
        hindrances: 3,
        outcome: Some(OutcomeRecord {
            condition: "RetriesExhausted".into(),
            function_error: "Unhandled".into(),
            executed_version: "4".into(),
            response: Some(Bytes::from_static(b"null")),
            targets: vec!["arn:bus".into()],
            dead_letters: Some("arn:queue".into()),
            throttled: true,
        }),
    }
}

#[test]
fn format_of_stored_data() {
    /// Not a table: the payload of a task.
    const EVENTS: Table<String, EventRecord> = Table::new("lambda", "event-tasks");
    let account: AccountId = "123456789012".parse().unwrap();
    let scope = Scope::new(account, Region::parse("us-east-1"));
    let config = EventConfigRecord {
        retries_max: Some(1),
        age_s_max: Some(60),
        on_success: "arn:a".into(),
        on_failure: "arn:b".into(),
        modified_ms: 2,
    };
    let checkpoint =
        CheckpointRecord { after: "1000".into(), window_start_ms: 1, window_state: "{}".into() };
    let result = ResultRecord { text: "OK".into() };
    sereno_store::golden::Golden::at(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden_events.txt"
    ))
    .table(&EVENT_CONFIGS, scope, &("f", "$LATEST"), &config)
    .table(&MAPPINGS, scope, "uuid", &mapping())
    .table(&CHECKPOINTS, scope, &("uuid", "shardId-1", 2), &checkpoint)
    .table(&RESULTS, scope, "uuid", &result)
    .table(&EVENTS, scope, "task", &event())
    .check();
}
