//! API keys, usage plans, and the stage's own throttling.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html>

use sereno_kernel::Error;

use super::Plane;
use super::call::Call;
use super::compiled::Plan;
use super::failure::Failure;
use super::throttle::Limit;
use crate::state::{
    API_KEY_VALUES, API_KEYS, KEY_PLANS, StageRecord, ThrottleRecord, USAGE_PLANS, UsagePlanRecord,
};
use crate::usage_plan;

/// Finds the key of a method that needs one, and counts the request against its plan.
pub async fn check(plane: &Plane, call: &mut Call, plan: &Plan) -> Result<(), Failure> {
    let value = match call.compiled.api.api_key_source.as_str() {
        "AUTHORIZER" => call.identity.usage_identifier.clone(),
        _ => call.headers.get("x-api-key").map(str::to_owned),
    };
    if !plan.method.api_key_required {
        return Ok(());
    }
    let value = value.filter(|value| !value.is_empty()).ok_or_else(Failure::forbidden)?;
    let unreadable = |error: Error| Failure::internal(error.to_string());
    let (key_id, usage) =
        find(call, &value).await.map_err(unreadable)?.ok_or_else(Failure::forbidden)?;
    call.identity.api_key = Some(value);
    call.identity.api_key_id = Some(key_id.clone());
    let name = format!("{}/{}", plan.resource_path, call.method);
    let of_stage = usage
        .stages
        .iter()
        .find(|stage| stage.api_id == call.api_id() && stage.stage == call.stage.name);
    let of_method = of_stage.and_then(|stage| stage.throttle.get(&name));
    let buckets = [
        (of_method, format!("plan {} {key_id} {name}", usage.id)),
        (usage.throttle.as_ref(), format!("plan {} {key_id}", usage.id)),
    ];
    for (throttle, bucket) in buckets {
        if let Some(throttle) = throttle
            && !plane.throttle.take(bucket, limit(throttle), call.time)
        {
            return Err(Failure::throttled());
        }
    }
    match usage_plan::count(&call.ctx, &usage, &key_id).await.map_err(unreadable)? {
        true => Ok(()),
        false => Err(Failure::quota_exceeded()),
    }
}

fn limit(throttle: &ThrottleRecord) -> Limit {
    Limit { rate: throttle.rate_limit, burst: f64::from(throttle.burst_limit) }
}

/// The enabled key with this value, and its plan for the call's stage.
async fn find(call: &Call, value: &str) -> Result<Option<(String, UsagePlanRecord)>, Error> {
    let (store, scope) = (call.ctx.store(), call.ctx.scope());
    let Some(key) = API_KEY_VALUES.get(store, scope, value).await? else { return Ok(None) };
    let Some(record) = API_KEYS.get(store, scope, key.id.as_str()).await? else { return Ok(None) };
    if !record.enabled {
        return Ok(None);
    }
    for ((_, plan_id), _) in KEY_PLANS.list(scope, (key.id.as_str(),)).read(store).await? {
        let Some(plan) = USAGE_PLANS.get(store, scope, plan_id.as_str()).await? else { continue };
        let has =
            plan.stages.iter().any(|s| s.api_id == call.api_id() && s.stage == call.stage.name);
        if has {
            return Ok(Some((key.id, plan)));
        }
    }
    Ok(None)
}

/// The stage's limit for the method: its own, or that of all methods.
pub fn throttled(plane: &Plane, call: &Call, plan: &Plan) -> Result<(), Failure> {
    let Some((bucket, limit)) = stage_limit(&call.stage, &plan.resource_path, &call.method) else {
        return Ok(());
    };
    let bucket = format!("stage {} {} {bucket}", call.api_id(), call.stage.name);
    if plane.throttle.take(bucket, limit, call.time) { Ok(()) } else { Err(Failure::throttled()) }
}

fn stage_limit<'a>(stage: &'a StageRecord, path: &str, method: &str) -> Option<(&'a str, Limit)> {
    if stage.method_settings.is_empty() {
        return None;
    }
    let own = format!("{}/{method}", path.trim_start_matches('/'));
    let settings = &stage.method_settings;
    let found = settings.get_key_value(&own).or_else(|| settings.get_key_value("*/*"));
    let (name, settings) = found?;
    let (rate, burst) = (settings.throttling_rate_limit?, settings.throttling_burst_limit?);
    // Negative: no limit of its own (CloudFormation and Terraform write -1).
    if rate < 0.0 || burst < 0 {
        return None;
    }
    Some((name, Limit { rate, burst: f64::from(burst) }))
}
