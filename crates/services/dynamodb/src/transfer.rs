//! What exports and imports have in common: their ARNs, and how they are listed.

use sereno_kernel::{Ctx, Result};
use sereno_store::{Record, Table};

use crate::errors;
use crate::tables;

const PAGE_MAX: usize = 25;

/// The table and the id that an export's or an import's ARN names.
pub fn parse_arn<'a>(ctx: &Ctx, arn: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let own = ctx.arn("dynamodb", "table/");
    let (table, rest) = arn.strip_prefix(&own)?.split_once('/')?;
    let id = rest.strip_prefix(kind)?.strip_prefix('/')?;
    Some((table, id))
}

/// A page of records in the order of tables and ids, of one table if `table_arn` is given, and the token of the next page.
pub async fn page<V: Record>(
    ctx: &Ctx,
    records: Table<(String, String), V>,
    table_arn: Option<&str>,
    token: Option<&str>,
    limit: Option<i32>,
) -> Result<(Vec<V>, Option<String>)> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut listing = match table_arn {
        Some(arn) => records.list(ctx.scope(), (tables::own_name(ctx, arn)?,)),
        None => records.list(ctx.scope(), ()),
    };
    if let Some(token) = token {
        let place = token.split_once('/').ok_or_else(|| errors::validation("Invalid NextToken"))?;
        listing = listing.after(&place);
    }
    let mut page = listing.limit(limit + 1).read(ctx.store()).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|((table, id), _)| format!("{table}/{id}"));
    Ok((page.into_iter().map(|(_, record)| record).collect(), next))
}
