//! A cloud with Lambda and its neighbours, and shorthands.

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sereno_base::base64_encode;
use sereno_kernel::{Ctx, Error};
use sereno_store::{MemoryBlobs, MemoryStore};
use sereno_testkit::TestCloud;

use crate::stage::{Sandboxed, Stage};

const KEY: [u8; 32] = [7; 32];
pub const ROLE: &str = "arn:aws:iam::000000000000:role/r";

pub struct House {
    pub cloud: TestCloud,
    pub stage: Arc<Stage>,
}

/// What outlives a process.
#[derive(Clone, Default)]
pub struct Ground {
    store: Arc<MemoryStore>,
    blobs: Arc<MemoryBlobs>,
}

impl Ground {
    pub fn build(&self) -> House {
        let stage = Arc::new(Stage::default());
        let (store, blobs) = (Arc::clone(&self.store), Arc::clone(&self.blobs));
        let builder = TestCloud::on(store, blobs)
            .server_key(KEY)
            .service(sereno_lambda::service())
            .service(sereno_dynamodb::service())
            .service(sereno_dynamodb::streams_service())
            .service(sereno_iam::service())
            .service(sereno_s3::service())
            .sandbox(Arc::new(Sandboxed(Arc::clone(&stage))));
        let directory = sereno_iam::Directory::new(builder.store(), KEY);
        House { cloud: builder.identities(Arc::new(directory)).build(), stage }
    }
}

/// With a role `r` that may do `actions`, and its tasks running.
pub async fn house(actions: Value) -> House {
    let house = Ground::default().build();
    house.make_role(actions).await;
    house.cloud.start_tasks().await;
    house
}

impl House {
    pub fn ctx(&self) -> Ctx {
        self.cloud.ctx()
    }

    pub async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, Error> {
        self.ctx().call_json(service, operation, &input).await
    }

    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        self.call("lambda", operation, input).await.unwrap()
    }

    pub async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let error = self.call("lambda", operation, input).await.unwrap_err();
        (error.code().to_owned(), error.message().to_owned())
    }

    pub async fn make_role(&self, actions: Value) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let input = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust.to_string()});
        self.call("iam", "CreateRole", input).await.unwrap();
        self.allow(actions).await;
    }

    pub async fn allow(&self, actions: Value) {
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": actions, "Resource": "*"}]});
        let input =
            json!({"RoleName": "r", "PolicyName": "p", "PolicyDocument": policy.to_string()});
        self.call("iam", "PutRolePolicy", input).await.unwrap();
    }

    pub async fn function(&self, name: &str) -> String {
        let code = package(b"pass");
        let input = json!({"FunctionName": name, "Role": ROLE, "Runtime": "python3.12",
            "Handler": "index.handler", "Code": {"ZipFile": code}});
        let made = self.ok("CreateFunction", input).await;
        made["FunctionArn"].as_str().unwrap().to_owned()
    }

    /// A table `tab` with the key `id`; the ARN of its stream.
    pub async fn table(&self) -> String {
        let input = json!({"TableName": "tab", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}});
        let made = self.call("dynamodb", "CreateTable", input).await.unwrap();
        made["TableDescription"]["LatestStreamArn"].as_str().unwrap().to_owned()
    }

    pub async fn put(&self, id: &str, value: u32) {
        let item = json!({"id": {"S": id}, "v": {"N": value.to_string()}});
        let input = json!({"TableName": "tab", "Item": item});
        self.call("dynamodb", "PutItem", input).await.unwrap();
    }

    pub async fn event(&self, function: &str, event: Value) {
        let input = json!({"FunctionName": function, "InvocationType": "Event",
            "Payload": base64_encode(event.to_string().as_bytes())});
        self.ok("Invoke", input).await;
    }

    /// The ids of the records of each batch that a function saw.
    pub fn batches(&self, function: &str) -> Vec<Vec<String>> {
        let seen = self.stage.seen(function);
        seen.iter().map(|seen| ids(&seen.event)).collect()
    }

    pub async fn advance(&self, seconds: u64) {
        self.cloud.advance(Duration::from_secs(seconds));
        settle().await;
    }

    /// All objects of a bucket: key and JSON.
    pub async fn objects(&self, bucket: &str) -> Vec<(String, Value)> {
        let listed = self.call("s3", "ListObjectsV2", json!({"Bucket": bucket})).await.unwrap();
        let mut objects = Vec::new();
        for entry in listed["Contents"].as_array().into_iter().flatten() {
            let key = entry["Key"].as_str().unwrap().to_owned();
            let input = sereno_api_s3::GetObjectInput {
                bucket: bucket.to_owned(),
                key: key.clone(),
                ..Default::default()
            };
            let found = self.ctx().call::<sereno_api_s3::GetObject>(input).await.unwrap();
            let bytes = found.body.collect(1 << 20).await.unwrap();
            objects.push((key, serde_json::from_slice(&bytes).unwrap()));
        }
        objects
    }

    pub async fn bucket(&self, name: &str) {
        self.call("s3", "CreateBucket", json!({"Bucket": name})).await.unwrap();
    }
}

/// A zip with one file, base64.
pub fn package(content: &[u8]) -> String {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("index.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
    base64_encode(&zip.finish().unwrap().into_inner())
}

pub fn ids(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap();
    let id = |record: &Value| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned();
    records.iter().map(id).collect()
}

/// Until nothing moves any more: everything in this cloud is in memory and runs at once.
pub async fn settle() {
    for _ in 0..400 {
        tokio::task::yield_now().await;
    }
}
