//! GetItem, PutItem, UpdateItem, DeleteItem.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::legacy::{AttributeUpdate, UpdateAction};
use sereno_ddbexpr::{Item, Parameter, Projection, Update, Value, limits};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::capacity::{self, Detail, Mode, Usage};
use crate::convert;
use crate::errors;
use crate::expressions::{self, Guard, Present};
use crate::table::{Engine, Table, Target};
use crate::update_rules;
use crate::write::{self, Decision, Written};

pub async fn get(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::GetItemInput,
) -> Result<api::GetItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            touched.key(table, &input.key);
            touched.attributes(input.attributes_to_get.iter().flatten());
            touched.access("dynamodb:GetItem", target.arn())
        })
        .await?;
    Present {
        expressions: &[("ProjectionExpression", input.projection_expression.is_some())],
        legacy: &[("AttributesToGet", input.attributes_to_get.is_some())],
        names: input.expression_attribute_names.is_some(),
        values: false,
    }
    .check()?;
    let key = convert::item_in(input.key).map_err(errors::invalid)?;
    expressions::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let with = expressions::placeholders(input.expression_attribute_names, None)?;
    let text = input.projection_expression.as_deref();
    let projection = expressions::projection(text, input.attributes_to_get, &with)?;
    with.check_all_used().map_err(errors::invalid)?;

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

pub async fn put(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::PutItemInput,
) -> Result<api::PutItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            touched.key(table, &input.item);
            touched.return_values =
                input.return_values.as_ref().map(|values| values.as_str().to_owned());
            touched.access("dynamodb:PutItem", target.arn())
        })
        .await?;
    Present {
        expressions: &[("ConditionExpression", input.condition_expression.is_some())],
        legacy: &[("Expected", input.expected.is_some())],
        names: input.expression_attribute_names.is_some(),
        values: input.expression_attribute_values.is_some(),
    }
    .check()?;
    let item = convert::item_in(input.item).map_err(errors::invalid)?;
    let old_wanted = returns_old(input.return_values.as_ref())?;
    check_size(&item)?;
    let any = expressions::is_or(input.conditional_operator.as_ref());
    let expected = expressions::expected(input.expected)?;
    let with = expressions::placeholders(
        input.expression_attribute_names,
        input.expression_attribute_values,
    )?;
    let condition = input.condition_expression.as_deref();
    let guard = Guard::parse(Parameter::Condition, condition, &with)?.or_expected(expected, any);
    with.check_all_used().map_err(errors::invalid)?;

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
    let asked = input.return_consumed_capacity.as_ref();
    Ok(api::PutItemOutput {
        consumed_capacity: capacity::report(
            asked,
            &table.record.name,
            &written.usage,
            Detail::None,
        ),
        item_collection_metrics: collection_metrics(
            input.return_item_collection_metrics.as_ref(),
            &table,
            &key,
        ),
        attributes: written.old.filter(|_| old_wanted).map(convert::item_out),
    })
}

pub async fn delete(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DeleteItemInput,
) -> Result<api::DeleteItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            touched.key(table, &input.key);
            touched.return_values =
                input.return_values.as_ref().map(|values| values.as_str().to_owned());
            touched.access("dynamodb:DeleteItem", target.arn())
        })
        .await?;
    Present {
        expressions: &[("ConditionExpression", input.condition_expression.is_some())],
        legacy: &[("Expected", input.expected.is_some())],
        names: input.expression_attribute_names.is_some(),
        values: input.expression_attribute_values.is_some(),
    }
    .check()?;
    let key = convert::item_in(input.key).map_err(errors::invalid)?;
    let old_wanted = returns_old(input.return_values.as_ref())?;
    let any = expressions::is_or(input.conditional_operator.as_ref());
    let expected = expressions::expected(input.expected)?;
    let with = expressions::placeholders(
        input.expression_attribute_names,
        input.expression_attribute_values,
    )?;
    let condition = input.condition_expression.as_deref();
    let guard = Guard::parse(Parameter::Condition, condition, &with)?.or_expected(expected, any);
    with.check_all_used().map_err(errors::invalid)?;

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
    let asked = input.return_consumed_capacity.as_ref();
    Ok(api::DeleteItemOutput {
        consumed_capacity: capacity::report(
            asked,
            &table.record.name,
            &written.usage,
            Detail::None,
        ),
        item_collection_metrics: collection_metrics(
            input.return_item_collection_metrics.as_ref(),
            &table,
            &key,
        ),
        attributes: written.old.filter(|_| old_wanted).map(convert::item_out),
    })
}

/// How UpdateItem changes an item.
pub enum Edit {
    Nothing,
    Expression(Update),
    Attributes(Vec<(String, AttributeUpdate)>),
}

impl Edit {
    pub fn apply(&self, key: &Item, old: Option<&Item>) -> Result<Item> {
        let before = old.unwrap_or(key);
        let after = match self {
            Edit::Nothing => Ok(before.clone()),
            Edit::Expression(update) => update.apply(before, old.is_some()),
            Edit::Attributes(updates) => {
                let mut item = before.clone();
                updates
                    .iter()
                    .try_for_each(|(name, update)| update.apply(name, &mut item))
                    .map(|()| item)
            }
        };
        let after = after.map_err(errors::invalid)?;
        if after.size() > limits::ITEM_BYTES_MAX {
            return Err(errors::validation(
                "Item size to update has exceeded the maximum allowed size",
            ));
        }
        Ok(after)
    }

