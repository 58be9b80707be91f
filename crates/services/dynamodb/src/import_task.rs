//! Carrying out an import: the objects of a prefix in order, their records in order.
//!
//! How far it has come is written in the commits that put items, so after a crash every record is
//! imported once. A record that cannot be is counted and logged, and the import goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_api_logs as logs;
use sereno_ddbexpr::Item;
use sereno_kernel::{Ctx, Error, Outcome, Result, Task, TaskKind};
use sereno_store::{Batch, Key, Record};

use crate::export_record::Progress;
use crate::fill::Progress as Fill;
use crate::import::ImportWork;
use crate::import_format::{Cutter, Reading};
use crate::import_record::{IMPORTS, ImportRecord, LOG_GROUP};
use crate::import_source::{Source, objects};
use crate::item;
use crate::restore;
use crate::table::{Engine, Table, Target};
use crate::write::{self, Change};

pub const IMPORT: &str = "dynamodb.import";
const COMMIT_ITEMS: usize = 200;
const COMMIT_BYTES: usize = 1 << 20;
/// AWS logs no more than that of one import.
const LOGGED_MAX: i64 = 10_000;

pub fn task(engine: Arc<Engine>) -> TaskKind {
    TaskKind::new(IMPORT, move |ctx: Ctx, task: Task| {
        let engine = Arc::clone(&engine);
        async move {
            let work = ImportWork::decode(&task.payload)?;
            let key = (work.table.as_str(), work.id.as_str());
            let found = IMPORTS.get(ctx.store(), ctx.scope(), &key).await?;
            let Some(mut import) = found.filter(|one| one.progress == Progress::Running) else {
                return Ok(Outcome::Done);
            };
            let target =
                Target { name: work.table.clone(), account: ctx.account(), region: ctx.region() };
            let table = engine.load(&ctx, &target).await?;
            let Some(table) = table.filter(|table| table.record.id == import.table_id) else {
                return Ok(Outcome::Done);
            };
            match run(&engine, &ctx, &import, &table).await {
                Ok(()) => import.progress = Progress::Completed,
                Err(error) if error.is_transient() || error.code() == "InternalFailure" => {
                    return Err(error);
                }
                Err(error) => {
                    import.progress = Progress::Failed;
                    error.code().clone_into(&mut import.failure_code);
                    error.message().clone_into(&mut import.failure_message);
                }
            }
            finish(&ctx, &mut import, &table).await?;
            restore::open(&ctx, &target).await?;
            Ok(Outcome::Done)
        }
    })
}

async fn finish(ctx: &Ctx, import: &mut ImportRecord, table: &Table) -> Result<()> {
    let fill = Fill::load(ctx, table.data, table.record.storage).await?.record;
    import.ended_ms = ctx.now().millis();
    import.errors = fill.errors;
    import.imported = fill.items;
    import.processed = fill.items + fill.errors;
    import.bytes = fill.read_bytes;
    let mut batch = Batch::new();
    let key = (import.table.as_str(), import.id.as_str());
    IMPORTS.put(&mut batch, ctx.scope(), &key, import);
    ctx.store().commit(batch).await?;
    Ok(())
}

/// One import under way.
struct Run<'a> {
    engine: &'a Engine,
    ctx: &'a Ctx,
    import: &'a ImportRecord,
    table: &'a Table,
    fill: Fill,
    /// Records refused since the last commit that covers them.
    refused: i64,
}

async fn run(engine: &Engine, ctx: &Ctx, import: &ImportRecord, table: &Table) -> Result<()> {
    let fill = Fill::load(ctx, table.data, table.record.storage).await?;
    let mut run = Run { engine, ctx, import, table, fill, refused: 0 };
    let request = import.request();
    loop {
        let after = run.fill.record.after.as_ref();
        let after = after.map(|key| String::from_utf8_lossy(key).into_owned());
        let page = objects(ctx, &request.s3_bucket_source, after).await?;
        if page.is_empty() {
            break;
        }
        for key in page {
            run.object(&request, &key).await?;
        }
    }
    if run.fill.record.objects == 0 {
        return Err(Error::not_found(
            "ItemsNotFound",
            "No objects were found in the bucket under the given prefix",
        ));
    }
    Ok(())
}

fn reading(request: &api::ImportTableInput) -> Reading {
    match request.input_format {
        api::InputFormat::Csv => {
            let csv = request.input_format_options.as_ref().and_then(|some| some.csv.as_ref());
            let delimiter = csv.and_then(|csv| csv.delimiter.as_ref()?.chars().next());
            Reading::Csv {
                delimiter: delimiter.unwrap_or(','),
                header: csv.and_then(|csv| csv.header_list.clone()),
            }
        }
        api::InputFormat::Ion => Reading::Ion,
        _ => Reading::Json,
    }
}

