//! A service as the kernel sees it: a table of operations, tasks, CloudFormation types and data planes.

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use sereno_base::AccountId;
use sereno_policy::{Policy, ResourceRule};
use sereno_store::Key;
use sereno_wire::{
    DecodeError, DynShape, HttpRequest, HttpResponse, Operation, OperationSchema, Protocol, Route,
    ServiceSchema, Violation,
};

use crate::sweep::BlobTable;
use crate::{Access, BoxFuture, Ctx, Error, ResourceType, Result, TaskKind};

/// The policy on a resource, and whose resource it is.
#[derive(Clone, Default)]
pub struct ResourceGuard {
    pub policy: Option<Arc<Policy>>,
    /// For resources whose ARN names no account (S3 buckets).
    pub owner: Option<AccountId>,
    /// What part the policy has in the decision: a role's trust policy must name the caller.
    pub rule: ResourceRule,
}

type NewsFn = Box<dyn Fn(Ctx, String) -> BoxFuture<'static, Result<Vec<Key>>> + Send + Sync>;

/// Words an operation's input that breaks the model's constraints.
type Violations = fn(&OperationSchema, &[Violation]) -> Error;

type GuardFn = Box<dyn Fn(Ctx, String) -> BoxFuture<'static, Result<ResourceGuard>> + Send + Sync>;

/// What a browser says of a page's request to another origin.
#[derive(Clone, Debug)]
pub struct CorsRequest {
    /// As the operation sees it: `/bucket/key`, whatever the host.
    pub path: String,
    pub origin: String,
    /// Of the request itself, or the one a preflight asks for.
    pub method: String,
    /// The headers that a preflight asks for.
    pub headers: Vec<String>,
    pub preflight: bool,
}

/// `Access-Control-*` headers to answer with; `None`: none.
pub type CorsHeaders = Option<Vec<(&'static str, String)>>;

type CorsFn =
    Box<dyn Fn(Ctx, CorsRequest) -> BoxFuture<'static, Result<CorsHeaders>> + Send + Sync>;

/// Checks a body that is all there against what the request's headers claim of it.
type BodyCheck = fn(&HttpRequest, &Bytes) -> Result<()>;

/// Traffic that is not an API call: a deployed API's URL, a website, a hosted page.
pub trait DataPlane: Send + Sync + 'static {
    /// Whether this request is ours. `host` is lower case and without port. Must be cheap: it is asked for every request.
    fn owns(&self, host: &str, path: &str) -> bool;

    /// The service that signatures of such requests are scoped to: `execute-api`, `lambda`. `None`: nobody signs here.
    fn signing_name(&self) -> Option<&'static str> {
        None
    }

    /// Answers it. The caller is whoever signed, anonymous if nobody did or the signature does not hold (then the
    /// origin has the refusal): whether it had to be signed, the data plane says.
    fn serve(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, HttpResponse>;
}

/// One AWS service: the table of contents of its crate.
pub struct Service {
    pub(crate) schema: &'static ServiceSchema,
    pub(crate) operations: HashMap<&'static str, Box<dyn Operable>>,
    pub(crate) tasks: Vec<TaskKind>,
    pub(crate) resources: Vec<ResourceType>,
    pub(crate) guard: Option<GuardFn>,
    pub(crate) news: Option<NewsFn>,
    pub(crate) data_plane: Option<Box<dyn DataPlane>>,
    pub(crate) violations: Violations,
    pub(crate) blob_tables: Vec<BlobTable>,
    cors: Option<CorsFn>,
    body_check: Option<BodyCheck>,
}

impl Service {
    pub fn new(schema: &'static ServiceSchema) -> Service {
        Service {
            schema,
            operations: HashMap::new(),
            tasks: Vec::new(),
            resources: Vec::new(),
            guard: None,
            news: None,
            data_plane: None,
            violations: validation_exception,
            blob_tables: Vec::new(),
            cors: None,
            body_check: None,
        }
    }

    /// Serves operation `O`: `access` says what it needs, `handler` does it.
    #[must_use]
    pub fn on<O: Operation>(
        mut self,
        access: impl Fn(&Ctx, &O::Input) -> Access + Send + Sync + 'static,
        handler: impl Handler<O>,
    ) -> Service {
        let registered = Registered { access, handler, operation: PhantomData::<fn() -> O> };
        self.operations.insert(O::SCHEMA.name, Box::new(registered));
        self
    }

    /// Does work that has no caller: what other operations left to be done, timers, pollers.
    #[must_use]
    pub fn task(mut self, kind: TaskKind) -> Service {
        self.tasks.push(kind);
        self
    }

    /// Offers a CloudFormation type.
    #[must_use]
    pub fn resource(mut self, resource: ResourceType) -> Service {
        self.resources.push(resource);
        self
    }

    /// Tells the resource policy of an ARN; asked before every request that names a resource of this service.
    #[must_use]
    pub fn resource_policy<F>(
        mut self,
        guard: impl Fn(Ctx, String) -> F + Send + Sync + 'static,
    ) -> Service
    where
        F: Future<Output = Result<ResourceGuard>> + Send + 'static,
    {
        self.guard = Some(Box::new(move |ctx, arn| Box::pin(guard(ctx, arn))));
        self
    }

