//! Every record, table and key of this service.
//!
//! A stack's parts (resources, events, templates, change sets) lie under the uuid of its id, so that a name can
//! be used again at once while the deleted stack can still be described by its id.
//!
//! Invariants: `NAMES` has exactly the stacks that are not DELETE_COMPLETE; only the task of a stack's current
//! operation writes `RESOURCES` and the stack's status; properties and parameter values are kept sealed
//! ([`crate::vault`]), because templates put passwords there.

#[cfg(test)]
mod golden;

use bytes::Bytes;
use sereno_store::key::Position;
use sereno_store::{Table, record};

record! {
    /// One stack, alive or deleted.
    pub struct StackRecord {
        1 => id: String,
        2 => name: String,
        3 => arn: String,
        4 => status: String,
        5 => status_reason: Option<String>,
        6 => description: Option<String>,
        7 => created_ms: i64,
        8 => updated_ms: Option<i64>,
        9 => deleted_ms: Option<i64>,
        10 => parameters: Vec<ParameterRecord>,
        11 => tags: Vec<TagRecord>,
        12 => capabilities: Vec<String>,
        13 => role_arn: Option<String>,
        14 => outputs: Vec<OutputRecord>,
        15 => change_set_arn: Option<String>,
        16 => disable_rollback: bool,
        17 => termination_protection: bool,
        18 => parent_arn: Option<String>,
        19 => root_arn: Option<String>,
        20 => timeout_minutes: Option<i32>,
        21 => policy: Option<String>,
        22 => operation: OperationRecord,
        23 => retain_except_on_create: bool,
        24 => create_token: Option<String>,
        25 => imports: Vec<String>,
        26 => deletion_mode: Option<String>,
    }

    /// What is being done to a stack, or was done last.
    pub struct OperationRecord {
        1 => id: String,
        // CREATE, UPDATE, DELETE, ROLLBACK, CONTINUE_ROLLBACK
        2 => kind: String,
        // See `engine::Phase`.
        3 => phase: String,
        4 => token: Option<String>,
        5 => started_ms: i64,
        // What to do when something fails: ROLLBACK, DELETE or DO_NOTHING.
        6 => on_failure: String,
        // Found before the first resource was touched: a transform that failed.
        7 => failure: Option<String>,
        8 => retain: Vec<String>,
        9 => skip: Vec<String>,
        // "cancel" or "delete", asked for while the operation runs.
        10 => asked: String,
        11 => before: BeforeRecord,
        12 => force: bool,
        13 => policy_override: Option<String>,
        14 => retain_except_on_create: bool,
        15 => ended_ms: Option<i64>,
        // The failed update that this one goes on from: a rollback goes back to before both.
        16 => continues: String,
    }

    /// What an update changes in the stack record at once, to be put back by a rollback.
    pub struct BeforeRecord {
        1 => status: String,
        2 => description: Option<String>,
        3 => parameters: Vec<ParameterRecord>,
        4 => tags: Vec<TagRecord>,
        5 => capabilities: Vec<String>,
        6 => outputs: Vec<OutputRecord>,
        7 => status_reason: Option<String>,
        8 => imports: Vec<String>,
    }

    /// `value` is sealed. `resolved` is what Parameter Store had, sealed too.
    pub struct ParameterRecord {
        1 => key: String,
        2 => value: Bytes,
        3 => resolved: Option<Bytes>,
        4 => no_echo: bool,
    }

    pub struct TagRecord {
        1 => key: String,
        2 => value: String,
    }

    pub struct OutputRecord {
        1 => key: String,
        2 => value: String,
        3 => description: Option<String>,
        4 => export: Option<String>,
    }

    /// One resource of a stack.
    pub struct ResourceRecord {
        1 => logical_id: String,
        2 => type_name: String,
        3 => status: String,
        4 => status_reason: Option<String>,
        5 => changed_ms: i64,
        6 => metadata: Option<String>,
        7 => deletion_policy: String,
        8 => update_replace_policy: String,
        9 => depends_on: Vec<String>,
        // What exists now; its physical id is empty while nothing does.
        10 => live: LiveRecord,
        // The operation for which the fields below speak.
        11 => operation: String,
        // See `engine::Stage`.
        12 => stage: u32,
        13 => action: String,
        // As it was before the operation; none if it did not exist.
        14 => before: Option<LiveRecord>,
        // What a replacement or a rollback left to be deleted.
        15 => discarded: Vec<LiveRecord>,
        16 => suggested_name: String,
        17 => token: String,
        // What the step is about to apply, sealed: written before the resource is touched.
        18 => intended: Option<Bytes>,
        // As shown in events: secrets masked.
        19 => shown: Option<String>,
        20 => before_policies: Vec<String>,
        22 => before_metadata: Option<String>,
        23 => description: Option<String>,
        // Answered by a step that has begun and waits: a physical id known early.
        24 => early_id: String,
    }

    /// The real thing behind a resource.
    pub struct LiveRecord {
        1 => physical_id: String,
        // JSON, sealed.
        2 => properties: Bytes,
        // JSON.
        3 => attributes: String,
        4 => shown: Option<String>,
        5 => depends_on: Vec<String>,
        // The suggested name that this one was made with.
        6 => suggested_name: String,
    }

