//! Who am I, whose key is this.

use sereno_api_sts as api;
use sereno_base::account_of_access_key;
use sereno_kernel::{Ctx, Result};

use crate::errors;

pub async fn caller(
    ctx: Ctx,
    _input: api::GetCallerIdentityInput,
) -> Result<api::GetCallerIdentityOutput> {
    let caller = ctx.caller();
    Ok(api::GetCallerIdentityOutput {
        user_id: Some(caller.user_id()),
        account: Some(caller.account().unwrap_or(ctx.account()).to_string()),
        arn: Some(caller.arn()),
    })
}

/// The id holds its account, whether or not there is such a key (as in AWS).
pub async fn access_key_info(
    _ctx: Ctx,
    input: api::GetAccessKeyInfoInput,
) -> Result<api::GetAccessKeyInfoOutput> {
    match account_of_access_key(&input.access_key_id) {
        Some(account) => Ok(api::GetAccessKeyInfoOutput { account: Some(account.to_string()) }),
        None => Err(errors::validation("Invalid access key ID.")),
    }
}

/// Only EC2's errors carry encoded messages, and no service here makes any: so none is valid.
pub async fn decode_message(
    _ctx: Ctx,
    _input: api::DecodeAuthorizationMessageInput,
) -> Result<api::DecodeAuthorizationMessageOutput> {
    Err(errors::undecodable())
}
