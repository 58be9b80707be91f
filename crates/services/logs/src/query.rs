//! Logs Insights: StartQuery leaves a query to be run, GetQueryResults tells what came of it.

use std::collections::HashMap;
use std::time::Duration;

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Error, Outcome, Result, Task, TaskKind, task};
use sereno_store::{Batch, transact};

use crate::insights::{self, Event, Flow, Pipeline, Row};
use crate::merge::{Found, Merge, Rank, Source, Span};
use crate::state::{
    EVENTS, GroupRecord, QUERIES, QUERY_TIMES, QueryRecord, RESULTS, RowRecord, STREAMS,
};
use crate::{errors, group, stream, token};

const RUN: &str = "logs.query";
const FORGET: &str = "logs.forget-query";
/// AWS keeps results for a week.
const KEPT: Duration = Duration::from_hours(7 * 24);
const LIMIT: i32 = 10_000;
const PAGE: usize = 10_000;
const GROUPS_MAX: usize = 50;
/// Times from here on are milliseconds, though the API asks for seconds.
const SECONDS_MAX: i64 = 99_999_999_999;
/// How often a running query looks whether it has been stopped.
const LOOK_EVERY: u64 = 20_000;
const WRITE_ROWS: usize = 1_000;
const WRITE_BYTES: usize = 2 * 1_048_576;

const SCHEDULED: &str = "Scheduled";
const RUNNING: &str = "Running";
const COMPLETE: &str = "Complete";

/// The groups that a query names, by name or by ARN.
pub fn groups(input: &api::StartQueryInput) -> Vec<String> {
    let one = input.log_group_name.clone().map(|name| vec![name]);
    let several = one.or_else(|| input.log_group_names.clone());
    several.or_else(|| input.log_group_identifiers.clone()).unwrap_or_default()
}

pub async fn start(ctx: Ctx, input: api::StartQueryInput) -> Result<api::StartQueryOutput> {
    if input.query_language.as_ref().is_some_and(|language| *language != api::QueryLanguage::Cwli) {
        return Err(errors::unsupported("Another query language than CWLI"));
    }
    let given = [
        input.log_group_name.is_some(),
        input.log_group_names.is_some(),
        input.log_group_identifiers.is_some(),
    ];
    let named = groups(&input);
    if given.into_iter().filter(|given| *given).count() != 1 || named.is_empty() {
        return Err(errors::invalid(
            "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be given.",
        ));
    }
    if named.len() > GROUPS_MAX {
        return Err(errors::limit_exceeded());
    }
    insights::parse(&input.query_string).map_err(|flaw| errors::malformed_query(&flaw))?;
    let mut names = Vec::new();
    for named in named {
        let name = group::name_of(&ctx, &named)?;
        if group::find(&ctx, &name).await?.is_none() {
            return Err(errors::no_query_group(&name, &ctx.account().to_string()));
        }
        names.push(name);
    }
    let (from_ms, to_ms) = times(input.start_time, input.end_time)?;
    let record = QueryRecord {
        id: ctx.random_uuid(),
        text: input.query_string,
        groups: names,
        status: SCHEDULED.to_owned(),
        created_ms: ctx.now().millis(),
        from_ms,
        to_ms,
        limit: input.limit.unwrap_or(LIMIT).unsigned_abs(),
        ..Default::default()
    };
    let mut batch = Batch::new();
    let id = record.id.as_str();
    QUERIES.put(&mut batch, ctx.scope(), id, &record);
    QUERY_TIMES.put(&mut batch, ctx.scope(), &(record.created_ms, id), &());
    task::schedule(&ctx, &mut batch, RUN, ctx.now(), id.to_owned());
    task::schedule(&ctx, &mut batch, FORGET, ctx.now().plus(KEPT), id.to_owned());
    ctx.store().commit(batch).await?;
    Ok(api::StartQueryOutput { query_id: Some(record.id) })
}

/// From the first to the last millisecond of whole seconds.
fn times(from: i64, to: i64) -> Result<(i64, i64)> {
    let ms = |time: i64, within: i64| {
        if time > SECONDS_MAX { time } else { time * 1000 + within }
    };
    let (from_ms, to_ms) = (ms(from, 0), ms(to, 999));
    if from_ms > to_ms {
        return Err(errors::invalid("The start of the query's time range is after its end."));
    }
    Ok((from_ms, to_ms))
}

