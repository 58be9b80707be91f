//! The whole cloud in one value: the services, what they stand on, and the one way through which calls go.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use sereno_base::{AccountId, Region, RequestId};
use sereno_store::{Blobs, Store};
use sereno_wire::DynShape;

use crate::audit::{AuditEvent, AuditSink};
use crate::{
    Caller, Clock, Ctx, Error, HttpClient, Identities, Meter, Operable, Origin, Random,
    ResourceType, Result, Sandbox, Service, SystemClock, SystemRandom, authorise,
};

/// Every part a cloud is made of. Built once, shared by all requests.
pub struct Cloud {
    pub(crate) services: Vec<Service>,
    by_name: HashMap<&'static str, usize>,
    resources: HashMap<&'static str, (usize, usize)>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) identities: Option<Arc<dyn Identities>>,
    pub(crate) sandbox: Option<Arc<dyn Sandbox>>,
    pub(crate) http: Option<Arc<dyn HttpClient>>,
    pub(crate) server_key: [u8; 32],
    pub(crate) endpoint: String,
    pub(crate) exclusive_store: bool,
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) meter: Meter,
    /// Grows with every reset: recurring tasks must be planned anew.
    pub(crate) resets: AtomicU64,
    audit: Vec<Arc<dyn AuditSink>>,
}

/// Collects the parts of a [`Cloud`]. The store and the blobs have no default.
pub struct CloudBuilder(Cloud);

impl CloudBuilder {
    #[must_use]
    pub fn service(mut self, service: Service) -> CloudBuilder {
        let at = self.0.services.len();
        for (index, resource) in service.resources.iter().enumerate() {
            self.0.resources.insert(resource.name(), (at, index));
        }
        self.0.by_name.insert(service.schema.name, at);
        self.0.services.push(service);
        self
    }

    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> CloudBuilder {
        self.0.clock = clock;
        self
    }

    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> CloudBuilder {
        self.0.random = random;
        self
    }

    #[must_use]
    pub fn identities(mut self, identities: Arc<dyn Identities>) -> CloudBuilder {
        self.0.identities = Some(identities);
        self
    }

    #[must_use]
    pub fn sandbox(mut self, sandbox: Arc<dyn Sandbox>) -> CloudBuilder {
        self.0.sandbox = Some(sandbox);
        self
    }

    #[must_use]
    pub fn http(mut self, http: Arc<dyn HttpClient>) -> CloudBuilder {
        self.0.http = Some(http);
        self
    }

    #[must_use]
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> CloudBuilder {
        self.0.audit.push(sink);
        self
    }

    /// The key from which all of this installation's secrets are derived.
    #[must_use]
    pub fn server_key(mut self, key: [u8; 32]) -> CloudBuilder {
        self.0.server_key = key;
        self
    }

    /// Where functions and tasks reach this server: `http://127.0.0.1:4566`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> CloudBuilder {
        self.0.endpoint = endpoint.into();
        self
    }

    /// The account and region of requests that name none.
    #[must_use]
    pub fn home(mut self, account: AccountId, region: Region) -> CloudBuilder {
        (self.0.account, self.0.region) = (account, region);
        self
    }

    /// No other process uses this store: what a dead process had leased is free at start.
    #[must_use]
    pub fn exclusive_store(mut self) -> CloudBuilder {
        self.0.exclusive_store = true;
        self
    }

    pub fn build(self) -> Arc<Cloud> {
        Arc::new(self.0)
    }
}

