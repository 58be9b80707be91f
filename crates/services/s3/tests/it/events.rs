//! Events to functions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sereno_api_lambda as lambda;
use sereno_api_s3 as api;
use sereno_kernel::{Access, Ctx, Result, Service};
use sereno_testkit::TestCloud;

use crate::{bucket, delete, put};

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A Lambda that only writes down what it is called with.
fn listener(seen: &Seen) -> Service {
    let seen = Arc::clone(seen);
    Service::new(&lambda::SERVICE).on::<lambda::Invoke>(
        |_, _| Access::public(),
        move |_: Ctx, input: lambda::InvokeInput| {
            let event: serde_json::Value =
                serde_json::from_slice(&input.payload.unwrap_or_default()).expect("JSON");
            let record = &event["Records"][0];
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let one = (text(&record["eventName"]), text(&record["s3"]["object"]["key"]));
            seen.lock().expect("not poisoned").push(one);
            async { Result::Ok(lambda::InvokeOutput::default()) }
        },
    )
}

#[tokio::test]
async fn functions_hear_of_what_they_asked_for() {
    let seen = Seen::default();
    let cloud = TestCloud::builder().service(sereno_s3::service()).service(listener(&seen)).build();
    cloud.start_tasks().await;
    let ctx = cloud.ctx();
    bucket(&ctx, "heard").await;
    let target = api::LambdaFunctionConfiguration {
        lambda_function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        events: vec![api::Event::S3ObjectCreatedAll, api::Event::S3ObjectRemovedDelete],
        filter: Some(api::NotificationConfigurationFilter {
            key: Some(api::S3KeyFilter {
                filter_rules: Some(vec![api::FilterRule {
                    name: Some(api::FilterRuleName::Suffix),
                    value: Some(".jpg".to_owned()),
                }]),
            }),
        }),
        ..Default::default()
    };
    let input = api::PutBucketNotificationConfigurationInput {
        bucket: "heard".to_owned(),
        notification_configuration: api::NotificationConfiguration {
            lambda_function_configurations: Some(vec![target]),
            ..Default::default()
        },
        skip_destination_validation: Some(true),
        ..Default::default()
    };
    ctx.call::<api::PutBucketNotificationConfiguration>(input).await.expect("accepted");
    put(&ctx, "heard", "a b.jpg", "x").await;
    put(&ctx, "heard", "other.txt", "x").await;
    delete(&ctx, "heard", "a b.jpg", None).await;
    for _ in 0..200 {
        if seen.lock().expect("not poisoned").len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut seen = seen.lock().expect("not poisoned").clone();
    seen.sort();
    let wanted = [("ObjectCreated:Put", "a+b.jpg"), ("ObjectRemoved:Delete", "a+b.jpg")];
    assert_eq!(seen, wanted.map(|(event, key)| (event.to_owned(), key.to_owned())));
}
