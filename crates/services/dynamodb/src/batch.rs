//! BatchGetItem and BatchWriteItem.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::encode::encode_item;
use sereno_ddbexpr::{Item, Projection};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Batch, Check, StoreError};

use crate::access::Touched;
use crate::capacity::{self, Detail, Mode, Usage};
use crate::convert::{self, Attributes};
use crate::errors;
use crate::expressions::{self, Present};
use crate::item;
use crate::selection;
use crate::table::{Engine, Table, Target};
use crate::update_rules;
use crate::write::{self, Attempts, Change};

const GET_KEYS_MAX: usize = 100;
const WRITES_MAX: usize = 25;
/// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const GET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// One commit of a batch, copies of items in indexes, streams and the past included.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

struct Gets {
    name: String,
    target: Target,
    table: Option<Arc<Table>>,
    keys: Vec<(Attributes, Item)>,
    projection: Option<Projection>,
    mode: Mode,
    /// The request, for keys that must be asked for again.
    again: api::KeysAndAttributes,
}

pub async fn get(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::BatchGetItemInput,
) -> Result<api::BatchGetItemOutput> {
    if input.request_items.is_empty() {
        return Err(errors::validation("The requestItems parameter is required for BatchGetItem"));
    }
    let count: usize = input.request_items.values().map(|request| request.keys.len()).sum();
    let mut all = Vec::with_capacity(input.request_items.len());
    let asked = input.return_consumed_capacity.as_ref();
    for (name, request) in input.request_items {
        all.push(check_gets(&engine, &ctx, name, request, asked).await?);
    }
    if count > GET_KEYS_MAX {
        return Err(errors::validation("Too many items requested for the BatchGetItem call"));
    }
    for gets in &all {
        let table = gets.table.as_ref().ok_or_else(errors::not_found)?;
        gets.keys.iter().try_for_each(|(_, key)| write::check_key(table, key))?;
        if let Some(projection) = &gets.projection {
            update_rules::check_nested_keys(table, projection.paths().iter())?;
        }
    }
    let mut output = api::BatchGetItemOutput {
        responses: Some(BTreeMap::new()),
        unprocessed_keys: Some(BTreeMap::new()),
        consumed_capacity: None,
    };
    let (mut bytes, mut reports) = (0, Vec::new());
    for gets in all {
        let (items, left, usage) = run_gets(&engine, &ctx, &gets, &mut bytes).await?;
        let name = gets.target.name.as_str();
        reports.extend(capacity::report(asked, name, &usage, Detail::None));
        output.responses.get_or_insert_default().insert(gets.name.clone(), items);
        if !left.is_empty() {
            let again = api::KeysAndAttributes { keys: left, ..gets.again };
            output.unprocessed_keys.get_or_insert_default().insert(gets.name, again);
        }
    }
    output.consumed_capacity = (!reports.is_empty()).then_some(reports);
    Ok(output)
}

async fn check_gets(
    engine: &Engine,
    ctx: &Ctx,
    name: String,
    request: api::KeysAndAttributes,
    asked: Option<&api::ReturnConsumedCapacity>,
) -> Result<Gets> {
    let target = Target::parse(ctx, &name)?;
    let projection = check_projection(&name, &request);
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched::default().consumed(asked);
            request.keys.iter().for_each(|key| touched.key(table, key));
            if let Ok(projection) = &projection {
                selection::touch(&mut touched, None, projection.as_ref());
            }
            touched.access("dynamodb:BatchGetItem", target.arn())
        })
        .await?;
    let projection = projection?;
    let mut request = request;
    let mut seen = BTreeSet::new();
    let mut keys = Vec::with_capacity(request.keys.len());
    for attributes in std::mem::take(&mut request.keys) {
        let key = convert::item_in(attributes.clone()).map_err(errors::invalid)?;
        if !seen.insert(encode_item(&key)) {
            return Err(errors::validation("Provided list of item keys contains duplicates"));
        }
        keys.push((attributes, key));
    }
    let mode = Mode::of_read(request.consistent_read);
    Ok(Gets { name, target, table, keys, projection, mode, again: request })
}

