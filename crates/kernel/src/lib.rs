//! The kernel: everything that is the same for every service.
//!
//! A service is a table of operations ([`Service`]). A request, from outside through the gateway or from another
//! service through [`Ctx::call`], becomes a [`Ctx`] (who asks, where, when) and a typed input, and goes one way:
//!
//! 1. *authorise*: the operation's [`Access`] is judged against identity, boundary, session and resource policies;
//! 2. *run*: the service's handler loads, decides, commits and answers;
//! 3. *audit* and *meter*: one [`AuditEvent`], and the request counted.
//!
//! There is no second way: [`Cloud::execute`] is the only caller of a handler.
//!
//! # A service in ten lines
//!
//! ```ignore
//! pub fn service() -> Service {
//!     Service::new(&api::SERVICE)
//!         .on::<api::GetItem>(|ctx, input| access::table(ctx, "dynamodb:GetItem", &input.table_name), item::get)
//!         .resource(resources::table())
//!         .task(tasks::expire())
//! }
//!
//! // item.rs
//! pub async fn get(ctx: Ctx, input: api::GetItemInput) -> Result<api::GetItemOutput> {
//!     let table = table::load(&ctx, &input.table_name).await?;      // load
//!     let key = rules::key(&table, &input.key)?;                    // decide
//!     ...                                                           // commit
//!     Ok(api::GetItemOutput { item, ..Default::default() })         // answer
//! }
//! ```
//!
//! What a handler may know of the world it asks of its [`Ctx`]: time ([`Ctx::now`]), chance ([`Ctx::fill_random`]),
//! data ([`Ctx::store`], [`Ctx::blobs`]), other services ([`Ctx::call`]), and the ports ([`Sandbox`], [`HttpClient`],
//! [`Identities`]).
//!
//! An effect on something else is a [`task`]: written in the same commit as its cause, carried out until done.

mod access;
mod audit;
mod authorise;
mod caller;
mod caller_record;
mod clock;
mod cloud;
mod ctx;
mod error;
mod meter;
mod ports;
mod resource;
pub mod sandbox;
mod seal;
mod service;
mod sweep;
pub mod task;

use std::pin::Pin;

pub use access::{Access, Need};
pub use audit::{AuditEvent, AuditSink};
pub use authorise::derive_key;
pub use caller::{Caller, FederatedUser, RoleSession, ServicePrincipal, User};
pub use clock::{Clock, ManualClock, Random, SeededRandom, SystemClock, SystemRandom};
pub use cloud::{Cloud, CloudBuilder};
pub use ctx::{Ctx, Origin};
pub use error::{Error, Kind, Result};
pub use meter::{Meter, Usage};
pub use ports::{Credential, CredentialError, HttpClient, Identities, IdentityPolicies, RoleInfo};
pub use resource::{ResourceRequest, ResourceState, ResourceType};
pub use sandbox::{Credentials, Sandbox};
pub use service::{CorsHeaders, CorsRequest, DataPlane, Handler, Operable, ResourceGuard, Service};
pub use task::{Outcome, Task, TaskKind};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
