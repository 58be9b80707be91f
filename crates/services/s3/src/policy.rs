//! Bucket policies, and whether they make a bucket public.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};
use sereno_policy::validate;

use crate::access::bucket_arn;
use crate::bucket::{change, load};
use crate::{errors, rules};

pub async fn get(ctx: Ctx, input: api::GetBucketPolicyInput) -> Result<api::GetBucketPolicyOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    match bucket.policy {
        Some(policy) => Ok(api::GetBucketPolicyOutput { policy: Some(policy) }),
        None => Err(errors::absent(
            "NoSuchBucketPolicy",
            "The bucket policy does not exist",
            &input.bucket,
        )),
    }
}

pub async fn put(ctx: Ctx, input: api::PutBucketPolicyInput) -> Result<api::PutBucketPolicyOutput> {
    let text = &input.policy;
    validate::resource(text)
        .map_err(|malformed| errors::malformed_policy(&malformed.to_string()))?;
    let own = bucket_arn(&ctx, &input.bucket);
    if !resources(text).iter().all(|arn| names(arn, &own)) {
        return Err(errors::malformed_policy("Policy has invalid resource"));
    }
    let public = rules::is_public(text);
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        if public && bucket.public_access_block.is_some_and(|block| block.block_public_policy) {
            return Err(errors::denied(format!(
                "User: {} is not authorized to perform: s3:PutBucketPolicy on resource: \"{own}\" \
                 because public policies are prevented by the BlockPublicPolicy setting in S3 \
                 Block Public Access.",
                ctx.caller().arn()
            )));
        }
        bucket.policy = Some(text.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutBucketPolicyOutput::default())
}

/// All that the statements name as resources.
fn resources(policy: &str) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
    let many = |value: &serde_json::Value| match value {
        serde_json::Value::Array(all) => all.clone(),
        serde_json::Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    many(&document["Statement"])
        .iter()
        .flat_map(|statement| [many(&statement["Resource"]), many(&statement["NotResource"])])
        .flatten()
        .filter_map(|resource| resource.as_str().map(str::to_owned))
        .collect()
}

/// Whether a resource of a policy can mean this bucket or something in it.
fn names(resource: &str, bucket: &str) -> bool {
    let fixed = resource.split(['*', '?', '$']).next().unwrap_or_default();
    let wild = fixed.len() < resource.len();
    resource == bucket
        || resource.starts_with(&format!("{bucket}/"))
        || (wild && bucket.starts_with(fixed))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteBucketPolicyInput,
) -> Result<api::DeleteBucketPolicyOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.policy = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketPolicyOutput::default())
}

pub async fn status(
    ctx: Ctx,
    input: api::GetBucketPolicyStatusInput,
) -> Result<api::GetBucketPolicyStatusOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let Some(policy) = &bucket.policy else {
        return Err(errors::absent(
            "NoSuchBucketPolicy",
            "The bucket policy does not exist",
            &input.bucket,
        ));
    };
    let is_public = Some(rules::is_public(policy));
    Ok(api::GetBucketPolicyStatusOutput { policy_status: Some(api::PolicyStatus { is_public }) })
}
