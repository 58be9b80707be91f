//! CloudFormation's types.

use serde_json::{Value, json};
use sereno_api_s3 as api;
use sereno_kernel::{Ctx, ResourceRequest};
use sereno_testkit::TestCloud;

use crate::{cloud, put};

fn request(properties: Value) -> ResourceRequest {
    ResourceRequest {
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/shop/1".to_owned(),
        stack_name: "shop".to_owned(),
        logical_id: "Photos".to_owned(),
        properties: properties.as_object().cloned().unwrap_or_default(),
        tags: vec![(
            "aws:cloudformation:stack-id".to_owned(),
            "arn:aws:cloudformation:us-east-1:000000000000:stack/shop/1".to_owned(),
        )],
        suggested_name: "shop-Photos-1A2B3C".to_owned(),
        token: "t".to_owned(),
        ..Default::default()
    }
}

async fn create(cloud: &TestCloud, request: ResourceRequest) -> Result<String, String> {
    let kind = cloud.cloud().resource_type("AWS::S3::Bucket").expect("served");
    let made = kind.run_create(cloud.ctx(), request).await;
    made.map(|state| state.physical_id).map_err(|error| error.message().to_owned())
}

async fn tags(ctx: &Ctx, bucket: &str) -> Vec<(String, String)> {
    let input = api::GetBucketTaggingInput { bucket: bucket.to_owned(), ..Default::default() };
    let output = ctx.call::<api::GetBucketTagging>(input).await.expect("tags");
    output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

#[tokio::test]
async fn a_bucket_of_a_stack() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    // The bucket that SAM's command line keeps its packages in.
    let wanted = request(json!({
        "PublicAccessBlockConfiguration": {"BlockPublicPolicy": "true", "BlockPublicAcls": "true"},
        "BucketEncryption": {"ServerSideEncryptionConfiguration":
            [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
        "VersioningConfiguration": {"Status": "Enabled"},
        "Tags": [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
    }));
    let name = create(&cloud, wanted.clone()).await.expect("a bucket");
    assert_eq!(name, "shop-photos-1a2b3c");
    assert_eq!(tags(&ctx, &name).await.len(), 2);
    let input = api::GetPublicAccessBlockInput { bucket: name.clone(), ..Default::default() };
    let block = ctx.call::<api::GetPublicAccessBlock>(input).await.expect("a block");
    let block = block.public_access_block_configuration.expect("a block");
    assert_eq!((block.block_public_policy, block.ignore_public_acls), (Some(true), Some(false)));
    assert!(put(&ctx, &name, "k", "x").await.version_id.is_some());
    // The same change again adopts the bucket; another stack's does not.
    assert_eq!(create(&cloud, wanted.clone()).await.as_deref(), Ok(name.as_str()));
    let mut other = wanted.clone();
    other.stack_id.push('2');
    assert_eq!(create(&cloud, other).await, Err(format!("{name} already exists")));
    update(&cloud, wanted, &name).await;
    let kind = cloud.cloud().resource_type("AWS::S3::Bucket").expect("served");
    let mut gone = request(json!({}));
    gone.physical_id.clone_from(&name);
    let error = kind.run_delete(ctx.clone(), gone.clone()).await.expect_err("not empty");
    assert_eq!(error.code(), "BucketNotEmpty");
}

/// What a template no longer says is undone.
async fn update(cloud: &TestCloud, before: ResourceRequest, name: &str) {
    let kind = cloud.cloud().resource_type("AWS::S3::Bucket").expect("served");
    let mut change = request(json!({"CorsConfiguration": {"CorsRules":
        [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": "60"}]},
        "WebsiteConfiguration": {"IndexDocument": "index.html", "ErrorDocument": "404.html"},
        "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": "3",
            "Prefix": "tmp/", "TagFilters": [{"Key": "a", "Value": "b"}]}]}}));
    change.previous = before.properties;
    name.clone_into(&mut change.physical_id);
    kind.run_update(cloud.ctx(), change).await.expect("an update");
    let input = api::GetBucketVersioningInput { bucket: name.to_owned(), ..Default::default() };
    let versioning = cloud.ctx().call::<api::GetBucketVersioning>(input).await.expect("versioning");
    assert_eq!(versioning.status, Some(api::BucketVersioningStatus::Suspended));
    let input = api::GetBucketCorsInput { bucket: name.to_owned(), ..Default::default() };
    let cors = cloud.ctx().call::<api::GetBucketCors>(input).await.expect("cors");
    assert_eq!(cors.cors_rules.expect("rules")[0].max_age_seconds, Some(60));
    let input = api::GetBucketWebsiteInput { bucket: name.to_owned(), ..Default::default() };
    let website = cloud.ctx().call::<api::GetBucketWebsite>(input).await.expect("a website");
    assert_eq!(website.error_document.map(|d| d.key).as_deref(), Some("404.html"));
    let input =
        api::GetBucketLifecycleConfigurationInput { bucket: name.to_owned(), ..Default::default() };
    let rules = cloud.ctx().call::<api::GetBucketLifecycleConfiguration>(input).await;
    let rules = rules.expect("rules").rules.expect("rules");
    assert_eq!(rules[0].expiration.as_ref().and_then(|e| e.days), Some(3));
    assert_eq!(tags(&cloud.ctx(), name).await.len(), 1);
}

#[tokio::test]
async fn a_creation_that_fails_leaves_nothing() {
    let cloud = cloud();
    let unknown = request(json!({"BucketName": "gone", "ReplicationConfiguration": {}}));
    assert_eq!(
        create(&cloud, unknown).await,
        Err("Sereno's AWS::S3::Bucket does not serve the property ReplicationConfiguration.".into())
    );
    let unserved = request(json!({"BucketName": "gone", "NotificationConfiguration":
        {"LambdaConfigurations": [{"Event": "s3:Replication:*",
            "Function": "arn:aws:lambda:us-east-1:000000000000:function:f"}]}}));
    assert!(create(&cloud, unserved).await.is_err());
    let input = api::HeadBucketInput { bucket: "gone".to_owned(), ..Default::default() };
    let error = cloud.ctx().call::<api::HeadBucket>(input).await.expect_err("no bucket");
    assert_eq!(error.code(), "NoSuchBucket");
}
