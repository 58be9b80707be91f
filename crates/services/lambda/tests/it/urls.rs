//! Function URLs, as an HTTP client meets them, and streamed responses.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sereno_api_lambda as api;
use sereno_kernel::{Caller, Ctx};
use sereno_wire::{Body, HttpRequest, HttpResponse};

use crate::house::{House, house};
use crate::stage::Act;

async fn open(settings: Value) -> (House, String) {
    let house = house(json!(["s3:*"])).await;
    house.function("f").await;
    let id = address(&house, settings).await;
    (house, id)
}

/// Makes a URL; its path.
async fn address(house: &House, settings: Value) -> String {
    let mut input = json!({"FunctionName": "f", "AuthType": "NONE"});
    for (name, value) in settings.as_object().unwrap() {
        input[name] = value.clone();
    }
    let made = house.ok("CreateFunctionUrlConfig", input).await;
    let url = made["FunctionUrl"].as_str().unwrap();
    let id = url.split(['/', '.']).find(|part| part.len() == 32).unwrap();
    format!("/_aws/lambda-url/{id}")
}

async fn let_everyone_in(house: &House) {
    let url = json!({"FunctionName": "f", "StatementId": "url", "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"});
    house.ok("AddPermission", url).await;
    let function = json!({"FunctionName": "f", "StatementId": "function", "Principal": "*",
        "Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": true});
    house.ok("AddPermission", function).await;
}

fn request(
    method: Method,
    path: &str,
    query: &str,
    headers: &[(&'static str, &str)],
) -> HttpRequest {
    let mut request = HttpRequest::new(method, path);
    request.query = query.to_owned();
    for (name, value) in headers {
        request.headers.append(*name, value.parse().unwrap());
    }
    request
}

async fn send(ctx: Ctx, request: HttpRequest) -> HttpResponse {
    let cloud = std::sync::Arc::clone(ctx.cloud());
    let service = cloud.service("lambda").unwrap();
    service.plane().unwrap().serve(ctx, request).await
}

async fn anonymous(house: &House, request: HttpRequest) -> HttpResponse {
    send(house.ctx().as_caller(Caller::Anonymous), request).await
}

async fn text(response: HttpResponse) -> String {
    let bytes = response.body.collect(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Since October 2025 a URL needs both permissions.
#[tokio::test]
async fn nobody_comes_in_without_both_permissions() {
    let (house, path) = open(json!({})).await;
    let get = || request(Method::GET, &path, "", &[]);
    assert_eq!(anonymous(&house, get()).await.status, 403);
    let url = json!({"FunctionName": "f", "StatementId": "url", "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"});
    house.ok("AddPermission", url).await;
    let refused = anonymous(&house, get()).await;
    assert_eq!(refused.headers["x-amzn-errortype"], "AccessDeniedException");
    assert!(text(refused).await.starts_with("{\"Message\":\"Forbidden. For troubleshooting"));
    house.ok("RemovePermission", json!({"FunctionName": "f", "StatementId": "url"})).await;
    let_everyone_in(&house).await;
    assert_eq!(anonymous(&house, get()).await.status, 200);
    let nowhere = request(Method::GET, "/_aws/lambda-url/nowhere/", "", &[]);
    assert_eq!(text(anonymous(&house, nowhere).await).await, "{\"Message\":null}");
}

#[tokio::test]
async fn signed_urls_need_a_caller() {
    let (house, path) = open(json!({"AuthType": "AWS_IAM"})).await;
    let get = || request(Method::GET, &path, "", &[]);
    assert_eq!(anonymous(&house, get()).await.status, 403);
    assert_eq!(send(house.ctx(), get()).await.status, 200);
    let seen = house.stage.seen("f");
    let iam = &seen[0].event["requestContext"]["authorizer"]["iam"];
    assert_eq!(iam["accountId"], "000000000000");
    assert_eq!(iam["userArn"], "arn:aws:iam::000000000000:root");
    let other = house.cloud.ctx_as(Caller::Root { account: "111111111111".parse().unwrap() });
    assert_eq!(send(other, get()).await.status, 403);
}

/// Recorded: test_lambda.py::TestLambdaURL (echo, form payload).
#[tokio::test]
async fn the_event_is_of_format_two() {
    let (house, path) = open(json!({})).await;
    let_everyone_in(&house).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("cookie", "one=1; two=2"),
        ("user-agent", "test"),
    ];
    let mut post = request(Method::POST, &format!("{path}/pa%2Fth"), "q=a&q=%20b&c", &headers);
    post.body = Body::from("{\"a\": 1}".to_owned());
    anonymous(&house, post).await;
    let event = &house.stage.seen("f")[0].event;
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawPath"], "/pa/th");
    assert_eq!(event["rawQueryString"], "q=a&q=%20b&c");
    assert_eq!(event["queryStringParameters"], json!({"q": "a, b", "c": ""}));
    assert_eq!(event["cookies"], json!(["one=1", "two=2"]));
    assert_eq!(event["headers"]["x-twice"], "a,b");
    assert!(event["headers"].get("cookie").is_none());
    assert_eq!(event["body"], "{\"a\": 1}");
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["accountId"], "anonymous");
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["userAgent"], "test");
    assert_eq!(context["time"], "01/Dec/2016:10:00:00 +0000");
    let mut binary = request(Method::POST, &path, "", &[]);
    binary.body = Body::from(vec![0xff, 0xfe]);
    anonymous(&house, binary).await;
    let event = &house.stage.seen("f")[1].event;
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("//4="), &json!(true)));
    assert!(event.get("cookies").is_none() && event.get("queryStringParameters").is_none());
}

