//! TransactWriteItems.
//!
//! Invariants: all reads of a transaction's commit are checked by version, so it is serialisable with
//! every other write; a client token and its transaction are one commit, so a repeated request can
//! not write twice.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sereno_api_dynamodb as api;
use sereno_ddbexpr::encode::encode_item;
use sereno_ddbexpr::{Item, Parameter, Update};
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Batch, Check, StoreError};
use sha2::{Digest as _, Sha256};

use crate::access::Touched;
use crate::capacity::{self, Detail, Usage, write_units};
use crate::convert::{self, Attributes};
use crate::errors;
use crate::expressions::{self, Guard, Names};
use crate::item;
use crate::state::{TOKENS, TokenRecord};
use crate::table::{Engine, Table, Target};
use crate::tokens;
use crate::update_item::Edit;
use crate::update_rules;
use crate::write::{self, Attempts, Change};

/// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
const TOKEN_LIFE: Duration = Duration::from_secs(600);
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One action, checked as far as it can be without the table.
pub struct Action {
    pub target: Target,
    pub table: Option<Arc<Table>>,
    pub what: What,
    pub guard: Guard,
    pub show_item: bool,
}

pub enum What {
    Put(Item),
    /// A put where nothing may be.
    Insert(Item),
    Delete(Item),
    Update(Item, Edit),
    Check(Item),
}

impl What {
    /// The whole item or its key.
    pub fn named(&self) -> &Item {
        match self {
            What::Put(item)
            | What::Insert(item)
            | What::Delete(item)
            | What::Update(item, _)
            | What::Check(item) => item,
        }
    }
}

impl Action {
    pub fn named(&self) -> &Item {
        self.what.named()
    }

    /// Against the table's schema.
    pub fn check(&self, table: &Table) -> Result<()> {
        match &self.what {
            What::Put(item) | What::Insert(item) => write::check_item(table, item),
            What::Delete(key) | What::Check(key) => write::check_key(table, key),
            What::Update(key, edit) => {
                write::check_key(table, key)?;
                update_rules::check(table, edit)
            }
        }
    }

    /// The item afterwards, or why not.
    pub fn decide(&self, table: &Table, old: Option<&Item>) -> Result<Option<Item>> {
        let nothing = Item::new();
        if matches!(self.what, What::Insert(_)) && old.is_some() {
            return Err(errors::duplicate_item());
        }
        if !self.guard.holds(old.unwrap_or(&nothing)) {
            return Err(errors::condition_failed(old.filter(|_| self.show_item).cloned()));
        }
        match &self.what {
            What::Put(item) | What::Insert(item) => Ok(Some(item.clone())),
            What::Delete(_) => Ok(None),
            What::Check(_) => Ok(old.cloned()),
            What::Update(key, edit) => update_rules::apply(table, edit, key, old),
        }
    }
}

pub async fn write(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::TransactWriteItemsInput,
) -> Result<api::TransactWriteItemsOutput> {
    let fingerprint = fingerprint(&input.transact_items);
    let mut actions = Vec::with_capacity(input.transact_items.len());
    for request in input.transact_items {
        actions.push(check_action(&engine, &ctx, request).await?);
    }
    let token = input.client_request_token.as_deref().filter(|token| !token.is_empty());
    let outcome = run(&engine, &ctx, &mut actions, token, fingerprint).await?;
    let asked = input.return_consumed_capacity.as_ref();
    let reports = report(&engine, &ctx, asked, &outcome);
    let metrics = input.return_item_collection_metrics.as_ref();
    Ok(api::TransactWriteItemsOutput {
        consumed_capacity: (!reports.is_empty()).then_some(reports),
        item_collection_metrics: collections(metrics, &actions),
    })
}