pub fn run_task() -> TaskKind {
    TaskKind::new(RUN, |ctx: Ctx, task: Task| async move {
        let id = String::from_utf8_lossy(&task.payload).into_owned();
        let Some(record) = set_status(&ctx, &id, RUNNING, |_| {}).await? else {
            return Ok(Outcome::Done);
        };
        let Ok(query) = insights::parse(&record.text) else { return Ok(Outcome::Done) };
        let limit = usize::try_from(record.limit).unwrap_or(usize::MAX);
        let pipeline = Pipeline::new(query, limit, ctx.now().millis());
        match run(&ctx, &record, pipeline).await? {
            Some((counts, rows)) => {
                write(&ctx, &id, &rows).await?;
                let rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                set_status(&ctx, &id, COMPLETE, |record| {
                    record.rows = rows;
                    counts.note(record);
                })
                .await?;
            }
            None => {
                set_status(&ctx, &id, "Failed", |_| {}).await?;
            }
        }
        Ok(Outcome::Done)
    })
}

/// Goes on to a status, unless the query was stopped or forgotten meanwhile.
async fn set_status(
    ctx: &Ctx,
    id: &str,
    status: &str,
    note: impl Fn(&mut QueryRecord),
) -> Result<Option<QueryRecord>> {
    transact!(ctx.store(), Error, |txn| {
        match QUERIES.get(txn, ctx.scope(), id).await? {
            Some(mut record) if is_open(&record) => {
                status.clone_into(&mut record.status);
                note(&mut record);
                QUERIES.put(txn, ctx.scope(), id, &record);
                Some(record)
            }
            _ => None,
        }
    })
}

fn is_open(record: &QueryRecord) -> bool {
    matches!(record.status.as_str(), SCHEDULED | RUNNING)
}

/// What a query looked at.
#[derive(Clone, Copy, Default)]
struct Counts {
    matched: u64,
    scanned: u64,
    bytes: u64,
}

impl Counts {
    fn note(self, record: &mut QueryRecord) {
        record.matched = self.matched;
        record.scanned = self.scanned;
        record.bytes = self.bytes;
    }
}

/// Nothing: the query needs too much memory, or was stopped.
async fn run(
    ctx: &Ctx,
    record: &QueryRecord,
    mut pipeline: Pipeline,
) -> Result<Option<(Counts, Vec<Row>)>> {
    let (sources, groups) = sources(ctx, record).await?;
    let span = Span { to_ms: record.to_ms, backward: true, after: None };
    let mut merge = Merge::new(ctx, span, sources).await?;
    let mut counts = Counts::default();
    while let Some(found) = merge.next().await? {
        counts.scanned += 1;
        counts.bytes += found.event.message.len() as u64;
        if counts.scanned % LOOK_EVERY == 0 {
            let now = QUERIES.get(ctx.store(), ctx.scope(), record.id.as_str()).await?;
            if !now.is_some_and(|record| is_open(&record)) {
                return Ok(None);
            }
        }
        let source = merge.source(&found);
        let name = groups.get(&source.group).map_or("", String::as_str);
        match pipeline.push(event(ctx, name, source, found)) {
            Ok(Flow::More) => {}
            Ok(Flow::Enough) => break,
            Err(insights::TooMuch) => return Ok(None),
        }
    }
    counts.matched = pipeline.matched;
    Ok(pipeline.end().ok().map(|rows| (counts, rows)))
}

/// The streams of all groups of a query, and the names of the groups by their numbers.
async fn sources(ctx: &Ctx, record: &QueryRecord) -> Result<(Vec<Source>, HashMap<u64, String>)> {
    let (mut sources, mut names) = (Vec::new(), HashMap::new());
    for name in &record.groups {
        // A group that is gone meanwhile has no events.
        let Some(group) = group::find(ctx, name).await? else { continue };
        let from_ms = record.from_ms.max(group.keeps_from_ms(ctx));
        sources.extend(stream::with_events(ctx, &group, "", from_ms, record.to_ms).await?);
        names.insert(group.number, group.name);
    }
    Ok((sources, names))
}

