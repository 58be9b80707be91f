//! The kernel's `HttpClient` port: HTTP out, plain or over TLS, one connection a request.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sereno_kernel::{BoxFuture, Error, HttpClient, Kind, Result};
use sereno_wire::{HttpRequest, HttpResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::body::read_response;
use crate::tls_client;

const TIMEOUT: Duration = Duration::from_secs(30);
/// API Gateway's limit for a payload, the largest that any caller of this port allows.
const BODY_BYTES_MAX: usize = 10 << 20;

/// Headers that frame one connection's messages; taken over from another connection they would lie (RFC 9110, 7.6.1).
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends requests with hyper.
#[derive(Default)]
pub struct HyperClient;

impl HttpClient for HyperClient {
    fn send(&self, url: &str, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let url = url.to_owned();
        Box::pin(async move {
            let sent = tokio::time::timeout(TIMEOUT, send(&url, request)).await;
            sent.map_err(|_| failed(Kind::Unavailable, &url, "no answer in time"))?
                .map_err(|error| failed(Kind::Unavailable, &url, &error.to_string()))
        })
    }
}

fn failed(kind: Kind, url: &str, why: &str) -> Error {
    Error::new(kind, "HttpRequestFailed", format!("{url}: {why}"))
}

async fn send(url: &str, request: HttpRequest) -> io::Result<HttpResponse> {
    let uri: hyper::Uri = url.parse().map_err(io::Error::other)?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(io::Error::other("only http:// and https:// URLs can be called")),
    };
    let host = uri.host().ok_or_else(|| io::Error::other("the URL has no host"))?;
    let host = host.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((place(host), port)).await?;
    stream.set_nodelay(true)?;
    let mut sender = match secure {
        true => open(tls_client::connect(host, stream).await?).await?,
        false => open(stream).await?,
    };
    let body = request.body.collect(BODY_BYTES_MAX).await?;
    let mut outgoing = hyper::Request::new(Full::new(body));
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() =
        uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(io::Error::other)?;
    *outgoing.headers_mut() = request.headers;
    for name in OF_THE_CONNECTION {
        outgoing.headers_mut().remove(*name);
    }
    if !outgoing.headers().contains_key("host")
        && let Some(authority) = uri.authority()
        && let Ok(value) = authority.as_str().parse()
    {
        outgoing.headers_mut().insert("host", value);
    }
    let response = sender.send_request(outgoing).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let mut answer = HttpResponse::new(head.status.as_u16());
    answer.headers = head.headers;
    answer.body = read_response(body, BODY_BYTES_MAX).await?.into();
    Ok(answer)
}

async fn open(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends by itself when the response was read or the sender is gone.
    tokio::spawn(connection);
    Ok(sender)
}

/// Names under `localhost` are this machine (RFC 6761, 6.3), which few resolvers know; function URLs have such names.
fn place(host: &str) -> &str {
    const LOCAL: &str = "localhost";
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.eq_ignore_ascii_case(LOCAL) { LOCAL } else { host }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn what_is_under_localhost_is_this_machine() {
        assert_eq!(place("x.lambda-url.us-east-1.LocalHost"), "localhost");
        assert_eq!(place("localhost"), "localhost");
        assert_eq!(place("localhost.example.com"), "localhost.example.com");
        assert_eq!(place("::1"), "::1");
    }
}
