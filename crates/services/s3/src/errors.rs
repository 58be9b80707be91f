//! S3's errors: code, status, sentence, and the elements that name what it was about.
//!
//! Recorded: localstack tests/aws/services/s3 (`test_s3.snapshot.json`, `test_s3_api.snapshot.json`).

use sereno_kernel::{Error, Kind};
use sereno_wire::{Violation, idl as w, structure};

structure! { About ABOUT "Error" {
    0 bucket_name: Option<String> = w::m("BucketName", &w::STRING),
    1 key: Option<String> = w::m("Key", &w::STRING),
    2 version_id: Option<String> = w::m("VersionId", &w::STRING),
    3 upload_id: Option<String> = w::m("UploadId", &w::STRING),
    4 part_number: Option<String> = w::m("PartNumber", &w::STRING),
    5 e_tag: Option<String> = w::m("ETag", &w::STRING),
    6 argument_name: Option<String> = w::m("ArgumentName", &w::STRING),
    7 argument_value: Option<String> = w::m("ArgumentValue", &w::STRING),
    8 condition: Option<String> = w::m("Condition", &w::STRING),
    9 method: Option<String> = w::m("Method", &w::STRING),
    10 resource_type: Option<String> = w::m("ResourceType", &w::STRING),
    11 tag_key: Option<String> = w::m("TagKey", &w::STRING),
    12 tag_value: Option<String> = w::m("TagValue", &w::STRING),
    13 header: Option<String> = w::m("Header", &w::STRING),
    14 additional_message: Option<String> = w::m("additionalMessage", &w::STRING),
    15 storage_class_requested: Option<String> = w::m("StorageClassRequested", &w::STRING),
    16 range_requested: Option<String> = w::m("RangeRequested", &w::STRING),
    17 actual_object_size: Option<String> = w::m("ActualObjectSize", &w::STRING),
    18 part_number_requested: Option<String> = w::m("PartNumberRequested", &w::STRING),
    19 actual_part_count: Option<String> = w::m("ActualPartCount", &w::STRING),
    20 proposed_size: Option<String> = w::m("ProposedSize", &w::STRING),
    21 min_size_allowed: Option<String> = w::m("MinSizeAllowed", &w::STRING),
    22 expected_digest: Option<String> = w::m("ExpectedDigest", &w::STRING),
    23 calculated_digest: Option<String> = w::m("CalculatedDigest", &w::STRING),
    24 content_md5: Option<String> = w::m("Content-MD5", &w::STRING),
    25 location_constraint: Option<String> = w::m("LocationConstraint", &w::STRING),
} }

fn about(error: Error, about: About) -> Error {
    error.detail(about)
}

fn bucket(error: Error, name: &str) -> Error {
    about(error, About { bucket_name: Some(name.to_owned()), ..About::default() })
}

fn argument(message: &str, name: &str, value: Option<&str>) -> Error {
    about(
        Error::invalid("InvalidArgument", message),
        About {
            argument_name: Some(name.to_owned()),
            argument_value: value.map(str::to_owned),
            ..About::default()
        },
    )
}

pub fn no_such_bucket(name: &str) -> Error {
    bucket(
        Error::not_found("NoSuchBucket", "The specified bucket does not exist").status(404),
        name,
    )
}

pub fn no_such_key(key: &str) -> Error {
    about(
        Error::not_found("NoSuchKey", "The specified key does not exist.").status(404),
        About { key: Some(key.to_owned()), ..About::default() },
    )
}

pub fn no_such_version(key: &str, version: &str) -> Error {
    about(
        Error::not_found("NoSuchVersion", "The specified version does not exist.").status(404),
        About {
            key: Some(key.to_owned()),
            version_id: Some(version.to_owned()),
            ..About::default()
        },
    )
}

pub fn no_such_upload(upload: &str) -> Error {
    about(
        Error::not_found(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed.",
        )
        .status(404),
        About { upload_id: Some(upload.to_owned()), ..About::default() },
    )
}

/// The bucket has no such configuration.
pub fn absent(code: &'static str, message: &'static str, name: &str) -> Error {
    bucket(Error::not_found(code, message).status(404), name)
}

