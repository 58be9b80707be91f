//! SELECT: partitions that the condition names are queried one after the other; if it names none,
//! the table or index is scanned.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::{base64_decode, base64_encode};
use sereno_ddbexpr::encode::{decode_item, encode_item};
use sereno_ddbexpr::partiql::{Branch, Select, branches};
use sereno_ddbexpr::{Item, Projection, Value};
use sereno_kernel::{Ctx, Result};
use sha2::{Digest as _, Sha256};

use crate::access::Touched;
use crate::capacity::{self, Detail, Usage};
use crate::convert;
use crate::errors;
use crate::expressions::Guard;
use crate::item;
use crate::page::{Reading, Span};
use crate::query;
use crate::query_rules;
use crate::selection::{self, Selection};
use crate::table::{Engine, Index, KeySchema, Table, Target};

pub struct Asked<'a> {
    pub consistent: Option<bool>,
    pub limit: Option<usize>,
    pub token: Option<String>,
    pub consumed: Option<&'a api::ReturnConsumedCapacity>,
    pub fingerprint: [u8; 8],
}

/// What tells a token's statement from others.
pub fn fingerprint(statement: &str, parameters: &[Value]) -> [u8; 8] {
    let digest = Sha256::digest(format!("{statement} {parameters:?}"));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

/// Where to go on: in which branch, behind which key. An empty one is before all.
struct Token {
    branch: u32,
    key: Item,
}

impl Token {
    fn text(&self, fingerprint: [u8; 8]) -> String {
        let key = encode_item(&self.key);
        base64_encode(&[&fingerprint[..], &self.branch.to_be_bytes(), &key].concat())
    }

    fn parse(text: &str, fingerprint: [u8; 8]) -> Result<Token> {
        let wrong = || errors::validation("NextToken does not match request");
        let bytes = base64_decode(text).ok_or_else(wrong)?;
        let rest = bytes.strip_prefix(&fingerprint[..]).ok_or_else(wrong)?;
        let (branch, key) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let key = decode_item(key).map_err(|_| wrong())?;
        Ok(Token { branch: u32::from_be_bytes(*branch), key })
    }
}

pub async fn execute(
    engine: &Engine,
    ctx: &Ctx,
    select: &Select,
    asked: Asked<'_>,
) -> Result<api::ExecuteStatementOutput> {
    let target = Target::parse(ctx, &select.table)?;
    let columns = select.columns.clone().map(Projection::of_paths);
    let table = engine
        .open(ctx, &target, |table| {
            let mut touched = Touched::default().consumed(asked.consumed);
            touch(&mut touched, table, select);
            selection::touch(&mut touched, None, columns.as_ref());
            let arn = match &select.index {
                Some(index) => format!("{}/index/{index}", target.arn()),
                None => target.arn(),
            };
            touched.access("dynamodb:PartiQLSelect", arn)
        })
        .await?;
    let table = table.ok_or_else(errors::not_found)?;
    let index = index(&table, select, asked.consistent)?;
    let selected = Selection::of(&table, index, None, columns.as_ref())?;
    let plan = Plan::of(&table, index, select)?;
    item::admit(engine, ctx, &table, select.index.as_deref(), false)?;
    let token = asked.token.as_deref();
    let token = token.map(|text| Token::parse(text, asked.fingerprint)).transpose()?;
    let filter = select.condition.clone().map_or(Guard::Nothing, Guard::Expression);
    let reader = Reader { table: &table, index, plan, filter: &filter, fetch: selected.fetch };
    let found = reader.read(ctx, asked.limit, token, asked.consistent).await?;
    item::used(engine, ctx, &table, &found.usage, false);
    let items = found.items.into_iter().map(|item| convert::item_out(select.show(item)));
    Ok(api::ExecuteStatementOutput {
        items: Some(items.collect()),
        next_token: found.next.as_ref().map(|token| token.text(asked.fingerprint)),
        consumed_capacity: capacity::report(
            asked.consumed,
            &table.record.name,
            &found.usage,
            Detail::None,
        ),
        last_evaluated_key: found
            .next
            .filter(|token| !token.key.is_empty())
            .map(|token| convert::item_out(token.key)),
    })
}

fn touch(touched: &mut Touched, table: Option<&Table>, select: &Select) {
    if let Some(condition) = &select.condition {
        touched.condition(condition);
    }
    let Some(table) = table else { return };
    let index = select.index.as_deref().and_then(|name| table.index(name));
    let schema = index.map_or(&table.keys, |index| &index.keys);
    let branches = branches_of(schema, select);
    touched.full_scan = Some(branches.is_none());
    let first = schema.hash.first().map(|attribute| attribute.name.as_str());
    let keys = branches.into_iter().flatten().flatten();
    for clause in keys.filter(|clause| Some(clause.attribute.as_str()) == first) {
        touched.leading_keys.extend(clause.values.first().and_then(convert::value_text));
    }
}

fn index<'a>(
    table: &'a Table,
    select: &Select,
    consistent: Option<bool>,
) -> Result<Option<&'a Index>> {
    let Some(name) = &select.index else { return Ok(None) };
    let index = table
        .index(name)
        .ok_or_else(|| errors::validation("The table does not have the specified index"))?;
    if !index.record.local && consistent == Some(true) {
        return Err(errors::validation(
            "Strongly consistent read is not supported on Global Secondary Indexes",
        ));
    }
    if !index.is_readable() {
        return Err(errors::validation(format!(
            "Cannot read from backfilling global secondary index: {name}"
        )));
    }
    Ok(Some(index))
}

