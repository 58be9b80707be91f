//! GetItem, PutItem, DeleteItem, and what all writes of single items share.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Item, Projection, Value, limits};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::capacity::{self, Detail, Mode, Usage};
use crate::convert::{self, Attributes};
use crate::errors;
use crate::expressions::{self, Conditions, Guard, Present};
use crate::selection;
use crate::table::{Engine, Table, Target};
use crate::update_rules;
use crate::write::{self, Decision, Written};

/// A read, checked as far as it can be without the table.
struct Read {
    key: Item,
    projection: Option<Projection>,
}

fn check_get(input: &mut api::GetItemInput) -> Result<Read> {
    Present {
        expressions: &[("ProjectionExpression", input.projection_expression.is_some())],
        legacy: &[("AttributesToGet", input.attributes_to_get.is_some())],
        names: input.expression_attribute_names.is_some(),
        values: false,
    }
    .check()?;
    let key = convert::item_in(std::mem::take(&mut input.key)).map_err(errors::invalid)?;
    expressions::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let with = expressions::placeholders(input.expression_attribute_names.take(), None)?;
    let text = input.projection_expression.as_deref();
    let projection = expressions::projection(text, input.attributes_to_get.take(), &with)?;
    with.check_all_used().map_err(errors::invalid)?;
    Ok(Read { key, projection })
}

pub async fn get(
    engine: Arc<Engine>,
    ctx: Ctx,
    mut input: api::GetItemInput,
) -> Result<api::GetItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let checked = check_get(&mut input);
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            if let Ok(read) = &checked {
                touched.item(table, &read.key);
                selection::touch(&mut touched, None, read.projection.as_ref());
            }
            touched.access("dynamodb:GetItem", target.arn())
        })
        .await?;
    let Read { key, projection } = checked?;

    let table = table.ok_or_else(errors::not_found)?;
    write::check_key(&table, &key)?;
    if let Some(projection) = &projection {
        update_rules::check_nested_keys(&table, projection.paths().iter())?;
    }
    admit(&engine, &ctx, &table, None, false)?;
    let stored = write::read(ctx.store(), &table.key(&key)?).await?;

    let mode = Mode::of_read(input.consistent_read);
    let size = stored.as_ref().map_or(0, |stored| stored.item.size());
    let usage = Usage::of_table(capacity::read_halves(size, mode) as f64 / 2.0);
    used(&engine, &ctx, &table, &usage, false);
    let asked = input.return_consumed_capacity.as_ref();
    Ok(api::GetItemOutput {
        item: stored.map(|stored| {
            convert::item_out(expressions::project(projection.as_ref(), stored.item))
        }),
        consumed_capacity: capacity::report(asked, &table.record.name, &usage, Detail::None),
    })
}

/// A put or a delete, checked as far as it can be without the table.
struct Change {
    /// The whole item, or the key of the one to delete.
    item: Item,
    guard: Guard,
    old_wanted: bool,
}

fn check_change(
    item: Attributes,
    conditions: Conditions,
    returned: Option<&api::ReturnValue>,
    whole: bool,
) -> Result<Change> {
    conditions.check_present(None, None)?;
    let item = convert::item_in(item).map_err(errors::invalid)?;
    let old_wanted = returns_old(returned)?;
    if whole {
        check_size(&item)?;
    }
    let (guard, _) = conditions.parse(None)?;
    Ok(Change { item, guard, old_wanted })
}

/// What a put or delete touches.
fn touch(
    table: Option<&Table>,
    checked: &Result<Change>,
    returned: Option<&api::ReturnValue>,
    consumed: Option<&api::ReturnConsumedCapacity>,
) -> Touched {
    let mut touched = Touched::default().consumed(consumed);
    if let Ok(change) = checked {
        touched.item(table, &change.item);
        touched.guard(&change.guard);
    }
    touched.return_values = returned.map(|values| values.as_str().to_owned());
    touched
}

pub async fn put(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::PutItemInput,
) -> Result<api::PutItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let conditions = Conditions {
        expression: input.condition_expression,
        expected: input.expected,
        operator: input.conditional_operator,
        names: input.expression_attribute_names,
        values: input.expression_attribute_values,
    };
    let returned = input.return_values.as_ref();
    let asked = input.return_consumed_capacity.as_ref();
    let checked = check_change(input.item, conditions, returned, true);
    let table = engine
        .open(&ctx, &target, |table| {
            touch(table, &checked, returned, asked).access("dynamodb:PutItem", target.arn())
        })
        .await?;
    let Change { item, guard, old_wanted } = checked?;

    let table = table.ok_or_else(errors::not_found)?;
    admit(&engine, &ctx, &table, None, true)?;
    write::check_item(&table, &item)?;
    let key = table.keys.key_of(&item);
    let show = shows_item(input.return_values_on_condition_check_failure.as_ref());
    let written = write::write_one(&engine, &ctx, &target, table.clone(), &key, |table, old| {
        write::check_item(table, &item)?;
        require(&guard, old, show)?;
        Ok(Decision::Put(item.clone()))
    })
    .await?;

    used(&engine, &ctx, &table, &written.usage, true);
    let metrics = input.return_item_collection_metrics.as_ref();
    Ok(api::PutItemOutput {
        consumed_capacity: report(asked, &table, &written),
        item_collection_metrics: collection_metrics(metrics, &table, &key),
        attributes: written.old.filter(|_| old_wanted).map(convert::item_out),
    })
}

