//! A commit's checks and mutations as one statement.
//!
//! Invariants: all parts of the statement see one state, so no key may be written twice in it:
//! mutations are folded first. Locks are taken in one order, so that commits rarely deadlock.
//! Appends to a partition hold its lock from before their version is drawn until they are
//! visible: whoever sees one sees all with smaller versions.

use crate::keys::{Columns, SORT_BYTES_MAX, hash, partition};
use crate::pool::{Connection, error};
use sereno_store::{Check, Counter, Key, Mutation, Record, Result, StoreError, Version};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::ToSql;

/// Answers the version, or no row if a check does not hold.
pub const WRITE: &str = r"
WITH locks AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(l)) AS held FROM unnest($1::bigint[]) AS l
), failed AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[]) AS c (p, s, h, want)
        LEFT JOIN kv ON kv.p = c.p AND kv.s = c.s AND kv.h = c.h
        WHERE CASE c.want WHEN -1 THEN kv.ver IS NOT NULL WHEN -2 THEN kv.ver IS NULL
            ELSE kv.ver IS DISTINCT FROM c.want END
    ) AS yes
), version AS MATERIALIZED (
    SELECT nextval('kv_version') AS ver FROM locks, failed WHERE locks.held >= 0 AND NOT failed.yes
), puts AS (
    INSERT INTO kv (p, s, h, t, q, ver, v)
    SELECT n.p, n.s, n.h, n.t, n.q, version.ver, n.v
    FROM version, unnest($6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[])
        AS n (p, s, h, t, q, v)
    ON CONFLICT (p, s, h) DO UPDATE SET v = excluded.v, ver = excluded.ver
), deletes AS (
    DELETE FROM kv USING version, unnest($12::bytea[], $13::bytea[], $14::bytea[]) AS d (p, s, h)
    WHERE kv.p = d.p AND kv.s = d.s AND kv.h = d.h
), adds AS (
    INSERT INTO kv (p, s, h, t, q, ver, v)
    SELECT n.p, n.s, n.h, n.t, n.q, version.ver, kv_counter(n.delta)
    FROM version, unnest($15::bytea[], $16::bytea[], $17::bytea[], $18::bytea[], $19::bytea[], $20::bigint[])
        AS n (p, s, h, t, q, delta)
    ON CONFLICT (p, s, h) DO UPDATE SET ver = excluded.ver,
        v = kv_sum(kv.v, excluded.v)
), appends AS (
    INSERT INTO kv (p, s, h, t, q, ver, v)
    SELECT w.p, substring(w.sort from 1 for 1000), CASE WHEN octet_length(w.sort) > 1000
        THEN sha256(substring(w.sort from 1001)) ELSE '' END, substring(w.sort from 1001),
        w.q, w.ver, w.v
    FROM (
        SELECT n.p, n.q, n.v, version.ver,
            n.prefix || int8send(version.ver) || int2send(n.at::smallint) AS sort
        FROM version, unnest($21::bytea[], $22::bytea[], $23::bytea[], $24::bytea[], $25::int[])
            AS n (p, q, v, prefix, at)
    ) AS w
)
SELECT ver FROM version";

/// What becomes of one key.
enum Fate {
    Put(Vec<u8>),
    Delete,
    Add(i64),
}

/// Mutations with each key once.
#[derive(Default)]
pub struct Folded {
    keys: BTreeMap<Key, Fate>,
    appends: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Folded {
    pub fn of(mutations: Vec<Mutation>) -> Result<Folded> {
        let mut folded = Folded::default();
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => {
                    folded.keys.insert(key, Fate::Put(value));
                }
                Mutation::Delete(key) => {
                    folded.keys.insert(key, Fate::Delete);
                }
                Mutation::Add(key, delta) => {
                    let fate = match folded.keys.get(&key) {
                        None => Fate::Add(delta),
                        Some(Fate::Add(sum)) => Fate::Add(sum.wrapping_add(delta)),
                        Some(Fate::Delete) => Fate::Put(Counter(delta).to_bytes()),
                        Some(Fate::Put(old)) => {
                            let old = old.clone().into();
                            Fate::Put(Counter::sum(Some(&old), delta)?.into())
                        }
                    };
                    folded.keys.insert(key, fate);
                }
                Mutation::Append { partition, sort_prefix, value } => {
                    folded.appends.push((partition, sort_prefix, value));
                }
            }
        }
        Ok(folded)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.appends.is_empty()
    }

    /// Every partition that is written to.
    pub fn partitions(&self) -> BTreeSet<&[u8]> {
        let keys = self.keys.keys().map(|key| key.partition.as_slice());
        keys.chain(self.appends.iter().map(|(partition, _, _)| partition.as_slice())).collect()
    }
}

