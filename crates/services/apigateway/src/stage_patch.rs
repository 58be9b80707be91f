//! What an `UpdateStage` may change.
//!
//! Recorded: `test_create_update_stages`, `test_stage_access_log_settings_validation`,
//! `test_update_stage_canary_deployment_validation`, `test_update_stage_with_copy_ops`.

use sereno_api_apigateway::Op;
use sereno_kernel::{Error, Result};

use crate::errors::bad_request;
use crate::patch::Patch;
use crate::stage;
use crate::state::{CanaryRecord, MethodSettingRecord, StageRecord};

/// AWS's own list, with its own slips.
const PATHS: &str = "/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, /accessLogSettings/destinationArn, /accessLogSettings/format, /{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, /{resourcePath}/{httpMethod}/logging/loglevel, /{resourcePath}/{httpMethod}/throttling/burstLimit/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, /{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, /{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, /*/*/metrics/enabled, /*/*/logging/dataTrace, /*/*/logging/loglevel, /*/*/throttling/burstLimit /*/*/throttling/rateLimit /*/*/caching/ttlInSeconds, /*/*/caching/enabled, /*/*/caching/dataEncrypted, /*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy, /variables/{variable_name}, /tracingEnabled";

fn bad_path(patch: &Patch) -> Error {
    bad_request(format!("Invalid method setting path: {}. Must be one of: [{PATHS}]", patch.path))
}

fn nothing_to_remove(patch: &Patch) -> Error {
    bad_request(format!(
        "Cannot remove method setting {} because there is no method setting for this method ",
        patch.path.trim_start_matches('/')
    ))
}

pub fn apply(record: &mut StageRecord, patch: &Patch) -> Result<()> {
    if patch.op == Op::Copy {
        return copy(record, patch);
    }
    match patch.parts().as_slice() {
        ["deploymentId"] => patch.text().clone_into(&mut record.deployment_id),
        ["description"] => record.description = patch.some().filter(|_| !patch.removes()),
        ["cacheClusterEnabled"] => {
            record.cache_cluster_enabled = patch.truth();
            if !patch.truth() {
                record.cache_cluster_size = None;
            } else if record.cache_cluster_size.is_none() {
                record.cache_cluster_size = Some("0.5".to_owned());
            }
        }
        ["cacheClusterSize"] => record.cache_cluster_size = patch.some(),
        ["clientCertificateId"] => {
            record.client_certificate_id = patch.some().filter(|_| !patch.removes());
        }
        ["tracingEnabled"] => record.tracing_enabled = patch.truth(),
        ["documentationVersion"] => record.documentation_version = patch.some(),
        ["variables", name] if patch.removes() => {
            record.variables.remove(*name);
        }
        ["variables", name] => {
            stage::check_variable(name, patch.text())?;
            record.variables.insert((*name).to_owned(), patch.text().to_owned());
        }
        ["accessLogSettings", rest @ ..] => return access_logs(record, patch, rest),
        ["canarySettings", rest @ ..] => return canary(record, patch, rest),
        [path @ .., verb, group, setting] if !path.is_empty() && !patch.removes() => {
            return method_setting(record, patch, &method_key(path, verb), group, setting);
        }
        _ if patch.removes() => {
            let key = patch.parts.join("/");
            let key = if key == "*/*" { key } else { patch.parts[..].join("/") };
            let removed = record.method_settings.remove(&key);
            removed.ok_or_else(|| nothing_to_remove(patch))?;
        }
        _ => return Err(bad_path(patch)),
    }
    Ok(())
}

/// `/pets/{id}` and `GET` → `pets/{id}/GET`; `*` and `*` → `*/*`. A resource's path comes as one part
/// (`~1pets~1{id}`).
fn method_key(path: &[&str], verb: &str) -> String {
    let path = path.join("/");
    format!("{}/{verb}", path.trim_start_matches('/'))
}

