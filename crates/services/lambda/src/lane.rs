//! One lane of one shard: reads records, keeps those that are its own and that the filters want, gathers batches of
//! them, hands them over, and remembers how far it came.
//!
//! Invariants: a lane sees the records of its items in order; its checkpoint never passes a record that is not done.

use std::collections::VecDeque;
use std::time::Duration;

use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Error, Result};
use sereno_pattern::Pattern;
use sereno_store::{Batch, Check, Key, Version};

use crate::event_state::{CHECKPOINTS, CheckpointRecord, MAPPINGS, MappingRecord};
use crate::poller;
use crate::source::{Start, Stream, StreamRecord};

/// What a synchronous invocation takes, less the frame around the records.
const BATCH_BYTES_MAX: usize = 6 * 1024 * 1024 - 4096;
/// So many records that concern nobody move the checkpoint, too.
const SKIPPED_MAX: usize = 1000;
/// A role's session is renewed well before it ends.
const ROLE_AGE_MAX: Duration = Duration::from_secs(900);

pub struct Lane<'a> {
    pub ctx: &'a Ctx,
    pub mapping: &'a MappingRecord,
    pub source: &'a dyn Stream,
    pub shard: &'a str,
    patterns: &'a [Pattern],
    number: u32,
    role: (Ctx, Timestamp),
    pub checkpoint: CheckpointRecord,
    version: Option<Version>,
    iterator: Option<String>,
    /// The last record that was read, and those that were read and not looked at.
    read_through: String,
    ahead: VecDeque<StreamRecord>,
    has_ended: bool,
    /// The last record that was looked at and found to concern nobody, and how many there were.
    skipped: (String, usize),
}

/// What to do next.
enum Next {
    Batch(Vec<StreamRecord>),
    /// The open tumbling window is over.
    WindowEnd,
    /// The mapping is not what it was.
    Stop,
}

/// Why gathering stopped before the source was empty.
#[derive(PartialEq)]
enum Drained {
    Full,
    WindowOver,
    Empty,
}

