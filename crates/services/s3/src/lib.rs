//! Amazon S3: buckets, objects and their versions, multipart uploads, events to functions.
//!
//! Invariants
//! * A bucket's name is unique among all accounts; what is in it is keyed by the bucket's own id.
//! * An object's bytes are on disk before the commit that names them, and removed after the one
//!   that forgets them. Bodies are never whole in memory beyond `content::SMALL_BYTES_MAX`.
//! * Every write of an object, its versions and the events it causes are one commit.

mod access;
mod acl;
mod attributes;
mod bucket;
mod checksum;
mod complete;
mod config;
mod content;
mod copy;
mod cors;
mod errors;
mod expire;
#[cfg(test)]
mod golden;
mod head;
mod integrity;
mod lifecycle;
mod list;
mod lock;
mod notify;
mod object;
mod pages;
mod policy;
mod remove;
mod resource_forms;
mod resources;
mod rules;
mod state;
mod tagging;
mod upload;
mod upload_list;
mod version;
mod website;

use sereno_api_s3 as api;
use sereno_kernel::{Access, Service};

pub fn service() -> Service {
    let service = Service::new(&api::SERVICE)
        .violations(errors::violations)
        .resource_policy(access::guard)
        .cors(cors::answer)
        .body_check(integrity::check)
        .task(notify::deliver())
        .task(expire::task())
        .data_plane(pages::Pages)
        .blobs(state::CURRENT, |object| object.content.blob(object.size))
        .blobs(state::OLDER, |object| object.content.blob(object.size))
        .blobs(state::PARTS, |part| part.content.blob(part.size))
        .resource(resources::bucket())
        .resource(resources::bucket_policy());
    uploads(locks(objects(configurations(buckets(service)))))
}

fn buckets(service: Service) -> Service {
    service
        .on::<api::ListBuckets>(|_, _| Access::new("s3:ListAllMyBuckets", "*"), bucket::list)
        .on::<api::CreateBucket>(
            |c, i| access::bucket(c, "s3:CreateBucket", &i.bucket),
            bucket::create,
        )
        .on::<api::DeleteBucket>(
            |c, i| access::bucket(c, "s3:DeleteBucket", &i.bucket),
            bucket::delete,
        )
        .on::<api::HeadBucket>(|c, i| access::bucket(c, "s3:ListBucket", &i.bucket), bucket::head)
        .on::<api::GetBucketLocation>(
            |c, i| access::bucket(c, "s3:GetBucketLocation", &i.bucket),
            bucket::location,
        )
        .on::<api::ListObjects>(
            |c, i| {
                let (prefix, delimiter) = (i.prefix.as_deref(), i.delimiter.as_deref());
                access::list(c, "s3:ListBucket", &i.bucket, prefix, delimiter, i.max_keys)
            },
            list::objects,
        )
        .on::<api::ListObjectsV2>(
            |c, i| {
                let (prefix, delimiter) = (i.prefix.as_deref(), i.delimiter.as_deref());
                access::list(c, "s3:ListBucket", &i.bucket, prefix, delimiter, i.max_keys)
            },
            list::objects_v2,
        )
        .on::<api::ListObjectVersions>(
            |c, i| {
                let (prefix, delimiter) = (i.prefix.as_deref(), i.delimiter.as_deref());
                access::list(c, "s3:ListBucketVersions", &i.bucket, prefix, delimiter, i.max_keys)
            },
            list::versions,
        )
}

/// Configurations of a bucket: each operation needs one action on the bucket.
macro_rules! on_bucket {
    ($service:expr, $($operation:ident $action:literal $handler:path,)*) => {
        $service$(.on::<api::$operation>(|c, i| access::bucket(c, $action, &i.bucket), $handler))*
    };
}

