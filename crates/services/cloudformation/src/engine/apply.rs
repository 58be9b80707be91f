//! Touches one resource through its type, trying again what may succeed later.

use std::sync::Arc;
use std::time::Duration;

use sereno_kernel::{BoxFuture, Ctx, Error, ResourceRequest, ResourceState};
use tokio::sync::mpsc;

use crate::errors;
use crate::own;
use crate::types;

/// How often a request that may succeed later is repeated, with doubling pauses from one second on.
const RETRIES: u32 = 5;

/// A physical id that is known before the resource is complete.
pub struct Early {
    pub id: String,
    pub physical_id: String,
}

/// What is done to the real thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Create,
    Update,
    Delete,
}

/// The state after create and update, or the words for the event.
pub type Outcome = Result<ResourceState, String>;

/// Everything a deed needs, owned.
pub struct Order {
    pub ctx: Ctx,
    pub actor: Ctx,
    pub deed: Deed,
    pub type_name: String,
    pub request: ResourceRequest,
    pub early: mpsc::UnboundedSender<Early>,
}

impl Order {
    /// Starts the deed.
    pub fn start(self) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let mut tries = 0;
            loop {
                match self.once().await {
                    Ok(state) => return Ok(state),
                    Err(error) if error.is_transient() && tries < RETRIES => {
                        let pause = Duration::from_secs(1 << tries);
                        tries += 1;
                        let until = self.ctx.now().plus(pause);
                        self.ctx.cloud().clock().sleep_until(until).await;
                    }
                    Err(error) => return Err(self.words(&error)),
                }
            }
        })
    }

    async fn once(&self) -> Result<ResourceState, Error> {
        if types::is_own(&self.type_name) {
            return own::run(self).await;
        }
        let cloud = Arc::clone(self.ctx.cloud());
        let Some(resource) = cloud.resource_type(&self.type_name) else {
            return Err(errors::validation(format!(
                "Unrecognized resource type: {}",
                self.type_name
            )));
        };
        let (actor, request) = (self.actor.clone(), self.request.clone());
        match self.deed {
            Deed::Create => resource.run_create(actor, request).await,
            Deed::Update => resource.run_update(actor, request).await,
            Deed::Delete => {
                resource.run_delete(actor, request).await.map(|()| ResourceState::default())
            }
        }
    }

    fn words(&self, error: &Error) -> String {
        // CloudFormation's own types say it in their own words.
        if types::is_own(&self.type_name) {
            return error.message().to_owned();
        }
        errors::handler_message(error, &self.request.token)
    }

    /// Tells the physical id before the resource is complete.
    pub fn tell_early(&self, physical_id: &str) {
        let id = self.request.logical_id.clone();
        // Nobody listens any more only when the operation itself has been dropped.
        let _ = self.early.send(Early { id, physical_id: physical_id.to_owned() });
    }
}
