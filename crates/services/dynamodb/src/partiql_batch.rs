//! BatchExecuteStatement and ExecuteTransaction.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::Item;
use sereno_ddbexpr::partiql::Statement;
use sereno_kernel::{Ctx, Error, Result};

use crate::capacity::{self, Detail, Mode, Usage};
use crate::convert;
use crate::errors;
use crate::item;
use crate::partiql::{action, only_key, open_one, parameters, run};
use crate::table::{Engine, Table, Target};
use crate::transact::{self, Usages};
use crate::transact_get::{self, Get};
use crate::write;

/// Each statement stands for itself: one may fail where others do not.
pub async fn batch(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::BatchExecuteStatementInput,
) -> Result<api::BatchExecuteStatementOutput> {
    let asked = input.return_consumed_capacity.as_ref();
    let mut responses = Vec::with_capacity(input.statements.len());
    let mut usages: std::collections::BTreeMap<String, (Usage, Detail)> = Default::default();
    for request in input.statements {
        let (table_name, done) = one(&engine, &ctx, request).await;
        let mut response = api::BatchStatementResponse { table_name, ..Default::default() };
        match done {
            Ok(done) => {
                response.item = done.item.map(convert::item_out);
                let name = done.table.record.name.clone();
                let entry = usages.entry(name).or_insert_with(|| (Usage::default(), Detail::None));
                entry.0.add(&done.usage);
            }
            Err(error) => response.error = Some(slot_error(error)?),
        }
        responses.push(response);
    }
    let reports: Vec<_> = usages
        .iter()
        .filter_map(|(name, (usage, detail))| capacity::report(asked, name, usage, *detail))
        .collect();
    Ok(api::BatchExecuteStatementOutput {
        responses: Some(responses),
        consumed_capacity: (!reports.is_empty()).then_some(reports),
    })
}

struct Done {
    table: Arc<Table>,
    item: Option<Item>,
    usage: Usage,
}

/// The statement's table, as far as it is known, and how it went.
async fn one(
    engine: &Engine,
    ctx: &Ctx,
    request: api::BatchStatementRequest,
) -> (Option<String>, Result<Done>) {
    let parsed = parameters(request.parameters).and_then(|parameters| {
        Statement::parse(&request.statement, &parameters).map_err(errors::invalid)
    });
    let statement = match parsed {
        Ok(statement) => statement,
        Err(error) => return (None, Err(error)),
    };
    let name = Target::parse(ctx, statement.table()).ok().map(|target| target.name);
    let show = item::shows_item(request.return_values_on_condition_check_failure.as_ref());
    let consistent = request.consistent_read;
    (name, carry_out(engine, ctx, statement, show, consistent).await)
}

async fn carry_out(
    engine: &Engine,
    ctx: &Ctx,
    statement: Statement,
    show: bool,
    consistent: Option<bool>,
) -> Result<Done> {
    const WITHIN: &str = "BatchExecuteStatement";
    match statement {
        Statement::Select(select) => {
            let table = open_one(engine, ctx, &select, Some(WITHIN)).await?;
            let key = only_key(&table, &select, WITHIN)?;
            write::check_key(&table, &key)?;
            item::admit(engine, ctx, &table, None, false)?;
            let stored = write::read(ctx.store(), &table.key(&key)?).await?;
            let size = stored.as_ref().map_or(0, |stored| stored.item.size());
            let halves = capacity::read_halves(size, Mode::of_read(consistent));
            let usage = Usage::of_table(halves as f64 / 2.0);
            item::used(engine, ctx, &table, &usage, false);
            Ok(Done { table, item: stored.map(|stored| select.show(stored.item)), usage })
        }
        Statement::Exists(_) => Err(errors::validation("Unsupported operation: Exists")),
        write => {
            let (action, returning) = action(engine, ctx, write, show, Some(WITHIN)).await?;
            let (table, written, item) = run(engine, ctx, &action, returning).await?;
            item::used(engine, ctx, &table, &written.usage, true);
            Ok(Done { table, item, usage: written.usage })
        }
    }
}

