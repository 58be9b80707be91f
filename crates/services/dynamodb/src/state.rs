//! Everything that DynamoDB keeps, and every key of it.
//!
//! * [`TABLES`]: one record a table, by name. A table has a storage number of its own, drawn anew at
//!   each creation, so the items of a deleted table can never be seen in a new one of that name.
//! * [`ITEMS`]: (storage, index) is a partition, index 0 the table itself. Sort keys are made in
//!   [`crate::keys`]. The value is the item in `sereno-ddbexpr`'s stored form.
//! * [`COUNTS`], [`SIZES`]: by (storage, index): items and their bytes.
//! * [`STREAM_RECORDS`]: by (stream, shard) in the order of commits.
//! * [`TOKENS`]: client tokens of transactions.
//! * [`TTL_TABLES`]: the tables whose items expire, of all accounts and regions.
//! * [`BACKUPS`]: by table and id; a backup's items lie under a storage number of its own.
//! * [`FILLS`]: by storage: how far a backup, restore or import has come.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::AccountId;
use sereno_store::key::{Position, Tail};
use sereno_store::{Counter, Record, Result, Table, record, record_enum};

record_enum! {
    /// How a stream shows a change.
    #[derive(Copy, Eq)]
    pub enum ViewType { 1 => NewAndOldImages, 2 => NewImage, 3 => OldImage, 4 => KeysOnly }

    #[derive(Copy, Eq)]
    pub enum ProjectionKind { 1 => All, 2 => KeysOnly, 3 => Include }

    #[derive(Copy, Eq)]
    pub enum IndexState { 1 => Active, 2 => Creating, 3 => Deleting, 4 => Updating }
}

record! {
    pub struct AttributeRecord {
        1 => name: String,
        // S, N or B
        2 => kind: String,
    }

    pub struct Throughput {
        1 => read_units: i64,
        2 => write_units: i64,
        3 => increased_ms: i64,
        4 => decreased_ms: i64,
        5 => decreases_today: i64,
    }

    pub struct IndexRecord {
        // Unique in the table for ever; part of keys.
        1 => number: u32,
        2 => name: String,
        3 => local: bool,
        4 => hash: Vec<String>,
        5 => range: Vec<String>,
        6 => projection: ProjectionKind,
        7 => non_key_attributes: Vec<String>,
        8 => state: IndexState,
        9 => backfilling: bool,
        10 => throughput: Throughput,
        11 => on_demand_read_max: Option<i64>,
        12 => on_demand_write_max: Option<i64>,
    }

    pub struct StreamRecordOf {
        // Names the stream's records; unique for ever.
        1 => number: u64,
        2 => label: String,
        3 => view: ViewType,
        4 => enabled: bool,
        5 => created_ms: i64,
        // When it was turned off; its records stay readable for a day.
        6 => disabled_ms: i64,
    }

    pub struct SseRecord {
        1 => enabled: bool,
        2 => key_arn: Option<String>,
    }

    pub struct KinesisDestination {
        1 => stream_arn: String,
        2 => status: String,
        3 => precision: String,
    }

    pub struct TableRecord {
        1 => name: String,
        2 => id: String,
        3 => storage: u64,
        4 => created_ms: i64,
        5 => attributes: Vec<AttributeRecord>,
        6 => hash: String,
        7 => range: Option<String>,
        8 => indexes: Vec<IndexRecord>,
        9 => next_index: u32,
        10 => provisioned: bool,
        11 => throughput: Throughput,
        12 => billing_changed_ms: i64,
        13 => stream: Option<StreamRecordOf>,
        14 => ttl_attribute: Option<String>,
        15 => ttl_changed_ms: i64,
        16 => deletion_protection: bool,
        17 => infrequent_access: bool,
        18 => class_changed_ms: i64,
        19 => sse: Option<SseRecord>,
        20 => tags: BTreeMap<String, String>,
        21 => policy: Option<String>,
        22 => policy_revision: String,
        // 0 if point-in-time recovery is off.
        23 => pitr_since_ms: i64,
        24 => pitr_days: i64,
        25 => contributor_insights: BTreeMap<String, String>,
        26 => kinesis: Vec<KinesisDestination>,
        // The client said how it wants to pay; a summary is shown then.
        27 => billing_stated: bool,
        28 => on_demand_read_max: Option<i64>,
        29 => on_demand_write_max: Option<i64>,
        30 => restored_from: Option<String>,
        31 => restored_at_ms: i64,
        32 => restored_backup: Option<String>,
        33 => warm_read: Option<i64>,
        34 => warm_write: Option<i64>,
        // Bumped by every change of the record, for clients that must not overwrite each other.
        35 => changes: u64,
        36 => insights_changed_ms: i64,
        // How many need old images to be kept: point-in-time recovery in each region, backups under way.
        37 => keepers: u32,
        // A restore or an import fills it; until then nobody else may use it.
        38 => filling: bool,
        // The region under whose keys the data lies, if it is not the table's own.
        39 => home: String,
        40 => replicas: Vec<ReplicaRecord>,
        // "2019.11.21" or "2017.11.29" if there are replicas.
        41 => global_version: String,
        // The key that a replica was given at its creation, as the client named it.
        42 => replica_key: Option<String>,
        // The client named the class; it is shown then.
        43 => class_stated: bool,
    }

