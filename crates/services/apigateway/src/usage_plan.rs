//! Usage plans, their keys, and what was used of them.

use std::collections::BTreeMap;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request, conflict, not_found};
use crate::patch::{self, Patch};
use crate::state::{
    ApiKeyRecord, EXTENDED, KEY_PLANS, PLAN_KEYS, PlanStageRecord, QuotaRecord, STAGES,
    ThrottleRecord, USAGE_PLANS, USED, UsagePlanRecord,
};
use crate::{api_key, ids, page, quota, shapes, tags};

pub async fn create(
    ctx: Ctx,
    input: api::CreateUsagePlanInput,
) -> Result<api::CreateUsagePlanOutput> {
    if input.name.is_empty() {
        return Err(bad_request("Usage Plan name cannot be empty"));
    }
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    let stages = input.api_stages.unwrap_or_default().into_iter().map(|stage| {
        let throttle = stage.throttle.unwrap_or_default().into_iter();
        Ok(PlanStageRecord {
            api_id: stage.api_id.ok_or_else(|| bad_request("Invalid API Stage specified"))?,
            stage: stage.stage.ok_or_else(|| bad_request("Invalid API Stage specified"))?,
            throttle: throttle.map(|(path, limit)| (path, throttle_of(&limit))).collect(),
        })
    });
    let record = UsagePlanRecord {
        id: ids::short(&ctx),
        name: input.name,
        description: input.description.filter(|text| !text.is_empty()),
        stages: stages.collect::<Result<Vec<_>>>()?,
        throttle: input.throttle.as_ref().map(throttle_of),
        quota: input.quota.map(quota_of).transpose()?,
        product_code: None,
        tags,
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        for stage in &record.stages {
            stage_exists(&ctx, txn, &record.id, stage).await?;
        }
        USAGE_PLANS.put(txn, ctx.scope(), record.id.as_str(), &record);
    })?;
    Ok(shapes::usage_plan(record))
}

fn throttle_of(settings: &api::ThrottleSettings) -> ThrottleRecord {
    ThrottleRecord {
        burst_limit: settings.burst_limit.unwrap_or_default(),
        rate_limit: settings.rate_limit.unwrap_or_default(),
    }
}

fn quota_of(settings: api::QuotaSettings) -> Result<QuotaRecord> {
    let record = QuotaRecord {
        limit: settings.limit.unwrap_or_default(),
        offset: settings.offset.unwrap_or_default(),
        period: settings.period.map(|period| period.to_string()).unwrap_or_default(),
    };
    check_quota(&record)?;
    Ok(record)
}

fn check_quota(quota: &QuotaRecord) -> Result<()> {
    let offset_max = match quota.period.as_str() {
        "DAY" => 0,
        "WEEK" => 6,
        "MONTH" => 27,
        _ => return Err(bad_request("Usage Plan quota period must be one of DAY, WEEK, MONTH")),
    };
    if quota.limit < 1 {
        return Err(bad_request("Usage Plan quota limit must be greater than 0"));
    }
    if !(0..=offset_max).contains(&quota.offset) {
        return Err(bad_request(format!(
            "Usage Plan quota offset must be zero in the {} period",
            quota.period
        )));
    }
    Ok(())
}

async fn stage_exists(ctx: &Ctx, txn: &mut Txn, plan: &str, stage: &PlanStageRecord) -> Result<()> {
    let key = (stage.api_id.as_str(), stage.stage.as_str());
    if STAGES.get(txn, ctx.scope(), &key).await?.is_some() {
        return Ok(());
    }
    Err(not_found(format!(
        "Invalid API Stage {{api: {}, stage: {}}} specified for usageplan {plan}",
        stage.api_id, stage.stage
    )))
}

pub async fn load(ctx: &Ctx, id: &str) -> Result<UsagePlanRecord> {
    USAGE_PLANS.get(ctx.store(), ctx.scope(), id).await?.ok_or_else(errors::usage_plan)
}

/// One plan shows its tags even if there are none (recorded: `test_usage_plan_crud`).
fn with_tags(record: UsagePlanRecord) -> api::UsagePlan {
    let tags = record.tags.clone();
    api::UsagePlan { tags: Some(tags), ..shapes::usage_plan(record) }
}

