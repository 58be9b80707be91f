//! The workshop: fetches AWS's models and makes `crates/api/*` from them.
//!
//! Invariant: output is a pure function of `models/`; a test in each direction keeps the generated
//! files and the generator together.

pub mod arrows;
pub mod codegen;
mod emit;
mod model;
mod names;
pub mod new_service;
pub mod pull;
pub mod tidy;

use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The services we have models of.
pub const SERVICES: &[&str] = &[
    "apigateway",
    "cloudformation",
    "dynamodb",
    "dynamodbstreams",
    "iam",
    "lambda",
    "logs",
    "s3",
    "sts",
];

/// The workspace's root.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
