//! FilterLogEvents: many streams as one, in the order of time.
//!
//! Each stream is read a few events at a time and the streams are merged, so that a page costs what
//! it looks at, however large the group is. A page that found too little in what it may look at
//! ends early, with a token.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Result};

use crate::pattern::Pattern;
use crate::state::{EVENTS, EventRecord, GroupRecord, Place};
use crate::stream::Source;
use crate::{errors, group, stream, token};

const PAGE: usize = 10_000;
const PAGE_BYTES: usize = 1_048_576;
/// What one call looks at before it answers with what it has.
const LOOKED_AT_MAX: usize = 100_000;
const LOOKED_AT_BYTES_MAX: usize = 32 * 1_048_576;
/// Events held of all streams together, about.
const HELD: usize = 4_096;
const HELD_BYTES: usize = 16 * 1_048_576;

/// The order of a merge: time, then stream, then arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub time_ms: i64,
    pub stream: u64,
    pub upload: u64,
    pub index: u32,
}

impl Rank {
    pub fn new(stream: u64, place: Place) -> Rank {
        let Place { time_ms, upload, index } = place;
        Rank { time_ms, stream, upload, index }
    }

    fn place(self) -> Place {
        let Rank { time_ms, upload, index, .. } = self;
        Place { time_ms, upload, index }
    }

    fn to_token(self) -> String {
        token::texts('e', &[&token::event_id(self.place(), self.stream)])
    }

    fn parse(text: &str) -> Result<Rank> {
        let [id] = token::parse_texts::<1>('e', text)?;
        let (place, stream) = token::parse_event_id(&id).ok_or_else(errors::bad_token)?;
        Ok(Rank::new(stream, place))
    }
}

/// Which events a merge goes through.
pub struct Span {
    pub group: u64,
    pub from_ms: i64,
    /// Included.
    pub to_ms: i64,
    pub backward: bool,
    /// Goes on behind this event.
    pub after: Option<Rank>,
}

/// One stream in a merge.
struct Lane {
    source: Source,
    held: VecDeque<(Place, EventRecord)>,
    /// All that there is has been read.
    exhausted: bool,
    last: Option<Place>,
}

/// The events of several streams in one order.
pub struct Merge<'a> {
    ctx: &'a Ctx,
    span: Span,
    lanes: Vec<Lane>,
    forward: BinaryHeap<Reverse<(Rank, usize)>>,
    backward: BinaryHeap<(Rank, usize)>,
    /// Events and bytes read at a time of one stream.
    step: (usize, usize),
}

/// An event and the stream it is of.
pub struct Found {
    pub rank: Rank,
    pub event: EventRecord,
    lane: usize,
}

