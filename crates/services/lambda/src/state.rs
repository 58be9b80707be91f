//! Records, tables and every key of Lambda.

use std::collections::BTreeMap;

use bytes::Bytes;
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
        /// Empty: none.
        6 => code_signing_config_arn: String,
        /// Whether loops through this function are left alone.
        40 => recursion_allowed: bool,
    }
}

record! {
    /// A deployment package.
    pub struct CodeRecord {
        1 => blob: BlobRef,
        /// Base64, as the API shows it.
        2 => sha256: String,
        3 => size_bytes: u64,
        4 => unzipped_bytes: u64,
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
        /// As versions before 2026-11-22 kept it; now sealed.
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
        /// Changes with code and configuration only: what instances are of. `revision_id` changes with the policy, too.
        24 => build: String,
        /// What `$LATEST` was described as when this version was published.
        25 => latest_description: String,
        26 => layers: Vec<LayerRecord>,
        /// JSON of the environment variables, sealed with the server's key.
        27 => sealed_environment: Bytes,
        /// When the runtime is updated; empty: Auto.
        28 => update_runtime_on: String,
        29 => runtime_version_arn: String,
        /// The queue or topic for events that could not be handled; empty: none.
        40 => dead_letter_arn: String,
    }
}

record! {
    /// A layer as a function uses it: its content stays, even if the layer's version is deleted.
    pub struct LayerRecord {
        1 => arn: String,
        2 => code: CodeRecord,
    }
}

record! {
    pub struct LayerHeadRecord {
        /// Numbers are never used again.
        1 => last_version: u64,
    }
}

record! {
    pub struct LayerVersionRecord {
        1 => name: String,
        2 => version: u64,
        3 => description: String,
        4 => license: Option<String>,
        5 => code: CodeRecord,
        6 => created_ms: i64,
        /// Whether these were given at all, which may be empty.
        7 => names_architectures: bool,
        8 => architectures: Vec<String>,
        9 => names_runtimes: bool,
        10 => runtimes: Vec<String>,
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

const ENVIRONMENT: &str = "lambda.environment";

impl FunctionRecord {
    pub fn set_environment(&mut self, ctx: &Ctx, variables: &BTreeMap<String, String>) {
        self.has_environment = true;
        self.environment.clear();
        let json = serde_json::to_vec(variables).unwrap_or_default();
        self.sealed_environment = ctx.seal(ENVIRONMENT, &json);
    }

    /// `None`: it was sealed with another key.
    pub fn environment(&self, ctx: &Ctx) -> Option<BTreeMap<String, String>> {
        if self.sealed_environment.is_empty() {
            return Some(self.environment.clone());
        }
        let json = ctx.unseal(ENVIRONMENT, &self.sealed_environment)?;
        serde_json::from_slice(&json).ok()
    }

    /// A new revision of the same code and configuration: instances stay.
    pub fn revise(&mut self, revision_id: String) {
        self.build = self.build().to_owned();
        self.revision_id = revision_id;
    }

    /// What instances of this version are told apart by.
    pub fn build(&self) -> &str {
        if self.build.is_empty() { &self.revision_id } else { &self.build }
    }
}

record! {
    pub struct ReservedRecord {
        /// The sum of all functions' reservations.
        1 => total: i64,
    }
}

record! {
    pub struct CodeSigningRecord {
        1 => id: String,
        2 => description: Option<String>,
        3 => publishers: Vec<String>,
        /// `Warn` or `Enforce`.
        4 => policy: String,
        5 => modified_ms: i64,
        6 => tags: BTreeMap<String, String>,
    }
}

record! {
    /// Instances kept ready for a version or alias.
    pub struct ProvisionedRecord {
        1 => requested: u32,
        2 => ready: u32,
        3 => status: String,
        4 => status_reason: String,
        5 => modified_ms: i64,
        /// What they are instances of; empty: none were started yet.
        6 => version: String,
        7 => build: String,
    }
}

record! {
    /// The URL of a function or an alias.
    pub struct UrlRecord {
        1 => id: String,
        2 => function: String,
        /// The alias; empty: the function itself.
        3 => qualifier: String,
        4 => auth_type: String,
        5 => cors: Option<CorsRecord>,
        /// Empty: never said.
        6 => invoke_mode: String,
        7 => created_ms: i64,
        8 => modified_ms: i64,
    }
}

record! {
    pub struct CorsRecord {
        1 => allow_credentials: Option<bool>,
        2 => allow_headers: Vec<String>,
        3 => allow_methods: Vec<String>,
        4 => allow_origins: Vec<String>,
        5 => expose_headers: Vec<String>,
        6 => max_age_s: Option<i64>,
    }
}

record! {
    /// Whose a URL is: its host says nothing of that.
    pub struct UrlOwnerRecord {
        1 => account: String,
        2 => region: String,
        3 => function: String,
        4 => qualifier: String,
    }
}

pub const HEADS: Table<String, HeadRecord> = Table::new("lambda", "heads");
/// (function, version as [`version_key`] spells it)
pub const FUNCTIONS: Table<(String, String), FunctionRecord> = Table::new("lambda", "functions");
/// (function, alias)
pub const ALIASES: Table<(String, String), AliasRecord> = Table::new("lambda", "aliases");
/// (function, qualifier; empty: none)
pub const POLICIES: Table<(String, String), PolicyRecord> = Table::new("lambda", "policies");

/// One record, so that an invocation need not add up all functions' reservations.
pub const RESERVED: Table<String, ReservedRecord> = Table::new("lambda", "reserved");
pub const CODE_SIGNING_CONFIGS: Table<String, CodeSigningRecord> =
    Table::new("lambda", "code-signing-configs");
/// (function, version or alias)
pub const PROVISIONED: Table<(String, String), ProvisionedRecord> =
    Table::new("lambda", "provisioned");
/// (function, alias; empty: none)
pub const URLS: Table<(String, String), UrlRecord> = Table::new("lambda", "urls");
/// By the URL's id; in no account.
pub const URL_OWNERS: Table<String, UrlOwnerRecord> = Table::new("lambda", "url-owners");
pub const LAYER_HEADS: Table<String, LayerHeadRecord> = Table::new("lambda", "layers");
/// (layer, version)
pub const LAYER_VERSIONS: Table<(String, u64), LayerVersionRecord> =
    Table::new("lambda", "layer-versions");
/// (layer, version)
pub const LAYER_POLICIES: Table<(String, u64), PolicyRecord> =
    Table::new("lambda", "layer-policies");

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

#[cfg(test)]
mod tests {
    use sereno_store::Record as _;
    use sereno_testkit::TestCloud;

    use super::*;

    #[test]
    fn environments_are_not_readable_in_the_store() {
        let ctx = TestCloud::builder().server_key([7; 32]).build().ctx();
        let variables = BTreeMap::from([("SECRET".to_owned(), "correct horse".to_owned())]);
        let mut record = FunctionRecord::default();
        record.set_environment(&ctx, &variables);
        let stored = String::from_utf8_lossy(&record.to_bytes()).into_owned();
        assert!(!stored.contains("SECRET") && !stored.contains("horse"));
        assert_eq!(record.environment(&ctx), Some(variables));
        let stranger = TestCloud::builder().server_key([8; 32]).build().ctx();
        assert_eq!(record.environment(&stranger), None);
    }
}
