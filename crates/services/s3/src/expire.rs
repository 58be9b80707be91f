//! Carries out lifecycle rules, once an hour. What it removes is removed as a client would, but
//! without events: AWS tells of expirations by events of their own, which are not served.

use std::time::Duration;

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Outcome, Result, Task, TaskKind};

use crate::lifecycle::{after_days, applies, expiry, rules};
use crate::object::Place;
use crate::remove::{self, Cause};
use crate::state::{BUCKETS, BucketRecord, CURRENT, OLDER, ObjectRecord, SCOPE, UPLOADS};
use crate::upload;

const PAGE: usize = 500;

pub fn task() -> TaskKind {
    TaskKind::new("s3.lifecycle", run).every(Duration::from_secs(3600))
}

async fn run(ctx: Ctx, _: Task) -> Result<Outcome> {
    let mut after = String::new();
    loop {
        let page = BUCKETS.list(SCOPE, ()).after(after.as_str()).limit(PAGE);
        let page = page.read(ctx.store()).await?;
        let Some((last, _)) = page.last() else { return Ok(Outcome::Done) };
        last.clone_into(&mut after);
        for (name, bucket) in page {
            let rules = rules(&bucket);
            if !rules.is_empty() {
                newest(&ctx, &name, &bucket, &rules).await?;
                noncurrent(&ctx, &name, &bucket, &rules).await?;
                uploads(&ctx, &name, &bucket, &rules).await?;
            }
        }
    }
}

fn place<'a>(name: &'a str, key: &'a str) -> Place<'a> {
    Place { bucket: name, owner: None, key }
}

async fn newest(
    ctx: &Ctx,
    name: &str,
    bucket: &BucketRecord,
    rules: &[api::LifecycleRule],
) -> Result<()> {
    let id = bucket.id.as_str();
    let mut after = String::new();
    loop {
        let rows = CURRENT.list(SCOPE, (id,)).after(&(id, after.as_str())).limit(PAGE);
        let rows = rows.read(ctx.store()).await?;
        let Some(((_, last), _)) = rows.last() else { return Ok(()) };
        last.clone_into(&mut after);
        for ((_, key), object) in rows {
            let cause = Cause::Expiration { sequence: object.sequence };
            if object.delete_marker {
                if marker_expires(ctx, bucket, rules, &key, &object).await? {
                    let version = Some(object.version.as_str());
                    remove::remove(ctx, place(name, &key), version, None, cause).await?;
                }
                continue;
            }
            let due = expiry(rules, &key, &object).is_some_and(|(at, _)| at <= ctx.now());
            if due {
                remove::remove(ctx, place(name, &key), None, None, cause).await?;
            }
        }
    }
}

/// A delete marker with nothing behind it hides nothing.
async fn marker_expires(
    ctx: &Ctx,
    bucket: &BucketRecord,
    rules: &[api::LifecycleRule],
    key: &str,
    marker: &ObjectRecord,
) -> Result<bool> {
    let wanted = rules.iter().filter(|rule| applies(rule, key, marker)).any(|rule| {
        let expiration = rule.expiration.as_ref();
        expiration.is_some_and(|e| e.expired_object_delete_marker == Some(true))
    });
    if !wanted && expiry(rules, key, marker).is_none_or(|(at, _)| at > ctx.now()) {
        return Ok(false);
    }
    let behind = OLDER.list(SCOPE, (bucket.id.as_str(), key)).limit(1).read(ctx.store()).await?;
    Ok(behind.is_empty())
}

/// A version's days are counted from when the next one took its place.
async fn noncurrent(
    ctx: &Ctx,
    name: &str,
    bucket: &BucketRecord,
    rules: &[api::LifecycleRule],
) -> Result<()> {
    if rules.iter().all(|rule| rule.noncurrent_version_expiration.is_none()) {
        return Ok(());
    }
    let id = bucket.id.as_str();
    let mut after: Option<(String, u64)> = None;
    // The key in hand, how many of its older versions were met, and when the last one was written.
    let mut place_in_key = (String::new(), 0, ctx.now());
    loop {
        let mut rows = OLDER.list(SCOPE, (id,)).limit(PAGE);
        if let Some((key, age)) = &after {
            rows = rows.after(&(id, key.as_str(), *age));
        }
        let rows = rows.read(ctx.store()).await?;
        let Some(((_, key, age), _)) = rows.last() else { return Ok(()) };
        after = Some((key.clone(), *age));
        for ((_, key, _), object) in rows {
            if place_in_key.0 != key {
                let current = CURRENT.get(ctx.store(), SCOPE, &(id, key.as_str())).await?;
                let since = current.map_or(ctx.now(), |current| current.modified);
                place_in_key = (key.clone(), 0, since);
            }
            let (newer, since) = (place_in_key.1, place_in_key.2);
            place_in_key.1 += 1;
            place_in_key.2 = object.modified;
            let due = rules.iter().filter(|rule| applies(rule, &key, &object)).any(|rule| {
                let Some(expiration) = &rule.noncurrent_version_expiration else { return false };
                let kept = expiration.newer_noncurrent_versions.unwrap_or(0);
                let days = expiration.noncurrent_days.unwrap_or(i32::MAX);
                newer >= kept && after_days(since, days) <= ctx.now()
            });
            if due {
                let cause = Cause::Expiration { sequence: object.sequence };
                let version = Some(object.version.as_str());
                remove::remove(ctx, place(name, &key), version, None, cause).await?;
            }
        }
    }
}

async fn uploads(
    ctx: &Ctx,
    name: &str,
    bucket: &BucketRecord,
    rules: &[api::LifecycleRule],
) -> Result<()> {
    let limit = |key: &str| {
        let object = ObjectRecord::default();
        let rules = rules.iter().filter(|rule| applies(rule, key, &object));
        let days = rules.filter_map(|rule| {
            rule.abort_incomplete_multipart_upload.as_ref()?.days_after_initiation
        });
        days.min()
    };
    let rows = UPLOADS.list(SCOPE, (bucket.id.as_str(),)).read(ctx.store()).await?;
    for ((_, key, id), record) in rows {
        let due = limit(&key).is_some_and(|days| after_days(record.initiated, days) <= ctx.now());
        if due {
            match upload::give_up(ctx, place(name, &key), &id).await {
                Err(error) if error.code() != "NoSuchUpload" => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