fn configurations(service: Service) -> Service {
    on_bucket! { service,
        GetBucketVersioning "s3:GetBucketVersioning" config::get_versioning,
        PutBucketVersioning "s3:PutBucketVersioning" config::put_versioning,
        GetBucketTagging "s3:GetBucketTagging" config::get_tagging,
        PutBucketTagging "s3:PutBucketTagging" config::put_tagging,
        DeleteBucketTagging "s3:PutBucketTagging" config::delete_tagging,
        GetBucketPolicy "s3:GetBucketPolicy" policy::get,
        PutBucketPolicy "s3:PutBucketPolicy" policy::put,
        DeleteBucketPolicy "s3:DeleteBucketPolicy" policy::delete,
        GetBucketPolicyStatus "s3:GetBucketPolicyStatus" policy::status,
        GetBucketCors "s3:GetBucketCORS" cors::get,
        PutBucketCors "s3:PutBucketCORS" cors::put,
        DeleteBucketCors "s3:PutBucketCORS" cors::delete,
        GetBucketEncryption "s3:GetEncryptionConfiguration" config::get_encryption,
        PutBucketEncryption "s3:PutEncryptionConfiguration" config::put_encryption,
        DeleteBucketEncryption "s3:PutEncryptionConfiguration" config::delete_encryption,
        GetPublicAccessBlock "s3:GetBucketPublicAccessBlock" config::get_public_access_block,
        PutPublicAccessBlock "s3:PutBucketPublicAccessBlock" config::put_public_access_block,
        DeletePublicAccessBlock "s3:PutBucketPublicAccessBlock" config::delete_public_access_block,
        GetBucketOwnershipControls "s3:GetBucketOwnershipControls" config::get_ownership,
        PutBucketOwnershipControls "s3:PutBucketOwnershipControls" config::put_ownership,
        DeleteBucketOwnershipControls "s3:PutBucketOwnershipControls" config::delete_ownership,
        GetBucketAcl "s3:GetBucketAcl" acl::get_bucket,
        PutBucketAcl "s3:PutBucketAcl" acl::put_bucket,
        GetBucketNotificationConfiguration "s3:GetBucketNotification" notify::get,
        PutBucketNotificationConfiguration "s3:PutBucketNotification" notify::put,
        GetBucketRequestPayment "s3:GetBucketRequestPayment" config::get_request_payment,
        GetBucketAccelerateConfiguration "s3:GetAccelerateConfiguration" config::get_accelerate,
        PutBucketAccelerateConfiguration "s3:PutAccelerateConfiguration" config::put_accelerate,
        PutBucketRequestPayment "s3:PutBucketRequestPayment" config::put_request_payment,
        GetBucketLogging "s3:GetBucketLogging" config::get_logging,
        GetBucketWebsite "s3:GetBucketWebsite" website::get,
        PutBucketWebsite "s3:PutBucketWebsite" website::put,
        DeleteBucketWebsite "s3:DeleteBucketWebsite" website::delete,
        GetBucketLifecycleConfiguration "s3:GetLifecycleConfiguration" lifecycle::get,
        PutBucketLifecycleConfiguration "s3:PutLifecycleConfiguration" lifecycle::put,
        DeleteBucketLifecycle "s3:PutLifecycleConfiguration" lifecycle::delete,
        GetBucketReplication "s3:GetReplicationConfiguration" config::get_replication,
        GetObjectLockConfiguration "s3:GetBucketObjectLockConfiguration" lock::get_configuration,
        PutObjectLockConfiguration "s3:PutBucketObjectLockConfiguration" lock::put_configuration,
        ListMultipartUploads "s3:ListBucketMultipartUploads" upload_list::uploads,
    }
}

/// Operations on an object: one action for its newest version, another for a given one.
macro_rules! on_version {
    ($service:expr, $($operation:ident $newest:literal $given:literal $handler:path,)*) => {
        $service$(.on::<api::$operation>(
            |c, i| {
                let version = i.version_id.as_deref();
                access::versioned(c, ($newest, $given), &i.bucket, &i.key, version)
            },
            $handler,
        ))*
    };
}

