//! Connections, with the statements that they have prepared.
//!
//! Invariants: a connection serves one request or one transaction at a time; one that was dropped
//! in the midst of a transaction is rolled back before it serves again, or closed.

use crate::write::WRITE;
use sereno_store::{Result, StoreError};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Statement};

pub struct Pool {
    config: Config,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

pub struct Connection {
    pub client: Client,
    pub get: Statement,
    /// Ascending without and with an upper bound, then descending.
    pub range: [Statement; 4],
    pub write: Statement,
}

const GET: &str = "SELECT ver, v FROM kv WHERE p = $1 AND s = $2 AND h = $3";

/// The bounds are made half-open; `t` decides only between long keys with the same beginning.
const RANGE: [&str; 4] = [
    "SELECT s, t, ver, v FROM kv WHERE p = $1 AND (s, t) >= ($2, $3) ORDER BY s, t LIMIT $4",
    "SELECT s, t, ver, v FROM kv WHERE p = $1 AND (s, t) >= ($2, $3) AND (s, t) < ($5, $6) ORDER BY s, t LIMIT $4",
    "SELECT s, t, ver, v FROM kv WHERE p = $1 AND (s, t) >= ($2, $3) ORDER BY s DESC, t DESC LIMIT $4",
    "SELECT s, t, ver, v FROM kv WHERE p = $1 AND (s, t) >= ($2, $3) AND (s, t) < ($5, $6) ORDER BY s DESC, t DESC LIMIT $4",
];

/// Everything is found by the primary key: no statistics, however stale, may lead to a scan of
/// the table, which would also conflict with everybody.
const SESSION: &str = "SET default_transaction_isolation = 'serializable';
    SET enable_seqscan = off; SET enable_bitmapscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET plan_cache_mode = 'force_generic_plan'; SET jit = off;
    SET idle_in_transaction_session_timeout = '60s'";

/// What a failure means to the caller.
pub fn error(failed: &tokio_postgres::Error) -> StoreError {
    let Some(database) = failed.as_db_error() else {
        return StoreError::Unavailable(said(failed));
    };
    match database.code() {
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
            StoreError::Conflict
        }
        // From kv_number.
        &SqlState::ARRAY_ELEMENT_ERROR => StoreError::Corrupt("a counter of another size".into()),
        _ => StoreError::Unavailable(said(failed)),
    }
}

/// The error and what is behind it: the driver's own sentence says little.
fn said(failed: &tokio_postgres::Error) -> String {
    use std::error::Error;
    let mut text = failed.to_string();
    let mut cause = failed.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Pool {
    pub fn new(config: Config, connections: usize) -> Arc<Pool> {
        let places = Arc::new(Semaphore::new(connections));
        Arc::new(Pool { config, idle: Mutex::default(), places })
    }

    /// A connection without prepared statements, outside the pool.
    pub async fn connect(
        &self,
    ) -> Result<(
        Client,
        tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
    )> {
        self.config.connect(NoTls).await.map_err(|failed| error(&failed))
    }

    async fn open(&self) -> Result<Connection> {
        let (client, connection) = self.connect().await?;
        // Ends with the client; whoever waits for an answer is told of a failure.
        tokio::spawn(async move { drop(connection.await) });
        let prepared = async {
            client.batch_execute(SESSION).await?;
            let get = client.prepare(GET).await?;
            let [a, b, c, d] = RANGE.map(|text| client.prepare(text));
            let range = [a.await?, b.await?, c.await?, d.await?];
            let write = client.prepare(WRITE).await?;
            Ok((get, range, write))
        };
        let (get, range, write) = prepared.await.map_err(|failed| error(&failed))?;
        Ok(Connection { client, get, range, write })
    }

    /// Waits for a free connection or opens one.
    pub async fn lease(self: &Arc<Pool>) -> Result<Lease> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| StoreError::Unavailable("the store has stopped".into()))?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(idle) if idle.client.is_closed() => continue,
                Some(idle) => idle,
                None => self.open().await?,
            };
            let pool = self.clone();
            return Ok(Lease {
                connection: Some(connection),
                in_transaction: false,
                pool,
                _place: place,
            });
        }
    }

    fn give_back(&self, connection: Connection) {
        if !connection.client.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// A connection for a while.
pub struct Lease {
    /// `Some` until dropped.
    connection: Option<Connection>,
    pub in_transaction: bool,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !self.in_transaction {
            return self.pool.give_back(connection);
        }
        let pool = self.pool.clone();
        // Without a runtime the connection is closed, which rolls back too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if connection.client.batch_execute("ROLLBACK").await.is_ok() {
                    pool.give_back(connection);
                }
            });
        }
    }
}
