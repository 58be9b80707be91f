//! A table as operations see it: its record, prepared. And the engine that keeps prepared tables.
//!
//! Invariant: a cached table is dropped as soon as a commit of this process touches its record, and
//! every write checks the record's version in its own commit, so nobody writes by an old schema.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sereno_base::{AccountId, Arn, Region};
use sereno_ddbexpr::{Item, Kind};
use sereno_kernel::{Access, Ctx, ResourceGuard, Result};
use sereno_policy::Policy;
use sereno_store::{Batch, Check, Key, Scope, Version, Watch};

use crate::state::{self, IndexRecord, IndexState, ProjectionKind, TABLES, TableRecord};
use crate::{errors, keys};

#[derive(Clone, Debug, PartialEq)]
pub struct KeyAttribute {
    pub name: String,
    pub kind: Kind,
}

/// Partition key attributes, then sort key attributes. Tables and local indexes have one and at
/// most one; global indexes may have up to four of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySchema {
    pub hash: Vec<KeyAttribute>,
    pub range: Vec<KeyAttribute>,
}

impl KeySchema {
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.hash.iter().chain(&self.range)
    }

    pub fn len(&self) -> usize {
        self.hash.len() + self.range.len()
    }

    pub fn find(&self, name: &str) -> Option<&KeyAttribute> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// Only the key's attributes.
    pub fn key_of(&self, item: &Item) -> Item {
        self.attributes()
            .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
            .collect()
    }
}

pub struct Index {
    pub record: IndexRecord,
    pub keys: KeySchema,
    partition: Vec<u8>,
}

impl Index {
    pub fn key(&self, sort: Vec<u8>) -> Key {
        Key { partition: self.partition.clone(), sort }
    }

    pub fn partition(&self) -> &[u8] {
        &self.partition
    }

    /// Whether queries may use it.
    pub fn is_readable(&self) -> bool {
        matches!(self.record.state, IndexState::Active | IndexState::Updating)
    }

    /// What of an item the index holds.
    pub fn project(&self, table: &KeySchema, item: &Item) -> Item {
        if self.record.projection == ProjectionKind::All {
            return item.clone();
        }
        let mut part = table.key_of(item);
        for attribute in self.keys.attributes() {
            if let Some(value) = item.get(&attribute.name) {
                part.insert(attribute.name.clone(), value.clone());
            }
        }
        for name in &self.record.non_key_attributes {
            if let Some(value) = item.get(name) {
                part.insert(name.clone(), value.clone());
            }
        }
        part
    }
}

pub struct Table {
    pub record: TableRecord,
    pub version: Version,
    /// Of the table's own record.
    pub scope: Scope,
    /// Of items, indexes and counts: replicas share those of the region where the table began.
    pub data: Scope,
    pub arn: String,
    pub keys: KeySchema,
    pub indexes: Vec<Index>,
    pub policy: Option<Arc<Policy>>,
    partition: Vec<u8>,
    ttl_partition: Vec<u8>,
    undo_partition: Vec<u8>,
}

impl Table {
    pub fn prepare(record: TableRecord, version: Version, scope: Scope, arn: String) -> Table {
        let data = data_scope(&record, scope);
        let partition = |number| state::ITEMS.partition_key(data, &(record.storage, number));
        let kind_of = |name: &str| {
            let found = record.attributes.iter().find(|attribute| attribute.name == name);
            found.and_then(|attribute| Kind::from_code(&attribute.kind)).unwrap_or(Kind::S)
        };
        let attribute = |name: &String| KeyAttribute { name: name.clone(), kind: kind_of(name) };
        let indexes = record
            .indexes
            .iter()
            .map(|index| Index {
                record: index.clone(),
                keys: KeySchema {
                    hash: index.hash.iter().map(attribute).collect(),
                    range: index.range.iter().map(attribute).collect(),
                },
                partition: partition(index.number).partition,
            })
            .collect();
        let keys = KeySchema {
            hash: vec![attribute(&record.hash)],
            range: record.range.iter().map(attribute).collect(),
        };
        // Validated when it was set.
        let policy = record
            .policy
            .as_deref()
            .and_then(|text| sereno_policy::validate::resource(text).ok().map(Arc::new));
        Table {
            version,
            scope,
            data,
            arn,
            keys,
            indexes,
            policy,
            partition: partition(0).partition,
            ttl_partition: partition(state::TTL_INDEX).partition,
            undo_partition: partition(state::UNDO_INDEX).partition,
            record,
        }
    }

    /// Where an item lies, given at least its key.
    pub fn key(&self, item: &Item) -> Result<Key> {
        match keys::primary(&self.keys, item) {
            Some(sort) => Ok(self.at(sort)),
            None => Err(errors::validation("The provided key element does not match the schema")),
        }
    }

    pub fn at(&self, sort: Vec<u8>) -> Key {
        Key { partition: self.partition.clone(), sort }
    }

    pub fn partition(&self) -> &[u8] {
        &self.partition
    }

    pub fn expiry_at(&self, sort: Vec<u8>) -> Key {
        Key { partition: self.ttl_partition.clone(), sort }
    }

    pub fn undo_partition(&self) -> &[u8] {
        &self.undo_partition
    }

    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.record.name == name)
    }

    pub fn has_local_indexes(&self) -> bool {
        self.indexes.iter().any(|index| index.record.local)
    }

    /// In a batch: the table is still what the writer took it for.
    pub fn check(&self, batch: &mut Batch) {
        TABLES.check(batch, self.scope, self.record.name.as_str(), Check::At(self.version));
    }
}

