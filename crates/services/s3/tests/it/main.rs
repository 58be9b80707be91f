//! S3 through the kernel: a whole cloud in memory, no sockets.

mod events;
mod expiration;
mod listing;
mod objects;
mod stacks;
mod uploads;

use sereno_api_s3 as api;
use sereno_kernel::Ctx;
use sereno_testkit::TestCloud;
use sereno_wire::Body;

pub fn cloud() -> TestCloud {
    TestCloud::builder().service(sereno_s3::service()).build()
}

pub async fn bucket(ctx: &Ctx, name: &str) {
    let input = api::CreateBucketInput { bucket: name.to_owned(), ..Default::default() };
    ctx.call::<api::CreateBucket>(input).await.expect("a bucket");
}

pub async fn versioning(ctx: &Ctx, name: &str, status: &str) {
    let input = api::PutBucketVersioningInput {
        bucket: name.to_owned(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(status.into()),
            mfa_delete: None,
        },
        ..Default::default()
    };
    ctx.call::<api::PutBucketVersioning>(input).await.expect("versioning");
}

pub async fn put(ctx: &Ctx, bucket: &str, key: &str, body: &str) -> api::PutObjectOutput {
    let input = api::PutObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        body: Body::from(body.to_owned()),
        ..Default::default()
    };
    ctx.call::<api::PutObject>(input).await.expect("an object")
}

pub async fn get(
    ctx: &Ctx,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<String, String> {
    let input = api::GetObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: version.map(str::to_owned),
        ..Default::default()
    };
    let output =
        ctx.call::<api::GetObject>(input).await.map_err(|error| error.code().to_owned())?;
    let bytes = output.body.collect(64 << 20).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub async fn delete(
    ctx: &Ctx,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> api::DeleteObjectOutput {
    let input = api::DeleteObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: version.map(str::to_owned),
        ..Default::default()
    };
    ctx.call::<api::DeleteObject>(input).await.expect("a deletion")
}

#[test]
fn what_is_served_is_what_is_listed() {
    let listed = include_str!("../../../../../models/operations/s3.txt");
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(sereno_s3::service().served(), listed);
}
