//! Writing one item: what changes in the table, its indexes, its expiry times and its stream, all in
//! one commit; and what it costs.
//!
//! Invariants: an index entry exists exactly if the item has all the index's key attributes; entries
//! are derived from the old and the new item alone, so a check on the item guards them too; a write
//! that changes nothing leaves no stream record.

use bytes::Bytes;
use sereno_base::Timestamp;
use sereno_ddbexpr::encode::{decode_item, encode_item};
use sereno_ddbexpr::{Item, Kind, Value, limits};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Batch, Check, Key, Read, Record, Scope, StoreError, Version, Write};

use crate::capacity::{Usage, write_units};
use crate::state::{
    ChangeRecord, ITEMS, IndexState, STREAM_RECORDS, StreamRecordOf, UndoRecord, ViewType,
};
use crate::table::{Engine, Index, Table, Target};
use crate::{errors, keys};

/// An item as it is stored now.
pub struct Stored {
    pub version: Version,
    pub item: Item,
}

pub async fn read(read: &(impl Read + ?Sized), key: &Key) -> Result<Option<Stored>> {
    let Some((version, bytes)) = read.get(key).await? else { return Ok(None) };
    let item = decode_item(&bytes).map_err(errors::corrupt)?;
    Ok(Some(Stored { version, item }))
}

/// What a writer decided about an item.
pub enum Decision {
    Put(Item),
    Delete,
    /// Write nothing.
    Keep,
}

/// What was written.
pub struct Written {
    pub old: Option<Item>,
    pub new: Option<Item>,
    pub usage: Usage,
}

