//! Scan: every item of a table or an index, in the order of the partition keys' hashes.

use std::ops::Bound;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Item, Parameter, Projection};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::capacity::{self, Detail};
use crate::convert;
use crate::errors;
use crate::expressions::{self, Guard, Present};
use crate::item;
use crate::keys;
use crate::page::{Reading, Span};
use crate::selection::{self, Selection};
use crate::table::{Engine, Index, Table, Target};
use crate::update_rules;
use crate::write;

struct Checked {
    filter: Guard,
    projection: Option<Projection>,
    start: Option<Item>,
    /// Number and count of segments.
    segment: Option<(u32, u32)>,
}

pub async fn scan(
    engine: Arc<Engine>,
    ctx: Ctx,
    mut input: api::ScanInput,
) -> Result<api::ScanOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let checked = check(&mut input);
    let table = engine
        .open(&ctx, &target, |_| {
            let mut touched = Touched::default().consumed(input.return_consumed_capacity.as_ref());
            if let Ok(checked) = &checked {
                touched.guard(&checked.filter);
                selection::touch(&mut touched, input.select.as_ref(), checked.projection.as_ref());
            }
            let arn = match &input.index_name {
                Some(index) => format!("{}/index/{index}", target.arn()),
                None => target.arn(),
            };
            touched.access("dynamodb:Scan", arn)
        })
        .await?;
    let checked = checked?;
    let table = table.ok_or_else(errors::not_found)?;
    let index = selection::index(&table, input.index_name.as_deref(), input.consistent_read)?;
    check_start(&table, index, &checked)?;
    let selected =
        Selection::of(&table, index, input.select.as_ref(), checked.projection.as_ref())?;
    if let Some(start) = &checked.start {
        selection::check_start_in_table(&table, start)?;
    }
    let span = span(&table, index, &checked)?;
    if let Some(projection) = &checked.projection {
        update_rules::check_nested_keys(&table, projection.paths().iter())?;
    }
    if let Guard::Expression(condition) = &checked.filter {
        update_rules::check_nested_keys(&table, condition.paths().into_iter())?;
    }
    item::admit(&engine, &ctx, &table, input.index_name.as_deref(), false)?;

    let reading = Reading {
        table: &table,
        index,
        span,
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
    Ok(api::ScanOutput {
        count: i32::try_from(page.count).ok(),
        scanned_count: i32::try_from(page.scanned).ok(),
        items: (!selected.count_only)
            .then(|| page.items.into_iter().map(convert::item_out).collect()),
        last_evaluated_key: page.last_key.map(convert::item_out),
        consumed_capacity: capacity::report(asked, &table.record.name, &usage, Detail::None),
    })
}

/// Order of checks recorded: dynalite, scan.
fn check(input: &mut api::ScanInput) -> Result<Checked> {
    Present {
        expressions: &[
            ("ProjectionExpression", input.projection_expression.is_some()),
            ("FilterExpression", input.filter_expression.is_some()),
        ],
        legacy: &[
            ("AttributesToGet", input.attributes_to_get.is_some()),
            ("ScanFilter", input.scan_filter.is_some()),
            ("ConditionalOperator", input.conditional_operator.is_some()),
        ],
        names: input.expression_attribute_names.is_some(),
        values: input.expression_attribute_values.is_some(),
    }
    .check()?;
    let filters = input.scan_filter.as_ref().map(std::collections::BTreeMap::len);
    expressions::check_operator(input.conditional_operator.as_ref(), filters)?;
    expressions::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let any = expressions::is_or(input.conditional_operator.as_ref());
    let filter_clauses = expressions::clauses(input.scan_filter.take())?;
    let start = selection::start(input.exclusive_start_key.take())?;
    let segment = segment(input.segment.map(i64::from), input.total_segments.map(i64::from))?;
    selection::check_select(
        input.select.as_ref(),
        input.index_name.as_ref(),
        input.projection_expression.is_some(),
        input.attributes_to_get.is_some(),
    )?;
    let with = expressions::placeholders(
        input.expression_attribute_names.take(),
        input.expression_attribute_values.take(),
    )?;
    let filter = Guard::parse(Parameter::Filter, input.filter_expression.as_deref(), &with)?;
    let projection = expressions::projection(
        input.projection_expression.as_deref(),
        input.attributes_to_get.take(),
        &with,
    )?;
    with.check_all_used().map_err(errors::invalid)?;
    Ok(Checked { filter: filter.or_expected(filter_clauses, any), projection, start, segment })
}

fn segment(segment: Option<i64>, total: Option<i64>) -> Result<Option<(u32, u32)>> {
    match (segment, total) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(errors::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment \
             parameter is present",
        )),
        (None, Some(_)) => Err(errors::validation(
            "The Segment parameter is required but was not present in the request when parameter \
             TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(errors::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: \
             Segment: {segment} is not less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => {
            Ok(u32::try_from(segment).ok().zip(u32::try_from(total).ok()))
        }
    }
}

fn check_start(table: &Table, index: Option<&Index>, checked: &Checked) -> Result<()> {
    let Some(start) = &checked.start else { return Ok(()) };
    if start.len() != selection::start_names(table, index).len() {
        return Err(errors::validation(match index {
            Some(_) => "The provided starting key is invalid",
            None => {
                "The provided starting key is invalid: The provided key element does not match the \
                 schema"
            }
        }));
    }
    for (at, key) in index.iter().flat_map(|index| index.keys.attributes()).enumerate() {
        match start.get(&key.name) {
            None => return Err(errors::validation("The provided starting key is invalid")),
            Some(value) if value.kind() != key.kind => return Err(write::schema_mismatch()),
            Some(value) => write::check_key_size(value, at == 0)?,
        }
    }
    Ok(())
}

fn span(table: &Table, index: Option<&Index>, checked: &Checked) -> Result<Span> {
    let (mut from, mut to) = (Bound::Unbounded, Bound::Unbounded);
    let bounds = checked.segment.map(|(segment, total)| keys::segment(segment, total));
    if let Some((first, last)) = &bounds {
        from = Bound::Included(first.clone());
        to = last.clone().map_or(Bound::Unbounded, Bound::Excluded);
    }
    if let Some(start) = &checked.start {
        let at = selection::start_sort(table, index, start)?;
        if let (Some((first, last)), Some((segment, total))) = (&bounds, checked.segment)
            && (at < *first || last.as_ref().is_some_and(|last| at >= *last))
        {
            return Err(errors::validation(format!(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use \
                 ExclusiveStartKey with correct Segment. TotalSegments: {total} Segment: {segment}"
            )));
        }
        from = Bound::Excluded(at);
    }
    Ok(Span { from, to, reverse: false })
}
