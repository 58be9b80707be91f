//! Query: the items of one partition key, in the order of the sort key.

use std::ops::Bound;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::encode::prefix_end;
use sereno_ddbexpr::legacy::{self, Clause, Operator};
use sereno_ddbexpr::{Item, Parameter, Projection, Value, key_condition};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::capacity::{self, Detail};
use crate::convert;
use crate::errors;
use crate::expressions::{self, Guard, Present};
use crate::item;
use crate::keys;
use crate::page::{Reading, Span};
use crate::query_rules;
use crate::selection::{self, Selection};
use crate::table::{Engine, Index, KeySchema, Table, Target};
use crate::update_rules;

/// A query, checked as far as it can be without the table.
pub struct Checked {
    pub clauses: Vec<Clause>,
    filter: Guard,
    /// Which parameter the filter came in, for its errors.
    filter_word: &'static str,
    projection: Option<Projection>,
    pub start: Option<Item>,
}

pub async fn query(
    engine: Arc<Engine>,
    ctx: Ctx,
    mut input: api::QueryInput,
) -> Result<api::QueryOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let checked = check(&mut input);
    let table = engine
        .open(&ctx, &target, |table| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            if let Ok(checked) = &checked {
                touch(&mut touched, table, &input, checked);
            }
            let arn = match &input.index_name {
                Some(index) => format!("{}/index/{index}", target.arn()),
                None => target.arn(),
            };
            touched.access("dynamodb:Query", arn)
        })
        .await?;
    let checked = checked?;
    let table = table.ok_or_else(errors::not_found)?;
    let index = selection::index(&table, input.index_name.as_deref(), input.consistent_read)?;
    let schema = index.map_or(&table.keys, |index| &index.keys);
    query_rules::check_start_length(&table, index, checked.start.as_ref())?;
    query_rules::check_conditions(schema, &checked)?;
    query_rules::check_start(&table, index, schema, &checked)?;
    if let Some(projection) = &checked.projection {
        update_rules::check_nested_keys(&table, projection.paths().iter())?;
    }
    check_filter(schema, &checked)?;
    let selected =
        Selection::of(&table, index, input.select.as_ref(), checked.projection.as_ref())?;
    if let Guard::Expression(condition) = &checked.filter {
        update_rules::check_nested_keys(&table, condition.paths().into_iter())?;
    }
    item::admit(&engine, &ctx, &table, input.index_name.as_deref(), false)?;

    let reverse = input.scan_index_forward == Some(false);
    let reading = Reading {
        table: &table,
        index,
        span: span(&table, index, &checked.clauses, checked.start.as_ref(), reverse)?,
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
        filter: &checked.filter,
        projection: checked.projection.as_ref(),
        fetch: selected.fetch,
        count_only: selected.count_only,
    };
    let page = reading.page(ctx.store()).await?;
    let usage = selection::usage(index, &page, input.consistent_read);
    item::used(&engine, &ctx, &table, &usage, false);
    let asked = input.return_consumed_capacity.as_ref();
    Ok(api::QueryOutput {
        count: i32::try_from(page.count).ok(),
        scanned_count: i32::try_from(page.scanned).ok(),
        items: (!selected.count_only)
            .then(|| page.items.into_iter().map(convert::item_out).collect()),
        last_evaluated_key: page.last_key.map(convert::item_out),
        consumed_capacity: capacity::report(asked, &table.record.name, &usage, Detail::None),
    })
}

fn touch(touched: &mut Touched, table: Option<&Table>, input: &api::QueryInput, checked: &Checked) {
    let index = input.index_name.as_deref();
    let schema = table.map(|table| match index.and_then(|name| table.index(name)) {
        Some(index) => &index.keys,
        None => &table.keys,
    });
    for clause in &checked.clauses {
        touched.attributes([&clause.attribute]);
        let hash = schema.is_some_and(|schema| {
            schema.hash.iter().any(|attribute| attribute.name == clause.attribute)
        });
        if hash && let Some(value) = clause.values.first() {
            touched.leading_keys.extend(convert::value_text(value));
        }
    }
    touched.guard(&checked.filter);
    selection::touch(touched, input.select.as_ref(), checked.projection.as_ref());
}

/// Which parameters may come together.
fn check_present(input: &api::QueryInput) -> Result<()> {
    let only_legacy_keys =
        input.key_conditions.is_some() && input.key_condition_expression.is_none();
    Present {
        expressions: &[
            ("ProjectionExpression", input.projection_expression.is_some()),
            ("FilterExpression", input.filter_expression.is_some()),
            ("KeyConditionExpression", input.key_condition_expression.is_some()),
        ],
        legacy: &[
            ("AttributesToGet", input.attributes_to_get.is_some()),
            ("QueryFilter", input.query_filter.is_some()),
            ("ConditionalOperator", input.conditional_operator.is_some()),
            ("KeyConditions", input.key_conditions.is_some() && !only_legacy_keys),
        ],
        names: input.expression_attribute_names.is_some(),
        values: input.expression_attribute_values.is_some(),
    }
    .check()?;
    let filters = input.query_filter.as_ref().map(std::collections::BTreeMap::len);
    expressions::check_operator(input.conditional_operator.as_ref(), filters)
}

