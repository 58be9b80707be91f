//! Subscription filters, with a Lambda that only writes down what it is asked.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sereno_api_lambda as lambda;
use sereno_kernel::{Access, Ctx, Error, Service};

use crate::{GROUP, House, STREAM, group, house_with};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

#[derive(Clone, Default)]
struct Invocations(Arc<Mutex<Vec<Value>>>);

impl Invocations {
    /// A Lambda with one function, whose first delivery fails.
    fn service(&self) -> Service {
        let (all, failed) = (self.clone(), Arc::new(Mutex::new(false)));
        let invoke = move |_: Ctx, input: lambda::InvokeInput| {
            let (all, failed) = (all.clone(), Arc::clone(&failed));
            async move {
                if !input.function_name.starts_with(FUNCTION) {
                    return Err(Error::not_found("ResourceNotFoundException", "no function"));
                }
                if let Some(payload) = input.payload {
                    let mut failed = failed.lock().unwrap();
                    if !std::mem::replace(&mut *failed, true) {
                        return Err(Error::unavailable("busy"));
                    }
                    all.0.lock().unwrap().push(serde_json::from_slice(&payload).unwrap());
                }
                Ok(lambda::InvokeOutput::default())
            }
        };
        Service::new(&lambda::SERVICE).on::<lambda::Invoke>(|_, _| Access::authenticated(), invoke)
    }
}

async fn subscribe(house: &House, name: &str, pattern: &str, function: &str) -> (String, String) {
    let input = group(json!({
        "filterName": name, "filterPattern": pattern, "destinationArn": function,
    }));
    match house.call("PutSubscriptionFilter", input).await {
        Ok(_) => (String::new(), String::new()),
        Err(error) => (error.code().to_owned(), error.message().to_owned()),
    }
}

fn unpacked(payload: &Value) -> Value {
    let data = STANDARD.decode(payload["awslogs"]["data"].as_str().unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*data).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_function_gets_what_matches() {
    let invocations = Invocations::default();
    let house = house_with(Some(invocations.service())).await;
    house.cloud.start_tasks().await;
    assert_eq!(subscribe(&house, "one", "[word, ...]", FUNCTION).await.0, "");
    house.put(STREAM, &[(0, "test"), (1, "test two")]).await;
    let found = loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        // The first try fails; the next one is a second later.
        house.cloud.advance(Duration::from_secs(2));
        let found = invocations.0.lock().unwrap().clone();
        if !found.is_empty() {
            break found;
        }
    };
    let data = unpacked(&found[0]);
    assert_eq!(data["messageType"], "DATA_MESSAGE");
    assert_eq!(data["owner"], "000000000000");
    assert_eq!((&data["logGroup"], &data["logStream"]), (&json!(GROUP), &json!(STREAM)));
    assert_eq!(data["subscriptionFilters"], json!(["one"]));
    assert_eq!(data["logEvents"][1]["message"], "test two");
    assert_eq!(data["logEvents"][1]["id"].as_str().unwrap().len(), 56);
    let filtered = house.ok("FilterLogEvents", group(json!({}))).await;
    assert_eq!(filtered["events"][1]["eventId"], data["logEvents"][1]["id"]);
}

#[tokio::test]
async fn filters_as_aws_shows_them() {
    let house = house_with(Some(Invocations::default().service())).await;
    subscribe(&house, "test", "", FUNCTION).await;
    // recorded: LocalStack test_put_subscription_filter_lambda
    assert_eq!(
        house.ok("DescribeSubscriptionFilters", group(json!({}))).await,
        json!({"subscriptionFilters": [{
            "applyOnTransformedLogs": false, "creationTime": house.now(),
            "destinationArn": FUNCTION, "distribution": "ByLogStream", "filterName": "test",
            "filterPattern": "", "logGroupName": GROUP,
        }]})
    );
    subscribe(&house, "test", "[]", FUNCTION).await;
    subscribe(&house, "test2", "", FUNCTION).await;
    let found = subscribe(&house, "test3", "", FUNCTION).await;
    assert_eq!(found, ("LimitExceededException".into(), "Resource limit exceeded.".into()));
    house.ok("DeleteSubscriptionFilter", group(json!({"filterName": "test"}))).await;
    let found = house.err("DeleteSubscriptionFilter", group(json!({"filterName": "test"}))).await;
    assert_eq!(found.1, "The specified subscription filter does not exist.");
}

#[tokio::test]
async fn refuses_what_cannot_be_reached() {
    let house = house_with(Some(Invocations::default().service())).await;
    let foreign = "arn:aws:lambda:us-east-1:123456789012:function:f";
    assert_eq!(subscribe(&house, "a", "", foreign).await.0, "AccessDeniedException");
    let kinesis = "arn:aws:kinesis:us-east-1:123456789012:stream/unknown-stream";
    let message = "destinationArn for vendor kinesis cannot be used without roleArn";
    assert_eq!(subscribe(&house, "a", "", kinesis).await.1, message);
    let none = FUNCTION.replace(":f", ":none");
    let found = subscribe(&house, "a", "", &none).await;
    assert!(found.1.starts_with("Could not execute the lambda function."), "{found:?}");
}
