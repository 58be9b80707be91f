//! The store over a database.

use crate::keys::{Columns, key, partition, sort};
use crate::listener::{self, Outbox};
use crate::pool::{Connection, Lease, Pool, error};
use crate::schema;
use crate::write::{Folded, write};
use bytes::Bytes;
use sereno_store::{
    Backoff, Batch, BoxFuture, Entry, Key, Mutation, Range, Read, Result, Snapshot, Store,
    StoreError, Transaction, Txn, Version, Watch, Watchers,
};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

#[derive(Clone, Debug)]
pub struct Options {
    /// At most this many at a time; each transaction and each snapshot takes one while it lives.
    pub connections: usize,
    /// How late a wake-up from another server may be where notifications are lost or missing.
    pub poll: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { connections: 16, poll: Duration::from_secs(1) }
    }
}

/// A store in a database, shared with any number of servers. Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    watchers: Watchers,
    /// The tasks of this store end when the last clone is dropped.
    outbox: Arc<Outbox>,
}

/// Rows of a page whose size in bytes is bounded: how many to ask for first.
const PAGE_FIRST: i64 = 64;

impl PostgresStore {
    /// `url`: `postgres://user:password@host:port/database`. Creates the tables where needed.
    pub async fn open(url: &str, options: &Options) -> Result<PostgresStore> {
        let mut config: Config = url.parse().map_err(|failed| {
            StoreError::Unavailable(format!("not a database's address: {failed}"))
        })?;
        if config.get_application_name().is_none() {
            config.application_name("sereno");
        }
        let pool = Pool::new(config, options.connections);
        let (client, connection) = pool.connect().await?;
        tokio::spawn(async move { drop(connection.await) });
        schema::prepare(&client).await?;
        drop(client);
        let (watchers, outbox) = (Watchers::default(), Arc::new(Outbox::default()));
        let alive = Arc::downgrade(&outbox);
        tokio::spawn(listener::send(pool.clone(), alive.clone()));
        tokio::spawn(listener::listen(pool.clone(), watchers.clone(), alive, options.poll));
        // Fails here, not at the first request, if the database lacks something.
        drop(pool.lease().await?);
        Ok(PostgresStore { pool, watchers, outbox })
    }

    fn announce(&self, folded: &Folded) {
        let partitions = folded.partitions();
        if partitions.is_empty() {
            return;
        }
        self.watchers.touched_where(|partition| partitions.contains(partition));
        self.outbox.push(partitions);
    }

    /// Repeats what can be repeated as it is.
    pub(crate) async fn retried<T, F>(&self, work: impl Fn(Lease) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut backoff = Backoff::default();
        loop {
            match work(self.pool.lease().await?).await {
                Err(StoreError::Conflict) if backoff.again().await => {}
                outcome => return outcome,
            }
        }
    }

    async fn commit_batch(&self, batch: Batch) -> Result<Version> {
        batch.admit()?;
        let folded = Folded::of(batch.mutations)?;
        let mut backoff = Backoff::default();
        loop {
            let lease = self.pool.lease().await?;
            if let Some(version) = write(&lease, &batch.checks, &folded).await? {
                self.announce(&folded);
                return Ok(version);
            }
            drop(lease);
            if !backoff.again().await {
                return Err(StoreError::Conflict);
            }
        }
    }

    async fn transaction(&self, mode: &str) -> Result<Lease> {
        let mut lease = self.pool.lease().await?;
        lease.in_transaction = true;
        let begin = format!("BEGIN ISOLATION LEVEL SERIALIZABLE {mode}");
        lease.client.batch_execute(&begin).await.map_err(|failed| error(&failed))?;
        Ok(lease)
    }
}

async fn get(connection: &Connection, key: &Key) -> Result<Option<(Version, Bytes)>> {
    let Columns { p, s, h, .. } = Columns::of(key);
    let row = connection.client.query_opt(&connection.get, &[&p, &s, &h]).await;
    let row = row.map_err(|failed| error(&failed))?;
    Ok(row.map(|row| (row.get::<_, i64>(0).cast_unsigned(), row.get::<_, Vec<u8>>(1).into())))
}

fn entry(row: &Row) -> Entry {
    let (mut sort, tail): (Vec<u8>, &[u8]) = (row.get(0), row.get(1));
    sort.extend_from_slice(tail);
    let version = row.get::<_, i64>(2).cast_unsigned();
    Entry { sort, version, value: row.get::<_, Vec<u8>>(3).into() }
}

