//! CloudFormation's types: made through the service's own operations, so that a stack can do
//! exactly what its owner may. A property that is not honoured is refused, never dropped.

use serde_json::{Map, Value, json};

use crate::resource_forms as forms;
use crate::state::{BUCKETS, BucketRecord, SCOPE};
use sereno_api_s3 as api;
use sereno_base::Region;
use sereno_kernel::{Ctx, Error, ResourceRequest, ResourceState, ResourceType, Result};

/// Properties of `AWS::S3::Bucket` that are honoured.
const BUCKET_PROPERTIES: &[&str] = &[
    "AccessControl",
    "BucketEncryption",
    "BucketName",
    "CorsConfiguration",
    "LifecycleConfiguration",
    "NotificationConfiguration",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
    "Tags",
    "VersioningConfiguration",
    "WebsiteConfiguration",
];

pub fn bucket() -> ResourceType {
    ResourceType::new("AWS::S3::Bucket")
        .create_only(&["BucketName"])
        .create(create_bucket)
        .update(update_bucket)
        .delete(delete_bucket)
}

pub fn bucket_policy() -> ResourceType {
    ResourceType::new("AWS::S3::BucketPolicy")
        .create_only(&["Bucket"])
        .create(put_policy)
        .update(put_policy)
        .delete(delete_policy)
}

fn only(properties: &Map<String, Value>, known: &[&str], kind: &str) -> Result<()> {
    match properties.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::not_implemented(format!(
            "Sereno's {kind} does not serve the property {name}."
        ))),
    }
}

fn text<'p>(properties: &'p Map<String, Value>, name: &str) -> Option<&'p str> {
    properties.get(name).and_then(Value::as_str)
}

/// Bucket names are lower case; the suggested one has the stack's and the resource's letters.
fn name(request: &ResourceRequest) -> String {
    if !request.physical_id.is_empty() {
        return request.physical_id.clone();
    }
    match text(&request.properties, "BucketName") {
        Some(name) => name.to_owned(),
        None => {
            let lower = request.suggested_name.to_ascii_lowercase();
            let end = lower.len().saturating_sub(63);
            lower[end..].trim_start_matches('-').to_owned()
        }
    }
}

async fn create_bucket(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    only(&request.properties, BUCKET_PROPERTIES, "AWS::S3::Bucket")?;
    let name = name(&request);
    let constraint = (ctx.region() != Region::US_EAST_1).then(|| api::CreateBucketConfiguration {
        location_constraint: Some(ctx.region().as_str().into()),
        ..api::CreateBucketConfiguration::default()
    });
    let ownership = request.properties.get("OwnershipControls").and_then(|controls| {
        controls["Rules"][0]["ObjectOwnership"].as_str().map(api::ObjectOwnership::from)
    });
    let input = api::CreateBucketInput {
        bucket: name.clone(),
        create_bucket_configuration: constraint,
        object_ownership: ownership,
        ..api::CreateBucketInput::default()
    };
    // A second try of the same change adopts what the first one made; nothing else is taken over,
    // though us-east-1 would let its owner create a bucket twice. The bucket's record is asked, not
    // an operation: a stack's caller may be allowed to create only.
    match BUCKETS.get(ctx.store(), SCOPE, name.as_str()).await? {
        Some(bucket) if is_ours(&bucket, &request) => configure(&ctx, &name, &request).await?,
        Some(_) => {
            return Err(Error::conflict("AlreadyExists", format!("{name} already exists")));
        }
        None => {
            ctx.call::<api::CreateBucket>(input).await?;
            crate::config::set_stack_tags(&ctx, &name, tags(&request)).await?;
            if let Err(error) = configure(&ctx, &name, &request).await {
                // A creation that fails leaves nothing behind.
                let input = api::DeleteBucketInput { bucket: name, ..Default::default() };
                let _ = crate::bucket::delete(ctx, input).await;
                return Err(error);
            }
        }
    }
    Ok(state(&ctx, &name))
}

fn is_ours(bucket: &BucketRecord, request: &ResourceRequest) -> bool {
    bucket.tags.get("aws:cloudformation:stack-id") == Some(&request.stack_id)
}

async fn update_bucket(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    only(&request.properties, BUCKET_PROPERTIES, "AWS::S3::Bucket")?;
    let name = name(&request);
    configure(&ctx, &name, &request).await?;
    Ok(state(&ctx, &name))
}

