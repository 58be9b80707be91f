//! A few small values beside the map: the keys that all servers of one database share.
//!
//! Invariants: they are no part of backups' streams and not cleared with the map; of several
//! servers that make one at once, one wins and all use its.

use crate::pool::{Lease, error};
use crate::store::PostgresStore;
use sereno_store::Result;

impl PostgresStore {
    pub async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.retried(move |lease: Lease| async move {
            let select = "SELECT value FROM kv_secret WHERE name = $1";
            let row = lease.client.query_opt(select, &[&name]).await;
            Ok(row.map_err(|failed| error(&failed))?.map(|row| row.get(0)))
        })
        .await
    }

    /// Keeps `value` unless there is one already; answers whether it was kept.
    pub async fn offer_secret(&self, name: &str, value: &[u8]) -> Result<bool> {
        self.retried(move |lease: Lease| async move {
            let insert = "INSERT INTO kv_secret (name, value) VALUES ($1, $2)
                ON CONFLICT (name) DO NOTHING";
            let kept = lease.client.execute(insert, &[&name, &value]).await;
            Ok(kept.map_err(|failed| error(&failed))? == 1)
        })
        .await
    }

    pub async fn remove_secret(&self, name: &str) -> Result<()> {
        self.retried(move |lease: Lease| async move {
            let delete = "DELETE FROM kv_secret WHERE name = $1";
            let removed = lease.client.execute(delete, &[&name]).await;
            removed.map(|_| ()).map_err(|failed| error(&failed))
        })
        .await
    }
}
