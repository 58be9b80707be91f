//! `AWS::Serverless-2016-10-31`: SAM, done by the crate `sereno-sam`.

use std::collections::BTreeMap;

use serde_json::Value;
use sereno_api_iam::{ListPolicies, ListPoliciesInput, PolicyScopeType};
use sereno_kernel::{Caller, Ctx};
use sereno_sam::SamContext;

use super::{Inputs, parameter_values};

pub async fn run(ctx: &Ctx, template: &Value, inputs: &Inputs<'_>) -> Result<Value, String> {
    let policies = managed_policies(ctx).await;
    let policy = |name: &str| policies.get(name).cloned();
    let context = SamContext {
        parameter_values: parameter_values(inputs),
        managed_policies: &policy,
        now_s: u64::try_from(ctx.now().secs()).unwrap_or_default(),
        ..SamContext::new(ctx.region().as_str(), ctx.partition())
    };
    sereno_sam::transform(template, &context)
        .map_err(|error| format!("Transform AWS::Serverless-2016-10-31 failed with: {error}"))
}

/// ARNs of the policies that AWS manages, by name. They are public: whoever deploys needs no right to list them.
async fn managed_policies(ctx: &Ctx) -> BTreeMap<String, String> {
    let ctx = ctx.as_caller(Caller::Root { account: ctx.account() });
    let mut found = BTreeMap::new();
    let mut marker = None;
    loop {
        let input = ListPoliciesInput {
            scope: Some(PolicyScopeType::Aws),
            max_items: Some(1000),
            marker,
            ..Default::default()
        };
        // Without IAM names stay names, and fail where they are used.
        let Ok(page) = ctx.call::<ListPolicies>(input).await else { return found };
        for policy in page.policies.unwrap_or_default() {
            if let (Some(name), Some(arn)) = (policy.policy_name, policy.arn) {
                found.insert(name, arn);
            }
        }
        marker = page.marker;
        if marker.is_none() {
            return found;
        }
    }
}
