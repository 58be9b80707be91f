//! FilterLogEvents: the events of a group that a pattern takes, a page at a time.
//!
//! A page costs what it looks at, however large the group is. One that found too little in what it
//! may look at ends early, with a token.

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Result};

use crate::merge::{Merge, Rank, Source, Span};
use crate::pattern::Pattern;
use crate::state::GroupRecord;
use crate::{errors, group, stream, token};

const PAGE: usize = 10_000;
const PAGE_BYTES: usize = 1_048_576;
/// What one call looks at before it answers with what it has.
const LOOKED_AT_MAX: usize = 100_000;
const LOOKED_AT_BYTES_MAX: usize = 32 * 1_048_576;

pub async fn filter(
    ctx: Ctx,
    input: api::FilterLogEventsInput,
) -> Result<api::FilterLogEventsOutput> {
    let (name, identifier) = (input.log_group_name.as_ref(), input.log_group_identifier.as_ref());
    let group = group::identified(&ctx, name, identifier).await?;
    let text = input.filter_pattern.as_deref().unwrap_or_default();
    let pattern = Pattern::parse(text).map_err(|_| errors::bad_pattern())?;
    let span = Span {
        to_ms: input.end_time.unwrap_or(i64::MAX - 1),
        backward: input.start_from_head == Some(false),
        after: input.next_token.as_deref().map(Rank::parse).transpose()?,
    };
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let from_ms = input.start_time.unwrap_or(0).max(group.keeps_from_ms(&ctx));
    let sources = sources(&ctx, &group, &input, from_ms, span.to_ms).await?;
    let mut merge = Merge::new(&ctx, span, sources).await?;
    let (events, next_token) = page(&mut merge, &pattern, limit).await?;
    // AWS fills the list of searched streams no more.
    Ok(api::FilterLogEventsOutput {
        events: Some(events),
        searched_log_streams: Some(Vec::new()),
        next_token,
    })
}

/// The streams that an operation asks for.
async fn sources(
    ctx: &Ctx,
    group: &GroupRecord,
    input: &api::FilterLogEventsInput,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Source>> {
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(_), Some(_)) => Err(errors::invalid(
            "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.",
        )),
        (Some(names), None) => {
            let mut sources = Vec::new();
            for name in names {
                let stream = stream::load(ctx, group, name).await?;
                let (group, name) = (group.number, stream.name);
                sources.push(Source { group, stream: stream.number, name, from_ms });
            }
            sources.sort_by_key(|source| source.stream);
            sources.dedup_by_key(|source| source.stream);
            Ok(sources)
        }
        (None, prefix) => {
            let prefix = prefix.as_deref().unwrap_or_default();
            stream::with_events(ctx, group, prefix, from_ms, to_ms).await
        }
    }
}

type Page = (Vec<api::FilteredLogEvent>, Option<String>);

async fn page(merge: &mut Merge<'_>, pattern: &Pattern, limit: usize) -> Result<Page> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    let (mut looked_at, mut looked_at_bytes) = (0, 0);
    let mut last = None;
    while let Some(found) = merge.next().await? {
        let enough = events.len() >= limit || bytes >= PAGE_BYTES;
        if enough || looked_at >= LOOKED_AT_MAX || looked_at_bytes >= LOOKED_AT_BYTES_MAX {
            return Ok((events, last.map(Rank::to_token)));
        }
        looked_at += 1;
        looked_at_bytes += found.event.message.len();
        last = Some(found.rank);
        if pattern.matches(&found.event.message) {
            bytes += found.event.message.len();
            events.push(api::FilteredLogEvent {
                log_stream_name: Some(merge.source(&found).name.clone()),
                timestamp: Some(found.rank.time_ms),
                message: Some(found.event.message),
                ingestion_time: Some(found.event.ingested_ms),
                event_id: Some(token::event_id(found.rank.place(), found.rank.stream)),
            });
        }
    }
    Ok((events, None))
}
