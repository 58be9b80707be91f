//! Many streams as one, in the order of time.
//!
//! Each stream is read a few events at a time, so that what is held does not grow with the groups.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use sereno_kernel::{Ctx, Result};

use crate::state::{EVENTS, EventRecord, Place};
use crate::{errors, token};

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

    pub fn place(self) -> Place {
        let Rank { time_ms, upload, index, .. } = self;
        Place { time_ms, upload, index }
    }

    pub fn to_token(self) -> String {
        token::texts('e', &[&token::event_id(self.place(), self.stream)])
    }

    pub fn parse(text: &str) -> Result<Rank> {
        let [id] = token::parse_texts::<1>('e', text)?;
        let (place, stream) = token::parse_event_id(&id).ok_or_else(errors::bad_token)?;
        Ok(Rank::new(stream, place))
    }
}

/// A stream that is to be read.
pub struct Source {
    pub group: u64,
    pub stream: u64,
    pub name: String,
    /// The first event that its group still keeps, or that is asked for.
    pub from_ms: i64,
}

/// Which events of its sources a merge goes through.
pub struct Span {
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

impl Found {
    /// An event that was found by its place.
    pub fn new(rank: Rank, event: EventRecord) -> Found {
        Found { rank, event, lane: 0 }
    }
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

    /// The stream that an event is of.
    pub fn source(&self, found: &Found) -> &Source {
        &self.lanes[found.lane].source
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
            let rank = Rank::new(source.stream, *place);
            if self.span.backward {
                self.backward.push((rank, lane));
            } else {
                self.forward.push(Reverse((rank, lane)));
            }
        }
        Ok(())
    }

    async fn fill(&mut self, index: usize) -> Result<()> {
        let Span { to_ms, backward, after } = self.span;
        let lane = &mut self.lanes[index];
        let Source { group, stream, from_ms, .. } = lane.source;
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
                (Ordering::Equal, false) => list.after(&key(after.place())),
                (Ordering::Equal, true) => list.before(&key(after.place())),
                (Ordering::Less, false) => list.from(&key(Place::first_at(time_ms + 1))),
                (Ordering::Less, true) => list.before(&key(Place::first_at(time_ms + 1))),
                (Ordering::Greater, false) => list.from(&key(Place::first_at(time_ms))),
                (Ordering::Greater, true) => list.before(&key(Place::first_at(time_ms))),
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