impl Run<'_> {
    async fn object(&mut self, request: &api::ImportTableInput, key: &str) -> Result<()> {
        let none = api::InputCompressionType::None;
        let packing = request.input_compression_type.as_ref().unwrap_or(&none);
        let mut source = Source::open(self.ctx, &request.s3_bucket_source, key, packing).await?;
        let mut reading = reading(request);
        let mut cutter = Cutter::new(reading.is_csv());
        let mut object = Object { bucket: &request.s3_bucket_source.s3_bucket, key, at: 0 };
        let mut items = Vec::new();
        let mut over = false;
        while !over {
            let records = match source.next(key).await? {
                Some(bytes) => cutter.push(&bytes).map_err(too_long)?,
                None => {
                    over = true;
                    cutter.finish().into_iter().collect()
                }
            };
            for record in records {
                object.at += 1;
                let item = reading.item(&record, &self.table.keys);
                if object.at <= self.fill.record.records {
                    // Imported before a crash.
                    continue;
                }
                let item = item.and_then(|item| item.map(|item| self.checked(item)).transpose());
                match item {
                    Ok(Some(item)) => items.push((object.at, item)),
                    Ok(None) => {}
                    Err(what) => self.refuse(&object, what).await,
                }
                if items.len() >= COMMIT_ITEMS {
                    self.put(std::mem::take(&mut items), object.at).await?;
                }
            }
        }
        self.put(items, object.at).await?;
        self.fill.record.objects += 1;
        self.fill.record.records = 0;
        self.fill.record.read_bytes += source.read_bytes;
        self.fill.record.after = Some(key.as_bytes().to_vec().into());
        self.fill.commit(self.ctx, Batch::new()).await
    }

    fn checked(&self, item: Item) -> std::result::Result<Item, String> {
        write::check_item(self.table, &item)
            .and_then(|()| item::check_size(&item))
            .map_err(|error| error.message().to_owned())?;
        Ok(item)
    }

    /// Puts items, and says that `records` of the object are done.
    async fn put(&mut self, items: Vec<(u64, Item)>, records: u64) -> Result<()> {
        let mut pending: Vec<(Key, Item)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for (record, item) in items {
            let at = self.table.key(&item)?;
            if bytes > COMMIT_BYTES || !seen.insert(at.sort.clone()) {
                // The same key again: the later one wins, and must find the earlier.
                self.commit(std::mem::take(&mut pending)).await?;
                seen = BTreeSet::from([at.sort.clone()]);
                bytes = 0;
            }
            bytes += item.size() * (1 + self.table.indexes.len());
            self.fill.record.items += 1;
            self.fill.record.records = record;
            pending.push((at, item));
        }
        self.fill.record.records = records;
        self.fill.record.errors += std::mem::take(&mut self.refused);
        self.commit(pending).await
    }

    async fn commit(&mut self, pending: Vec<(Key, Item)>) -> Result<()> {
        let mut batch = Batch::new();
        self.table.check(&mut batch);
        let mut changes = Vec::with_capacity(pending.len());
        for (at, item) in pending {
            let old = write::read(self.ctx.store(), &at).await?.map(|stored| stored.item);
            let change = Change { table: self.table, old: old.as_ref(), new: Some(&item) };
            change.record(&mut batch, &at, self.ctx.now(), false);
            changes.push((old, item));
        }
        self.fill.commit(self.ctx, batch).await?;
        for (old, item) in &changes {
            Change { table: self.table, old: old.as_ref(), new: Some(item) }.tally(self.engine);
        }
        Ok(())
    }

    /// Counts a record that cannot be imported, and logs why.
    async fn refuse(&mut self, object: &Object<'_>, what: String) {
        self.refused += 1;
        if self.fill.record.errors + self.refused > LOGGED_MAX {
            return;
        }
        let message = serde_json::json!({
            "itemS3Pointer": {
                "bucket": object.bucket, "key": object.key, "itemIndex": object.at - 1
            },
            "importArn": self.import.arn(),
            "errorMessages": [what],
        });
        // The import's result does not hang on its log: without leave to write it, none is written.
        let _ = log(self.ctx, &self.import.id, message.to_string()).await;
    }
}

fn too_long(what: String) -> Error {
    Error::invalid("ItemTooLarge", what)
}

/// Where a record comes from.
struct Object<'a> {
    bucket: &'a str,
    key: &'a str,
    /// Records until now.
    at: u64,
}

async fn log(ctx: &Ctx, id: &str, message: String) -> Result<()> {
    let stream = format!("{id}/error");
    let group = LOG_GROUP.to_owned();
    let known = |error: &Error| error.code() == "ResourceAlreadyExistsException";
    let made = logs::CreateLogGroupInput { log_group_name: group.clone(), ..Default::default() };
    ctx.call::<logs::CreateLogGroup>(made)
        .await
        .map(|_| ())
        .or_else(|error| if known(&error) { Ok(()) } else { Err(error) })?;
    let made = logs::CreateLogStreamInput {
        log_group_name: group.clone(),
        log_stream_name: stream.clone(),
    };
    ctx.call::<logs::CreateLogStream>(made)
        .await
        .map(|_| ())
        .or_else(|error| if known(&error) { Ok(()) } else { Err(error) })?;
    ctx.call::<logs::PutLogEvents>(logs::PutLogEventsInput {
        log_group_name: group,
        log_stream_name: stream,
        log_events: vec![logs::InputLogEvent { timestamp: ctx.now().millis(), message }],
        ..Default::default()
    })
    .await
    .map(|_| ())
}