fn check_projection(name: &str, request: &api::KeysAndAttributes) -> Result<Option<Projection>> {
    if request.keys.len() > GET_KEYS_MAX {
        return Err(errors::validation(format!(
            "1 validation error detected: Value at 'RequestItems.{name}.member.Keys' failed to \
             satisfy constraint: Member must have length less than or equal to {GET_KEYS_MAX}"
        )));
    }
    Present {
        expressions: &[("ProjectionExpression", request.projection_expression.is_some())],
        legacy: &[("AttributesToGet", request.attributes_to_get.is_some())],
        names: request.expression_attribute_names.is_some(),
        values: false,
    }
    .check()?;
    expressions::check_attributes_to_get(request.attributes_to_get.as_ref())?;
    let with = expressions::placeholders(request.expression_attribute_names.clone(), None)?;
    let projection = expressions::projection(
        request.projection_expression.as_deref(),
        request.attributes_to_get.clone(),
        &with,
    )?;
    with.check_all_used().map_err(errors::invalid)?;
    Ok(projection)
}

async fn run_gets(
    engine: &Engine,
    ctx: &Ctx,
    gets: &Gets,
    bytes: &mut usize,
) -> Result<(Vec<Attributes>, Vec<Attributes>, Usage)> {
    let table = gets.table.as_ref().ok_or_else(errors::not_found)?;
    let (mut items, mut left, mut usage) = (Vec::new(), Vec::new(), Usage::default());
    for (attributes, key) in &gets.keys {
        let full = *bytes >= GET_BYTES_MAX;
        if full || !engine.throttle.admits(table, None, false, ctx.now()) {
            left.push(attributes.clone());
            continue;
        }
        let stored = write::read(ctx.store(), &table.key(key)?).await?;
        let size = stored.as_ref().map_or(0, |stored| stored.item.size());
        if *bytes + size > GET_BYTES_MAX {
            *bytes = GET_BYTES_MAX;
            left.push(attributes.clone());
            continue;
        }
        *bytes += size;
        let one = Usage::of_table(capacity::read_halves(size, gets.mode) as f64 / 2.0);
        item::used(engine, ctx, table, &one, false);
        usage.add(&one);
        if let Some(stored) = stored {
            let item = expressions::project(gets.projection.as_ref(), stored.item);
            items.push(convert::item_out(item));
        }
    }
    Ok((items, left, usage))
}

/// One item to write: all of it, or only its key if it is to go.
struct ItemWrite {
    key: Item,
    put: Option<Item>,
    request: api::WriteRequest,
}

struct Writes {
    name: String,
    target: Target,
    table: Option<Arc<Table>>,
    items: Vec<ItemWrite>,
}

pub async fn write(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::BatchWriteItemInput,
) -> Result<api::BatchWriteItemOutput> {
    if input.request_items.is_empty() {
        return Err(errors::validation(
            "The requestItems parameter is required for BatchWriteItem",
        ));
    }
    if input.request_items.values().map(Vec::len).sum::<usize>() > WRITES_MAX {
        return Err(errors::validation("Too many items requested for the BatchWriteItem call"));
    }
    let mut all = Vec::with_capacity(input.request_items.len());
    for (name, requests) in input.request_items {
        all.push(check_writes(&engine, &ctx, name, requests).await?);
    }
    for writes in &mut all {
        check_against_table(writes)?;
    }
    let asked = input.return_consumed_capacity.as_ref();
    let metrics = input.return_item_collection_metrics.as_ref();
    let (mut reports, mut collections, mut unprocessed) =
        (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let (tables, mut throttled) = (all.len(), None);
    for writes in all {
        let table = writes.table.clone().ok_or_else(errors::not_found)?;
        if let Err(error) = engine.throttle.check(&table, None, true, ctx.now()) {
            throttled = Some(error);
            let left = writes.items.into_iter().map(|item| item.request).collect::<Vec<_>>();
            unprocessed.insert(writes.name, left);
            continue;
        }
        let usage = run_writes(&engine, &ctx, &writes, table.clone()).await?;
        item::used(&engine, &ctx, &table, &usage, true);
        reports.extend(capacity::report(asked, &table.record.name, &usage, Detail::None));
        let touched: Vec<_> = writes
            .items
            .iter()
            .filter_map(|item| item::collection_metrics(metrics, &table, &item.key))
            .collect();
        if !touched.is_empty() {
            collections.insert(writes.name, touched);
        }
    }
    // Only a batch of which nothing could be done is refused.
    if let Some(error) = throttled.filter(|_| unprocessed.len() == tables) {
        return Err(error);
    }
    Ok(api::BatchWriteItemOutput {
        unprocessed_items: Some(unprocessed),
        item_collection_metrics: (!collections.is_empty()).then_some(collections),
        consumed_capacity: (!reports.is_empty()).then_some(reports),
    })
}

async fn check_writes(
    engine: &Engine,
    ctx: &Ctx,
    name: String,
    requests: Vec<api::WriteRequest>,
) -> Result<Writes> {
    let target = Target::parse(ctx, &name)?;
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched::default();
            for request in &requests {
                if let Some(put) = &request.put_request {
                    touched.key(table, &put.item);
                }
                if let Some(delete) = &request.delete_request {
                    touched.key(table, &delete.key);
                }
            }
            touched.access("dynamodb:BatchWriteItem", target.arn())
        })
        .await?;
    let mut items = Vec::with_capacity(requests.len());
    for request in requests {
        let again = request.clone();
        // Recorded: dynalite, batchWriteItem: the sentence is about attribute values.
        let (attributes, is_put) = match (request.put_request, request.delete_request) {
            (Some(put), None) => (put.item, true),
            (None, Some(delete)) => (delete.key, false),
            _ => {
                return Err(errors::validation(
                    "Supplied AttributeValue has more than one datatypes set, must contain exactly \
                     one of the supported datatypes",
                ));
            }
        };
        let item = convert::item_in(attributes).map_err(errors::invalid)?;
        if is_put {
            item::check_size(&item)?;
        }
        let put = is_put.then(|| item.clone());
        items.push(ItemWrite { key: item, put, request: again });
    }
    Ok(Writes { name, target, table, items })
}

