//! Lifecycle rules, with the clock moved.

use std::time::Duration;

use sereno_api_s3 as api;
use sereno_kernel::Ctx;
use sereno_testkit::TestCloud;

use crate::{bucket, cloud, delete, get, put, versioning};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn rule(ctx: &Ctx, rule: api::LifecycleRule) {
    let rule = api::LifecycleRule {
        id: Some("r".to_owned()),
        status: api::ExpirationStatus::Enabled,
        ..rule
    };
    let input = api::PutBucketLifecycleConfigurationInput {
        bucket: "aging".to_owned(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules: vec![rule] }),
        ..Default::default()
    };
    ctx.call::<api::PutBucketLifecycleConfiguration>(input).await.expect("accepted");
}

fn prefix(prefix: &str) -> Option<api::LifecycleRuleFilter> {
    Some(api::LifecycleRuleFilter { prefix: Some(prefix.to_owned()), ..Default::default() })
}

fn days(days: i32) -> Option<api::LifecycleExpiration> {
    Some(api::LifecycleExpiration { days: Some(days), ..Default::default() })
}

/// Moves the clock and waits until the hourly task has run.
async fn pass(cloud: &TestCloud, time: Duration, done: impl AsyncFn() -> bool) -> bool {
    cloud.advance(time);
    for _ in 0..200 {
        if done().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn objects_expire_at_midnight_after_their_days() {
    let cloud = cloud();
    cloud.start_tasks().await;
    let ctx = cloud.ctx();
    bucket(&ctx, "aging").await;
    rule(
        &ctx,
        api::LifecycleRule { filter: prefix("tmp/"), expiration: days(1), ..Default::default() },
    )
    .await;
    let told = put(&ctx, "aging", "tmp/a", "x").await;
    // The test's clock starts on 1 December 2016 at 10:00.
    let wanted = "expiry-date=\"Sat, 03 Dec 2016 00:00:00 GMT\", rule-id=\"r\"";
    assert_eq!(told.expiration.as_deref(), Some(wanted));
    assert_eq!(put(&ctx, "aging", "kept", "x").await.expiration, None);
    let gone = async || get(&cloud.ctx(), "aging", "tmp/a", None).await.is_err();
    assert!(!gone().await);
    cloud.advance(DAY);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!gone().await, "a day is not over before its midnight");
    assert!(pass(&cloud, DAY, gone).await);
    assert_eq!(get(&ctx, "aging", "kept", None).await.as_deref(), Ok("x"));
}

#[tokio::test]
async fn old_versions_and_lonely_markers_go() {
    let cloud = cloud();
    cloud.start_tasks().await;
    let ctx = cloud.ctx();
    bucket(&ctx, "aging").await;
    versioning(&ctx, "aging", "Enabled").await;
    let old = put(&ctx, "aging", "k", "old").await.version_id.expect("a version");
    put(&ctx, "aging", "k", "new").await;
    delete(&ctx, "aging", "gone", None).await;
    rule(
        &ctx,
        api::LifecycleRule {
            filter: Some(api::LifecycleRuleFilter::default()),
            expiration: Some(api::LifecycleExpiration {
                expired_object_delete_marker: Some(true),
                ..Default::default()
            }),
            noncurrent_version_expiration: Some(api::NoncurrentVersionExpiration {
                noncurrent_days: Some(3),
                newer_noncurrent_versions: None,
            }),
            ..Default::default()
        },
    )
    .await;
    let expired = async || {
        let ctx = cloud.ctx();
        let input =
            api::ListObjectVersionsInput { bucket: "aging".to_owned(), ..Default::default() };
        let listed = ctx.call::<api::ListObjectVersions>(input).await.expect("a list");
        listed.delete_markers.is_none()
            && get(&ctx, "aging", "k", Some(&old)).await == Err("NoSuchVersion".to_owned())
    };
    assert!(pass(&cloud, 5 * DAY, expired).await);
    assert_eq!(get(&ctx, "aging", "k", None).await.as_deref(), Ok("new"));
}
