//! What is wrong with tags. Recorded: test_lambda_api.py::TestLambdaTag and TestLambdaTags.

use sereno_kernel::Error;

use super::{invalid, not_found};

pub fn too_many_tags() -> Error {
    invalid("Number of tags exceeds resource tag limit.")
}

pub fn tags_of_versions() -> Error {
    invalid(
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    )
}

pub fn no_tags_given() -> Error {
    invalid("An error occurred and the request cannot be processed.")
}

/// The model's pattern takes layers' ARNs, the service takes no tags for them.
pub fn no_tags_of_layers() -> Error {
    invalid("Tags on layers are not supported.")
}

pub fn no_tagged_mapping(arn: &str) -> Error {
    not_found(format!("Event source mapping not found: {arn}"))
}

/// There are none here.
pub fn no_capacity_provider(arn: &str) -> Error {
    not_found(format!("Capacity provider not found: {arn}"))
}