fn branches_of(schema: &KeySchema, select: &Select) -> Option<Vec<Branch>> {
    let hash: Vec<&str> = schema.hash.iter().map(|attribute| attribute.name.as_str()).collect();
    let range: Vec<&str> = schema.range.iter().map(|attribute| attribute.name.as_str()).collect();
    branches(select.condition.as_ref()?, &hash, &range)
}

/// Which parts of the table are read, and which way.
struct Plan {
    /// Nothing: a scan.
    branches: Option<Vec<Branch>>,
    reverse: bool,
}

impl Plan {
    fn of(table: &Table, index: Option<&Index>, select: &Select) -> Result<Plan> {
        let schema = index.map_or(&table.keys, |index| &index.keys);
        let mut branches = branches_of(schema, select);
        let reverse = check_order(schema, select, branches.as_mut())?;
        for clause in branches.iter().flatten().flatten() {
            let Some(attribute) = schema.find(&clause.attribute) else { continue };
            let hash = schema.hash.contains(attribute);
            query_rules::check_clause(attribute, hash, false, clause)?;
        }
        Ok(Plan { branches, reverse })
    }
}

/// Whether the sort key goes backward.
fn check_order(
    schema: &KeySchema,
    select: &Select,
    branches: Option<&mut Vec<Branch>>,
) -> Result<bool> {
    if select.order.is_empty() {
        return Ok(false);
    }
    if select.condition.is_none() {
        return Err(errors::validation(
            "Must have WHERE clause in the statement when using ORDER BY clause.",
        ));
    }
    let branches = branches.ok_or_else(|| {
        errors::validation(
            "Must have at least one non-optional hash key condition in WHERE clause when using \
             ORDER BY clause.",
        )
    })?;
    let mut reverse = false;
    for order in &select.order {
        let found = schema.find(&order.attribute.head).filter(|_| !order.attribute.is_nested());
        let attribute = found.ok_or_else(|| {
            errors::validation(format!(
                "Variable reference {} in ORDER BY clause must be part of the primary key",
                order.attribute.head
            ))
        })?;
        if !schema.hash.contains(attribute) {
            reverse = order.descending;
            continue;
        }
        branches.sort_by(|a, b| {
            let value = |branch: &Branch| {
                let clause = branch.iter().find(|clause| clause.attribute == attribute.name)?;
                clause.values.first().cloned()
            };
            let order_of = value(a)
                .zip(value(b))
                .and_then(|(a, b)| a.compare(&b))
                .unwrap_or(std::cmp::Ordering::Equal);
            if order.descending { order_of.reverse() } else { order_of }
        });
    }
    Ok(reverse)
}

struct Reader<'a> {
    table: &'a Arc<Table>,
    index: Option<&'a Index>,
    plan: Plan,
    filter: &'a Guard,
    fetch: bool,
}

#[derive(Default)]
struct Found {
    items: Vec<Item>,
    usage: Usage,
    next: Option<Token>,
}

impl Reader<'_> {
    /// One page: up to so many items looked at, or 1 MB, across partitions.
    async fn read(
        &self,
        ctx: &Ctx,
        mut limit: Option<usize>,
        token: Option<Token>,
        consistent: Option<bool>,
    ) -> Result<Found> {
        const BYTES_MAX: usize = 1024 * 1024;
        let mut found = Found::default();
        let count = self.plan.branches.as_ref().map_or(1, Vec::len);
        let (first, mut start) = match token {
            Some(token) => (token.branch as usize, Some(token.key).filter(|key| !key.is_empty())),
            None => (0, None),
        };
        let mut bytes = 0;
        for number in first..count {
            let reading = Reading {
                table: self.table,
                index: self.index,
                span: self.span(number, start.take().as_ref())?,
                limit,
                filter: self.filter,
                projection: None,
                fetch: self.fetch,
                count_only: false,
            };
            let page = reading.page(ctx.store()).await?;
            found.usage.add(&selection::usage(self.index, &page, consistent));
            found.items.extend(page.items);
            bytes += page.read_bytes;
            limit = limit.map(|limit| limit.saturating_sub(page.scanned));
            if let Some(key) = page.last_key {
                found.next = Some(Token { branch: number as u32, key });
                break;
            }
            if bytes >= BYTES_MAX && number + 1 < count {
                found.next = Some(Token { branch: number as u32 + 1, key: Item::new() });
                break;
            }
        }
        Ok(found)
    }

    fn span(&self, number: usize, start: Option<&Item>) -> Result<Span> {
        use std::ops::Bound;
        let branch = self.plan.branches.as_ref().map(|branches| branches.get(number));
        match branch {
            Some(Some(branch)) => {
                query::span(self.table, self.index, branch, start, self.plan.reverse)
            }
            _ => {
                let from = start
                    .map(|key| selection::start_sort(self.table, self.index, key))
                    .transpose()?
                    .map_or(Bound::Unbounded, Bound::Excluded);
                Ok(Span { from, to: Bound::Unbounded, reverse: false })
            }
        }
    }
}
