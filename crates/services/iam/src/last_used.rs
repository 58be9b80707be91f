//! When an access key was last used, and for what. Noted in memory after every request, written at most every
//! quarter of an hour for a key: AWS is not more precise.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sereno_base::Timestamp;
use sereno_kernel::{AuditEvent, Caller};
use sereno_store::{Batch, Scope, Store};

use crate::state::{self, LastUsedRecord};

const WRITTEN_EVERY: Duration = Duration::from_secs(15 * 60);
/// Keys noted at once; with more of them in use, some uses are forgotten.
const KEYS_MAX: usize = 10_000;

#[derive(Default)]
pub struct LastUsed(Mutex<HashMap<String, Use>>);

struct Use {
    last: LastUsedRecord,
    written: Option<Timestamp>,
}

impl LastUsed {
    /// Notes a request of a user with a lasting key.
    pub fn note(&self, event: &AuditEvent<'_>) {
        let Caller::User(user) = event.caller else { return };
        if !user.access_key_id.starts_with("AKIA") {
            return;
        }
        let last = LastUsedRecord {
            at: Timestamp::from_secs(event.time.secs()),
            service: event.service.to_owned(),
            region: event.region.as_str().to_owned(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(&user.access_key_id) {
            seen.last = last;
        } else if all.len() < KEYS_MAX {
            all.insert(user.access_key_id.clone(), Use { last, written: None });
        }
    }

    /// Writes what was noted of a key, if it is time. A failure loses nothing but precision.
    pub async fn write(&self, store: &dyn Store, scope: Scope, id: &str, now: Timestamp) {
        let Some(record) = self.due(id, now) else { return };
        let mut batch = Batch::new();
        state::LAST_USED.put(&mut batch, scope, id, &record);
        let _ = store.commit(batch).await;
    }

    fn due(&self, id: &str, now: Timestamp) -> Option<LastUsedRecord> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get_mut(id)?;
        if seen.written.is_some_and(|at| now < at.plus(WRITTEN_EVERY)) {
            return None;
        }
        seen.written = Some(now);
        Some(seen.last.clone())
    }
}