/// Counts what was used and says so to those who asked.
pub fn report(
    engine: &Engine,
    ctx: &Ctx,
    asked: Option<&api::ReturnConsumedCapacity>,
    outcome: &Outcome,
) -> Vec<api::ConsumedCapacity> {
    let (detail, usages) = match outcome {
        Outcome::Written(usages) => (Detail::Write, usages),
        // A repeated request costs reads only.
        Outcome::Repeated(usages) => (Detail::Read, usages),
    };
    let mut reports = Vec::new();
    for (name, (table, usage)) in usages {
        item::used(engine, ctx, table, usage, detail == Detail::Write);
        reports.extend(capacity::report(asked, name, usage, detail));
    }
    reports
}

fn collections(
    asked: Option<&api::ReturnItemCollectionMetrics>,
    actions: &[Action],
) -> Option<BTreeMap<String, Vec<api::ItemCollectionMetrics>>> {
    let mut all: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for action in actions {
        let Some(table) = &action.table else { continue };
        if let Some(metrics) = item::collection_metrics(asked, table, action.named()) {
            all.entry(table.record.name.clone()).or_default().push(metrics);
        }
    }
    (!all.is_empty()).then_some(all)
}

/// What tells one request from another of the same token.
pub fn fingerprint(items: &impl std::fmt::Debug) -> bytes::Bytes {
    Sha256::digest(format!("{items:?}")).to_vec().into()
}

pub type Usages = BTreeMap<String, (Arc<Table>, Usage)>;

pub enum Outcome {
    Written(Usages),
    Repeated(Usages),
}

