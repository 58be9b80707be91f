//! DynamoDB Streams: ListStreams, DescribeStream, GetShardIterator, GetRecords.
//!
//! A stream has one shard. Its records lie in the order of the commits that made them, and a
//! sequence number is the place of a record in that order, so a reader that goes on from the last
//! one it saw misses nothing, sees nothing twice and nothing out of order.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html

use sereno_api_dynamodbstreams as api;
use sereno_base::{Arn, Timestamp};
use sereno_ddbexpr::encode::decode_item;
use sereno_kernel::{Access, Ctx, Error, Result, Service};
use sereno_store::Key;
use sereno_store::key::Position;

use crate::errors;
use crate::state::{ChangeRecord, STREAM_RECORDS, STREAMS, StreamEntry, ViewType};
use crate::stream_convert;

const DAY_MS: i64 = 24 * 3600 * 1000;
const ITERATOR_LIFE_MS: i64 = 15 * 60 * 1000;
const RECORDS_MAX: usize = 1000;
const PAGE_BYTES: usize = 1024 * 1024;
const STREAMS_PAGE_MAX: usize = 100;

pub fn service() -> Service {
    Service::new(&api::SERVICE)
        .on::<api::ListStreams>(|_, _| Access::new("dynamodb:ListStreams", "*"), list)
        .on::<api::DescribeStream>(
            |_, input| Access::new("dynamodb:DescribeStream", &*input.stream_arn),
            describe,
        )
        .on::<api::GetShardIterator>(
            |_, input| Access::new("dynamodb:GetShardIterator", &*input.stream_arn),
            get_iterator,
        )
        .on::<api::GetRecords>(
            |_, input| Access::new("dynamodb:GetRecords", iterator_arn(&input.shard_iterator)),
            get_records,
        )
        .news(news)
}

/// New records, and the end of the stream.
async fn news(ctx: Ctx, arn: String) -> Result<Vec<Key>> {
    let Found { ctx, entry, .. } = find(&ctx, &arn).await?;
    Ok(vec![
        STREAM_RECORDS.partition_key(ctx.scope(), &(entry.number, 0u32)),
        STREAMS.key(ctx.scope(), &(entry.table, entry.label)),
    ])
}

/// The stream that an ARN names.
struct Found {
    arn: String,
    entry: StreamEntry,
    ctx: Ctx,
}

async fn find(ctx: &Ctx, arn: &str) -> Result<Found> {
    let lost = || {
        errors::resource_not_found(format!("Requested resource not found: Stream: {arn} not found"))
    };
    let bad = || {
        errors::validation(format!(
            "Invalid StreamArn: Invalid ResourceArn provided as input {arn}"
        ))
    };
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "dynamodb").ok_or_else(bad)?;
    let rest = parsed.resource.strip_prefix("table/").ok_or_else(bad)?;
    let (table, label) = rest.split_once("/stream/").ok_or_else(bad)?;
    let (account, region) = parsed.account_id().zip(parsed.region()).ok_or_else(bad)?;
    if region != ctx.region() {
        return Err(lost());
    }
    let ctx = ctx.in_account(account);
    let entry = STREAMS.get(ctx.store(), ctx.scope(), &(table, label)).await?.ok_or_else(lost)?;
    let over = !entry.enabled && entry.ended_ms < ctx.now().millis() - DAY_MS;
    if over {
        return Err(lost());
    }
    Ok(Found { arn: arn.to_owned(), entry, ctx })
}

fn arn_of(ctx: &Ctx, entry: &StreamEntry) -> String {
    ctx.arn("dynamodb", &format!("table/{}/stream/{}", entry.table, entry.label))
}

