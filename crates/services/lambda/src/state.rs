//! Records, tables and every key of Lambda.

use std::collections::BTreeMap;

use sereno_kernel::{Ctx, Result};
use sereno_store::{BlobRef, Read, Table, record};

use crate::errors;
use crate::names::LATEST;

record! {
    /// What all versions of a function share.
    pub struct HeadRecord {
        1 => name: String,
        /// The number of the last version published; numbers are never used again.
        2 => last_version: u64,
        3 => tags: BTreeMap<String, String>,
        /// Reserved concurrency; -1: none.
        4 => reserved_concurrency: i64,
        5 => created_ms: i64,
    }
}

record! {
    /// A deployment package.
    pub struct CodeRecord {
        1 => blob: BlobRef,
        /// Base64, as the API shows it.
        2 => sha256: String,
        3 => size_bytes: u64,
    }
}

record! {
    /// One version of a function, `$LATEST` among them.
    pub struct FunctionRecord {
        1 => name: String,
        2 => version: String,
        3 => description: String,
        4 => runtime: String,
        5 => role: String,
        6 => handler: String,
        7 => memory_mb: u32,
        8 => timeout_s: u32,
        9 => environment: BTreeMap<String, String>,
        10 => code: CodeRecord,
        11 => architecture: String,
        12 => ephemeral_storage_mb: u32,
        13 => tracing: String,
        14 => subnet_ids: Vec<String>,
        15 => security_group_ids: Vec<String>,
        16 => snap_start: String,
        17 => log_format: String,
        18 => log_group: String,
        19 => application_log_level: String,
        20 => system_log_level: String,
        21 => revision_id: String,
        22 => last_modified_ms: i64,
        /// Whether an environment was given, which may be empty.
        23 => has_environment: bool,
    }
}

record! {
    /// A name for a version, or for two with weights.
    pub struct AliasRecord {
        1 => name: String,
        2 => version: String,
        3 => description: String,
        /// The other version and the share of invocations that it gets.
        4 => other_version: Option<String>,
        5 => other_weight: f64,
        6 => revision_id: String,
    }
}

record! {
    /// The resource policy of a function, version or alias.
    pub struct PolicyRecord {
        /// JSON of each statement, in the order they were added.
        1 => statements: Vec<String>,
        2 => revision_id: String,
    }
}

pub const HEADS: Table<String, HeadRecord> = Table::new("lambda", "heads");
/// (function, version as [`version_key`] spells it)
pub const FUNCTIONS: Table<(String, String), FunctionRecord> = Table::new("lambda", "functions");
/// (function, alias)
pub const ALIASES: Table<(String, String), AliasRecord> = Table::new("lambda", "aliases");
/// (function, qualifier; empty: none)
pub const POLICIES: Table<(String, String), PolicyRecord> = Table::new("lambda", "policies");

pub const NO_RESERVATION: i64 = -1;

/// Sorts as AWS lists: `$LATEST` first, then by number.
pub fn version_key(version: &str) -> String {
    if version == LATEST { version.to_owned() } else { format!("{version:0>12}") }
}

pub async fn head<R: Read + ?Sized>(ctx: &Ctx, read: &R, name: &str) -> Result<HeadRecord> {
    let head = HEADS.get(read, ctx.scope(), name).await?;
    head.ok_or_else(|| errors::function_not_found(ctx, name, None))
}

pub async fn version<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &str,
    version: &str,
) -> Result<FunctionRecord> {
    let found = FUNCTIONS.get(read, ctx.scope(), &(name, version_key(version).as_str())).await?;
    let qualifier = (version != LATEST).then_some(version);
    found.ok_or_else(|| errors::function_not_found(ctx, name, qualifier))
}