/// What the client did wrong stands in its slot; anything else fails the whole request.
fn slot_error(error: Error) -> Result<api::BatchStatementError> {
    use api::BatchStatementErrorCodeEnum as Code;
    let code = match error.code() {
        "ConditionalCheckFailedException" => Code::ConditionalCheckFailed,
        "ValidationException" => Code::ValidationError,
        "ResourceNotFoundException" => Code::ResourceNotFound,
        "AccessDeniedException" => Code::AccessDenied,
        "DuplicateItemException" => Code::DuplicateItem,
        "ProvisionedThroughputExceededException" => Code::ProvisionedThroughputExceeded,
        _ => return Err(error),
    };
    Ok(api::BatchStatementError {
        code: Some(code),
        message: Some(error.message().to_owned()),
        item: errors::shown_item(&error),
    })
}

pub async fn transaction(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::ExecuteTransactionInput,
) -> Result<api::ExecuteTransactionOutput> {
    let fingerprint = transact::fingerprint(&input.transact_statements);
    let mut statements = Vec::with_capacity(input.transact_statements.len());
    for (number, request) in input.transact_statements.into_iter().enumerate() {
        let parameters = parameters(request.parameters)?;
        let statement = Statement::parse(&request.statement, &parameters)
            .map_err(|refusal| within(number, errors::invalid(refusal)))?;
        let show = item::shows_item(request.return_values_on_condition_check_failure.as_ref());
        statements.push((statement, show));
    }
    let asked = input.return_consumed_capacity.as_ref();
    let reads = statements.iter().filter(|(statement, _)| statement.is_read()).count();
    if reads == statements.len() {
        return read_all(&engine, &ctx, statements, asked).await;
    }
    if reads > 0 {
        return Err(errors::validation(
            "ExecuteTransaction API does not support both read and write operations in one request.",
        ));
    }
    let mut actions = Vec::with_capacity(statements.len());
    for (number, (statement, show)) in statements.into_iter().enumerate() {
        let prepared = action(&engine, &ctx, statement, show, Some("ExecuteTransaction")).await;
        let (action, _) = prepared.map_err(|error| within(number, error))?;
        actions.push(action);
    }
    let token = input.client_request_token.as_deref().filter(|token| !token.is_empty());
    let outcome = transact::run(&engine, &ctx, &mut actions, token, fingerprint).await?;
    let reports = transact::report(&engine, &ctx, asked, &outcome);
    Ok(api::ExecuteTransactionOutput {
        responses: Some(Vec::new()),
        consumed_capacity: (!reports.is_empty()).then_some(reports),
    })
}

/// Says which statement it is.
fn within(number: usize, error: Error) -> Error {
    if error.code() != "ValidationException" {
        return error;
    }
    errors::validation(format!(
        "Validation failed in TransactStatements[{number}]: {}",
        error.message()
    ))
}

async fn read_all(
    engine: &Engine,
    ctx: &Ctx,
    statements: Vec<(Statement, bool)>,
    asked: Option<&api::ReturnConsumedCapacity>,
) -> Result<api::ExecuteTransactionOutput> {
    const WITHIN: &str = "ExecuteTransaction";
    let (mut gets, mut selects) = (Vec::new(), Vec::new());
    for (number, (statement, _)) in statements.into_iter().enumerate() {
        let Statement::Select(select) = statement else { continue };
        if select.index.is_some() {
            return Err(errors::validation(
                "Reads on indices are not supported within transactions.",
            ));
        }
        let table = open_one(engine, ctx, &select, Some(WITHIN)).await?;
        let key = only_key(&table, &select, WITHIN).map_err(|error| within(number, error))?;
        gets.push(Get { table: Some(table), key, projection: None });
        selects.push(select);
    }
    let (items, usages): (_, Usages) = transact_get::run(ctx, &gets).await?;
    let mut reports = Vec::new();
    for (name, (table, usage)) in &usages {
        item::used(engine, ctx, table, usage, false);
        reports.extend(capacity::report(asked, name, usage, Detail::Read));
    }
    let responses = items
        .into_iter()
        .zip(&selects)
        .map(|(item, select)| api::ItemResponse {
            item: item.map(|item| convert::item_out(select.show(item))),
        })
        .collect();
    Ok(api::ExecuteTransactionOutput {
        responses: Some(responses),
        consumed_capacity: (!reports.is_empty()).then_some(reports),
    })
}