fn access_logs(record: &mut StageRecord, patch: &Patch, rest: &[&str]) -> Result<()> {
    let field = match rest {
        [] if patch.removes() => {
            record.access_log_destination = None;
            record.access_log_format = None;
            return Ok(());
        }
        ["destinationArn"] => &mut record.access_log_destination,
        ["format"] => &mut record.access_log_format,
        _ if patch.removes() => return Err(nothing_to_remove(patch)),
        _ => {
            return Err(bad_request(
                "Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, /accessLogSettings/format]",
            ));
        }
    };
    if patch.removes() {
        return Err(nothing_to_remove(patch));
    }
    let Some(value) = patch.some() else {
        return Err(bad_request("Access Log value must not be empty"));
    };
    *field = Some(value.trim_end_matches(":*").to_owned());
    Ok(())
}

fn canary(record: &mut StageRecord, patch: &Patch, rest: &[&str]) -> Result<()> {
    match (&patch.op, rest) {
        (Op::Remove, []) => {
            record.canary = None;
            return Ok(());
        }
        (Op::Remove, ["stageVariableOverrides", name]) => {
            let overrides = record.canary.as_mut().map(|canary| &mut canary.variable_overrides);
            let removed = overrides.and_then(|overrides| overrides.remove(*name));
            return removed.map(drop).ok_or_else(|| nothing_to_remove(patch));
        }
        (Op::Remove, _) => return Err(nothing_to_remove(patch)),
        (Op::Add, _) => {
            return Err(bad_request(format!("Invalid add operation with path: {}", patch.path)));
        }
        _ => {}
    }
    let mut canary = record.canary.clone().unwrap_or_else(|| CanaryRecord {
        deployment_id: Some(record.deployment_id.clone()),
        ..CanaryRecord::default()
    });
    match rest {
        ["percentTraffic"] => canary.percent_traffic = patch.number()?,
        ["deploymentId"] => canary.deployment_id = patch.some(),
        ["useStageCache"] => canary.use_stage_cache = patch.truth(),
        ["stageVariableOverrides", name] => {
            stage::check_variable(name, patch.text())?;
            canary.variable_overrides.insert((*name).to_owned(), patch.text().to_owned());
        }
        _ => return Err(bad_path(patch)),
    }
    record.canary = Some(canary);
    Ok(())
}

/// Promotes the canary.
fn copy(record: &mut StageRecord, patch: &Patch) -> Result<()> {
    let from = patch.from.as_deref().unwrap_or_default();
    match (patch.path.as_str(), from) {
        ("/deploymentId", "/canarySettings/deploymentId") => {
            let canary = record.canary.as_ref().ok_or_else(no_canary)?;
            if let Some(id) = &canary.deployment_id {
                record.deployment_id.clone_from(id);
            }
        }
        ("/variables", "/canarySettings/stageVariableOverrides") => {
            let canary = record.canary.as_ref().ok_or_else(no_canary)?;
            let overrides = canary.variable_overrides.clone();
            record.variables.extend(overrides);
        }
        (path, from) => {
            return Err(bad_request(format!(
                "Invalid copy operation with path: {path} and from {from}. Valid copy:path are [/deploymentId, /variables] and valid copy:from are [/canarySettings/deploymentId, /canarySettings/stageVariableOverrides]"
            )));
        }
    }
    Ok(())
}

fn no_canary() -> Error {
    bad_request("Promotion not available. Canary does not exist.")
}

fn setting_defaults() -> MethodSettingRecord {
    MethodSettingRecord {
        throttling_burst_limit: Some(5000),
        throttling_rate_limit: Some(10_000.0),
        cache_ttl_s: Some(300),
        require_authorization_for_cache_control: Some(true),
        unauthorized_cache_control: Some("SUCCEED_WITH_RESPONSE_HEADER".to_owned()),
        ..MethodSettingRecord::default()
    }
}

