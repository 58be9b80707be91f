//! A client of Sereno's public API for the commands: signs like any SDK, speaks the three protocols they need.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;
use sereno_base::{Region, Timestamp, hex, percent_encode};
use sereno_gateway::HyperClient;
use sereno_gateway::sigv4::{self, Claim, PathEncoding, Placement, Scope, SigningKey};
use sereno_kernel::HttpClient;
use sereno_wire::body::{HeaderName, HeaderValue, Method};
use sereno_wire::xml::Element;
use sereno_wire::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

/// The largest answer a command reads.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Which server, in whose name.
#[derive(Args, Clone)]
pub struct Target {
    /// Where the server is.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub endpoint: String,

    /// The region to work in.
    #[arg(long, env = "AWS_DEFAULT_REGION", default_value = "us-east-1")]
    pub region: String,
}

/// Signs and sends requests.
#[derive(Clone)]
pub struct Client {
    endpoint: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// What the server answered instead of success.
#[derive(Debug)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> String {
        failure.to_string()
    }
}

pub type Answer<T> = Result<T, Failure>;

impl Target {
    /// With the keys of the environment, as every AWS tool takes them; `test`/`test` where there are none.
    pub fn client(&self) -> Result<Client, String> {
        if Region::parse(&self.region).is_none() {
            return Err(format!("there is no region {}", self.region));
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Client {
            endpoint: self.endpoint.trim_end_matches('/').to_owned(),
            region: self.region.clone(),
            access_key_id: variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "test".to_owned()),
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY")
                .unwrap_or_else(|| "test".to_owned()),
            session_token: variable("AWS_SESSION_TOKEN"),
        })
    }
}

impl Client {
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether a server answers there.
    pub async fn is_up(&self) -> bool {
        let request = HttpRequest::new(Method::GET, "/_sereno/health");
        let url = format!("{}/_sereno/health", self.endpoint);
        HyperClient.send(&url, request).await.is_ok_and(|response| response.status == 200)
    }

    /// A call of the query protocol; answers the result element.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(String, String)],
    ) -> Answer<Element> {
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            form.push_str(&format!(
                "&{}={}",
                percent_encode(name, false),
                percent_encode(value, false)
            ));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let body = self.send(service, Method::POST, "/", &headers, form.into_bytes()).await?.1;
        let text = String::from_utf8_lossy(&body).into_owned();
        let root = Element::parse(&text).map_err(|error| local(&error.to_string()))?;
        let result = format!("{action}Result");
        if root.child(&result).is_none() {
            return Ok(root);
        }
        Ok(root.children.into_iter().find(|child| child.name == result).unwrap_or_default())
    }

    /// A call of the JSON protocol.
    pub async fn json(&self, service: &str, target: &str, input: &Value) -> Answer<Value> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let body = input.to_string().into_bytes();
        let (_, body) = self.send(service, Method::POST, "/", &headers, body).await?;
        serde_json::from_slice(&body).map_err(|error| local(&error.to_string()))
    }

    /// A call by path; answers headers and body.
    pub async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Answer<(HttpResponse, Vec<u8>)> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = HttpRequest::new(method, path);
        query.clone_into(&mut request.query);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|error| local(&error.to_string()))?;
            request.headers.insert(HeaderName::from_static(name), value);
        }
        self.sign(&mut request, service, &body)?;
        request.body = body.into();
        let url = match query {
            "" => format!("{}{path}", self.endpoint),
            query => format!("{}{path}?{query}", self.endpoint),
        };
        let mut response = HyperClient
            .send(&url, request)
            .await
            .map_err(|_| local(&unreachable(&self.endpoint)))?;
        let body = std::mem::take(&mut response.body)
            .collect(ANSWER_BYTES_MAX)
            .await
            .map_err(|error| local(&error.to_string()))?;
        if response.status >= 300 {
            return Err(failure(&response, &body));
        }
        Ok((response, body.to_vec()))
    }

    fn sign(&self, request: &mut HttpRequest, service: &str, body: &[u8]) -> Answer<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let time = Timestamp::EPOCH.plus(Duration::from_secs(now.as_secs()));
        let host = self.endpoint.split("://").nth(1).unwrap_or_default().to_owned();
        let hash = hex(&Sha256::digest(body));
        let mut set = |name: &'static str, value: &str| -> Answer<()> {
            let value = HeaderValue::from_str(value).map_err(|error| local(&error.to_string()))?;
            request.headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        set("host", &host)?;
        set("x-amz-date", &time.basic())?;
        set("x-amz-content-sha256", &hash)?;
        if let Some(token) = &self.session_token {
            set("x-amz-security-token", token)?;
        }
        let mut signed_headers: Vec<String> =
            request.headers.keys().map(|name| name.as_str().to_owned()).collect();
        signed_headers.sort_unstable();
        let scope = Scope {
            date: time.basic()[..8].to_owned(),
            region: self.region.clone(),
            service: service.to_owned(),
        };
        let claim = Claim {
            access_key_id: self.access_key_id.clone(),
            scope: scope.clone(),
            signed_headers: signed_headers.join(";"),
            signature: String::new(),
            time,
            session_token: None,
            placement: Placement::Header,
        };
        let encoding = if service == "s3" { PathEncoding::Once } else { PathEncoding::Twice };
        let key = SigningKey::derive(&self.secret_access_key, &scope);
        let signature = sigv4::signature(&key, &claim, request, &hash, encoding);
        let header = format!(
            "{} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            sigv4::ALGORITHM,
            self.access_key_id,
            claim.signed_headers
        );
        let value = HeaderValue::from_str(&header).map_err(|error| local(&error.to_string()))?;
        request.headers.insert(HeaderName::from_static("authorization"), value);
        Ok(())
    }
}

pub fn unreachable(endpoint: &str) -> String {
    format!(
        "no server answers at {endpoint}.\n\
         Start one with `sereno serve`, or say where it is with --endpoint."
    )
}

/// A failure on this side of the wire.
fn local(message: &str) -> Failure {
    Failure { code: "Client".to_owned(), message: message.to_owned() }
}

fn failure(response: &HttpResponse, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let field = |names: &[&str]| {
            names.iter().find_map(|name| json.get(*name)?.as_str()).map(str::to_owned)
        };
        let header = response.headers.get("x-amzn-errortype").and_then(|v| v.to_str().ok());
        let code = field(&["__type", "Code"]).or(header.map(str::to_owned)).unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        return Failure { code, message: field(&["message", "Message"]).unwrap_or_default() };
    }
    let root = Element::parse(&text).ok();
    let error = root.as_ref().map(|root| root.child("Error").unwrap_or(root));
    let field = |name: &str| error.and_then(|e| e.child(name)).map(|e| e.text.clone());
    Failure {
        code: field("Code").unwrap_or_else(|| response.status.to_string()),
        message: field("Message").unwrap_or_else(|| text.chars().take(500).collect()),
    }
}