/// Order of checks recorded: dynalite, query.
fn check(input: &mut api::QueryInput) -> Result<Checked> {
    check_present(input)?;
    let any = expressions::is_or(input.conditional_operator.as_ref());
    let filter_clauses = expressions::clauses(input.query_filter.take())?;
    expressions::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let start = selection::start(input.exclusive_start_key.take())?;
    if input.limit.is_some_and(|limit| limit < 1) {
        return Err(errors::validation(
            "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must \
             have value greater than or equal to 1",
        ));
    }
    selection::check_select(
        input.select.as_ref(),
        input.index_name.as_ref(),
        input.projection_expression.is_some(),
        input.attributes_to_get.is_some(),
    )?;
    if input.key_conditions.is_none() && input.key_condition_expression.is_none() {
        return Err(errors::validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the \
             request.",
        ));
    }
    let with = expressions::placeholders(
        input.expression_attribute_names.take(),
        input.expression_attribute_values.take(),
    )?;
    // All expressions are parsed before the key condition's meaning is looked at.
    let parsed = match &input.key_condition_expression {
        Some(text) => Some(
            sereno_ddbexpr::Condition::parse(Parameter::KeyCondition, text, &with)
                .map_err(errors::invalid)?,
        ),
        None => None,
    };
    let filter = Guard::parse(Parameter::Filter, input.filter_expression.as_deref(), &with)?;
    let projection = expressions::projection(
        input.projection_expression.as_deref(),
        input.attributes_to_get.take(),
        &with,
    )?;
    with.check_all_used().map_err(errors::invalid)?;
    let clauses = match parsed {
        Some(condition) => {
            let clauses = key_condition::clauses(&condition).map_err(errors::invalid)?;
            clauses.iter().try_for_each(legacy::check_clause).map_err(errors::invalid)?;
            clauses
        }
        None => {
            let clauses = expressions::clauses(input.key_conditions.take())?.unwrap_or_default();
            if clauses.is_empty() || clauses.len() > 2 {
                return Err(errors::validation("Conditions can be of length 1 or 2 only"));
            }
            clauses
        }
    };
    let filter_word = if filter_clauses.is_some() { "QueryFilter" } else { "Filter Expression" };
    Ok(Checked {
        clauses,
        filter: filter.or_expected(filter_clauses, any),
        filter_word,
        projection,
        start,
    })
}

fn check_filter(schema: &KeySchema, checked: &Checked) -> Result<()> {
    let heads: Vec<&str> = match &checked.filter {
        Guard::Nothing => return Ok(()),
        Guard::Expression(condition) => {
            condition.paths().iter().map(|path| path.head.as_str()).collect()
        }
        Guard::Clauses { clauses, .. } => {
            clauses.iter().map(|clause| clause.attribute.as_str()).collect()
        }
    };
    for attribute in schema.attributes() {
        if heads.contains(&attribute.name.as_str()) {
            return Err(errors::validation(format!(
                "{} can only contain non-primary key attributes: Primary key attribute: {}",
                checked.filter_word, attribute.name
            )));
        }
    }
    Ok(())
}

/// The keys that the conditions allow, from where the client left off.
pub fn span(
    table: &Table,
    index: Option<&Index>,
    clauses: &[Clause],
    start: Option<&Item>,
    reverse: bool,
) -> Result<Span> {
    let schema = index.map_or(&table.keys, |index| &index.keys);
    let clause = |name: &str| clauses.iter().find(|clause| clause.attribute == name);
    let hash: Vec<&Value> = schema
        .hash
        .iter()
        .filter_map(|attribute| clause(&attribute.name)?.values.first())
        .collect();
    let missing = || errors::corrupt("a query's key has no form");
    let mut prefix = keys::collection(schema, &hash).ok_or_else(missing)?;
    let (mut from, mut to) = (Bound::Included(prefix.clone()), end(&prefix));
    for attribute in &schema.range {
        let Some(clause) = clause(&attribute.name) else { break };
        let at = |n: usize| clause.values.get(n).and_then(|value| keys::with_range(&prefix, value));
        let low = match clause.operator {
            Operator::BeginsWith => clause
                .values
                .first()
                .and_then(|value| keys::with_range_prefix(&prefix, value))
                .ok_or_else(missing)?,
            _ => at(0).ok_or_else(missing)?,
        };
        match clause.operator {
            Operator::Lt => to = Bound::Excluded(low),
            Operator::Le => to = end(&low),
            Operator::Gt => from = after(&low),
            Operator::Ge => from = Bound::Included(low),
            Operator::Between => {
                to = end(&at(1).ok_or_else(missing)?);
                from = Bound::Included(low);
            }
            _ => {
                (from, to) = (Bound::Included(low.clone()), end(&low));
                prefix = low;
            }
        }
    }
    if let Some(start) = start {
        let at = selection::start_sort(table, index, start)?;
        if reverse {
            to = Bound::Excluded(at);
        } else {
            from = Bound::Excluded(at);
        }
    }
    Ok(Span { from, to, reverse })
}

fn end(prefix: &[u8]) -> Bound<Vec<u8>> {
    prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded)
}

fn after(prefix: &[u8]) -> Bound<Vec<u8>> {
    // Nothing lies behind a prefix of only FF; an impossible key stands for that.
    prefix_end(prefix).map_or_else(|| Bound::Excluded(vec![0xFF; 64]), Bound::Included)
}