    /// The parts that it writes.
    fn touched(&self) -> Projection {
        match self {
            Edit::Nothing => Projection::of_paths(Vec::new()),
            Edit::Expression(update) => Projection::of_paths(
                update.actions.iter().map(|action| action.path.clone()).collect(),
            ),
            Edit::Attributes(updates) => {
                Projection::of_names(updates.iter().map(|(name, _)| name.clone()))
            }
        }
    }
}

pub async fn update(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::UpdateItemInput,
) -> Result<api::UpdateItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            touched.key(table, &input.key);
            touched.attributes(input.attribute_updates.iter().flat_map(|all| all.keys()));
            touched.return_values =
                input.return_values.as_ref().map(|values| values.as_str().to_owned());
            touched.access("dynamodb:UpdateItem", target.arn())
        })
        .await?;
    Present {
        expressions: &[
            ("UpdateExpression", input.update_expression.is_some()),
            ("ConditionExpression", input.condition_expression.is_some()),
        ],
        legacy: &[
            ("AttributeUpdates", input.attribute_updates.is_some()),
            ("Expected", input.expected.is_some()),
        ],
        names: input.expression_attribute_names.is_some(),
        values: input.expression_attribute_values.is_some(),
    }
    .check()?;
    let key = convert::item_in(input.key).map_err(errors::invalid)?;
    let updates = attribute_updates(input.attribute_updates)?;
    let any = expressions::is_or(input.conditional_operator.as_ref());
    let expected = expressions::expected(input.expected)?;
    let with = expressions::placeholders(
        input.expression_attribute_names,
        input.expression_attribute_values,
    )?;
    let edit = match (&input.update_expression, updates) {
        (Some(text), _) => Edit::Expression(Update::parse(text, &with).map_err(errors::invalid)?),
        (None, Some(updates)) => Edit::Attributes(updates),
        (None, None) => Edit::Nothing,
    };
    let condition = input.condition_expression.as_deref();
    let guard = Guard::parse(Parameter::Condition, condition, &with)?.or_expected(expected, any);
    with.check_all_used().map_err(errors::invalid)?;

    let table = table.ok_or_else(errors::not_found)?;
    write::check_key(&table, &key)?;
    update_rules::check(&table, &edit)?;
    admit(&engine, &ctx, &table, None, true)?;
    let show = shows_item(input.return_values_on_condition_check_failure.as_ref());
    let written = write::write_one(&engine, &ctx, &target, table.clone(), &key, |table, old| {
        require(&guard, old, show)?;
        update_rules::apply(table, &edit, &key, old).map(Decision::Put)
    })
    .await?;

    used(&engine, &ctx, &table, &written.usage, true);
    let asked = input.return_consumed_capacity.as_ref();
    Ok(api::UpdateItemOutput {
        consumed_capacity: capacity::report(
            asked,
            &table.record.name,
            &written.usage,
            Detail::None,
        ),
        item_collection_metrics: collection_metrics(
            input.return_item_collection_metrics.as_ref(),
            &table,
            &key,
        ),
        attributes: updated_attributes(input.return_values.as_ref(), &edit, written)
            .map(convert::item_out),
    })
}

fn updated_attributes(
    asked: Option<&api::ReturnValue>,
    edit: &Edit,
    written: Written,
) -> Option<Item> {
    let some = |item: Item| (!item.is_empty()).then_some(item);
    match asked? {
        api::ReturnValue::AllOld => written.old,
        api::ReturnValue::AllNew => written.new,
        api::ReturnValue::UpdatedOld => some(edit.touched().apply(&written.old?)),
        api::ReturnValue::UpdatedNew => some(edit.touched().apply(&written.new?)),
        _ => None,
    }
}

fn attribute_updates(
    updates: Option<std::collections::BTreeMap<String, api::AttributeValueUpdate>>,
) -> Result<Option<Vec<(String, AttributeUpdate)>>> {
    let Some(updates) = updates else { return Ok(None) };
    let mut checked = Vec::with_capacity(updates.len());
    for (name, update) in updates {
        let value = update.value.map(convert::value_in).transpose().map_err(errors::invalid)?;
        let action = match update.action {
            Some(api::AttributeAction::Add) => UpdateAction::Add,
            Some(api::AttributeAction::Delete) => UpdateAction::Delete,
            _ => UpdateAction::Put,
        };
        let update = AttributeUpdate { action, value };
        update.check().map_err(errors::invalid)?;
        checked.push((name, update));
    }
    Ok(Some(checked))
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

fn require(guard: &Guard, old: Option<&Item>, show: bool) -> Result<()> {
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
    if engine.throttle.admits(table, index, write, ctx.now()) {
        Ok(())
    } else {
        Err(errors::throttled())
    }
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