pub async fn get(ctx: Ctx, input: api::GetUsagePlanInput) -> Result<api::GetUsagePlanOutput> {
    Ok(with_tags(load(&ctx, &input.usage_plan_id).await?))
}

pub async fn list(ctx: Ctx, input: api::GetUsagePlansInput) -> Result<api::GetUsagePlansOutput> {
    let all = USAGE_PLANS.list(ctx.scope(), ()).read(ctx.store()).await?;
    let mut all: Vec<UsagePlanRecord> = all.into_iter().map(|(_, record)| record).collect();
    if let Some(key) = &input.key_id {
        let plans = KEY_PLANS.list(ctx.scope(), (key.as_str(),)).read(ctx.store()).await?;
        all.retain(|plan| plans.iter().any(|((_, id), _)| *id == plan.id));
    }
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shapes::usage_plan).collect();
    Ok(api::GetUsagePlansOutput { position: page.position, items: Some(items) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteUsagePlanInput,
) -> Result<api::DeleteUsagePlanOutput> {
    let id = input.usage_plan_id.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = USAGE_PLANS.get(txn, ctx.scope(), id).await?;
        let record = found.ok_or_else(errors::usage_plan)?;
        for stage in &record.stages {
            let key = (stage.api_id.as_str(), stage.stage.as_str());
            if STAGES.get(txn, ctx.scope(), &key).await?.is_some() {
                return Err(bad_request(format!(
                    "Cannot delete Usage Plan {id} because there are API Stages associated to it"
                )));
            }
        }
        for ((plan, key), _) in PLAN_KEYS.list(ctx.scope(), (id,)).read(txn).await? {
            PLAN_KEYS.delete(txn, ctx.scope(), &(plan.as_str(), key.as_str()));
            KEY_PLANS.delete(txn, ctx.scope(), &(key.as_str(), plan.as_str()));
        }
        USAGE_PLANS.delete(txn, ctx.scope(), id);
        api::DeleteUsagePlanOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateUsagePlanInput,
) -> Result<api::UpdateUsagePlanOutput> {
    let patches = patch::read(input.patch_operations)?;
    let id = input.usage_plan_id.as_str();
    let record: UsagePlanRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = USAGE_PLANS.get(txn, ctx.scope(), id).await?;
        let mut record = found.ok_or_else(errors::usage_plan)?;
        for patch in &patches {
            if let Some(stage) = change(&mut record, patch)? {
                stage_exists(&ctx, txn, id, &stage).await?;
                let known =
                    |s: &PlanStageRecord| s.api_id == stage.api_id && s.stage == stage.stage;
                if !record.stages.iter().any(known) {
                    record.stages.push(stage);
                }
            }
        }
        if let Some(quota) = &record.quota {
            check_quota(quota)?;
        }
        USAGE_PLANS.put(txn, ctx.scope(), id, &record);
        record
    })?;
    Ok(with_tags(record))
}

