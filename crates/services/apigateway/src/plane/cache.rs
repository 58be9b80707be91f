//! Stages and deployments that were read, kept until they change.
//!
//! A stage's entry is watched in the store: a change, by whichever node, ends it before the next
//! request is looked up. A deployment needs no watch, for it never changes.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use sereno_base::{AccountId, Region};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, Watch};

use super::compiled::Compiled;
use crate::state::{API_OWNERS, ApiDocument, SNAPSHOTS, STAGES, StageRecord};

/// Entries beyond which all are forgotten: far more than a machine has APIs.
const ENTRIES_MAX: usize = 10_000;

/// A stage as requests need it.
pub struct Entry {
    pub account: AccountId,
    pub region: Region,
    pub stage: StageRecord,
    pub live: Arc<Compiled>,
    pub canary: Option<Arc<Compiled>>,
    watch: Mutex<Watch>,
}

#[derive(Default)]
pub struct Cache {
    stages: Mutex<HashMap<(String, String), Arc<Entry>>>,
    /// By API and deployment.
    deployments: Mutex<HashMap<(String, String), Arc<Compiled>>>,
}

impl Entry {
    fn changed(&self) -> bool {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut *watch).poll(&mut context) == Poll::Ready(())
    }
}

impl Cache {
    /// The stage of an API; `None` if there is none.
    pub async fn stage(&self, ctx: &Ctx, api_id: &str, name: &str) -> Result<Option<Arc<Entry>>> {
        let key = (api_id.to_owned(), name.to_owned());
        let known = self.stages.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(entry) = known
            && !entry.changed()
        {
            return Ok(Some(entry));
        }
        let entry = self.read(ctx, api_id, name).await?.map(Arc::new);
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        match &entry {
            Some(entry) => {
                if stages.len() >= ENTRIES_MAX {
                    stages.clear();
                }
                stages.insert(key, Arc::clone(entry));
            }
            None => {
                stages.remove(&key);
            }
        }
        Ok(entry)
    }

    async fn read(&self, ctx: &Ctx, api_id: &str, name: &str) -> Result<Option<Entry>> {
        // First the watch, then the reading: no change between them is missed.
        let owner = API_OWNERS.get(ctx.store(), Scope::GLOBAL, api_id).await?;
        let Some(owner) = owner else { return Ok(None) };
        let (Ok(account), Some(region)) = (owner.account.parse(), Region::parse(&owner.region))
        else {
            return Ok(None);
        };
        let scope = Scope::new(account, Some(region));
        let key = (api_id, name);
        let watch =
            ctx.store().watch(&[API_OWNERS.key(Scope::GLOBAL, api_id), STAGES.key(scope, &key)]);
        let Some(stage) = STAGES.get(ctx.store(), scope, &key).await? else { return Ok(None) };
        let place = (account, region);
        let Some(live) = self.deployment(ctx, place, api_id, &stage.deployment_id).await? else {
            return Ok(None);
        };
        let canary = match stage.canary.as_ref().and_then(|canary| canary.deployment_id.as_ref()) {
            Some(id) => self.deployment(ctx, place, api_id, id).await?,
            None => None,
        };
        let watch = Mutex::new(watch);
        Ok(Some(Entry { account, region, stage, live, canary, watch }))
    }

    async fn deployment(
        &self,
        ctx: &Ctx,
        (account, region): (AccountId, Region),
        api_id: &str,
        id: &str,
    ) -> Result<Option<Arc<Compiled>>> {
        let key = (api_id.to_owned(), id.to_owned());
        if let Some(known) = self.known(&key) {
            return Ok(Some(known));
        }
        let scope = Scope::new(account, Some(region));
        let found: Option<ApiDocument> = SNAPSHOTS.get(ctx.store(), scope, &(api_id, id)).await?;
        let Some(document) = found else { return Ok(None) };
        let compiled = Compiled::new(document, region.partition(), region, account);
        let compiled = Arc::new(compiled);
        let mut known = self.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ENTRIES_MAX {
            known.clear();
        }
        known.insert(key, Arc::clone(&compiled));
        Ok(Some(compiled))
    }

    fn known(&self, key: &(String, String)) -> Option<Arc<Compiled>> {
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}
