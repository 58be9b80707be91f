//! What a poller must know of a kind of stream: one implementation for each service whose streams can be mapped.

use serde_json::Value;
use sereno_base::{Arn, Timestamp};
use sereno_kernel::{BoxFuture, Ctx, Result};

use crate::source_dynamodb::DynamoDbStream;

/// Where to begin in a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    Horizon,
    At(Timestamp),
    After(String),
}

pub struct StreamRecord {
    pub sequence_number: String,
    /// Records with the same key are delivered in order: its hash.
    pub key_hash: u64,
    pub created: Timestamp,
    /// As the function gets it.
    pub event: Value,
}

/// Some records of a shard, in order.
pub struct Page {
    pub records: Vec<StreamRecord>,
    /// `None`: the shard has ended.
    pub next: Option<String>,
}

/// All calls are made as the function's role.
pub trait Stream: Send + Sync {
    /// The service whose news wake the poller.
    fn service(&self) -> &'static str;

    /// The member of a failure's record that says which records it is about.
    fn batch_info(&self) -> &'static str;

    /// Fails if the stream is not there, or the role may not read it.
    fn shards<'a>(&'a self, role: &'a Ctx, arn: &'a str) -> BoxFuture<'a, Result<Vec<String>>>;

    fn iterator<'a>(
        &'a self,
        role: &'a Ctx,
        arn: &'a str,
        shard: &'a str,
        start: &'a Start,
    ) -> BoxFuture<'a, Result<String>>;

    fn read<'a>(
        &'a self,
        role: &'a Ctx,
        arn: &'a str,
        iterator: &'a str,
        records_max: usize,
    ) -> BoxFuture<'a, Result<Page>>;
}

/// The kind of stream that an ARN names.
pub fn of(arn: &str) -> Option<&'static dyn Stream> {
    let arn = Arn::parse(arn)?;
    match arn.service.as_str() {
        "dynamodb" if arn.resource.contains("/stream/") => Some(&DynamoDbStream),
        _ => None,
    }
}