fn state(ctx: &Ctx, name: &str) -> ResourceState {
    let suffix = ctx.region().dns_suffix();
    let region = ctx.region();
    ResourceState::new(name)
        .attribute("Arn", crate::access::bucket_arn(ctx, name))
        .attribute("DomainName", format!("{name}.s3.{suffix}"))
        .attribute("DualStackDomainName", format!("{name}.s3.dualstack.{region}.{suffix}"))
        .attribute("RegionalDomainName", format!("{name}.s3.{region}.{suffix}"))
        .attribute("WebsiteURL", website_url(ctx, name))
}

/// Where this server shows the bucket as a website, so that a browser finds it.
fn website_url(ctx: &Ctx, name: &str) -> String {
    let (scheme, authority) = ctx.endpoint().split_once("://").unwrap_or(("http", "localhost"));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, format!(":{port}")),
        None => (authority, String::new()),
    };
    let host = if host.parse::<std::net::IpAddr>().is_ok() { "localhost" } else { host };
    format!("{scheme}://{name}.s3-website.{host}{port}")
}

/// Whether a property is there now, or was there before and is to be undone.
fn changed<'r>(request: &'r ResourceRequest, property: &str) -> Option<Option<&'r Value>> {
    let (now, before) = (request.properties.get(property), request.previous.get(property));
    (now != before).then_some(now)
}

async fn configure(ctx: &Ctx, name: &str, request: &ResourceRequest) -> Result<()> {
    let bucket = || name.to_owned();
    configure_access(ctx, name, request).await?;
    if let Some(versioning) = changed(request, "VersioningConfiguration") {
        let status = versioning.and_then(|v| v["Status"].as_str()).unwrap_or("Suspended");
        ctx.call::<api::PutBucketVersioning>(api::PutBucketVersioningInput {
            bucket: bucket(),
            versioning_configuration: api::VersioningConfiguration {
                status: Some(status.into()),
                mfa_delete: None,
            },
            ..Default::default()
        })
        .await?;
    }
    if let Some(encryption) = changed(request, "BucketEncryption") {
        match encryption {
            Some(encryption) => {
                let rules = forms::rules_of(encryption);
                let configuration = sereno_wire::from_json(&json!({ "Rules": rules }));
                ctx.call::<api::PutBucketEncryption>(api::PutBucketEncryptionInput {
                    bucket: bucket(),
                    server_side_encryption_configuration: configuration.map_err(wrong)?,
                    ..Default::default()
                })
                .await?;
            }
            None => {
                let input =
                    api::DeleteBucketEncryptionInput { bucket: bucket(), ..Default::default() };
                ctx.call::<api::DeleteBucketEncryption>(input).await?;
            }
        }
    }
    if let Some(wanted) = changed(request, "CorsConfiguration") {
        match wanted {
            Some(wanted) => {
                let input = api::PutBucketCorsInput {
                    bucket: bucket(),
                    cors_configuration: forms::cors(wanted),
                    ..Default::default()
                };
                ctx.call::<api::PutBucketCors>(input).await?;
            }
            None => {
                let input = api::DeleteBucketCorsInput { bucket: bucket(), ..Default::default() };
                ctx.call::<api::DeleteBucketCors>(input).await?;
            }
        }
    }
    configure_contents(ctx, name, request).await?;
    if let Some(wanted) = changed(request, "NotificationConfiguration") {
        let configuration = forms::notification(wanted.unwrap_or(&Value::Null))?;
        ctx.call::<api::PutBucketNotificationConfiguration>(
            api::PutBucketNotificationConfigurationInput {
                bucket: bucket(),
                notification_configuration: configuration,
                ..Default::default()
            },
        )
        .await?;
    }
    crate::config::set_stack_tags(ctx, name, tags(request)).await
}

/// What becomes of the objects: how they age, and how they are shown.
async fn configure_contents(ctx: &Ctx, name: &str, request: &ResourceRequest) -> Result<()> {
    let bucket = name.to_owned();
    match changed(request, "LifecycleConfiguration") {
        None => {}
        Some(Some(wanted)) => {
            let configuration = forms::lifecycle(wanted)?;
            ctx.call::<api::PutBucketLifecycleConfiguration>(
                api::PutBucketLifecycleConfigurationInput {
                    bucket: bucket.clone(),
                    lifecycle_configuration: Some(configuration),
                    ..Default::default()
                },
            )
            .await?;
        }
        Some(None) => {
            let input =
                api::DeleteBucketLifecycleInput { bucket: bucket.clone(), ..Default::default() };
            ctx.call::<api::DeleteBucketLifecycle>(input).await?;
        }
    }
    match changed(request, "WebsiteConfiguration") {
        None => {}
        Some(Some(wanted)) => {
            ctx.call::<api::PutBucketWebsite>(api::PutBucketWebsiteInput {
                bucket,
                website_configuration: forms::website(wanted),
                ..Default::default()
            })
            .await?;
        }
        Some(None) => {
            let input = api::DeleteBucketWebsiteInput { bucket, ..Default::default() };
            ctx.call::<api::DeleteBucketWebsite>(input).await?;
        }
    }
    Ok(())
}