/// Changes the record; a stage to add is given back, for it must exist.
/// Recorded: `test_usage_plan_crud`.
fn change(record: &mut UsagePlanRecord, patch: &Patch) -> Result<Option<PlanStageRecord>> {
    match patch.parts().as_slice() {
        ["name"] => patch.text().clone_into(&mut record.name),
        ["description"] => record.description = patch.some().filter(|_| !patch.removes()),
        ["productCode"] => record.product_code = patch.some().filter(|_| !patch.removes()),
        ["apiStages"] => return change_stages(record, patch),
        ["apiStages", stage, "throttle", path @ ..] => {
            let stage = find_stage(record, stage)?;
            change_stage_throttle(stage, patch, path)?;
        }
        ["throttle"] if patch.removes() => record.throttle = None,
        ["throttle", limit] => {
            let throttle = record.throttle.get_or_insert_default();
            change_throttle(throttle, patch, limit)?;
        }
        ["quota"] if patch.removes() => record.quota = None,
        ["quota", member] => {
            let quota = record.quota.get_or_insert_with(|| QuotaRecord {
                period: "MONTH".to_owned(),
                ..QuotaRecord::default()
            });
            match *member {
                "limit" => quota.limit = patch.number()?,
                "offset" => quota.offset = patch.number()?,
                "period" => patch.text().clone_into(&mut quota.period),
                _ => return Err(patch.bad_path()),
            }
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(None)
}

fn change_throttle(throttle: &mut ThrottleRecord, patch: &Patch, limit: &str) -> Result<()> {
    match limit {
        "burstLimit" => throttle.burst_limit = patch.number()?,
        "rateLimit" => throttle.rate_limit = patch.number()?,
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

/// `/apiStages` with the value `{api}:{stage}`.
fn change_stages(record: &mut UsagePlanRecord, patch: &Patch) -> Result<Option<PlanStageRecord>> {
    let invalid = || bad_request("Invalid API Stage specified");
    let (api_id, stage) = patch.text().split_once(':').ok_or_else(invalid)?;
    if patch.removes() {
        let before = record.stages.len();
        record.stages.retain(|s| s.api_id != api_id || s.stage != stage);
        if record.stages.len() == before {
            // Recorded: `test_usage_plan_crud`.
            return Err(not_found(format!(
                "Invalid API Stage {{api: {api_id}, stage: {stage}}} specified for usageplan {}",
                record.id
            )));
        }
        return Ok(None);
    }
    Ok(Some(PlanStageRecord {
        api_id: api_id.to_owned(),
        stage: stage.to_owned(),
        throttle: BTreeMap::new(),
    }))
}

fn find_stage<'a>(record: &'a mut UsagePlanRecord, name: &str) -> Result<&'a mut PlanStageRecord> {
    let (api_id, stage) = name.split_once(':').unwrap_or_default();
    let found = record.stages.iter_mut().find(|s| s.api_id == api_id && s.stage == stage);
    found.ok_or_else(|| bad_request("Invalid API Stage specified"))
}

/// `/apiStages/{api}:{stage}/throttle/~1pets/GET/rateLimit`
fn change_stage_throttle(stage: &mut PlanStageRecord, patch: &Patch, path: &[&str]) -> Result<()> {
    match path {
        [] if patch.removes() => stage.throttle.clear(),
        [resource, verb] if patch.removes() => {
            stage.throttle.remove(&format!("{resource}/{verb}"));
        }
        [resource, verb, limit] => {
            let throttle = stage.throttle.entry(format!("{resource}/{verb}")).or_default();
            change_throttle(throttle, patch, limit)?;
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

fn plan_key(record: ApiKeyRecord) -> api::UsagePlanKey {
    api::UsagePlanKey {
        id: Some(record.id),
        r#type: Some("API_KEY".to_owned()),
        value: Some(record.value),
        name: record.name,
    }
}

pub async fn create_key(
    ctx: Ctx,
    input: api::CreateUsagePlanKeyInput,
) -> Result<api::CreateUsagePlanKeyOutput> {
    if input.key_type != "API_KEY" {
        return Err(bad_request("Key type must be API_KEY"));
    }
    let key = match api_key::load(&ctx, &input.key_id).await {
        Ok(key) => key,
        Err(_) => return Err(not_found("Invalid API Key identifier specified")),
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        api_key::join(&ctx, txn, &input.usage_plan_id, &key).await?;
    })?;
    Ok(plan_key(key))
}

pub async fn get_key(
    ctx: Ctx,
    input: api::GetUsagePlanKeyInput,
) -> Result<api::GetUsagePlanKeyOutput> {
    let key = (input.usage_plan_id.as_str(), input.key_id.as_str());
    if PLAN_KEYS.get(ctx.store(), ctx.scope(), &key).await?.is_none() {
        return Err(errors::usage_plan_key());
    }
    Ok(plan_key(api_key::load(&ctx, &input.key_id).await?))
}

/// A plan that is not there has no keys (recorded: `test_get_usage_plan_api_keys`).
pub async fn list_keys(
    ctx: Ctx,
    input: api::GetUsagePlanKeysInput,
) -> Result<api::GetUsagePlanKeysOutput> {
    let plan = input.usage_plan_id.as_str();
    let members = PLAN_KEYS.list(ctx.scope(), (plan,)).read(ctx.store()).await?;
    let mut all = api_key::all(&ctx).await?;
    all.retain(|key| members.iter().any(|((_, id), _)| *id == key.id));
    if let Some(prefix) = &input.name_query {
        all.retain(|key| key.name.as_deref().unwrap_or_default().starts_with(prefix));
    }
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(plan_key).collect();
    Ok(api::GetUsagePlanKeysOutput { position: page.position, items: Some(items) })
}

pub async fn delete_key(
    ctx: Ctx,
    input: api::DeleteUsagePlanKeyInput,
) -> Result<api::DeleteUsagePlanKeyOutput> {
    let (plan, key) = (input.usage_plan_id.as_str(), input.key_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if PLAN_KEYS.get(txn, ctx.scope(), &(plan, key)).await?.is_none() {
            return Err(errors::usage_plan_key());
        }
        PLAN_KEYS.delete(txn, ctx.scope(), &(plan, key));
        KEY_PLANS.delete(txn, ctx.scope(), &(key, plan));
        api::DeleteUsagePlanKeyOutput::default()
    })
}

/// Per key and day: what was used and what remained of the quota.
/// <https://docs.aws.amazon.com/apigateway/latest/api/API_GetUsage.html>
pub async fn get_usage(ctx: Ctx, input: api::GetUsageInput) -> Result<api::GetUsageOutput> {
    let plan = load(&ctx, &input.usage_plan_id).await?;
    let (from, to) = (quota::day(&input.start_date), quota::day(&input.end_date));
    let (Some(from), Some(to)) = (from, to) else {
        return Err(bad_request("Usage dates must be in the form YYYY-MM-DD"));
    };
    if from > to {
        return Err(bad_request("Usage start date cannot be after the end date"));
    }
    let members = PLAN_KEYS.list(ctx.scope(), (plan.id.as_str(),)).read(ctx.store()).await?;
    let mut keys: Vec<String> = members.into_iter().map(|((_, key), _)| key).collect();
    if let Some(wanted) = &input.key_id {
        keys.retain(|key| key == wanted);
    }
    let page = page::cut(keys, |key| key, input.position.as_deref(), input.limit)?;
    let mut items = BTreeMap::new();
    for key in page.items {
        let days = quota::days(&ctx, &plan, &key, from, to).await?;
        if days.iter().any(|day| day.used > 0) {
            let days = days.into_iter().map(|day| vec![day.used, day.remaining]).collect();
            items.insert(key, days);
        }
    }
    Ok(api::Usage {
        usage_plan_id: Some(plan.id),
        start_date: Some(input.start_date),
        end_date: Some(input.end_date),
        position: page.position,
        items: Some(items),
    })
}

/// `/remaining` sets what is left of the current period.
pub async fn update_usage(
    ctx: Ctx,
    input: api::UpdateUsageInput,
) -> Result<api::UpdateUsageOutput> {
    let plan = load(&ctx, &input.usage_plan_id).await?;
    let Some(limit) = plan.quota.as_ref() else {
        return Err(conflict("Usage Plan has no quota to extend"));
    };
    let key = input.key_id.as_str();
    let today = quota::today(&ctx);
    let (first, _) = quota::period(limit, today);
    for patch in patch::read(input.patch_operations)? {
        if patch.path != "/remaining" {
            return Err(patch.none_of(&["/remaining"]));
        }
        let wanted: i64 = patch.number()?;
        let remaining = quota::remaining(&ctx, &plan, key, today).await?.unwrap_or_default();
        let place = (plan.id.clone(), key.to_owned(), quota::text(first));
        transact!(ctx.store(), sereno_kernel::Error, |txn| {
            EXTENDED.add(txn, ctx.scope(), &place, wanted - remaining);
        })?;
    }
    let days = quota::days(&ctx, &plan, key, today, today).await?;
    let days = days.into_iter().map(|day| vec![day.used, day.remaining]).collect();
    Ok(api::Usage {
        usage_plan_id: Some(plan.id),
        start_date: Some(quota::text(today)),
        end_date: Some(quota::text(today)),
        position: None,
        items: Some(BTreeMap::from([(key.to_owned(), days)])),
    })
}

/// Counts a request of a key; `Err` is no fault but a spent quota.
pub async fn count(ctx: &Ctx, plan: &UsagePlanRecord, key: &str) -> Result<bool> {
    let today = quota::today(ctx);
    if quota::remaining(ctx, plan, key, today).await?.is_some_and(|left| left <= 0) {
        return Ok(false);
    }
    let mut batch = sereno_store::Batch::new();
    let place = (plan.id.clone(), key.to_owned(), quota::text(today));
    USED.add(&mut batch, ctx.scope(), &place, 1);
    ctx.store().commit(batch).await?;
    Ok(true)
}
