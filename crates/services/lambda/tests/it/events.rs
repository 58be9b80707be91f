//! Asynchronous invocation: retries, age, where the outcome is told, loops.

use serde_json::{Value, json};

use crate::house::{House, house, settle};
use crate::stage::Act;

const FN: &str = "arn:aws:lambda:us-east-1:000000000000:function:";

async fn failing(config: Value) -> House {
    let house = house(json!(["s3:*", "lambda:*"])).await;
    house.function("f").await;
    house.function("told").await;
    house.bucket("lost").await;
    house.stage.play("f", |_| Act::Throw("on purpose"));
    let mut input = json!({"FunctionName": "f", "DestinationConfig": {
        "OnSuccess": {"Destination": format!("{FN}told")},
        "OnFailure": {"Destination": "arn:aws:s3:::lost"}}});
    for (name, value) in config.as_object().unwrap() {
        input[name] = value.clone();
    }
    house.ok("PutFunctionEventInvokeConfig", input).await;
    house
}

#[tokio::test]
async fn two_retries_after_one_and_two_minutes() {
    let house = failing(json!({})).await;
    house.event("f", json!({"n": 1})).await;
    settle().await;
    assert_eq!(house.stage.seen("f").len(), 1);
    house.advance(59).await;
    assert_eq!(house.stage.seen("f").len(), 1);
    house.advance(1).await;
    assert_eq!(house.stage.seen("f").len(), 2);
    house.advance(119).await;
    assert_eq!(house.stage.seen("f").len(), 2);
    assert!(house.objects("lost").await.is_empty());
    house.advance(1).await;
    let seen = house.stage.seen("f");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|one| one.request_id == seen[0].request_id));
    let told = house.objects("lost").await;
    let (key, record) = &told[0];
    assert!(key.starts_with("aws/lambda/async/f/2016/12/01/2016-12-01T10.03.00-"), "{key}");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestContext"]["functionArn"], format!("{FN}f:$LATEST"));
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    assert_eq!(record["responsePayload"]["errorMessage"], "on purpose");
    assert_eq!(record["requestPayload"], json!({"n": 1}));
    house.advance(3600).await;
    assert_eq!(house.stage.seen("f").len(), 3);
}

/// Recorded: test_lambda_destinations.py::test_maxeventage
#[tokio::test]
async fn an_event_that_would_be_too_old_is_not_tried_again() {
    for (age_s, runs) in [(60, 1), (90, 2)] {
        let house = failing(json!({"MaximumEventAgeInSeconds": age_s})).await;
        house.event("f", json!({})).await;
        settle().await;
        house.advance(60).await;
        house.advance(3600).await;
        assert_eq!(house.stage.seen("f").len(), runs);
        let (_, record) = house.objects("lost").await.remove(0);
        assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
        assert_eq!(record["requestContext"]["approximateInvokeCount"], runs);
    }
}

#[tokio::test]
async fn what_is_throttled_waits_longer_and_longer() {
    let house = failing(json!({"MaximumEventAgeInSeconds": 120, "MaximumRetryAttempts": 0})).await;
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tries = std::sync::Arc::clone(&count);
    house.stage.play("f", move |_| {
        tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Act::Throttle
    });
    house.event("f", json!({})).await;
    settle().await;
    for _ in 0..63 {
        house.advance(1).await;
    }
    // At 0, 1, 3, 7, 15, 31, 63 s; the next would be at 127.
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 7);
    let (_, record) = house.objects("lost").await.remove(0);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert!(record.get("responseContext").is_none());
}

#[tokio::test]
async fn success_is_told_to_a_function() {
    let house = failing(json!({})).await;
    house.stage.play("f", |_| Act::Answer(json!({"hello": "world"})));
    house.event("f", json!([1, "two"])).await;
    settle().await;
    let told = house.stage.seen("told");
    assert_eq!(told.len(), 1);
    let record = &told[0].event;
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["responseContext"], json!({"statusCode": 200, "executedVersion": "$LATEST"}));
    assert_eq!(record["responsePayload"], json!({"hello": "world"}));
    assert_eq!(record["requestPayload"], json!([1, "two"]));
}

#[tokio::test]
async fn a_function_that_may_not_run_at_all() {
    let house = failing(json!({})).await;
    let none = json!({"FunctionName": "f", "ReservedConcurrentExecutions": 0});
    house.ok("PutFunctionConcurrency", none).await;
    house.event("f", json!({})).await;
    settle().await;
    assert!(house.stage.seen("f").is_empty());
    let (_, record) = house.objects("lost").await.remove(0);
    assert_eq!(record["requestContext"]["condition"], "ZeroReservedConcurrency");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
}