    pub struct EventRecord {
        1 => event_id: String,
        2 => logical_id: String,
        3 => physical_id: String,
        4 => type_name: String,
        5 => at_ms: i64,
        6 => status: String,
        7 => reason: Option<String>,
        8 => properties: Option<String>,
        9 => token: Option<String>,
        10 => operation: String,
        11 => operation_kind: String,
    }

    /// A template with the values decided for it.
    pub struct TemplateRecord {
        1 => body: String,
        // JSON after transforms; none if there were none.
        2 => processed: Option<String>,
        // `Environment` as JSON, sealed.
        3 => environment: Bytes,
        // Names of parameters whose values are masked in events.
        4 => masked: Vec<String>,
    }

    pub struct ChangeSetRecord {
        1 => id: String,
        2 => arn: String,
        3 => name: String,
        4 => stack_id: String,
        5 => kind: String,
        6 => status: String,
        7 => status_reason: Option<String>,
        8 => execution_status: String,
        9 => description: Option<String>,
        10 => created_ms: i64,
        11 => parameters: Vec<ParameterRecord>,
        12 => tags: Vec<TagRecord>,
        13 => capabilities: Vec<String>,
        14 => role_arn: Option<String>,
        // JSON: see `changes`.
        15 => changes: String,
        16 => changes_with_values: String,
        17 => on_stack_failure: Option<String>,
        18 => include_nested_stacks: bool,
        19 => stack_description: Option<String>,
        20 => imports: Vec<String>,
        21 => token: Option<String>,
    }

    pub struct ChangeSetIdRecord {
        1 => stack_id: String,
        2 => name: String,
    }

    pub struct ExportRecord {
        1 => value: String,
        2 => stack_id: String,
        3 => stack_arn: String,
        4 => stack_name: String,
    }

    pub struct ImportRecord {
        1 => stack_name: String,
    }

    /// An address to which something outside answers: a custom resource or a wait condition handle.
    pub struct CallbackRecord {
        1 => stack_id: String,
        2 => logical_id: String,
        3 => created_ms: i64,
        // A handle takes many answers, a custom resource one.
        4 => many: bool,
        5 => request_id: String,
        6 => account: u64,
        7 => region: String,
    }

    pub struct AnswerRecord {
        1 => body: String,
        2 => at_ms: i64,
    }

    pub struct SignalRecord {
        1 => success: bool,
        2 => at_ms: i64,
    }

    pub struct MacroRecord {
        1 => function: String,
        2 => stack_id: String,
    }

    /// Payload of the operation task.
    pub struct OperationTask {
        1 => stack_id: String,
        2 => operation: String,
    }
}

/// By name: the id of the stack that has it.
pub const NAMES: Table<String, Bytes> = Table::new("cloudformation", "names");
pub const STACKS: Table<String, StackRecord> = Table::new("cloudformation", "stacks");
pub const RESOURCES: Table<(String, String), ResourceRecord> =
    Table::new("cloudformation", "resources");
pub const EVENTS: Table<(String, Position), EventRecord> = Table::new("cloudformation", "events");
/// By stack and slot: `current`, `previous`, or a change set's id.
pub const TEMPLATES: Table<(String, String), TemplateRecord> =
    Table::new("cloudformation", "templates");
pub const CHANGE_SETS: Table<(String, String), ChangeSetRecord> =
    Table::new("cloudformation", "change-sets");
pub const CHANGE_SET_IDS: Table<String, ChangeSetIdRecord> =
    Table::new("cloudformation", "change-set-ids");
pub const EXPORTS: Table<String, ExportRecord> = Table::new("cloudformation", "exports");
/// By export and importing stack.
pub const IMPORTS: Table<(String, String), ImportRecord> = Table::new("cloudformation", "imports");
/// By secret token, in no account: whoever has the address may answer.
pub const CALLBACKS: Table<String, CallbackRecord> = Table::new("cloudformation", "callbacks");
pub const ANSWERS: Table<(String, String), AnswerRecord> = Table::new("cloudformation", "answers");
/// By `stack/resource` and unique id.
pub const SIGNALS: Table<(String, String), SignalRecord> = Table::new("cloudformation", "signals");
pub const MACROS: Table<String, MacroRecord> = Table::new("cloudformation", "macros");

pub const CURRENT: &str = "current";
pub const PREVIOUS: &str = "previous";

impl StackRecord {
    /// Whether an operation is under way: AWS's statuses say so.
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    pub fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Whether a new template may be applied.
    pub fn is_updatable(&self) -> bool {
        matches!(
            self.status.as_str(),
            "CREATE_COMPLETE"
                | "UPDATE_COMPLETE"
                | "UPDATE_ROLLBACK_COMPLETE"
                | "CREATE_FAILED"
                | "UPDATE_FAILED"
                | "IMPORT_COMPLETE"
        )
    }
}

impl ResourceRecord {
    /// Whether there is a real thing behind it that belongs to the stack.
    pub fn exists(&self) -> bool {
        let gone = matches!(self.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED");
        !self.live.physical_id.is_empty() && !gone
    }
}
