//! The context of one request: who asks, where, and everything that a handler may ask of the world.

use std::fmt::Write as _;
use std::sync::Arc;

use sereno_base::{AccountId, Region, RequestId, Timestamp, arn};
use sereno_store::{Blobs, Key, Scope, Store};
use sereno_wire::{DecodeError, Operation};

use crate::caller::ServicePrincipal;
use crate::{
    Access, Caller, Cloud, Credentials, Error, HttpClient, Identities, ResourceGuard, Result,
    Sandbox, authorise,
};

/// How deep services may call each other for one request: a loop of calls must end with an error.
const CALL_DEPTH_MAX: u8 = 16;

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Scheme, host and port as the caller addressed us, without a slash at the end.
    pub endpoint: String,
    /// Lower case, without port.
    pub host: String,
    pub source_ip: String,
    pub user_agent: String,
    /// Over TLS: `aws:SecureTransport`.
    pub secure: bool,
    /// `X-Amzn-Trace-Id`, or nothing.
    pub trace_id: String,
    /// A data plane's request was signed, but the signature is no good: AWS's code and sentence.
    pub refusal: Option<(String, String)>,
}

impl Origin {
    pub(crate) fn internal(endpoint: &str) -> Origin {
        Origin {
            endpoint: endpoint.to_owned(),
            host: String::new(),
            source_ip: "127.0.0.1".to_owned(),
            user_agent: "sereno".to_owned(),
            secure: true,
            trace_id: String::new(),
            refusal: None,
        }
    }
}

/// The context of one request. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    cloud: Arc<Cloud>,
    account: AccountId,
    region: Region,
    caller: Caller,
    request_id: RequestId,
    origin: Arc<Origin>,
    depth: u8,
}

impl Ctx {
    pub(crate) fn new(
        cloud: Arc<Cloud>,
        account: AccountId,
        region: Region,
        caller: Caller,
        origin: Arc<Origin>,
    ) -> Ctx {
        let request_id = cloud.new_request_id();
        Ctx { cloud, account, region, caller, request_id, origin, depth: 0 }
    }

    /// The account in which the request works.
    pub fn account(&self) -> AccountId {
        self.account
    }

    pub fn region(&self) -> Region {
        self.region
    }