    /// Tells which keys change when the resource of an ARN has something new to read: what its readers sleep on.
    #[must_use]
    pub fn news<F>(mut self, news: impl Fn(Ctx, String) -> F + Send + Sync + 'static) -> Service
    where
        F: Future<Output = Result<Vec<Key>>> + Send + 'static,
    {
        self.news = Some(Box::new(move |ctx, arn| Box::pin(news(ctx, arn))));
        self
    }

    #[must_use]
    pub fn data_plane(mut self, plane: impl DataPlane) -> Service {
        self.data_plane = Some(Box::new(plane));
        self
    }

    /// Replaces the error for input that breaks the model's constraints.
    #[must_use]
    pub fn violations(mut self, error: Violations) -> Service {
        self.violations = error;
        self
    }

    /// Answers browsers that call the service from another origin's page. An error refuses a preflight.
    #[must_use]
    pub fn cors<F>(
        mut self,
        cors: impl Fn(Ctx, CorsRequest) -> F + Send + Sync + 'static,
    ) -> Service
    where
        F: Future<Output = Result<CorsHeaders>> + Send + 'static,
    {
        self.cors = Some(Box::new(move |ctx, request| Box::pin(cors(ctx, request))));
        self
    }

    /// Checks each collected body before it is decoded (`Content-MD5`).
    #[must_use]
    pub fn body_check(mut self, check: BodyCheck) -> Service {
        self.body_check = Some(check);
        self
    }

    /// `None`: the service does not speak to browsers.
    pub fn run_cors(
        &self,
        ctx: Ctx,
        request: CorsRequest,
    ) -> Option<BoxFuture<'static, Result<CorsHeaders>>> {
        Some(self.cors.as_ref()?(ctx, request))
    }

    pub fn check_body(&self, request: &HttpRequest, body: &Bytes) -> Result<()> {
        self.body_check.map_or(Ok(()), |check| check(request, body))
    }

    pub fn schema(&self) -> &'static ServiceSchema {
        self.schema
    }

    pub fn operation(&self, name: &str) -> Option<&dyn Operable> {
        self.operations.get(name).map(AsRef::as_ref)
    }

    /// Names of the operations that are served, sorted.
    pub fn served(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.operations.keys().copied().collect();
        names.sort_unstable();
        names
    }

    pub fn violation_error(&self, operation: &OperationSchema, violations: &[Violation]) -> Error {
        (self.violations)(operation, violations)
    }

    pub fn plane(&self) -> Option<&dyn DataPlane> {
        self.data_plane.as_deref()
    }
}

/// AWS's sentence for input that breaks the model's constraints.
fn validation_exception(_: &OperationSchema, violations: &[Violation]) -> Error {
    Error::invalid("ValidationException", sereno_wire::validation_message(violations))
}

/// Does an operation: an `async fn(Ctx, Input) -> Result<Output>`.
pub trait Handler<O: Operation>: Send + Sync + 'static {
    fn run(&self, ctx: Ctx, input: O::Input) -> BoxFuture<'static, Result<O::Output>>;
}

impl<O, F, R> Handler<O> for F
where
    O: Operation,
    F: Fn(Ctx, O::Input) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O::Output>> + Send + 'static,
{
    fn run(&self, ctx: Ctx, input: O::Input) -> BoxFuture<'static, Result<O::Output>> {
        Box::pin(self(ctx, input))
    }
}

/// An operation whose types are erased, so that one pipeline serves all.
pub trait Operable: Send + Sync {
    fn schema(&self) -> &'static OperationSchema;

    fn decode(
        &self,
        protocol: Protocol,
        route: &Route,
        request: HttpRequest,
        body: Bytes,
    ) -> Result<Box<dyn DynShape>, DecodeError>;

    /// Reads the JSON protocol's form: calls made from templates, not from code.
    fn input_from_json(&self, json: &serde_json::Value) -> Result<Box<dyn DynShape>, DecodeError>;

    fn access(&self, ctx: &Ctx, input: &dyn DynShape) -> Access;

    fn run(
        &self,
        ctx: Ctx,
        input: Box<dyn DynShape>,
    ) -> BoxFuture<'static, Result<Box<dyn DynShape>>>;
}

struct Registered<O, A, H> {
    access: A,
    handler: H,
    operation: PhantomData<fn() -> O>,
}

impl<O, A, H> Operable for Registered<O, A, H>
where
    O: Operation,
    A: Fn(&Ctx, &O::Input) -> Access + Send + Sync + 'static,
    H: Handler<O>,
{
    fn schema(&self) -> &'static OperationSchema {
        O::SCHEMA
    }

    fn decode(
        &self,
        protocol: Protocol,
        route: &Route,
        request: HttpRequest,
        body: Bytes,
    ) -> Result<Box<dyn DynShape>, DecodeError> {
        let input = sereno_wire::decode::<O>(protocol, route, request, body)?;
        Ok(Box::new(input))
    }

    fn input_from_json(&self, json: &serde_json::Value) -> Result<Box<dyn DynShape>, DecodeError> {
        Ok(Box::new(sereno_wire::from_json::<O::Input>(json)?))
    }

    fn access(&self, ctx: &Ctx, input: &dyn DynShape) -> Access {
        let input: &dyn Any = input.as_any();
        let input = input.downcast_ref().expect("the pipeline passes on what decode made");
        (self.access)(ctx, input)
    }

    fn run(
        &self,
        ctx: Ctx,
        input: Box<dyn DynShape>,
    ) -> BoxFuture<'static, Result<Box<dyn DynShape>>> {
        let input = input.into_any().downcast().expect("the pipeline passes on what decode made");
        let output = self.handler.run(ctx, *input);
        Box::pin(async move { Ok(Box::new(output.await?) as Box<dyn DynShape>) })
    }
}