fn check_against_table(writes: &mut Writes) -> Result<()> {
    let table = writes.table.as_ref().ok_or_else(errors::not_found)?;
    let mut seen = BTreeSet::new();
    for item in &mut writes.items {
        match &item.put {
            Some(put) => write::check_item(table, put).map_err(|error| {
                let of_key = error.message().contains("Missing the key")
                    || error.message().contains("Type mismatch for key");
                if of_key { write::schema_mismatch() } else { error }
            })?,
            None => write::check_key(table, &item.key)?,
        }
        item.key = table.keys.key_of(&item.key);
        if !seen.insert(encode_item(&item.key)) {
            return Err(errors::validation("Provided list of item keys contains duplicates"));
        }
    }
    Ok(())
}

/// A piece of the batch a commit: DynamoDB promises nothing about the whole.
async fn run_writes(
    engine: &Engine,
    ctx: &Ctx,
    writes: &Writes,
    mut table: Arc<Table>,
) -> Result<Usage> {
    let mut usage = Usage::default();
    let mut rest = writes.items.as_slice();
    let mut attempts = Attempts::default();
    while !rest.is_empty() {
        let mut batch = Batch::new();
        table.check(&mut batch);
        let (mut done, mut piece, mut changed, mut bytes) = (0, Usage::default(), Vec::new(), 0);
        for item in rest {
            let at = table.key(&item.key)?;
            let stored = write::read(ctx.store(), &at).await?;
            let check = stored.as_ref().map_or(Check::Absent, |stored| Check::At(stored.version));
            batch.checks.push((at.clone(), check));
            let old = stored.map(|stored| stored.item);
            let size = old.as_ref().map_or(0, Item::size) + item.put.as_ref().map_or(0, Item::size);
            bytes += size * (2 + table.indexes.len());
            let change = Change { table: &table, old: old.as_ref(), new: item.put.as_ref() };
            piece.add(&change.record(&mut batch, &at, ctx.now(), false));
            changed.push((old, item.put.as_ref()));
            done += 1;
            if bytes >= COMMIT_BYTES_MAX {
                break;
            }
        }
        match ctx.store().commit(batch).await {
            Ok(_) => {
                for (old, new) in &changed {
                    Change { table: &table, old: old.as_ref(), new: *new }.tally(engine);
                }
                usage.add(&piece);
                rest = &rest[done..];
            }
            Err(StoreError::Conflict) => {
                attempts.again().await?;
                table = write::reload(engine, ctx, &writes.target).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(usage)
}
