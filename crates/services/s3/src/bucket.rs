//! Buckets themselves: made, found, listed, removed.

use sereno_api_s3 as api;
use sereno_base::{AccountId, Region, base64_decode, base64_encode};
use sereno_kernel::{Ctx, Result};
use sereno_store::{Read, Txn, transact};

use crate::access::bucket_arn;
use crate::state::{
    BUCKETS, BucketRecord, CURRENT, LockRecord, OLDER, OWNED, OwnedRecord, PublicAccessBlockRecord,
    SCOPE, UPLOADS, Versioning,
};
use crate::{errors, rules};

/// The bucket, which must exist and belong to whom the client expects.
pub async fn load(
    read: &(impl Read + ?Sized),
    name: &str,
    expected_owner: Option<&str>,
) -> Result<BucketRecord> {
    let found = BUCKETS.get(read, SCOPE, name).await?;
    let bucket = found.ok_or_else(|| errors::no_such_bucket(name))?;
    let Some(expected) = expected_owner else { return Ok(bucket) };
    if expected.len() != 12 || !expected.bytes().all(|b| b.is_ascii_digit()) {
        return Err(sereno_kernel::Error::invalid(
            "InvalidBucketOwnerAWSAccountID",
            format!(
                "The value of the expected bucket owner parameter must be an AWS Account ID... \
                 [{expected}]"
            ),
        ));
    }
    match expected.parse::<AccountId>().is_ok_and(|account| bucket.is_owned_by(account)) {
        true => Ok(bucket),
        false => Err(errors::denied("Access Denied")),
    }
}

/// Changes a bucket's record.
pub async fn change(
    ctx: &Ctx,
    name: &str,
    expected_owner: Option<&str>,
    mut change: impl FnMut(&mut BucketRecord) -> Result<()>,
) -> Result<()> {
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut bucket = load(txn, name, expected_owner).await?;
        change(&mut bucket)?;
        BUCKETS.put(txn, SCOPE, name, &bucket);
    })
}

pub async fn create(ctx: Ctx, input: api::CreateBucketInput) -> Result<api::CreateBucketOutput> {
    let name = &input.bucket;
    rules::bucket_name(name)?;
    refuse(&input)?;
    let region = placement(&ctx, &input)?;
    let ownership =
        input.object_ownership.as_ref().map_or("BucketOwnerEnforced".to_owned(), |o| o.to_string());
    let acl = input.acl.as_ref().map(|acl| acl.to_string()).unwrap_or_default();
    if !matches!(acl.as_str(), "" | "private") && ownership == "BucketOwnerEnforced" {
        return Err(sereno_kernel::Error::invalid(
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        ));
    }
    let configuration = input.create_bucket_configuration.as_ref();
    let tags: Vec<(String, String)> = configuration
        .and_then(|c| c.tags.clone())
        .unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect();
    let locks = input.object_lock_enabled_for_bucket == Some(true);
    let record = BucketRecord {
        id: ctx.random_id(b"0123456789abcdefghijklmnopqrstuvwxyz", 16),
        account: ctx.account().as_u64(),
        region: region.as_str().to_owned(),
        location: older_name(&input),
        created: rules::whole_seconds(ctx.now()),
        tags: rules::tags(&tags, 50)?,
        // Since April 2023 all new buckets are closed to the public.
        public_access_block: Some(PublicAccessBlockRecord {
            block_public_acls: true,
            ignore_public_acls: true,
            block_public_policy: true,
            restrict_public_buckets: true,
        }),
        ownership,
        acl,
        // A lock is on versions: the one switches on the other.
        versioning: if locks { Versioning::Enabled } else { Versioning::Never },
        lock: locks.then(LockRecord::default),
        ..BucketRecord::default()
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        match BUCKETS.get(txn, SCOPE, name.as_str()).await? {
            Some(taken) if !taken.is_owned_by(ctx.account()) => {
                return Err(errors::bucket_taken(name));
            }
            // For old clients' sake us-east-1 answers a repeated creation with success.
            Some(_) if region == Region::US_EAST_1 && ctx.region() == Region::US_EAST_1 => {}
            Some(_) => return Err(errors::bucket_owned(name)),
            None => {
                BUCKETS.put(txn, SCOPE, name.as_str(), &record);
                let owned = OwnedRecord { created: record.created, region: record.region.clone() };
                OWNED.put(txn, ctx.account_scope(), name.as_str(), &owned);
            }
        }
    })?;
    let location = match region == Region::US_EAST_1 {
        true => format!("/{name}"),
        false => format!("http://{name}.s3.amazonaws.com/"),
    };
    Ok(api::CreateBucketOutput {
        location: Some(location),
        bucket_arn: Some(bucket_arn(&ctx, name)),
    })
}

fn refuse(input: &api::CreateBucketInput) -> Result<()> {
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    if grants.iter().any(|grant| grant.is_some()) {
        return Err(errors::header("x-amz-grant-*", "Use a bucket policy."));
    }
    if input.bucket_namespace.as_ref().is_some_and(|n| n.as_str() != "global") {
        return Err(errors::header("x-amz-bucket-namespace", "Account-regional names"));
    }
    let configuration = input.create_bucket_configuration.as_ref();
    match configuration.is_some_and(|c| c.bucket.is_some() || c.location.is_some()) {
        true => Err(errors::not_served("directory buckets")),
        false => Ok(()),
    }
}

/// `EU`, where the client says so (recorded: test_create_bucket_with_eu_location_constraint).
fn older_name(input: &api::CreateBucketInput) -> String {
    let configuration = input.create_bucket_configuration.as_ref();
    let given = configuration.and_then(|c| c.location_constraint.as_deref());
    given.filter(|given| *given == "EU").unwrap_or_default().to_owned()
}

