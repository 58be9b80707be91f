//! DynamoDB streams as event sources.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

use serde_json::{Value, json};
use sereno_base::Timestamp;
use sereno_kernel::{BoxFuture, Ctx, Error, Result};

use crate::source::{Page, Start, Stream, StreamRecord};

const SERVICE: &str = "dynamodbstreams";
/// GetRecords answers no more.
const PAGE_MAX: usize = 1000;

pub struct DynamoDbStream;

impl Stream for DynamoDbStream {
    fn service(&self) -> &'static str {
        SERVICE
    }

    fn batch_info(&self) -> &'static str {
        "DDBStreamBatchInfo"
    }

    fn shards<'a>(&'a self, role: &'a Ctx, arn: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let mut shards = Vec::new();
            let mut input = json!({"StreamArn": arn});
            loop {
                let answer = role.call_json(SERVICE, "DescribeStream", &input).await?;
                let stream = &answer["StreamDescription"];
                let listed = stream["Shards"].as_array().into_iter().flatten();
                shards.extend(
                    listed.filter_map(|shard| shard["ShardId"].as_str().map(str::to_owned)),
                );
                match &stream["LastEvaluatedShardId"] {
                    Value::Null => return Ok(shards),
                    last => input["ExclusiveStartShardId"] = last.clone(),
                }
            }
        })
    }

    fn iterator<'a>(
        &'a self,
        role: &'a Ctx,
        arn: &'a str,
        shard: &'a str,
        start: &'a Start,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let mut input = json!({"StreamArn": arn, "ShardId": shard});
            match start {
                Start::Horizon => input["ShardIteratorType"] = json!("TRIM_HORIZON"),
                Start::At(time) => {
                    input["ShardIteratorType"] = json!("AT_TIMESTAMP");
                    input["Timestamp"] = json!(time.secs_f64());
                }
                Start::After(sequence_number) => {
                    input["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                    input["SequenceNumber"] = json!(sequence_number);
                }
            }
            let answer = role.call_json(SERVICE, "GetShardIterator", &input).await?;
            let iterator = answer["ShardIterator"].as_str().map(str::to_owned);
            iterator.ok_or_else(|| Error::internal("GetShardIterator answered no iterator"))
        })
    }

    fn read<'a>(
        &'a self,
        role: &'a Ctx,
        arn: &'a str,
        iterator: &'a str,
        records_max: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        Box::pin(async move {
            let input = json!({"ShardIterator": iterator, "Limit": records_max.min(PAGE_MAX)});
            let mut answer = role.call_json(SERVICE, "GetRecords", &input).await?;
            let records = match answer["Records"].take() {
                Value::Array(records) => records.into_iter().map(|r| record(arn, r)).collect(),
                _ => Vec::new(),
            };
            let next = answer["NextShardIterator"].as_str().map(str::to_owned);
            Ok(Page { records, next })
        })
    }
}

/// A record as functions see it: with the stream's ARN, the identity's members in lower case, and the time as a number
/// with a point (recorded: test_dynamodb_event_filter asks for a float).
fn record(arn: &str, mut event: Value) -> StreamRecord {
    if let Some(identity) = event.get_mut("userIdentity").map(Value::take) {
        event["userIdentity"] =
            json!({"principalId": identity["PrincipalId"], "type": identity["Type"]});
    }
    event["eventSourceARN"] = json!(arn);
    let created = event["dynamodb"]["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
    event["dynamodb"]["ApproximateCreationDateTime"] = json!(created);
    let change = &event["dynamodb"];
    StreamRecord {
        sequence_number: change["SequenceNumber"].as_str().unwrap_or_default().to_owned(),
        key_hash: hash(&change["Keys"].to_string()),
        created: Timestamp::from_secs_f64(created).unwrap_or(Timestamp::from_secs(0)),
        event,
    }
}

/// FNV-1a: the same in every build, because lanes are remembered.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_expired_items_say_who_deleted_them() {
        let raw = json!({
            "eventID": "1",
            "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
            "dynamodb": {"SequenceNumber": "7", "ApproximateCreationDateTime": 1_480_586_400,
                "Keys": {"p": {"S": "a"}}},
        });
        let record = record("arn:s", raw);
        assert_eq!(record.event["userIdentity"]["principalId"], "dynamodb.amazonaws.com");
        assert_eq!(record.event["eventSourceARN"], "arn:s");
        assert_eq!(record.sequence_number, "7");
        let time = &record.event["dynamodb"]["ApproximateCreationDateTime"];
        assert_eq!(time.to_string(), "1480586400.0");
        assert_eq!(record.created.millis(), 1_480_586_400_000);
    }
}