    pub fn partition(&self) -> &'static str {
        self.region.partition()
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Scheme, host and port as the caller addressed us: `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> &str {
        &self.origin.endpoint
    }

    /// Where functions reach this server, however the caller addressed it.
    pub fn server_endpoint(&self) -> &str {
        &self.cloud.endpoint
    }

    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    pub fn now(&self) -> Timestamp {
        self.cloud.clock.now()
    }

    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.cloud.random.fill(bytes);
    }

    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// `length` characters of `alphabet` (ASCII, at most 256 of them), each as likely as the others.
    pub fn random_id(&self, alphabet: &[u8], length: usize) -> String {
        let fair = 256 - 256 % alphabet.len();
        let mut id = String::with_capacity(length);
        let mut bytes = [0; 64];
        while id.len() < length {
            self.fill_random(&mut bytes);
            for byte in bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair) {
                if id.len() < length {
                    id.push(char::from(alphabet[byte % alphabet.len()]));
                }
            }
        }
        id
    }

    /// A random version 4 UUID.
    pub fn random_uuid(&self) -> String {
        let mut text = String::with_capacity(36);
        write!(text, "{}", self.cloud.new_request_id()).expect("writing to a String cannot fail");
        text
    }

    pub fn store(&self) -> &dyn Store {
        self.cloud.store.as_ref()
    }

    pub fn blobs(&self) -> &dyn Blobs {
        self.cloud.blobs.as_ref()
    }

    /// Keys of this account in this region.
    pub fn scope(&self) -> Scope {
        Scope::new(self.account, Some(self.region))
    }

    /// Keys of this account in no region: IAM, bucket names, distributions.
    pub fn account_scope(&self) -> Scope {
        Scope::new(self.account, None)
    }

    /// The ARN of a regional resource of this account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        arn(service, Some(self.region), Some(self.account), resource)
    }

    /// A key for one purpose, derived from the installation's own.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        authorise::derive_key(&self.cloud.server_key, purpose)
    }

    /// Calls an operation of any service as the same caller, exactly as a request from outside would.
    pub async fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output> {
        let (service, name) = (O::SCHEMA.service.name, O::SCHEMA.name);
        let ctx = self.deeper()?;
        let found = self.cloud.service(service);
        let served = found.and_then(|service| Some((service, service.operation(name)?)));
        let Some((service, operation)) = served else {
            return Err(not_served(service, name));
        };
        // Boxed: services that call each other would make a future of infinite size.
        let output =
            Box::pin(self.cloud.execute(&ctx, service, operation, Box::new(input))).await?;
        let output = output.into_any().downcast::<O::Output>();
        Ok(*output.expect("an operation answers with its own output"))
    }

    /// The same for an operation known by name only, with input and output in the JSON protocol's form.
    pub async fn call_json(
        &self,
        service: &str,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value> {
        let ctx = self.deeper()?;
        let found = self.cloud.service(service);
        let served = found.and_then(|found| Some((found, found.operation(operation)?)));
        let Some((found, operable)) = served else {
            return Err(not_served(service, operation));
        };
        let input = operable.input_from_json(input).map_err(|error| match error {
            DecodeError::Violations(violations) => {
                found.violation_error(operable.schema(), &violations)
            }
            DecodeError::Malformed(message) => Error::invalid("SerializationException", message),
        })?;
        let output = Box::pin(self.cloud.execute(&ctx, found, operable, input)).await?;
        Ok(sereno_wire::to_json(output.as_ref()))
    }

    /// Judges an access that is not an operation's own: an API's method, a passed role.
    pub async fn authorise(&self, service: &str, access: &Access) -> Result<()> {
        let found = self.cloud.service(service).ok_or_else(|| not_served(service, "*"))?;
        authorise::check(self, found, access).await
    }

    /// The keys to watch for news of a resource: watch first, then read, so that nothing slips between.
    pub async fn news(&self, service: &str, arn: &str) -> Result<Vec<Key>> {
        let found = self.cloud.service(service).and_then(|service| service.news.as_ref());
        let news = found.ok_or_else(|| not_served(service, "news"))?;
        news(self.clone(), arn.to_owned()).await
    }

    /// The same for one resource whose guard is at hand. What `access` says is not asked for where the resource's owner
    /// asks and no policy has a say.
    pub async fn authorise_guarded(
        &self,
        service: &str,
        guard: ResourceGuard,
        access: impl FnOnce() -> Access,
    ) -> Result<()> {
        if authorise::is_plain(self, &guard) {
            return Ok(());
        }
        let found = self.cloud.service(service).ok_or_else(|| not_served(service, "*"))?;
        authorise::check_guarded(self, found, &access(), Some(&guard)).await
    }

    fn deeper(&self) -> Result<Ctx> {
        if self.depth >= CALL_DEPTH_MAX {
            return Err(Error::internal("services call each other in a loop"));
        }
        let mut ctx = self.clone();
        ctx.request_id = self.cloud.new_request_id();
        ctx.depth += 1;
        Ok(ctx)
    }

    /// Says who asks, and where, once it is known.
    pub fn identify(&mut self, caller: Caller, account: AccountId, region: Region) {
        (self.caller, self.account, self.region) = (caller, account, region);
    }

    /// The same request in the name of another caller, in that caller's account.
    #[must_use]
    pub fn as_caller(&self, caller: Caller) -> Ctx {
        let account = caller.account().unwrap_or(self.account);
        Ctx { caller, account, ..self.clone() }
    }

    /// A service acting for `source_arn`, allowed only what the target's resource policy gives it.
    #[must_use]
    pub fn as_service(&self, name: &str, source_arn: Option<&str>) -> Ctx {
        self.as_caller(Caller::Service(Arc::new(ServicePrincipal {
            name: name.to_owned(),
            source_arn: source_arn.map(str::to_owned),
            source_account: self.account,
        })))
    }

    /// A session of a role, which must trust `service`.
    pub async fn as_role(&self, role_arn: &str, session: &str, service: &str) -> Result<Ctx> {
        let (caller, _) = self.assume(role_arn, session, service).await?;
        Ok(self.as_caller(caller))
    }

    /// Temporary credentials of a role, which must trust `service`.
    pub async fn assume(
        &self,
        role_arn: &str,
        session: &str,
        service: &str,
    ) -> Result<(Caller, Credentials)> {
        self.identities()?.assume(role_arn, session, service, self.now()).await
    }

    /// Calls from here on belong to this trace: its `X-Amzn-Trace-Id`.
    #[must_use]
    pub fn with_trace(&self, trace_id: &str) -> Ctx {
        let origin = Origin { trace_id: trace_id.to_owned(), ..Origin::clone(&self.origin) };
        Ctx { origin: Arc::new(origin), ..self.clone() }
    }

    #[must_use]
    pub fn in_region(&self, region: Region) -> Ctx {
        Ctx { region, ..self.clone() }
    }

    #[must_use]
    pub fn in_account(&self, account: AccountId) -> Ctx {
        Ctx { account, ..self.clone() }
    }

    pub fn sandbox(&self) -> Result<&dyn Sandbox> {
        self.cloud.sandbox.as_deref().ok_or_else(|| missing("sandbox"))
    }

    pub fn http(&self) -> Result<&dyn HttpClient> {
        self.cloud.http.as_deref().ok_or_else(|| missing("HTTP client"))
    }

    pub fn identities(&self) -> Result<&dyn Identities> {
        self.cloud.identities.as_deref().ok_or_else(|| missing("identity source"))
    }

    /// Counts something that AWS would bill, in the unit that `what` names (`ReadHalfUnits`, `BilledMs`).
    pub fn meter(&self, service: &'static str, what: &'static str, quantity: i64) {
        self.cloud.meter.add(self, service, what, quantity);
    }
}

fn missing(part: &str) -> Error {
    Error::unavailable(format!("this cloud was built without {part}"))
}

fn not_served(service: &str, operation: &str) -> Error {
    Error::not_implemented(format!("Sereno does not serve {service}:{operation} yet."))
}
