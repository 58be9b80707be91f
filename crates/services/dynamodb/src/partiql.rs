//! ExecuteStatement, and what all PartiQL operations share: statements to the actions and reads that
//! the other operations are made of.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
//!
//! Sentences recorded: paritysuite's dynamodb-conformance on AWS, partiql.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::partiql::{Returning, Select, Statement, key_equalities};
use sereno_ddbexpr::{Condition, Item, Path, Projection, Value};
use sereno_kernel::{Ctx, Result};

use crate::access::Touched;
use crate::convert;
use crate::errors;
use crate::expressions::Guard;
use crate::item;
use crate::partiql_select::{self, Asked};
use crate::table::{Engine, Table, Target};
use crate::transact::{Action, What};
use crate::update_item::Edit;
use crate::write::{self, Decision, Written};

pub async fn execute(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::ExecuteStatementInput,
) -> Result<api::ExecuteStatementOutput> {
    let parameters = parameters(input.parameters)?;
    let statement = Statement::parse(&input.statement, &parameters).map_err(errors::invalid)?;
    let asked = input.return_consumed_capacity.as_ref();
    match statement {
        Statement::Select(select) => {
            let wanted = Asked {
                consistent: input.consistent_read,
                limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
                token: input.next_token,
                consumed: asked,
                fingerprint: partiql_select::fingerprint(&input.statement, &parameters),
            };
            partiql_select::execute(&engine, &ctx, &select, wanted).await
        }
        Statement::Exists(_) => Err(errors::validation("Unsupported operation: Exists")),
        write => {
            let show = item::shows_item(input.return_values_on_condition_check_failure.as_ref());
            let (action, returning) = action(&engine, &ctx, write, show, None).await?;
            let (table, written, shown) = run(&engine, &ctx, &action, returning).await?;
            item::used(&engine, &ctx, &table, &written.usage, true);
            Ok(api::ExecuteStatementOutput {
                items: Some(shown.into_iter().map(convert::item_out).collect()),
                consumed_capacity: item::report(asked, &table, &written),
                ..Default::default()
            })
        }
    }
}

pub fn parameters(parameters: Option<Vec<api::AttributeValue>>) -> Result<Vec<Value>> {
    let all = parameters.unwrap_or_default().into_iter().map(convert::value_in);
    all.collect::<Result<Vec<_>, _>>().map_err(errors::invalid)
}

/// Carries out one write. With it comes what RETURNING shows.
pub async fn run(
    engine: &Engine,
    ctx: &Ctx,
    action: &Action,
    returning: Option<Returning>,
) -> Result<(Arc<Table>, Written, Option<Item>)> {
    let table = action.table.clone().ok_or_else(errors::not_found)?;
    action.check(&table)?;
    item::admit(engine, ctx, &table, None, true)?;
    let key = table.keys.key_of(action.named());
    let written =
        write::write_one(engine, ctx, &action.target, table.clone(), &key, |table, old| {
            action.check(table)?;
            Ok(match action.decide(table, old)? {
                Some(new) => Decision::Put(new),
                None if old.is_some() => Decision::Delete,
                None => Decision::Keep,
            })
        })
        .await?;
    let shown = returning.and_then(|returning| shown(action, &written, returning));
    Ok((table, written, shown))
}

fn shown(action: &Action, written: &Written, returning: Returning) -> Option<Item> {
    let item = if returning.new { written.new.as_ref() } else { written.old.as_ref() }?;
    match &action.what {
        What::Update(_, edit) if !returning.all => {
            Some(edit.touched().apply(item)).filter(|shown| !shown.is_empty())
        }
        _ => Some(item.clone()),
    }
}

/// What a statement that writes does, judged and fitted to its table. Also what RETURNING asks for.
pub async fn action(
    engine: &Engine,
    ctx: &Ctx,
    statement: Statement,
    show_item: bool,
    enclosing: Option<&'static str>,
) -> Result<(Action, Option<Returning>)> {
    let target = Target::parse(ctx, statement.table())?;
    let name = match &statement {
        Statement::Insert { .. } => "dynamodb:PartiQLInsert",
        Statement::Update { .. } => "dynamodb:PartiQLUpdate",
        Statement::Delete { .. } => "dynamodb:PartiQLDelete",
        Statement::Exists(_) | Statement::Select(_) => "dynamodb:PartiQLSelect",
    };
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched { enclosing, ..Touched::default() };
            touch(&mut touched, table, &statement);
            touched.access(name, target.arn())
        })
        .await?;
    let table = table.ok_or_else(errors::not_found)?;
    let (what, guard, returning) = fit(&table, statement)?;
    Ok((Action { target, table: Some(table), what, guard, show_item }, returning))
}

