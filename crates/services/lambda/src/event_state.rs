//! Records of events: how asynchronous invocations are handled, which sources are mapped to which functions, and how far.

use std::collections::BTreeMap;

use sereno_store::{Table, record};

record! {
    /// What PutFunctionEventInvokeConfig keeps for a function, version or alias.
    pub struct EventConfigRecord {
        1 => retries_max: Option<u32>,
        2 => age_s_max: Option<u32>,
        /// ARN; empty: none.
        3 => on_success: String,
        4 => on_failure: String,
        5 => modified_ms: i64,
    }
}

record! {
    /// An event source mapping.
    pub struct MappingRecord {
        1 => uuid: String,
        2 => source_arn: String,
        3 => function: String,
        4 => qualifier: Option<String>,
        /// What the user wants; `state` follows.
        5 => enabled: bool,
        6 => state: String,
        7 => starting_position: String,
        8 => batch_size: u32,
        9 => window_s: u32,
        10 => lanes: u32,
        /// Event patterns; a record must match one of them, if there are any.
        11 => filters: Vec<String>,
        12 => on_failure: String,
        /// -1: no limit.
        13 => age_s_max: i64,
        /// -1: no limit.
        14 => retries_max: i64,
        15 => bisect: bool,
        16 => tumbling_s: u32,
        17 => report_failures: bool,
        18 => created_ms: i64,
        19 => modified_ms: i64,
        20 => tags: BTreeMap<String, String>,
        /// Changes with every change that the poller must take up.
        21 => revision: u64,
    }
}

record! {
    /// How far a mapping has come in one lane of one shard.
    pub struct CheckpointRecord {
        /// Sequence number of the last record done; empty: none yet.
        1 => after: String,
        /// When the open tumbling window began, and what the function keeps in it (JSON). 0: none is open.
        2 => window_start_ms: i64,
        3 => window_state: String,
    }
}

record! {
    /// LastProcessingResult.
    pub struct ResultRecord {
        1 => text: String,
    }
}

/// (function, qualifier: `$LATEST`, an alias, or a version as `version_key` spells it)
pub const EVENT_CONFIGS: Table<(String, String), EventConfigRecord> =
    Table::new("lambda", "event-configs");
/// By UUID.
pub const MAPPINGS: Table<String, MappingRecord> = Table::new("lambda", "mappings");
/// (mapping, shard, lane)
pub const CHECKPOINTS: Table<(String, String, u32), CheckpointRecord> =
    Table::new("lambda", "checkpoints").partition(1);
/// By mapping: apart from the mapping, so that its poller is not woken by what it writes itself.
pub const RESULTS: Table<String, ResultRecord> = Table::new("lambda", "mapping-results");