pub fn bucket_taken(name: &str) -> Error {
    bucket(
        Error::conflict(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all \
             users of the system. Please select a different name and try again.",
        )
        .status(409),
        name,
    )
}

pub fn bucket_owned(name: &str) -> Error {
    bucket(
        Error::conflict(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
        )
        .status(409),
        name,
    )
}

pub fn bucket_not_empty(name: &str, versions: bool) -> Error {
    let message = match versions {
        true => {
            "The bucket you tried to delete is not empty. You must delete all versions in the \
             bucket."
        }
        false => "The bucket you tried to delete is not empty",
    };
    bucket(Error::conflict("BucketNotEmpty", message).status(409), name)
}

pub fn bucket_name(name: &str) -> Error {
    bucket(Error::invalid("InvalidBucketName", "The specified bucket is not valid."), name)
}

pub fn location(constraint: &str) -> Error {
    about(
        Error::invalid(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        ),
        About { location_constraint: Some(constraint.to_owned()), ..About::default() },
    )
}

pub fn other_location(constraint: &str) -> Error {
    Error::invalid(
        "IllegalLocationConstraintException",
        format!(
            "The {constraint} location constraint is incompatible for the region specific endpoint \
             this request was sent to."
        ),
    )
}

pub fn malformed_xml() -> Error {
    Error::invalid(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

pub fn request(message: impl Into<String>) -> Error {
    Error::invalid("InvalidRequest", message)
}

pub fn bad_argument(message: &str, name: &str, value: &str) -> Error {
    argument(message, name, Some(value))
}

pub fn bad_argument_name(message: &str, name: &str) -> Error {
    argument(message, name, None)
}

pub fn malformed_policy(message: &str) -> Error {
    Error::invalid("MalformedPolicy", message)
}

/// Recorded: the value told is the header's name.
pub fn copy_source() -> Error {
    let header = "x-amz-copy-source";
    bad_argument("Invalid copy source object key", header, header)
}

pub fn storage_class(value: &str) -> Error {
    about(
        Error::invalid("InvalidStorageClass", "The storage class you specified is not valid"),
        About { storage_class_requested: Some(value.to_owned()), ..About::default() },
    )
}

pub fn tag(message: &str, key: &str, value: Option<&str>) -> Error {
    about(
        Error::invalid("InvalidTag", message),
        About {
            tag_key: Some(key.to_owned()),
            tag_value: value.map(str::to_owned),
            ..About::default()
        },
    )
}

/// A header that asks for something that is not served.
pub fn header(name: &str, why: &str) -> Error {
    about(
        Error::not_implemented(
            "A header you provided implies functionality that is not implemented",
        )
        .status(501),
        About {
            header: Some(name.to_owned()),
            additional_message: Some(why.to_owned()),
            ..About::default()
        },
    )
}

pub fn not_served(what: &str) -> Error {
    Error::not_implemented(format!("Sereno's S3 does not serve {what}."))
}

pub fn precondition(condition: &str) -> Error {
    about(
        Error::invalid(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        )
        .status(412),
        About { condition: Some(condition.to_owned()), ..About::default() },
    )
}

pub fn conflicting(condition: &str, key: &str) -> Error {
    about(
        Error::conflict(
            "ConditionalRequestConflict",
            "The conditional request cannot succeed due to a conflicting operation against this \
             resource.",
        )
        .status(409),
        About {
            condition: Some(condition.to_owned()),
            key: Some(key.to_owned()),
            ..About::default()
        },
    )
}

pub fn not_modified() -> Error {
    Error::invalid("NotModified", "Not Modified").status(304)
}

pub fn delete_marker(method: &str) -> Error {
    about(
        Error::invalid(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
        .status(405),
        About {
            method: Some(method.to_owned()),
            resource_type: Some("DeleteMarker".to_owned()),
            ..About::default()
        },
    )
}

pub fn range(requested: &str, size: u64) -> Error {
    about(
        Error::invalid("InvalidRange", "The requested range is not satisfiable").status(416),
        About {
            range_requested: Some(requested.to_owned()),
            actual_object_size: Some(size.to_string()),
            ..About::default()
        },
    )
}

pub fn part_number(requested: i32, count: usize) -> Error {
    about(
        Error::invalid("InvalidPartNumber", "The requested partnumber is not satisfiable")
            .status(416),
        About {
            part_number_requested: Some(requested.to_string()),
            actual_part_count: Some(count.to_string()),
            ..About::default()
        },
    )
}

pub fn part(upload: &str, number: i32, etag: &str) -> Error {
    about(
        Error::invalid(
            "InvalidPart",
            "One or more of the specified parts could not be found.  The part may not have been \
             uploaded, or the specified entity tag may not match the part's entity tag.",
        ),
        About {
            upload_id: Some(upload.to_owned()),
            part_number: Some(number.to_string()),
            e_tag: Some(etag.to_owned()),
            ..About::default()
        },
    )
}

pub fn part_order(upload: &str) -> Error {
    about(
        Error::invalid(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ),
        About { upload_id: Some(upload.to_owned()), ..About::default() },
    )
}

pub fn too_small(number: i32, etag: &str, size: u64, min: u64) -> Error {
    about(
        Error::invalid(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
        ),
        About {
            part_number: Some(number.to_string()),
            e_tag: Some(etag.to_owned()),
            proposed_size: Some(size.to_string()),
            min_size_allowed: Some(min.to_string()),
            ..About::default()
        },
    )
}

pub fn too_large() -> Error {
    Error::invalid("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size")
}

pub fn digest(given: &str) -> Error {
    about(
        Error::invalid("InvalidDigest", "The Content-MD5 you specified was invalid."),
        About { content_md5: Some(given.to_owned()), ..About::default() },
    )
}

pub fn md5_mismatch(given: &str, found: &str) -> Error {
    about(
        Error::invalid(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ),
        About {
            expected_digest: Some(given.to_owned()),
            calculated_digest: Some(found.to_owned()),
            ..About::default()
        },
    )
}

/// A body whose chunks or trailer are not what the key's owner signed.
pub fn chunk_signature(message: &str) -> Error {
    Error::new(Kind::Denied, "SignatureDoesNotMatch", message).status(403)
}

pub fn checksum_mismatch(algorithm: &str) -> Error {
    Error::invalid(
        "BadDigest",
        format!("The {algorithm} you specified did not match the calculated checksum."),
    )
}

pub fn incomplete_body() -> Error {
    Error::invalid(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
}

pub fn cors(why: &str, method: &str, kind: &str) -> Error {
    about(
        Error::new(Kind::Denied, "AccessForbidden", format!("CORSResponse: {why}")).status(403),
        About {
            method: Some(method.to_owned()),
            resource_type: Some(kind.to_owned()),
            ..About::default()
        },
    )
}

pub fn no_acls() -> Error {
    Error::invalid("AccessControlListNotSupported", "The bucket does not allow ACLs")
}

pub fn denied(message: impl Into<String>) -> Error {
    Error::new(Kind::Denied, "AccessDenied", message).status(403)
}

/// S3 does not use the sentences that the models' constraints have elsewhere.
pub fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    let Some(first) = violations.first() else { return malformed_xml() };
    let value = first.value.as_deref().unwrap_or_default();
    match first.path.as_str() {
        "storageClass" => storage_class(value),
        "encodingType" => {
            bad_argument("Invalid Encoding Method specified in Request", "encoding-type", value)
        }
        "aCL" => bad_argument("", "x-amz-acl", value),
        "objectOwnership" => bad_argument_name(
            &format!("Invalid x-amz-object-ownership header: {value}"),
            "x-amz-object-ownership",
        ),
        "serverSideEncryption" => Error::invalid(
            "InvalidEncryptionAlgorithmError",
            "The encryption request you specified is not valid. Supported value: AES256.",
        ),
        "checksumAlgorithm" => request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid \
             types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        ),
        "metadataDirective" => {
            bad_argument("Unknown metadata directive.", "x-amz-metadata-directive", value)
        }
        "taggingDirective" => {
            bad_argument("Unknown tagging directive.", "x-amz-tagging-directive", value)
        }
        "key" => Error::invalid("KeyTooLongError", "Your key is too long"),
        "copySource" => copy_source(),
        "policy" => malformed_policy("Policies must be valid JSON and the first byte must be '{'"),
        path if path.ends_with(".protocol") => request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be \
             selected automatically.",
        ),
        _ => malformed_xml(),
    }
}
