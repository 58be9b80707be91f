//! Lifecycle rules: what expires, and when. Carrying them out is `expire.rs`.
//!
//! Recorded: localstack `test_s3_api.snapshot.json`, `test_bucket_lifecycle_*`.

use std::collections::BTreeMap;

use sereno_api_s3 as api;
use sereno_base::{Timestamp, percent_encode};
use sereno_kernel::{Ctx, Result};

use crate::bucket::{change, load};
use crate::errors;
use crate::state::{BucketRecord, ObjectRecord};

const RULES_MAX: usize = 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DEFAULT_SIZE: &str = "all_storage_classes_128K";

/// The rules of a bucket that are switched on.
pub fn rules(bucket: &BucketRecord) -> Vec<api::LifecycleRule> {
    stored(bucket)
        .into_iter()
        .filter(|rule| rule.status == api::ExpirationStatus::Enabled)
        .collect()
}

fn stored(bucket: &BucketRecord) -> Vec<api::LifecycleRule> {
    let json = bucket.lifecycle.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let read = json.and_then(|json| sereno_wire::from_json(&json).ok());
    read.map(|configuration: api::BucketLifecycleConfiguration| configuration.rules)
        .unwrap_or_default()
}

pub async fn get(
    ctx: Ctx,
    input: api::GetBucketLifecycleConfigurationInput,
) -> Result<api::GetBucketLifecycleConfigurationOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let rules = stored(&bucket);
    if rules.is_empty() {
        return Err(errors::absent(
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
            &input.bucket,
        ));
    }
    Ok(api::GetBucketLifecycleConfigurationOutput {
        rules: Some(rules),
        transition_default_minimum_object_size: Some(DEFAULT_SIZE.into()),
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutBucketLifecycleConfigurationInput,
) -> Result<api::PutBucketLifecycleConfigurationOutput> {
    let size = input.transition_default_minimum_object_size;
    if let Some(size) = size.as_ref().filter(|size| size.as_str() != DEFAULT_SIZE) {
        return Err(errors::request(format!(
            "Invalid TransitionDefaultMinimumObjectSize found: {size}"
        )));
    }
    let mut wanted = input.lifecycle_configuration.ok_or_else(errors::malformed_xml)?;
    if wanted.rules.is_empty() || wanted.rules.len() > RULES_MAX {
        return Err(errors::malformed_xml());
    }
    for rule in &mut wanted.rules {
        check(rule)?;
        if rule.id.as_ref().is_none_or(String::is_empty) {
            rule.id = Some(ctx.random_uuid());
        }
    }
    let text = sereno_wire::to_json(&wanted).to_string();
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.lifecycle = Some(text.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(DEFAULT_SIZE.into()),
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteBucketLifecycleInput,
) -> Result<api::DeleteBucketLifecycleOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.lifecycle = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketLifecycleOutput::default())
}

fn check(rule: &api::LifecycleRule) -> Result<()> {
    let moves = rule.transitions.as_ref().is_some_and(|list| !list.is_empty())
        || rule.noncurrent_version_transitions.as_ref().is_some_and(|list| !list.is_empty());
    if moves {
        return Err(errors::not_served("transitions to other storage classes"));
    }
    let acts = rule.expiration.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.abort_incomplete_multipart_upload.is_some();
    let placed = rule.filter.is_some() != rule.prefix.is_some();
    if !acts || !placed {
        return Err(errors::malformed_xml());
    }
    if let Some(filter) = &rule.filter {
        let given = [
            filter.prefix.is_some(),
            filter.tag.is_some(),
            filter.object_size_greater_than.is_some(),
            filter.object_size_less_than.is_some(),
            filter.and.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(errors::malformed_xml());
        }
    }
    if let Some(expiration) = &rule.expiration {
        check_expiration(expiration)?;
    }
    let days = [
        rule.noncurrent_version_expiration.as_ref().map(|e| e.noncurrent_days),
        rule.abort_incomplete_multipart_upload.as_ref().map(|a| a.days_after_initiation),
    ];
    match days.into_iter().flatten().all(|days| days.is_some_and(|days| days > 0)) {
        true => Ok(()),
        false => Err(errors::malformed_xml()),
    }
}

fn check_expiration(expiration: &api::LifecycleExpiration) -> Result<()> {
    let given = [
        expiration.date.is_some(),
        expiration.days.is_some(),
        expiration.expired_object_delete_marker.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(errors::malformed_xml());
    }
    if let Some(date) = expiration.date.filter(|date| date.millis() % DAY_MS != 0) {
        return Err(errors::bad_argument(
            "'Date' must be at midnight GMT",
            "Date",
            &date.iso8601_millis(),
        ));
    }
    match expiration.days {
        Some(days) if days <= 0 => Err(errors::bad_argument_name(
            "'Days' for Expiration action must be a positive integer",
            "Days",
        )),
        _ => Ok(()),
    }
}

/// Whether a rule is meant for an object.
pub fn applies(rule: &api::LifecycleRule, key: &str, object: &ObjectRecord) -> bool {
    let has =
        |tags: &BTreeMap<String, String>, tag: &api::Tag| tags.get(&tag.key) == Some(&tag.value);
    let size = |greater: Option<i64>, less: Option<i64>| {
        let size = i64::try_from(object.size).unwrap_or(i64::MAX);
        greater.is_none_or(|bound| size > bound) && less.is_none_or(|bound| size < bound)
    };
    let begins = |prefix: &Option<String>| prefix.as_deref().is_none_or(|p| key.starts_with(p));
    let Some(filter) = &rule.filter else { return begins(&rule.prefix) };
    if let Some(and) = &filter.and {
        return begins(&and.prefix)
            && and.tags.iter().flatten().all(|tag| has(&object.head.tags, tag))
            && size(and.object_size_greater_than, and.object_size_less_than);
    }
    begins(&filter.prefix)
        && filter.tag.iter().all(|tag| has(&object.head.tags, tag))
        && size(filter.object_size_greater_than, filter.object_size_less_than)
}

/// Days are counted to the midnight after them.
pub fn after_days(from: Timestamp, days: i32) -> Timestamp {
    let at = from.millis() + i64::from(days) * DAY_MS;
    Timestamp::from_millis((at + DAY_MS - 1).div_euclid(DAY_MS) * DAY_MS)
}

/// When the newest version of an object expires, and by which rule: the first to come.
pub fn expiry(
    rules: &[api::LifecycleRule],
    key: &str,
    object: &ObjectRecord,
) -> Option<(Timestamp, String)> {
    rules
        .iter()
        .filter(|rule| applies(rule, key, object))
        .filter_map(|rule| {
            let expiration = rule.expiration.as_ref()?;
            let at = match (expiration.date, expiration.days) {
                (Some(date), _) => date,
                (None, Some(days)) => after_days(object.modified, days),
                (None, None) => return None,
            };
            Some((at, rule.id.clone().unwrap_or_default()))
        })
        .min_by_key(|(at, _)| *at)
}

/// The header `x-amz-expiration`.
pub fn header(bucket: &BucketRecord, key: &str, object: &ObjectRecord) -> Option<String> {
    bucket.lifecycle.as_ref()?;
    let (at, rule) = expiry(&rules(bucket), key, object)?;
    let rule = percent_encode(&rule, false);
    Some(format!("expiry-date=\"{}\", rule-id=\"{rule}\"", at.http_date()))
}