#[tokio::test]
async fn a_report_that_may_not_be_sent_is_given_up_and_the_function_runs_once() {
    let house = failing(json!({"MaximumRetryAttempts": 0})).await;
    house.allow(json!("s3:GetObject")).await;
    house.event("f", json!({})).await;
    settle().await;
    house.advance(3600).await;
    assert_eq!(house.stage.seen("f").len(), 1);
    assert!(house.objects("lost").await.is_empty());
}

#[tokio::test]
async fn configurations_are_kept_for_each_qualifier() {
    let house = failing(json!({"MaximumRetryAttempts": 1})).await;
    house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    let alias = json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"});
    house.ok("CreateAlias", alias).await;
    for qualifier in ["1", "live"] {
        let input = json!({"FunctionName": "f", "Qualifier": qualifier, "MaximumRetryAttempts": 0});
        house.ok("PutFunctionEventInvokeConfig", input).await;
    }
    let update = json!({"FunctionName": "f:live", "MaximumEventAgeInSeconds": 60});
    let updated = house.ok("UpdateFunctionEventInvokeConfig", update).await;
    assert_eq!(updated["MaximumRetryAttempts"], 0);
    assert_eq!(updated["MaximumEventAgeInSeconds"], 60);
    let listed = house.ok("ListFunctionEventInvokeConfigs", json!({"FunctionName": "f"})).await;
    let arns: Vec<&str> = listed["FunctionEventInvokeConfigs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["FunctionArn"].as_str().unwrap().rsplit(':').next().unwrap())
        .collect();
    assert_eq!(arns, ["$LATEST", "1", "live"]);
    house.ok("DeleteAlias", json!({"FunctionName": "f", "Name": "live"})).await;
    let get = json!({"FunctionName": "f", "Qualifier": "live"});
    let (code, message) = house.refused("GetFunctionEventInvokeConfig", get).await;
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, format!("The function {FN}f:live doesn't have an EventInvokeConfig"));
}

#[tokio::test]
async fn configurations_that_are_refused() {
    let house = failing(json!({})).await;
    let with = |on_success: &str| json!({"FunctionName": "f", "DestinationConfig": {"OnSuccess": {"Destination": on_success}}});
    let cases = [
        (
            json!({"FunctionName": "f"}),
            "You must specify at least one of error handling or destination setting.",
        ),
        (json!({"FunctionName": "g", "MaximumRetryAttempts": 1}), "The function doesn't exist."),
        (with(&format!("{FN}f")), "You can't specify the function as a destination for itself."),
        (with(&format!("{FN}g")), &format!("The destination ARN {FN}g is invalid.")),
        (
            with("arn:aws:s3:::lost"),
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::lost), \
             onFailure=null) is invalid.",
        ),
    ];
    for (input, expected) in cases {
        let (_, message) = house.refused("PutFunctionEventInvokeConfig", input).await;
        assert_eq!(message, expected);
    }
    house.allow(json!("s3:*")).await;
    let (_, message) =
        house.refused("PutFunctionEventInvokeConfig", with(&format!("{FN}told"))).await;
    assert_eq!(
        message,
        format!(
            "The function's execution role does not have permissions to call InvokeFunction on {FN}told"
        )
    );
}

#[tokio::test]
async fn the_seventeenth_run_in_a_chain_is_stopped() {
    let house = failing(json!({"MaximumRetryAttempts": 0})).await;
    house.stage.play("f", |_| Act::Answer(json!(1)));
    let mut ctx = house.ctx();
    let call = json!({"FunctionName": "f"});
    for run in 0..16 {
        ctx.call_json("lambda", "Invoke", &call).await.unwrap();
        let trace = house.stage.seen("f").last().unwrap().trace_id.clone();
        assert!(trace.contains("Lineage=1:") && trace.ends_with(&format!(":{run}")), "{trace}");
        ctx = ctx.with_trace(&trace);
    }
    let error = ctx.call_json("lambda", "Invoke", &call).await.unwrap_err();
    assert_eq!(error.code(), "RecursiveInvocationException");
    let event = json!({"FunctionName": "f", "InvocationType": "Event"});
    ctx.call_json("lambda", "Invoke", &event).await.unwrap();
    settle().await;
    assert_eq!(house.stage.seen("f").len(), 16);
    assert_eq!(house.objects("lost").await.len(), 1);
    let allow = json!({"FunctionName": "f", "RecursiveLoop": "Allow"});
    house.ok("PutFunctionRecursionConfig", allow).await;
    ctx.call_json("lambda", "Invoke", &call).await.unwrap();
    let shown = house.ok("GetFunctionRecursionConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(shown["RecursiveLoop"], "Allow");
}
