//! A whole cloud in a test: memory store, a clock that the test moves, randomness from a seed.
//!
//! ```ignore
//! let cloud = TestCloud::builder().service(sereno_sqs::service()).build();
//! let queue = cloud.ctx().call::<CreateQueue>(input).await.unwrap();
//! cloud.advance(Duration::from_secs(30));
//! ```

use std::sync::Arc;
use std::time::Duration;

use sereno_base::{AccountId, Region, Timestamp};
use sereno_kernel::{
    Caller, Clock as _, Cloud, CloudBuilder, Ctx, HttpClient, Identities, ManualClock, Sandbox,
    SeededRandom, Service,
};
use sereno_store::{Blobs, MemoryBlobs, MemoryStore, Store};

/// When every test begins: the deck's month.
pub const START: Timestamp = Timestamp::from_millis(1_480_586_400_000);
const SEED: u64 = 20_161_201;

/// A cloud and the handle of its clock.
pub struct TestCloud {
    cloud: Arc<Cloud>,
    clock: Arc<ManualClock>,
}

pub struct TestCloudBuilder {
    builder: CloudBuilder,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
}

impl TestCloud {
    pub fn builder() -> TestCloudBuilder {
        TestCloud::on(Arc::new(MemoryStore::new()), Arc::new(MemoryBlobs::new()))
    }

    /// On a store of the test's own: a faulty one, or one that outlives a cloud.
    pub fn on(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> TestCloudBuilder {
        let clock = Arc::new(ManualClock::new(START));
        let builder = Cloud::builder(Arc::clone(&store), blobs)
            .clock(Arc::clone(&clock) as Arc<_>)
            .random(Arc::new(SeededRandom::new(SEED)))
            .exclusive_store();
        TestCloudBuilder { builder, store, clock }
    }

    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    /// The root user of the home account in the home region.
    pub fn ctx(&self) -> Ctx {
        let (account, _) = self.cloud.home();
        self.ctx_as(Caller::Root { account })
    }

    pub fn ctx_as(&self, caller: Caller) -> Ctx {
        let (home, region) = self.cloud.home();
        self.cloud.background_ctx(caller.account().unwrap_or(home), region, caller)
    }

    pub fn ctx_in(&self, account: AccountId, region: Region) -> Ctx {
        self.cloud.background_ctx(account, region, Caller::Root { account })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Carries out tasks from now on.
    pub async fn start_tasks(&self) {
        self.cloud.start_tasks().await.expect("the memory store does not fail");
    }
}

impl TestCloudBuilder {
    #[must_use]
    pub fn service(mut self, service: Service) -> TestCloudBuilder {
        self.builder = self.builder.service(service);
        self
    }

    /// The store under the cloud, for parts that are built on it (identities).
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    #[must_use]
    pub fn identities(mut self, identities: Arc<dyn Identities>) -> TestCloudBuilder {
        self.builder = self.builder.identities(identities);
        self
    }

    #[must_use]
    pub fn sandbox(mut self, sandbox: Arc<dyn Sandbox>) -> TestCloudBuilder {
        self.builder = self.builder.sandbox(sandbox);
        self
    }

    #[must_use]
    pub fn http(mut self, http: Arc<dyn HttpClient>) -> TestCloudBuilder {
        self.builder = self.builder.http(http);
        self
    }

    #[must_use]
    pub fn server_key(mut self, key: [u8; 32]) -> TestCloudBuilder {
        self.builder = self.builder.server_key(key);
        self
    }

    pub fn build(self) -> TestCloud {
        TestCloud { cloud: self.builder.build(), clock: self.clock }
    }
}
