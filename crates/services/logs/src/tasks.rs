//! Work without a caller: removing what deleted groups and streams leave, and forgetting old events.

use std::time::Duration;

use sereno_base::Region;
use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind, task};
use sereno_store::{Batch, Record, Scope, Write, record};

use crate::rules;
use crate::state::{BYTES, EVENTS, FILTERS, GROUPS, GroupRecord, Place, RECENT, RETAINED, STREAMS};
use crate::stream;

const PURGE: &str = "logs.purge";
const RETAIN: &str = "logs.retain";
/// Old events are out of sight at once; their room is freed later.
const RETAIN_EVERY: Duration = Duration::from_hours(1);
const PIECE: usize = 1000;
const PIECE_BYTES: usize = 4 * 1_048_576;
const PAGE: usize = 200;

record! {
    /// A stream, or a whole group.
    struct PurgeWork {
        1 => group: u64,
        2 => stream: Option<u64>,
    }
}

/// Leaves the removal of a deleted group's data to be done.
pub fn purge_group(ctx: &Ctx, write: &mut dyn Write, group: u64) {
    let work = PurgeWork { group, stream: None };
    task::schedule(ctx, write, PURGE, ctx.now(), work.to_bytes());
}

/// Leaves the removal of a deleted stream's events to be done.
pub fn purge_stream(ctx: &Ctx, write: &mut dyn Write, group: u64, stream: u64) {
    let work = PurgeWork { group, stream: Some(stream) };
    task::schedule(ctx, write, PURGE, ctx.now(), work.to_bytes());
}

pub fn purge_task() -> TaskKind {
    TaskKind::new(PURGE, |ctx: Ctx, task: Task| async move {
        let PurgeWork { group, stream } = PurgeWork::decode(&task.payload)?;
        match stream {
            Some(stream) => forget(&ctx, group, stream, i64::MAX).await?,
            None => purge_all(&ctx, group).await?,
        }
        Ok(Outcome::Done)
    })
}

async fn purge_all(ctx: &Ctx, group: u64) -> Result<()> {
    loop {
        let streams = STREAMS.list(ctx.scope(), (group,)).limit(PAGE).read(ctx.store()).await?;
        if streams.is_empty() {
            break;
        }
        let mut batch = Batch::new();
        for (key, stream) in &streams {
            forget(ctx, group, stream.number, i64::MAX).await?;
            STREAMS.delete(&mut batch, ctx.scope(), key);
            RECENT.delete(&mut batch, ctx.scope(), &stream::recent_key(group, stream));
        }
        ctx.store().commit(batch).await?;
    }
    let mut batch = Batch::new();
    for (key, _) in FILTERS.list(ctx.scope(), (group,)).read(ctx.store()).await? {
        FILTERS.delete(&mut batch, ctx.scope(), &key);
    }
    BYTES.delete(&mut batch, ctx.scope(), &group);
    ctx.store().commit(batch).await?;
    Ok(())
}

/// Removes a stream's events from before a time, piece by piece.
async fn forget(ctx: &Ctx, group: u64, stream: u64, before_ms: i64) -> Result<()> {
    loop {
        let piece = EVENTS
            .list(ctx.scope(), (group, stream))
            .before(&Place::first_at(before_ms).key(group, stream))
            .limit(PIECE)
            .bytes_max(PIECE_BYTES)
            .read(ctx.store())
            .await?;
        if piece.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        let mut bytes = 0;
        for (key, event) in &piece {
            bytes += rules::event_bytes(&event.message);
            EVENTS.delete(&mut batch, ctx.scope(), key);
        }
        BYTES.add(&mut batch, ctx.scope(), &group, -i64::try_from(bytes).unwrap_or(0));
        ctx.store().commit(batch).await?;
    }
}

/// Frees the room of events that their groups no longer keep.
pub fn retain_task() -> TaskKind {
    TaskKind::new(RETAIN, |ctx: Ctx, _: Task| async move {
        let mut after = None;
        loop {
            let mut list = RETAINED.list(Scope::GLOBAL, ()).limit(PAGE);
            if let Some(after) = &after {
                list = list.after(after);
            }
            let page = list.read(ctx.store()).await?;
            let Some((last, ())) = page.last() else { return Ok(Outcome::Done) };
            after = Some(last.clone());
            for ((account, region, name), ()) in &page {
                let Some(region) = Region::parse(region) else { continue };
                let ctx = ctx.in_account(*account).in_region(region);
                if let Some(group) = GROUPS.get(ctx.store(), ctx.scope(), name.as_str()).await? {
                    retain(&ctx, &group).await?;
                }
            }
        }
    })
    .every(RETAIN_EVERY)
}

async fn retain(ctx: &Ctx, group: &GroupRecord) -> Result<()> {
    let before_ms = group.keeps_from_ms(ctx);
    let mut after: Option<(u64, String)> = None;
    loop {
        let mut list = STREAMS.list(ctx.scope(), (group.number,)).limit(PAGE);
        if let Some(after) = &after {
            list = list.after(after);
        }
        let page = list.read(ctx.store()).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (_, stream) in &page {
            if stream.first_event_ms.is_some_and(|first| first < before_ms) {
                forget(ctx, group.number, stream.number, before_ms).await?;
            }
        }
    }
}