/// The first byte string behind `bytes`.
fn successor(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

/// The lowest key in the range, and the first behind it.
fn half_open(range: &Range) -> (Vec<u8>, Option<Vec<u8>>) {
    let from = match &range.from {
        Bound::Included(from) => from.clone(),
        Bound::Excluded(from) => successor(from),
        Bound::Unbounded => Vec::new(),
    };
    let to = match &range.to {
        Bound::Included(to) => Some(successor(to)),
        Bound::Excluded(to) => Some(to.clone()),
        Bound::Unbounded => None,
    };
    (from, to)
}

async fn range(connection: &Connection, range: &Range) -> Result<Vec<Entry>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let (p, _) = partition(&range.partition);
    let (from, to) = half_open(range);
    let (s, t) = sort(&from);
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let mut rows = if range.bytes_max == usize::MAX { limit } else { limit.min(PAGE_FIRST) };
    let statement = &connection.range[usize::from(to.is_some()) + 2 * usize::from(range.reverse)];
    loop {
        let bounds = to.as_deref().map(sort);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&p, &s, &t, &rows];
        if let Some((s, t)) = &bounds {
            parameters.extend([s as &(dyn ToSql + Sync), t]);
        }
        let found = connection.client.query(statement, &parameters).await;
        let found = found.map_err(|failed| error(&failed))?;
        let (mut bytes, mut entries) = (0, Vec::new());
        for row in &found {
            let entry = entry(row);
            bytes += entry.size();
            entries.push(entry);
            if bytes >= range.bytes_max {
                return Ok(entries);
            }
        }
        let all = i64::try_from(entries.len()).unwrap_or(i64::MAX) < rows || rows == limit;
        if all {
            return Ok(entries);
        }
        // Asked again rather than continued: all of a page is from one moment.
        rows = rows.saturating_mul(8).min(limit);
    }
}

/// A connection in a transaction.
struct Open {
    lease: Lease,
    store: PostgresStore,
}

impl Read for Open {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(get(&self.lease, key))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(range(&self.lease, asked))
    }
}

impl Transaction for Open {
    fn commit(
        mut self: Box<Self>,
        mutations: Vec<Mutation>,
    ) -> BoxFuture<'static, Result<Version>> {
        Box::pin(async move {
            let folded = Folded::of(mutations)?;
            let version = if folded.is_empty() {
                0
            } else {
                write(&self.lease, &[], &folded).await?.ok_or(StoreError::Conflict)?
            };
            let committed = self.lease.client.batch_execute("COMMIT").await;
            committed.map_err(|failed| error(&failed))?;
            self.lease.in_transaction = false;
            self.store.announce(&folded);
            Ok(version)
        })
    }
}

/// A read-only transaction on a state that no later commit can make wrong.
struct Moment {
    lease: Lease,
    version: Version,
}

impl Read for Moment {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(get(&self.lease, key))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(range(&self.lease, asked))
    }
}

impl Snapshot for Moment {
    fn version(&self) -> Version {
        self.version
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Version, Bytes)>>> {
        Box::pin(async move {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let (p, s, h) = match after.map(Columns::of) {
                Some(Columns { p, s, h, .. }) => (p, s, h),
                None => Default::default(),
            };
            let page = "SELECT p, q, s, t, ver, v FROM kv WHERE (p, s, h) > ($1, $2, $3)
                ORDER BY p, s, h LIMIT $4";
            let rows = self.lease.client.query(page, &[&p, &s, &h, &limit]).await;
            let entry = |row: &Row| {
                let key = key(row.get(0), row.get(1), row.get(2), row.get(3));
                (key, row.get::<_, i64>(4).cast_unsigned(), row.get::<_, Vec<u8>>(5).into())
            };
            Ok(rows.map_err(|failed| error(&failed))?.iter().map(entry).collect())
        })
    }
}

impl Read for PostgresStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(self.retried(async move |lease: Lease| get(&lease, key).await))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(self.retried(async move |lease: Lease| range(&lease, asked).await))
    }
}

impl Store for PostgresStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>>> {
        Box::pin(async {
            // Waits until no transaction under way can spoil it: at most as long as one may live.
            let lease = self.transaction("READ ONLY DEFERRABLE").await?;
            let last = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM kv_version";
            let row = lease.client.query_one(last, &[]).await.map_err(|failed| error(&failed))?;
            let version = row.get::<_, i64>(0).cast_unsigned();
            let moment: Box<dyn Snapshot> = Box::new(Moment { lease, version });
            Ok(moment)
        })
    }

    fn begin(&self) -> BoxFuture<'_, Result<Txn>> {
        Box::pin(async {
            let lease = self.transaction("READ WRITE").await?;
            Ok(Txn::new(Box::new(Open { lease, store: self.clone() })))
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Version>> {
        Box::pin(self.commit_batch(batch))
    }

    fn watch(&self, keys: &[Key]) -> Watch {
        self.watchers.watch(keys)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn clear(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.retried(async |lease: Lease| {
                let cleared = lease.client.execute("DELETE FROM kv", &[]).await;
                cleared.map(|_| ()).map_err(|failed| error(&failed))
            })
            .await?;
            self.watchers.touched_all();
            self.outbox.push_all();
            Ok(())
        })
    }

    fn raise_version(&self, version: Version) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let version = i64::try_from(version)
                .map_err(|_| StoreError::TooLarge("a version over 63 bits".into()))?;
            let lease = self.pool.lease().await?;
            let raise = "SELECT setval('kv_version', greatest($1, last_value)) FROM kv_version";
            let raised = lease.client.query(raise, &[&version]).await;
            raised.map(|_| ()).map_err(|failed| error(&failed))
        })
    }
}
