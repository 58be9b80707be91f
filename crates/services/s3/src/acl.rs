//! Access control lists: canned ones only. New buckets do not allow any but `private`.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::bucket::{change, load, owner_of};
use crate::state::BucketRecord;
use crate::{errors, tagging, version};

const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const SIGNED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

pub async fn get_bucket(
    ctx: Ctx,
    input: api::GetBucketAclInput,
) -> Result<api::GetBucketAclOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let owner = owner_of(&bucket);
    let grants = grants(&bucket.acl, &owner);
    Ok(api::GetBucketAclOutput { owner: Some(owner), grants: Some(grants) })
}

pub async fn put_bucket(
    ctx: Ctx,
    input: api::PutBucketAclInput,
) -> Result<api::PutBucketAclOutput> {
    let listed = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    let listed = input.access_control_policy.is_some() || listed.iter().any(|g| g.is_some());
    let acl = input.acl.map(|acl| acl.to_string());
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.acl = allowed(bucket, acl.as_deref(), listed)?;
        Ok(())
    })
    .await?;
    Ok(api::PutBucketAclOutput::default())
}

/// The canned ACL, if the bucket allows one.
pub fn allowed(bucket: &BucketRecord, acl: Option<&str>, listed: bool) -> Result<String> {
    let enforced = bucket.ownership == "BucketOwnerEnforced";
    let acl = match (acl, listed) {
        (Some(_), true) => {
            return Err(errors::request(
                "Specifying both Canned ACLs and Header Grants is not allowed",
            ));
        }
        (None, true) if enforced => return Err(errors::no_acls()),
        (None, true) => return Err(errors::not_served("ACLs other than canned ones")),
        (None, false) => return Ok("private".to_owned()),
        (Some(acl), false) => acl,
    };
    // With enforced ownership the owner has full control, and saying so is allowed.
    if enforced && !matches!(acl, "bucket-owner-full-control" | "private") {
        return Err(errors::no_acls());
    }
    if enforced && acl == "private" {
        return Ok(acl.to_owned());
    }
    let public = acl.starts_with("public-") || acl == "authenticated-read";
    if public && bucket.public_access_block.is_some_and(|block| block.block_public_acls) {
        return Err(errors::denied("Access Denied"));
    }
    Ok(acl.to_owned())
}

pub async fn get_object(
    ctx: Ctx,
    input: api::GetObjectAclInput,
) -> Result<api::GetObjectAclOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let object =
        version::find(ctx.store(), &bucket, &input.key, input.version_id.as_deref(), "GET").await?;
    let owner = owner_of(&bucket);
    let grants = grants(&object.head.acl, &owner);
    Ok(api::GetObjectAclOutput {
        owner: Some(owner),
        grants: Some(grants),
        ..api::GetObjectAclOutput::default()
    })
}

pub async fn put_object(
    ctx: Ctx,
    input: api::PutObjectAclInput,
) -> Result<api::PutObjectAclOutput> {
    let listed = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    let listed = input.access_control_policy.is_some() || listed.iter().any(|g| g.is_some());
    let (key, version) = (input.key.as_str(), input.version_id.as_deref());
    let acl = input.acl.as_ref().map(|acl| acl.to_string());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let bucket = load(txn, &input.bucket, input.expected_bucket_owner.as_deref()).await?;
        let mut object = version::bearer(txn, &bucket, key, version, "PUT").await?;
        object.head.acl = allowed(&bucket, acl.as_deref(), listed)?;
        tagging::save(txn, &bucket, key, &object).await?;
    })?;
    Ok(api::PutObjectAclOutput::default())
}

fn grants(acl: &str, owner: &api::Owner) -> Vec<api::Grant> {
    let grant =
        |grantee, permission| api::Grant { grantee: Some(grantee), permission: Some(permission) };
    let group = |uri: &str| api::Grantee {
        r#type: api::Type::Group,
        uri: Some(uri.to_owned()),
        ..api::Grantee::default()
    };
    let own = api::Grantee {
        r#type: api::Type::CanonicalUser,
        id: owner.id.clone(),
        ..api::Grantee::default()
    };
    let mut grants = vec![grant(own, api::Permission::FullControl)];
    match acl {
        "public-read" => grants.push(grant(group(EVERYONE), api::Permission::Read)),
        "public-read-write" => {
            grants.push(grant(group(EVERYONE), api::Permission::Read));
            grants.push(grant(group(EVERYONE), api::Permission::Write));
        }
        "authenticated-read" => grants.push(grant(group(SIGNED), api::Permission::Read)),
        _ => {}
    }
    grants
}
