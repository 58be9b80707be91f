//! What can be set on a stack at any time, and what is asked of it in one breath.

use sereno_api_cloudformation::{
    AccountLimit, DescribeAccountLimitsInput, DescribeAccountLimitsOutput, GetStackPolicyInput,
    GetStackPolicyOutput, ResourceSignalStatus, SetStackPolicyInput, SetStackPolicyOutput,
    SignalResourceInput, SignalResourceOutput, UpdateTerminationProtectionInput,
    UpdateTerminationProtectionOutput,
};
use sereno_kernel::{Ctx, Result};
use sereno_store::Batch;

use super::options;
use crate::errors;
use crate::state::{RESOURCES, SIGNALS, SignalRecord};

pub async fn get_policy(ctx: Ctx, input: GetStackPolicyInput) -> Result<GetStackPolicyOutput> {
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    Ok(GetStackPolicyOutput { stack_policy_body: stack.policy })
}

pub async fn set_policy(ctx: Ctx, input: SetStackPolicyInput) -> Result<SetStackPolicyOutput> {
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack_with_id(&input.stack_name))?;
    let policy =
        options::policy_text(&ctx, input.stack_policy_body, input.stack_policy_url).await?;
    super::change(&ctx, &stack.id, |stack| {
        stack.policy.clone_from(&policy);
        Ok(())
    })
    .await?;
    Ok(SetStackPolicyOutput::default())
}

pub async fn termination_protection(
    ctx: Ctx,
    input: UpdateTerminationProtectionInput,
) -> Result<UpdateTerminationProtectionOutput> {
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    super::change(&ctx, &stack.id, |stack| {
        if stack.is_deleted() || stack.status == "DELETE_IN_PROGRESS" {
            return Err(errors::cannot_update(&stack.arn, &stack.status));
        }
        if stack.parent_arn.is_some() {
            return Err(errors::validation(
                "Termination protection cannot be changed for nested stacks.",
            ));
        }
        stack.termination_protection = input.enable_termination_protection;
        Ok(())
    })
    .await?;
    Ok(UpdateTerminationProtectionOutput { stack_id: Some(stack.arn) })
}

/// A signal for a resource that waits for signals.
pub async fn signal(ctx: Ctx, input: SignalResourceInput) -> Result<SignalResourceOutput> {
    let stack = super::find(&ctx, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| errors::no_stack(&input.stack_name))?;
    let (id, logical_id) = (stack.id.as_str(), input.logical_resource_id.as_str());
    let record = RESOURCES.get(ctx.store(), ctx.scope(), &(id, logical_id)).await?;
    let record = record.ok_or_else(|| errors::no_resource(logical_id, &stack.name))?;
    if record.status != "CREATE_IN_PROGRESS" && record.status != "UPDATE_IN_PROGRESS" {
        return Err(errors::validation(format!(
            "Resource {logical_id} is in {} state and cannot be signaled",
            record.status
        )));
    }
    let signal = SignalRecord {
        success: input.status == ResourceSignalStatus::Success,
        at_ms: ctx.now().millis(),
    };
    let resource = format!("{id}/{logical_id}");
    let mut batch = Batch::new();
    let key = (resource.as_str(), input.unique_id.as_str());
    SIGNALS.put(&mut batch, ctx.scope(), &key, &signal);
    ctx.store().commit(batch).await?;
    Ok(SignalResourceOutput::default())
}

/// AWS's defaults; nothing here is limited by them.
pub async fn account_limits(
    _ctx: Ctx,
    _input: DescribeAccountLimitsInput,
) -> Result<DescribeAccountLimitsOutput> {
    let limit =
        |name: &str, value: i32| AccountLimit { name: Some(name.to_owned()), value: Some(value) };
    let limits = vec![
        limit("StackLimit", 2000),
        limit("StackOutputsLimit", 200),
        limit("ConcurrentResourcesLimit", 2500),
    ];
    Ok(DescribeAccountLimitsOutput { account_limits: Some(limits), next_token: None })
}
