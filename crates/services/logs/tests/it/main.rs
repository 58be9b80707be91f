//! CloudWatch Logs on a whole cloud in memory, with a clock that the test moves.

#![allow(clippy::unwrap_used)]

mod events;
mod filter;
mod groups;
mod queries;
mod stacks;
mod subscriptions;

use serde_json::{Value, json};
use sereno_kernel::{Error, Service};
use sereno_testkit::TestCloud;

pub const GROUP: &str = "/app/one";
pub const STREAM: &str = "a";
pub const GROUP_ARN: &str = "arn:aws:logs:us-east-1:000000000000:log-group:/app/one";

pub struct House {
    pub cloud: TestCloud,
}

/// A cloud with one group and one stream in it.
pub async fn house() -> House {
    house_with(None).await
}

pub async fn house_with(other: Option<Service>) -> House {
    let mut builder = TestCloud::builder().service(sereno_logs::service());
    if let Some(other) = other {
        builder = builder.service(other);
    }
    let house = House { cloud: builder.build() };
    house.ok("CreateLogGroup", json!({"logGroupName": GROUP})).await;
    house.stream(STREAM).await;
    house
}

impl House {
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.cloud.ctx().call_json("logs", operation, &input).await
    }

    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// The code and the message of a call that fails.
    pub async fn err(&self, operation: &str, input: Value) -> (String, String) {
        let error = self.call(operation, input).await.unwrap_err();
        (error.code().to_owned(), error.message().to_owned())
    }

    pub async fn stream(&self, name: &str) {
        self.ok("CreateLogStream", json!({"logGroupName": GROUP, "logStreamName": name})).await;
    }

    pub fn now(&self) -> i64 {
        self.cloud.now().millis()
    }

    /// Puts messages into a stream, each so many milliseconds from now.
    pub async fn put(&self, stream: &str, events: &[(i64, &str)]) -> Value {
        let event =
            |(ms, message): &(i64, &str)| json!({"timestamp": self.now() + ms, "message": message});
        let events: Vec<Value> = events.iter().map(event).collect();
        let input = json!({"logGroupName": GROUP, "logStreamName": stream, "logEvents": events});
        self.ok("PutLogEvents", input).await
    }
}

/// An input for the house's group, with more members.
pub fn group(more: Value) -> Value {
    let mut input = json!({"logGroupName": GROUP});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

pub fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|e| e["message"].as_str().unwrap()).collect()
}

#[test]
fn all_that_is_listed_is_served() {
    let mut listed: Vec<&str> =
        sereno_api_logs::SERVICE.operations.iter().map(|o| o.name).collect();
    listed.sort_unstable();
    assert_eq!(sereno_logs::service().served(), listed);
}
