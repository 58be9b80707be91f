//! Where a request's template or policy text comes from: its own body, or an object in our S3.

use sereno_api_s3::{GetObject, GetObjectInput};
use sereno_base::percent_decode;
use sereno_kernel::{Ctx, Error, Result};
use sereno_template::text::{BODY_BYTES_MAX, TEMPLATE_BYTES_MAX};

use crate::errors;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    pub key: String,
    pub version: Option<String>,
}

/// The template of a request that names it in one of two ways; None if it names none.
pub async fn template(ctx: &Ctx, body: Option<&str>, url: Option<&str>) -> Result<Option<String>> {
    match (body, url) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(errors::validation("Only one of TemplateBody or TemplateURL may be specified."))
        }
        (Some(body), None) if body.len() > BODY_BYTES_MAX => {
            // recorded: test_to_validate_template_limit_for_macro
            Err(errors::validation(format!(
                "1 validation error detected: Value '{body}' at 'templateBody' failed to satisfy \
                 constraint: Member must have length less than or equal to {BODY_BYTES_MAX}"
            )))
        }
        (Some(body), None) => Ok(Some(body.to_owned())),
        (None, Some(url)) => {
            let location = location(ctx, url)?;
            read(ctx, &location).await.map(Some)
        }
    }
}

/// Reads a text object as the caller.
pub async fn read(ctx: &Ctx, location: &Location) -> Result<String> {
    let input = GetObjectInput {
        bucket: location.bucket.clone(),
        key: location.key.clone(),
        version_id: location.version.clone(),
        ..Default::default()
    };
    let object = ctx.call::<GetObject>(input).await.map_err(|error| s3_error(&error))?;
    let too_large = |_| {
        errors::validation(format!("Template may not exceed {TEMPLATE_BYTES_MAX} bytes in size."))
    };
    let bytes = object.body.collect(TEMPLATE_BYTES_MAX).await.map_err(too_large)?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| errors::validation("Template format error: the template is not UTF-8."))
}

fn s3_error(error: &Error) -> Error {
    if error.is_transient() {
        return errors::validation("S3 error: the object cannot be read now. Please try again.");
    }
    errors::validation(format!(
        "S3 error: {}\nFor more information check \
         http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        error.message()
    ))
}

/// Reads a URL of S3 in any form, or of this server in path form.
pub fn location(ctx: &Ctx, url: &str) -> Result<Location> {
    let own = [ctx.endpoint(), ctx.server_endpoint()];
    let own: Vec<&str> = own.iter().map(|endpoint| host_of(endpoint)).collect();
    parse(url, &own)
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    // An IPv6 address is in brackets, its colons are no port.
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.") || host == "0.0.0.0"
}

fn parse(url: &str, own: &[&str]) -> Result<Location> {
    // recorded: test_create_stack_from_s3_template_url
    let unsupported = || errors::validation("TemplateURL must be a supported URL.");
    let (scheme, rest) = url.split_once("://").ok_or_else(unsupported)?;
    if scheme.eq_ignore_ascii_case("s3") {
        let bucket = rest.split('/').next().unwrap_or_default();
        return Err(errors::validation(format!(
            "S3 error: Domain name specified in {bucket} is not a valid S3 domain"
        )));
    }
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(unsupported());
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.split_once('/').map(|(_, path)| path).ok_or_else(unsupported)?;
    let host = host_of(url).to_ascii_lowercase();
    let decode = |text: &str| percent_decode(text).unwrap_or_else(|| text.to_owned());
    let (bucket, key) = match virtual_bucket(&host) {
        Some(bucket) => (bucket.to_owned(), decode(path)),
        None if is_local(&host) || own.contains(&host.as_str()) || is_s3(&host) => {
            let (bucket, key) = path.split_once('/').ok_or_else(unsupported)?;
            (decode(bucket), decode(key))
        }
        None => return Err(unsupported()),
    };
    if bucket.is_empty() || key.is_empty() {
        return Err(unsupported());
    }
    let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId=")).map(decode);
    Ok(Location { bucket, key, version })
}

/// `s3.amazonaws.com`, `s3.eu-west-1.amazonaws.com`, `s3-eu-west-1.amazonaws.com`, `s3.localhost`.
fn is_s3(host: &str) -> bool {
    let first = host.split('.').next().unwrap_or_default();
    (first == "s3" || first.starts_with("s3-")) && host.contains('.')
}

/// `bucket.s3.region.amazonaws.com` and the like; the bucket may contain dots.
fn virtual_bucket(host: &str) -> Option<&str> {
    let end = host.rfind(".s3.").or_else(|| host.rfind(".s3-"))?;
    (end > 0).then_some(&host[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let at = |bucket: &str, key: &str| {
            Ok(Location { bucket: bucket.into(), key: key.into(), version: None })
        };
        let cases = [
            ("http://127.0.0.1:4566/b/k/x.yaml", at("b", "k/x.yaml")),
            ("http://localhost:4566/b/k", at("b", "k")),
            ("http://sereno.example:4566/b/k", at("b", "k")),
            ("https://s3.amazonaws.com/b/k%20x", at("b", "k x")),
            ("https://s3.eu-west-1.amazonaws.com/b/k", at("b", "k")),
            ("https://s3-eu-west-1.amazonaws.com/b/k", at("b", "k")),
            ("https://b.s3.eu-west-1.amazonaws.com/k", at("b", "k")),
            ("https://my.b.s3.amazonaws.com/k/y", at("my.b", "k/y")),
            ("http://b.s3.localhost:4566/k", at("b", "k")),
            ("http://[::1]:4566/b/k", at("b", "k")),
        ];
        for (url, expected) in cases {
            let actual: std::result::Result<Location, String> =
                parse(url, &["sereno.example"]).map_err(|error| error.message().to_owned());
            assert_eq!(actual, expected, "{url}");
        }
        let version = parse("https://s3.amazonaws.com/b/k?versionId=v1", &[]).unwrap().version;
        assert_eq!(version.as_deref(), Some("v1"));
        for url in ["https://example.com/b/k", "b/k", "s3://b/k", "ftp://s3.amazonaws.com/b/k"] {
            assert!(parse(url, &[]).is_err(), "{url}");
        }
    }
}
