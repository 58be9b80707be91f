//! PutLogEvents: one commit holds a batch, its stream's new end, and what subscriptions are owed.

use std::ops::Range;

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::state::{
    BYTES, EVENTS, EventRecord, GROUPS, GroupRecord, Place, RECENT, STREAMS, StreamRecord,
};
use crate::{errors, rules, stream, subscription};

/// A batch that has been accepted, on its way into a stream.
pub struct Batch<'a> {
    pub group: &'a GroupRecord,
    pub stream: &'a StreamRecord,
    pub events: &'a [api::InputLogEvent],
    pub kept: Range<usize>,
}

impl<'a> Batch<'a> {
    /// The events with their places.
    pub fn placed(&self) -> impl Iterator<Item = (Place, &'a api::InputLogEvent)> {
        let upload = self.stream.uploads;
        self.events[self.kept.clone()]
            .iter()
            .zip(0..)
            .map(move |(event, index)| (Place { time_ms: event.timestamp, upload, index }, event))
    }
}

pub async fn put(ctx: Ctx, input: api::PutLogEventsInput) -> Result<api::PutLogEventsOutput> {
    let now_ms = ctx.now().millis();
    // Sequence tokens have meant nothing since 2023; AWS takes any.
    let (accepted, token, bytes) = transact!(ctx.store(), Error, |txn| {
        let found = GROUPS.get(txn, ctx.scope(), &*input.log_group_name).await?;
        let group = found.ok_or_else(errors::no_group)?;
        let key = (group.number, &*input.log_stream_name);
        let found = STREAMS.get(txn, ctx.scope(), &key).await?;
        let before = found.ok_or_else(errors::no_stream)?;
        let accepted = rules::accept(&input.log_events, now_ms, group.retention_days)?;
        let kept = &input.log_events[accepted.kept.clone()];
        let after = grown(&before, kept, now_ms);
        STREAMS.put(txn, ctx.scope(), &key, &after);
        let bytes = i64::try_from(rules::bytes(kept)).unwrap_or(i64::MAX);
        if !kept.is_empty() {
            RECENT.delete(txn, ctx.scope(), &stream::recent_key(group.number, &before));
            let recent = stream::recent(&after);
            RECENT.put(txn, ctx.scope(), &stream::recent_key(group.number, &after), &recent);
            BYTES.add(txn, ctx.scope(), &group.number, bytes);
            let (events, kept) = (&*input.log_events, accepted.kept.clone());
            let batch = Batch { group: &group, stream: &after, events, kept };
            write(&ctx, txn, &batch, now_ms);
            subscription::owe(&ctx, txn, &batch).await?;
        }
        (accepted, stream::upload_token(after.uploads), bytes)
    })?;
    ctx.meter("logs", "IncomingBytes", bytes);
    let unsupported = |_| api::RejectedEntityInfo {
        error_type: api::EntityRejectionErrorType::UnsupportedLogGroupType,
    };
    Ok(api::PutLogEventsOutput {
        next_sequence_token: Some(token),
        rejected_log_events_info: accepted.rejected,
        rejected_entity_info: input.entity.map(unsupported),
    })
}

/// The stream with one more upload.
fn grown(stream: &StreamRecord, kept: &[api::InputLogEvent], now_ms: i64) -> StreamRecord {
    let mut stream = stream.clone();
    stream.uploads += 1;
    if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
        let (first, last) = (first.timestamp, last.timestamp);
        stream.first_event_ms = Some(stream.first_event_ms.map_or(first, |old| old.min(first)));
        stream.last_event_ms = Some(stream.last_event_ms.map_or(last, |old| old.max(last)));
        stream.last_ingestion_ms = Some(now_ms);
    }
    stream
}

fn write(ctx: &Ctx, txn: &mut Txn, batch: &Batch<'_>, now_ms: i64) {
    for (place, event) in batch.placed() {
        let key = place.key(batch.group.number, batch.stream.number);
        let record = EventRecord { message: event.message.clone(), ingested_ms: now_ms };
        EVENTS.put(txn, ctx.scope(), &key, &record);
    }
}