#[tokio::test]
async fn answers_become_responses() {
    let (house, path) = open(json!({})).await;
    let_everyone_in(&house).await;
    let get = || request(Method::GET, &path, "", &[]);
    house.stage.play("f", |_| {
        Act::Answer(json!({"statusCode": 201, "headers": {"X-Own": "1"}, "body": "done",
            "cookies": ["a=1", "b=2"]}))
    });
    let response = anonymous(&house, get()).await;
    assert_eq!((response.status, &response.headers["x-own"]), (201, &"1".parse().unwrap()));
    assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(response.headers["content-type"], "application/json");
    assert_eq!(text(response).await, "done");
    house.stage.play("f", |_| Act::Throw("on purpose"));
    let failed = anonymous(&house, get()).await;
    assert_eq!(failed.status, 502);
    assert_eq!(text(failed).await, "Internal Server Error");
    house.stage.play("f", |_| Act::Throttle);
    assert_eq!(anonymous(&house, get()).await.status, 429);
}

#[tokio::test]
async fn preflights_are_answered_without_the_function() {
    let cors = json!({"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"]});
    let (house, path) = open(json!({ "Cors": cors })).await;
    let_everyone_in(&house).await;
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    let answer = anonymous(&house, request(Method::OPTIONS, &path, "", &headers)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
    assert!(house.stage.seen("f").is_empty());
    let answer = anonymous(&house, request(Method::GET, &path, "", &headers[..1])).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
    assert_eq!(house.stage.seen("f").len(), 1);
}

#[tokio::test]
async fn urls_of_aliases_outlive_them_closed() {
    let (house, _) = open(json!({})).await;
    house.ok("PublishVersion", json!({"FunctionName": "f"})).await;
    house
        .ok("CreateAlias", json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "1"}))
        .await;
    let path = address(&house, json!({"Qualifier": "a"})).await;
    let input = json!({"FunctionName": "f", "Qualifier": "a", "AuthType": "NONE"});
    let (code, _) = house.refused("CreateFunctionUrlConfig", input).await;
    assert_eq!(code, "ResourceConflictException");
    house.ok("DeleteAlias", json!({"FunctionName": "f", "Name": "a"})).await;
    assert_eq!(anonymous(&house, request(Method::GET, &path, "", &[])).await.status, 403);
    let listed = house.ok("ListFunctionUrlConfigs", json!({"FunctionName": "f"})).await;
    assert_eq!(listed["FunctionUrlConfigs"].as_array().unwrap().len(), 2);
    house.ok("DeleteFunction", json!({"FunctionName": "f"})).await;
    let gone = anonymous(&house, request(Method::GET, &path, "", &[])).await;
    assert_eq!(text(gone).await, "{\"Message\":null}");
}

