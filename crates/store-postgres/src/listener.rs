//! Wake-ups between servers.
//!
//! A commit wakes the watches of its own process itself; the others are told by NOTIFY, sent
//! after the commit and for many commits together, because a NOTIFY inside it would make all
//! commits wait for one another. A lost or missing notification delays a wake-up until the next
//! poll, which wakes every watch there is: those must read again anyway.

use crate::keys::hash;
use crate::pool::Pool;
use sereno_store::Watchers;
use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

/// Commits whose notifications are sent together.
const GATHER: Duration = Duration::from_millis(2);
/// A notification holds less than 8,000 bytes; a hash takes 17.
const HASHES_MAX: usize = 400;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Partitions that others are still to be told of.
#[derive(Default)]
pub struct Outbox {
    hashes: Mutex<HashSet<i64>>,
    filled: Notify,
}

impl Outbox {
    pub fn push<'a>(&self, partitions: impl IntoIterator<Item = &'a [u8]>) {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.extend(partitions.into_iter().map(hash));
        self.filled.notify_one();
    }

    /// "Everything has changed", in the form of too many to name.
    pub fn push_all(&self) {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.extend(0..=i64::try_from(HASHES_MAX).unwrap_or(i64::MAX));
        self.filled.notify_one();
    }

    fn take(&self) -> String {
        let taken =
            std::mem::take(&mut *self.hashes.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.len() > HASHES_MAX {
            return "*".to_owned();
        }
        let hashes: Vec<String> = taken.into_iter().map(|hash| format!("{hash:x}")).collect();
        hashes.join(" ")
    }
}

/// Sends notifications for as long as the store lives.
pub async fn send(pool: Arc<Pool>, outbox: Weak<Outbox>) {
    loop {
        let Some(filled) = outbox.upgrade() else { return };
        // Ends the wait now and then, to see whether the store is gone.
        drop(tokio::time::timeout(RECONNECT_AFTER, filled.filled.notified()).await);
        drop(filled);
        tokio::time::sleep(GATHER).await;
        let Some(text) = outbox.upgrade().map(|outbox| outbox.take()) else { return };
        if text.is_empty() {
            continue;
        }
        if let Ok(lease) = pool.lease().await {
            // Lost, it is made good by the next poll.
            drop(lease.client.query("SELECT pg_notify('kv', $1)", &[&text]).await);
        }
    }
}

/// Listens and polls for as long as the store lives.
pub async fn listen(pool: Arc<Pool>, watchers: Watchers, alive: Weak<Outbox>, poll: Duration) {
    tokio::spawn(poll_forever(watchers.clone(), alive.clone(), poll));
    while alive.strong_count() > 0 {
        if let Ok((client, mut connection)) = pool.connect().await {
            let heard = watchers.clone();
            let messages = tokio::spawn(async move {
                while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notification(notification) = message {
                        hear(&heard, notification.payload());
                    }
                }
            });
            // What was told before we listened is lost: everybody looks once.
            if client.batch_execute("LISTEN kv").await.is_ok() {
                watchers.touched_all();
                while alive.strong_count() > 0 && !messages.is_finished() {
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
            }
            messages.abort();
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn poll_forever(watchers: Watchers, alive: Weak<Outbox>, poll: Duration) {
    while alive.strong_count() > 0 {
        tokio::time::sleep(poll).await;
        watchers.touched_all();
    }
}

fn hear(watchers: &Watchers, text: &str) {
    if text == "*" {
        return watchers.touched_all();
    }
    let hashes: HashSet<String> = text.split(' ').map(str::to_owned).collect();
    watchers.touched_where(|partition| hashes.contains(&format!("{:x}", hash(partition))));
}
