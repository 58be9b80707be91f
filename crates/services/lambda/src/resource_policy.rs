//! The resource policy of a function as one document, beside AddPermission's single statements.

use serde_json::Value;
use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_policy::validate;
use sereno_store::transact;

use crate::errors;
use crate::names::{FunctionName, LATEST};
use crate::permission::{POLICY_BYTES_MAX, document, policy_key, revise};
use crate::state::{POLICIES, PolicyRecord, head};

fn name(arn: &str) -> Result<FunctionName> {
    let name = FunctionName::parse(arn);
    match name.qualifier.as_deref() {
        Some(LATEST) => Err(errors::permission_on_latest()),
        _ => Ok(name),
    }
}

pub async fn get(
    ctx: Ctx,
    input: api::GetResourcePolicyInput,
) -> Result<api::GetResourcePolicyOutput> {
    let name = name(&input.resource_arn)?;
    let ctx = name.place(&ctx)?;
    head(&ctx, ctx.store(), &name.name).await?;
    let found = POLICIES.get(ctx.store(), ctx.scope(), &policy_key(&name)).await?;
    let record = found.ok_or_else(errors::policy_not_found)?;
    Ok(api::GetResourcePolicyOutput {
        policy: Some(document(&record).to_string()),
        revision_id: Some(record.revision_id),
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutResourcePolicyInput,
) -> Result<api::PutResourcePolicyOutput> {
    let name = name(&input.resource_arn)?;
    let ctx = name.place(&ctx)?;
    let statements = statements(&input.policy, &input.resource_arn)?;
    let record = transact!(ctx.store(), Error, |txn| {
        let revision_id = revise(&ctx, txn, &name, input.revision_id.as_deref()).await?;
        let record = PolicyRecord { statements: statements.clone(), revision_id };
        let length = document(&record).to_string().len();
        if length > POLICY_BYTES_MAX {
            return Err(errors::policy_too_large(length, POLICY_BYTES_MAX));
        }
        POLICIES.put(txn, ctx.scope(), &policy_key(&name), &record);
        record
    })?;
    Ok(api::PutResourcePolicyOutput {
        policy: Some(document(&record).to_string()),
        revision_id: Some(record.revision_id),
    })
}

/// The statements of a policy that is well formed and speaks of this resource only.
fn statements(policy: &str, arn: &str) -> Result<Vec<String>> {
    validate::resource(policy).map_err(|_| errors::policy_malformed())?;
    let document: Value = serde_json::from_str(policy).map_err(|_| errors::policy_malformed())?;
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        one @ Value::Object(_) => vec![one.clone()],
        _ => return Err(errors::policy_malformed()),
    };
    for statement in &statements {
        let resources = match &statement["Resource"] {
            Value::Array(resources) => resources.clone(),
            one => vec![one.clone()],
        };
        if resources.iter().any(|resource| resource.as_str() != Some(arn)) {
            return Err(errors::policy_of_other_resource(arn));
        }
    }
    Ok(statements.iter().map(Value::to_string).collect())
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteResourcePolicyInput,
) -> Result<api::DeleteResourcePolicyOutput> {
    let name = name(&input.resource_arn)?;
    let ctx = name.place(&ctx)?;
    transact!(ctx.store(), Error, |txn| {
        head(&ctx, txn, &name.name).await?;
        let key = policy_key(&name);
        if POLICIES.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::policy_not_found());
        }
        revise(&ctx, txn, &name, input.revision_id.as_deref()).await?;
        POLICIES.delete(txn, ctx.scope(), &key);
    })?;
    Ok(api::DeleteResourcePolicyOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_whole_and_of_their_resource() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        let policy = |resource: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Sid":"a","Effect":"Allow","Principal":"*",
                    "Action":"lambda:InvokeFunction","Resource":"{resource}"}}}}"#
            )
        };
        assert_eq!(statements(&policy(arn), arn).unwrap().len(), 1);
        assert!(statements(&policy("*"), arn).is_err());
        assert!(statements("{}", arn).is_err());
        assert!(statements("no", arn).is_err());
    }
}