/// Writes one item, trying again as long as others get in between. `decide` sees the item as it is
/// and must be free of effects.
pub async fn write_one(
    engine: &Engine,
    ctx: &Ctx,
    target: &Target,
    mut table: std::sync::Arc<Table>,
    key: &Item,
    decide: impl Fn(&Table, Option<&Item>) -> Result<Decision>,
) -> Result<Written> {
    let mut attempts = Attempts::default();
    loop {
        let at = table.key(key)?;
        let stored = read(ctx.store(), &at).await?;
        let (version, old) =
            stored.map_or((None, None), |stored| (Some(stored.version), Some(stored.item)));
        let new = match decide(&table, old.as_ref())? {
            Decision::Put(item) => Some(item),
            Decision::Delete => None,
            Decision::Keep => {
                let usage = Usage::of_table(size_units(old.as_ref(), None));
                return Ok(Written { new: old.clone(), old, usage });
            }
        };
        let mut batch = Batch::new();
        table.check(&mut batch);
        batch.checks.push((at.clone(), version.map_or(Check::Absent, Check::At)));
        let change = Change { table: &table, old: old.as_ref(), new: new.as_ref() };
        let usage = change.record(&mut batch, &at, ctx.now(), false);
        match ctx.store().commit(batch).await {
            Ok(_) => {
                change.tally(engine);
                return Ok(Written { old, new, usage });
            }
            Err(StoreError::Conflict) => {
                attempts.again().await?;
                table = reload(engine, ctx, target).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The table as it is after a conflict.
pub async fn reload(engine: &Engine, ctx: &Ctx, target: &Target) -> Result<std::sync::Arc<Table>> {
    engine.forget(target);
    engine.load(ctx, target).await?.ok_or_else(errors::not_found)
}

/// Patience with other writers.
#[derive(Default)]
pub struct Attempts(sereno_store::Backoff);

impl Attempts {
    pub async fn again(&mut self) -> Result<()> {
        if self.0.again().await { Ok(()) } else { Err(errors::contention()) }
    }
}

fn size_units(old: Option<&Item>, new: Option<&Item>) -> f64 {
    let size = |item: Option<&Item>| item.map_or(0, Item::size);
    write_units(size(old).max(size(new))) as f64
}

/// An item before and after.
pub struct Change<'a> {
    pub table: &'a Table,
    pub old: Option<&'a Item>,
    pub new: Option<&'a Item>,
}

impl Change<'_> {
    /// Adds everything that this change means to `write`.
    pub fn record(
        &self,
        write: &mut dyn Write,
        at: &Key,
        now: Timestamp,
        by_service: bool,
    ) -> Usage {
        match self.new {
            Some(item) => write.put(at.clone(), encode_item(item)),
            None if self.old.is_some() => write.delete(at.clone()),
            None => {}
        }
        let mut usage = Usage::of_table(size_units(self.old, self.new));
        for index in &self.table.indexes {
            if index.record.state == IndexState::Deleting {
                continue;
            }
            let units = self.record_index(write, index);
            if units > 0.0 {
                let all = if index.record.local { &mut usage.local } else { &mut usage.global };
                all.insert(index.record.name.clone(), units);
            }
        }
        self.record_expiry(write, at);
        self.record_undo(write, at, now);
        self.record_stream(write, now, by_service);
        usage
    }

    /// While someone needs the table's past: see [`crate::past`].
    fn record_undo(&self, write: &mut dyn Write, at: &Key, now: Timestamp) {
        if self.table.record.keepers == 0 || self.old == self.new {
            return;
        }
        let old = self.old.map(|item| Bytes::from(encode_item(item)));
        let undo = UndoRecord { at_ms: now.millis(), old };
        write.append(self.table.undo_partition().to_vec(), at.sort.clone(), undo.to_bytes());
    }

    /// Units: a new entry, a changed one and a removed one each count; a moved one counts twice.
    fn record_index(&self, write: &mut dyn Write, index: &Index) -> f64 {
        let place = |item: Option<&Item>| {
            let item = item?;
            let key = keys::in_index(&index.keys, &self.table.keys, item)?;
            Some((key, index.project(&self.table.keys, item)))
        };
        let (old, new) = (place(self.old), place(self.new));
        let units = |item: &Item| write_units(item.size()) as f64;
        match (old, new) {
            (None, None) => 0.0,
            (Some((old_key, old)), Some((new_key, new))) if old_key == new_key => {
                if old == new {
                    return 0.0;
                }
                write.put(index.key(new_key), encode_item(&new));
                units(&old).max(units(&new))
            }
            (old, new) => {
                let mut used = 0.0;
                if let Some((key, item)) = old {
                    write.delete(index.key(key));
                    used += units(&item);
                }
                if let Some((key, item)) = new {
                    write.put(index.key(key), encode_item(&item));
                    used += units(&item);
                }
                used
            }
        }
    }

    fn record_expiry(&self, write: &mut dyn Write, at: &Key) {
        let Some(attribute) = &self.table.record.ttl_attribute else { return };
        let (old, new) = (expiry(self.old, attribute), expiry(self.new, attribute));
        if old == new {
            return;
        }
        if let Some(at_s) = old {
            write.delete(self.table.expiry_at(keys::expiry(at_s, &at.sort)));
        }
        if let Some(at_s) = new {
            // The key names the item; nothing else is needed.
            write.put(self.table.expiry_at(keys::expiry(at_s, &at.sort)), Vec::new());
        }
    }

    fn record_stream(&self, write: &mut dyn Write, now: Timestamp, by_service: bool) {
        if self.old == self.new {
            return;
        }
        let table = &self.table.record;
        if let Some(stream) = table.stream.as_ref().filter(|stream| stream.enabled) {
            self.record_change(write, self.table.scope, stream, now, by_service);
        }
        for replica in &table.replicas {
            let stream = replica.stream.as_ref().filter(|stream| stream.enabled);
            let region = sereno_base::Region::parse(&replica.region);
            if let Some((stream, region)) = stream.zip(region) {
                let scope = self.table.scope.in_region(region);
                self.record_change(write, scope, stream, now, by_service);
            }
        }
    }

    fn record_change(
        &self,
        write: &mut dyn Write,
        scope: Scope,
        stream: &StreamRecordOf,
        now: Timestamp,
        by_service: bool,
    ) {
        let Some(any) = self.new.or(self.old) else { return };
        let keys = self.table.keys.key_of(any);
        let wants_new = matches!(stream.view, ViewType::NewAndOldImages | ViewType::NewImage);
        let wants_old = matches!(stream.view, ViewType::NewAndOldImages | ViewType::OldImage);
        let new = self.new.filter(|_| wants_new);
        let old = self.old.filter(|_| wants_old);
        let size = keys.size() + new.map_or(0, Item::size) + old.map_or(0, Item::size);
        let event = match (self.old, self.new) {
            (None, _) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        let record = ChangeRecord {
            created_ms: now.millis(),
            event: event.to_owned(),
            keys: Bytes::from(encode_item(&keys)),
            new_image: new.map(|item| Bytes::from(encode_item(item))),
            old_image: old.map(|item| Bytes::from(encode_item(item))),
            by_service,
            size_bytes: size as u64,
        };
        STREAM_RECORDS.append(write, scope, &(stream.number, 0u32), &record);
    }

    /// Counts the change, once it is committed.
    pub fn tally(&self, engine: &Engine) {
        let table = self.table;
        let count = |number, old: Option<usize>, new: Option<usize>| {
            let items = i64::from(new.is_some()) - i64::from(old.is_some());
            let bytes = new.unwrap_or(0) as i64 - old.unwrap_or(0) as i64;
            engine.tallies.add(table.data, table.record.storage, number, items, bytes);
        };
        count(0, self.old.map(Item::size), self.new.map(Item::size));
        for index in &table.indexes {
            let size = |item: Option<&Item>| {
                let item = item.filter(|item| {
                    index.keys.attributes().all(|attribute| item.contains(&attribute.name))
                })?;
                Some(index.project(&table.keys, item).size())
            };
            count(index.record.number, size(self.old), size(self.new));
        }
    }
}

/// Epoch seconds at which an item expires. Not more than five years ago: such values are taken for
/// something else.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
pub fn expiry(item: Option<&Item>, attribute: &str) -> Option<i64> {
    match item?.get(attribute)? {
        Value::N(number) => number.trunc_i64().filter(|at_s| *at_s > 0),
        _ => None,
    }
}

/// A whole item as a client wants to store it.
/// Recorded: dynalite, putItem.
pub fn check_item(table: &Table, item: &Item) -> Result<()> {
    for (at, attribute) in table.keys.attributes().enumerate() {
        let name = &attribute.name;
        let Some(value) = item.get(name) else {
            return Err(errors::parameters(format_args!("Missing the key {name} in the item")));
        };
        if value.kind() != attribute.kind {
            return Err(errors::parameters(format_args!(
                "Type mismatch for key {name} expected: {} actual: {}",
                attribute.kind.code(),
                value.kind().code()
            )));
        }
        check_not_empty(name, value, "are not valid. ")?;
        check_key_size(value, at == 0)?;
    }
    check_index_keys(table, item)
}

/// The types of attributes that are keys of indexes.
pub fn check_index_keys(table: &Table, item: &Item) -> Result<()> {
    for index in &table.indexes {
        for (at, attribute) in index.keys.attributes().enumerate() {
            let Some(value) = item.get(&attribute.name) else { continue };
            if value.kind() != attribute.kind {
                return Err(index_key_mismatch(
                    &attribute.name,
                    attribute.kind,
                    value.kind(),
                    &index.record.name,
                ));
            }
            if matches!(value, Value::S(text) if text.is_empty())
                || matches!(value, Value::B(bytes) if bytes.is_empty())
            {
                let what = if value.kind() == Kind::S { "string" } else { "binary" };
                return Err(errors::validation(format!(
                    "One or more parameter values are not valid. A value specified for a secondary \
                     index key is not supported. The AttributeValue for a key attribute cannot \
                     contain an empty {what} value. IndexName: {}, IndexKey: {}",
                    index.record.name, attribute.name
                )));
            }
            check_key_size(value, at < index.keys.hash.len())?;
        }
    }
    Ok(())
}

pub fn index_key_mismatch(
    attribute: &str,
    expected: Kind,
    actual: Kind,
    index: &str,
) -> sereno_kernel::Error {
    errors::parameters(format_args!(
        "Type mismatch for Index Key {attribute} Expected: {} Actual: {} IndexName: {index}",
        expected.code(),
        actual.code()
    ))
}

/// The key of an item as a client names it.
/// Recorded: dynalite, getItem.
pub fn check_key(table: &Table, key: &Item) -> Result<()> {
    if key.len() != table.keys.len() {
        return Err(schema_mismatch());
    }
    for (at, attribute) in table.keys.attributes().enumerate() {
        match key.get(&attribute.name) {
            Some(value) if value.kind() == attribute.kind => {
                check_not_empty(&attribute.name, value, "were invalid: ")?;
                check_key_size(value, at == 0)?;
            }
            _ => return Err(schema_mismatch()),
        }
    }
    Ok(())
}

pub fn schema_mismatch() -> sereno_kernel::Error {
    errors::validation("The provided key element does not match the schema")
}

fn check_not_empty(name: &str, value: &Value, were: &str) -> Result<()> {
    let what = match value {
        Value::S(text) if text.is_empty() => "string",
        Value::B(bytes) if bytes.is_empty() => "binary",
        _ => return Ok(()),
    };
    Err(errors::validation(format!(
        "One or more parameter values {were}The AttributeValue for a key attribute cannot contain an \
         empty {what} value. Key: {name}"
    )))
}

/// The sentence really lacks a space (recorded: dynalite, getItem).
pub fn check_key_size(value: &Value, hash: bool) -> Result<()> {
    if value.kind() == Kind::N {
        return Ok(());
    }
    if hash && value.size() > limits::PARTITION_KEY_BYTES_MAX {
        return Err(errors::parameters(
            "Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ));
    }
    if !hash && value.size() > limits::SORT_KEY_BYTES_MAX {
        return Err(errors::parameters(
            "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        ));
    }
    Ok(())
}

/// Where an index entry's item lies in the table.
pub fn home(table: &Table, entry: &Item) -> Result<Key> {
    table.key(entry)
}

/// Deletes all that is stored under one storage number, a piece at a time. True when nothing is left.
pub async fn purge_piece(ctx: &Ctx, storage: u64, number: u32) -> Result<bool> {
    const PIECE: usize = 1000;
    let partition = ITEMS.partition_key(ctx.scope(), &(storage, number)).partition;
    let range = sereno_store::Range::all(partition.clone()).limit(PIECE).bytes_max(4 << 20);
    let entries = ctx.store().range(&range).await?;
    let done = entries.is_empty();
    if !done {
        let mut batch = Batch::new();
        for entry in entries {
            batch.delete(Key { partition: partition.clone(), sort: entry.sort });
        }
        ctx.store().commit(batch).await?;
    }
    Ok(done)
}