    /// Another region of a global table: what this one must know of it.
    pub struct ReplicaRecord {
        1 => region: String,
        2 => stream: Option<StreamRecordOf>,
        3 => key: Option<String>,
        4 => infrequent_access: Option<bool>,
    }

    /// What an item was before a change: enough to go back to any moment.
    pub struct UndoRecord {
        1 => at_ms: i64,
        2 => old: Option<Bytes>,
    }

    pub struct BackupRecord {
        1 => id: String,
        2 => name: String,
        3 => created_ms: i64,
        // 0 if it stays until it is deleted.
        4 => expires_ms: i64,
        // Made by DynamoDB when a table with point-in-time recovery was deleted.
        5 => system: bool,
        6 => ready: bool,
        // Where its items lie, in the data scope of `table`.
        7 => storage: u64,
        8 => table: TableRecord,
        9 => items: i64,
        10 => bytes: i64,
    }

    /// How far the filling of a storage has come; written in the commits that fill it.
    pub struct FillRecord {
        1 => after: Option<Bytes>,
        2 => items: i64,
        3 => bytes: i64,
        // Imports: objects done, and records done of the next.
        4 => objects: u64,
        5 => records: u64,
        6 => errors: i64,
        7 => read_bytes: i64,
    }

    /// One change as a stream shows it; images in the stored form of items.
    pub struct ChangeRecord {
        1 => created_ms: i64,
        // INSERT, MODIFY or REMOVE
        2 => event: String,
        3 => keys: Bytes,
        4 => new_image: Option<Bytes>,
        5 => old_image: Option<Bytes>,
        // Made by DynamoDB itself: an item expired.
        6 => by_service: bool,
        7 => size_bytes: u64,
    }

    /// A stream, for as long as its records can be read; the table may be gone.
    pub struct StreamEntry {
        1 => number: u64,
        2 => table: String,
        3 => label: String,
        4 => view: ViewType,
        5 => enabled: bool,
        6 => created_ms: i64,
        7 => ended_ms: i64,
        8 => hash: String,
        9 => range: Option<String>,
        // The version of the commit that ended it.
        10 => last_version: u64,
        11 => policy: Option<String>,
        12 => policy_revision: String,
    }

    pub struct TokenRecord {
        1 => fingerprint: Bytes,
        2 => expires_ms: i64,
        3 => read_units: u64,
    }

    pub struct TtlTable {
        1 => storage: u64,
    }
}

/// An item's bytes as they are: decoding is the reader's choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw(pub Bytes);

impl Record for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: &Bytes) -> Result<Self> {
        Ok(Raw(bytes.clone()))
    }
}

pub const TABLES: Table<String, TableRecord> = Table::new("dynamodb", "tables");
pub const ITEMS: Table<(u64, u32, Tail), Raw> = Table::new("dynamodb", "items").partition(2);
pub const COUNTS: Table<(u64, u32), Counter> = Table::new("dynamodb", "counts");
pub const SIZES: Table<(u64, u32), Counter> = Table::new("dynamodb", "sizes");
pub const STREAM_RECORDS: Table<(u64, u32, Position), ChangeRecord> =
    Table::new("dynamodb", "stream-records").partition(2);
/// By (table, label).
pub const STREAMS: Table<(String, String), StreamEntry> =
    Table::new("dynamodb", "streams").partition(0);
pub const TOKENS: Table<String, TokenRecord> = Table::new("dynamodb", "transaction-tokens");
/// By (account, region, table).
pub const TTL_TABLES: Table<(AccountId, String, String), TtlTable> =
    Table::new("dynamodb", "ttl-tables").partition(0);

/// By (table, id).
pub const BACKUPS: Table<(String, String), BackupRecord> =
    Table::new("dynamodb", "backups").partition(0);
/// By storage number.
pub const FILLS: Table<u64, FillRecord> = Table::new("dynamodb", "fills");

/// The index number under which [`UndoRecord`]s are kept: item by item, in the order of commits.
pub const UNDO_INDEX: u32 = u32::MAX - 1;

/// The index number under which expiry times are kept.
pub const TTL_INDEX: u32 = u32::MAX;
