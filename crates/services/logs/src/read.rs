//! GetLogEvents: one stream, a page at a time, forwards and backwards.

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Result};

use crate::state::{EVENTS, EventRecord, Place};
use crate::token::{self, Direction};
use crate::{group, stream};

const PAGE: usize = 10_000;
const PAGE_BYTES: usize = 1_048_576;

type Events = Vec<(Place, EventRecord)>;

/// What of a stream is to be read.
struct Wanted {
    group: u64,
    stream: u64,
    from: Place,
    /// Excluded.
    to: Place,
    limit: usize,
}

pub async fn get(ctx: Ctx, input: api::GetLogEventsInput) -> Result<api::GetLogEventsOutput> {
    let (name, identifier) = (input.log_group_name.as_ref(), input.log_group_identifier.as_ref());
    let group = group::identified(&ctx, name, identifier).await?;
    let stream = stream::load(&ctx, &group, &input.log_stream_name).await?;
    let from_ms = input.start_time.unwrap_or(0).max(group.keeps_from_ms(&ctx));
    let mut wanted = Wanted {
        group: group.number,
        stream: stream.number,
        from: Place::first_at(from_ms),
        to: Place::first_at(input.end_time.unwrap_or(i64::MAX)),
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE),
    };
    let resumed = input.next_token.as_deref().map(token::parse_events).transpose()?;
    let direction = match resumed {
        Some((Direction::Forward, place)) => {
            wanted.from = wanted.from.max(token::behind(place));
            Direction::Forward
        }
        Some((Direction::Backward, place)) => {
            wanted.to = wanted.to.min(place);
            Direction::Backward
        }
        None if input.start_from_head == Some(true) => Direction::Forward,
        None => Direction::Backward,
    };
    let events = page(&ctx, &wanted, direction).await?;
    let (forward, backward) = ends(&events, resumed, from_ms);
    let shown = |(place, event): (Place, EventRecord)| api::OutputLogEvent {
        timestamp: Some(place.time_ms),
        message: Some(event.message),
        ingestion_time: Some(event.ingested_ms),
    };
    Ok(api::GetLogEventsOutput {
        events: Some(events.into_iter().map(shown).collect()),
        next_forward_token: Some(token::events(Direction::Forward, forward)),
        next_backward_token: Some(token::events(Direction::Backward, backward)),
    })
}

/// A page in the order of time, whichever end it was read from.
async fn page(ctx: &Ctx, wanted: &Wanted, direction: Direction) -> Result<Events> {
    let Wanted { group, stream, from, to, limit } = *wanted;
    let backward = direction == Direction::Backward;
    let list = EVENTS
        .list(ctx.scope(), (group, stream))
        .from(&from.key(group, stream))
        .before(&to.key(group, stream))
        .reverse(backward)
        .limit(limit)
        .bytes_max(PAGE_BYTES);
    let found = list.read(ctx.store()).await?;
    let mut events: Events =
        found.into_iter().map(|(key, event)| (Place::of(&key), event)).collect();
    if backward {
        events.reverse();
    }
    Ok(events)
}

/// Where the forward and the backward token lead from. A page without events leads back to the
/// same place, so that a reader can wait there for what comes.
fn ends(events: &Events, resumed: Option<(Direction, Place)>, from_ms: i64) -> (Place, Place) {
    match (events.first(), events.last(), resumed) {
        (Some((first, _)), Some((last, _)), _) => (*last, *first),
        (_, _, Some((Direction::Forward, place))) => (place, token::behind(place)),
        (_, _, Some((Direction::Backward, place))) => (token::before(place), place),
        (_, _, None) => {
            let start = Place::first_at(from_ms);
            (token::before(start), start)
        }
    }
}
