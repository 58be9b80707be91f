//! Resource policies: who else may invoke a function, version or alias.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use sereno_api_lambda as api;
use sereno_base::{AccountId, Arn, arn};
use sereno_kernel::{Ctx, Error, ResourceGuard, Result};
use sereno_policy::{Policy, validate};
use sereno_store::{Txn, transact};

use crate::errors;
use crate::names::{FunctionName, LATEST, function_arn, is_alias, is_version, resolve};
use crate::state::{
    ALIASES, FUNCTIONS, HEADS, LAYER_POLICIES, POLICIES, PolicyRecord, version_key,
};

pub const POLICY_BYTES_MAX: usize = 20_480;
const CACHED_MAX: usize = 4096;

/// Compiled policies by function ARN, each with the revision it was compiled from.
#[derive(Default)]
pub struct Guards {
    compiled: Mutex<HashMap<String, (String, Arc<Policy>)>>,
}

impl Guards {
    /// The policy on an ARN, for the kernel to judge with. One that cannot be compiled lets nobody in.
    pub async fn guard(self: Arc<Self>, ctx: Ctx, resource: String) -> Result<ResourceGuard> {
        let Some(record) = policy_of(&ctx, &resource).await? else {
            return Ok(ResourceGuard::default());
        };
        let known = {
            let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            compiled.get(&resource).filter(|(revision, _)| *revision == record.revision_id).cloned()
        };
        let policy = match known {
            Some((_, policy)) => policy,
            None => {
                let policy = validate::resource(&document(&record).to_string());
                let policy = policy.map_err(|malformed| {
                    Error::internal(format!("the policy of {resource} is malformed: {malformed:?}"))
                })?;
                let policy = Arc::new(policy);
                let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
                if compiled.len() >= CACHED_MAX {
                    compiled.clear();
                }
                compiled.insert(resource, (record.revision_id.clone(), Arc::clone(&policy)));
                policy
            }
        };
        Ok(ResourceGuard { policy: Some(policy), ..Default::default() })
    }
}

/// The policy on a function, version, alias or layer version.
async fn policy_of(ctx: &Ctx, resource: &str) -> Result<Option<PolicyRecord>> {
    let Some(arn) = Arn::parse(resource) else { return Ok(None) };
    if arn.resource.starts_with("function:") {
        let name = FunctionName::parse(resource);
        let ctx = name.locate(ctx);
        let key = (name.name.as_str(), name.qualifier.as_deref().unwrap_or_default());
        return Ok(POLICIES.get(ctx.store(), ctx.scope(), &key).await?);
    }
    let parts: Vec<&str> = arn.resource.split(':').collect();
    let (["layer", name, version], Some(account)) = (&parts[..], arn.account_id()) else {
        return Ok(None);
    };
    let Ok(version) = version.parse::<u64>() else { return Ok(None) };
    let scope = ctx.in_account(account).scope();
    Ok(LAYER_POLICIES.get(ctx.store(), scope, &(*name, version)).await?)
}

pub fn document(record: &PolicyRecord) -> Value {
    let statements: Vec<Value> =
        record.statements.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    json!({"Version": "2012-10-17", "Id": "default", "Statement": statements})
}

pub async fn add(ctx: Ctx, input: api::AddPermissionInput) -> Result<api::AddPermissionOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    if name.qualifier.as_deref() == Some(LATEST) {
        return Err(errors::permission_on_latest());
    }
    let ctx = name.place(&ctx)?;
    let statement = statement(&ctx, &name, &input)?.to_string();
    transact!(ctx.store(), Error, |txn| {
        let revision_id = revise(&ctx, txn, &name, input.revision_id.as_deref()).await?;
        let key = policy_key(&name);
        let mut record = POLICIES.get(txn, ctx.scope(), &key).await?.unwrap_or_default();
        if position(&record, &input.statement_id).is_some() {
            return Err(errors::statement_exists(&input.statement_id));
        }
        record.statements.push(statement.clone());
        record.revision_id = revision_id;
        let length = document(&record).to_string().len();
        if length > POLICY_BYTES_MAX {
            return Err(errors::policy_too_large(length, POLICY_BYTES_MAX));
        }
        POLICIES.put(txn, ctx.scope(), &key, &record);
    })?;
    Ok(api::AddPermissionOutput { statement: Some(statement) })
}

