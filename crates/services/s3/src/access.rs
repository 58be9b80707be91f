//! Which action on which ARN each operation needs, and what the bucket itself says of it.
//!
//! Actions: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use std::sync::Arc;

use serde_json::{Value, json};
use sereno_api_s3 as api;
use sereno_base::{AccountId, arn};
use sereno_kernel::{Access, Caller, Ctx, ResourceGuard, Result};
use sereno_policy::validate;

use crate::rules::{self, Source};
use crate::state::{BUCKETS, BucketRecord, CURRENT, SCOPE};

/// S3's ARNs name neither region nor account.
pub fn bucket_arn(ctx: &Ctx, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", ctx.partition())
}

pub fn bucket(ctx: &Ctx, action: &'static str, bucket: &str) -> Access {
    Access::new(action, bucket_arn(ctx, bucket))
}

pub fn object(ctx: &Ctx, action: &'static str, bucket: &str, key: &str) -> Access {
    Access::new(action, object_arn(ctx, bucket, key))
}

pub fn object_arn(ctx: &Ctx, bucket: &str, key: &str) -> String {
    format!("{}/{key}", bucket_arn(ctx, bucket))
}

/// A read of a given version needs another action than a read of the newest.
pub fn versioned(
    ctx: &Ctx,
    actions: (&'static str, &'static str),
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Access {
    match version {
        None => object(ctx, actions.0, bucket, key),
        Some(version) => {
            object(ctx, actions.1, bucket, key).condition("s3:VersionId", vec![version.to_owned()])
        }
    }
}

/// What the headers of a write ask for besides.
pub struct Extras<'a> {
    pub tagged: bool,
    pub acl: Option<&'a str>,
    pub retained: bool,
    pub held: bool,
}

/// Writing an object: what its headers ask for besides needs actions of its own.
pub fn write(ctx: &Ctx, bucket: &str, key: &str, extras: Extras<'_>) -> Access {
    let Extras { tagged, acl, retained, held } = extras;
    let target = object_arn(ctx, bucket, key);
    let mut access = Access::new("s3:PutObject", target.clone());
    if let Some(acl) = acl {
        access = access
            .condition("s3:x-amz-acl", vec![acl.to_owned()])
            .and("s3:PutObjectAcl", target.clone())
            .condition("s3:x-amz-acl", vec![acl.to_owned()]);
    }
    let needed = [
        ("s3:PutObjectTagging", tagged),
        ("s3:PutObjectRetention", retained),
        ("s3:PutObjectLegalHold", held),
    ];
    for (action, _) in needed.into_iter().filter(|(_, asked)| *asked) {
        access = access.and(action, target.clone());
    }
    access
}

/// Attributes are told to those who may also read.
pub fn attributes(ctx: &Ctx, input: &api::GetObjectAttributesInput) -> Access {
    let version = input.version_id.as_deref();
    let actions = ("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes");
    let read = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    versioned(ctx, actions, &input.bucket, &input.key, version)
        .and(read, object_arn(ctx, &input.bucket, &input.key))
}

/// Reading the source of a copy. A header that names none is an error the operation reports.
pub fn and_source(access: Access, ctx: &Ctx, header: &str) -> Access {
    let Ok(Source { bucket, key, version }) = rules::copy_source(header) else { return access };
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    access.and(action, object_arn(ctx, &bucket, &key))
}

/// Listing: policies tell callers apart by what they list.
pub fn list(
    ctx: &Ctx,
    action: &'static str,
    name: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    max: Option<i32>,
) -> Access {
    let mut access = bucket(ctx, action, name);
    if let Some(prefix) = prefix {
        access = access.condition("s3:prefix", vec![prefix.to_owned()]);
    }
    if let Some(delimiter) = delimiter {
        access = access.condition("s3:delimiter", vec![delimiter.to_owned()]);
    }
    if let Some(max) = max {
        access = access.condition("s3:max-keys", vec![max.to_string()]);
    }
    access
}