fn wrong(error: sereno_wire::DecodeError) -> Error {
    let why = match error {
        sereno_wire::DecodeError::Malformed(why) => why,
        sereno_wire::DecodeError::Violations(all) => sereno_wire::validation_message(&all),
    };
    Error::invalid("ValidationError", why)
}

/// Who may reach the bucket: ownership, ACL, public access.
async fn configure_access(ctx: &Ctx, name: &str, request: &ResourceRequest) -> Result<()> {
    let bucket = || name.to_owned();
    if let Some(block) = changed(request, "PublicAccessBlockConfiguration") {
        let said = |key: &str| block.and_then(|block| forms::flag(&block[key]));
        // Left out of the template, the account's default stays: closed.
        let configuration = api::PublicAccessBlockConfiguration {
            block_public_acls: Some(said("BlockPublicAcls").unwrap_or(block.is_none())),
            ignore_public_acls: Some(said("IgnorePublicAcls").unwrap_or(block.is_none())),
            block_public_policy: Some(said("BlockPublicPolicy").unwrap_or(block.is_none())),
            restrict_public_buckets: Some(said("RestrictPublicBuckets").unwrap_or(block.is_none())),
        };
        ctx.call::<api::PutPublicAccessBlock>(api::PutPublicAccessBlockInput {
            bucket: bucket(),
            public_access_block_configuration: configuration,
            ..Default::default()
        })
        .await?;
    }
    if let Some(controls) = changed(request, "OwnershipControls") {
        let ownership = controls.and_then(|c| c["Rules"][0]["ObjectOwnership"].as_str());
        let rule = api::OwnershipControlsRule {
            object_ownership: ownership.unwrap_or("BucketOwnerEnforced").into(),
        };
        ctx.call::<api::PutBucketOwnershipControls>(api::PutBucketOwnershipControlsInput {
            bucket: bucket(),
            ownership_controls: api::OwnershipControls { rules: vec![rule] },
            ..Default::default()
        })
        .await?;
    }
    if let Some(acl) = changed(request, "AccessControl") {
        let canned = forms::canned(acl.and_then(Value::as_str).unwrap_or("Private"))?;
        ctx.call::<api::PutBucketAcl>(api::PutBucketAclInput {
            bucket: bucket(),
            acl: Some(canned.into()),
            ..Default::default()
        })
        .await?;
    }
    Ok(())
}

/// The stack's tags, with the resource's own over them.
fn tags(request: &ResourceRequest) -> Vec<(String, String)> {
    let mut all = request.tags.clone();
    for tag in request.properties.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        let key = tag["Key"].as_str().unwrap_or_default().to_owned();
        let value = match &tag["Value"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        all.retain(|(other, _)| *other != key);
        all.push((key, value));
    }
    all
}

async fn delete_bucket(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let input = api::DeleteBucketInput { bucket: request.physical_id, ..Default::default() };
    match ctx.call::<api::DeleteBucket>(input).await {
        Err(error) if error.code() != "NoSuchBucket" => Err(error),
        _ => Ok(()),
    }
}

async fn put_policy(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    only(&request.properties, &["Bucket", "PolicyDocument"], "AWS::S3::BucketPolicy")?;
    let bucket = text(&request.properties, "Bucket").unwrap_or_default().to_owned();
    let policy = match request.properties.get("PolicyDocument") {
        Some(Value::String(text)) => text.clone(),
        Some(document) => document.to_string(),
        None => String::new(),
    };
    let input = api::PutBucketPolicyInput { bucket: bucket.clone(), policy, ..Default::default() };
    ctx.call::<api::PutBucketPolicy>(input).await?;
    Ok(ResourceState::new(bucket))
}

async fn delete_policy(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let input = api::DeleteBucketPolicyInput { bucket: request.physical_id, ..Default::default() };
    match ctx.call::<api::DeleteBucketPolicy>(input).await {
        Err(error) if error.code() != "NoSuchBucket" => Err(error),
        _ => Ok(()),
    }
}