pub fn policy_key(name: &FunctionName) -> (&str, &str) {
    (&name.name, name.qualifier.as_deref().unwrap_or_default())
}

/// What can only be an alias must be one. Recorded: test_lambda_api.py::TestLambdaPermissions::test_permission_exceptions
async fn check_alias(ctx: &Ctx, txn: &Txn, name: &FunctionName) -> Result<()> {
    let Some(qualifier) = name.qualifier.as_deref().filter(|text| is_alias(text)) else {
        return Ok(());
    };
    let found = ALIASES.get(txn, ctx.scope(), &(name.name.as_str(), qualifier)).await?;
    found.map(drop).ok_or_else(|| errors::alias_not_found(ctx, &name.name, qualifier))
}

/// A change of the policy is a change of what it stands on: the function's, version's or alias's revision becomes the
/// policy's. A caller names the policy's revision, or, if there is none yet, that of what it will stand on.
/// Recorded: test_lambda_api.py::TestLambdaRevisions::test_function_revisions_permissions,
/// TestLambdaPermissions::test_lambda_permission_fn_versioning
pub async fn revise(
    ctx: &Ctx,
    txn: &mut Txn,
    name: &FunctionName,
    given: Option<&str>,
) -> Result<String> {
    let policy = POLICIES.get(txn, ctx.scope(), &policy_key(name)).await?;
    let wrong = |own: &str| {
        let current = policy.as_ref().map_or(own, |policy| policy.revision_id.as_str());
        given.is_some_and(|given| given != current)
    };
    check_alias(ctx, txn, name).await?;
    let revision_id = ctx.random_uuid();
    let alias = match name.qualifier.as_deref() {
        Some(qualifier) if !is_version(qualifier) => {
            let key = (name.name.as_str(), qualifier);
            ALIASES.get(txn, ctx.scope(), &key).await?.map(|alias| (key, alias))
        }
        _ => None,
    };
    if let Some((key, mut alias)) = alias {
        if wrong(&alias.revision_id) {
            return Err(errors::wrong_revision("GetPolicy"));
        }
        alias.revision_id.clone_from(&revision_id);
        ALIASES.put(txn, ctx.scope(), &key, &alias);
        return Ok(revision_id);
    }
    // Also says that there is no such function, version or alias.
    let mut function = resolve(ctx, txn, name, 1.0).await?.function;
    if wrong(&function.revision_id) {
        return Err(errors::wrong_revision("GetPolicy"));
    }
    function.revise(revision_id.clone());
    let version = version_key(&function.version);
    FUNCTIONS.put(txn, ctx.scope(), &(name.name.as_str(), version.as_str()), &function);
    Ok(revision_id)
}

pub fn position(record: &PolicyRecord, id: &str) -> Option<usize> {
    record.statements.iter().position(|text| {
        serde_json::from_str::<Value>(text).is_ok_and(|statement| statement["Sid"] == id)
    })
}

