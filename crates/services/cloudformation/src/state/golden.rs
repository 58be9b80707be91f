//! The stored form of every record, in `tests/golden.txt`: a change of it is seen in review.

use bytes::Bytes;
use sereno_base::{AccountId, Region};
use sereno_store::Scope;
use sereno_store::golden::Golden;
use sereno_store::key::Position;

use super::*;

fn text(value: &str) -> String {
    value.to_owned()
}

fn some(value: &str) -> Option<String> {
    Some(text(value))
}

fn sealed() -> Bytes {
    Bytes::from_static(b"sealed")
}

fn parameter() -> ParameterRecord {
    ParameterRecord { key: text("P"), value: sealed(), resolved: Some(sealed()), no_echo: true }
}

fn tag() -> TagRecord {
    TagRecord { key: text("k"), value: text("v") }
}

fn output() -> OutputRecord {
    OutputRecord { key: text("O"), value: text("v"), description: some("d"), export: some("e") }
}

fn live() -> LiveRecord {
    LiveRecord {
        physical_id: text("id"),
        properties: sealed(),
        attributes: text("{}"),
        shown: some("{}"),
        depends_on: vec![text("B")],
        suggested_name: text("shop-A-x"),
    }
}

fn operation() -> OperationRecord {
    OperationRecord {
        id: text("op"),
        kind: text("UPDATE"),
        phase: text("work"),
        token: some("t"),
        started_ms: 1,
        on_failure: text("ROLLBACK"),
        failure: some("f"),
        retain: vec![text("A")],
        skip: vec![text("B")],
        asked: text("cancel"),
        before: BeforeRecord {
            status: text("CREATE_COMPLETE"),
            description: some("d"),
            parameters: vec![parameter()],
            tags: vec![tag()],
            capabilities: vec![text("CAPABILITY_IAM")],
            outputs: vec![output()],
            status_reason: some("r"),
            imports: vec![text("e")],
        },
        force: true,
        policy_override: some("{}"),
        retain_except_on_create: true,
        ended_ms: Some(2),
        continues: text("op0"),
    }
}

fn stack() -> StackRecord {
    StackRecord {
        id: text("uuid"),
        name: text("shop"),
        arn: text("arn"),
        status: text("UPDATE_IN_PROGRESS"),
        status_reason: some("User Initiated"),
        description: some("d"),
        created_ms: 1,
        updated_ms: Some(2),
        deleted_ms: Some(3),
        parameters: vec![parameter()],
        tags: vec![tag()],
        capabilities: vec![text("CAPABILITY_IAM")],
        role_arn: some("role"),
        outputs: vec![output()],
        change_set_arn: some("set"),
        disable_rollback: true,
        termination_protection: true,
        parent_arn: some("parent"),
        root_arn: some("root"),
        timeout_minutes: Some(5),
        policy: some("{}"),
        operation: operation(),
        retain_except_on_create: true,
        create_token: some("t"),
        imports: vec![text("e")],
        deletion_mode: some("FORCE_DELETE_STACK"),
    }
}

fn resource() -> ResourceRecord {
    ResourceRecord {
        logical_id: text("A"),
        type_name: text("AWS::S3::Bucket"),
        status: text("CREATE_COMPLETE"),
        status_reason: some("r"),
        changed_ms: 1,
        metadata: some("{}"),
        deletion_policy: text("Delete"),
        update_replace_policy: text("Retain"),
        depends_on: vec![text("B")],
        live: live(),
        operation: text("op"),
        stage: 2,
        action: text("update"),
        before: Some(live()),
        discarded: vec![live()],
        suggested_name: text("shop-A-x"),
        token: text("t"),
        intended: Some(sealed()),
        shown: some("{}"),
        before_policies: vec![text("Delete"), text("Delete")],
        before_metadata: some("{}"),
        description: some("d"),
        early_id: text("id"),
    }
}

fn event() -> EventRecord {
    EventRecord {
        event_id: text("A-CREATE_COMPLETE-x"),
        logical_id: text("A"),
        physical_id: text("id"),
        type_name: text("AWS::S3::Bucket"),
        at_ms: 1,
        status: text("CREATE_COMPLETE"),
        reason: some("r"),
        properties: some("{}"),
        token: some("t"),
        operation: text("op"),
        operation_kind: text("CREATE"),
    }
}

fn change_set() -> ChangeSetRecord {
    ChangeSetRecord {
        id: text("cs"),
        arn: text("arn"),
        name: text("set"),
        stack_id: text("uuid"),
        kind: text("CREATE"),
        status: text("CREATE_COMPLETE"),
        status_reason: some("r"),
        execution_status: text("AVAILABLE"),
        description: some("d"),
        created_ms: 1,
        parameters: vec![parameter()],
        tags: vec![tag()],
        capabilities: vec![text("CAPABILITY_IAM")],
        role_arn: some("role"),
        changes: text("{}"),
        changes_with_values: text("{}"),
        on_stack_failure: some("DELETE"),
        include_nested_stacks: true,
        stack_description: some("d"),
        imports: vec![text("e")],
        token: some("t"),
    }
}

#[test]
fn stored_forms() {
    let scope = Scope::new(AccountId::DEFAULT, Some(Region::US_EAST_1));
    let export = ExportRecord {
        value: text("v"),
        stack_id: text("uuid"),
        stack_arn: text("arn"),
        stack_name: text("shop"),
    };
    let template = TemplateRecord {
        body: text("{}"),
        processed: some("{}"),
        environment: sealed(),
        masked: vec![text("P")],
    };
    let callback = CallbackRecord {
        stack_id: text("uuid"),
        logical_id: text("A"),
        created_ms: 1,
        many: true,
        request_id: text("r"),
        account: 1,
        region: text("us-east-1"),
    };
    let place = ChangeSetIdRecord { stack_id: text("uuid"), name: text("set") };
    let position = Position { version: 7, index: 1 };
    Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&NAMES, scope, "shop", &Bytes::from_static(b"uuid"))
        .table(&STACKS, scope, "uuid", &stack())
        .table(&RESOURCES, scope, &("uuid", "A"), &resource())
        .table(&EVENTS, scope, &("uuid", position), &event())
        .table(&TEMPLATES, scope, &("uuid", CURRENT), &template)
        .table(&CHANGE_SETS, scope, &("uuid", "set"), &change_set())
        .table(&CHANGE_SET_IDS, scope, "cs", &place)
        .table(&EXPORTS, scope, "e", &export)
        .table(&IMPORTS, scope, &("e", "uuid"), &ImportRecord { stack_name: text("shop") })
        .table(&CALLBACKS, Scope::GLOBAL, "token", &callback)
        .table(
            &ANSWERS,
            Scope::GLOBAL,
            &("token", "u"),
            &AnswerRecord { body: text("{}"), at_ms: 1 },
        )
        .table(&SIGNALS, scope, &("uuid/A", "u"), &SignalRecord { success: true, at_ms: 1 })
        .table(&MACROS, scope, "m", &MacroRecord { function: text("f"), stack_id: text("uuid") })
        .check();
}
