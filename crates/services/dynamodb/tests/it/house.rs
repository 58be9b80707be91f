//! A cloud with DynamoDB, and shorthands.

use std::sync::Arc;

use serde_json::{Value, json};
use sereno_kernel::{Ctx, Error};
use sereno_testkit::TestCloud;

const KEY: [u8; 32] = [7; 32];

pub struct House {
    pub cloud: TestCloud,
}

pub fn house() -> House {
    let builder = TestCloud::builder()
        .server_key(KEY)
        .service(sereno_dynamodb::service())
        .service(sereno_dynamodb::streams_service())
        .service(sereno_s3::service());
    let directory = sereno_iam::Directory::new(builder.store(), KEY);
    House { cloud: builder.identities(Arc::new(directory)).build() }
}

pub async fn call(ctx: &Ctx, operation: &str, input: Value) -> Result<Value, Error> {
    let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
    let service = if streams.contains(&operation) { "dynamodbstreams" } else { "dynamodb" };
    ctx.call_json(service, operation, &input).await
}

/// "S" of a text, "N" of a number, and so on.
pub fn value(plain: &Value) -> Value {
    match plain {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Null => json!({"NULL": true}),
        Value::Array(all) => json!({"L": all.iter().map(value).collect::<Vec<_>>()}),
        Value::Object(_) => json!({"M": item(plain)}),
    }
}

pub fn item(plain: &Value) -> Value {
    let all = plain.as_object().expect("an object");
    Value::Object(all.iter().map(|(name, one)| (name.clone(), value(one))).collect())
}

/// The other way round.
pub fn plain(item: &Value) -> Value {
    let all = item.as_object().expect("an item");
    Value::Object(all.iter().map(|(name, one)| (name.clone(), plain_value(one))).collect())
}

fn plain_value(value: &Value) -> Value {
    let (kind, inner) = value.as_object().and_then(|all| all.iter().next()).expect("a value");
    match kind.as_str() {
        "N" => {
            let text = inner.as_str().unwrap();
            text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        "L" => inner.as_array().unwrap().iter().map(plain_value).collect(),
        "M" => plain(inner),
        "NULL" => Value::Null,
        _ => inner.clone(),
    }
}

/// A table with a partition key `p` (S) and a sort key `s` (N).
pub fn definition(name: &str) -> Value {
    json!({
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
        ],
        "KeySchema": [
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "s", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

/// `definition` with other members set.
pub fn with(mut definition: Value, more: Value) -> Value {
    for (name, member) in more.as_object().expect("an object") {
        definition[name] = member.clone();
    }
    definition
}

impl House {
    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = call(&self.cloud.ctx(), operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Code and message.
    pub async fn fails(&self, operation: &str, input: Value) -> (String, String) {
        let answer = call(&self.cloud.ctx(), operation, input).await;
        let error = answer.expect_err(operation);
        (error.code().to_owned(), error.message().to_owned())
    }

    pub async fn table(&self, name: &str) {
        self.ok("CreateTable", definition(name)).await;
    }

    pub async fn put(&self, table: &str, plain: Value) {
        self.ok("PutItem", json!({"TableName": table, "Item": item(&plain)})).await;
    }

    /// The item, plain; null if there is none.
    pub async fn get(&self, table: &str, key: Value) -> Value {
        let answer = self.ok("GetItem", json!({"TableName": table, "Key": item(&key)})).await;
        answer.get("Item").map_or(Value::Null, plain)
    }

    /// All items, page by page.
    pub async fn all(&self, operation: &str, mut input: Value) -> Vec<Value> {
        let mut items = Vec::new();
        loop {
            let page = self.ok(operation, input.clone()).await;
            items.extend(page["Items"].as_array().unwrap().iter().map(plain));
            match page.get("LastEvaluatedKey") {
                Some(key) => input["ExclusiveStartKey"] = key.clone(),
                None => return items,
            }
        }
    }
}

/// Lets background tasks do their work until `done`.
pub async fn eventually<F: Future<Output = bool>>(house: &House, done: impl Fn() -> F) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        house.cloud.advance(std::time::Duration::from_secs(1));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it never happens");
}
