//! What CloudWatch Logs takes: batches, retention, tags. Pure.
//! https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html

use std::collections::BTreeMap;
use std::ops::Range;

use sereno_api_logs as api;
use sereno_kernel::Result;

use crate::errors;

const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;
const BATCH_BYTES_MAX: usize = 1_048_576;
/// What each event counts beside its message.
const EVENT_BYTES: usize = 26;
const AGE_MAX_MS: i64 = 14 * DAY_MS;
const AHEAD_MAX_MS: i64 = 2 * HOUR_MS;
const TAGS_MAX: usize = 50;
const RETENTIONS: [i32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// What of a batch is kept, and what is not.
#[derive(Debug, PartialEq)]
pub struct Accepted {
    pub kept: Range<usize>,
    pub rejected: Option<api::RejectedLogEventsInfo>,
}

/// Judges a batch of events; each must be no older than the group keeps them.
pub fn accept(
    events: &[api::InputLogEvent],
    now_ms: i64,
    retention_days: Option<u32>,
) -> Result<Accepted> {
    let bytes = bytes(events);
    if bytes > BATCH_BYTES_MAX {
        return Err(errors::batch_too_large(bytes, BATCH_BYTES_MAX));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(errors::wrong_order());
    }
    if let [first, .., last] = events
        && last.timestamp - first.timestamp > DAY_MS
    {
        return Err(errors::batch_too_long());
    }
    let before = |time_ms: i64| events.partition_point(|event| event.timestamp < time_ms);
    let expired = retention_days.map_or(0, |days| before(now_ms - i64::from(days) * DAY_MS));
    let too_old = before(now_ms - AGE_MAX_MS);
    let too_new = events.partition_point(|event| event.timestamp <= now_ms + AHEAD_MAX_MS);
    let kept = expired.max(too_old)..too_new;
    let index = |index: usize| i32::try_from(index).ok();
    let rejected = api::RejectedLogEventsInfo {
        too_new_log_event_start_index: index(too_new).filter(|_| too_new < events.len()),
        too_old_log_event_end_index: index(too_old).filter(|_| too_old > 0),
        expired_log_event_end_index: index(expired).filter(|_| expired > 0),
    };
    let any = rejected != api::RejectedLogEventsInfo::default();
    Ok(Accepted { kept, rejected: any.then_some(rejected) })
}

/// What AWS counts, also for the bill.
pub fn bytes(events: &[api::InputLogEvent]) -> usize {
    events.iter().map(|event| event_bytes(&event.message)).sum()
}

pub fn event_bytes(message: &str) -> usize {
    message.len() + EVENT_BYTES
}

pub fn retention(days: i32) -> Result<u32> {
    match u32::try_from(days) {
        Ok(given) if RETENTIONS.contains(&days) => Ok(given),
        _ => {
            let listed: Vec<String> = RETENTIONS.iter().map(i32::to_string).collect();
            Err(errors::invalid(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to \
                 satisfy constraint: Member must satisfy enum value set: [{}]",
                listed.join(", ")
            )))
        }
    }
}

/// The tags with `added` among them.
pub fn tagged(
    mut tags: BTreeMap<String, String>,
    added: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    tags.extend(added);
    if tags.len() > TAGS_MAX {
        return Err(errors::invalid("Too many tags: a log group can have 50."));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_480_586_400_000;

    fn event(time_ms: i64) -> api::InputLogEvent {
        api::InputLogEvent { timestamp: time_ms, message: "m".to_owned() }
    }

    #[test]
    fn keeps_what_is_of_our_time() {
        let events = [event(NOW - 15 * DAY_MS)];
        let accepted = accept(&events, NOW, None).unwrap();
        assert!(accepted.kept.is_empty());
        assert_eq!(accepted.rejected.unwrap().too_old_log_event_end_index, Some(1));
        let events = [event(NOW), event(NOW + AHEAD_MAX_MS), event(NOW + AHEAD_MAX_MS + 1)];
        let accepted = accept(&events, NOW, None).unwrap();
        assert_eq!(accepted.kept, 0..2);
        assert_eq!(accepted.rejected.unwrap().too_new_log_event_start_index, Some(2));
        let events = [event(NOW - 2 * DAY_MS), event(NOW - DAY_MS)];
        let accepted = accept(&events, NOW, Some(1)).unwrap();
        assert_eq!(accepted.kept, 1..2);
        assert_eq!(accepted.rejected.unwrap().expired_log_event_end_index, Some(1));
        assert_eq!(accept(&[event(NOW)], NOW, Some(1)).unwrap().rejected, None);
    }

    #[test]
    fn refuses_what_is_no_batch() {
        assert!(accept(&[event(NOW), event(NOW - 1)], NOW, None).is_err());
        assert!(accept(&[event(NOW - DAY_MS - 1), event(NOW)], NOW, None).is_err());
        let large = api::InputLogEvent { timestamp: NOW, message: "x".repeat(BATCH_BYTES_MAX) };
        assert!(accept(&[large], NOW, None).is_err());
    }

    #[test]
    fn retention_is_one_of_a_list() {
        assert_eq!(retention(7).unwrap(), 7);
        assert!(retention(8).is_err() && retention(0).is_err() && retention(-1).is_err());
    }
}
