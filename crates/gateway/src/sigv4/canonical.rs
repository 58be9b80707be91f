//! The canonical request: one spelling for every way a request may be written.

use sereno_base::{percent_decode, percent_encode};
use sereno_wire::HttpRequest;

use super::{Claim, PathEncoding};

/// Method, path, query, signed headers and payload hash as they are signed.
pub fn canonical_request(
    claim: &Claim,
    request: &HttpRequest,
    payload_hash: &str,
    encoding: PathEncoding,
) -> String {
    let mut text = String::with_capacity(512 + request.query.len());
    text.push_str(request.method.as_str());
    text.push('\n');
    match request.path.as_str() {
        "" | "/" => text.push('/'),
        path => text.push_str(&canonical_path(path, encoding)),
    }
    text.push('\n');
    text.push_str(&canonical_query(&request.query));
    text.push('\n');
    for name in claim.signed_headers.split(';') {
        text.push_str(name);
        text.push(':');
        push_header_values(request, name, &mut text);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&claim.signed_headers);
    text.push('\n');
    text.push_str(payload_hash);
    text
}

fn canonical_path(path: &str, encoding: PathEncoding) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    match encoding {
        // S3's keys may hold dots, doubled slashes and any spelling of an escape.
        PathEncoding::Once => match percent_decode(path) {
            Some(plain) => percent_encode(&plain, true),
            None => path.to_owned(),
        },
        PathEncoding::Twice => percent_encode(&without_dots(path), true),
    }
}

/// RFC 3986, section 5.2.4, and doubled slashes made one.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let ends_in_folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if kept.is_empty() || ends_in_folder {
        out.push('/');
    }
    out
}

fn canonical_query(query: &str) -> String {
    if query.is_empty() {
        return String::new();
    }
    let spelled = |text: &str| match percent_decode(text) {
        Some(plain) => percent_encode(&plain, false),
        None => text.to_owned(),
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (spelled(name), spelled(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// All values of a header, trimmed, runs of spaces made one, joined by commas.
pub fn signed_header_values(request: &HttpRequest, name: &str) -> String {
    let mut joined = String::new();
    push_header_values(request, name, &mut joined);
    joined
}

fn push_header_values(request: &HttpRequest, name: &str, joined: &mut String) {
    for (index, value) in request.header_values(name).enumerate() {
        if index > 0 {
            joined.push(',');
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                joined.push(' ');
            }
            joined.push_str(word.trim_matches('\t'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let twice = |path| canonical_path(path, PathEncoding::Twice);
        assert_eq!(twice(""), "/");
        assert_eq!(twice("//"), "/");
        assert_eq!(twice("/a/./b/../c/"), "/a/c/");
        assert_eq!(twice("/functions/f%3APROD/x"), "/functions/f%253APROD/x");
        let once = |path| canonical_path(path, PathEncoding::Once);
        assert_eq!(once("/b/a%20b/../%7Ex"), "/b/a%20b/../~x");
        assert_eq!(once("/b/%ff"), "/b/%ff");
    }

    #[test]
    fn queries_are_sorted_by_spelling() {
        assert_eq!(canonical_query("b=2&a=%2f&uploads&X-Amz-Signature=x"), "a=%2F&b=2&uploads=");
    }
}
