//! The event that a function gets for an HTTP request: payload format 2.0.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
//! Recorded: test_lambda.py::TestLambdaURL (echo, form payload).

use serde_json::{Map, Value, json};
use sereno_base::{Timestamp, base64_encode, percent_decode};
use sereno_kernel::{Caller, Ctx};
use sereno_wire::{Body, HttpRequest};

use crate::state::UrlRecord;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A request without its body.
pub struct Head {
    method: String,
    path: String,
    query: String,
    /// Lower case, in the order they came.
    headers: Vec<(String, String)>,
}

/// Decoded, with one slash before it. Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_echo_http_fixture_default
fn readable(path: &str) -> String {
    let path = format!("/{}", path.trim_start_matches('/'));
    percent_decode(&path).unwrap_or(path)
}

impl Head {
    pub fn split(path: &str, request: HttpRequest) -> (Head, Body) {
        let headers = request.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let head = Head {
            method: request.method.as_str().to_owned(),
            path: readable(path),
            query: request.query,
            headers: headers.collect(),
        };
        (head, request.body)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

pub fn build(ctx: &Ctx, url: &UrlRecord, head: &Head, body: &[u8], trace_id: &str) -> Value {
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": head.path,
        "rawQueryString": head.query,
    });
    let cookies: Vec<&str> = head
        .headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| value.split(';'))
        .map(str::trim)
        .filter(|cookie| !cookie.is_empty())
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    event["headers"] = headers(ctx, head, trace_id);
    let parameters = parameters(&head.query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = Value::Object(parameters);
    }
    event["requestContext"] = request_context(ctx, url, head);
    let text =
        is_text(head.header("content-type")).then(|| std::str::from_utf8(body).ok()).flatten();
    if !body.is_empty() {
        event["body"] = json!(text.map_or_else(|| base64_encode(body), str::to_owned));
    }
    event["isBase64Encoded"] = json!(!body.is_empty() && text.is_none());
    event
}

/// What the function may take for text.
fn is_text(content_type: Option<&str>) -> bool {
    let kind = content_type.unwrap_or_default().to_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind.as_str(),
            "application/json" | "application/xml" | "application/javascript"
        )
}

/// Several of one name are joined by commas; cookies have their own place; what proxies say of the connection is added.
fn headers(ctx: &Ctx, head: &Head, trace_id: &str) -> Value {
    let mut joined = Map::new();
    let origin = ctx.origin();
    let (scheme, authority) =
        origin.endpoint.split_once("://").unwrap_or(("http", origin.endpoint.as_str()));
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    let hidden = ["cookie", "connection", "transfer-encoding", "x-amzn-trace-id"];
    let own = [
        ("x-amzn-trace-id", trace_id.split(';').next().unwrap_or_default().to_owned()),
        ("x-forwarded-for", origin.source_ip.clone()),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", scheme.to_owned()),
    ];
    for (name, value) in head.headers.iter().filter(|(name, _)| !hidden.contains(&name.as_str())) {
        match joined.get_mut(name) {
            Some(Value::String(before)) => {
                before.push(',');
                before.push_str(value);
            }
            _ => drop(joined.insert(name.clone(), json!(value))),
        }
    }
    for (name, value) in own {
        joined.insert(name.to_owned(), json!(value));
    }
    Value::Object(joined)
}

fn parameters(query: &str) -> Map<String, Value> {
    let decode =
        |text: &str| percent_decode(&text.replace('+', " ")).unwrap_or_else(|| text.to_owned());
    let mut found = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        match found.get_mut(&name) {
            Some(Value::String(before)) => {
                before.push(',');
                before.push_str(&value);
            }
            _ => drop(found.insert(name, json!(value))),
        }
    }
    found
}

fn request_context(ctx: &Ctx, url: &UrlRecord, head: &Head) -> Value {
    let caller = ctx.caller();
    let signed = url.auth_type != "NONE";
    let account = caller.account().filter(|_| signed);
    let account = account.map_or_else(|| "anonymous".to_owned(), |account| account.to_string());
    let mut context = json!({"accountId": account, "apiId": url.id});
    if signed {
        context["authorizer"] = json!({"iam": {
            "accessKey": access_key(caller),
            "accountId": account,
            "callerId": caller.user_id(),
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": caller.arn(),
            "userId": caller.user_id(),
        }});
    }
    let host = &ctx.origin().host;
    let by_host = super::id_of_host(host).is_some();
    let domain = if by_host { host.clone() } else { format!("{}.lambda-url.{host}", url.id) };
    context["domainName"] = json!(domain);
    context["domainPrefix"] = json!(url.id);
    context["http"] = json!({
        "method": head.method,
        "path": head.path,
        "protocol": "HTTP/1.1",
        "sourceIp": ctx.origin().source_ip,
        "userAgent": head.header("user-agent").unwrap_or_default(),
    });
    context["requestId"] = json!(ctx.request_id().to_string());
    context["routeKey"] = json!("$default");
    context["stage"] = json!("$default");
    context["time"] = json!(time(ctx.now()));
    context["timeEpoch"] = json!(ctx.now().millis());
    context
}

fn access_key(caller: &Caller) -> Option<&str> {
    match caller {
        Caller::User(user) => Some(&user.access_key_id),
        Caller::Role(session) => Some(&session.access_key_id),
        _ => None,
    }
}

/// `01/Dec/2016:10:00:00 +0000`
fn time(at: Timestamp) -> String {
    let text = at.basic();
    let month = text.get(4..6).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    format!(
        "{}/{}/{}:{}:{}:{} +0000",
        &text[6..8],
        MONTHS[(month - 1).min(11)],
        &text[..4],
        &text[9..11],
        &text[11..13],
        &text[13..15]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(readable("//pa2%25Fth/1"), "/pa2%Fth/1");
        assert_eq!(readable("/a%2Fb"), "/a/b");
        assert_eq!(readable("/%zz"), "/%zz");
    }

    #[test]
    fn times() {
        assert_eq!(time(Timestamp::from_millis(1_480_586_400_000)), "01/Dec/2016:10:00:00 +0000");
    }

    #[test]
    fn parameters_of_one_name_are_joined() {
        let found = parameters("q=query&multi=foo&multi=%2Fbar&empty&s=a+b");
        assert_eq!(found["multi"], "foo,/bar");
        assert_eq!(found["empty"], "");
        assert_eq!(found["s"], "a b");
    }

    #[test]
    fn what_is_text() {
        for text in ["text/plain; charset=utf-8", "application/json", "application/hal+json"] {
            assert!(is_text(Some(text)), "{text}");
        }
        for other in [None, Some("multipart/form-data"), Some("application/x-www-form-urlencoded")]
        {
            assert!(!is_text(other), "{other:?}");
        }
    }
}