impl<'a> Lane<'a> {
    pub async fn open(
        ctx: &'a Ctx,
        mapping: &'a MappingRecord,
        source: &'a dyn Stream,
        patterns: &'a [Pattern],
        shard: &'a str,
        number: u32,
    ) -> Result<Lane<'a>> {
        let key = (mapping.uuid.as_str(), shard, number);
        let found = CHECKPOINTS.get_versioned(ctx.store(), ctx.scope(), &key).await?;
        let version = found.as_ref().map(|(version, _)| *version);
        Ok(Lane {
            ctx,
            mapping,
            source,
            shard,
            patterns,
            number,
            role: (poller::as_role(ctx, mapping).await?, ctx.now()),
            read_through: found.as_ref().map(|(_, c)| c.after.clone()).unwrap_or_default(),
            checkpoint: found.map(|(_, checkpoint)| checkpoint).unwrap_or_default(),
            version,
            iterator: None,
            ahead: VecDeque::new(),
            has_ended: false,
            skipped: (String::new(), 0),
        })
    }

    /// Until the mapping changes.
    pub async fn run(mut self) -> Result<()> {
        loop {
            let goes_on = match self.gather().await? {
                Next::Batch(records) => self.process(records).await?,
                Next::WindowEnd => self.end_window().await?,
                Next::Stop => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn gather(&mut self) -> Result<Next> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut deadline = None;
        loop {
            // First watched, then read: nothing can come in between unseen.
            let news = self.ctx.store().watch(&self.news().await?);
            if self.is_stale().await? {
                return Ok(Next::Stop);
            }
            let drained = self.drain(&mut batch, &mut bytes).await?;
            if batch.is_empty() && drained == Drained::WindowOver {
                return Ok(Next::WindowEnd);
            }
            let now = self.ctx.now();
            if !batch.is_empty() {
                let window = Duration::from_secs(u64::from(self.mapping.window_s));
                let until = *deadline.get_or_insert(now.plus(window));
                if drained != Drained::Empty || now >= until {
                    return Ok(Next::Batch(batch));
                }
            }
            let window_end = self.window_end();
            let over = window_end.is_some_and(|end| now >= end) || self.is_window_full();
            if over {
                let ended = if batch.is_empty() { Next::WindowEnd } else { Next::Batch(batch) };
                return Ok(ended);
            }
            if self.skipped.1 > SKIPPED_MAX && batch.is_empty() {
                let seen = std::mem::take(&mut self.skipped.0);
                self.move_to(seen).await?;
            }
            let wake = deadline.into_iter().chain(window_end).min();
            tokio::select! {
                () = news => {}
                () = self.sleep(wake) => {}
            }
        }
    }

    async fn sleep(&self, until: Option<Timestamp>) {
        match until {
            Some(until) => self.ctx.cloud().clock().sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    async fn news(&mut self) -> Result<Vec<Key>> {
        let mut keys = vec![self.mapping_key()];
        if !self.has_ended {
            let (service, arn) = (self.source.service(), &self.mapping.source_arn);
            keys.extend(self.role().await?.news(service, arn).await?);
        }
        Ok(keys)
    }

    pub fn mapping_key(&self) -> Key {
        MAPPINGS.key(self.ctx.scope(), self.mapping.uuid.as_str())
    }

    pub async fn is_stale(&self) -> Result<bool> {
        let uuid = self.mapping.uuid.as_str();
        let now = MAPPINGS.get(self.ctx.store(), self.ctx.scope(), uuid).await?;
        Ok(now.is_none_or(|now| now.revision != self.mapping.revision))
    }

    /// Takes what there is, as far as it belongs into this batch.
    async fn drain(&mut self, batch: &mut Vec<StreamRecord>, bytes: &mut usize) -> Result<Drained> {
        loop {
            if self.ahead.is_empty() && !self.read_on().await? {
                return Ok(Drained::Empty);
            }
            while let Some(record) = self.ahead.front() {
                if !self.wants(record) {
                    if let Some(record) = self.ahead.pop_front() {
                        self.skipped = (record.sequence_number, self.skipped.1 + 1);
                    }
                    continue;
                }
                if self.window_end().is_some_and(|end| record.created >= end) {
                    return Ok(Drained::WindowOver);
                }
                let size = record.event.to_string().len() + 1;
                if *bytes + size > BATCH_BYTES_MAX && !batch.is_empty() {
                    return Ok(Drained::Full);
                }
                *bytes += size;
                self.open_window(record.created);
                batch.extend(self.ahead.pop_front());
                self.skipped = (String::new(), 0);
                if batch.len() >= self.mapping.batch_size as usize {
                    return Ok(Drained::Full);
                }
            }
        }
    }

    fn wants(&self, record: &StreamRecord) -> bool {
        let lanes = u64::from(self.mapping.lanes.max(1));
        let is_ours = record.key_hash % lanes == u64::from(self.number);
        let patterns = &self.patterns;
        is_ours && (patterns.is_empty() || patterns.iter().any(|p| p.matches(&record.event)))
    }

    /// Reads the next page. `false`: there is nothing.
    async fn read_on(&mut self) -> Result<bool> {
        if self.has_ended {
            return Ok(false);
        }
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator_anew().await?,
        };
        let arn = self.mapping.source_arn.as_str();
        let role = self.role().await?;
        let read = self.source.read(&role, arn, &iterator, SKIPPED_MAX).await;
        let page = match read {
            // Fifteen minutes without news: a new one leads to the same place.
            Err(error) if error.code() == "ExpiredIteratorException" => {
                let iterator = self.iterator_anew().await?;
                self.source.read(&role, arn, &iterator, SKIPPED_MAX).await?
            }
            read => read?,
        };
        self.has_ended = page.next.is_none();
        self.iterator = page.next;
        if let Some(last) = page.records.last() {
            self.read_through.clone_from(&last.sequence_number);
        }
        self.ahead.extend(page.records);
        Ok(!self.ahead.is_empty())
    }

    async fn iterator_anew(&mut self) -> Result<String> {
        let start = if !self.read_through.is_empty() {
            Start::After(self.read_through.clone())
        } else if self.mapping.starting_position == "LATEST" {
            Start::At(Timestamp::from_millis(self.mapping.created_ms))
        } else {
            Start::Horizon
        };
        let role = self.role().await?;
        self.source.iterator(&role, &self.mapping.source_arn, self.shard, &start).await
    }

    pub async fn role(&mut self) -> Result<Ctx> {
        let now = self.ctx.now();
        if now.since(self.role.1) > ROLE_AGE_MAX {
            self.role = (poller::as_role(self.ctx, self.mapping).await?, now);
        }
        Ok(self.role.0.clone())
    }

    /// Everything up to this record is done.
    pub async fn move_to(&mut self, sequence_number: String) -> Result<()> {
        self.checkpoint.after = sequence_number;
        self.skipped.1 = 0;
        self.save().await
    }

    /// Only from where this lane last saw it: whoever has taken over since is not disturbed.
    pub async fn save(&mut self) -> Result<()> {
        let key = (self.mapping.uuid.as_str(), self.shard, self.number);
        let mut batch = Batch::new();
        let check = self.version.map_or(Check::Absent, Check::At);
        CHECKPOINTS.check(&mut batch, self.ctx.scope(), &key, check);
        CHECKPOINTS.put(&mut batch, self.ctx.scope(), &key, &self.checkpoint);
        let saved = self.ctx.store().commit(batch).await.map_err(Error::from)?;
        self.version = Some(saved);
        Ok(())
    }
}
