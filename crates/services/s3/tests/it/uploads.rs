//! Multipart uploads.

use sereno_api_s3 as api;
use sereno_kernel::Ctx;
use sereno_wire::Body;

use crate::{bucket, cloud, get};

const MIB: usize = 1024 * 1024;

async fn begin(ctx: &Ctx) -> String {
    let input = api::CreateMultipartUploadInput {
        bucket: "built".to_owned(),
        key: "k".to_owned(),
        content_type: Some("text/plain".to_owned()),
        ..Default::default()
    };
    let output = ctx.call::<api::CreateMultipartUpload>(input).await.expect("an upload");
    output.upload_id.expect("an id")
}

async fn part(ctx: &Ctx, id: &str, number: i32, body: String) -> String {
    let input = api::UploadPartInput {
        bucket: "built".to_owned(),
        key: "k".to_owned(),
        upload_id: id.to_owned(),
        part_number: number,
        body: Body::from(body),
        ..Default::default()
    };
    ctx.call::<api::UploadPart>(input).await.expect("a part").e_tag.expect("a tag")
}

async fn complete(ctx: &Ctx, id: &str, parts: &[(i32, &str)]) -> Result<String, String> {
    let parts = parts.iter().map(|(number, tag)| api::CompletedPart {
        part_number: Some(*number),
        e_tag: Some((*tag).to_owned()),
        ..Default::default()
    });
    let input = api::CompleteMultipartUploadInput {
        bucket: "built".to_owned(),
        key: "k".to_owned(),
        upload_id: id.to_owned(),
        multipart_upload: Some(api::CompletedMultipartUpload { parts: Some(parts.collect()) }),
        ..Default::default()
    };
    let output = ctx.call::<api::CompleteMultipartUpload>(input).await;
    output.map(|o| o.e_tag.unwrap_or_default()).map_err(|e| e.code().to_owned())
}

#[tokio::test]
async fn parts_become_an_object() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "built").await;
    let id = begin(&ctx).await;
    let (one, two) = ("a".repeat(5 * MIB), "b".repeat(10));
    let replaced = part(&ctx, &id, 2, "never".to_owned()).await;
    let tag_2 = part(&ctx, &id, 2, two.clone()).await;
    let tag_1 = part(&ctx, &id, 1, one.clone()).await;
    let tag_3 = part(&ctx, &id, 3, "c".repeat(40_000)).await;
    assert_eq!(complete(&ctx, &id, &[]).await, Err("InvalidRequest".to_owned()));
    assert_eq!(
        complete(&ctx, &id, &[(2, &tag_2), (1, &tag_1)]).await,
        Err("InvalidPartOrder".to_owned())
    );
    assert_eq!(
        complete(&ctx, &id, &[(1, &tag_1), (2, &replaced)]).await,
        Err("InvalidPart".to_owned())
    );
    assert_eq!(
        complete(&ctx, &id, &[(2, &tag_2), (3, &tag_3)]).await,
        Err("EntityTooSmall".to_owned())
    );
    let tag = complete(&ctx, &id, &[(1, &tag_1), (2, &tag_2)]).await.expect("an object");
    assert!(tag.ends_with("-2\""), "{tag}");
    assert_eq!(get(&ctx, "built", "k", None).await, Ok(format!("{one}{two}")));
    // The part that was left out is gone; the object's own two are a blob and a row.
    assert_eq!(ctx.blobs().list().await.expect("a list").len(), 1);
    assert_eq!(complete(&ctx, &id, &[(1, &tag_1)]).await, Err("NoSuchUpload".to_owned()));
    ranges(&ctx).await;
    crate::put(&ctx, "built", "k", "short").await;
    assert!(ctx.blobs().list().await.expect("a list").is_empty());
}

/// A range may begin in one part and end in another.
async fn ranges(ctx: &Ctx) {
    let size = 5 * MIB + 10;
    for (range, wanted) in [
        (format!("bytes={}-{}", 5 * MIB - 2, 5 * MIB + 1), "aabb".to_owned()),
        ("bytes=-3".to_owned(), "bbb".to_owned()),
        (format!("bytes={}-", 5 * MIB), "b".repeat(10)),
    ] {
        let input = api::GetObjectInput {
            bucket: "built".to_owned(),
            key: "k".to_owned(),
            range: Some(range.clone()),
            ..Default::default()
        };
        let output = ctx.call::<api::GetObject>(input).await.expect("a range");
        assert!(output.content_range.is_some_and(|r| r.ends_with(&format!("/{size}"))));
        let bytes = output.body.collect(MIB).await.expect("bytes");
        assert_eq!(String::from_utf8_lossy(&bytes), wanted, "{range}");
    }
    let input = api::GetObjectInput {
        bucket: "built".to_owned(),
        key: "k".to_owned(),
        part_number: Some(2),
        ..Default::default()
    };
    let output = ctx.call::<api::GetObject>(input).await.expect("a part");
    assert_eq!((output.content_length, output.parts_count), (Some(10), Some(2)));
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "built").await;
    let id = begin(&ctx).await;
    part(&ctx, &id, 1, "a".repeat(MIB)).await;
    part(&ctx, &id, 2, "b".repeat(10)).await;
    let delete = api::DeleteBucketInput { bucket: "built".to_owned(), ..Default::default() };
    let error = ctx.call::<api::DeleteBucket>(delete.clone()).await.expect_err("an upload is open");
    assert_eq!(error.code(), "BucketNotEmpty");
    let input = api::AbortMultipartUploadInput {
        bucket: "built".to_owned(),
        key: "k".to_owned(),
        upload_id: id,
        ..Default::default()
    };
    ctx.call::<api::AbortMultipartUpload>(input).await.expect("given up");
    assert!(ctx.blobs().list().await.expect("a list").is_empty());
    ctx.call::<api::DeleteBucket>(delete).await.expect("nothing is left");
}