impl<'a> Merge<'a> {
    pub async fn new(ctx: &'a Ctx, span: Span, sources: Vec<Source>) -> Result<Merge<'a>> {
        let count = sources.len().max(1);
        let step = ((HELD / count).clamp(4, 1024), (HELD_BYTES / count).max(16 * 1024));
        let lane = |source| Lane { source, held: VecDeque::new(), exhausted: false, last: None };
        let lanes: Vec<Lane> = sources.into_iter().map(lane).collect();
        let (forward, backward) = (BinaryHeap::new(), BinaryHeap::new());
        let mut merge = Merge { ctx, span, lanes, forward, backward, step };
        for lane in 0..merge.lanes.len() {
            merge.queue(lane).await?;
        }
        Ok(merge)
    }

    /// The name of the stream that an event is of.
    pub fn stream_of(&self, found: &Found) -> &str {
        &self.lanes[found.lane].source.name
    }

    pub async fn next(&mut self) -> Result<Option<Found>> {
        let next = if self.span.backward {
            self.backward.pop()
        } else {
            self.forward.pop().map(|Reverse(next)| next)
        };
        let Some((rank, lane)) = next else { return Ok(None) };
        let Some((_, event)) = self.lanes[lane].held.pop_front() else { return Ok(None) };
        self.queue(lane).await?;
        Ok(Some(Found { rank, event, lane }))
    }

    /// Lets the lane's next event take part.
    async fn queue(&mut self, lane: usize) -> Result<()> {
        if self.lanes[lane].held.is_empty() && !self.lanes[lane].exhausted {
            self.fill(lane).await?;
        }
        let Lane { source, held, .. } = &self.lanes[lane];
        if let Some((place, _)) = held.front() {
            let rank = Rank::new(source.number, *place);
            if self.span.backward {
                self.backward.push((rank, lane));
            } else {
                self.forward.push(Reverse((rank, lane)));
            }
        }
        Ok(())
    }

    async fn fill(&mut self, index: usize) -> Result<()> {
        let Span { group, from_ms, to_ms, backward, after } = self.span;
        let lane = &mut self.lanes[index];
        let stream = lane.source.number;
        let key = |place: Place| place.key(group, stream);
        let behind = Place::first_at(to_ms.saturating_add(1));
        let mut list = EVENTS
            .list(self.ctx.scope(), (group, stream))
            .from(&key(Place::first_at(from_ms)))
            .before(&key(behind))
            .reverse(backward)
            .limit(self.step.0)
            .bytes_max(self.step.1);
        if let Some(after) = after {
            let Rank { time_ms, .. } = after;
            // The streams whose turn at that time was before are past it, the others before it.
            list = match (stream.cmp(&after.stream), backward) {
                (std::cmp::Ordering::Equal, false) => list.after(&key(after.place())),
                (std::cmp::Ordering::Equal, true) => list.before(&key(after.place())),
                (std::cmp::Ordering::Less, false) => list.from(&key(Place::first_at(time_ms + 1))),
                (std::cmp::Ordering::Less, true) => list.before(&key(Place::first_at(time_ms + 1))),
                (std::cmp::Ordering::Greater, false) => list.from(&key(Place::first_at(time_ms))),
                (std::cmp::Ordering::Greater, true) => list.before(&key(Place::first_at(time_ms))),
            };
        }
        if let Some(last) = lane.last {
            list = if backward { list.before(&key(last)) } else { list.after(&key(last)) };
        }
        let events = list.read(self.ctx.store()).await?;
        lane.exhausted = events.is_empty();
        lane.held.extend(events.into_iter().map(|(key, event)| (Place::of(&key), event)));
        lane.last = lane.held.back().map(|(place, _)| *place).or(lane.last);
        Ok(())
    }
}

pub async fn filter(
    ctx: Ctx,
    input: api::FilterLogEventsInput,
) -> Result<api::FilterLogEventsOutput> {
    let (name, identifier) = (input.log_group_name.as_ref(), input.log_group_identifier.as_ref());
    let group = group::identified(&ctx, name, identifier).await?;
    let text = input.filter_pattern.as_deref().unwrap_or_default();
    let pattern = Pattern::parse(text).map_err(|_| errors::bad_pattern())?;
    let span = Span {
        group: group.number,
        from_ms: input.start_time.unwrap_or(0).max(group.keeps_from_ms(&ctx)),
        to_ms: input.end_time.unwrap_or(i64::MAX - 1),
        backward: input.start_from_head == Some(false),
        after: input.next_token.as_deref().map(Rank::parse).transpose()?,
    };
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let sources = sources(&ctx, &group, &input, &span).await?;
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
    span: &Span,
) -> Result<Vec<Source>> {
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(_), Some(_)) => Err(errors::invalid(
            "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.",
        )),
        (Some(names), None) => {
            let mut sources = Vec::new();
            for name in names {
                let stream = stream::load(ctx, group, name).await?;
                sources.push(Source { name: stream.name, number: stream.number });
            }
            sources.sort_by_key(|source| source.number);
            sources.dedup_by_key(|source| source.number);
            Ok(sources)
        }
        (None, prefix) => {
            let prefix = prefix.as_deref().unwrap_or_default();
            stream::with_events(ctx, group, prefix, span.from_ms, span.to_ms).await
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
                log_stream_name: Some(merge.stream_of(&found).to_owned()),
                timestamp: Some(found.rank.time_ms),
                message: Some(found.event.message),
                ingestion_time: Some(found.event.ingested_ms),
                event_id: Some(token::event_id(found.rank.place(), found.rank.stream)),
            });
        }
    }
    Ok((events, None))
}