/// The statement as AWS writes it.
fn statement(ctx: &Ctx, name: &FunctionName, input: &api::AddPermissionInput) -> Result<Value> {
    let mut condition = Map::new();
    let mut equals = Map::new();
    let mut put = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            equals.insert(key.to_owned(), json!(value));
        }
    };
    put("AWS:SourceAccount", input.source_account.as_deref());
    put("aws:PrincipalOrgID", input.principal_org_id.as_deref());
    put("lambda:EventSourceToken", input.event_source_token.as_deref());
    let auth = input.function_url_auth_type.as_ref().map(api::FunctionUrlAuthType::as_str);
    put("lambda:FunctionUrlAuthType", auth);
    if !equals.is_empty() {
        condition.insert("StringEquals".to_owned(), Value::Object(equals));
    }
    if let Some(source) = &input.source_arn {
        condition.insert("ArnLike".to_owned(), json!({"AWS:SourceArn": source}));
    }
    if let Some(by_url) = input.invoked_via_function_url {
        let by_url = by_url.to_string();
        condition.insert("Bool".to_owned(), json!({"lambda:InvokedViaFunctionUrl": by_url}));
    }
    let mut statement = Map::new();
    statement.insert("Sid".to_owned(), json!(input.statement_id));
    statement.insert("Effect".to_owned(), json!("Allow"));
    statement.insert("Principal".to_owned(), principal(&input.principal)?);
    statement.insert("Action".to_owned(), json!(input.action));
    let resource = function_arn(ctx, &name.name, name.qualifier.as_deref());
    statement.insert("Resource".to_owned(), json!(resource));
    if !condition.is_empty() {
        statement.insert("Condition".to_owned(), Value::Object(condition));
    }
    Ok(Value::Object(statement))
}

/// Domains of services. Recorded: test_lambda_api.py::TestLambdaPermissions::test_permission_exceptions
const SERVICES: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".amazon.com"];

fn principal(given: &str) -> Result<Value> {
    if given == "*" {
        return Ok(json!("*"));
    }
    if let Ok(account) = given.parse::<AccountId>() {
        return Ok(json!({"AWS": arn("iam", None, Some(account), "root")}));
    }
    if given.starts_with("arn:") {
        return match Arn::parse(given) {
            Some(_) => Ok(json!({ "AWS": given })),
            None => Err(errors::principal_invalid()),
        };
    }
    if SERVICES.iter().any(|domain| given.ends_with(domain)) && !given.contains(['/', ':', ' ']) {
        return Ok(json!({ "Service": given }));
    }
    Err(errors::principal_invalid())
}

pub async fn remove(
    ctx: Ctx,
    input: api::RemovePermissionInput,
) -> Result<api::RemovePermissionOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    transact!(ctx.store(), Error, |txn| {
        if HEADS.get(txn, ctx.scope(), name.name.as_str()).await?.is_none() {
            let arn = function_arn(&ctx, &name.name, name.qualifier.as_deref());
            return Err(errors::no_policy_for(&arn));
        }
        check_alias(&ctx, txn, &name).await?;
        let key = policy_key(&name);
        let found = POLICIES.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::no_policy)?;
        let at = position(&record, &input.statement_id);
        let at = at.ok_or_else(|| errors::statement_not_found(&input.statement_id))?;
        let revision_id = revise(&ctx, txn, &name, input.revision_id.as_deref()).await?;
        record.statements.remove(at);
        record.revision_id = revision_id;
        if record.statements.is_empty() {
            POLICIES.delete(txn, ctx.scope(), &key);
        } else {
            POLICIES.put(txn, ctx.scope(), &key, &record);
        }
    })?;
    Ok(api::RemovePermissionOutput::default())
}

pub async fn get(ctx: Ctx, input: api::GetPolicyInput) -> Result<api::GetPolicyOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let found = POLICIES.get(ctx.store(), ctx.scope(), &policy_key(&name)).await?;
    let record = found.ok_or_else(errors::policy_not_found)?;
    Ok(api::GetPolicyOutput {
        policy: Some(document(&record).to_string()),
        revision_id: Some(record.revision_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals() {
        assert_eq!(principal("s3.amazonaws.com").unwrap(), json!({"Service": "s3.amazonaws.com"}));
        let root = json!({"AWS": "arn:aws:iam::123456789012:root"});
        assert_eq!(principal("123456789012").unwrap(), root);
        assert_eq!(principal("*").unwrap(), json!("*"));
        for bad in ["", "nobody", "arn:aws:iam", "a/b.c", "invalid.nonaws.com"] {
            assert!(principal(bad).is_err(), "{bad}");
        }
    }
}