/// Carries out a transaction, trying again as long as others get in between.
pub async fn run(
    engine: &Engine,
    ctx: &Ctx,
    actions: &mut [Action],
    token: Option<&str>,
    fingerprint: bytes::Bytes,
) -> Result<Outcome> {
    let mut attempts = Attempts::default();
    loop {
        for action in actions.iter() {
            action.table.as_ref().ok_or_else(errors::not_found)?;
        }
        check_all(actions)?;
        let mut batch = Batch::new();
        if let Some(token) = token {
            let found = TOKENS.get_versioned(ctx.store(), ctx.scope(), token).await?;
            let live = found.as_ref().filter(|(_, record)| record.expires_ms > ctx.now().millis());
            if let Some((_, record)) = live {
                if record.fingerprint != fingerprint {
                    return Err(errors::token_reused());
                }
                return Ok(Outcome::Repeated(repeat_usages(actions)));
            }
            let check = found.map_or(Check::Absent, |(version, _)| Check::At(version));
            TOKENS.check(&mut batch, ctx.scope(), token, check);
            let expires = ctx.now().plus(TOKEN_LIFE);
            let record = TokenRecord {
                fingerprint: fingerprint.clone(),
                expires_ms: expires.millis(),
                ..Default::default()
            };
            TOKENS.put(&mut batch, ctx.scope(), token, &record);
            tokens::remember(&mut batch, ctx, token, expires);
        }
        let changes = decide_all(ctx, actions, &mut batch).await?;
        let mut usages = Usages::new();
        for (action, (old, new, at)) in actions.iter().zip(&changes) {
            let Some(table) = &action.table else { continue };
            let usage = if matches!(action.what, What::Check(_)) {
                let size = old.as_ref().map_or(0, Item::size);
                Usage::of_table(write_units(size) as f64)
            } else {
                let change = Change { table, old: old.as_ref(), new: new.as_ref() };
                change.record(&mut batch, at, ctx.now(), false)
            };
            let entry = usages
                .entry(table.record.name.clone())
                .or_insert_with(|| (table.clone(), Usage::default()));
            entry.1.add(&usage.scaled(2.0));
        }
        match ctx.store().commit(batch).await {
            Ok(_) => {
                for (action, (old, new, _)) in actions.iter().zip(&changes) {
                    let Some(table) = &action.table else { continue };
                    Change { table, old: old.as_ref(), new: new.as_ref() }.tally(engine);
                }
                return Ok(Outcome::Written(usages));
            }
            Err(StoreError::Conflict) => {
                attempts.again().await?;
                for action in actions.iter_mut() {
                    action.table = Some(write::reload(engine, ctx, &action.target).await?);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn repeat_usages(actions: &[Action]) -> Usages {
    let mut usages = Usages::new();
    for action in actions {
        let Some(table) = &action.table else { continue };
        let entry = usages
            .entry(table.record.name.clone())
            .or_insert_with(|| (table.clone(), Usage::default()));
        entry.1.add(&Usage::of_table(2.0));
    }
    usages
}

/// Schema errors belong to the action and cancel the transaction; two actions on one item are an
/// error of the request.
fn check_all(actions: &[Action]) -> Result<()> {
    let mut reasons = Vec::with_capacity(actions.len());
    let (mut seen, mut bytes, mut failed) = (BTreeSet::new(), 0, false);
    for action in actions {
        let Some(table) = &action.table else { continue };
        bytes += action.named().size();
        match action.check(table) {
            Ok(()) => {
                let key = table.keys.key_of(action.named());
                if !seen.insert((table.arn.clone(), encode_item(&key))) {
                    return Err(errors::validation(
                        "Transaction request cannot include multiple operations on one item",
                    ));
                }
                reasons.push(reason_none());
            }
            Err(error) => {
                failed = true;
                reasons.push(reason_of(&error, None));
            }
        }
    }
    if bytes > BYTES_MAX {
        return Err(errors::validation(
            "Transaction request size exceeded: the aggregate size of the items in the transaction \
             cannot exceed 4 MB",
        ));
    }
    if failed { Err(errors::cancelled(reasons)) } else { Ok(()) }
}

type Decided = (Option<Item>, Option<Item>, sereno_store::Key);

async fn decide_all(ctx: &Ctx, actions: &[Action], batch: &mut Batch) -> Result<Vec<Decided>> {
    let mut decided = Vec::with_capacity(actions.len());
    let (mut reasons, mut failed) = (Vec::with_capacity(actions.len()), false);
    let mut tables = BTreeSet::new();
    for action in actions {
        let table = action.table.as_ref().ok_or_else(errors::not_found)?;
        if tables.insert(table.arn.clone()) {
            table.check(batch);
        }
        let at = table.key(&table.keys.key_of(action.named()))?;
        let stored = write::read(ctx.store(), &at).await?;
        let check = stored.as_ref().map_or(Check::Absent, |stored| Check::At(stored.version));
        batch.checks.push((at.clone(), check));
        let old = stored.map(|stored| stored.item);
        match action.decide(table, old.as_ref()) {
            Ok(new) => {
                reasons.push(reason_none());
                decided.push((old, new, at));
            }
            Err(error) => {
                failed = true;
                reasons.push(reason_of(&error, old.filter(|_| action.show_item)));
            }
        }
    }
    if failed { Err(errors::cancelled(reasons)) } else { Ok(decided) }
}

pub fn reason_none() -> api::CancellationReason {
    api::CancellationReason { code: Some("None".to_owned()), ..Default::default() }
}

pub fn reason_of(error: &Error, item: Option<Item>) -> api::CancellationReason {
    let code = match error.code() {
        "ConditionalCheckFailedException" => "ConditionalCheckFailed",
        "DuplicateItemException" => "DuplicateItem",
        _ => "ValidationError",
    };
    api::CancellationReason {
        code: Some(code.to_owned()),
        message: Some(error.message().to_owned()),
        item: item.map(convert::item_out),
    }
}

/// The parameters that all four kinds of action have.
struct Common {
    table_name: String,
    condition: Option<String>,
    names: Option<Names>,
    values: Option<Attributes>,
    show: Option<api::ReturnValuesOnConditionCheckFailure>,
    update: Option<String>,
}

async fn check_action(
    engine: &Engine,
    ctx: &Ctx,
    request: api::TransactWriteItem,
) -> Result<Action> {
    let api::TransactWriteItem { condition_check, put, delete, update } = request;
    let given = [condition_check.is_some(), put.is_some(), delete.is_some(), update.is_some()];
    if given.into_iter().filter(|given| *given).count() != 1 {
        return Err(errors::validation(
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ));
    }
    let (action, attributes, common) = if let Some(put) = put {
        let common = Common {
            table_name: put.table_name,
            condition: put.condition_expression,
            names: put.expression_attribute_names,
            values: put.expression_attribute_values,
            show: put.return_values_on_condition_check_failure,
            update: None,
        };
        ("dynamodb:PutItem", put.item, common)
    } else if let Some(delete) = delete {
        let common = Common {
            table_name: delete.table_name,
            condition: delete.condition_expression,
            names: delete.expression_attribute_names,
            values: delete.expression_attribute_values,
            show: delete.return_values_on_condition_check_failure,
            update: None,
        };
        ("dynamodb:DeleteItem", delete.key, common)
    } else if let Some(update) = update {
        let common = Common {
            table_name: update.table_name,
            condition: update.condition_expression,
            names: update.expression_attribute_names,
            values: update.expression_attribute_values,
            show: update.return_values_on_condition_check_failure,
            update: Some(update.update_expression),
        };
        ("dynamodb:UpdateItem", update.key, common)
    } else {
        let check = condition_check.unwrap_or_default();
        let common = Common {
            table_name: check.table_name,
            condition: Some(check.condition_expression),
            names: check.expression_attribute_names,
            values: check.expression_attribute_values,
            show: check.return_values_on_condition_check_failure,
            update: None,
        };
        ("dynamodb:ConditionCheckItem", check.key, common)
    };
    build(engine, ctx, action, attributes, common).await
}

/// One action's own parameters, checked.
fn parse(action: &'static str, attributes: Attributes, common: Common) -> Result<(What, Guard)> {
    let item = convert::item_in(attributes).map_err(errors::invalid)?;
    let with = expressions::placeholders(common.names, common.values)?;
    let update = common
        .update
        .map(|text| Update::parse(&text, &with).map(Edit::Expression))
        .transpose()
        .map_err(errors::invalid)?;
    let guard = Guard::parse(Parameter::Condition, common.condition.as_deref(), &with)?;
    with.check_all_used().map_err(errors::invalid)?;
    let what = match (action, update) {
        (_, Some(edit)) => What::Update(item, edit),
        ("dynamodb:PutItem", _) => {
            item::check_size(&item)?;
            What::Put(item)
        }
        ("dynamodb:DeleteItem", _) => What::Delete(item),
        _ => What::Check(item),
    };
    Ok((what, guard))
}

async fn build(
    engine: &Engine,
    ctx: &Ctx,
    action: &'static str,
    attributes: Attributes,
    common: Common,
) -> Result<Action> {
    let target = Target::parse(ctx, &common.table_name)?;
    let show_item = item::shows_item(common.show.as_ref());
    let parsed = parse(action, attributes, common);
    let table = open(engine, ctx, action, &target, parsed.as_ref().ok()).await?;
    let (what, guard) = parsed?;
    Ok(Action { target, table, what, guard, show_item })
}

pub async fn open(
    engine: &Engine,
    ctx: &Ctx,
    action: &'static str,
    target: &Target,
    parsed: Option<&(What, Guard)>,
) -> Result<Option<Arc<Table>>> {
    engine
        .open(ctx, target, |table| {
            let mut touched =
                Touched { enclosing: Some("TransactWriteItems"), ..Touched::default() };
            if let Some((what, guard)) = parsed {
                touched.item(table, what.named());
                if let What::Update(_, edit) = what {
                    touched.edit(edit);
                }
                touched.guard(guard);
            }
            touched.access(action, target.arn())
        })
        .await
}