/// The region that the bucket is to be in, which must be the endpoint's but for us-east-1's.
fn placement(ctx: &Ctx, input: &api::CreateBucketInput) -> Result<Region> {
    let here = ctx.region();
    let constraint = input
        .create_bucket_configuration
        .as_ref()
        .and_then(|c| c.location_constraint.as_ref())
        .cloned()
        .filter(|c| !c.is_empty());
    let Some(constraint) = constraint else {
        return match here == Region::US_EAST_1 {
            true => Ok(here),
            false => Err(errors::other_location("unspecified")),
        };
    };
    let named = if constraint == "EU" { "eu-west-1" } else { constraint.as_str() };
    match Region::parse(named) {
        Some(region) if region == here && here != Region::US_EAST_1 => Ok(region),
        Some(region) if here == Region::US_EAST_1 && region != here => Ok(region),
        None if here == Region::US_EAST_1 => Err(errors::location(&constraint)),
        Some(_) if here == Region::US_EAST_1 => Err(errors::location(&constraint)),
        _ => Err(errors::other_location(&constraint)),
    }
}

pub async fn delete(ctx: Ctx, input: api::DeleteBucketInput) -> Result<api::DeleteBucketOutput> {
    let name = input.bucket.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let bucket = load(txn, name, input.expected_bucket_owner.as_deref()).await?;
        if !is_empty(txn, &bucket).await? {
            return Err(errors::bucket_not_empty(name, bucket.versioning != Versioning::Never));
        }
        BUCKETS.delete(txn, SCOPE, name);
        if let Some(owner) = AccountId::from_u64(bucket.account) {
            OWNED.delete(txn, ctx.in_account(owner).account_scope(), name);
        }
    })?;
    Ok(api::DeleteBucketOutput::default())
}

/// Uploads under way keep a bucket too: their parts would be lost with it.
async fn is_empty(txn: &mut Txn, bucket: &BucketRecord) -> Result<bool> {
    let id = bucket.id.as_str();
    let objects = CURRENT.list(SCOPE, (id,)).limit(1).read(txn).await?;
    let older = OLDER.list(SCOPE, (id,)).limit(1).read(txn).await?;
    let uploads = UPLOADS.list(SCOPE, (id,)).limit(1).read(txn).await?;
    Ok(objects.is_empty() && older.is_empty() && uploads.is_empty())
}

pub async fn head(ctx: Ctx, input: api::HeadBucketInput) -> Result<api::HeadBucketOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    Ok(api::HeadBucketOutput {
        bucket_arn: Some(bucket_arn(&ctx, &input.bucket)),
        bucket_region: Some(bucket.region),
        access_point_alias: Some(false),
        ..api::HeadBucketOutput::default()
    })
}

pub async fn location(
    ctx: Ctx,
    input: api::GetBucketLocationInput,
) -> Result<api::GetBucketLocationOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    // Of us-east-1 the answer is an empty element.
    let constraint = match bucket.location.is_empty() {
        true => Some(bucket.region).filter(|region| region != Region::US_EAST_1.as_str()),
        false => Some(bucket.location),
    };
    Ok(api::GetBucketLocationOutput { location_constraint: constraint })
}

pub async fn list(ctx: Ctx, input: api::ListBucketsInput) -> Result<api::ListBucketsOutput> {
    let max = input.max_buckets.unwrap_or(10_000);
    if !(1..=10_000).contains(&max) {
        return Err(errors::bad_argument(
            "Argument maxBuckets must be an integer between 1 and 10000",
            "max-buckets",
            &max.to_string(),
        ));
    }
    if let Some(region) = &input.bucket_region
        && Region::parse(region).is_none()
    {
        return Err(errors::bad_argument_name(
            &format!("Argument value {region} is not a valid AWS Region"),
            "bucket-region",
        ));
    }
    let mut rows = OWNED.list(ctx.account_scope(), ());
    if let Some(prefix) = &input.prefix {
        rows = rows.starting_with(prefix);
    }
    // An empty one asks for the first page (recorded: test_list_buckets_when_continuation_token_is_empty).
    if let Some(after) = input.continuation_token.as_ref().filter(|token| !token.is_empty()) {
        let after = base64_decode(after).and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.ok_or_else(|| {
            let message = "The continuation token provided is incorrect";
            errors::bad_argument_name(message, "continuation-token")
        })?;
        rows = rows.after(after.as_str());
    }
    let mut buckets: Vec<api::Bucket> = rows
        .read(ctx.store())
        .await?
        .into_iter()
        .filter(|(_, owned)| input.bucket_region.as_ref().is_none_or(|r| *r == owned.region))
        .map(|(name, owned)| api::Bucket {
            bucket_arn: Some(bucket_arn(&ctx, &name)),
            name: Some(name),
            creation_date: Some(owned.created),
            bucket_region: Some(owned.region).filter(|_| paged(&input)),
        })
        .collect();
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let more = buckets.len() > max;
    buckets.truncate(max);
    let last = buckets.last().and_then(|bucket| bucket.name.as_ref()).filter(|_| more);
    let next = last.map(|name| base64_encode(name.as_bytes()));
    Ok(api::ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner(ctx.account())),
        continuation_token: next,
        prefix: input.prefix,
    })
}

/// Asked page by page, AWS tells regions as well.
fn paged(input: &api::ListBucketsInput) -> bool {
    input.max_buckets.is_some() || input.bucket_region.is_some() || input.prefix.is_some()
}

pub fn owner(account: AccountId) -> api::Owner {
    api::Owner { id: Some(rules::canonical_id(account)), display_name: None }
}

pub fn owner_of(bucket: &BucketRecord) -> api::Owner {
    owner(AccountId::from_u64(bucket.account).unwrap_or(AccountId::DEFAULT))
}