fn method_setting(
    record: &mut StageRecord,
    patch: &Patch,
    key: &str,
    group: &str,
    setting: &str,
) -> Result<()> {
    let mut changed = record.method_settings.get(key).cloned().unwrap_or_else(setting_defaults);
    match (group, setting) {
        ("metrics", "enabled") => changed.metrics_enabled = patch.truth(),
        ("logging", "dataTrace") => changed.data_trace_enabled = patch.truth(),
        ("logging", "loglevel") => changed.logging_level = Some(log_level(patch)?),
        ("throttling", "burstLimit") => changed.throttling_burst_limit = Some(patch.number()?),
        ("throttling", "rateLimit") => changed.throttling_rate_limit = Some(patch.number()?),
        ("caching", "ttlInSeconds") => changed.cache_ttl_s = Some(patch.number()?),
        ("caching", "enabled") => changed.caching_enabled = patch.truth(),
        ("caching", "dataEncrypted") => changed.cache_data_encrypted = patch.truth(),
        ("caching", "requireAuthorizationForCacheControl") => {
            changed.require_authorization_for_cache_control = Some(patch.truth());
        }
        ("caching", "unauthorizedCacheControlHeaderStrategy") => {
            changed.unauthorized_cache_control = patch.some();
        }
        _ => return Err(bad_path(patch)),
    }
    record.method_settings.insert(key.to_owned(), changed);
    Ok(())
}

fn log_level(patch: &Patch) -> Result<String> {
    match patch.text() {
        level @ ("OFF" | "ERROR" | "INFO") => Ok(level.to_owned()),
        other => Err(bad_request(format!(
            "Invalid value for logging level: {other}. Valid values are OFF, ERROR, INFO"
        ))),
    }
}

/// Settings of single methods that this update made begin as those of `*/*`.
pub fn settle(record: &mut StageRecord, before: &StageRecord) {
    let Some(wild) = record.method_settings.get("*/*").cloned() else { return };
    let defaults = setting_defaults();
    for (key, made) in &mut record.method_settings {
        if key == "*/*" || before.method_settings.contains_key(key) {
            continue;
        }
        let keep = |own: bool, wild: bool, usual: bool| if own == usual { wild } else { own };
        made.caching_enabled = keep(made.caching_enabled, wild.caching_enabled, false);
        made.metrics_enabled = keep(made.metrics_enabled, wild.metrics_enabled, false);
        made.data_trace_enabled = keep(made.data_trace_enabled, wild.data_trace_enabled, false);
        if made.throttling_burst_limit == defaults.throttling_burst_limit {
            made.throttling_burst_limit = wild.throttling_burst_limit;
        }
        if made.throttling_rate_limit == defaults.throttling_rate_limit {
            made.throttling_rate_limit = wild.throttling_rate_limit;
        }
        if made.logging_level.is_none() {
            made.logging_level.clone_from(&wild.logging_level);
        }
        if made.cache_ttl_s == defaults.cache_ttl_s {
            made.cache_ttl_s = wild.cache_ttl_s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(op: Op, path: &str, value: &str) -> Patch {
        let parts = path[1..].split('/').map(|part| part.replace("~1", "/")).collect();
        Patch { op, path: path.to_owned(), parts, value: Some(value.to_owned()), from: None }
    }

    #[test]
    fn settings_of_a_method_begin_as_the_wildcards() {
        let mut stage = StageRecord::default();
        for (path, value) in [
            ("/*/*/throttling/burstLimit", "123"),
            ("/*/*/caching/enabled", "true"),
            ("/~1pets~1{id}/GET/metrics/enabled", "true"),
        ] {
            apply(&mut stage, &patch(Op::Replace, path, value)).unwrap();
        }
        settle(&mut stage, &StageRecord::default());
        let pets = &stage.method_settings["pets/{id}/GET"];
        assert_eq!((pets.throttling_burst_limit, pets.caching_enabled), (Some(123), true));
        assert!(pets.metrics_enabled && !stage.method_settings["*/*"].metrics_enabled);
        apply(&mut stage, &patch(Op::Remove, "/*/*", "")).unwrap();
        let again = apply(&mut stage, &patch(Op::Remove, "/*/*", "")).unwrap_err();
        assert_eq!(
            again.message(),
            "Cannot remove method setting */* because there is no method setting for this method "
        );
    }
}