/// Columns of several rows.
#[derive(Default)]
struct Rows {
    p: Vec<Vec<u8>>,
    s: Vec<Vec<u8>>,
    h: Vec<Vec<u8>>,
    t: Vec<Vec<u8>>,
    q: Vec<Option<Vec<u8>>>,
}

impl Rows {
    fn push(&mut self, key: &Key) {
        let Columns { p, q, s, t, h } = Columns::of(key);
        self.p.push(p);
        self.s.push(s);
        self.h.push(h);
        self.t.push(t);
        self.q.push(q);
    }
}

/// Runs the statement: a transaction of its own, unless the connection is in one. `None`: it
/// collided with another commit and may be repeated; a check that does not hold is a conflict.
pub async fn write(
    connection: &Connection,
    checks: &[(Key, Check)],
    folded: &Folded,
) -> Result<Option<Version>> {
    let (mut checked, mut wants) = (Rows::default(), Vec::new());
    for (key, check) in checks {
        checked.push(key);
        wants.push(match check {
            Check::Absent => -1,
            Check::Present => -2,
            Check::At(version) => i64::try_from(*version).map_err(|_| StoreError::Conflict)?,
        });
    }
    let (mut puts, mut values) = (Rows::default(), Vec::new());
    let (mut adds, mut deltas) = (Rows::default(), Vec::new());
    let mut deletes = Rows::default();
    for (key, fate) in &folded.keys {
        match fate {
            Fate::Put(value) => {
                puts.push(key);
                values.push(value.as_slice());
            }
            Fate::Delete => deletes.push(key),
            Fate::Add(delta) => {
                adds.push(key);
                deltas.push(*delta);
            }
        }
    }
    let appends = Appends::of(folded);
    let parameters: [&(dyn ToSql + Sync); 25] = [
        &appends.locks,
        &checked.p,
        &checked.s,
        &checked.h,
        &wants,
        &puts.p,
        &puts.s,
        &puts.h,
        &puts.t,
        &puts.q,
        &values,
        &deletes.p,
        &deletes.s,
        &deletes.h,
        &adds.p,
        &adds.s,
        &adds.h,
        &adds.t,
        &adds.q,
        &deltas,
        &appends.p,
        &appends.q,
        &appends.values,
        &appends.prefixes,
        &appends.places,
    ];
    let row = connection.client.query_opt(&connection.write, &parameters).await;
    match row.map_err(|failed| error(&failed)) {
        Ok(Some(row)) => Ok(Some(row.get::<_, i64>(0).cast_unsigned())),
        Ok(None) => Err(StoreError::Conflict),
        Err(StoreError::Conflict) => Ok(None),
        Err(failed) => Err(failed),
    }
}

struct Appends<'a> {
    /// In order, each once.
    locks: Vec<i64>,
    p: Vec<Vec<u8>>,
    q: Vec<Option<Vec<u8>>>,
    values: Vec<&'a [u8]>,
    prefixes: Vec<&'a [u8]>,
    places: Vec<i32>,
}

impl Appends<'_> {
    fn of(folded: &Folded) -> Appends<'_> {
        let locks: BTreeSet<i64> = folded.appends.iter().map(|(p, _, _)| hash(p)).collect();
        let (p, q) = folded.appends.iter().map(|(p, _, _)| partition(p)).unzip();
        Appends {
            locks: locks.into_iter().collect(),
            p,
            q,
            values: folded.appends.iter().map(|(_, _, value)| value.as_slice()).collect(),
            prefixes: folded.appends.iter().map(|(_, prefix, _)| prefix.as_slice()).collect(),
            places: (0..).take(folded.appends.len()).collect(),
        }
    }
}

/// The statement's text says where a long sort key is cut.
const _: () = assert!(SORT_BYTES_MAX == 1_000);
