//! UpdateItem.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::legacy::{AttributeUpdate, UpdateAction};
use sereno_ddbexpr::{Item, Projection, Update, limits, update};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::convert;
use crate::errors;
use crate::expressions::{Conditions, Guard};
use crate::item;
use crate::table::{Engine, Target};
use crate::update_rules;
use crate::write::{self, Decision, Written};

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

    /// Whether it makes an item where none is. What only takes away makes none
    /// (recorded: Alternator's suite on AWS, test_update_item_non_existent).
    pub fn creates(&self) -> bool {
        match self {
            Edit::Nothing => true,
            Edit::Expression(update) => update
                .actions
                .iter()
                .any(|action| matches!(action.what, update::What::Set(_) | update::What::Add(_))),
            Edit::Attributes(updates) => {
                updates.is_empty()
                    || updates.iter().any(|(_, update)| update.action != UpdateAction::Delete)
            }
        }
    }

    /// The parts that it writes.
    pub fn touched(&self) -> Projection {
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

/// An update, checked as far as it can be without the table.
struct Checked {
    key: Item,
    edit: Edit,
    guard: Guard,
}

fn check(input: &mut api::UpdateItemInput) -> Result<Checked> {
    let conditions = Conditions {
        expression: input.condition_expression.take(),
        expected: input.expected.take(),
        operator: input.conditional_operator.take(),
        names: input.expression_attribute_names.take(),
        values: input.expression_attribute_values.take(),
    };
    let (update, updates) = (&input.update_expression, &input.attribute_updates);
    conditions.check_present(Some(update.is_some()), Some(updates.is_some()))?;
    let key = convert::item_in(std::mem::take(&mut input.key)).map_err(errors::invalid)?;
    let updates = attribute_updates(input.attribute_updates.take())?;
    let (guard, update) = conditions.parse(input.update_expression.as_deref())?;
    let edit = match (update, updates) {
        (Some(update), _) => Edit::Expression(update),
        (None, Some(updates)) => Edit::Attributes(updates),
        (None, None) => Edit::Nothing,
    };
    Ok(Checked { key, edit, guard })
}

pub async fn update(
    engine: Arc<Engine>,
    ctx: Ctx,
    mut input: api::UpdateItemInput,
) -> Result<api::UpdateItemOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let checked = check(&mut input);
    let returned = input.return_values.as_ref();
    let asked = input.return_consumed_capacity.as_ref();
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(asked);
            if let Ok(checked) = &checked {
                touched.item(table, &checked.key);
                touched.edit(&checked.edit);
                touched.guard(&checked.guard);
            }
            touched.return_values = returned.map(|values| values.as_str().to_owned());
            touched.access("dynamodb:UpdateItem", target.arn())
        })
        .await?;
    let Checked { key, edit, guard } = checked?;

    let table = table.ok_or_else(errors::not_found)?;
    write::check_key(&table, &key)?;
    update_rules::check(&table, &edit)?;
    item::admit(&engine, &ctx, &table, None, true)?;
    let show = item::shows_item(input.return_values_on_condition_check_failure.as_ref());
    let written = write::write_one(&engine, &ctx, &target, table.clone(), &key, |table, old| {
        item::require(&guard, old, show)?;
        let new = update_rules::apply(table, &edit, &key, old)?;
        Ok(new.map_or(Decision::Keep, Decision::Put))
    })
    .await?;

    item::used(&engine, &ctx, &table, &written.usage, true);
    let metrics = input.return_item_collection_metrics.as_ref();
    Ok(api::UpdateItemOutput {
        consumed_capacity: item::report(asked, &table, &written),
        item_collection_metrics: item::collection_metrics(metrics, &table, &key),
        attributes: updated_attributes(returned, &edit, written).map(convert::item_out),
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
        if name.is_empty() {
            return Err(errors::parameters("Empty attribute name"));
        }
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
