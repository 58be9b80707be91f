//! Resource policies: which services may write logs. An account has up to ten in a region, and they
//! hold for every group that they name.

use std::sync::Arc;

use serde_json::{Value, json};
use sereno_api_logs as api;
use sereno_kernel::{Ctx, Error, ResourceGuard, Result};
use sereno_policy::{Policy, validate};
use sereno_store::transact;

use crate::state::{POLICIES, PolicyRecord};
use crate::{errors, token};

const POLICIES_MAX: usize = 10;
const DOCUMENT_BYTES_MAX: usize = 5120;

pub async fn put(
    ctx: Ctx,
    input: api::PutResourcePolicyInput,
) -> Result<api::PutResourcePolicyOutput> {
    refuse_unserved(input.resource_arn.as_ref(), input.expected_revision_id.as_ref())?;
    let (Some(name), Some(document)) = (input.policy_name, input.policy_document) else {
        return Err(errors::invalid("Both policyName and policyDocument must be specified."));
    };
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(errors::invalid(format!(
            "The policy document is longer than {DOCUMENT_BYTES_MAX} characters."
        )));
    }
    compile([document.as_str()])
        .map_err(|flaw| errors::invalid(format!("Resource policy is not valid: {flaw}")))?;
    let updated_ms = ctx.now().millis();
    transact!(ctx.store(), Error, |txn| {
        let others = POLICIES.list(ctx.scope(), ()).read(txn).await?;
        let is_new = !others.iter().any(|(other, _)| *other == name);
        if is_new && others.len() >= POLICIES_MAX {
            return Err(errors::limit_exceeded());
        }
        let (name, document) = (name.clone(), document.clone());
        let record = PolicyRecord { name, document, updated_ms };
        POLICIES.put(txn, ctx.scope(), record.name.as_str(), &record);
        api::PutResourcePolicyOutput { resource_policy: Some(shown(record)), revision_id: None }
    })
}

fn refuse_unserved(resource: Option<&String>, revision: Option<&String>) -> Result<()> {
    if resource.is_some() || revision.is_some() {
        return Err(errors::unsupported("A policy on a single log group"));
    }
    Ok(())
}

fn shown(record: PolicyRecord) -> api::ResourcePolicy {
    api::ResourcePolicy {
        policy_name: Some(record.name),
        policy_document: Some(record.document),
        last_updated_time: Some(record.updated_ms),
        policy_scope: Some(api::PolicyScope::Account),
        ..Default::default()
    }
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeResourcePoliciesInput,
) -> Result<api::DescribeResourcePoliciesOutput> {
    refuse_unserved(input.resource_arn.as_ref(), None)?;
    if input.policy_scope == Some(api::PolicyScope::Resource) {
        let resource_policies = Some(Vec::new());
        return Ok(api::DescribeResourcePoliciesOutput { resource_policies, next_token: None });
    }
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(POLICIES_MAX);
    let mut list = POLICIES.list(ctx.scope(), ()).limit(limit + 1);
    if let Some(next) = &input.next_token {
        let [last] = token::parse_texts::<1>('p', next)?;
        list = list.after(last.as_str());
    }
    let mut found = list.read(ctx.store()).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_token = last.map(|(name, _)| token::texts('p', &[name]));
    let resource_policies = Some(found.into_iter().map(|(_, record)| shown(record)).collect());
    Ok(api::DescribeResourcePoliciesOutput { resource_policies, next_token })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteResourcePolicyInput,
) -> Result<api::DeleteResourcePolicyOutput> {
    refuse_unserved(input.resource_arn.as_ref(), input.expected_revision_id.as_ref())?;
    let name = input.policy_name.unwrap_or_default();
    transact!(ctx.store(), Error, |txn| {
        if POLICIES.get(txn, ctx.scope(), name.as_str()).await?.is_none() {
            return Err(errors::no_policy(&name));
        }
        POLICIES.delete(txn, ctx.scope(), name.as_str());
        api::DeleteResourcePolicyOutput::default()
    })
}

/// Before every request that names a group: all policies of the account as one.
pub async fn guard(ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    let records = POLICIES.list(ctx.scope(), ()).read(ctx.store()).await?;
    if records.is_empty() || !arn.contains(":log-group:") {
        return Ok(ResourceGuard::default());
    }
    let documents = records.iter().map(|(_, record)| record.document.as_str());
    let policy = compile(documents)
        .map_err(|flaw| Error::internal(format!("a stored resource policy: {flaw}")))?;
    Ok(ResourceGuard { policy: Some(Arc::new(policy)), ..Default::default() })
}

fn compile<'a>(documents: impl IntoIterator<Item = &'a str>) -> Result<Policy, String> {
    let mut statements = Vec::new();
    for text in documents {
        let mut document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match document["Statement"].take() {
            Value::Array(several) => statements.extend(several),
            one => statements.push(one),
        }
    }
    for resource in statements.iter_mut().filter_map(|statement| statement.get_mut("Resource")) {
        match resource {
            Value::Array(several) => several.iter_mut().for_each(as_arn),
            one => as_arn(one),
        }
    }
    let merged = json!({"Version": "2012-10-17", "Statement": statements});
    validate::resource(&merged.to_string()).map_err(|flaw| flaw.to_string())
}

/// AWS takes resources that are no ARNs. They hold for nothing.
/// recorded: LocalStack test_describe_resource_policies
fn as_arn(resource: &mut Value) {
    if let Value::String(text) = resource
        && text != "*"
        && !text.starts_with("arn:")
    {
        *text = format!("arn:aws:none:::{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"}, "Action": "logs:PutLogEvents",
        "Resource": "log_arn"}]}"#;

    #[test]
    fn merges_documents() {
        let one = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "logs:*",
            "Resource": "*"}}"#;
        assert!(compile([ALLOW, one]).is_ok());
        assert!(compile(["{}"]).is_err() && compile(["no json"]).is_err());
    }
}