impl Cloud {
    pub fn builder(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> CloudBuilder {
        CloudBuilder(Cloud {
            services: Vec::new(),
            by_name: HashMap::new(),
            resources: HashMap::new(),
            store,
            blobs,
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom::default()),
            identities: None,
            sandbox: None,
            http: None,
            server_key: [0; 32],
            endpoint: "http://127.0.0.1:4566".to_owned(),
            exclusive_store: false,
            account: AccountId::DEFAULT,
            region: Region::US_EAST_1,
            meter: Meter::default(),
            resets: AtomicU64::new(0),
            audit: Vec::new(),
        })
    }

    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// By the model's name: `dynamodb`, `stepfunctions`.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.by_name.get(name).map(|at| &self.services[*at])
    }

    /// By CloudFormation's name: `AWS::DynamoDB::Table`.
    pub fn resource_type(&self, name: &str) -> Option<&ResourceType> {
        let (service, index) = self.resources.get(name)?;
        Some(&self.services[*service].resources[*index])
    }

    /// Names of all CloudFormation types, sorted.
    pub fn resource_types(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.resources.keys().copied().collect();
        names.sort_unstable();
        names
    }

    pub fn home(&self) -> (AccountId, Region) {
        (self.account, self.region)
    }

    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub fn identities(&self) -> Option<&dyn Identities> {
        self.identities.as_deref()
    }

    pub fn sandbox(&self) -> Option<&dyn Sandbox> {
        self.sandbox.as_deref()
    }

    /// Forgets everything: development mode's reset. Work under way fails or is forgotten too.
    pub async fn reset(&self) -> Result<()> {
        self.store.clear().await?;
        self.resets.fetch_add(1, Ordering::SeqCst);
        if let Some(sandbox) = &self.sandbox {
            sandbox.retire_all();
        }
        Ok(())
    }

    /// Writes what was metered since the last time.
    pub async fn flush_meter(&self) -> Result<()> {
        Ok(self.meter.flush(self.store.as_ref()).await?)
    }

    pub fn new_request_id(&self) -> RequestId {
        let mut bits = [0; 16];
        self.random.fill(&mut bits);
        RequestId::from_random(u128::from_le_bytes(bits))
    }

    /// The context of a request from outside, or of the server's own work.
    pub fn ctx(
        self: &Arc<Cloud>,
        account: AccountId,
        region: Region,
        caller: Caller,
        origin: Arc<Origin>,
    ) -> Ctx {
        Ctx::new(Arc::clone(self), account, region, caller, origin)
    }

    /// The context of work without a request: tasks, start-up.
    pub fn background_ctx(
        self: &Arc<Cloud>,
        account: AccountId,
        region: Region,
        caller: Caller,
    ) -> Ctx {
        let origin = Origin::internal(&self.endpoint);
        self.ctx(account, region, caller, Arc::new(origin))
    }

    /// The one way through which every call goes: authorise, run, audit, meter.
    pub async fn execute(
        &self,
        ctx: &Ctx,
        service: &Service,
        operation: &dyn Operable,
        input: Box<dyn DynShape>,
    ) -> Result<Box<dyn DynShape>> {
        let started = Instant::now();
        let outcome = contain_panics(pin!(async {
            let access = operation.access(ctx, input.as_ref());
            authorise::check(ctx, service, &access).await?;
            operation.run(ctx.clone(), input).await
        }))
        .await;
        let name = operation.schema().name;
        if let Err(error) = &outcome
            && let Some(context) = error.log_context()
        {
            eprintln!("{} {}.{name}: {error} ({context})", ctx.request_id(), service.schema.name);
        }
        self.meter.add(ctx, service.schema.name, "Requests", 1);
        if !self.audit.is_empty() {
            self.record(ctx, service, name, &outcome, started);
        }
        outcome
    }

    fn record(
        &self,
        ctx: &Ctx,
        service: &Service,
        operation: &'static str,
        outcome: &Result<Box<dyn DynShape>>,
        started: Instant,
    ) {
        let event = AuditEvent {
            time: ctx.now(),
            request_id: ctx.request_id(),
            account: ctx.account(),
            region: ctx.region(),
            caller: ctx.caller(),
            service: service.schema.name,
            operation,
            source_ip: &ctx.origin().source_ip,
            user_agent: &ctx.origin().user_agent,
            error_code: outcome.as_ref().err().map(Error::code),
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        for sink in &self.audit {
            sink.record(&event);
        }
    }
}

/// A handler that panics costs its own request an internal error, not the connection; a task its own try.
pub(crate) async fn contain_panics<T>(
    mut future: Pin<&mut impl Future<Output = Result<T>>>,
) -> Result<T> {
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Poll::Ready(Err(Error::internal(format!("a handler panicked: {what}"))))
        })
    })
    .await
}
