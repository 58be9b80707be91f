//! From a request to its operation.

use sereno_wire::{Body, HttpRequest, Protocol, ServiceSchema, route};

fn ask(service: &'static ServiceSchema, method: &str, target: &str) -> String {
    let protocol = service.protocols[0];
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = HttpRequest::new(method.parse().expect("a method"), path);
    query.clone_into(&mut request.query);
    match route(service, protocol, &request) {
        Err(error) => format!("{} {}", error.status, error.code),
        Ok(found) => {
            let labels: Vec<String> =
                found.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{}", found.target.name(), labels.concat())
        }
    }
}

#[test]
fn s3() {
    for (method, target, wanted) in [
        ("GET", "/", "ListBuckets"),
        ("PUT", "/b", "CreateBucket Bucket=b"),
        ("PUT", "/b/", "CreateBucket Bucket=b"),
        ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2 Bucket=b"),
        ("GET", "/b?prefix=x", "ListObjects Bucket=b"),
        ("GET", "/b?uploads", "ListMultipartUploads Bucket=b"),
        ("GET", "/b?accelerate", "GetBucketAccelerateConfiguration Bucket=b"),
        ("POST", "/b?delete", "DeleteObjects Bucket=b"),
        ("PUT", "/b/k/with%20space//x", "PutObject Bucket=b Key=k/with space//x"),
        ("PUT", "/b//k", "PutObject Bucket=b Key=/k"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart Bucket=b Key=k"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload Bucket=b Key=k"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload Bucket=b Key=k"),
        ("GET", "/b/k?uploadId=u", "ListParts Bucket=b Key=k"),
        ("GET", "/b/k?tagging", "GetObjectTagging Bucket=b Key=k"),
        ("GET", "/b/k?X-Amz-Signature=1&versionId=x", "GetObject Bucket=b Key=k"),
        ("HEAD", "/b/k/", "HeadObject Bucket=b Key=k/"),
        ("PATCH", "/b", "405 MethodNotAllowed"),
        ("GET", "/b/%ff", "400 InvalidURI"),
    ] {
        assert_eq!(ask(&sereno_api_s3::SERVICE, method, target), wanted, "{method} {target}");
    }
}

#[test]
fn s3_copies_are_known_by_their_header() {
    let mut request = HttpRequest::new("PUT".parse().expect("a method"), "/b/k");
    request.headers.insert("x-amz-copy-source", "/a/x".parse().expect("a value"));
    let found = route(&sereno_api_s3::SERVICE, Protocol::RestXml, &request).expect("a route");
    assert_eq!(found.target.name(), "CopyObject");
    request.query = "partNumber=1&uploadId=u".to_owned();
    let found = route(&sereno_api_s3::SERVICE, Protocol::RestXml, &request).expect("a route");
    assert_eq!(found.target.name(), "UploadPartCopy");
}

#[test]
fn lambda_and_apigateway() {
    for (service, method, target, wanted) in [
        (
            &sereno_api_lambda::SERVICE,
            "POST",
            "/2015-03-31/functions/f%3Aprod/invocations",
            "Invoke FunctionName=f:prod",
        ),
        (&sereno_api_lambda::SERVICE, "GET", "/2015-03-31/functions/", "ListFunctions"),
        (&sereno_api_lambda::SERVICE, "GET", "/2015-03-31/functions", "ListFunctions"),
        (&sereno_api_lambda::SERVICE, "GET", "/nowhere", "404 UnknownOperationException"),
        (
            &sereno_api_apigateway::SERVICE,
            "GET",
            "/restapis/a/resources/r/methods/GET",
            "GetMethod restapi_id=a resource_id=r http_method=GET",
        ),
        (&sereno_api_apigateway::SERVICE, "POST", "/restapis?mode=import", "ImportRestApi"),
        (&sereno_api_apigateway::SERVICE, "POST", "/restapis", "CreateRestApi"),
    ] {
        assert_eq!(ask(service, method, target), wanted, "{method} {target}");
    }
}

#[test]
fn named_operations() {
    let mut request = HttpRequest::new("POST".parse().expect("a method"), "/");
    request.headers.insert("x-amz-target", "DynamoDB_20120810.PutItem".parse().expect("a value"));
    let service = &sereno_api_dynamodb::SERVICE;
    let found = route(service, Protocol::Json10, &request).expect("a route");
    assert_eq!(found.target.name(), "PutItem");
    request.headers.insert("x-amz-target", "DynamoDB_20120810.Nothing".parse().expect("a value"));
    let error = route(service, Protocol::Json10, &request).expect_err("no route");
    assert_eq!((error.status, error.code), (400, "UnknownOperationException"));

    let mut request = HttpRequest::new("POST".parse().expect("a method"), "/");
    request.body = Body::from("Action=GetCallerIdentity&Version=2011-06-15");
    let service = &sereno_api_sts::SERVICE;
    let found = route(service, Protocol::Query, &request).expect("a route");
    assert_eq!(found.target.name(), "GetCallerIdentity");
    request.body = Body::from("Action=Nothing&Version=2011-06-15");
    let error = route(service, Protocol::Query, &request).expect_err("no route");
    assert_eq!(error.message, "Could not find operation Nothing for version 2011-06-15");
}