/// The scope of a table's items, given that of its record.
pub fn data_scope(record: &TableRecord, own: Scope) -> Scope {
    match Region::parse(&record.home) {
        Some(home) => own.in_region(home),
        None => own,
    }
}

/// What a client calls a table: a name, or the ARN of a table, perhaps of another account.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub name: String,
    pub account: AccountId,
    pub region: Region,
}

impl Target {
    /// Recorded: nubo-db's conformance suite on AWS (PutItem, table names).
    pub fn parse(ctx: &Ctx, table_name: &str) -> Result<Target> {
        if let Some(rest) = table_name.strip_prefix("arn:") {
            return Target::of_arn(ctx, table_name, rest);
        }
        check_name(table_name, "tableName", 3)?;
        Ok(Target { name: table_name.to_owned(), account: ctx.account(), region: ctx.region() })
    }

    fn of_arn(ctx: &Ctx, text: &str, _rest: &str) -> Result<Target> {
        let bad = || errors::validation(format!("Invalid table ARN: {text}"));
        let arn = Arn::parse(text).filter(|arn| arn.service == "dynamodb").ok_or_else(bad)?;
        let name = arn.resource.strip_prefix("table/").ok_or_else(bad)?;
        let name = name.split('/').next().unwrap_or_default();
        check_name(name, "tableName", 3)?;
        let (account, region) = arn.account_id().zip(arn.region()).ok_or_else(bad)?;
        if region != ctx.region() {
            return Err(bad());
        }
        Ok(Target { name: name.to_owned(), account, region })
    }

    pub fn scope(&self) -> Scope {
        Scope::new(self.account, Some(self.region))
    }

    pub fn arn(&self) -> String {
        sereno_base::arn(
            "dynamodb",
            Some(self.region),
            Some(self.account),
            &format!("table/{}", self.name),
        )
    }
}

/// A name as the model's TableName says it.
pub fn check_name(name: &str, path: &str, min: usize) -> Result<()> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let mut broken = Vec::new();
    if !name.bytes().all(good) || name.is_empty() {
        broken.push("Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+".to_owned());
    }
    if name.len() < min {
        broken.push(format!("Member must have length greater than or equal to {min}"));
    }
    if name.len() > 255 {
        broken.push("Member must have length less than or equal to 255".to_owned());
    }
    if broken.is_empty() {
        return Ok(());
    }
    let plural = if broken.len() == 1 { "" } else { "s" };
    let sentences: Vec<String> = broken
        .iter()
        .map(|rule| format!("Value '{name}' at '{path}' failed to satisfy constraint: {rule}"))
        .collect();
    Err(errors::validation(format!(
        "{} validation error{plural} detected: {}",
        broken.len(),
        sentences.join("; ")
    )))
}

/// What this process remembers: prepared tables, and changes of item counts not yet written.
#[derive(Default)]
pub struct Engine {
    cache: RwLock<HashMap<Scope, HashMap<String, Cached>>>,
    pub tallies: crate::tally::Tallies,
    pub throttle: crate::throttle::Throttle,
}

struct Cached {
    table: Arc<Table>,
    watch: Watch,
}

impl Engine {
    /// The table, or nothing. Costs a hash look-up while nobody changes it.
    pub async fn load(&self, ctx: &Ctx, target: &Target) -> Result<Option<Arc<Table>>> {
        let scope = target.scope();
        // Another node's news may be on its way, and the policy of a table must hold at once.
        if !ctx.store().is_shared()
            && let Some(table) = self.cached(scope, &target.name)
        {
            return Ok(Some(table));
        }
        let key = TABLES.key(scope, target.name.as_str());
        // First watch, then read: a change in between wakes the watch.
        let watch = ctx.store().watch(std::slice::from_ref(&key));
        let found = TABLES.get_versioned(ctx.store(), scope, target.name.as_str()).await?;
        let Some((version, record)) = found else {
            self.forget(target);
            return Ok(None);
        };
        let table = Arc::new(Table::prepare(record, version, scope, target.arn()));
        let cached = Cached { table: Arc::clone(&table), watch };
        self.lock_write().entry(scope).or_default().insert(target.name.clone(), cached);
        Ok(Some(table))
    }

    fn cached(&self, scope: Scope, name: &str) -> Option<Arc<Table>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.get(&scope)?.get(name)?;
        (!cached.watch.is_woken()).then(|| Arc::clone(&cached.table))
    }

    fn lock_write(
        &self,
    ) -> std::sync::RwLockWriteGuard<'_, HashMap<Scope, HashMap<String, Cached>>> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a table that proved to be outdated.
    pub fn forget(&self, target: &Target) {
        let mut cache = self.lock_write();
        let scope = target.scope();
        if let Some(tables) = cache.get_mut(&scope) {
            tables.remove(&target.name);
            if tables.is_empty() {
                cache.remove(&scope);
            }
        }
    }

    /// Loads a table and asks whether the caller may do what `access` says about it. The question
    /// comes first: who may not know learns nothing.
    pub async fn open(
        &self,
        ctx: &Ctx,
        target: &Target,
        access: impl FnOnce(Option<&Table>) -> Access,
    ) -> Result<Option<Arc<Table>>> {
        let table = self.load(ctx, target).await?;
        let guard = ResourceGuard {
            policy: table.as_ref().and_then(|table| table.policy.clone()),
            owner: Some(target.account),
            ..ResourceGuard::default()
        };
        ctx.authorise_guarded("dynamodb", guard, || access(table.as_deref())).await?;
        Ok(table.filter(|table| !table.record.filling))
    }
}