pub async fn delete(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DeleteItemInput,
) -> Result<api::DeleteItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let conditions = Conditions {
        expression: input.condition_expression,
        expected: input.expected,
        operator: input.conditional_operator,
        names: input.expression_attribute_names,
        values: input.expression_attribute_values,
    };
    let returned = input.return_values.as_ref();
    let asked = input.return_consumed_capacity.as_ref();
    let checked = check_change(input.key, conditions, returned, false);
    let table = engine
        .open(&ctx, &target, |table| {
            touch(table, &checked, returned, asked).access("dynamodb:DeleteItem", target.arn())
        })
        .await?;
    let Change { item: key, guard, old_wanted } = checked?;

    let table = table.ok_or_else(errors::not_found)?;
    write::check_key(&table, &key)?;
    admit(&engine, &ctx, &table, None, true)?;
    let show = shows_item(input.return_values_on_condition_check_failure.as_ref());
    let written = write::write_one(&engine, &ctx, &target, table.clone(), &key, |table, old| {
        write::check_key(table, &key)?;
        require(&guard, old, show)?;
        Ok(if old.is_some() { Decision::Delete } else { Decision::Keep })
    })
    .await?;

    used(&engine, &ctx, &table, &written.usage, true);
    let metrics = input.return_item_collection_metrics.as_ref();
    Ok(api::DeleteItemOutput {
        consumed_capacity: report(asked, &table, &written),
        item_collection_metrics: collection_metrics(metrics, &table, &key),
        attributes: written.old.filter(|_| old_wanted).map(convert::item_out),
    })
}

pub fn report(
    asked: Option<&api::ReturnConsumedCapacity>,
    table: &Table,
    written: &Written,
) -> Option<api::ConsumedCapacity> {
    capacity::report(asked, &table.record.name, &written.usage, Detail::None)
}

/// Put and delete can only give back what was there.
fn returns_old(asked: Option<&api::ReturnValue>) -> Result<bool> {
    match asked {
        None | Some(api::ReturnValue::None) => Ok(false),
        Some(api::ReturnValue::AllOld) => Ok(true),
        Some(_) => Err(errors::validation("ReturnValues can only be ALL_OLD or NONE")),
    }
}

pub fn check_size(item: &Item) -> Result<()> {
    if item.size() > limits::ITEM_BYTES_MAX {
        return Err(errors::validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

pub fn shows_item(asked: Option<&api::ReturnValuesOnConditionCheckFailure>) -> bool {
    asked == Some(&api::ReturnValuesOnConditionCheckFailure::AllOld)
}

pub fn require(guard: &Guard, old: Option<&Item>, show: bool) -> Result<()> {
    let nothing = Item::new();
    if guard.holds(old.unwrap_or(&nothing)) {
        return Ok(());
    }
    Err(errors::condition_failed(old.filter(|_| show).cloned()))
}

/// Whether there is throughput left.
pub fn admit(
    engine: &Engine,
    ctx: &Ctx,
    table: &Table,
    index: Option<&str>,
    write: bool,
) -> Result<()> {
    engine.throttle.check(table, index, write, ctx.now())
}

pub fn used(engine: &Engine, ctx: &Ctx, table: &Table, usage: &Usage, write: bool) {
    engine.throttle.take(table, None, write, ctx.now(), usage.table);
    for (name, units) in &usage.global {
        engine.throttle.take(table, Some(name), write, ctx.now(), *units);
    }
    if write {
        capacity::meter_write(ctx, usage.total());
    } else {
        capacity::meter_read(ctx, usage.total());
    }
}

/// Only tables with local indexes have item collections of limited size.
pub fn collection_metrics(
    asked: Option<&api::ReturnItemCollectionMetrics>,
    table: &Table,
    key: &Item,
) -> Option<api::ItemCollectionMetrics> {
    if asked != Some(&api::ReturnItemCollectionMetrics::Size) || !table.has_local_indexes() {
        return None;
    }
    let hash = table.keys.hash.first()?;
    let value: Value = key.get(&hash.name)?.clone();
    Some(api::ItemCollectionMetrics {
        item_collection_key: Some(
            [(hash.name.clone(), convert::value_out(value))].into_iter().collect(),
        ),
        size_estimate_range_gb: Some(vec![0.0, 1.0]),
    })
}
