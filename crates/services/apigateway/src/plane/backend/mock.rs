//! `MOCK`: no backend at all. The request template says which status it would have answered.

use bytes::Bytes;
use sereno_vtl::Value;

use crate::plane::failure::Failure;
use crate::plane::headers::Headers;
use crate::plane::reply::Reply;
use crate::plane::request::Outgoing;

pub fn ask(outgoing: &Outgoing) -> Result<Reply, Failure> {
    let text = String::from_utf8_lossy(&outgoing.body);
    let status = status(&text).ok_or_else(|| {
        Failure::internal("Execution failed due to configuration error: Unable to parse statusCode. It should be an integer that is defined in the request template.")
    })?;
    Ok(Reply { status, headers: Headers::default(), body: Bytes::new() })
}

/// `{"statusCode": 200}`; names need no quotes (the CDK writes it so).
fn status(text: &str) -> Option<u16> {
    let Value::Map(map) = sereno_vtl::json::read(text)? else { return None };
    match map.get("statusCode")? {
        Value::Int(status) => u16::try_from(status).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn statuses() {
        assert_eq!(status(r#"{"statusCode": 200}"#), Some(200));
        assert_eq!(status("{statusCode: 302}"), Some(302));
        assert_eq!(status("{'statusCode': 200, x: null}"), Some(200));
        assert_eq!(status(r#"{"statusCode": "200"}"#), None);
        assert_eq!(status("{}"), None);
        assert_eq!(status(""), None);
    }
}
