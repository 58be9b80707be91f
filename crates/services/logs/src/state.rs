//! Everything that CloudWatch Logs keeps, and every key of it.
//!
//! * [`GROUPS`]: by name. A group has a number of its own, drawn anew at each creation, so the
//!   events of a deleted group can never be seen in a new one of that name.
//! * [`STREAMS`]: by (group, name), with a number in the same way.
//! * [`RECENT`]: the streams of a group by the time of their last event.
//! * [`EVENTS`]: (group, stream) is a partition; in it by time, then by the upload that brought the
//!   event, then by the place in that upload.
//! * [`BYTES`]: what a group has taken in.
//! * [`FILTERS`], [`POLICIES`]: subscription filters by (group, name), resource policies by name.
//! * [`QUERIES`]: by id; [`QUERY_TIMES`] in the order of their starts, [`RESULTS`] their rows.
//! * [`RETAINED`]: the groups that forget, of all accounts and regions.

use std::collections::BTreeMap;

use sereno_base::AccountId;
use sereno_store::{Counter, Table, record};

record! {
    pub struct GroupRecord {
        1 => name: String,
        2 => number: u64,
        3 => created_ms: i64,
        4 => retention_days: Option<u32>,
        5 => class: String,
        6 => tags: BTreeMap<String, String>,
        7 => protected: bool,
    }

    pub struct StreamRecord {
        1 => name: String,
        2 => number: u64,
        3 => created_ms: i64,
        4 => first_event_ms: Option<i64>,
        5 => last_event_ms: Option<i64>,
        6 => last_ingestion_ms: Option<i64>,
        7 => uploads: u64,
        // The change of a stack that made the stream, or empty.
        8 => made_by: String,
    }

    /// A stream in the order of last events.
    pub struct RecentRecord {
        1 => number: u64,
        2 => first_event_ms: i64,
    }

    pub struct EventRecord {
        1 => message: String,
        2 => ingested_ms: i64,
    }

    pub struct FilterRecord {
        1 => name: String,
        2 => pattern: String,
        3 => destination_arn: String,
        4 => distribution: String,
        5 => created_ms: i64,
    }

    pub struct PolicyRecord {
        1 => name: String,
        2 => document: String,
        3 => updated_ms: i64,
    }

    pub struct QueryRecord {
        1 => id: String,
        2 => text: String,
        // Names of groups.
        3 => groups: Vec<String>,
        4 => status: String,
        5 => created_ms: i64,
        6 => from_ms: i64,
        // Included.
        7 => to_ms: i64,
        8 => limit: u32,
        9 => matched: u64,
        10 => scanned: u64,
        11 => bytes: u64,
        12 => rows: u32,
    }

    /// One row of a result: names and values by turns.
    pub struct RowRecord {
        1 => fields: Vec<String>,
    }
}

pub const GROUPS: Table<String, GroupRecord> = Table::new("logs", "groups");
pub const STREAMS: Table<(u64, String), StreamRecord> = Table::new("logs", "streams");
pub const RECENT: Table<(u64, i64, String), RecentRecord> =
    Table::new("logs", "recent").partition(1);
pub const EVENTS: Table<(u64, u64, i64, u64, u32), EventRecord> =
    Table::new("logs", "events").partition(2);
pub const BYTES: Table<u64, Counter> = Table::new("logs", "bytes");
pub const FILTERS: Table<(u64, String), FilterRecord> = Table::new("logs", "filters");
pub const POLICIES: Table<String, PolicyRecord> = Table::new("logs", "policies");
pub const QUERIES: Table<String, QueryRecord> = Table::new("logs", "queries");
pub const QUERY_TIMES: Table<(i64, String), ()> = Table::new("logs", "query-times").partition(0);
pub const RESULTS: Table<(String, u32), RowRecord> = Table::new("logs", "results");
pub const RETAINED: Table<(AccountId, String, String), ()> =
    Table::new("logs", "retained").partition(0);

/// Where an event stands in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub time_ms: i64,
    /// The upload that brought it, counted from 1 in its stream.
    pub upload: u64,
    /// Its index in that upload.
    pub index: u32,
}

impl Place {
    /// Before every event from this time on.
    pub fn first_at(time_ms: i64) -> Place {
        Place { time_ms, upload: 0, index: 0 }
    }

    /// The key of an event of a stream.
    pub fn key(self, group: u64, stream: u64) -> (u64, u64, i64, u64, u32) {
        (group, stream, self.time_ms, self.upload, self.index)
    }

    pub fn of(key: &(u64, u64, i64, u64, u32)) -> Place {
        Place { time_ms: key.2, upload: key.3, index: key.4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sereno_base::Region;
    use sereno_store::Scope;
    use sereno_store::golden::Golden;

    fn group() -> GroupRecord {
        GroupRecord {
            name: "/app".into(),
            number: 7,
            created_ms: 1,
            retention_days: Some(30),
            class: "STANDARD".into(),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            protected: true,
        }
    }

    fn stream() -> StreamRecord {
        StreamRecord {
            name: "a".into(),
            number: 9,
            created_ms: 1,
            first_event_ms: Some(2),
            last_event_ms: Some(3),
            last_ingestion_ms: Some(4),
            uploads: 5,
            made_by: "token".into(),
        }
    }

    fn query() -> QueryRecord {
        QueryRecord {
            id: "q".into(),
            text: "limit 1".into(),
            groups: vec!["/app".into()],
            status: "Complete".into(),
            created_ms: 1,
            from_ms: 2,
            to_ms: 3,
            limit: 4,
            matched: 5,
            scanned: 6,
            bytes: 7,
            rows: 8,
        }
    }

    #[test]
    fn what_is_stored_stays_readable() {
        let account = AccountId::DEFAULT;
        let scope = Scope::new(account, Some(Region::US_EAST_1));
        let filter = FilterRecord {
            name: "f".into(),
            pattern: "p".into(),
            destination_arn: "arn".into(),
            distribution: "ByLogStream".into(),
            created_ms: 1,
        };
        let policy = PolicyRecord { name: "p".into(), document: "{}".into(), updated_ms: 1 };
        let recent = RecentRecord { number: 9, first_event_ms: 2 };
        let event = EventRecord { message: "m".into(), ingested_ms: 4 };
        let retained = (account, "us-east-1".to_owned(), "/app".to_owned());
        Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
            .table(&GROUPS, scope, "/app", &group())
            .table(&STREAMS, scope, &(7, "a"), &stream())
            .table(&RECENT, scope, &(7, 3, "a"), &recent)
            .table(&EVENTS, scope, &(7, 9, 3, 5, 0), &event)
            .table(&BYTES, scope, &7, &Counter(27))
            .table(&FILTERS, scope, &(7, "f"), &filter)
            .table(&POLICIES, scope, "p", &policy)
            .table(&QUERIES, scope, "q", &query())
            .table(&QUERY_TIMES, scope, &(1, "q"), &())
            .table(&RESULTS, scope, &("q", 0), &RowRecord { fields: vec!["a".into(), "1".into()] })
            .table(&RETAINED, Scope::GLOBAL, &retained, &())
            .check();
    }
}
