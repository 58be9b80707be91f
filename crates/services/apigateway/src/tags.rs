//! Tags, and the account's own settings.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request};
use crate::state::{
    ACCOUNT, ACCOUNT_KEY, API_KEYS, APIS, AccountRecord, DOMAINS, STAGES, USAGE_PLANS,
};
use crate::{patch, role};

const TAGS_MAX: usize = 50;

pub fn check(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(bad_request("A resource can have at most 50 tags"));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(bad_request(format!("Invalid tag: {key}")));
        }
        if key.to_lowercase().starts_with("aws:") && !key.starts_with("aws:cloudformation:") {
            return Err(bad_request(
                "aws: prefixed tag key names are not allowed for external use.",
            ));
        }
    }
    Ok(())
}

/// Changes the tags of what an ARN names, if `change` says so; answers with them.
async fn change(
    ctx: &Ctx,
    txn: &mut Txn,
    arn: &str,
    change: &(dyn Fn(&mut BTreeMap<String, String>) -> Result<bool> + Sync),
) -> Result<BTreeMap<String, String>> {
    let scope = ctx.scope();
    let path = path_of(arn)?;
    macro_rules! on {
        ($table:expr, $key:expr, $missing:expr) => {{
            let mut record = $table.get(txn, scope, $key).await?.ok_or_else(|| $missing)?;
            if change(&mut record.tags)? {
                $table.put(txn, scope, $key, &record);
            }
            Ok(record.tags)
        }};
    }
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["restapis", id] => on!(APIS, *id, errors::api(ctx.account(), id)),
        ["restapis", id, "stages", stage] => on!(STAGES, &(*id, *stage), errors::stage()),
        ["apikeys", id] => on!(API_KEYS, *id, errors::api_key()),
        ["usageplans", id] => on!(USAGE_PLANS, *id, errors::usage_plan()),
        ["domainnames", name] => on!(DOMAINS, *name, errors::domain()),
        _ => Err(errors::not_found(format!("Invalid resource ARN specified: {arn}"))),
    }
}

/// `restapis/abc/stages/prod` of `arn:aws:apigateway:region::/restapis/abc/stages/prod`.
fn path_of(arn: &str) -> Result<String> {
    let decoded = if arn.contains('%') {
        sereno_base::percent_decode(arn).unwrap_or_else(|| arn.to_owned())
    } else {
        arn.to_owned()
    };
    let parts: Vec<&str> = decoded.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "apigateway", _, _, path] => Ok(path.trim_start_matches('/').to_owned()),
        _ => Err(bad_request(format!("Invalid ARN specified in the request: {arn}"))),
    }
}

pub async fn tag(ctx: Ctx, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    check(&input.tags)?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let add = |tags: &mut BTreeMap<String, String>| {
            tags.extend(input.tags.clone());
            check(tags).map(|()| true)
        };
        change(&ctx, txn, &input.resource_arn, &add).await?;
        api::TagResourceOutput::default()
    })
}

pub async fn untag(ctx: Ctx, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let remove = |tags: &mut BTreeMap<String, String>| {
            tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(true)
        };
        change(&ctx, txn, &input.resource_arn, &remove).await?;
        api::UntagResourceOutput::default()
    })
}

pub async fn get(ctx: Ctx, input: api::GetTagsInput) -> Result<api::GetTagsOutput> {
    let tags = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        change(&ctx, txn, &input.resource_arn, &|_| Ok(false)).await?
    })?;
    Ok(api::GetTagsOutput { tags: Some(tags) })
}

fn account(record: AccountRecord) -> api::Account {
    api::Account {
        cloudwatch_role_arn: record.cloudwatch_role_arn,
        throttle_settings: Some(api::ThrottleSettings {
            burst_limit: Some(5000),
            rate_limit: Some(10_000.0),
        }),
        features: Some(vec!["UsagePlans".to_owned()]),
        api_key_version: Some("4".to_owned()),
    }
}

pub async fn get_account(ctx: Ctx, _: api::GetAccountInput) -> Result<api::GetAccountOutput> {
    let found = ACCOUNT.get(ctx.store(), ctx.scope(), ACCOUNT_KEY).await?;
    Ok(account(found.unwrap_or_default()))
}

/// <https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateAccount.html>
pub async fn update_account(
    ctx: Ctx,
    input: api::UpdateAccountInput,
) -> Result<api::UpdateAccountOutput> {
    let patches = patch::read(input.patch_operations)?;
    role::pass_patched(&ctx, &patches, "/cloudwatchRoleArn").await?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut record = ACCOUNT.get(txn, ctx.scope(), ACCOUNT_KEY).await?.unwrap_or_default();
        for patch in &patches {
            match patch.path.as_str() {
                "/cloudwatchRoleArn" => {
                    record.cloudwatch_role_arn = patch.some().filter(|_| !patch.removes());
                    if record.cloudwatch_role_arn.as_deref().is_some_and(|a| !a.starts_with("arn:"))
                    {
                        return Err(bad_request("Invalid ARN specified in the request"));
                    }
                }
                // Usage plans are always on.
                "/features" if patch.text() == "UsagePlans" => {}
                _ => return Err(patch.none_of(&["/cloudwatchRoleArn", "/features"])),
            }
        }
        ACCOUNT.put(txn, ctx.scope(), ACCOUNT_KEY, &record);
        account(record)
    })
}
