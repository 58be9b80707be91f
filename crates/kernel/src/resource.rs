//! A CloudFormation type: how the service that owns a thing makes, changes and removes it for a stack.
//!
//! The functions call the service's own operations through `ctx.call`, so that a stack can do exactly what its
//! owner may do. They may be run again after a crash with the same `token`: a second run adopts what the first made.

use serde_json::{Map, Value};

use crate::{BoxFuture, Ctx, Error, Result};

/// The resource as the template and the stack know it.
#[derive(Clone, Debug, Default)]
pub struct ResourceRequest {
    pub stack_id: String,
    pub stack_name: String,
    pub logical_id: String,
    /// What create answered; empty while creating.
    pub physical_id: String,
    /// Resolved: no intrinsics left.
    pub properties: Map<String, Value>,
    /// The properties before an update; empty otherwise.
    pub previous: Map<String, Value>,
    /// Attributes answered by the last create or update.
    pub attributes: Map<String, Value>,
    /// The stack's tags and `aws:cloudformation:*`.
    pub tags: Vec<(String, String)>,
    /// `{stack}-{logical id}-{random}`: the name if the template gives none.
    pub suggested_name: String,
    /// The same for every try of one change: a client token.
    pub token: String,
}

/// What the template can refer to afterwards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceState {
    /// What `Ref` gives.
    pub physical_id: String,
    /// What `Fn::GetAtt` gives.
    pub attributes: Map<String, Value>,
}

impl ResourceState {
    pub fn new(physical_id: impl Into<String>) -> ResourceState {
        ResourceState { physical_id: physical_id.into(), attributes: Map::new() }
    }

    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<Value>) -> ResourceState {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

type Change =
    Box<dyn Fn(Ctx, ResourceRequest) -> BoxFuture<'static, Result<ResourceState>> + Send + Sync>;
type Removal = Box<dyn Fn(Ctx, ResourceRequest) -> BoxFuture<'static, Result<()>> + Send + Sync>;
type Replaces = fn(previous: &Map<String, Value>, properties: &Map<String, Value>) -> bool;

/// One CloudFormation type.
pub struct ResourceType {
    name: &'static str,
    create_only: &'static [&'static str],
    replaces: Option<Replaces>,
    create: Option<Change>,
    update: Option<Change>,
    delete: Option<Removal>,
}

impl ResourceType {
    pub fn new(name: &'static str) -> ResourceType {
        ResourceType {
            name,
            create_only: &[],
            replaces: None,
            create: None,
            update: None,
            delete: None,
        }
    }

    /// Properties whose change makes a new resource.
    #[must_use]
    pub fn create_only(mut self, properties: &'static [&'static str]) -> ResourceType {
        self.create_only = properties;
        self
    }

    /// Further changes that make a new resource.
    #[must_use]
    pub fn replaces(mut self, replaces: Replaces) -> ResourceType {
        self.replaces = Some(replaces);
        self
    }

    #[must_use]
    pub fn create<F>(
        mut self,
        create: impl Fn(Ctx, ResourceRequest) -> F + Send + Sync + 'static,
    ) -> ResourceType
    where
        F: Future<Output = Result<ResourceState>> + Send + 'static,
    {
        self.create = Some(Box::new(move |ctx, request| Box::pin(create(ctx, request))));
        self
    }

    /// Without it every change makes a new resource.
    #[must_use]
    pub fn update<F>(
        mut self,
        update: impl Fn(Ctx, ResourceRequest) -> F + Send + Sync + 'static,
    ) -> ResourceType
    where
        F: Future<Output = Result<ResourceState>> + Send + 'static,
    {
        self.update = Some(Box::new(move |ctx, request| Box::pin(update(ctx, request))));
        self
    }

    /// Must succeed when the thing is gone already.
    #[must_use]
    pub fn delete<F>(
        mut self,
        delete: impl Fn(Ctx, ResourceRequest) -> F + Send + Sync + 'static,
    ) -> ResourceType
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.delete = Some(Box::new(move |ctx, request| Box::pin(delete(ctx, request))));
        self
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn create_only_properties(&self) -> &'static [&'static str] {
        self.create_only
    }

    /// Whether going from `previous` to `properties` needs a new resource.
    pub fn needs_replacement(
        &self,
        previous: &Map<String, Value>,
        properties: &Map<String, Value>,
    ) -> bool {
        self.update.is_none()
            || self.create_only.iter().any(|name| previous.get(*name) != properties.get(*name))
            || self.replaces.is_some_and(|replaces| replaces(previous, properties))
    }

    pub fn run_create(
        &self,
        ctx: Ctx,
        request: ResourceRequest,
    ) -> BoxFuture<'static, Result<ResourceState>> {
        match &self.create {
            Some(create) => create(ctx, request),
            None => self.lacks("created"),
        }
    }

    pub fn run_update(
        &self,
        ctx: Ctx,
        request: ResourceRequest,
    ) -> BoxFuture<'static, Result<ResourceState>> {
        match &self.update {
            Some(update) => update(ctx, request),
            None => self.lacks("updated"),
        }
    }

    pub fn run_delete(&self, ctx: Ctx, request: ResourceRequest) -> BoxFuture<'static, Result<()>> {
        match &self.delete {
            Some(delete) => delete(ctx, request),
            None => self.lacks("deleted"),
        }
    }

    fn lacks<T: Send + 'static>(&self, what: &'static str) -> BoxFuture<'static, Result<T>> {
        let message = format!("{} cannot be {what}", self.name);
        Box::pin(async move { Err(Error::not_implemented(message)) })
    }
}
