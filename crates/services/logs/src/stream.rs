//! Log streams: create, delete, describe.

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::group;
use crate::merge::Source;
use crate::state::{GROUPS, GroupRecord, RECENT, RecentRecord, STREAMS, StreamRecord};
use crate::{access, errors, tasks, token};

const PAGE: usize = 50;

pub async fn load(ctx: &Ctx, group: &GroupRecord, name: &str) -> Result<StreamRecord> {
    let found = STREAMS.get(ctx.store(), ctx.scope(), &(group.number, name)).await?;
    found.ok_or_else(errors::no_stream)
}

/// Streams without events come before all others.
const NEVER_MS: i64 = -1;

/// Where the stream is in [`RECENT`].
pub fn recent_key(group: u64, stream: &StreamRecord) -> (u64, i64, &str) {
    (group, stream.last_event_ms.unwrap_or(NEVER_MS), &stream.name)
}

pub fn recent(stream: &StreamRecord) -> RecentRecord {
    RecentRecord {
        number: stream.number,
        first_event_ms: stream.first_event_ms.unwrap_or(i64::MAX),
    }
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateLogStreamInput,
) -> Result<api::CreateLogStreamOutput> {
    make(&ctx, &input.log_group_name, &input.log_stream_name, "").await?;
    Ok(api::CreateLogStreamOutput::default())
}

