//! What readers and the committer share: the newest published state.

use crate::engine::View;
use sereno_store::{Version, Watchers};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

/// The state after one commit, on disk.
pub struct Published {
    pub view: Box<dyn View>,
    pub version: Version,
}

pub struct Shared {
    /// Locked only to clone or to replace the `Arc`.
    published: RwLock<Arc<Published>>,
    /// Transactions under way. Counted before their view is taken.
    pub readers: AtomicUsize,
    pub watchers: Watchers,
}

impl Shared {
    pub fn new(published: Published) -> Shared {
        let published = RwLock::new(Arc::new(published));
        Shared { published, readers: AtomicUsize::new(0), watchers: Watchers::default() }
    }

    pub fn published(&self) -> Arc<Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn publish(&self, published: Published) {
        let old = {
            let mut current = self.published.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::new(published))
        };
        // Dropped outside the lock: the last holder frees a snapshot.
        drop(old);
    }
}
