//! Objects and their versions.

use sereno_api_s3 as api;
use sereno_wire::Body;

use crate::{bucket, cloud, delete, get, put, versioning};

#[tokio::test]
async fn an_object_is_what_was_written_last() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "first").await;
    let large = "0123456789".repeat(20_000);
    for body in ["", "small", &large, "small again"] {
        put(&ctx, "first", "a/b", body).await;
        assert_eq!(get(&ctx, "first", "a/b", None).await.as_deref(), Ok(body));
    }
    // What was replaced is gone from the disk.
    let blobs = ctx.blobs().list().await.expect("a list");
    assert!(blobs.is_empty(), "{blobs:?}");
    delete(&ctx, "first", "a/b", None).await;
    assert_eq!(get(&ctx, "first", "a/b", None).await, Err("NoSuchKey".to_owned()));
    let gone = api::DeleteBucketInput { bucket: "first".to_owned(), ..Default::default() };
    ctx.call::<api::DeleteBucket>(gone).await.expect("an empty bucket can be deleted");
    assert_eq!(get(&ctx, "first", "a/b", None).await, Err("NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn versions_pile_up_and_come_back() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "kept").await;
    put(&ctx, "kept", "k", "before").await;
    versioning(&ctx, "kept", "Enabled").await;
    let one = put(&ctx, "kept", "k", "one").await.version_id.expect("a version");
    let two = put(&ctx, "kept", "k", "two").await.version_id.expect("a version");
    let marker = delete(&ctx, "kept", "k", None).await;
    assert_eq!(marker.delete_marker, Some(true));
    assert_eq!(get(&ctx, "kept", "k", None).await, Err("NoSuchKey".to_owned()));
    for (version, body) in [("null", "before"), (&one, "one"), (&two, "two")] {
        assert_eq!(get(&ctx, "kept", "k", Some(version)).await.as_deref(), Ok(body));
    }
    let marker_id = marker.version_id.expect("a marker has a version");
    assert_eq!(get(&ctx, "kept", "k", Some(&marker_id)).await, Err("MethodNotAllowed".to_owned()));
    // Without the marker the newest version is the object again, and so on down.
    delete(&ctx, "kept", "k", Some(&marker_id)).await;
    assert_eq!(get(&ctx, "kept", "k", None).await.as_deref(), Ok("two"));
    delete(&ctx, "kept", "k", Some(&two)).await;
    assert_eq!(get(&ctx, "kept", "k", None).await.as_deref(), Ok("one"));
    // Suspended: the version without a number is replaced, the others stay.
    versioning(&ctx, "kept", "Suspended").await;
    put(&ctx, "kept", "k", "after").await;
    assert_eq!(get(&ctx, "kept", "k", Some("null")).await.as_deref(), Ok("after"));
    assert_eq!(get(&ctx, "kept", "k", Some(&one)).await.as_deref(), Ok("one"));
    put(&ctx, "kept", "k", "again").await;
    delete(&ctx, "kept", "k", Some("null")).await;
    assert_eq!(get(&ctx, "kept", "k", None).await.as_deref(), Ok("one"));
    assert_eq!(get(&ctx, "kept", "k", Some("null")).await, Err("NoSuchVersion".to_owned()));
    delete(&ctx, "kept", "k", Some(&one)).await;
    let gone = api::DeleteBucketInput { bucket: "kept".to_owned(), ..Default::default() };
    ctx.call::<api::DeleteBucket>(gone).await.expect("all versions are gone");
}

#[tokio::test]
async fn conditions_guard_writes() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "guarded").await;
    let write = |if_match: Option<&str>, if_none_match: Option<&str>| {
        let input = api::PutObjectInput {
            bucket: "guarded".to_owned(),
            key: "k".to_owned(),
            body: Body::from("x"),
            if_match: if_match.map(str::to_owned),
            if_none_match: if_none_match.map(str::to_owned),
            ..Default::default()
        };
        let ctx = ctx.clone();
        async move {
            let answer = ctx.call::<api::PutObject>(input).await;
            answer.map(|o| o.e_tag.unwrap_or_default()).map_err(|e| e.code().to_owned())
        }
    };
    assert_eq!(write(Some("\"e\""), None).await, Err("NoSuchKey".to_owned()));
    let tag = write(None, Some("*")).await.expect("there was none");
    assert_eq!(write(None, Some("*")).await, Err("PreconditionFailed".to_owned()));
    assert_eq!(write(Some("\"e\""), None).await, Err("PreconditionFailed".to_owned()));
    assert!(write(Some(&tag), None).await.is_ok());
}

#[tokio::test]
async fn one_of_many_creators_wins() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "raced").await;
    let tries = (0..20).map(|n| {
        let ctx = ctx.clone();
        tokio::spawn(async move {
            let input = api::PutObjectInput {
                bucket: "raced".to_owned(),
                key: "k".to_owned(),
                body: Body::from(format!("{n}")),
                if_none_match: Some("*".to_owned()),
                ..Default::default()
            };
            ctx.call::<api::PutObject>(input).await.is_ok()
        })
    });
    let mut won = 0;
    for one in tries.collect::<Vec<_>>() {
        won += usize::from(one.await.expect("no panic"));
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn checksums_are_held_to() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "summed").await;
    let write = |crc: &str, md5: Option<&str>| {
        let input = api::PutObjectInput {
            bucket: "summed".to_owned(),
            key: "k".to_owned(),
            body: Body::from("123456789"),
            checksum_crc32: Some(crc.to_owned()),
            content_md5: md5.map(str::to_owned),
            ..Default::default()
        };
        let ctx = ctx.clone();
        async move {
            let answer = ctx.call::<api::PutObject>(input).await;
            answer.map(|o| o.checksum_crc32).map_err(|e| e.code().to_owned())
        }
    };
    assert_eq!(write("y/Q5Jg==", None).await, Ok(Some("y/Q5Jg==".to_owned())));
    assert_eq!(write("y/Q5Jw==", None).await, Err("BadDigest".to_owned()));
    assert_eq!(write("short", None).await, Err("InvalidRequest".to_owned()));
    let wrong = "1B2M2Y8AsgTpgAmY7PhCfg==";
    assert_eq!(write("y/Q5Jg==", Some(wrong)).await, Err("BadDigest".to_owned()));
    assert_eq!(write("y/Q5Jg==", Some("x")).await, Err("InvalidDigest".to_owned()));
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "plain").await;
    let input = api::PutObjectInput {
        bucket: "plain".to_owned(),
        key: "k".to_owned(),
        sse_customer_algorithm: Some("AES256".to_owned()),
        ..Default::default()
    };
    let error = ctx.call::<api::PutObject>(input).await.expect_err("refused");
    assert_eq!((error.code(), error.fixed_status()), ("NotImplemented", Some(501)));
}