fn event(ctx: &Ctx, group: &str, source: &Source, found: Found) -> Event {
    let id = token::event_id(found.rank.place(), found.rank.stream);
    Event {
        message: found.event.message,
        time_ms: found.rank.time_ms,
        ingested_ms: found.event.ingested_ms,
        stream: source.name.clone(),
        log: format!("{}:{group}", ctx.account()),
        pointer: token::texts('r', &[group, &source.name, &id]),
        ..Default::default()
    }
}

async fn write(ctx: &Ctx, id: &str, rows: &[Row]) -> Result<()> {
    let (mut batch, mut bytes) = (Batch::new(), 0);
    for (row, number) in rows.iter().zip(0_u32..) {
        let fields: Vec<String> =
            row.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        bytes += fields.iter().map(String::len).sum::<usize>();
        RESULTS.put(&mut batch, ctx.scope(), &(id, number), &RowRecord { fields });
        if batch.mutations.len() >= WRITE_ROWS || bytes >= WRITE_BYTES {
            ctx.store().commit(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    ctx.store().commit(batch).await?;
    Ok(())
}

pub fn forget_task() -> TaskKind {
    TaskKind::new(FORGET, |ctx: Ctx, task: Task| async move {
        let id = String::from_utf8_lossy(&task.payload).into_owned();
        loop {
            let list = RESULTS.list(ctx.scope(), (id.as_str(),)).limit(WRITE_ROWS);
            let rows = list.bytes_max(WRITE_BYTES).read(ctx.store()).await?;
            if rows.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            rows.iter().for_each(|(key, _)| RESULTS.delete(&mut batch, ctx.scope(), key));
            ctx.store().commit(batch).await?;
        }
        if let Some(record) = QUERIES.get(ctx.store(), ctx.scope(), id.as_str()).await? {
            let mut batch = Batch::new();
            QUERIES.delete(&mut batch, ctx.scope(), id.as_str());
            QUERY_TIMES.delete(&mut batch, ctx.scope(), &(record.created_ms, id.as_str()));
            ctx.store().commit(batch).await?;
        }
        Ok(Outcome::Done)
    })
}

pub async fn stop(ctx: Ctx, input: api::StopQueryInput) -> Result<api::StopQueryOutput> {
    let id = input.query_id.as_str();
    if QUERIES.get(ctx.store(), ctx.scope(), id).await?.is_none() {
        return Err(errors::no_query());
    }
    match set_status(&ctx, id, "Cancelled", |_| {}).await? {
        Some(_) => Ok(api::StopQueryOutput { success: Some(true) }),
        None => Err(errors::query_ended()),
    }
}

#[allow(clippy::cast_precision_loss)]
pub async fn results(
    ctx: Ctx,
    input: api::GetQueryResultsInput,
) -> Result<api::GetQueryResultsOutput> {
    let id = input.query_id.as_str();
    let found = QUERIES.get(ctx.store(), ctx.scope(), id).await?;
    let record = found.ok_or_else(errors::no_query)?;
    let limit = input.max_items.and_then(|items| usize::try_from(items).ok()).unwrap_or(PAGE);
    let mut rows = Vec::new();
    if record.status == COMPLETE {
        let mut list = RESULTS.list(ctx.scope(), (id,)).limit(limit.max(1));
        if let Some(next) = &input.next_token {
            let [last] = token::parse_texts::<1>('q', next)?;
            let last: u32 = last.parse().map_err(|_| errors::bad_token())?;
            list = list.after(&(id, last));
        }
        rows = list.read(ctx.store()).await?;
    }
    let last = rows.last().map(|((_, number), _)| *number).filter(|last| last + 1 < record.rows);
    let shown = |row: RowRecord| {
        let pairs = row.fields.chunks_exact(2);
        pairs
            .map(|pair| api::ResultField {
                field: Some(pair[0].clone()),
                value: Some(pair[1].clone()),
            })
            .collect()
    };
    Ok(api::GetQueryResultsOutput {
        query_language: Some(api::QueryLanguage::Cwli),
        results: Some(rows.into_iter().map(|(_, row)| shown(row)).collect()),
        statistics: Some(api::QueryStatistics {
            records_matched: Some(record.matched as f64),
            records_scanned: Some(record.scanned as f64),
            estimated_records_skipped: Some(0.0),
            bytes_scanned: Some(record.bytes as f64),
            estimated_bytes_skipped: Some(0.0),
            log_groups_scanned: Some(record.groups.len() as f64),
            ..Default::default()
        }),
        status: Some(record.status.as_str().into()),
        next_token: last.map(|last| token::texts('q', &[&last.to_string()])),
        ..Default::default()
    })
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeQueriesInput,
) -> Result<api::DescribeQueriesOutput> {
    const READ: usize = 500;
    let limit = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(1000);
    let wanted = |record: &QueryRecord| {
        let status = input.status.as_ref().is_none_or(|status| status.as_str() == record.status);
        let group = input.log_group_name.as_ref().is_none_or(|name| record.groups.contains(name));
        let language = input.query_language.as_ref();
        status && group && language.is_none_or(|language| *language == api::QueryLanguage::Cwli)
    };
    let mut before = match &input.next_token {
        Some(next) => {
            let [time, id] = token::parse_texts::<2>('d', next)?;
            Some((time.parse::<i64>().map_err(|_| errors::bad_token())?, id))
        }
        None => None,
    };
    let mut queries = Vec::new();
    loop {
        let mut list = QUERY_TIMES.list(ctx.scope(), ()).reverse(true).limit(READ);
        if let Some(before) = &before {
            list = list.before(before);
        }
        let page = list.read(ctx.store()).await?;
        let ends = page.len() < READ;
        for (key, ()) in page {
            let record = QUERIES.get(ctx.store(), ctx.scope(), key.1.as_str()).await?;
            if let Some(record) = record.filter(&wanted) {
                if queries.len() == limit {
                    let next =
                        before.map(|(time, id)| token::texts('d', &[&time.to_string(), &id]));
                    return Ok(api::DescribeQueriesOutput {
                        queries: Some(queries),
                        next_token: next,
                    });
                }
                queries.push(shown(record));
            }
            before = Some(key);
        }
        if ends {
            return Ok(api::DescribeQueriesOutput { queries: Some(queries), next_token: None });
        }
    }
}

/// recorded: LocalStack test_describe_queries
fn shown(record: QueryRecord) -> api::QueryInfo {
    let QueryRecord { text, from_ms, to_ms, .. } = &record;
    let quoted: Vec<String> = record.groups.iter().map(|name| format!("\"{name}\"")).collect();
    let source = quoted.join(" , ");
    api::QueryInfo {
        query_language: Some(api::QueryLanguage::Cwli),
        query_string: Some(format!("SOURCE {source} START={from_ms} END={to_ms} | {text}")),
        query_id: Some(record.id),
        status: Some(record.status.as_str().into()),
        create_time: Some(record.created_ms),
        log_group_name: record.groups.into_iter().next(),
        ..Default::default()
    }
}

pub fn group_of_pointer(pointer: &str) -> Option<String> {
    token::parse_texts::<3>('r', pointer).ok().map(|[group, _, _]| group)
}

pub async fn record(ctx: Ctx, input: api::GetLogRecordInput) -> Result<api::GetLogRecordOutput> {
    let parsed = token::parse_texts::<3>('r', &input.log_record_pointer);
    let [group, stream, id] = parsed.map_err(|_| errors::bad_pointer())?;
    let (place, number) = token::parse_event_id(&id).ok_or_else(errors::bad_pointer)?;
    let group: GroupRecord = group::load(&ctx, &group).await?;
    let key = (group.number, stream.as_str());
    let found = STREAMS.get(ctx.store(), ctx.scope(), &key).await?;
    // A new stream of the name has another number.
    found.filter(|stream| stream.number == number).ok_or_else(errors::no_record)?;
    let key = place.key(group.number, number);
    let found = EVENTS.get(ctx.store(), ctx.scope(), &key).await?;
    let kept = found.filter(|_| place.time_ms >= group.keeps_from_ms(&ctx));
    let record = kept.ok_or_else(errors::no_record)?;
    let from_ms = place.time_ms;
    let source = Source { group: group.number, stream: number, name: stream, from_ms };
    let found = Found::new(Rank::new(number, place), record);
    let log_record = Some(event(&ctx, &group.name, &source, found).record());
    Ok(api::GetLogRecordOutput { log_record })
}
