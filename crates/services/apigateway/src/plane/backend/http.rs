//! `HTTP` and `HTTP_PROXY`: any web server.

use sereno_wire::HttpRequest;
use sereno_wire::body::Method;

use crate::plane::call::Call;
use crate::plane::failure::Failure;
use crate::plane::headers::Headers;
use crate::plane::reply::Reply;
use crate::plane::request::Outgoing;

/// Larger answers are refused: API Gateway's payload limit.
const BODY_BYTES_MAX: usize = 10 << 20;

pub async fn ask(call: &Call, outgoing: &Outgoing) -> Result<Reply, Failure> {
    let invalid = || {
        Failure::internal("Execution failed due to configuration error: Invalid endpoint address")
    };
    let url = url(outgoing);
    let method = Method::from_bytes(outgoing.method.as_bytes()).map_err(|_| invalid())?;
    let mut request = HttpRequest::new(method, "/");
    request.headers = outgoing.headers.outgoing();
    request.body = outgoing.body.clone().into();
    let client = call.ctx.http().map_err(|error| Failure::internal(error.to_string()))?;
    let response = client.send(&url, request).await.map_err(|error| {
        Failure::configuration(format!(
            "Execution failed due to a network error communicating with endpoint: {error}"
        ))
    })?;
    let headers = Headers::incoming(&response.headers);
    let body = response.body.collect(BODY_BYTES_MAX).await;
    let body = body.map_err(|error| Failure::network(error.to_string()))?;
    Ok(Reply { status: response.status, headers, body })
}

/// The URI with the query behind its own.
fn url(outgoing: &Outgoing) -> String {
    let mut url = outgoing.uri.clone();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    for (name, values) in &outgoing.query {
        for value in values {
            url.push(separator);
            url.push_str(&sereno_base::percent_encode(name, false));
            url.push('=');
            url.push_str(&sereno_base::percent_encode(value, false));
            separator = '&';
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_appended() {
        let mut outgoing = Outgoing { uri: "http://x/y?a=1".to_owned(), ..Outgoing::default() };
        outgoing.query.insert("b c".to_owned(), vec!["1".to_owned(), "ä/".to_owned()]);
        assert_eq!(url(&outgoing), "http://x/y?a=1&b%20c=1&b%20c=%C3%A4%2F");
    }
}
