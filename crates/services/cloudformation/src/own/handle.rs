//! `AWS::CloudFormation::WaitConditionHandle`: an address to which anyone may report.

use sereno_kernel::{Error, ResourceState};

use super::stack_uuid;
use crate::callback;
use crate::engine::{Deed, Order};
use crate::state::CallbackRecord;

pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    let (ctx, request) = (&order.ctx, &order.request);
    match order.deed {
        Deed::Create => {
            let token = callback::token(ctx, &request.token);
            let record = CallbackRecord {
                stack_id: stack_uuid(&request.stack_id).to_owned(),
                logical_id: request.logical_id.clone(),
                created_ms: ctx.now().millis(),
                many: true,
                ..Default::default()
            };
            callback::open(ctx, &token, &record).await?;
            Ok(ResourceState::new(callback::url(ctx, &token, true)))
        }
        Deed::Update => Ok(ResourceState::new(request.physical_id.clone())),
        Deed::Delete => {
            callback::close(ctx, callback::token_of(&request.physical_id)).await?;
            Ok(ResourceState::default())
        }
    }
}