fn touch(touched: &mut Touched, table: Option<&Table>, statement: &Statement) {
    let condition = match statement {
        Statement::Insert { item, .. } => {
            touched.item(table, item);
            None
        }
        Statement::Update { update, condition, .. } => {
            touched.edit(&Edit::Expression(update.clone()));
            condition.as_ref()
        }
        Statement::Delete { condition, .. } => condition.as_ref(),
        Statement::Select(select) | Statement::Exists(select) => select.condition.as_ref(),
    };
    let Some(condition) = condition else { return };
    touched.condition(condition);
    let key = table.and_then(|table| key_equalities(condition, &names(table)));
    if let Some((key, _)) = key {
        touched.item(table, &key);
    }
}

fn names(table: &Table) -> Vec<&str> {
    table.keys.attributes().map(|attribute| attribute.name.as_str()).collect()
}

fn fit(table: &Table, statement: Statement) -> Result<(What, Guard, Option<Returning>)> {
    match statement {
        Statement::Insert { item, .. } => {
            item::check_size(&item)?;
            Ok((What::Insert(item), Guard::Nothing, None))
        }
        Statement::Update { update, condition, returning, .. } => {
            let (key, mut rest) = key_of(table, condition.as_ref())?;
            // An update makes no item.
            rest.push(Condition::Exists(Path::top(&table.record.hash)));
            let guard = Guard::Expression(Condition::And(rest));
            Ok((What::Update(key, Edit::Expression(update)), guard, returning))
        }
        Statement::Delete { condition, returning, .. } => {
            let (key, rest) = key_of(table, condition.as_ref())?;
            let guard = if rest.is_empty() {
                Guard::Nothing
            } else {
                Guard::Expression(Condition::And(rest))
            };
            Ok((What::Delete(key), guard, returning))
        }
        Statement::Exists(select) | Statement::Select(select) => {
            let refuse = || {
                errors::validation(
                    "EXISTS() must contain a single item read with additional condition",
                )
            };
            let found = select.condition.as_ref();
            let found = found.and_then(|condition| key_equalities(condition, &names(table)));
            let (key, rest) = found.filter(|_| select.index.is_none()).ok_or_else(refuse)?;
            if rest.is_empty() {
                return Err(refuse());
            }
            Ok((What::Check(key), Guard::Expression(Condition::And(rest)), None))
        }
    }
}

/// The key that the condition names, and what else it says.
fn key_of(table: &Table, condition: Option<&Condition>) -> Result<(Item, Vec<Condition>)> {
    condition.and_then(|condition| key_equalities(condition, &names(table))).ok_or_else(|| {
        errors::validation(
            "Where clause does not contain a mandatory equality on all key attributes",
        )
    })
}

/// The key of a SELECT that names one whole key and nothing else, as batches and transactions need
/// it.
pub fn only_key(table: &Table, select: &Select, within: &str) -> Result<Item> {
    let found = select.condition.as_ref();
    let found = found.and_then(|condition| key_equalities(condition, &names(table)));
    found
        .filter(|(_, rest)| rest.is_empty() && select.index.is_none())
        .map(|(key, _)| key)
        .ok_or_else(|| {
            errors::validation(format!(
                "Select statements within {within} must specify the primary key in the where \
                 clause."
            ))
        })
}

/// Opens the table of a SELECT for one item.
pub async fn open_one(
    engine: &Engine,
    ctx: &Ctx,
    select: &Select,
    enclosing: Option<&'static str>,
) -> Result<Arc<Table>> {
    let target = Target::parse(ctx, &select.table)?;
    let statement = Statement::Select(select.clone());
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched { enclosing, ..Touched::default() };
            touch(&mut touched, table, &statement);
            let columns = select.columns.clone().map(Projection::of_paths);
            crate::selection::touch(&mut touched, None, columns.as_ref());
            touched.access("dynamodb:PartiQLSelect", target.arn())
        })
        .await?;
    table.ok_or_else(errors::not_found)
}
