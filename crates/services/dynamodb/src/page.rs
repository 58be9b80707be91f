//! Reading a span of items, page by page: Query and Scan share it.
//!
//! Invariants: a page ends when `Limit` items were looked at or 1 MB was read, whichever comes first;
//! items that no filter lets through count too; at most one chunk and the page's own items are held.

use std::ops::Bound;

use sereno_ddbexpr::encode::decode_item;
use sereno_ddbexpr::{Item, Projection, Value};
use sereno_kernel::Result;
use sereno_store::{Range, Read};

use crate::errors;
use crate::expressions::Guard;
use crate::table::{Index, Table};
use crate::write;

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
const PAGE_BYTES: usize = 1024 * 1024;
const CHUNK_ITEMS: usize = 500;

/// Where and how to read.
pub struct Span {
    pub from: Bound<Vec<u8>>,
    pub to: Bound<Vec<u8>>,
    pub reverse: bool,
}

pub struct Reading<'a> {
    pub table: &'a Table,
    pub index: Option<&'a Index>,
    pub span: Span,
    pub limit: Option<usize>,
    pub filter: &'a Guard,
    pub projection: Option<&'a Projection>,
    /// Look up each whole item in the table: a local index does not hold what is wanted.
    pub fetch: bool,
    pub count_only: bool,
}

#[derive(Default)]
pub struct Page {
    pub items: Vec<Item>,
    pub count: usize,
    pub scanned: usize,
    /// Bytes read from the table, or from the index.
    pub read_bytes: usize,
    /// The same as DynamoDB's own storage counts it: this is what ends a page.
    weight: usize,
    /// What single look-ups in the table cost, in halves of a unit at eventual consistency.
    pub fetched_blocks: u64,
    pub last_key: Option<Item>,
}

impl Reading<'_> {
    pub async fn page(&self, read: &(impl Read + ?Sized)) -> Result<Page> {
        let mut page = Page::default();
        let mut from = self.span.from.clone();
        let mut to = self.span.to.clone();
        let range_key = self.table.record.range.as_deref();
        let partition = self.index.map_or(self.table.partition(), Index::partition);
        loop {
            let wanted = self.limit.map_or(CHUNK_ITEMS, |limit| limit - page.scanned);
            let wanted = wanted.min(CHUNK_ITEMS);
            let range = Range::all(partition.to_vec())
                .from(from.clone())
                .to(to.clone())
                .reverse(self.span.reverse)
                .limit(wanted)
                .bytes_max(PAGE_BYTES);
            let entries = read.range(&range).await?;
            let exhausted = entries.len() < wanted
                && entries.iter().map(sereno_store::Entry::size).sum::<usize>() < PAGE_BYTES;
            let Some(last) = entries.last() else { return Ok(page) };
            let bound = Bound::Excluded(last.sort.clone());
            if self.span.reverse {
                to = bound;
            } else {
                from = bound;
            }
            for entry in entries {
                let item = decode_item(&entry.value).map_err(errors::corrupt)?;
                page.scanned += 1;
                page.read_bytes += item.size();
                page.weight += weight(&item, range_key);
                let full = self.limit.is_some_and(|limit| page.scanned >= limit)
                    || page.weight >= PAGE_BYTES;
                if full {
                    page.last_key = Some(self.position(&item));
                }
                self.take(read, item, &mut page).await?;
                if full {
                    return Ok(page);
                }
            }
            if exhausted {
                return Ok(page);
            }
        }
    }

    async fn take(
        &self,
        read: &(impl Read + ?Sized),
        mut item: Item,
        page: &mut Page,
    ) -> Result<()> {
        if self.fetch {
            let home = write::home(self.table, &item)?;
            // The table may have moved on between the two reads; then the item is not there.
            let Some(stored) = write::read(read, &home).await? else { return Ok(()) };
            page.fetched_blocks += (stored.item.size() as u64).div_ceil(4096).max(1);
            item = stored.item;
        }
        if !self.filter.holds(&item) {
            return Ok(());
        }
        page.count += 1;
        if !self.count_only {
            page.items.push(crate::expressions::project(self.projection, item));
        }
        Ok(())
    }

    /// What a client sends back to go on from here.
    fn position(&self, item: &Item) -> Item {
        let mut key = self.table.keys.key_of(item);
        for (name, value) in self.index.iter().flat_map(|index| index.keys.key_of(item)) {
            key.insert(name, value);
        }
        key
    }
}

/// What an item takes up on DynamoDB's disks, as far as the ends of pages show it: names are one
/// byte, values carry their length, and every 3 KB repeat the sort key.
/// Recorded: dynalite measured it on AWS (query and scan, "just over limit").
fn weight(item: &Item, range_key: Option<&str>) -> usize {
    let (mut bytes, mut range_bytes) = (0, 0);
    for (name, value) in item.iter() {
        if range_key == Some(name) {
            range_bytes = value.size();
        } else {
            bytes += 1 + value_weight(value);
        }
    }
    2 + bytes + (1 + (1 + bytes) / 3072) * (18 + range_bytes)
}

fn value_weight(value: &Value) -> usize {
    let size = value.size();
    match value {
        Value::S(_) => {
            size + if size < 128 {
                1
            } else if size < 16384 {
                2
            } else {
                3
            }
        }
        Value::B(_) | Value::N(_) => size + 1,
        Value::Ss(set) => size + set.len() + 1,
        Value::Ns(set) => size + set.len() + 1,
        Value::Bs(set) => size + set.len() + 1,
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::L(list) => 3 + list.iter().map(|one| 1 + value_weight(one)).sum::<usize>(),
        Value::M(map) => {
            3 + map.len() + map.iter().map(|(_, one)| 1 + value_weight(one)).sum::<usize>()
        }
    }
}