async fn list(ctx: Ctx, input: api::ListStreamsInput) -> Result<api::ListStreamsOutput> {
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(STREAMS_PAGE_MAX).min(STREAMS_PAGE_MAX);
    let mut listing = STREAMS.list(ctx.scope(), ());
    if let Some(after) = &input.exclusive_start_stream_arn {
        let rest = after.split_once(":table/").map_or("", |(_, rest)| rest);
        let (table, label) = rest.split_once("/stream/").ok_or_else(|| {
            errors::validation(format!("Invalid ExclusiveStartStreamArn: {after}"))
        })?;
        listing = listing.after(&(table, label));
    }
    let horizon = ctx.now().millis() - DAY_MS;
    let all = listing.read(ctx.store()).await?;
    let mut streams: Vec<StreamEntry> = all
        .into_iter()
        .map(|(_, entry)| entry)
        .filter(|entry| entry.enabled || entry.ended_ms >= horizon)
        .filter(|entry| input.table_name.as_ref().is_none_or(|name| *name == entry.table))
        .collect();
    let more = streams.len() > limit;
    streams.truncate(limit);
    let last = streams.last().filter(|_| more).map(|entry| arn_of(&ctx, entry));
    let streams = streams
        .iter()
        .map(|entry| api::Stream {
            stream_arn: Some(arn_of(&ctx, entry)),
            table_name: Some(entry.table.clone()),
            stream_label: Some(entry.label.clone()),
        })
        .collect();
    Ok(api::ListStreamsOutput { streams: Some(streams), last_evaluated_stream_arn: last })
}

/// `shardId-` and 20 digits of its birth, and 8 of its number.
fn shard_id(entry: &StreamEntry) -> String {
    format!("shardId-{:020}-{:08x}", entry.created_ms, entry.number as u32)
}

/// At least 21 digits, in the order of the records. 0 stands before all records.
fn sequence(position: Position) -> String {
    let number = u128::from(position.version) << 16 | u128::from(position.index);
    format!("1{number:024}")
}

fn position(sequence: &str) -> Option<Position> {
    let number: u128 = sequence.strip_prefix('1')?.parse().ok()?;
    let version = u64::try_from(number >> 16).ok()?;
    Some(Position { version, index: number as u16 })
}