/// Makes a stream; a stack may ask for the same again.
pub async fn make(ctx: &Ctx, group: &str, name: &str, made_by: &str) -> Result<()> {
    let number = ctx.random_u64();
    transact!(ctx.store(), Error, |txn| {
        let group = GROUPS.get(txn, ctx.scope(), group).await?.ok_or_else(errors::no_group)?;
        let key = (group.number, name);
        if let Some(found) = STREAMS.get(txn, ctx.scope(), &key).await? {
            let again = !made_by.is_empty() && found.made_by == made_by;
            return if again { Ok(()) } else { Err(errors::stream_exists()) };
        }
        let record = StreamRecord {
            name: name.to_owned(),
            number,
            created_ms: ctx.now().millis(),
            made_by: made_by.to_owned(),
            ..Default::default()
        };
        STREAMS.put(txn, ctx.scope(), &key, &record);
        RECENT.put(txn, ctx.scope(), &recent_key(group.number, &record), &recent(&record));
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteLogStreamInput,
) -> Result<api::DeleteLogStreamOutput> {
    transact!(ctx.store(), Error, |txn| {
        let group = GROUPS.get(txn, ctx.scope(), &*input.log_group_name).await?;
        let number = group.ok_or_else(errors::no_group)?.number;
        let key = (number, &*input.log_stream_name);
        let found = STREAMS.get(txn, ctx.scope(), &key).await?;
        let stream = found.ok_or_else(errors::no_stream)?;
        STREAMS.delete(txn, ctx.scope(), &key);
        RECENT.delete(txn, ctx.scope(), &recent_key(number, &stream));
        tasks::purge_stream(&ctx, txn, number, stream.number);
        api::DeleteLogStreamOutput::default()
    })
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeLogStreamsInput,
) -> Result<api::DescribeLogStreamsOutput> {
    let named = (input.log_group_name.as_ref(), input.log_group_identifier.as_ref());
    let group = group::identified(&ctx, named.0, named.1).await?;
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let descending = input.descending.unwrap_or_default();
    let by_time = input.order_by == Some(api::OrderBy::LastEventTime);
    if by_time && input.log_stream_name_prefix.is_some() {
        return Err(errors::invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let next = input.next_token.as_ref();
    let (streams, next_token) = if by_time {
        by_last_event(&ctx, &group, descending, limit, next).await?
    } else {
        let prefix = input.log_stream_name_prefix.as_deref();
        by_name(&ctx, &group, prefix, descending, limit, next).await?
    };
    let described = |stream: StreamRecord| describe_one(&ctx, &group.name, stream);
    Ok(api::DescribeLogStreamsOutput {
        log_streams: Some(streams.into_iter().map(described).collect()),
        next_token,
    })
}

type Page = (Vec<StreamRecord>, Option<String>);

async fn by_name(
    ctx: &Ctx,
    group: &GroupRecord,
    prefix: Option<&str>,
    descending: bool,
    limit: usize,
    next: Option<&String>,
) -> Result<Page> {
    let number = group.number;
    let mut list = STREAMS.list(ctx.scope(), (number,)).reverse(descending).limit(limit + 1);
    if let Some(prefix) = prefix {
        list = list.starting_with(prefix);
    }
    if let Some(next) = next {
        let [last] = token::parse_texts::<1>('s', next)?;
        let key = (number, last.as_str());
        list = if descending { list.before(&key) } else { list.after(&key) };
    }
    let found = list.read(ctx.store()).await?;
    let more = found.len() > limit;
    let streams: Vec<StreamRecord> =
        found.into_iter().take(limit).map(|(_, stream)| stream).collect();
    let last = streams.last().filter(|_| more);
    let next = last.map(|stream| token::texts('s', &[&stream.name]));
    Ok((streams, next))
}

async fn by_last_event(
    ctx: &Ctx,
    group: &GroupRecord,
    descending: bool,
    limit: usize,
    next: Option<&String>,
) -> Result<Page> {
    let number = group.number;
    let mut list = RECENT.list(ctx.scope(), (number,)).reverse(descending).limit(limit + 1);
    if let Some(next) = next {
        let [time, name] = token::parse_texts::<2>('t', next)?;
        let time: i64 = time.parse().map_err(|_| errors::bad_token())?;
        let key = (number, time, name.as_str());
        list = if descending { list.before(&key) } else { list.after(&key) };
    }
    let found = list.read(ctx.store()).await?;
    let more = found.len() > limit;
    let mut streams = Vec::new();
    let mut last = None;
    for ((_, time, name), _) in found.into_iter().take(limit) {
        let key = (number, name.as_str());
        streams.extend(STREAMS.get(ctx.store(), ctx.scope(), &key).await?);
        last = Some(token::texts('t', &[&time.to_string(), &name]));
    }
    Ok((streams, last.filter(|_| more)))
}

fn describe_one(ctx: &Ctx, group: &str, stream: StreamRecord) -> api::LogStream {
    api::LogStream {
        arn: Some(access::stream_arn(ctx, group, &stream.name)),
        log_stream_name: Some(stream.name),
        creation_time: Some(stream.created_ms),
        first_event_timestamp: stream.first_event_ms,
        last_event_timestamp: stream.last_event_ms,
        last_ingestion_time: stream.last_ingestion_ms,
        upload_sequence_token: (stream.uploads > 0).then(|| upload_token(stream.uploads)),
        // AWS has said 0 for streams since 2019.
        stored_bytes: Some(0),
    }
}

/// The token of an upload. It means nothing any more, but older clients want one.
pub fn upload_token(uploads: u64) -> String {
    format!("496{uploads:053}")
}

/// The streams of a group with events between two times, both included.
pub async fn with_events(
    ctx: &Ctx,
    group: &GroupRecord,
    prefix: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Source>> {
    const READ: usize = 1000;
    let number = group.number;
    let mut sources = Vec::new();
    let mut after: Option<(i64, String)> = None;
    loop {
        let mut list = RECENT.list(ctx.scope(), (number,)).from(&(number, from_ms, "")).limit(READ);
        if let Some((time, name)) = &after {
            list = list.after(&(number, *time, name.as_str()));
        }
        let page = list.read(ctx.store()).await?;
        let full = page.len() == READ;
        for ((_, time, name), RecentRecord { number, first_event_ms }) in page {
            if first_event_ms <= to_ms && name.starts_with(prefix) {
                let (group, name) = (group.number, name.clone());
                sources.push(Source { group, stream: number, name, from_ms });
            }
            after = Some((time, name));
        }
        if !full {
            return Ok(sources);
        }
    }
}