#[tokio::test]
async fn streamed_urls_split_head_and_body() {
    let (house, path) = open(json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    let_everyone_in(&house).await;
    house.stage.play("f", |_| Act::Stream {
        content_type: Some("application/vnd.awslambda.http-integration-response"),
        chunks: vec![
            b"{\"statusCode\": 202, \"headers\": {\"x-a\"",
            b": \"b\"}}\0\0\0\0\0\0\0\0he",
            b"llo",
        ],
        fails: false,
    });
    let response = anonymous(&house, request(Method::GET, &path, "", &[])).await;
    assert_eq!((response.status, &response.headers["x-a"]), (202, &"b".parse().unwrap()));
    assert_eq!(text(response).await, "hello");
    house.stage.play("f", |_| Act::Answer(json!({"statusCode": 418, "body": "as it is"})));
    let whole = anonymous(&house, request(Method::GET, &path, "", &[])).await;
    assert_eq!(whole.status, 200);
    assert!(text(whole).await.contains("418"));
    house.stage.play("f", |_| Act::Stream {
        content_type: Some("text/html"),
        chunks: vec![b"<p>", b"hi"],
        fails: true,
    });
    let broken = anonymous(&house, request(Method::GET, &path, "", &[])).await;
    assert_eq!(
        (broken.status, &broken.headers["content-type"]),
        (200, &"text/html".parse().unwrap())
    );
    assert!(broken.body.collect(100).await.is_err());
}

/// The messages of an event stream: event type and payload.
async fn events(house: &House) -> Vec<(String, Bytes)> {
    let input =
        api::InvokeWithResponseStreamInput { function_name: "f".to_owned(), ..Default::default() };
    let output = house.ctx().call::<api::InvokeWithResponseStream>(input).await.unwrap();
    let mut bytes = output.event_stream.collect(1 << 20).await.unwrap();
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let headers = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let message = bytes.split_to(length);
        let head = String::from_utf8_lossy(&message[12..12 + headers]).into_owned();
        let kind = if head.contains("PayloadChunk") { "PayloadChunk" } else { "InvokeComplete" };
        found.push((kind.to_owned(), message.slice(12 + headers..length - 4)));
    }
    found
}

#[tokio::test]
async fn event_streams_end_with_how_it_went() {
    let (house, _) = open(json!({})).await;
    house.stage.play("f", |_| Act::Stream {
        content_type: None,
        chunks: vec![b"one", b"two"],
        fails: false,
    });
    let chunk =
        |text: &'static str| ("PayloadChunk".to_owned(), Bytes::from_static(text.as_bytes()));
    let done =
        |text: &'static str| ("InvokeComplete".to_owned(), Bytes::from_static(text.as_bytes()));
    assert_eq!(events(&house).await, [chunk("one"), chunk("two"), done("{}")]);
    house.stage.play("f", |_| Act::Answer(json!({"a": 1})));
    assert_eq!(events(&house).await, [chunk("{\"a\":1}"), done("{}")]);
    house.stage.play("f", |_| Act::Throw("no"));
    let failed = events(&house).await;
    assert_eq!(failed.len(), 1);
    let end: Value = serde_json::from_slice(&failed[0].1).unwrap();
    assert_eq!(end["ErrorCode"], "Unhandled");
    assert!(end["ErrorDetails"].as_str().unwrap().contains("errorMessage"));
}
