//! TransactGetItems: many items as they are at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::encode::encode_item;
use sereno_ddbexpr::{Item, Projection};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::capacity::{self, Detail, Usage};
use crate::convert;
use crate::errors;
use crate::expressions;
use crate::item;
use crate::selection;
use crate::table::{Engine, Table, Target};
use crate::transact::{Usages, reason_none, reason_of};
use crate::write;

pub struct Get {
    pub table: Option<Arc<Table>>,
    pub key: Item,
    pub projection: Option<Projection>,
}

pub async fn get(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::TransactGetItemsInput,
) -> Result<api::TransactGetItemsOutput> {
    let mut gets = Vec::with_capacity(input.transact_items.len());
    for api::TransactGetItem { get } in input.transact_items {
        gets.push(check(&engine, &ctx, get).await?);
    }
    let (items, usages) = run(&ctx, &gets).await?;
    let asked = input.return_consumed_capacity.as_ref();
    let mut reports = Vec::new();
    for (name, (table, usage)) in &usages {
        item::used(&engine, &ctx, table, usage, false);
        reports.extend(capacity::report(asked, name, usage, Detail::Read));
    }
    let responses = items
        .into_iter()
        .map(|item| api::ItemResponse { item: item.map(convert::item_out) })
        .collect();
    Ok(api::TransactGetItemsOutput {
        responses: Some(responses),
        consumed_capacity: (!reports.is_empty()).then_some(reports),
    })
}

async fn check(engine: &Engine, ctx: &Ctx, get: api::Get) -> Result<Get> {
    let target = Target::parse(ctx, &get.table_name)?;
    let parsed = parse(get);
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched { enclosing: Some("TransactGetItems"), ..Touched::default() };
            if let Ok((key, projection)) = &parsed {
                touched.item(table, key);
                selection::touch(&mut touched, None, projection.as_ref());
            }
            touched.access("dynamodb:GetItem", target.arn())
        })
        .await?;
    let (key, projection) = parsed?;
    Ok(Get { table, key, projection })
}

fn parse(get: api::Get) -> Result<(Item, Option<Projection>)> {
    let key = convert::item_in(get.key).map_err(errors::invalid)?;
    let with = expressions::placeholders(get.expression_attribute_names, None)?;
    let text = get.projection_expression.as_deref();
    let projection = expressions::projection(text, None, &with)?;
    with.check_all_used().map_err(errors::invalid)?;
    Ok((key, projection))
}

/// The items in order, and what they cost.
pub async fn run(ctx: &Ctx, gets: &[Get]) -> Result<(Vec<Option<Item>>, Usages)> {
    let mut reasons = Vec::with_capacity(gets.len());
    let mut seen = BTreeSet::new();
    let mut failed = false;
    for Get { table, key, .. } in gets {
        let table = table.as_ref().ok_or_else(errors::not_found)?;
        match write::check_key(table, key) {
            Ok(()) => reasons.push(reason_none()),
            Err(error) => {
                failed = true;
                reasons.push(reason_of(&error, None));
            }
        }
        if !seen.insert((table.arn.clone(), encode_item(key))) {
            return Err(errors::validation(
                "Transaction request cannot include multiple operations on one item",
            ));
        }
    }
    if failed {
        return Err(errors::cancelled(reasons));
    }
    // One moment for all.
    let snapshot = ctx.store().snapshot().await?;
    let (mut items, mut usages) = (Vec::with_capacity(gets.len()), Usages::new());
    for Get { table, key, projection } in gets {
        let table = table.as_ref().ok_or_else(errors::not_found)?;
        let stored = write::read(snapshot.as_ref(), &table.key(key)?).await?;
        let size = stored.as_ref().map_or(0, |stored| stored.item.size());
        let halves = capacity::read_halves(size, capacity::Mode::Transactional);
        let entry = usages
            .entry(table.record.name.clone())
            .or_insert_with(|| (table.clone(), Usage::default()));
        entry.1.add(&Usage::of_table(halves as f64 / 2.0));
        items.push(stored.map(|stored| expressions::project(projection.as_ref(), stored.item)));
    }
    Ok((items, usages))
}