/// An S3 event's ARN is the bucket's; Lambda's policies are written for it.
pub fn source_arn(bucket: &str) -> String {
    arn("s3", None, None, bucket)
}

/// The policy that speaks for a bucket or object: the bucket's own, and what ACLs grant.
pub async fn guard(ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    let name_and_key = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let (name, key) = match name_and_key.split_once('/') {
        Some((name, key)) => (name, Some(key)),
        None => (name_and_key, None),
    };
    let Some(bucket) = BUCKETS.get(ctx.store(), SCOPE, name).await? else {
        return Ok(ResourceGuard::default());
    };
    let owner = AccountId::from_u64(bucket.account);
    let mut statements = grants(&ctx, &bucket, &arn, key).await?;
    if let Some(policy) = policy_in_force(&ctx, &bucket) {
        let document: Value = serde_json::from_str(policy).unwrap_or_default();
        if statements.is_empty() {
            statements = vec![document];
        } else {
            let own = match &document["Statement"] {
                Value::Array(all) => all.clone(),
                one => vec![one.clone()],
            };
            statements.extend(own);
            let version = document.get("Version").cloned().unwrap_or(json!("2008-10-17"));
            statements = vec![json!({"Version": version, "Statement": statements})];
        }
    } else if !statements.is_empty() {
        statements = vec![json!({"Version": "2012-10-17", "Statement": statements})];
    }
    let policy = statements.pop().map(|document| validate::resource(&document.to_string()));
    let policy = policy.and_then(std::result::Result::ok).map(Arc::new);
    Ok(ResourceGuard { policy, owner, ..ResourceGuard::default() })
}

/// A public policy counts for the owner's account and for services only, where the bucket says so.
fn policy_in_force<'b>(ctx: &Ctx, bucket: &'b BucketRecord) -> Option<&'b str> {
    let policy = bucket.policy.as_deref()?;
    let restricted = bucket.public_access_block.is_some_and(|block| block.restrict_public_buckets);
    let inside = match ctx.caller() {
        Caller::Service(_) => true,
        caller => caller.account().is_some_and(|account| bucket.is_owned_by(account)),
    };
    (inside || !restricted || !rules::is_public(policy)).then_some(policy)
}

/// What the canned ACLs of the bucket and of the object allow to others than the owner.
async fn grants(
    ctx: &Ctx,
    bucket: &BucketRecord,
    arn: &str,
    key: Option<&str>,
) -> Result<Vec<Value>> {
    let block = bucket.public_access_block.unwrap_or_default();
    if bucket.ownership == "BucketOwnerEnforced" || block.ignore_public_acls {
        return Ok(Vec::new());
    }
    let allow = |actions: &[&str]| json!({"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": arn});
    let (acl, reads) = match key {
        None => {
            let lists = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"];
            (bucket.acl.clone(), vec![allow(&lists)])
        }
        Some(key) => {
            let found = CURRENT.get(ctx.store(), SCOPE, &(bucket.id.as_str(), key)).await?;
            let object = found.unwrap_or_default();
            // The ACL is that version's own: it opens no other.
            let mut version = allow(&["s3:GetObjectVersion"]);
            version["Condition"] = json!({"StringEquals": {"s3:VersionId": object.version}});
            (object.head.acl, vec![allow(&["s3:GetObject"]), version])
        }
    };
    let signed = matches!(ctx.caller(), Caller::User(_) | Caller::Role(_) | Caller::Root { .. });
    let mut statements = match acl.as_str() {
        "public-read" | "public-read-write" => reads,
        "authenticated-read" if signed => reads,
        _ => Vec::new(),
    };
    // Who may write objects is the bucket's ACL to say.
    if key.is_some() && bucket.acl == "public-read-write" {
        statements.push(allow(&["s3:PutObject", "s3:DeleteObject"]));
    }
    Ok(statements)
}
