//! The resource types that CloudFormation makes itself.

mod condition;
mod custom;
mod handle;
mod macro_type;
mod nested;

use sereno_kernel::{Error, ResourceState};

use crate::engine::{Deed, Order};
use crate::types;

pub use nested::Child;

/// Does what the order says.
pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    match order.type_name.as_str() {
        types::STACK => nested::run(order).await,
        types::WAIT_CONDITION => condition::run(order).await,
        types::WAIT_HANDLE => handle::run(order).await,
        types::MACRO => macro_type::run(order).await,
        types::CDK_METADATA => Ok(ResourceState::new(match order.deed {
            Deed::Create => order.request.suggested_name.clone(),
            _ => order.request.physical_id.clone(),
        })),
        _ => custom::run(order).await,
    }
}

/// The uuid at the end of a stack's ARN.
pub fn stack_uuid(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