async fn describe(ctx: Ctx, input: api::DescribeStreamInput) -> Result<api::DescribeStreamOutput> {
    let found = find(&ctx, &input.stream_arn).await?;
    let entry = &found.entry;
    check_filter(input.shard_filter.as_ref())?;
    let children_only = input
        .shard_filter
        .as_ref()
        .is_some_and(|filter| filter.r#type == Some(api::ShardFilterType::ChildShards));
    // One shard without children: nothing comes behind it.
    let skip = children_only || input.exclusive_start_shard_id.is_some();
    let ending = if entry.enabled {
        None
    } else {
        Some(sequence(last_position(&found).await?.unwrap_or_default()))
    };
    let shard = api::Shard {
        shard_id: Some(shard_id(entry)),
        sequence_number_range: Some(api::SequenceNumberRange {
            starting_sequence_number: Some(sequence(Position::default())),
            ending_sequence_number: ending,
        }),
        parent_shard_id: None,
    };
    let key = |name: &String, key_type: api::KeyType| api::KeySchemaElement {
        attribute_name: name.clone(),
        key_type,
    };
    let mut key_schema = vec![key(&entry.hash, api::KeyType::Hash)];
    key_schema.extend(entry.range.iter().map(|name| key(name, api::KeyType::Range)));
    let status =
        if entry.enabled { api::StreamStatus::Enabled } else { api::StreamStatus::Disabled };
    Ok(api::DescribeStreamOutput {
        stream_description: Some(api::StreamDescription {
            stream_arn: Some(found.arn.clone()),
            stream_label: Some(entry.label.clone()),
            stream_status: Some(status),
            stream_view_type: Some(view(entry.view)),
            creation_request_date_time: Some(Timestamp::from_millis(entry.created_ms)),
            table_name: Some(entry.table.clone()),
            key_schema: Some(key_schema),
            shards: Some(if skip { Vec::new() } else { vec![shard] }),
            last_evaluated_shard_id: None,
        }),
    })
}

fn check_filter(filter: Option<&api::ShardFilter>) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let missing = [
        (filter.r#type.is_none(), "shardFilter.type"),
        (filter.shard_id.is_none(), "shardFilter.shardId"),
    ];
    match missing.into_iter().find(|(missing, _)| *missing) {
        Some((_, path)) => Err(errors::constraint(None, path, "Member must not be null")),
        None => Ok(()),
    }
}

fn view(view: ViewType) -> api::StreamViewType {
    match view {
        ViewType::NewAndOldImages => api::StreamViewType::NewAndOldImages,
        ViewType::NewImage => api::StreamViewType::NewImage,
        ViewType::OldImage => api::StreamViewType::OldImage,
        ViewType::KeysOnly => api::StreamViewType::KeysOnly,
    }
}

async fn last_position(found: &Found) -> Result<Option<Position>> {
    let listing = STREAM_RECORDS.list(found.ctx.scope(), (found.entry.number, 0u32));
    let last = listing.reverse(true).limit(1).read(found.ctx.store()).await?;
    Ok(last.into_iter().next().map(|((_, _, position), _)| position))
}

/// Where a reader stands: behind `after`. Shown to clients as
/// `{stream ARN}|{version of this form}|{issued}-{sequence number}`.
struct Iterator {
    arn: String,
    after: Position,
    issued_ms: i64,
}

impl Iterator {
    fn text(&self) -> String {
        format!("{}|1|{}-{}", self.arn, self.issued_ms, sequence(self.after))
    }

    fn parse(text: &str) -> Result<Iterator> {
        let bad = || errors::validation("Invalid ShardIterator");
        let mut parts = text.split('|');
        let (arn, form, rest) =
            (parts.next().ok_or_else(bad)?, parts.next(), parts.next().ok_or_else(bad)?);
        let (issued, at) = rest.split_once('-').filter(|_| form == Some("1")).ok_or_else(bad)?;
        Ok(Iterator {
            arn: arn.to_owned(),
            after: position(at).ok_or_else(bad)?,
            issued_ms: issued.parse().map_err(|_| bad())?,
        })
    }
}

fn iterator_arn(text: &str) -> String {
    text.split('|').next().unwrap_or("*").to_owned()
}

/// The place just before a record.
fn before(position: Position) -> Position {
    match position.index.checked_sub(1) {
        Some(index) => Position { index, ..position },
        None => Position { version: position.version.saturating_sub(1), index: u16::MAX },
    }
}

async fn get_iterator(
    ctx: Ctx,
    input: api::GetShardIteratorInput,
) -> Result<api::GetShardIteratorOutput> {
    let found = find(&ctx, &input.stream_arn).await?;
    if input.shard_id != shard_id(&found.entry) {
        return Err(errors::resource_not_found(format!(
            "Requested resource not found: Shard does not exist: {}",
            input.shard_id
        )));
    }
    let named_in_vain = matches!(
        input.shard_iterator_type,
        api::ShardIteratorType::TrimHorizon | api::ShardIteratorType::Latest
    );
    if named_in_vain && input.sequence_number.is_some() {
        return Err(errors::validation(format!(
            "The SequenceNumber parameter must not be given when ShardIteratorType is {}",
            input.shard_iterator_type.as_str()
        )));
    }
    let named = || {
        let text = input.sequence_number.as_deref().ok_or_else(|| {
            errors::validation(format!(
                "The SequenceNumber parameter is required when ShardIteratorType is {}",
                input.shard_iterator_type.as_str()
            ))
        })?;
        position(text).ok_or_else(|| errors::validation("Invalid SequenceNumber"))
    };
    let after = match &input.shard_iterator_type {
        api::ShardIteratorType::TrimHorizon => Position::default(),
        api::ShardIteratorType::Latest => last_position(&found).await?.unwrap_or_default(),
        api::ShardIteratorType::AfterSequenceNumber => named()?,
        api::ShardIteratorType::AtSequenceNumber => before(named()?),
        api::ShardIteratorType::AtTimestamp => {
            let at = input.timestamp.ok_or_else(|| {
                errors::validation(
                    "The Timestamp parameter is required when ShardIteratorType is AT_TIMESTAMP",
                )
            })?;
            first_since(&found, at).await?
        }
        other => {
            return Err(errors::constraint(
                Some(other.as_str()),
                "shardIteratorType",
                "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, \
                 AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
            ));
        }
    };
    let iterator = Iterator { arn: found.arn, after, issued_ms: ctx.now().millis() };
    Ok(api::GetShardIteratorOutput { shard_iterator: Some(iterator.text()) })
}

/// The place just before the first record made at `at` or later.
async fn first_since(found: &Found, at: Timestamp) -> Result<Position> {
    let mut after = Position::default();
    loop {
        let page = page(found, after, RECORDS_MAX).await?;
        let Some(((_, _, last), _)) = page.last() else { return Ok(after) };
        let last = *last;
        let first = page.iter().find(|(_, record)| record.created_ms >= at.millis());
        if let Some(((_, _, position), _)) = first {
            return Ok(before(*position));
        }
        after = last;
    }
}

type Records = Vec<((u64, u32, Position), ChangeRecord)>;

async fn page(found: &Found, after: Position, limit: usize) -> Result<Records> {
    let number = found.entry.number;
    let listing = STREAM_RECORDS
        .list(found.ctx.scope(), (number, 0u32))
        .after(&(number, 0u32, after))
        .limit(limit)
        .bytes_max(PAGE_BYTES);
    Ok(listing.read(found.ctx.store()).await?)
}

async fn get_records(ctx: Ctx, input: api::GetRecordsInput) -> Result<api::GetRecordsOutput> {
    let iterator = Iterator::parse(&input.shard_iterator)?;
    let now_ms = ctx.now().millis();
    if iterator.issued_ms < now_ms - ITERATOR_LIFE_MS {
        return Err(Error::invalid(
            "ExpiredIteratorException",
            "The shard iterator has expired and can no longer be used to retrieve stream records",
        ));
    }
    let found = find(&ctx, &iterator.arn).await?;
    let limit = match input.limit.map(usize::try_from) {
        None => RECORDS_MAX,
        Some(Ok(limit)) if limit <= RECORDS_MAX => limit,
        Some(_) => {
            return Err(errors::constraint(
                input.limit.map(|limit| limit.to_string()).as_deref(),
                "limit",
                "Member must have value less than or equal to 1000",
            ));
        }
    };
    let mut after = iterator.after;
    let mut records = Vec::new();
    let page = page(&found, after, limit).await?;
    let drained = page.is_empty();
    for ((_, _, position), record) in page {
        after = position;
        // A day old: forgotten, even if it is not yet removed.
        if record.created_ms >= now_ms - DAY_MS {
            records.push(shown(&found, position, &record)?);
        }
    }
    // A closed shard that was read to its end has no next iterator.
    let more = found.entry.enabled || !drained;
    let next = Iterator { arn: found.arn.clone(), after, issued_ms: now_ms };
    Ok(api::GetRecordsOutput {
        records: Some(records),
        next_shard_iterator: more.then(|| next.text()),
    })
}

fn shown(found: &Found, position: Position, record: &ChangeRecord) -> Result<api::Record> {
    let image = |bytes: &bytes::Bytes| {
        decode_item(bytes).map(stream_convert::item_out).map_err(errors::corrupt)
    };
    let created = Timestamp::from_secs(record.created_ms / 1000);
    let number = sequence(position);
    Ok(api::Record {
        event_id: Some(stream_convert::event_id(found.entry.number, &number)),
        event_name: Some(record.event.as_str().into()),
        event_version: Some("1.1".to_owned()),
        event_source: Some("aws:dynamodb".to_owned()),
        aws_region: Some(found.ctx.region().as_str().to_owned()),
        dynamodb: Some(api::StreamRecord {
            approximate_creation_date_time: Some(created),
            keys: Some(image(&record.keys)?),
            new_image: record.new_image.as_ref().map(image).transpose()?,
            old_image: record.old_image.as_ref().map(image).transpose()?,
            sequence_number: Some(number),
            size_bytes: i64::try_from(record.size_bytes).ok(),
            stream_view_type: Some(view(found.entry.view)),
        }),
        user_identity: record.by_service.then(|| api::Identity {
            principal_id: Some("dynamodb.amazonaws.com".to_owned()),
            r#type: Some("Service".to_owned()),
        }),
    })
}