/// What a write needs, of any input that makes an object.
macro_rules! writing {
    ($ctx:expr, $input:expr) => {
        access::write(
            $ctx,
            &$input.bucket,
            &$input.key,
            access::Extras {
                tagged: $input.tagging.is_some(),
                acl: $input.acl.as_ref().map(|acl| acl.as_str()),
                retained: $input.object_lock_mode.is_some(),
                held: $input.object_lock_legal_hold_status.is_some(),
            },
        )
    };
}

fn objects(service: Service) -> Service {
    let service = on_version! { service,
        GetObject "s3:GetObject" "s3:GetObjectVersion" object::get,
        HeadObject "s3:GetObject" "s3:GetObjectVersion" object::head,
        GetObjectTagging "s3:GetObjectTagging" "s3:GetObjectVersionTagging" tagging::get,
        PutObjectTagging "s3:PutObjectTagging" "s3:PutObjectVersionTagging" tagging::put,
        DeleteObjectTagging "s3:DeleteObjectTagging" "s3:DeleteObjectVersionTagging"
            tagging::delete,
        GetObjectAcl "s3:GetObjectAcl" "s3:GetObjectVersionAcl" acl::get_object,
        PutObjectAcl "s3:PutObjectAcl" "s3:PutObjectVersionAcl" acl::put_object,
    };
    service
        .on::<api::DeleteObject>(
            |c, i| {
                let actions = ("s3:DeleteObject", "s3:DeleteObjectVersion");
                let version = i.version_id.as_deref();
                let access = access::versioned(c, actions, &i.bucket, &i.key, version);
                let arn = access::object_arn(c, &i.bucket, &i.key);
                lock::bypass(access, i.bypass_governance_retention, arn)
            },
            remove::object,
        )
        .on::<api::GetObjectAttributes>(access::attributes, attributes::get)
        // Each key is judged by the operation itself.
        .on::<api::DeleteObjects>(|_, _| Access::public(), remove::objects)
        .on::<api::PutObject>(|c, i| writing!(c, i), object::put)
        .on::<api::CopyObject>(
            |c, i| access::and_source(writing!(c, i), c, &i.copy_source),
            copy::object,
        )
}

fn locks(service: Service) -> Service {
    service
        .on::<api::GetObjectRetention>(
            |c, i| access::object(c, "s3:GetObjectRetention", &i.bucket, &i.key),
            lock::get_retention,
        )
        .on::<api::PutObjectRetention>(
            |c, i| {
                let access = access::object(c, "s3:PutObjectRetention", &i.bucket, &i.key);
                let arn = access::object_arn(c, &i.bucket, &i.key);
                lock::bypass(access, i.bypass_governance_retention, arn)
            },
            lock::put_retention,
        )
        .on::<api::GetObjectLegalHold>(
            |c, i| access::object(c, "s3:GetObjectLegalHold", &i.bucket, &i.key),
            lock::get_legal_hold,
        )
        .on::<api::PutObjectLegalHold>(
            |c, i| access::object(c, "s3:PutObjectLegalHold", &i.bucket, &i.key),
            lock::put_legal_hold,
        )
}

fn uploads(service: Service) -> Service {
    service
        .on::<api::CreateMultipartUpload>(|c, i| writing!(c, i), upload::create)
        .on::<api::UploadPart>(
            |c, i| access::object(c, "s3:PutObject", &i.bucket, &i.key),
            upload::part,
        )
        .on::<api::UploadPartCopy>(
            |c, i| {
                let access = access::object(c, "s3:PutObject", &i.bucket, &i.key);
                access::and_source(access, c, &i.copy_source)
            },
            upload::part_copy,
        )
        .on::<api::CompleteMultipartUpload>(
            |c, i| access::object(c, "s3:PutObject", &i.bucket, &i.key),
            complete::complete,
        )
        .on::<api::AbortMultipartUpload>(
            |c, i| access::object(c, "s3:AbortMultipartUpload", &i.bucket, &i.key),
            upload::abort,
        )
        .on::<api::ListParts>(
            |c, i| access::object(c, "s3:ListMultipartUploadParts", &i.bucket, &i.key),
            upload_list::parts,
        )
}
